/* Writes a models folder of published shapes with made-up weights, to time loading:
 *
 *     write_checkpoint FOLDER [NAME]        NAME: turbo, base, sft, xl-turbo, …
 *
 * The diffusion model and the text encoder in bf16, the VAE in f32, as they are published: 6 GB for
 * turbo. Names and shapes are those that the loaders ask for. The tokenizer is the tests'. */
#define _DEFAULT_SOURCE
#include "base/file_map.h"
#include "base/file_write.h"
#include "model/text_encoder.h"
#include "support/asked_tensors.h"

#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum { POOL = 1 << 22 };

/* Of one file. */
typedef struct part {
    const asked_tensors *tensors;
    ace_dtype dtype;
} part;

/* ---- safetensors
 * ----------------------------------------------------------------------------------- */

/* Numbers of either type, drawn once; tensors begin at different places of it. */
static unsigned char *draw(ace_dtype dtype, bool ones)
{
    uint32_t state = 1;
    unsigned char *numbers = malloc((size_t)2 * POOL * ace_dtype_bytes(dtype));
    for (size_t i = 0; i < (size_t)2 * POOL; i++) {
        state = state * 1664525u + 1013904223u;
        float value = ones ? 1.0f : ((float)(state >> 8) / 16777216.0f - 0.5f) * 0.06f;
        if (dtype == ACE_BF16) {
            uint16_t half = ace_f32_to_bf16(value);
            memcpy(numbers + i * sizeof half, &half, sizeof half);
        } else {
            memcpy(numbers + i * sizeof value, &value, sizeof value);
        }
    }
    return numbers;
}

static bool is_norm(const char *name)
{
    const char *norm = strstr(name, "norm");
    return norm != NULL && strstr(norm, ".weight") != NULL;
}

static char *make_header(const part *l)
{
    json_t *root = json_object();
    size_t offset = 0;
    for (int i = 0; i < l->tensors->n; i++) {
        const asked_tensor *t = &l->tensors->item[i];
        json_t *shape = json_array();
        for (int d = 0; d < t->rank; d++) {
            json_array_append_new(shape, json_integer(t->dim[d]));
        }
        size_t end = offset + (size_t)asked_elements(t) * ace_dtype_bytes(l->dtype);
        json_object_set_new(root, t->name,
                            json_pack("{s:s, s:o, s:[I, I]}", "dtype",
                                      l->dtype == ACE_BF16 ? "BF16" : "F32", "shape", shape,
                                      "data_offsets", (json_int_t)offset, (json_int_t)end));
        offset = end;
    }
    char *text = json_dumps(root, JSON_COMPACT);
    json_decref(root);
    return text;
}

static ace_status produce(void *context, ace_file_sink *sink, ace_error *err)
{
    const part *l = context;
    (void)err;
    size_t size = ace_dtype_bytes(l->dtype);
    char *header = make_header(l);
    unsigned char *random = draw(l->dtype, false);
    unsigned char *ones = draw(l->dtype, true);
    char padded[8] = "       ";
    size_t pad = (8 - strlen(header) % 8) % 8;
    uint64_t bytes = strlen(header) + pad;
    ace_file_put(sink, &bytes, sizeof bytes);
    ace_file_put(sink, header, strlen(header));
    ace_file_put(sink, padded, pad);
    for (int i = 0; i < l->tensors->n; i++) {
        const asked_tensor *t = &l->tensors->item[i];
        const unsigned char *from = is_norm(t->name) ? ones : random;
        for (int64_t done = 0, all = asked_elements(t); done < all; done += POOL) {
            int64_t n = all - done < POOL ? all - done : POOL;
            size_t first = (size_t)((i * 7919 + done * 31) % POOL);
            ace_file_put(sink, from + first * size, (size_t)n * size);
        }
    }
    free(header);
    free(random);
    free(ones);
    return ACESTEP_OK;
}

/* ---- the folder
 * ------------------------------------------------------------------------------------- */

static void check(ace_status status, const ace_error *err)
{
    if (status != ACESTEP_OK) {
        (void)fprintf(stderr, "write_checkpoint: %s\n", err->message);
        exit(1);
    }
}

static void write_part(const char *folder, const char *name, const char *file, ace_dtype dtype,
                       asked_tensors *tensors, json_t *config)
{
    char path[1024];
    ace_error err = {.code = ACESTEP_OK};
    (void)snprintf(path, sizeof path, "%s/%s", folder, name);
    (void)mkdir(path, 0777);
    (void)snprintf(path, sizeof path, "%s/%s/config.json", folder, name);
    char *text = json_dumps(config, JSON_INDENT(1));
    check(ace_file_write(path, text, strlen(text), &err), &err);
    (void)snprintf(path, sizeof path, "%s/%s/%s", folder, name, file);
    part content = {tensors, dtype};
    check(ace_file_write_pieces(path, produce, &content, &err), &err);
    free(text);
    json_decref(config);
    free(tensors);
}

static json_t *block_json(const ace_block_config *b, int64_t layers)
{
    return json_pack("{s:I, s:I, s:I, s:I, s:I, s:I, s:f, s:f, s:I}", "hidden_size", b->hidden,
                     "intermediate_size", b->intermediate, "num_attention_heads", b->heads,
                     "num_key_value_heads", b->kv_heads, "head_dim", b->head_dim, "sliding_window",
                     b->window, "rms_norm_eps", (double)b->rms_eps, "rope_theta", b->rope_theta,
                     "num_hidden_layers", layers);
}

static json_t *dit_json(const ace_dit_config *c)
{
    json_t *json = block_json(&c->decoder, c->layers);
    json_t *more = json_pack(
        "{s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:b}", "audio_acoustic_hidden_dim",
        c->latent_channels, "timbre_hidden_dim", c->latent_channels, "in_channels", c->in_channels,
        "patch_size", c->patch, "text_hidden_dim", c->text_dim, "timbre_fix_frame",
        c->timbre_frames, "pool_window_size", c->pool_window, "num_lyric_encoder_hidden_layers",
        c->lyric_layers, "num_timbre_encoder_hidden_layers", c->timbre_layers,
        "num_attention_pooler_hidden_layers", c->pooler_layers, "num_audio_decoder_hidden_layers",
        c->detokenizer_layers, "is_turbo", (int)c->turbo);
    json_t *levels = json_array();
    for (int i = 0; i < c->n_fsq_levels; i++) {
        json_array_append_new(levels, json_integer(c->fsq_levels[i]));
    }
    json_object_update(json, more);
    json_decref(more);
    json_object_set_new(json, "fsq_input_levels", levels);
    json_object_set_new(json, "fsq_dim", json_integer(c->encoder.hidden));
    return json;
}

static json_t *vae_json(const ace_vae_config *c)
{
    json_t *multiples = json_array();
    json_t *strides = json_array();
    for (int i = 0; i < c->n_blocks; i++) {
        json_array_append_new(multiples, json_integer(c->multiples[i]));
        json_array_append_new(strides, json_integer(c->strides[i]));
    }
    return json_pack("{s:I, s:o, s:I, s:I, s:I, s:o, s:i}", "encoder_hidden_size",
                     c->encoder_hidden, "channel_multiples", multiples, "decoder_channels",
                     c->decoder_channels, "audio_channels", c->audio_channels,
                     "decoder_input_channels", c->latent_channels, "downsampling_ratios", strides,
                     "sampling_rate", c->sample_rate);
}

static bool copy_tokenizer(void *folder, const char *name)
{
    char from[1024], to[1024];
    ace_file file;
    ace_error err = {.code = ACESTEP_OK};
    if (strcmp(name, "config.json") == 0 || strcmp(name, "model.safetensors") == 0) {
        return true;
    }
    (void)snprintf(from, sizeof from, "%s/tests/golden/Qwen3-Embedding-0.6B/%s", ACESTEP_SOURCE_DIR,
                   name);
    (void)snprintf(to, sizeof to, "%s/Qwen3-Embedding-0.6B/%s", (const char *)folder, name);
    check(ace_file_open(from, &file, &err), &err);
    check(ace_file_write(to, file.data, file.bytes, &err), &err);
    ace_file_close(&file);
    return true;
}

int main(int argc, char **argv)
{
    enum { SILENCE_FRAMES = 15000 };
    const char *name = argc > 2 ? argv[2] : "turbo";
    char dit_name[128];
    architecture s = {.seed = 0};
    ace_error err = {.code = ACESTEP_OK};
    if (argc < 2 || argv[1][0] == '-') {
        (void)fprintf(stderr, "usage: write_checkpoint FOLDER [NAME]\n");
        return 2;
    }
    check(ace_dit_config_published(name, &s.dit, &err), &err);
    ace_vae_config_published(&s.vae);
    ace_text_encoder_config_published(&s.text);
    (void)mkdir(argv[1], 0777);

    asked_tensors *dit = asked_by(ask_dit, &s);
    asked_add(dit, "silence_latent", (const int64_t[]){SILENCE_FRAMES, s.dit.latent_channels}, 2);
    (void)snprintf(dit_name, sizeof dit_name, "acestep-v15-%s", name);
    write_part(argv[1], dit_name, "model.safetensors", ACE_BF16, dit, dit_json(&s.dit));

    asked_tensors *text = asked_by(ask_text, &s);
    asked_add(text, "embed_tokens.weight",
              (const int64_t[]){s.text.vocabulary, s.text.block.hidden}, 2);
    json_t *config = block_json(&s.text.block, s.text.layers);
    json_object_set_new(config, "vocab_size", json_integer(s.text.vocabulary));
    write_part(argv[1], "Qwen3-Embedding-0.6B", "model.safetensors", ACE_BF16, text, config);
    check(ace_directory_list(ACESTEP_SOURCE_DIR "/tests/golden/Qwen3-Embedding-0.6B",
                             copy_tokenizer, argv[1], &err),
          &err);

    write_part(argv[1], "vae", "diffusion_pytorch_model.safetensors", ACE_F32,
               asked_by(ask_vae, &s), vae_json(&s.vae));
    return 0;
}
