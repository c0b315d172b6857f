/* gpu_tiers.json: rows of the tier table, changed without a compiler. */
#include "base/file_map.h"
#include "plan/tier.h"

#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* The whole table takes about 5 KB. */
enum { LARGEST_FILE = 1 << 20 };

/* Where a value stands, for messages. */
typedef struct place {
    const char *path, *row, *key;
    ace_error *err;
} place;

static ace_status refuse(const place *at, const char *expected)
{
    return ace_fail(at->err, ACESTEP_ARGUMENT, "%s: %.20s, %.40s: expected %s", at->path, at->row,
                    at->key, expected);
}

static ace_status read_duration(const place *at, json_t *value, void *out)
{
    double seconds = json_number_value(value);
    if (!json_is_number(value) || !(seconds >= ACE_SHORTEST_SONG && seconds <= ACE_LONGEST_SONG)) {
        return refuse(at, "seconds, 10 to 600");
    }
    *(double *)out = seconds;
    return ACESTEP_OK;
}

static ace_status read_batch(const place *at, json_t *value, void *out)
{
    json_int_t songs = json_integer_value(value);
    if (!json_is_integer(value) || songs < 1 || songs > ACE_LARGEST_BATCH) {
        return refuse(at, "a whole number of songs, 1 to 8");
    }
    *(int *)out = (int)songs;
    return ACESTEP_OK;
}

static ace_status read_switch(const place *at, json_t *value, void *out)
{
    if (!json_is_boolean(value)) {
        return refuse(at, "true or false");
    }
    *(bool *)out = json_is_true(value);
    return ACESTEP_OK;
}

/* "0.6B" or a model's name with it. */
static bool is_lm_size(const json_t *value, ace_lm_size *out)
{
    return json_is_string(value) && ace_lm_size_parse(json_string_value(value), out);
}

static ace_status read_available_lm(const place *at, json_t *value, void *out)
{
    bool available[ACE_LM_SIZES] = {false};
    bool good = json_is_array(value);
    for (size_t i = 0; good && i < json_array_size(value); i++) {
        ace_lm_size size = ACE_LM_06B;
        good = is_lm_size(json_array_get(value, i), &size);
        available[size] = true;
    }
    if (!good) {
        return refuse(at, "a list of 0.6B, 1.7B and 4B");
    }
    memcpy(out, available, sizeof available);
    return ACESTEP_OK;
}

static ace_status read_recommended_lm(const place *at, json_t *value, void *out)
{
    ace_lm_size size = ACE_LM_06B;
    if (json_is_null(value) || (json_is_string(value) && json_string_length(value) == 0)) {
        *(int *)out = -1;
        return ACESTEP_OK;
    }
    if (!is_lm_size(value, &size)) {
        return refuse(at, "\"0.6B\", \"1.7B\", \"4B\" or \"\"");
    }
    *(int *)out = (int)size;
    return ACESTEP_OK;
}

static ace_status read_lm_memory(const place *at, json_t *value, void *out)
{
    double gb[ACE_LM_SIZES] = {0};
    const char *name = NULL;
    json_t *number = NULL;
    if (!json_is_object(value)) {
        return refuse(at, "{\"0.6B\": GB, …}");
    }
    json_object_foreach (value, name, number) {
        ace_lm_size size = ACE_LM_06B;
        double amount = json_number_value(number);
        if (!ace_lm_size_parse(name, &size) || !json_is_number(number) ||
            !(amount > 0 && amount <= 1024)) {
            return refuse(at, "GB, above 0, for 0.6B, 1.7B or 4B");
        }
        gb[size] = amount;
    }
    memcpy(out, gb, sizeof gb);
    return ACESTEP_OK;
}

static ace_status read_restriction(const place *at, json_t *value, void *out)
{
    const char *word = json_is_string(value) ? json_string_value(value) : "";
    if (strcmp(word, "all") != 0 && strcmp(word, "pt_mlx_only") != 0) {
        return refuse(at, "\"all\" or \"pt_mlx_only\"");
    }
    *(bool *)out = strcmp(word, "all") == 0;
    return ACESTEP_OK;
}

static ace_status read_backend(const place *at, json_t *value, void *out)
{
    if (!json_is_string(value) || !ace_lm_backend_parse(json_string_value(value), out)) {
        return refuse(at, "\"vllm\", \"pt\" or \"mlx\"");
    }
    return ACESTEP_OK;
}

/* A switch, or the original's word for it. */
static ace_status read_quantization(const place *at, json_t *value, void *out)
{
    const char *word = json_is_string(value) ? json_string_value(value) : "";
    if (json_is_boolean(value)) {
        *(bool *)out = json_is_true(value);
    } else if (json_is_null(value) || strcmp(word, "none") == 0) {
        *(bool *)out = false;
    } else if (strcmp(word, "int8_weight_only") == 0) {
        *(bool *)out = true;
    } else {
        return refuse(at, "\"int8_weight_only\" or \"none\"");
    }
    return ACESTEP_OK;
}

static ace_status read_label(const place *at, json_t *value, void *out)
{
    size_t n = json_is_string(value) ? json_string_length(value) : 0;
    if (n == 0 || n >= sizeof(((ace_tier *)NULL)->label)) {
        return refuse(at, "a text of at most 31 bytes");
    }
    memcpy(out, json_string_value(value), n + 1);
    return ACESTEP_OK;
}

/* The values of a row, by the names of the original's GPUConfig (acestep/gpu_config.py). */
typedef ace_status read_field(const place *at, json_t *value, void *field);

static const struct {
    const char *key;
    read_field *read;
    size_t offset;
} fields[] = {
    {"max_duration_with_lm", read_duration, offsetof(ace_tier, max_duration_with_lm)},
    {"max_duration_without_lm", read_duration, offsetof(ace_tier, max_duration_without_lm)},
    {"max_batch_size_with_lm", read_batch, offsetof(ace_tier, max_batch_with_lm)},
    {"max_batch_size_without_lm", read_batch, offsetof(ace_tier, max_batch_without_lm)},
    {"max_batch_with_lm", read_batch, offsetof(ace_tier, max_batch_with_lm)},
    {"max_batch_without_lm", read_batch, offsetof(ace_tier, max_batch_without_lm)},
    {"init_lm_default", read_switch, offsetof(ace_tier, init_lm_default)},
    {"available_lm_models", read_available_lm, offsetof(ace_tier, available_lm)},
    {"recommended_lm_model", read_recommended_lm, offsetof(ace_tier, recommended_lm)},
    {"lm_memory_gb", read_lm_memory, offsetof(ace_tier, lm_memory_gb)},
    {"lm_backend_restriction", read_restriction, offsetof(ace_tier, vllm_allowed)},
    {"recommended_backend", read_backend, offsetof(ace_tier, recommended_backend)},
    {"offload_to_cpu_default", read_switch, offsetof(ace_tier, offload_to_cpu_default)},
    {"offload_dit_to_cpu_default", read_switch, offsetof(ace_tier, offload_dit_to_cpu_default)},
    {"quantization_default", read_quantization, offsetof(ace_tier, quantization_default)},
    {"compile_model_default", read_switch, offsetof(ace_tier, compile_model_default)},
    {"label", read_label, offsetof(ace_tier, label)},
};

static ace_status read_value(const place *at, json_t *value, ace_tier *row)
{
    for (size_t i = 0; i < sizeof fields / sizeof *fields; i++) {
        if (strcmp(at->key, fields[i].key) == 0) {
            return fields[i].read(at, value, (unsigned char *)row + fields[i].offset);
        }
    }
    return ace_fail(at->err, ACESTEP_ARGUMENT,
                    "%s: %.20s: no value is called \"%.40s\"; acestep tiers --json shows all",
                    at->path, at->row, at->key);
}

/* A default has to be one of the choices that the same row offers. */
static ace_status check_row(const ace_tier *row, place *at)
{
    bool offers_lm = false;
    for (int size = 0; size < ACE_LM_SIZES; size++) {
        offers_lm = offers_lm || row->available_lm[size];
    }
    at->key = "recommended_lm_model";
    if (row->recommended_lm >= 0 && !row->available_lm[row->recommended_lm]) {
        return refuse(at, "one of the row's available_lm_models");
    }
    at->key = "init_lm_default";
    if (row->init_lm_default && !offers_lm) {
        return refuse(at, "false, or something in available_lm_models");
    }
    at->key = "recommended_backend";
    if (row->recommended_backend == ACE_LM_VLLM && !row->vllm_allowed) {
        return refuse(at, "what lm_backend_restriction allows");
    }
    at->key = "offload_dit_to_cpu_default";
    if (row->offload_dit_to_cpu_default && !row->offload_to_cpu_default) {
        return refuse(at, "false, or offload_to_cpu_default true");
    }
    at->key = "compile_model_default";
    if (row->quantization_default && !row->compile_model_default) {
        return refuse(at, "true, because quantization_default needs it");
    }
    return ACESTEP_OK;
}

static ace_status read_row(place *at, json_t *values, ace_tier *row)
{
    const char *key = NULL;
    json_t *value = NULL;
    if (!json_is_object(values)) {
        return ace_fail(at->err, ACESTEP_ARGUMENT, "%s: %.20s: expected an object of values",
                        at->path, at->row);
    }
    json_object_foreach (values, key, value) {
        at->key = key;
        ace_status status = read_value(at, value, row);
        if (status != ACESTEP_OK) {
            return status;
        }
    }
    return check_row(row, at);
}

static ace_status read_rows(ace_tier_table *table, json_t *root, const char *path, ace_error *err)
{
    const char *key = NULL;
    json_t *values = NULL;
    json_object_foreach (root, key, values) {
        int i = ace_tier_find(key);
        if (i < 0) {
            return ace_fail(err, ACESTEP_ARGUMENT,
                            "%s: no tier is called \"%.40s\"; there are tier1 to tier5, tier6a, "
                            "tier6b and unlimited",
                            path, key);
        }
        if (table->from_file[i]) {
            return ace_fail(err, ACESTEP_ARGUMENT, "%s: %s stands there twice", path,
                            table->row[i].key);
        }
        place at = {path, key, "", err};
        ace_status status = read_row(&at, values, &table->row[i]);
        if (status != ACESTEP_OK) {
            return status;
        }
        table->from_file[i] = true;
    }
    return ACESTEP_OK;
}

ace_status ace_tier_table_parse(ace_tier_table *table, const char *json, size_t bytes,
                                const char *path, ace_error *err)
{
    json_error_t where;
    if (bytes > LARGEST_FILE) {
        return ace_fail(err, ACESTEP_ARGUMENT, "%s: %zu bytes are too many for a tier table", path,
                        bytes);
    }
    json_t *root = json_loadb(json, bytes, JSON_REJECT_DUPLICATES, &where);
    if (root == NULL) {
        return json_error_code(&where) == json_error_out_of_memory
                   ? ace_fail(err, ACESTEP_MEMORY, "%s: no host memory", path)
                   : ace_fail(err, ACESTEP_ARGUMENT, "%s: line %d, column %d: %s", path, where.line,
                              where.column, where.text);
    }
    ace_tier_table changed = *table;
    memset(changed.from_file, 0, sizeof changed.from_file);
    ace_status status = json_is_object(root) ? read_rows(&changed, root, path, err)
                                             : ace_fail(err, ACESTEP_ARGUMENT,
                                                        "%s: expected {\"tier1\": {…}, …}", path);
    json_decref(root);
    if (status == ACESTEP_OK) {
        for (int i = 0; i < ACE_TIERS; i++) {
            changed.from_file[i] = changed.from_file[i] || table->from_file[i];
        }
        *table = changed;
    }
    return status;
}

/* gpu_tiers.json in the program's own folder; false where that cannot be told. */
static bool path_beside_program(char *out, size_t bytes)
{
    static const char name[] = "gpu_tiers.json";
    ssize_t n = readlink("/proc/self/exe", out, bytes);
    if (n <= 0 || (size_t)n + sizeof name >= bytes) {
        return false;
    }
    while (n > 0 && out[n - 1] != '/') {
        n--;
    }
    memcpy(out + n, name, sizeof name);
    return true;
}

ace_status ace_tier_table_load(const char *path, ace_tier_table *out, ace_error *err)
{
    char beside[4096];
    ace_tier_table_default(out);
    if (path == NULL || path[0] == '\0') {
        if (!path_beside_program(beside, sizeof beside) || !ace_file_exists(beside)) {
            return ACESTEP_OK;
        }
        path = beside;
    }
    ace_file file;
    ace_status status = ace_file_open(path, &file, err);
    if (status == ACESTEP_OK) {
        status = ace_tier_table_parse(out, (const char *)file.data, file.bytes, path, err);
        ace_file_close(&file);
    }
    return status;
}
