/* RMS norms on the pool: tasks are runs of rows. */
#include "cpu/row_kernels.h"

typedef struct norm_job {
    const ace_row_kernels *kernels;
    ace_tensor y, x;
    const void *options; /* ace_norm or ace_head_norm */
    int64_t rows_per_task;
} norm_job;

static int64_t rows_of_task(const norm_job *job, int64_t first)
{
    int64_t left = job->x.rows - first;
    return left < job->rows_per_task ? left : job->rows_per_task;
}

static void rms_norm_task(void *context, int64_t task, int thread)
{
    (void)thread;
    const norm_job *job = context;
    int64_t first = task * job->rows_per_task;
    job->kernels->rms_norm(job->y, job->x, job->options, first, rows_of_task(job, first));
}

static void head_norm_task(void *context, int64_t task, int thread)
{
    (void)thread;
    const norm_job *job = context;
    int64_t first = task * job->rows_per_task;
    job->kernels->head_norm(job->x, job->options, first, rows_of_task(job, first));
}

static void run(ace_device *device, ace_tensor y, ace_tensor x, const void *options,
                ace_pool_task *task)
{
    const ace_cpu *cpu = ace_cpu_of(device);
    norm_job job = {
        .kernels = ace_row_kernels_of(cpu->level),
        .y = y,
        .x = x,
        .options = options,
        .rows_per_task = ace_rows_per_task(x.cols),
    };
    int64_t tasks = (x.rows + job.rows_per_task - 1) / job.rows_per_task;
    ace_pool_run(cpu->pool, tasks, task, &job);
}

void ace_cpu_rms_norm(ace_device *device, ace_tensor y, ace_tensor x, const ace_norm *norm)
{
    run(device, y, x, norm, rms_norm_task);
}

void ace_cpu_head_norm(ace_device *device, ace_tensor x, const ace_head_norm *norm)
{
    run(device, x, x, norm, head_norm_task);
}
