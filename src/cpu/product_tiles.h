/* Register tiles: the inner loops of every product. A tile is some rows by some panels whose sums
 * stay in registers while depth and taps run by; its size depends on how many registers a level
 * has. Included by product_body.h alone, once per level. */
#ifndef ACE_CPU_PRODUCT_TILES_H
#define ACE_CPU_PRODUCT_TILES_H

#include "cpu/product_kernels.h"
#include "cpu/vector.h"

enum { PANEL_VECTORS = ACE_PANEL / ACE_VF, LINE_BYTES = 64 };

/* Shapes (rows, panels). MANY rows are the rule; FEW rows read more panels at once, so that enough
 * sums are under way and memory streams wide. */
#if defined(__AVX512F__)
enum { MANY_ROWS = 12, MANY_PANELS = 2, FEW_ROWS = 6, FEW_PANELS = 4 };
#define TILE_SHAPES(X)                                                                             \
    X(1, 1)                                                                                        \
    X(2, 1)                                                                                        \
    X(3, 1)                                                                                        \
    X(4, 1)                                                                                        \
    X(5, 1) X(6, 1) X(7, 1) X(8, 1) X(9, 1) X(10, 1) X(11, 1) X(12, 1) X(1, 2) X(2, 2) X(3, 2)     \
        X(4, 2) X(5, 2) X(6, 2) X(7, 2) X(8, 2) X(9, 2) X(10, 2) X(11, 2) X(12, 2) X(1, 4) X(2, 4) \
            X(3, 4) X(4, 4) X(5, 4) X(6, 4)
#elif defined(__AVX2__)
enum { MANY_ROWS = 6, MANY_PANELS = 1, FEW_ROWS = 3, FEW_PANELS = 2 };
#define TILE_SHAPES(X) X(1, 1) X(2, 1) X(3, 1) X(4, 1) X(5, 1) X(6, 1) X(1, 2) X(2, 2) X(3, 2)
#else
enum { MANY_ROWS = 2, MANY_PANELS = 1, FEW_ROWS = 1, FEW_PANELS = 2 };
#define TILE_SHAPES(X) X(1, 1) X(2, 1) X(1, 2)
#endif
enum { MAX_VECTORS = FEW_PANELS * PANEL_VECTORS };

typedef ace_vf tile_sums[MANY_ROWS][MAX_VECTORS];

#define ALWAYS_INLINE inline __attribute__((always_inline))
#if defined(__clang__)
#define UNROLL _Pragma("clang loop unroll(full)")
#else
#define UNROLL _Pragma("GCC unroll 16")
#endif

/* Lines to fetch into L2 while a tile is computed: the next panels' weights, a little per step of
 * depth. `step` bytes on average; the same line may come up again, which costs next to nothing. */
typedef struct ahead {
    const char *start;
    int64_t step, tap;
} ahead;

static ALWAYS_INLINE void fetch(const char *line)
{
    __builtin_prefetch(line, 0, 2);
}

/* In all functions below rows and panels are constants at each call, so loops over them vanish. */
static ALWAYS_INLINE float *sum_at(const ace_block *b, int64_t row, int panel, int v)
{
    return b->sums + (panel + v / PANEL_VECTORS) * b->sums_panel + row * ACE_PANEL +
           v % PANEL_VECTORS * ACE_VF;
}

static ALWAYS_INLINE void load_sums(tile_sums sum, const ace_block *b, int64_t row, int panel,
                                    int rows, int panels)
{
    UNROLL
    for (int r = 0; r < rows; r++) {
        UNROLL
        for (int v = 0; v < panels * PANEL_VECTORS; v++) {
            sum[r][v] = b->resume ? ace_vf_load(sum_at(b, row + r, panel, v)) : ace_vf_set(0.0f);
        }
    }
}

static ALWAYS_INLINE void store_sums(tile_sums sum, const ace_block *b, int64_t row, int panel,
                                     int rows, int panels)
{
    UNROLL
    for (int r = 0; r < rows; r++) {
        UNROLL
        for (int v = 0; v < panels * PANEL_VECTORS; v++) {
            ace_vf_store(sum_at(b, row + r, panel, v), sum[r][v]);
        }
    }
}

static ALWAYS_INLINE void tile_f32(const ace_block *b, const ahead *next, int64_t row, int panel,
                                   int rows, int panels)
{
    tile_sums sum;
    load_sums(sum, b, row, panel, rows, panels);
    for (int tap = 0; tap < b->taps; tap++) {
        const float *x = (const float *)b->x + row * b->x_row + tap * b->x_tap;
        const float *w = (const float *)b->w + panel * b->w_panel + tap * b->w_tap;
        const char *line = next->start + tap * next->tap;
        for (int64_t k = 0; k < b->depth; k++, line += next->step) {
            fetch(line);
            ace_vf weight[MAX_VECTORS];
            UNROLL
            for (int v = 0; v < panels * PANEL_VECTORS; v++) {
                weight[v] = ace_vf_load(w + v / PANEL_VECTORS * b->w_panel + k * ACE_PANEL +
                                        v % PANEL_VECTORS * ACE_VF);
            }
            UNROLL
            for (int r = 0; r < rows; r++) {
                ace_vf value = ace_vf_set(x[r * b->x_row + k]);
                UNROLL
                for (int v = 0; v < panels * PANEL_VECTORS; v++) {
                    sum[r][v] = ace_vf_fma(value, weight[v], sum[r][v]);
                }
            }
        }
    }
    store_sums(sum, b, row, panel, rows, panels);
}

#if defined(__AVX512BF16__)
/* Each lane of the sums takes x[k]·w[k] + x[k+1]·w[k+1]. */
static ALWAYS_INLINE void tile_bf16(const ace_block *b, const ahead *next, int64_t row, int panel,
                                    int rows, int panels)
{
    tile_sums sum;
    load_sums(sum, b, row, panel, rows, panels);
    for (int tap = 0; tap < b->taps; tap++) {
        const uint16_t *x = (const uint16_t *)b->x + row * b->x_row + tap * b->x_tap;
        const uint16_t *w = (const uint16_t *)b->w + panel * b->w_panel + tap * b->w_tap;
        const char *line = next->start + tap * next->tap;
        for (int64_t k = 0; k < b->depth; k += 2, line += next->step) {
            fetch(line);
            __m512i weight[MAX_VECTORS];
            UNROLL
            for (int v = 0; v < panels; v++) {
                weight[v] = _mm512_loadu_si512(w + v * b->w_panel + k * ACE_PANEL);
            }
            UNROLL
            for (int r = 0; r < rows; r++) {
                int32_t pair;
                memcpy(&pair, x + r * b->x_row + k, sizeof pair);
                __m512i value = _mm512_set1_epi32(pair);
                UNROLL
                for (int v = 0; v < panels; v++) {
                    sum[r][v] = _mm512_dpbf16_ps(sum[r][v], (__m512bh)weight[v], (__m512bh)value);
                }
            }
        }
    }
    store_sums(sum, b, row, panel, rows, panels);
}
#endif

/* Any rows up to a tile's, by name of the tile function. */
#define TILE_CASE(rows, panels)                                                                    \
    case (panels)*16 + (rows):                                                                     \
        TILE_FUNCTION(b, next, row, panel, rows, panels);                                          \
        break;

#define TILE_FUNCTION tile_f32
static void any_tile_f32(const ace_block *b, const ahead *next, int64_t row, int panel,
                         int64_t rows, int panels)
{
    switch (panels * 16 + rows) {
        TILE_SHAPES(TILE_CASE)
    default:
        break;
    }
}
#undef TILE_FUNCTION

#if defined(__AVX512BF16__)
#define TILE_FUNCTION tile_bf16
static void any_tile_bf16(const ace_block *b, const ahead *next, int64_t row, int panel,
                          int64_t rows, int panels)
{
    switch (panels * 16 + rows) {
        TILE_SHAPES(TILE_CASE)
    default:
        break;
    }
}
#undef TILE_FUNCTION
#endif

typedef void any_tile(const ace_block *, const ahead *, int64_t row, int panel, int64_t rows,
                      int panels);

/* The share of the next panels' lines that tile `index` of `count` fetches. */
static ahead plan_fetch(const ace_block *b, int64_t index, int64_t count, int64_t element_bytes)
{
    ahead next = {.start = b->w, .tap = b->w_tap * element_bytes};
    if (b->next_w == NULL || count < b->panels) {
        return next;
    }
    int64_t per_panel = count / b->panels; /* tiles that share one panel */
    int64_t panel = index / per_panel;
    if (panel < b->panels) {
        int64_t share = b->depth * ACE_PANEL * element_bytes / per_panel;
        next.start = (const char *)b->next_w + panel * b->w_panel * element_bytes +
                     index % per_panel * share;
        next.step = LINE_BYTES / per_panel;
    }
    return next;
}

static ALWAYS_INLINE void multiply(const ace_block *b, any_tile *tile, int64_t element_bytes)
{
    int panels = 0;
    for (int panel = 0; panel < b->panels; panel += panels) {
        int left = b->panels - panel;
        int64_t rows = MANY_ROWS;
        panels = left >= MANY_PANELS ? MANY_PANELS : 1;
        if (b->rows <= FEW_ROWS && left >= FEW_PANELS) {
            rows = FEW_ROWS;
            panels = FEW_PANELS;
        }
        int64_t tiles = (b->rows + rows - 1) / rows;
        for (int64_t i = 0; i < tiles; i++) {
            ahead next = plan_fetch(b, i, panel == 0 ? tiles : 0, element_bytes);
            int64_t row = i * rows;
            tile(b, &next, row, panel, b->rows - row < rows ? b->rows - row : rows, panels);
        }
    }
}

static void multiply_f32(const ace_block *b)
{
    multiply(b, any_tile_f32, sizeof(float));
}

#if defined(__AVX512BF16__)
static void multiply_bf16(const ace_block *b)
{
    multiply(b, any_tile_bf16, sizeof(uint16_t));
}
#endif

#endif
