/* Compares every operation of the CUDA plug-in with the reference device: the cases of
 * kernel_check, on a card or in the emulator.
 *
 *   cuda_check [--plugin-dir DIR] [--card N] [--own-products] [--tiled-attention]
 *              [--op NAME] [--seed N] [--cases N]
 *   cuda_check [--plugin-dir DIR] [--card N] --lose
 *
 * --own-products does without cuBLASLt, --tiled-attention with the general kernel of attention
 * alone. --lose breaks the card's context by a bad address, and checks that the card can be opened
 * anew. A failure prints the operation and seed that repeat it. Exit status 3: the plug-in or a
 * card is not there. */
#include "cases.h"
#include "choice_cases.h"
#include "cpu/reference_device.h"
#include "device/plugin.h"
#include "mirror_device.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { NOT_THERE = 3, MOST_FAILURES = 3 };

typedef struct options {
    const char *folder, *op;
    ace_plugin_options plugin;
    uint64_t seed;
    int cases;
    bool lose;
} options;

typedef struct devices {
    ace_device *reference, *cuda, *mirror;
} devices;

static bool check_case(const case_operation *op, uint64_t seed, const devices *d, double *worst)
{
    trial reference;
    trial t;
    trial_begin(&reference, d->reference, seed);
    op->run(&reference);
    trial_begin(&t, d->mirror, seed);
    op->run(&t);
    const char *complaint = mirror_device_complaint(d->mirror);
    if (complaint[0] != '\0') {
        trial_fail(&t, "%s", complaint);
    }
    if (t.failure[0] == '\0') {
        trial_check_guards(&t);
        double error = trial_compare(&t, &reference);
        *worst = error > *worst ? error : *worst;
    }
    bool well = t.failure[0] == '\0';
    if (!well) {
        fprintf(stderr, "FAIL --op %s --seed %llu --cases 1\n  %s\n  %s\n", op->name,
                (unsigned long long)seed, t.about, t.failure);
    }
    trial_end(&t);
    trial_end(&reference);
    return well;
}

static int check_operation(const case_operation *op, const options *o, const devices *d)
{
    double worst = 0;
    int failures = 0;
    for (int i = 0; i < o->cases && failures < MOST_FAILURES; i++) {
        failures += !check_case(op, o->seed + (uint64_t)i, d, &worst);
    }
    printf("%-15s %4d cases, largest error in parts of the bound: %.2f%s\n", op->name, o->cases,
           worst, failures != 0 ? "  FAILED" : "");
    return failures;
}

/* Choices are whole numbers: they are right, or so close to an edge that rounding decides. */
static int check_choices(const options *o, ace_device *cuda)
{
    choice_tally t;
    choice_cases_run(cuda, o->seed, o->cases, &t);
    bool well = t.wrong == 0 && t.at_edge <= 1 + t.choices / 100;
    printf("%-15s %4lld choices, at an edge: %lld, wrong: %lld%s\n", "choose", (long long)t.choices,
           (long long)t.at_edge, (long long)t.wrong, well ? "" : "  FAILED");
    if (t.wrong > 0) {
        fprintf(stderr, "FAIL --op choose --seed %llu\n  %s\n", (unsigned long long)o->seed,
                t.first_wrong);
    }
    return !well;
}

static int open_devices(const options *o, devices *d)
{
    const ace_plugin *plugin = NULL;
    ace_error err = {.code = ACESTEP_OK};
    if (ace_plugin_load(o->folder, "cuda", &plugin, &err) != ACESTEP_OK ||
        ace_plugin_open(plugin, &o->plugin, &d->cuda, &err) != ACESTEP_OK) {
        fprintf(stderr, "cuda_check: %s\n", err.message);
        return NOT_THERE;
    }
    printf("the plug-in is built with %s; products: %s\n", plugin->about,
           o->plugin.vendor_libraries ? "cuBLASLt where it is there" : "own kernels");
    d->mirror = mirror_device_open(d->cuda);
    return ace_reference_device_open(&d->reference, &err) == ACESTEP_OK ? 0 : 1;
}

/* Nothing lies at this address: neither a card nor its driver maps the first page. */
static const uint64_t BAD_ADDRESS = 256;

/* Writes a number, to a bad address as well, and reads it again. */
static bool works(ace_device *d, bool badly, ace_error *err)
{
    float found = 0;
    ace_tensor t = {0, ACE_F32, 1, 1, 1};
    ace_tensor nowhere = {BAD_ADDRESS, ACE_F32, 1, 1, 1};
    bool well = d->ops->reserve(d, sizeof(float), &t.addr, err) == ACESTEP_OK;
    if (well) {
        d->ops->fill(d, badly ? nowhere : t, 3);
        well = d->ops->download(d, &found, t, err) == ACESTEP_OK && found == 3;
        d->ops->release(d, t.addr, sizeof(float));
    }
    return well;
}

static int lose(const options *o)
{
    const ace_plugin *plugin = NULL;
    ace_device *d = NULL;
    ace_error err = {.code = ACESTEP_OK};
    if (ace_plugin_load(o->folder, "cuda", &plugin, &err) != ACESTEP_OK ||
        ace_plugin_open(plugin, &o->plugin, &d, &err) != ACESTEP_OK) {
        fprintf(stderr, "cuda_check: %s\n", err.message);
        return NOT_THERE;
    }
    bool failed = !works(d, true, &err) && ace_device_is_lost(d);
    printf("lost: %s\n", failed ? err.message : "NO");
    ace_device_close(d);
    d = NULL;
    err = (ace_error){.code = ACESTEP_OK};
    bool back =
        ace_plugin_open(plugin, &o->plugin, &d, &err) == ACESTEP_OK && works(d, false, &err);
    printf("opened anew: %s\n", back ? "yes" : err.message);
    ace_device_close(d);
    return !(failed && back);
}

static bool parse(int argc, char **argv, options *o)
{
    for (int i = 1; i < argc; i++) {
        const char *value = i + 1 < argc ? argv[i + 1] : "";
        if (strcmp(argv[i], "--lose") == 0) {
            o->lose = true;
            continue;
        }
        if (strcmp(argv[i], "--own-products") == 0) {
            o->plugin.vendor_libraries = false;
            continue;
        }
        if (strcmp(argv[i], "--tiled-attention") == 0) {
            o->plugin.flash_attention = false;
            continue;
        }
        if (strcmp(argv[i], "--plugin-dir") == 0) {
            o->folder = value;
        } else if (strcmp(argv[i], "--card") == 0) {
            o->plugin.card = atoi(value);
        } else if (strcmp(argv[i], "--op") == 0) {
            o->op = value;
        } else if (strcmp(argv[i], "--seed") == 0) {
            o->seed = strtoull(value, NULL, 10);
        } else if (strcmp(argv[i], "--cases") == 0 && atoi(value) > 0) {
            o->cases = atoi(value);
        } else {
            fprintf(stderr, "cuda_check: %s %s: not understood\n", argv[i], value);
            return false;
        }
        i++;
    }
    return true;
}

int main(int argc, char **argv)
{
    options o = {
        .plugin = {.cap_bytes = SIZE_MAX, .vendor_libraries = true, .flash_attention = true},
        .seed = 1,
        .cases = 200};
    devices d = {0};
    if (!parse(argc, argv, &o)) {
        return 2;
    }
    ace_log_set_level(ACE_LOG_INFO);
    if (o.lose) {
        return lose(&o);
    }
    int failures = open_devices(&o, &d);
    if (failures == 0) {
        for (int i = 0; i < CASE_OPERATIONS; i++) {
            if (o.op == NULL || strcmp(o.op, case_operations[i].name) == 0) {
                failures += check_operation(&case_operations[i], &o, &d);
            }
        }
        if (o.op == NULL || strcmp(o.op, "choose") == 0) {
            failures += check_choices(&o, d.cuda);
        }
        failures = failures != 0;
    }
    ace_device_close(d.mirror);
    ace_device_close(d.cuda);
    ace_device_close(d.reference);
    return failures;
}
