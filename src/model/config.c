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

static double read_positive(reader *r, const char *name, double absent)
{
    json_t *v = json_object_get(r->root, name);
    if (!has(r, name)) {
        return absent;
    }
    if (!json_is_number(v) || !(json_number_value(v) > 0) || json_number_value(v) > 1e12) {
        bad_field(r, name, "a positive number");
        return absent;
    }
    return json_number_value(v);
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

static ace_block_config read_block(reader *r)
{
    ace_block_config b = {
        .hidden = read_size(r, "hidden_size", LARGEST_SIZE),
        .intermediate = read_size(r, "intermediate_size", LARGEST_SIZE),
        .heads = read_size(r, "num_attention_heads", 1024),
        .rms_eps = (float)read_positive(r, "rms_norm_eps", 1e-6),
        .rope_theta = read_positive(r, "rope_theta", 1e6),
        .window = read_size_or(r, "sliding_window", LARGEST_SIZE, 128),
    };
    b.kv_heads = read_size_or(r, "num_key_value_heads", 1024, b.heads);
    b.head_dim = read_size_or(r, "head_dim", ACE_MAX_HEAD_DIM, b.hidden / b.heads);
    return b;
}

static void check_block(reader *r, const ace_block_config *b)
{
    require(r, b->heads % b->kv_heads == 0,
            "num_attention_heads is no multiple of num_key_value_heads");
    require(r, b->head_dim > 0 && b->head_dim % 2 == 0, "head_dim is odd");
    require(r, b->head_dim <= ACE_MAX_HEAD_DIM, "head_dim is too large");
    /* variants of the architecture that no published checkpoint uses */
    const char *act = json_string_value(json_object_get(r->root, "hidden_act"));
    require(r, act == NULL || strcmp(act, "silu") == 0, "hidden_act is not silu");
    require(r, !json_is_true(json_object_get(r->root, "attention_bias")),
            "attention_bias is not known to this engine");
    require(r, !has(r, "rope_scaling"), "rope_scaling is not known to this engine");
}

ace_status ace_qwen3_config_parse(const char *json, size_t bytes, const char *path,
                                  ace_qwen3_config *out, ace_error *err)
{
    reader r;
    memset(out, 0, sizeof *out);
    open_reader(&r, json, bytes, path, err);
    if (r.status == ACESTEP_OK) {
        out->block = read_block(&r);
        out->layers = read_size(&r, "num_hidden_layers", ACE_MAX_LAYERS);
        out->vocabulary = read_size(&r, "vocab_size", 1 << 24);
        out->tied_embeddings = json_is_true(json_object_get(r.root, "tie_word_embeddings"));
        check_block(&r, &out->block);
    }
    return close_reader(&r);
}

/* layer_types by name; without the list even layers slide, as in AceStepConfig. */
static void read_layer_types(reader *r, ace_dit_config *c)
{
    json_t *list = json_object_get(r->root, "layer_types");
    json_t *use = json_object_get(r->root, "use_sliding_window");
    bool slides = use == NULL || json_is_true(use);
    for (int i = 0; i < ACE_MAX_LAYERS; i++) {
        c->sliding[i] = slides && i % 2 == 0;
    }
    if (!json_is_array(list)) {
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
}

static void read_fsq(reader *r, ace_dit_config *c)
{
    int64_t levels[ACE_MAX_FSQ_LEVELS] = {0};
    c->n_fsq_levels = read_sizes(r, "fsq_input_levels", levels, ACE_MAX_FSQ_LEVELS);
    c->fsq_codes = 1;
    for (int i = 0; i < c->n_fsq_levels; i++) {
        require(r, levels[i] >= 2 && c->fsq_codes * levels[i] < (int64_t)1 << 30,
                "fsq_input_levels are out of range");
        c->fsq_levels[i] = (int)levels[i];
        c->fsq_codes *= r->status == ACESTEP_OK ? levels[i] : 1;
    }
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

ace_status ace_dit_config_parse(const char *json, size_t bytes, const char *path,
                                ace_dit_config *out, ace_error *err)
{
    reader r;
    memset(out, 0, sizeof *out);
    open_reader(&r, json, bytes, path, err);
    if (r.status == ACESTEP_OK) {
        ace_dit_config *c = out;
        c->decoder = read_block(&r);
        read_encoder(&r, c);
        c->layers = read_size(&r, "num_hidden_layers", ACE_MAX_LAYERS);
        c->lyric_layers = read_size(&r, "num_lyric_encoder_hidden_layers", ACE_MAX_LAYERS);
        c->timbre_layers = read_size(&r, "num_timbre_encoder_hidden_layers", ACE_MAX_LAYERS);
        /* the original slices these stacks by num_hidden_layers */
        c->lyric_layers = c->lyric_layers < c->layers ? c->lyric_layers : c->layers;
        c->timbre_layers = c->timbre_layers < c->layers ? c->timbre_layers : c->layers;
        c->pooler_layers = read_size(&r, "num_attention_pooler_hidden_layers", ACE_MAX_LAYERS);
        c->detokenizer_layers =
            c->pooler_layers; /* the original builds it with the pooler's number */
        read_layer_types(&r, c);
        c->latent_channels = read_size(&r, "audio_acoustic_hidden_dim", 4096);
        c->in_channels = read_size(&r, "in_channels", 16384);
        c->patch = read_size_or(&r, "patch_size", 16, 2);
        c->text_dim = read_size(&r, "text_hidden_dim", LARGEST_SIZE);
        c->timbre_frames = read_size_or(&r, "timbre_fix_frame", 15000, 750);
        c->pool_window = read_size_or(&r, "pool_window_size", 64, 5);
        read_fsq(&r, c);
        read_lyric_heads(&r, c);
        c->turbo = json_is_true(json_object_get(r.root, "is_turbo"));
        check_block(&r, &c->decoder);
        check_block(&r, &c->encoder);
        require(&r, c->in_channels == 3 * c->latent_channels,
                "in_channels is not three times audio_acoustic_hidden_dim");
    }
    return close_reader(&r);
}

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
            require(&r, c->strides[i] % 2 == 0 && c->strides[i] <= 32,
                    "downsampling_ratios must be even and at most 32");
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
    static const int levels[] = {8, 8, 8, 5, 5, 5};
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
    out->timbre_frames = 750;
    out->pool_window = 5;
    out->n_fsq_levels = 6;
    out->fsq_codes = 64000;
    memcpy(out->fsq_levels, levels, sizeof levels);
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
