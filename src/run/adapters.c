#include "run/adapters.h"

#include "base/log.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { PATH_BYTES = 4200 };

static const double SMALLEST_SCALE = -2;
static const double LARGEST_SCALE = 4;

/* Cuts ":SCALE" off a path; a colon that no number follows belongs to the path. */
static ace_status read_scale(char *path, float *scale, ace_error *err)
{
    char *colon = strrchr(path, ':');
    char *end = NULL;
    *scale = 1;
    if (colon == NULL || colon[1] == '\0') {
        return ACESTEP_OK;
    }
    double value = strtod(colon + 1, &end);
    if (*end != '\0') {
        return ACESTEP_OK;
    }
    if (!(value >= SMALLEST_SCALE && value <= LARGEST_SCALE)) {
        return ace_fail(err, ACESTEP_ARGUMENT, "lora: scale %.20s of %.200s is not in %g to %g",
                        colon + 1, path, SMALLEST_SCALE, LARGEST_SCALE);
    }
    *colon = '\0';
    *scale = (float)value;
    return ACESTEP_OK;
}

static ace_status open_one(const char *text, size_t length, const ace_dit_config *c,
                           ace_job_adapters *out, ace_error *err)
{
    char path[PATH_BYTES];
    float scale = 1;
    if (out->n == ACE_MAX_ADAPTERS) {
        return ace_fail(err, ACESTEP_ARGUMENT, "lora: more than %d adapters", ACE_MAX_ADAPTERS);
    }
    if (length == 0 || length >= sizeof path) {
        return ace_fail(err, ACESTEP_ARGUMENT, "lora: a path is empty or too long");
    }
    memcpy(path, text, length);
    path[length] = '\0';
    ace_status status = read_scale(path, &scale, err);
    if (status == ACESTEP_OK) {
        status = ace_adapter_open(path, &out->adapter[out->n], err);
    }
    if (status == ACESTEP_OK) {
        out->use[out->n] = (ace_adapter_use){out->adapter[out->n], scale};
        out->n++;
        status = ace_dit_adapter_check(c, out->use[out->n - 1].adapter, err);
    }
    if (status == ACESTEP_OK) {
        const ace_adapter *a = out->use[out->n - 1].adapter;
        ace_log(ACE_LOG_INFO, "lora", "%s: %s%s, %d modules, scale %g", path, ace_adapter_kinds(a),
                ace_adapter_has_dora(a) ? " with DoRA" : "", a->n_modules, (double)scale);
    }
    return status;
}

ace_status ace_job_adapters_open(const char *text, const ace_dit_config *c, ace_job_adapters *out,
                                 ace_error *err)
{
    ace_status status = ACESTEP_OK;
    memset(out, 0, sizeof *out);
    while (*text != '\0' && status == ACESTEP_OK) {
        size_t length = strcspn(text, ",");
        status = open_one(text, length, c, out, err);
        text += length + (text[length] == ',' ? 1 : 0);
    }
    if (status != ACESTEP_OK) {
        ace_job_adapters_close(out);
    }
    return status;
}

void ace_job_adapters_close(ace_job_adapters *a)
{
    for (int i = 0; i < a->n; i++) {
        ace_adapter_close(a->adapter[i]);
    }
    memset(a, 0, sizeof *a);
}
