/* The checkpoints of an engine, open and described: everything a job needs to know about them
 * without reading a single weight. Immutable after opening. */
#ifndef ACE_RUN_MODELS_H
#define ACE_RUN_MODELS_H

#include "lm/vocabulary.h"
#include "model/config.h"
#include "model/model_set.h"
#include "run/request.h"
#include "text/tokenizer.h"
#include "weights/weights.h"

typedef struct ace_models {
    ace_model_set set; /* paths and the card */
    ace_weights *dit, *vae, *text;
    ace_dit_config dit_config;
    ace_vae_config vae_config;
    ace_qwen3_config text_config;
    ace_weights *lm; /* the chosen language model, NULL: none */
    ace_qwen3_config lm_config;
    ace_tokenizer *lm_tokenizer;
    ace_lm_vocabulary lm_vocabulary;
    char lm_name[ACE_MODEL_NAME_BYTES];
    ace_tokenizer *tokenizer; /* of the text encoder */
    float *silence;           /* [silence_frames, latent_channels] */
    int64_t silence_frames;   /* the longest song */
    char name[128];           /* of the diffusion model */
    bool synthetic;
} ace_models;

ace_status ace_models_open(const ace_request *request, ace_models *out, ace_error *err);
/* MODEL when the autoencoder's frames are not 40 ms long: no song can be made with it, though its
 * network computes. */
ace_status ace_models_check_rate(const ace_models *m, ace_error *err);
/* Frames of silence that stand for a missing reference. */
int64_t ace_models_silence_heard(const ace_models *m);
/* The language model of the set; the caller closes *weights. MODEL when the set has none. */
ace_status ace_models_open_lm(const ace_models *m, ace_weights **weights, ace_qwen3_config *config,
                              ace_error *err);
/* The tokenizer beside it, or inside a GGUF file; the caller frees *out. */
ace_status ace_models_open_lm_tokenizer(const ace_models *m, const ace_weights *lm,
                                        const ace_qwen3_config *config, ace_tokenizer **out,
                                        ace_error *err);
/* Makes this one of the folder's language models the set's. */
ace_status ace_models_choose_lm(ace_models *m, const char *name, ace_error *err);
void ace_models_close(ace_models *m); /* a zeroed one is fine */

#endif
