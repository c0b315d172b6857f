#include "server/downloads.h"

#include "acestep/store.h"
#include "base/file_write.h"
#include "base/log.h"
#include "base/memory.h"
#include "server/jobs_entry.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { MOST_KEPT = 50, MOST_WAITING = 20 };

struct ace_downloads {
    ace_server *server;
    pthread_mutex_t mutex;
    pthread_cond_t changed;
    pthread_t thread;
    bool has_thread;
    bool stopping;
    json_t *records; /* array, the oldest first */
    json_t *running; /* one of them, or NULL */
    bool cancelled;  /* the running one */
    int64_t last_id;
    char path[4096];
};

static double now(void)
{
    struct timespec t;
    (void)clock_gettime(CLOCK_REALTIME, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* ---- records; with the mutex held
 * ----------------------------------------------------------------------- */

static const char *text_of(const json_t *record, const char *name)
{
    const char *text = json_string_value(json_object_get(record, name));
    return text != NULL ? text : "";
}

static bool has_status(const json_t *record, const char *status)
{
    return strcmp(text_of(record, "status"), status) == 0;
}

static bool is_unfinished(const json_t *record)
{
    return has_status(record, "queued") || has_status(record, "running");
}

static void set_status(json_t *record, const char *status, const char *time_name)
{
    (void)json_object_set_new(record, "status", json_string(status));
    if (time_name != NULL) {
        (void)json_object_set_new(record, time_name, json_real(now()));
    }
}

/* A download that is not written down is lost with the process and not otherwise. */
static void save(ace_downloads *d)
{
    ace_error err = {.code = ACESTEP_OK};
    char *text = json_dumps(d->records, JSON_INDENT(2));
    if (text == NULL || ace_file_write(d->path, text, strlen(text), &err) != ACESTEP_OK) {
        ace_log(ACE_LOG_WARNING, "downloads", "%s",
                err.code != ACESTEP_OK ? err.message : "no host memory");
    }
    free(text);
}

static json_t *find(ace_downloads *d, const char *id, size_t *index)
{
    for (size_t i = 0; i < json_array_size(d->records); i++) {
        json_t *record = json_array_get(d->records, i);
        if (strcmp(text_of(record, "id"), id) == 0) {
            *index = i;
            return record;
        }
    }
    return NULL;
}

static json_t *next_queued(ace_downloads *d)
{
    for (size_t i = 0; i < json_array_size(d->records); i++) {
        json_t *record = json_array_get(d->records, i);
        if (has_status(record, "queued")) {
            return record;
        }
    }
    return NULL;
}

static void forget_oldest(ace_downloads *d)
{
    for (size_t i = 0;
         json_array_size(d->records) > MOST_KEPT && i < json_array_size(d->records);) {
        if (is_unfinished(json_array_get(d->records, i))) {
            i++;
        } else {
            (void)json_array_remove(d->records, i);
        }
    }
}

/* ---- the thread
 * ------------------------------------------------------------------------------------------ */

static bool show_progress(void *context, const acestep_store_state *state)
{
    ace_downloads *d = context;
    double total = (double)state->total;
    double left = total - (double)state->done;
    json_t *progress = json_pack(
        "{s:s, s:s, s:s, s:I, s:I, s:f, s:f}", "set", state->set, "file", state->file, "note",
        state->note, "done", (json_int_t)state->done, "total", (json_int_t)state->total, "fraction",
        total > 0 ? (double)state->done / total : 0.0, "bytes_per_second", state->bytes_per_second);
    if (progress != NULL) {
        (void)json_object_set_new(
            progress, "eta_seconds",
            state->bytes_per_second > 0 ? json_real(left / state->bytes_per_second) : json_null());
    }
    (void)pthread_mutex_lock(&d->mutex);
    (void)json_object_set_new(d->running, "progress", progress);
    bool go_on = !d->stopping && !d->cancelled;
    (void)pthread_mutex_unlock(&d->mutex);
    return go_on;
}

/* The call itself, without the mutex; request: a copy of the record. */
static acestep_status get(ace_downloads *d, const json_t *request, char **result,
                          acestep_error *err)
{
    ace_error own = {.code = ACESTEP_OK};
    const char *names[MOST_KEPT];
    size_t n = 0;
    json_t *sets = json_object_get(request, "sets");
    for (size_t i = 0; i < json_array_size(sets) && n < MOST_KEPT; i++) {
        names[n++] = json_string_value(json_array_get(sets, i));
    }
    char *folder = ace_downloads_folder(d->server, &own);
    char *lm = folder != NULL ? ace_downloads_recommended(d->server, &own) : NULL;
    acestep_status status = own.code;
    if (lm != NULL) {
        acestep_store_options options = {.folder = folder,
                                         .source =
                                             json_string_value(json_object_get(request, "source")),
                                         .force = json_is_true(json_object_get(request, "force"))};
        acestep_store_options_environment(&options);
        status = acestep_store_download(&options, names, n, lm, show_progress, d, result, err);
    } else {
        err->code = status;
        (void)snprintf(err->message, sizeof err->message, "%s", own.message);
    }
    if (status == ACESTEP_OK) {
        ace_downloads_use(d->server, folder);
    }
    ace_free(lm);
    acestep_free(folder);
    return status;
}

static void finish(ace_downloads *d, json_t *record, acestep_status status, const char *result,
                   const acestep_error *err)
{
    if (status == ACESTEP_CANCELLED && d->stopping && !d->cancelled) {
        set_status(record, "queued", NULL); /* goes on at the next start */
    } else if (status == ACESTEP_CANCELLED) {
        set_status(record, "cancelled", "finished");
    } else if (status == ACESTEP_OK) {
        set_status(record, "done", "finished");
        (void)json_object_set_new(record, "result", json_loads(result, 0, NULL));
    } else {
        set_status(record, "failed", "finished");
        (void)json_object_set_new(record, "error", ace_entry_error(status, err->message));
    }
}

static void *work(void *context)
{
    ace_downloads *d = context;
    (void)pthread_mutex_lock(&d->mutex);
    while (!d->stopping) {
        json_t *record = next_queued(d);
        if (record == NULL) {
            (void)pthread_cond_wait(&d->changed, &d->mutex);
            continue;
        }
        json_t *copy = json_deep_copy(record);
        d->running = json_incref(record);
        d->cancelled = false;
        set_status(record, "running", "started");
        save(d);
        (void)pthread_mutex_unlock(&d->mutex);
        char *result = NULL;
        acestep_error err = {.code = ACESTEP_OK};
        acestep_status status = get(d, copy, &result, &err);
        (void)pthread_mutex_lock(&d->mutex);
        finish(d, record, status, result, &err);
        d->running = NULL;
        forget_oldest(d);
        save(d);
        acestep_free(result);
        json_decref(record);
        json_decref(copy);
    }
    (void)pthread_mutex_unlock(&d->mutex);
    return NULL;
}

/* ---- opening
 * --------------------------------------------------------------------------------------------- */

/* A damaged file is only a list that is lost: what has been downloaded is on disk. */
static void load(ace_downloads *d)
{
    json_t *saved = json_load_file(d->path, 0, NULL);
    for (size_t i = 0; i < json_array_size(saved) && i < MOST_KEPT; i++) {
        json_t *record = json_array_get(saved, i);
        json_t *names = json_object_get(record, "sets");
        bool well = text_of(record, "id")[0] != '\0' && json_is_array(names);
        for (size_t k = 0; k < json_array_size(names); k++) {
            well = well && json_is_string(json_array_get(names, k));
        }
        if (well) {
            if (is_unfinished(record)) {
                set_status(record, "queued", NULL);
            }
            (void)json_array_append(d->records, record);
        }
    }
    json_decref(saved);
}

ace_status ace_downloads_open(ace_server *server, ace_downloads **out, ace_error *err)
{
    ace_downloads *d = ace_calloc(1, sizeof *d);
    *out = NULL;
    if (d == NULL || (d->records = json_array()) == NULL) {
        ace_free(d);
        return ace_fail(err, ACESTEP_MEMORY, "downloads: no host memory");
    }
    d->server = server;
    (void)pthread_mutex_init(&d->mutex, NULL);
    (void)pthread_cond_init(&d->changed, NULL);
    *out = d;
    int n = snprintf(d->path, sizeof d->path, "%s/downloads.json", server->data_folder);
    if (n < 0 || n >= (int)sizeof d->path) {
        return ace_fail(err, ACESTEP_IO, "%s: the path is too long", server->data_folder);
    }
    load(d);
    d->has_thread = pthread_create(&d->thread, NULL, work, d) == 0;
    return d->has_thread ? ACESTEP_OK
                         : ace_fail(err, ACESTEP_MEMORY, "downloads: no thread can be started");
}

void ace_downloads_close(ace_downloads *d)
{
    if (d == NULL) {
        return;
    }
    (void)pthread_mutex_lock(&d->mutex);
    d->stopping = true;
    (void)pthread_cond_signal(&d->changed);
    (void)pthread_mutex_unlock(&d->mutex);
    if (d->has_thread) {
        (void)pthread_join(d->thread, NULL);
    }
    json_decref(d->records);
    (void)pthread_cond_destroy(&d->changed);
    (void)pthread_mutex_destroy(&d->mutex);
    ace_free(d);
}

/* ---- asking
 * -----------------------------------------------------------------------------------------------
 */

static int64_t waiting(ace_downloads *d)
{
    int64_t n = 0;
    for (size_t i = 0; i < json_array_size(d->records); i++) {
        n += is_unfinished(json_array_get(d->records, i));
    }
    return n;
}

/* Sortable by time, and never the same twice. */
static void make_id(ace_downloads *d, char out[32])
{
    int64_t id = (int64_t)(1000 * now());
    d->last_id = id > d->last_id ? id : d->last_id + 1;
    (void)snprintf(out, 32, "d_%012llx", (unsigned long long)d->last_id);
}

ace_status ace_downloads_add(ace_downloads *d, json_t *names, const char *source, bool force,
                             json_t **record, ace_error *err)
{
    char id[32];
    *record = NULL;
    (void)pthread_mutex_lock(&d->mutex);
    ace_status status = ACESTEP_OK;
    if (waiting(d) >= MOST_WAITING) {
        status = ace_fail(err, ACESTEP_BUSY, "downloads: %d are waiting already", MOST_WAITING);
    } else {
        make_id(d, id);
        json_t *made =
            json_pack("{s:s, s:s, s:O, s:s?, s:b, s:f, s:n, s:n, s:n, s:n, s:n}", "id", id,
                      "status", "queued", "sets", names, "source", source, "force", (int)force,
                      "created", now(), "started", "finished", "progress", "result", "error");
        if (made == NULL || json_array_append_new(d->records, made) != 0) {
            status = ace_fail(err, ACESTEP_MEMORY, "downloads: no host memory");
        } else {
            forget_oldest(d);
            save(d);
            *record = json_deep_copy(made);
            (void)pthread_cond_signal(&d->changed);
        }
    }
    (void)pthread_mutex_unlock(&d->mutex);
    return status;
}

json_t *ace_downloads_list(ace_downloads *d)
{
    json_t *list = json_array();
    (void)pthread_mutex_lock(&d->mutex);
    for (size_t i = json_array_size(d->records); i > 0; i--) {
        (void)json_array_append_new(list, json_deep_copy(json_array_get(d->records, i - 1)));
    }
    (void)pthread_mutex_unlock(&d->mutex);
    return list;
}

json_t *ace_downloads_show(ace_downloads *d, const char *id)
{
    size_t index = 0;
    (void)pthread_mutex_lock(&d->mutex);
    json_t *copy = json_deep_copy(find(d, id, &index));
    (void)pthread_mutex_unlock(&d->mutex);
    return copy;
}

json_t *ace_downloads_remove(ace_downloads *d, const char *id)
{
    size_t index = 0;
    (void)pthread_mutex_lock(&d->mutex);
    json_t *record = find(d, id, &index);
    json_t *copy = NULL;
    if (record != NULL && record == d->running) {
        d->cancelled = true; /* it ends within a second */
        copy = json_deep_copy(record);
    } else if (record != NULL && is_unfinished(record)) {
        set_status(record, "cancelled", "finished");
        copy = json_deep_copy(record);
        save(d);
    } else if (record != NULL) {
        copy = json_deep_copy(record);
        (void)json_array_remove(d->records, index);
        save(d);
    }
    (void)pthread_mutex_unlock(&d->mutex);
    return copy;
}
