/* The shared block: rotary table, row blocks of the MLP, and self-attention of batches. */
#include "model/transformer.h"
#include "support/bench_device.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const ace_block_config small = {.hidden = 24,
                                       .intermediate = 40,
                                       .heads = 4,
                                       .kv_heads = 2,
                                       .head_dim = 8,
                                       .rms_eps = 1e-6f,
                                       .rope_theta = 1e6};

/* Numbers with a spread of about 1; free with free(). */
static float *numbers(int64_t n, unsigned seed)
{
    float *out = malloc((size_t)n * sizeof *out);
    assert_non_null(out);
    for (int64_t i = 0; i < n; i++) {
        seed = seed * 1664525u + 1013904223u;
        out[i] = (float)((double)seed / 2147483648.0 - 1.0) * 1.7f;
    }
    return out;
}

static bool close_to(const float *a, const float *b, int64_t n)
{
    bool all = true;
    for (int64_t i = 0; i < n; i++) {
        all = all && fabsf(a[i] - b[i]) <= 1e-5f * (1 + fabsf(b[i]));
    }
    return all;
}

static void rotations_are_exact_far_out(void **state)
{
    (void)state;
    enum { POSITIONS = 8000, LANES = 8 };
    test_bench b;
    bench_open(&b, bench_reference(), NULL, ACE_F32);
    float *table = malloc(POSITIONS * LANES * sizeof *table);
    assert_non_null(table);
    ace_download(&b.stream, table, ace_rope_table(&b.stream, POSITIONS, LANES, 1e6));
    bench_check(&b);
    for (int p = 0; p < POSITIONS; p += 7999) {
        for (int i = 0; i < LANES / 2; i++) {
            double angle = p / pow(1e6, 2.0 * i / LANES);
            assert_true(fabs((double)table[p * LANES + i] - cos(angle)) < 1e-7);
            assert_true(fabs((double)table[p * LANES + LANES / 2 + i] - sin(angle)) < 1e-7);
        }
    }
    free(table);
    bench_close(&b);
}

/* ---- the MLP in blocks of rows --------------------------------------------------------------- */

/* Two items, each longer than a block; every item's own shift, scale and gate. */
enum { ITEMS = 2, ROWS = ACE_MLP_ROWS + 76, PIECE = 50 };

typedef struct modulated {
    ace_norm norm;
    ace_tensor gate;
} modulated;

static modulated modulation_of(ace_stream *s, ace_tensor weight, bool present)
{
    modulated m = {.norm = {.weight = weight, .eps = small.rms_eps}};
    if (present) {
        float *values = numbers(3 * ITEMS * small.hidden, 5);
        int64_t n = ITEMS * small.hidden;
        m.norm.scale = ace_new_from(s, ACE_F32, ITEMS, small.hidden, values);
        m.norm.shift = ace_new_from(s, ACE_F32, ITEMS, small.hidden, values + n);
        m.gate = ace_new_from(s, ACE_F32, ITEMS, small.hidden, values + 2 * n);
        free(values);
    }
    return m;
}

/* The same rows in pieces far smaller than a block, each with its item's modulation. */
static void mlp_in_pieces(ace_stream *s, const ace_mlp_weights *w, ace_tensor x, const modulated *m)
{
    for (int64_t item = 0; item < ITEMS; item++) {
        modulated own = *m;
        if (m->gate.addr != 0) {
            own.norm.scale = ace_rows(m->norm.scale, item, 1);
            own.norm.shift = ace_rows(m->norm.shift, item, 1);
            own.gate = ace_rows(m->gate, item, 1);
        }
        for (int64_t first = 0; first < ROWS; first += PIECE) {
            ace_mlp_forward(s, &small, w, ace_rows(x, item * ROWS + first, PIECE), &own.norm,
                            own.gate, PIECE);
        }
    }
}

static void blocks_of_rows_do_not_show(void **state)
{
    (void)state;
    assert_int_equal(ROWS % PIECE, 0);
    ace_device *device = NULL;
    float *in = numbers(ITEMS * ROWS * small.hidden, 9);
    float *whole = numbers(ITEMS * ROWS * small.hidden, 0);
    float *pieces = numbers(ITEMS * ROWS * small.hidden, 0);
    for (int k = 0; (device = bench_device(k / 2)) != NULL; k++) {
        test_bench b;
        ace_mlp_weights w;
        bench_open(&b, device, NULL, ACE_F32);
        ace_mlp_load(&b.loader, &small, "mlp_norm.weight", "mlp", &w);
        bench_loaded(&b);
        modulated m = modulation_of(&b.stream, w.norm, k % 2 == 1);
        ace_tensor x = ace_new_from(&b.stream, ACE_F32, ITEMS * ROWS, small.hidden, in);
        ace_mlp_forward(&b.stream, &small, &w, x, &m.norm, m.gate, ROWS);
        ace_download(&b.stream, whole, x);
        ace_upload(&b.stream, x, in);
        mlp_in_pieces(&b.stream, &w, x, &m);
        ace_download(&b.stream, pieces, x);
        bench_check(&b);
        assert_true(close_to(whole, pieces, ITEMS * ROWS * small.hidden));
        assert_false(close_to(whole, in, ITEMS * ROWS * small.hidden));
        bench_close(&b);
    }
    free(in);
    free(whole);
    free(pieces);
}

/* ---- a whole block --------------------------------------------------------------------------- */

enum { BATCH = 3, LENGTH = 37 };

/* One block on [batch·length, hidden] in the kind of sequence asked for. */
static void block(test_bench *b, const ace_block *w, const float *in, int64_t batch,
                  ace_sequences kind, float *out)
{
    ace_stream *s = &b->stream;
    ace_arena_mark mark = ace_mark(s);
    ace_tensor x = ace_new_from(s, ACE_F32, batch * LENGTH, small.hidden, in);
    kind.batch = batch;
    kind.length = LENGTH;
    /* a longer table than the sequence is fine */
    kind.rope = ace_rope_table(s, LENGTH + 5, small.head_dim, small.rope_theta);
    ace_block_forward(s, &small, w, x, &kind);
    ace_download(s, out, x);
    ace_reset(s, &mark);
    bench_check(b);
}

static void check_batch(test_bench *b, const ace_block *w, ace_sequences kind)
{
    int64_t item = LENGTH * small.hidden;
    float *in = numbers(BATCH * item, 11);
    float *together = numbers(BATCH * item, 0);
    float *alone = numbers(item, 0);
    block(b, w, in, BATCH, kind, together);
    for (int i = 0; i < BATCH; i++) {
        block(b, w, in + i * item, 1, kind, alone);
        assert_true(close_to(together + i * item, alone, item));
    }
    free(in);
    free(together);
    free(alone);
}

/* The last row changes; rows that cannot see it must stay, the next one that can must not. */
static void check_reach(test_bench *b, const ace_block *w, ace_sequences kind, int64_t unreached)
{
    int64_t item = LENGTH * small.hidden;
    float *in = numbers(item, 12);
    float *before = numbers(item, 0);
    float *after = numbers(item, 0);
    block(b, w, in, 1, kind, before);
    for (int64_t i = item - small.hidden; i < item; i++) {
        in[i] = -3 * in[i] + 1;
    }
    block(b, w, in, 1, kind, after);
    int64_t n = unreached * small.hidden;
    assert_memory_equal(before, after, (size_t)n * sizeof *before);
    assert_memory_not_equal(before + n, after + n, (size_t)small.hidden * sizeof *before);
    free(in);
    free(before);
    free(after);
}

static void sequences_keep_to_themselves_and_their_reach(void **state)
{
    (void)state;
    ace_device *device = NULL;
    const ace_sequences full = {0};
    const ace_sequences causal = {.causal = true};
    const ace_sequences window = {.window = 8};
    for (int i = 0; (device = bench_device(i)) != NULL; i++) {
        test_bench b;
        ace_block w;
        bench_open(&b, device, NULL, ACE_F32);
        ace_block_load(&b.loader, &small, "layers.0", &w);
        bench_loaded(&b);
        check_batch(&b, &w, full);
        check_batch(&b, &w, causal);
        check_batch(&b, &w, window);
        check_reach(&b, &w, full, 0);
        check_reach(&b, &w, causal, LENGTH - 1);
        check_reach(&b, &w, window, LENGTH - 1 - 8);
        bench_close(&b);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rotations_are_exact_far_out),
        cmocka_unit_test(blocks_of_rows_do_not_show),
        cmocka_unit_test(sequences_keep_to_themselves_and_their_reach),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
