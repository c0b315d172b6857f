/* Files that clients have sent: DATA/uploads/ID/, with the file and a description of it. Most are
 * recordings; some are the latents of one. */
#ifndef ACE_SERVER_UPLOADS_H
#define ACE_SERVER_UPLOADS_H

#include "server/server.h"

enum { ACE_UPLOAD_ID_BYTES = 24 }; /* "u_" and 20 characters that sort by time */

/* Keeps file number `index` of the request. It has to be a recording: AUDIO otherwise. Reads all of
 * it, so from a slow route only. Those that nobody has used for a week go at this opportunity. */
ace_status ace_upload_take(ace_server *server, ace_http_request *request, size_t index,
                           char id[ACE_UPLOAD_ID_BYTES], ace_error *err);

/* The same for latents: AUDIO for bytes that cannot be any. */
ace_status ace_upload_take_latents(ace_server *server, ace_http_request *request, size_t index,
                                   char id[ACE_UPLOAD_ID_BYTES], ace_error *err);

/* The same for a recording that came within something else, such as a text in base64. */
ace_status ace_upload_keep(ace_server *server, const char *name, const void *bytes, size_t n,
                           char id[ACE_UPLOAD_ID_BYTES], ace_error *err);

/* {id, name, bytes, seconds, channels, sample_rate, format, created, peaks, settings, audio}, of latents {id,
 * name, bytes, format, numbers, created}; NULL when there is no such upload. */
json_t *ace_upload_record(ace_server *server, const char *id);
/* Its file, which counts as used now. ace_free. NULL when there is no such upload, or one of the other
 * kind. */
char *ace_upload_latents_path(ace_server *server, const char *id);
char *ace_upload_path(ace_server *server, const char *id);
bool ace_upload_remove(ace_server *server, const char *id);
/* The ids, the newest first. */
json_t *ace_upload_list(ace_server *server);

#endif
