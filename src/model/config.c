#include "model/config.h"

#include "base/json.h"

#include <stdlib.h>
#include <string.h>

/* Reads fields one after another; the first bad one is reported and the rest are skipped. */
typedef struct reader {
    json_t *root;
    const char *path;
    ace_error *err;
    ace_status status;
} reader;

enum { LARGEST_SIZE = 1 << 20 };

/* What the original's configuration classes take for a key that a config leaves out. */
typedef struct block_defaults {
    int64_t kv_heads;
    double rope_theta;
} block_defaults;

enum { DEFAULT_HEAD_DIM = 128, DEFAULT_WINDOW = 128 };
enum { PUBLISHED_FSQ_LEVELS = 6 };
static const int64_t published_fsq_levels[PUBLISHED_FSQ_LEVELS] = {8, 8, 8, 5, 5, 5};
/* acestep/models/…/configuration_acestep_v15.py, and Qwen3Config of transformers */
static const block_defaults dit_defaults = {.kv_heads = 8, .rope_theta = 1e6};
static const block_defaults qwen3_defaults = {.kv_heads = 32, .rope_theta = 1e4};

static void open_reader(reader *r, const char *json, size_t bytes, const char *path, ace_error *err)
{
    memset(r, 0, sizeof *r);
    r->path = path;
    r->err = err;
    r->status = ace_json_parse_object(json, bytes, path, &r->root, err);
}

static bool has(const reader *r, const char *name)
{
    json_t *v = json_object_get(r->root, name);
    return v != NULL && !json_is_null(v);
}

static void bad_field(reader *r, const char *name, const char *expected)
{
    if (r->status == ACESTEP_OK) {
        r->status =
            ace_fail(r->err, ACESTEP_MODEL, "%s: %s is missing or not %s", r->path, name, expected);
    }
}

static int64_t read_size(reader *r, const char *name, int64_t most)
{
    json_t *v = json_object_get(r->root, name);
    if (!json_is_integer(v) || json_integer_value(v) < 1 || json_integer_value(v) > most) {
        bad_field(r, name, "a size in range");
        return 1;
    }
    return json_integer_value(v);
}

static int64_t read_size_or(reader *r, const char *name, int64_t most, int64_t absent)
{
    return has(r, name) ? read_size(r, name, most) : absent;
}

static double positive(reader *r, const char *name, const json_t *v, double absent)
{
    if (v == NULL || json_is_null(v)) {
        return absent;
    }
    if (!json_is_number(v) || !(json_number_value(v) > 0) || json_number_value(v) > 1e12) {
        bad_field(r, name, "a positive number");
        return absent;
    }
    return json_number_value(v);
}

static double read_positive(reader *r, const char *name, double absent)
{
    return positive(r, name, json_object_get(r->root, name), absent);
}

static int read_sizes(reader *r, const char *name, int64_t *out, int most)
{
    json_t *list = json_object_get(r->root, name);
    size_t n = json_array_size(list);
    if (n == 0 || n > (size_t)most) {
        bad_field(r, name, "a list of sizes");
        return 0;
    }
    for (size_t i = 0; i < n; i++) {
        json_t *v = json_array_get(list, i);
        if (!json_is_integer(v) || json_integer_value(v) < 1 || json_integer_value(v) > 4096) {
            bad_field(r, name, "a list of sizes");
            return 0;
        }
        out[i] = json_integer_value(v);
    }
    return (int)n;
}

static void require(reader *r, bool holds, const char *what)
{
    if (r->status == ACESTEP_OK && !holds) {
        r->status = ace_fail(r->err, ACESTEP_MODEL, "%s: %s", r->path, what);
    }
}

static ace_status close_reader(reader *r)
{
    json_decref(r->root);
    return r->status;
}

/* Newer files have the angles' base among the parameters of the rotation, which is to be plain. */
static double read_rope(reader *r, double absent)
{
    static const char *const places[] = {"rope_parameters", "rope_scaling"};
    double theta = absent;
    for (int i = 0; i < 2; i++) {
        const json_t *place = json_object_get(r->root, places[i]);
        const char *type = json_string_value(json_object_get(place, "rope_type"));
        bool plain = !has(r, places[i]) || (type != NULL && strcmp(type, "default") == 0);
        if (!plain && r->status == ACESTEP_OK) {
            r->status = ace_fail(r->err, ACESTEP_MODEL, "%s: %s is not known to this engine",
                                 r->path, places[i]);
        }
        theta = positive(r, places[i], json_object_get(place, "rope_theta"), theta);
    }
    return read_positive(r, "rope_theta", theta);
}

/* null, unlike a missing key, stands for as many as there are queries. */
static int64_t read_kv_heads(reader *r, int64_t heads, int64_t absent)
{
    if (json_object_get(r->root, "num_key_value_heads") == NULL) {
        return heads % absent == 0 ? absent : heads;
    }
    return read_size_or(r, "num_key_value_heads", 1024, heads);
}

static ace_block_config read_block(reader *r, const block_defaults *absent)
{
    ace_block_config b = {
        .hidden = read_size(r, "hidden_size", LARGEST_SIZE),
        .intermediate = read_size(r, "intermediate_size", LARGEST_SIZE),
        .heads = read_size(r, "num_attention_heads", 1024),
        .head_dim = read_size_or(r, "head_dim", ACE_MAX_HEAD_DIM, DEFAULT_HEAD_DIM),
        .rms_eps = (float)read_positive(r, "rms_norm_eps", 1e-6),
        .rope_theta = read_rope(r, absent->rope_theta),
    };
    b.kv_heads = read_kv_heads(r, b.heads, absent->kv_heads);
    b.head_dim_assumed = !has(r, "head_dim");
    b.kv_heads_assumed = !has(r, "num_key_value_heads");
    return b;
}

static void check_heads(reader *r, const ace_block_config *b, const char *prefix)
{
    if (r->status == ACESTEP_OK && b->heads % b->kv_heads != 0) {
        r->status = ace_fail(r->err, ACESTEP_MODEL,
                             "%s: %snum_attention_heads, %lld, is no multiple of "
                             "%snum_key_value_heads, %lld",
                             r->path, prefix, (long long)b->heads, prefix, (long long)b->kv_heads);
    }
}

static void check_block(reader *r, const ace_block_config *b)
{
    check_heads(r, b, "");
    require(r, b->head_dim % 2 == 0, "head_dim is odd: rotation takes its numbers in pairs");
    /* variants of the architecture that no published checkpoint uses */
    const char *act = json_string_value(json_object_get(r->root, "hidden_act"));
    require(r, act == NULL || strcmp(act, "silu") == 0, "hidden_act is not silu");
    require(r, !json_is_true(json_object_get(r->root, "attention_bias")),
            "attention_bias is not known to this engine");
}

/* Qwen3 lets layers from max_window_layers on slide; no published text encoder or language model
 * has such layers. */
static void refuse_sliding(reader *r, int64_t layers)
{
    if (json_is_true(json_object_get(r->root, "use_sliding_window")) && has(r, "sliding_window")) {
        json_t *first = json_object_get(r->root, "max_window_layers");
        require(r, json_is_integer(first) && json_integer_value(first) >= layers,
                "use_sliding_window: layers that slide are not known to this engine here");
    }
}

ace_status ace_qwen3_config_parse(const char *json, size_t bytes, const char *path,
                                  ace_qwen3_config *out, ace_error *err)
{
    reader r;
    memset(out, 0, sizeof *out);
    open_reader(&r, json, bytes, path, err);
    if (r.status == ACESTEP_OK) {
        out->block = read_block(&r, &qwen3_defaults);
        out->layers = read_size(&r, "num_hidden_layers", ACE_MAX_LAYERS);
        out->vocabulary = read_size(&r, "vocab_size", 1 << 24);
        out->tied_embeddings = json_is_true(json_object_get(r.root, "tie_word_embeddings"));
        check_block(&r, &out->block);
        refuse_sliding(&r, out->layers);
    }
    return close_reader(&r);
}

/* layer_types by name; without the list even layers slide, as in AceStepConfig. */
static void read_layer_types(reader *r, ace_dit_config *c)
{
    json_t *list = json_object_get(r->root, "layer_types");
    json_t *use = json_object_get(r->root, "use_sliding_window");
    json_t *window = json_object_get(r->root, "sliding_window");
    /* a window of null is none */
    bool slides = (use == NULL || json_is_true(use)) && !json_is_null(window);
    c->decoder.window =
        slides ? read_size_or(r, "sliding_window", LARGEST_SIZE, DEFAULT_WINDOW) : DEFAULT_WINDOW;
    for (int i = 0; i < ACE_MAX_LAYERS; i++) {
        c->sliding[i] = slides && i % 2 == 0;
    }
    if (!has(r, "layer_types")) {
        return;
    }
    require(r,
            json_array_size(list) >= (size_t)c->layers && json_array_size(list) <= ACE_MAX_LAYERS,
            "layer_types does not have one entry per layer");
    for (size_t i = 0; i < json_array_size(list) && i < ACE_MAX_LAYERS; i++) {
        const char *type = json_string_value(json_array_get(list, i));
        if (type == NULL ||
            (strcmp(type, "sliding_attention") != 0 && strcmp(type, "full_attention") != 0)) {
            bad_field(r, "layer_types", "a list of sliding_attention and full_attention");
            return;
        }
        c->sliding[i] = slides && strcmp(type, "sliding_attention") == 0;
    }
}

/* XL checkpoints have an encoder of another width than the decoder, and say so. */
static void read_encoder(reader *r, ace_dit_config *c)
{
    c->encoder = c->decoder;
    c->timbre_cls = has(r, "encoder_hidden_size");
    c->encoder.hidden = read_size_or(r, "encoder_hidden_size", LARGEST_SIZE, c->decoder.hidden);
    c->encoder.intermediate =
        read_size_or(r, "encoder_intermediate_size", LARGEST_SIZE, c->decoder.intermediate);
    c->encoder.heads = read_size_or(r, "encoder_num_attention_heads", 1024, c->decoder.heads);
    c->encoder.kv_heads = read_size_or(r, "encoder_num_key_value_heads", 1024, c->decoder.kv_heads);
    c->encoder.kv_heads_assumed =
        c->decoder.kv_heads_assumed && !has(r, "encoder_num_key_value_heads");
    check_heads(r, &c->encoder, "encoder_");
}

static void read_fsq(reader *r, ace_dit_config *c)
{
    int64_t levels[ACE_MAX_FSQ_LEVELS] = {0};
    if (json_object_get(r->root, "fsq_input_levels") != NULL) { /* null is no list either */
        c->n_fsq_levels = read_sizes(r, "fsq_input_levels", levels, ACE_MAX_FSQ_LEVELS);
    } else {
        c->n_fsq_levels = PUBLISHED_FSQ_LEVELS;
        memcpy(levels, published_fsq_levels, sizeof published_fsq_levels);
    }
    c->fsq_codes = 1;
    for (int i = 0; i < c->n_fsq_levels; i++) {
        require(r, levels[i] >= 2 && c->fsq_codes * levels[i] < (int64_t)1 << 30,
                "fsq_input_levels are out of range");
        c->fsq_levels[i] = (int)levels[i];
        c->fsq_codes *= r->status == ACESTEP_OK ? levels[i] : 1;
    }
    require(r, read_size_or(r, "fsq_input_num_quantizers", 64, 1) == 1,
            "fsq_input_num_quantizers: codes of more than one quantizer are not known to this "
            "engine");
    require(r, read_size_or(r, "fsq_dim", LARGEST_SIZE, c->encoder.hidden) == c->encoder.hidden,
            "fsq_dim is not the width of what is quantised (encoder_hidden_size, or hidden_size)");
}

/* {"2": [6], "3": [10, 11]}: layers and heads. Heads that the model does not have are left out; as
 * in the original, anything else in the field's place counts as nothing said. */
static void read_lyric_heads(const reader *r, ace_dit_config *c)
{
    enum { MOST_HEADS = 64 };
    const char *key = NULL;
    json_t *list = NULL;
    json_object_foreach (json_object_get(r->root, "lyric_alignment_layers_config"), key, list) {
        char *end = NULL;
        long layer = strtol(key, &end, 10);
        if (end == key || *end != '\0' || layer < 0 || layer >= c->layers) {
            continue;
        }
        for (size_t i = 0; i < json_array_size(list); i++) {
            json_int_t head = json_integer_value(json_array_get(list, i));
            if (json_is_integer(json_array_get(list, i)) && head >= 0 && head < MOST_HEADS &&
                head < c->decoder.heads) {
                c->lyric_heads[layer] |= (uint64_t)1 << head;
            }
        }
    }
}

static void read_stacks(reader *r, ace_dit_config *c)
{
    c->layers = read_size(r, "num_hidden_layers", ACE_MAX_LAYERS);
    c->lyric_layers = read_size_or(r, "num_lyric_encoder_hidden_layers", ACE_MAX_LAYERS, 8);
    c->timbre_layers = read_size_or(r, "num_timbre_encoder_hidden_layers", ACE_MAX_LAYERS, 4);
    /* the original slices these stacks by num_hidden_layers */
    c->lyric_layers = c->lyric_layers < c->layers ? c->lyric_layers : c->layers;
    c->timbre_layers = c->timbre_layers < c->layers ? c->timbre_layers : c->layers;
    c->pooler_layers = read_size_or(r, "num_attention_pooler_hidden_layers", ACE_MAX_LAYERS, 2);
    c->detokenizer_layers = c->pooler_layers; /* the original builds it with the pooler's number */
}

/* timbre_fix_frame is not read: the original takes 30 s of a reference and 750 frames of silence
 * whatever it says (conditioning_embed.py, io_audio.py of acestep/core/generation/handler). */
static void read_latents(reader *r, ace_dit_config *c)
{
    c->latent_channels = read_size_or(r, "audio_acoustic_hidden_dim", 4096, 64);
    c->in_channels = read_size_or(r, "in_channels", 16384, 192);
    c->patch = read_size_or(r, "patch_size", 16, 2);
    c->text_dim = read_size_or(r, "text_hidden_dim", LARGEST_SIZE, 1024);
    c->timbre_frames = ACE_TIMBRE_FRAMES;
    c->pool_window = read_size_or(r, "pool_window_size", 64, 5);
    require(r, c->in_channels == 3 * c->latent_channels,
            "in_channels is not three times audio_acoustic_hidden_dim");
    require(r, read_size_or(r, "timbre_hidden_dim", 4096, c->latent_channels) == c->latent_channels,
            "timbre_hidden_dim is not audio_acoustic_hidden_dim");
}

ace_status ace_dit_config_parse(const char *json, size_t bytes, const char *path,
                                ace_dit_config *out, ace_error *err)
{
    reader r;
    memset(out, 0, sizeof *out);
    open_reader(&r, json, bytes, path, err);
    if (r.status == ACESTEP_OK) {
        ace_dit_config *c = out;
        c->decoder = read_block(&r, &dit_defaults);
        check_block(&r, &c->decoder);
        read_stacks(&r, c);
        read_layer_types(&r, c);
        read_encoder(&r, c);
        read_latents(&r, c);
        read_fsq(&r, c);
        read_lyric_heads(&r, c);
        c->turbo = json_is_true(json_object_get(r.root, "is_turbo"));
    }
    return close_reader(&r);
}

enum { LARGEST_STRIDE = 512 };

ace_status ace_vae_config_parse(const char *json, size_t bytes, const char *path,
                                ace_vae_config *out, ace_error *err)
{
    reader r;
    memset(out, 0, sizeof *out);
    open_reader(&r, json, bytes, path, err);
    if (r.status == ACESTEP_OK) {
        ace_vae_config *c = out;
        c->audio_channels = read_size(&r, "audio_channels", 8);
        c->latent_channels = read_size(&r, "decoder_input_channels", 4096);
        c->encoder_hidden = read_size(&r, "encoder_hidden_size", 4096);
        c->decoder_channels = read_size(&r, "decoder_channels", 4096);
        c->sample_rate = (int)read_size(&r, "sampling_rate", 192000);
        c->n_blocks = read_sizes(&r, "downsampling_ratios", c->strides, ACE_MAX_VAE_BLOCKS);
        int n = read_sizes(&r, "channel_multiples", c->multiples, ACE_MAX_VAE_BLOCKS);
        require(&r, n == c->n_blocks, "channel_multiples and downsampling_ratios differ in length");
        c->hop = 1;
        for (int i = 0; i < c->n_blocks && r.status == ACESTEP_OK; i++) {
            /* an odd one would make the decoder's output shorter than what the encoder reads */
            require(&r, c->strides[i] % 2 == 0 && c->strides[i] <= LARGEST_STRIDE,
                    "downsampling_ratios must be even and at most 512");
            c->hop *= c->strides[i];
            require(&r, c->hop <= 1 << 20, "downsampling_ratios are too large");
        }
    }
    return close_reader(&r);
}

/* ---- published shapes: acestep/models/…/configuration_acestep_v15.py
 * ------------------------------------ */

static const ace_block_config block_2b = {.hidden = 2048,
                                          .intermediate = 6144,
                                          .heads = 16,
                                          .kv_heads = 8,
                                          .head_dim = 128,
                                          .window = 128,
                                          .rms_eps = 1e-6f,
                                          .rope_theta = 1e6};

ace_status ace_dit_config_published(const char *name, ace_dit_config *out, ace_error *err)
{
    static const char *const names[] = {"turbo", "base", "sft", "xl-turbo", "xl-base", "xl-sft"};
    int which = -1;
    for (int i = 0; i < 6; i++) {
        which = strcmp(name, names[i]) == 0 ? i : which;
    }
    if (which < 0) {
        return ace_fail(
            err, ACESTEP_ARGUMENT,
            "\"%.40s\": no published model; turbo, base, sft, xl-turbo, xl-base and xl-sft "
            "are",
            name);
    }
    bool xl = which >= 3;
    memset(out, 0, sizeof *out);
    out->decoder = block_2b;
    out->encoder = block_2b;
    if (xl) {
        out->decoder.hidden = 2560;
        out->decoder.intermediate = 9728;
        out->decoder.heads = 32;
    }
    out->layers = xl ? 32 : 24;
    out->lyric_layers = 8;
    out->timbre_layers = 4;
    out->pooler_layers = 2;
    out->detokenizer_layers = 2;
    for (int i = 0; i < ACE_MAX_LAYERS; i++) {
        out->sliding[i] = i % 2 == 0;
    }
    out->latent_channels = 64;
    out->in_channels = 192;
    out->patch = 2;
    out->text_dim = 1024;
    out->timbre_frames = ACE_TIMBRE_FRAMES;
    out->pool_window = 5;
    out->n_fsq_levels = PUBLISHED_FSQ_LEVELS;
    out->fsq_codes = 64000;
    for (int i = 0; i < PUBLISHED_FSQ_LEVELS; i++) {
        out->fsq_levels[i] = (int)published_fsq_levels[i];
    }
    out->turbo = which % 3 == 0;
    out->timbre_cls = xl;
    return ACESTEP_OK;
}

ace_status ace_language_model_config_published(const char *name, ace_qwen3_config *out,
                                               ace_error *err)
{
    static const struct {
        const char *name;
        int64_t hidden, intermediate, heads, layers;
    } models[] = {
        {"0.6B", 1024, 3072, 16, 28},
        {"1.7B", 2048, 6144, 16, 28},
        {"4B", 2560, 9728, 32, 36},
    };
    memset(out, 0, sizeof *out);
    for (int i = 0; i < 3; i++) {
        if (strcmp(name, models[i].name) == 0) {
            out->block = block_2b;
            out->block.hidden = models[i].hidden;
            out->block.intermediate = models[i].intermediate;
            out->block.heads = models[i].heads;
            out->layers = models[i].layers;
            out->vocabulary = 217204; /* 151,669 of text, then 65,535 audio codes */
            out->tied_embeddings = true;
            return ACESTEP_OK;
        }
    }
    return ace_fail(err, ACESTEP_ARGUMENT,
                    "\"%.40s\": no published language model; 0.6B, 1.7B and 4B are", name);
}

void ace_text_encoder_config_published(ace_qwen3_config *out)
{
    memset(out, 0, sizeof *out);
    out->block = block_2b;
    out->block.hidden = 1024;
    out->block.intermediate = 3072;
    out->layers = 28;
    out->vocabulary = 151669;
    out->tied_embeddings = true;
}

void ace_vae_config_published(ace_vae_config *out)
{
    static const int64_t multiples[] = {1, 2, 4, 8, 16};
    static const int64_t strides[] = {2, 4, 4, 6, 10};
    memset(out, 0, sizeof *out);
    out->audio_channels = 2;
    out->latent_channels = 64;
    out->encoder_hidden = 128;
    out->decoder_channels = 128;
    out->n_blocks = 5;
    memcpy(out->multiples, multiples, sizeof multiples);
    memcpy(out->strides, strides, sizeof strides);
    out->hop = 1920;
    out->sample_rate = 48000;
}
