/* The tier test as JSON: an array with one entry for each run, keys as in the original's
 * profile_inference.py, then our own. */
#include "api/bench.h"
#include "api/info.h"
#include "api/profile.h"

#include <stdlib.h>
#include <string.h>

static json_t *text_or_null(const char *text)
{
    return text[0] != '\0' ? json_string(text) : json_null();
}

static json_t *components_json(const ace_tier_row *row)
{
    json_t *parts = json_object();
    for (int i = 0; i < ACE_PARTS; i++) {
        const char *code = ace_part_code((ace_part)i);
        json_int_t before = json_integer_value(json_object_get(parts, code));
        if (row->part_bytes[i] > 0) {
            json_object_set_new(parts, code, json_integer(before + (json_int_t)row->part_bytes[i]));
        }
    }
    return parts;
}

static json_t *stages_json(const ace_tier_row *row)
{
    json_t *stages = json_object();
    for (int i = 0; i < ACE_STAGES; i++) {
        if (row->stage_bytes[i] > 0) {
            json_object_set_new(stages, ace_stage_key((ace_stage_id)i),
                                json_integer((json_int_t)row->stage_bytes[i]));
        }
    }
    return stages;
}

/* By the tier's limits, or by the model's. */
static bool is_clamp(const ace_warning *w)
{
    return strcmp(w->id, "W15") == 0 || strcmp(w->id, "W16") == 0 ||
           strcmp(w->field, "duration") == 0 || strcmp(w->field, "batch_size") == 0;
}

static void add_warnings(const ace_warnings *w, json_t *entry)
{
    ace_warnings clamps = {.count = 0};
    ace_warnings others = {.count = 0};
    for (int i = 0; i < w->count; i++) {
        ace_warnings *to = is_clamp(&w->item[i]) ? &clamps : &others;
        to->item[to->count++] = w->item[i];
    }
    json_object_set_new(entry, "clamps", ace_warnings_json(&clamps));
    json_object_set_new(entry, "warnings", ace_warnings_json(&others));
}

/* What the original's files have. */
static json_t *original_json(const ace_tier_row *row)
{
    char label[32];
    const ace_plan *p = &row->plan;
    ace_tier_row_label(row, label, sizeof label);
    json_t *entry = json_pack(
        "{s:f, s:s, s:s, s:b, s:o, s:s, s:b, s:b, s:o, s:f, s:i, s:b, s:b, s:f, s:o, s:f}",
        "tier_gb", row->gb, "tier", row->tier.key, "test_variant", label, "use_lm", (int)p->lm_runs,
        "lm_model", p->lm_runs ? text_or_null(row->settings.lm_model) : json_null(), "lm_backend",
        ace_lm_backend_name(row->settings.backend), "offload",
        (int)(p->offload != ACE_OFFLOAD_NONE), "offload_dit",
        (int)(p->offload == ACE_OFFLOAD_CPU_DIT), "quantization",
        p->int8 ? json_string("int8_weight_only") : json_null(), "duration", row->duration,
        "batch_size", row->batch, "init_success", (int)row->opened, "gen_success",
        (int)ace_tier_row_passed(row), "wall_time", row->wall_seconds, "error",
        text_or_null(row->error), "peak_vram_gb", ace_gb_of(row->peak_bytes));
    if (ace_tier_row_passed(row)) {
        json_object_set_new(entry, "lm_time", json_real(row->lm_seconds));
        json_object_set_new(entry, "dit_time", json_real(row->dit_seconds));
        json_object_set_new(entry, "vae_time", json_real(row->vae_seconds));
    }
    return entry;
}

json_t *ace_tier_row_json(const ace_tier_test *test, const ace_tier_row *row)
{
    json_t *entry = original_json(row);
    json_t *more = json_pack(
        "{s:s, s:f, s:f, s:f, s:f, s:I, s:I, s:I, s:s, s:I, s:i, s:b, s:s, s:s, s:s, s:s, s:o, "
        "s:o, s:o}",
        "classification", ace_tier_class_name(row->verdict), "cap_gb", ace_gb_of(row->cap_bytes),
        "peak_reserved_gb", ace_gb_of(row->peak_bytes), "peak_device_gb",
        ace_tier_row_device_gb(row), "free_start_gb", ace_gb_of(row->free_bytes), "peak_bytes",
        (json_int_t)row->peak_bytes, "planned_bytes", (json_int_t)row->planned_bytes, "cap_bytes",
        (json_int_t)row->cap_bytes, "vae_tier", ace_vae_place_name(row->vae_place), "vae_chunk",
        (json_int_t)row->vae_chunk, "guard_batch", row->plan.device_batch, "compile",
        (int)row->settings.compile_model, "dit_type", test->model, "attention",
        row->settings.flash_attention ? "flash" : "tiled", "exec", test->shape ? "shape" : "full",
        "commit", ace_bench_commit(), "components", components_json(row), "stages",
        stages_json(row), "tier_settings", ace_tier_json(&row->tier));
    if (entry == NULL || more == NULL || json_object_update(entry, more) != 0) {
        json_decref(entry);
        entry = NULL;
    } else {
        add_warnings(&row->warnings, entry);
    }
    json_decref(more);
    return entry;
}

static json_t *boundary_json(const ace_tier_boundary *b)
{
    if (b->minimum == NULL) {
        return json_null();
    }
    return json_pack("{s:s, s:f, s:f}", "tier", b->minimum->tier.key, "gb", b->minimum->gb,
                     "peak_vram_gb", ace_gb_of(b->minimum->peak_bytes));
}

static json_t *batches_json(const ace_tier_test *test, bool with_lm)
{
    json_t *all = json_array();
    for (int i = 0; i < test->options.n_sizes; i++) {
        bool tried = false;
        double gb = test->options.size[i];
        const ace_tier_row *most = ace_tier_batch_find(test, gb, with_lm, &tried);
        if (tried) {
            json_array_append_new(all, json_pack("{s:f, s:i}", "gb", gb, "max_batch",
                                                 most != NULL ? most->batch : 0));
        }
    }
    return all;
}

static json_t *summary_json(const ace_tier_test *test)
{
    ace_tier_boundary quant = ace_tier_boundary_find(test, ACE_WITHOUT_INT8);
    ace_tier_boundary offload = ace_tier_boundary_find(test, ACE_WITHOUT_OFFLOAD);
    return json_pack("{s:{s:o, s:o, s:o, s:o}}", "summary", "no_quantization",
                     boundary_json(&quant), "no_offload", boundary_json(&offload),
                     "batch_without_lm", batches_json(test, false), "batch_with_lm",
                     batches_json(test, true));
}

char *acestep_tier_test_json(const acestep_tier_test *test, bool summary)
{
    const ace_tier_test *f = &test->found;
    json_t *all = json_array();
    bool complete = all != NULL;
    for (int i = 0; i < f->n_rows; i++) {
        complete = json_array_append_new(all, ace_tier_row_json(f, &f->row[i])) == 0 && complete;
    }
    if (summary) {
        complete = json_array_append_new(all, summary_json(f)) == 0 && complete;
    }
    char *text = complete ? json_dumps(all, JSON_INDENT(2) | JSON_REAL_PRECISION(12)) : NULL;
    json_decref(all);
    return text;
}
