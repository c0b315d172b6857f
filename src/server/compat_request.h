/* A request in the words of another program, as options of the engine. */
#ifndef ACE_SERVER_COMPAT_REQUEST_H
#define ACE_SERVER_COMPAT_REQUEST_H

#include "base/status.h"
#include "server/jobs.h"

#include <jansson.h>

typedef enum ace_compat_dialect {
    ACE_COMPAT_REFERENCE, /* the original's API server: English and MP3 unless asked otherwise */
    ACE_COMPAT_PEER       /* acestep.cpp: no lyrics means that the language model writes some */
} ace_compat_dialect;

typedef struct ace_compat_request {
    ace_job_kind kind;
    json_t *params; /* options of the engine; under "acestep" {"warnings": […], "asked": what a
                     * reply needs to know of the request, such as "codes_only"} */
} ace_compat_request;

/* body: an object, of JSON or of a form. Values that are wrong but leave no doubt about the song
 * are clamped or left out with a warning; ARGUMENT where the song itself would be in doubt: an
 * unknown task, a field that would change the music and that nobody reads. Free also after an
 * error. */
ace_status ace_compat_read(json_t *body, ace_compat_dialect dialect, ace_compat_request *out,
                           ace_error *err);
void ace_compat_request_free(ace_compat_request *request);

/* The list of warnings in params. Borrowed. */
json_t *ace_compat_warnings(json_t *params);

/* The format by any of its names ("wav16", "m4a"), as the engine calls it; NULL for another word.
 */
const char *ace_compat_audio_format(const char *name, bool *exactly);

/* A model's name without a maker before it and without ".gguf": "acestep/acestep-v15-turbo.gguf" is
 * "acestep-v15-turbo". The caller frees with ace_free; NULL when memory is short. */
char *ace_compat_model_name(const char *given);

#endif
