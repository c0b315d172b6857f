/* KoboldCpp's two: they wait, and the song is the answer. */
#include "base/memory.h"
#include "server/compat_base64.h"
#include "server/compat_jobs.h"
#include "server/compat_values.h"
#include "server/media_type.h"
#include "server/peer_routes.h"
#include "server/reference_result.h"

#include <string.h>

static bool over(ace_http_request *request, const json_t *record)
{
    if (ace_reference_status(record) == 1) {
        return true;
    }
    ace_peer_reply_error(request, ace_compat_is_unsupported(record) ? 501 : 500, "%s",
                         ace_compat_failure(record));
    return false;
}

static void answer_request(ace_http_request *request, ace_server *server, const json_t *record)
{
    (void)server;
    if (over(request, record)) {
        ace_http_reply_json(request, 200, ace_peer_enriched(record));
    }
}

static void answer_song(ace_http_request *request, ace_server *server, const json_t *record)
{
    char *path = NULL;
    ace_error err = {.code = ACESTEP_OK};
    if (!over(request, record)) {
        return;
    }
    if (ace_jobs_file(server->jobs, ace_compat_string(record, "id"), 0, ACE_JOB_AUDIO, &path,
                      &err) == ACESTEP_OK) {
        ace_http_reply_file(request, path, ace_media_type(path), NULL);
    } else {
        ace_peer_reply_error(request, 404, "%s", err.message);
    }
    ace_free(path);
}

static void run(ace_http_request *request, ace_server *server, ace_compat_request *wish,
                ace_compat_answer *answer)
{
    ace_compat_refusal refusal;
    json_t *record = ace_compat_queue(request, server, wish, "peer", 1, &refusal);
    if (record == NULL) {
        bool missing = refusal.err.code == ACESTEP_UNSUPPORTED; /* as acestep.cpp says it */
        ace_compat_reply_retry(request, &refusal);
        ace_peer_reply_error(request, missing ? 501 : refusal.status, "%s", refusal.err.message);
    } else {
        ace_compat_wait(request, server, record, ACE_COMPAT_WAIT_SECONDS, answer);
    }
    json_decref(record);
}

void ace_kobold_prepare(ace_http_request *request, ace_server *server)
{
    ace_compat_request wish = {.params = NULL};
    ace_error err = {.code = ACESTEP_OK};
    json_t *body = ace_http_body_object(request);
    if (body == NULL) {
        return;
    }
    if (ace_peer_read_words(body, &wish, &err) != ACESTEP_OK) {
        ace_peer_reply_error(request, 400, "%s", err.message);
    } else {
        run(request, server, &wish, answer_request);
    }
    ace_compat_request_free(&wish);
}

/* Its own fields: the file's format, and a song in base64 to cover. */
static ace_status as_peer(ace_server *server, json_t *body, ace_error *err)
{
    const char *audio = ace_compat_string(body, "music_reference_audio_data");
    bool mp3 = ace_compat_truth(json_object_get(body, "use_mp3"));
    ace_status status = ACESTEP_OK;
    json_object_set_new(body, "output_format", json_string(mp3 ? "mp3" : "wav16"));
    if (ace_compat_string(body, "caption")[0] == '\0') {
        json_object_set_new(body, "caption", json_string("a song with a clear melody"));
    }
    if (audio[0] != '\0') {
        double strength = 1;
        void *bytes = NULL;
        size_t n = 0;
        (void)ace_compat_number(json_object_get(body, "audio_cover_strength"), &strength);
        bool cover = strength > 0;
        status = ace_base64_read(audio, &bytes, &n, err);
        if (status == ACESTEP_OK) {
            status = ace_compat_keep_audio(
                server, body, cover ? "src_audio_path" : "reference_audio_path", bytes, n, err);
        }
        if (status == ACESTEP_OK && cover) {
            json_object_set_new(body, "task_type", json_string("cover"));
        }
        ace_free(bytes);
    }
    static const char *const own[] = {"music_reference_audio_data", "use_mp3", "stereo",
                                      "gen_codes", "rewrite_caption"};
    for (size_t i = 0; i < sizeof own / sizeof *own; i++) {
        json_object_del(body, own[i]);
    }
    return status;
}

void ace_kobold_generate(ace_http_request *request, ace_server *server)
{
    ace_compat_request wish = {.params = NULL};
    ace_error err = {.code = ACESTEP_OK};
    json_t *given = ace_http_body_object(request);
    if (given == NULL) {
        return;
    }
    json_t *body = json_copy(given);
    ace_status status = as_peer(server, body, &err);
    if (status == ACESTEP_OK) {
        status = ace_compat_read(body, ACE_COMPAT_PEER, &wish, &err);
    }
    if (status != ACESTEP_OK) {
        ace_peer_reply_error(request, 400, "%s", err.message);
    } else {
        if (json_object_get(wish.params, "thinking") == NULL) {
            json_object_set_new(wish.params, "thinking", json_string("false"));
        }
        run(request, server, &wish, answer_song);
    }
    ace_compat_request_free(&wish);
    json_decref(body);
}
