/* config.json of every network: what is read, what is assumed when absent, and what is refused. */
#include "base/memory.h"
#include "model/config_assumed.h"
#include "support/golden.h"
#include "support/hostile.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* ---- configs with one field changed ---------------------------------------------------------- */

typedef ace_status config_reader(const char *json, size_t bytes, ace_error *err);

static ace_status read_dit(const char *json, size_t bytes, ace_error *err)
{
    ace_dit_config c;
    return ace_dit_config_parse(json, bytes, "config.json", &c, err);
}

static ace_status read_vae(const char *json, size_t bytes, ace_error *err)
{
    ace_vae_config c;
    return ace_vae_config_parse(json, bytes, "config.json", &c, err);
}

static ace_status read_qwen3(const char *json, size_t bytes, ace_error *err)
{
    ace_qwen3_config c;
    return ace_qwen3_config_parse(json, bytes, "config.json", &c, err);
}

/* The recorded config with a field replaced by a JSON value, or left out (NULL). Free with free().
 */
static char *changed(const char *path, const char *key, const char *value)
{
    json_t *root = json_load_file(golden_path(path), 0, NULL);
    assert_non_null(root);
    if (key != NULL && value != NULL) {
        json_t *v = json_loads(value, JSON_DECODE_ANY, NULL);
        assert_non_null(v);
        assert_int_equal(json_object_set_new(root, key, v), 0);
    } else if (key != NULL) {
        (void)json_object_del(root, key);
    }
    char *text = json_dumps(root, JSON_COMPACT);
    assert_non_null(text);
    json_decref(root);
    return text;
}

typedef struct bad_field {
    const char *key, *value; /* value NULL: the field is absent */
    const char *expected;    /* NULL: the key */
} bad_field;

static void assert_each_refused(const char *path, config_reader *read, const bad_field *fields,
                                size_t n)
{
    for (size_t i = 0; i < n; i++) {
        ace_error err = {.code = ACESTEP_OK};
        char *text = changed(path, fields[i].key, fields[i].value);
        const char *expected = fields[i].expected != NULL ? fields[i].expected : fields[i].key;
        if (read(text, strlen(text), &err) != ACESTEP_MODEL) {
            fail_msg("%s: %s was accepted", fields[i].key,
                     fields[i].value != NULL ? fields[i].value : "nothing");
        }
        if (strstr(err.message, expected) == NULL || strstr(err.message, "config.json") == NULL) {
            fail_msg("\"%s\" does not say \"%s\"", err.message, expected);
        }
        free(text);
    }
}

static ace_dit_config dit_with(const char *key, const char *value)
{
    ace_dit_config c;
    ace_error err = {.code = ACESTEP_OK};
    char *text = changed("acestep-v15-turbo/config.json", key, value);
    if (ace_dit_config_parse(text, strlen(text), "config.json", &c, &err) != ACESTEP_OK) {
        fail_msg("%s", err.message);
    }
    free(text);
    return c;
}

/* The recorded config with the fields of a JSON object. */
static ace_dit_config dit_of(const char *patch)
{
    ace_dit_config c;
    ace_error err = {.code = ACESTEP_OK};
    json_t *root = json_load_file(golden_path("acestep-v15-turbo/config.json"), 0, NULL);
    json_t *fields = json_loads(patch, 0, NULL);
    assert_int_equal(json_object_update(root, fields), 0);
    char *text = json_dumps(root, JSON_COMPACT);
    assert_non_null(text);
    if (ace_dit_config_parse(text, strlen(text), "config.json", &c, &err) != ACESTEP_OK) {
        fail_msg("%s", err.message);
    }
    free(text);
    json_decref(root);
    json_decref(fields);
    return c;
}

/* ---- the diffusion transformer --------------------------------------------------------------- */

static void test_dit(void **state)
{
    (void)state;
    static const int levels[] = {4, 4, 3, 3, 3, 3};
    ace_dit_config c = dit_with(NULL, NULL);
    assert_int_equal(c.decoder.hidden, 64);
    assert_int_equal(c.decoder.intermediate, 160);
    assert_int_equal(c.decoder.heads, 4);
    assert_int_equal(c.decoder.kv_heads, 2);
    assert_int_equal(c.decoder.head_dim, 16);
    assert_int_equal(c.decoder.window, 8);
    assert_true(c.decoder.rope_theta == 1e6 && c.decoder.rms_eps == 1e-6f);
    assert_memory_equal(&c.encoder, &c.decoder, sizeof c.encoder);
    assert_int_equal(c.layers, 3);
    assert_int_equal(c.lyric_layers, 2);
    assert_int_equal(c.timbre_layers, 2);
    assert_int_equal(c.pooler_layers, 2);
    assert_int_equal(c.detokenizer_layers, 2);
    assert_true(c.sliding[0] && !c.sliding[1] && c.sliding[2]);
    assert_int_equal(c.latent_channels, 8);
    assert_int_equal(c.in_channels, 24);
    assert_int_equal(c.text_dim, 64);
    assert_int_equal(c.n_fsq_levels, 6);
    assert_memory_equal(c.fsq_levels, levels, sizeof levels);
    assert_int_equal(c.fsq_codes, 1296);
    assert_true(c.turbo && !c.timbre_cls);
}

/* As newer versions of transformers write it. */
static void test_rotation_in_its_own_object(void **state)
{
    (void)state;
    static const char own[] = "{\"rope_type\":\"default\",\"rope_theta\":5000}";
    ace_dit_config c = dit_of("{\"rope_theta\":null,\"rope_parameters\":"
                              "{\"rope_type\":\"default\",\"rope_theta\":5000}}");
    assert_true(c.decoder.rope_theta == 5000);
    assert_true(dit_with("rope_scaling", own).decoder.rope_theta == 1e6); /* it is said apart */
}

static void test_heads_from_tensors(void **state)
{
    (void)state;
    ace_weights *w = NULL;
    assert_int_equal(ace_weights_open(golden_path("acestep-v15-turbo"), &w, NULL), ACESTEP_OK);
    ace_dit_config c = dit_with("head_dim", NULL);
    ace_dit_config_complete(&c, w);
    assert_true(c.decoder.head_dim == 16 && c.encoder.head_dim == 16);
    assert_true(c.decoder.kv_heads == 2 && c.encoder.kv_heads == 2);
    c = dit_with("num_key_value_heads", NULL);
    ace_dit_config_complete(&c, w);
    assert_true(c.decoder.kv_heads == 2 && c.encoder.kv_heads == 2);
    c = dit_with("head_dim", "32"); /* what the config says is not doubted */
    ace_dit_config_complete(&c, w);
    assert_int_equal(c.decoder.head_dim, 32);
    ace_weights_close(w);
}

static void test_heads_of_qwen3_from_tensors(void **state)
{
    (void)state;
    static const char *const keys[] = {"head_dim", "num_key_value_heads"};
    ace_weights *w = NULL;
    assert_int_equal(ace_weights_open(golden_path("acestep-5Hz-lm-0.6B"), &w, NULL), ACESTEP_OK);
    for (int i = 0; i < 2; i++) {
        ace_qwen3_config c;
        char *text = changed("acestep-5Hz-lm-0.6B/config.json", keys[i], NULL);
        assert_int_equal(ace_qwen3_config_parse(text, strlen(text), "config.json", &c, NULL),
                         ACESTEP_OK);
        free(text);
        ace_qwen3_config_complete(&c, w);
        assert_true(c.block.head_dim == 16 && c.block.kv_heads == 2);
    }
    ace_weights_close(w);
}

/* In XL checkpoints the tokenizer is as wide as the encoder. */
static void test_width_of_codes(void **state)
{
    (void)state;
    static const bad_field field = {"encoder_hidden_size", "48", "fsq_dim"};
    assert_each_refused("acestep-v15-turbo/config.json", read_dit, &field, 1);
}

static void test_encoder_of_its_own_width(void **state)
{
    (void)state;
    ace_dit_config c = dit_of("{\"encoder_hidden_size\":48,\"fsq_dim\":48}");
    assert_true(c.timbre_cls);
    assert_int_equal(c.encoder.hidden, 48);
    assert_int_equal(c.decoder.hidden, 64);
    assert_int_equal(c.encoder.intermediate, 160);
    assert_int_equal(dit_with("encoder_num_attention_heads", "8").encoder.heads, 8);
    assert_false(dit_with("encoder_hidden_size", "null").timbre_cls);
}

static void test_layer_types(void **state)
{
    (void)state;
    static const char full_first[] =
        "[\"full_attention\",\"full_attention\",\"sliding_attention\"]";
    ace_dit_config c = dit_with("layer_types", full_first);
    assert_true(!c.sliding[0] && !c.sliding[1] && c.sliding[2]);
    c = dit_with("layer_types", NULL);
    for (int i = 0; i < ACE_MAX_LAYERS; i++) {
        assert_true(c.sliding[i] == (i % 2 == 0));
    }
    static const char *const off[][2] = {{"use_sliding_window", "false"},
                                         {"use_sliding_window", "null"},
                                         {"sliding_window", "null"}};
    for (int k = 0; k < 3; k++) {
        c = dit_with(off[k][0], off[k][1]);
        for (int i = 0; i < ACE_MAX_LAYERS; i++) {
            assert_false(c.sliding[i]);
        }
    }
}

static void test_defaults(void **state)
{
    (void)state;
    /* of AceStepConfig; 8 heads of keys do not fit to 4 of queries */
    assert_int_equal(dit_with("head_dim", NULL).decoder.head_dim, 128);
    assert_int_equal(dit_with("num_key_value_heads", NULL).decoder.kv_heads, 4);
    assert_int_equal(dit_with("num_key_value_heads", "null").decoder.kv_heads, 4);
    assert_int_equal(dit_with("patch_size", NULL).patch, 2);
    assert_int_equal(dit_with("timbre_fix_frame", "40").timbre_frames, 750);
    assert_int_equal(dit_with("fsq_input_levels", NULL).fsq_codes, 64000);
    assert_int_equal(dit_with("num_attention_pooler_hidden_layers", NULL).pooler_layers, 2);
    assert_int_equal(dit_with("num_timbre_encoder_hidden_layers", NULL).timbre_layers, 3);
    assert_true(dit_with("rope_theta", NULL).decoder.rope_theta == 1e6);
    assert_int_equal(dit_with("pool_window_size", NULL).pool_window, 5);
    assert_int_equal(dit_with("sliding_window", NULL).decoder.window, 128);
    assert_false(dit_with("is_turbo", NULL).turbo);
    /* stacks of the condition encoder are never longer than the decoder's */
    assert_int_equal(dit_with("num_lyric_encoder_hidden_layers", "8").lyric_layers, 3);
}

static void test_bad_dit_fields(void **state)
{
    (void)state;
    static const bad_field fields[] = {
        {"hidden_size", NULL, NULL},
        {"hidden_size", "0", NULL},
        {"hidden_size", "-64", NULL},
        {"hidden_size", "64.5", NULL},
        {"hidden_size", "\"64\"", NULL},
        {"hidden_size", "9223372036854775807", NULL},
        {"intermediate_size", "null", NULL},
        {"num_hidden_layers", "97", NULL},
        {"num_hidden_layers", "4", "layer_types"},
        {"num_attention_heads", "true", NULL},
        {"num_key_value_heads", "3", NULL},
        {"num_key_value_heads", "8", NULL},
        {"head_dim", "15", NULL},
        {"rms_norm_eps", "0", NULL},
        {"rms_norm_eps", "\"small\"", NULL},
        {"rope_theta", "-1", NULL},
        {"rope_scaling", "{\"type\":\"yarn\"}", NULL},
        {"rope_parameters", "{\"rope_type\":\"linear\"}", NULL},
        {"rope_parameters", "{\"rope_type\":\"default\",\"rope_theta\":0}", NULL},
        {"num_attention_heads", "2147483648", NULL},
        {"intermediate_size", "2147483648", NULL},
        {"head_dim", "2147483648", NULL},
        {"sliding_window", "2147483648", NULL},
        {"num_hidden_layers", "0", NULL},
        {"layer_types", "\"full_attention\"", NULL},
        {"hidden_act", "\"gelu\"", NULL},
        {"attention_bias", "true", NULL},
        {"sliding_window", "0", NULL},
        {"layer_types", "[\"sliding_attention\",\"full_attention\",\"linear_attention\"]", NULL},
        {"layer_types", "[1,2,3]", NULL},
        {"encoder_hidden_size", "[]", NULL},
        {"encoder_num_attention_heads", "3", NULL},
        {"encoder_num_key_value_heads", "3", NULL},
        {"num_lyric_encoder_hidden_layers", "0", NULL},
        {"num_timbre_encoder_hidden_layers", "0", NULL},
        {"num_attention_pooler_hidden_layers", "1000", NULL},
        {"audio_acoustic_hidden_dim", "9", "in_channels"},
        {"timbre_hidden_dim", "9", NULL},
        {"fsq_dim", "63", NULL},
        {"fsq_input_num_quantizers", "2", NULL},
        {"in_channels", "192", NULL},
        {"patch_size", "17", NULL},
        {"text_hidden_dim", "{}", NULL},
        {"fsq_input_levels", "[]", NULL},
        {"fsq_input_levels", "8", NULL},
        {"fsq_input_levels", "[8,8,8,5,5,5,5,5,5]", NULL},
        {"fsq_input_levels", "[8,\"8\"]", NULL},
        {"fsq_input_levels", "[8,1]", NULL},
        {"fsq_input_levels", "[4096,4096,4096]", NULL},
    };
    assert_each_refused("acestep-v15-turbo/config.json", read_dit, fields,
                        sizeof fields / sizeof *fields);
}

/* ---- the others ------------------------------------------------------------------------------ */

static void test_qwen3(void **state)
{
    (void)state;
    static const bad_field fields[] = {
        {"vocab_size", NULL, NULL},         {"vocab_size", "99999999", NULL},
        {"num_hidden_layers", "[]", NULL},  {"num_key_value_heads", "3", NULL},
        {"attention_bias", "true", NULL},   {"num_hidden_layers", "0", NULL},
        {"vocab_size", "2147483648", NULL}, {"head_dim", "17", NULL},
    };
    ace_qwen3_config c;
    char *text = changed("Qwen3-Embedding-0.6B/config.json", NULL, NULL);
    assert_int_equal(ace_qwen3_config_parse(text, strlen(text), "config.json", &c, NULL),
                     ACESTEP_OK);
    free(text);
    assert_int_equal(c.block.hidden, 64);
    assert_int_equal(c.block.intermediate, 96);
    assert_int_equal(c.layers, 2);
    assert_int_equal(c.vocabulary, 496);
    assert_true(c.tied_embeddings);
    assert_each_refused("Qwen3-Embedding-0.6B/config.json", read_qwen3, fields,
                        sizeof fields / sizeof *fields);
}

static void test_vae(void **state)
{
    (void)state;
    static const int64_t strides[] = {2, 4, 4, 6, 10};
    static const bad_field fields[] = {
        {"audio_channels", "0", NULL},
        {"decoder_input_channels", NULL, NULL},
        {"sampling_rate", "1000000", NULL},
        {"channel_multiples", "[1,1,2,2]", NULL},
        {"downsampling_ratios", "[2,4,4,6,3]", NULL},
        {"downsampling_ratios", "[2,4,4,6,514]", NULL},
        {"downsampling_ratios", "[32,32,32,32,32]", "downsampling_ratios"},
        {"downsampling_ratios", "\"2\"", NULL},
    };
    ace_vae_config c;
    char *text = changed("vae/config.json", NULL, NULL);
    assert_int_equal(ace_vae_config_parse(text, strlen(text), "config.json", &c, NULL), ACESTEP_OK);
    free(text);
    assert_int_equal(c.encoder_hidden, 16);
    assert_int_equal(c.decoder_channels, 12);
    assert_int_equal(c.n_blocks, 5);
    assert_memory_equal(c.strides, strides, sizeof strides);
    assert_int_equal(c.multiples[4], 3);
    assert_int_equal(c.hop, 1920);
    assert_int_equal(c.sample_rate, 48000);
    assert_each_refused("vae/config.json", read_vae, fields, sizeof fields / sizeof *fields);
}

static void test_texts_that_are_no_config(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "", "[]", "null", "{", "{\"hidden_size\":1,}", "{\"a\":1,\"a\":2}", "{}", "\xff"};
    config_reader *const readers[] = {read_dit, read_vae, read_qwen3};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        for (size_t r = 0; r < 3; r++) {
            ace_error err = {.code = ACESTEP_OK};
            assert_int_equal(readers[r](texts[i], strlen(texts[i]), &err), ACESTEP_MODEL);
            assert_null(strchr(err.message, '\n'));
        }
    }
}

static ace_status read_dit_bytes(const unsigned char *data, size_t bytes, ace_error *err)
{
    return read_dit((const char *)data, bytes, err);
}

static void test_every_cut_is_an_error(void **state)
{
    (void)state;
    char *text = changed("acestep-v15-turbo/config.json", NULL, NULL);
    hostile_cut(read_dit_bytes, (const unsigned char *)text, strlen(text));
    hostile_change(read_dit_bytes, (const unsigned char *)text, strlen(text));
    free(text);
}

/* ---- published shapes ------------------------------------------------------------------------ */

/* Parameters of one decoder layer as the checkpoints store them (self-attention, cross-attention,
 * MLP, three norms, the table of six modulations). */
static int64_t layer_parameters(const ace_block_config *b)
{
    int64_t q = b->heads * b->head_dim;
    int64_t kv = b->kv_heads * b->head_dim;
    int64_t attention = 2 * q * b->hidden + 2 * kv * b->hidden + 2 * b->head_dim;
    return 2 * attention + 3 * b->hidden * b->intermediate + 3 * b->hidden + 6 * b->hidden;
}

static void test_published(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        int64_t layers, parameters;
        bool turbo, xl;
    } models[] = {
        {"turbo", 24, 62933504, true, false},    {"base", 24, 62933504, false, false},
        {"sft", 24, 62933504, false, false},     {"xl-turbo", 32, 127163392, true, true},
        {"xl-base", 32, 127163392, false, true}, {"xl-sft", 32, 127163392, false, true},
    };
    for (size_t i = 0; i < sizeof models / sizeof *models; i++) {
        ace_dit_config c;
        assert_int_equal(ace_dit_config_published(models[i].name, &c, NULL), ACESTEP_OK);
        assert_int_equal(c.layers, models[i].layers);
        assert_int_equal(layer_parameters(&c.decoder), models[i].parameters);
        assert_true(c.turbo == models[i].turbo && c.timbre_cls == models[i].xl);
        assert_int_equal(c.encoder.hidden, 2048);
        assert_int_equal(c.fsq_codes, 64000);
        assert_int_equal(c.in_channels, 3 * c.latent_channels);
    }
    ace_dit_config c;
    ace_error err = {.code = ACESTEP_OK};
    assert_int_equal(ace_dit_config_published("turbo2", &c, &err), ACESTEP_ARGUMENT);
    assert_non_null(strstr(err.message, "turbo2"));
}

static void test_published_others(void **state)
{
    (void)state;
    ace_qwen3_config text;
    ace_vae_config vae;
    ace_text_encoder_config_published(&text);
    const ace_block_config *b = &text.block;
    int64_t q = b->heads * b->head_dim;
    int64_t kv = b->kv_heads * b->head_dim;
    int64_t layer = 2 * q * b->hidden + 2 * kv * b->hidden + 2 * b->head_dim +
                    3 * b->hidden * b->intermediate + 2 * b->hidden;
    assert_int_equal(layer, 15730944);
    assert_int_equal(text.layers * layer + text.vocabulary * b->hidden + b->hidden, 595776512);
    ace_vae_config_published(&vae);
    int64_t hop = 1;
    for (int i = 0; i < vae.n_blocks; i++) {
        hop *= vae.strides[i];
    }
    assert_int_equal(vae.hop, hop);
    assert_int_equal(hop, 1920);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_dit),
        cmocka_unit_test(test_encoder_of_its_own_width),
        cmocka_unit_test(test_rotation_in_its_own_object),
        cmocka_unit_test(test_width_of_codes),
        cmocka_unit_test(test_heads_from_tensors),
        cmocka_unit_test(test_heads_of_qwen3_from_tensors),
        cmocka_unit_test(test_layer_types),
        cmocka_unit_test(test_defaults),
        cmocka_unit_test(test_bad_dit_fields),
        cmocka_unit_test(test_qwen3),
        cmocka_unit_test(test_vae),
        cmocka_unit_test(test_texts_that_are_no_config),
        cmocka_unit_test(test_every_cut_is_an_error),
        cmocka_unit_test(test_published),
        cmocka_unit_test(test_published_others),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
