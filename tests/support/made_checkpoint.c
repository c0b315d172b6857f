#include "support/made_checkpoint.h"

#include "base/file_map.h"
#include "base/file_write.h"
#include "cpu/reference_device.h"
#include "model/condition_encoder.h"
#include "model/dit.h"
#include "model/fsq.h"
#include "model/language_model.h"
#include "model/text_encoder.h"
#include "model/vae_decoder.h"
#include "model/vae_encoder.h"
#include "support/golden.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

enum { MOST_TENSORS = 1024, MOST_SHARDS = 3 };

typedef struct tensor {
    char name[128];
    int64_t dim[3];
    int rank;
} tensor;

/* What a part consists of, in the order in which the models ask for it. */
typedef struct list {
    tensor item[MOST_TENSORS];
    int n;
} list;

static void add(void *context, const char *name, const int64_t *dims, int rank)
{
    list *l = context;
    for (int i = 0; i < l->n; i++) {
        if (strcmp(l->item[i].name, name) == 0) {
            return; /* rows of it were asked for before */
        }
    }
    assert_true(l->n < MOST_TENSORS);
    tensor *t = &l->item[l->n++];
    t->rank = rank;
    (void)snprintf(t->name, sizeof t->name, "%s", name);
    memcpy(t->dim, dims, (size_t)rank * sizeof *dims);
}

typedef void ask(ace_loader *l, const architecture *a);

static void ask_dit(ace_loader *l, const architecture *a)
{
    static ace_dit dit;
    static ace_condition_encoder condition;
    static ace_fsq_tokenizer tokenizer;
    static ace_fsq_detokenizer detokenizer;
    ace_dit_load(l, &a->dit, &dit);
    ace_condition_encoder_load(l, &a->dit, &condition);
    ace_fsq_tokenizer_load(l, &a->dit, &tokenizer);
    ace_fsq_detokenizer_load(l, &a->dit, &detokenizer);
}

static void ask_vae(ace_loader *l, const architecture *a)
{
    static ace_vae_encoder encoder;
    static ace_vae_decoder decoder;
    ace_vae_encoder_load(l, &a->vae, &encoder);
    ace_vae_decoder_load(l, &a->vae, &decoder);
}

static void ask_text(ace_loader *l, const architecture *a)
{
    static ace_text_encoder text;
    ace_text_encoder_load(l, &a->text, &text);
}

static void ask_lm(ace_loader *l, const architecture *a)
{
    static ace_language_model lm;
    ace_language_model_load(l, &a->lm, &lm);
}

static list *collect(ask *asks, const architecture *a)
{
    ace_device *reference = NULL;
    ace_device *measure = NULL;
    ace_weights *none = NULL;
    ace_arena arena;
    ace_stream stream;
    ace_loader loader;
    list *l = calloc(1, sizeof *l);
    assert_non_null(l);
    assert_int_equal(ace_reference_device_open(&reference, NULL), ACESTEP_OK);
    assert_int_equal(ace_measure_device_open(reference, &measure, NULL), ACESTEP_OK);
    assert_int_equal(ace_weights_open_synthetic(&none, NULL), ACESTEP_OK);
    ace_arena_open_at(&arena, measure, 64, SIZE_MAX >> 1);
    ace_stream_init(&stream, measure, &arena, ACE_F32, NULL);
    ace_loader_init(&loader, &stream, none, ACE_F32);
    loader.listener = add;
    loader.listener_context = l;
    asks(&loader, a);
    assert_int_equal(ace_loader_finish(&loader), ACESTEP_OK);
    ace_weights_close(none);
    ace_device_close(measure);
    ace_device_close(reference);
    return l;
}

/* Convolutions of the autoencoder are stored as length and direction. */
static void norm_convolutions(list *l)
{
    list *out = calloc(1, sizeof *out);
    assert_non_null(out);
    for (int i = 0; i < l->n; i++) {
        const tensor *t = &l->item[i];
        if (t->rank == 3) {
            char name[160];
            const int64_t length[] = {t->dim[0], 1, 1};
            (void)snprintf(name, sizeof name, "%s_g", t->name);
            add(out, name, length, 3);
            (void)snprintf(name, sizeof name, "%s_v", t->name);
            add(out, name, t->dim, 3);
        } else {
            add(out, t->name, t->dim, t->rank);
        }
    }
    *l = *out;
    free(out);
}

/* ---- numbers ------------------------------------------------------------------------------------
 */

static bool ends_in(const char *name, const char *end)
{
    size_t n = strlen(name);
    size_t m = strlen(end);
    return n >= m && strcmp(name + n - m, end) == 0;
}

/* Centre and spread of a tensor's numbers: like trained ones they keep signals near their size. */
static void range_of(const tensor *t, float *centre, float *spread)
{
    bool is_norm = strstr(t->name, "norm") != NULL;
    *centre = is_norm ? 1.0f : 0.0f;
    *spread = 0.5f;
    if (ends_in(t->name, "weight_g")) {
        *centre = 0.5f;
        *spread = 0.2f;
    } else if (is_norm) {
        *spread = 0.4f;
    } else if (ends_in(t->name, ".bias")) {
        *spread = 0.1f;
    } else if (ends_in(t->name, ".weight") && t->rank > 1) {
        int64_t inputs = 1;
        for (int i = 1; i < t->rank; i++) {
            inputs *= t->dim[i];
        }
        *spread = sqrtf(3.0f / (float)inputs);
    }
}

static int64_t elements_of(const tensor *t)
{
    int64_t n = 1;
    for (int i = 0; i < t->rank; i++) {
        n *= t->dim[i];
    }
    return n;
}

static uint64_t seed_of(const architecture *a, const char *name)
{
    uint64_t h = a->seed;
    for (const char *c = name; *c != '\0'; c++) {
        h = (h ^ (unsigned char)*c) * UINT64_C(0x100000001b3);
    }
    return h;
}

/* Halves of the numbers that occur here: normal ones, and zero for what is too small. */
static uint16_t half_bits(float value)
{
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    uint32_t sign = bits >> 16 & 0x8000u;
    int32_t exponent = (int32_t)(bits >> 23 & 0xffu) - 127 + 15;
    if (exponent <= 0) {
        return (uint16_t)sign;
    }
    uint32_t rounded = (bits & 0x7fffffu) + 0x1000u; /* may carry into the exponent */
    return (uint16_t)(sign | (((uint32_t)exponent << 10) + (rounded >> 13)));
}

static void put_number(FILE *f, ace_dtype dtype, float value)
{
    uint16_t half = dtype == ACE_BF16 ? ace_f32_to_bf16(value) : half_bits(value);
    if (dtype == ACE_F32) {
        assert_int_equal(fwrite(&value, sizeof value, 1, f), 1);
    } else {
        assert_int_equal(fwrite(&half, sizeof half, 1, f), 1);
    }
}

static void put_numbers(FILE *f, ace_dtype dtype, const architecture *a, const tensor *t)
{
    drawer d = {seed_of(a, t->name)};
    float centre;
    float spread;
    range_of(t, &centre, &spread);
    for (int64_t i = elements_of(t); i > 0; i--) {
        put_number(f, dtype, centre + spread * draw_unit(&d));
    }
}

/* ---- files --------------------------------------------------------------------------------------
 */

/* How the tensors of one part are stored. */
typedef struct storage {
    const char *stem;   /* "model" */
    const char *prefix; /* before every name: "" or "model." */
    int shards;
    uint64_t types; /* seed of each tensor's type */
} storage;

static ace_dtype dtype_of(const storage *s, int index)
{
    static const ace_dtype types[] = {ACE_F32, ACE_BF16, ACE_F16};
    drawer d = {s->types};
    int64_t kind = draw_between(&d, 0, 3);
    if (kind == 3) { /* every tensor as it likes */
        d.state += (uint64_t)index;
        kind = draw_between(&d, 0, 2);
    }
    return types[kind];
}

/* The head is no part of what "model." names. */
static void full_name(const storage *s, const tensor *t, char *out, size_t size)
{
    bool is_head = strncmp(t->name, "lm_head.", strlen("lm_head.")) == 0;
    (void)snprintf(out, size, "%s%s", is_head ? "" : s->prefix, t->name);
}

static json_t *header_of(const list *l, const storage *s, int shard)
{
    static const char *const names[] = {"F32", "BF16", "F16"};
    json_t *root = json_pack("{s:{s:s}}", "__metadata__", "format", "pt");
    int64_t at = 0;
    for (int i = shard; i < l->n; i += s->shards) {
        const tensor *t = &l->item[i];
        ace_dtype dtype = dtype_of(s, i);
        int64_t end = at + elements_of(t) * (int64_t)ace_dtype_bytes(dtype);
        char name[160];
        json_t *shape = json_array();
        for (int k = 0; k < t->rank; k++) {
            (void)json_array_append_new(shape, json_integer(t->dim[k]));
        }
        full_name(s, t, name, sizeof name);
        const char *type = names[dtype == ACE_F32 ? 0 : dtype == ACE_BF16 ? 1 : 2];
        (void)json_object_set_new(root, name,
                                  json_pack("{s:s, s:o, s:[I, I]}", "dtype", type, "shape", shape,
                                            "data_offsets", (json_int_t)at, (json_int_t)end));
        at = end;
    }
    return root;
}

static void write_shard(const char *path, const architecture *a, const list *l, const storage *s,
                        int shard)
{
    json_t *root = header_of(l, s, shard);
    char *text = json_dumps(root, JSON_COMPACT);
    FILE *f = fopen(path, "wb");
    assert_non_null(text);
    assert_non_null(f);
    uint64_t bytes = strlen(text);
    assert_int_equal(fwrite(&bytes, sizeof bytes, 1, f), 1);
    assert_int_equal(fwrite(text, 1, bytes, f), bytes);
    for (int i = shard; i < l->n; i += s->shards) {
        put_numbers(f, dtype_of(s, i), a, &l->item[i]);
    }
    assert_int_equal(fclose(f), 0);
    free(text);
    json_decref(root);
}

static void shard_name(const storage *s, int shard, char *out, size_t size)
{
    if (s->shards == 1) {
        (void)snprintf(out, size, "%s.safetensors", s->stem);
    } else {
        (void)snprintf(out, size, "%s-%05d-of-%05d.safetensors", s->stem, shard + 1, s->shards);
    }
}

static void write_json(const char *folder, const char *name, json_t *json)
{
    char path[512];
    (void)snprintf(path, sizeof path, "%s/%s", folder, name);
    assert_int_equal(json_dump_file(json, path, JSON_INDENT(1)), 0);
    json_decref(json);
}

static void write_tensors(const char *folder, const architecture *a, const list *l,
                          const storage *s)
{
    json_t *places = json_object();
    for (int shard = 0; shard < s->shards; shard++) {
        char name[96];
        char path[512];
        shard_name(s, shard, name, sizeof name);
        (void)snprintf(path, sizeof path, "%s/%s", folder, name);
        write_shard(path, a, l, s, shard);
        for (int i = shard; i < l->n; i += s->shards) {
            char full[160];
            full_name(s, &l->item[i], full, sizeof full);
            (void)json_object_set_new(places, full, json_string(name));
        }
    }
    if (s->shards > 1) {
        char index[96];
        (void)snprintf(index, sizeof index, "%s.safetensors.index.json", s->stem);
        write_json(folder, index, json_pack("{s:{}, s:O}", "metadata", "weight_map", places));
    }
    json_decref(places);
}

static void write_part(const char *folder, const char *part, const architecture *a, list *l,
                       storage s, json_t *config)
{
    char below[384];
    (void)snprintf(below, sizeof below, "%s/%s", folder, part);
    assert_int_equal(mkdir(below, 0777), 0);
    write_json(below, "config.json", config);
    write_tensors(below, a, l, &s);
    free(l);
}

/* ---- all of it ----------------------------------------------------------------------------------
 */

static bool copy_tokenizer(void *folder, const char *name)
{
    char below[384];
    char to[512];
    ace_file file;
    if (strcmp(name, "config.json") == 0 || strcmp(name, "model.safetensors") == 0) {
        return true;
    }
    (void)snprintf(below, sizeof below, "Qwen3-Embedding-0.6B/%s", name);
    (void)snprintf(to, sizeof to, "%s/%s", (const char *)folder, below);
    assert_int_equal(ace_file_open(golden_path(below), &file, NULL), ACESTEP_OK);
    assert_int_equal(ace_file_write(to, file.data, file.bytes, NULL), ACESTEP_OK);
    ace_file_close(&file);
    return true;
}

static storage storage_of(drawer *d, const char *stem)
{
    return (storage){.stem = stem,
                     .prefix = "",
                     .shards = draw_coin(d) ? 1 : (int)draw_between(d, 2, MOST_SHARDS),
                     .types = draw_bits(d)};
}

static storage qwen3_storage(drawer *d)
{
    storage s = storage_of(d, "model");
    s.prefix = draw_coin(d) ? "" : "model.";
    return s;
}

static void write_qwen3(const char *folder, const char *part, const architecture *a, ask *asks,
                        const ace_qwen3_config *c, drawer *d)
{
    list *l = collect(asks, a);
    const int64_t table[] = {c->vocabulary, c->block.hidden};
    add(l, "embed_tokens.weight", table, 2);
    write_part(folder, part, a, l, qwen3_storage(d), architecture_qwen3_json(a, c));
}

void made_checkpoint_write(const char *folder, const architecture *a, bool songs)
{
    drawer d = {a->seed + 2};
    list *dit = collect(ask_dit, a);
    const int64_t silence[] = {draw_between(&d, 150, 900), a->dit.latent_channels};
    add(dit, "silence_latent", silence, 2);
    write_part(folder, "acestep-v15-turbo", a, dit, storage_of(&d, "model"),
               architecture_dit_json(a));
    list *vae = collect(ask_vae, a);
    norm_convolutions(vae);
    storage one = storage_of(&d, "diffusion_pytorch_model");
    one.shards = 1;
    write_part(folder, "vae", a, vae, one, architecture_vae_json(a));
    write_qwen3(folder, "Qwen3-Embedding-0.6B", a, ask_text, &a->text, &d);
    write_qwen3(folder, "acestep-5Hz-lm-0.6B", a, ask_lm, &a->lm, &d);
    if (songs) {
        assert_int_equal(ace_directory_list(golden_path("Qwen3-Embedding-0.6B"), copy_tokenizer,
                                            (void *)(uintptr_t)folder, NULL),
                         ACESTEP_OK);
    }
}
