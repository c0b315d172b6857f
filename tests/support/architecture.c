#include "support/architecture.h"

#include <stdio.h>
#include <string.h>

/* ---- drawing --------------------------------------------------------------------------------- */

uint64_t draw_bits(drawer *d)
{
    d->state += UINT64_C(0x9e3779b97f4a7c15);
    uint64_t x = d->state;
    x = (x ^ x >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    x = (x ^ x >> 27) * UINT64_C(0x94d049bb133111eb);
    return x ^ x >> 31;
}

int64_t draw_between(drawer *d, int64_t least, int64_t most)
{
    return least + (int64_t)(draw_bits(d) % (uint64_t)(most - least + 1));
}

bool draw_coin(drawer *d)
{
    return draw_bits(d) >> 63 != 0;
}

float draw_unit(drawer *d)
{
    return (float)(draw_bits(d) >> 40) / 8388608.0f - 1.0f;
}

static int64_t draw_of(drawer *d, const int64_t *choices, int n)
{
    return choices[draw_between(d, 0, n - 1)];
}

/* ---- sizes ----------------------------------------------------------------------------------- */

static ace_block_config draw_block(drawer *d)
{
    static const int64_t head_dims[] = {2, 4, 6, 8, 10, 14, 16, 20, 24, 32, 34, 48, 64, 80, 128};
    static const double thetas[] = {1e4, 1e6, 5e5, 37.5};
    ace_block_config b = {
        /* norms of fewer numbers magnify what rounding does to them */
        .hidden = draw_between(d, 5, 100),
        .intermediate = draw_between(d, 3, 160),
        .kv_heads = draw_between(d, 1, 4),
        .head_dim = draw_of(d, head_dims, 15),
        .window = draw_between(d, 1, 12),
        .rms_eps = draw_coin(d) ? 1e-6f : 1e-5f,
        .rope_theta = thetas[draw_between(d, 0, 3)],
    };
    b.heads = b.kv_heads * draw_between(d, 1, 5);
    return b;
}

static void draw_levels(drawer *d, ace_dit_config *c)
{
    c->n_fsq_levels = (int)draw_between(d, 1, ACE_MAX_FSQ_LEVELS);
    c->fsq_codes = 1;
    for (int i = 0; i < c->n_fsq_levels; i++) {
        c->fsq_levels[i] = (int)draw_between(d, 2, 9);
        c->fsq_codes *= c->fsq_levels[i];
    }
}

/* XL: an encoder of other sizes; head_dim, window and angles are the decoder's. */
static void draw_encoder(drawer *d, ace_dit_config *c)
{
    c->encoder = c->decoder;
    c->timbre_cls = draw_coin(d);
    if (c->timbre_cls) {
        c->encoder.hidden = draw_between(d, 5, 100);
        c->encoder.intermediate = draw_between(d, 3, 160);
        c->encoder.kv_heads = draw_between(d, 1, 4);
        c->encoder.heads = c->encoder.kv_heads * draw_between(d, 1, 4);
    }
}

static void draw_sliding(drawer *d, ace_dit_config *c)
{
    int kind = (int)draw_between(d, 0, 3); /* as by default twice, none, or any */
    for (int i = 0; i < ACE_MAX_LAYERS; i++) {
        c->sliding[i] = kind < 2 ? i % 2 == 0 : kind == 3 && draw_coin(d);
    }
}

static int64_t least_of(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

static void draw_dit(drawer *d, ace_dit_config *c)
{
    c->decoder = draw_block(d);
    draw_encoder(d, c);
    draw_sliding(d, c);
    draw_levels(d, c);
    c->layers = draw_between(d, 1, 4);
    c->lyric_layers = least_of(draw_between(d, 1, 4), c->layers);
    c->timbre_layers = least_of(draw_between(d, 1, 4), c->layers);
    c->pooler_layers = draw_between(d, 1, 3);
    c->detokenizer_layers = c->pooler_layers;
    c->latent_channels = draw_between(d, 1, 20);
    c->in_channels = 3 * c->latent_channels;
    c->patch = draw_coin(d) ? 2 : draw_between(d, 1, 5);
    c->timbre_frames = ACE_TIMBRE_FRAMES;
    c->pool_window = draw_coin(d) ? 5 : draw_between(d, 1, 9);
    c->turbo = draw_coin(d);
}

/* Even strides whose product is 1920, in any order. */
static void draw_published_hop(drawer *d, ace_vae_config *c)
{
    static const int64_t factors[][6] = {{2, 4, 4, 6, 10}, {4, 8, 6, 10},       {2, 2, 4, 4, 30},
                                         {8, 8, 30},       {2, 2, 2, 4, 6, 10}, {16, 12, 10}};
    const int64_t *of = factors[draw_between(d, 0, 5)];
    c->n_blocks = 0;
    while (c->n_blocks < 6 && of[c->n_blocks] != 0) {
        int64_t place = draw_between(d, 0, c->n_blocks);
        c->strides[c->n_blocks] = c->strides[place];
        c->strides[place] = of[c->n_blocks++];
    }
}

static void draw_vae(drawer *d, bool songs, ace_vae_config *c)
{
    c->audio_channels = 2;
    c->sample_rate = 48000;
    c->encoder_hidden = draw_between(d, 1, songs ? 4 : 10);
    c->decoder_channels = draw_between(d, 1, songs ? 4 : 10);
    c->n_blocks = (int)draw_between(d, 1, 5);
    c->hop = 1;
    for (int i = 0; i < c->n_blocks; i++) {
        c->strides[i] = 2 * (c->hop > 64 ? 1 : draw_between(d, 1, 6));
        c->hop *= c->strides[i];
    }
    if (songs) {
        c->hop = 1920;
        draw_published_hop(d, c);
    }
    for (int i = 0; i < c->n_blocks; i++) {
        c->multiples[i] = draw_between(d, 1, 4);
    }
}

static void draw_qwen3(drawer *d, int64_t vocabulary, ace_qwen3_config *c)
{
    c->block = draw_block(d);
    c->block.window = 0;
    c->layers = draw_between(d, 1, 3);
    c->vocabulary = vocabulary;
    c->tied_embeddings = draw_coin(d);
}

void architecture_draw(uint64_t seed, bool songs, architecture *out)
{
    enum { TOKENIZER_IDS = 496 }; /* of the recorded text encoder */
    drawer d = {seed};
    memset(out, 0, sizeof *out);
    out->seed = seed;
    draw_dit(&d, &out->dit);
    draw_vae(&d, songs, &out->vae);
    out->vae.latent_channels = out->dit.latent_channels;
    draw_qwen3(&d, songs ? draw_between(&d, TOKENIZER_IDS, 600) : draw_between(&d, 5, 300),
               &out->text);
    draw_qwen3(&d, draw_between(&d, 5, 5000), &out->lm); /* more than one part of the head */
    out->dit.text_dim = out->text.block.hidden;
}

/* ---- config.json ----------------------------------------------------------------------------- */

static void set(json_t *json, const char *key, json_t *value)
{
    (void)json_object_set_new(json, key, value);
}

/* A number that may be left out where it is the default. */
static void set_number(json_t *json, drawer *d, const char *key, double value, double absent)
{
    bool whole = (double)(int64_t)value >= value && (double)(int64_t)value <= value;
    bool is_default = value >= absent && value <= absent;
    if (!is_default || draw_coin(d)) {
        set(json, key, whole ? json_integer((json_int_t)value) : json_real(value));
    }
}

static json_t *block_json(drawer *d, const ace_block_config *b, int64_t layers, double theta)
{
    json_t *json = json_object();
    set(json, "hidden_size", json_integer(b->hidden));
    set(json, "intermediate_size", json_integer(b->intermediate));
    set(json, "num_attention_heads", json_integer(b->heads));
    set(json, "num_hidden_layers", json_integer(layers));
    /* heads can be read off the tensors */
    if (draw_coin(d)) {
        set(json, "num_key_value_heads", json_integer(b->kv_heads));
    }
    if (draw_coin(d)) {
        set(json, "head_dim", json_integer(b->head_dim));
    }
    set_number(json, d, "rms_norm_eps", b->rms_eps > 2e-6f ? 1e-5 : 1e-6, 1e-6);
    set_number(json, d, "rope_theta", b->rope_theta, theta);
    return json;
}

static json_t *layer_types_json(const ace_dit_config *c)
{
    json_t *list = json_array();
    for (int i = 0; i < ACE_MAX_LAYERS; i++) {
        (void)json_array_append_new(
            list, json_string(c->sliding[i] ? "sliding_attention" : "full_attention"));
    }
    return list;
}

static void set_window(json_t *json, drawer *d, const ace_dit_config *c)
{
    bool any = false;
    bool alternating = true;
    for (int i = 0; i < ACE_MAX_LAYERS; i++) {
        any = any || c->sliding[i];
        alternating = alternating && c->sliding[i] == (i % 2 == 0);
    }
    if (!any && draw_coin(d)) {
        set(json, "use_sliding_window", json_false());
        return;
    }
    if (!any && draw_coin(d)) {
        set(json, "sliding_window", json_null());
        return;
    }
    set(json, "sliding_window", json_integer(c->decoder.window));
    if (!alternating || draw_coin(d)) {
        set(json, "layer_types", layer_types_json(c));
    }
}

static json_t *levels_json(const ace_dit_config *c)
{
    json_t *levels = json_array();
    for (int i = 0; i < c->n_fsq_levels; i++) {
        (void)json_array_append_new(levels, json_integer(c->fsq_levels[i]));
    }
    return levels;
}

json_t *architecture_dit_json(const architecture *a)
{
    const ace_dit_config *c = &a->dit;
    drawer d = {a->seed + 1};
    json_t *json = block_json(&d, &c->decoder, c->layers, 1e6);
    set_window(json, &d, c);
    if (c->timbre_cls) {
        set(json, "encoder_hidden_size", json_integer(c->encoder.hidden));
        set(json, "encoder_intermediate_size", json_integer(c->encoder.intermediate));
        set(json, "encoder_num_attention_heads", json_integer(c->encoder.heads));
        set(json, "encoder_num_key_value_heads", json_integer(c->encoder.kv_heads));
    }
    set(json, "num_lyric_encoder_hidden_layers", json_integer(c->lyric_layers));
    set(json, "num_timbre_encoder_hidden_layers", json_integer(c->timbre_layers));
    set(json, "num_audio_decoder_hidden_layers", json_integer(24)); /* nobody reads it */
    set_number(json, &d, "num_attention_pooler_hidden_layers", (double)c->pooler_layers, 2);
    set(json, "audio_acoustic_hidden_dim", json_integer(c->latent_channels));
    set(json, "in_channels", json_integer(c->in_channels));
    set(json, "text_hidden_dim", json_integer(c->text_dim));
    set(json, "timbre_fix_frame", json_integer(draw_between(&d, 1, 2000))); /* nor this */
    set(json, "fsq_input_levels", levels_json(c));
    set_number(json, &d, "fsq_dim", (double)c->encoder.hidden, (double)c->encoder.hidden);
    set_number(json, &d, "patch_size", (double)c->patch, 2);
    set_number(json, &d, "pool_window_size", (double)c->pool_window, 5);
    if (c->turbo || draw_coin(&d)) {
        set(json, "is_turbo", json_boolean(c->turbo));
    }
    return json;
}

json_t *architecture_qwen3_json(const architecture *a, const ace_qwen3_config *c)
{
    drawer d = {a->seed + (uint64_t)c->vocabulary};
    json_t *json = block_json(&d, &c->block, c->layers, 1e4);
    set(json, "vocab_size", json_integer(c->vocabulary));
    set(json, "use_sliding_window", json_false());
    set(json, "sliding_window", json_null());
    if (c->tied_embeddings || draw_coin(&d)) {
        set(json, "tie_word_embeddings", json_boolean(c->tied_embeddings));
    }
    return json;
}

json_t *architecture_vae_json(const architecture *a)
{
    const ace_vae_config *c = &a->vae;
    json_t *multiples = json_array();
    json_t *strides = json_array();
    for (int i = 0; i < c->n_blocks; i++) {
        (void)json_array_append_new(multiples, json_integer(c->multiples[i]));
        (void)json_array_append_new(strides, json_integer(c->strides[i]));
    }
    json_t *json = json_object();
    set(json, "_class_name", json_string("AutoencoderOobleck"));
    set(json, "encoder_hidden_size", json_integer(c->encoder_hidden));
    set(json, "decoder_channels", json_integer(c->decoder_channels));
    set(json, "decoder_input_channels", json_integer(c->latent_channels));
    set(json, "audio_channels", json_integer(c->audio_channels));
    set(json, "sampling_rate", json_integer(c->sample_rate));
    set(json, "channel_multiples", multiples);
    set(json, "downsampling_ratios", strides);
    return json;
}

static int put_block(char *text, size_t size, const char *name, const ace_block_config *b,
                     int64_t layers)
{
    return snprintf(text, size, "%s %d layers of %d, %d/%d heads of %d, mlp %d, window %d; ", name,
                    (int)layers, (int)b->hidden, (int)b->heads, (int)b->kv_heads, (int)b->head_dim,
                    (int)b->intermediate, (int)b->window);
}

const char *architecture_text(const architecture *a)
{
    static char text[1024];
    const ace_dit_config *c = &a->dit;
    size_t n =
        (size_t)snprintf(text, sizeof text, "architecture %llu: ", (long long unsigned)a->seed);
    n += (size_t)put_block(text + n, sizeof text - n, "decoder", &c->decoder, c->layers);
    n += (size_t)put_block(text + n, sizeof text - n, "encoder", &c->encoder, c->lyric_layers);
    n += (size_t)put_block(text + n, sizeof text - n, "text", &a->text.block, a->text.layers);
    n += (size_t)put_block(text + n, sizeof text - n, "lm", &a->lm.block, a->lm.layers);
    (void)snprintf(
        text + n, sizeof text - n,
        "%d channels, patch %d, pool %d, %d levels, vae %d blocks, hop %d, %d and %d wide",
        (int)c->latent_channels, (int)c->patch, (int)c->pool_window, c->n_fsq_levels,
        a->vae.n_blocks, (int)a->vae.hop, (int)a->vae.encoder_hidden, (int)a->vae.decoder_channels);
    return text;
}
