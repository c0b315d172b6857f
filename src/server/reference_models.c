/* Which models there are, loading them, and figures of the queue. */
#include "acestep.h"
#include "base/memory.h"
#include "server/compat_jobs.h"
#include "server/compat_models.h"
#include "server/compat_values.h"
#include "server/reference_reply.h"
#include "server/reference_result.h"
#include "server/reference_routes.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

/* ---- lists
 * --------------------------------------------------------------------------------------- */

static json_t *names_with_state(const json_t *models, const char *kind)
{
    bool dit = strcmp(kind, "dit") == 0;
    const char *loaded = ace_compat_string(models, dit ? "loaded" : "loaded_lm");
    json_t *list = json_array();
    size_t i = 0;
    const json_t *one = NULL;
    json_array_foreach (json_object_get(models, kind), i, one) {
        const char *name = json_string_value(one);
        json_t *row = json_pack("{s:s, s:b}", "name", name, "is_loaded", strcmp(name, loaded) == 0);
        if (dit) {
            json_object_set_new(
                row, "is_default",
                json_boolean(strcmp(name, ace_compat_string(models, "default")) == 0));
            const char *const base[] = {"lego", "extract", "complete"};
            json_t *tasks = json_pack("[s, s, s]", "text2music", "cover", "repaint");
            for (size_t t = 0; strstr(name, "base") != NULL && t < 3; t++) {
                json_array_append_new(tasks, json_string(base[t]));
            }
            json_object_set_new(row, "supported_task_types", tasks);
        }
        json_array_append_new(list, row);
    }
    return list;
}

static json_t *text_or_null(const json_t *object, const char *key)
{
    const char *text = ace_compat_string(object, key);
    return text[0] != '\0' ? json_string(text) : json_null();
}

static json_t *inventory(const json_t *models)
{
    return json_pack("{s:o, s:o, s:o, s:o, s:o, s:b}", "models", names_with_state(models, "dit"),
                     "default_model", text_or_null(models, "default"), "lm_models",
                     names_with_state(models, "lm"), "loaded_model", text_or_null(models, "loaded"),
                     "loaded_lm_model", text_or_null(models, "loaded_lm"), "llm_initialized",
                     ace_compat_string(models, "loaded_lm")[0] != '\0');
}

/* As OpenAI's list, with what OpenRouter adds. */
static json_t *openai_row(const json_t *models, const char *name)
{
    char id[160];
    char title[160];
    (void)snprintf(id, sizeof id, "acestep/%.120s", name);
    (void)snprintf(title, sizeof title, "ACE-Step %.120s", name);
    double longest = json_number_value(json_object_get(models, "max_duration"));
    return json_pack(
        "{s:s, s:s, s:s, s:s, s:I, s:[s, s], s:[s, s], s:i, s:I, s:{s:s, s:s, s:s, s:s}, s:s}",
        "id", id, "object", "model", "owned_by", "acestep", "name", title, "created",
        (json_int_t)time(NULL), "input_modalities", "text", "audio", "output_modalities", "audio",
        "text", "context_length", 4096, "max_output_length", (json_int_t)longest, "pricing",
        "prompt", "0", "completion", "0", "request", "0", "image", "0", "description",
        "music from words and lyrics");
}

void ace_reference_models(ace_http_request *request, ace_server *server)
{
    json_t *models = ace_compat_models(server);
    json_t *reply = inventory(models);
    if (ace_http_query_flag(request, "wrap")) {
        ace_reference_reply(request, reply);
    } else {
        json_t *data = json_array();
        size_t i = 0;
        const json_t *name = NULL;
        json_array_foreach (json_object_get(models, "dit"), i, name) {
            json_array_append_new(data, openai_row(models, json_string_value(name)));
        }
        json_object_set_new(reply, "object", json_string("list"));
        json_object_set_new(reply, "data", data);
        ace_http_reply_json(request, 200, reply);
    }
    json_decref(models);
}

void ace_reference_inventory(ace_http_request *request, ace_server *server)
{
    json_t *models = ace_compat_models(server);
    ace_reference_reply(request, inventory(models));
    json_decref(models);
}

/* ---- loading
 * ------------------------------------------------------------------------------------- */

static void reply_loaded(ace_http_request *request, ace_server *server, bool again)
{
    json_t *models = ace_compat_models(server);
    json_t *reply = inventory(models);
    json_object_set_new(reply, "message",
                        json_string(again ? "Service reinitialized" : "Model initialized"));
    if (again) {
        json_object_set_new(reply, "reloaded", json_pack("[o]", text_or_null(models, "loaded")));
    }
    ace_reference_reply(request, reply);
    json_decref(models);
}

typedef struct loading {
    ace_server *server;
    json_t *options;
    json_t *wanted; /* all of them, with the server's defaults */
    double since;   /* states before this are of an earlier wish */
    bool again;     /* it has to be unloaded first */
    bool asked;     /* to load */
} loading;

static double unix_seconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

/* The options of a job that names nothing but these. */
static json_t *all_options(ace_server *server, json_t *options)
{
    acestep_request *request = NULL;
    json_t *out = NULL;
    if (ace_server_defaults(server, &request, NULL) == ACESTEP_OK) {
        char *text = acestep_request_json(request, false);
        out = text != NULL ? json_loads(text, 0, NULL) : NULL;
        acestep_free(text);
        json_object_update(out, options);
    }
    acestep_request_free(request);
    return out;
}

/* Does the engine's state tell of the checkpoints that are wanted? */
static bool is_wanted(const json_t *engine, const json_t *wanted)
{
    const json_t *options = json_object_get(engine, "options");
    return json_equal(json_object_get(options, "models"), json_object_get(wanted, "models")) &&
           json_equal(json_object_get(options, "model"), json_object_get(wanted, "model"));
}

static ace_status ask_to_load(loading *l, ace_error *err)
{
    l->asked = true;
    l->since = unix_seconds();
    return ace_jobs_load(l->server->jobs, l->options, err);
}

static bool answer_when_loaded(ace_http_request *request, void *state, bool late)
{
    loading *l = state;
    json_t *engine = ace_jobs_engine_state(l->server->jobs);
    const char *now = ace_compat_string(engine, "state");
    const char *error = ace_compat_string(engine, "error");
    bool fresh = json_number_value(json_object_get(engine, "since")) >= l->since;
    bool open = strcmp(now, "loaded") == 0 || strcmp(now, "running") == 0;
    bool done = true;
    ace_error err = {.code = ACESTEP_OK};
    if (!l->asked && strcmp(now, "unloaded") == 0 && ask_to_load(l, &err) != ACESTEP_OK) {
        ace_reference_reply_code(request, 500, err.message);
    } else if (l->asked && open && is_wanted(engine, l->wanted)) {
        reply_loaded(request, l->server, l->again);
    } else if (l->asked && strcmp(now, "unloaded") == 0 && error[0] != '\0' && fresh) {
        ace_reference_reply_code(request, 500, error);
    } else if (late) {
        ace_reference_reply_code(request, 504, "the engine is still busy with a song");
    } else {
        done = false;
    }
    json_decref(engine);
    return done;
}

static void free_loading(void *state)
{
    loading *l = state;
    json_decref(l->options);
    json_decref(l->wanted);
    ace_free(l);
}

/* Takes options over. */
static void load(ace_http_request *request, ace_server *server, json_t *options, bool again)
{
    ace_error err = {.code = ACESTEP_OK};
    loading *l = ace_calloc(1, sizeof *l);
    if (l == NULL) {
        ace_http_reply_json(request, 500, NULL);
        json_decref(options);
        return;
    }
    *l = (loading){.server = server,
                   .options = options,
                   .wanted = all_options(server, options),
                   .again = again};
    if (again) {
        ace_jobs_unload(server->jobs);
    } else if (ask_to_load(l, &err) != ACESTEP_OK) {
        ace_reference_reply_code(request, 500, err.message);
        free_loading(l);
        return;
    }
    ace_http_reply_later(request, ACE_COMPAT_WAIT_SECONDS, answer_when_loaded, free_loading, l);
}

/* {"model", "init_llm", "lm_model_path"}; there is one engine, which takes the model of each job.
 */
void ace_reference_init(ace_http_request *request, ace_server *server)
{
    ace_compat_request wish = {.params = NULL};
    ace_error err = {.code = ACESTEP_OK};
    json_t *body = ace_http_body_object(request);
    if (body == NULL) {
        return;
    }
    json_int_t slot = json_integer_value(json_object_get(body, "slot"));
    if (slot < 0 || slot > 3) {
        ace_http_reply_error(request, 400, "bad_value", "slot", NULL, "slot: none of 1, 2 and 3");
        return;
    }
    if (ace_compat_read(body, ACE_COMPAT_REFERENCE, &wish, &err) == ACESTEP_OK) {
        static const char *const names[] = {"model", "lm_model_path"};
        json_t *options = json_object();
        for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
            json_object_set(options, names[i], json_object_get(wish.params, names[i]));
        }
        json_t *llm = json_object_get(body, "init_llm");
        if (llm != NULL && ace_compat_truth(llm)) {
            json_object_set_new(options, "init_llm", json_string("true"));
        }
        load(request, server, options, false);
    } else {
        ace_http_reply_failure(request, &err, NULL);
    }
    ace_compat_request_free(&wish);
}

void ace_reference_reinitialize(ace_http_request *request, ace_server *server)
{
    load(request, server, json_object(), true);
}

/* ---- figures
 * ------------------------------------------------------------------------------------- */

static json_int_t in_status(const ace_jobs_statistics *s, ace_job_status status)
{
    uint64_t n = 0;
    for (int kind = 0; kind < ACE_JOB_KINDS; kind++) {
        n += s->jobs[kind][status];
    }
    return (json_int_t)n;
}

void ace_reference_statistics(ace_http_request *request, ace_server *server)
{
    ace_jobs_statistics s;
    ace_jobs_statistics_read(server->jobs, &s);
    json_int_t queued = in_status(&s, ACE_JOB_QUEUED);
    json_int_t running = in_status(&s, ACE_JOB_RUNNING);
    json_int_t done = in_status(&s, ACE_JOB_DONE);
    json_int_t failed = in_status(&s, ACE_JOB_FAILED) + in_status(&s, ACE_JOB_CANCELLED);
    ace_reference_reply(request, json_pack("{s:{s:I, s:I, s:I, s:I, s:I}, s:i, s:i, s:f}", "jobs",
                                           "total", queued + running + done + failed, "queued",
                                           queued, "running", running, "succeeded", done, "failed",
                                           failed, "queue_size", s.queued, "queue_maxsize",
                                           s.queue_limit, "avg_job_seconds", s.average_seconds));
}
