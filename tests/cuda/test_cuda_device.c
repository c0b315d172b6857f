/* The CUDA device's host side in the emulator: memory and its cap, copies, errors that stick,
 * opening where something is missing. Operations are compared by cuda_check. */
#define _DEFAULT_SOURCE /* setenv */
#include "base/memory.h"
#include "emulated_card.h"

#include <dlfcn.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

static const size_t MIB = (size_t)1 << 20;

static size_t memory_of(ace_device *d, size_t *held)
{
    ace_device_memory m;
    d->ops->memory(d, &m);
    *held = m.held;
    return m.free;
}

/* ---- memory
 * ----------------------------------------------------------------------------------------- */

static void the_cap_holds(void **state)
{
    (void)state;
    ace_device *d = open_card(200 * MIB, 0);
    size_t held;
    size_t room = memory_of(d, &held);
    assert_int_equal(held, 0);
    assert_int_equal(room, 200 * MIB - d->workspace_bytes);
    uint64_t first = reserve_there(d, 50 * MIB);
    assert_int_equal(memory_of(d, &held), room - 50 * MIB);
    assert_int_equal(held, 50 * MIB);
    uint64_t none = 0;
    ace_error err = {.code = ACESTEP_OK};
    assert_int_equal(d->ops->reserve(d, room - 50 * MIB + 1, &none, &err), ACESTEP_MEMORY);
    assert_non_null(strstr(err.message, "too much"));
    assert_int_equal(d->ops->reserve(d, SIZE_MAX, &none, NULL), ACESTEP_MEMORY);
    assert_int_equal(d->ops->reserve(d, SIZE_MAX / 2, &none, NULL), ACESTEP_MEMORY);
    uint64_t rest = reserve_there(d, room - 50 * MIB);
    assert_int_equal(memory_of(d, &held), 0);
    assert_int_equal(d->ops->reserve(d, 1, &none, NULL), ACESTEP_MEMORY); /* a page is a page */
    d->ops->release(d, first, 50 * MIB);
    uint64_t small = reserve_there(d, 1);
    assert_int_equal(memory_of(d, &held), 48 * MIB);
    d->ops->release(d, small, 1);
    d->ops->release(d, rest, room - 50 * MIB);
    assert_int_equal(memory_of(d, &held), room);
    assert_int_equal(held, 0);
    ace_device_close(d);
}

/* A card of 512 MB, of which the context takes more than half. */
static void the_driver_may_have_less_than_the_cap(void **state)
{
    (void)state;
    assert_int_equal(setenv("ACE_EMULATOR_MB", "512", 1), 0);
    ace_device *d = open_card(SIZE_MAX, 512 * MIB);
    size_t held;
    size_t room = memory_of(d, &held);
    assert_true(d->workspace_bytes > 300 * MIB); /* the context is measured and part of it */
    assert_int_equal(room, 512 * MIB - d->workspace_bytes);
    ace_device_close(d);
    d = open_card(SIZE_MAX, 0); /* it is not known, so the driver refuses, and that is no end */
    uint64_t none = 0;
    ace_error err = {.code = ACESTEP_OK};
    assert_int_equal(d->ops->reserve(d, 300 * MIB, &none, &err), ACESTEP_MEMORY);
    assert_non_null(strstr(err.message, "the driver does not have"));
    uint64_t some = reserve_there(d, 20 * MIB);
    d->ops->release(d, some, 20 * MIB);
    ace_device_close(d);
    const ace_plugin_options options = {.cap_bytes = 10 * MIB};
    d = NULL;
    err = (ace_error){.code = ACESTEP_OK};
    assert_int_equal(ace_plugin_open(emulated_plugin(), &options, &d, &err), ACESTEP_MEMORY);
    assert_non_null(strstr(err.message, "workspace"));
    assert_int_equal(unsetenv("ACE_EMULATOR_MB"), 0);
}

/* What the emulator keeps of the driver's virtual-memory functions. */
static void *emulator_function(const char *name)
{
    void *library = dlopen("libcuda.so.1", RTLD_NOW);
    void *function = library != NULL ? dlsym(library, name) : NULL;
    assert_non_null(function);
    return function;
}

static int leftovers(void)
{
    int (*count)(void);
    void *function = emulator_function("ace_emulator_leftovers");
    memcpy(&count, &function, sizeof count);
    return count();
}

static uint64_t kernels_run(void)
{
    uint64_t (*count)(void);
    void *function = emulator_function("ace_emulator_kernels");
    memcpy(&count, &function, sizeof count);
    return count();
}

static void count_calls_anew(void)
{
    void (*count)(void);
    void *function = emulator_function("ace_emulator_count_calls_anew");
    memcpy(&count, &function, sizeof count);
    count();
}

/* In a process of its own, because its card stays as it becomes; the kernel of this number fails,
 * if not "0". */
static void in_a_child(int (*work)(void), const char *failing_kernel)
{
    int status = -1;
    pid_t child = fork();
    if (child == 0) {
        _exit(setenv("ACE_EMULATOR_FAIL_KERNEL", failing_kernel, 1) == 0 ? work() : 9);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
}

/* What the driver calls taken. */
static size_t taken(void)
{
    int (*info)(size_t *, size_t *);
    size_t free_bytes = 0;
    size_t total = 0;
    void *function = emulator_function("cudaMemGetInfo");
    memcpy(&info, &function, sizeof info);
    assert_int_equal(info(&free_bytes, &total), 0);
    return total - free_bytes;
}

static int modules(void)
{
    int (*count)(void);
    void *function = emulator_function("ace_emulator_modules");
    memcpy(&count, &function, sizeof count);
    return count();
}

/* In a process of its own, whose card is new. Context, kernels and the library are what the driver
 * shows from the first moment on, to the last byte, and more than that is never taken. */
static int everything_is_counted(void)
{
    ace_device *d = open_card(SIZE_MAX, 8192 * MIB);
    size_t held;
    bool at_first = taken() == d->workspace_bytes && modules() == CUDA_FILES;
    ace_tensor t = {reserve_there(d, 6 * MIB), ACE_F32, 512, 512, 512};
    ace_matrix m = {.shape = {.rows = 512, .cols = 512, .taps = 1, .dtype = ACE_BF16},
                    .addr = t.addr + 4 * MIB};
    float *zeros = calloc(512 * 512, sizeof *zeros);
    ace_matrix_part part = {.name = "zeros",
                            .data = zeros,
                            .dtype = ACE_F32,
                            .rows = 512,
                            .row_stride = 512,
                            .col_stride = 1};
    ace_epilogue plain = {.accumulate = false};
    ace_tensor y = {t.addr + 2 * MIB, ACE_F32, 512, 512, 512};
    bool packed = d->ops->matrix_pack(d, &m, &part, 1, NULL) == ACESTEP_OK;
    d->ops->fill(d, t, 1);
    d->ops->linear(d, y, t, &m, &plain);
    bool computed = d->ops->download(d, zeros, y, NULL) == ACESTEP_OK && zeros[0] == 0;
    (void)memory_of(d, &held);
    bool at_last = taken() == d->workspace_bytes + held && held == 6 * MIB;
    d->ops->release(d, t.addr, 6 * MIB);
    free(zeros);
    ace_device_close(d);
    return at_first && packed && computed && at_last ? 0 : 1;
}

/* A driver that cannot load kernels in advance: the plan lacks them, and that is all. */
static int kernels_come_late(void)
{
    (void)setenv("ACE_EMULATOR_LAZY", "1", 1);
    ace_device *d = open_card(SIZE_MAX, 8192 * MIB);
    bool at_first = taken() == d->workspace_bytes && modules() == 0;
    float value = 0;
    ace_tensor t = {reserve_there(d, 2 * MIB), ACE_F32, 1, 1, 1};
    d->ops->fill(d, t, 1);
    bool computed = d->ops->download(d, &value, t, NULL) == ACESTEP_OK && value == 1;
    bool late = taken() > d->workspace_bytes + 2 * MIB;
    d->ops->release(d, t.addr, 2 * MIB);
    ace_device_close(d);
    return at_first && computed && late ? 0 : 1;
}

static void the_context_is_part_of_the_plan(void **state)
{
    (void)state;
    in_a_child(everything_is_counted, "0");
    in_a_child(kernels_come_late, "0");
}

/* Blocks of every size come and go: addresses are used again, and no memory stays behind. */
static void blocks_come_and_go(void **state)
{
    (void)state;
    enum { BLOCKS = 12, ROUNDS = 400 };
    ace_device *d = open_card(160 * MIB, 0);
    size_t held;
    size_t room = memory_of(d, &held);
    struct {
        uint64_t addr;
        size_t bytes;
    } block[BLOCKS] = {{0}};
    unsigned random = 1;
    int served = 0;
    for (int i = 0; i < ROUNDS; i++) {
        random = random * 1664525u + 1013904223u;
        int b = (int)(random >> 16) % BLOCKS;
        if (block[b].addr != 0) {
            float end = 0; /* every block is its own to the last number */
            ace_tensor t = {block[b].addr + block[b].bytes - 4, ACE_F32, 1, 1, 1};
            assert_int_equal(d->ops->download(d, &end, t, NULL), ACESTEP_OK);
            assert_true(end == (float)b);
            d->ops->release(d, block[b].addr, block[b].bytes);
            block[b].addr = 0;
            continue;
        }
        block[b].bytes = (1 + (random >> 8) % (8 * MIB / 4)) * 4;
        if (d->ops->reserve(d, block[b].bytes, &block[b].addr, NULL) != ACESTEP_OK) {
            block[b].addr = 0; /* the cap */
            continue;
        }
        served++;
        ace_tensor t = {block[b].addr, ACE_F32, 1, (int64_t)block[b].bytes / 4,
                        (int64_t)block[b].bytes / 4};
        d->ops->fill(d, t, (float)b);
    }
    assert_true(served > ROUNDS / 4);
    for (int b = 0; b < BLOCKS; b++) {
        if (block[b].addr != 0) {
            d->ops->release(d, block[b].addr, block[b].bytes);
        }
    }
    assert_int_equal(memory_of(d, &held), room);
    assert_int_equal(held, 0);
    assert_int_equal(leftovers(), 2); /* the addresses and the workspace */
    ace_device_close(d);
    assert_int_equal(leftovers(), 0);
}

/* A block that operations still write goes when they are done: else they would fault. */
static void release_waits_for_operations(void **state)
{
    (void)state;
    ace_device *d = open_card(SIZE_MAX, 0);
    ace_tensor t = {reserve_there(d, MIB), ACE_F32, 1, 1 << 18, 1 << 18};
    d->ops->fill(d, t, 1);
    d->ops->release(d, t.addr, MIB);
    ace_device_close(d);
}

static void without_virtual_memory(void **state)
{
    assert_int_equal(setenv("ACE_EMULATOR_VMM", "0", 1), 0);
    the_cap_holds(state);
    ace_device *d = open_card(SIZE_MAX, 0);
    assert_int_equal(leftovers(), 0);
    ace_device_close(d);
    assert_int_equal(unsetenv("ACE_EMULATOR_VMM"), 0);
}

/* Opens, reserves twice, releases one; whatever fails, one error says so. */
static ace_status use_memory(ace_error *err)
{
    const ace_plugin_options options = {.cap_bytes = SIZE_MAX};
    ace_device *d = NULL;
    uint64_t a = 0;
    uint64_t b = 0;
    ace_status status = ace_plugin_open(emulated_plugin(), &options, &d, err);
    if (status != ACESTEP_OK) {
        return status;
    }
    status = d->ops->reserve(d, 3 * MIB, &a, err);
    if (status == ACESTEP_OK) {
        status = d->ops->reserve(d, 5 * MIB, &b, err);
        d->ops->release(d, a, 3 * MIB);
    }
    if (b != 0) { /* an error of a release comes to light with what follows */
        uint64_t c = 0;
        ace_status next = d->ops->reserve(d, MIB, &c, status == ACESTEP_OK ? err : NULL);
        status = status == ACESTEP_OK ? next : status;
    }
    assert_int_equal(unsetenv("ACE_EMULATOR_FAIL_CALL"), 0);
    ace_device_close(d); /* what was not released goes with it */
    return status;
}

static void every_call_of_the_driver_may_fail(void **state)
{
    static const struct {
        const char *code;
        ace_status wanted;
        const char *says;
    } ways[] = {{"999", ACESTEP_FAILED, "error 999 of the driver"},
                {"2", ACESTEP_MEMORY, "the driver does not have"}};
    (void)state;
    for (int way = 0; way < 2; way++) {
        int failures = 0;
        bool complete = false;
        assert_int_equal(setenv("ACE_EMULATOR_FAIL_CODE", ways[way].code, 1), 0);
        for (int n = 1; !complete && n < 100; n++) {
            char number[8];
            ace_error err = {.code = ACESTEP_OK};
            (void)snprintf(number, sizeof number, "%d", n);
            count_calls_anew();
            assert_int_equal(setenv("ACE_EMULATOR_FAIL_CALL", number, 1), 0);
            ace_status status = use_memory(&err);
            if (status != ACESTEP_OK) {
                failures++;
                bool released = strstr(err.message, "giving memory back") != NULL;
                assert_int_equal(status, released ? ACESTEP_FAILED : ways[way].wanted);
                if (!released && strstr(err.message, ways[way].says) == NULL) {
                    fail_msg("%s", err.message);
                }
            }
            complete = status == ACESTEP_OK && n > 2; /* the first two: cudaMalloc does instead */
            assert_int_equal(leftovers(), 0);
        }
        assert_int_equal(failures, 3 * 4 + 1 + 4); /* workspace and blocks; unmap; the last block */
    }
    assert_int_equal(unsetenv("ACE_EMULATOR_FAIL_CODE"), 0);
}

/* ---- copies
 * ----------------------------------------------------------------------------------------- */

static void round_trip(ace_device *d, ace_dtype dtype, int64_t rows, int64_t cols, int64_t stride)
{
    size_t n = (size_t)(rows * cols);
    size_t bytes = (size_t)(rows * stride) * ace_dtype_bytes(dtype);
    float *out = calloc(n, sizeof *out);
    float *in = calloc(n, sizeof *in);
    assert_true(out != NULL && in != NULL);
    ace_tensor whole = {reserve_there(d, bytes), dtype, rows, stride, stride};
    ace_tensor part = ace_cols(whole, stride - cols, cols);
    for (size_t i = 0; i < n; i++) {
        out[i] = value_at((int64_t)i);
    }
    d->ops->fill(d, whole, 7);
    assert_int_equal(d->ops->upload(d, part, out, NULL), ACESTEP_OK);
    memset(out, 0xff, n * sizeof *out); /* the caller's, once the call is over */
    assert_int_equal(d->ops->download(d, in, part, NULL), ACESTEP_OK);
    for (size_t i = 0; i < n; i++) {
        assert_true(in[i] == value_at((int64_t)i));
    }
    if (stride > cols) { /* the gap is as it was */
        ace_tensor gap = ace_cols(whole, 0, stride - cols);
        gap.rows = 1;
        assert_int_equal(d->ops->download(d, in, gap, NULL), ACESTEP_OK);
        assert_true(in[0] == 7 && in[stride - cols - 1] == 7);
    }
    d->ops->release(d, whole.addr, bytes);
    free(out);
    free(in);
}

static void copies_of(ace_device *d)
{
    for (int i = 0; i < 2; i++) {
        ace_dtype dtype = i == 0 ? ACE_F32 : ACE_BF16;
        round_trip(d, dtype, 1, 1, 1);
        round_trip(d, dtype, 3, 5, 9);
        round_trip(d, dtype, 40000, 90, 96);       /* many rows in a slot */
        round_trip(d, dtype, 3, 2500000, 2500001); /* a row in several */
    }
}

static void copies_are_exact(void **state)
{
    (void)state;
    ace_device *d = open_card(SIZE_MAX, 0);
    copies_of(d);
    ace_device_close(d);
    assert_int_equal(setenv("ACE_EMULATOR_PINNED", "0", 1), 0);
    d = open_card(SIZE_MAX, 0);
    copies_of(d);
    ace_device_close(d);
    assert_int_equal(unsetenv("ACE_EMULATOR_PINNED"), 0);
}

typedef struct writing {
    ace_device *device;
    uint64_t addr;
    const float *from;
    size_t bytes;
} writing;

static void *write_there(void *context)
{
    const writing *w = context;
    return w->device->ops->write(w->device, w->addr, w->from, w->bytes, NULL) == ACESTEP_OK
               ? context
               : NULL;
}

/* What operations issued before still read is read before it is replaced, and what comes after sees
 * the new bytes. */
static void a_write_from_another_thread_keeps_the_order(void **state)
{
    (void)state;
    enum { N = 3 << 20 };
    ace_device *d = open_card(SIZE_MAX, 0);
    size_t bytes = (size_t)N * sizeof(float);
    ace_tensor source = {reserve_there(d, bytes), ACE_F32, 1, N, N};
    ace_tensor before = {reserve_there(d, bytes), ACE_F32, 1, N, N};
    ace_tensor after = {reserve_there(d, bytes), ACE_F32, 1, N, N};
    float *values = calloc(N, sizeof *values);
    assert_non_null(values);
    for (int64_t i = 0; i < N; i++) {
        values[i] = value_at(i);
    }
    d->ops->fill(d, source, 3);
    d->ops->copy(d, before, source);
    writing w = {d, source.addr, values, bytes};
    pthread_t thread;
    void *well = NULL;
    assert_int_equal(pthread_create(&thread, NULL, write_there, &w), 0);
    assert_int_equal(pthread_join(thread, &well), 0);
    assert_non_null(well);
    d->ops->copy(d, after, source);
    assert_int_equal(d->ops->download(d, values, before, NULL), ACESTEP_OK);
    assert_true(values[0] == 3 && values[N - 1] == 3);
    assert_int_equal(d->ops->download(d, values, after, NULL), ACESTEP_OK);
    assert_true(values[0] == value_at(0) && values[N - 1] == value_at(N - 1));
    d->ops->release(d, source.addr, bytes);
    d->ops->release(d, before.addr, bytes);
    d->ops->release(d, after.addr, bytes);
    free(values);
    ace_device_close(d);
}

/* Copies that come behind a mark: more than the ring holds, so that the first of them are made
 * while the last are issued. */
static void copies_behind_a_mark(void)
{
    enum { N = 6 << 20 };
    ace_device *d = open_card(SIZE_MAX, 0);
    size_t bytes = (size_t)N * sizeof(float);
    ace_tensor source = {reserve_there(d, bytes), ACE_F32, 1, N, N};
    ace_tensor before = {reserve_there(d, bytes), ACE_F32, 1, N, N};
    ace_tensor after = {reserve_there(d, bytes), ACE_F32, 1, N, N};
    float *values = calloc(N, sizeof *values);
    assert_non_null(values);
    for (int64_t i = 0; i < N; i++) {
        values[i] = value_at(i);
    }
    uint64_t kernels = kernels_run();
    uint64_t written = 0;
    d->ops->fill(d, source, 3);
    d->ops->copy(d, before, source);
    uint64_t mark = d->ops->mark(d);
    d->ops->fill(d, after, 9); /* the copies need not wait for it */
    assert_int_equal(kernels_run(), kernels);
    assert_int_equal(d->ops->write_after(d, mark, source.addr, values, bytes, &written, NULL),
                     ACESTEP_OK);
    memset(values, 0xff, bytes); /* the caller's, once the call is over */
    assert_int_equal(kernels_run(), kernels + 2);
    d->ops->await(d, written);
    d->ops->copy(d, after, source);
    assert_int_equal(d->ops->download(d, values, after, NULL), ACESTEP_OK);
    assert_true(values[0] == value_at(0) && values[N - 1] == value_at(N - 1));
    assert_int_equal(d->ops->download(d, values, before, NULL), ACESTEP_OK);
    assert_true(values[0] == 3 && values[N - 1] == 3);
    free(values);
    /* a copy on its way when its place is given back */
    mark = d->ops->mark(d);
    assert_int_equal(d->ops->write_after(d, mark, source.addr, &mark, sizeof mark, &written, NULL),
                     ACESTEP_OK);
    d->ops->release(d, source.addr, bytes);
    d->ops->release(d, before.addr, bytes);
    d->ops->release(d, after.addr, bytes);
    ace_device_close(d);
}

static void a_write_waits_for_its_mark_only(void **state)
{
    (void)state;
    copies_behind_a_mark();
    assert_int_equal(setenv("ACE_EMULATOR_EAGER", "1", 1), 0);
    copies_behind_a_mark();
    assert_int_equal(unsetenv("ACE_EMULATOR_EAGER"), 0);
}

/* ---- opening
 * ---------------------------------------------------------------------------------------- */

static void refused(const ace_plugin_options *options, ace_status wanted, const char *says)
{
    ace_device *d = NULL;
    ace_error err = {.code = ACESTEP_OK};
    assert_int_equal(ace_plugin_open(emulated_plugin(), options, &d, &err), wanted);
    assert_null(d);
    if (strstr(err.message, says) == NULL) {
        fail_msg("%s", err.message);
    }
}

static void cards_that_cannot_be_used(void **state)
{
    (void)state;
    const ace_plugin_options fifth = {.card = 5, .cap_bytes = SIZE_MAX};
    const ace_plugin_options first = {.cap_bytes = SIZE_MAX};
    refused(&fifth, ACESTEP_UNSUPPORTED, "there is no card 5");
    assert_int_equal(setenv("ACE_EMULATOR_CAPABILITY", "70", 1), 0);
    refused(&first, ACESTEP_UNSUPPORTED, "compute capability 7.0");
    assert_int_equal(unsetenv("ACE_EMULATOR_CAPABILITY"), 0);
    assert_int_equal(setenv("ACE_EMULATOR_CARDS", "0", 1), 0);
    refused(&first, ACESTEP_UNSUPPORTED, "cudaErrorNoDevice");
    assert_int_equal(unsetenv("ACE_EMULATOR_CARDS"), 0);
}

static void shortage_of_host_memory(void **state)
{
    (void)state;
    const ace_plugin_options options = {.cap_bytes = SIZE_MAX};
    const ace_plugin *plugin = emulated_plugin();
    uint64_t before = ace_memory_live();
    assert_int_equal(setenv("ACE_EMULATOR_PINNED", "0", 1), 0);
    bool opened = false;
    for (uint64_t n = 1; !opened && n < 50; n++) {
        ace_device *d = NULL;
        ace_error err = {.code = ACESTEP_OK};
        ace_memory_fail_at(n);
        opened = ace_plugin_open(plugin, &options, &d, &err) == ACESTEP_OK;
        ace_memory_fail_at(0);
        assert_true(opened || err.code == ACESTEP_MEMORY);
        ace_device_close(d);
        assert_int_equal(ace_memory_live(), before);
    }
    assert_true(opened);
    assert_int_equal(unsetenv("ACE_EMULATOR_PINNED"), 0);
}

/* ---- errors
 * ----------------------------------------------------------------------------------------- */

/* Exit status 0 when everything is as it should be. */
static int break_card(void)
{
    float value = 0;
    uint64_t addr = 0;
    ace_device *d = open_card(SIZE_MAX, 0);
    ace_tensor t = {reserve_there(d, 256), ACE_F32, 1, 1, 1};
    ace_error err = {.code = ACESTEP_OK};
    d->ops->fill(d, t, 1); /* the first kernel fails, and nobody knows yet */
    d->ops->fill(d, t, 2);
    if (d->ops->download(d, &value, t, &err) != ACESTEP_FAILED ||
        strstr(err.message, "illegal memory access") == NULL) {
        return 1;
    }
    d->ops->fill(d, t, 3); /* does nothing */
    if (d->ops->upload(d, t, &value, NULL) != ACESTEP_FAILED ||
        d->ops->write(d, t.addr, &value, sizeof value, NULL) != ACESTEP_FAILED ||
        d->ops->reserve(d, 1, &addr, NULL) != ACESTEP_FAILED) {
        return 2;
    }
    size_t held;
    int free_bytes = (int)memory_of(d, &held);
    d->ops->release(d, t.addr, 256);
    ace_device_close(d);
    return leftovers() == 0 ? free_bytes : 3; /* the reset card takes everything back */
}

static void an_error_sticks(void **state)
{
    (void)state;
    in_a_child(break_card, "1");
}

/* Breaks the card by way of this device, which is then lost. */
static bool lose(ace_device *d)
{
    float value = 0;
    ace_tensor t = {reserve_there(d, 256), ACE_F32, 1, 1, 1};
    d->ops->fill(d, t, 1);
    bool failed = d->ops->download(d, &value, t, NULL) == ACESTEP_FAILED;
    d->ops->release(d, t.addr, 256);
    return failed && ace_device_is_lost(d);
}

static bool works(ace_device *d)
{
    float value = 0;
    ace_tensor t = {reserve_there(d, 256), ACE_F32, 1, 1, 1};
    d->ops->fill(d, t, 4);
    bool well = d->ops->download(d, &value, t, NULL) == ACESTEP_OK && value == 4;
    d->ops->release(d, t.addr, 256);
    return well && !ace_device_is_lost(d);
}

static bool opens(void)
{
    const ace_plugin_options options = {.cap_bytes = SIZE_MAX, .vendor_libraries = true};
    ace_device *d = NULL;
    ace_error err = {.code = ACESTEP_OK};
    bool well = ace_plugin_open(emulated_plugin(), &options, &d, &err) == ACESTEP_OK && works(d);
    ace_device_close(d);
    return well;
}

static int lose_and_open(void)
{
    ace_device *d = open_card(SIZE_MAX, 0);
    ace_device *second = open_card(SIZE_MAX, 0);
    uint64_t addr = 0;
    ace_error err = {.code = ACESTEP_OK};
    if (!lose(d)) {
        return 1;
    }
    if (!ace_device_is_lost(second) || /* they share the context, and the cause */
        second->ops->reserve(second, 1, &addr, &err) != ACESTEP_FAILED ||
        strstr(err.message, "illegal memory access") == NULL) {
        return 2;
    }
    ace_device_close(d);
    if (opens()) { /* not while the second is there */
        return 3;
    }
    ace_device_close(second);
    return opens() ? 0 : 4;
}

static void a_lost_card_is_opened_anew(void **state)
{
    (void)state;
    in_a_child(lose_and_open, "1");
}

/* The device is closed before anybody has heard of the error. */
static int lose_in_silence(void)
{
    ace_device *d = open_card(SIZE_MAX, 0);
    ace_tensor t = {reserve_there(d, 256), ACE_F32, 1, 1, 1};
    d->ops->fill(d, t, 1);
    ace_device_close(d);
    return opens() ? 0 : 1;
}

static void an_error_that_nobody_has_seen(void **state)
{
    (void)state;
    in_a_child(lose_in_silence, "1");
}

static int lose_for_good(void)
{
    (void)setenv("ACE_EMULATOR_REPAIR", "0", 1);
    ace_device *d = open_card(SIZE_MAX, 0);
    if (!lose(d)) {
        return 1;
    }
    ace_device_close(d);
    if (opens()) {
        return 2;
    }
    (void)setenv("ACE_EMULATOR_REPAIR", "1", 1); /* it is asked again */
    return opens() ? 0 : 3;
}

static void a_card_that_cannot_be_reset(void **state)
{
    (void)state;
    in_a_child(lose_for_good, "1");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_lost_card_is_opened_anew), /* before any kernel has run */
        cmocka_unit_test(an_error_that_nobody_has_seen),
        cmocka_unit_test(a_card_that_cannot_be_reset),
        cmocka_unit_test(an_error_sticks),
        cmocka_unit_test(the_context_is_part_of_the_plan), /* on a card that is still new */
        cmocka_unit_test(the_cap_holds),
        cmocka_unit_test(the_driver_may_have_less_than_the_cap),
        cmocka_unit_test(blocks_come_and_go),
        cmocka_unit_test(release_waits_for_operations),
        cmocka_unit_test(without_virtual_memory),
        cmocka_unit_test(every_call_of_the_driver_may_fail),
        cmocka_unit_test(copies_are_exact),
        cmocka_unit_test(a_write_from_another_thread_keeps_the_order),
        cmocka_unit_test(a_write_waits_for_its_mark_only),
        cmocka_unit_test(cards_that_cannot_be_used),
        cmocka_unit_test(shortage_of_host_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
