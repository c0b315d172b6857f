/* The thread pool, and a whole song on three threads: for ThreadSanitizer. */
#include "acestep.h"
#include "base/thread_pool.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

enum { TASKS = 1000, MOST_THREADS = 8 };

typedef struct ledger {
    int done[TASKS];           /* how often each task ran */
    int64_t sum[MOST_THREADS]; /* written by each thread without a lock */
    int nested[TASKS];
    ace_pool *pool;
} ledger;

static void count(void *context, int64_t task, int thread)
{
    ledger *l = context;
    l->done[task]++;
    l->sum[thread] += task;
}

/* 1e-40, which is not normal in f32 */
static float tiny_product(void)
{
    volatile float a = 1e-30f;
    volatile float b = 1e-10f;
    return a * b;
}

typedef struct tiny_products {
    float product[64];
    int thread[64];
} tiny_products;

/* Long enough that every thread takes its part. */
static void multiply_tiny(void *context, int64_t task, int thread)
{
    tiny_products *t = context;
    const struct timespec a_moment = {.tv_nsec = 1000000};
    (void)nanosleep(&a_moment, NULL);
    t->product[task] = tiny_product();
    t->thread[task] = thread;
}

/* On any thread and alone, so that the bits agree; the caller's arithmetic stays as it was. */
static void tiny_numbers_count_as_zero(void **state)
{
    (void)state;
    for (int threads = 1; threads <= 3; threads++) {
        ace_pool *pool = NULL;
        tiny_products found;
        assert_int_equal(ace_pool_create(threads, &pool, NULL), ACESTEP_OK);
        for (int n = 1; n <= 64; n += 63) {
            int last = 0;
            memset(&found, 1, sizeof found);
            ace_pool_run(pool, n, multiply_tiny, &found);
            for (int i = 0; i < n; i++) {
                assert_true(found.product[i] == 0);
                last = found.thread[i] > last ? found.thread[i] : last;
            }
            assert_true(n == 1 || (last > 0) == (threads > 1));
        }
        assert_true(tiny_product() > 0);
        ace_pool_free(pool);
    }
}

static void every_task_runs_once(void **state)
{
    (void)state;
    for (int threads = 1; threads <= MOST_THREADS; threads++) {
        ledger *l = calloc(1, sizeof *l);
        assert_non_null(l);
        assert_int_equal(ace_pool_create(threads, &l->pool, NULL), ACESTEP_OK);
        assert_int_equal(ace_pool_threads(l->pool), threads);
        for (int run = 1; run <= 50; run++) {
            ace_pool_run(l->pool, TASKS, count, l);
            int64_t sum = 0;
            for (int i = 0; i < threads; i++) {
                sum += l->sum[i];
            }
            assert_int_equal(sum, (int64_t)run * TASKS * (TASKS - 1) / 2);
        }
        for (int i = 0; i < TASKS; i++) {
            assert_int_equal(l->done[i], 50);
        }
        ace_pool_free(l->pool);
        free(l);
    }
}

typedef struct total {
    _Atomic int64_t tasks, sum;
    _Atomic int slow; /* milliseconds the first task of a run takes */
} total;

static void add(void *context, int64_t task, int thread)
{
    total *t = context;
    (void)thread;
    if (task == 0 && t->slow > 0) {
        nanosleep(&(struct timespec){.tv_nsec = t->slow * 1000000L}, NULL);
    }
    t->tasks++;
    t->sum += task;
}

/* More than the pool hands out at once. */
static void any_number_of_tasks(void **state)
{
    (void)state;
    static const int64_t counts[] = {0, 1, 2, 3, 1 << 20, (1 << 20) + 1, 2500000};
    ace_pool *pool;
    assert_int_equal(ace_pool_create(3, &pool, NULL), ACESTEP_OK);
    for (size_t i = 0; i < sizeof counts / sizeof counts[0]; i++) {
        total t = {0};
        ace_pool_run(pool, counts[i], add, &t);
        assert_int_equal(t.tasks, counts[i]);
        assert_int_equal(t.sum, counts[i] * (counts[i] - 1) / 2);
    }
    ace_pool_free(pool);
}

/* Workers fall asleep between runs, and the caller within one; runs of different lengths follow
 * each other while workers still come from the one before. */
static void sleepers_wake(void **state)
{
    (void)state;
    ace_pool *pool;
    total t = {0};
    int64_t tasks = 0;
    assert_int_equal(ace_pool_create(5, &pool, NULL), ACESTEP_OK);
    for (int i = 0; i < 300; i++) {
        int64_t n = 2 + i * 7 % 11;
        t.slow = i % 10 == 0;
        if (i % 20 == 5) {
            nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
        }
        ace_pool_run(pool, n, add, &t);
        tasks += n;
        assert_int_equal(t.tasks, tasks); /* none is under way any more */
    }
    ace_pool_free(pool);
}

/* Pools that are hardly used, or not at all. */
static void pools_come_and_go(void **state)
{
    (void)state;
    for (int i = 0; i < 50; i++) {
        ace_pool *pool;
        total t = {0};
        assert_int_equal(ace_pool_create(1 + i % 5, &pool, NULL), ACESTEP_OK);
        if (i % 2 == 0) {
            ace_pool_run(pool, 7, add, &t);
            assert_int_equal(t.tasks, 7);
        }
        ace_pool_free(pool);
    }
    ace_pool *pool;
    ace_error err;
    assert_int_equal(ace_pool_create(257, &pool, &err), ACESTEP_ARGUMENT);
    assert_null(pool);
}

static void inner(void *context, int64_t task, int thread)
{
    (void)thread;
    ((int *)context)[task]++;
}

static void nest(void *context, int64_t task, int thread)
{
    ledger *l = context;
    (void)thread;
    ace_pool_run(l->pool, 1, inner, &l->nested[task]);
}

static void runs_inside_a_task_are_inline(void **state)
{
    (void)state;
    ledger *l = calloc(1, sizeof *l);
    assert_non_null(l);
    assert_int_equal(ace_pool_create(3, &l->pool, NULL), ACESTEP_OK);
    ace_pool_run(l->pool, TASKS, nest, l);
    for (int i = 0; i < TASKS; i++) {
        assert_int_equal(l->nested[i], 1);
    }
    ace_pool_free(l->pool);
    free(l);
}

/* window: layers of the diffusion transformer on a simulated card, the others copied by a second
 * thread; "0": on the CPU. */
static void make_song(const char *precision, const char *window)
{
    char path[128];
    acestep_error err;
    acestep_request *request = NULL;
    acestep_engine *engine = NULL;
    acestep_result *result = NULL;
    (void)snprintf(path, sizeof path, "/tmp/acestep-threads-%ld.wav", (long)getpid());
    const char *const options[][2] = {{"caption", "piano, drums"},
                                      {"duration", "5.12"},
                                      {"seed", "1"},
                                      {"threads", "3"},
                                      {"output", path},
                                      {"overwrite", "true"},
                                      {"sidecar", "false"},
                                      {"precision", precision},
                                      {"device", window[0] == '0' ? "cpu" : "sim"},
                                      {"max_cuda_vram", window[0] == '0' ? "" : "4"},
                                      {"offload_dit_window", window}};
    assert_int_equal(acestep_request_create(&request, &err), ACESTEP_OK);
    for (size_t i = 0; i < sizeof options / sizeof options[0]; i++) {
        assert_int_equal(acestep_request_set(request, options[i][0], options[i][1], &err),
                         ACESTEP_OK);
    }
    assert_int_equal(acestep_engine_open(request, &engine, &err), ACESTEP_OK);
    if (acestep_generate(engine, request, NULL, NULL, &result, &err) != ACESTEP_OK) {
        fail_msg("%s", err.message);
    }
    assert_int_equal(acestep_result_songs(result), 1);
    assert_int_equal(acestep_result_song(result, 0).frames, 128 * 1920);
    acestep_result_free(result);
    acestep_engine_close(engine);
    acestep_request_free(request);
    (void)unlink(path);
}

static void songs_on_three_threads(void **state)
{
    (void)state;
    make_song("f32", "0");
    make_song("bf16", "0");
}

static void layers_through_a_window(void **state)
{
    (void)state;
    make_song("f32", "1");
    make_song("f32", "2");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_task_runs_once),   cmocka_unit_test(tiny_numbers_count_as_zero),
        cmocka_unit_test(any_number_of_tasks),    cmocka_unit_test(sleepers_wake),
        cmocka_unit_test(pools_come_and_go),      cmocka_unit_test(runs_inside_a_task_are_inline),
        cmocka_unit_test(songs_on_three_threads), cmocka_unit_test(layers_through_a_window),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
