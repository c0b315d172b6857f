/* GET /logs: what happens to jobs, a line each, as server-sent events. */
#include "server/log_stream.h"
#include "server/peer_routes.h"

static void write_line(FILE *out, const ace_log_line *line)
{
    fprintf(out, "data: %s\n\n", line->text);
}

void ace_peer_logs(ace_http_request *request, ace_server *server)
{
    ace_log_stream_reply(request, server, ACE_JOB_LOG_AREA, 0, write_line);
}
