#define _GNU_SOURCE /* syscall */
#include "base/thread_pool.h"

#include "base/clock.h"
#include "base/cpu_count.h"
#include "base/float_mode.h"
#include "base/memory.h"

#include <limits.h>
#include <linux/futex.h>
#include <pthread.h>
#include <stdalign.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

enum {
    MAX_THREADS = 256,
    LINE = 128, /* bytes that processors move together: neighbouring lines come in pairs */
    PAUSES_PER_CLOCK = 32 /* between two looks at the clock while spinning */
};

/* Runs follow each other within microseconds: waiting awake for that long costs less than a sleep,
 * from which a thread takes 5 to 50 microseconds to return. */
static const double spin_seconds = 100e-6;

/* A ticket is a run's number of tasks and the next task, 32 bits each. Adding one takes a task and
 * tells in the same moment whether it exists, so that a thread that comes late, when the run is
 * over or the next one has begun, neither takes a task that is none nor needs anybody to wait for
 * it. */
enum { TASK_BITS = 32, RUN_TASKS = 1 << 20 };

typedef struct worker {
    ace_pool *pool;
    pthread_t thread;
    int index;
} worker;

/* What different threads write at different times is kept on lines of its own. */
struct ace_pool {
    int threads;
    int started; /* workers running, threads - 1 when complete */
    worker *workers;
    void *block; /* what to free: the pool begins at the first line in it */

    /* Written by the caller, once per run. task and context: read by owners of a task only, and
     * left alone while there is one. */
    alignas(LINE) _Atomic uint32_t generation; /* raised by each run; workers wait for a change */
    atomic_bool stopping;
    ace_pool_task *task;
    void *context;
    int64_t first_task;

    alignas(LINE) _Atomic uint64_t ticket;
    alignas(LINE) _Atomic uint32_t unfinished; /* tasks of this run */
    atomic_bool caller_sleeps;
    alignas(LINE) _Atomic uint32_t sleepers; /* workers asleep, or about to be */
};

static _Thread_local bool inside_task;

/* ---- waiting --------------------------------------------------------------------------------- */

/* Sleeps while the word has that value. May return early. */
static void sleep_on(_Atomic uint32_t *word, uint32_t value)
{
    (void)syscall(SYS_futex, word, FUTEX_WAIT_PRIVATE, value, NULL, NULL, 0);
}

static void wake(_Atomic uint32_t *word, int most)
{
    (void)syscall(SYS_futex, word, FUTEX_WAKE_PRIVATE, most, NULL, NULL, 0);
}

static inline void pause_briefly(void)
{
#if defined(__x86_64__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("isb"); /* tens of cycles, as on x86; yield is none */
#endif
}

/* Waits awake for the word to differ from `value` (or, with `until`, to become it). */
static bool spin(_Atomic uint32_t *word, uint32_t value, bool until)
{
    double end = 0;
    for (int i = 0;; i++) {
        if ((atomic_load_explicit(word, memory_order_acquire) == value) == until) {
            return true;
        }
        if (i % PAUSES_PER_CLOCK == 0) {
            double now = ace_clock_seconds();
            end = i == 0 ? now + spin_seconds : end;
            if (now >= end) {
                return false;
            }
        }
        pause_briefly();
    }
}

/* Waits for a generation other than `seen` and returns it. */
static uint32_t wait_for_run(ace_pool *pool, uint32_t seen)
{
    while (!spin(&pool->generation, seen, false)) {
        /* Either the caller sees a sleeper behind its raise, or the sleep sees the raise. */
        atomic_fetch_add(&pool->sleepers, 1);
        sleep_on(&pool->generation, seen);
        atomic_fetch_sub(&pool->sleepers, 1);
    }
    return atomic_load_explicit(&pool->generation, memory_order_acquire);
}

/* Waits until every task of the run is finished. */
static void wait_for_tasks(ace_pool *pool)
{
    if (spin(&pool->unfinished, 0, true)) {
        return;
    }
    atomic_store(&pool->caller_sleeps, true);
    for (;;) {
        uint32_t left = atomic_load(&pool->unfinished);
        if (left == 0) {
            break;
        }
        sleep_on(&pool->unfinished, left);
    }
    atomic_store(&pool->caller_sleeps, false);
}

/* ---- tasks ----------------------------------------------------------------------------------- */

/* Takes the next task; false: none is left. */
static bool take(ace_pool *pool, int64_t *task)
{
    uint64_t ticket = atomic_fetch_add_explicit(&pool->ticket, 1, memory_order_acquire);
    *task = (uint32_t)ticket;
    return (uint32_t)ticket < ticket >> TASK_BITS;
}

static void work(ace_pool *pool, int thread)
{
    uint32_t done = 0;
    int64_t task;
    inside_task = true;
    while (take(pool, &task)) {
        pool->task(pool->context, pool->first_task + task, thread);
        done++;
    }
    inside_task = false;
    if (done > 0 && atomic_fetch_sub(&pool->unfinished, done) == done &&
        atomic_load(&pool->caller_sleeps)) {
        wake(&pool->unfinished, 1);
    }
}

static void *worker_main(void *argument)
{
    worker *w = argument;
    ace_pool *pool = w->pool;
    uint32_t seen = 0;
    (void)ace_float_mode_fast();
    for (;;) {
        seen = wait_for_run(pool, seen);
        if (atomic_load(&pool->stopping)) {
            return NULL;
        }
        work(pool, w->index);
    }
}

static void announce(ace_pool *pool, int workers)
{
    atomic_fetch_add(&pool->generation, 1);
    if (atomic_load(&pool->sleepers) != 0) {
        wake(&pool->generation, workers);
    }
}

/* Up to RUN_TASKS tasks, from pool->first_task on. */
static void run_some(ace_pool *pool, uint32_t n_tasks)
{
    atomic_store_explicit(&pool->unfinished, n_tasks, memory_order_relaxed);
    atomic_store_explicit(&pool->ticket, (uint64_t)n_tasks << TASK_BITS, memory_order_release);
    announce(pool, n_tasks < MAX_THREADS ? (int)n_tasks - 1 : MAX_THREADS);
    work(pool, 0);
    wait_for_tasks(pool);
}

static void run_inline(int64_t n_tasks, ace_pool_task *task, void *context)
{
    bool was_inside = inside_task;
    inside_task = true;
    for (int64_t i = 0; i < n_tasks; i++) {
        task(context, i, 0);
    }
    inside_task = was_inside;
}

void ace_pool_run(ace_pool *pool, int64_t n_tasks, ace_pool_task *task, void *context)
{
    ace_float_mode before =
        ace_float_mode_fast(); /* as the workers have it: the same bits everywhere */
    if (inside_task || pool->threads == 1 || n_tasks <= 1) {
        run_inline(n_tasks, task, context);
        ace_float_mode_set(before);
        return;
    }
    pool->task = task;
    pool->context = context;
    for (pool->first_task = 0; pool->first_task < n_tasks; pool->first_task += RUN_TASKS) {
        int64_t left = n_tasks - pool->first_task;
        run_some(pool, (uint32_t)(left < RUN_TASKS ? left : RUN_TASKS));
    }
    ace_float_mode_set(before);
}

/* ---- the pool -------------------------------------------------------------------------------- */

static ace_pool *allocate(int threads)
{
    unsigned char *block = ace_calloc(1, sizeof(ace_pool) + LINE);
    if (block == NULL) {
        return NULL;
    }
    ace_pool *pool = (ace_pool *)(void *)(block + (LINE - (uintptr_t)block % LINE) % LINE);
    pool->block = block;
    pool->threads = threads;
    pool->workers = ace_calloc((size_t)threads, sizeof *pool->workers);
    if (pool->workers == NULL) {
        ace_free(block);
        return NULL;
    }
    return pool;
}

ace_status ace_pool_create(int threads, ace_pool **out, ace_error *err)
{
    *out = NULL;
    if (threads <= 0) {
        int cores = ace_cpu_count();
        threads = cores < MAX_THREADS ? cores : MAX_THREADS;
    }
    if (threads > MAX_THREADS) {
        return ace_fail(err, ACESTEP_ARGUMENT, "threads: %d is more than %d", threads, MAX_THREADS);
    }
    ace_pool *pool = allocate(threads);
    if (pool == NULL) {
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
    atomic_store(&pool->stopping, true);
    announce(pool, INT_MAX);
    for (int i = 1; i <= pool->started; i++) {
        pthread_join(pool->workers[i].thread, NULL);
    }
    ace_free(pool->workers);
    ace_free(pool->block);
}

int ace_pool_threads(const ace_pool *pool)
{
    return pool->threads;
}
