#include "support/made_checkpoint.h"

#include "base/file_map.h"
#include "base/file_write.h"
#include "support/asked_tensors.h"
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

enum { MOST_SHARDS = 3 };

/* Convolutions of the autoencoder are stored as length and direction. */
static void norm_convolutions(asked_tensors *l)
{
    asked_tensors *out = calloc(1, sizeof *out);
    assert_non_null(out);
    for (int i = 0; i < l->n; i++) {
        const asked_tensor *t = &l->item[i];
        if (t->rank == 3) {
            char name[160];
            const int64_t length[] = {t->dim[0], 1, 1};
            (void)snprintf(name, sizeof name, "%s_g", t->name);
            asked_add(out, name, length, 3);
            (void)snprintf(name, sizeof name, "%s_v", t->name);
            asked_add(out, name, t->dim, 3);
        } else {
            asked_add(out, t->name, t->dim, t->rank);
        }
    }
    *l = *out;
    free(out);
}

/* ---- numbers --------------------------------------------------------------------------------- */

static bool ends_in(const char *name, const char *end)
{
    size_t n = strlen(name);
    size_t m = strlen(end);
    return n >= m && strcmp(name + n - m, end) == 0;
}

/* Centre and spread of a tensor's numbers: like trained ones they keep signals near their size. */
static void range_of(const asked_tensor *t, float *centre, float *spread)
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

static void put_numbers(FILE *f, ace_dtype dtype, const architecture *a, const asked_tensor *t)
{
    drawer d = {seed_of(a, t->name)};
    float centre;
    float spread;
    range_of(t, &centre, &spread);
    for (int64_t i = asked_elements(t); i > 0; i--) {
        put_number(f, dtype, centre + spread * draw_unit(&d));
    }
}

/* ---- files ----------------------------------------------------------------------------------- */

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
static void full_name(const storage *s, const asked_tensor *t, char *out, size_t size)
{
    bool is_head = strncmp(t->name, "lm_head.", strlen("lm_head.")) == 0;
    (void)snprintf(out, size, "%s%s", is_head ? "" : s->prefix, t->name);
}

static json_t *header_of(const asked_tensors *l, const storage *s, int shard)
{
    static const char *const names[] = {"F32", "BF16", "F16"};
    json_t *root = json_pack("{s:{s:s}}", "__metadata__", "format", "pt");
    int64_t at = 0;
    for (int i = shard; i < l->n; i += s->shards) {
        const asked_tensor *t = &l->item[i];
        ace_dtype dtype = dtype_of(s, i);
        int64_t end = at + asked_elements(t) * (int64_t)ace_dtype_bytes(dtype);
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

static void write_shard(const char *path, const architecture *a, const asked_tensors *l,
                        const storage *s, int shard)
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

static void write_tensors(const char *folder, const architecture *a, const asked_tensors *l,
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

static void write_part(const char *folder, const char *part, const architecture *a,
                       asked_tensors *l, storage s, json_t *config)
{
    char below[384];
    (void)snprintf(below, sizeof below, "%s/%s", folder, part);
    assert_int_equal(mkdir(below, 0777), 0);
    write_json(below, "config.json", config);
    write_tensors(below, a, l, &s);
    free(l);
}

/* ---- all of it ------------------------------------------------------------------------------- */

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

static void write_qwen3(const char *folder, const char *part, const architecture *a,
                        ask_tensors *asks, const ace_qwen3_config *c, drawer *d)
{
    asked_tensors *l = asked_by(asks, a);
    const int64_t table[] = {c->vocabulary, c->block.hidden};
    asked_add(l, "embed_tokens.weight", table, 2);
    write_part(folder, part, a, l, qwen3_storage(d), architecture_qwen3_json(a, c));
}

void made_checkpoint_write(const char *folder, const architecture *a, bool songs)
{
    drawer d = {a->seed + 2};
    asked_tensors *dit = asked_by(ask_dit, a);
    const int64_t silence[] = {draw_between(&d, 150, 900), a->dit.latent_channels};
    asked_add(dit, "silence_latent", silence, 2);
    write_part(folder, "acestep-v15-turbo", a, dit, storage_of(&d, "model"),
               architecture_dit_json(a));
    asked_tensors *vae = asked_by(ask_vae, a);
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
