/* Events as server-sent events: the number is the id, so that a browser goes on where it was. */
#include "server/native_jobs.h"

#include "base/memory.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct listener {
    ace_server *server;
    char id[ACE_JOB_ID_BYTES]; /* "": all jobs */
    uint64_t after;            /* the last event that the client has; 0: none */
    /* while events are gathered */
    FILE *out;
    bool ended;
} listener;

static bool is_last(const char *name)
{
    static const char *const names[] = {"done", "failed", "cancelled", "removed"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        if (strcmp(name, names[i]) == 0) {
            return true;
        }
    }
    return false;
}

static void write_event(void *context, const ace_job_event *event)
{
    listener *l = context;
    fprintf(l->out, "id: %llu\nevent: %s\ndata: %s\n\n", (unsigned long long)event->number,
            event->name, event->data);
    l->ended = l->id[0] != '\0' && is_last(event->name);
}

/* A job that ended before anybody kept its events, or one that is gone: its state is its last
 * event. */
static void write_end(listener *l)
{
    int status = ace_jobs_status(l->server->jobs, l->id);
    if (status == ACE_JOB_QUEUED || status == ACE_JOB_RUNNING) {
        return;
    }
    const char *name = status >= 0 ? ace_job_status_name((ace_job_status)status) : "removed";
    fprintf(l->out, "id: %llu\nevent: %s\ndata: {\"id\":\"%s\",\"status\":\"%s\"}\n\n",
            (unsigned long long)l->after, name, l->id, name);
    l->ended = true;
}

static bool gather(void *state, char **text, size_t *bytes)
{
    listener *l = state;
    char *gathered = NULL;
    size_t n = 0;
    bool lost = false;
    *text = NULL;
    *bytes = 0;
    l->out = open_memstream(&gathered, &n);
    if (l->out == NULL) {
        return false;
    }
    const char *id = l->id[0] != '\0' ? l->id : NULL;
    if (l->after != 0) { /* said before the events that are still kept */
        (void)ace_jobs_events(l->server->jobs, "-", l->after, &lost, write_event, l);
        if (lost) {
            fputs("event: reload\ndata: {}\n\n", l->out);
        }
    }
    l->after = ace_jobs_events(l->server->jobs, id, l->after, &lost, write_event, l);
    if (id != NULL && !l->ended) {
        write_end(l);
    }
    bool more = !l->ended;
    if (fclose(l->out) == 0 && n > 0) {
        *text = ace_malloc_array(n, 1);
        *bytes = *text != NULL ? n : 0;
        if (*text != NULL) {
            memcpy(*text, gathered, n);
        }
    }
    free(gathered);
    return more;
}

/* The number in Last-Event-ID, or in ?last_event_id= for clients that cannot set it; `missing`
 * without. */
static uint64_t last_seen(const ace_http_request *request, uint64_t missing)
{
    const char *text = ace_http_header(request, "Last-Event-ID");
    char *end = NULL;
    text = text != NULL ? text : ace_http_query(request, "last_event_id");
    if (text == NULL || *text < '0' || *text > '9') {
        return missing;
    }
    errno = 0;
    unsigned long long number = strtoull(text, &end, 10);
    return *end == '\0' && errno == 0 ? number : missing;
}

static void listen_to(ace_http_request *request, ace_server *server, const char *id, uint64_t after)
{
    listener *l = ace_calloc(1, sizeof *l);
    if (l == NULL) {
        ace_http_reply_json(request, 500, NULL);
        return;
    }
    l->server = server;
    l->after = after;
    (void)snprintf(l->id, sizeof l->id, "%s", id);
    ace_http_reply_stream(request, "text/event-stream", gather, ace_free, l);
}

void ace_native_job_events(ace_http_request *request, ace_server *server)
{
    const char *id = request->captures[0];
    if (ace_jobs_status(server->jobs, id) < 0) {
        ace_native_reply_change(request, ACE_JOB_UNKNOWN);
        return;
    }
    listen_to(request, server, id, last_seen(request, 0));
}

void ace_native_events(ace_http_request *request, ace_server *server)
{
    listen_to(request, server, "", last_seen(request, ace_jobs_last_event(server->jobs)));
}
