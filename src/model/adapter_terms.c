#include "model/adapter_terms.h"

#include "base/memory.h"
#include "weights/adapter_numbers.h"

#include <math.h>
#include <stdio.h>

/* Rows of a dense matrix that are computed together. */
enum { BLOCK_ROWS = 16 };

static ace_matrix pack(ace_stream *s, ace_matrix_shape shape, const ace_adapter_term *t,
                       ace_fill_values *fill, const void *context)
{
    char name[400];
    (void)snprintf(name, sizeof name, "%.250s: %.140s", t->adapter->path,
                   ace_adapter_first_tensor(t->module)->name);
    shape.taps = 1;
    shape.dtype = s->activation == ACE_F32 ? ACE_F32 : ACE_BF16;
    return ace_matrix_new_filled(s, &shape, name, fill, context);
}

static float stretch_of(const ace_adapter_term *t, int64_t row)
{
    return t->stretch != NULL ? t->stretch[row] : 1;
}

/* ---- low rank -------------------------------------------------------------------------------- */

/* Ranks that the term takes in the low-rank addition; 0: it is none. */
static int64_t rank_of(const ace_adapter_module *m)
{
    if (m->kind == ACE_ADAPTER_LOKR) {
        return 0;
    }
    int64_t rank = ace_adapter_rank(&m->factor[0]);
    if (m->kind == ACE_ADAPTER_LOHA) {
        int64_t second = ace_adapter_rank(&m->factor[1]);
        /* both are at most rows + cols, below 2^31 */
        rank *= second;
        rank = rank < m->rows && rank < m->cols && rank * (m->rows + m->cols) < m->rows * m->cols
                   ? rank
                   : 0;
    }
    return rank;
}

typedef struct term_list {
    const ace_adapter_term *terms;
    int n;
} term_list;

/* A: of a LoHa (W1a·W1b) ⊙ (W2a·W2b), rows of W1b times rows of W2b. */
static void fill_down(const void *context, int64_t ranks, int64_t in, float *to)
{
    const term_list *list = context;
    (void)ranks;
    for (int i = 0; i < list->n; i++) {
        const ace_adapter_module *m = list->terms[i].module;
        int64_t rank = rank_of(m);
        int64_t second = m->kind == ACE_ADAPTER_LOHA ? ace_adapter_rank(&m->factor[1]) : 1;
        for (int64_t r = 0; r < rank; r++, to += in) {
            ace_adapter_tensor_row(m->factor[0].b, r / second, to);
            if (m->kind == ACE_ADAPTER_LOHA) {
                ace_adapter_tensor_row_times(m->factor[1].b, r % second, to);
            }
        }
    }
}

/* A row of B, without its scale. */
static void read_up(const ace_adapter_module *m, int64_t row, int64_t rank, float *to)
{
    if (m->kind == ACE_ADAPTER_LORA) {
        ace_adapter_tensor_row(m->factor[0].a, row, to);
        return;
    }
    int64_t second = ace_adapter_rank(&m->factor[1]);
    for (int64_t r = 0; r < rank; r++) {
        to[r] = ace_adapter_number(m->factor[0].a, row, r / second) *
                ace_adapter_number(m->factor[1].a, row, r % second);
    }
}

/* B of the terms of one part side by side, times their scales. */
static void fill_up(const void *context, int64_t rows, int64_t ranks, float *to)
{
    const term_list *list = context;
    for (int i = 0; i < list->n; i++) {
        const ace_adapter_term *t = &list->terms[i];
        int64_t own = rank_of(t->module);
        for (int64_t r = 0; r < rows && own > 0; r++) {
            float *at = to + r * ranks;
            float scale = t->module->scale * t->scale * stretch_of(t, r);
            read_up(t->module, r, own, at);
            for (int64_t c = 0; c < own; c++) {
                at[c] *= scale;
            }
        }
        to += own;
    }
}

/* Terms from `first` on of the same part. */
static int part_length(const ace_adapter_term *terms, int n, int first)
{
    int end = first;
    while (end < n && terms[end].part == terms[first].part) {
        end++;
    }
    return end - first;
}

static void load_low_rank(ace_stream *s, const ace_adapter_term *terms, int n, ace_low_rank *out)
{
    ace_matrix_shape *down = &out->down.shape;
    term_list all = {terms, n};
    term_list lists[ACE_FUSED_PARTS];
    down->cols = terms[0].module->cols;
    for (int first = 0, length; first < n; first += length) {
        int64_t rank = 0;
        length = part_length(terms, n, first);
        for (int i = first; i < first + length; i++) {
            rank += rank_of(terms[i].module);
        }
        if (rank > 0) {
            ace_low_rank_part *p = &out->part[out->n_parts];
            lists[out->n_parts++] = (term_list){terms + first, length};
            *p = (ace_low_rank_part){
                .first_rank = down->rows, .rank = rank, .first_row = terms[first].first_row};
            p->up.shape = (ace_matrix_shape){.rows = terms[first].module->rows, .cols = rank};
            down->rows += rank;
        }
    }
    if (out->n_parts == 0) {
        return;
    }
    out->down = pack(s, out->down.shape, terms, fill_down, &all);
    for (int i = 0; i < out->n_parts; i++) {
        out->part[i].up = pack(s, out->part[i].up.shape, lists[i].terms, fill_up, &lists[i]);
    }
}

/* ---- Kronecker products ---------------------------------------------------------------------- */

typedef struct filling {
    ace_stream *stream;
    const ace_adapter_term *term;
} filling;

static float *scratch_of(const filling *f, int64_t n)
{
    float *scratch = ace_malloc_array((size_t)n, sizeof *scratch);
    if (scratch == NULL) {
        ace_stream_fail(f->stream, ACESTEP_MEMORY, "%.400s: no host memory",
                        f->term->adapter->path);
    }
    return scratch;
}

static void fill_whole(const filling *f, const ace_adapter_factor *factor, int64_t rows,
                       int64_t cols, float *to)
{
    float *scratch = scratch_of(f, cols);
    if (scratch != NULL) {
        ace_adapter_factor_read(factor, 0, rows, to, scratch);
        ace_free(scratch);
    }
}

static void fill_outer(const void *context, int64_t rows, int64_t cols, float *to)
{
    const filling *f = context;
    const ace_adapter_term *t = f->term;
    if (t->module->kind == ACE_ADAPTER_LOHA) {
        to[0] = t->scale;
        return;
    }
    fill_whole(f, &t->module->factor[0], rows, cols, to);
    for (int64_t i = 0; i < rows * cols && f->stream->status == ACESTEP_OK; i++) {
        to[i] *= t->module->scale * t->scale;
        if (!isfinite(to[i])) {
            ace_stream_fail(f->stream, ACESTEP_MODEL,
                            "%.300s: %.200s: holds NaN or infinity; the file is damaged",
                            t->adapter->path, ace_adapter_first_tensor(t->module)->name);
        }
    }
}

static void fill_inner(const void *context, int64_t rows, int64_t cols, float *to)
{
    const filling *f = context;
    fill_whole(f, &f->term->module->factor[1], rows, cols, to);
}

static void fill_tensor(const void *context, int64_t rows, int64_t cols, float *to)
{
    const ace_weight *t = context;
    for (int64_t i = 0; i < rows; i++) {
        ace_adapter_tensor_row(t, i, to + i * cols);
    }
}

/* Δ of a LoHa as it is. */
static void fill_dense(const void *context, int64_t rows, int64_t cols, float *to)
{
    const filling *f = context;
    const ace_adapter_module *m = f->term->module;
    float *scratch = scratch_of(f, ace_adapter_delta_scratch(m, BLOCK_ROWS));
    for (int64_t first = 0; first < rows && scratch != NULL; first += BLOCK_ROWS) {
        int64_t n = rows - first < BLOCK_ROWS ? rows - first : BLOCK_ROWS;
        ace_adapter_delta_read(m, first, n, to + first * cols, scratch);
    }
    ace_free(scratch);
}

static void fill_stretch(const void *context, int64_t rows, int64_t cols, float *to)
{
    const ace_adapter_term *t = context;
    (void)rows;
    for (int64_t i = 0; i < cols; i++) {
        to[i] = stretch_of(t, i);
    }
}

static void load_inner(const filling *f, ace_kronecker *out)
{
    const ace_adapter_factor *w2 = &f->term->module->factor[1];
    ace_matrix_shape shape = {.rows = ace_adapter_factor_rows(w2),
                              .cols = ace_adapter_factor_cols(w2)};
    ace_matrix_shape down = {.rows = ace_adapter_rank(w2), .cols = shape.cols};
    /* as a product where that is the smaller way */
    if (down.rows > 0 && down.rows * (shape.rows + shape.cols) < shape.rows * shape.cols) {
        shape.cols = down.rows;
        out->inner_down = pack(f->stream, down, f->term, fill_tensor, w2->b);
        out->inner = pack(f->stream, shape, f->term, fill_tensor, w2->a);
    } else {
        out->inner = pack(f->stream, shape, f->term, fill_inner, f);
    }
}

static void load_kronecker(ace_stream *s, const ace_adapter_term *t, ace_kronecker *out)
{
    const ace_adapter_module *m = t->module;
    filling f = {s, t};
    out->first_row = t->first_row;
    if (m->kind == ACE_ADAPTER_LOHA) {
        ace_matrix_shape shape = {.rows = m->rows, .cols = m->cols};
        out->outer = ace_new_table(s, 1, 1, fill_outer, &f);
        out->inner = pack(s, shape, t, fill_dense, &f);
    } else {
        out->outer = ace_new_table(s, ace_adapter_factor_rows(&m->factor[0]),
                                   ace_adapter_factor_cols(&m->factor[0]), fill_outer, &f);
        load_inner(&f, out);
    }
    if (m->magnitude != NULL) {
        out->row_factors = ace_new_table(s, 1, m->rows, fill_stretch, t);
    }
}

/* ---- DoRA ------------------------------------------------------------------------------------ */

/* 1 + Σ scale · (stretch - 1): what W itself is stretched by. */
static void fill_row_factors(const void *context, int64_t one, int64_t rows, float *to)
{
    const term_list *list = context;
    (void)one;
    for (int64_t i = 0; i < rows; i++) {
        to[i] = 1;
    }
    for (int i = 0; i < list->n; i++) {
        const ace_adapter_term *t = &list->terms[i];
        for (int64_t r = 0; r < t->module->rows; r++) {
            to[t->first_row + r] += t->scale * (stretch_of(t, r) - 1);
        }
    }
}

void ace_adapter_terms_load(ace_stream *s, const ace_adapter_term *terms, int n, int64_t rows,
                            ace_added *out)
{
    term_list all = {terms, n};
    bool stretches = false;
    load_low_rank(s, terms, n, &out->low_rank);
    for (int i = 0; i < n; i++) {
        stretches = stretches || terms[i].module->magnitude != NULL;
        if (rank_of(terms[i].module) == 0) {
            load_kronecker(s, &terms[i], &out->kronecker[out->n_kroneckers++]);
        }
    }
    if (stretches) {
        out->row_factors = ace_new_table(s, 1, rows, fill_row_factors, &all);
    }
}
