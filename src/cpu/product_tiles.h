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
#define WORD_SHAPES(X) ROWS_TO_12(X, 1) ROWS_TO_6(X, 2) ROWS_TO_3(X, 4)
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

/* With few rows weights come from memory and are used once: a panel's lines are brought to L1 a
 * little before their turn and, at its end, the first ones of the panel that comes next. Twice the
 * distance gains a third of it (docs/performance.md, attempt 31). left: bytes from w to the end of
 * the panel. */
enum { SOON_BYTES = 2048 };

static ALWAYS_INLINE void fetch_soon(const ahead *next, const void *w, int64_t left, int64_t tap,
                                     int panels)
{
    const char *line = left > SOON_BYTES ? (const char *)w + SOON_BYTES
                                         : next->start + tap * next->tap + (SOON_BYTES - left);
    UNROLL
    for (int v = 0; v < panels; v++) {
        __builtin_prefetch(line + v * next->panel, 0, 3);
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
/* The rows of a tile of pairs or fours, one pointer for every ROWS_APART of them: the rows between
 * lie at one and two strides, which addressing adds for nothing, and the pointers stay in
 * registers. */
enum { ROWS_APART = 3 };

typedef struct row_pointers {
    const char *at[(MANY_ROWS + ROWS_APART - 1) / ROWS_APART];
    int64_t stride; /* bytes */
} row_pointers;

static ALWAYS_INLINE void point_at_rows(row_pointers *p, const void *first, int64_t stride,
                                        int rows)
{
    p->stride = stride;
    UNROLL
    for (int r = 0; r < rows; r += ROWS_APART) {
        p->at[r / ROWS_APART] = (const char *)first + r * stride;
    }
}

/* Four bytes of the row in every lane: a pair of bf16 or four int8. */
static ALWAYS_INLINE __m512i spread_4_bytes(const row_pointers *p, int row)
{
    int32_t bytes;
    memcpy(&bytes, p->at[row / ROWS_APART] + row % ROWS_APART * p->stride, sizeof bytes);
    return _mm512_set1_epi32(bytes);
}

static ALWAYS_INLINE __m512i spread_8_bytes(const row_pointers *p, int row)
{
    int64_t bytes;
    memcpy(&bytes, p->at[row / ROWS_APART] + row % ROWS_APART * p->stride, sizeof bytes);
    return _mm512_set1_epi64(bytes);
}

static ALWAYS_INLINE void advance_rows(row_pointers *p, int bytes, int rows)
{
    UNROLL
    for (int r = 0; r < rows; r += ROWS_APART) {
        p->at[r / ROWS_APART] += bytes;
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
        point_at_rows(&x, (const uint16_t *)b->x + row * b->x_row + tap * b->x_tap, b->x_row * 2,
                      rows);
        for (int64_t k = 0; k < b->depth; k += 2, w += 2 * ACE_PANEL, line += next->step) {
            if (panels == FEW_PANELS) {
                fetch_soon(next, w, (b->depth - k) * ACE_PANEL * 2, tap, panels);
            } else {
                fetch(next, line, panels);
            }
            __m512i weight[MAX_VECTORS];
            UNROLL
            for (int v = 0; v < panels; v++) {
                weight[v] = _mm512_loadu_si512(w + v * b->w_panel);
            }
            UNROLL
            for (int r = 0; r < rows; r++) {
                __m512i value = spread_4_bytes(&x, r);
                UNROLL
                for (int v = 0; v < panels; v++) {
                    sum[r][v] = _mm512_dpbf16_ps(sum[r][v], (__m512bh)weight[v], (__m512bh)value);
                }
            }
            advance_rows(&x, 4, rows);
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
static ALWAYS_INLINE void add_group(const ace_block *b, word_sums sum, int64_t k, int64_t row,
                                    int panel)
{
    float *at = sum_at(b, row, panel, 0);
    ace_vf scale = ace_vf_set(b->x_scales[row * b->x_scale_row + k / ACE_SCALE_GROUP].scale);
    ace_vf before = k == 0 && !b->resume ? ace_vf_set(0.0f) : ace_vf_load(at);
    ace_vf_store(at, ace_vf_fma(_mm512_cvtepi32_ps((__m512i)sum), scale, before));
}

/* Each lane has half of a result: the sums of columns 0 … 7 and of 8 … 15, added in pairs. */
static ALWAYS_INLINE word_sums join_halves(word_sums low, word_sums high)
{
    const __m512i even =
        _mm512_setr_epi32(0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30);
    const __m512i odd = _mm512_add_epi32(even, _mm512_set1_epi32(1));
    return (word_sums)_mm512_permutex2var_epi32((__m512i)low, even, (__m512i)high) +
           (word_sums)_mm512_permutex2var_epi32((__m512i)low, odd, (__m512i)high);
}

static ALWAYS_INLINE int64_t group_end(const ace_block *b, int64_t group)
{
    return b->depth - group < ACE_SCALE_GROUP ? b->depth : group + ACE_SCALE_GROUP;
}

/* int8 weights by int16 inputs, a single tap. Sums over a group are exact integers: below
 * ACE_SCALE_GROUP · 2^7 · 2^15 = 2^30. */
static ALWAYS_INLINE void tile_i16(const ace_block *b, const ahead *next, int64_t row, int panel,
                                   int rows, int panels)
{
    const int8_t *w = (const int8_t *)b->w + panel * b->w_panel;
    const char *line = next->start;
    row_pointers x;
    point_at_rows(&x, (const int16_t *)b->x + row * b->x_row, b->x_row * 2, rows);
    for (int64_t group = 0; group < b->depth; group += ACE_SCALE_GROUP) {
        word_sums sum[MANY_ROWS][2 * FEW_PANELS];
        UNROLL
        for (int r = 0; r < rows; r++) {
            UNROLL
            for (int v = 0; v < 2 * panels; v++) {
                sum[r][v] = (word_sums){0};
            }
        }
        int64_t end = group_end(b, group);
        for (int64_t k = group; k < end; k += 4, w += 4 * ACE_PANEL, line += next->step) {
            if (panels == FEW_PANELS) {
                fetch_soon(next, w, (b->depth - k) * ACE_PANEL, 0, panels);
            } else {
                fetch(next, line, panels);
            }
            __m512i weight[2 * FEW_PANELS];
            UNROLL
            for (int v = 0; v < 2 * panels; v++) {
                const int8_t *at = w + v / 2 * b->w_panel + v % 2 * (2 * ACE_PANEL);
                weight[v] =
                    _mm512_cvtepi8_epi16(_mm256_loadu_si256((const __m256i *)(const void *)at));
            }
            UNROLL
            for (int r = 0; r < rows; r++) {
                __m512i value = spread_8_bytes(&x, r);
                UNROLL
                for (int v = 0; v < 2 * panels; v++) {
                    __m512i before = (__m512i)sum[r][v];
                    sum[r][v] = (word_sums)_mm512_dpwssd_epi32(before, weight[v], value);
                }
            }
            advance_rows(&x, 8, rows);
        }
        UNROLL
        for (int r = 0; r < rows; r++) {
            UNROLL
            for (int v = 0; v < panels; v++) {
                word_sums both = join_halves(sum[r][2 * v], sum[r][2 * v + 1]);
                add_group(b, both, group, row + r, panel + v);
            }
        }
    }
}

/* int8 weights by int8 inputs, a single tap. The unit takes unsigned by signed: weights get 128
 * added on the way, and each sum starts from what that adds too much. */
static ALWAYS_INLINE void tile_i8(const ace_block *b, const ahead *next, int64_t row, int panel,
                                  int rows, int panels)
{
    const __m512i offset = _mm512_set1_epi8(-128);
    const int8_t *w = (const int8_t *)b->w + panel * b->w_panel;
    const char *line = next->start;
    row_pointers x;
    point_at_rows(&x, (const int8_t *)b->x + row * b->x_row, b->x_row, rows);
    for (int64_t group = 0; group < b->depth; group += ACE_SCALE_GROUP) {
        word_sums sum[MANY_ROWS][FEW_PANELS];
        UNROLL
        for (int r = 0; r < rows; r++) {
            const ace_scale *scales = b->x_scales + (row + r) * b->x_scale_row;
            __m512i start = _mm512_set1_epi32(scales[group / ACE_SCALE_GROUP].start);
            UNROLL
            for (int v = 0; v < panels; v++) {
                sum[r][v] = (word_sums)start;
            }
        }
        int64_t end = group_end(b, group);
        for (int64_t k = group; k < end; k += 4, w += 4 * ACE_PANEL, line += next->step) {
            fetch(next, line, panels);
            __m512i weight[FEW_PANELS];
            UNROLL
            for (int v = 0; v < panels; v++) {
                weight[v] = _mm512_xor_si512(_mm512_loadu_si512(w + v * b->w_panel), offset);
            }
            UNROLL
            for (int r = 0; r < rows; r++) {
                __m512i value = spread_4_bytes(&x, r);
                UNROLL
                for (int v = 0; v < panels; v++) {
                    __m512i before = (__m512i)sum[r][v];
                    sum[r][v] = (word_sums)_mm512_dpbusd_epi32(before, weight[v], value);
                }
            }
            advance_rows(&x, 4, rows);
        }
        UNROLL
        for (int r = 0; r < rows; r++) {
            UNROLL
            for (int v = 0; v < panels; v++) {
                add_group(b, sum[r][v], group, row + r, panel + v);
            }
        }
    }
}
#endif

/* Weights of depth k and on, vector v of a panel, straight from the packed form: as many as lie
 * together. */
static ALWAYS_INLINE void load_packed(const ace_block *b, int64_t line, int v, ace_vf *together)
{
    if (b->w_type == ACE_BF16) {
        ace_vf_load_bf16_pairs((const uint16_t *)b->w + line + 2 * v * ACE_VF, &together[0],
                               &together[1]);
    } else {
        ace_vf_load_i8_fours((const int8_t *)b->w + line + 4 * v * ACE_VF, together);
    }
}

/* For few rows: each weight is used so rarely that widening it in memory first would cost more than
 * the products. */
static ALWAYS_INLINE void tile_packed(const ace_block *b, const ahead *next, int64_t row, int panel,
                                      int rows, int panels)
{
    (void)next;
    const int n = ace_packed_together(b->w_type);
    tile_sums sum;
    load_sums(sum, b, row, panel, rows, panels);
    for (int tap = 0; tap < b->taps; tap++) {
        const float *x = (const float *)b->x + row * b->x_row + tap * b->x_tap;
        int64_t w = panel * b->w_panel + tap * b->w_tap;
        for (int64_t k = 0; k < b->depth; k += n) {
            UNROLL
            for (int v = 0; v < panels * PANEL_VECTORS; v++) {
                int64_t line = w + v / PANEL_VECTORS * b->w_panel + k * ACE_PANEL;
                ace_vf weight[4];
                load_packed(b, line, v % PANEL_VECTORS, weight);
                UNROLL
                for (int r = 0; r < rows; r++) {
                    const float *at = x + r * b->x_row + k;
                    UNROLL
                    for (int i = 0; i < n; i++) {
                        sum[r][v] = ace_vf_fma(ace_vf_set(at[i]), weight[i], sum[r][v]);
                    }
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
        WORD_SHAPES(CASE)
    default:
        break;
    }
}
#undef CASE

#define CASE(rows, panels)                                                                         \
    case (panels)*16 + (rows):                                                                     \
        tile_i8(b, next, row, panel, rows, panels);                                                \
        break;
static void any_i8(const ace_block *b, const ahead *next, int64_t row, int panel, int64_t rows,
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

/* The share of the next panels' lines that tile `index` of `count` in a column of tiles fetches. A
 * loop over depth passes `line` bytes of a panel at a time. */
static ahead plan_fetch(const ace_block *b, int panel, int64_t index, int64_t count,
                        int64_t element_bytes, int64_t line)
{
    ahead next = {.start = b->w, .tap = b->w_tap * element_bytes};
    if (count < b->panels) { /* few rows: the first tile of a column fetches its successors */
        if (index == 0) {
            const void *start = b->next_w != NULL ? b->next_w : b->w; /* or what is there already */
            next.start = (const char *)start + panel * b->w_panel * element_bytes;
            next.step = b->next_w != NULL ? line : 0;
            next.panel = b->w_panel * element_bytes;
        }
        return next;
    }
    if (b->next_w == NULL) {
        return next;
    }
    int64_t per_panel = count / b->panels; /* tiles that share one panel */
    int64_t at = index / per_panel;
    if (panel == 0 && at < b->panels) {
        int64_t share = b->depth * ACE_PANEL * element_bytes / per_panel;
        next.start =
            (const char *)b->next_w + at * b->w_panel * element_bytes + index % per_panel * share;
        next.step = line / per_panel;
    }
    return next;
}

/* Rows and panels of a tile. */
typedef struct tile_shape {
    int rows, panels;
} tile_shape;

typedef tile_shape choose_shape(int64_t rows, int panels_left);

static tile_shape plain_shape(int64_t rows, int left)
{
    if (rows <= FEW_ROWS && left >= FEW_PANELS) {
        return (tile_shape){FEW_ROWS, FEW_PANELS};
    }
    return (tile_shape){MANY_ROWS, left >= MANY_PANELS ? MANY_PANELS : 1};
}

static ALWAYS_INLINE void multiply(const ace_block *b, choose_shape *choose, any_tile *tile,
                                   int64_t element_bytes, int64_t line)
{
    int panels = 0;
    for (int panel = 0; panel < b->panels; panel += panels) {
        tile_shape shape = choose(b->rows, b->panels - panel);
        int64_t tiles = (b->rows + shape.rows - 1) / shape.rows;
        int64_t step = (b->rows + tiles - 1) / tiles; /* equal ones keep more sums under way */
        int64_t rows = 0;
        panels = shape.panels;
        for (int64_t row = 0; row < b->rows; row += rows) {
            ahead next = plan_fetch(b, panel, row / step, tiles, element_bytes, line);
            rows = b->rows - row < step ? b->rows - row : step;
            tile(b, &next, row, panel, rows, panels);
        }
    }
}

static void multiply_f32(const ace_block *b)
{
    if (b->w_type == ACE_BF16) {
        multiply(b, plain_shape, any_packed_bf16, sizeof(uint16_t), LINE_BYTES);
    } else if (b->w_type == ACE_I8) {
        multiply(b, plain_shape, any_packed_i8, sizeof(int8_t), LINE_BYTES);
    } else {
        multiply(b, plain_shape, any_f32, sizeof(float), LINE_BYTES);
    }
}

#if defined(__AVX512BF16__)
static void multiply_bf16(const ace_block *b)
{
    multiply(b, plain_shape, any_bf16, sizeof(uint16_t), LINE_BYTES);
}
#endif

#if defined(__AVX512VNNI__)
/* Two registers of sums for a row of a panel. */
static tile_shape word_shape(int64_t rows, int left)
{
    if (rows <= FEW_ROWS / 2 && left >= FEW_PANELS) {
        return (tile_shape){FEW_ROWS / 2, FEW_PANELS};
    }
    return rows <= MANY_ROWS / 2 && left >= MANY_PANELS ? (tile_shape){MANY_ROWS / 2, MANY_PANELS}
                                                        : (tile_shape){MANY_ROWS, 1};
}

static void multiply_i16(const ace_block *b)
{
    multiply(b, word_shape, any_i16, sizeof(int8_t), LINE_BYTES);
}

static void multiply_i8(const ace_block *b)
{
    multiply(b, plain_shape, any_i8, sizeof(int8_t), LINE_BYTES);
}
#endif

#endif
