/* From what a client asks to the request that the engine runs: the server's defaults, then the
 * client's options; places on the disk and options of the machine are the server's. */
#include "server/jobs_state.h"

#include "base/memory.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

/* ---- what a client may not choose
 * ------------------------------------------------------------------- */

/* Files that the server writes or reads for itself, and code that it loads. */
static const char *const own[] = {"output",     "overwrite",   "sidecar", "trace",
                                  "trace_mem",  "gpu_tiers",   "genres",  "cache_dir",
                                  "plugin_dir", "cache_least", "exec"};

/* The machine, and which checkpoints lie where: for those with the admin right. */
static const char *const machine[] = {
    "models",       "weights",     "device",         "gpu",         "precision",     "int8_compute",
    "threads",      "cpu",         "cache",          "cache_limit", "max_cuda_vram", "max_mps_vram",
    "max_xpu_vram", "sim_used_gb", "sim_fail_alloc", "sim_shrink",  "force_config",  "cublas"};

static ace_status same_as(const json_t *asked, const json_t *defaults, const char *const *names,
                          size_t n, const char *why, ace_error *err)
{
    for (size_t i = 0; i < n; i++) {
        if (!json_equal(json_object_get(asked, names[i]), json_object_get(defaults, names[i]))) {
            return ace_fail(err, ACESTEP_ARGUMENT, "%s: %s", names[i], why);
        }
    }
    return ACESTEP_OK;
}

/* Names of checkpoints are names, not ways out of their folder. */
static ace_status check_name(const json_t *asked, const json_t *defaults, const char *name,
                             ace_error *err)
{
    const char *text = json_string_value(json_object_get(asked, name));
    bool is_default = json_equal(json_object_get(asked, name), json_object_get(defaults, name));
    if (!is_default && text != NULL && (strchr(text, '/') != NULL || strcmp(text, "..") == 0)) {
        return ace_fail(err, ACESTEP_ARGUMENT, "%s: \"%.60s\" is no name of a model", name, text);
    }
    return ACESTEP_OK;
}

static json_t *all_options(const acestep_request *request, bool asked_only)
{
    char *text = acestep_request_json(request, asked_only);
    json_t *all = text != NULL ? json_loads(text, 0, NULL) : NULL;
    acestep_free(text);
    return all;
}

static ace_status check(const json_t *asked, const json_t *defaults, bool admin, ace_error *err)
{
    ace_status status = same_as(asked, defaults, own, sizeof own / sizeof *own,
                                "this is for the server to choose; leave it out", err);
    if (status == ACESTEP_OK && !admin) {
        status = same_as(asked, defaults, machine, sizeof machine / sizeof *machine,
                         "this takes a key with the admin right", err);
    }
    if (status == ACESTEP_OK) {
        status = check_name(asked, defaults, "model", err);
    }
    return status == ACESTEP_OK ? check_name(asked, defaults, "lm_model_path", err) : status;
}

/* ---- files
 * ------------------------------------------------------------------------------------------ */

ace_status ace_request_put(acestep_request *request, const char *name, const char *value,
                           ace_error *err)
{
    acestep_error failure = {.code = ACESTEP_OK};
    ace_status status = acestep_request_set(request, name, value, &failure);
    return status == ACESTEP_OK ? ACESTEP_OK : ace_fail(err, status, "%s", failure.message);
}

static ace_status real_path(ace_jobs *jobs, const char *named, char **out, ace_error *err)
{
    if (jobs->options.input_path != NULL) {
        return jobs->options.input_path(jobs->options.server, named, out, err);
    }
    *out = ace_strdup(named);
    return *out != NULL ? ACESTEP_OK : ace_fail(err, ACESTEP_MEMORY, "jobs: no host memory");
}

static ace_status latents_path(ace_jobs *jobs, const char *named, char **out, ace_error *err)
{
    return jobs->options.latents_path != NULL
               ? jobs->options.latents_path(jobs->options.server, named, out, err)
               : real_path(jobs, named, out, err);
}

bool ace_job_takes_latents(const char *option)
{
    return strcmp(option, "src_latents") == 0 || strcmp(option, "reference_latents") == 0;
}

static ace_status resolve_file(ace_jobs *jobs, acestep_request *request, const char *option,
                               const char *named, ace_error *err)
{
    char *path = NULL;
    if (named == NULL || named[0] == '\0') {
        return ACESTEP_OK;
    }
    ace_status status = ace_job_takes_latents(option) ? latents_path(jobs, named, &path, err)
                                                      : real_path(jobs, named, &path, err);
    if (status == ACESTEP_OK) {
        status = ace_request_put(request, option, path, err);
    }
    if (status == ACESTEP_OK) { /* the song's tags do not tell where this server keeps its files */
        char label[40];
        (void)snprintf(label, sizeof label, "%s_label", option);
        status = ace_request_put(request, label, named, err);
    }
    ace_free(path);
    return status;
}

/* ":0.8" at the end of an adapter's name; NULL: none. */
static char *scale_of(char *adapter)
{
    char *colon = strrchr(adapter, ':');
    char *end = NULL;
    if (colon == NULL || colon[1] == '\0') {
        return NULL;
    }
    (void)strtod(colon + 1, &end);
    return *end == '\0' ? colon : NULL;
}

static ace_status adapter_path(ace_jobs *jobs, const char *named, char **out, ace_error *err)
{
    return jobs->options.adapter_path != NULL
               ? jobs->options.adapter_path(jobs->options.server, named, out, err)
               : real_path(jobs, named, out, err);
}

/* Those that the server itself has set may lie anywhere. */
static ace_status server_adapter_path(ace_jobs *jobs, const char *named, char **out, ace_error *err)
{
    ace_error unheard = {.code = ACESTEP_OK};
    if (adapter_path(jobs, named, out, &unheard) == ACESTEP_OK) {
        return ACESTEP_OK;
    }
    *out = ace_strdup(named);
    return *out != NULL ? ACESTEP_OK : ace_fail(err, ACESTEP_MEMORY, "lora: no host memory");
}

/* "NAME:SCALE,PATH": each by itself. The song tells the names. */
static ace_status resolve_adapters(ace_jobs *jobs, acestep_request *request, const char *lora,
                                   bool trusted, ace_error *err)
{
    enum { ROOM = 16384 };
    char *names = ace_strdup(lora);
    char *out = ace_calloc(ROOM, 1);
    char *rest = names;
    size_t n = 0;
    ace_status status = names != NULL && out != NULL
                            ? ACESTEP_OK
                            : ace_fail(err, ACESTEP_MEMORY, "lora: no host memory");
    for (char *one = NULL; status == ACESTEP_OK && (one = strtok_r(rest, ",", &rest)) != NULL;) {
        char *path = NULL;
        char scale[32] = "";
        char *colon = scale_of(one);
        if (colon != NULL) {
            (void)snprintf(scale, sizeof scale, "%s", colon);
            *colon = '\0';
        }
        status = trusted ? server_adapter_path(jobs, one, &path, err)
                         : adapter_path(jobs, one, &path, err);
        if (status == ACESTEP_OK && n + strlen(path) + sizeof scale + 2 > ROOM) {
            status = ace_fail(err, ACESTEP_ARGUMENT, "lora: too many adapters");
        }
        if (status == ACESTEP_OK) {
            n += (size_t)snprintf(out + n, ROOM - n, "%s%s%s", n > 0 ? "," : "", path, scale);
        }
        ace_free(path);
    }
    if (status == ACESTEP_OK) {
        status = ace_request_put(request, "lora", out, err);
    }
    if (status == ACESTEP_OK && !trusted) {
        status = ace_request_put(request, "lora_label", lora, err);
    }
    ace_free(names);
    ace_free(out);
    return status;
}

static ace_status open_defaults(ace_jobs *jobs, acestep_request **out, ace_error *err)
{
    acestep_error failure = {.code = ACESTEP_OK};
    if (jobs->options.defaults != NULL) {
        return jobs->options.defaults(jobs->options.server, out, err);
    }
    ace_status status = acestep_request_create(out, &failure);
    return status == ACESTEP_OK ? ACESTEP_OK : ace_fail(err, status, "%s", failure.message);
}

static bool is_servers_own(ace_jobs *jobs, const char *lora)
{
    acestep_request *request = NULL;
    bool own_ones = false;
    if (open_defaults(jobs, &request, NULL) == ACESTEP_OK) {
        json_t *defaults = all_options(request, false);
        const char *text = json_string_value(json_object_get(defaults, "lora"));
        own_ones = text != NULL && strcmp(text, lora) == 0;
        json_decref(defaults);
    }
    acestep_request_free(request);
    return own_ones;
}

static ace_status resolve_files(ace_jobs *jobs, const json_t *asked, acestep_request *request,
                                ace_error *err)
{
    static const char *const files[] = {"src_audio", "src_latents", "reference_audio",
                                        "reference_latents"};
    const char *lora = json_string_value(json_object_get(asked, "lora"));
    ace_status status = ACESTEP_OK;
    for (size_t i = 0; i < sizeof files / sizeof *files && status == ACESTEP_OK; i++) {
        status = resolve_file(jobs, request, files[i],
                              json_string_value(json_object_get(asked, files[i])), err);
    }
    if (status == ACESTEP_OK && lora != NULL && lora[0] != '\0') {
        status = resolve_adapters(jobs, request, lora, is_servers_own(jobs, lora), err);
    }
    return status;
}

/* ---- requests
 * --------------------------------------------------------------------------------------- */

static ace_status put_json(acestep_request *request, const json_t *options, ace_error *err)
{
    acestep_error failure = {.code = ACESTEP_OK};
    char *text = json_dumps(options, JSON_COMPACT | JSON_REAL_PRECISION(17));
    if (text == NULL) {
        return ace_fail(err, ACESTEP_MEMORY, "request: no host memory");
    }
    ace_status status = acestep_request_set_json(request, text, strlen(text), &failure);
    free(text);
    return status == ACESTEP_OK ? ACESTEP_OK : ace_fail(err, status, "%s", failure.message);
}

ace_status ace_jobs_request_make(ace_jobs *jobs, const ace_job_wish *wish, json_t **asked,
                                 ace_error *err)
{
    acestep_request *request = NULL;
    acestep_request *probe = NULL;
    *asked = NULL;
    ace_status status = open_defaults(jobs, &request, err);
    json_t *defaults = status == ACESTEP_OK ? all_options(request, false) : NULL;
    if (status == ACESTEP_OK && wish->params != NULL) {
        status = put_json(request, wish->params, err);
    }
    if (status == ACESTEP_OK && wish->kind == ACE_JOB_FORMAT) {
        status = ace_request_put(request, "use_format", "true", err);
    }
    json_t *all = status == ACESTEP_OK ? all_options(request, false) : NULL;
    if (status == ACESTEP_OK && (all == NULL || defaults == NULL)) {
        status = ace_fail(err, ACESTEP_MEMORY, "request: no host memory");
    }
    if (status == ACESTEP_OK) {
        status = check(all, defaults, wish->admin, err);
    }
    if (status == ACESTEP_OK) {
        *asked = all_options(request, true);
        status = *asked != NULL ? ace_jobs_request_open(jobs, *asked, &probe, err)
                                : ace_fail(err, ACESTEP_MEMORY, "request: no host memory");
    }
    acestep_request_free(probe);
    acestep_request_free(request);
    json_decref(all);
    json_decref(defaults);
    if (status != ACESTEP_OK) {
        json_decref(*asked);
        *asked = NULL;
    }
    return status;
}

ace_status ace_jobs_request_open(ace_jobs *jobs, const json_t *asked, acestep_request **out,
                                 ace_error *err)
{
    acestep_error failure = {.code = ACESTEP_OK};
    ace_status status = acestep_request_create(out, &failure);
    if (status != ACESTEP_OK) {
        return ace_fail(err, status, "%s", failure.message);
    }
    status = put_json(*out, asked, err);
    if (status == ACESTEP_OK) {
        status = resolve_files(jobs, asked, *out, err);
    }
    if (status != ACESTEP_OK) {
        acestep_request_free(*out);
        *out = NULL;
    }
    return status;
}

/* ---- seeds
 * ------------------------------------------------------------------------------------------ */

static bool random_seed(uint32_t *out)
{
    return getrandom(out, sizeof *out, 0) == (ssize_t)sizeof *out;
}

/* The list as the engine will read it: those given, random ones for -1 and up to the batch's size.
 * Lists that are none are left for the engine to refuse. */
static bool write_seeds(const char *given, int songs, char *out, size_t room)
{
    size_t n = 0;
    int count = 0;
    for (const char *at = given; *at != '\0' || count < songs;) {
        uint32_t random = 0;
        char *end = NULL;
        long long value = *at != '\0' ? strtoll(at, &end, 10) : -1;
        if ((*at != '\0' && end == at) || n + 24 > room || !random_seed(&random)) {
            return false;
        }
        n += (size_t)snprintf(out + n, room - n, "%s%lld", count > 0 ? "," : "",
                              value >= 0 ? value : (long long)random);
        count++;
        at = *at != '\0' ? end + strspn(end, " ") : at;
        at += *at == ',' ? 1 : 0;
    }
    return true;
}

ace_status ace_jobs_fix_seeds(ace_jobs_entry *e, ace_error *err)
{
    enum { ROOM = 1024 };
    char seeds[ROOM] = "";
    const char *given = json_string_value(json_object_get(e->request, "seed"));
    json_t *batch = json_object_get(e->request, "batch_size");
    int songs = json_is_integer(batch) ? (int)json_integer_value(batch) : 1;
    if (!write_seeds(given != NULL ? given : "-1", songs, seeds, sizeof seeds)) {
        return given != NULL
                   ? ACESTEP_OK
                   : ace_fail(err, ACESTEP_FAILED, "seed: the system gives no random number");
    }
    json_object_set_new(e->request, "seed", json_string(seeds));
    json_object_set_new(e->params, "seed", json_string(seeds));
    return ACESTEP_OK;
}
