#include "hardware/hardware.h"

#include "hardware/parts.h"

#include <limits.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

static const double GB = 1073741824.0;

const char *ace_device_kind_name(ace_device_kind kind)
{
    static const char *const names[] = {"cpu", "sim", "cuda"};
    return names[kind];
}

static void diagnose(ace_hardware *h, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

static void diagnose(ace_hardware *h, const char *format, ...)
{
    if (h->n_diagnoses < ACE_MAX_DIAGNOSES) {
        va_list args;
        va_start(args, format);
        (void)vsnprintf(h->diagnosis[h->n_diagnoses], sizeof h->diagnosis[0], format, args);
        va_end(args);
        h->n_diagnoses++;
    }
}

/* ---- the simulated size ---------------------------------------------------------------------- */

uint64_t ace_simulated_cap(double gb)
{
    double usable = gb - ACE_CONTEXT_GB;
    return (uint64_t)((usable > 0.5 ? usable : 0.5) * GB);
}

/* A decimal number and nothing else; strtod alone would take "0x8" and "inf" too. */
static bool read_gb(const char *text, double *out)
{
    char *end = NULL;
    if (text[strspn(text, "0123456789+-.eE \t")] != '\0') {
        return false;
    }
    *out = strtod(text, &end);
    return end != text && end[strspn(end, " \t")] == '\0' && isfinite(*out);
}

/* The first of the variables that holds a number (gpu.md 2.2). */
static bool read_simulation(const ace_hardware_wishes *w, ace_hardware *h)
{
    const char *const names[] = {"MAX_CUDA_VRAM", "MAX_MPS_VRAM", "MAX_XPU_VRAM"};
    const char *const texts[] = {w->max_cuda_vram, w->max_mps_vram, w->max_xpu_vram};
    for (int i = 0; i < 3; i++) {
        if (texts[i] == NULL || texts[i][0] == '\0') {
            continue;
        }
        double gb = 0;
        if (!read_gb(texts[i], &gb)) {
            (void)snprintf(h->warning, sizeof h->warning,
                           "%s: \"%.40s\" is not a number of GB; it is ignored", names[i],
                           texts[i]);
            continue;
        }
        h->simulated = true;
        h->gb = gb > 0 ? (gb < 1024 ? gb : 1024) : 0;
        (void)snprintf(h->variable, sizeof h->variable, "%s", names[i]);
        return true;
    }
    return false;
}

/* Cards report a little less than their name says: up to half a gigabyte below a nominal size
 * counts as that size (DEC2 of gpu.md; the original's tolerance at 16 GB). */
static double nominal_gb(double gb)
{
    static const double sizes[] = {8, 12, 16, 20, 24};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        if (gb < sizes[i] && gb >= sizes[i] - 0.5) {
            return sizes[i];
        }
    }
    return gb;
}

/* ---- the choice of a device ------------------------------------------------------------------ */

/* Has the plug-in code for it? Yes where the driver did not say what it is. */
static bool is_supported(const ace_hardware_wishes *w, const ace_gpu *gpu)
{
    int capability = 10 * gpu->capability_major + gpu->capability_minor;
    return capability == 0 || capability >= w->cuda_capability;
}

/* The card asked for, or the one with the most memory; ties: the lowest index. */
static int choose_card(const ace_hardware_wishes *w, const ace_hardware *h, int wanted)
{
    int best = -1;
    for (int i = 0; i < h->n_gpus; i++) {
        if (!is_supported(w, &h->gpu[i])) {
            continue;
        }
        if (wanted >= 0) {
            best = h->gpu[i].index == wanted ? i : best;
        } else if (best < 0 || h->gpu[i].total_bytes > h->gpu[best].total_bytes) {
            best = i;
        }
    }
    return best;
}

/* "cuda:N" names a card, as --gpu does; -1: any. What is no number names a card that is not there. */
static int wanted_card(const ace_hardware_wishes *w)
{
    if (w->device == NULL || strncasecmp(w->device, "cuda:", 5) != 0) {
        return w->gpu;
    }
    const char *digits = w->device + 5;
    size_t n = strspn(digits, "0123456789");
    bool is_number = n > 0 && n < 6 && digits[n] == '\0';
    return is_number ? (int)strtol(digits, NULL, 10) : INT_MAX;
}

/* A card that is not there leads to the largest one (gpu.md 2.4: cuda comes first). */
static void find_card(const ace_hardware_wishes *w, ace_hardware *h)
{
    int wanted = wanted_card(w);
    h->chosen = choose_card(w, h, wanted);
    if (h->chosen < 0 && wanted >= 0) {
        h->chosen = choose_card(w, h, -1);
        if (wanted == w->gpu) {
            (void)snprintf(h->wanted, sizeof h->wanted, "cuda:%d", wanted);
        } else {
            (void)snprintf(h->wanted, sizeof h->wanted, "%.31s", w->device);
        }
    }
}

static bool is_device(const ace_hardware_wishes *w, const char *name)
{
    return w->device != NULL && strcasecmp(w->device, name) == 0;
}

static void use_cpu(ace_hardware *h)
{
    h->device = ACE_DEVICE_CPU;
    ace_hardware_cpu_name(h->device_name, sizeof h->device_name);
    h->total_bytes = h->host_total_bytes;
    h->cap_bytes = h->host_total_bytes;
}

static void use_sim(ace_hardware *h)
{
    h->device = ACE_DEVICE_SIM;
    if (!h->simulated) { /* a card as large as the memory there is */
        h->gb = (double)h->host_available_bytes / GB;
    }
    (void)snprintf(h->device_name, sizeof h->device_name, "simulated %.4g GB card", h->gb);
    h->total_bytes = (uint64_t)(h->gb * GB);
    h->cap_bytes = ace_simulated_cap(h->gb);
}

bool ace_hardware_has_flash_attention(const ace_hardware *h)
{
    return h->device == ACE_DEVICE_CUDA && h->gpu[h->chosen].capability_major >= 8;
}

static void use_card(ace_hardware *h)
{
    const ace_gpu *gpu = &h->gpu[h->chosen];
    double real = (double)gpu->total_bytes / GB;
    h->device = ACE_DEVICE_CUDA;
    (void)snprintf(h->device_name, sizeof h->device_name, "%s", gpu->name);
    h->total_bytes = gpu->total_bytes;
    h->cap_bytes = gpu->total_bytes;
    if (!h->simulated) {
        h->gb = nominal_gb(real);
    } else if (h->gb < real) {
        h->cap_bytes = ace_simulated_cap(h->gb);
    } else {
        (void)snprintf(h->warning, sizeof h->warning,
                       "%s: %.4g GB is more than the %.2f GB of the card; the card's own size "
                       "is the cap",
                       h->variable, h->gb, real);
    }
}

static void explain_missing_card(const ace_hardware_wishes *w, ace_hardware *h)
{
    const ace_gpu *gpu = &h->gpu[h->chosen >= 0 ? h->chosen : 0];
    if (h->n_gpus > 0 && !w->cuda_plugin) {
        bool is_known = w->plugin_problem != NULL && w->plugin_problem[0] != '\0';
        diagnose(h, "%s is there, but the CUDA plug-in of acestep cannot be used: %.400s",
                 gpu->name, is_known ? w->plugin_problem : "build it with make cuda");
    } else if (h->n_gpus > 0 && h->chosen < 0) {
        diagnose(
            h, "%s is there, but its compute capability is %d.%d, and the CUDA plug-in needs %d.%d",
            gpu->name, gpu->capability_major, gpu->capability_minor, w->cuda_capability / 10,
            w->cuda_capability % 10);
    } else if (h->driver) {
        diagnose(h, "the NVIDIA driver answers but shows no card; is CUDA_VISIBLE_DEVICES empty?");
    } else if (ace_hardware_has_nvidia_files()) {
        diagnose(h, "an NVIDIA card seems to be there, but its driver's library (libcuda.so.1) "
                    "cannot be loaded: install or update the driver, then try nvidia-smi");
    } else {
        diagnose(h, "no NVIDIA driver is installed, and no card was found");
    }
    if (h->n_gpus == 0 && w->device != NULL && strncasecmp(w->device, "cuda", 4) == 0 &&
        w->plugin_problem != NULL && w->plugin_problem[0] != '\0') {
        diagnose(h, "%.600s", w->plugin_problem);
    }
    diagnose(h, "MAX_CUDA_VRAM=8 simulates a card of 8 GB, with its limits and a hard cap");
}

/* gpu.md 2.4. Devices that this program has no code for lead to the next one in line. */
static void choose_device(const ace_hardware_wishes *w, ace_hardware *h)
{
    bool automatic = w->device == NULL || w->device[0] == '\0' || is_device(w, "auto");
    bool wants_sim = is_device(w, "sim");
    bool wants_cpu = is_device(w, "cpu");
    bool has_card = h->chosen >= 0 && w->cuda_plugin;
    if (wants_cpu) {
        use_cpu(h);
        return;
    }
    if (wants_sim) {
        use_sim(h);
        return;
    }
    if (!automatic && (strncasecmp(w->device, "cuda", 4) != 0 || !has_card)) {
        (void)snprintf(h->wanted, sizeof h->wanted, "%.31s", w->device);
    }
    if (has_card) {
        use_card(h);
        return;
    }
    explain_missing_card(w, h);
    if (h->simulated) {
        use_sim(h);
    } else {
        use_cpu(h);
    }
}

void ace_hardware_detect(const ace_hardware_wishes *wishes, ace_hardware *out)
{
    memset(out, 0, sizeof *out);
    ace_hardware_host(out);
    ace_hardware_nvidia(out);
    ace_hardware_choose(wishes, out);
}

void ace_hardware_choose(const ace_hardware_wishes *wishes, ace_hardware *h)
{
    find_card(wishes, h);
    (void)read_simulation(wishes, h);
    choose_device(wishes, h);
}
