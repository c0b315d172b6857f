#include "plan/planner.h"

#include <stdio.h>
#include <string.h>

/* Latent frames that a CPU decodes at once: its caches, not its memory, set the size. */
enum { HOST_VAE_CHUNK = 152 };

static double gb(size_t bytes)
{
    return (double)bytes / (double)((size_t)1 << 30);
}

/* ---- bytes of a stage ------------------------------------------------------------------------ */

static size_t part_bytes(const ace_sizes *s, const ace_plan *p, ace_part part)
{
    if (!s->has[part] || (part == ACE_PART_LM && !p->lm_runs)) {
        return 0;
    }
    int type = p->int8 && ace_part_is_quantised(part) ? 1 : 0;
    size_t bytes = s->part[part][type];
    if (part == ACE_PART_DIT && p->window < s->layers) {
        bytes -= (size_t)(s->layers - p->window) * s->layer[type];
    }
    return bytes;
}

/* What stays on the device whatever stage is running. */
static size_t kept_bytes(const ace_sizes *s, const ace_plan *p)
{
    size_t bytes = 0;
    for (int i = 0; i < ACE_PARTS; i++) {
        bytes += ace_plan_keeps(p, (ace_part)i) ? part_bytes(s, p, (ace_part)i) : 0;
    }
    return bytes;
}

/* What a stage must bring along. */
static size_t brought(const ace_sizes *s, const ace_plan *p, ace_part part)
{
    return ace_plan_keeps(p, part) ? 0 : part_bytes(s, p, part);
}

static size_t max(size_t a, size_t b)
{
    return a > b ? a : b;
}

static size_t vae_work(const ace_sizes *s, const ace_plan *p)
{
    for (int i = 0; i < s->n_vae_chunks; i++) {
        if (s->vae_chunk[i] == p->vae_chunk) {
            return s->vae[p->vae == ACE_VAE_DEVICE ? 0 : 1][i];
        }
    }
    return 0;
}

static size_t encoder_work(const ace_sizes *s, const ace_plan *p)
{
    for (int i = 0; i < s->n_encoder_chunks; i++) {
        if (s->encoder_chunk[i] == p->encoder_chunk) {
            return s->encoder[i];
        }
    }
    return 0;
}

/* The condition part works first and may go before the layers come. */
static size_t diffusion_bytes(const ace_sizes *s, const ace_plan *p)
{
    size_t work = s->diffusion[p->device_batch] + brought(s, p, ACE_PART_ADAPTERS);
    size_t condition = brought(s, p, ACE_PART_DIT_CONDITION);
    size_t dit = brought(s, p, ACE_PART_DIT);
    bool together = p->whole_dit || s->many_sessions || p->device_batch < p->songs;
    return work + (together ? condition + dit : max(condition, dit));
}

/* One song after another: the condition part comes again for the second. */
static size_t align_bytes(const ace_sizes *s, const ace_plan *p)
{
    size_t condition = brought(s, p, ACE_PART_DIT_CONDITION);
    size_t dit = brought(s, p, ACE_PART_DIT);
    bool together = p->whole_dit || p->songs > 1;
    return s->work[ACE_STAGE_ALIGN] + brought(s, p, ACE_PART_ADAPTERS) +
           (together ? condition + dit : max(condition, dit));
}

size_t ace_plan_stage_bytes(const ace_sizes *s, const ace_plan *p, ace_stage_id stage)
{
    size_t kept = kept_bytes(s, p) + s->workspace;
    switch (stage) {
    case ACE_STAGE_LM:
        return !p->lm_runs ? 0 : kept + brought(s, p, ACE_PART_LM) + s->lm[p->lm_chunk];
    case ACE_STAGE_TEXT:
        return kept + brought(s, p, ACE_PART_TEXT) + s->work[stage];
    case ACE_STAGE_ENCODE:
        return s->n_encoder_chunks == 0
                   ? 0
                   : kept + brought(s, p, ACE_PART_VAE_ENCODER) + encoder_work(s, p);
    case ACE_STAGE_CONDITION:
        return kept + brought(s, p, ACE_PART_CONDITION) + s->work[stage];
    case ACE_STAGE_CODES:
        return s->work[stage] == 0
                   ? 0
                   : kept + (s->needs_tokenizer ? brought(s, p, ACE_PART_TOKENIZER) : 0) +
                         brought(s, p, ACE_PART_DETOKENIZER) + s->work[stage];
    case ACE_STAGE_DIFFUSION:
        return kept + diffusion_bytes(s, p);
    case ACE_STAGE_ALIGN:
        return s->work[stage] == 0 ? 0 : kept + align_bytes(s, p);
    case ACE_STAGE_VAE:
        return p->vae == ACE_VAE_HOST ? kept
                                      : kept + brought(s, p, ACE_PART_VAE_DECODER) + vae_work(s, p);
    case ACE_STAGE_LOAD:
    case ACE_STAGES:
        break;
    }
    return kept;
}

size_t ace_plan_peak_bytes(const ace_sizes *s, const ace_plan *p)
{
    size_t peak = 0;
    for (int i = 0; i < ACE_STAGES; i++) {
        peak = max(peak, ace_plan_stage_bytes(s, p, (ace_stage_id)i));
    }
    return peak;
}

/* ---- remedies that cost nothing -------------------------------------------------------------- */

typedef struct search {
    const ace_sizes *sizes;
    const ace_settings *settings;
    const ace_plan_wishes *wishes;
    size_t budget;
    ace_plan plan;
} search;

static bool stage_fits(const search *x, ace_stage_id stage)
{
    return ace_plan_stage_bytes(x->sizes, &x->plan, stage) <= x->budget;
}

static bool fit_lm(search *x)
{
    int most = x->wishes->lm_chunk < x->sizes->lm_songs ? x->wishes->lm_chunk : x->sizes->lm_songs;
    for (x->plan.lm_chunk = most > 1 ? most : 1; x->plan.lm_chunk > 1; x->plan.lm_chunk--) {
        if (stage_fits(x, ACE_STAGE_LM)) {
            return true;
        }
    }
    return stage_fits(x, ACE_STAGE_LM);
}

/* Both stages that use the layers. */
static bool layers_fit(const search *x)
{
    return stage_fits(x, ACE_STAGE_DIFFUSION) && stage_fits(x, ACE_STAGE_ALIGN);
}

static bool fit_diffusion(search *x)
{
    int layers = x->sizes->layers;
    x->plan.window = layers;
    if (x->plan.offload != ACE_OFFLOAD_CPU_DIT || x->wishes->is_cpu) {
        return layers_fit(x);
    }
    int most = x->wishes->window > 0 && x->wishes->window < layers ? x->wishes->window : layers;
    for (x->plan.window = most; x->plan.window > 1; x->plan.window--) {
        if (layers_fit(x)) {
            return true;
        }
    }
    return layers_fit(x);
}

static bool fit_vae(search *x)
{
    const ace_sizes *s = x->sizes;
    x->plan.vae = ACE_VAE_HOST;
    x->plan.vae_chunk = s->vae_chunk[0];
    x->plan.vae_overlap = x->wishes->vae_overlap;
    if (x->wishes->vae_on_cpu && !x->wishes->is_cpu) {
        return stage_fits(x, ACE_STAGE_VAE);
    }
    size_t taken =
        kept_bytes(s, &x->plan) + s->workspace + brought(s, &x->plan, ACE_PART_VAE_DECODER);
    int64_t most = s->vae_chunk[0];
    if (s->vae_by_table && taken < x->budget && ace_vae_chunk_for(x->budget - taken) < most) {
        most = ace_vae_chunk_for(x->budget - taken);
    }
    for (int i = 0; i < s->n_vae_chunks; i++) {
        for (int place = ACE_VAE_DEVICE; place <= ACE_VAE_STREAMED; place++) {
            x->plan.vae = (ace_vae_place)place;
            x->plan.vae_chunk = s->vae_chunk[i];
            if (s->vae_chunk[i] <= most && stage_fits(x, ACE_STAGE_VAE)) {
                return true;
            }
        }
    }
    x->plan.vae = ACE_VAE_HOST;
    return !x->wishes->is_cpu && stage_fits(x, ACE_STAGE_VAE);
}

static bool fit_encoder(search *x)
{
    const ace_sizes *s = x->sizes;
    x->plan.encoder_chunk = 0;
    x->plan.encoder_overlap = x->wishes->encoder_overlap;
    for (int i = 0; i < s->n_encoder_chunks; i++) {
        x->plan.encoder_chunk = s->encoder_chunk[i];
        if (stage_fits(x, ACE_STAGE_ENCODE)) {
            return true;
        }
    }
    return s->n_encoder_chunks == 0;
}

/* Sets the free choices; true when every stage fits. All are set even where one does not fit, so
 * that the least need can be told. */
static bool fit(search *x)
{
    x->plan.window = x->sizes->layers;
    bool fits = fit_lm(x);
    fits = fit_diffusion(x) && fits;
    fits = fit_vae(x) && fits;
    fits = fit_encoder(x) && fits;
    return fits && stage_fits(x, ACE_STAGE_LOAD) && stage_fits(x, ACE_STAGE_TEXT) &&
           stage_fits(x, ACE_STAGE_CONDITION) && stage_fits(x, ACE_STAGE_CODES);
}

/* The most songs in one pass for which everything fits. */
static bool fit_batch(search *x)
{
    x->plan.songs = x->sizes->songs;
    for (x->plan.device_batch = x->sizes->songs; x->plan.device_batch >= 1;
         x->plan.device_batch--) {
        if (x->wishes->reduce) {
            x->plan.songs = x->plan.device_batch;
        }
        if (fit(x)) {
            return true;
        }
    }
    x->plan.device_batch = 1;
    (void)fit(x);
    return false;
}

/* ---- the ladder ------------------------------------------------------------------------------ */

static size_t need(const search *x)
{
    return ace_plan_peak_bytes(x->sizes, &x->plan);
}

static void warn_int8(search *x, ace_warnings *w)
{
    ace_warn(w, "W09", "quantization", "none", "int8_weight_only",
             "INT8 stays on: the unquantised plan needs %.2f GB, %.2f GB are there", gb(need(x)),
             gb(x->budget));
}

static void warn_offload(search *x, ace_warnings *w, ace_offload from, ace_offload to)
{
    ace_warn(w, "W10", "offload_to_cpu", ace_offload_name(from), ace_offload_name(to),
             "offloading goes further than configured: the plan needs %.2f GB, %.2f GB are there",
             gb(need(x)), gb(x->budget));
}

/* One step down; false at the bottom. Back to what the tier advises first. */
static bool step_down(search *x, ace_warnings *w)
{
    ace_plan *p = &x->plan;
    if (x->settings->int8_by_user && !p->int8) {
        warn_int8(x, w);
        p->int8 = true;
        return true;
    }
    if (p->offload != ACE_OFFLOAD_CPU_DIT) {
        ace_offload to = p->offload == ACE_OFFLOAD_NONE ? ACE_OFFLOAD_CPU : ACE_OFFLOAD_CPU_DIT;
        warn_offload(x, w, p->offload, to);
        p->offload = to;
        return true;
    }
    if (!p->int8 && !x->wishes->is_cpu) {
        warn_int8(x, w);
        p->int8 = true;
        return true;
    }
    if (p->lm_runs) {
        ace_warn(w, "W05", "thinking", "true", "false",
                 "the language model needs %.2f GB, %.2f GB are there; it stays off",
                 gb(ace_plan_stage_bytes(x->sizes, p, ACE_STAGE_LM)), gb(x->budget));
        p->lm_runs = false;
        return true;
    }
    return false;
}

static ace_stage_id largest_stage(const ace_sizes *s, const ace_plan *p)
{
    ace_stage_id largest = ACE_STAGE_TEXT;
    for (int i = ACE_STAGE_LM; i < ACE_STAGES; i++) {
        ace_stage_id stage = (ace_stage_id)i;
        if (ace_plan_stage_bytes(s, p, stage) > ace_plan_stage_bytes(s, p, largest)) {
            largest = stage;
        }
    }
    return largest;
}

static const char *advice(ace_stage_id stage)
{
    switch (stage) {
    case ACE_STAGE_DIFFUSION:
    case ACE_STAGE_ALIGN:
        return "a shorter song needs less";
    case ACE_STAGE_LM:
        return "a smaller language model or a shorter song needs less";
    case ACE_STAGE_CONDITION:
    case ACE_STAGE_TEXT:
        return "--quantization int8 or shorter lyrics need less";
    default:
        return "free memory, or use a machine with more";
    }
}

/* Everything the user should hear about the plan that was found. */
static void tell(search *x, size_t whole_batch, ace_warnings *w)
{
    const ace_plan *p = &x->plan;
    char asked[32];
    char used[64];
    if (p->device_batch < x->sizes->songs) {
        int passes = (x->sizes->songs + p->device_batch - 1) / p->device_batch;
        (void)snprintf(asked, sizeof asked, "%d", x->sizes->songs);
        if (x->wishes->reduce) {
            (void)snprintf(used, sizeof used, "%d", p->device_batch);
        } else {
            (void)snprintf(used, sizeof used, "%d at a time, %d passes", p->device_batch, passes);
        }
        ace_warn(w, "W20", "batch_size", asked, used,
                 "%d songs at once need %.2f GB, %.2f GB are there", x->sizes->songs,
                 gb(whole_batch), gb(x->budget));
    }
    if (p->vae == ACE_VAE_HOST && !x->wishes->vae_on_cpu && !p->host) {
        ace_warn(w, "W22", "vae_chunk", "the device", "the CPU",
                 "no window of the VAE fits into %.2f GB; decoding on the CPU", gb(x->budget));
    }
}

static size_t whole_batch_need(const search *x)
{
    ace_plan p = x->plan;
    p.device_batch = x->sizes->songs;
    p.songs = x->sizes->songs;
    return ace_plan_stage_bytes(x->sizes, &p, ACE_STAGE_DIFFUSION);
}

ace_status ace_plan_make(const ace_sizes *sizes, const ace_settings *settings,
                         const ace_plan_wishes *wishes, size_t budget, ace_warnings *warnings,
                         ace_plan *out, ace_error *err)
{
    search x = {.sizes = sizes, .settings = settings, .wishes = wishes, .budget = budget};
    x.plan = (ace_plan){
        .offload = wishes->is_cpu ? ACE_OFFLOAD_CPU_DIT : settings->offload,
        .int8 = settings->int8,
        .whole_dit = wishes->whole_dit,
        .lm_runs = settings->lm_runs && sizes->has[ACE_PART_LM],
        .songs = sizes->songs,
        .budget_bytes = budget,
    };
    while (!fit_batch(&x)) {
        if (step_down(&x, warnings)) {
            continue;
        }
        ace_stage_id largest = largest_stage(sizes, &x.plan);
        *out = x.plan;
        if (wishes->is_cpu) {
            return ace_fail(err, ACESTEP_MEMORY,
                            "this job needs %.2f GB and %.2f GB are there; the largest stage is "
                            "the %s: %s",
                            gb(need(&x)), gb(budget), ace_stage_title(largest), advice(largest));
        }
        ace_warn(warnings, "W23", "device", "the card", "cpu",
                 "the smallest plan needs %.2f GB (%s), %.2f GB are there; computing on the CPU",
                 gb(need(&x)), ace_stage_title(largest), gb(budget));
        out->host = true;
        out->device_batch = sizes->songs;
        out->songs = sizes->songs;
        out->window = sizes->layers;
        out->vae = ACE_VAE_STREAMED;
        out->vae_chunk = HOST_VAE_CHUNK;
        return ACESTEP_OK;
    }
    /* the language model may stay where nothing else needs its room */
    if (x.plan.lm_runs && x.plan.offload == ACE_OFFLOAD_CPU) {
        ace_plan stays = x.plan;
        stays.lm_stays = true;
        if (ace_plan_peak_bytes(sizes, &stays) <= budget) {
            x.plan = stays;
        }
    }
    tell(&x, whole_batch_need(&x), warnings);
    *out = x.plan;
    return ACESTEP_OK;
}
