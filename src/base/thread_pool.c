#define _GNU_SOURCE
#include "base/thread_pool.h"

#include "base/memory.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

enum { MAX_THREADS = 256, SPINS_BEFORE_SLEEP = 4000 };

typedef struct worker {
    ace_pool *pool;
    pthread_t thread;
    int index;
} worker;

struct ace_pool {
    int threads;
    int started; /* workers running, threads - 1 when complete */
    worker *workers;

    pthread_mutex_t mutex;
    pthread_cond_t work_ready;
    pthread_cond_t work_done;
    _Atomic uint64_t generation; /* raised once per run; workers wait for a change */
    bool stopping;

    ace_pool_task *task;
    void *context;
    int64_t n_tasks;
    _Atomic int64_t next_task;
    _Atomic int busy; /* workers that have not finished the current run */
};

static _Thread_local bool inside_task;

static int cgroup_cpu_limit(void)
{
    FILE *f = fopen("/sys/fs/cgroup/cpu.max", "r");
    if (f == NULL) {
        return MAX_THREADS;
    }
    long long quota = 0;
    long long period = 0;
    int fields = fscanf(f, "%lld %lld", &quota, &period); /* "max 100000" when unlimited */
    fclose(f);
    if (fields != 2 || quota <= 0 || period <= 0) {
        return MAX_THREADS;
    }
    long long cpus = (quota + period - 1) / period;
    return cpus < 1 ? 1 : cpus > MAX_THREADS ? MAX_THREADS : (int)cpus;
}

int ace_cpu_count(void)
{
    cpu_set_t set;
    int cpus = 1;
    if (sched_getaffinity(0, sizeof set, &set) == 0) {
        cpus = CPU_COUNT(&set);
    }
    int limit = cgroup_cpu_limit();
    cpus = cpus < limit ? cpus : limit;
    return cpus < 1 ? 1 : cpus;
}

static void take_tasks(ace_pool *pool, int thread)
{
    inside_task = true;
    for (;;) {
        int64_t task = atomic_fetch_add(&pool->next_task, 1);
        if (task >= pool->n_tasks) {
            break;
        }
        pool->task(pool->context, task, thread);
    }
    inside_task = false;
}

/* Waits until a run newer than `seen` starts: spins briefly, since runs follow each other within
 * microseconds, then sleeps. */
static uint64_t wait_for_run(ace_pool *pool, uint64_t seen)
{
    for (int i = 0; i < SPINS_BEFORE_SLEEP; i++) {
        uint64_t now = atomic_load_explicit(&pool->generation, memory_order_acquire);
        if (now != seen) {
            return now;
        }
#if defined(__x86_64__)
        __builtin_ia32_pause();
#endif
    }
    pthread_mutex_lock(&pool->mutex);
    while (atomic_load(&pool->generation) == seen) {
        pthread_cond_wait(&pool->work_ready, &pool->mutex);
    }
    pthread_mutex_unlock(&pool->mutex);
    return atomic_load(&pool->generation);
}

static void *worker_main(void *argument)
{
    worker *w = argument;
    ace_pool *pool = w->pool;
    uint64_t seen = 0;
    for (;;) {
        seen = wait_for_run(pool, seen);
        if (pool->stopping) {
            return NULL;
        }
        take_tasks(pool, w->index);
        if (atomic_fetch_sub(&pool->busy, 1) == 1) {
            pthread_mutex_lock(&pool->mutex);
            pthread_cond_signal(&pool->work_done);
            pthread_mutex_unlock(&pool->mutex);
        }
    }
}

ace_status ace_pool_create(int threads, ace_pool **out, ace_error *err)
{
    *out = NULL;
    if (threads <= 0) {
        threads = ace_cpu_count();
    }
    if (threads > MAX_THREADS) {
        return ace_fail(err, ACESTEP_ARGUMENT, "threads: %d is more than %d", threads, MAX_THREADS);
    }
    ace_pool *pool = ace_calloc(1, sizeof *pool);
    if (pool == NULL) {
        return ace_fail(err, ACESTEP_MEMORY, "thread pool: no host memory");
    }
    pool->threads = threads;
    pthread_mutex_init(&pool->mutex, NULL);
    pthread_cond_init(&pool->work_ready, NULL);
    pthread_cond_init(&pool->work_done, NULL);
    pool->workers = ace_calloc((size_t)threads, sizeof *pool->workers);
    if (pool->workers == NULL) {
        ace_pool_free(pool);
        return ace_fail(err, ACESTEP_MEMORY, "thread pool: no host memory");
    }
    for (int i = 1; i < threads; i++) {
        worker *w = &pool->workers[i];
        w->pool = pool;
        w->index = i;
        int code = pthread_create(&w->thread, NULL, worker_main, w);
        if (code != 0) {
            ace_pool_free(pool);
            return ace_fail(err, ACESTEP_MEMORY, "thread pool: cannot start thread %d of %d: %s", i,
                            threads, strerror(code));
        }
        pool->started = i;
    }
    *out = pool;
    return ACESTEP_OK;
}

void ace_pool_free(ace_pool *pool)
{
    if (pool == NULL) {
        return;
    }
    pthread_mutex_lock(&pool->mutex);
    pool->stopping = true;
    atomic_fetch_add(&pool->generation, 1);
    pthread_cond_broadcast(&pool->work_ready);
    pthread_mutex_unlock(&pool->mutex);
    for (int i = 1; i <= pool->started; i++) {
        pthread_join(pool->workers[i].thread, NULL);
    }
    pthread_cond_destroy(&pool->work_done);
    pthread_cond_destroy(&pool->work_ready);
    pthread_mutex_destroy(&pool->mutex);
    ace_free(pool->workers);
    ace_free(pool);
}

int ace_pool_threads(const ace_pool *pool)
{
    return pool->threads;
}

void ace_pool_run(ace_pool *pool, int64_t n_tasks, ace_pool_task *task, void *context)
{
    if (n_tasks <= 0) {
        return;
    }
    if (inside_task || pool->threads == 1 || n_tasks == 1) {
        bool was_inside = inside_task;
        inside_task = true;
        for (int64_t i = 0; i < n_tasks; i++) {
            task(context, i, 0);
        }
        inside_task = was_inside;
        return;
    }
    pool->task = task;
    pool->context = context;
    pool->n_tasks = n_tasks;
    atomic_store(&pool->next_task, 0);
    atomic_store(&pool->busy, pool->threads - 1);
    pthread_mutex_lock(&pool->mutex);
    atomic_fetch_add_explicit(&pool->generation, 1, memory_order_release);
    pthread_cond_broadcast(&pool->work_ready);
    pthread_mutex_unlock(&pool->mutex);

    take_tasks(pool, 0);

    for (int i = 0; i < SPINS_BEFORE_SLEEP && atomic_load(&pool->busy) != 0; i++) {
#if defined(__x86_64__)
        __builtin_ia32_pause();
#endif
    }
    pthread_mutex_lock(&pool->mutex);
    while (atomic_load(&pool->busy) != 0) {
        pthread_cond_wait(&pool->work_done, &pool->mutex);
    }
    pthread_mutex_unlock(&pool->mutex);
}
