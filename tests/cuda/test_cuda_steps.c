/* Steps on the CUDA device in the emulator: recorded, replayed with what the host's memory holds by
 * then, forgotten, and issued as always where they cannot be kept. */
#define _DEFAULT_SOURCE /* setenv */
#include "base/memory.h"
#include "emulated_card.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { ROWS = 8, COLS = 5, SUM = ROWS * COLS };

/* What a step does: sum += x, and x's rows go to y by a table, by way of bf16; twice, so that the
 * table is used twice. */
typedef struct work {
    ace_device *d;
    ace_tensor sum, x, half, y, z;
    float from[SUM];
    int64_t rows[ROWS];
} work;

static ace_tensor tensor_on(ace_device *d, ace_dtype dtype)
{
    return (ace_tensor){reserve_there(d, SUM * sizeof(float)), dtype, ROWS, COLS, COLS};
}

static void begin(work *w)
{
    memset(w, 0, sizeof *w);
    w->d = open_card(SIZE_MAX, 0);
    w->sum = tensor_on(w->d, ACE_F32);
    w->x = tensor_on(w->d, ACE_F32);
    w->half = tensor_on(w->d, ACE_BF16);
    w->y = tensor_on(w->d, ACE_F32);
    w->z = tensor_on(w->d, ACE_F32);
    w->d->ops->fill(w->d, w->sum, 0);
}

static void end(work *w)
{
    const ace_tensor all[] = {w->sum, w->x, w->half, w->y, w->z};
    for (int i = 0; i < 5; i++) {
        w->d->ops->release(w->d, all[i].addr, SUM * sizeof(float));
    }
    ace_device_close(w->d);
}

static void issue(work *w)
{
    const ace_device_ops *ops = w->d->ops;
    const ace_scatter to = {.head_rows = ROWS, .rows = w->rows};
    assert_int_equal(ops->upload(w->d, w->x, w->from, NULL), ACESTEP_OK);
    assert_int_equal(ops->upload(w->d, w->half, w->from, NULL), ACESTEP_OK);
    ops->add(w->d, w->sum, w->sum, w->x);
    ops->scatter(w->d, w->y, w->half, &to);
    ops->scatter(w->d, w->z, w->x, &to);
}

static void set(work *w, int number)
{
    for (int i = 0; i < SUM; i++) {
        w->from[i] = (float)(number + i % 7);
    }
    for (int i = 0; i < ROWS; i++) {
        w->rows[i] = (i + number) % ROWS;
    }
}

/* One pass under a key; how it went. */
static ace_step_state pass(work *w, uint64_t key)
{
    ace_step_state state = w->d->ops->begin_step(w->d, key);
    if (state != ACE_STEP_REPLAYED) {
        issue(w);
        if (!w->d->ops->end_step(w->d)) {
            issue(w);
            return ACE_STEP_ISSUE;
        }
    }
    return state;
}

/* sum: of the numbers of all passes so far; the rest is of the last one. */
static void holds(work *w, int passes, int sum, int last)
{
    float got[SUM];
    assert_int_equal(w->d->ops->download(w->d, got, w->sum, NULL), ACESTEP_OK);
    for (int i = 0; i < SUM; i++) {
        assert_true(got[i] == (float)(sum + passes * (i % 7)));
    }
    const ace_tensor moved[] = {w->y, w->z};
    for (int k = 0; k < 2; k++) {
        assert_int_equal(w->d->ops->download(w->d, got, moved[k], NULL), ACESTEP_OK);
        for (int i = 0; i < SUM; i++) {
            int to = (i / COLS + last) % ROWS * COLS + i % COLS;
            assert_true(got[to] == (float)(last + i % 7));
        }
    }
}

/* Nobody waits between the passes: what one copies must not be overwritten for the next. */
static void replays_read_the_host_anew(void **state)
{
    (void)state;
    work w;
    begin(&w);
    int sum = 0;
    for (int i = 0; i < 6; i++) {
        set(&w, i);
        sum += i;
        assert_int_equal(pass(&w, 1), i == 0   ? ACE_STEP_ISSUE
                                      : i == 1 ? ACE_STEP_RECORD
                                               : ACE_STEP_REPLAYED);
    }
    memset(w.from, 0, sizeof w.from); /* the caller's again */
    holds(&w, 6, sum, 5);
    set(&w, 9);
    assert_int_equal(pass(&w, 1), ACE_STEP_REPLAYED);
    issue(&w); /* what is issued in between does not disturb it */
    assert_int_equal(pass(&w, 1), ACE_STEP_REPLAYED);
    holds(&w, 9, sum + 27, 9);
    end(&w);
}

static void forgotten_steps_begin_anew(void **state)
{
    (void)state;
    work w;
    begin(&w);
    for (int i = 0; i < 3; i++) {
        set(&w, i);
        (void)pass(&w, 1);
        (void)pass(&w, 2);
    }
    w.d->ops->forget_step(w.d, 1);
    w.d->ops->forget_step(w.d, 77); /* there is none */
    assert_int_equal(pass(&w, 2), ACE_STEP_REPLAYED);
    assert_int_equal(pass(&w, 1), ACE_STEP_ISSUE);
    assert_int_equal(pass(&w, 1), ACE_STEP_RECORD);
    w.d->ops->forget_step(w.d, 0);
    assert_int_equal(pass(&w, 2), ACE_STEP_ISSUE);
    assert_int_equal(pass(&w, 1), ACE_STEP_ISSUE);
    holds(&w, 11, 6 + 5 * 2, 2);
    end(&w);
}

/* The emulated card has 4096 places for pinned memory. */
static void nothing_stays_of_forgotten_steps(void **state)
{
    (void)state;
    work w;
    begin(&w);
    set(&w, 0);
    for (int i = 0; i < 4200; i++) {
        (void)pass(&w, 1);
        assert_int_equal(pass(&w, 1), ACE_STEP_RECORD);
        w.d->ops->forget_step(w.d, 1);
    }
    end(&w);
}

/* Eight are kept; one more takes the place of the one that was asked for longest ago. */
static void kept_steps_are_few(void **state)
{
    (void)state;
    work w;
    begin(&w);
    set(&w, 1);
    for (uint64_t key = 1; key <= 8; key++) {
        (void)pass(&w, key);
        assert_int_equal(pass(&w, key), ACE_STEP_RECORD);
    }
    assert_int_equal(pass(&w, 1), ACE_STEP_REPLAYED);
    assert_int_equal(pass(&w, 9), ACE_STEP_ISSUE);
    assert_int_equal(pass(&w, 1), ACE_STEP_REPLAYED);
    assert_int_equal(pass(&w, 3), ACE_STEP_REPLAYED);
    assert_int_equal(pass(&w, 2), ACE_STEP_ISSUE);
    holds(&w, 21, 21, 1);
    end(&w);
}

/* ---- what cannot be kept --------------------------------------------------------------------- */

static void stays_issued(work *w, uint64_t key, int passes)
{
    for (int i = 0; i < passes; i++) {
        assert_int_equal(pass(w, key), ACE_STEP_ISSUE);
    }
}

static void where_no_graph_can_be_made(void **state)
{
    (void)state;
    static const char *const lacks[] = {"ACE_EMULATOR_GRAPHS", "ACE_EMULATOR_PINNED"};
    for (int i = 0; i < 2; i++) {
        work w;
        assert_int_equal(setenv(lacks[i], "0", 1), 0);
        begin(&w);
        set(&w, 4);
        stays_issued(&w, 1, 4);
        holds(&w, 4, 16, 4);
        end(&w);
        assert_int_equal(unsetenv(lacks[i]), 0);
    }
}

/* Of 30 MB each two are kept, and a third when one of them is gone. */
static void graphs_take_little_of_the_card(void **state)
{
    (void)state;
    work w;
    assert_int_equal(setenv("ACE_EMULATOR_GRAPH_MB", "30", 1), 0);
    begin(&w);
    set(&w, 1);
    ace_device_memory before;
    w.d->ops->memory(w.d, &before);
    for (uint64_t key = 1; key <= 2; key++) {
        (void)pass(&w, key);
        assert_int_equal(pass(&w, key), ACE_STEP_RECORD);
    }
    stays_issued(&w, 3, 3);
    w.d->ops->forget_step(w.d, 1);
    (void)pass(&w, 4);
    assert_int_equal(pass(&w, 4), ACE_STEP_RECORD);
    assert_int_equal(pass(&w, 2), ACE_STEP_REPLAYED);
    holds(&w, 10, 10, 1);
    ace_device_memory with_two, after;
    w.d->ops->memory(w.d, &with_two);
    w.d->ops->forget_step(w.d, 0);
    w.d->ops->memory(w.d, &after);
    assert_int_equal(before.held, with_two.held);
    assert_int_equal(before.free, after.free);
    end(&w);
    assert_int_equal(unsetenv("ACE_EMULATOR_GRAPH_MB"), 0);
}

/* A call that a capture does not allow, as waiting for results in the middle: the recording is
 * lost, the device is not. */
static void a_lost_recording_is_no_failure(void **state)
{
    (void)state;
    work w;
    float none[SUM];
    begin(&w);
    set(&w, 3);
    assert_int_equal(pass(&w, 1), ACE_STEP_ISSUE);
    assert_int_equal(w.d->ops->begin_step(w.d, 1), ACE_STEP_RECORD);
    issue(&w);
    assert_int_not_equal(w.d->ops->download(w.d, none, w.y, NULL), ACESTEP_OK);
    issue(&w);
    assert_false(w.d->ops->end_step(w.d));
    assert_false(ace_device_is_lost(w.d));
    issue(&w);
    holds(&w, 2, 6, 3);
    stays_issued(&w, 1, 2);
    w.d->ops->forget_step(w.d, 1);
    (void)pass(&w, 1);
    assert_int_equal(pass(&w, 1), ACE_STEP_RECORD);
    assert_int_equal(pass(&w, 1), ACE_STEP_REPLAYED);
    holds(&w, 7, 21, 3);
    end(&w);
}

static void a_second_pass_that_copies_more(void **state)
{
    (void)state;
    work w;
    begin(&w);
    set(&w, 3);
    assert_int_equal(pass(&w, 1), ACE_STEP_ISSUE);
    assert_int_equal(w.d->ops->begin_step(w.d, 1), ACE_STEP_RECORD);
    issue(&w);
    issue(&w);
    assert_false(w.d->ops->end_step(w.d));
    stays_issued(&w, 1, 1);
    holds(&w, 2, 6, 3);
    end(&w);
}

/* Tables of a step lie beside each other in one megabyte. */
static void more_tables_than_there_is_room_for(void **state)
{
    (void)state;
    enum { MANY = 90000 };
    work w;
    begin(&w);
    int64_t *tables = calloc((size_t)2 * MANY, sizeof *tables);
    assert_non_null(tables);
    size_t bytes = MANY * sizeof(float);
    ace_tensor y = {reserve_there(w.d, bytes), ACE_F32, MANY, 1, 1};
    ace_tensor x = {reserve_there(w.d, bytes), ACE_F32, MANY, 1, 1};
    for (int64_t i = 0; i < 2 * MANY; i++) {
        tables[i] = i % MANY;
    }
    for (int i = 0; i < 3; i++) {
        ace_step_state state_now = w.d->ops->begin_step(w.d, 1);
        assert_int_equal(state_now, i == 1 ? ACE_STEP_RECORD : ACE_STEP_ISSUE);
        for (int64_t k = 0; k < 2; k++) {
            w.d->ops->scatter(w.d, y, x,
                              &(ace_scatter){.head_rows = MANY, .rows = tables + k * MANY});
        }
        assert_int_equal(w.d->ops->end_step(w.d), i != 1);
    }
    w.d->ops->release(w.d, y.addr, bytes);
    w.d->ops->release(w.d, x.addr, bytes);
    free(tables);
    end(&w);
}

static void shortage_of_host_memory(void **state)
{
    (void)state;
    work w;
    begin(&w);
    set(&w, 2);
    (void)pass(&w, 1);
    ace_memory_fail_at(1);
    assert_int_equal(pass(&w, 1), ACE_STEP_ISSUE);
    ace_memory_fail_at(0);
    holds(&w, 2, 4, 2);
    end(&w);
}

/* ---- beside others --------------------------------------------------------------------------- */

static void *write_there(void *context)
{
    work *w = context;
    const float ones[SUM] = {1, 1, 1};
    return w->d->ops->write(w->d, w->z.addr, ones, sizeof ones, NULL) == ACESTEP_OK ? w : NULL;
}

/* Weights that come in the middle of a recording are no part of it. */
static void another_thread_writes_meanwhile(void **state)
{
    (void)state;
    work w;
    begin(&w);
    set(&w, 5);
    (void)pass(&w, 1);
    assert_int_equal(w.d->ops->begin_step(w.d, 1), ACE_STEP_RECORD);
    pthread_t thread;
    void *well = NULL;
    assert_int_equal(pthread_create(&thread, NULL, write_there, &w), 0);
    assert_int_equal(pthread_join(thread, &well), 0);
    assert_non_null(well);
    issue(&w);
    assert_true(w.d->ops->end_step(w.d));
    assert_int_equal(pass(&w, 1), ACE_STEP_REPLAYED);
    holds(&w, 3, 15, 5);
    end(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(replays_read_the_host_anew),
        cmocka_unit_test(forgotten_steps_begin_anew),
        cmocka_unit_test(nothing_stays_of_forgotten_steps),
        cmocka_unit_test(kept_steps_are_few),
        cmocka_unit_test(where_no_graph_can_be_made),
        cmocka_unit_test(graphs_take_little_of_the_card),
        cmocka_unit_test(a_lost_recording_is_no_failure),
        cmocka_unit_test(a_second_pass_that_copies_more),
        cmocka_unit_test(more_tables_than_there_is_room_for),
        cmocka_unit_test(shortage_of_host_memory),
        cmocka_unit_test(another_thread_writes_meanwhile),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
