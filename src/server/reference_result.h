/* Records of jobs in the words of the original's /query_result. */
#ifndef ACE_SERVER_REFERENCE_RESULT_H
#define ACE_SERVER_REFERENCE_RESULT_H

#include "server/http.h"

/* 0: waits or runs, 1: done, 2: failed or cancelled. */
int ace_reference_status(const json_t *record);

/* What the key "result" holds before it becomes a text: one object to a song, one for a job that is
 * under way, has failed or was about words. server signs the addresses; NULL: unsigned. */
json_t *ace_reference_result(const json_t *record, ace_server *server);

/* {"task_id", "status", "result": the above as a text, "progress_text"}; for NULL, a task that
 * nobody knows, status 2 and an error, so that no client waits for ever. */
json_t *ace_reference_entry(const char *id, const json_t *record, ace_server *server);

/* "/v1/audio?path=ID%2F0.mp3", signed as above. The caller frees with ace_free. */
char *ace_reference_audio_url(const json_t *record, const json_t *item, ace_server *server);

/* The record's warnings and those of its request, in one list. */
json_t *ace_compat_all_warnings(const json_t *record);

/* A text of an object, "" where it is none. */
const char *ace_compat_string(const json_t *object, const char *key);

#endif
