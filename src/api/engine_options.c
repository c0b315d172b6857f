/* What an engine is opened with. ace_workshop_open reads these and no others: an option that it
 * comes to read belongs here. */
#include "api/api.h"

#include <stdlib.h>

static const char *const names[] = {
    "models",         "model",         "weights",      "device",       "gpu",
    "precision",      "int8_compute",  "threads",      "cpu",          "exec",
    "cache",          "cache_limit",   "cache_dir",    "cache_least",  "gpu_tiers",
    "trace_mem",      "max_cuda_vram", "max_mps_vram", "max_xpu_vram", "sim_used_gb",
    "sim_fail_alloc", "sim_shrink",    "plugin_dir",   "cublas",       "use_flash_attention"};

char *acestep_engine_options_json(const acestep_request *request)
{
    char *text = acestep_request_json(request, false);
    json_t *all = text != NULL ? json_loads(text, 0, NULL) : NULL;
    json_t *some = json_object();
    acestep_free(text);
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        json_object_set(some, names[i], json_object_get(all, names[i]));
    }
    text = all != NULL && some != NULL ? json_dumps(some, JSON_COMPACT) : NULL;
    json_decref(all);
    json_decref(some);
    return text;
}
