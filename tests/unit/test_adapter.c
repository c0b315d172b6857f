/* Adapter files: names, scales, and what is refused. */
#include "base/memory.h"
#include "support/checkpoint.h"
#include "weights/adapter.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

/* A pair of rank 2 for a layer [3, 4]. */
static void add_pair(checkpoint *f, const char *module, const char *down, const char *up)
{
    static const float a[8] = {1, 2, 3, 4, 5, 6, 7, 8};
    static const float b[6] = {1, 0, 0, 1, 1, 1};
    char name[200];
    (void)snprintf(name, sizeof name, "%s%s", module, down);
    checkpoint_add_f32(f, name, "[2,4]", a, 8);
    (void)snprintf(name, sizeof name, "%s%s", module, up);
    checkpoint_add_f32(f, name, "[3,2]", b, 6);
}

static ace_status read_file(checkpoint *f, const char *config, ace_adapter **out, ace_error *err)
{
    memset(err, 0, sizeof *err);
    return ace_adapter_read(checkpoint_open(f), "voice.safetensors", config,
                            config != NULL ? strlen(config) : 0, out, err);
}

static ace_adapter *read_well(checkpoint *f, const char *config)
{
    ace_adapter *a = NULL;
    ace_error err;
    if (read_file(f, config, &a, &err) != ACESTEP_OK) {
        fail_msg("%s", err.message);
    }
    checkpoint_free(f);
    return a;
}

/* Fails with this status; the message has these words, and is one line. */
static void assert_refused(checkpoint *f, const char *config, ace_status status, const char *words)
{
    ace_adapter *a = NULL;
    ace_error err;
    uint64_t live = ace_memory_live();
    assert_int_equal(read_file(f, config, &a, &err), status);
    assert_null(a);
    assert_int_equal(ace_memory_live(), live);
    if (strstr(err.message, words) == NULL || strchr(err.message, '\n') != NULL) {
        fail_msg("\"%s\" is not in: %s", words, err.message);
    }
    checkpoint_free(f);
}

/* ---- names ----------------------------------------------------------------------------------- */

static void every_spelling_is_known(void **state)
{
    (void)state;
    static const struct {
        const char *module, *down, *up;
        int layer;
        ace_adapter_target target;
    } names[] = {
        {"base_model.model.layers.0.self_attn.q_proj", ".lora_A.weight", ".lora_B.weight", 0,
         ACE_TARGET_SELF_Q},
        {"base_model.model.layers.23.cross_attn.k_proj", ".lora_A.default.weight",
         ".lora_B.default.weight", 23, ACE_TARGET_CROSS_K},
        {"base_model.model.decoder.layers.1.self_attn.o_proj", ".lora_A", ".lora_B", 1,
         ACE_TARGET_SELF_OUT},
        {"diffusion_model.decoder.layers.2.mlp.gate_proj", ".lora_A.weight", ".lora_B.weight", 2,
         ACE_TARGET_GATE},
        {"diffusion_model.layers.95.mlp.down_proj", ".lora_down.weight", ".lora_up.weight", 95,
         ACE_TARGET_DOWN},
        {"transformer.layers.7.mlp.up_proj", ".lora.down.weight", ".lora.up.weight", 7,
         ACE_TARGET_UP},
        {"lora_unet_decoder_layers_10_cross_attn_v_proj", ".lora_down.weight", ".lora_up.weight",
         10, ACE_TARGET_CROSS_V},
        {"lycoris_layers_3_self_attn_v_proj", ".lora_down.weight", ".lora_up.weight", 3,
         ACE_TARGET_SELF_V},
        {"layers.4.cross_attn.o_proj", ".lora_A.weight", ".lora_B.weight", 4, ACE_TARGET_CROSS_OUT},
    };
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        checkpoint *f = checkpoint_new();
        add_pair(f, names[i].module, names[i].down, names[i].up);
        ace_adapter *a = read_well(f, NULL);
        const ace_adapter_module *m = &a->module[names[i].layer][names[i].target];
        assert_int_equal(a->n_modules, 1);
        assert_int_equal(m->kind, ACE_ADAPTER_LORA);
        assert_int_equal(m->cols, 4);
        assert_int_equal(m->rows, 3);
        assert_null(m->magnitude);
        assert_true(m->scale == 1.0f);
        ace_adapter_close(a);
    }
}

static void other_targets_are_named(void **state)
{
    (void)state;
    static const char *const modules[] = {
        "base_model.model.condition_embedder",
        "base_model.model.layers.0.self_attn.qkv_proj",
        "layers.96.self_attn.q_proj",
        "layers.99999999999999999999.self_attn.q_proj",
        "layers.self_attn.q_proj",
        "layers.0_self_attn_q_proj",
        "text_encoder.layers.0.self_attn.q_proj",
        "layers.0.self_attn.q_projection",
        "layers.0.mlp.q_proj",
        "base_model.model.",
    };
    for (size_t i = 0; i < sizeof modules / sizeof *modules; i++) {
        checkpoint *f = checkpoint_new();
        char name[200];
        (void)snprintf(name, sizeof name, "%s.lora_A.weight", modules[i]);
        add_pair(f, "layers.0.self_attn.q_proj", ".lora_A.weight", ".lora_B.weight");
        add_pair(f, modules[i], ".lora_A.weight", ".lora_B.weight");
        assert_refused(f, NULL, ACESTEP_UNSUPPORTED, name);
    }
}

static void other_kinds_are_named(void **state)
{
    (void)state;
    static const char *const tensors[][2] = {
        {"lycoris_layers_0_self_attn_q_proj.lokr_t2", "Tucker core"},
        {"layers.0.self_attn.q_proj.hada_t1", "Tucker core"},
        {"layers.0.self_attn.q_proj.oft_blocks", "OFT"},
        {"layers.0.self_attn.q_proj.lokr_w3", "no tensor of an adapter"},
        {"layers.0.self_attn.q_proj.diff_b", "full difference"},
        {"layers.0.self_attn.q_proj.lora_B.bias", "no tensor of an adapter"},
        {"layers.0.self_attn.q_proj.weight", "no tensor of an adapter"},
        {"layers.0.self_attn.q_proj.lora_Another.weight", "no tensor of an adapter"},
        {"layers.0.self_attn.q_proj.alpha.weight", "no tensor of an adapter"},
    };
    for (size_t i = 0; i < sizeof tensors / sizeof *tensors; i++) {
        checkpoint *f = checkpoint_new();
        const float v[2] = {1, 2};
        add_pair(f, "layers.0.self_attn.k_proj", ".lora_A.weight", ".lora_B.weight");
        checkpoint_add_f32(f, tensors[i][0], "[1,2]", v, 2);
        assert_refused(f, NULL, ACESTEP_UNSUPPORTED, tensors[i][1]);
    }
}

static void halves_must_fit(void **state)
{
    (void)state;
    const float v[12] = {1};
    static const char module[] = "layers.0.self_attn.q_proj";
    checkpoint *f = checkpoint_new();
    checkpoint_add_f32(f, "layers.0.self_attn.q_proj.lora_A.weight", "[2,4]", v, 8);
    assert_refused(f, NULL, ACESTEP_MODEL, "lora_A.weight lacks its other half");

    f = checkpoint_new();
    checkpoint_add_f32(f, "layers.0.self_attn.q_proj.alpha", "[]", v, 1);
    assert_refused(f, NULL, ACESTEP_MODEL, "alpha lacks its other half");

    f = checkpoint_new();
    checkpoint_add_f32(f, "layers.0.self_attn.q_proj.lora_A.weight", "[2,4]", v, 8);
    checkpoint_add_f32(f, "layers.0.self_attn.q_proj.lora_B.weight", "[4,3]", v, 12);
    assert_refused(f, NULL, ACESTEP_MODEL, "no pair of matrices");

    f = checkpoint_new();
    checkpoint_add_f32(f, "layers.0.self_attn.q_proj.lora_A.weight", "[2,4,1]", v, 8);
    checkpoint_add_f32(f, "layers.0.self_attn.q_proj.lora_B.weight", "[4,2,1]", v, 8);
    assert_refused(f, NULL, ACESTEP_MODEL, "no pair of matrices");

    f = checkpoint_new();
    add_pair(f, module, ".lora_A.weight", ".lora_B.weight");
    add_pair(f, "diffusion_model.layers.0.self_attn.q_proj", ".lora_A.weight", ".lora_B.weight");
    assert_refused(f, NULL, ACESTEP_MODEL, "the same thing twice");

    f = checkpoint_new();
    checkpoint_add_f32(f, "layers.0.self_attn.q_proj.alpha", "[2]", v, 2);
    add_pair(f, module, ".lora_A.weight", ".lora_B.weight");
    assert_refused(f, NULL, ACESTEP_MODEL, "alpha is no number");
}

/* ---- scales ---------------------------------------------------------------------------------- */

static float scale_under(const char *config, const char *module, int layer,
                         ace_adapter_target target)
{
    checkpoint *f = checkpoint_new();
    add_pair(f, module, ".lora_A.weight", ".lora_B.weight");
    ace_adapter *a = read_well(f, config);
    float scale = a->module[layer][target].scale;
    ace_adapter_close(a);
    return scale;
}

static void scales_follow_the_config(void **state)
{
    (void)state;
    static const char q[] = "base_model.model.layers.1.self_attn.q_proj";
    assert_true(scale_under("{\"r\":2,\"lora_alpha\":16}", q, 1, ACE_TARGET_SELF_Q) == 8.0f);
    assert_true(scale_under("{\"r\":2,\"lora_alpha\":3,\"use_rslora\":true,\"bias\":\"none\","
                            "\"peft_type\":\"LORA\",\"modules_to_save\":null,\"use_dora\":false}",
                            q, 1, ACE_TARGET_SELF_Q) == (float)(3 / sqrt(2.0)));
    assert_true(scale_under("{\"r\":8,\"lora_alpha\":16,\"rank_pattern\":{\"q_proj\":2},"
                            "\"alpha_pattern\":{\"layers.1.self_attn.q_proj\":5}}",
                            q, 1, ACE_TARGET_SELF_Q) == 2.5f);
    /* a name's end, at a dot; a whole name behind ^ */
    assert_true(scale_under("{\"r\":2,\"lora_alpha\":2,\"alpha_pattern\":{\"attn.q_proj\":8,"
                            "\"^self_attn.q_proj\":9,\"^decoder.layers.1.self_attn.q_proj\":4}}",
                            q, 1, ACE_TARGET_SELF_Q) == 2.0f);
}

static void scales_follow_alpha(void **state)
{
    (void)state;
    static const char *const types[] = {"F32", "BF16"};
    const float alpha = 8;
    const uint16_t half = ace_f32_to_bf16(alpha);
    for (int i = 0; i < 2; i++) {
        checkpoint *f = checkpoint_new();
        add_pair(f, "lora_unet_layers_0_mlp_up_proj", ".lora_down.weight", ".lora_up.weight");
        checkpoint_add(f, "lora_unet_layers_0_mlp_up_proj.alpha", types[i], i == 0 ? "[]" : "[1]",
                       i == 0 ? (const void *)&alpha : &half, i == 0 ? 4 : 2);
        ace_adapter *a = read_well(f, NULL);
        assert_true(a->module[0][ACE_TARGET_UP].scale == 4.0f);
        ace_adapter_close(a);
    }
}

static void configs_that_say_more_are_refused(void **state)
{
    (void)state;
    static const struct {
        const char *config;
        ace_status status;
        const char *words;
    } bad[] = {
        {"{\"r\":4,\"lora_alpha\":1}", ACESTEP_MODEL,
         "rank 2 where its adapter_config.json says 4"},
        {"{\"lora_alpha\":1}", ACESTEP_MODEL, "r is missing"},
        {"{\"r\":2}", ACESTEP_MODEL, "lora_alpha is missing"},
        {"{\"r\":-2,\"lora_alpha\":1}", ACESTEP_MODEL, "r is missing"},
        {"{\"r\":2,\"lora_alpha\":\"1\"}", ACESTEP_MODEL, "lora_alpha is missing"},
        {"{\"r\":2,\"lora_alpha\":1,\"bias\":\"all\"}", ACESTEP_UNSUPPORTED, "bias"},
        {"{\"r\":2,\"lora_alpha\":1,\"use_dora\":true}", ACESTEP_MODEL,
         "lacks its lora_magnitude_vector"},
        {"{\"r\":2,\"alpha\":1,\"peft_type\":\"LOKR\"}", ACESTEP_MODEL,
         "is of kind lora where its adapter_config.json says lokr"},
        {"{\"r\":2,\"lora_alpha\":1,\"peft_type\":\"LOKR\"}", ACESTEP_MODEL, "alpha is missing"},
        {"{\"r\":2,\"lora_alpha\":1,\"peft_type\":\"BOFT\"}", ACESTEP_UNSUPPORTED, "peft_type"},
        {"{\"r\":2,\"lora_alpha\":1,\"peft_type\":7}", ACESTEP_UNSUPPORTED, "peft_type"},
        {"{\"r\":2,\"lora_alpha\":1,\"modules_to_save\":[\"x\"]}", ACESTEP_UNSUPPORTED,
         "modules_to_save"},
        {"{\"r\":2,\"lora_alpha\":1,\"rank_pattern\":[1]}", ACESTEP_MODEL, "rank_pattern"},
        {"{\"r\":2,\"lora_alpha\":1,\"rank_pattern\":{\".*q_proj\":2}}", ACESTEP_UNSUPPORTED,
         "regular expression"},
        {"{\"r\":2,\"lora_alpha\":1,\"alpha_pattern\":{\"q_proj\":0}}", ACESTEP_MODEL, "q_proj"},
        {"[]", ACESTEP_MODEL, "voice.safetensors"},
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        checkpoint *f = checkpoint_new();
        add_pair(f, "layers.0.self_attn.q_proj", ".lora_A.weight", ".lora_B.weight");
        assert_refused(f, bad[i].config, bad[i].status, bad[i].words);
    }
}

/* ---- files ----------------------------------------------------------------------------------- */

typedef struct folder {
    char path[64];
} folder;

static folder make_folder(void)
{
    folder d = {"/tmp/ace_adapter_XXXXXX"};
    assert_non_null(mkdtemp(d.path));
    return d;
}

static const char *in(const folder *d, const char *name)
{
    static char path[160];
    (void)snprintf(path, sizeof path, "%s/%s", d->path, name);
    return path;
}

static void write_text(const char *path, const char *text)
{
    checkpoint_write(path, text, strlen(text), NULL, 0);
}

static void remove_folder(const folder *d)
{
    static const char *const names[] = {"adapter_config.json", "adapter_model.safetensors",
                                        "adapter_model.bin", "lokr_weights.safetensors"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        (void)unlink(in(d, names[i]));
    }
    assert_int_equal(rmdir(d->path), 0);
}

static float scale_of_file(const char *path)
{
    ace_adapter *a = NULL;
    ace_error err = {0};
    if (ace_adapter_open(path, &a, &err) != ACESTEP_OK) {
        fail_msg("%s", err.message);
    }
    float scale = a->module[0][ACE_TARGET_SELF_Q].scale;
    ace_adapter_close(a);
    return scale;
}

static void folders_and_files_open(void **state)
{
    (void)state;
    folder d = make_folder();
    checkpoint *f = checkpoint_new();
    add_pair(f, "base_model.model.layers.0.self_attn.q_proj", ".lora_A.weight", ".lora_B.weight");
    ace_weights_close(checkpoint_open(f));
    assert_true(scale_of_file(f->path) == 1.0f);
    assert_int_equal(rename(f->path, in(&d, "adapter_model.safetensors")), 0);
    write_text(in(&d, "adapter_config.json"), "{\"r\":2,\"lora_alpha\":6}");
    assert_true(scale_of_file(d.path) == 3.0f);
    assert_true(scale_of_file(in(&d, "adapter_model.safetensors")) == 3.0f);
    checkpoint_free(f);
    remove_folder(&d);
}

static void assert_file_refused(const char *path, ace_status status, const char *words)
{
    ace_adapter *a = NULL;
    ace_error err = {0};
    assert_int_equal(ace_adapter_open(path, &a, &err), status);
    assert_null(a);
    if (strstr(err.message, words) == NULL || strchr(err.message, '\n') != NULL) {
        fail_msg("\"%s\" is not in: %s", words, err.message);
    }
}

static void other_files_are_refused(void **state)
{
    (void)state;
    folder d = make_folder();
    assert_file_refused(d.path, ACESTEP_MODEL, "adapter_model.safetensors");
    write_text(in(&d, "adapter_model.bin"), "x");
    assert_file_refused(d.path, ACESTEP_UNSUPPORTED, "safe_serialization");
    write_text(in(&d, "lokr_weights.safetensors"), "x");
    assert_file_refused(d.path, ACESTEP_MODEL, "lokr_weights.safetensors");
    assert_file_refused(in(&d, "adapter_model.bin"), ACESTEP_UNSUPPORTED, "pickle");
    write_text(in(&d, "adapter_model.safetensors"), "x");
    assert_file_refused(d.path, ACESTEP_IO, "adapter_config.json");
    remove_folder(&d);
    assert_file_refused("/nowhere/voice.safetensors", ACESTEP_MODEL, "/nowhere/voice.safetensors");
}

/* Every allocation in turn fails: MEMORY, and nothing is left. */
static void short_memory_is_survived(void **state)
{
    (void)state;
    checkpoint *f = checkpoint_new();
    add_pair(f, "layers.0.self_attn.q_proj", ".lora_A.weight", ".lora_B.weight");
    ace_weights_close(checkpoint_open(f));
    uint64_t live = ace_memory_live();
    ace_status status = ACESTEP_MEMORY;
    for (uint64_t n = 1; status == ACESTEP_MEMORY; n++) {
        ace_adapter *a = NULL;
        ace_memory_fail_at(n);
        status = ace_adapter_open(f->path, &a, NULL);
        ace_memory_fail_at(0);
        assert_true(status == ACESTEP_MEMORY || status == ACESTEP_OK);
        ace_adapter_close(a);
        assert_int_equal(ace_memory_live(), live);
        assert_true(n < 1000);
    }
    checkpoint_free(f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_spelling_is_known),
        cmocka_unit_test(other_targets_are_named),
        cmocka_unit_test(other_kinds_are_named),
        cmocka_unit_test(halves_must_fit),
        cmocka_unit_test(scales_follow_the_config),
        cmocka_unit_test(scales_follow_alpha),
        cmocka_unit_test(configs_that_say_more_are_refused),
        cmocka_unit_test(folders_and_files_open),
        cmocka_unit_test(other_files_are_refused),
        cmocka_unit_test(short_memory_is_survived),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
