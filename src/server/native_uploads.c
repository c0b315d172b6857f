/* Recordings to cover, repaint, follow or understand. */
#include "base/memory.h"
#include "server/jobs.h"
#include "server/media_type.h"
#include "server/native.h"
#include "server/uploads.h"

#include <string.h>

static void reply_unknown(ace_http_request *request)
{
    ace_http_reply_error(request, 404, "not_found", NULL, NULL,
                         "there is no such upload (any more)");
}

/* Nothing in such a file says what it is: its sender does. */
static bool is_latents(const ace_http_request *request)
{
    const char *kind = ace_http_query(request, "kind");
    return (kind != NULL && strcmp(kind, "latents") == 0) ||
           ace_job_takes_latents(request->files[0].field);
}

void ace_native_upload(ace_http_request *request, ace_server *server)
{
    char id[ACE_UPLOAD_ID_BYTES];
    ace_error err = {.code = ACESTEP_OK};
    if (request->n_files != 1) {
        ace_http_reply_error(request, 400, "bad_value", "file",
                             "send a multipart form with one file, or the file itself with its "
                             "audio type",
                             "one file is expected, not %zu", request->n_files);
        return;
    }
    ace_status status = is_latents(request) ? ace_upload_take_latents(server, request, 0, id, &err)
                                            : ace_upload_take(server, request, 0, id, &err);
    if (status != ACESTEP_OK) {
        ace_http_reply_failure(request, &err, "file");
        return;
    }
    ace_http_reply_json(request, 201, ace_upload_record(server, id));
}

void ace_native_upload_list(ace_http_request *request, ace_server *server)
{
    json_t *ids = ace_upload_list(server);
    json_t *list = json_array();
    size_t i;
    json_t *id;
    json_array_foreach (ids, i, id) {
        json_t *record = ace_upload_record(server, json_string_value(id));
        bool plays = json_object_get(record, "audio") != NULL;
        if (plays) { /* it may have gone meanwhile, or be latents */
            (void)json_object_del(record, "peaks");
            (void)json_object_del(record, "settings");
            (void)json_array_append(list, record);
        }
        json_decref(record);
    }
    json_decref(ids);
    ace_http_reply_json(request, 200, json_pack("{s:o}", "uploads", list));
}

void ace_native_upload_show(ace_http_request *request, ace_server *server)
{
    json_t *record = ace_upload_record(server, request->captures[0]);
    if (record == NULL) {
        reply_unknown(request);
    } else {
        ace_http_reply_json(request, 200, record);
    }
}

/* By what the engine found in it, not by its name. */
static const char *type_of(const json_t *record)
{
    const char *format = json_string_value(json_object_get(record, "format"));
    static const char *const types[][2] = {{"WAV", "audio/wav"},      {"AIFF", "audio/aiff"},
                                           {"FLAC", "audio/flac"},    {"Ogg Vorbis", "audio/ogg"},
                                           {"Ogg Opus", "audio/ogg"}, {"MP3", "audio/mpeg"}};
    for (size_t i = 0; format != NULL && i < sizeof types / sizeof *types; i++) {
        if (strcmp(format, types[i][0]) == 0) {
            return types[i][1];
        }
    }
    return ace_media_type("");
}

void ace_native_upload_audio(ace_http_request *request, ace_server *server)
{
    json_t *record = ace_upload_record(server, request->captures[0]);
    char *path = record != NULL ? ace_upload_path(server, request->captures[0]) : NULL;
    if (path == NULL) {
        reply_unknown(request);
    } else {
        bool saved = ace_http_query_flag(request, "download");
        ace_http_reply_file(request, path, type_of(record),
                            saved ? json_string_value(json_object_get(record, "name")) : NULL);
    }
    ace_free(path);
    json_decref(record);
}

void ace_native_upload_remove(ace_http_request *request, ace_server *server)
{
    if (ace_upload_remove(server, request->captures[0])) {
        ace_http_reply_json(request, 200, json_pack("{s:b}", "removed", 1));
    } else {
        reply_unknown(request);
    }
}
