/* The loader: what arrives on the device is what the file says, and what is wrong is named. */
#include "base/memory.h"
#include "cpu/reference_device.h"
#include "support/checkpoint.h"
#include "weights/embedding.h"
#include "weights/loader.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

/* ---- a device to load to --------------------------------------------------------------------- */

typedef struct bench {
    ace_device *device;
    ace_arena arena;
    ace_stream s;
    ace_error error;
    ace_loader l;
    ace_weights *w;
    checkpoint *file;
} bench;

static void open_bench(bench *b, ace_weights *w, checkpoint *file)
{
    memset(b, 0, sizeof *b);
    b->w = w;
    b->file = file;
    assert_int_equal(ace_reference_device_open(&b->device, NULL), ACESTEP_OK);
    assert_int_equal(ace_arena_open(&b->arena, b->device, 1 << 20, NULL), ACESTEP_OK);
    ace_stream_init(&b->s, b->device, &b->arena, ACE_F32, &b->error);
    ace_loader_init(&b->l, &b->s, w, ACE_F32);
}

static void close_bench(bench *b)
{
    (void)ace_loader_finish(&b->l);
    ace_weights_close(b->w);
    ace_arena_close(&b->arena);
    ace_device_close(b->device);
    if (b->file != NULL) {
        checkpoint_free(b->file);
    }
}

static void check(const bench *b)
{
    if (b->s.status != ACESTEP_OK) {
        fail_msg("%s", b->error.message);
    }
}

static void assert_numbers(bench *b, ace_tensor t, const float *want, int64_t n, float tolerance)
{
    float got[1024];
    check(b);
    assert_int_equal(t.rows * t.cols, n);
    ace_download(&b->s, got, t);
    for (int64_t i = 0; i < n; i++) {
        if (!(fabsf(got[i] - want[i]) <= tolerance)) {
            fail_msg("number %d: %g, expected %g", (int)i, (double)got[i], (double)want[i]);
        }
    }
}

/* Small numbers that bf16 holds exactly. */
static void count_up(float *out, int64_t n)
{
    for (int64_t i = 0; i < n; i++) {
        out[i] = (float)((i * 37 + 11) % 29 - 14) / 8.0f;
    }
}

/* ---- vectors and tables ---------------------------------------------------------------------- */

static float half(float x)
{
    return x / 2;
}

static void vectors_of_any_rank_and_type(void **state)
{
    (void)state;
    checkpoint *f = checkpoint_new();
    float v[6];
    float mapped[6];
    float twice[12];
    count_up(v, 6);
    for (int i = 0; i < 6; i++) {
        mapped[i] = v[i] / 2;
        twice[i] = twice[i + 6] = v[i];
    }
    checkpoint_add(f, "odd", "U8", "[1]", "x", 1);
    checkpoint_add_f32(f, "plain", "[6]", v, 6);
    checkpoint_add_bf16(f, "model.ranked", "[1,6,1]", v, 6);
    checkpoint_add_f32(f, "table", "[1,2,3]", v, 6);
    bench b;
    open_bench(&b, checkpoint_open(f), f);
    assert_numbers(&b, ace_load_vector(&b.l, "plain", 6), v, 6, 0);
    assert_numbers(&b, ace_load_vector(&b.l, "ranked", 6), v, 6, 0);
    assert_numbers(&b, ace_load_vector_mapped(&b.l, "plain", 6, half), mapped, 6, 0);
    assert_numbers(&b, ace_load_vector_repeated(&b.l, "plain", 6, 2), twice, 12, 0);
    ace_tensor table = ace_load_table(&b.l, "table", 2, 3);
    assert_int_equal(table.rows, 2);
    assert_numbers(&b, table, v, 6, 0);
    assert_int_equal(ace_loader_finish(&b.l), ACESTEP_OK);
    close_bench(&b);
}

/* ---- linear layers --------------------------------------------------------------------------- */

/* The matrix itself, [rows, cols], by multiplying with the identity. */
static void assert_matrix(bench *b, const ace_matrix *m, const float *want, float tolerance)
{
    float identity[1024] = {0};
    float transposed[1024];
    int64_t rows = m->shape.rows;
    int64_t cols = m->shape.cols;
    for (int64_t i = 0; i < cols; i++) {
        identity[i * cols + i] = 1;
        for (int64_t r = 0; r < rows; r++) {
            transposed[i * rows + r] = want[r * cols + i];
        }
    }
    ace_tensor x = ace_new_from(&b->s, ACE_F32, cols, cols, identity);
    ace_tensor y = ace_new(&b->s, ACE_F32, cols, rows);
    ace_linear(&b->s, y, x, m, NULL);
    assert_numbers(b, y, transposed, rows * cols, tolerance);
}

static void fused_layers_keep_their_order(void **state)
{
    (void)state;
    checkpoint *f = checkpoint_new();
    float w[5 * 4];
    count_up(w, 20);
    checkpoint_add(f, "odd", "U8", "[1]", "x", 1);
    checkpoint_add_bf16(f, "k", "[2,4]", w + 12, 8);
    checkpoint_add_f32(f, "q", "[3,4]", w, 12);
    bench b;
    open_bench(&b, checkpoint_open(f), f);
    const char *const names[] = {"q", "k"};
    const int64_t rows[] = {3, 2};
    ace_matrix m = ace_load_linear_fused(&b.l, names, rows, 2, 4, false);
    assert_matrix(&b, &m, w, 0);
    close_bench(&b);
}

static void rows_load_alone(void **state)
{
    (void)state;
    checkpoint *f = checkpoint_new();
    float w[5 * 4];
    count_up(w, 20);
    checkpoint_add(f, "odd", "U8", "[1]", "x", 1); /* what follows lies at an odd place */
    checkpoint_add_bf16(f, "half", "[5,4]", w, 20);
    checkpoint_add_f32(f, "full", "[5,4]", w, 20);
    bench b;
    open_bench(&b, checkpoint_open(f), f);
    for (int first = 0; first < 5; first++) {
        for (int n = 1; n <= 5 - first; n++) {
            ace_matrix half_rows = ace_load_linear_rows(&b.l, "half", 5, 4, first, n);
            ace_matrix full_rows = ace_load_linear_rows(&b.l, "full", 5, 4, first, n);
            assert_int_equal(half_rows.shape.rows, n);
            assert_matrix(&b, &half_rows, w + (size_t)first * 4, 0);
            assert_matrix(&b, &full_rows, w + (size_t)first * 4, 0);
        }
    }
    (void)ace_load_linear_rows(&b.l, "full", 5, 4, 3, 3);
    (void)ace_load_linear_rows(&b.l, "full", 6, 4, 0, 1);
    assert_int_equal(ace_loader_finish(&b.l), ACESTEP_MODEL);
    assert_non_null(strstr(b.error.message, "full (no rows 3 to 5)"));
    assert_non_null(strstr(b.error.message, "full (shape [5, 4], expected [6, 4])"));
    b.l.problems = 0;
    close_bench(&b);
}

static void unpatching_is_a_linear_layer(void **state)
{
    (void)state;
    enum { IN = 3, OUT = 2, STRIDE = 2 };
    checkpoint *f = checkpoint_new();
    float w[IN * OUT * STRIDE];
    float want[STRIDE * OUT * IN];
    count_up(w, IN * OUT * STRIDE);
    for (int t = 0; t < STRIDE; t++) {
        for (int o = 0; o < OUT; o++) {
            for (int i = 0; i < IN; i++) {
                want[(t * OUT + o) * IN + i] = w[(i * OUT + o) * STRIDE + t];
            }
        }
    }
    checkpoint_add_f32(f, "p.weight", "[3,2,2]", w, IN * OUT * STRIDE);
    bench b;
    open_bench(&b, checkpoint_open(f), f);
    ace_matrix m = ace_load_unpatch(&b.l, "p", IN, OUT, STRIDE);
    assert_matrix(&b, &m, want, 0);
    close_bench(&b);
}

/* ---- convolutions ---------------------------------------------------------------------------- */

enum { CONV_OUT = 2, CONV_IN = 3, CONV_TAPS = 5, CONV_N = CONV_OUT * CONV_IN * CONV_TAPS };

/* The response to a unit impulse in each channel, for a length that shows every tap. */
static void assert_conv(bench *b, const ace_matrix *m, const float *w, float tolerance)
{
    for (int i = 0; i < CONV_IN; i++) {
        float x[CONV_TAPS * CONV_IN] = {0};
        float want[CONV_TAPS * CONV_OUT];
        x[(CONV_TAPS / 2) * CONV_IN + i] = 1;
        for (int t = 0; t < CONV_TAPS; t++) {
            for (int o = 0; o < CONV_OUT; o++) {
                want[t * CONV_OUT + o] = w[(o * CONV_IN + i) * CONV_TAPS + CONV_TAPS - 1 - t];
            }
        }
        ace_tensor in = ace_new_from(&b->s, ACE_F32, CONV_TAPS, CONV_IN, x);
        ace_tensor out = ace_new(&b->s, ACE_F32, CONV_TAPS, CONV_OUT);
        ace_conv c = {.stride = 1, .dilation = 1, .pad = CONV_TAPS / 2};
        ace_conv1d(&b->s, out, in, m, &c, NULL);
        assert_numbers(b, out, want, CONV_TAPS * CONV_OUT, tolerance);
    }
}

/* w = g·v/‖v‖ over all but the first of `leading` dimensions. */
static void normalise(const float *v, const float *g, int leading, int rest, float *w)
{
    for (int i = 0; i < leading; i++) {
        double sum = 0;
        for (int k = 0; k < rest; k++) {
            sum += (double)v[i * rest + k] * (double)v[i * rest + k];
        }
        for (int k = 0; k < rest; k++) {
            w[i * rest + k] = (float)((double)v[i * rest + k] * (double)g[i] / sqrt(sum));
        }
    }
}

static void every_spelling_of_weight_norm(void **state)
{
    (void)state;
    checkpoint *f = checkpoint_new();
    float v[CONV_N];
    float w[CONV_N];
    const float g[] = {1.5f, -0.25f};
    count_up(v, CONV_N);
    normalise(v, g, CONV_OUT, CONV_IN * CONV_TAPS, w);
    checkpoint_add(f, "odd", "U8", "[1]", "x", 1);
    checkpoint_add_f32(f, "plain.weight", "[2,3,5]", v, CONV_N);
    checkpoint_add_bf16(f, "old.weight_v", "[2,3,5]", v, CONV_N);
    checkpoint_add_f32(f, "old.weight_g", "[2,1,1]", g, 2);
    checkpoint_add_f32(f, "new.parametrizations.weight.original0", "[2,1,1]", g, 2);
    checkpoint_add_f32(f, "new.parametrizations.weight.original1", "[2,3,5]", v, CONV_N);
    bench b;
    open_bench(&b, checkpoint_open(f), f);
    ace_matrix plain = ace_load_conv(&b.l, "plain", CONV_OUT, CONV_IN, CONV_TAPS);
    ace_matrix old = ace_load_conv(&b.l, "old", CONV_OUT, CONV_IN, CONV_TAPS);
    ace_matrix new = ace_load_conv(&b.l, "new", CONV_OUT, CONV_IN, CONV_TAPS);
    check(&b);
    assert_conv(&b, &plain, v, 0);
    assert_conv(&b, &old, w, 1e-6f);
    assert_conv(&b, &new, w, 1e-6f);
    close_bench(&b);
}

/* Against the definition: y[i·stride + j - crop] += x[i] · w[:, :, j]; g belongs to input channels.
 */
static void transposed_convolution_scatters(void **state)
{
    (void)state;
    enum { IN = 3, OUT = 2, STRIDE = 4, TAPS = 2 * STRIDE, ROWS = 5, CROP = STRIDE / 2 };
    checkpoint *f = checkpoint_new();
    float v[IN * OUT * TAPS];
    float w[IN * OUT * TAPS];
    float x[ROWS * IN];
    float want[ROWS * STRIDE * OUT] = {0};
    const float g[] = {1.5f, -0.25f, 2.0f};
    count_up(v, IN * OUT * TAPS);
    count_up(x, ROWS * IN);
    normalise(v, g, IN, OUT * TAPS, w);
    for (int i = 0; i < ROWS * IN * OUT * TAPS; i++) {
        int j = i % TAPS;
        int o = i / TAPS % OUT;
        int c = i / TAPS / OUT % IN;
        int row = i / TAPS / OUT / IN;
        int at = row * STRIDE + j - CROP;
        if (at >= 0 && at < ROWS * STRIDE) {
            want[at * OUT + o] += x[row * IN + c] * w[(c * OUT + o) * TAPS + j];
        }
    }
    checkpoint_add(f, "odd", "U8", "[1]", "x", 1);
    checkpoint_add_f32(f, "t.weight_v", "[3,2,8]", v, IN * OUT * TAPS);
    checkpoint_add_f32(f, "t.weight_g", "[3,1,1]", g, IN);
    bench b;
    open_bench(&b, checkpoint_open(f), f);
    ace_matrix m = ace_load_conv_transpose(&b.l, "t", IN, OUT, STRIDE);
    ace_tensor in = ace_new_from(&b.s, ACE_F32, ROWS, IN, x);
    ace_tensor out = ace_new(&b.s, ACE_F32, ROWS * STRIDE, OUT);
    ace_conv_transpose c = {.stride = STRIDE, .crop = CROP};
    ace_conv_transpose1d(&b.s, out, in, &m, &c);
    assert_numbers(&b, out, want, ROWS * STRIDE * OUT, 1e-5f);
    close_bench(&b);
}

/* ---- block types: a GGUF file with Q8_0 tensors ---------------------------------------------- */

static void put(unsigned char **at, uint64_t value, size_t bytes)
{
    for (size_t i = 0; i < bytes; i++) {
        *(*at)++ = (unsigned char)(value >> (8 * i));
    }
}

static void put_text(unsigned char **at, const char *text)
{
    put(at, strlen(text), 8);
    memcpy(*at, text, strlen(text));
    *at += strlen(text);
}

/* Two tensors of 2 · 32 numbers in Q8_0 (type 8): "m" [2, 32] and "c.weight" [2, 1, 32]. Dimensions
 * are written innermost first. Block scale 2^-3, values of `quants` / 8. */
static ace_weights *written_gguf(checkpoint *f, const int8_t quants[64])
{
    unsigned char head[1024] = {0};
    unsigned char data[256] = {0};
    unsigned char *at = head;
    memcpy(at, "GGUF", 4);
    at += 4;
    put(&at, 3, 4);
    put(&at, 2, 8);
    put(&at, 0, 8);
    for (int t = 0; t < 2; t++) {
        put_text(&at, t == 0 ? "m" : "c.weight");
        put(&at, t == 0 ? 2 : 3, 4);
        put(&at, 32, 8);
        if (t == 1) {
            put(&at, 1, 8);
        }
        put(&at, 2, 8);
        put(&at, 8, 4);
        put(&at, t == 0 ? 0 : 96, 8);
    }
    size_t header = ((size_t)(at - head) + 31) / 32 * 32;
    for (int t = 0; t < 2; t++) {
        at = data + 96 * t;
        for (int block = 0; block < 2; block++) {
            put(&at, 0x3000, 2); /* 0.125 in f16 */
            memcpy(at, quants + 32 * block, 32);
            at += 32;
        }
    }
    (void)snprintf(f->path, sizeof f->path, "/tmp/ace_loader_%ld.gguf", (long)getpid());
    checkpoint_write(f->path, head, header, data, 96 + 68);
    ace_weights *w = NULL;
    ace_error error = {0};
    if (ace_weights_open(f->path, &w, &error) != ACESTEP_OK) {
        fail_msg("%s", error.message);
    }
    return w;
}

static void block_types_load_everywhere(void **state)
{
    (void)state;
    checkpoint *f = checkpoint_new();
    int8_t quants[64];
    float want[64];
    float column[64];
    for (int i = 0; i < 64; i++) {
        quants[i] = (int8_t)((i * 37 + 5) % 255 - 127);
        want[i] = (float)quants[i] / 8;
    }
    bench b;
    open_bench(&b, written_gguf(f, quants), f);
    ace_matrix m = ace_load_linear(&b.l, "m", 2, 32);
    assert_matrix(&b, &m, want, 0);
    ace_matrix second = ace_load_linear_rows(&b.l, "m", 2, 32, 1, 1);
    assert_matrix(&b, &second, want + 32, 0);
    assert_numbers(&b, ace_load_table(&b.l, "m", 2, 32), want, 64, 0);
    ace_matrix conv = ace_load_conv(&b.l, "c", 2, 1, 32);
    float impulse[32] = {[31] = 1};
    ace_tensor in = ace_new_from(&b.s, ACE_F32, 32, 1, impulse);
    ace_tensor out = ace_new(&b.s, ACE_F32, 32, 2);
    ace_conv c = {.stride = 1, .dilation = 1};
    ace_conv1d(&b.s, out, in, &conv, &c, NULL);
    for (int t = 0; t < 32; t++) {
        column[t * 2] = want[31 - t];
        column[t * 2 + 1] = want[32 + 31 - t];
    }
    assert_numbers(&b, out, column, 64, 0);
    const int32_t ids[] = {1, 0, 1};
    float rows[96];
    assert_int_equal(ace_embedding_gather(b.w, "m", 2, 32, ids, 3, rows, NULL), ACESTEP_OK);
    assert_memory_equal(rows, want + 32, 32 * sizeof *rows);
    assert_memory_equal(rows + 32, want, 32 * sizeof *rows);
    close_bench(&b);
}

/* ---- int8 files ------------------------------------------------------------------------------ */

/* w and, at "q", the same as int8 rows with their scales, of which `scales` are there. */
static checkpoint *int8_file(float *w, const char *scale_type, int scales)
{
    int8_t q[5 * 4];
    float scale[6] = {0};
    char shape[8];
    checkpoint *f = checkpoint_new();
    count_up(w, 20);
    for (int r = 0; r < 5; r++) {
        float peak = 0;
        for (int i = 0; i < 4; i++) {
            peak = fmaxf(peak, fabsf(w[4 * r + i]));
        }
        scale[r] = peak / 127.0f;
        for (int i = 0; i < 4; i++) {
            q[4 * r + i] = (int8_t)nearbyintf(w[4 * r + i] / scale[r]);
        }
    }
    (void)snprintf(shape, sizeof shape, "[%d]", scales);
    checkpoint_add(f, "odd", "U8", "[1]", "x", 1); /* scales lie at an odd place */
    checkpoint_add_f32(f, "w", "[5,4]", w, 20);
    checkpoint_add(f, "q", "I8", "[5,4]", q, sizeof q);
    if (scale_type != NULL) {
        checkpoint_add(f, "q_scale", scale_type, shape, scale, (size_t)scales * sizeof *scale);
    }
    for (int i = 0; i < 20; i++) { /* what the numbers stand for from now on */
        w[i] = (float)q[i] * scale[i / 4];
    }
    return f;
}

static void int8_files_load_in_every_precision(void **state)
{
    (void)state;
    static const ace_dtype types[] = {ACE_F32, ACE_BF16, ACE_I8};
    for (int t = 0; t < 3; t++) {
        float w[20];
        bench b;
        checkpoint *f = int8_file(w, "F32", 5);
        open_bench(&b, checkpoint_open(f), f);
        b.l.matrix_dtype = types[t];
        ace_matrix from_int8 = ace_load_linear(&b.l, "q", 5, 4);
        assert_matrix(&b, &from_int8, w, types[t] == ACE_BF16 ? 0x1p-8f * 2 : 0);
        for (int first = 0; first < 5; first++) { /* each row keeps its own scale */
            ace_matrix row = ace_load_linear_rows(&b.l, "q", 5, 4, first, 1);
            assert_matrix(&b, &row, w + 4 * first, types[t] == ACE_BF16 ? 0x1p-8f * 2 : 0);
        }
        if (types[t] == ACE_I8) { /* as quantised at load, to the bit */
            ace_matrix at_load = ace_load_linear(&b.l, "w", 5, 4);
            assert_int_equal(at_load.bytes, from_int8.bytes);
            assert_memory_equal((const void *)(uintptr_t)at_load.addr,
                                (const void *)(uintptr_t)from_int8.addr, at_load.bytes);
        }
        assert_int_equal(ace_loader_finish(&b.l), ACESTEP_OK);
        close_bench(&b);
    }
}

static void int8_without_fitting_scales_is_refused(void **state)
{
    (void)state;
    static const struct {
        const char *type;
        int scales;
    } bad[] = {{NULL, 5}, {"F32", 4}, {"F32", 1}, {"F32", 6}, {"I32", 5}};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        float w[20];
        bench b;
        checkpoint *f = int8_file(w, bad[i].type, bad[i].scales);
        open_bench(&b, checkpoint_open(f), f);
        (void)ace_load_linear(&b.l, "q", 5, 4);
        assert_int_equal(ace_loader_finish(&b.l), ACESTEP_MODEL);
        assert_non_null(strstr(b.error.message, "q (int8 without q_scale"));
        b.l.problems = 0;
        close_bench(&b);
    }
}

/* Vectors and tables stay as they are; a scale for one outer index is none for five rows. */
static void int8_is_for_matrices(void **state)
{
    (void)state;
    float w[20];
    bench b;
    checkpoint *f = int8_file(w, "F32", 5);
    const int8_t q[20] = {1};
    const float one[1] = {1};
    checkpoint_add(f, "outer", "I8", "[1,5,4]", q, sizeof q);
    checkpoint_add_f32(f, "outer_scale", "[1]", one, 1);
    open_bench(&b, checkpoint_open(f), f);
    (void)ace_load_table(&b.l, "q", 5, 4);
    (void)ace_load_linear(&b.l, "outer", 5, 4);
    assert_int_equal(b.l.problems, 2);
    assert_int_equal(ace_loader_finish(&b.l), ACESTEP_MODEL);
    b.l.problems = 0;
    close_bench(&b);
}

/* ---- problems -------------------------------------------------------------------------------- */

static void all_problems_stand_in_one_message(void **state)
{
    (void)state;
    checkpoint *f = checkpoint_new();
    const float v[6] = {1};
    const int64_t counts[3] = {0};
    checkpoint_add_f32(f, "wrong.shape", "[2,3]", v, 6);
    checkpoint_add(f, "wrong.type", "I64", "[3]", counts, sizeof counts);
    checkpoint_add_f32(f, "half.weight_v", "[2,3]", v, 6);
    bench b;
    open_bench(&b, checkpoint_open(f), f);
    (void)ace_load_vector(&b.l, "absent.bias", 3);
    (void)ace_load_linear(&b.l, "wrong.shape", 3, 2);
    (void)ace_load_vector(&b.l, "wrong.type", 3);
    (void)ace_load_conv(&b.l, "half", 2, 3, 1);
    (void)ace_load_conv_transpose(&b.l, "gone", 2, 3, 1);
    assert_int_equal(b.l.problems, 5);
    assert_int_equal(ace_loader_finish(&b.l), ACESTEP_MODEL);
    static const char *const expected[] = {
        "absent.bias (missing)", "wrong.shape (shape [2, 3], expected [3, 2])",
        "wrong.type (type ",     "half.weight_g (missing)",
        "gone.weight (missing)", "ace_loader_",
    };
    for (size_t i = 0; i < sizeof expected / sizeof *expected; i++) {
        if (strstr(b.error.message, expected[i]) == NULL) {
            fail_msg("\"%s\" is not in: %s", expected[i], b.error.message);
        }
    }
    b.l.problems = 0;
    close_bench(&b);
}

static void a_long_list_is_cut(void **state)
{
    (void)state;
    checkpoint *f = checkpoint_new();
    const float one = 1;
    checkpoint_add_f32(f, "x", "[1]", &one, 1);
    bench b;
    open_bench(&b, checkpoint_open(f), f);
    for (int i = 0; i < 500; i++) {
        char name[64];
        (void)snprintf(name, sizeof name, "layers.%d.self_attn.q_proj.weight", i);
        (void)ace_load_linear(&b.l, name, 4, 4);
    }
    assert_int_equal(ace_loader_finish(&b.l), ACESTEP_MODEL);
    assert_non_null(strstr(b.error.message, "(500)"));
    assert_non_null(strstr(b.error.message, "layers.0.self_attn.q_proj.weight (missing)"));
    const char *end = strstr(b.error.message, ", and more");
    assert_non_null(end);
    assert_string_equal(end, ", and more");
    b.l.problems = 0;
    close_bench(&b);
}

/* Which tensor holds the NaN, and how it is loaded. */
static void assert_nan_named(int place)
{
    checkpoint *f = checkpoint_new();
    float v[6] = {1, 2, 3, 4, 5, 6};
    float g[2] = {1, 2};
    (place == 3 ? g : v)[1] = NAN;
    checkpoint_add_f32(f, "x.weight_v", "[2,3,1]", v, 6);
    checkpoint_add_f32(f, "x.weight_g", "[2,1,1]", g, 2);
    bench b;
    open_bench(&b, checkpoint_open(f), f);
    if (place == 0) {
        (void)ace_load_table(&b.l, "x.weight_v", 2, 3);
    } else if (place == 1) {
        (void)ace_load_linear(&b.l, "x.weight_v", 2, 3);
    } else {
        (void)ace_load_conv(&b.l, "x", 2, 3, 1);
    }
    assert_int_equal(ace_loader_finish(&b.l), ACESTEP_MODEL);
    assert_non_null(strstr(b.error.message, place == 3 ? "x.weight_g" : "x.weight_v"));
    assert_non_null(strstr(b.error.message, f->path));
    assert_non_null(strstr(b.error.message, "NaN"));
    close_bench(&b);
}

static void nan_is_named_with_its_file(void **state)
{
    (void)state;
    for (int place = 0; place < 4; place++) {
        assert_nan_named(place);
    }
}

/* ---- without files --------------------------------------------------------------------------- */

static void synthetic_numbers_are_plausible_and_repeatable(void **state)
{
    (void)state;
    enum { ROWS = 16, COLS = 48 };
    float identity[COLS * COLS] = {0};
    float out[2][COLS * ROWS];
    float ones[8];
    for (int i = 0; i < 8; i++) {
        ones[i] = 1;
    }
    for (int i = 0; i < COLS; i++) {
        identity[i * COLS + i] = 1;
    }
    ace_weights *w = NULL;
    assert_int_equal(ace_weights_open_synthetic(&w, NULL), ACESTEP_OK);
    bench b;
    open_bench(&b, w, NULL);
    assert_numbers(&b, ace_load_vector(&b.l, "layers.0.q_norm.weight", 8), ones, 8, 0);
    for (int k = 0; k < 2; k++) {
        ace_matrix m = ace_load_linear(&b.l, "a.weight", ROWS, COLS);
        ace_tensor x = ace_new_from(&b.s, ACE_F32, COLS, COLS, identity);
        ace_tensor y = ace_new(&b.s, ACE_F32, COLS, ROWS);
        ace_linear(&b.s, y, x, &m, NULL);
        ace_download(&b.s, out[k], y);
    }
    check(&b);
    assert_memory_equal(out[0], out[1], sizeof out[0]);
    double power = 0;
    for (int i = 0; i < ROWS * COLS; i++) {
        power += (double)out[0][i] * (double)out[0][i];
        assert_true(fabsf(out[0][i]) <= sqrtf(3.0f / COLS));
    }
    /* Each row has a power of 1: the layer keeps the variance of its input. */
    assert_true(fabs(power / ROWS - 1.0) < 0.15);
    float rows[2][4];
    const int32_t ids[] = {70000, 3};
    const int32_t outside[] = {80000};
    assert_int_equal(ace_embedding_gather(w, "e", 80000, 4, ids, 1, rows[0], NULL), ACESTEP_OK);
    assert_int_equal(ace_embedding_gather(w, "e", 80000, 4, ids + 1, 1, rows[1], NULL), ACESTEP_OK);
    assert_memory_not_equal(rows[0], rows[1], sizeof rows[0]);
    assert_int_equal(ace_embedding_gather(w, "e", 80000, 4, outside, 1, rows[0], NULL),
                     ACESTEP_ARGUMENT);
    close_bench(&b);
}

static void measuring_reads_nothing(void **state)
{
    (void)state;
    ace_device *reference = NULL;
    ace_device *measure = NULL;
    ace_arena arena;
    ace_stream s;
    ace_loader l;
    ace_error error = {0};
    assert_int_equal(ace_reference_device_open(&reference, NULL), ACESTEP_OK);
    assert_int_equal(ace_measure_device_open(reference, &measure, NULL), ACESTEP_OK);
    assert_int_equal(ace_arena_open(&arena, measure, SIZE_MAX / 2, NULL), ACESTEP_OK);
    ace_stream_init(&s, measure, &arena, ACE_F32, &error);
    ace_loader_init(&l, &s, NULL, ACE_F32);
    uint64_t allocations = ace_memory_count();
    (void)ace_load_linear(&l, "huge", 200000, 4096);
    (void)ace_load_conv(&l, "c", 2048, 64, 7);
    assert_int_equal(ace_memory_count(), allocations);
    assert_int_equal(ace_loader_finish(&l), ACESTEP_OK);
    assert_int_equal(arena.high_water, 4u * (200000u * 4096u + 2048u * 64u * 7u));
    ace_arena_close(&arena);
    ace_device_close(measure);
    ace_device_close(reference);
}

static void damaged_embeddings_are_named(void **state)
{
    (void)state;
    checkpoint *f = checkpoint_new();
    const float v[6] = {1, 2, NAN, 4, 5, 6};
    const int64_t counts[6] = {0};
    const int32_t ids[] = {0, 2};
    float out[4];
    ace_error error = {0};
    checkpoint_add_f32(f, "e", "[3,2]", v, 6);
    checkpoint_add(f, "i", "I64", "[3,2]", counts, sizeof counts);
    bench b;
    open_bench(&b, checkpoint_open(f), f);
    assert_int_equal(ace_embedding_gather(b.w, "e", 3, 2, ids, 2, out, NULL), ACESTEP_OK);
    assert_true(out[0] == 1 && out[1] == 2 && out[2] == 5 && out[3] == 6);
    const int32_t damaged = 1;
    assert_int_equal(ace_embedding_gather(b.w, "e", 3, 2, &damaged, 1, out, &error), ACESTEP_MODEL);
    assert_non_null(strstr(error.message, "NaN"));
    assert_int_equal(ace_embedding_gather(b.w, "e", 4, 2, ids, 1, out, NULL), ACESTEP_MODEL);
    assert_int_equal(ace_embedding_gather(b.w, "i", 3, 2, ids, 1, out, NULL), ACESTEP_MODEL);
    assert_int_equal(ace_embedding_gather(b.w, "z", 3, 2, ids, 1, out, NULL), ACESTEP_MODEL);
    close_bench(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(vectors_of_any_rank_and_type),
        cmocka_unit_test(fused_layers_keep_their_order),
        cmocka_unit_test(rows_load_alone),
        cmocka_unit_test(unpatching_is_a_linear_layer),
        cmocka_unit_test(every_spelling_of_weight_norm),
        cmocka_unit_test(transposed_convolution_scatters),
        cmocka_unit_test(block_types_load_everywhere),
        cmocka_unit_test(int8_files_load_in_every_precision),
        cmocka_unit_test(int8_without_fitting_scales_is_refused),
        cmocka_unit_test(int8_is_for_matrices),
        cmocka_unit_test(all_problems_stand_in_one_message),
        cmocka_unit_test(a_long_list_is_cut),
        cmocka_unit_test(nan_is_named_with_its_file),
        cmocka_unit_test(synthetic_numbers_are_plausible_and_repeatable),
        cmocka_unit_test(measuring_reads_nothing),
        cmocka_unit_test(damaged_embeddings_are_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
