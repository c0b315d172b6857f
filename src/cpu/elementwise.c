/* SiLU, its product with another tensor, addition, copies, fills, scattered rows and mixed columns
 * on the pool. Tensors without gaps between their rows are cut into runs of elements, so that
 * neither one long row nor many short ones work badly; others into runs of rows. */
#include "cpu/row_kernels.h"

typedef enum element_op { OP_SILU, OP_SILU_MUL, OP_ADD, OP_COPY, OP_FILL } element_op;

typedef struct element_job {
    const ace_row_kernels *kernels;
    element_op op;
    ace_tensor y, a, b; /* as many as the operation has */
    float value;
    bool flat;         /* cut by elements */
    int64_t task_size; /* rows, or elements when flat */
} element_job;

static void run_rows(const element_job *job, ace_tensor y, ace_tensor a, ace_tensor b,
                     int64_t first, int64_t count)
{
    switch (job->op) {
    case OP_SILU:
        job->kernels->silu(y, a, first, count);
        break;
    case OP_SILU_MUL:
        job->kernels->silu_mul(y, a, b, first, count);
        break;
    case OP_ADD:
        job->kernels->add(y, a, b, first, count);
        break;
    case OP_COPY:
        job->kernels->copy(y, a, first, count);
        break;
    case OP_FILL:
        job->kernels->fill(y, job->value, first, count);
        break;
    }
}

/* Elements first … first + n - 1 of a tensor without gaps, as one row. */
static ace_tensor flat_part(ace_tensor t, int64_t first, int64_t n)
{
    if (t.addr == 0) {
        return t;
    }
    return ace_cols(ace_reshape(t, 1, t.rows * t.cols), first, n);
}

static void element_task(void *context, int64_t task, int thread)
{
    (void)thread;
    const element_job *job = context;
    int64_t total = job->flat ? job->y.rows * job->y.cols : job->y.rows;
    int64_t first = task * job->task_size;
    int64_t n = total - first < job->task_size ? total - first : job->task_size;
    if (job->flat) {
        run_rows(job, flat_part(job->y, first, n), flat_part(job->a, first, n),
                 flat_part(job->b, first, n), 0, 1);
    } else {
        run_rows(job, job->y, job->a, job->b, first, n);
    }
}

/* Whether element i of the operand belongs to element i of y. */
static bool lies_flat(ace_tensor operand, ace_tensor y)
{
    return operand.addr == 0 || (operand.rows == y.rows && ace_tensor_is_contiguous(operand));
}

static void run(ace_device *device, element_job job)
{
    const ace_cpu *cpu = ace_cpu_of(device);
    job.kernels = ace_row_kernels_of(cpu->level);
    job.flat = lies_flat(job.y, job.y) && lies_flat(job.a, job.y) && lies_flat(job.b, job.y);
    job.task_size = job.flat ? ACE_ROW_TASK_ELEMENTS : ace_rows_per_task(job.y.cols);
    int64_t total = job.flat ? job.y.rows * job.y.cols : job.y.rows;
    ace_pool_run(cpu->pool, (total + job.task_size - 1) / job.task_size, element_task, &job);
}

void ace_cpu_silu(ace_device *device, ace_tensor y, ace_tensor x)
{
    run(device, (element_job){.op = OP_SILU, .y = y, .a = x});
}

void ace_cpu_silu_mul(ace_device *device, ace_tensor y, ace_tensor gate, ace_tensor up)
{
    run(device, (element_job){.op = OP_SILU_MUL, .y = y, .a = gate, .b = up});
}

void ace_cpu_add(ace_device *device, ace_tensor y, ace_tensor a, ace_tensor b)
{
    run(device, (element_job){.op = OP_ADD, .y = y, .a = a, .b = b});
}

void ace_cpu_copy(ace_device *device, ace_tensor y, ace_tensor x)
{
    run(device, (element_job){.op = OP_COPY, .y = y, .a = x});
}

void ace_cpu_fill(ace_device *device, ace_tensor y, float value)
{
    run(device, (element_job){.op = OP_FILL, .y = y, .value = value});
}

/* ---- scatter --------------------------------------------------------------------------------- */

typedef struct scatter_job {
    const ace_row_kernels *kernels;
    ace_tensor y, x;
    const ace_scatter *to;
    int64_t task_rows; /* of x */
} scatter_job;

/* A row of each head's pool. */
static ace_tensor across_heads(const scatter_job *job, ace_tensor t, int64_t row)
{
    ace_tensor rows = ace_rows(t, row, t.rows / job->to->head_rows);
    rows.row_stride = job->to->head_rows * t.row_stride;
    return rows;
}

/* All heads of a row at once. */
static void scatter_row(const scatter_job *job, int64_t i)
{
    const ace_scatter *s = job->to;
    int64_t row = s->rows != NULL ? s->rows[i] : s->first + i;
    ace_tensor to = across_heads(job, job->y, row);
    ace_tensor from = ace_reshape(ace_rows(job->x, i, 1), to.rows, to.cols);
    if (s->scale.addr != 0) {
        job->kernels->round_rows(to, across_heads(job, s->scale, row), from, 0, to.rows);
    } else {
        job->kernels->copy(to, from, 0, to.rows);
    }
}

static void scatter_task(void *context, int64_t task, int thread)
{
    (void)thread;
    const scatter_job *job = context;
    int64_t end = (task + 1) * job->task_rows;
    for (int64_t i = task * job->task_rows; i < end && i < job->x.rows; i++) {
        scatter_row(job, i);
    }
}

void ace_cpu_scatter(ace_device *device, ace_tensor y, ace_tensor x, const ace_scatter *to)
{
    const ace_cpu *cpu = ace_cpu_of(device);
    scatter_job job = {ace_row_kernels_of(cpu->level), y, x, to, ace_rows_per_task(x.cols)};
    int64_t tasks = (x.rows + job.task_rows - 1) / job.task_rows;
    ace_pool_run(cpu->pool, tasks, scatter_task, &job);
}

/* ---- mix ------------------------------------------------------------------------------------- */

typedef struct mix_job {
    const ace_row_kernels *kernels;
    ace_tensor y, x;
    const ace_mix *mix;
    int64_t task_rows;
} mix_job;

static void mix_task(void *context, int64_t task, int thread)
{
    (void)thread;
    const mix_job *job = context;
    int64_t first = task * job->task_rows;
    int64_t left = job->y.rows - first;
    job->kernels->mix(job->y, job->x, job->mix, first,
                      left < job->task_rows ? left : job->task_rows);
}

void ace_cpu_mix(ace_device *device, ace_tensor y, ace_tensor x, const ace_mix *mix)
{
    const ace_cpu *cpu = ace_cpu_of(device);
    mix_job job = {ace_row_kernels_of(cpu->level), y, x, mix, ace_rows_per_task(y.cols)};
    ace_pool_run(cpu->pool, (y.rows + job.task_rows - 1) / job.task_rows, mix_task, &job);
}
