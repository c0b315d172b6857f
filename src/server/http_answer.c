/* From a recorded answer to a response of the library. */
#include "base/memory.h"
#include "server/http_core.h"

#include <string.h>
#include <unistd.h>

void ace_http_answer_drop(ace_http_answer *answer)
{
    while (answer->fields != NULL) {
        ace_http_field *field = answer->fields;
        answer->fields = field->next;
        ace_free(field->name);
        ace_free(field->value);
        ace_free(field);
    }
    if (answer->release != NULL) {
        answer->release(answer->bytes);
    }
    if (answer->fd >= 0) {
        close(answer->fd);
    }
    if (answer->done != NULL) {
        answer->done(answer->state);
    }
    memset(answer, 0, sizeof *answer);
    answer->fd = -1;
}

static struct MHD_Response *make_response(ace_http_exchange *x)
{
    ace_http_answer *answer = &x->answer;
    struct MHD_Response *response = NULL;
    if (answer->kind == ACE_ANSWER_STREAM) {
        response = ace_http_stream_response(x);
    } else if (answer->kind == ACE_ANSWER_FILE) {
        response =
            MHD_create_response_from_fd_at_offset64(answer->length, answer->fd, answer->offset);
        if (response != NULL) {
            answer->fd = -1; /* closed with the response */
        }
    } else if (answer->release != NULL) {
        response = MHD_create_response_from_buffer_with_free_callback(answer->n, answer->bytes,
                                                                      answer->release);
        if (response != NULL) {
            answer->release = NULL;
        }
    } else {
        response =
            MHD_create_response_from_buffer(answer->n, answer->bytes, MHD_RESPMEM_PERSISTENT);
    }
    return response;
}

static bool has_field(const ace_http_answer *answer, const char *name)
{
    for (const ace_http_field *f = answer->fields; f != NULL; f = f->next) {
        if (f->name != NULL && strcmp(f->name, name) == 0) {
            return true;
        }
    }
    return false;
}

/* Answers are no documents: a browser that is led to one shows it and runs nothing. */
static void add_protection(ace_http_exchange *x, struct MHD_Response *response)
{
    MHD_add_response_header(response, "X-Content-Type-Options", "nosniff");
    MHD_add_response_header(response, "Referrer-Policy", "no-referrer");
    MHD_add_response_header(response, "Cross-Origin-Resource-Policy",
                            x->foreign ? "cross-origin" : "same-origin");
    if (!has_field(&x->answer, "Content-Security-Policy")) {
        MHD_add_response_header(response, "Content-Security-Policy",
                                "default-src 'none'; frame-ancestors 'none'; sandbox");
    }
    if (x->foreign) {
        const char *origin = ace_http_header(&x->request, "Origin");
        MHD_add_response_header(response, "Access-Control-Allow-Origin", origin);
        MHD_add_response_header(response, "Vary", "Origin");
        MHD_add_response_header(response, "Access-Control-Expose-Headers",
                                "Content-Range, Content-Disposition, ETag, Retry-After, Location");
    }
}

enum MHD_Result ace_http_answer_send(ace_http_exchange *x)
{
    struct MHD_Response *response = make_response(x);
    if (response == NULL) {
        return MHD_NO; /* no memory even for saying so: the connection is closed */
    }
    for (const ace_http_field *f = x->answer.fields; f != NULL; f = f->next) {
        if (f->name != NULL && f->value != NULL) {
            (void)MHD_add_response_header(response, f->name, f->value);
        }
    }
    add_protection(x, response);
    x->sent_status = x->answer.status;
    enum MHD_Result result =
        MHD_queue_response(x->connection, (unsigned)x->answer.status, response);
    MHD_destroy_response(response); /* the connection has its own reference */
    return result;
}
