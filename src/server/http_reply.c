/* What handlers answer with. */
#include "base/memory.h"
#include "server/http_core.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void ace_http_reply_header(ace_http_request *request, const char *name, const char *value)
{
    ace_http_answer *answer = &request->exchange->answer;
    ace_http_field *field = ace_calloc(1, sizeof *field);
    if (field == NULL) {
        return;
    }
    field->name = ace_strdup(name);
    field->value = ace_strdup(value);
    field->next = answer->fields;
    answer->fields = field;
    for (char *c = field->value; c != NULL && *c != '\0'; c++) {
        if (*c == '\r' || *c == '\n') { /* no second header hides in the value of one */
            *c = ' ';
        }
    }
}

static void set_bytes(ace_http_request *request, int status, const char *type, void *bytes,
                      size_t n, void (*release)(void *))
{
    ace_http_answer *answer = &request->exchange->answer;
    ace_http_reply_header(request, "Content-Type", type);
    answer->kind = ACE_ANSWER_BYTES;
    answer->status = status;
    answer->bytes = bytes;
    answer->n = n;
    answer->release = release;
}

void ace_http_reply_json(ace_http_request *request, int status, json_t *body)
{
    char *text = body != NULL ? json_dumps(body, JSON_COMPACT | JSON_REAL_PRECISION(15)) : NULL;
    json_decref(body);
    if (text == NULL) {
        static char memory[] = "{\"error\":{\"code\":\"memory\",\"message\":\"the server is short "
                               "of memory\",\"param\":null,\"hint\":null},"
                               "\"detail\":\"the server is short of memory\"}";
        set_bytes(request, 500, "application/json", memory, sizeof memory - 1, NULL);
        return;
    }
    ace_http_reply_header(request, "Cache-Control", "no-store");
    set_bytes(request, status, "application/json", text, strlen(text), free);
}

void ace_http_reply_error(ace_http_request *request, int status, const char *code,
                          const char *param, const char *hint, const char *format, ...)
{
    /* as an error of the engine: that puts right what the message quotes */
    char line[1024];
    ace_error err = {.code = ACESTEP_OK};
    va_list args;
    va_start(args, format);
    (void)vsnprintf(line, sizeof line, format, args);
    va_end(args);
    (void)ace_fail(&err, ACESTEP_FAILED, "%s", line);
    ace_http_reply_json(request, status,
                        json_pack("{s:{s:s, s:s, s:s?, s:s?}, s:s}", "error", "code", code,
                                  "message", err.message, "param", param, "hint", hint, "detail",
                                  err.message));
}

/* A disk that is full is no fault of the program: 507 tells it from those. */
static bool is_of_a_full_disk(const ace_error *err)
{
    return err->code == ACESTEP_IO && (strstr(err->message, strerror(ENOSPC)) != NULL ||
                                       strstr(err->message, strerror(EDQUOT)) != NULL);
}

void ace_http_reply_failure(ace_http_request *request, const ace_error *err, const char *param)
{
    static const struct {
        ace_status code;
        int status;
        const char *word, *hint;
    } known[] = {
        {ACESTEP_ARGUMENT, 400, "bad_value", NULL},
        {ACESTEP_MODEL, 503, "model", "GET /v1/models lists what is there"},
        {ACESTEP_AUDIO, 422, "audio",
         "audio is "
         "WAV, AIFF, FLAC, Ogg Vorbis, Ogg Opus or MP3"},
        {ACESTEP_MEMORY, 503, "memory", NULL},
        {ACESTEP_UNSUPPORTED, 422, "not_possible", NULL},
        {ACESTEP_NETWORK, 502, "network", NULL},
        {ACESTEP_BUSY, 429, "busy", "try again later"},
        {ACESTEP_IO, 500, "storage", NULL},
        {ACESTEP_TIMEOUT, 504, "timeout", NULL},
        {ACESTEP_CANCELLED, 409, "cancelled", NULL},
    };
    int status = 500;
    const char *word = "failed";
    const char *hint = NULL;
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        if (known[i].code == err->code) {
            status = known[i].status;
            word = known[i].word;
            hint = known[i].hint;
        }
    }
    status = is_of_a_full_disk(err) ? 507 : status;
    ace_http_reply_error(request, status, word, param, hint, "%s",
                         err->message[0] != '\0' ? err->message : ace_status_text(err->code));
}

void ace_http_reply_bytes(ace_http_request *request, int status, const char *type, void *bytes,
                          size_t n)
{
    set_bytes(request, status, type, bytes, n, ace_free);
}

void ace_http_reply_text(ace_http_request *request, int status, const char *type, const char *text)
{
    char *copy = ace_strdup(text);
    if (copy == NULL) {
        ace_http_reply_json(request, 500, NULL);
    } else {
        set_bytes(request, status, type, copy, strlen(copy), ace_free);
    }
}

void ace_http_reply_stream(ace_http_request *request, const char *type, ace_http_more *more,
                           ace_http_done *done, void *state)
{
    ace_http_answer *answer = &request->exchange->answer;
    ace_http_reply_header(request, "Content-Type", type);
    ace_http_reply_header(request, "Cache-Control", "no-store");
    ace_http_reply_header(request, "X-Accel-Buffering",
                          "no"); /* a proxy passes pieces on at once */
    answer->kind = ACE_ANSWER_STREAM;
    answer->status = 200;
    answer->more = more;
    answer->done = done;
    answer->state = state;
    answer->events = strncmp(type, "text/event-stream", 17) == 0;
}

void ace_http_reply_later(ace_http_request *request, double seconds, ace_http_ready *ready,
                          ace_http_done *done, void *state)
{
    ace_http_answer *answer = &request->exchange->answer;
    answer->kind = ACE_ANSWER_LATER;
    answer->ready = ready;
    answer->done = done;
    answer->state = state;
    answer->seconds = seconds;
}
