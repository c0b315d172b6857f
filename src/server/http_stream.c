/* Answers that grow: each piece is asked for when the client has taken the last one. */
#include "base/clock.h"
#include "base/memory.h"
#include "server/http_core.h"

#include <string.h>

static const double beat_seconds = 10;

typedef struct stream {
    ace_http *http;
    ace_http_wait wait;
    ace_http_more *more;
    ace_http_done *done;
    void *state;
    char *text; /* the piece that is being sent */
    size_t bytes, sent;
    bool over, events;
    double last_sent;
} stream;

/* Asks for the next piece; with nothing new for long, a comment shows whether anyone is there. */
static void refill(stream *s)
{
    ace_free(s->text);
    s->text = NULL;
    s->bytes = s->sent = 0;
    s->over = !s->more(s->state, &s->text, &s->bytes);
    if (s->bytes == 0 && !s->over && s->events &&
        ace_clock_seconds() - s->last_sent >= beat_seconds) {
        ace_free(s->text);
        s->text = ace_strdup(": \n\n");
        s->bytes = s->text != NULL ? strlen(s->text) : 0;
    }
}

static ssize_t read_stream(void *context, uint64_t position, char *out, size_t room)
{
    stream *s = context;
    (void)position;
    if (s->sent == s->bytes) {
        if (s->over || atomic_load(&s->wait.gone) || ace_http_wait_ending(&s->http->waiting)) {
            return MHD_CONTENT_READER_END_OF_STREAM;
        }
        refill(s);
    }
    size_t n = s->bytes - s->sent < room ? s->bytes - s->sent : room;
    if (n > 0) {
        memcpy(out, s->text + s->sent, n);
        s->sent += n;
        s->last_sent = ace_clock_seconds();
        return (ssize_t)n;
    }
    if (s->over || !ace_http_wait_sleep(&s->http->waiting, &s->wait, s->last_sent + beat_seconds)) {
        return MHD_CONTENT_READER_END_OF_STREAM;
    }
    return 0;
}

static void free_stream(void *context)
{
    stream *s = context;
    if (s->done != NULL) {
        s->done(s->state);
    }
    ace_free(s->text);
    ace_free(s);
}

struct MHD_Response *ace_http_stream_response(ace_http_exchange *x)
{
    enum { BLOCK = 16 << 10 };
    stream *s = ace_calloc(1, sizeof *s);
    if (s == NULL) {
        return NULL;
    }
    ace_http_answer *answer = &x->answer;
    *s = (stream){.http = x->http,
                  .more = answer->more,
                  .done = answer->done,
                  .state = answer->state,
                  .events = answer->events,
                  .last_sent = ace_clock_seconds()};
    s->wait.connection = x->connection;
    s->wait.fd = x->wait.fd;
    struct MHD_Response *response =
        MHD_create_response_from_callback(MHD_SIZE_UNKNOWN, BLOCK, read_stream, s, free_stream);
    if (response == NULL) {
        ace_free(s);
        return NULL;
    }
    answer->done = NULL; /* the response's business now */
    return response;
}
