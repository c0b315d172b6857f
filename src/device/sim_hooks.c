/* The hooks of the simulated card: reservations that fail, and memory that others take. */
#include "device/sim.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static const double GIB = 1024.0 * 1024.0 * 1024.0;

/* What stands behind the colon: reads it into the hook, and tells where reading stopped. */
typedef const char *read_value(const char *text, ace_sim_hook *hook);

/* "*" or the number of a reservation, from 1 on. */
static const char *read_count(const char *text, ace_sim_hook *hook)
{
    if (*text == '*') {
        hook->nth = 0;
        return text + 1;
    }
    if (*text < '1' || *text > '9') {
        return NULL;
    }
    char *end = NULL;
    hook->nth = strtoull(text, &end, 10);
    return end;
}

static const char *read_gb(const char *text, ace_sim_hook *hook)
{
    if ((*text < '0' || *text > '9') && *text != '.') {
        return NULL;
    }
    char *end = NULL;
    double gb = strtod(text, &end);
    if (end == text || !isfinite(gb) || gb > 1e6) {
        return NULL;
    }
    hook->bytes = (size_t)(gb * GIB);
    return end;
}

/* One "stage:value"; NULL when it is none. */
static const char *read_hook(const char *text, read_value *read, ace_sim_hook *hook)
{
    size_t n = strcspn(text, ":,");
    if (n == 0 || n >= sizeof hook->stage || text[n] != ':') {
        return NULL;
    }
    memcpy(hook->stage, text, n);
    hook->stage[n] = '\0';
    return read(text + n + 1, hook);
}

/* A list "stage:value,stage:value"; NULL and "" are empty lists. */
static bool read_hooks(const char *text, read_value *read, ace_sim_hook *hooks, int *n)
{
    while (text != NULL && *text != '\0') {
        if (*n == ACE_SIM_MAX_HOOKS) {
            return false;
        }
        text = read_hook(text, read, &hooks[(*n)++]);
        if (text == NULL || (*text != '\0' && *text != ',') || (*text == ',' && text[1] == '\0')) {
            return false;
        }
        text += *text == ',';
    }
    return true;
}

ace_status ace_sim_hooks_read(ace_sim_hooks *hooks, const ace_sim_options *options, ace_error *err)
{
    if (!read_hooks(options->fail_alloc, read_count, hooks->fail, &hooks->n_fail)) {
        return ace_fail(err, ACESTEP_ARGUMENT,
                        "sim: allocations to fail are named STAGE:N or STAGE:*, separated by "
                        "commas, at most %d; got \"%s\"",
                        ACE_SIM_MAX_HOOKS, options->fail_alloc);
    }
    if (!read_hooks(options->shrink, read_gb, hooks->shrink, &hooks->n_shrink)) {
        return ace_fail(err, ACESTEP_ARGUMENT,
                        "sim: memory that others take is named STAGE:GB, separated by commas, at "
                        "most %d; got \"%s\"",
                        ACE_SIM_MAX_HOOKS, options->shrink);
    }
    return ACESTEP_OK;
}

bool ace_sim_hooks_fail(ace_sim_hooks *hooks, const char *stage, size_t *used)
{
    const char *label = stage != NULL ? stage : "";
    if (hooks->reservations == 0 || strncmp(hooks->stage, label, sizeof hooks->stage - 1) != 0) {
        strncpy(hooks->stage, label, sizeof hooks->stage - 1);
        hooks->reservations = 0;
        for (int i = 0; i < hooks->n_shrink; i++) {
            if (strcmp(hooks->shrink[i].stage, hooks->stage) == 0) {
                *used = hooks->shrink[i].bytes;
            }
        }
    }
    hooks->reservations++;
    for (int i = 0; i < hooks->n_fail; i++) {
        uint64_t nth = hooks->fail[i].nth;
        if (strcmp(hooks->fail[i].stage, hooks->stage) == 0 &&
            (nth == 0 || nth == hooks->reservations)) {
            return true;
        }
    }
    return false;
}
