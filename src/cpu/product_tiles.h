/* Register tiles: the inner loops of every product. A tile is some rows by some panels whose sums
 * stay in registers while depth and taps run by; its size depends on how many registers a level
 * has. Included by product_body.h alone, once per level. */
#ifndef ACE_CPU_PRODUCT_TILES_H
#define ACE_CPU_PRODUCT_TILES_H

#include "cpu/product_kernels.h"
#include "cpu/vector.h"

enum { PANEL_VECTORS = ACE_PANEL / ACE_VF, LINE_BYTES = 64 };

/* Shapes (rows, panels). MANY rows are the rule; FEW rows read more panels at once, so that enough
 * sums are under way and memory streams wide. SHAPES lists all that occur; PACKED_SHAPES those of
 * up to ACE_FEW_ROWS rows. */
#define ROWS_TO_3(X, panels) X(1, panels) X(2, panels) X(3, panels)
#define ROWS_TO_6(X, panels) ROWS_TO_3(X, panels) X(4, panels) X(5, panels) X(6, panels)
#define ROWS_TO_12(X, panels)                                                                      \
    ROWS_TO_6(X, panels)                                                                           \
    X(7, panels) X(8, panels) X(9, panels) X(10, panels) X(11, panels) X(12, panels)
#if defined(__AVX512F__)
enum { MANY_ROWS = 12, MANY_PANELS = 2, FEW_ROWS = 6, FEW_PANELS = 4 };
#define SHAPES(X) ROWS_TO_12(X, 1) ROWS_TO_12(X, 2) ROWS_TO_6(X, 4)
#define PACKED_SHAPES(X) ROWS_TO_6(X, 1) ROWS_TO_6(X, 2) ROWS_TO_6(X, 4)
#elif defined(__AVX2__)
enum { MANY_ROWS = 6, MANY_PANELS = 1, FEW_ROWS = 3, FEW_PANELS = 2 };
#define SHAPES(X) ROWS_TO_6(X, 1) ROWS_TO_3(X, 2)
#define PACKED_SHAPES(X) SHAPES(X)
#elif defined(__aarch64__)
enum { MANY_ROWS = 6, MANY_PANELS = 1, FEW_ROWS = 2, FEW_PANELS = 2 };
#define SHAPES(X) ROWS_TO_6(X, 1) X(1, 2) X(2, 2)
#define PACKED_SHAPES(X) SHAPES(X)
#else
enum { MANY_ROWS = 2, MANY_PANELS = 1, FEW_ROWS = 1, FEW_PANELS = 2 };
#define SHAPES(X) X(1, 1) X(2, 1) X(1, 2)
#define PACKED_SHAPES(X) SHAPES(X)
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
    int64_t panel; /* bytes from one panel to the next where a tile fetches for all; else 0 */
} ahead;

static ALWAYS_INLINE void fetch(const ahead *next, const char *line, int panels)
{
    UNROLL
    for (int v = 0; v < panels; v++) {
        __builtin_prefetch(line + v * next->panel, 0, 2);
    }
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
            fetch(next, line, panels);
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

#if defined(__AVX512BF16__) || defined(__AVX512VNNI__)
/* The rows of a tile of pairs, one pointer for every ROWS_APART of them: the rows between lie at
 * one and two strides, which addressing adds for nothing, and the pointers stay in registers. */
enum { ROWS_APART = 3 };

typedef struct row_pointers {
    const uint16_t *at[(MANY_ROWS + ROWS_APART - 1) / ROWS_APART];
    int64_t stride;
} row_pointers;

static ALWAYS_INLINE void point_at_rows(row_pointers *p, const ace_block *b, const uint16_t *first,
                                        int rows)
{
    p->stride = b->x_row;
    UNROLL
    for (int r = 0; r < rows; r += ROWS_APART) {
        p->at[r / ROWS_APART] = first + r * b->x_row;
    }
}

static ALWAYS_INLINE int32_t pair_of_row(const row_pointers *p, int row)
{
    int32_t pair;
    memcpy(&pair, p->at[row / ROWS_APART] + row % ROWS_APART * p->stride, sizeof pair);
    return pair;
}

static ALWAYS_INLINE void next_pair(row_pointers *p, int rows)
{
    UNROLL
    for (int r = 0; r < rows; r += ROWS_APART) {
        p->at[r / ROWS_APART] += 2;
    }
}
#endif

#if defined(__AVX512BF16__)
/* Each lane of the sums takes x[k]·w[k] + x[k+1]·w[k+1]. */
static ALWAYS_INLINE void tile_bf16(const ace_block *b, const ahead *next, int64_t row, int panel,
                                    int rows, int panels)
{
    tile_sums sum;
    load_sums(sum, b, row, panel, rows, panels);
    for (int tap = 0; tap < b->taps; tap++) {
        const uint16_t *w = (const uint16_t *)b->w + panel * b->w_panel + tap * b->w_tap;
        const char *line = next->start + tap * next->tap;
        row_pointers x;
        point_at_rows(&x, b, (const uint16_t *)b->x + row * b->x_row + tap * b->x_tap, rows);
        for (int64_t k = 0; k < b->depth; k += 2, w += 2 * ACE_PANEL, line += next->step) {
            fetch(next, line, panels);
            __m512i weight[MAX_VECTORS];
            UNROLL
            for (int v = 0; v < panels; v++) {
                weight[v] = _mm512_loadu_si512(w + v * b->w_panel);
            }
            UNROLL
            for (int r = 0; r < rows; r++) {
                __m512i value = _mm512_set1_epi32(pair_of_row(&x, r));
                UNROLL
                for (int v = 0; v < panels; v++) {
                    sum[r][v] = _mm512_dpbf16_ps(sum[r][v], (__m512bh)weight[v], (__m512bh)value);
                }
            }
            next_pair(&x, rows);
        }
    }
    store_sums(sum, b, row, panel, rows, panels);
}
#endif

#if defined(__AVX512VNNI__)
/* Sums of 32 bits by their own type: as __m512i, which gcc takes for 64-bit lanes, every addition
 * gets two moves around it. */
typedef int32_t word_sums __attribute__((vector_size(64)));

/* Adds the integer sums of the group at depth k to the float sums. They pass through memory, which
 * is rare enough, so that the registers are free for the integers. */
static ALWAYS_INLINE void add_group(const ace_block *b, word_sums sum[MANY_ROWS][MAX_VECTORS],
                                    int64_t k, int64_t row, int panel, int rows, int panels)
{
    bool is_first = k == 0 && !b->resume;
    UNROLL
    for (int r = 0; r < rows; r++) {
        const float *scales = b->x_scales + (row + r) * b->x_scale_row;
        ace_vf scale = ace_vf_set(scales[k / ACE_SCALE_GROUP]);
        UNROLL
        for (int v = 0; v < panels; v++) {
            float *at = sum_at(b, row + r, panel, v);
            ace_vf before = is_first ? ace_vf_set(0.0f) : ace_vf_load(at);
            ace_vf_store(at, ace_vf_fma(_mm512_cvtepi32_ps((__m512i)sum[r][v]), scale, before));
        }
    }
}

/* int8 weights by int16 inputs, a single tap. Sums over a group are exact integers: below
 * ACE_SCALE_GROUP · 2^7 · 2^15 = 2^29. */
static ALWAYS_INLINE void tile_i16(const ace_block *b, const ahead *next, int64_t row, int panel,
                                   int rows, int panels)
{
    const int8_t *w = (const int8_t *)b->w + panel * b->w_panel;
    const char *line = next->start;
    row_pointers x;
    point_at_rows(&x, b, (const uint16_t *)b->x + row * b->x_row, rows);
    for (int64_t group = 0; group < b->depth; group += ACE_SCALE_GROUP) {
        word_sums sum[MANY_ROWS][MAX_VECTORS];
        UNROLL
        for (int r = 0; r < rows; r++) {
            UNROLL
            for (int v = 0; v < panels; v++) {
                sum[r][v] = (word_sums){0};
            }
        }
        int64_t left = b->depth - group < ACE_SCALE_GROUP ? b->depth - group : ACE_SCALE_GROUP;
        for (; left > 0; left -= 2, w += 2 * ACE_PANEL, line += next->step) {
            fetch(next, line, panels);
            __m512i weight[MAX_VECTORS];
            UNROLL
            for (int v = 0; v < panels; v++) {
                const __m256i *at = (const __m256i *)(const void *)(w + v * b->w_panel);
                weight[v] = _mm512_cvtepi8_epi16(_mm256_loadu_si256(at));
            }
            UNROLL
            for (int r = 0; r < rows; r++) {
                __m512i value = _mm512_set1_epi32(pair_of_row(&x, r));
                UNROLL
                for (int v = 0; v < panels; v++) {
                    __m512i before = (__m512i)sum[r][v];
                    sum[r][v] = (word_sums)_mm512_dpwssd_epi32(before, weight[v], value);
                }
            }
            next_pair(&x, rows);
        }
        add_group(b, sum, group, row, panel, rows, panels);
    }
}
#endif

/* Weights of depth k and k + 1, vector v of a panel, straight from the packed form. */
static ALWAYS_INLINE void load_packed(const ace_block *b, int64_t line, int v, ace_vf *first,
                                      ace_vf *second)
{
    if (b->w_type == ACE_BF16) {
        ace_vf_load_bf16_pairs((const uint16_t *)b->w + line + 2 * v * ACE_VF, first, second);
    } else {
        ace_vf_load_i8_pairs((const int8_t *)b->w + line + 2 * v * ACE_VF, first, second);
    }
}

/* For few rows: each weight is used so rarely that widening it in memory first would cost more than
 * the products. */
static ALWAYS_INLINE void tile_packed(const ace_block *b, const ahead *next, int64_t row, int panel,
                                      int rows, int panels)
{
    (void)next;
    tile_sums sum;
    load_sums(sum, b, row, panel, rows, panels);
    for (int tap = 0; tap < b->taps; tap++) {
        const float *x = (const float *)b->x + row * b->x_row + tap * b->x_tap;
        int64_t w = panel * b->w_panel + tap * b->w_tap;
        for (int64_t k = 0; k < b->depth; k += 2) {
            UNROLL
            for (int v = 0; v < panels * PANEL_VECTORS; v++) {
                int64_t line = w + v / PANEL_VECTORS * b->w_panel + k * ACE_PANEL;
                ace_vf first;
                ace_vf second;
                load_packed(b, line, v % PANEL_VECTORS, &first, &second);
                UNROLL
                for (int r = 0; r < rows; r++) {
                    const float *at = x + r * b->x_row + k;
                    sum[r][v] = ace_vf_fma(ace_vf_set(at[0]), first, sum[r][v]);
                    sum[r][v] = ace_vf_fma(ace_vf_set(at[1]), second, sum[r][v]);
                }
            }
        }
    }
    store_sums(sum, b, row, panel, rows, panels);
}

static ALWAYS_INLINE void tile_packed_bf16(const ace_block *b, const ahead *next, int64_t row,
                                           int panel, int rows, int panels)
{
    ace_block typed = *b;
    typed.w_type = ACE_BF16;
    tile_packed(&typed, next, row, panel, rows, panels);
}

static ALWAYS_INLINE void tile_packed_i8(const ace_block *b, const ahead *next, int64_t row,
                                         int panel, int rows, int panels)
{
    ace_block typed = *b;
    typed.w_type = ACE_I8;
    tile_packed(&typed, next, row, panel, rows, panels);
}

/* Tiles of any shape of the level. */
typedef void any_tile(const ace_block *, const ahead *, int64_t row, int panel, int64_t rows,
                      int panels);

#define CASE(rows, panels)                                                                         \
    case (panels)*16 + (rows):                                                                     \
        tile_f32(b, next, row, panel, rows, panels);                                               \
        break;
static void any_f32(const ace_block *b, const ahead *next, int64_t row, int panel, int64_t rows,
                    int panels)
{
    switch (panels * 16 + rows) {
        SHAPES(CASE)
    default:
        break;
    }
}
#undef CASE

#define CASE(rows, panels)                                                                         \
    case (panels)*16 + (rows):                                                                     \
        tile_packed_bf16(b, next, row, panel, rows, panels);                                       \
        break;
static void any_packed_bf16(const ace_block *b, const ahead *next, int64_t row, int panel,
                            int64_t rows, int panels)
{
    switch (panels * 16 + rows) {
        PACKED_SHAPES(CASE)
    default:
        break;
    }
}
#undef CASE

#define CASE(rows, panels)                                                                         \
    case (panels)*16 + (rows):                                                                     \
        tile_packed_i8(b, next, row, panel, rows, panels);                                         \
        break;
static void any_packed_i8(const ace_block *b, const ahead *next, int64_t row, int panel,
                          int64_t rows, int panels)
{
    switch (panels * 16 + rows) {
        PACKED_SHAPES(CASE)
    default:
        break;
    }
}
#undef CASE

#if defined(__AVX512BF16__)
#define CASE(rows, panels)                                                                         \
    case (panels)*16 + (rows):                                                                     \
        tile_bf16(b, next, row, panel, rows, panels);                                              \
        break;
static void any_bf16(const ace_block *b, const ahead *next, int64_t row, int panel, int64_t rows,
                     int panels)
{
    switch (panels * 16 + rows) {
        SHAPES(CASE)
    default:
        break;
    }
}
#undef CASE
#endif

#if defined(__AVX512VNNI__)
#define CASE(rows, panels)                                                                         \
    case (panels)*16 + (rows):                                                                     \
        tile_i16(b, next, row, panel, rows, panels);                                               \
        break;
static void any_i16(const ace_block *b, const ahead *next, int64_t row, int panel, int64_t rows,
                    int panels)
{
    switch (panels * 16 + rows) {
        SHAPES(CASE)
    default:
        break;
    }
}
#undef CASE
#endif

/* The share of the next panels' lines that tile `index` of `count` fetches. A loop over depth
 * passes `line` bytes of a panel at a time. */
static ahead plan_fetch(const ace_block *b, int64_t index, int64_t count, int64_t element_bytes,
                        int64_t line)
{
    ahead next = {.start = b->w, .tap = b->w_tap * element_bytes};
    if (b->next_w == NULL || count == 0) {
        return next;
    }
    if (count < b->panels) { /* few rows: the first tile fetches everything */
        if (index == 0) {
            next.start = b->next_w;
            next.step = line;
            next.panel = b->w_panel * element_bytes;
        }
        return next;
    }
    int64_t per_panel = count / b->panels; /* tiles that share one panel */
    int64_t panel = index / per_panel;
    if (panel < b->panels) {
        int64_t share = b->depth * ACE_PANEL * element_bytes / per_panel;
        next.start = (const char *)b->next_w + panel * b->w_panel * element_bytes +
                     index % per_panel * share;
        next.step = line / per_panel;
    }
    return next;
}

static ALWAYS_INLINE void multiply(const ace_block *b, any_tile *tile, int64_t element_bytes,
                                   int64_t line)
{
    int panels = 0;
    for (int panel = 0; panel < b->panels; panel += panels) {
        int left = b->panels - panel;
        int64_t step = MANY_ROWS;
        panels = left >= MANY_PANELS ? MANY_PANELS : 1;
        if (b->rows <= FEW_ROWS && left >= FEW_PANELS) {
            step = FEW_ROWS;
            panels = FEW_PANELS;
        }
        int64_t tiles = (b->rows + step - 1) / step;
        step = (b->rows + tiles - 1) / tiles; /* equal ones keep more sums under way */
        int64_t rows = 0;
        for (int64_t row = 0; row < b->rows; row += rows) {
            ahead next = plan_fetch(b, row / step, panel == 0 ? tiles : 0, element_bytes, line);
            rows = b->rows - row < step ? b->rows - row : step;
            tile(b, &next, row, panel, rows, panels);
        }
    }
}

static void multiply_f32(const ace_block *b)
{
    if (b->w_type == ACE_BF16) {
        multiply(b, any_packed_bf16, sizeof(uint16_t), LINE_BYTES);
    } else if (b->w_type == ACE_I8) {
        multiply(b, any_packed_i8, sizeof(int8_t), LINE_BYTES / 2);
    } else {
        multiply(b, any_f32, sizeof(float), LINE_BYTES);
    }
}

#if defined(__AVX512BF16__)
static void multiply_bf16(const ace_block *b)
{
    multiply(b, any_bf16, sizeof(uint16_t), LINE_BYTES);
}
#endif

#if defined(__AVX512VNNI__)
static void multiply_i16(const ace_block *b)
{
    multiply(b, any_i16, sizeof(int8_t), LINE_BYTES / 2);
}
#endif

#endif
