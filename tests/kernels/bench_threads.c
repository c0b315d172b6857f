/* What the thread pool costs: runs of tasks that do nothing, and of tasks of a few microseconds, as
 * a small operation has them. */
#include "base/clock.h"
#include "base/thread_pool.h"
#include "cases.h"

#include <stdio.h>
#include <stdlib.h>

enum { RUNS = 4001, TASKS = 16, STEPS = 4000 };

static void nothing(void *context, int64_t task, int thread)
{
    (void)context;
    (void)task;
    (void)thread;
}

/* Multiplications that wait for each other: about 4 cycles each. */
static void multiply(void *context, int64_t task, int thread)
{
    uint64_t *results = context;
    uint64_t x = (uint64_t)task;
    (void)thread;
    for (int i = 0; i < STEPS; i++) {
        x = x * 6364136223846793005u + 1442695040888963407u;
    }
    results[task * 16] = x; /* 128 bytes apart */
}

static int ascending(const void *a, const void *b)
{
    double x = *(const double *)a;
    double y = *(const double *)b;
    return (x > y) - (x < y);
}

/* Median microseconds of runs one right after the other. */
static double microseconds(ace_pool *pool, ace_pool_task *task, void *context)
{
    static double seconds[RUNS];
    for (int i = 0; i < RUNS; i++) {
        double start = ace_clock_seconds();
        ace_pool_run(pool, TASKS, task, context);
        seconds[i] = ace_clock_seconds() - start;
    }
    qsort(seconds, RUNS, sizeof *seconds, ascending);
    return seconds[RUNS / 2] * 1e6;
}

void bench_threads(void)
{
    static const int threads[] = {1, 2, 4, 8, 16};
    uint64_t results[TASKS * 16];
    for (size_t i = 0; i < sizeof threads / sizeof *threads; i++) {
        ace_pool *pool;
        if (ace_pool_create(threads[i], &pool, NULL) != ACESTEP_OK) {
            continue;
        }
        double empty = microseconds(pool, nothing, NULL);
        double busy = microseconds(pool, multiply, results);
        printf("threads  %2d, %d tasks, median: %8.3f us when empty, %8.1f us of work\n",
               threads[i], (int)TASKS, empty, busy);
        ace_pool_free(pool);
    }
}
