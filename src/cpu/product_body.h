/* The product kernels' one body, compiled once per level: the including file defines
 * PRODUCT_KERNELS, the name of the table it provides. */
#include "cpu/product_kernels.h"
#include "cpu/product_tiles.h"
#include "cpu/row_view.h"
#include "cpu/vector_math.h"

/* ---- inputs ---------------------------------------------------------------------------------- */

static ace_vf snake(ace_vf v, ace_vf alpha, ace_vf inv_beta)
{
    ace_vf s = ace_vf_sin(ace_vf_mul(alpha, v));
    return ace_vf_fma(inv_beta, ace_vf_mul(s, s), v);
}

/* Rounds as everywhere, but may flush subnormals, as the products of bf16 pairs do anyway. */
static void put_bf16(uint16_t *to, ace_vf v)
{
#if defined(__AVX512BF16__)
    __m256bh rounded = _mm512_cvtneps_pbh(v);
    memcpy(to, &rounded, sizeof rounded);
#else
    ace_vf_store_bf16(to, v);
#endif
}

static ALWAYS_INLINE void put_in_tile(ace_tile t, int64_t index, ace_vf v)
{
    if (t.type == ACE_TILE_BF16) {
        put_bf16((uint16_t *)t.data + index, v);
        return;
    }
    if (t.type == ACE_TILE_F32_ROUNDED) {
        uint16_t rounded[ACE_VF];
        ace_vf_store_bf16(rounded, v);
        v = ace_vf_load_bf16(rounded);
    }
    ace_vf_store((float *)t.data + index, v);
}

/* Columns of the tile from `at` on, of an input row; returns where it stopped: all whole columns x
 * has. Vectors may run past the tile's columns: its row stride leaves room for that. */
static ALWAYS_INLINE int64_t convert_row(ace_tile t, int64_t at, ace_row x, int64_t x_cols,
                                         int64_t end)
{
    int64_t c = 0;
    bool same_type = x.bf16 ? t.type == ACE_TILE_BF16 : t.type == ACE_TILE_F32;
    if (same_type) {
        size_t size = x.bf16 ? sizeof(uint16_t) : sizeof(float);
        memcpy((unsigned char *)t.data + (size_t)at * size,
               (const unsigned char *)x.data + (size_t)t.first_col * size, (size_t)end * size);
        return end;
    }
    for (; c < end; c += ACE_VF) {
        put_in_tile(t, at + c, ace_row_get(x, t.first_col + c, x_cols));
    }
    return c;
}

static ALWAYS_INLINE int64_t snake_row(ace_tile t, int64_t at, ace_row x, int64_t x_cols,
                                       int64_t end, ace_row alpha, ace_row inv_beta)
{
    int64_t c = 0;
    for (; c < end; c += ACE_VF) {
        int64_t from = t.first_col + c;
        ace_vf v = ace_row_get(x, from, x_cols);
        v = snake(v, ace_row_get(alpha, from, x_cols), ace_row_get(inv_beta, from, x_cols));
        put_in_tile(t, at + c, v);
    }
    return c;
}

#if defined(__AVX512VNNI__)
/* The largest magnitude of up to ACE_SCALE_GROUP numbers, NaN above all: bits compare as numbers
 * do. */
static float peak_of_bf16(const uint16_t *x, int64_t n)
{
    __m512i peak = _mm512_setzero_si512();
    for (int64_t c = 0; c < n; c += 32) {
        __mmask32 there = n - c < 32 ? (1u << (n - c)) - 1 : 0xffffffffu;
        __m512i v = _mm512_maskz_loadu_epi16(there, x + c);
        peak = _mm512_max_epu16(peak, _mm512_and_si512(v, _mm512_set1_epi16(0x7fff)));
    }
    __m512i high = _mm512_max_epi32(_mm512_srli_epi32(peak, 16),
                                    _mm512_and_si512(peak, _mm512_set1_epi32(0xffff)));
    return ace_f32_from_bits((uint32_t)_mm512_reduce_max_epi32(high) << 16);
}

/* n numbers (at most a vector) times a factor, rounded, as 16 or 8 bits; their sum per lane. */
static ALWAYS_INLINE __m512i put_integers(const ace_tile *t, int64_t at, ace_vf v)
{
    __m512i q = _mm512_cvtps_epi32(v);
    if (t->type == ACE_TILE_I16) {
        _mm256_storeu_si256((__m256i *)(void *)((int16_t *)t->data + at),
                            _mm512_cvtsepi32_epi16(q));
    } else {
        _mm_storeu_si128((__m128i *)(void *)((int8_t *)t->data + at), _mm512_cvtsepi32_epi8(q));
    }
    return q;
}

/* Columns 0 … end - 1 of the tile as integers of 16 or 8 bits times a scale per group. */
static int64_t quantise_row(const ace_tile *t, int64_t row, ace_row x, int64_t end)
{
    const float most = t->type == ACE_TILE_I16 ? 32767.0f : 127.0f;
    const float least = 0x1p-100f; /* its inverse is finite; below it, nothing is left of bf16 */
    const uint16_t *from = (const uint16_t *)x.data + t->first_col;
    int64_t at = row * t->row_stride;
    ace_scale *scale = t->scales + row * t->scale_row;
    for (int64_t c = 0; c < end; c += ACE_SCALE_GROUP, scale++) {
        int64_t n = end - c < ACE_SCALE_GROUP ? end - c : ACE_SCALE_GROUP;
        float peak = peak_of_bf16(from + c, n);
        ace_vf inverse = ace_vf_set(peak < least ? 0.0f : most / peak);
        __m512i sum = _mm512_setzero_si512();
        for (int64_t i = c; i < c + n; i += ACE_VF) {
            ace_row whole = {(void *)(uintptr_t)from, true};
            ace_vf v = ace_vf_mul(ace_row_get(whole, i, c + n), inverse);
            sum = _mm512_add_epi32(sum, put_integers(t, at + i, v));
        }
        scale->scale = peak < least ? 0.0f : peak / most;
        scale->start = t->type == ACE_TILE_I16 ? 0 : -128 * _mm512_reduce_add_epi32(sum);
    }
    return end;
}
#endif

/* Zeros from column c to the tile's last one. */
static void clear_row(ace_tile t, int64_t at, int64_t c)
{
    bool is_half = t.type == ACE_TILE_BF16 || t.type == ACE_TILE_I16;
    size_t size = t.type == ACE_TILE_I8 ? 1 : is_half ? sizeof(uint16_t) : sizeof(float);
    if (c < t.cols) {
        memset((unsigned char *)t.data + (size_t)(at + c) * size, 0, (size_t)(t.cols - c) * size);
    }
}

/* A row of integers; x NULL: zeros. */
static void fill_integers(ace_tile t, int64_t row, const ace_row *x, int64_t end)
{
    int64_t done = 0;
#if defined(__AVX512VNNI__)
    done = x != NULL ? quantise_row(&t, row, *x, end) : 0;
#else
    (void)x;
    (void)end;
#endif
    if (done == 0) {
        memset(t.scales + row * t.scale_row, 0, (size_t)t.scale_row * sizeof *t.scales);
    }
    clear_row(t, row * t.row_stride, done);
}

static void fill(const ace_product *p, const ace_tile *tile, int64_t tile_row, int64_t first_row,
                 int64_t count)
{
    const ace_tile t = *tile;
    const ace_tensor x = p->x;
    bool has_snake = p->snake_alpha.addr != 0;
    ace_row alpha = {0};
    ace_row inv_beta = {0};
    if (has_snake) {
        alpha = ace_row_of(p->snake_alpha, 0);
        inv_beta = ace_row_of(p->snake_inv_beta, 0);
    }
    int64_t end = x.cols - t.first_col < t.cols ? x.cols - t.first_col : t.cols;
    for (int64_t i = 0; i < count; i++) {
        int64_t row = first_row + i;
        int64_t at = (tile_row + i) * t.row_stride;
        int64_t done = 0;
        bool exists = row >= 0 && row < x.rows;
        if (t.type == ACE_TILE_I16 || t.type == ACE_TILE_I8) {
            ace_row from = ace_row_of(x, exists ? row : 0);
            fill_integers(t, tile_row + i, exists ? &from : NULL, end);
            continue;
        }
        if (exists) {
            done = has_snake ? snake_row(t, at, ace_row_of(x, row), x.cols, end, alpha, inv_beta)
                             : convert_row(t, at, ace_row_of(x, row), x.cols, end);
        }
        clear_row(t, at, done);
    }
}

/* ---- weights --------------------------------------------------------------------------------- */

/* Widening: bf16 lies in pairs, [n/32][16][2]; f32 results are [n/16][16]. */
static void widen_bf16_to_f32(float *restrict to, const uint16_t *restrict from, int64_t n)
{
    for (int64_t i = 0; i < n; i += 2 * ACE_PANEL) {
        for (int j = 0; j < ACE_PANEL; j++) {
            uint32_t pair;
            memcpy(&pair, from + i + 2 * j, sizeof pair);
            to[i + j] = ace_f32_from_bits(pair << 16);
            to[i + ACE_PANEL + j] = ace_f32_from_bits(pair & 0xffff0000u);
        }
    }
}

/* int8 lies in fours: [n/64][16][4]. */
static void widen_i8_to_f32(float *restrict to, const int8_t *restrict from, int64_t n)
{
    for (int64_t i = 0; i < n; i += 4 * ACE_PANEL) {
        for (int j = 0; j < ACE_PANEL; j++) {
            for (int k = 0; k < 4; k++) {
                to[i + k * ACE_PANEL + j] = (float)from[i + 4 * j + k];
            }
        }
    }
}

/* Exact: eight bits hold every int8. */
static void widen_i8_to_bf16(uint16_t *restrict to, const int8_t *restrict from, int64_t n)
{
    for (int64_t i = 0; i < n; i += 4 * ACE_PANEL) {
        for (int j = 0; j < ACE_PANEL; j++) {
            uint32_t pair[2];
            for (int k = 0; k < 2; k++) {
                uint32_t first = ace_f32_bits((float)from[i + 4 * j + 2 * k]) >> 16;
                uint32_t second = ace_f32_bits((float)from[i + 4 * j + 2 * k + 1]);
                pair[k] = first | (second & 0xffff0000u);
            }
            memcpy(to + i + 2 * j, &pair[0], sizeof pair[0]);
            memcpy(to + i + 2 * ACE_PANEL + 2 * j, &pair[1], sizeof pair[1]);
        }
    }
}

/* ---- results --------------------------------------------------------------------------------- */

/* One panel's constants, padded so that whole vectors can be read. */
typedef struct panel_terms {
    int64_t col; /* of y, for the first lane */
    int64_t end; /* column behind the last result of these rows */
    float scale[ACE_PANEL];
    float bias[ACE_PANEL];
} panel_terms;

static void load_terms(panel_terms *t, const ace_product *p, int64_t panel)
{
    bool is_pair = p->swiglu || p->apart;
    t->col = (is_pair ? panel / 2 : panel) * ACE_PANEL;
    t->end = p->y.cols;
    if (p->apart) {
        int64_t half = p->y.cols / 2;
        t->col += panel % 2 * half;
        t->end = (1 + panel % 2) * half;
    }
    const float *bias = p->bias.addr != 0 ? ace_cpu_f32(p->bias, 0) : NULL;
    for (int i = 0; i < ACE_PANEL; i++) {
        t->scale[i] = p->w.scales != NULL ? p->w.scales[panel * ACE_PANEL + i] : 1.0f;
        t->bias[i] = 0.0f;
        if (bias != NULL && t->col + i < p->y.cols) {
            t->bias[i] = bias[(t->col + i) % p->bias.cols];
        }
    }
}

/* Stores the lanes first … end - 1. */
static void put_lanes(ace_row y, int64_t col, ace_vf v, int64_t first, int64_t end)
{
    float lanes[ACE_VF];
    ace_vf_store(lanes, v);
    for (int64_t i = first; i < end; i++) {
        if (y.bf16) {
            ((uint16_t *)y.data)[col + i] = ace_f32_to_bf16(lanes[i]);
        } else {
            ((float *)y.data)[col + i] = lanes[i];
        }
    }
}

static int64_t clamp_lane(int64_t lane, int64_t end)
{
    return lane < 0 ? 0 : lane < end ? lane : end;
}

static ace_vf scaled(const panel_terms *t, const float *sum, int lane)
{
    return ace_vf_mul(ace_vf_load(sum + lane), ace_vf_load(t->scale + lane));
}

/* One row of results of some panels; sum is the row's place in the first one. */
static ALWAYS_INLINE void finish_row(const ace_product *p, const ace_finish *f,
                                     const panel_terms *terms, int64_t row, const float *sum,
                                     ace_row gate)
{
    ace_row y = ace_row_of(p->y, row);
    int64_t begin = p->begin - row * p->y.row_stride; /* columns of this row that are stored */
    int64_t end = p->end - row * p->y.row_stride;
    bool is_cut = begin > 0 || end < p->y.cols;
    int step = p->swiglu ? 2 : 1;
    for (int panel = 0; panel < f->panels; panel += step, sum += step * f->sums_panel) {
        const panel_terms *t = &terms[panel];
        for (int lane = 0; lane < ACE_PANEL && t->col + lane < t->end; lane += ACE_VF) {
            int64_t col = t->col + lane;
            ace_vf v = scaled(t, sum, lane);
            if (p->swiglu) {
                v = ace_vf_mul(ace_vf_silu(v), scaled(t + 1, sum + f->sums_panel, lane));
            } else {
                v = ace_vf_add(v, ace_vf_load(t->bias + lane));
            }
            if (gate.data != NULL) {
                v = ace_vf_mul(v, ace_row_get(gate, col, p->y.cols));
            }
            if (p->accumulate) {
                v = ace_vf_add(v, ace_row_get(y, col, p->y.cols));
            }
            if (is_cut) {
                int64_t left = t->end - col < ACE_VF ? t->end - col : ACE_VF;
                put_lanes(y, col, v, clamp_lane(begin - col, left), clamp_lane(end - col, left));
            } else {
                ace_row_put(y, col, t->end, v);
            }
        }
    }
}

/* Works on copies: nothing stored to y can then be suspected to change them. */
static void finish(const ace_product *product, const ace_finish *range)
{
    const ace_product copy = *product;
    const ace_product *p = &copy;
    const ace_finish range_copy = *range;
    const ace_finish *f = &range_copy;
    panel_terms terms[ACE_MAX_STEP];
    for (int panel = 0; panel < f->panels; panel++) {
        load_terms(&terms[panel], p, f->first_panel + panel);
    }
    int64_t last = f->first_row + f->rows;
    int64_t per_gate = p->gate.addr != 0 ? p->y.rows / p->gate.rows : last;
    for (int64_t row = f->first_row; row < last;) {
        int64_t group = row / per_gate;
        int64_t end = (group + 1) * per_gate < last ? (group + 1) * per_gate : last;
        ace_row gate = {0};
        if (p->gate.addr != 0) {
            gate = ace_row_of(p->gate, group);
        }
        for (; row < end; row++) {
            finish_row(p, f, terms, row, f->sums + (row - f->first_row) * ACE_PANEL, gate);
        }
    }
}

const ace_product_kernels PRODUCT_KERNELS = {
    .fill = fill,
    .widen_bf16_to_f32 = widen_bf16_to_f32,
    .widen_i8_to_f32 = widen_i8_to_f32,
    .widen_i8_to_bf16 = widen_i8_to_bf16,
    .multiply_f32 = multiply_f32,
#if defined(__AVX512BF16__)
    .multiply_bf16 = multiply_bf16,
#endif
#if defined(__AVX512VNNI__)
    .multiply_i16 = multiply_i16,
    .multiply_i8 = multiply_i8,
#endif
    .finish = finish,
};
