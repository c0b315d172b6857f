#include "plan/settings.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

typedef struct resolver {
    const ace_hardware *hardware;
    const ace_tier_table *tiers;
    const ace_wishes *wishes;
    ace_warnings *warnings;
    ace_settings *out;
    bool is_card;              /* real or simulated */
    bool is_plain_cpu;         /* no card, and no tier asked for: memory is the only limit */
    ace_value_source defaults; /* of the row in force */
} resolver;

static bool given(const char *text)
{
    return text != NULL && text[0] != '\0' && strcasecmp(text, "auto") != 0;
}

/* Tiers 1 and 2: no language model, INT8 and offloading are mandatory. */
static bool is_smallest(const resolver *r)
{
    return r->is_card && r->out->tier_index <= 1;
}

/* The user insists, or asks for whatever can be proved to fit. */
static bool is_free(const resolver *r)
{
    return r->wishes->force_config || r->out->exact_limits;
}

/* ---- the row --------------------------------------------------------------------------------- */

static void choose_tier(resolver *r)
{
    ace_settings *s = r->out;
    s->gb = r->hardware->gb;
    s->tier_index = ace_tier_of_gb(s->gb);
    s->tier_source = ACE_VALUE_DETECTED;
    r->is_plain_cpu = !r->is_card && !r->hardware->simulated;
    if (given(r->wishes->tier)) {
        int index = ace_tier_find(r->wishes->tier);
        if (index >= 0) {
            s->tier_index = index;
            s->tier_source = r->wishes->tier_source;
            r->is_plain_cpu = false;
        } else {
            ace_warn(r->warnings, "W00", "tier", r->wishes->tier, r->tiers->row[s->tier_index].key,
                     "there is no tier of this name: tier1 to tier5, tier6a, tier6b and unlimited");
        }
    }
    s->tier = r->tiers->row[s->tier_index];
    r->defaults = r->tiers->from_file[s->tier_index] ? ACE_VALUE_TIER_FILE : ACE_VALUE_TABLE;
    s->exact_limits = r->wishes->limits == ACE_LIMITS_EXACT ||
                      (r->wishes->limits == ACE_LIMITS_AUTO && r->is_plain_cpu);
    s->force_config = r->wishes->force_config;
}

/* ---- the language model ---------------------------------------------------------------------- */

static bool is_offered(const resolver *r, const char *name)
{
    return r->out->tier.available_lm[ace_lm_size_of(name)];
}

/* Exactly this name, else the longest name of the same size (gpu.md 3.1). */
static const char *on_disk(const resolver *r, const char *name)
{
    const ace_wishes *w = r->wishes;
    const char *best = NULL;
    for (int i = 0; i < w->n_lm_on_disk; i++) {
        if (strcmp(w->lm_on_disk[i], name) == 0) {
            return w->lm_on_disk[i];
        }
        if (ace_lm_size_of(w->lm_on_disk[i]) == ace_lm_size_of(name) &&
            (best == NULL || strlen(w->lm_on_disk[i]) > strlen(best))) {
            best = w->lm_on_disk[i];
        }
    }
    return best;
}

static const char *first_offered(const resolver *r)
{
    for (int i = 0; i < r->wishes->n_lm_on_disk; i++) {
        if (is_offered(r, r->wishes->lm_on_disk[i])) {
            return r->wishes->lm_on_disk[i];
        }
    }
    return NULL;
}

static const char *recommended(const resolver *r)
{
    char name[64];
    if (r->out->tier.recommended_lm < 0) {
        return first_offered(r);
    }
    (void)snprintf(name, sizeof name, "acestep-5Hz-lm-%s",
                   ace_lm_size_name((ace_lm_size)r->out->tier.recommended_lm));
    const char *found = on_disk(r, name);
    return found != NULL ? found : first_offered(r);
}

static void choose_lm_model(resolver *r)
{
    ace_settings *s = r->out;
    const ace_wishes *w = r->wishes;
    const char *name = NULL;
    s->lm_model_source = r->defaults;
    if (given(w->lm_model)) {
        const char *found = on_disk(r, w->lm_model);
        if (!is_offered(r, w->lm_model) && !is_free(r)) {
            name = recommended(r);
            ace_warn(r->warnings, "W06", "lm_model_path", w->lm_model, name != NULL ? name : "none",
                     "%s is not in the list of %s", ace_lm_size_name(ace_lm_size_of(w->lm_model)),
                     s->tier.label);
            s->lm_model_source = ACE_VALUE_FALLBACK;
        } else if (found == NULL) {
            name = recommended(r);
            ace_warn(r->warnings, "W07", "lm_model_path", w->lm_model, name != NULL ? name : "none",
                     "it is not among the models");
            s->lm_model_source = ACE_VALUE_FALLBACK;
        } else {
            name = found;
            s->lm_model_source = w->lm_model_source;
            if (strcmp(found, w->lm_model) != 0) {
                ace_warn(r->warnings, "W07", "lm_model_path", w->lm_model, found,
                         "it is not among the models; this one has the same size");
                s->lm_model_source = ACE_VALUE_FALLBACK;
            }
        }
    } else {
        name = recommended(r);
        if (name == NULL && w->n_lm_on_disk > 0 && is_free(r)) {
            name = w->lm_on_disk[0];
        }
    }
    (void)snprintf(s->lm_model, sizeof s->lm_model, "%s", name != NULL ? name : "");
    s->lm_size = ace_lm_size_of(s->lm_model);
}

static bool offers_lm(const ace_tier *t)
{
    return t->available_lm[ACE_LM_06B] || t->available_lm[ACE_LM_17B] || t->available_lm[ACE_LM_4B];
}

static void choose_lm(resolver *r)
{
    ace_settings *s = r->out;
    const ace_wishes *w = r->wishes;
    s->init_llm = s->tier.init_lm_default;
    s->init_llm_source = r->defaults;
    if (w->init_llm != ACE_SWITCH_AUTO) {
        s->init_llm = w->init_llm == ACE_SWITCH_ON;
        s->init_llm_source = w->init_llm_source;
    } else if (w->thinking == ACE_SWITCH_ON && !s->init_llm) { /* asked for by its work */
        s->init_llm = true;
        s->init_llm_source = ACE_VALUE_CALLER;
    }
    if (s->init_llm && !offers_lm(&s->tier) && !is_free(r)) {
        ace_warn(r->warnings, "W05", "init_llm", "true", "false",
                 "%s (%.4g GB) has no supported size of language model; it stays off",
                 s->tier.label, s->gb);
        s->init_llm = false;
        s->init_llm_source = ACE_VALUE_FALLBACK;
    } else if (s->init_llm && !offers_lm(&s->tier) && r->is_card) {
        ace_warn(r->warnings, "W05", "init_llm", "true", "true",
                 "outside the list of %s (%.4g GB): it runs if the plan proves that it fits",
                 s->tier.label, s->gb);
    }
    choose_lm_model(r);
    if (s->init_llm && s->lm_model[0] == '\0') {
        if (w->init_llm == ACE_SWITCH_ON || w->thinking == ACE_SWITCH_ON) {
            const char *asked = w->init_llm == ACE_SWITCH_ON ? "init_llm" : "thinking";
            if (w->n_lm_on_disk == 0) {
                ace_warn(r->warnings, "W07", asked, "true", "false",
                         "these models have no language model; it is a folder beside the others, "
                         "e.g. acestep-5Hz-lm-0.6B");
            } else {
                ace_warn(r->warnings, "W07", asked, "true", "false",
                         "no usable language model on disk for %s", s->tier.label);
            }
        }
        s->init_llm = false;
        s->init_llm_source = ACE_VALUE_FALLBACK;
    }
    s->lm_runs = s->init_llm && w->thinking != ACE_SWITCH_OFF;
}

static void choose_backend(resolver *r)
{
    ace_settings *s = r->out;
    const ace_wishes *w = r->wishes;
    s->backend = s->tier.recommended_backend;
    s->backend_source = r->defaults;
    if (given(w->backend)) {
        ace_lm_backend wanted = ACE_LM_PT;
        s->backend_source = w->backend_source;
        if (!ace_lm_backend_parse(w->backend, &wanted)) {
            ace_warn(r->warnings, "W04", "backend", w->backend, ace_lm_backend_name(s->backend),
                     "there is no backend of this name: vllm, pt and mlx are known");
            s->backend_source = ACE_VALUE_FALLBACK;
        } else if (wanted == ACE_LM_MLX) {
            ace_warn(r->warnings, "W03", "backend", "mlx", "pt",
                     "mlx is for Apple silicon and not available here");
            s->backend = ACE_LM_PT;
            s->backend_source = ACE_VALUE_FALLBACK;
        } else {
            s->backend = wanted;
        }
    }
    if (s->backend == ACE_LM_VLLM && !r->is_card) {
        if (given(w->backend)) {
            ace_warn(r->warnings, "W02", "backend", "vllm", "pt",
                     "vllm needs a card, and this runs on the CPU");
        }
        s->backend = ACE_LM_PT;
        s->backend_source = ACE_VALUE_FALLBACK;
    } else if (s->backend == ACE_LM_VLLM && !s->tier.vllm_allowed && !w->force_config) {
        ace_warn(
            r->warnings, "W01", "backend", "vllm", ace_lm_backend_name(s->tier.recommended_backend),
            "vllm is not offered on %s (%.4g GB): its cache does not fit", s->tier.label, s->gb);
        s->backend = s->tier.recommended_backend;
        s->backend_source = ACE_VALUE_FALLBACK;
    }
}

/* No tier asks for it: what the model writes would change. */
static void choose_kv_cache(resolver *r)
{
    ace_settings *s = r->out;
    bool is_asked = r->wishes->kv_cache != ACE_KV_CACHE_AUTO;
    s->int8_cache = r->wishes->kv_cache == ACE_KV_CACHE_INT8;
    s->kv_cache_source = is_asked ? r->wishes->kv_cache_source : r->defaults;
}

/* ---- offloading, INT8, compiled kernels ------------------------------------------------------ */

static void choose_offload(resolver *r)
{
    ace_settings *s = r->out;
    const ace_wishes *w = r->wishes;
    bool cpu = s->tier.offload_to_cpu_default;
    bool dit = s->tier.offload_dit_to_cpu_default;
    s->offload_source = r->defaults;
    s->offload_dit_source = r->defaults;
    if (w->offload_to_cpu != ACE_SWITCH_AUTO) {
        cpu = w->offload_to_cpu == ACE_SWITCH_ON;
        s->offload_source = w->offload_source;
        dit = dit && cpu;
    }
    if (w->offload_dit_to_cpu != ACE_SWITCH_AUTO) {
        dit = w->offload_dit_to_cpu == ACE_SWITCH_ON;
        s->offload_dit_source = w->offload_dit_source;
    }
    if (!cpu && is_smallest(r) && !is_free(r)) {
        ace_warn(r->warnings, "W10", "offload_to_cpu", "false", "true",
                 "CPU offload stays on: %s requires it", s->tier.label);
        cpu = true;
        dit = s->tier.offload_dit_to_cpu_default;
        s->offload_source = ACE_VALUE_FALLBACK;
    }
    if (!dit && s->tier.offload_dit_to_cpu_default && is_smallest(r) && !is_free(r)) {
        if (cpu && w->offload_dit_to_cpu == ACE_SWITCH_OFF) {
            ace_warn(r->warnings, "W10", "offload_dit_to_cpu", "false", "true",
                     "the diffusion transformer stays offloaded: %s requires it", s->tier.label);
            s->offload_dit_source = ACE_VALUE_FALLBACK;
        }
        dit = true;
    }
    if (dit && !cpu) {
        ace_warn(r->warnings, "W12", "offload_dit_to_cpu", "true", "false",
                 "offloading the diffusion transformer has no effect without offload_to_cpu");
        dit = false;
        s->offload_dit_source = ACE_VALUE_FALLBACK;
    }
    s->offload = !cpu ? ACE_OFFLOAD_NONE : dit ? ACE_OFFLOAD_CPU_DIT : ACE_OFFLOAD_CPU;
    s->offload_by_user =
        (s->tier.offload_to_cpu_default && !cpu) || (s->tier.offload_dit_to_cpu_default && !dit);
    if (!r->is_card) { /* the CPU works stage by stage: its memory is the models' home anyway */
        s->offload = ACE_OFFLOAD_CPU_DIT;
        s->offload_by_user = false;
    }
}

static void choose_int8(resolver *r)
{
    ace_settings *s = r->out;
    const ace_wishes *w = r->wishes;
    s->int8 = s->tier.quantization_default && r->is_card;
    s->int8_source = r->defaults;
    if (w->quantization != ACE_QUANTIZATION_AUTO) {
        s->int8 = w->quantization == ACE_QUANTIZATION_INT8;
        s->int8_source = w->quantization_source;
    }
    if (!s->int8 && is_smallest(r) && !is_free(r)) {
        ace_warn(r->warnings, "W09", "quantization", "none", "int8_weight_only",
                 "INT8 stays on: %s requires it", s->tier.label);
        s->int8 = true;
        s->int8_source = ACE_VALUE_FALLBACK;
    }
    s->int8_by_user = s->tier.quantization_default && r->is_card && !s->int8;
}

static void choose_compile(resolver *r)
{
    ace_settings *s = r->out;
    const ace_wishes *w = r->wishes;
    s->compile_model = s->tier.compile_model_default;
    s->compile_source = r->defaults;
    if (w->compile_model != ACE_SWITCH_AUTO) {
        s->compile_model = w->compile_model == ACE_SWITCH_ON;
        s->compile_source = w->compile_source;
    }
    if (s->int8 && !s->compile_model) {
        ace_warn(r->warnings, "W11", "compile_model", "false", "true",
                 "INT8 needs the compiled path: its weights exist only packed for the kernels");
        s->compile_model = true;
        s->compile_source = ACE_VALUE_FALLBACK;
    }
}

static void choose_attention(resolver *r)
{
    ace_settings *s = r->out;
    s->flash_attention = ace_hardware_has_flash_attention(r->hardware);
    s->flash_source = ACE_VALUE_DETECTED;
    if (r->wishes->flash_attention == ACE_SWITCH_OFF) {
        s->flash_attention = false;
        s->flash_source = r->wishes->flash_source;
    } else if (r->wishes->flash_attention == ACE_SWITCH_ON && !s->flash_attention) {
        ace_warn(r->warnings, "W13", "use_flash_attention", "true", "tiled",
                 "flash attention is not available on %s", r->hardware->device_name);
        s->flash_source = ACE_VALUE_FALLBACK;
    }
}

/* ---- limits ---------------------------------------------------------------------------------- */

static void choose_limits(resolver *r)
{
    ace_settings *s = r->out;
    s->max_duration = s->lm_runs ? s->tier.max_duration_with_lm : s->tier.max_duration_without_lm;
    s->max_batch = s->lm_runs ? s->tier.max_batch_with_lm : s->tier.max_batch_without_lm;
    if (s->exact_limits) {
        s->max_duration = ACE_LONGEST_SONG;
        s->max_batch = ACE_LARGEST_BATCH;
    }
}

void ace_settings_resolve(const ace_hardware *hardware, const ace_tier_table *tiers,
                          const ace_wishes *wishes, ace_warnings *warnings, ace_settings *out)
{
    memset(out, 0, sizeof *out);
    resolver r = {.hardware = hardware,
                  .tiers = tiers,
                  .wishes = wishes,
                  .warnings = warnings,
                  .out = out,
                  .is_card = hardware->device != ACE_DEVICE_CPU};
    choose_tier(&r);
    choose_lm(&r);
    choose_backend(&r);
    choose_kv_cache(&r);
    choose_offload(&r);
    choose_int8(&r);
    choose_compile(&r);
    choose_attention(&r);
    choose_limits(&r);
}

const char *ace_kv_cache_name(bool int8_cache)
{
    return int8_cache ? "int8" : "bf16";
}

int ace_settings_lm_duration_limit(const ace_settings *s)
{
    return (int)(s->exact_limits ? ACE_LONGEST_SONG : s->tier.max_duration_with_lm);
}
