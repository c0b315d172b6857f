#include "model/text_encoder.h"
#include "support/bench_device.h"
#include "support/golden.h"
#include "weights/embedding.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

static const char model[] = "Qwen3-Embedding-0.6B";

/* Rows of ids, right-padded to one length; with_mask hides the padding. Caller frees. */
static float *encode(ace_device *device, ace_dtype precision, const golden *g, bool with_mask,
                     float **embeddings)
{
    ace_qwen3_config config = bench_qwen3_config(model);
    const ace_weight *ids = golden_tensor(g, "in.input_ids");
    int64_t batch = ids->dim[0];
    int64_t length = ids->dim[1];
    int64_t n = batch * length;
    int64_t width = config.block.hidden;
    int64_t *wide = golden_i64(g, "in.input_ids");
    int32_t *narrow = malloc((size_t)n * sizeof *narrow);
    uint8_t *mask = calloc((size_t)n, 1);
    float *x = malloc((size_t)(n * width) * sizeof *x);
    assert_non_null(narrow);
    assert_non_null(mask);
    assert_non_null(x);
    for (int64_t i = 0; i < n; i++) {
        narrow[i] = (int32_t)wide[i];
    }
    if (with_mask) {
        int64_t *given = golden_i64(g, "in.attention_mask");
        for (int64_t i = 0; i < n; i++) {
            mask[i] = given[i] != 0;
        }
        free(given);
    }
    test_bench b;
    ace_text_encoder *encoder = malloc(sizeof *encoder);
    assert_non_null(encoder);
    bench_open(&b, device, model, precision);
    ace_text_encoder_load(&b.loader, &config, encoder);
    bench_loaded(&b);
    assert_int_equal(ace_embedding_gather(b.weights, "embed_tokens.weight", config.vocabulary,
                                          width, narrow, n, x, &b.error),
                     ACESTEP_OK);
    if (embeddings != NULL) {
        *embeddings = malloc((size_t)(n * width) * sizeof **embeddings);
        assert_non_null(*embeddings);
        for (int64_t i = 0; i < n * width; i++) {
            (*embeddings)[i] = x[i];
        }
    }
    ace_tensor t = ace_new_from(&b.stream, ACE_F32, n, width, x);
    ace_text_encoder_forward(&b.stream, encoder, t, batch, length, with_mask ? mask : NULL, t);
    ace_download(&b.stream, x, t);
    bench_check(&b);
    bench_close(&b);
    free(encoder);
    free(wide);
    free(narrow);
    free(mask);
    return x;
}

static void matches_recorded(void **state)
{
    (void)state;
    ace_device *device = NULL;
    for (int i = 0; (device = bench_device(i)) != NULL; i++) {
        golden g = golden_open("text_single");
        float *embeddings = NULL;
        float *y = encode(device, ACE_F32, &g, false, &embeddings);
        assert_true(golden_matches(&g, "out.last_hidden_state", y));
        assert_true(golden_matches(&g, "out.embeddings", embeddings));
        free(embeddings);
        free(y);
        golden_close(&g);
    }
}

static void matches_recorded_prompt(void **state)
{
    (void)state;
    ace_device *device = NULL;
    for (int i = 0; (device = bench_device(i)) != NULL; i++) {
        golden g = golden_open("text_prompt");
        float *y = encode(device, ACE_F32, &g, false, NULL);
        assert_true(golden_matches(&g, "out.last_hidden_state", y));
        free(y);
        golden_close(&g);
    }
}

static void batches_match_with_and_without_mask(void **state)
{
    (void)state;
    ace_device *device = NULL;
    golden g = golden_open("text_batch2_rightpad");
    for (int i = 0; (device = bench_device(i)) != NULL; i++) {
        float *y = encode(device, ACE_F32, &g, false, NULL);
        assert_true(golden_matches(&g, "out.last_hidden_state_no_mask", y));
        free(y);
        y = encode(bench_device(i), ACE_F32, &g, true, NULL);
        assert_true(golden_matches(&g, "out.last_hidden_state_with_mask", y));
        free(y);
    }
    golden_close(&g);
}

/* Two layers whose products read rounded numbers: 2^-9 each in bf16, 1/254 of a row's largest
 * weight more in int8. */
static void low_precision_stays_close(void **state)
{
    (void)state;
    static const struct {
        ace_dtype matrices;
        double cosine, relative;
    } bounds[] = {{ACE_BF16, 0.9999, 0.01}, {ACE_I8, 0.9995, 0.03}};
    ace_device *device = NULL;
    golden g = golden_open("text_prompt");
    for (int k = 0; (device = bench_device(k / 2)) != NULL; k++) {
        double cosine = 0;
        double relative = 0;
        float *y = encode(device, bounds[k % 2].matrices, &g, false, NULL);
        golden_distance(&g, "out.last_hidden_state", y, &cosine, &relative);
        assert_true(cosine > bounds[k % 2].cosine);
        assert_true(relative < bounds[k % 2].relative);
        free(y);
    }
    golden_close(&g);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(matches_recorded),
        cmocka_unit_test(matches_recorded_prompt),
        cmocka_unit_test(batches_match_with_and_without_mask),
        cmocka_unit_test(low_precision_stays_close),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
