/* Dimensions of the networks, from the checkpoints' config.json. Every size of the engine comes
 * from here; nothing assumes the published ones. Values are checked on reading: positive, bounded,
 * and consistent with each other. */
#ifndef ACE_MODEL_CONFIG_H
#define ACE_MODEL_CONFIG_H

#include "base/status.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    ACE_MAX_LAYERS = 96,
    ACE_MAX_HEAD_DIM = 1024,
    ACE_MAX_FSQ_LEVELS = 8,
    ACE_MAX_VAE_BLOCKS = 8,
    ACE_TIMBRE_FRAMES = 750 /* of a reference: 30 s */
};

/* A pre-norm transformer with grouped-query attention, per-head RMS norm, RoPE and SwiGLU (Qwen3).
 */
typedef struct ace_block_config {
    int64_t hidden, intermediate, heads, kv_heads, head_dim;
    int64_t window; /* of the sliding layers: keys with |i - j| ≤ window */
    float rms_eps;
    double rope_theta;
    /* the config does not say: the original's default, until the tensors have been seen
     * (config_assumed.h) */
    bool head_dim_assumed, kv_heads_assumed;
} ace_block_config;

typedef struct ace_qwen3_config { /* text encoder and 5 Hz language model */
    ace_block_config block;
    int64_t layers, vocabulary;
    bool tied_embeddings;
} ace_qwen3_config;

typedef struct ace_dit_config {
    ace_block_config decoder; /* the diffusion transformer */
    ace_block_config encoder; /* condition encoder, FSQ tokenizer and detokenizer */
    int64_t layers, lyric_layers, timbre_layers, pooler_layers, detokenizer_layers;
    bool sliding[ACE_MAX_LAYERS]; /* by layer index, shared by all stacks */
    int64_t latent_channels;      /* 64 */
    int64_t in_channels;          /* 192: source latents, chunk mask, x_t */
    int64_t patch;                /* 2 */
    int64_t text_dim;             /* 1024 */
    int64_t timbre_frames;        /* ACE_TIMBRE_FRAMES */
    int64_t pool_window;          /* 5 latent frames to one code */
    int fsq_levels[ACE_MAX_FSQ_LEVELS];
    int n_fsq_levels;
    int64_t fsq_codes; /* product of the levels */
    /* bit h of a layer: its head h follows the lyrics (lyric_alignment_layers_config); all 0: the
     * checkpoint does not say */
    uint64_t lyric_heads[ACE_MAX_LAYERS];
    bool turbo;      /* distilled: fixed schedules, no guidance */
    bool timbre_cls; /* XL: a special token is prepended to the timbre sequence. The key
                        encoder_hidden_size in the config marks these checkpoints */
} ace_dit_config;

typedef struct ace_vae_config { /* Oobleck */
    int64_t audio_channels, latent_channels, encoder_hidden, decoder_channels;
    int n_blocks;
    int64_t multiples[ACE_MAX_VAE_BLOCKS], strides[ACE_MAX_VAE_BLOCKS]; /* encoder order */
    int64_t hop; /* product of the strides: 1920 samples */
    int sample_rate;
} ace_vae_config;

ace_status ace_qwen3_config_parse(const char *json, size_t bytes, const char *path,
                                  ace_qwen3_config *out, ace_error *err);
ace_status ace_dit_config_parse(const char *json, size_t bytes, const char *path,
                                ace_dit_config *out, ace_error *err);
ace_status ace_vae_config_parse(const char *json, size_t bytes, const char *path,
                                ace_vae_config *out, ace_error *err);

/* The published shapes, for plans and benchmarks without files:
 * dit: "turbo", "base", "sft", "xl-turbo", "xl-base", "xl-sft"; lm: "0.6B", "1.7B", "4B".
 * ARGUMENT error for another name. */
ace_status ace_dit_config_published(const char *name, ace_dit_config *out, ace_error *err);
ace_status ace_language_model_config_published(const char *name, ace_qwen3_config *out,
                                               ace_error *err);
void ace_text_encoder_config_published(ace_qwen3_config *out);
void ace_vae_config_published(ace_vae_config *out);

#endif
