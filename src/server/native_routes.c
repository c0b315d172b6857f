#include "server/native.h"

const ace_http_route ace_native_routes[] = {
    {"GET", "/v1/params", ace_native_params, ACE_RIGHT_READ, ACE_ROUTE_SLOW, 0},
    {"GET", "/v1/system", ace_native_system, ACE_RIGHT_READ, ACE_ROUTE_SLOW, 0},
    {"PATCH", "/v1/system", ace_native_system_change, ACE_RIGHT_ADMIN, ACE_ROUTE_SLOW, 0},
    {"GET", "/v1/session", ace_native_session, ACE_RIGHT_NONE, 0, 0},

    {"GET", "/v1/uploads", ace_native_upload_list, ACE_RIGHT_READ, ACE_ROUTE_SLOW, 0},
    {"POST", "/v1/uploads", ace_native_upload, ACE_RIGHT_GENERATE,
     ACE_ROUTE_SLOW | ACE_ROUTE_FILES | ACE_ROUTE_RAW, 65536},
    {"GET", "/v1/uploads/{id}", ace_native_upload_show, ACE_RIGHT_READ, 0, 0},
    {"DELETE", "/v1/uploads/{id}", ace_native_upload_remove, ACE_RIGHT_GENERATE, 0, 0},
    {"GET", "/v1/uploads/{id}/audio", ace_native_upload_audio, ACE_RIGHT_READ, ACE_ROUTE_SIGNED, 0},

    {"GET", "/v1/presets", ace_native_preset_list, ACE_RIGHT_READ, ACE_ROUTE_SLOW, 0},
    {"GET", "/v1/presets/{name}", ace_native_preset_show, ACE_RIGHT_READ, 0, 0},
    {"PUT", "/v1/presets/{name}", ace_native_preset_put, ACE_RIGHT_GENERATE, ACE_ROUTE_SLOW,
     1 << 20},
    {"DELETE", "/v1/presets/{name}", ace_native_preset_remove, ACE_RIGHT_GENERATE, 0, 0},

    {"GET", "/v1/adapters", ace_native_adapter_list, ACE_RIGHT_READ, ACE_ROUTE_SLOW, 0},
    {"POST", "/v1/adapters", ace_native_adapter_add, ACE_RIGHT_ADMIN,
     ACE_ROUTE_SLOW | ACE_ROUTE_FILES | ACE_ROUTE_RAW, 65536},
    {"DELETE", "/v1/adapters/{name}", ace_native_adapter_remove, ACE_RIGHT_ADMIN, ACE_ROUTE_SLOW,
     0},

    {"GET", "/health", ace_native_health, ACE_RIGHT_NONE, 0, 0},
    {"GET", "/livez", ace_native_live, ACE_RIGHT_NONE, 0, 0},
    {"GET", "/readyz", ace_native_ready, ACE_RIGHT_NONE, ACE_ROUTE_SLOW, 0},
    {"GET", "/metrics", ace_native_metrics, ACE_RIGHT_READ, ACE_ROUTE_SLOW, 0},
    {"GET", "/v1/logs", ace_native_logs, ACE_RIGHT_ADMIN, 0, 0},
    {"GET", "/openapi.json", ace_native_openapi, ACE_RIGHT_NONE, 0, 0},
    {NULL, NULL, NULL, 0, 0, 0},
};
