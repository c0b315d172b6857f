#include "server/compat_jobs.h"

#include "base/memory.h"
#include "server/compat_rules.h"
#include "server/reference_result.h"
#include "server/uploads.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

/* What this machine is advised to make at once (the page's value too). */
static int advised_songs(ace_server *server)
{
    acestep_request *defaults = NULL;
    json_int_t songs = 0;
    if (ace_server_defaults(server, &defaults, NULL) == ACESTEP_OK) {
        char *text = acestep_info_json(defaults, NULL);
        json_t *info = text != NULL ? json_loads(text, 0, NULL) : NULL;
        json_t *control = json_object_get(json_object_get(info, "controls"), "batch_size");
        songs = json_integer_value(json_object_get(control, "value"));
        json_decref(info);
        acestep_free(text);
    }
    acestep_request_free(defaults);
    return songs > 0 ? (int)songs : 1;
}

/* A model that is not here: the original takes its first one silently; here it must be asked for.
 */
static bool may_fall_back(ace_compat_request *wish, const ace_error *err)
{
    const json_t *asked = json_object_get(json_object_get(wish->params, "acestep"), "asked");
    json_t *model = json_object_get(wish->params, "model");
    if (err->code != ACESTEP_MODEL || model == NULL ||
        !json_is_true(json_object_get(asked, "model_fallback"))) {
        return false;
    }
    ace_compat_warn(ace_compat_warnings(wish->params), "model", model, "", "not here");
    json_object_del(wish->params, "model");
    return true;
}

static int http_status(ace_status status, bool model_asked)
{
    switch (status) {
    case ACESTEP_ARGUMENT:
        return 400;
    case ACESTEP_MODEL:
        return model_asked ? 404 : 503;
    case ACESTEP_AUDIO:
    case ACESTEP_UNSUPPORTED:
        return 422;
    case ACESTEP_BUSY:
        return 429;
    case ACESTEP_MEMORY:
        return 503;
    default:
        return 500;
    }
}

json_t *ace_compat_queue(const ace_http_request *request, ace_server *server,
                         ace_compat_request *wish, const char *origin, int songs,
                         ace_compat_refusal *refusal)
{
    ace_error *err = &refusal->err;
    json_t *record = NULL;
    *refusal = (ace_compat_refusal){.err.code = ACESTEP_OK};
    if (wish->kind == ACE_JOB_SONG && json_object_get(wish->params, "batch_size") == NULL) {
        json_object_set_new(wish->params, "batch_size",
                            json_integer(songs > 0 ? songs : advised_songs(server)));
    }
    ace_job_wish job = {.kind = wish->kind,
                        .origin = origin,
                        .params = wish->params,
                        .admin = (request->rights & ACE_RIGHT_ADMIN) != 0};
    ace_status status = ace_jobs_add(server->jobs, &job, &record, &refusal->retry_seconds, err);
    if (status != ACESTEP_OK && may_fall_back(wish, err)) {
        *err = (ace_error){.code = ACESTEP_OK};
        status = ace_jobs_add(server->jobs, &job, &record, &refusal->retry_seconds, err);
    }
    if (status != ACESTEP_OK) {
        bool model_asked = json_object_get(wish->params, "model") != NULL;
        refusal->status = http_status(status, model_asked);
        return NULL;
    }
    return record;
}

void ace_compat_reply_retry(ace_http_request *request, const ace_compat_refusal *refusal)
{
    if (refusal->status == 429) {
        char seconds[24];
        (void)snprintf(seconds, sizeof seconds, "%.0f", ceil(fmax(1, refusal->retry_seconds)));
        ace_http_reply_header(request, "Retry-After", seconds);
    }
}

void ace_compat_reply_refusal(ace_http_request *request, const ace_compat_refusal *refusal)
{
    ace_compat_reply_retry(request, refusal);
    if (refusal->status == 404) {
        ace_http_reply_error(request, 404, "model_not_found", "model",
                             "leave it out, or add \"model_fallback\": true", "%s",
                             refusal->err.message);
    } else {
        ace_http_reply_failure(request, &refusal->err, NULL);
    }
}

/* ---- files
 * --------------------------------------------------------------------------------------- */

/* The parts of a form by which clients send audio. */
static const struct {
    const char *part, *field;
} parts[] = {{"src_audio", "src_audio_path"},
             {"ctx_audio", "src_audio_path"},
             {"audio", "src_audio_path"},
             {"src_latents", "src_latents"},
             {"reference_audio", "reference_audio_path"},
             {"ref_audio", "reference_audio_path"},
             {"reference_latents", "reference_latents"},
             {"ref_latents", "reference_latents"}};

static const char *field_of(const char *part)
{
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
        if (strcmp(parts[i].part, part) == 0) {
            return parts[i].field;
        }
    }
    return NULL;
}

ace_status ace_compat_keep_files(ace_http_request *request, ace_server *server, json_t *body,
                                 ace_error *err)
{
    ace_status status = ACESTEP_OK;
    for (size_t i = 0; status == ACESTEP_OK && i < request->n_files; i++) {
        const ace_http_file *file = &request->files[i];
        const char *field = field_of(file->field);
        char id[ACE_UPLOAD_ID_BYTES];
        if (field == NULL || file->bytes == 0) {
            continue; /* an empty file field of a page's form */
        }
        status = ace_job_takes_latents(field) ? ace_upload_take_latents(server, request, i, id, err)
                                              : ace_upload_take(server, request, i, id, err);
        if (status == ACESTEP_OK) {
            json_object_set_new(body, field, json_string(id));
        }
    }
    return status;
}

ace_status ace_compat_keep_audio(ace_server *server, json_t *body, const char *field,
                                 const void *bytes, size_t n, ace_error *err)
{
    char id[ACE_UPLOAD_ID_BYTES];
    ace_status status = ace_upload_keep(server, "audio", bytes, n, id, err);
    if (status == ACESTEP_OK) {
        json_object_set_new(body, field, json_string(id));
    }
    return status;
}

/* ---- waiting
 * ------------------------------------------------------------------------------------- */

typedef struct wait {
    ace_server *server;
    ace_compat_answer *answer;
    char id[ACE_JOB_ID_BYTES];
} wait;

static bool is_over(int status)
{
    return status != ACE_JOB_QUEUED && status != ACE_JOB_RUNNING;
}

static bool answer_when_over(ace_http_request *request, void *state, bool late)
{
    wait *w = state;
    if (is_over(ace_jobs_status(w->server->jobs, w->id))) {
        json_t *record = ace_jobs_record(w->server->jobs, w->id);
        if (record != NULL) {
            w->answer(request, w->server, record);
        } else {
            ace_http_reply_error(request, 410, "gone", NULL, NULL, "%s: the job was removed",
                                 w->id);
        }
        json_decref(record);
        return true;
    }
    if (late && ace_jobs_abandon(w->server->jobs, w->id)) {
        ace_http_reply_error(request, 504, "timeout", NULL, "POST /release_task does not wait",
                             "%s: not done in time, cancelled", w->id);
    } else if (late) {
        ace_http_reply_error(request, 503, "stopping", NULL, NULL,
                             "the server is stopping; its next start makes %s", w->id);
    }
    return late;
}

/* Nobody else waits for it. A job that is over stays as it is. */
static void free_wait(void *state)
{
    wait *w = state;
    (void)ace_jobs_abandon(w->server->jobs, w->id);
    ace_free(w);
}

void ace_compat_wait(ace_http_request *request, ace_server *server, const json_t *record,
                     double seconds, ace_compat_answer *answer)
{
    wait *w = ace_calloc(1, sizeof *w);
    if (w == NULL) {
        ace_http_reply_json(request, 500, NULL);
        return;
    }
    w->server = server;
    w->answer = answer;
    ace_compat_cut(ace_compat_string(record, "id"), w->id, sizeof w->id);
    ace_http_reply_later(request, seconds, answer_when_over, free_wait, w);
}

const char *ace_compat_failure(const json_t *record)
{
    const char *message = ace_compat_string(json_object_get(record, "error"), "message");
    return message[0] != '\0' ? message : ace_compat_string(record, "status");
}

bool ace_compat_is_unsupported(const json_t *record)
{
    return strcmp(ace_compat_string(json_object_get(record, "error"), "code"), "not_possible") == 0;
}
