/* One pool of worker threads for the whole engine.
 *
 * ace_pool_run splits work into numbered tasks; which thread takes which task is left to chance, so
 * a task's result must depend on its number alone: then the result is the same for any number of
 * threads. One caller at a time (the executor); a run from inside a task runs inline.
 *
 * A run is over when its tasks are: a worker that is still asleep, or that lost its core to another
 * program, holds it up only if it has a task in hand. */
#ifndef ACE_BASE_THREAD_POOL_H
#define ACE_BASE_THREAD_POOL_H

#include "base/status.h"

#include <stdint.h>

typedef struct ace_pool ace_pool;

/* task: 0 … n_tasks - 1; thread: 0 … ace_pool_threads() - 1, never shared by two running tasks. */
typedef void ace_pool_task(void *context, int64_t task, int thread);

/* threads 0: ace_cpu_count(). The caller's own thread is number 0. */
ace_status ace_pool_create(int threads, ace_pool **out, ace_error *err);
void ace_pool_free(ace_pool *pool); /* NULL is fine */
int ace_pool_threads(const ace_pool *pool);
void ace_pool_run(ace_pool *pool, int64_t n_tasks, ace_pool_task *task, void *context);

#endif
