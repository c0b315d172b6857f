#include "model/dora.h"

#include "base/block_formats.h"
#include "base/memory.h"
#include "weights/adapter_numbers.h"

#include <math.h>
#include <string.h>

/* Rows of one task: few enough for its numbers to stay in the second cache. */
enum { BLOCK_ROWS = 32 };

/* One thread's own: a loader reports to its stream, and has scratch. */
typedef struct worker {
    ace_loader loader;
    ace_stream stream;
    ace_error error;
    float *base, *delta, *scratch; /* base owns all three */
} worker;

typedef struct norms {
    const char *weight;
    const ace_adapter_module *module;
    worker *workers;
    float *to; /* lengths of rows */
} norms;

static bool open_worker(worker *w, const ace_loader *l, const ace_adapter_module *m)
{
    int64_t numbers = BLOCK_ROWS * m->cols;
    w->stream = *l->stream;
    w->stream.error = &w->error;
    ace_loader_init(&w->loader, &w->stream, l->weights, l->matrix_dtype);
    w->base = ace_malloc_array((size_t)(2 * numbers + ace_adapter_delta_scratch(m, BLOCK_ROWS)),
                               sizeof *w->base);
    if (w->base == NULL) {
        return false;
    }
    w->delta = w->base + numbers;
    w->scratch = w->delta + numbers;
    return true;
}

/* What went wrong is told to l; the first one stays. */
static void close_worker(worker *w, ace_loader *l)
{
    if (w->loader.stream != NULL && ace_loader_finish(&w->loader) != ACESTEP_OK) {
        ace_stream_fail(l->stream, w->stream.status, "%s", w->error.message);
    }
    ace_free(w->base);
}

static float length_of(const float *base, const float *delta, int64_t n)
{
    double sum = 0;
    for (int64_t i = 0; i < n; i++) {
        double v = (double)base[i] + (double)delta[i];
        sum += v * v;
    }
    return (float)sqrt(sum);
}

static void norm_task(void *context, int64_t task, int thread)
{
    const norms *n = context;
    const ace_adapter_module *m = n->module;
    worker *w = &n->workers[thread];
    int64_t first = task * BLOCK_ROWS;
    int64_t rows = m->rows - first < BLOCK_ROWS ? m->rows - first : BLOCK_ROWS;
    if (!ace_read_linear_rows(&w->loader, n->weight, m->rows, m->cols, first, rows, w->base)) {
        return;
    }
    ace_adapter_delta_read(m, first, rows, w->delta, w->scratch);
    for (int64_t i = 0; i < rows; i++) {
        n->to[first + i] = length_of(w->base + i * m->cols, w->delta + i * m->cols, m->cols);
    }
}

static void find_lengths(ace_loader *l, norms *n)
{
    int64_t tasks = (n->module->rows + BLOCK_ROWS - 1) / BLOCK_ROWS;
    if (l->pool != NULL) {
        ace_pool_run(l->pool, tasks, norm_task, n);
        return;
    }
    for (int64_t i = 0; i < tasks; i++) {
        norm_task(n, i, 0);
    }
}

/* A row of zeros stays one, whatever it is stretched by. */
static bool divide(const ace_adapter_module *m, float *to)
{
    const unsigned char *data = m->magnitude->data;
    size_t size = ace_dtype_bytes(m->magnitude->dtype);
    bool finite = true;
    for (int64_t i = 0; i < m->rows; i++) {
        float magnitude = 0;
        ace_decode_row(m->magnitude->dtype, data + (size_t)i * size, 1, &magnitude);
        to[i] = to[i] == 0 && isfinite(magnitude) ? 1 : magnitude / to[i];
        finite = finite && isfinite(to[i]);
    }
    return finite;
}

bool ace_dora_factors(ace_loader *l, const char *weight, const ace_adapter *a,
                      const ace_adapter_module *m, float *to)
{
    int threads = l->pool != NULL ? ace_pool_threads(l->pool) : 1;
    norms n = {weight, m, ace_calloc((size_t)threads, sizeof *n.workers), to};
    bool room = n.workers != NULL;
    for (int i = 0; i < threads && room; i++) {
        room = open_worker(&n.workers[i], l, m);
    }
    if (room) {
        find_lengths(l, &n);
    } else {
        ace_stream_fail(l->stream, ACESTEP_MEMORY, "%.400s: no host memory", a->path);
    }
    for (int i = 0; i < threads && n.workers != NULL; i++) {
        close_worker(&n.workers[i], l);
    }
    ace_free(n.workers);
    if (ace_stream_status(l->stream) == ACESTEP_OK && !divide(m, to)) {
        ace_stream_fail(l->stream, ACESTEP_MODEL,
                        "%.400s: %.200s stretches rows to NaN or infinity; the file is damaged",
                        a->path, m->magnitude->name);
    }
    return ace_stream_status(l->stream) == ACESTEP_OK;
}
