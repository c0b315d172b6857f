/* acestep.cpp's requests: each gives an id at once. */
#include "base/memory.h"
#include "server/compat_jobs.h"
#include "server/compat_models.h"
#include "server/compat_values.h"
#include "server/peer_routes.h"
#include "server/reference_result.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

void ace_peer_reply_error(ace_http_request *request, int status, const char *format, ...)
{
    char message[1100];
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(message, sizeof message, format, arguments);
    va_end(arguments);
    ace_http_reply_json(request, status, json_pack("{s:s}", "error", message));
}

static void reply_refusal(ace_http_request *request, const ace_compat_refusal *refusal)
{
    ace_compat_reply_retry(request, refusal);
    ace_peer_reply_error(request, refusal->status, "%s", refusal->err.message);
}

static json_t *asked_of(json_t *params)
{
    return json_object_get(json_object_get(params, "acestep"), "asked");
}

static void put_default(json_t *params, const char *option, json_t *value)
{
    if (json_object_get(params, option) == NULL) {
        json_object_set_new(params, option, value);
    } else {
        json_decref(value);
    }
}

/* The JSON of a request: the body, or the part "request" of a form, as text. A copy; NULL for a
 * form without one. ARGUMENT where it cannot be read. */
static ace_status request_of(json_t *body, json_t **out, ace_error *err)
{
    json_t *part = json_object_get(body, "request");
    const char *text = json_string_value(part);
    *out = NULL;
    if (part == NULL) {
        *out = json_copy(body);
        return ACESTEP_OK;
    }
    *out = text != NULL ? json_loads(text, 0, NULL) : json_deep_copy(part);
    return *out != NULL ? ACESTEP_OK
                        : ace_fail(err, ACESTEP_ARGUMENT, "request: the part holds no JSON");
}

/* The part "request" may come as a file too. */
static ace_status read_body(ace_http_request *request, ace_server *server, json_t **out,
                            ace_error *err)
{
    json_t *given = request->body;
    json_t *body = given != NULL ? NULL : json_object();
    *out = NULL;
    ace_status status = ACESTEP_OK;
    if (json_is_object(given)) {
        status = request_of(given, &body, err);
    } else if (json_is_array(given)) {
        body = json_deep_copy(given);
    }
    json_t *first = json_is_array(body) ? json_array_get(body, 0) : body;
    if (status == ACESTEP_OK && !json_is_object(first)) {
        status = ace_fail(err, ACESTEP_ARGUMENT, "request: a JSON object is expected");
    }
    size_t i = 0;
    json_t *one = NULL;
    if (status == ACESTEP_OK) {
        status = ace_compat_keep_files(request, server, first, err);
    }
    static const char *const files[] = {"src_audio_path", "src_latents", "reference_audio_path",
                                        "reference_latents"};
    json_array_foreach (body, i, one) {
        for (size_t f = 0;
             status == ACESTEP_OK && f < sizeof files / sizeof *files && json_is_object(one); f++) {
            json_t *id = json_object_get(first, files[f]);
            if (id != NULL) {
                json_object_set(one, files[f], id);
            }
        }
    }
    if (status != ACESTEP_OK) {
        json_decref(body);
        return status;
    }
    *out = body;
    return ACESTEP_OK;
}

static void reply_failure(ace_http_request *request, const ace_error *err)
{
    int status = err->code == ACESTEP_UNSUPPORTED                              ? 501
                 : err->code == ACESTEP_ARGUMENT || err->code == ACESTEP_AUDIO ? 400
                                                                               : 500;
    ace_peer_reply_error(request, status, "%s", err->message);
}

/* Queues one and appends its id to ids. False after answering. */
static bool queue(ace_http_request *request, ace_server *server, ace_compat_request *wish,
                  char *ids, size_t room)
{
    ace_compat_refusal refusal;
    json_t *record = ace_compat_queue(request, server, wish, "peer", 1, &refusal);
    if (record == NULL) {
        reply_refusal(request, &refusal);
        return false;
    }
    size_t n = strlen(ids);
    (void)snprintf(ids + n, room - n, "%s%s", n > 0 ? "," : "", ace_compat_string(record, "id"));
    json_decref(record);
    return true;
}

/* Answers with the id of one job, or with why there is none; frees what it was read from. */
static void queue_one(ace_http_request *request, ace_server *server, ace_status status,
                      const ace_error *err, ace_compat_request *wish, json_t *body)
{
    char id[64] = "";
    if (status != ACESTEP_OK) {
        reply_failure(request, err);
    } else if (queue(request, server, wish, id, sizeof id)) {
        ace_http_reply_json(request, 200, json_pack("{s:s}", "id", id));
    }
    ace_compat_request_free(wish);
    json_decref(body);
}

static bool has_language_model(ace_server *server)
{
    json_t *models = ace_compat_models(server);
    bool has = json_array_size(json_object_get(models, "lm")) > 0;
    json_decref(models);
    return has;
}

/* ---- words
 * --------------------------------------------------------------------------------------- */

ace_status ace_peer_read_words(json_t *body, ace_compat_request *out, ace_error *err)
{
    json_t *asked = json_copy(body);
    const char *mode = ace_compat_string(asked, "lm_mode");
    const char *caption = ace_compat_string(asked, "caption");
    bool lyrics = ace_compat_string(asked, "lyrics")[0] != '\0';
    bool inspire = strcmp(mode, "inspire") == 0 || (strcmp(mode, "format") != 0 && !lyrics);
    if (inspire) {
        json_object_set_new(asked, "sample_query", json_string(caption));
        json_object_del(asked, "caption");
    } else {
        json_object_set_new(asked, "use_format", json_true());
    }
    ace_status status = ace_compat_read(asked, ACE_COMPAT_PEER, out, err);
    json_decref(asked);
    if (status != ACESTEP_OK) {
        return status;
    }
    out->kind = inspire ? ACE_JOB_SAMPLE : ACE_JOB_FORMAT;
    json_object_set_new(asked_of(out->params), "peer", json_deep_copy(body));
    if (json_number_value(json_object_get(body, "lm_batch_size")) > 1) {
        ace_compat_warn(ace_compat_warnings(out->params), "lm_batch_size",
                        json_object_get(body, "lm_batch_size"), "1", "one at a time");
    }
    return ACESTEP_OK;
}

void ace_peer_lm(ace_http_request *request, ace_server *server)
{
    ace_compat_request wish = {.params = NULL};
    ace_error err = {.code = ACESTEP_OK};
    json_t *body = NULL;
    if (!has_language_model(server)) {
        ace_peer_reply_error(request, 501, "there is no language model among the models");
        return;
    }
    ace_status status = read_body(request, server, &body, &err);
    if (status == ACESTEP_OK) {
        status =
            ace_peer_read_words(json_is_array(body) ? json_array_get(body, 0) : body, &wish, &err);
    }
    queue_one(request, server, status, &err, &wish, body);
}

void ace_peer_understand(ace_http_request *request, ace_server *server)
{
    ace_compat_request wish = {.params = NULL};
    ace_error err = {.code = ACESTEP_OK};
    json_t *body = NULL;
    if (!has_language_model(server)) {
        ace_peer_reply_error(request, 501, "there is no language model among the models");
        return;
    }
    ace_status status = read_body(request, server, &body, &err);
    if (status == ACESTEP_OK && !json_is_object(body)) {
        status = ace_fail(&err, ACESTEP_ARGUMENT, "request: a JSON object is expected");
    }
    if (status == ACESTEP_OK) {
        json_object_set_new(body, "full_analysis_only", json_true());
        status = ace_compat_read(body, ACE_COMPAT_PEER, &wish, &err);
    }
    if (status == ACESTEP_OK) {
        put_default(wish.params, "lm_temperature", json_real(0.3));
        put_default(wish.params, "lm_top_p", json_real(1));
        if (json_object_get(wish.params, "src_audio") == NULL &&
            json_object_get(wish.params, "src_latents") == NULL &&
            json_object_get(wish.params, "audio_codes") == NULL) {
            status = ace_fail(&err, ACESTEP_ARGUMENT, "multipart: missing 'audio' part");
        }
    }
    queue_one(request, server, status, &err, &wish, body);
}

/* ---- songs
 * --------------------------------------------------------------------------------------- */

/* A song and its variations have seeds that follow each other. */
static void count_seeds(json_t *params)
{
    enum { MOST = 8 };
    const char *text = ace_compat_string(params, "seed");
    json_int_t songs = json_integer_value(json_object_get(params, "batch_size"));
    unsigned long long seed = 0;
    char list[MOST * 12] = "";
    if (songs < 2 || strchr(text, ',') != NULL || sscanf(text, "%llu", &seed) != 1) {
        return;
    }
    for (json_int_t i = 0; i < songs && i < MOST; i++) {
        size_t n = strlen(list);
        (void)snprintf(list + n, sizeof list - n, "%s%llu", i > 0 ? "," : "",
                       (seed + (unsigned long long)i) & 0xFFFFFFFFULL);
    }
    json_object_set_new(params, "seed", json_string(list));
}

static ace_status queue_song(ace_http_request *request, ace_server *server, json_t *body, char *ids,
                             size_t room, bool *answered, ace_error *err)
{
    ace_compat_request wish = {.params = NULL};
    ace_status status = ace_compat_read(body, ACE_COMPAT_PEER, &wish, err);
    if (status == ACESTEP_OK) {
        wish.kind = ACE_JOB_SONG;
        put_default(wish.params, "thinking", json_string("false")); /* that was /lm's part */
        json_object_set_new(wish.params, "save_latents", json_true());
        count_seeds(wish.params);
        *answered = !queue(request, server, &wish, ids, room);
    }
    ace_compat_request_free(&wish);
    return status;
}

/* Those that were queued before one that could not be. */
static void cancel_all(ace_server *server, char *ids)
{
    char *rest = ids;
    for (char *id = NULL; (id = strtok_r(rest, ",", &rest)) != NULL;) {
        (void)ace_jobs_cancel(server->jobs, id);
    }
}

void ace_peer_synth(ace_http_request *request, ace_server *server)
{
    ace_error err = {.code = ACESTEP_OK};
    char ids[ACE_PEER_SONGS * ACE_JOB_ID_BYTES] = "";
    json_t *body = NULL;
    bool answered = false;
    ace_status status = read_body(request, server, &body, &err);
    json_t *songs = json_is_array(body) ? json_incref(body) : json_pack("[O]", body);
    if (json_array_size(songs) > ACE_PEER_SONGS) {
        status =
            ace_fail(&err, ACESTEP_ARGUMENT, "request: more than %d in one call", ACE_PEER_SONGS);
    }
    size_t i = 0;
    json_t *one = NULL;
    json_array_foreach (songs, i, one) {
        if (status == ACESTEP_OK && !answered) {
            status = json_is_object(one)
                         ? queue_song(request, server, one, ids, sizeof ids, &answered, &err)
                         : ace_fail(&err, ACESTEP_ARGUMENT, "request: a JSON object is expected");
        }
    }
    if (status != ACESTEP_OK && !answered) {
        reply_failure(request, &err);
    }
    if (status != ACESTEP_OK || answered) {
        cancel_all(server, ids);
    } else {
        ace_http_reply_json(request, 200, json_pack("{s:s}", "id", ids));
    }
    json_decref(songs);
    json_decref(body);
}

/* ---- latents
 * ------------------------------------------------------------------------------------- */

/* Audio to latents, or latents to audio: by what there is. */
static ace_status read_vae(json_t *body, ace_compat_request *out, ace_error *err)
{
    bool audio = json_object_get(body, "src_audio_path") != NULL;
    bool latents = json_object_get(body, "src_latents") != NULL;
    if (!json_is_object(body) || audio == latents) {
        return ace_fail(err, ACESTEP_ARGUMENT, "multipart: either 'audio' or 'src_latents'");
    }
    json_object_set_new(body, "task_type", json_string("cover")); /* it has a source */
    ace_status status = ace_compat_read(body, ACE_COMPAT_PEER, out, err);
    if (status == ACESTEP_OK) {
        out->kind = audio ? ACE_JOB_ENCODE : ACE_JOB_DECODE;
        json_object_del(out->params, "audio_codes");
    }
    return status;
}

void ace_peer_vae(ace_http_request *request, ace_server *server)
{
    ace_compat_request wish = {.params = NULL};
    ace_error err = {.code = ACESTEP_OK};
    json_t *body = NULL;
    ace_status status = read_body(request, server, &body, &err);
    if (status == ACESTEP_OK) {
        status = read_vae(body, &wish, &err);
    }
    queue_one(request, server, status, &err, &wish, body);
}
