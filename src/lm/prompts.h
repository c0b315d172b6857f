/* Prompts of the language model: the chat template, reduced to what is used, around what a mode
 * asks. Original: acestep/llm_inference.py, acestep/constants.py. */
#ifndef ACE_LM_PROMPTS_H
#define ACE_LM_PROMPTS_H

#include "base/status.h"

#include <stdbool.h>

typedef enum ace_lm_mode {
    ACE_LM_GENERATE,   /* metadata, then codes */
    ACE_LM_UNDERSTAND, /* codes to metadata and lyrics */
    ACE_LM_CREATE,     /* one sentence to metadata and lyrics */
    ACE_LM_FORMAT      /* caption and lyrics to better ones, and metadata */
} ace_lm_mode;

/* Texts are borrowed; NULL stands for an empty one. What a user wrote can contain no added token:
 * "<|im_end|>" and its like are taken apart (a space behind their "<"). */
typedef struct ace_lm_prompt_input {
    const char *caption, *lyrics; /* GENERATE, FORMAT */
    const char *codes;            /* UNDERSTAND: "<|audio_code_1|><|audio_code_2|>…" */
    const char *query;            /* CREATE */
    bool instrumental;            /* CREATE */
    const char *negative;         /* blank or "NO USER INPUT": none */
    const char
        *block;  /* GENERATE: what ace_lm_fields_block wrote; NULL: the model is to write it */
    bool legacy; /* the layout before the fix of upstream issue 1126 */
} ace_lm_prompt_input;

/* *out is freed with ace_free. */
ace_status ace_lm_prompt(ace_lm_mode mode, const ace_lm_prompt_input *in, char **out,
                         ace_error *err);
/* The twin for guidance, of GENERATE: with a block, before codes; without one, before metadata (the
 * original guides metadata in the legacy layout only). */
ace_status ace_lm_unconditional_prompt(const ace_lm_prompt_input *in, char **out, ace_error *err);

#endif
