/* The handlers of the native API, by file. */
#ifndef ACE_SERVER_NATIVE_H
#define ACE_SERVER_NATIVE_H

#include "server/server.h"

ace_http_handler ace_native_params; /* native_params.c */

ace_http_handler ace_native_system; /* native_system.c */
ace_http_handler ace_native_system_change;
ace_http_handler ace_native_session;

ace_http_handler ace_native_health; /* native_health.c */
ace_http_handler ace_native_live;
ace_http_handler ace_native_ready;
ace_http_handler ace_native_openapi;

ace_http_handler ace_native_metrics; /* native_metrics.c */

ace_http_handler ace_native_logs; /* native_logs.c */

ace_http_handler ace_native_upload; /* native_uploads.c */
ace_http_handler ace_native_upload_list;
ace_http_handler ace_native_upload_show;
ace_http_handler ace_native_upload_audio;
ace_http_handler ace_native_upload_remove;

ace_http_handler ace_native_preset_list; /* native_presets.c */
ace_http_handler ace_native_preset_show;
ace_http_handler ace_native_preset_put;
ace_http_handler ace_native_preset_remove;

ace_http_handler ace_native_adapter_list; /* native_adapters.c */
ace_http_handler ace_native_adapter_add;
ace_http_handler ace_native_adapter_remove;

/* native_health.c: src/server/openapi.json, as embedded by cmake/openapi.cmake. */
extern const char ace_openapi_json[];
extern const char ace_openapi_json_end[];

#endif
