/* From a request of another program to a job, and from a finished job to its answer. */
#ifndef ACE_SERVER_COMPAT_JOBS_H
#define ACE_SERVER_COMPAT_JOBS_H

#include "server/compat_request.h"
#include "server/server.h"

/* Keeps the files of a form as uploads and puts their ids into body, under src_audio_path,
 * src_latents, reference_audio_path and reference_latents by the names of their parts. AUDIO for
 * one that is no recording, or no latents. */
ace_status ace_compat_keep_files(ace_http_request *request, ace_server *server, json_t *body,
                                 ace_error *err);

/* Keeps bytes as an upload and puts its id into body under `field`. AUDIO as above. */
ace_status ace_compat_keep_audio(ace_server *server, json_t *body, const char *field,
                                 const void *bytes, size_t n, ace_error *err);

/* Why a job has not been queued. */
typedef struct ace_compat_refusal {
    int status; /* of HTTP; 404: there is no such model, 429: the queue is full */
    ace_error err;
    double retry_seconds; /* with 429 */
} ace_compat_refusal;

/* Queues the job and gives its record; a song without a number of songs gets `songs` (0: what this
 * machine is advised to make). NULL with *refusal set. */
json_t *ace_compat_queue(const ace_http_request *request, ace_server *server,
                         ace_compat_request *wish, const char *origin, int songs,
                         ace_compat_refusal *refusal);

/* {"error": {…}, "detail"}, and Retry-After with 429. */
void ace_compat_reply_refusal(ace_http_request *request, const ace_compat_refusal *refusal);
/* The header alone, for answers of another shape. */
void ace_compat_reply_retry(ace_http_request *request, const ace_compat_refusal *refusal);

/* Called once when the job is over; answers. */
typedef void ace_compat_answer(ace_http_request *request, ace_server *server, const json_t *record);

/* Answers when the job is over, or 504 after so many seconds; the job is cancelled then, and when
 * the client hangs up. */
void ace_compat_wait(ace_http_request *request, ace_server *server, const json_t *record,
                     double seconds, ace_compat_answer *answer);

enum { ACE_COMPAT_WAIT_SECONDS = 600 };

/* The message of a job that failed, "cancelled" for one that was. */
const char *ace_compat_failure(const json_t *record);
/* Did it fail because there is no language model, or no encoder for audio? */
bool ace_compat_is_unsupported(const json_t *record);

#endif
