#include "run/output.h"

#include "audio/level.h"
#include "audio/write.h"
#include "base/file_map.h"
#include "base/file_write.h"
#include "run/latents_file.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

/* ---- names
 * --------------------------------------------------------------------------------------------- */

/* The first words of a text as a file name: letters, digits and hyphens of ASCII. */
static void slug(const char *text, char *out, size_t bytes)
{
    size_t n = 0;
    for (; *text != '\0' && n + 1 < bytes && n < 40; text++) {
        if (isalnum((unsigned char)*text) != 0) {
            out[n++] = (char)tolower((unsigned char)*text);
        } else if (n > 0 && out[n - 1] != '-') {
            out[n++] = '-';
        }
    }
    while (n > 0 && out[n - 1] == '-') {
        n--;
    }
    out[n] = '\0';
}

static void default_name(const ace_request *r, const char *folder, uint64_t seed,
                         const char *extension, char *out)
{
    char words[48];
    char stamp[32] = "song";
    time_t now = time(NULL);
    struct tm local;
    slug(r->title[0] != '\0' ? r->title : r->caption, words, sizeof words);
    if (localtime_r(&now, &local) != NULL) {
        (void)strftime(stamp, sizeof stamp, "%Y%m%d-%H%M%S", &local);
    }
    for (int copy = 0; copy < 1000; copy++) {
        char counter[16] = "";
        if (copy > 0) {
            (void)snprintf(counter, sizeof counter, "_%d", copy);
        }
        (void)snprintf(out, ACE_OUTPUT_PATH_BYTES, "%.4000s%s%s%s_%llu%s.%s", folder, stamp,
                       words[0] != '\0' ? "_" : "", words, (unsigned long long)seed, counter,
                       extension);
        if (!ace_file_exists(out)) {
            return;
        }
    }
}

static const char *extension_of(const char *path)
{
    const char *slash = strrchr(path, '/');
    const char *dot = strrchr(slash != NULL ? slash : path, '.');
    return dot != NULL ? dot : path + strlen(path);
}

/* "song.flac" → "song_2.flac" where there are several. */
static void numbered_name(const char *path, int index, int n, char *out)
{
    const char *extension = extension_of(path);
    if (n == 1) {
        (void)snprintf(out, ACE_OUTPUT_PATH_BYTES, "%s", path);
    } else {
        (void)snprintf(out, ACE_OUTPUT_PATH_BYTES, "%.*s_%d%s", (int)(extension - path), path,
                       index + 1, extension);
    }
}

void ace_output_beside(const char *audio_path, const char *extension, char *out, size_t bytes)
{
    (void)snprintf(out, bytes, "%.*s.%s", (int)(extension_of(audio_path) - audio_path), audio_path,
                   extension);
}

/* ---- before computing
 * -------------------------------------------------------------------------------------- */

static bool names_folder(const char *path)
{
    size_t n = strlen(path);
    return n == 0 || path[n - 1] == '/' || ace_directory_exists(path);
}

ace_status ace_output_format(const ace_request *r, ace_audio_format *out, ace_error *err)
{
    ace_status status = ACESTEP_OK;
    if (r->audio_format[0] != '\0') {
        status = ace_audio_format_parse(r->audio_format, out, err);
    } else if (names_folder(r->output) || extension_of(r->output)[0] == '\0') {
        status = ace_audio_format_parse("flac", out, err);
    } else {
        status = ace_audio_format_for_path(r->output, out, err);
    }
    out->mp3_bitrate = (int)r->mp3_bitrate;
    out->opus_bitrate = (int)r->opus_bitrate;
    return status;
}

/* Permission bits do not tell all: too long a name, a read-only file system. Better now than after
 * the song has been computed. */
static ace_status try_to_create(const char *path, ace_error *err)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    if (fd < 0) {
        return ace_fail(err, ACESTEP_IO, "output: %s cannot be written: %s", path, strerror(errno));
    }
    (void)close(fd);
    (void)unlink(path);
    return ACESTEP_OK;
}

static ace_status check_writable(const ace_request *r, const char *path, ace_error *err)
{
    char folder[ACE_OUTPUT_PATH_BYTES];
    const char *slash = strrchr(path, '/');
    (void)snprintf(folder, sizeof folder, "%.*s", slash != NULL ? (int)(slash - path) : 1,
                   slash != NULL ? path : ".");
    if (folder[0] == '\0') {
        (void)snprintf(folder, sizeof folder, "/");
    }
    struct stat st;
    if (stat(folder, &st) != 0) {
        return ace_fail(err, ACESTEP_IO, "output: the folder %s: %s", folder, strerror(errno));
    }
    if (!S_ISDIR(st.st_mode)) {
        return ace_fail(err, ACESTEP_IO, "output: %s is no folder", folder);
    }
    if (access(folder, W_OK | X_OK) != 0) {
        return ace_fail(err, ACESTEP_IO, "output: the folder %s cannot be written: %s", folder,
                        strerror(errno));
    }
    if (ace_directory_exists(path)) {
        return ace_fail(err, ACESTEP_IO, "output: %s is a folder", path);
    }
    if (!r->overwrite && ace_file_exists(path)) {
        return ace_fail(err, ACESTEP_IO, "output: %s exists; --overwrite replaces it", path);
    }
    return ace_file_exists(path) ? ACESTEP_OK : try_to_create(path, err);
}

/* Timed lyrics and latents are results as the song is: one made before is not replaced unasked. */
static ace_status check_beside(const ace_request *r, const char *path, ace_error *err)
{
    const struct {
        bool wanted;
        const char *extension;
    } files[] = {{r->auto_lrc, "lrc"}, {r->auto_lrc, "vtt"}, {r->save_latents, "latents"}};
    ace_status status = ACESTEP_OK;
    for (size_t i = 0; i < sizeof files / sizeof *files && status == ACESTEP_OK; i++) {
        char beside[ACE_OUTPUT_PATH_BYTES];
        ace_output_beside(path, files[i].extension, beside, sizeof beside);
        status = files[i].wanted ? check_writable(r, beside, err) : ACESTEP_OK;
    }
    return status;
}

static ace_status check_length(const ace_request *r, ace_error *err)
{
    return strlen(r->output) <= ACE_OUTPUT_PATH_BYTES - 200
               ? ACESTEP_OK
               : ace_fail(err, ACESTEP_ARGUMENT, "output: the path is too long");
}

static void name_in_folder(const ace_request *r, uint64_t seed, const char *extension, char *out)
{
    char folder[ACE_OUTPUT_PATH_BYTES];
    size_t length = strlen(r->output);
    const char *slash = length > 0 && r->output[length - 1] != '/' ? "/" : "";
    (void)snprintf(folder, sizeof folder, "%s%s", r->output, slash);
    default_name(r, folder, seed, extension, out);
}

ace_status ace_output_prepare(const ace_request *r, const uint64_t *seeds, int n, ace_output *out,
                              ace_error *err)
{
    memset(out, 0, sizeof *out);
    ace_status status = check_length(r, err);
    if (status == ACESTEP_OK) {
        status = ace_output_format(r, &out->format, err);
    }
    for (int i = 0; i < n && status == ACESTEP_OK; i++) {
        if (names_folder(r->output)) {
            name_in_folder(r, seeds[i], ace_audio_format_extension(out->format.kind), out->path[i]);
        } else {
            numbered_name(r->output, i, n, out->path[i]);
        }
        status = check_writable(r, out->path[i], err);
        if (status == ACESTEP_OK) {
            status = check_beside(r, out->path[i], err);
        }
    }
    return status;
}

ace_status ace_output_prepare_beside(const ace_request *r, uint64_t seed,
                                     const char *const *extensions, int n, ace_output *out,
                                     ace_error *err)
{
    char file[ACE_OUTPUT_PATH_BYTES];
    ace_status status = check_length(r, err);
    memset(out, 0, sizeof *out);
    if (status == ACESTEP_OK && names_folder(r->output)) {
        name_in_folder(r, seed, extensions[0], out->path[0]);
    } else if (status == ACESTEP_OK) {
        (void)snprintf(out->path[0], sizeof out->path[0], "%s", r->output);
    }
    for (int i = 0; i < n && status == ACESTEP_OK; i++) {
        ace_output_beside(out->path[0], extensions[i], file, sizeof file);
        status = check_writable(r, file, err);
    }
    return status;
}

/* ---- afterwards
 * ---------------------------------------------------------------------------------------------- */

ace_status ace_output_level(const ace_request *r, ace_audio *audio, ace_error *err)
{
    ace_level_options level = ace_level_options_default();
    level.mode = r->enable_normalization ? ACE_LEVEL_PEAK : ACE_LEVEL_NONE;
    level.target_db = r->normalization_db;
    level.fade_in = r->fade_in_duration;
    level.fade_out = r->fade_out_duration;
    ace_level_fit(audio); /* the original divides by a peak above 1 whatever follows */
    return ace_level_apply(audio, &level, err);
}

static const char *title_of(const ace_request *r, char *buffer, size_t bytes)
{
    if (r->title[0] != '\0') {
        return r->title;
    }
    enum { LONGEST = 80 };
    size_t n = strcspn(r->caption, ".,;\n");
    n = n < LONGEST ? n : LONGEST;
    while (n > 0 && ((unsigned char)r->caption[n] & 0xC0u) == 0x80u) {
        n--; /* no half a character at the cut */
    }
    (void)snprintf(buffer, bytes, "%.*s", (int)n, r->caption);
    return buffer;
}

enum { MAX_TAGS = 16 };

static size_t collect_tags(const ace_request *r, const ace_finished *song, const char *model,
                           const char *sidecar, char *title, size_t title_bytes,
                           char numbers[2][24], ace_tag *tags)
{
    enum { FULL, BASIC, NONE };
    enum { LARGEST_PARAMETERS = 64 * 1024 };
    size_t n = 0;
    if (r->file_tags == NONE) {
        return 0;
    }
    tags[n++] = (ace_tag){"TITLE", title_of(r, title, title_bytes)};
    tags[n++] = (ace_tag){"ENCODER", "acestep"};
    tags[n++] = (ace_tag){"ACESTEP_GENERATED", "1"};
    if (r->file_tags == BASIC) {
        return n;
    }
    (void)snprintf(numbers[0], 24, "%llu", (unsigned long long)song->seed);
    (void)snprintf(numbers[1], 24, "%lld", (long long)r->bpm);
    tags[n++] = (ace_tag){"DESCRIPTION", r->caption};
    tags[n++] = (ace_tag){"LYRICS", r->instrumental ? "" : r->lyrics};
    tags[n++] = (ace_tag){"SYNCEDLYRICS", song->lyrics.lrc};
    tags[n++] = (ace_tag){"BPM", r->bpm > 0 ? numbers[1] : ""};
    tags[n++] = (ace_tag){"INITIALKEY", r->keyscale};
    tags[n++] =
        (ace_tag){"LANGUAGE", strcmp(r->vocal_language, "unknown") == 0 ? "" : r->vocal_language};
    tags[n++] = (ace_tag){"ACESTEP_SEED", numbers[0]};
    tags[n++] = (ace_tag){"ACESTEP_MODEL", model};
    if (sidecar != NULL && strlen(sidecar) < LARGEST_PARAMETERS) {
        tags[n++] = (ace_tag){"ACESTEP_PARAMS", sidecar};
    }
    return n;
}

/* The files beside the audio file, which goes too when one of them cannot be written: nothing half
 * done is left behind. */
static ace_status write_beside(const ace_request *r, const char *audio_path,
                               const ace_finished *song, const char *sidecar, ace_error *err)
{
    const struct {
        const char *extension, *text;
        const ace_array *latents;
    } file[] = {{"lrc", song->lyrics.lrc, NULL},
                {"vtt", song->lyrics.vtt, NULL},
                {"latents", NULL, r->save_latents ? &song->latents : NULL},
                {"json", r->sidecar ? sidecar : NULL, NULL}};
    enum { FILES = sizeof file / sizeof file[0] };
    char path[ACE_OUTPUT_PATH_BYTES];
    ace_status status = ACESTEP_OK;
    int i = 0;
    for (; i < FILES && status == ACESTEP_OK; i++) {
        if (file[i].text != NULL) {
            ace_output_beside(audio_path, file[i].extension, path, sizeof path);
            status = ace_file_write(path, file[i].text, strlen(file[i].text), err);
        } else if (file[i].latents != NULL) {
            ace_output_beside(audio_path, file[i].extension, path, sizeof path);
            status = ace_latents_write(path, file[i].latents, err);
        }
    }
    if (status == ACESTEP_OK) {
        return ACESTEP_OK;
    }
    for (int k = 0; k < i - 1; k++) { /* what was written before the one that failed */
        if (file[k].text != NULL || file[k].latents != NULL) {
            ace_output_beside(audio_path, file[k].extension, path, sizeof path);
            (void)unlink(path);
        }
    }
    (void)unlink(audio_path);
    return status;
}

ace_status ace_output_write(const ace_request *r, const ace_output *out, int index,
                            const ace_finished *song, const ace_brief *brief, const char *model,
                            const char *sidecar, ace_error *err)
{
    ace_tag tags[MAX_TAGS];
    char title[256];
    char numbers[2][24];
    (void)brief;
    size_t n = collect_tags(r, song, model, sidecar, title, sizeof title, numbers, tags);
    const char *path = out->path[index];
    ace_status status = ace_audio_write(path, &song->audio, &out->format, tags, n, err);
    return status != ACESTEP_OK ? status : write_beside(r, path, song, sidecar, err);
}
