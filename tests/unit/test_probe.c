/* Every recorded case of a network or of the sampler, through the public door. */
#include "acestep.h"
#include "base/block_formats.h"
#include "support/golden.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

/* On another device than the CPU: TEST_DEVICE, and TEST_PLUGIN_DIR for where its plug-in is. */
static void choose_device(acestep_request *r)
{
    const char *device = getenv("TEST_DEVICE");
    const char *folder = getenv("TEST_PLUGIN_DIR");
    if (device != NULL) {
        assert_int_equal(acestep_request_set(r, "device", device, NULL), ACESTEP_OK);
    }
    if (folder != NULL) {
        assert_int_equal(acestep_request_set(r, "plugin_dir", folder, NULL), ACESTEP_OK);
    }
}

/* TEST_CASES: beginnings of names, separated by commas, of the cases to be run; unset: all. */
static bool is_wanted(const char *name)
{
    const char *wanted = getenv("TEST_CASES");
    while (wanted != NULL) {
        size_t n = strcspn(wanted, ",");
        if (n > 0 && strncmp(name, wanted, n) == 0) {
            return true;
        }
        if (wanted[n] == '\0') {
            return false;
        }
        wanted += n + 1;
    }
    return true;
}

static acestep_request *request_for(const char *precision)
{
    acestep_request *r = NULL;
    assert_int_equal(acestep_request_create(&r, NULL), ACESTEP_OK);
    assert_int_equal(acestep_request_set(r, "models", golden_path(""), NULL), ACESTEP_OK);
    assert_int_equal(acestep_request_set(r, "precision", precision, NULL), ACESTEP_OK);
    choose_device(r);
    return r;
}

static ace_weights *probe(const char *name, const char *precision)
{
    char below[160];
    char output[160];
    acestep_error err;
    ace_weights *got = NULL;
    acestep_request *r = request_for(precision);
    (void)snprintf(below, sizeof below, "golden/%s.safetensors", name);
    (void)snprintf(output, sizeof output, "/tmp/acestep-probe-%ld.safetensors", (long)getpid());
    if (acestep_probe(r, golden_path(below), output, &err) != ACESTEP_OK) {
        fail_msg("%s", err.message);
    }
    assert_int_equal(ace_weights_open(output, &got, NULL), ACESTEP_OK);
    (void)unlink(output);
    acestep_request_free(r);
    return got;
}

/* All recorded outputs are there and agree within the case's own tolerance. */
static bool case_matches(const char *name)
{
    golden g = golden_open(name);
    ace_weights *got = probe(name, "f32");
    bool matches = true;
    int outputs = 0;
    for (size_t i = 0; i < ace_weights_count(g.weights); i++) {
        const ace_weight *want = ace_weights_at(g.weights, i);
        if (strncmp(want->name, "out.", 4) != 0) {
            continue;
        }
        const ace_weight *have = ace_weights_find(got, want->name);
        outputs++;
        if (have == NULL || have->dtype != want->dtype || have->bytes != want->bytes) {
            print_error("%s: %s is missing or of another size\n", name, want->name);
            matches = false;
        } else if (want->dtype == ACE_I64) {
            matches = golden_matches_i64(&g, want->name, have->data) && matches;
        } else {
            matches = golden_matches(&g, want->name, have->data) && matches;
        }
    }
    ace_weights_close(got);
    golden_close(&g);
    return matches && outputs > 0;
}

static void every_case_matches_in_f32(void **state)
{
    (void)state;
    const char *file = NULL;
    json_t *entry = NULL;
    int cases = 0;
    bool all = true;
    json_t *index = json_load_file(golden_path("golden/index.json"), 0, NULL);
    assert_non_null(index);
    json_object_foreach (json_object_get(index, "files"), file, entry) {
        char name[160];
        (void)snprintf(name, sizeof name, "%.*s", (int)strcspn(file, "."), file);
        all = (!is_wanted(name) || case_matches(name)) && all;
        cases++;
    }
    json_decref(index);
    assert_int_equal(cases, 69);
    assert_true(all);
}

/* Weights and work tensors in bf16, eight bits of mantissa: single networks stay near 0.006. The
 * autoencoder's bounds are wider: Snake's sine amplifies the rounding in fifteen residual units,
 * and random weights exaggerate it. */
static const struct {
    const char *name, *output;
    double cosine, relative_rms;
} bounds[] = {
    {"text_single", "out.last_hidden_state", 0.9998, 0.02},
    {"cond_turbo_single", "out.encoder_hidden_states", 0.9998, 0.02},
    {"cond_base_single", "out.encoder_hidden_states", 0.9998, 0.02},
    {"fsq_detokenize_turbo", "out.latents_25hz", 0.9998, 0.02},
    {"dit_turbo_long61_t0714", "out.velocity", 0.9997, 0.025},
    {"dit_base_long61_t0714", "out.velocity", 0.9997, 0.025},
    {"sample_turbo_ode_shift3", "out.target_latents", 0.999, 0.05},
    {"sample_base_nocfg_6steps", "out.target_latents", 0.999, 0.05},
    {"vae_decode_12", "out.waveform", 0.997, 0.08},
    {"vae_encode_8f", "out.mean", 0.995, 0.10},
    {"e2e_turbo_text2music", "out.target_latents", 0.999, 0.05},
    {"lm_logits", "out.logits", 0.9998, 0.02},
};

static void bf16_stays_close(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof bounds / sizeof bounds[0]; i++) {
        double cosine = 0;
        double relative = 0;
        if (!is_wanted(bounds[i].name)) {
            continue;
        }
        golden g = golden_open(bounds[i].name);
        ace_weights *got = probe(bounds[i].name, "bf16");
        const ace_weight *have = ace_weights_find(got, bounds[i].output);
        assert_non_null(have);
        golden_distance(&g, bounds[i].output, have->data, &cosine, &relative);
        print_message("%-26s cosine %.6f, relative RMS %.4f\n", bounds[i].name, cosine, relative);
        assert_true(cosine >= bounds[i].cosine);
        assert_true(relative <= bounds[i].relative_rms);
        ace_weights_close(got);
        golden_close(&g);
    }
}

/* Greedy runs of the language model: in bf16 and int8 the tokens are the recorded ones until a step
 * where the best was ahead by no more than this. */
static void tokens_stay_where_the_margin_allows(void **state)
{
    static const char *const cases[] = {"fsm_codes_8s", "fsm_codes_8s_cfg2_rep",
                                        "fsm_cot_free_nocaption", "fsm_cot_reppen_topk",
                                        "fsm_cot_user_partial"};
    static const struct {
        const char *precision;
        float margin;
    } kinds[] = {{"bf16", 0.2f}, {"int8", 0.5f}};
    (void)state;
    for (size_t i = 0; i < 2 * sizeof cases / sizeof cases[0]; i++) {
        const char *name = cases[i / 2];
        if (!is_wanted(name)) {
            continue;
        }
        golden g = golden_open(name);
        ace_weights *got = probe(name, kinds[i % 2].precision);
        const ace_weight *have = ace_weights_find(got, "out.tokens");
        int64_t *want = golden_i64(&g, "out.tokens");
        float *margin = golden_f32(&g, "out.margins");
        int64_t n = golden_elements(golden_tensor(&g, "out.tokens"));
        int64_t same = 0;
        const int64_t *tokens = have->data;
        while (same < n && same < have->dim[0] && tokens[same] == want[same]) {
            same++;
        }
        print_message("%-24s %s: %lld of %lld tokens\n", name, kinds[i % 2].precision,
                      (long long)same, (long long)n);
        assert_true(same == n || margin[same] < kinds[i % 2].margin);
        free(want);
        free(margin);
        ace_weights_close(got);
        golden_close(&g);
    }
}

static void damaged_cases_are_refused(void **state)
{
    (void)state;
    acestep_error err;
    acestep_request *r = request_for("f32");
    assert_int_equal(acestep_probe(r, "/nowhere/dit_turbo_x.safetensors", "/tmp/x", &err),
                     ACESTEP_MODEL);
    char odd[64];
    (void)snprintf(odd, sizeof odd, "/tmp/acestep.%ld_x.safetensors", (long)getpid());
    assert_int_equal(symlink(golden_path("golden/text_single.safetensors"), odd), 0);
    assert_int_equal(acestep_probe(r, odd, "/tmp/x", &err), ACESTEP_ARGUMENT);
    assert_int_equal(unlink(odd), 0);
    assert_non_null(strstr(err.message, "no kind of case"));
    assert_int_equal(acestep_probe(r, golden_path("golden/text_single.safetensors"),
                                   "/nowhere/out.safetensors", &err),
                     ACESTEP_IO);
    acestep_request_free(r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_case_matches_in_f32),
        cmocka_unit_test(bf16_stays_close),
        cmocka_unit_test(tokens_stay_where_the_margin_allows),
        cmocka_unit_test(damaged_cases_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
