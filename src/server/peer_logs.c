/* GET /logs: what happens to jobs, a line each, as server-sent events. */
#include "base/memory.h"
#include "server/peer_routes.h"
#include "server/server.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct log_stream {
    ace_server *server;
    uint64_t after;
} log_stream;

static void write_line(void *context, const ace_job_event *event)
{
    if (strcmp(event->name, "progress") != 0) {
        fprintf(context, "data: %s %s %s\n\n", event->id, event->name, event->data);
    }
}

static bool more(void *state, char **text, size_t *bytes)
{
    log_stream *s = state;
    char *lines = NULL;
    bool lost = false;
    FILE *f = open_memstream(&lines, bytes);
    *text = NULL;
    if (f == NULL) {
        *bytes = 0;
        return true;
    }
    s->after = ace_jobs_events(s->server->jobs, NULL, s->after, &lost, write_line, f);
    if (fclose(f) == 0 && *bytes > 0) {
        *text = ace_strdup(lines);
    }
    *bytes = *text != NULL ? *bytes : 0;
    free(lines);
    return true;
}

static void done(void *state)
{
    ace_free(state);
}

void ace_peer_logs(ace_http_request *request, ace_server *server)
{
    log_stream *s = ace_calloc(1, sizeof *s);
    if (s == NULL) {
        ace_peer_reply_error(request, 500, "no host memory");
        return;
    }
    s->server = server;
    ace_http_reply_stream(request, "text/event-stream", more, done, s);
}
