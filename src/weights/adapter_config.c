/* adapter_config.json, as PEFT writes it. Of its many fields those are read that change numbers. */
#include "base/json.h"
#include "base/memory.h"
#include "weights/adapter_parts.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

struct ace_adapter_config {
    ace_adapter_kind kind;
    double rank, alpha;
    bool rslora, dora;
    json_t *root; /* owned */
    json_t *rank_pattern, *alpha_pattern;
};

static ace_status refuse(const char *path, const char *field, const char *why, ace_error *err)
{
    return ace_fail(err, ACESTEP_UNSUPPORTED, "%.400s: %s: %s", path, field, why);
}

/* Absent, null, false, "", {} and [] all say that a feature is not used. */
static bool is_used(const json_t *value)
{
    return !(value == NULL || json_is_null(value) || json_is_false(value) ||
             (json_is_string(value) && json_string_length(value) == 0) ||
             (json_is_object(value) && json_object_size(value) == 0) ||
             (json_is_array(value) && json_array_size(value) == 0));
}

static ace_status check_features(const json_t *root, const char *path, ace_error *err)
{
    static const char *const unsupported[][2] = {
        {"lora_bias", "adapters with biases cannot be applied"},
        {"fan_in_fan_out", "transposed layers are none of this model's"},
        {"modules_to_save", "an adapter that replaces whole modules cannot be applied"},
        {"trainable_token_indices", "the diffusion transformer has no tokens"},
        {"layer_replication", "an adapter that repeats layers cannot be applied"},
    };
    for (size_t i = 0; i < sizeof unsupported / sizeof *unsupported; i++) {
        if (is_used(json_object_get(root, unsupported[i][0]))) {
            return refuse(path, unsupported[i][0], unsupported[i][1], err);
        }
    }
    const json_t *bias = json_object_get(root, "bias");
    if (is_used(bias) && (!json_is_string(bias) || strcmp(json_string_value(bias), "none") != 0)) {
        return refuse(path, "bias", "must be \"none\"", err);
    }
    return ACESTEP_OK;
}

/* PEFT's peft_type; LoRA where it is not said. */
static ace_status read_kind(ace_adapter_config *c, const char *path, ace_error *err)
{
    static const char *const names[ACE_ADAPTER_KINDS] = {"", "LORA", "LOHA", "LOKR"};
    const json_t *said = json_object_get(c->root, "peft_type");
    const char *name = said == NULL ? "LORA" : json_string_value(said);
    for (int i = ACE_ADAPTER_LORA; name != NULL && i < ACE_ADAPTER_KINDS; i++) {
        if (strcmp(name, names[i]) == 0) {
            c->kind = (ace_adapter_kind)i;
            return ACESTEP_OK;
        }
    }
    return refuse(path, "peft_type", "only LORA, LOHA and LOKR can be applied", err);
}

static bool read_positive(const json_t *value, double *out)
{
    if (!json_is_number(value)) {
        return false;
    }
    *out = json_number_value(value);
    return isfinite(*out) && *out > 0 && *out < 1e9;
}

/* {"self_attn.q_proj": 16}. PEFT takes the keys as regular expressions; names alone are read. */
static ace_status read_pattern(json_t *root, const char *field, const char *path, json_t **out,
                               ace_error *err)
{
    json_t *pattern = json_object_get(root, field);
    *out = json_is_object(pattern) ? pattern : NULL;
    if (is_used(pattern) && *out == NULL) {
        return ace_fail(err, ACESTEP_MODEL, "%.400s: %s is no object", path, field);
    }
    const char *key;
    json_t *value;
    json_object_foreach (*out, key, value) {
        double number = 0;
        if (strpbrk(key, "*+?|()[]{}\\$") != NULL) {
            return ace_fail(err, ACESTEP_UNSUPPORTED,
                            "%.400s: %s: \"%.100s\" is a regular expression; write the names out",
                            path, field, key);
        }
        if (!read_positive(value, &number)) {
            return ace_fail(err, ACESTEP_MODEL, "%.400s: %s of \"%.100s\" is no positive number",
                            path, field, key);
        }
    }
    return ACESTEP_OK;
}

static ace_status read_fields(ace_adapter_config *c, const char *path, ace_error *err)
{
    ace_status status = check_features(c->root, path, err);
    if (status == ACESTEP_OK) {
        status = read_kind(c, path, err);
    }
    if (status != ACESTEP_OK) {
        return status;
    }
    if (!read_positive(json_object_get(c->root, "r"), &c->rank)) {
        return ace_fail(err, ACESTEP_MODEL, "%.400s: r is missing or no positive number", path);
    }
    const char *alpha = c->kind == ACE_ADAPTER_LORA ? "lora_alpha" : "alpha";
    if (!read_positive(json_object_get(c->root, alpha), &c->alpha)) {
        return ace_fail(err, ACESTEP_MODEL, "%.400s: %s is missing or no positive number", path,
                        alpha);
    }
    c->rslora = json_is_true(json_object_get(c->root, "use_rslora"));
    c->dora = json_is_true(json_object_get(c->root, "use_dora"));
    status = read_pattern(c->root, "rank_pattern", path, &c->rank_pattern, err);
    return status == ACESTEP_OK
               ? read_pattern(c->root, "alpha_pattern", path, &c->alpha_pattern, err)
               : status;
}

ace_status ace_adapter_config_parse(const char *text, size_t bytes, const char *path,
                                    ace_adapter_config **out, ace_error *err)
{
    *out = ace_calloc(1, sizeof **out);
    if (*out == NULL) {
        return ace_fail(err, ACESTEP_MEMORY, "%.400s: no host memory", path);
    }
    ace_status status = ace_json_parse_object(text, bytes, path, &(*out)->root, err);
    if (status == ACESTEP_OK) {
        status = read_fields(*out, path, err);
    }
    if (status != ACESTEP_OK) {
        ace_adapter_config_free(*out);
        *out = NULL;
    }
    return status;
}

void ace_adapter_config_free(ace_adapter_config *config)
{
    if (config != NULL) {
        json_decref(config->root);
        ace_free(config);
    }
}

/* The whole name, or its end behind a dot: "q_proj" fits "layers.0.self_attn.q_proj". */
static bool fits(const char *key, const char *name)
{
    static const char decoder[] = "decoder.";
    bool is_whole = key[0] == '^';
    key += is_whole;
    if (strncmp(key, decoder, sizeof decoder - 1) == 0) {
        key += sizeof decoder - 1;
    }
    size_t n = strlen(key);
    size_t all = strlen(name);
    if (n > all || strcmp(name + all - n, key) != 0) {
        return false;
    }
    return n == all || (!is_whole && name[all - n - 1] == '.');
}

/* PEFT takes the first key that fits. */
static double value_for(json_t *pattern, const char *name, double otherwise)
{
    const char *key;
    json_t *value;
    json_object_foreach (pattern, key, value) {
        if (fits(key, name)) {
            return json_number_value(value);
        }
    }
    return otherwise;
}

/* Kind and rank are what the config says, and DoRA is there where it says so. */
static ace_status check_module(const ace_adapter_config *config, const char *path, const char *name,
                               int64_t rank, double said, const ace_adapter_module *m,
                               ace_error *err)
{
    if (m->kind != config->kind) {
        return ace_fail(err, ACESTEP_MODEL,
                        "%.400s: %s is of kind %s where its adapter_config.json says %s", path,
                        name, ace_adapter_kind_name(m->kind), ace_adapter_kind_name(config->kind));
    }
    if (rank > 0 && said != (double)rank) {
        return ace_fail(err, ACESTEP_MODEL,
                        "%.400s: %s has rank %lld where its adapter_config.json says %g", path,
                        name, (long long)rank, said);
    }
    if (config->dora && m->magnitude == NULL) {
        return ace_fail(err, ACESTEP_MODEL,
                        "%.400s: %s lacks its lora_magnitude_vector where its adapter_config.json "
                        "says use_dora",
                        path, name);
    }
    return ACESTEP_OK;
}

ace_status ace_adapter_config_scale(const ace_adapter_config *config, const char *path, int layer,
                                    ace_adapter_target target, int64_t rank, ace_adapter_module *m,
                                    ace_error *err)
{
    char name[64];
    (void)snprintf(name, sizeof name, "layers.%d.%s", layer, ace_adapter_target_name(target));
    double said = value_for(config->rank_pattern, name, config->rank);
    double alpha = value_for(config->alpha_pattern, name, config->alpha);
    m->scale = (float)(alpha / (config->rslora ? sqrt(said) : said));
    return check_module(config, path, name, rank, said, m, err);
}
