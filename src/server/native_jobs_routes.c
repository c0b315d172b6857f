#include "server/native_jobs.h"

enum {
    SLOW = ACE_ROUTE_SLOW,
    FILES = ACE_ROUTE_SLOW | ACE_ROUTE_FILES,
    READ = ACE_RIGHT_READ,
    GENERATE = ACE_RIGHT_GENERATE,
    AUDIO = ACE_ROUTE_SLOW | ACE_ROUTE_SIGNED
};

const ace_http_route ace_job_routes[] = {
    {"POST", "/v1/jobs", ace_native_job_add, GENERATE, FILES, 0},
    {"GET", "/v1/jobs", ace_native_job_list, READ, SLOW, 0},
    {"POST", "/v1/jobs/reorder", ace_native_job_reorder, GENERATE, SLOW, 65536},
    {"GET", "/v1/jobs/{id}", ace_native_job_show, READ, 0, 0},
    {"PATCH", "/v1/jobs/{id}", ace_native_job_change, GENERATE, SLOW, 65536},
    {"DELETE", "/v1/jobs/{id}", ace_native_job_remove, GENERATE, SLOW, 0},
    {"POST", "/v1/jobs/{id}/cancel", ace_native_job_cancel, GENERATE, SLOW, 65536},
    {"GET", "/v1/jobs/{id}/events", ace_native_job_events, READ, 0, 0},
    {"GET", "/v1/events", ace_native_events, READ, 0, 0},
    {"GET", "/v1/jobs/{id}/items/{n}/audio", ace_native_item_audio, READ, AUDIO, 0},
    {"GET", "/v1/jobs/{id}/items/{n}/peaks", ace_native_item_peaks, READ, SLOW, 0},
    {"GET", "/v1/jobs/{id}/items/{n}/sidecar", ace_native_item_sidecar, READ, SLOW, 0},
    {"GET", "/v1/jobs/{id}/items/{n}/lrc", ace_native_item_lrc, READ, SLOW, 0},
    {"GET", "/v1/jobs/{id}/items/{n}/vtt", ace_native_item_vtt, READ, SLOW, 0},
    {"GET", "/v1/jobs/{id}/items/{n}/latents", ace_native_item_latents, READ, SLOW, 0},
    {"GET", "/v1/jobs/{id}/items/{n}/codes", ace_native_item_codes, READ, SLOW, 0},
    {"POST", "/v1/sample", ace_native_sample, GENERATE, FILES, 0},
    {"POST", "/v1/format", ace_native_format, GENERATE, FILES, 0},
    {"POST", "/v1/understand", ace_native_understand, GENERATE, FILES, 0},
    {"POST", "/v1/score", ace_native_score, GENERATE, FILES, 0},
    {"POST", "/v1/lrc", ace_native_lrc, GENERATE, FILES, 0},
    {"POST", "/v1/codec/encode", ace_native_encode, GENERATE, FILES, 0},
    {"POST", "/v1/codec/decode", ace_native_decode, GENERATE, FILES, 0},
    {"POST", "/v1/models/load", ace_native_engine_load, ACE_RIGHT_ADMIN, SLOW, 65536},
    {"POST", "/v1/models/unload", ace_native_engine_unload, ACE_RIGHT_ADMIN, SLOW, 65536},
    {"POST", "/v1/device/reopen", ace_native_device_reopen, ACE_RIGHT_ADMIN, SLOW, 65536},
    {NULL, NULL, NULL, 0, 0, 0},
};
