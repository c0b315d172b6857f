#include "server/reference_result.h"

#include "base/memory.h"
#include "server/compat_request.h"

#include <stdio.h>
#include <string.h>

const char *ace_compat_string(const json_t *object, const char *key)
{
    const char *text = json_string_value(json_object_get(object, key));
    return text != NULL ? text : "";
}

int ace_reference_status(const json_t *record)
{
    switch (ace_job_status_read(ace_compat_string(record, "status"))) {
    case ACE_JOB_QUEUED:
    case ACE_JOB_RUNNING:
        return 0;
    case ACE_JOB_DONE:
        return 1;
    default:
        return 2;
    }
}

json_t *ace_compat_all_warnings(const json_t *record)
{
    json_t *all = json_array();
    json_array_extend(all, ace_compat_warnings(json_object_get(record, "params")));
    json_array_extend(all, json_object_get(record, "warnings"));
    return all;
}

char *ace_reference_audio_url(const json_t *record, const json_t *item, ace_server *server)
{
    /* clients take the format from the end of the path */
    char target[128];
    (void)snprintf(target, sizeof target, "/v1/audio?path=%s%%2F%lld.%s",
                   ace_compat_string(record, "id"),
                   (long long)json_integer_value(json_object_get(item, "index")),
                   ace_compat_string(item, "format"));
    return server != NULL ? ace_http_sign(server, target) : ace_strdup(target);
}

/* A number or a text that is known, else the original's "N/A". */
static json_t *known(const json_t *value)
{
    bool is_known =
        (json_is_number(value) && json_number_value(value) > 0) || json_string_length(value) > 0;
    return is_known ? json_deep_copy(value) : json_string("N/A");
}

static json_t *first_of(const json_t *a, const json_t *b, const char *key)
{
    json_t *value = json_object_get(a, key);
    bool there = json_is_number(value) || json_string_length(value) > 0;
    return there ? value : json_object_get(b, key);
}

/* What clients know of a job at any time. */
static json_t *common(const json_t *record)
{
    const json_t *progress = json_object_get(record, "progress");
    int status = ace_reference_status(record);
    const char *stage = ace_compat_string(progress, "stage");
    double whole = json_number_value(json_object_get(progress, "whole"));
    stage = status == 1        ? "succeeded"
            : status == 2      ? ace_compat_string(record, "status")
            : stage[0] != '\0' ? stage
                               : ace_compat_string(record, "status");
    return json_pack("{s:s, s:s, s:i, s:I, s:s, s:f, s:s}", "file", "", "wave", "", "status",
                     status, "create_time",
                     (json_int_t)json_number_value(json_object_get(record, "created")), "env",
                     "development", "progress",
                     status == 1   ? 1.0
                     : status == 2 ? 0.0
                                   : whole,
                     "stage", stage);
}

static json_t *metas_of(const json_t *record, const json_t *item)
{
    const json_t *params = json_object_get(record, "params");
    const json_t *seconds = json_object_get(item, "seconds");
    return json_pack("{s:o, s:o, s:s, s:o, s:o, s:s, s:s}", "bpm",
                     known(first_of(item, params, "bpm")), "duration", known(seconds), "genres",
                     "N/A", "keyscale", known(first_of(item, params, "keyscale")), "timesignature",
                     known(first_of(item, params, "timesignature")), "prompt",
                     ace_compat_string(params, "caption"), "lyrics",
                     ace_compat_string(params, "lyrics"));
}

static void put_seeds(json_t *item, const json_t *items)
{
    char list[128] = "";
    size_t i = 0;
    const json_t *one = NULL;
    json_array_foreach (items, i, one) {
        size_t n = strlen(list);
        (void)snprintf(list + n, sizeof list - n, "%s%lld", i > 0 ? "," : "",
                       (long long)json_integer_value(json_object_get(one, "seed")));
    }
    json_object_set_new(item, "seed_value", json_string(list));
}

static void put_history(json_t *out, const json_t *record)
{
    const json_t *plan = json_object_get(record, "plan");
    const json_t *request = json_object_get(record, "request");
    double seconds = json_number_value(json_object_get(record, "finished")) -
                     json_number_value(json_object_get(record, "started"));
    char info[160];
    (void)snprintf(info, sizeof info, "%zu song(s) in %.1f s on %s",
                   json_array_size(json_object_get(record, "items")), seconds,
                   ace_compat_string(plan, "device"));
    json_object_set_new(out, "generation_info", json_string(info));
    json_object_set_new(out, "lm_model", json_string(ace_compat_string(plan, "lm_model")));
    json_object_set_new(out, "dit_model", json_string(ace_compat_string(request, "model")));
}

/* Keys of both shapes that the original has: of its API server and of its page's API. */
static json_t *song(const json_t *record, const json_t *item, ace_server *server)
{
    const json_t *params = json_object_get(record, "params");
    json_t *out = common(record);
    char *url = ace_reference_audio_url(record, item, server);
    const json_t *caption = first_of(item, params, "caption");
    const json_t *lyrics = first_of(item, params, "lyrics");
    const char *words = json_string_value(lyrics) != NULL ? json_string_value(lyrics) : "";
    const char *prompt = json_string_value(caption) != NULL ? json_string_value(caption) : "";
    if (out == NULL || url == NULL) {
        json_decref(out);
        ace_free(url);
        return NULL;
    }
    json_object_set_new(out, "file", json_string(url));
    json_object_set_new(out, "url", json_string(url));
    json_object_set_new(out, "prompt", json_string(prompt));
    json_object_set_new(out, "caption", json_string(prompt));
    json_object_set_new(out, "lyrics", json_string(words));
    json_object_set_new(out, "metas", metas_of(record, item));
    json_object_set(out, "seed", json_object_get(item, "seed"));
    put_seeds(out, json_object_get(record, "items"));
    json_object_set_new(out, "bpm", known(first_of(item, params, "bpm")));
    json_object_set_new(out, "duration", known(json_object_get(item, "seconds")));
    json_object_set_new(out, "keyscale", known(first_of(item, params, "keyscale")));
    json_object_set_new(out, "timesignature", known(first_of(item, params, "timesignature")));
    json_object_set_new(out, "vocal_language", known(first_of(item, params, "vocal_language")));
    put_history(out, record);
    json_object_set_new(out, "warnings", ace_compat_all_warnings(record));
    ace_free(url);
    return out;
}

/* What the language model heard or wrote: no file. */
static json_t *words(const json_t *record)
{
    const json_t *w = json_object_get(record, "words");
    const json_t *history = json_object_get(w, "acestep");
    const json_t *asked =
        json_object_get(json_object_get(json_object_get(record, "params"), "acestep"), "asked");
    bool heard = strcmp(ace_compat_string(record, "kind"), "understand") == 0;
    bool codes = json_is_true(json_object_get(asked, "codes_only"));
    json_t *out = common(record);
    json_object_set_new(out, "status_message",
                        json_string(!heard  ? "Success"
                                    : codes ? "Audio Codes Extraction Success"
                                            : "Full Hardware Analysis Success"));
    json_object_set_new(out, "bpm", known(json_object_get(w, "bpm")));
    json_object_set_new(out, "keyscale", known(json_object_get(w, "keyscale")));
    json_object_set_new(out, "timesignature", known(json_object_get(w, "timesignature")));
    json_object_set_new(out, "duration", known(json_object_get(w, "duration")));
    json_object_set_new(out, "genre", known(json_object_get(history, "genres")));
    json_object_set_new(out, "prompt", json_string(ace_compat_string(w, "caption")));
    json_object_set_new(out, "lyrics", json_string(ace_compat_string(w, "lyrics")));
    json_object_set_new(out, "language", known(json_object_get(w, "vocal_language")));
    json_object_set_new(out, "audio_codes", json_string(ace_compat_string(w, "audio_codes")));
    json_object_set_new(out, "audio_paths", json_array());
    json_t *metas = json_object();
    static const char *const copied[] = {"bpm", "keyscale", "timesignature", "duration"};
    for (size_t i = 0; i < sizeof copied / sizeof *copied; i++) {
        json_object_set(metas, copied[i], json_object_get(out, copied[i]));
    }
    json_object_set(metas, "genres", json_object_get(out, "genre"));
    json_object_set(metas, "caption", json_object_get(out, "prompt"));
    json_object_set(metas, "language", json_object_get(out, "language"));
    json_object_set_new(out, "metas", metas);
    json_object_set_new(out, "warnings", ace_compat_all_warnings(record));
    return out;
}

static json_t *unfinished(const json_t *record)
{
    json_t *out = common(record);
    if (ace_reference_status(record) == 2) {
        const json_t *error = json_object_get(record, "error");
        const char *message = ace_compat_string(error, "message");
        json_object_set_new(
            out, "error",
            json_string(message[0] != '\0' ? message : ace_compat_string(record, "status")));
    }
    json_object_set_new(out, "warnings", ace_compat_all_warnings(record));
    return out;
}

json_t *ace_reference_result(const json_t *record, ace_server *server)
{
    json_t *out = json_array();
    size_t i = 0;
    const json_t *item = NULL;
    if (ace_reference_status(record) != 1) {
        json_array_append_new(out, unfinished(record));
        return out;
    }
    if (strcmp(ace_compat_string(record, "kind"), "song") != 0) {
        json_array_append_new(out, words(record));
        return out;
    }
    json_array_foreach (json_object_get(record, "items"), i, item) {
        json_array_append_new(out, song(record, item, server));
    }
    return out;
}

static void progress_text(const json_t *record, char *out, size_t bytes)
{
    const json_t *progress = json_object_get(record, "progress");
    const json_t *position = json_object_get(record, "queue_position");
    if (json_is_integer(position)) {
        (void)snprintf(out, bytes, "queued, position %lld",
                       (long long)json_integer_value(position));
    } else if (ace_reference_status(record) == 0) {
        (void)snprintf(out, bytes, "%s %.0f%%", ace_compat_string(progress, "stage"),
                       100 * json_number_value(json_object_get(progress, "whole")));
    } else {
        (void)snprintf(out, bytes, "%s", ace_compat_string(record, "status"));
    }
}

json_t *ace_reference_entry(const char *id, const json_t *record, ace_server *server)
{
    char progress[160];
    if (record == NULL) {
        return json_pack("{s:s, s:i, s:s, s:s, s:s}", "task_id", id, "status", 2, "result", "[]",
                         "progress_text", "", "error", "unknown task");
    }
    progress_text(record, progress, sizeof progress);
    json_t *result = ace_reference_result(record, server);
    char *text = json_dumps(result, JSON_COMPACT | JSON_REAL_PRECISION(12));
    json_t *entry =
        json_pack("{s:s, s:i, s:s, s:s}", "task_id", id, "status", ace_reference_status(record),
                  "result", text != NULL ? text : "[]", "progress_text", progress);
    acestep_free(text);
    json_decref(result);
    return entry;
}
