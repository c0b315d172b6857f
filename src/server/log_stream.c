#include "server/log_stream.h"

#include "base/memory.h"

#include <stdlib.h>
#include <string.h>

typedef struct log_stream {
    ace_log_tail *tail;
    const char *area; /* a literal, or NULL */
    uint64_t after;
    ace_log_stream_writer *write;
    FILE *out; /* while lines are gathered */
} log_stream;

static void write_line(void *context, const ace_log_line *line)
{
    const log_stream *s = context;
    s->write(s->out, line);
}

static bool gather(void *state, char **text, size_t *bytes)
{
    log_stream *s = state;
    char *lines = NULL;
    size_t n = 0;
    *text = NULL;
    *bytes = 0;
    s->out = open_memstream(&lines, &n);
    if (s->out == NULL) {
        return false;
    }
    s->after = ace_log_tail_visit(s->tail, s->area, s->after, write_line, s);
    if (fclose(s->out) == 0 && n > 0) {
        *text = ace_malloc_array(n, 1);
    }
    if (*text != NULL) {
        memcpy(*text, lines, n);
        *bytes = n;
    }
    free(lines);
    return true;
}

void ace_log_stream_reply(ace_http_request *request, ace_server *server, const char *area,
                          uint64_t after, ace_log_stream_writer *write)
{
    log_stream *s = ace_calloc(1, sizeof *s);
    if (s == NULL) {
        ace_http_reply_json(request, 500, NULL);
        return;
    }
    *s = (log_stream){.tail = server->log, .area = area, .after = after, .write = write};
    ace_http_reply_header(request, "Cache-Control", "no-store");
    ace_http_reply_header(request, "X-Accel-Buffering", "no"); /* of proxies */
    ace_http_reply_stream(request, "text/event-stream", gather, ace_free, s);
}
