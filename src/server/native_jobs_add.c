/* New jobs. */
#include "server/native_jobs.h"

#include "base/memory.h"
#include "server/song_params.h"
#include "server/uploads.h"

#include <ctype.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

/* ---- what is asked
 * ---------------------------------------------------------------------------------- */

/* Names that are no options of the engine, or stand for one of another name. */
static const struct {
    ace_job_kind kind;
    const char *name, *option;
} aliases[] = {
    {ACE_JOB_SAMPLE, "query", "sample_query"},  {ACE_JOB_UNDERSTAND, "audio", "src_audio"},
    {ACE_JOB_ENCODE, "audio", "src_audio"},     {ACE_JOB_ENCODE, "latents", "src_latents"},
    {ACE_JOB_DECODE, "latents", "src_latents"}, {ACE_JOB_DECODE, "codes", "audio_codes"},
    {ACE_JOB_SCORE, "audio", "src_audio"},      {ACE_JOB_SCORE, "latents", "src_latents"},
    {ACE_JOB_SCORE, "codes", "audio_codes"},    {ACE_JOB_TIMES, "audio", "src_audio"},
    {ACE_JOB_TIMES, "latents", "src_latents"}};

static void rename_aliases(json_t *params, ace_job_kind kind)
{
    for (size_t i = 0; i < sizeof aliases / sizeof *aliases; i++) {
        json_t *value = json_object_get(params, aliases[i].name);
        if (aliases[i].kind == kind && value != NULL) {
            json_object_set(params, aliases[i].option, value);
            json_object_del(params, aliases[i].name);
        }
    }
}

/* A form's field "request" holds JSON, its other fields are options too and win. */
static json_t *read_params(ace_http_request *request)
{
    json_t *body = ace_http_body_object(request);
    if (body == NULL) {
        return NULL;
    }
    json_t *inner = json_object_get(body, "request");
    json_error_t where;
    json_t *params = json_is_string(inner) ? json_loads(json_string_value(inner), 0, &where)
                     : inner != NULL       ? json_deep_copy(inner)
                                           : json_object();
    if (!json_is_object(params)) {
        json_decref(params);
        ace_http_reply_error(request, 400, "bad_json", "request", NULL,
                             "request: a JSON object is expected");
        return NULL;
    }
    const char *key = NULL;
    json_t *value = NULL;
    json_object_foreach (body, key, value) {
        if (strcmp(key, "request") != 0) {
            json_object_set_new(params, key, json_deep_copy(value));
        }
    }
    return params;
}

/* Jobs that take one file, whatever its field is called. */
static bool is_of_recordings(ace_job_kind kind)
{
    return kind == ACE_JOB_ENCODE || kind == ACE_JOB_DECODE || kind == ACE_JOB_SCORE ||
           kind == ACE_JOB_TIMES;
}

/* Which option a file of the form is for; NULL: none. */
static const char *option_of(const char *field, ace_job_kind kind)
{
    static const char *const names[][2] = {
        {"src_audio", "src_audio"},          {"ctx_audio", "src_audio"},
        {"src_latents", "src_latents"},      {"reference_audio", "reference_audio"},
        {"ref_audio", "reference_audio"},    {"reference_latents", "reference_latents"},
        {"ref_latents", "reference_latents"}};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        if (strcmp(field, names[i][0]) == 0) {
            return names[i][1];
        }
    }
    if (kind != ACE_JOB_UNDERSTAND && !is_of_recordings(kind)) {
        return NULL;
    }
    return kind == ACE_JOB_DECODE || strcmp(field, "latents") == 0 ? "src_latents" : "src_audio";
}

static bool take_files(ace_http_request *request, ace_server *server, ace_job_kind kind,
                       json_t *params)
{
    for (size_t i = 0; i < request->n_files; i++) {
        char id[ACE_UPLOAD_ID_BYTES];
        ace_error err = {.code = ACESTEP_OK};
        const char *option = option_of(request->files[i].field, kind);
        if (option == NULL) {
            ace_http_reply_error(request, 400, "bad_value", request->files[i].field,
                                 "files go into src_audio, src_latents, reference_audio and "
                                 "reference_latents",
                                 "\"%.60s\" takes no file", request->files[i].field);
            return false;
        }
        bool latents = ace_job_takes_latents(option);
        ace_status status = latents ? ace_upload_take_latents(server, request, i, id, &err)
                                    : ace_upload_take(server, request, i, id, &err);
        if (status != ACESTEP_OK) {
            ace_http_reply_failure(request, &err, option);
            return false;
        }
        json_object_set_new(params, option, json_string(id));
    }
    return true;
}

/* "song": "j_…/0" stands for a song made here: its sound, or its latents where they were saved, and
 * the words and codes that it was made from. What is also given wins. False after answering. */
static bool take_song(ace_http_request *request, ace_server *server, ace_job_kind kind,
                      json_t *params)
{
    json_t *named = json_object_get(params, "song");
    const char *song = json_string_value(named);
    ace_error err = {.code = ACESTEP_OK};
    json_t *known = NULL;
    if (named == NULL) {
        return true;
    }
    if (song == NULL || ace_song_params(server, song, &known, &err) != ACESTEP_OK) {
        ace_http_reply_error(request, 400, "bad_value", "song", NULL, "%s",
                             song != NULL ? err.message : "song: \"j_…/0\" is expected");
        return false;
    }
    json_object_del(params, "song");
    if (kind == ACE_JOB_DECODE) { /* one of them */
        bool latents = json_object_get(known, "src_latents") != NULL;
        json_object_del(known, latents ? "audio_codes" : "src_audio");
    }
    json_object_update_missing(params, known);
    json_decref(known);
    return true;
}

bool ace_native_wish_read(ace_http_request *request, ace_server *server, ace_job_kind kind,
                          ace_job_wish *wish, json_t **params)
{
    *params = read_params(request);
    if (*params == NULL) {
        return false;
    }
    json_t *named = json_object_get(*params, "kind");
    if (kind == ACE_JOB_SONG && named != NULL) {
        int read = json_is_string(named) ? ace_job_kind_read(json_string_value(named)) : -1;
        if (read < 0) {
            ace_http_reply_error(request, 400, "bad_value", "kind", NULL,
                                 "kind: song, sample, format, understand, encode, decode, score or "
                                 "lrc is expected");
            json_decref(*params);
            return false;
        }
        kind = (ace_job_kind)read;
        json_object_del(*params, "kind");
    }
    rename_aliases(*params, kind);
    if (is_of_recordings(kind) && !take_song(request, server, kind, *params)) {
        json_decref(*params);
        return false;
    }
    if (!take_files(request, server, kind, *params)) {
        json_decref(*params);
        return false;
    }
    *wish = (ace_job_wish){.kind = kind,
                           .origin = "native",
                           .params = *params,
                           .admin = (request->rights & ACE_RIGHT_ADMIN) != 0,
                           .repeat_key = ace_http_header(request, "Idempotency-Key")};
    return true;
}

/* ---- answers
 * ---------------------------------------------------------------------------------------- */

/* "duration: 5000 is beyond …": messages about options begin with their name. */
static const char *param_of(const ace_error *err, char name[64])
{
    size_t n = strcspn(err->message, ":");
    if (err->message[n] != ':' || n == 0 || n >= 64) {
        return NULL;
    }
    for (size_t i = 0; i < n; i++) {
        if (islower((unsigned char)err->message[i]) == 0 &&
            isdigit((unsigned char)err->message[i]) == 0 && err->message[i] != '_') {
            return NULL;
        }
    }
    (void)snprintf(name, 64, "%.*s", (int)n, err->message);
    return name;
}

void ace_native_refuse(ace_http_request *request, const json_t *params, const ace_error *err,
                       double retry_seconds)
{
    char name[64];
    if (err->code == ACESTEP_MODEL && json_object_get(params, "model") != NULL) {
        ace_http_reply_error(request, 422, "model", "model", "GET /v1/models lists what is there",
                             "%s", err->message);
        return;
    }
    if (err->code == ACESTEP_BUSY) {
        char seconds[24];
        (void)snprintf(seconds, sizeof seconds, "%.0f", ceil(fmax(retry_seconds, 1)));
        ace_http_reply_header(request, "Retry-After", seconds);
    }
    ace_http_reply_failure(request, err, param_of(err, name));
}

static void reply_added(ace_http_request *request, ace_server *server, json_t *record)
{
    const char *id = json_string_value(json_object_get(record, "id"));
    char address[64];
    (void)snprintf(address, sizeof address, "/v1/jobs/%.23s", id != NULL ? id : "");
    ace_http_reply_header(request, "Location", address);
    json_object_set_new(record, "poll_url", json_string(address));
    json_object_set_new(record, "events_url", json_sprintf("%s/events", address));
    ace_native_record_sign(server, record);
    ace_http_reply_json(request, 202, record);
}

/* ---- waiting
 * ---------------------------------------------------------------------------------------- */

typedef struct waiting {
    ace_server *server;
    char id[ACE_JOB_ID_BYTES];
    bool own; /* made for this request alone, which has no answer yet */
} waiting;

static bool is_ready(ace_http_request *request, void *state, bool late)
{
    waiting *w = state;
    int status = ace_jobs_status(w->server->jobs, w->id);
    bool over = status != ACE_JOB_QUEUED && status != ACE_JOB_RUNNING;
    if (!over && !late) {
        return false;
    }
    w->own = false; /* an answer tells how to go on */
    json_t *record = over ? ace_jobs_record(w->server->jobs, w->id) : NULL;
    if (record != NULL) {
        ace_native_record_sign(w->server, record);
        ace_http_reply_json(request, 200, record);
        return true;
    }
    char address[64];
    (void)snprintf(address, sizeof address, "/v1/jobs/%s", w->id);
    ace_http_reply_header(request, "Location", address);
    ace_http_reply_error(request, over ? 410 : 504, over ? "removed" : "timeout", NULL,
                         over ? NULL : "the job goes on: look at the address in Location",
                         over ? "the job was removed" : "the job has not ended yet");
    return true;
}

/* Whoever hangs up without an answer knows no name by which to find the job: it is of no use to
 * anyone then, unless a repeated request would find it by its key. */
static void free_waiting(void *state)
{
    waiting *w = state;
    if (w->own) {
        (void)ace_jobs_abandon(w->server->jobs, w->id);
    }
    ace_free(w);
}

/* Answers with the record once the job has ended; 504 after so many seconds. own: the job goes with
 * its client. */
static void wait_for_end(ace_http_request *request, ace_server *server, const char *id,
                         double seconds, bool own)
{
    waiting *w = ace_calloc(1, sizeof *w);
    if (w == NULL || id == NULL) {
        ace_free(w);
        ace_http_reply_json(request, 500, NULL);
        return;
    }
    w->server = server;
    w->own = own;
    (void)snprintf(w->id, sizeof w->id, "%s", id);
    ace_http_reply_later(request, seconds, is_ready, free_waiting, w);
}

/* ---- routes
 * ----------------------------------------------------------------------------------------- */

static void preview(ace_http_request *request, ace_server *server, const ace_job_wish *wish)
{
    json_t *out = NULL;
    ace_error err = {.code = ACESTEP_OK};
    if (ace_jobs_preview(server->jobs, wish, &out, &err) == ACESTEP_OK) {
        ace_http_reply_json(request, 200, out);
    } else {
        ace_native_refuse(request, wish->params, &err, 0);
    }
}

static void add(ace_http_request *request, ace_server *server, ace_job_kind kind)
{
    ace_job_wish wish;
    json_t *params = NULL;
    json_t *record = NULL;
    double retry = 0;
    int64_t wait = 0;
    ace_error err = {.code = ACESTEP_OK};
    if (!ace_http_query_int(request, "wait", 0, 600, 0, &wait) ||
        !ace_native_wish_read(request, server, kind, &wish, &params)) {
        return;
    }
    if (ace_http_query_flag(request, "dry_run")) {
        preview(request, server, &wish);
    } else if (ace_jobs_add(server->jobs, &wish, &record, &retry, &err) != ACESTEP_OK) {
        ace_native_refuse(request, params, &err, retry);
    } else if (wait > 0) {
        wait_for_end(request, server, json_string_value(json_object_get(record, "id")),
                     (double)wait, wish.repeat_key == NULL);
        json_decref(record);
    } else {
        reply_added(request, server, record);
    }
    json_decref(params);
}

void ace_native_job_add(ace_http_request *request, ace_server *server)
{
    add(request, server, ACE_JOB_SONG);
}

void ace_native_sample(ace_http_request *request, ace_server *server)
{
    add(request, server, ACE_JOB_SAMPLE);
}

void ace_native_format(ace_http_request *request, ace_server *server)
{
    add(request, server, ACE_JOB_FORMAT);
}

void ace_native_understand(ace_http_request *request, ace_server *server)
{
    add(request, server, ACE_JOB_UNDERSTAND);
}

void ace_native_encode(ace_http_request *request, ace_server *server)
{
    add(request, server, ACE_JOB_ENCODE);
}

void ace_native_decode(ace_http_request *request, ace_server *server)
{
    add(request, server, ACE_JOB_DECODE);
}

void ace_native_score(ace_http_request *request, ace_server *server)
{
    add(request, server, ACE_JOB_SCORE);
}

void ace_native_lrc(ace_http_request *request, ace_server *server)
{
    add(request, server, ACE_JOB_TIMES);
}
