#include "weights/adapter.h"

#include "base/file_map.h"
#include "base/memory.h"
#include "weights/adapter_parts.h"

#include <stdio.h>
#include <string.h>

enum { PATH_BYTES = 4096 + 64 };

static const char weights_name[] = "adapter_model.safetensors";
static const char lokr_name[] = "lokr_weights.safetensors"; /* of the original's trainer */
static const char config_name[] = "adapter_config.json";

static ace_status read_adapter(ace_adapter *a, const char *config_text, size_t config_bytes,
                               ace_error *err)
{
    ace_adapter_config *config = NULL;
    ace_status status = ACESTEP_OK;
    if (config_text != NULL) {
        status = ace_adapter_config_parse(config_text, config_bytes, a->path, &config, err);
    }
    if (status == ACESTEP_OK) {
        status = ace_adapter_collect(a, config, err);
    }
    ace_adapter_config_free(config);
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

/* ---- files ----------------------------------------------------------------------------------- */

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

/* A folder without PEFT's file: the original's LoKr, or nothing that is known. */
static ace_status open_other_folder(const char *folder, ace_adapter **out, ace_error *err)
{
    char path[PATH_BYTES];
    (void)snprintf(path, sizeof path, "%s/%s", folder, lokr_name);
    if (ace_file_exists(path)) {
        return open_file(path, NULL, 0, out, err);
    }
    (void)snprintf(path, sizeof path, "%s/adapter_model.bin", folder);
    if (ace_file_exists(path)) {
        return refuse_pickle(path, err);
    }
    return ace_fail(err, ACESTEP_MODEL, "%.400s: holds no %s and no %s", folder, weights_name,
                    lokr_name);
}

static ace_status open_folder(const char *folder, ace_adapter **out, ace_error *err)
{
    char path[PATH_BYTES];
    ace_file config;
    (void)snprintf(path, sizeof path, "%s/%s", folder, weights_name);
    if (!ace_file_exists(path)) {
        return open_other_folder(folder, out, err);
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
