/* Products by the library, in chunks that fit into the workspace, between the passes of
 * product_passes.cu. */
#include "products.h"

enum { FEWEST_LIBRARY_ROWS = 16, MOST_CHUNK_COLUMNS = 2048, ALIGNMENT = 16 };

/* How a product is cut up, and with what kernels. */
typedef struct chunks {
    ace_dtype type;                         /* of inputs and weights */
    bool inputs_as_are;                     /* x is what the library can read */
    bool results_as_are;                    /* y is what it can write */
    int64_t m, n;                           /* largest chunk */
    const ace_cuda_matmul_plan *plan[2][2]; /* for a whole or the last chunk of rows, of columns */
} chunks;

static bool is_aligned(const ace_tensor *t)
{
    size_t size = ace_dtype_bytes(t->dtype);
    return t->addr % ALIGNMENT == 0 && (size_t)t->row_stride * size % ALIGNMENT == 0;
}

static int64_t least(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

static void choose_chunks(const ace_cuda_product *p, chunks *c)
{
    int64_t width = p->w.taps * p->w.depth;
    const ace_cuda_outputs *o = &p->out;
    c->type = p->w.dtype == ACE_F32 ? ACE_F32 : ACE_BF16;
    int64_t row_bytes = width * (int64_t)ace_dtype_bytes(c->type);
    c->inputs_as_are = p->w.taps == 1 && p->in.alpha.addr == 0 && p->in.stride == 1 &&
                       p->in.pad == 0 && p->in.x.dtype == c->type && is_aligned(&p->in.x);
    c->results_as_are = o->bias.addr == 0 && !o->accumulate && !o->swiglu && o->scatter == 0 &&
                        p->w.scales == NULL && is_aligned(&o->y) &&
                        (o->y.dtype == ACE_F32 || c->type == ACE_BF16);
    c->n = c->results_as_are ? p->n : least(p->n, MOST_CHUNK_COLUMNS);
    if (p->w.dtype == ACE_I8) {
        c->n = least(c->n, ACE_CUDA_LIBRARY_BYTES / row_bytes);
    }
    c->m = p->m;
    if (!c->inputs_as_are) {
        c->m = least(c->m, ACE_CUDA_LIBRARY_BYTES / row_bytes);
    }
    if (!c->results_as_are && c->n > 0) {
        int64_t values = c->n * (o->swiglu ? 2 : 1) * (int64_t)sizeof(float);
        c->m = least(c->m, ACE_CUDA_LIBRARY_BYTES / values);
    }
}

/* All kernels are known before the first is launched: a product is the library's or it is not. */
static bool plan_chunks(ace_cuda *cuda, const ace_cuda_product *p, chunks *c)
{
    int64_t width = p->w.taps * p->w.depth;
    for (int last = 0; last < 4; last++) {
        int64_t m = (last & 1) != 0 ? (p->m - 1) % c->m + 1 : c->m;
        int64_t n = (last & 2) != 0 ? (p->n - 1) % c->n + 1 : c->n;
        ace_cuda_matmul shape = {.m = m,
                                 .n = n,
                                 .k = c->inputs_as_are ? p->w.cols : width,
                                 .x_ld = c->inputs_as_are ? p->in.x.row_stride : width,
                                 .w_ld = width,
                                 .y_ld = c->results_as_are ? p->out.y.row_stride : n,
                                 .in = c->type,
                                 .out = c->results_as_are ? p->out.y.dtype : ACE_F32};
        c->plan[last & 1][last >> 1] = ace_cuda_matmul_for(cuda, &shape);
        if (c->plan[last & 1][last >> 1] == NULL) {
            return false;
        }
    }
    return true;
}

/* Matrix rows from `column` on, as the library reads them. */
static const void *weights_for(ace_cuda *cuda, const ace_cuda_product *p, int64_t column, int64_t n)
{
    if (p->w.dtype == ACE_I8) {
        ace_cuda_widen(p, cuda->area.weights, column, n, cuda->compute);
        return cuda->area.weights;
    }
    size_t row = (size_t)(p->w.taps * p->w.depth) * ace_dtype_bytes(p->w.dtype);
    return (const unsigned char *)p->w.data + (size_t)column * row;
}

static const void *inputs_for(ace_cuda *cuda, const ace_cuda_product *p, const chunks *c,
                              int64_t first, int64_t m)
{
    if (c->inputs_as_are) {
        return (const void *)(uintptr_t)ace_rows(p->in.x, first, m).addr;
    }
    ace_cuda_gather(p, cuda->area.inputs, c->type, first, m, cuda->compute);
    return cuda->area.inputs;
}

static void run_chunk(ace_cuda *cuda, const ace_cuda_product *p, const chunks *c, int64_t first,
                      int64_t m, int64_t column, int64_t n)
{
    const ace_cuda_matmul_plan *plan = c->plan[m != c->m][n != c->n];
    const void *x = inputs_for(cuda, p, c, first, m);
    if (c->results_as_are) {
        ace_tensor y = ace_cols(ace_rows(p->out.y, first, m), column, n);
        ace_cuda_matmul_run(cuda, plan, (void *)(uintptr_t)y.addr, x,
                            weights_for(cuda, p, column, n));
        return;
    }
    float *values = (float *)(void *)cuda->area.results;
    float *ups = values + ACE_CUDA_LIBRARY_BYTES / 2 / sizeof *ups;
    ace_cuda_matmul_run(cuda, plan, values, x, weights_for(cuda, p, column, n));
    if (p->out.swiglu) {
        ace_cuda_matmul_run(cuda, plan, ups, x, weights_for(cuda, p, p->n + column, n));
    }
    ace_cuda_finish(p, values, ups, first, m, column, n, cuda->compute);
}

bool ace_cuda_run_by_library(ace_cuda *cuda, const ace_cuda_product *p)
{
    chunks c;
    if (p->m < FEWEST_LIBRARY_ROWS || !ace_cuda_library_is_there(cuda)) {
        return false;
    }
    choose_chunks(p, &c);
    if (c.m < 1 || c.n < 1 || !plan_chunks(cuda, p, &c)) {
        return false;
    }
    for (int64_t column = 0; column < p->n; column += c.n) {
        int64_t n = least(c.n, p->n - column);
        for (int64_t first = 0; first < p->m; first += c.m) {
            run_chunk(cuda, p, &c, first, least(c.m, p->m - first), column, n);
        }
    }
    return true;
}

bool ace_cuda_needs_pass_for_inputs(const ace_cuda_product *p)
{
    chunks c;
    choose_chunks(p, &c);
    return !c.inputs_as_are;
}

bool ace_cuda_needs_pass_for_results(const ace_cuda_product *p)
{
    chunks c;
    choose_chunks(p, &c);
    return !c.results_as_are;
}
