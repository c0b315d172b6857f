/* Compares every operation of the CPU device with the reference device: on every instruction-set
 * level this CPU has, with 1, 2 and 3 threads, whose results must be the same bits.
 *
 *   kernel_check [--bench] [--op NAME] [--level NAME] [--seed N] [--cases N]
 *
 * --bench measures instead; its further operation "threads" is the thread pool alone.
 * A failure prints the operation and seed that repeat it: --op NAME --seed N --cases 1. */
#include "cases.h"
#include "cpu/cpu_device.h"
#include "cpu/reference_device.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_THREADS = 3, LEVELS = ACE_CPU_BEST + 1, DEFAULT_CASES = 200 };

#define THREADS "threads"

typedef struct options {
    const char *op;
    ace_cpu_level first_level, last_level;
    uint64_t seed;
    int cases;
    bool bench;
} options;

typedef struct devices {
    ace_device *reference;
    ace_device *cpu[LEVELS][MAX_THREADS + 1]; /* by number of threads; [0] unused */
} devices;

/* The largest error of an operation in parts of its bound, per level. */
typedef struct tally {
    double worst[LEVELS];
    int failures;
} tally;

static void report(const char *op, uint64_t seed, ace_cpu_level level, int threads, const trial *t)
{
    fprintf(stderr, "FAIL --op %s --seed %llu --cases 1 --level %s (%d threads)\n  %s\n  %s\n", op,
            (unsigned long long)seed, ace_cpu_level_name(level), threads, t->about, t->failure);
}

static void compare_bits(trial *t, const trial *single)
{
    size_t bytes = (size_t)t->output.cols * ace_dtype_bytes(t->output.dtype);
    for (int64_t r = 0; r < t->output.rows; r++) {
        ace_tensor a = ace_rows(t->output, r, 1);
        ace_tensor b = ace_rows(single->output, r, 1);
        if (memcmp((void *)(uintptr_t)a.addr, (void *)(uintptr_t)b.addr, bytes) != 0) {
            trial_fail(t, "row %lld: other bits than with one thread", (long long)r);
        }
    }
}

static void check_level(const case_operation *op, uint64_t seed, ace_cpu_level level,
                        const devices *d, const trial *reference, tally *result)
{
    trial single;
    for (int threads = 1; threads <= MAX_THREADS; threads++) {
        trial more;
        trial *t = threads == 1 ? &single : &more;
        trial_begin(t, d->cpu[level][threads], seed);
        op->run(t);
        if (t->failure[0] == '\0') {
            trial_check_guards(t);
            double worst = trial_compare(t, reference);
            result->worst[level] = worst > result->worst[level] ? worst : result->worst[level];
        }
        if (threads > 1) {
            compare_bits(t, &single);
        }
        if (t->failure[0] != '\0') {
            report(op->name, seed, level, threads, t);
            result->failures++;
        }
        if (threads > 1) {
            trial_end(t);
        }
    }
    trial_end(&single);
}

static int check_operation(const case_operation *op, const options *o, const devices *d)
{
    tally result = {0};
    for (int i = 0; i < o->cases && result.failures < 10; i++) {
        uint64_t seed = o->seed + (uint64_t)i;
        trial reference;
        trial_begin(&reference, d->reference, seed);
        op->run(&reference);
        trial_check_guards(&reference);
        if (reference.failure[0] != '\0') {
            fprintf(stderr, "reference device: ");
            report(op->name, seed, o->first_level, 1, &reference);
            result.failures++;
        } else {
            for (int level = (int)o->first_level; level <= (int)o->last_level; level++) {
                check_level(op, seed, (ace_cpu_level)level, d, &reference, &result);
            }
        }
        trial_end(&reference);
    }
    printf("%-15s %4d cases, largest error in parts of the bound:", op->name, o->cases);
    for (int level = (int)o->first_level; level <= (int)o->last_level; level++) {
        printf(" %s %.2f", ace_cpu_level_name((ace_cpu_level)level), result.worst[level]);
    }
    printf("%s\n", result.failures != 0 ? "  FAILED" : "");
    return result.failures;
}

static bool open_devices(devices *d, const options *o)
{
    ace_error err = {0};
    bool ok = ace_reference_device_open(&d->reference, &err) == ACESTEP_OK;
    for (int level = (int)o->first_level; ok && level <= (int)o->last_level; level++) {
        for (int threads = 1; ok && threads <= MAX_THREADS; threads++) {
            ok = ace_cpu_device_open(threads, (ace_cpu_level)level, &d->cpu[level][threads],
                                     &err) == ACESTEP_OK;
        }
    }
    if (!ok) {
        fprintf(stderr, "kernel_check: %s\n", err.message);
    }
    return ok;
}

static void close_devices(devices *d)
{
    for (int level = 0; level < LEVELS; level++) {
        for (int threads = 1; threads <= MAX_THREADS; threads++) {
            ace_device_close(d->cpu[level][threads]);
        }
    }
    ace_device_close(d->reference);
}

static int check_all(const options *o)
{
    devices d = {0};
    int failures = 1;
    if (open_devices(&d, o)) {
        failures = 0;
        for (int i = 0; i < CASE_OPERATIONS; i++) {
            if (o->op == NULL || strcmp(o->op, case_operations[i].name) == 0) {
                failures += check_operation(&case_operations[i], o, &d);
            }
        }
    }
    close_devices(&d);
    return failures;
}

static int bench_all(const options *o)
{
    bool only_threads = o->op != NULL && strcmp(o->op, THREADS) == 0;
    if (only_threads || o->op == NULL) {
        bench_threads();
    }
    if (only_threads) {
        return 0;
    }
    for (int level = (int)o->first_level; level <= (int)o->last_level; level++) {
        ace_error err = {0};
        ace_device *device;
        if (ace_cpu_device_open(0, (ace_cpu_level)level, &device, &err) != ACESTEP_OK) {
            fprintf(stderr, "kernel_check: %s\n", err.message);
            return 1;
        }
        bench_run(o->op, device, ace_cpu_level_name((ace_cpu_level)level));
        ace_device_close(device);
    }
    return 0;
}

static bool is_operation(const char *name)
{
    for (int i = 0; i < CASE_OPERATIONS; i++) {
        if (strcmp(name, case_operations[i].name) == 0) {
            return true;
        }
    }
    return false;
}

static bool parse(int argc, char **argv, options *o)
{
    for (int i = 1; i < argc; i++) {
        const char *value = i + 1 < argc ? argv[i + 1] : "";
        if (strcmp(argv[i], "--bench") == 0) {
            o->bench = true;
            continue;
        }
        bool is_bench = o->bench && strcmp(value, THREADS) == 0;
        if (strcmp(argv[i], "--op") == 0 && (is_operation(value) || is_bench)) {
            o->op = value;
        } else if (strcmp(argv[i], "--seed") == 0 && *value != '\0') {
            o->seed = strtoull(value, NULL, 10);
        } else if (strcmp(argv[i], "--cases") == 0 && atoi(value) > 0) {
            o->cases = atoi(value);
        } else if (strcmp(argv[i], "--level") == 0 && ace_cpu_level_parse(value, &o->first_level) &&
                   o->first_level <= o->last_level) {
            o->last_level = o->first_level;
        } else {
            fprintf(stderr, "kernel_check: %s %s: not understood, or not on this CPU\n", argv[i],
                    value);
            return false;
        }
        i++;
    }
    return true;
}

int main(int argc, char **argv)
{
    options o = {.first_level = ACE_CPU_GENERIC,
                 .last_level = ace_cpu_detect(),
                 .seed = 1,
                 .cases = DEFAULT_CASES};
    if (!parse(argc, argv, &o)) {
        return 2;
    }
    return (o.bench ? bench_all(&o) : check_all(&o)) != 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}
