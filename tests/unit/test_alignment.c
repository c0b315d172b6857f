/* Times and scores of lyrics from attention: the way through a matrix against all ways, planted
 * alignments found again, and what must not break it. */
#include "base/memory.h"
#include "sample/alignment.h"
#include "sample/attention_map.h"
#include "sample/dtw.h"
#include "sample/median.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* xorshift32: Marsaglia 2003. */
static uint32_t draw(uint32_t *x)
{
    *x ^= *x << 13;
    *x ^= *x >> 17;
    *x ^= *x << 5;
    return *x;
}

/* ---- the median ------------------------------------------------------------------------------ */

static int ascending(const void *a, const void *b)
{
    float x = *(const float *)a;
    float y = *(const float *)b;
    return x < y ? -1 : x > y;
}

static void medians_are_those_of_the_sorted_list(void **state)
{
    (void)state;
    uint32_t seed = 7;
    float list[65];
    float sorted[65];
    for (int round = 0; round < 3000; round++) {
        int n = 1 + (int)(draw(&seed) % 65);
        uint32_t values = 1 + draw(&seed) % 20; /* few: many of them equal */
        for (int i = 0; i < n; i++) {
            list[i] = (float)(draw(&seed) % values);
        }
        memcpy(sorted, list, sizeof list);
        qsort(sorted, (size_t)n, sizeof *sorted, ascending);
        float expected = n % 2 == 1 ? sorted[n / 2] : (sorted[n / 2 - 1] + sorted[n / 2]) / 2;
        assert_true(ace_median(list, n) == expected);
    }
}

/* ---- the way through a matrix ---------------------------------------------------------------- */

/* The cost of the cheapest of all ways from (i, j) to the end, by trying every one. */
static double cheapest(const float *cost, int rows, int cols, int i, int j)
{
    double here = (double)cost[i * cols + j];
    if (i == rows - 1 && j == cols - 1) {
        return here;
    }
    double best = (double)INFINITY;
    for (int step = 1; step <= 3; step++) {
        int di = step & 1;
        int dj = step >> 1;
        if (i + di < rows && j + dj < cols) {
            best = fmin(best, cheapest(cost, rows, cols, i + di, j + dj));
        }
    }
    return here + best;
}

static double cost_of(const float *cost, int cols, const ace_path *path)
{
    double sum = 0;
    for (int64_t k = 0; k < path->n; k++) {
        sum += (double)cost[path->cell[k].row * cols + path->cell[k].col];
    }
    return sum;
}

static void check_is_way(const ace_path *path, int rows, int cols)
{
    assert_true(path->n >= (rows > cols ? rows : cols));
    assert_int_equal(path->cell[0].row, 0);
    assert_int_equal(path->cell[0].col, 0);
    assert_int_equal(path->cell[path->n - 1].row, rows - 1);
    assert_int_equal(path->cell[path->n - 1].col, cols - 1);
    for (int64_t k = 1; k < path->n; k++) {
        int di = path->cell[k].row - path->cell[k - 1].row;
        int dj = path->cell[k].col - path->cell[k - 1].col;
        assert_true(di >= 0 && di <= 1 && dj >= 0 && dj <= 1 && di + dj > 0);
    }
}

static void no_way_is_cheaper(void **state)
{
    (void)state;
    uint32_t seed = 99;
    for (int round = 0; round < 400; round++) {
        float cost[30];
        int rows = 1 + (int)(draw(&seed) % 5);
        int cols = 1 + (int)(draw(&seed) % 6);
        for (int k = 0; k < rows * cols; k++) {
            /* whole numbers: sums are exact; of many, so that no two ways cost the same */
            cost[k] = (float)(draw(&seed) % (1 << 20)) - (float)(1 << 19);
        }
        ace_path path;
        assert_int_equal(ace_dtw(cost, rows, cols, &path, NULL), ACESTEP_OK);
        check_is_way(&path, rows, cols);
        assert_true(cost_of(cost, cols, &path) == cheapest(cost, rows, cols, 0, 0));
        ace_path_free(&path);
    }
}

static void check_path(const float *cost, int rows, int cols, const ace_path_cell *expected, int n)
{
    ace_path path;
    assert_int_equal(ace_dtw(cost, rows, cols, &path, NULL), ACESTEP_OK);
    assert_int_equal(path.n, n);
    assert_memory_equal(path.cell, expected, (size_t)n * sizeof *expected);
    ace_path_free(&path);
}

/* A tie goes to the step along the columns, whoever it is between, and whatever that costs. */
static void ties_are_broken_as_in_the_original(void **state)
{
    (void)state;
    static const float flat[6] = {0};
    static const ace_path_cell along[] = {{0, 0}, {1, 0}, {1, 1}, {1, 2}};
    check_path(flat, 2, 3, along, 4);
    /* at the end: diagonal 0, above 0, before 5 */
    static const float above_ties[] = {0, 0, 5, 0};
    static const ace_path_cell left[] = {{0, 0}, {1, 0}, {1, 1}};
    check_path(above_ties, 2, 2, left, 3);
    /* diagonal 1, above 0, before 2: the step from above is the cheapest */
    static const float descends[] = {1, -1, 1, 0};
    static const ace_path_cell down[] = {{0, 0}, {0, 1}, {1, 1}};
    check_path(descends, 2, 2, down, 3);
    static const float diagonal[] = {0, 1, 1, 0};
    static const ace_path_cell across[] = {{0, 0}, {1, 1}};
    check_path(diagonal, 2, 2, across, 2);
}

static void empty_matrices_have_no_way(void **state)
{
    (void)state;
    ace_path path;
    ace_error err = {.code = ACESTEP_OK};
    float one = 1;
    assert_int_equal(ace_dtw(&one, 0, 1, &path, &err), ACESTEP_ARGUMENT);
    assert_int_equal(ace_dtw(&one, 1, 0, &path, NULL), ACESTEP_ARGUMENT);
    assert_int_equal(path.n, 0);
    ace_path_free(&path);
}

/* ---- alignments ------------------------------------------------------------------------------ */

enum { TOKENS = 12, FRAMES = 120, PER_TOKEN = FRAMES / TOKENS };

/* Token i is looked at during its tenth of the song, over a floor of noise; `order` permutes. */
static void plant(float *p, const int *order, float strength, uint32_t seed)
{
    for (int i = 0; i < TOKENS; i++) {
        for (int j = 0; j < FRAMES; j++) {
            float noise = (float)(draw(&seed) % 1000) / 1000 * 0.01f;
            bool here = j / PER_TOKEN == (order != NULL ? order[i] : i);
            p[i * FRAMES + j] = noise + (here ? strength : 0);
        }
    }
}

static ace_alignment aligned(const int *order, float strength, int heads)
{
    static float p[TOKENS * FRAMES];
    ace_alignment a;
    assert_int_equal(ace_alignment_create(TOKENS, FRAMES, true, &a, NULL), ACESTEP_OK);
    for (int h = 0; h < heads; h++) {
        plant(p, order, strength, 31u + (uint32_t)h);
        assert_int_equal(ace_alignment_add_head(&a, p, NULL), ACESTEP_OK);
    }
    return a;
}

static void planted_times_are_found(void **state)
{
    (void)state;
    double start[TOKENS];
    double end[TOKENS];
    ace_alignment a = aligned(NULL, 0.6f, 3);
    assert_int_equal(ace_alignment_times(&a, 9.6, start, end, NULL), ACESTEP_OK);
    for (int i = 0; i < TOKENS; i++) { /* 9.6 s of 120 frames: 0.8 s a token */
        assert_true(fabs(start[i] - i * 0.8) < 1e-9);
        assert_true(fabs(end[i] - (i * 0.8 + 9 * 0.08)) < 1e-9);
    }
    ace_alignment_free(&a);
}

/* A token that is looked at all along tells nothing, nor does a moment that looks at everything. */
static void stripes_do_not_disturb(void **state)
{
    (void)state;
    static float p[TOKENS * FRAMES];
    double start[TOKENS];
    double end[TOKENS];
    ace_alignment a;
    plant(p, NULL, 0.5f, 3);
    for (int j = 0; j < FRAMES; j++) {
        p[4 * FRAMES + j] = 0.9f;
    }
    for (int i = 0; i < TOKENS; i++) {
        p[i * FRAMES + 77] = 0.9f;
    }
    assert_int_equal(ace_alignment_create(TOKENS, FRAMES, true, &a, NULL), ACESTEP_OK);
    assert_int_equal(ace_alignment_add_head(&a, p, NULL), ACESTEP_OK);
    assert_int_equal(ace_alignment_times(&a, 9.6, start, end, NULL), ACESTEP_OK);
    for (int i = 0; i < TOKENS; i++) {
        if (i != 4 && i != 5) {
            assert_true(fabs(start[i] - i * 0.8) < 0.09);
        }
    }
    ace_alignment_free(&a);
}

static void good_alignments_score_high(void **state)
{
    (void)state;
    bool sung[TOKENS];
    memset(sung, 1, sizeof sung);
    ace_alignment_score good;
    ace_alignment a = aligned(NULL, 0.8f, 2);
    assert_int_equal(ace_alignment_rate(&a, sung, &good, NULL), ACESTEP_OK);
    assert_true(good.coverage == 1 && good.monotonicity == 1);
    /* 120 cells of full energy, and one of none at each of the 11 corners: any gain lures the way
     */
    assert_true(fabs(good.confidence - 120.0 / 131) < 0.02);
    assert_true(fabs(good.total - good.confidence) < 1e-4);
    assert_true(good.total == nearbyint(good.total * 1e4) / 1e4);
    ace_alignment_free(&a);

    static const int backwards[TOKENS] = {11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0};
    ace_alignment_score bad;
    a = aligned(backwards, 0.8f, 2);
    assert_int_equal(ace_alignment_rate(&a, sung, &bad, NULL), ACESTEP_OK);
    assert_true(bad.coverage == 1);
    assert_true(bad.monotonicity == 0); /* each word ten frames before the one before */
    assert_true(bad.total == 0);
    ace_alignment_free(&a);
}

/* Section marks count neither as covered nor in order. */
static void marks_are_not_words(void **state)
{
    (void)state;
    static float p[4 * 40];
    bool sung[4] = {false, true, true, true};
    ace_alignment_score score;
    ace_alignment a;
    memset(p, 0, sizeof p);
    for (int i = 0; i < 3;
         i++) { /* the first word at the end, two words in order, the last unsung */
        p[i * 40 + (i == 0 ? 39 : 5 + 10 * i)] = 0.5f;
    }
    assert_int_equal(ace_alignment_create(4, 40, false, &a, NULL), ACESTEP_OK);
    assert_int_equal(ace_alignment_add_head(&a, p, NULL), ACESTEP_OK);
    assert_int_equal(ace_alignment_rate(&a, sung, &score, NULL), ACESTEP_OK);
    assert_true(fabs(score.coverage - 2.0 / 3) < 1e-12);
    assert_true(score.monotonicity == 1);
    sung[0] = true;
    assert_int_equal(ace_alignment_rate(&a, sung, &score, NULL), ACESTEP_OK);
    assert_true(fabs(score.coverage - 3.0 / 4) < 1e-12);
    assert_true(fabs(score.monotonicity - 1.0 / 2) < 1e-12);
    memset(sung, 0, sizeof sung);
    assert_int_equal(ace_alignment_rate(&a, sung, &score, NULL), ACESTEP_OK);
    assert_true(score.coverage == 1 && score.monotonicity == 1);
    ace_alignment_free(&a);
}

/* By hand: energies 1 0 / 0.5 1 after stretching, the way (0,0) (1,1). */
static void a_score_by_hand(void **state)
{
    (void)state;
    static const float p[] = {0.9f, 0.1f, 0.5f, 0.9f};
    static const float less[] = {0.5f, 0.5f, 0.5f, 0.5f};
    const bool sung[2] = {true, true};
    ace_alignment_score score;
    ace_alignment a;
    assert_int_equal(ace_alignment_create(2, 2, false, &a, NULL), ACESTEP_OK);
    assert_int_equal(ace_alignment_add_head(&a, p, NULL), ACESTEP_OK);
    assert_int_equal(ace_alignment_add_head(&a, less, NULL), ACESTEP_OK);
    assert_int_equal(ace_alignment_rate(&a, sung, &score, NULL), ACESTEP_OK);
    /* costs -1 0 / -0.25 -1: the end is reached cheapest through (1,0): 1 + 0.25 + 1 */
    assert_true(fabs(score.confidence - 2.5 / 3) < 1e-6);
    assert_true(fabs(score.total - 0.8333) < 1e-9);
    ace_alignment_free(&a);
}

/* Noise, whose times hang on every step of the rules: compared with values computed in another
 * language straight from the original's description, in double precision. */
static void noise_is_timed_as_described(void **state)
{
    (void)state;
    enum { ROWS = 9, COLS = 31 };
    static const int first[ROWS] = {0, 0, 7, 12, 13, 16, 27, 29, 30};
    static const int last[ROWS] = {0, 7, 11, 12, 15, 27, 28, 29, 30};
    static const bool sung[ROWS] = {false, false, true, true, true, true, true, true, true};
    double start[ROWS];
    double end[ROWS];
    ace_alignment_score score;
    ace_alignment a;
    assert_int_equal(ace_alignment_create(ROWS, COLS, true, &a, NULL), ACESTEP_OK);
    for (uint32_t head = 0; head < 3; head++) {
        float p[ROWS * COLS];
        uint32_t seed = 11 + head;
        for (int k = 0; k < ROWS * COLS; k++) {
            float x = (float)(draw(&seed) % 1000) / 1000;
            p[k] = x * x * (x * x);
        }
        assert_int_equal(ace_alignment_add_head(&a, p, NULL), ACESTEP_OK);
    }
    assert_int_equal(ace_alignment_times(&a, COLS, start, end, NULL), ACESTEP_OK);
    for (int i = 0; i < ROWS; i++) {
        assert_true(fabs(start[i] - first[i]) < 1e-9 && fabs(end[i] - last[i]) < 1e-9);
    }
    assert_int_equal(ace_alignment_rate(&a, sung, &score, NULL), ACESTEP_OK);
    assert_true(score.coverage == 1 && score.monotonicity == 1);
    assert_true(fabs(score.confidence - 0.3628966523883538) < 1e-6);
    assert_true(fabs(score.total - 0.3629) < 1e-9);
    ace_alignment_free(&a);
}

static void flat_energy_scores_nothing(void **state)
{
    (void)state;
    static float p[TOKENS * FRAMES];
    bool sung[TOKENS];
    double start[TOKENS];
    double end[TOKENS];
    ace_alignment_score score;
    ace_alignment a;
    memset(sung, 1, sizeof sung);
    for (int k = 0; k < TOKENS * FRAMES; k++) {
        p[k] = 0.25f;
    }
    assert_int_equal(ace_alignment_create(TOKENS, FRAMES, true, &a, NULL), ACESTEP_OK);
    assert_int_equal(ace_alignment_add_head(&a, p, NULL), ACESTEP_OK);
    assert_int_equal(ace_alignment_rate(&a, sung, &score, NULL), ACESTEP_OK);
    assert_true(score.coverage == 0 && score.confidence == 0 && score.total == 0);
    assert_int_equal(ace_alignment_times(&a, 10, start, end, NULL), ACESTEP_OK);
    for (int i = 0; i < TOKENS; i++) {
        assert_true(start[i] >= 0 && end[i] <= 10 && start[i] <= end[i]);
        assert_true(i == 0 || start[i] >= end[i - 1]);
    }
    ace_alignment_free(&a);
}

static void one_token_lasts_the_song(void **state)
{
    (void)state;
    static const float p[5] = {0.1f, 0.2f, 0.7f, 0.2f, 0.1f};
    double start = -1;
    double end = -1;
    ace_alignment a;
    assert_int_equal(ace_alignment_create(1, 5, true, &a, NULL), ACESTEP_OK);
    assert_int_equal(ace_alignment_add_head(&a, p, NULL), ACESTEP_OK);
    assert_int_equal(ace_alignment_times(&a, 10, &start, &end, NULL), ACESTEP_OK);
    assert_true(start == 0 && end == 8);
    ace_alignment_free(&a);
}

static void what_is_no_probability_is_refused(void **state)
{
    (void)state;
    static const float bad[] = {NAN, -0.01f, 1.5f, INFINITY};
    for (int i = 0; i < 4; i++) {
        float p[4] = {0.1f, 0.2f, bad[i], 0.3f};
        ace_error err = {.code = ACESTEP_OK};
        ace_alignment a;
        assert_int_equal(ace_alignment_create(2, 2, true, &a, NULL), ACESTEP_OK);
        assert_int_equal(ace_alignment_add_head(&a, p, &err), ACESTEP_FAILED);
        assert_true(strchr(err.message, '\n') == NULL && err.message[0] != '\0');
        assert_int_equal(a.heads, 0);
        ace_alignment_free(&a);
    }
}

static void nothing_to_align_is_refused(void **state)
{
    (void)state;
    ace_alignment a;
    double time = 0;
    static const float p[1] = {0.5f};
    assert_int_equal(ace_alignment_create(0, 10, true, &a, NULL), ACESTEP_ARGUMENT);
    assert_int_equal(ace_alignment_create(10, 0, true, &a, NULL), ACESTEP_ARGUMENT);
    assert_int_equal(ace_alignment_create(1, 1, false, &a, NULL), ACESTEP_OK);
    assert_int_equal(ace_alignment_add_head(&a, p, NULL), ACESTEP_OK);
    assert_int_equal(ace_alignment_times(&a, 1, &time, &time, NULL), ACESTEP_ARGUMENT);
    ace_alignment_free(&a);
}

static ace_status whole_way(void)
{
    static float p[TOKENS * FRAMES];
    bool sung[TOKENS] = {true};
    double start[TOKENS];
    double end[TOKENS];
    ace_alignment_score score;
    ace_alignment a;
    plant(p, NULL, 0.5f, 1);
    ace_status status = ace_alignment_create(TOKENS, FRAMES, true, &a, NULL);
    if (status == ACESTEP_OK) {
        status = ace_alignment_add_head(&a, p, NULL);
    }
    if (status == ACESTEP_OK) {
        status = ace_alignment_rate(&a, sung, &score, NULL);
    }
    if (status == ACESTEP_OK) {
        status = ace_alignment_times(&a, 3, start, end, NULL);
    }
    ace_alignment_free(&a);
    return status;
}

static void failed_allocations_leave_nothing(void **state)
{
    (void)state;
    uint64_t live = ace_memory_live();
    uint64_t before = ace_memory_count();
    assert_int_equal(whole_way(), ACESTEP_OK);
    uint64_t n = ace_memory_count() - before;
    assert_true(n >= 12);
    for (uint64_t i = 1; i <= n; i++) {
        ace_memory_fail_at(i);
        assert_int_equal(whole_way(), ACESTEP_MEMORY);
        assert_int_equal(ace_memory_live(), live);
    }
    ace_memory_fail_at(0);
}

/* ---- attention ------------------------------------------------------------------------------- */

static void maps_are_softmaxes(void **state)
{
    (void)state;
    enum { QUERIES = 37, KEYS = 23, DIM = 8, FIRST = 3, N = 9 };
    float q[QUERIES * DIM];
    float k[KEYS * DIM];
    float out[N * QUERIES];
    uint32_t seed = 5;
    for (int i = 0; i < QUERIES * DIM; i++) {
        q[i] = (float)(draw(&seed) % 2001) / 250 - 4;
    }
    for (int i = 0; i < KEYS * DIM; i++) {
        k[i] = (float)(draw(&seed) % 2001) / 250 - 4;
    }
    ace_attention_head head = {q, k, QUERIES, KEYS, DIM, 0.35f};
    assert_int_equal(ace_attention_map(&head, FIRST, N, out, NULL), ACESTEP_OK);
    for (int t = 0; t < QUERIES; t++) {
        double e[KEYS];
        double sum = 0;
        for (int i = 0; i < KEYS; i++) {
            double dot = 0;
            for (int d = 0; d < DIM; d++) {
                dot += (double)q[t * DIM + d] * (double)k[i * DIM + d];
            }
            e[i] = exp(dot * 0.35);
            sum += e[i];
        }
        for (int i = 0; i < N; i++) {
            assert_true(fabs((double)out[i * QUERIES + t] - e[FIRST + i] / sum) < 2e-5);
        }
    }
    assert_int_equal(ace_attention_map(&head, 20, 4, out, NULL), ACESTEP_FAILED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(medians_are_those_of_the_sorted_list),
        cmocka_unit_test(no_way_is_cheaper),
        cmocka_unit_test(ties_are_broken_as_in_the_original),
        cmocka_unit_test(empty_matrices_have_no_way),
        cmocka_unit_test(planted_times_are_found),
        cmocka_unit_test(stripes_do_not_disturb),
        cmocka_unit_test(good_alignments_score_high),
        cmocka_unit_test(marks_are_not_words),
        cmocka_unit_test(a_score_by_hand),
        cmocka_unit_test(noise_is_timed_as_described),
        cmocka_unit_test(flat_energy_scores_nothing),
        cmocka_unit_test(one_token_lasts_the_song),
        cmocka_unit_test(what_is_no_probability_is_refused),
        cmocka_unit_test(nothing_to_align_is_refused),
        cmocka_unit_test(failed_allocations_leave_nothing),
        cmocka_unit_test(maps_are_softmaxes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
