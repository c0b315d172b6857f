/* The sampler against a plain one that sorts, on thousands of small cases; and its properties. */
#include "base/clock.h"
#include "base/memory.h"
#include "lm/sampler.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { MOST = 96 };

/* ---- chance
 * ------------------------------------------------------------------------------------------------
 */

static uint64_t next(uint64_t *state)
{
    *state = *state * 6364136223846793005u + 1442695040888963407u;
    return *state >> 33;
}

static double uniform(uint64_t *state)
{
    return (double)next(state) / 2147483648.0;
}

/* Few distinct values, so that many are equal; some forbidden, some zeros negative. */
static void random_logits(uint64_t *state, int n, float *out)
{
    int steps = 1 + (int)(next(state) % 40);
    for (int i = 0; i < n; i++) {
        out[i] = ((float)(next(state) % (uint64_t)steps) - (float)(steps / 2)) * 0.37f;
        out[i] = next(state) % 8 == 0 ? -INFINITY : out[i];
        out[i] = next(state) % 16 == 0 ? -0.0f : out[i];
    }
}

/* ---- the plain one
 * ----------------------------------------------------------------------------------------- */

typedef struct entry {
    float value;
    int index;
} entry;

static int ascending(const void *a, const void *b)
{
    const entry *x = a;
    const entry *y = b;
    if (x->value != y->value) {
        return x->value < y->value ? -1 : 1;
    }
    return x->index - y->index; /* as a stable sort leaves them */
}

static int descending(const void *a, const void *b)
{
    const entry *x = a;
    const entry *y = b;
    if (x->value != y->value) {
        return x->value > y->value ? -1 : 1;
    }
    return x->index - y->index;
}

static double softmax(const double *z, int n, double temperature, double *out)
{
    double largest = -INFINITY;
    double sum = 0;
    for (int i = 0; i < n; i++) {
        largest = fmax(largest, z[i]);
    }
    for (int i = 0; i < n; i++) {
        out[i] = z[i] == -INFINITY ? 0 : exp((z[i] - largest) / temperature);
        sum += out[i];
    }
    for (int i = 0; i < n; i++) {
        out[i] /= sum;
    }
    return sum;
}

static void plain_top_k(double *z, int n, int64_t k)
{
    entry sorted[MOST];
    for (int i = 0; i < n; i++) {
        sorted[i] = (entry){(float)z[i], i};
    }
    qsort(sorted, (size_t)n, sizeof *sorted, descending);
    for (int i = 0; i < n && k > 0 && k < n; i++) {
        z[i] = z[i] < (double)sorted[k - 1].value ? -INFINITY : z[i];
    }
}

/* False when a sum lies so close to its bound that rounding decides. */
static bool plain_top_p(double *z, int n, double p, double temperature, ace_lm_order order)
{
    entry sorted[MOST];
    double share[MOST];
    bool vllm = order == ACE_LM_ORDER_VLLM;
    double sum = 0;
    bool clear = true;
    (void)softmax(z, n, temperature, share);
    for (int i = 0; i < n; i++) {
        sorted[i] = (entry){(float)z[i], i};
    }
    qsort(sorted, (size_t)n, sizeof *sorted, vllm ? ascending : descending);
    for (int i = 0; i < n; i++) {
        int at = sorted[i].index;
        double bound = vllm ? 1 - p : p;
        double mass = vllm ? sum + share[at] : sum;
        bool best = i == (vllm ? n - 1 : 0);
        clear = clear && (fabs(mass - bound) > 1e-6 || share[at] == 0 || best);
        if (!best && (vllm ? mass <= bound : mass > bound)) {
            z[at] = -INFINITY;
        }
        sum += share[at];
    }
    return clear;
}

static bool plain(const ace_lm_sampling *s, const float *logits, int n, double *probability)
{
    double z[MOST];
    bool clear = true;
    bool vllm = s->order == ACE_LM_ORDER_VLLM;
    for (int i = 0; i < n; i++) {
        z[i] = (double)logits[i];
    }
    plain_top_k(z, n, s->top_k);
    if (s->top_p < 1) {
        clear = plain_top_p(z, n, s->top_p, vllm ? s->temperature : 1, s->order);
    }
    (void)softmax(z, n, s->temperature, probability);
    return clear;
}

/* ---- tests
 * -------------------------------------------------------------------------------------------------
 */

static void agrees_with_sorting(void **state)
{
    (void)state;
    uint64_t chance = 1;
    ace_lm_scratch scratch;
    int compared = 0;
    assert_true(ace_lm_scratch_create(MOST, &scratch));
    for (int round = 0; round < 20000; round++) {
        float logits[MOST];
        float got[MOST];
        double want[MOST];
        int n = 1 + (int)(next(&chance) % MOST);
        random_logits(&chance, n, logits);
        logits[next(&chance) % (uint64_t)n] = 1.0f; /* one at least */
        ace_lm_sampling s = {.temperature = 0.2 + 2 * uniform(&chance),
                             .top_k = (int64_t)(next(&chance) % 3 * (next(&chance) % MOST)),
                             .top_p = next(&chance) % 4 == 0 ? 1 : uniform(&chance),
                             .order = (ace_lm_order)(next(&chance) % 2)};
        assert_true(ace_lm_distribution(&s, logits, n, got, &scratch));
        if (!plain(&s, logits, n, want)) {
            continue;
        }
        compared++;
        for (int i = 0; i < n; i++) {
            assert_true((got[i] > 0) == (want[i] > 1e-12) || want[i] < 1e-12);
            assert_true(fabs((double)got[i] - want[i]) < 2e-6);
        }
    }
    assert_true(compared > 19000);
    ace_lm_scratch_free(&scratch);
}

static void edges_of_top_p(void **state)
{
    (void)state;
    const float equal[4] = {2, 2, 2, 2};
    ace_lm_scratch scratch;
    float got[4];
    ace_lm_sampling s = {.temperature = 1, .top_p = 0.5, .order = ACE_LM_ORDER_VLLM};
    assert_true(ace_lm_scratch_create(4, &scratch));
    /* from below 0.25 and 0.5 are ≤ 0.5: the first two go */
    assert_true(ace_lm_distribution(&s, equal, 4, got, &scratch));
    const float last_two[4] = {0, 0, 0.5f, 0.5f};
    assert_memory_equal(got, last_two, sizeof got);
    /* from above 0, 0.25 and 0.5 do not exceed 0.5: the first three stay */
    s.order = ACE_LM_ORDER_PT;
    assert_true(ace_lm_distribution(&s, equal, 4, got, &scratch));
    assert_true(got[0] > 0.33f && got[1] == got[0] && got[2] == got[0] && got[3] == 0);
    s.top_p = 0;
    assert_true(ace_lm_distribution(&s, equal, 4, got, &scratch));
    assert_true(got[0] == 1 && got[3] == 0);
    s.order = ACE_LM_ORDER_VLLM;
    assert_true(ace_lm_distribution(&s, equal, 4, got, &scratch));
    assert_true(got[0] == 0 && got[3] == 1);
    ace_lm_scratch_free(&scratch);
}

static void min_p_is_a_share_of_the_largest(void **state)
{
    (void)state;
    const float logits[4] = {logf(0.5f), logf(0.3f), logf(0.15f), logf(0.05f)};
    ace_lm_scratch scratch;
    float got[4];
    ace_lm_sampling s = {.temperature = 1, .top_p = 1, .min_p = 0.25};
    assert_true(ace_lm_scratch_create(4, &scratch));
    assert_true(ace_lm_distribution(&s, logits, 4, got, &scratch));
    assert_true(got[2] > 0 && got[3] == 0);
    assert_true(fabsf(got[0] - 0.5f / 0.95f) < 1e-6f);
    s.min_p = 7; /* no share is above all of it */
    assert_true(ace_lm_distribution(&s, logits, 4, got, &scratch));
    assert_true(got[0] == 1);
    ace_lm_scratch_free(&scratch);
}

static void nothing_left(void **state)
{
    (void)state;
    float forbidden[3] = {-INFINITY, -INFINITY, -INFINITY};
    float got[3];
    ace_lm_scratch scratch;
    ace_lm_sampling s = {.temperature = 0.85, .top_p = 0.9};
    assert_true(ace_lm_scratch_create(3, &scratch));
    for (int t = 0; t < 2; t++) {
        forbidden[1] = -INFINITY;
        assert_false(ace_lm_distribution(&s, forbidden, 3, got, &scratch));
        assert_int_equal(ace_lm_sample(&s, forbidden, 3, 0.5, &scratch), -1);
        forbidden[1] = NAN;
        assert_int_equal(ace_lm_sample(&s, forbidden, 3, 0.5, &scratch), -1);
        forbidden[1] = INFINITY;
        assert_int_equal(ace_lm_sample(&s, forbidden, 3, 0.5, &scratch), -1);
        forbidden[1] = -3e38f;
        assert_int_equal(ace_lm_sample(&s, forbidden, 3, 0.5, &scratch), 1);
        s.temperature = 0;
    }
    assert_int_equal(ace_lm_sample(&s, forbidden, 0, 0.5, &scratch), -1);
    ace_lm_scratch_free(&scratch);
}

static void no_temperature_takes_the_first_of_equals(void **state)
{
    (void)state;
    const float logits[5] = {1, 7, -INFINITY, 7, 0};
    float got[5];
    ace_lm_scratch scratch;
    ace_lm_sampling s = {.temperature = 0, .top_k = 3, .top_p = 0.1, .min_p = 0.5};
    assert_true(ace_lm_scratch_create(5, &scratch));
    const double cold[] = {0, -1, 1e-300, NAN};
    for (int i = 0; i < 4; i++) {
        s.temperature = cold[i];
        assert_int_equal(ace_lm_sample(&s, logits, 5, 0.99, &scratch), 1);
        assert_true(ace_lm_distribution(&s, logits, 5, got, &scratch));
        assert_true(got[1] == 1 && got[3] == 0 && got[0] == 0);
    }
    ace_lm_scratch_free(&scratch);
}

/* With evenly spaced numbers the frequencies are the probabilities, to one count. */
static void frequencies_are_probabilities(void **state)
{
    (void)state;
    enum { DRAWS = 50000 };
    uint64_t chance = 5;
    ace_lm_scratch scratch;
    assert_true(ace_lm_scratch_create(MOST, &scratch));
    for (int round = 0; round < 20; round++) {
        float logits[MOST];
        float p[MOST];
        int count[MOST] = {0};
        random_logits(&chance, MOST, logits);
        ace_lm_sampling s = {.temperature = 0.3 + uniform(&chance),
                             .top_k = round % 2 * 20,
                             .top_p = round % 3 == 0 ? 1 : 0.8,
                             .order = (ace_lm_order)(round % 2)};
        assert_true(ace_lm_distribution(&s, logits, MOST, p, &scratch));
        for (int i = 0; i < DRAWS; i++) {
            int64_t at = ace_lm_sample(&s, logits, MOST, (i + 0.5) / DRAWS, &scratch);
            assert_in_range(at, 0, MOST - 1);
            count[at]++;
        }
        for (int i = 0; i < MOST; i++) {
            assert_true(fabs(count[i] - (double)p[i] * DRAWS) <= 1.02);
            assert_true(count[i] == 0 || p[i] > 0);
        }
    }
    ace_lm_scratch_free(&scratch);
}

static void guidance_keeps_what_is_forbidden(void **state)
{
    (void)state;
    float cond[4] = {1, -INFINITY, -INFINITY, 3};
    const float uncond[4] = {2, -INFINITY, 1, -INFINITY};
    ace_lm_guide(cond, cond, uncond, 4, 3.5);
    assert_true(cond[0] == 2 - 3.5f);
    for (int i = 1; i < 4; i++) {
        assert_true(cond[i] == -INFINITY);
    }
}

static void penalty_falls_once_per_id(void **state)
{
    (void)state;
    float logits[4] = {2, -2, -INFINITY, 0};
    uint8_t mark[4] = {0};
    const uint8_t clean[4] = {0};
    const int32_t seen[] = {100, 101, 100, 99, 104, INT32_MIN, INT32_MAX, 102, 100};
    ace_lm_penalise(logits, 100, 4, seen, 9, 2.0, mark);
    assert_true(logits[0] == 1 && logits[1] == -4 && logits[2] == -INFINITY && logits[3] == 0);
    assert_memory_equal(mark, clean, 4);
    ace_lm_penalise(logits, 100, 4, seen, 9, 0.0, mark); /* no penalty at all */
    assert_true(logits[0] == 1 && logits[1] == -4);
}

static void memory_failures(void **state)
{
    (void)state;
    uint64_t live = ace_memory_live();
    for (uint64_t n = 1; n <= 3; n++) {
        ace_lm_scratch scratch;
        ace_memory_fail_at(n);
        assert_false(ace_lm_scratch_create(100, &scratch));
        ace_memory_fail_at(0);
        ace_lm_scratch_free(&scratch);
        assert_int_equal(ace_memory_live(), live);
    }
}

/* Sizes of the audio codes' head and of the whole vocabulary. Bounds are ten times what is usual,
 * so that only a sort or worse is caught; the figures are printed. */
static void large_vocabularies(void **state)
{
    (void)state;
    const int64_t sizes[] = {64024, 217204};
    for (int k = 0; k < 2; k++) {
        enum { RUNS = 20 };
        int64_t n = sizes[k];
        uint64_t chance = 9;
        ace_lm_scratch scratch;
        ace_lm_sampling s = {.temperature = 0.85, .top_p = 0.9};
        float *logits = ace_malloc_array((size_t)n, sizeof *logits);
        assert_non_null(logits);
        assert_true(ace_lm_scratch_create(n, &scratch));
        for (int64_t i = 0; i < n; i++) { /* about normal */
            double sum = 0;
            for (int j = 0; j < 4; j++) {
                sum += uniform(&chance) - 0.5;
            }
            logits[i] = (float)(sum * 6);
        }
        double start = ace_clock_seconds();
        for (int i = 0; i < RUNS; i++) {
            assert_true(ace_lm_sample(&s, logits, n, (i + 0.5) / RUNS, &scratch) >= 0);
        }
        double each = (ace_clock_seconds() - start) / RUNS;
        print_message("top-p of %ld logits: %.2f ms\n", (long)n, each * 1e3);
        assert_true(each < 1e-6 * (double)n);
        ace_lm_scratch_free(&scratch);
        ace_free(logits);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(agrees_with_sorting),
        cmocka_unit_test(edges_of_top_p),
        cmocka_unit_test(min_p_is_a_share_of_the_largest),
        cmocka_unit_test(nothing_left),
        cmocka_unit_test(no_temperature_takes_the_first_of_equals),
        cmocka_unit_test(frequencies_are_probabilities),
        cmocka_unit_test(guidance_keeps_what_is_forbidden),
        cmocka_unit_test(penalty_falls_once_per_id),
        cmocka_unit_test(memory_failures),
        cmocka_unit_test(large_vocabularies),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
