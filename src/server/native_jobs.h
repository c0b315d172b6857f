/* The handlers of jobs: their routes are one table (native_jobs_routes.c). */
#ifndef ACE_SERVER_NATIVE_JOBS_H
#define ACE_SERVER_NATIVE_JOBS_H

#include "server/jobs.h"
#include "server/server.h"

extern const ace_http_route ace_job_routes[];

ace_http_handler ace_native_job_add; /* native_jobs_add.c */
ace_http_handler ace_native_sample;
ace_http_handler ace_native_format;
ace_http_handler ace_native_understand;
ace_http_handler ace_native_encode;
ace_http_handler ace_native_decode;
ace_http_handler ace_native_score;
ace_http_handler ace_native_lrc;

ace_http_handler ace_native_job_list; /* native_jobs.c */
ace_http_handler ace_native_job_show;
ace_http_handler ace_native_job_change;
ace_http_handler ace_native_job_remove;
ace_http_handler ace_native_job_cancel;
ace_http_handler ace_native_job_reorder;

ace_http_handler ace_native_job_events; /* native_jobs_events.c */
ace_http_handler ace_native_events;

ace_http_handler ace_native_item_audio; /* native_jobs_items.c */
ace_http_handler ace_native_item_peaks;
ace_http_handler ace_native_item_sidecar;
ace_http_handler ace_native_item_lrc;
ace_http_handler ace_native_item_vtt;
ace_http_handler ace_native_item_latents;
ace_http_handler ace_native_item_codes;

ace_http_handler ace_native_engine_load; /* native_jobs_engine.c */
ace_http_handler ace_native_engine_unload;
ace_http_handler ace_native_device_reopen;

/* A record with addresses of audio that work without a key; the same for a list of them. In place.
 */
void ace_native_record_sign(ace_server *server, json_t *record);
/* 404, or 500 for a journal that cannot be written. */
void ace_native_reply_change(ace_http_request *request, ace_job_change change);

/* The job that a request describes in its body: JSON, or a form with the JSON in "request" and
 * files in src_audio and reference_audio. params is a new object. False after answering. */
bool ace_native_wish_read(ace_http_request *request, ace_server *server, ace_job_kind kind,
                          ace_job_wish *wish, json_t **params);
/* The answer to what ace_jobs_add and ace_jobs_preview refuse, with Retry-After. params: what was
 * asked; a model that is not here is the client's business when he has named it, and else the
 * server's. */
void ace_native_refuse(ace_http_request *request, const json_t *params, const ace_error *err,
                       double retry_seconds);

#endif
