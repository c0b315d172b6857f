/* The controls of a page, set up for the card: value, choices, whether they can be changed, and a
 * note that says why (gpu.md 3.1, 3.2). */
#include "api/info.h"

#include <stdio.h>

static json_t *control(json_t *value, json_t *choices, bool disabled, const char *note)
{
    return json_pack("{s:o, s:o, s:b, s:s}", "value", value, "choices", choices, "disabled",
                     (int)disabled, "note", note);
}

static json_t *on_off(void)
{
    return json_pack("[b, b]", 0, 1);
}

static json_t *words(const char *const *list, int n)
{
    json_t *array = json_array();
    for (int i = 0; i < n; i++) {
        json_array_append_new(array, json_string(list[i]));
    }
    return array;
}

json_t *ace_info_lm_choices(const ace_info *info, bool *restricted)
{
    json_t *offered = json_array();
    const ace_tier *t = &info->settings.tier;
    for (int i = 0; i < info->lms.count; i++) {
        if (t->available_lm[ace_lm_size_of(info->lms.name[i])]) {
            json_array_append_new(offered, json_string(info->lms.name[i]));
        }
    }
    *restricted = json_array_size(offered) > 0;
    if (!*restricted && t->init_lm_default) { /* none that fits: everything there is, with a note */
        for (int i = 0; i < info->lms.count; i++) {
            json_array_append_new(offered, json_string(info->lms.name[i]));
        }
    }
    return offered;
}

static bool offers_lm(const ace_info *info)
{
    const ace_tier *t = &info->settings.tier;
    return t->available_lm[ACE_LM_06B] || t->available_lm[ACE_LM_17B] || t->available_lm[ACE_LM_4B];
}

static void add_lm(const ace_info *info, json_t *out)
{
    const ace_settings *s = &info->settings;
    char note[200] = "";
    bool restricted = false;
    bool offered = offers_lm(info);
    if (!offered) {
        (void)snprintf(note, sizeof note, "%s leaves its memory to the diffusion model",
                       s->tier.label);
    }
    /* the box shows what the tier starts, whether or not a model is on disk yet */
    bool checked =
        offered &&
        (s->init_llm || (s->tier.init_lm_default && s->init_llm_source == ACE_VALUE_FALLBACK));
    json_object_set_new(out, "init_llm", control(json_boolean(checked), on_off(), !offered, note));
    json_t *choices = ace_info_lm_choices(info, &restricted);
    (void)snprintf(note, sizeof note, "%s",
                   restricted || !offered         ? ""
                   : json_array_size(choices) > 0 ? "none of the recommended sizes is on disk"
                                                  : "no language model is on disk");
    char name[64] = "";
    if (s->lm_model[0] == '\0' && s->tier.recommended_lm >= 0) {
        (void)snprintf(name, sizeof name, "acestep-5Hz-lm-%s",
                       ace_lm_size_name((ace_lm_size)s->tier.recommended_lm));
    }
    json_object_set_new(out, "lm_model_path",
                        control(json_string(s->lm_model[0] != '\0' && offered ? s->lm_model : name),
                                choices, !offered, note));
}

static void add_backend(const ace_info *info, json_t *out)
{
    static const char *const all[] = {"vllm", "pt", "mlx"};
    const ace_settings *s = &info->settings;
    bool limited = !s->tier.vllm_allowed;
    ace_lm_backend value = info->hardware.device == ACE_DEVICE_CPU && info->hardware.gb > 0
                               ? s->tier.recommended_backend
                               : s->backend;
    json_object_set_new(out, "backend",
                        control(json_string(ace_lm_backend_name(value)),
                                limited ? words(all + 1, 2) : words(all, 3), false,
                                limited ? "vllm is not offered: its cache needs more memory" : ""));
}

static void add_kv_cache(const ace_info *info, json_t *out)
{
    static const char *const all[] = {"bf16", "int8"};
    json_object_set_new(out, "kv_cache_dtype",
                        control(json_string(ace_kv_cache_name(info->settings.int8_cache)),
                                words(all, 2), false,
                                "int8: half the memory, and other songs than with bf16"));
}

static void add_memory(const ace_info *info, json_t *out)
{
    static const char *const quantizations[] = {"none", "int8_weight_only"};
    const ace_settings *s = &info->settings;
    bool smallest = info->hardware.device != ACE_DEVICE_CPU && s->tier_index <= 1;
    bool locked = smallest && !s->force_config; /* W09, W10: it would be turned on again */
    const char *advice = smallest                         ? "required on this card"
                         : s->tier.offload_to_cpu_default ? "recommended for this card"
                                                          : "optional on this card";
    bool cpu = info->hardware.device == ACE_DEVICE_CPU;
    json_object_set_new(out, "offload_to_cpu",
                        control(json_boolean(s->offload != ACE_OFFLOAD_NONE && !cpu), on_off(),
                                cpu || locked,
                                cpu ? "nothing to offload: there is no card" : advice));
    json_object_set_new(
        out, "offload_dit_to_cpu",
        control(json_boolean(s->offload == ACE_OFFLOAD_CPU_DIT && !cpu), on_off(),
                cpu || locked || s->offload == ACE_OFFLOAD_NONE,
                locked ? "required on this card" : "works together with offload_to_cpu"));
    json_object_set_new(out, "quantization",
                        control(json_string(quantizations[s->int8]), words(quantizations, 2),
                                locked,
                                smallest                       ? "required on this card"
                                : s->tier.quantization_default ? "recommended for this card"
                                                               : "not needed on this card"));
    json_object_set_new(
        out, "compile_model",
        control(json_boolean(s->compile_model), on_off(), s->int8, s->int8 ? "INT8 needs it" : ""));
    bool flash = ace_hardware_has_flash_attention(&info->hardware);
    json_object_set_new(out, "use_flash_attention",
                        control(json_boolean(s->flash_attention), on_off(), !flash,
                                flash ? "" : "not available on this device"));
}

/* Limits follow the box of the language model (gpu.md 5: the page's rule). */
static void add_limits(const ace_info *info, json_t *out)
{
    const ace_settings *s = info->settings.init_llm ? &info->with_lm : &info->without_lm;
    int songs = s->max_batch < 2 ? s->max_batch : 2;
    json_object_set_new(out, "duration",
                        json_pack("{s:i, s:i, s:f, s:b, s:s}", "value", -1, "min",
                                  ACE_SHORTEST_SONG, "max", s->max_duration, "disabled", 0, "note",
                                  "-1: as long as it takes"));
    json_object_set_new(out, "batch_size",
                        json_pack("{s:i, s:i, s:i, s:b, s:s}", "value", songs, "min", 1, "max",
                                  s->max_batch, "disabled", 0, "note", ""));
    json_t *limits =
        json_pack("{s:{s:f, s:i}, s:{s:f, s:i}}", "with_lm", "duration", info->with_lm.max_duration,
                  "batch_size", info->with_lm.max_batch, "without_lm", "duration",
                  info->without_lm.max_duration, "batch_size", info->without_lm.max_batch);
    json_object_set_new(out, "limits", limits);
}

static void add_tier(const ace_info *info, json_t *out)
{
    json_t *choices = json_array();
    for (int i = 0; i < ACE_TIERS; i++) {
        json_array_append_new(choices, json_string(info->tiers.row[i].label));
    }
    json_object_set_new(out, "tier",
                        control(json_string(info->settings.tier.label), choices, false,
                                "changes the defaults, not the memory"));
}

json_t *ace_info_controls(const ace_info *info)
{
    json_t *out = json_object();
    add_lm(info, out);
    add_backend(info, out);
    add_kv_cache(info, out);
    add_memory(info, out);
    add_limits(info, out);
    add_tier(info, out);
    return out;
}
