/* The product kernels' one body, compiled once per level: the including file defines
 * PRODUCT_KERNELS, the name of the table it provides. */
#include "cpu/product_kernels.h"
#include "cpu/product_tiles.h"
#include "cpu/row_view.h"
#include "cpu/vector_math.h"

/* ---- inputs ------------------------------------------------------------------------------------
 */

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

static void put_in_tile(const ace_tile *t, int64_t index, ace_vf v)
{
    if (t->type == ACE_TILE_BF16) {
        put_bf16((uint16_t *)t->data + index, v);
        return;
    }
    if (t->type == ACE_TILE_F32_ROUNDED) {
        uint16_t rounded[ACE_VF];
        ace_vf_store_bf16(rounded, v);
        v = ace_vf_load_bf16(rounded);
    }
    ace_vf_store((float *)t->data + index, v);
}

/* Vectors may run past t->cols: the tile's row stride leaves room for that. */
static void fill_row(const ace_product *p, const ace_tile *t, int64_t tile_row, int64_t x_row)
{
    int64_t to = tile_row * t->row_stride;
    ace_vf zero = ace_vf_set(0.0f);
    int64_t end = 0; /* columns of the tile that x has */
    if (x_row >= 0 && x_row < p->x.rows) {
        end = p->x.cols - t->first_col < t->cols ? p->x.cols - t->first_col : t->cols;
    }
    ace_row x = ace_row_of(p->x, end > 0 ? x_row : 0);
    int64_t c = 0;
    if (p->snake_alpha.addr != 0) {
        ace_row alpha = ace_row_of(p->snake_alpha, 0);
        ace_row inv_beta = ace_row_of(p->snake_inv_beta, 0);
        for (; c < end; c += ACE_VF) {
            int64_t from = t->first_col + c;
            ace_vf v = ace_row_get(x, from, p->x.cols);
            v = snake(v, ace_row_get(alpha, from, p->x.cols),
                      ace_row_get(inv_beta, from, p->x.cols));
            put_in_tile(t, to + c, v);
        }
    } else if (t->type == ACE_TILE_BF16 && x.bf16 && end == t->cols) {
        memcpy((uint16_t *)t->data + to, (const uint16_t *)x.data + t->first_col,
               (size_t)end * sizeof(uint16_t));
        c = end;
    } else {
        for (; c < end; c += ACE_VF) {
            put_in_tile(t, to + c, ace_row_get(x, t->first_col + c, p->x.cols));
        }
    }
    for (; c < t->cols; c += ACE_VF) {
        put_in_tile(t, to + c, zero);
    }
}

static void fill(const ace_product *p, const ace_tile *t, int64_t tile_row, int64_t first_row,
                 int64_t count)
{
    for (int64_t i = 0; i < count; i++) {
        fill_row(p, t, tile_row + i, first_row + i);
    }
}

/* ---- weights -----------------------------------------------------------------------------------
 */

/* from [n/32][16][2], to [n/16][16] */
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

static void widen_i8_to_f32(float *restrict to, const int8_t *restrict from, int64_t n)
{
    for (int64_t i = 0; i < n; i++) {
        to[i] = (float)from[i];
    }
}

/* from [n/16][16], to [n/32][16][2]. Exact: eight bits hold every int8. */
static void widen_i8_to_bf16(uint16_t *restrict to, const int8_t *restrict from, int64_t n)
{
    for (int64_t i = 0; i < n; i += 2 * ACE_PANEL) {
        for (int j = 0; j < ACE_PANEL; j++) {
            uint32_t low = ace_f32_bits((float)from[i + j]) >> 16;
            uint32_t pair = ace_f32_bits((float)from[i + ACE_PANEL + j]) | low;
            memcpy(to + i + 2 * j, &pair, sizeof pair);
        }
    }
}

/* ---- results -----------------------------------------------------------------------------------
 */

/* One panel's constants, padded so that whole vectors can be read. */
typedef struct panel_terms {
    int64_t col; /* of y, for the first lane */
    float scale[ACE_PANEL];
    float bias[ACE_PANEL];
} panel_terms;

static void load_terms(panel_terms *t, const ace_product *p, int64_t panel)
{
    t->col = (p->swiglu ? panel / 2 : panel) * ACE_PANEL;
    const float *bias = p->bias.addr != 0 ? ace_cpu_f32(p->bias, 0) : NULL;
    for (int i = 0; i < ACE_PANEL; i++) {
        t->scale[i] = p->w.scales != NULL ? p->w.scales[panel * ACE_PANEL + i] : 1.0f;
        t->bias[i] = 0.0f;
        if (bias != NULL && t->col + i < p->y.cols) {
            t->bias[i] = bias[(t->col + i) % p->bias.cols];
        }
    }
}

/* Stores the lanes of v that belong to columns col … of a row cut by p->begin or p->end. */
static void put_inside(const ace_product *p, int64_t row, int64_t col, ace_vf v)
{
    float lanes[ACE_VF];
    ace_vf_store(lanes, v);
    ace_row y = ace_row_of(p->y, row);
    for (int64_t i = 0; i < ACE_VF && col + i < p->y.cols; i++) {
        int64_t at = row * p->y.row_stride + col + i;
        if (at >= p->begin && at < p->end) {
            if (y.bf16) {
                ((uint16_t *)y.data)[col + i] = ace_f32_to_bf16(lanes[i]);
            } else {
                ((float *)y.data)[col + i] = lanes[i];
            }
        }
    }
}

static ace_vf scaled(const panel_terms *t, const float *sum, int lane)
{
    return ace_vf_mul(ace_vf_load(sum + lane), ace_vf_load(t->scale + lane));
}

/* One row of results of some panels; sum is the row's place in the first one. */
static void finish_row(const ace_product *p, const ace_finish *f, const panel_terms *terms,
                       int64_t row, const float *sum)
{
    ace_row y = ace_row_of(p->y, row);
    ace_row gate = {0};
    if (p->gate.addr != 0) {
        gate = ace_row_of(p->gate, row / (p->y.rows / p->gate.rows));
    }
    bool is_cut = row * p->y.row_stride < p->begin || (row + 1) * p->y.row_stride > p->end;
    int step = p->swiglu ? 2 : 1;
    for (int panel = 0; panel < f->panels; panel += step, sum += step * f->sums_panel) {
        const panel_terms *t = &terms[panel];
        for (int lane = 0; lane < ACE_PANEL && t->col + lane < p->y.cols; lane += ACE_VF) {
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
                put_inside(p, row, col, v);
            } else {
                ace_row_put(y, col, p->y.cols, v);
            }
        }
    }
}

static void finish(const ace_product *p, const ace_finish *f)
{
    panel_terms terms[ACE_MAX_STEP];
    for (int panel = 0; panel < f->panels; panel++) {
        load_terms(&terms[panel], p, f->first_panel + panel);
    }
    for (int64_t i = 0; i < f->rows; i++) {
        finish_row(p, f, terms, f->first_row + i, f->sums + i * ACE_PANEL);
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
    .finish = finish,
};
