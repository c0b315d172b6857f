/* POST /v1/chat/completions: songs for clients that know nothing but chat. */
#include "base/clock.h"
#include "base/memory.h"
#include "server/compat_base64.h"
#include "server/compat_jobs.h"
#include "server/compat_rules.h"
#include "server/media_type.h"
#include "server/reference_messages.h"
#include "server/reference_result.h"
#include "server/reference_routes.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

/* ---- what is told
 * -------------------------------------------------------------------------------- */

static void line(FILE *f, const char *title, const json_t *value, const char *unit)
{
    if (json_is_number(value)) {
        fprintf(f, "**%s:** %.10g%s\n", title, json_number_value(value), unit);
    } else if (json_string_length(value) > 0) {
        fprintf(f, "**%s:** %s\n", title, json_string_value(value));
    }
}

/* Markdown, as the original writes it. free. */
static char *told(const json_t *record)
{
    char *text = NULL;
    size_t bytes = 0;
    const json_t *item = json_array_get(json_object_get(record, "items"), 0);
    const json_t *params = json_object_get(record, "params");
    const char *lyrics = ace_compat_string(item, "lyrics");
    const char *caption = ace_compat_string(item, "caption");
    FILE *f = open_memstream(&text, &bytes);
    if (f == NULL) {
        return NULL;
    }
    if (caption[0] == '\0' && lyrics[0] == '\0') {
        fputs("Music generated successfully.", f);
    } else {
        fputs("## Metadata\n", f);
        line(f, "Caption", json_object_get(item, "caption"), "");
        line(f, "BPM", json_object_get(item, "bpm"), "");
        line(f, "Duration", json_object_get(item, "seconds"), "s");
        line(f, "Key", json_object_get(item, "keyscale"), "");
        line(f, "Time Signature", json_object_get(item, "timesignature"), "");
        lyrics = lyrics[0] != '\0' ? lyrics : ace_compat_string(params, "lyrics");
        fprintf(f, "\n## Lyrics\n%s\n", lyrics[0] != '\0' ? lyrics : "[Instrumental]");
    }
    return fclose(f) == 0 ? text : NULL;
}

/* {"type": "audio_url", "audio_url": {"url": "data:…"}}; NULL where the file is gone. */
static json_t *audio_part(ace_server *server, const char *id, int index)
{
    char prefix[64];
    char *path = NULL;
    if (ace_jobs_file(server->jobs, id, index, ACE_JOB_AUDIO, &path, NULL) != ACESTEP_OK) {
        return NULL;
    }
    (void)snprintf(prefix, sizeof prefix, "data:%s;base64,", ace_media_type(path));
    char *url = ace_base64_of_file(path, prefix, NULL);
    json_t *part = url != NULL
                       ? json_pack("{s:s, s:{s:s}}", "type", "audio_url", "audio_url", "url", url)
                       : NULL;
    ace_free(url);
    ace_free(path);
    return part;
}

/* ---- at once
 * ------------------------------------------------------------------------------------- */

static void answer_chat(ace_http_request *request, ace_server *server, const json_t *record)
{
    const char *id = ace_compat_string(record, "id");
    if (ace_reference_status(record) != 1) {
        bool missing = ace_compat_is_unsupported(record);
        ace_http_reply_error(request, missing ? 503 : 500, missing ? "not_possible" : "failed",
                             NULL, NULL, "%s", ace_compat_failure(record));
        return;
    }
    char completion[ACE_JOB_ID_BYTES + 16];
    (void)snprintf(completion, sizeof completion, "chatcmpl-%s", id);
    const json_t *asked =
        json_object_get(json_object_get(json_object_get(record, "params"), "acestep"), "asked");
    json_t *audio = json_array();
    int songs = (int)json_array_size(json_object_get(record, "items"));
    for (int i = 0; i < songs; i++) {
        json_array_append_new(audio, audio_part(server, id, i));
    }
    char *text = told(record);
    ace_http_reply_json(
        request, 200,
        json_pack("{s:s, s:s, s:I, s:s, s:[{s:i, s:{s:s, s:s, s:o}, s:s}], s:{s:i, s:i, s:i}, s:o}",
                  "id", completion, "object", "chat.completion", "created", (json_int_t)time(NULL),
                  "model", ace_compat_string(asked, "chat_model"), "choices", "index", 0, "message",
                  "role", "assistant", "content", text != NULL ? text : "", "audio", audio,
                  "finish_reason", "stop", "usage", "prompt_tokens", 0, "completion_tokens", 0,
                  "total_tokens", 0, "warnings", ace_compat_all_warnings(record)));
    acestep_free(text);
}

/* ---- as it comes
 * --------------------------------------------------------------------------------- */

typedef enum chat_step {
    CHAT_ROLE,
    CHAT_WAIT,
    CHAT_TEXT,
    CHAT_AUDIO,
    CHAT_END,
    CHAT_OVER
} chat_step;

typedef struct chat_stream {
    ace_server *server;
    char id[ACE_JOB_ID_BYTES];
    char model[160];
    json_int_t created;
    chat_step step;
    int song; /* the next one to send */
    double last;
    bool failed;
    json_t *record; /* once the job is over */
} chat_stream;

static char *chunk(const chat_stream *c, json_t *delta, const char *finish)
{
    char id[ACE_JOB_ID_BYTES + 16];
    (void)snprintf(id, sizeof id, "chatcmpl-%s", c->id);
    json_t *whole = json_pack("{s:s, s:s, s:I, s:s, s:[{s:i, s:o, s:s?}]}", "id", id, "object",
                              "chat.completion.chunk", "created", c->created, "model", c->model,
                              "choices", "index", 0, "delta", delta, "finish_reason", finish);
    char *json = whole != NULL ? json_dumps(whole, JSON_COMPACT) : NULL;
    size_t bytes = json != NULL ? strlen(json) + 16 : 0;
    char *text = json != NULL ? ace_malloc_array(bytes, 1) : NULL;
    if (text != NULL) {
        (void)snprintf(text, bytes, "data: %s\n\n", json);
    }
    acestep_free(json);
    json_decref(whole);
    return text;
}

/* A dot every two seconds, as the original's, and a comment for clients that show every word. */
static char *heartbeat(chat_stream *c)
{
    double now = ace_clock_seconds();
    if (now - c->last < 2) {
        return NULL;
    }
    c->last = now;
    return chunk(c, json_pack("{s:s}", "content", "."), NULL);
}

static char *tell(chat_stream *c)
{
    char *text = told(c->record);
    char *out = chunk(c, json_pack("{s:s}", "content", text != NULL ? text : ""), NULL);
    acestep_free(text);
    return out;
}

static char *next_song(chat_stream *c)
{
    int songs = (int)json_array_size(json_object_get(c->record, "items"));
    json_t *part = NULL;
    while (part == NULL && c->song < songs) {
        part = audio_part(c->server, c->id, c->song++);
    }
    if (c->song >= songs) {
        c->step = CHAT_END;
    }
    return part != NULL ? chunk(c, json_pack("{s:[o]}", "audio", part), NULL) : NULL;
}

static char *wait_for_job(chat_stream *c)
{
    int status = ace_jobs_status(c->server->jobs, c->id);
    if (status == ACE_JOB_QUEUED || status == ACE_JOB_RUNNING) {
        return heartbeat(c);
    }
    c->record = ace_jobs_record(c->server->jobs, c->id);
    c->failed = c->record == NULL || ace_reference_status(c->record) != 1;
    c->step = c->failed ? CHAT_END : CHAT_TEXT;
    if (!c->failed) {
        return NULL;
    }
    return chunk(
        c,
        json_pack("{s:s+}", "content", "Error: ",
                  c->record != NULL ? ace_compat_failure(c->record) : "the job was removed"),
        NULL);
}

static char *step(chat_stream *c)
{
    switch (c->step) {
    case CHAT_ROLE:
        c->step = CHAT_WAIT;
        return chunk(c, json_pack("{s:s, s:s}", "role", "assistant", "content", ""), NULL);
    case CHAT_WAIT:
        return wait_for_job(c);
    case CHAT_TEXT:
        c->step = CHAT_AUDIO;
        return tell(c);
    case CHAT_AUDIO:
        return next_song(c);
    case CHAT_END:
        c->step = CHAT_OVER;
        return chunk(c, json_object(), c->failed ? "error" : "stop");
    case CHAT_OVER:
        break;
    }
    return ace_strdup("data: [DONE]\n\n");
}

static bool more(void *state, char **text, size_t *bytes)
{
    chat_stream *c = state;
    chat_step before = c->step;
    *text = step(c);
    while (*text == NULL && c->step != before) { /* a step that had nothing to say */
        before = c->step;
        *text = step(c);
    }
    *bytes = *text != NULL ? strlen(*text) : 0;
    return before != CHAT_OVER;
}

static void done(void *state)
{
    chat_stream *c = state;
    if (c->step <= CHAT_WAIT) { /* the client has gone before its song was there */
        (void)ace_jobs_abandon(c->server->jobs, c->id);
    }
    json_decref(c->record);
    ace_free(c);
}

static void stream_chat(ace_http_request *request, ace_server *server, const json_t *record,
                        const char *model)
{
    chat_stream *c = ace_calloc(1, sizeof *c);
    if (c == NULL) {
        ace_http_reply_json(request, 500, NULL);
        return;
    }
    c->server = server;
    c->created = (json_int_t)time(NULL);
    c->last = ace_clock_seconds();
    ace_compat_cut(ace_compat_string(record, "id"), c->id, sizeof c->id);
    ace_compat_cut(model, c->model, sizeof c->model);
    ace_http_reply_stream(request, "text/event-stream", more, done, c);
}

/* ---- the request
 * --------------------------------------------------------------------------------- */

static ace_status keep_audio(ace_server *server, ace_chat_request *chat, ace_error *err)
{
    ace_status status = ACESTEP_OK;
    for (int i = 0; status == ACESTEP_OK && i < ACE_CHAT_AUDIOS && chat->audio[i] != NULL; i++) {
        void *bytes = NULL;
        size_t n = 0;
        status = ace_base64_read(ace_compat_string(chat->audio[i], "data"), &bytes, &n, err);
        if (status == ACESTEP_OK) {
            status = ace_compat_keep_audio(server, chat->task, chat->audio_field[i], bytes, n, err);
        }
        ace_free(bytes);
    }
    return status;
}

static void make(ace_http_request *request, ace_server *server, ace_chat_request *chat,
                 const char *model)
{
    ace_compat_request wish = {.params = NULL};
    ace_error err = {.code = ACESTEP_OK};
    if (ace_compat_read(chat->task, ACE_COMPAT_REFERENCE, &wish, &err) != ACESTEP_OK) {
        ace_http_reply_failure(request, &err, NULL);
    } else {
        json_object_set_new(json_object_get(json_object_get(wish.params, "acestep"), "asked"),
                            "chat_model", json_string(model));
        ace_compat_refusal refusal;
        json_t *record = ace_compat_queue(request, server, &wish, "reference", 1, &refusal);
        if (record == NULL) {
            ace_compat_reply_refusal(request, &refusal);
        } else if (chat->stream) {
            stream_chat(request, server, record, model);
        } else {
            ace_compat_wait(request, server, record, ACE_COMPAT_WAIT_SECONDS, answer_chat);
        }
        json_decref(record);
    }
    ace_compat_request_free(&wish);
}

void ace_reference_chat(ace_http_request *request, ace_server *server)
{
    ace_chat_request chat;
    ace_error err = {.code = ACESTEP_OK};
    json_t *body = ace_http_body_object(request);
    if (body == NULL) {
        return;
    }
    ace_status status = ace_chat_read(body, &chat, &err);
    if (status == ACESTEP_OK) {
        status = keep_audio(server, &chat, &err);
    }
    if (status != ACESTEP_OK) {
        ace_http_reply_failure(request, &err, "messages");
    } else {
        make(request, server, &chat, ace_compat_string(body, "model"));
    }
    ace_chat_request_free(&chat);
}
