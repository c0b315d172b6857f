#include "weights/adapter.h"

#include "base/block_formats.h"
#include "base/file_map.h"
#include "base/memory.h"
#include "weights/adapter_parts.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum { PATH_BYTES = 4096 + 64 };

static const char weights_name[] = "adapter_model.safetensors";
static const char config_name[] = "adapter_config.json";

/* ---- tensors ----------------------------------------------------------------------------------
 */

static ace_status add_tensor(ace_adapter *a, const ace_weight *t, const ace_weight **alphas,
                             ace_error *err)
{
    ace_adapter_name name;
    ace_status status = ace_adapter_name_read(a->path, t->name, &name, err);
    if (status != ACESTEP_OK) {
        return status;
    }
    ace_adapter_module *m = &a->module[name.layer][name.target];
    const ace_weight **place = name.role == ACE_ADAPTER_DOWN ? &m->down
                               : name.role == ACE_ADAPTER_UP
                                   ? &m->up
                                   : &alphas[name.layer * ACE_TARGETS + (int)name.target];
    if (*place != NULL) {
        return ace_fail(err, ACESTEP_MODEL, "%.400s: %.150s and %.150s are the same thing twice",
                        a->path, (*place)->name, t->name);
    }
    *place = t;
    return ACESTEP_OK;
}

static bool is_matrix(const ace_weight *t)
{
    return t->rank == 2 && t->dim[0] > 0 && t->dim[1] > 0 &&
           (t->dtype == ACE_F32 || t->dtype == ACE_BF16 || t->dtype == ACE_F16);
}

/* alpha / rank, as kohya's scripts store it: a single number. */
static ace_status read_alpha(const ace_adapter *a, const ace_weight *alpha, int64_t rank,
                             float *scale, ace_error *err)
{
    float value = 0;
    int64_t elements = 1;
    for (int i = 0; i < alpha->rank; i++) {
        elements *= alpha->dim[i];
    }
    bool readable = elements == 1 && (alpha->dtype == ACE_F32 || alpha->dtype == ACE_BF16 ||
                                      alpha->dtype == ACE_F16 || alpha->dtype == ACE_F64);
    if (readable) {
        ace_decode_row(alpha->dtype, alpha->data, 1, &value);
    }
    if (!readable || !isfinite(value)) {
        return ace_fail(err, ACESTEP_MODEL, "%.400s: %.200s is no number", a->path, alpha->name);
    }
    *scale = value / (float)rank;
    return ACESTEP_OK;
}

/* Both halves are there and fit together; the scale is known. */
static ace_status complete(ace_adapter *a, const ace_adapter_config *config, int layer,
                           ace_adapter_target target, const ace_weight *alpha, ace_error *err)
{
    ace_adapter_module *m = &a->module[layer][target];
    const ace_weight *any = m->down != NULL ? m->down : m->up != NULL ? m->up : alpha;
    if (any == NULL) {
        return ACESTEP_OK;
    }
    if (m->down == NULL || m->up == NULL) {
        return ace_fail(err, ACESTEP_MODEL, "%.400s: %.200s lacks its other half", a->path,
                        any->name);
    }
    if (!is_matrix(m->down) || !is_matrix(m->up) || m->up->dim[1] != m->down->dim[0]) {
        return ace_fail(err, ACESTEP_MODEL,
                        "%.400s: %.150s and %.150s are no pair of matrices [rank, in] and [out, "
                        "rank]",
                        a->path, m->down->name, m->up->name);
    }
    a->n_modules++;
    m->scale = 1;
    int64_t rank = m->down->dim[0];
    if (alpha != NULL) {
        return read_alpha(a, alpha, rank, &m->scale, err);
    }
    return config != NULL
               ? ace_adapter_config_scale(config, a->path, layer, target, rank, &m->scale, err)
               : ACESTEP_OK;
}

static ace_status read_tensors(ace_adapter *a, const ace_adapter_config *config,
                               const ace_weight **alphas, ace_error *err)
{
    ace_status status = ACESTEP_OK;
    for (size_t i = 0; i < ace_weights_count(a->weights) && status == ACESTEP_OK; i++) {
        status = add_tensor(a, ace_weights_at(a->weights, i), alphas, err);
    }
    for (int i = 0; i < ACE_ADAPTER_LAYERS * ACE_TARGETS && status == ACESTEP_OK; i++) {
        status = complete(a, config, i / ACE_TARGETS, (ace_adapter_target)(i % ACE_TARGETS),
                          alphas[i], err);
    }
    if (status == ACESTEP_OK && a->n_modules == 0) {
        status = ace_fail(err, ACESTEP_MODEL, "%.400s: holds no adapter", a->path);
    }
    return status;
}

static ace_status read_adapter(ace_adapter *a, const char *config_text, size_t config_bytes,
                               ace_error *err)
{
    ace_adapter_config *config = NULL;
    const ace_weight **alphas =
        ace_calloc((size_t)ACE_ADAPTER_LAYERS * ACE_TARGETS, sizeof(const ace_weight *));
    if (alphas == NULL) {
        return ace_fail(err, ACESTEP_MEMORY, "%.400s: no host memory", a->path);
    }
    ace_status status = ACESTEP_OK;
    if (config_text != NULL) {
        status = ace_adapter_config_parse(config_text, config_bytes, a->path, &config, err);
    }
    if (status == ACESTEP_OK) {
        status = read_tensors(a, config, alphas, err);
    }
    ace_adapter_config_free(config);
    ace_free(alphas);
    return status;
}

ace_status ace_adapter_read(ace_weights *weights, const char *path, const char *config,
                            size_t config_bytes, ace_adapter **out, ace_error *err)
{
    *out = NULL;
    ace_adapter *a = ace_calloc(1, sizeof *a);
    if (a == NULL) {
        ace_weights_close(weights);
        return ace_fail(err, ACESTEP_MEMORY, "%.400s: no host memory", path);
    }
    a->weights = weights;
    a->path = ace_strdup(path);
    ace_status status = a->path != NULL
                            ? read_adapter(a, config, config_bytes, err)
                            : ace_fail(err, ACESTEP_MEMORY, "%.400s: no host memory", path);
    if (status != ACESTEP_OK) {
        ace_adapter_close(a);
        return status;
    }
    *out = a;
    return ACESTEP_OK;
}

void ace_adapter_close(ace_adapter *adapter)
{
    if (adapter != NULL) {
        ace_weights_close(adapter->weights);
        ace_free(adapter->path);
        ace_free(adapter);
    }
}

/* ---- files ------------------------------------------------------------------------------------
 */

static bool ends_with(const char *text, const char *end)
{
    size_t n = strlen(text);
    size_t m = strlen(end);
    return n >= m && strcmp(text + n - m, end) == 0;
}

static bool is_pickle(const char *path)
{
    static const char *const ends[] = {".bin", ".pt", ".pth", ".ckpt"};
    for (size_t i = 0; i < sizeof ends / sizeof *ends; i++) {
        if (ends_with(path, ends[i])) {
            return true;
        }
    }
    return false;
}

static ace_status refuse_pickle(const char *path, ace_error *err)
{
    return ace_fail(err, ACESTEP_UNSUPPORTED,
                    "%.400s: is a Python pickle, which may run any program; save the adapter as "
                    "safetensors (PEFT: save_pretrained(folder, safe_serialization=True))",
                    path);
}

static ace_status open_file(const char *path, const char *config, size_t config_bytes,
                            ace_adapter **out, ace_error *err)
{
    ace_weights *weights = NULL;
    ace_status status = ace_weights_open(path, &weights, err);
    return status == ACESTEP_OK ? ace_adapter_read(weights, path, config, config_bytes, out, err)
                                : status;
}

/* Why a folder is none of PEFT's, in words. */
static ace_status refuse_folder(const char *folder, ace_error *err)
{
    char path[PATH_BYTES];
    (void)snprintf(path, sizeof path, "%s/adapter_model.bin", folder);
    if (ace_file_exists(path)) {
        return refuse_pickle(path, err);
    }
    (void)snprintf(path, sizeof path, "%s/lokr_weights.safetensors", folder);
    if (ace_file_exists(path)) {
        return ace_fail(err, ACESTEP_UNSUPPORTED,
                        "%.400s: a LoKr adapter; only LoRA can be applied: convert it, or merge "
                        "it into the model",
                        path);
    }
    return ace_fail(err, ACESTEP_MODEL, "%.400s: holds no %s", folder, weights_name);
}

static ace_status open_folder(const char *folder, ace_adapter **out, ace_error *err)
{
    char path[PATH_BYTES];
    ace_file config;
    (void)snprintf(path, sizeof path, "%s/%s", folder, weights_name);
    if (!ace_file_exists(path)) {
        return refuse_folder(folder, err);
    }
    (void)snprintf(path, sizeof path, "%s/%s", folder, config_name);
    ace_status status = ace_file_open(path, &config, err);
    if (status == ACESTEP_OK) {
        (void)snprintf(path, sizeof path, "%s/%s", folder, weights_name);
        status = open_file(path, (const char *)config.data, config.bytes, out, err);
        ace_file_close(&config);
    }
    return status;
}

ace_status ace_adapter_open(const char *path, ace_adapter **out, ace_error *err)
{
    *out = NULL;
    size_t n = strlen(path);
    if (n + sizeof weights_name > PATH_BYTES - 8) {
        return ace_fail(err, ACESTEP_ARGUMENT, "adapter: the path is too long");
    }
    if (ace_directory_exists(path)) {
        return open_folder(path, out, err);
    }
    if (is_pickle(path)) {
        return refuse_pickle(path, err);
    }
    /* PEFT's file by its own name: its folder has the scale */
    if (ends_with(path, "/adapter_model.safetensors")) {
        char folder[PATH_BYTES];
        char config[PATH_BYTES];
        (void)snprintf(folder, sizeof folder, "%.*s", (int)(n - sizeof weights_name), path);
        (void)snprintf(config, sizeof config, "%.4000s/%s", folder, config_name);
        if (ace_file_exists(config)) {
            return open_folder(folder, out, err);
        }
    }
    return open_file(path, NULL, 0, out, err);
}
