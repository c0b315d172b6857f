/* GET /v1/logs: the log of this server, its last lines and those that come. */
#include "base/memory.h"
#include "server/log_stream.h"
#include "server/native.h"

#include <stdlib.h>

static void write_line(FILE *out, const ace_log_line *line)
{
    static const char *const levels[] = {"", "error", "warning", "info", "debug"};
    json_t *data = json_pack("{s:f, s:s, s:s, s:s}", "time", line->time, "level",
                             levels[line->level], "area", line->area, "text", line->text);
    char *text = data != NULL ? json_dumps(data, JSON_COMPACT | JSON_REAL_PRECISION(15)) : NULL;
    if (text != NULL) {
        fprintf(out, "id: %llu\nevent: line\ndata: %s\n\n", (unsigned long long)line->number, text);
    }
    acestep_free(text);
    json_decref(data);
}

/* After the line that the client has seen last, else the last `lines`. */
void ace_native_logs(ace_http_request *request, ace_server *server)
{
    int64_t lines = 0;
    const char *seen = ace_http_header(request, "Last-Event-ID");
    if (!ace_http_query_int(request, "lines", 0, ACE_LOG_TAIL_LINES, ACE_LOG_TAIL_LINES, &lines)) {
        return;
    }
    bool goes_on = seen != NULL && *seen >= '0' && *seen <= '9';
    uint64_t after =
        goes_on ? strtoull(seen, NULL, 10) : ace_log_tail_before(server->log, (uint64_t)lines);
    ace_log_stream_reply(request, server, NULL, after, write_line);
}
