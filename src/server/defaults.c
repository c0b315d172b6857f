#include "server/defaults.h"

#include "base/clock.h"
#include "base/memory.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

static const double models_seconds = 5;

struct ace_settings_store {
    pthread_mutex_t lock; /* of asked */
    json_t *asked;
    pthread_mutex_t models_lock; /* of what follows */
    json_t *models;
    ace_error models_error;
    double models_read; /* 0: never */
};

_Static_assert(sizeof(acestep_error) == sizeof(ace_error), "the public error is the inner one");

static acestep_error *outer(ace_error *err)
{
    return (acestep_error *)err;
}

ace_status ace_settings_create(const acestep_request *request, ace_settings_store **out,
                               ace_error *err)
{
    char *text = acestep_request_json(request, true);
    ace_settings_store *s = ace_calloc(1, sizeof *s);
    json_t *asked = text != NULL ? json_loads(text, 0, NULL) : NULL;
    acestep_free(text);
    *out = NULL;
    if (s == NULL || asked == NULL) {
        ace_free(s);
        json_decref(asked);
        return ace_fail(err, ACESTEP_MEMORY, "server: no host memory");
    }
    pthread_mutex_init(&s->lock, NULL);
    pthread_mutex_init(&s->models_lock, NULL);
    s->asked = asked;
    *out = s;
    return ACESTEP_OK;
}

void ace_settings_free(ace_settings_store *settings)
{
    if (settings != NULL) {
        pthread_mutex_destroy(&settings->lock);
        pthread_mutex_destroy(&settings->models_lock);
        json_decref(settings->asked);
        json_decref(settings->models);
        ace_free(settings);
    }
}

static ace_status make_request(const json_t *asked, acestep_request **out, ace_error *err)
{
    char *text = json_dumps(asked, JSON_COMPACT | JSON_REAL_PRECISION(17));
    if (text == NULL) {
        return ace_fail(err, ACESTEP_MEMORY, "server: no host memory");
    }
    ace_status status = acestep_request_create(out, outer(err));
    if (status == ACESTEP_OK) { /* for the folders that the environment names */
        status = acestep_request_set_environment(*out, outer(err));
    }
    if (status == ACESTEP_OK) {
        status = acestep_request_set_json(*out, text, strlen(text), outer(err));
    }
    if (status != ACESTEP_OK) {
        acestep_request_free(*out);
        *out = NULL;
    }
    free(text);
    return status;
}

static json_t *copy_asked(ace_settings_store *settings)
{
    pthread_mutex_lock(&settings->lock);
    json_t *copy = json_deep_copy(settings->asked);
    pthread_mutex_unlock(&settings->lock);
    return copy;
}

ace_status ace_server_defaults(ace_server *server, acestep_request **out, ace_error *err)
{
    json_t *asked = copy_asked(server->settings);
    *out = NULL;
    ace_status status = asked != NULL ? make_request(asked, out, err)
                                      : ace_fail(err, ACESTEP_MEMORY, "server: no host memory");
    json_decref(asked);
    return status;
}

static json_t *merged(const json_t *asked, json_t *changes)
{
    json_t *both = json_deep_copy(asked);
    const char *name;
    json_t *value;
    json_object_foreach (changes, name, value) {
        if (json_is_null(value)) {
            json_object_del(both, name);
        } else {
            json_object_set(both, name, value);
        }
    }
    return both;
}

/* Places to write to, and code to load, are the business of whoever starts the server. By what has
 * become of the options: they have aliases, and may stand in inner objects. */
static ace_status check_fixed(const json_t *before, const json_t *after, ace_error *err)
{
    static const char *const fixed[] = {"output",    "overwrite",  "trace", "trace_mem",
                                        "cache_dir", "plugin_dir", "exec"};
    for (size_t i = 0; i < sizeof fixed / sizeof *fixed; i++) {
        const json_t *old = json_object_get(before, fixed[i]);
        const json_t *now = json_object_get(after, fixed[i]);
        if (old != now && !json_equal(old, now)) { /* absent ones are NULL */
            return ace_fail(err, ACESTEP_ARGUMENT,
                            "%s: only the command line of the server sets it", fixed[i]);
        }
    }
    return ACESTEP_OK;
}

/* Under the options' own names, however they were spelled. */
static ace_status name_options(const json_t *asked, json_t **out, ace_error *err)
{
    acestep_request *request = NULL;
    *out = NULL;
    ace_status status = make_request(asked, &request, err);
    if (status != ACESTEP_OK) {
        return status;
    }
    char *text = acestep_request_json(request, true);
    *out = text != NULL ? json_loads(text, 0, NULL) : NULL;
    acestep_free(text);
    acestep_request_free(request);
    return *out != NULL ? ACESTEP_OK : ace_fail(err, ACESTEP_MEMORY, "server: no host memory");
}

static ace_status change_asked(const json_t *asked, json_t *changes, json_t **out, ace_error *err)
{
    json_t *before = NULL;
    json_t *both = merged(asked, changes);
    ace_status status = both != NULL ? name_options(both, out, err)
                                     : ace_fail(err, ACESTEP_MEMORY, "server: no host memory");
    if (status == ACESTEP_OK) {
        status = name_options(asked, &before, err);
    }
    if (status == ACESTEP_OK) {
        status = check_fixed(before, *out, err);
    }
    json_decref(before);
    json_decref(both);
    return status;
}

ace_status ace_settings_change(ace_settings_store *settings, json_t *changes, ace_error *err)
{
    json_t *changed = NULL;
    pthread_mutex_lock(&settings->lock);
    ace_status status = change_asked(settings->asked, changes, &changed, err);
    if (status == ACESTEP_OK) {
        json_t *before = settings->asked;
        settings->asked = changed;
        changed = before;
    }
    pthread_mutex_unlock(&settings->lock);
    json_decref(changed);
    if (status != ACESTEP_OK) {
        return status;
    }
    pthread_mutex_lock(&settings->models_lock);
    settings->models_read = 0;
    pthread_mutex_unlock(&settings->models_lock);
    return ACESTEP_OK;
}

/* The engine that only counts is opened: that reads configurations, no weights. */
static json_t *look_at_models(ace_settings_store *settings, ace_error *err)
{
    json_t *asked = copy_asked(settings);
    acestep_request *request = NULL;
    acestep_engine *engine = NULL;
    json_t *models = NULL;
    (void)json_object_set_new(asked, "exec", json_string("shape"));
    if (make_request(asked, &request, err) == ACESTEP_OK &&
        acestep_engine_open(request, &engine, outer(err)) == ACESTEP_OK) {
        char *text = acestep_engine_json(engine);
        models = text != NULL ? json_loads(text, 0, NULL) : NULL;
        acestep_free(text);
    }
    acestep_engine_close(engine);
    acestep_request_free(request);
    json_decref(asked);
    return models;
}

json_t *ace_settings_models(ace_settings_store *settings, ace_error *err)
{
    pthread_mutex_lock(&settings->models_lock);
    double now = ace_clock_seconds();
    if (settings->models_read == 0 || now - settings->models_read > models_seconds) {
        memset(&settings->models_error, 0, sizeof settings->models_error);
        json_decref(settings->models);
        settings->models = look_at_models(settings, &settings->models_error);
        settings->models_read = now;
    }
    json_t *models = json_deep_copy(settings->models);
    ace_error why = settings->models_error;
    pthread_mutex_unlock(&settings->models_lock);
    if (models == NULL) {
        (void)ace_fail(err, why.code != ACESTEP_OK ? why.code : ACESTEP_MEMORY, "%s",
                       why.message[0] != '\0' ? why.message : "models: no host memory");
    }
    return models;
}
