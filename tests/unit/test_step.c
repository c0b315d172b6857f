/* Steps: recorded, replayed, forgotten, and as if nothing had been. */
#include "device/step.h"
#include "support/bench_device.h"
#include "support/keeping_device.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

enum { N = 6 };

/* y = x + scattered x, by way of tensors of its own; the result stays in the arena. */
typedef struct work {
    test_bench bench;
    ace_step step;
    float x[N];
    int64_t rows[N];
    ace_tensor y;
    int calls;
    bool cancel;
} work;

static void body(void *context)
{
    work *w = context;
    ace_stream *s = &w->bench.stream;
    w->calls++;
    w->y = ace_new(s, ACE_F32, N, 1);
    ace_tensor x = ace_new_from(s, ACE_F32, N, 1, w->x);
    ace_tensor moved = ace_new(s, ACE_F32, N, 1);
    ace_scatter to = {.head_rows = N, .rows = w->rows};
    ace_scatter_rows(s, moved, x, &to);
    if (w->cancel) {
        ace_stream_fail(s, ACESTEP_CANCELLED, "cancelled");
    }
    ace_add(s, w->y, x, moved);
}

static void begin(work *w)
{
    memset(w, 0, sizeof *w);
    bench_open(&w->bench, keeping_device_open(bench_reference()), NULL, ACE_F32);
    w->bench.stream.keeps_steps = true;
}

/* One pass with numbers of its own, from a place in the arena; it must leave no trace of how it
 * ran. */
static void pass(work *w, int number)
{
    ace_stream *s = &w->bench.stream;
    ace_arena_mark mark = ace_mark(s);
    ace_stream_counters before = s->counters;
    uint64_t blocks = w->bench.arena.blocks;
    for (int i = 0; i < N; i++) {
        w->x[i] = (float)(10 * number + i);
        w->rows[i] = (i + number) % N;
    }
    ace_step_run(s, &w->step, body, w);
    assert_int_equal(w->bench.arena.used - mark.used, 3 * 64);
    assert_int_equal(w->bench.arena.blocks - blocks, 3);
    assert_int_equal(s->counters.operations - before.operations, 2);
    assert_true(s->counters.uploaded - before.uploaded == N * sizeof(float));
    float y[N];
    ace_download(s, y, w->y);
    bench_check(&w->bench);
    for (int i = 0; i < N; i++) {
        int from = (i - number % N + N) % N;
        assert_true(y[i] == (float)(10 * number + i) + (float)(10 * number + from));
    }
    ace_reset(s, &mark);
}

static void comes_out_as(const work *w, keeping_counts expected, int calls)
{
    keeping_counts c = keeping_device_counts(w->bench.device);
    assert_int_equal(c.issued, expected.issued);
    assert_int_equal(c.recorded, expected.recorded);
    assert_int_equal(c.replayed, expected.replayed);
    assert_int_equal(c.forgotten, expected.forgotten);
    assert_int_equal(w->calls, calls);
}

static void replays(void **state)
{
    (void)state;
    work w;
    begin(&w);
    for (int i = 0; i < 5; i++) {
        pass(&w, i);
    }
    comes_out_as(&w, (keeping_counts){.issued = 1, .recorded = 1, .replayed = 3}, 2);
    ace_step_forget_all(w.bench.device);
    pass(&w, 5);
    comes_out_as(&w, (keeping_counts){2, 1, 3, 1}, 3);
    bench_close(&w.bench);
}

static void another_place_is_another_step(void **state)
{
    (void)state;
    work w;
    begin(&w);
    for (int i = 0; i < 3; i++) {
        pass(&w, i);
    }
    (void)ace_new(&w.bench.stream, ACE_F32, 1, 1);
    for (int i = 3; i < 6; i++) {
        pass(&w, i);
    }
    comes_out_as(&w, (keeping_counts){2, 2, 2, 1}, 4);
    ace_step_forget(&w.bench.stream, &w.step);
    ace_step_forget(&w.bench.stream, &w.step); /* there is none any more */
    pass(&w, 6);
    comes_out_as(&w, (keeping_counts){3, 2, 2, 2}, 5);
    bench_close(&w.bench);
}

static void steps_do_not_mix(void **state)
{
    (void)state;
    work w;
    begin(&w);
    ace_step other = {0};
    for (int i = 0; i < 4; i++) {
        pass(&w, i);
        ace_step mine = w.step;
        w.step = other;
        pass(&w, 10 + i);
        other = w.step;
        w.step = mine;
    }
    comes_out_as(&w, (keeping_counts){2, 2, 4, 0}, 4);
    bench_close(&w.bench);
}

static void what_cannot_be_kept_is_issued_again(void **state)
{
    (void)state;
    work w;
    begin(&w);
    keeping_device_refuse(w.bench.device, 2);
    for (int i = 0; i < 5; i++) {
        pass(&w, i);
    }
    comes_out_as(&w, (keeping_counts){1, 1, 1, 0}, 6);
    bench_close(&w.bench);
}

static void heard(void *context, const ace_operation *o)
{
    (void)o;
    (*(int *)context)++;
}

static void plainly(void **state)
{
    (void)state;
    work w;
    begin(&w);
    int operations = 0;
    ace_watch watch = {heard, &operations};
    w.bench.stream.keeps_steps = false;
    pass(&w, 0);
    w.bench.stream.keeps_steps = true;
    w.bench.device->watch = &watch;
    pass(&w, 1);
    pass(&w, 2);
    assert_int_equal(operations, 4);
    comes_out_as(&w, (keeping_counts){0}, 3);
    bench_close(&w.bench);
    bench_open(&w.bench, bench_reference(), NULL, ACE_F32); /* a device that keeps none */
    w.bench.stream.keeps_steps = true;
    w.step = (ace_step){0};
    pass(&w, 3);
    pass(&w, 4);
    pass(&w, 5);
    assert_int_equal(w.calls, 6);
    ace_step_forget_all(w.bench.device);
    bench_close(&w.bench);
}

/* What was cut short is not kept. */
static void cancelled(void **state)
{
    (void)state;
    work w;
    begin(&w);
    pass(&w, 0);
    w.cancel = true;
    ace_step_run(&w.bench.stream, &w.step, body, &w);
    assert_int_equal(w.bench.stream.status, ACESTEP_CANCELLED);
    assert_int_equal(keeping_device_counts(w.bench.device).forgotten, 1);
    assert_int_equal(w.calls, 2);
    w.cancel = false;
    w.bench.stream.status = ACESTEP_OK;
    ace_reset(&w.bench.stream, &(ace_arena_mark){0});
    pass(&w, 1);
    pass(&w, 2);
    pass(&w, 3);
    comes_out_as(&w, (keeping_counts){2, 2, 1, 1}, 4);
    bench_close(&w.bench);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(replays),          cmocka_unit_test(another_place_is_another_step),
        cmocka_unit_test(steps_do_not_mix), cmocka_unit_test(what_cannot_be_kept_is_issued_again),
        cmocka_unit_test(plainly),          cmocka_unit_test(cancelled),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
