/* The tier test for people. */
#include "api/profile.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* ---- rows ------------------------------------------------------------------------------------ */

/* "0.6B": the size says which one. */
static const char *short_lm(const char *name)
{
    const char *dash = strrchr(name, '-');
    return name[0] == '\0' ? "-" : dash != NULL ? dash + 1 : name;
}

static void put_notes(ace_lines *t, const ace_tier_row *row)
{
    if (row->ran) {
        ace_lines_add(t, "VAE %s/%lld, %s, offload %s", ace_vae_place_name(row->vae_place),
                      (long long)row->vae_chunk, ace_lm_backend_name(row->settings.backend),
                      ace_offload_name(row->plan.offload));
    }
    for (int i = 0; i < row->warnings.count; i++) {
        if (row->warnings.item[i].id[0] != '\0') {
            ace_lines_add(t, ", %s", row->warnings.item[i].id);
        }
    }
}

static void put_row(ace_lines *t, const ace_tier_row *row)
{
    char label[32];
    char status[32];
    ace_tier_row_label(row, label, sizeof label);
    bool passed = ace_tier_row_passed(row);
    (void)snprintf(status, sizeof status, "%.28s",
                   passed ? ace_tier_class_name(row->verdict) : row->error);
    ace_lines_add(
        t, "  %4g %-9s %-13s %-3s %-5s %-5s %-7s %-5s %6.1f %-4s %-4s %7.2f %8.3f  %-28s ", row->gb,
        row->tier.key, row->variant == ACE_VARIANT_DEFAULT ? "" : label,
        row->plan.lm_runs ? "Y" : "N", row->plan.lm_runs ? short_lm(row->settings.lm_model) : "-",
        ace_lm_backend_name(row->settings.backend),
        row->plan.offload == ACE_OFFLOAD_NONE ? "N" : "Y", row->plan.int8 ? "int8" : "-",
        row->duration, row->opened ? "ok" : "FAIL", passed ? "ok" : "FAIL", row->wall_seconds,
        ace_gb_of(row->peak_bytes), status);
    put_notes(t, row);
    ace_lines_add(t, "\n");
}

char *acestep_tier_test_head(const acestep_tier_test *test)
{
    ace_lines t = {0};
    const ace_tier_test *f = &test->found;
    ace_lines_add(&t, "%s on simulated cards, %s\n\n", f->model,
                  f->shape ? "schedule and memory only (--exec full computes as well)"
                           : "computed in full");
    ace_lines_add(&t, "  %4s %-9s %-13s %-3s %-5s %-5s %-7s %-5s %6s %-4s %-4s %7s %8s  %-28s %s\n",
                  "VRAM", "tier", "variant", "LM", "model", "back", "offload", "quant", "dur s",
                  "init", "gen", "wall s", "peak GB", "status", "notes");
    return ace_lines_take(&t);
}

char *acestep_tier_test_row(const acestep_tier_test *test, int index)
{
    ace_lines t = {0};
    if (index < 0 || index >= test->found.n_rows) {
        return NULL;
    }
    put_row(&t, &test->found.row[index]);
    return ace_lines_take(&t);
}

/* ---- boundaries ------------------------------------------------------------------------------ */

static const char *const capability_name[ACE_CAPABILITIES] = {"No INT8 Quantization",
                                                              "No CPU Offload (all models on GPU)"};

static const char rule[] = "  ------------------------------------------------------------\n";

void ace_put_boundary_table(ace_lines *t, const ace_tier_test *test)
{
    ace_lines_add(t, "BOUNDARY ANALYSIS\n=================\n");
    ace_lines_add(t, "  %-45s %-10s %s\n%s", "Capability", "Min Tier", "VRAM", rule);
    for (int c = 0; c < ACE_CAPABILITIES; c++) {
        ace_tier_boundary b = ace_tier_boundary_find(test, (ace_capability)c);
        if (b.minimum != NULL) {
            ace_lines_add(t, "  %-45s %-10s %3dGB\n", capability_name[c], b.minimum->tier.key,
                          (int)ceil(b.minimum->gb));
        } else {
            ace_lines_add(t, "  %-45s %-10s %s\n", capability_name[c], "N/A", "N/A");
        }
    }
    ace_lines_add(t, "%s", rule);
}

static void put_capability(ace_lines *t, const ace_tier_test *test, ace_capability capability)
{
    ace_tier_boundary b = ace_tier_boundary_find(test, capability);
    ace_lines_add(t, "%s: ", capability_name[capability]);
    if (b.minimum != NULL) {
        ace_lines_add(t, "from %s, %g GB (peak %.2f GB, %.2f GB with the context)",
                      b.minimum->tier.key, b.minimum->gb, ace_gb_of(b.minimum->peak_bytes),
                      ace_tier_row_device_gb(b.minimum));
    } else {
        ace_lines_add(t, b.last_fail != NULL ? "no tier passed" : "no data");
    }
    if (b.first_pass != NULL && b.first_pass != b.minimum) {
        ace_lines_add(t, "; first pass at %g GB", b.first_pass->gb);
    }
    if (b.last_fail != NULL) {
        ace_lines_add(t, "; largest failing size %g GB: %s", b.last_fail->gb, b.last_fail->error);
    }
    ace_lines_add(t, "\n");
}

static void put_boundaries(ace_lines *t, const ace_tier_test *test)
{
    ace_lines_add(t, "\n");
    for (int c = 0; c < ACE_CAPABILITIES; c++) {
        put_capability(t, test, (ace_capability)c);
    }
    ace_lines_add(t, "\n");
    ace_put_boundary_table(t, test);
    ace_lines_add(t, "Depends on the diffusion model, the language model, duration and batch, and "
                     "the attention kernel;\nall four stand in the JSON.\n");
}

/* ---- batches --------------------------------------------------------------------------------- */

static void put_most(ace_lines *t, const ace_tier_test *test, double gb, bool with_lm)
{
    bool tried = false;
    const ace_tier_row *most = ace_tier_batch_find(test, gb, with_lm, &tried);
    if (most != NULL) {
        ace_lines_add(t, " %9d %8.2f", most->batch, ace_gb_of(most->peak_bytes));
    } else {
        ace_lines_add(t, " %9s %8s", tried ? "FAIL" : "N/A", "-");
    }
}

static void put_advice(ace_lines *t, const ace_tier_test *test, double gb, const ace_tier *tier)
{
    bool changes = false;
    for (int lm = 0; lm < 2; lm++) {
        bool tried = false;
        const ace_tier_row *most = ace_tier_batch_find(test, gb, lm == 1, &tried);
        int now = lm == 1 ? tier->max_batch_with_lm : tier->max_batch_without_lm;
        int found = most != NULL ? most->batch : 0;
        if (tried && found != now) {
            ace_lines_add(t, "%s%s: %d→%d", changes ? ", " : "", lm == 1 ? "lm" : "no_lm", now,
                          found);
            changes = true;
        }
    }
    ace_lines_add(t, changes ? "\n" : "OK\n");
}

static void put_tested(ace_lines *t, const ace_tier_test *test, double gb, bool with_lm, int now)
{
    bool tried = false;
    const ace_tier_row *most = ace_tier_batch_find(test, gb, with_lm, &tried);
    ace_lines_add(t, " %10d", now);
    if (tried) {
        ace_lines_add(t, " %8d", most != NULL ? most->batch : 0);
    } else {
        ace_lines_add(t, " %8s", "N/A");
    }
}

static const ace_tier *tier_at(const ace_tier_test *test, double gb)
{
    for (int i = 0; i < test->n_rows; i++) {
        if (!(test->row[i].gb < gb) && !(test->row[i].gb > gb)) {
            return &test->row[i].tier;
        }
    }
    return NULL; /* interrupted before it */
}

static void put_batches(ace_lines *t, const ace_tier_test *test)
{
    const ace_tier_test_options *o = &test->options;
    ace_lines_add(t, "\nBATCH BOUNDARY\n  %4s %-9s %9s %8s %9s %8s\n", "VRAM", "tier", "no LM",
                  "peak GB", "with LM", "peak GB");
    for (int i = 0; i < o->n_sizes; i++) {
        const ace_tier *tier = tier_at(test, o->size[i]);
        if (tier != NULL) {
            ace_lines_add(t, "  %4g %-9s", o->size[i], tier->key);
            put_most(t, test, o->size[i], false);
            put_most(t, test, o->size[i], true);
            ace_lines_add(t, "\n");
        }
    }
    ace_lines_add(t, "\n  %4s %-9s %10s %8s %10s %8s  %s\n", "VRAM", "tier", "no LM set", "tested",
                  "LM set", "tested", "recommendation");
    for (int i = 0; i < o->n_sizes; i++) {
        const ace_tier *tier = tier_at(test, o->size[i]);
        if (tier != NULL) {
            ace_lines_add(t, "  %4g %-9s", o->size[i], tier->key);
            put_tested(t, test, o->size[i], false, tier->max_batch_without_lm);
            put_tested(t, test, o->size[i], true, tier->max_batch_with_lm);
            ace_lines_add(t, "  ");
            put_advice(t, test, o->size[i], tier);
        }
    }
    ace_lines_add(t, "Depends on the diffusion model, duration, the attention kernel, the size of "
                     "the language model,\nquantization and offloading; 8 is the most that is "
                     "tried.\n");
}

/* ---- settings of the tiers ------------------------------------------------------------------- */

static void put_lm_sizes(const ace_tier *tier, char *out, size_t room)
{
    size_t used = 0;
    (void)snprintf(out, room, "-");
    for (int i = 0; i < ACE_LM_SIZES; i++) {
        if (tier->available_lm[i] && used < room) {
            used += (size_t)snprintf(out + used, room - used, "%s%s", used > 0 ? "," : "",
                                     ace_lm_size_name((ace_lm_size)i));
        }
    }
}

/* What each tier is set to, as the guide lists it. */
static void put_settings(ace_lines *t, const ace_tier_test *test)
{
    ace_lines_add(
        t,
        "\nTIER SETTINGS\n  %4s %-9s %-3s %-14s %-5s %-5s %-11s %-7s %-8s %-16s %6s %6s %5s %5s\n",
        "VRAM", "tier", "LM", "LM sizes", "best", "back", "backends", "offload", "offl.DiT",
        "quantization", "s LM", "s no", "n LM", "n no");
    for (int i = 0; i < test->n_rows; i++) {
        const ace_tier_row *row = &test->row[i];
        const ace_tier *tier = &row->tier;
        char sizes[32];
        if (row->variant != ACE_VARIANT_DEFAULT) {
            continue;
        }
        put_lm_sizes(tier, sizes, sizeof sizes);
        ace_lines_add(
            t, "  %4g %-9s %-3s %-14s %-5s %-5s %-11s %-7s %-8s %-16s %6g %6g %5d %5d\n", row->gb,
            tier->key, tier->init_lm_default ? "on" : "off", sizes,
            tier->recommended_lm < 0 ? "-" : ace_lm_size_name((ace_lm_size)tier->recommended_lm),
            ace_lm_backend_name(tier->recommended_backend),
            tier->vllm_allowed ? "all" : "pt_mlx_only", tier->offload_to_cpu_default ? "yes" : "no",
            tier->offload_dit_to_cpu_default ? "yes" : "no",
            tier->quantization_default ? "int8_weight_only" : "none", tier->max_duration_with_lm,
            tier->max_duration_without_lm, tier->max_batch_with_lm, tier->max_batch_without_lm);
    }
}

char *acestep_tier_test_text(const acestep_tier_test *test)
{
    const ace_tier_test *f = &test->found;
    ace_lines t = {0};
    int passed = 0;
    int as_planned = 0;
    int ran = 0;
    for (int i = 0; i < f->n_rows; i++) {
        const ace_tier_row *row = &f->row[i];
        passed += ace_tier_row_passed(row);
        ran += row->ran;
        as_planned +=
            row->ran && row->peak_bytes == row->planned_bytes && row->peak_bytes <= row->cap_bytes;
    }
    put_settings(&t, f);
    if (f->options.boundary) {
        put_boundaries(&t, f);
    }
    if (f->options.batch_boundary) {
        put_batches(&t, f);
    }
    ace_lines_add(&t, "\npeak as planned to the byte and under the cap: %d of %d that ran\n",
                  as_planned, ran);
    ace_lines_add(&t, "runs %d, passed %d, failed %d\n", f->n_rows, passed, f->n_rows - passed);
    return ace_lines_take(&t);
}
