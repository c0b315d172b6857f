#include "cpu/product.h"

#include "base/checked.h"
#include "cpu/product_kernels.h"

#include <string.h>

/* Sizes that keep a block's inputs in L2 and the panels in use next to them (1 MiB of L2; all are
 * measured, none is critical). */
enum {
    DEPTH_BYTES = 4096,        /* of a tile row, over all taps */
    TILE_BYTES = 256 << 10,    /* of a tile */
    I8_TILE_BYTES = 192 << 10, /* fewer rows and more panels: each task makes its integers anew */
    SUMS_BYTES = 512 << 10,    /* of sums kept across blocks of depth */
    MAX_TILE_ROWS = 1536,      /* results per task; long convolutions want few halos */
    CHUNK_ROWS = 48,           /* rows multiplied before their epilogue */
    MIN_DEPTH = 64,
    DEPTH_UNIT = 4, /* what lies together in a panel of any type */
    MAX_GROUP = 64, /* panels per task */
    MIN_TASKS = 16, /* enough for threads that do not run at equal speed … */
    TASKS_PER_THREAD = 4,
    WIDE_STEP = 4,
    STEP = 2,
    RESIDENT_BYTES = 512 << 10, /* weights of a task that stay in L2 */
    LINE_BYTES = 64
};

/* How a product is cut. A task is `rows` results by `group` panels. What rounding depends on (rows,
 * depth) comes from the shapes alone; only the number of panels looks at the threads.
 */
typedef struct blocking {
    ace_tile_type tile_type;
    bool widens;  /* panels are converted before use */
    bool gathers; /* a tile row per result and tap, where dilation leaves holes between taps */
    int64_t rows, group; /* of one task */
    int64_t row_tasks, group_tasks;
    int64_t depth;      /* of one block, even */
    int64_t row_stride; /* of the tile, elements */
    int step;           /* panels per kernel call */
    int64_t sums_rows;  /* rows whose sums are kept at once */
    size_t tile_bytes, sums_bytes, wide_bytes;
    size_t scales_at;  /* of an integer tile: their place behind the numbers */
    int64_t scale_row; /* per row */
} blocking;

typedef struct run {
    const ace_cpu *cpu;
    const ace_product *product;
    const ace_product_kernels *kernels;
    blocking cut;
} run;

static int64_t min64(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

static int64_t max64(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

static int64_t div_up(int64_t a, int64_t b)
{
    return (a + b - 1) / b;
}

/* ---- packed matrices ------------------------------------------------------------------------- */

static int64_t panels_of(const ace_matrix_shape *s)
{
    return s->swiglu ? 2 * div_up(s->rows / 2, ACE_PANEL) : div_up(s->rows, ACE_PANEL);
}

/* Even for f32 too, whose tiles may hold pairs. */
static int64_t depth_of(const ace_matrix_shape *s)
{
    int64_t unit = max64(ace_packed_together(s->dtype), 2);
    return div_up(s->cols, unit) * unit;
}

size_t ace_packed_bytes(const ace_matrix_shape *s)
{
    size_t bytes = 0;
    size_t columns = (size_t)panels_of(s) * ACE_PANEL;
    size_t line = (size_t)depth_of(s) * ace_dtype_bytes(s->dtype);
    if (ace_mul_overflows(line, (size_t)s->taps, &bytes) ||
        ace_mul_overflows(bytes, columns, &bytes)) {
        return SIZE_MAX;
    }
    if (s->dtype == ACE_I8 &&
        ace_add_overflows(ace_align_up(bytes, LINE_BYTES), columns * sizeof(float), &bytes)) {
        return SIZE_MAX;
    }
    return bytes;
}

ace_packed ace_packed_of(const ace_matrix *w)
{
    const ace_matrix_shape *s = &w->shape;
    ace_packed p = {
        .dtype = s->dtype,
        .panels = panels_of(s),
        .depth = depth_of(s),
        .taps = s->taps,
        .weights = (unsigned char *)(uintptr_t)w->addr,
    };
    if (s->dtype == ACE_I8) {
        size_t weights = ace_align_up(ace_packed_offset(&p, p.panels, 0, 0), LINE_BYTES);
        p.scales = (float *)(void *)(p.weights + weights);
    }
    return p;
}

/* ---- blocking -------------------------------------------------------------------------------- */

/* Products that the processor has units for, beside those of f32. */
typedef struct product_units {
    bool bf16, integers;
} product_units;

static ace_tile_type choose_tile_type(const ace_product *p, product_units units)
{
    if (p->w.dtype == ACE_BF16) {
        return units.bf16 ? ACE_TILE_BF16 : ACE_TILE_F32_ROUNDED;
    }
    if (p->w.dtype == ACE_F32 || p->x.dtype == ACE_F32) {
        return ACE_TILE_F32;
    }
    if (units.integers && p->w.taps == 1 && p->snake_alpha.addr == 0) {
        return p->int8_inputs ? ACE_TILE_I8 : ACE_TILE_I16;
    }
    /* int8 weights are exact in bf16, and so is what bf16 inputs lose. Sums are not, so that few
     * rows, as many as are decoded at once, stay with f32, in which they are as fast. */
    return units.bf16 && p->y.rows > ACE_EQUAL_ROWS ? ACE_TILE_BF16 : ACE_TILE_F32;
}

static size_t element_bytes(const blocking *cut)
{
    switch (cut->tile_type) {
    case ACE_TILE_I8:
        return 1;
    case ACE_TILE_I16:
    case ACE_TILE_BF16:
        return 2;
    default:
        return 4;
    }
}

static bool is_integer(ace_tile_type type)
{
    return type == ACE_TILE_I8 || type == ACE_TILE_I16;
}

static int64_t tile_rows(const blocking *cut, const ace_product *p)
{
    if (cut->gathers) {
        return cut->rows * p->w.taps;
    }
    return (cut->rows - 1) * p->stride + (p->w.taps - 1) * p->dilation + 1;
}

/* A row stride of an odd number of cache lines spreads the rows of a register tile over the sets of
 * L1; the extra line also takes the vectors that run past the last column. */
static void measure_blocks(blocking *cut, const ace_product *p)
{
    int64_t per_line = LINE_BYTES / (int64_t)element_bytes(cut);
    int64_t lines = div_up(cut->depth, per_line);
    cut->row_stride = (lines + 1 + lines % 2) * per_line;
    cut->gathers = false;
    cut->gathers = tile_rows(cut, p) > cut->rows * p->w.taps;
    cut->tile_bytes = (size_t)(tile_rows(cut, p) * cut->row_stride) * element_bytes(cut);
    if (is_integer(cut->tile_type)) {
        cut->scales_at = ace_align_up(cut->tile_bytes, LINE_BYTES);
        cut->scale_row = div_up(cut->depth, ACE_SCALE_GROUP);
        cut->tile_bytes =
            cut->scales_at + (size_t)(tile_rows(cut, p) * cut->scale_row) * sizeof(ace_scale);
    }
    cut->wide_bytes = 0;
    if (cut->widens) {
        int64_t numbers = cut->step * p->w.taps * cut->depth * ACE_PANEL;
        cut->wide_bytes = (size_t)numbers * element_bytes(cut);
    }
    bool is_whole = cut->depth == p->w.depth;
    cut->sums_rows = is_whole ? min64(cut->rows, CHUNK_ROWS) : cut->rows;
    int64_t panels = is_whole ? cut->step : cut->group;
    cut->sums_bytes = (size_t)(panels * cut->sums_rows * ACE_PANEL) * sizeof(float);
}

static size_t scratch_bytes(const blocking *cut)
{
    return ace_align_up(cut->tile_bytes, LINE_BYTES) + cut->wide_bytes + cut->sums_bytes;
}

/* Depth of a block: the whole one, or equal parts of about DEPTH_BYTES per row. */
static int64_t choose_depth(const blocking *cut, const ace_product *p)
{
    int64_t bytes = cut->tile_type == ACE_TILE_I8 ? 2 * DEPTH_BYTES : DEPTH_BYTES;
    int64_t budget = bytes / (int64_t)element_bytes(cut) / p->w.taps;
    budget = max64(budget, MIN_DEPTH);
    if (p->w.depth <= budget) {
        return p->w.depth;
    }
    int64_t blocks = div_up(p->w.depth, budget);
    int64_t unit = is_integer(cut->tile_type) ? ACE_SCALE_GROUP : MIN_DEPTH / 2;
    return div_up(div_up(p->w.depth, blocks), unit) * unit;
}

static int64_t choose_rows(const blocking *cut, const ace_product *p)
{
    int64_t row_bytes = cut->depth * (int64_t)element_bytes(cut) * p->stride;
    int64_t halo = max64(0, (p->w.taps - 1) * p->dilation + 1 - p->stride);
    int64_t bytes = cut->tile_type == ACE_TILE_I8 ? I8_TILE_BYTES : TILE_BYTES;
    int64_t rows = bytes / row_bytes - halo / p->stride;
    rows = max64(min64(rows, MAX_TILE_ROWS), 8 * ACE_TILE_STEP);
    int64_t tiles = div_up(p->y.rows, rows);
    return div_up(div_up(p->y.rows, tiles), ACE_TILE_STEP) * ACE_TILE_STEP;
}

static int64_t choose_group(const blocking *cut, const ace_product *p, int threads)
{
    int64_t group = cut->tile_type == ACE_TILE_I8 ? 2 * MAX_GROUP : MAX_GROUP;
    if (cut->depth < p->w.depth) {
        int64_t panel_bytes = cut->rows * ACE_PANEL * (int64_t)sizeof(float);
        group = min64(group, max64(SUMS_BYTES / panel_bytes, cut->step));
    }
    int64_t tasks = max64(MIN_TASKS, (int64_t)TASKS_PER_THREAD * threads);
    int64_t wanted = max64(div_up(p->w.panels, group), div_up(tasks, cut->row_tasks));
    group = div_up(p->w.panels, wanted);
    return div_up(group, cut->step) * cut->step;
}

/* All panels of a task at once where their weights stay in L2 anyway: rows of y are then written
 * whole, which matters for convolutions with few channels. With few rows the weights are not used
 * again, and one step fetches those of the next. */
static int choose_step(const blocking *cut, const ace_product *p)
{
    size_t bytes = ace_packed_offset(&p->w, cut->group, 0, 0);
    bool fits = p->y.rows > ACE_EQUAL_ROWS && cut->group <= ACE_MAX_STEP && bytes <= RESIDENT_BYTES;
    return fits && cut->depth == p->w.depth && !cut->widens ? (int)cut->group : cut->step;
}

static blocking choose_blocking(const ace_product *p, const ace_product_kernels *kernels,
                                const ace_cpu *cpu)
{
    product_units units = {.bf16 = cpu->has_bf16 && kernels->multiply_bf16 != NULL,
                           .integers = cpu->has_vnni && kernels->multiply_i16 != NULL};
    blocking cut = {.tile_type = choose_tile_type(p, units)};
    cut.widens = !is_integer(cut.tile_type) &&
                 p->w.dtype != (cut.tile_type == ACE_TILE_BF16 ? ACE_BF16 : ACE_F32) &&
                 p->y.rows > ACE_FEW_ROWS;
    cut.step = p->y.rows <= ACE_FEW_ROWS ? WIDE_STEP : STEP;
    cut.depth = choose_depth(&cut, p);
    cut.rows = min64(choose_rows(&cut, p), p->y.rows);
    for (;;) {
        cut.row_tasks = div_up(p->y.rows, cut.rows);
        cut.group = choose_group(&cut, p, ace_pool_threads(cpu->pool));
        cut.step = choose_step(&cut, p);
        measure_blocks(&cut, p);
        /* Unusual shapes (many taps, wide strides) may not fit at first. */
        if (scratch_bytes(&cut) <= ACE_CPU_SCRATCH_BYTES) {
            break;
        }
        if (cut.rows > ACE_TILE_STEP || cut.depth <= DEPTH_UNIT) {
            cut.rows = max64(cut.rows / 2, 1);
        } else {
            cut.depth = max64(cut.depth / (2 * DEPTH_UNIT) * DEPTH_UNIT, DEPTH_UNIT);
        }
    }
    cut.group_tasks = div_up(p->w.panels, cut.group);
    return cut;
}

/* ---- a task ---------------------------------------------------------------------------------- */

typedef struct task_range {
    int64_t first_row, rows;
    int64_t first_panel, end_panel;
    int64_t k, depth; /* of the current block */
    unsigned char *tile, *wide;
    float *sums;
} task_range;

static void fill_tile(const run *r, const task_range *t)
{
    const ace_product *p = r->product;
    ace_tile tile = {.data = t->tile,
                     .type = r->cut.tile_type,
                     .row_stride = r->cut.row_stride,
                     .first_col = t->k,
                     .cols = t->depth,
                     .scales = (ace_scale *)(void *)(t->tile + r->cut.scales_at),
                     .scale_row = r->cut.scale_row};
    int64_t x_row = t->first_row * p->stride - p->pad;
    if (!r->cut.gathers) {
        int64_t count = (t->rows - 1) * p->stride + (p->w.taps - 1) * p->dilation + 1;
        r->kernels->fill(p, &tile, 0, x_row, count);
        return;
    }
    for (int tap = 0; tap < p->w.taps; tap++) {
        for (int64_t i = 0; i < t->rows; i++) {
            r->kernels->fill(p, &tile, tap * r->cut.rows + i,
                             x_row + i * p->stride + tap * p->dilation, 1);
        }
    }
}

/* Converts `panels` panels' part of the block into t->wide, [panel][tap][depth][16]. */
static void widen(const run *r, const task_range *t, int64_t panel, int panels)
{
    const ace_packed *w = &r->product->w;
    int64_t n = t->depth * ACE_PANEL;
    for (int i = 0; i < panels * w->taps; i++) {
        const void *from =
            w->weights + ace_packed_offset(w, panel + i / w->taps, i % w->taps, t->k);
        void *to = t->wide + (size_t)(i * n) * element_bytes(&r->cut);
        if (w->dtype == ACE_BF16) {
            r->kernels->widen_bf16_to_f32(to, from, n);
        } else if (r->cut.tile_type == ACE_TILE_BF16) {
            r->kernels->widen_i8_to_bf16(to, from, n);
        } else {
            r->kernels->widen_i8_to_f32(to, from, n);
        }
    }
}

/* The product of the whole block with `panels` panels; rows and sums are still the task's. */
static ace_block plan_block(const run *r, const task_range *t, int64_t panel, int panels)
{
    const ace_packed *w = &r->product->w;
    const blocking *cut = &r->cut;
    ace_block block = {
        .x = t->tile,
        .x_scales = (const ace_scale *)(const void *)(t->tile + cut->scales_at),
        .x_scale_row = (cut->gathers ? 1 : r->product->stride) * cut->scale_row,
        .x_row = (cut->gathers ? 1 : r->product->stride) * cut->row_stride,
        .x_tap = (cut->gathers ? cut->rows : r->product->dilation) * cut->row_stride,
        .w = w->weights + ace_packed_offset(w, panel, 0, t->k),
        .w_panel = w->taps * w->depth * ACE_PANEL,
        .w_tap = w->depth * ACE_PANEL,
        .w_type = cut->widens ? ACE_F32 : w->dtype, /* for multiply_f32 */
        .taps = w->taps,
        .depth = t->depth,
        .sums = t->sums,
        .sums_panel = cut->sums_rows * ACE_PANEL,
        .rows = t->rows,
        .panels = panels,
        .resume = t->k > 0,
    };
    if (cut->widens) {
        block.w = t->wide;
        block.w_tap = t->depth * ACE_PANEL;
        block.w_panel = w->taps * block.w_tap;
    } else if (panel + panels < t->end_panel) {
        block.next_w = w->weights + ace_packed_offset(w, panel + panels, 0, t->k);
    }
    return block;
}

static void multiply(const run *r, const ace_block *block)
{
    switch (r->cut.tile_type) {
    case ACE_TILE_BF16:
        r->kernels->multiply_bf16(block);
        break;
    case ACE_TILE_I16:
        r->kernels->multiply_i16(block);
        break;
    case ACE_TILE_I8:
        r->kernels->multiply_i8(block);
        break;
    default:
        r->kernels->multiply_f32(block);
        break;
    }
}

/* One step: all rows by a few panels. In the last block of depth rows go in chunks, whose sums are
 * still in L1 when the epilogue reads them. */
static void run_step(const run *r, const task_range *t, int64_t panel)
{
    const ace_product *p = r->product;
    const blocking *cut = &r->cut;
    int panels = (int)min64(cut->step, t->end_panel - panel);
    ace_block block = plan_block(r, t, panel, panels);
    if (cut->widens) {
        widen(r, t, panel, panels);
    }
    bool is_kept = cut->depth < p->w.depth;
    bool is_last = t->k + t->depth == p->w.depth;
    const unsigned char *x = block.x;
    const ace_scale *scales = block.x_scales;
    float *sums = t->sums + (is_kept ? (panel - t->first_panel) * block.sums_panel : 0);
    int64_t chunk = is_last ? CHUNK_ROWS : t->rows;
    for (int64_t row = 0; row < t->rows; row += chunk) {
        block.x = x + (size_t)(row * block.x_row) * element_bytes(cut);
        block.x_scales = scales + row * block.x_scale_row;
        block.sums = sums + (is_kept ? row * ACE_PANEL : 0);
        block.rows = min64(chunk, t->rows - row);
        multiply(r, &block);
        block.next_w = NULL; /* fetched by now */
        if (is_last) {
            ace_finish f = {.sums = block.sums,
                            .sums_panel = block.sums_panel,
                            .first_row = t->first_row + row,
                            .rows = block.rows,
                            .first_panel = panel,
                            .panels = panels};
            r->kernels->finish(p, &f);
        }
    }
}

static void run_task(void *context, int64_t task, int thread)
{
    const run *r = context;
    const ace_product *p = r->product;
    const blocking *cut = &r->cut;
    /* Neighbouring tasks share their panels. */
    int64_t first_row = task % cut->row_tasks * cut->rows;
    int64_t first_panel = task / cut->row_tasks * cut->group;
    unsigned char *scratch = ace_cpu_scratch(r->cpu, thread);
    unsigned char *wide = scratch + ace_align_up(cut->tile_bytes, LINE_BYTES);
    task_range t = {
        .first_row = first_row,
        .rows = min64(cut->rows, p->y.rows - first_row),
        .first_panel = first_panel,
        .end_panel = min64(first_panel + cut->group, p->w.panels),
        .tile = scratch,
        .wide = wide,
        .sums = (float *)(void *)(wide + cut->wide_bytes),
    };
    for (t.k = 0; t.k < p->w.depth; t.k += cut->depth) {
        t.depth = min64(cut->depth, p->w.depth - t.k);
        fill_tile(r, &t);
        for (int64_t panel = first_panel; panel < t.end_panel; panel += cut->step) {
            run_step(r, &t, panel);
        }
    }
}

static const ace_product_kernels *kernels_of(ace_cpu_level level)
{
    switch (level) {
    case ACE_CPU_AVX512:
        return &ace_product_kernels_avx512;
    case ACE_CPU_AVX2:
        return &ace_product_kernels_avx2;
    case ACE_CPU_GENERIC:
        break;
    }
    return &ace_product_kernels_generic;
}

void ace_product_run(const ace_cpu *cpu, const ace_product *product)
{
    run r = {.cpu = cpu, .product = product, .kernels = kernels_of(cpu->level)};
    r.cut = choose_blocking(product, r.kernels, cpu);
    ace_pool_run(cpu->pool, r.cut.row_tasks * r.cut.group_tasks, run_task, &r);
}
