/* Answers as the original's API server gives them. */
#ifndef ACE_SERVER_REFERENCE_REPLY_H
#define ACE_SERVER_REFERENCE_REPLY_H

#include "server/http.h"
#include "server/jobs.h"

/* {"data", "code": 200, "error": null, "timestamp": ms, "extra": null}. Takes data over; NULL
 * stands for a lack of memory. */
void ace_reference_reply(ace_http_request *request, json_t *data);

/* As the original tells of failures while it worked: HTTP 200, the code in the body. */
void ace_reference_reply_code(ace_http_request *request, int code, const char *message);

/* The envelope alone. */
json_t *ace_reference_envelope(json_t *data, int code, const char *message);

#endif
