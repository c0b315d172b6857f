/* Plans and results as tables for people and as JSON for programs. */
#include "api/api.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { TABLE_BYTES = 8192, BAR_CELLS = 20 };

typedef struct table {
    char *text;
    size_t used;
} table;

__attribute__((format(printf, 2, 3))) static void line(table *t, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    int n = vsnprintf(t->text + t->used, TABLE_BYTES - t->used, format, args);
    va_end(args);
    t->used += n > 0 ? (size_t)n : 0;
    t->used = t->used < TABLE_BYTES ? t->used : TABLE_BYTES - 1;
}

void ace_report_bytes(size_t bytes, char *out, size_t room)
{
    if (bytes >= (size_t)1 << 30) {
        (void)snprintf(out, room, "%.2f GB", (double)bytes / (double)((size_t)1 << 30));
    } else {
        (void)snprintf(out, room, "%.1f MB", (double)bytes / (double)(1 << 20));
    }
}

/* ████▌ in eighths of a cell. */
static void bar(double share, char *out, size_t room)
{
    static const char *const part[] = {"", "▏", "▎", "▍", "▌", "▋", "▊", "▉"};
    int eighths = (int)(share * BAR_CELLS * 8 + 0.5);
    out[0] = '\0';
    for (; eighths >= 8; eighths -= 8) {
        strncat(out, "█", room - strlen(out) - 1);
    }
    strncat(out, part[eighths], room - strlen(out) - 1);
}

static size_t parts_of(const ace_stage_record *s)
{
    size_t bytes = 0;
    for (int i = 0; i < ACE_PARTS; i++) {
        bytes += s->part_bytes[i];
    }
    return bytes;
}

/* "DD 1.47 GB, CE …": what the stage brings along. */
static void list_parts(const ace_stage_record *s, char *out, size_t room)
{
    out[0] = '\0';
    size_t dit = s->part_bytes[ACE_PART_DIT] + s->part_bytes[ACE_PART_DIT_CONDITION];
    for (int i = 0; i < ACE_PARTS; i++) {
        size_t bytes = i == ACE_PART_DIT ? dit : i == ACE_PART_DIT_CONDITION ? 0 : s->part_bytes[i];
        if (bytes > 0) {
            char amount[24];
            ace_report_bytes(bytes, amount, sizeof amount);
            size_t used = strlen(out);
            (void)snprintf(out + used, room - used, "%s%s %s", used > 0 ? ", " : "",
                           ace_part_code((ace_part)i), amount);
        }
    }
}

static void head(table *t, const acestep_plan *plan)
{
    char room[24];
    const ace_plan *c = &plan->choice;
    line(t, "%s, %d song%s, %.1f s of audio\n", plan->model, plan->songs,
         plan->songs == 1 ? "" : "s", plan->seconds);
    ace_report_bytes(c->budget_bytes, room, sizeof room);
    line(t, "%s: %s, %s to plan with\n", plan->device, plan->settings.tier.label, room);
    line(t, "%s%s, quantization %s, VAE %s in windows of %lld frames",
         c->host ? "computing on the CPU" : "offload ", c->host ? "" : ace_offload_name(c->offload),
         c->int8 ? "int8" : "none", c->vae == ACE_VAE_HOST ? "on the CPU" : "on the device",
         (long long)c->vae_chunk);
    if (c->window < plan->layers && !c->host) {
        line(t, ", %d of %d layers at a time", c->window, plan->layers);
    }
    if (c->device_batch < plan->songs) {
        line(t, ", %d songs at a time", c->device_batch);
    }
    line(t, "\n\n");
}

char *ace_plan_table(const acestep_plan *plan)
{
    table t = {calloc(TABLE_BYTES, 1), 0};
    const ace_stage_log *log = &plan->stages;
    if (t.text == NULL) {
        return NULL;
    }
    size_t peak = ace_stage_log_peak(log) - log->workspace_bytes;
    head(&t, plan);
    line(&t, "  %-18s %10s %10s %10s %10s  %8s\n", "stage", "models", "work", "memory", "copied",
         "GFLOP");
    for (int i = 0; i < log->count; i++) {
        const ace_stage_record *s = &log->stage[i];
        char models[24];
        char work[24];
        char all[24];
        char copied[24];
        char parts[160];
        char cells[4 * BAR_CELLS];
        if (s->peak_bytes == 0) {
            continue; /* nothing stays on the device: nothing to load beforehand */
        }
        ace_report_bytes(s->peak_bytes - s->work_bytes, models, sizeof models);
        ace_report_bytes(s->work_bytes, work, sizeof work);
        ace_report_bytes(s->peak_bytes, all, sizeof all);
        ace_report_bytes((size_t)s->counters.uploaded, copied, sizeof copied);
        list_parts(s, parts, sizeof parts);
        bar(peak > 0 ? (double)s->peak_bytes / (double)peak : 0, cells, sizeof cells);
        line(&t, "  %-18s %10s %10s %10s %10s  %8.0f  %s%s\n", s->name, models, work, all, copied,
             s->counters.flops / 1e9, cells, s->peak_bytes == peak ? " peak" : "");
        if (parts_of(s) > 0) {
            line(&t, "  %-18s %s\n", "", parts);
        }
    }
    char all[24];
    char workspace[24];
    char copied[24];
    ace_report_bytes(ace_stage_log_peak(log), all, sizeof all);
    ace_report_bytes(log->workspace_bytes, workspace, sizeof workspace);
    ace_report_bytes((size_t)ace_stage_log_uploaded(log), copied, sizeof copied);
    line(&t, "\n  %s at the peak, with %s of the device's own workspace; %s copied to the device",
         all, workspace, copied);
    if (plan->expected_seconds > 0) {
        line(&t, "\n  about %.0f s on this machine", plan->expected_seconds);
    } else if (plan->on_card) {
        line(&t, "\n  how long it takes is unknown: acestep bench has not measured such stages on "
                 "this card");
    }
    return t.text;
}

char *ace_result_table(const acestep_result *r)
{
    table t = {calloc(TABLE_BYTES, 1), 0};
    const ace_stage_log *log = &r->found.log;
    double most = 0;
    if (t.text == NULL) {
        return NULL;
    }
    for (int i = 0; i < log->count; i++) {
        double seconds = log->stage[i].load_seconds + log->stage[i].compute_seconds;
        most = seconds > most ? seconds : most;
    }
    line(&t, "  %-18s %8s %8s %10s %8s\n", "stage", "load", "compute", "memory", "GFLOP/s");
    for (int i = 0; i < log->count; i++) {
        const ace_stage_record *s = &log->stage[i];
        char memory[24];
        char cells[4 * BAR_CELLS];
        if (s->peak_bytes == 0 && s->host_bytes == 0) {
            continue;
        }
        ace_report_bytes(s->peak_bytes, memory, sizeof memory);
        bar(most > 0 ? (s->load_seconds + s->compute_seconds) / most : 0, cells, sizeof cells);
        line(&t, "  %-18s %6.2f s %6.2f s %10s %8.0f  %s\n", s->name, s->load_seconds,
             s->compute_seconds, memory,
             s->compute_seconds > 0 ? s->counters.flops / s->compute_seconds / 1e9 : 0, cells);
    }
    for (int i = 0; i < r->n_songs; i++) {
        char score[ACE_LM_SCORE_REPORT_BYTES];
        ace_lm_score_report(&r->song[i].lm_score, score, sizeof score);
        if (score[0] != '\0') {
            line(&t, "%s  song %d scores %s\n", i == 0 ? "\n" : "", i + 1, score);
        }
    }
    char peak[24];
    ace_report_bytes(r->found.peak_bytes, peak, sizeof peak);
    bool as_planned = r->found.peak_bytes == ace_stage_log_peak(&r->plan.stages);
    line(&t, "\n  %.2f s for %.1f s of audio; peak memory %s%s\n", r->wall_seconds, r->plan.seconds,
         peak, as_planned ? ", as planned to the byte" : "");
    return t.text;
}

static json_t *stage_json(const ace_stage_record *s)
{
    json_t *tags = json_object();
    json_t *parts = json_object();
    for (int i = 0; i < s->n_tags; i++) {
        json_object_set_new(tags, s->tags[i].name, json_integer((json_int_t)s->tags[i].peak));
    }
    for (int i = 0; i < ACE_PARTS; i++) {
        const char *code = ace_part_code((ace_part)i);
        json_int_t before = json_integer_value(json_object_get(parts, code));
        if (s->part_bytes[i] > 0) {
            json_object_set_new(parts, code, json_integer(before + (json_int_t)s->part_bytes[i]));
        }
    }
    return json_pack("{s:s, s:s, s:I, s:I, s:I, s:I, s:o, s:o, s:f, s:f, s:f, s:f, s:f}", "name",
                     s->name, "stage", s->key, "peak_bytes", (json_int_t)s->peak_bytes,
                     "work_bytes", (json_int_t)s->work_bytes, "host_bytes",
                     (json_int_t)s->host_bytes, "allocations", (json_int_t)s->allocations,
                     "components", parts, "bytes", tags, "flops", s->counters.flops,
                     "host_to_device_bytes", s->counters.uploaded, "device_to_host_bytes",
                     s->counters.downloaded, "load_seconds", s->load_seconds, "compute_seconds",
                     s->compute_seconds);
}

json_t *ace_stage_log_json(const ace_stage_log *log, size_t peak_bytes)
{
    json_t *stages = json_array();
    for (int i = 0; i < log->count; i++) {
        json_array_append_new(stages, stage_json(&log->stage[i]));
    }
    return json_pack("{s:I, s:I, s:I, s:o}", "peak_bytes", (json_int_t)peak_bytes,
                     "workspace_bytes", (json_int_t)log->workspace_bytes, "host_to_device_bytes",
                     (json_int_t)ace_stage_log_uploaded(log), "stages", stages);
}

json_t *ace_plan_choice_json(const acestep_plan *plan)
{
    const ace_plan *c = &plan->choice;
    const ace_settings *s = &plan->settings;
    json_t *lm = s->lm_model[0] != '\0' ? json_string(s->lm_model) : json_null();
    json_t *quantization = c->int8 ? json_string("int8_weight_only") : json_null();
    return json_pack(
        "{s:s, s:f, s:s, s:I, s:I, s:s, s:o, s:i, s:i, s:i, s:b, s:o, s:s, s:s, s:i, s:b, s:s, "
        "s:I, s:I, "
        "s:f, s:i, s:f, s:f, s:i}",
        "tier", s->tier.key, "gpu_gb", s->gb, "device", c->host ? "cpu" : plan->device, "cap_bytes",
        (json_int_t)plan->cap_bytes, "budget_bytes", (json_int_t)c->budget_bytes, "offload",
        ace_offload_name(c->offload), "quantization", quantization, "dit_window", c->window,
        "device_batch", c->device_batch, "batch_size", plan->songs, "use_lm", (int)c->lm_runs,
        "lm_model", lm, "lm_backend", ace_lm_backend_name(s->backend), "kv_cache_dtype",
        ace_kv_cache_name(s->int8_cache), "lm_chunk", c->lm_chunk, "compile_model",
        (int)s->compile_model, "vae_tier", ace_vae_place_name(c->vae), "vae_chunk",
        (json_int_t)c->vae_chunk, "vae_overlap", (json_int_t)c->vae_overlap, "max_duration",
        s->max_duration, "max_batch_size", s->max_batch, "expected_seconds", plan->expected_seconds,
        "audio_seconds", plan->seconds, "inference_steps", plan->steps);
}

json_t *ace_warnings_json(const ace_warnings *w)
{
    json_t *list = json_array();
    for (int i = 0; i < w->count; i++) {
        json_array_append_new(list,
                              json_pack("{s:s, s:s, s:s, s:s, s:s}", "id", w->item[i].id, "field",
                                        w->item[i].field, "asked", w->item[i].asked, "used",
                                        w->item[i].used, "reason", w->item[i].reason));
    }
    return list;
}
