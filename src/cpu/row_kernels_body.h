/* The row kernels' one body, compiled once per level: the including file defines ROW_KERNELS, the
 * name of the table it provides. Statistics are f32 sums over ACE_VF · 4 interleaved lanes. */
#include "cpu/row_kernels.h"
#include "cpu/row_view.h"
#include "cpu/vector_math.h"

enum { SUM_CHAINS = 4 }; /* independent sums hide the latency of an addition */

/* 1 / sqrt(mean(x²) + eps) over columns begin … end - 1. */
static float inverse_rms(ace_row x, int64_t begin, int64_t end, float eps)
{
    ace_vf sum[SUM_CHAINS];
    for (int i = 0; i < SUM_CHAINS; i++) {
        sum[i] = ace_vf_set(0.0f);
    }
    int64_t c = begin;
    for (; c + SUM_CHAINS * ACE_VF <= end; c += SUM_CHAINS * ACE_VF) {
        for (int i = 0; i < SUM_CHAINS; i++) {
            ace_vf v = ace_row_get(x, c + i * ACE_VF, end);
            sum[i] = ace_vf_fma(v, v, sum[i]);
        }
    }
    for (; c < end; c += ACE_VF) {
        ace_vf v = ace_row_get(x, c, end);
        sum[0] = ace_vf_fma(v, v, sum[0]);
    }
    ace_vf total = ace_vf_add(ace_vf_add(sum[0], sum[1]), ace_vf_add(sum[2], sum[3]));
    return 1.0f / sqrtf(ace_vf_sum(total) / (float)(end - begin) + eps);
}

static void rms_norm(ace_tensor y, ace_tensor x, const ace_norm *n, int64_t first, int64_t count)
{
    ace_row weight = ace_row_of(n->weight, 0);
    bool modulated = n->scale.addr != 0;
    for (int64_t r = first; r < first + count; r++) {
        ace_row from = ace_row_of(x, r);
        ace_row to = ace_row_of(y, r);
        ace_vf inverse = ace_vf_set(inverse_rms(from, 0, x.cols, n->eps));
        ace_row scale = weight;
        ace_row shift = weight;
        if (modulated) {
            scale = ace_row_of(n->scale, r / (x.rows / n->scale.rows));
            shift = ace_row_of(n->shift, r / (x.rows / n->shift.rows));
        }
        for (int64_t c = 0; c < x.cols; c += ACE_VF) {
            ace_vf v = ace_vf_mul(ace_row_get(from, c, x.cols), inverse);
            v = ace_vf_mul(v, ace_row_get(weight, c, x.cols));
            if (modulated) {
                ace_vf factor = ace_vf_add(ace_row_get(scale, c, x.cols), ace_vf_set(1.0f));
                v = ace_vf_fma(v, factor, ace_row_get(shift, c, x.cols));
            }
            ace_row_put(to, c, x.cols, v);
        }
    }
}

/* One head in columns begin … begin + head_dim - 1 of x. Both lanes of a pair are read before
 * either is written. */
static void norm_and_rotate(ace_row x, int64_t begin, int64_t head_dim, ace_row weight, float eps,
                            const float *rope)
{
    int64_t half = head_dim / 2;
    int64_t middle = begin + half;
    ace_vf inverse = ace_vf_set(inverse_rms(x, begin, begin + head_dim, eps));
    ace_row cosine = {(void *)(uintptr_t)rope, false};
    for (int64_t c = 0; c < half; c += ACE_VF) {
        ace_vf a = ace_vf_mul(ace_row_get(x, begin + c, middle), inverse);
        ace_vf b = ace_vf_mul(ace_row_get(x, middle + c, begin + head_dim), inverse);
        a = ace_vf_mul(a, ace_row_get(weight, c, half));
        b = ace_vf_mul(b, ace_row_get(weight, half + c, head_dim));
        if (rope != NULL) {
            ace_vf cos = ace_row_get(cosine, c, half);
            ace_vf sin = ace_row_get(cosine, half + c, head_dim);
            ace_vf minus_sin = ace_vf_sub(ace_vf_set(0.0f), sin);
            ace_vf turned = ace_vf_fma(a, cos, ace_vf_mul(b, minus_sin));
            b = ace_vf_fma(b, cos, ace_vf_mul(a, sin));
            a = turned;
        }
        ace_row_put(x, begin + c, middle, a);
        ace_row_put(x, middle + c, begin + head_dim, b);
    }
}

static void head_norm(ace_tensor x, const ace_head_norm *n, int64_t first, int64_t count)
{
    int64_t head_dim = n->weight.cols;
    ace_row weight = ace_row_of(n->weight, 0);
    for (int64_t r = first; r < first + count; r++) {
        const float *rope = n->rope.addr != 0 ? ace_cpu_f32(n->rope, r % n->rope.rows) : NULL;
        for (int64_t h = 0; h < n->heads; h++) {
            norm_and_rotate(ace_row_of(x, r), h * head_dim, head_dim, weight, n->eps, rope);
        }
    }
}

static void silu(ace_tensor y, ace_tensor x, int64_t first, int64_t count)
{
    for (int64_t r = first; r < first + count; r++) {
        ace_row from = ace_row_of(x, r);
        ace_row to = ace_row_of(y, r);
        for (int64_t c = 0; c < x.cols; c += ACE_VF) {
            ace_row_put(to, c, x.cols, ace_vf_silu(ace_row_get(from, c, x.cols)));
        }
    }
}

static void silu_mul(ace_tensor y, ace_tensor gate, ace_tensor up, int64_t first, int64_t count)
{
    for (int64_t r = first; r < first + count; r++) {
        ace_row g = ace_row_of(gate, r);
        ace_row u = ace_row_of(up, r);
        ace_row to = ace_row_of(y, r);
        for (int64_t c = 0; c < y.cols; c += ACE_VF) {
            ace_vf v = ace_vf_silu(ace_row_get(g, c, y.cols));
            ace_row_put(to, c, y.cols, ace_vf_mul(v, ace_row_get(u, c, y.cols)));
        }
    }
}

static void add(ace_tensor y, ace_tensor a, ace_tensor b, int64_t first, int64_t count)
{
    for (int64_t r = first; r < first + count; r++) {
        ace_row to = ace_row_of(y, r);
        ace_row left = ace_row_of(a, r / (y.rows / a.rows));
        ace_row right = ace_row_of(b, r % b.rows);
        for (int64_t c = 0; c < y.cols; c += ACE_VF) {
            ace_vf sum = ace_vf_add(ace_row_get(left, c, y.cols), ace_row_get(right, c, y.cols));
            ace_row_put(to, c, y.cols, sum);
        }
    }
}

static void round_rows(ace_tensor y, ace_tensor scale, ace_tensor x, int64_t first, int64_t count)
{
    const float least = 0x1p-100f; /* below it 127 / peak may be infinite */
    for (int64_t r = first; r < first + count; r++) {
        ace_row from = ace_row_of(x, r);
        int8_t *to = ace_cpu_i8(y, r);
        float peak = ace_row_peak(from, x.cols);
        *ace_cpu_f32(scale, r) = peak < least ? 0.0f : peak / 127.0f;
        ace_vf factor = ace_vf_set(peak >= least ? 127.0f / peak : 0.0f);
        for (int64_t c = 0; c < x.cols; c += ACE_VF) {
            ace_row_round(to, c, x.cols, ace_vf_mul(ace_row_get(from, c, x.cols), factor));
        }
    }
}

static void copy(ace_tensor y, ace_tensor x, int64_t first, int64_t count)
{
    for (int64_t r = first; r < first + count; r++) {
        ace_row from = ace_row_of(x, r);
        ace_row to = ace_row_of(y, r);
        if (from.bf16 == to.bf16) {
            memmove(to.data, from.data, (size_t)x.cols * ace_dtype_bytes(x.dtype));
            continue;
        }
        for (int64_t c = 0; c < x.cols; c += ACE_VF) {
            ace_row_put(to, c, x.cols, ace_row_get(from, c, x.cols));
        }
    }
}

static void fill(ace_tensor y, float value, int64_t first, int64_t count)
{
    for (int64_t r = first; r < first + count; r++) {
        ace_row to = ace_row_of(y, r);
        for (int64_t c = 0; c < y.cols; c += ACE_VF) {
            ace_row_put(to, c, y.cols, ace_vf_set(value));
        }
    }
}

/* ---- mixing
 * ------------------------------------------------------------------------------------- */

/* Blocks of y computed at once: each vector of x that is read serves so many of them. */
enum { MIX_BLOCKS = 4 };

/* One row of a mix. */
typedef struct mixed_row {
    ace_row x, y, gate;
    bool gated, accumulate;
    int64_t terms, width, cols; /* blocks of x; columns of a block; columns of y */
} mixed_row;

static void put_mixed(const mixed_row *m, int64_t col, int64_t end, ace_vf v)
{
    if (m->gated) {
        v = ace_vf_mul(v, ace_row_get(m->gate, col, end));
    }
    if (m->accumulate) {
        v = ace_vf_add(v, ace_row_get(m->y, col, end));
    }
    ace_row_put(m->y, col, end, v);
}

static void scale_row(const mixed_row *m)
{
    for (int64_t c = 0; c < m->cols; c += ACE_VF) {
        put_mixed(m, c, m->cols, ace_row_get(m->x, c, m->cols));
    }
}

/* Blocks block … block + n - 1 of y. weight: the rows of the blocks, the last one repeated. */
static void mix_blocks(const mixed_row *m, const float *const weight[MIX_BLOCKS], int64_t block,
                       int64_t n)
{
    for (int64_t c = 0; c < m->width; c += ACE_VF) {
        ace_vf sum[MIX_BLOCKS];
        for (int i = 0; i < MIX_BLOCKS; i++) {
            sum[i] = ace_vf_set(0.0f);
        }
        for (int64_t k = 0; k < m->terms; k++) {
            ace_vf v = ace_row_get(m->x, k * m->width + c, (k + 1) * m->width);
            for (int i = 0; i < MIX_BLOCKS; i++) {
                sum[i] = ace_vf_fma(ace_vf_set(weight[i][k]), v, sum[i]);
            }
        }
        for (int64_t i = 0; i < n; i++) {
            put_mixed(m, (block + i) * m->width + c, (block + i + 1) * m->width, sum[i]);
        }
    }
}

static void mix(ace_tensor y, ace_tensor x, const ace_mix *mix, int64_t first, int64_t count)
{
    ace_tensor w = mix->weight;
    mixed_row m = {.gated = mix->gate.addr != 0,
                   .accumulate = mix->accumulate,
                   .terms = w.addr != 0 ? w.cols : 1,
                   .cols = y.cols};
    m.width = x.cols / m.terms;
    for (int64_t r = first; r < first + count; r++) {
        m.x = ace_row_of(x, r);
        m.y = ace_row_of(y, r);
        m.gate = m.gated ? ace_row_of(mix->gate, r / (y.rows / mix->gate.rows)) : m.x;
        if (w.addr == 0) {
            scale_row(&m);
            continue;
        }
        for (int64_t block = 0; block < w.rows; block += MIX_BLOCKS) {
            const float *weight[MIX_BLOCKS];
            int64_t n = w.rows - block < MIX_BLOCKS ? w.rows - block : MIX_BLOCKS;
            for (int i = 0; i < MIX_BLOCKS; i++) {
                weight[i] = ace_cpu_f32(w, block + (i < n ? i : n - 1));
            }
            mix_blocks(&m, weight, block, n);
        }
    }
}

const ace_row_kernels ROW_KERNELS = {
    .rms_norm = rms_norm,
    .head_norm = head_norm,
    .silu = silu,
    .silu_mul = silu_mul,
    .add = add,
    .copy = copy,
    .round_rows = round_rows,
    .fill = fill,
    .mix = mix,
};
