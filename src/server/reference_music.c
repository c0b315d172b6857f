/* Songs with the field names of OpenAI's speech, in one call: /v1/audio/music answers with the
 * audio itself, /v1/audio/music/generations with a list. */
#include "base/memory.h"
#include "server/compat_base64.h"
#include "server/compat_jobs.h"
#include "server/compat_values.h"
#include "server/media_type.h"
#include "server/reference_result.h"
#include "server/reference_routes.h"

#include <string.h>
#include <time.h>

static bool over(ace_http_request *request, const json_t *record)
{
    if (ace_reference_status(record) == 1) {
        return true;
    }
    bool missing = ace_compat_is_unsupported(record);
    ace_http_reply_error(request, missing ? 422 : 500, missing ? "not_possible" : "failed", NULL,
                         NULL, "%s", ace_compat_failure(record));
    return false;
}

static void answer_audio(ace_http_request *request, ace_server *server, const json_t *record)
{
    char *path = NULL;
    if (!over(request, record)) {
        return;
    }
    if (ace_jobs_file(server->jobs, ace_compat_string(record, "id"), 0, ACE_JOB_AUDIO, &path,
                      NULL) == ACESTEP_OK) {
        ace_http_reply_file(request, path, ace_media_type(path), NULL);
    } else {
        ace_http_reply_error(request, 410, "gone", NULL, NULL, "the song was removed");
    }
    ace_free(path);
}

/* One song of the list, or NULL where its file is gone. */
static json_t *listed(ace_server *server, const json_t *record, const json_t *item)
{
    int index = (int)json_integer_value(json_object_get(item, "index"));
    char *path = NULL;
    if (ace_jobs_file(server->jobs, ace_compat_string(record, "id"), index, ACE_JOB_AUDIO, &path,
                      NULL) != ACESTEP_OK) {
        return NULL;
    }
    char *audio = ace_base64_of_file(path, "", NULL);
    char *url = ace_reference_audio_url(record, item, server);
    json_t *out =
        audio != NULL && url != NULL
            ? json_pack("{s:s, s:s, s:s, s:O?, s:O?}", "url", url, "b64_json", audio, "mime_type",
                        ace_media_type(path), "seed", json_object_get(item, "seed"), "duration",
                        json_object_get(item, "seconds"))
            : NULL;
    ace_free(audio);
    ace_free(url);
    ace_free(path);
    return out;
}

static void answer_list(ace_http_request *request, ace_server *server, const json_t *record)
{
    json_t *data = json_array();
    size_t i = 0;
    const json_t *item = NULL;
    if (!over(request, record)) {
        json_decref(data);
        return;
    }
    json_array_foreach (json_object_get(record, "items"), i, item) {
        json_array_append_new(data, listed(server, record, item));
    }
    ace_http_reply_json(request, 200,
                        json_pack("{s:I, s:s, s:o, s:o}", "created", (json_int_t)time(NULL), "id",
                                  ace_compat_string(record, "id"), "data", data, "warnings",
                                  ace_compat_all_warnings(record)));
}

void ace_reference_music(ace_http_request *request, ace_server *server)
{
    ace_compat_request wish = {.params = NULL};
    ace_error err = {.code = ACESTEP_OK};
    json_t *given = ace_http_body_object(request);
    bool list = strstr(request->path, "/generations") != NULL;
    bool exactly = false;
    if (given == NULL) {
        return;
    }
    json_t *body = json_copy(given);
    json_t *input = json_object_get(body, "input");
    if (input != NULL) {
        json_object_set(body, "prompt", input);
        json_object_del(body, "input");
    }
    const char *format = ace_compat_string(body, "response_format");
    if (ace_compat_audio_format(format, &exactly) == NULL) {
        json_object_del(body, "response_format"); /* "b64_json", "url": both are always there */
    }
    if (ace_compat_read(body, ACE_COMPAT_REFERENCE, &wish, &err) != ACESTEP_OK) {
        ace_http_reply_failure(request, &err, NULL);
    } else {
        ace_compat_refusal refusal;
        json_t *record = ace_compat_queue(request, server, &wish, "reference", 1, &refusal);
        if (record == NULL) {
            ace_compat_reply_refusal(request, &refusal);
        } else {
            ace_compat_wait(request, server, record, ACE_COMPAT_WAIT_SECONDS,
                            list ? answer_list : answer_audio);
        }
        json_decref(record);
    }
    ace_compat_request_free(&wish);
    json_decref(body);
}
