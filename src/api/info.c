/* `acestep info` and `acestep tiers`: the machine, its tier, and what a job would run with. */
#include "api/info.h"

#include "api/api.h"
#include "base/file_map.h"
#include "base/memory.h"
#include "plan/planner.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const double GB = 1073741824.0;

/* ---- gathering ------------------------------------------------------------------------------- */

static void find_language_models(const ace_request *r, ace_lm_list *out)
{
    if (strncmp(r->weights, "synthetic", 9) == 0) {
        ace_lm_list_published(out);
    } else if (r->models[0] != '\0') {
        ace_lm_list_find(r->models, out);
    } else {
        memset(out, 0, sizeof *out);
    }
}

/* The same settings as if the language model worked for the request, or did not. */
static void resolve_as(const ace_info *info, bool lm_runs, ace_settings *out)
{
    *out = info->settings;
    out->lm_runs = lm_runs;
    out->max_duration = info->settings.exact_limits ? ACE_LONGEST_SONG
                        : lm_runs                   ? out->tier.max_duration_with_lm
                                                    : out->tier.max_duration_without_lm;
    out->max_batch = info->settings.exact_limits ? ACE_LARGEST_BATCH
                     : lm_runs                   ? out->tier.max_batch_with_lm
                                                 : out->tier.max_batch_without_lm;
}

ace_status ace_info_gather(const ace_request *r, ace_info *out, ace_error *err)
{
    memset(out, 0, sizeof *out);
    const ace_plugin *plugin = NULL;
    ace_card_detect(r, NULL, &out->hardware, &plugin);
    ace_status status = ace_tier_table_load(r->gpu_tiers, &out->tiers, err);
    if (status != ACESTEP_OK) {
        return status;
    }
    if (out->hardware.warning[0] != '\0') {
        ace_warn(&out->warnings, "B.1", "max_cuda_vram", r->max_cuda_vram, "nothing", "%s",
                 out->hardware.warning);
    }
    if (out->hardware.wanted[0] != '\0') {
        ace_warn(&out->warnings, "W14", "device", out->hardware.wanted,
                 ace_device_kind_name(out->hardware.device), "%s",
                 out->hardware.n_diagnoses > 0 ? out->hardware.diagnosis[0] : "it is not there");
    }
    find_language_models(r, &out->lms);
    ace_resolve_settings(&out->hardware, &out->tiers, &out->lms, r, &out->warnings, &out->settings);
    resolve_as(out, true, &out->with_lm);
    resolve_as(out, false, &out->without_lm);
    return ACESTEP_OK;
}

/* ---- the table's rows ------------------------------------------------------------------------ */

static json_t *lm_names(const ace_tier *t)
{
    json_t *names = json_array();
    for (int i = 0; i < ACE_LM_SIZES; i++) {
        if (t->available_lm[i]) {
            char name[64];
            (void)snprintf(name, sizeof name, "acestep-5Hz-lm-%s",
                           ace_lm_size_name((ace_lm_size)i));
            json_array_append_new(names, json_string(name));
        }
    }
    return names;
}

static json_t *lm_memory(const ace_tier *t)
{
    json_t *memory = json_object();
    for (int i = 0; i < ACE_LM_SIZES; i++) {
        if (t->available_lm[i]) {
            json_object_set_new(memory, ace_lm_size_name((ace_lm_size)i),
                                json_real(t->lm_memory_gb[i]));
        }
    }
    return memory;
}

static json_t *recommended_lm(const ace_tier *t)
{
    char name[64] = "";
    if (t->recommended_lm >= 0) {
        (void)snprintf(name, sizeof name, "acestep-5Hz-lm-%s",
                       ace_lm_size_name((ace_lm_size)t->recommended_lm));
    }
    return json_string(name);
}

static json_t *quantization_name(bool int8)
{
    return int8 ? json_string("int8_weight_only") : json_null();
}

static json_t *limits_json(const ace_tier *t)
{
    return json_pack("{s:f, s:f, s:i, s:i, s:o}", "max_duration_with_lm", t->max_duration_with_lm,
                     "max_duration_without_lm", t->max_duration_without_lm,
                     "max_batch_size_with_lm", t->max_batch_with_lm, "max_batch_size_without_lm",
                     t->max_batch_without_lm, "lm_memory_gb", lm_memory(t));
}

static json_t *defaults_json(const ace_tier *t)
{
    return json_pack("{s:b, s:o, s:o, s:s, s:s, s:b, s:b, s:o, s:b}", "init_lm_default",
                     (int)t->init_lm_default, "available_lm_models", lm_names(t),
                     "recommended_lm_model", recommended_lm(t), "recommended_backend",
                     ace_lm_backend_name(t->recommended_backend), "lm_backend_restriction",
                     t->vllm_allowed ? "all" : "pt_mlx_only", "offload_to_cpu_default",
                     (int)t->offload_to_cpu_default, "offload_dit_to_cpu_default",
                     (int)t->offload_dit_to_cpu_default, "quantization_default",
                     quantization_name(t->quantization_default), "compile_model_default",
                     (int)t->compile_model_default);
}

json_t *ace_tier_json(const ace_tier *t)
{
    json_t *row = limits_json(t);
    json_t *defaults = defaults_json(t);
    json_object_update(row, defaults);
    json_decref(defaults);
    json_object_set_new(row, "label", json_string(t->label));
    return row;
}

static char *print_json(json_t *root)
{
    char *text = root != NULL ? json_dumps(root, JSON_INDENT(2) | JSON_REAL_PRECISION(12)) : NULL;
    json_decref(root);
    return text;
}

char *acestep_tiers_json(const acestep_request *request, acestep_error *err)
{
    ace_tier_table tiers;
    if (ace_tier_table_load(request->options->gpu_tiers, &tiers, ace_inner_error(err)) !=
        ACESTEP_OK) {
        return NULL;
    }
    json_t *root = json_object();
    for (int i = 0; i < ACE_TIERS; i++) {
        json_object_set_new(root, tiers.row[i].key, ace_tier_json(&tiers.row[i]));
    }
    return print_json(root);
}

/* ---- info as JSON ---------------------------------------------------------------------------- */

static json_t *gpus_json(const ace_hardware *h)
{
    json_t *list = json_array();
    for (int i = 0; i < h->n_gpus; i++) {
        const ace_gpu *g = &h->gpu[i];
        json_array_append_new(list,
                              json_pack("{s:i, s:s, s:f, s:f, s:[i, i]}", "index", g->index, "name",
                                        g->name, "total_gb", (double)g->total_bytes / GB, "free_gb",
                                        (double)g->free_bytes / GB, "capability",
                                        g->capability_major, g->capability_minor));
    }
    return list;
}

static json_t *device_json(const ace_hardware *h)
{
    uint64_t free_bytes = h->device == ACE_DEVICE_CUDA  ? h->gpu[h->chosen].free_bytes
                          : h->device == ACE_DEVICE_SIM ? h->cap_bytes
                                                        : h->host_available_bytes;
    return json_pack("{s:s, s:s, s:f, s:f, s:f, s:f, s:b, s:s, s:b, s:f, s:i, s:o}", "kind",
                     ace_device_kind_name(h->device), "name", h->device_name, "gpu_memory_gb",
                     h->gb, "total_gb", (double)h->total_bytes / GB, "free_gb",
                     (double)free_bytes / GB, "cap_gb", (double)h->cap_bytes / GB, "simulated",
                     (int)h->simulated, "variable", h->variable, "driver", (int)h->driver,
                     "host_gb", (double)h->host_total_bytes / GB, "cpus", h->cpus, "gpus",
                     gpus_json(h));
}

static const char *source_name(ace_value_source source)
{
    static const char *const names[] = {"table", "file",     "env",     "config",
                                        "flag",  "fallback", "detected"};
    return names[source];
}

static void put(json_t *to, const char *name, json_t *value, ace_value_source source)
{
    json_object_set_new(to, name,
                        json_pack("{s:o, s:s}", "value", value, "source", source_name(source)));
}

static json_t *settings_json(const ace_info *info)
{
    const ace_settings *s = &info->settings;
    json_t *out = json_object();
    ace_value_source limits = info->tiers.from_file[s->tier_index] ? ACE_VALUE_TIER_FILE
                              : s->exact_limits                    ? ACE_VALUE_DETECTED
                                                                   : ACE_VALUE_TABLE;
    put(out, "tier", json_string(s->tier.key), s->tier_source);
    put(out, "init_llm", json_boolean(s->init_llm), s->init_llm_source);
    put(out, "lm_model_path", json_string(s->lm_model), s->lm_model_source);
    put(out, "backend", json_string(ace_lm_backend_name(s->backend)), s->backend_source);
    put(out, "kv_cache_dtype", json_string(ace_kv_cache_name(s->int8_cache)), s->kv_cache_source);
    put(out, "offload", json_string(ace_offload_name(s->offload)), s->offload_source);
    put(out, "offload_to_cpu", json_boolean(s->offload != ACE_OFFLOAD_NONE), s->offload_source);
    put(out, "offload_dit_to_cpu", json_boolean(s->offload == ACE_OFFLOAD_CPU_DIT),
        s->offload_dit_source);
    put(out, "quantization", quantization_name(s->int8), s->int8_source);
    put(out, "compile_model", json_boolean(s->compile_model), s->compile_source);
    put(out, "use_flash_attention", json_boolean(s->flash_attention), s->flash_source);
    put(out, "max_duration", json_real(s->max_duration), limits);
    put(out, "max_batch_size", json_integer(s->max_batch), limits);
    return out;
}

static json_t *diagnosis_json(const ace_hardware *h)
{
    json_t *list = json_array();
    for (int i = 0; i < h->n_diagnoses; i++) {
        json_array_append_new(list, json_string(h->diagnosis[i]));
    }
    return list;
}

char *acestep_info_json(const acestep_request *request, acestep_error *err)
{
    ace_info *info = ace_calloc(1, sizeof *info);
    ace_error *inner = ace_inner_error(err);
    if (info == NULL) {
        (void)ace_fail(inner, ACESTEP_MEMORY, "info: no host memory");
        return NULL;
    }
    char *text = NULL;
    if (ace_info_gather(request->options, info, inner) == ACESTEP_OK) {
        const ace_settings *s = &info->settings;
        text = print_json(json_pack(
            "{s:o, s:s, s:s, s:s, s:f, s:o, s:o, s:o, s:b, s:s, s:o, s:b, s:b, s:b, s:s, s:s, "
            "s:o, s:o, s:o}",
            "device", device_json(&info->hardware), "tier", s->tier.key, "label", s->tier.label,
            "source", source_name(s->tier_source), "gpu_memory_gb", s->gb, "limits",
            limits_json(&s->tier), "defaults", defaults_json(&s->tier), "settings",
            settings_json(info), "init_lm",
            s->init_llm || (s->tier.init_lm_default && s->init_llm_source == ACE_VALUE_FALLBACK),
            "backend", ace_lm_backend_name(s->backend), "quantization", quantization_name(s->int8),
            "offload_to_cpu", s->offload != ACE_OFFLOAD_NONE, "offload_dit_to_cpu",
            s->offload == ACE_OFFLOAD_CPU_DIT, "compile_model", (int)s->compile_model, "attention",
            s->flash_attention ? "flash" : "tiled", "limits_policy",
            s->exact_limits ? "exact" : "seed", "controls", ace_info_controls(info), "warnings",
            ace_warnings_json(&info->warnings), "diagnosis", diagnosis_json(&info->hardware)));
    }
    ace_free(info);
    return text;
}

char *acestep_constraint_json(const acestep_request *request, const char *field, acestep_error *err)
{
    ace_error *inner = ace_inner_error(err);
    if (strcmp(field, "duration") != 0) {
        (void)ace_fail(inner, ACESTEP_ARGUMENT, "\"%.40s\": only duration has a range of its own",
                       field);
        return NULL;
    }
    ace_info *info = ace_calloc(1, sizeof *info);
    char *text = NULL;
    if (info == NULL) {
        (void)ace_fail(inner, ACESTEP_MEMORY, "info: no host memory");
    } else if (ace_info_gather(request->options, info, inner) == ACESTEP_OK) {
        int most = ace_settings_lm_duration_limit(&info->settings);
        text = print_json(json_pack("{s:s, s:i, s:i, s:i, s:s}", "field", field, "minimum",
                                    ACE_SHORTEST_SONG, "maximum", most, "values",
                                    most - ACE_SHORTEST_SONG + 1, "tier", info->settings.tier.key));
    }
    ace_free(info);
    return text;
}

char *acestep_vae_chunk_table(bool json)
{
    static const double free_gb[] = {9, 6, 3, 1.5, 0.7, 0.3};
    char text[512] = "  free memory   frames at once\n";
    json_t *rows = json_array();
    for (size_t i = 0; i < sizeof free_gb / sizeof *free_gb; i++) {
        int64_t chunk = ace_vae_chunk_for((size_t)(free_gb[i] * GB));
        size_t used = strlen(text);
        (void)snprintf(text + used, sizeof text - used, "  %8.1f GB   %14lld\n", free_gb[i],
                       (long long)chunk);
        json_array_append_new(
            rows, json_pack("{s:f, s:I}", "free_gb", free_gb[i], "chunk", (json_int_t)chunk));
    }
    if (json) {
        return print_json(rows);
    }
    json_decref(rows);
    char *copy = malloc(strlen(text) + 1);
    return copy != NULL ? strcpy(copy, text) : NULL;
}

/* ---- for people ------------------------------------------------------------------------------ */

enum { TEXT_BYTES = 8192 };

__attribute__((format(printf, 2, 3))) static void line(char *text, const char *format, ...)
{
    size_t used = strlen(text);
    va_list args;
    va_start(args, format);
    (void)vsnprintf(text + used, TEXT_BYTES - used, format, args);
    va_end(args);
}

static void lm_sizes(const ace_tier *t, char *out, size_t room)
{
    out[0] = '\0';
    for (int i = 0; i < ACE_LM_SIZES; i++) {
        if (t->available_lm[i]) {
            size_t used = strlen(out);
            (void)snprintf(out + used, room - used, "%s%s", used > 0 ? " " : "",
                           ace_lm_size_name((ace_lm_size)i));
        }
    }
    if (out[0] == '\0') {
        (void)snprintf(out, room, "none");
    }
}

char *acestep_tiers_text(const acestep_request *request, acestep_error *err)
{
    ace_tier_table tiers;
    char *text = calloc(TEXT_BYTES, 1);
    if (text == NULL) {
        (void)ace_fail(ace_inner_error(err), ACESTEP_MEMORY, "tiers: no host memory");
        return NULL;
    }
    if (ace_tier_table_load(request->options->gpu_tiers, &tiers, ace_inner_error(err)) !=
        ACESTEP_OK) {
        free(text);
        return NULL;
    }
    line(text, "  %-18s %-14s %-7s %11s %9s %-8s %s\n", "tier", "LM", "backend", "seconds", "songs",
         "offload", "INT8");
    for (int i = 0; i < ACE_TIERS; i++) {
        const ace_tier *t = &tiers.row[i];
        char sizes[32];
        lm_sizes(t, sizes, sizeof sizes);
        const char *offload = !t->offload_to_cpu_default      ? "none"
                              : t->offload_dit_to_cpu_default ? "cpu+dit"
                                                              : "cpu";
        int wide = (int)strlen(t->label) - (strstr(t->label, "≤") || strstr(t->label, "≥") ? 2 : 0);
        line(text, "  %s%*s %-14s %-7s %5.0f /%4.0f %4d /%3d %-8s %s%s\n", t->label, 18 - wide, "",
             sizes, ace_lm_backend_name(t->recommended_backend), t->max_duration_with_lm,
             t->max_duration_without_lm, t->max_batch_with_lm, t->max_batch_without_lm, offload,
             t->quantization_default ? "on" : "off",
             tiers.from_file[i] ? "  (gpu_tiers.json)" : "");
    }
    line(text, "\n  seconds and songs: with / without the language model\n");
    return text;
}

char *acestep_info_text(const acestep_request *request, acestep_error *err)
{
    ace_info *info = ace_calloc(1, sizeof *info);
    char *text = calloc(TEXT_BYTES, 1);
    ace_error *inner = ace_inner_error(err);
    ace_status status = info != NULL && text != NULL
                            ? ace_info_gather(request->options, info, inner)
                            : ace_fail(inner, ACESTEP_MEMORY, "info: no host memory");
    if (status != ACESTEP_OK) {
        ace_free(info);
        free(text);
        return NULL;
    }
    const ace_hardware *h = &info->hardware;
    const ace_settings *s = &info->settings;
    char sizes[32];
    lm_sizes(&s->tier, sizes, sizeof sizes);
    line(text, "  device        %s\n", h->device_name);
    line(text, "  memory        %.2f GB, %.2f GB for this program\n", (double)h->total_bytes / GB,
         (double)h->cap_bytes / GB);
    line(text, "  tier          %s (%s)\n", s->tier.label, source_name(s->tier_source));
    line(text,
         "  longest song  %.0f s (%.1f min) with the language model, %.0f s (%.1f min) without\n",
         info->with_lm.max_duration, info->with_lm.max_duration / 60, info->without_lm.max_duration,
         info->without_lm.max_duration / 60);
    line(text, "  songs at once %d with it, %d without\n", info->with_lm.max_batch,
         info->without_lm.max_batch);
    line(text, "  LM            %s (%s); sizes: %s; backend %s (%s)\n", s->init_llm ? "on" : "off",
         source_name(s->init_llm_source), sizes, ace_lm_backend_name(s->backend),
         source_name(s->backend_source));
    line(text, "  offload       %s (%s)\n", ace_offload_name(s->offload),
         source_name(s->offload_source));
    line(text, "  quantization  %s (%s)\n", s->int8 ? "int8_weight_only" : "none",
         source_name(s->int8_source));
    line(text, "  attention     %s\n", s->flash_attention ? "flash" : "tiled");
    for (int i = 0; i < h->n_gpus; i++) {
        line(text, "  card %d        %s, %.2f GB%s\n", h->gpu[i].index, h->gpu[i].name,
             (double)h->gpu[i].total_bytes / GB, i == h->chosen ? " (chosen)" : "");
    }
    for (int i = 0; i < h->n_diagnoses; i++) {
        line(text, "  note          %s\n", h->diagnosis[i]);
    }
    ace_free(info);
    return text;
}
