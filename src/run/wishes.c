/* The request's options as wishes for hardware and settings. */
#include "run/planning.h"

#include <stdio.h>
#include <string.h>

ace_hardware_wishes ace_hardware_wishes_of(const ace_request *r)
{
    return (ace_hardware_wishes){.device = r->device,
                                 .gpu = (int)r->gpu,
                                 .max_cuda_vram = r->max_cuda_vram,
                                 .max_mps_vram = r->max_mps_vram,
                                 .max_xpu_vram = r->max_xpu_vram};
}

void ace_lm_list_published(ace_lm_list *out)
{
    memset(out, 0, sizeof *out);
    for (int i = 0; i < ACE_LM_SIZES; i++) {
        (void)snprintf(out->name[out->count++], sizeof out->name[0], "acestep-5Hz-lm-%s",
                       ace_lm_size_name((ace_lm_size)i));
    }
}

static ace_value_source source_of(const ace_request *r, int option)
{
    switch ((ace_option_source)r->source[option]) {
    case ACE_FROM_CONFIG:
        return ACE_VALUE_CONFIG;
    case ACE_FROM_ENVIRONMENT:
        return ACE_VALUE_ENVIRONMENT;
    case ACE_FROM_CALLER:
        return ACE_VALUE_CALLER;
    case ACE_FROM_DEFAULT:
        break;
    }
    return ACE_VALUE_TABLE;
}

/* Anything that only the language model can do asks for it; a source or given codes leave it
 * nothing to plan (acestep/inference.py, generate_music). */
static ace_switch lm_switch(const ace_request *r)
{
    if (r->task_type != 0) {
        return ACE_SWITCH_OFF;
    }
    bool asked = r->use_cot_metas == ACE_SWITCH_ON || r->use_cot_caption == ACE_SWITCH_ON ||
                 r->use_cot_language == ACE_SWITCH_ON || r->use_cot_lyrics || r->use_format ||
                 r->sample_query[0] != '\0';
    if (!asked && r->audio_codes[0] != '\0') {
        return ACE_SWITCH_OFF;
    }
    return asked ? ACE_SWITCH_ON : (ace_switch)r->thinking;
}

void ace_resolve_settings(const ace_hardware *hardware, const ace_tier_table *tiers,
                          const ace_lm_list *lms, const ace_request *r, ace_warnings *warnings,
                          ace_settings *out)
{
    const char *names[ACE_MAX_LMS];
    for (int i = 0; i < lms->count; i++) {
        names[i] = lms->name[i];
    }
    ace_wishes wishes = {
        .init_llm = (ace_switch)r->init_llm,
        .offload_to_cpu = (ace_switch)r->offload_to_cpu,
        .offload_dit_to_cpu = (ace_switch)r->offload_dit_to_cpu,
        .compile_model = (ace_switch)r->compile_model,
        .flash_attention = (ace_switch)r->use_flash_attention,
        .quantization = r->quantization >= ACE_QUANTIZATION_INT8
                            ? ACE_QUANTIZATION_INT8
                            : (ace_quantization)r->quantization,
        .limits = (ace_limits)r->limits,
        .kv_cache = (ace_kv_cache)r->kv_cache_dtype,
        .lm_model = r->lm_model_path,
        .backend = r->backend,
        .tier = r->tier,
        .force_config = r->force_config,
        .thinking = lm_switch(r),
        .lm_on_disk = names,
        .n_lm_on_disk = lms->count,
        .init_llm_source = source_of(r, ACE_OPTION_init_llm),
        .offload_source = source_of(r, ACE_OPTION_offload_to_cpu),
        .offload_dit_source = source_of(r, ACE_OPTION_offload_dit_to_cpu),
        .compile_source = source_of(r, ACE_OPTION_compile_model),
        .flash_source = source_of(r, ACE_OPTION_use_flash_attention),
        .quantization_source = source_of(r, ACE_OPTION_quantization),
        .lm_model_source = source_of(r, ACE_OPTION_lm_model_path),
        .backend_source = source_of(r, ACE_OPTION_backend),
        .kv_cache_source = source_of(r, ACE_OPTION_kv_cache_dtype),
        .tier_source = source_of(r, ACE_OPTION_tier),
    };
    ace_settings_resolve(hardware, tiers, &wishes, warnings, out);
}
