/* A finished song's files: what they are called, and what the record says about them. */
#include "server/jobs_state.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

void ace_result_folder(const ace_jobs *jobs, const char *id, bool part, char *path)
{
    (void)snprintf(path, ACE_FOLDER_PATH_BYTES, "%s/results/%s%s", jobs->folder, id,
                   part ? ".part" : "");
}

/* Fields that a song's sidecar tells and its item repeats. */
static const char *const told[] = {"caption",       "lyrics",         "bpm",     "keyscale",
                                   "timesignature", "vocal_language", "duration"};

static void describe(json_t *item, const char *sidecar)
{
    json_t *root = json_load_file(sidecar, 0, NULL);
    const char *codes = json_string_value(json_object_get(root, "audio_codes"));
    for (size_t i = 0; i < sizeof told / sizeof *told; i++) {
        json_object_set(item, told[i], json_object_get(root, told[i]));
    }
    if (codes != NULL && codes[0] != '\0') {
        json_object_set(item, "codes", json_object_get(root, "audio_codes"));
    }
    json_decref(root);
}

/* Where a file of the song lies, and what it is to be called. */
typedef struct naming {
    const char *folder, *path;
    int index;
} naming;

static void put_names(const naming *n, const char *extension, bool audio, char *from, char *to)
{
    const char *slash = strrchr(n->path, '/');
    const char *dot = strrchr(slash != NULL ? slash : n->path, '.');
    size_t stem = dot != NULL ? (size_t)(dot - n->path) : strlen(n->path);
    (void)snprintf(from, ACE_FOLDER_PATH_BYTES, "%.*s.%s", (int)stem, n->path, extension);
    if (audio) {
        (void)snprintf(from, ACE_FOLDER_PATH_BYTES, "%s", n->path);
    }
    (void)snprintf(to, ACE_FOLDER_PATH_BYTES, "%s/%d.%s", n->folder, n->index, extension);
}

static bool take_beside(json_t *item, const naming *n, const char *extension, const char *field,
                        const char *id)
{
    char from[ACE_FOLDER_PATH_BYTES];
    char to[ACE_FOLDER_PATH_BYTES];
    put_names(n, extension, false, from, to);
    if (rename(from, to) != 0) {
        return false;
    }
    json_object_set_new(item, field, json_sprintf("/v1/jobs/%s/items/%d/%s", id, n->index, field));
    return true;
}

static json_t *format_of(const ace_jobs_entry *e)
{
    const char *format = json_string_value(json_object_get(e->request, "audio_format"));
    return json_string(format != NULL && format[0] != '\0' ? format : "flac");
}

static ace_status take_audio(const ace_jobs_entry *e, const naming *n, json_t *item, ace_error *err)
{
    char from[ACE_FOLDER_PATH_BYTES];
    char to[ACE_FOLDER_PATH_BYTES];
    struct stat st;
    const char *dot = strrchr(n->path, '.');
    const char *extension = dot != NULL ? dot + 1 : "flac";
    put_names(n, extension, true, from, to);
    if (rename(from, to) != 0 || stat(to, &st) != 0) {
        return ace_fail(err, ACESTEP_IO, "%s cannot be put in place: %s", to, strerror(errno));
    }
    json_object_set_new(item, "format", format_of(e));
    json_object_set_new(item, "bytes", json_integer((json_int_t)st.st_size));
    json_object_set_new(item, "extension", json_string(extension));
    json_object_set_new(item, "audio", json_sprintf("/v1/jobs/%s/items/%d/audio", e->id, n->index));
    json_object_set_new(item, "peaks", json_sprintf("/v1/jobs/%s/items/%d/peaks", e->id, n->index));
    return ACESTEP_OK;
}

static void take_rest(const ace_jobs_entry *e, const naming *n, json_t *item)
{
    char from[ACE_FOLDER_PATH_BYTES];
    char to[ACE_FOLDER_PATH_BYTES];
    if (take_beside(item, n, "json", "sidecar", e->id)) {
        put_names(n, "json", false, from, to);
        describe(item, to);
    }
    (void)take_beside(item, n, "latents", "latents", e->id);
    (void)take_beside(item, n, "lrc", "lrc", e->id);
    (void)take_beside(item, n, "vtt", "vtt", e->id);
}

/* The audio, else what has its name. */
static const char *path_of(const json_t *output, bool *audio)
{
    static const char *const names[] = {"path", "latents", "lrc"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        const char *path = json_string_value(json_object_get(output, names[i]));
        *audio = i == 0;
        if (path != NULL) {
            return path;
        }
    }
    return NULL;
}

static ace_status take_files(const ace_jobs_entry *e, const char *folder, int index,
                             const json_t *output, json_t *item, ace_error *err)
{
    bool audio = false;
    const naming n = {folder, path_of(output, &audio), index};
    if (n.path == NULL) {
        return ACESTEP_OK; /* a job that was only walked through */
    }
    ace_status status = audio ? take_audio(e, &n, item, err) : ACESTEP_OK;
    if (status == ACESTEP_OK) {
        take_rest(e, &n, item);
    }
    return status;
}

json_t *ace_result_items(const ace_jobs_entry *e, const char *folder, json_t *report,
                         ace_error *err)
{
    json_t *items = json_array();
    size_t i = 0;
    json_t *output = NULL;
    json_array_foreach (json_object_get(report, "outputs"), i, output) {
        json_t *item = json_pack("{s:i}", "index", (int)i);
        static const char *const kept[] = {"seed",        "seconds",  "sample_rate",
                                           "lyric_score", "lm_score", "codes"};
        for (size_t k = 0; k < sizeof kept / sizeof *kept; k++) {
            json_object_set(item, kept[k], json_object_get(output, kept[k]));
        }
        json_array_append_new(items, item);
        if (take_files(e, folder, (int)i, output, item, err) != ACESTEP_OK) {
            json_decref(items);
            return NULL;
        }
    }
    return items;
}
