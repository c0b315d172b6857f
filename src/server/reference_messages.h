/* Chat messages as requests for songs. */
#ifndef ACE_SERVER_REFERENCE_MESSAGES_H
#define ACE_SERVER_REFERENCE_MESSAGES_H

#include "base/status.h"

#include <jansson.h>
#include <stdbool.h>

enum { ACE_CHAT_AUDIOS = 2 };

typedef struct ace_chat_request {
    json_t *task;                             /* as for /release_task */
    const json_t *audio[ACE_CHAT_AUDIOS];     /* {"data", "format"}, borrowed from the body */
    const char *audio_field[ACE_CHAT_AUDIOS]; /* of task; NULL: there is none */
    bool stream;
} ace_chat_request;

/* The last message of the user is what counts: its text is a description, lyrics, or both in tags.
 * ARGUMENT when there is no text. Free also after an error. */
ace_status ace_chat_read(json_t *body, ace_chat_request *out, ace_error *err);
void ace_chat_request_free(ace_chat_request *request);

#endif
