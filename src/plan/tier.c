#include "plan/tier.h"

#include <stdio.h>
#include <string.h>

#define GUIDE_06B                                                                                  \
    {                                                                                              \
        true, false, false                                                                         \
    }
#define GUIDE_17B                                                                                  \
    {                                                                                              \
        true, true, false                                                                          \
    }
#define GUIDE_ALL                                                                                  \
    {                                                                                              \
        true, true, true                                                                           \
    }
#define GUIDE_GB_06B                                                                               \
    {                                                                                              \
        3, 0, 0                                                                                    \
    }
#define GUIDE_GB_17B                                                                               \
    {                                                                                              \
        3, 8, 0                                                                                    \
    }
#define GUIDE_GB_ALL                                                                               \
    {                                                                                              \
        3, 8, 12                                                                                   \
    }

/* Durations, batches, models, backends, offloading and quantization: the GPU Compatibility Guide.
 * Where the original's gpu_config.py says something else (tier 3 batches two with its language
 * model there, tiers 5 and 6b more), the guide wins. lm_memory_gb and init_lm_default stand in
 * gpu_config.py only. */
static const ace_tier guide[ACE_TIERS] = {
    {.key = "tier1",
     .label = "tier1 (≤4GB)",
     .max_duration_with_lm = 240,
     .max_duration_without_lm = 360,
     .max_batch_with_lm = 1,
     .max_batch_without_lm = 1,
     .recommended_lm = -1,
     .recommended_backend = ACE_LM_PT,
     .offload_to_cpu_default = true,
     .offload_dit_to_cpu_default = true,
     .quantization_default = true,
     .compile_model_default = true},
    {.key = "tier2",
     .label = "tier2 (4-6GB)",
     .max_duration_with_lm = 480,
     .max_duration_without_lm = 600,
     .max_batch_with_lm = 1,
     .max_batch_without_lm = 1,
     .recommended_lm = -1,
     .recommended_backend = ACE_LM_PT,
     .offload_to_cpu_default = true,
     .offload_dit_to_cpu_default = true,
     .quantization_default = true,
     .compile_model_default = true},
    {.key = "tier3",
     .label = "tier3 (6-8GB)",
     .max_duration_with_lm = 480,
     .max_duration_without_lm = 600,
     .max_batch_with_lm = 1,
     .max_batch_without_lm = 2,
     .init_lm_default = true,
     .available_lm = GUIDE_06B,
     .recommended_lm = ACE_LM_06B,
     .lm_memory_gb = GUIDE_GB_06B,
     .recommended_backend = ACE_LM_PT,
     .offload_to_cpu_default = true,
     .offload_dit_to_cpu_default = true,
     .quantization_default = true,
     .compile_model_default = true},
    {.key = "tier4",
     .label = "tier4 (8-12GB)",
     .max_duration_with_lm = 480,
     .max_duration_without_lm = 600,
     .max_batch_with_lm = 2,
     .max_batch_without_lm = 4,
     .init_lm_default = true,
     .available_lm = GUIDE_06B,
     .recommended_lm = ACE_LM_06B,
     .lm_memory_gb = GUIDE_GB_06B,
     .vllm_allowed = true,
     .recommended_backend = ACE_LM_VLLM,
     .offload_to_cpu_default = true,
     .offload_dit_to_cpu_default = true,
     .quantization_default = true,
     .compile_model_default = true},
    {.key = "tier5",
     .label = "tier5 (12-16GB)",
     .max_duration_with_lm = 480,
     .max_duration_without_lm = 600,
     .max_batch_with_lm = 2,
     .max_batch_without_lm = 4,
     .init_lm_default = true,
     .available_lm = GUIDE_17B,
     .recommended_lm = ACE_LM_17B,
     .lm_memory_gb = GUIDE_GB_17B,
     .vllm_allowed = true,
     .recommended_backend = ACE_LM_VLLM,
     .offload_to_cpu_default = true,
     .quantization_default = true,
     .compile_model_default = true},
    {.key = "tier6a",
     .label = "tier6a (16-20GB)",
     .max_duration_with_lm = 480,
     .max_duration_without_lm = 600,
     .max_batch_with_lm = 4,
     .max_batch_without_lm = 8,
     .init_lm_default = true,
     .available_lm = GUIDE_17B,
     .recommended_lm = ACE_LM_17B,
     .lm_memory_gb = GUIDE_GB_17B,
     .vllm_allowed = true,
     .recommended_backend = ACE_LM_VLLM,
     .offload_to_cpu_default = true,
     .quantization_default = true,
     .compile_model_default = true},
    {.key = "tier6b",
     .label = "tier6b (20-24GB)",
     .max_duration_with_lm = 480,
     .max_duration_without_lm = 480,
     .max_batch_with_lm = 4,
     .max_batch_without_lm = 8,
     .init_lm_default = true,
     .available_lm = GUIDE_ALL,
     .recommended_lm = ACE_LM_17B,
     .lm_memory_gb = GUIDE_GB_ALL,
     .vllm_allowed = true,
     .recommended_backend = ACE_LM_VLLM,
     .compile_model_default = true},
    {.key = "unlimited",
     .label = "unlimited (≥24GB)",
     .max_duration_with_lm = 600,
     .max_duration_without_lm = 600,
     .max_batch_with_lm = 8,
     .max_batch_without_lm = 8,
     .init_lm_default = true,
     .available_lm = GUIDE_ALL,
     .recommended_lm = ACE_LM_4B,
     .lm_memory_gb = GUIDE_GB_ALL,
     .vllm_allowed = true,
     .recommended_backend = ACE_LM_VLLM,
     .compile_model_default = true},
};

void ace_tier_table_default(ace_tier_table *out)
{
    memset(out, 0, sizeof *out);
    memcpy(out->row, guide, sizeof guide);
}

/* The guide leaves open to which tier its round numbers belong; its examples (MAX_CUDA_VRAM=4 is
 * tier 1, 6 tier 2, 8 tier 4, …) settle it. 15.5: what cards sold as 16 GB report, after the
 * original's tolerance of 0.5. */
int ace_tier_of_gb(double gb)
{
    static const double from[] = {8, 12, 15.5, 20, 24};
    if (!(gb > 4)) {
        return 0;
    }
    if (gb <= 6) {
        return 1;
    }
    int tier = 2;
    for (size_t i = 0; i < sizeof from / sizeof *from && gb >= from[i]; i++) {
        tier++;
    }
    return tier;
}

int ace_tier_find(const char *key)
{
    for (int i = 0; i < ACE_TIERS; i++) {
        if (strcmp(key, guide[i].key) == 0 || strcmp(key, guide[i].label) == 0) {
            return i;
        }
    }
    return strcmp(key, "tier6") == 0 ? ace_tier_find("tier6b") : -1;
}

const char *ace_lm_size_name(ace_lm_size size)
{
    static const char *const names[ACE_LM_SIZES] = {"0.6B", "1.7B", "4B"};
    return names[size];
}

bool ace_lm_size_parse(const char *model_name, ace_lm_size *out)
{
    for (int size = 0; size < ACE_LM_SIZES; size++) {
        if (strstr(model_name, ace_lm_size_name((ace_lm_size)size)) != NULL) {
            *out = (ace_lm_size)size;
            return true;
        }
    }
    return false;
}

ace_lm_size ace_lm_size_of(const char *model_name)
{
    ace_lm_size size = ACE_LM_06B;
    (void)ace_lm_size_parse(model_name, &size);
    return size;
}

const char *ace_lm_backend_name(ace_lm_backend backend)
{
    static const char *const names[] = {"pt", "vllm", "mlx"};
    return names[backend];
}

bool ace_lm_backend_parse(const char *name, ace_lm_backend *out)
{
    for (int b = ACE_LM_PT; b <= ACE_LM_MLX; b++) {
        if (strcmp(name, ace_lm_backend_name((ace_lm_backend)b)) == 0) {
            *out = (ace_lm_backend)b;
            return true;
        }
    }
    return false;
}

const char *ace_offload_name(ace_offload offload)
{
    static const char *const names[] = {"none", "cpu", "cpu+dit"};
    return names[offload];
}
