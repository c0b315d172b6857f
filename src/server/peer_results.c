/* What has become of acestep.cpp's jobs: their status, and songs as parts of one answer. */
#include "base/file_map.h"
#include "base/memory.h"
#include "server/compat_jobs.h"
#include "server/media_type.h"
#include "server/peer_routes.h"
#include "server/reference_result.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char boundary[] = "acestep-part-7f3a9c51e2";

/* ---- ids
 * ----------------------------------------------------------------------------------------- */

typedef struct peer_ids {
    char text[ACE_PEER_SONGS * ACE_JOB_ID_BYTES];
    const char *id[ACE_PEER_SONGS];
    int n;
} peer_ids;

static bool read_ids(const char *given, peer_ids *out)
{
    out->n = 0;
    if (given == NULL || strlen(given) >= sizeof out->text) {
        return false;
    }
    memcpy(out->text, given, strlen(given) + 1);
    char *rest = out->text;
    for (char *id = NULL; out->n < ACE_PEER_SONGS && (id = strtok_r(rest, ",", &rest)) != NULL;) {
        out->id[out->n++] = id;
    }
    return out->n > 0;
}

/* Of all together; -1 when one is not known. */
static int status_of(ace_server *server, const peer_ids *ids)
{
    int all = ACE_JOB_DONE;
    for (int i = 0; i < ids->n; i++) {
        int status = ace_jobs_status(server->jobs, ids->id[i]);
        if (status < 0) {
            return -1;
        }
        bool open = status == ACE_JOB_QUEUED || status == ACE_JOB_RUNNING;
        if (open) {
            return ACE_JOB_RUNNING; /* it has no word for waiting */
        }
        all = status != ACE_JOB_DONE ? status : all;
    }
    return all;
}

/* ---- results
 * ------------------------------------------------------------------------------------- */

json_t *ace_peer_enriched(const json_t *record)
{
    static const char *const names[] = {"caption",        "lyrics",     "bpm",
                                        "duration",       "keyscale",   "timesignature",
                                        "vocal_language", "audio_codes"};
    const json_t *asked =
        json_object_get(json_object_get(json_object_get(record, "params"), "acestep"), "asked");
    const json_t *given = json_object_get(asked, "peer");
    const json_t *words = json_object_get(record, "words");
    json_t *out = given != NULL ? json_deep_copy(given) : json_object();
    /* "generate" leaves alone what the request has; the others write anew */
    bool keep = strcmp(ace_compat_string(given, "lm_mode"), "inspire") != 0 &&
                strcmp(ace_compat_string(given, "lm_mode"), "format") != 0;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        json_t *value = json_object_get(words, names[i]);
        const json_t *before = json_object_get(given, names[i]);
        bool has = json_string_length(before) > 0 || json_number_value(before) > 0;
        bool rewritten = strcmp(names[i], "caption") == 0;
        if (value != NULL && (!keep || !has || rewritten)) {
            json_object_set(out, names[i], value);
        }
    }
    if (given != NULL && keep) {
        json_object_set_new(out, "thinking", json_true()); /* its codes are written by /synth */
    }
    return out;
}

typedef struct parts {
    char *bytes;
    size_t n;
    FILE *f;
} parts;

static bool parts_open(parts *p)
{
    p->bytes = NULL;
    p->n = 0;
    p->f = open_memstream(&p->bytes, &p->n);
    return p->f != NULL;
}

static void parts_add(parts *p, const char *type, const char *headers, const void *bytes, size_t n)
{
    fprintf(p->f, "--%s\r\nContent-Type: %s\r\n%s\r\n", boundary, type, headers);
    (void)fwrite(bytes, 1, n, p->f);
    fputs("\r\n", p->f);
}

static void parts_reply(parts *p, ace_http_request *request)
{
    char type[80];
    fprintf(p->f, "--%s--\r\n", boundary);
    bool whole = fclose(p->f) == 0;
    void *bytes = whole ? ace_malloc_array(p->n, 1) : NULL;
    if (bytes == NULL) {
        ace_peer_reply_error(request, 500, "no host memory");
    } else {
        memcpy(bytes, p->bytes, p->n);
        (void)snprintf(type, sizeof type, "multipart/mixed; boundary=%s", boundary);
        ace_http_reply_bytes(request, 200, type, bytes, p->n);
    }
    free(p->bytes);
}

static ace_status add_song(parts *p, ace_server *server, const json_t *record, const json_t *item,
                           ace_error *err)
{
    char *path = NULL;
    char headers[160];
    ace_file file;
    int index = (int)json_integer_value(json_object_get(item, "index"));
    double ms = 1000 * (json_number_value(json_object_get(record, "finished")) -
                        json_number_value(json_object_get(record, "started")));
    ace_status status = ace_jobs_file(server->jobs, ace_compat_string(record, "id"), index,
                                      ACE_JOB_AUDIO, &path, err);
    if (status == ACESTEP_OK) {
        status = ace_file_open(path, &file, err);
    }
    if (status == ACESTEP_OK) {
        (void)snprintf(headers, sizeof headers,
                       "X-Seed: %lld\r\nX-Duration: %.2f\r\nX-Compute-Ms: %.0f\r\n",
                       (long long)json_integer_value(json_object_get(item, "seed")),
                       json_number_value(json_object_get(item, "seconds")), ms);
        parts_add(p, ace_media_type(path), headers, file.data, file.bytes);
        ace_file_close(&file);
    }
    ace_free(path);
    return status;
}

/* What the song was before it was decoded, where it has kept that. */
static ace_status add_latents(parts *p, ace_server *server, const json_t *record,
                              const json_t *item, ace_error *err)
{
    char *path = NULL;
    ace_file file;
    int index = (int)json_integer_value(json_object_get(item, "index"));
    if (json_object_get(item, "latents") == NULL) {
        return ACESTEP_OK;
    }
    ace_status status = ace_jobs_file(server->jobs, ace_compat_string(record, "id"), index,
                                      ACE_JOB_LATENTS, &path, err);
    if (status == ACESTEP_OK) {
        status = ace_file_open(path, &file, err);
    }
    if (status == ACESTEP_OK) {
        parts_add(p, "application/octet-stream", "", file.data, file.bytes);
        ace_file_close(&file);
    }
    ace_free(path);
    return status;
}

static void reply_songs(ace_http_request *request, ace_server *server, const peer_ids *ids)
{
    parts p;
    ace_error err = {.code = ACESTEP_OK};
    ace_status status = ACESTEP_OK;
    if (!parts_open(&p)) {
        ace_peer_reply_error(request, 500, "no host memory");
        return;
    }
    for (int i = 0; i < ids->n; i++) {
        json_t *record = ace_jobs_record(server->jobs, ids->id[i]);
        size_t item_index = 0;
        const json_t *item = NULL;
        json_array_foreach (json_object_get(record, "items"), item_index, item) {
            if (status == ACESTEP_OK) {
                status = add_song(&p, server, record, item, &err);
            }
            if (status == ACESTEP_OK) {
                status = add_latents(&p, server, record, item, &err);
            }
        }
        json_decref(record);
    }
    if (status == ACESTEP_OK) {
        parts_reply(&p, request);
        return;
    }
    (void)fclose(p.f);
    free(p.bytes);
    ace_peer_reply_error(request, 404, "%s", err.message);
}

static void reply_heard(ace_http_request *request, const json_t *record)
{
    parts p;
    json_t *words = ace_peer_enriched(record);
    char *text = json_dumps(words, JSON_COMPACT | JSON_REAL_PRECISION(12));
    json_decref(words);
    if (text == NULL || !parts_open(&p)) {
        ace_peer_reply_error(request, 500, "no host memory");
    } else {
        parts_add(&p, "application/json", "", text, strlen(text));
        parts_reply(&p, request);
    }
    acestep_free(text);
}

/* /vae: the one file that came of it, as it is. */
static void reply_file(ace_http_request *request, ace_server *server, const json_t *record,
                       ace_job_file file)
{
    char *path = NULL;
    ace_error err = {.code = ACESTEP_OK};
    if (ace_jobs_file(server->jobs, ace_compat_string(record, "id"), 0, file, &path, &err) ==
        ACESTEP_OK) {
        ace_http_reply_file(
            request, path,
            file == ACE_JOB_AUDIO ? ace_media_type(path) : "application/octet-stream", NULL);
    } else {
        ace_peer_reply_error(request, 404, "%s", err.message);
    }
    ace_free(path);
}

static void reply_result(ace_http_request *request, ace_server *server, const peer_ids *ids)
{
    json_t *record = ace_jobs_record(server->jobs, ids->id[0]);
    switch (ace_job_kind_read(ace_compat_string(record, "kind"))) {
    case ACE_JOB_SONG:
        reply_songs(request, server, ids);
        break;
    case ACE_JOB_UNDERSTAND:
        reply_heard(request, record);
        break;
    case ACE_JOB_ENCODE:
        reply_file(request, server, record, ACE_JOB_LATENTS);
        break;
    case ACE_JOB_DECODE:
        reply_file(request, server, record, ACE_JOB_AUDIO);
        break;
    case ACE_JOB_SAMPLE:
    case ACE_JOB_FORMAT:
        ace_http_reply_json(request, 200, json_pack("[o]", ace_peer_enriched(record)));
        break;
    default:
        ace_peer_reply_error(request, 404, "no such job");
        break;
    }
    json_decref(record);
}

void ace_peer_job(ace_http_request *request, ace_server *server)
{
    peer_ids ids;
    if (!read_ids(ace_http_query(request, "id"), &ids)) {
        ace_peer_reply_error(request, 400, "id: missing");
        return;
    }
    int status = status_of(server, &ids);
    if (status < 0) {
        ace_peer_reply_error(request, 404, "no such job");
    } else if (!ace_http_query_flag(request, "result")) {
        const char *name = ace_job_status_name((ace_job_status)status);
        ace_http_reply_json(request, 200, json_pack("{s:s}", "status", name));
    } else if (status != ACE_JOB_DONE) {
        ace_peer_reply_error(request, 404, "there is no result: the job is %s",
                             ace_job_status_name((ace_job_status)status));
    } else {
        reply_result(request, server, &ids);
    }
}

void ace_peer_cancel(ace_http_request *request, ace_server *server)
{
    peer_ids ids;
    if (!ace_http_query_flag(request, "cancel") || !read_ids(ace_http_query(request, "id"), &ids)) {
        ace_peer_reply_error(request, 400, "id=…&cancel=1 is expected");
        return;
    }
    for (int i = 0; i < ids.n; i++) {
        if (ace_jobs_cancel(server->jobs, ids.id[i]) == ACE_JOB_UNKNOWN) {
            ace_peer_reply_error(request, 404, "no such job");
            return;
        }
    }
    int status = status_of(server, &ids);
    bool over = status == ACE_JOB_DONE || status == ACE_JOB_FAILED;
    ace_http_reply_json(
        request, 200,
        json_pack("{s:s}", "status",
                  over ? ace_job_status_name((ace_job_status)status) : "cancelled"));
}
