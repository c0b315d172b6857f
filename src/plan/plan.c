#include "plan/plan.h"

static const char *const codes[ACE_PARTS] = {"LM", "TE", "VE", "CE",   "TK",
                                             "DK", "DD", "DD", "LORA", "VD"};

static const char *const titles[ACE_PARTS] = {
    "language model",  "text encoder",      "audio encoder",         "condition encoder",
    "audio tokenizer", "audio detokenizer", "diffusion transformer", "diffusion transformer",
    "adapters",        "audio decoder"};

static const char *const stage_keys[ACE_STAGES] = {
    "load", "lm", "text", "encode", "condition", "codes", "diffusion", "align", "vae"};

static const char *const stage_titles[ACE_STAGES] = {
    "loading",     "language model", "text encoder",    "audio encoder", "condition encoder",
    "audio codes", "diffusion",      "lyric alignment", "audio decoder"};

bool ace_plan_keeps(const ace_plan *plan, ace_part part)
{
    if (part == ACE_PART_ADAPTERS) {
        return false;
    }
    switch (plan->offload) {
    case ACE_OFFLOAD_NONE:
        return true;
    case ACE_OFFLOAD_CPU:
        return part == ACE_PART_LM ? plan->lm_stays
                                   : part == ACE_PART_CONDITION || part == ACE_PART_TOKENIZER ||
                                         part == ACE_PART_DETOKENIZER ||
                                         part == ACE_PART_DIT_CONDITION || part == ACE_PART_DIT;
    case ACE_OFFLOAD_CPU_DIT:
        break;
    }
    return false;
}

bool ace_part_is_quantised(ace_part part)
{
    return part == ACE_PART_CONDITION || part == ACE_PART_DIT_CONDITION || part == ACE_PART_DIT;
}

const char *ace_part_code(ace_part part)
{
    return codes[part];
}

const char *ace_part_title(ace_part part)
{
    return titles[part];
}

const char *ace_stage_key(ace_stage_id stage)
{
    return stage_keys[stage];
}

const char *ace_stage_title(ace_stage_id stage)
{
    return stage_titles[stage];
}

const char *ace_vae_place_name(ace_vae_place vae)
{
    static const char *const names[] = {"A", "B", "C"};
    return names[vae];
}

typedef struct rung {
    double free_gb; /* at least */
    int64_t chunk;
} rung;

static const rung rungs[] = {{8, 1536}, {5, 1024}, {2.5, 512}, {1, 256}, {0.5, 128}, {0, 64}};
enum { RUNGS = sizeof rungs / sizeof rungs[0] };

int64_t ace_vae_chunk_for(size_t free_bytes)
{
    double gb = (double)free_bytes / (double)((size_t)1 << 30);
    int i = 0;
    while (i + 1 < RUNGS && gb < rungs[i].free_gb) {
        i++;
    }
    return rungs[i].chunk;
}

int64_t ace_vae_chunk_below(int64_t chunk)
{
    for (int i = 0; i < RUNGS; i++) {
        if (rungs[i].chunk < chunk) {
            return rungs[i].chunk;
        }
    }
    return 0;
}
