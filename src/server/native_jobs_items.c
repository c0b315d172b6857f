/* Files of finished songs: the audio in its own format or another, its waveform, and what lies
 * beside it. */
#include "server/native_jobs.h"

#include "base/file_write.h"
#include "base/memory.h"
#include "server/media_type.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { PATH_BYTES = 4600, PAIRS = 1000 };

/* The number in the address; -1 for anything else. */
static int read_index(const ace_http_request *request)
{
    char *end = NULL;
    const char *number = request->captures[1];
    errno = 0;
    long item = isdigit((unsigned char)number[0]) != 0 ? strtol(number, &end, 10) : -1;
    bool good = item >= 0 && item < 1000 && *end == '\0' && errno == 0;
    return good ? (int)item : -1;
}

/* The path of an item's file; NULL after answering 404. */
static char *find(ace_http_request *request, ace_server *server, ace_job_file file)
{
    char *path = NULL;
    ace_error err = {.code = ACESTEP_OK};
    int item = read_index(request);
    if (item < 0 ||
        ace_jobs_file(server->jobs, request->captures[0], item, file, &path, &err) != ACESTEP_OK) {
        ace_http_reply_error(request, 404, "not_found", NULL, NULL, "%s",
                             item >= 0 ? err.message : "there is no such item");
        return NULL;
    }
    return path;
}

/* ---- audio
 * ------------------------------------------------------------------------------------------ */

/* Letters of a format's name, which are its file's ending. */
static bool read_format(const char *format, char extension[16])
{
    static const char *const known[] = {"flac",  "flac16", "wav",  "wav16", "wav24",
                                        "wav32", "mp3",    "opus", "ogg"};
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        if (strcmp(format, known[i]) == 0) {
            size_t n = strcmp(format, "mp3") == 0 ? 3 : strcspn(format, "0123456789");
            (void)snprintf(extension, 16, "%.*s", (int)n, format);
            return true;
        }
    }
    return false;
}

/* "0.flac" as "0.as-mp3.mp3" beside it, made at the first use and gone with the job. */
static ace_status convert(ace_jobs *jobs, const char *id, const char *path, const char *format,
                          const char *extension, char *out, acestep_error *err)
{
    const char *dot = strrchr(path, '.');
    (void)snprintf(out, PATH_BYTES, "%.*s.as-%s.%s", (int)(dot - path), path, format, extension);
    if (access(out, R_OK) == 0) {
        return ACESTEP_OK;
    }
    ace_status status = acestep_audio_convert(path, format, out, err);
    if (status == ACESTEP_OK) {
        ace_jobs_measure(jobs, id);
    }
    return status;
}

static bool is_continuation(char c)
{
    return ((unsigned char)c & 0xC0u) == 0x80u;
}

/* "Title.mp3", or "j_…-0.mp3" where there is none: the name under which a browser saves it. */
static void saved_name(ace_http_request *request, ace_server *server, const char *path,
                       char name[160])
{
    json_t *record = ace_jobs_record(server->jobs, request->captures[0]);
    const char *title = json_string_value(json_object_get(record, "title"));
    const char *dot = strrchr(path, '.');
    char stem[128];
    size_t n = 0;
    for (; title != NULL && *title != '\0' && n < 100; title++) {
        bool plain = (unsigned char)*title >= 0x20 && strchr("/\\\"<>|?*:%\x7f", *title) == NULL;
        stem[n++] = plain ? *title : '-';
    }
    if (title != NULL && is_continuation(*title)) { /* no half a character at the cut */
        while (n > 0 && is_continuation(stem[n - 1])) {
            n--;
        }
        n -= n > 0 ? 1 : 0;
    }
    stem[n] = '\0';
    if (n == 0 || stem[0] == '.') {
        (void)snprintf(stem, sizeof stem, "%.30s-%.4s", request->captures[0], request->captures[1]);
    }
    (void)snprintf(name, 160, "%s%.16s", stem, dot != NULL ? dot : "");
    json_decref(record);
}

static void send_audio(ace_http_request *request, ace_server *server, const char *path)
{
    char name[160];
    bool save = ace_http_query_flag(request, "download");
    if (save) {
        saved_name(request, server, path, name);
    }
    ace_http_reply_file(request, path, ace_media_type(path), save ? name : NULL);
}

void ace_native_item_audio(ace_http_request *request, ace_server *server)
{
    char extension[16];
    char other[PATH_BYTES];
    acestep_error err = {.code = ACESTEP_OK};
    const char *format = ace_http_query(request, "format");
    if (format != NULL && !read_format(format, extension)) {
        ace_http_reply_error(
            request, 400, "bad_value", "format", NULL,
            "format: flac, flac16, wav16, wav24, wav32, mp3, opus or ogg is expected");
        return;
    }
    char *path = find(request, server, ACE_JOB_AUDIO);
    if (path == NULL) {
        return;
    }
    if (format == NULL) {
        send_audio(request, server, path);
    } else if (convert(server->jobs, request->captures[0], path, format, extension, other, &err) ==
               ACESTEP_OK) {
        send_audio(request, server, other);
    } else {
        ace_error inner = {.code = ACESTEP_OK};
        (void)ace_fail(&inner, err.code, "%s", err.message);
        ace_http_reply_failure(request, &inner, "format");
    }
    ace_free(path);
}

/* ---- waveform
 * --------------------------------------------------------------------------------------- */

void ace_native_item_peaks(ace_http_request *request, ace_server *server)
{
    int64_t pairs = 0;
    char kept[PATH_BYTES];
    acestep_error err = {.code = ACESTEP_OK};
    if (!ace_http_query_int(request, "pairs", 1, 4096, PAIRS, &pairs)) {
        return;
    }
    char *path = find(request, server, ACE_JOB_AUDIO);
    if (path == NULL) {
        return;
    }
    (void)snprintf(kept, sizeof kept, "%.*s.peaks.json", (int)(strrchr(path, '.') - path), path);
    if (pairs == PAIRS && access(kept, R_OK) == 0) {
        ace_http_reply_file(request, kept, "application/json", NULL);
        ace_free(path);
        return;
    }
    char *text = acestep_audio_peaks_json(path, (int)pairs, &err);
    if (text == NULL) {
        ace_error inner = {.code = ACESTEP_OK};
        (void)ace_fail(&inner, err.code, "%s", err.message);
        ace_http_reply_failure(request, &inner, NULL);
    } else {
        if (pairs == PAIRS) { /* where it cannot be kept, the next one reads the song again */
            (void)ace_file_write(kept, text, strlen(text), NULL);
        }
        ace_http_reply_text(request, 200, "application/json", text);
    }
    acestep_free(text);
    ace_free(path);
}

/* ---- beside it
 * -------------------------------------------------------------------------------------- */

static void send(ace_http_request *request, ace_server *server, ace_job_file file, const char *type)
{
    char *path = find(request, server, file);
    if (path != NULL) {
        const char *name = strrchr(path, '/') + 1;
        ace_http_reply_file(request, path, type,
                            ace_http_query_flag(request, "download") ? name : NULL);
    }
    ace_free(path);
}

void ace_native_item_sidecar(ace_http_request *request, ace_server *server)
{
    send(request, server, ACE_JOB_SIDECAR, "application/json");
}

void ace_native_item_lrc(ace_http_request *request, ace_server *server)
{
    send(request, server, ACE_JOB_LRC, "text/plain; charset=utf-8");
}

void ace_native_item_vtt(ace_http_request *request, ace_server *server)
{
    send(request, server, ACE_JOB_VTT, "text/vtt; charset=utf-8");
}

/* Made in one place, used in another: always a file to be saved. */
void ace_native_item_latents(ace_http_request *request, ace_server *server)
{
    send(request, server, ACE_JOB_LATENTS, "application/octet-stream");
}

/* Those of the request, those that the language model has written, or those of a recording. */
void ace_native_item_codes(ace_http_request *request, ace_server *server)
{
    int index = read_index(request);
    json_t *record = ace_jobs_record(server->jobs, request->captures[0]);
    const json_t *item =
        index >= 0 ? json_array_get(json_object_get(record, "items"), (size_t)index) : NULL;
    const char *codes = json_string_value(json_object_get(item, "codes"));
    if (codes != NULL && codes[0] != '\0') {
        char name[96];
        (void)snprintf(name, sizeof name, "attachment; filename=\"%.30s-%.4s.codes.txt\"",
                       request->captures[0], request->captures[1]);
        if (ace_http_query_flag(request, "download")) {
            ace_http_reply_header(request, "Content-Disposition", name);
        }
        ace_http_reply_text(request, 200, "text/plain; charset=utf-8", codes);
    } else {
        ace_http_reply_error(request, 404, "not_found", NULL, NULL, "%s",
                             item != NULL ? "the song follows no codes" : "there is no such item");
    }
    json_decref(record);
}
