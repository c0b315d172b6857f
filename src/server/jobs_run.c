/* One job, from its request to its files. */
#include "server/jobs_state.h"

#include "base/clock.h"
#include "base/file_write.h"
#include "base/memory.h"

#include <ctype.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- progress
 * --------------------------------------------------------------------------------------- */

/* Streams are for people: four times a second is enough. */
static const double SECONDS_BETWEEN_EVENTS = 0.25;

typedef struct run_state {
    ace_jobs *jobs;
    ace_jobs_entry *entry;
    double told; /* monotonic seconds of the last event */
    double told_whole;
} run_state;

/* "codes, token 12, 3.4/s": what stands after the comma is only how far it is. */
static bool same_phase(const char *a, const char *b)
{
    size_t n = strcspn(a, ",");
    return n == strcspn(b, ",") && strncmp(a, b, n) == 0;
}

static bool progress(void *context, const char *stage, double fraction, double whole)
{
    run_state *r = context;
    ace_jobs *jobs = r->jobs;
    ace_jobs_entry *e = r->entry;
    double now = ace_clock_seconds();
    (void)pthread_mutex_lock(&jobs->lock);
    bool new_stage = !same_phase(e->stage, stage);
    bool moved = fabs(whole - r->told_whole) > 1e-9 && now - r->told >= SECONDS_BETWEEN_EVENTS;
    (void)snprintf(e->stage, sizeof e->stage, "%s", stage);
    e->fraction = fraction;
    e->whole = whole;
    bool go_on = !e->cancel && !jobs->cancel_running;
    if (go_on && (new_stage || moved)) {
        ace_job_tell(jobs, e, new_stage ? "phase" : "progress", ace_entry_progress(e));
        r->told = now;
        r->told_whole = whole;
    }
    (void)pthread_mutex_unlock(&jobs->lock);
    return go_on;
}

/* ---- output
 * ----------------------------------------------------------------------------------------- */

/* "wav24" lies in a .wav: the ending is the format's letters, but for MP3. */
static void extension_of(const json_t *request, char out[16])
{
    const char *format = json_string_value(json_object_get(request, "audio_format"));
    size_t n = 0;
    for (; format != NULL && isalpha((unsigned char)format[n]) && n < 15; n++) {
        out[n] = (char)tolower((unsigned char)format[n]);
    }
    out[n] = '\0';
    if (n == 0) {
        memcpy(out, "flac", 5);
    } else if (strcmp(out, "vorbis") == 0) {
        memcpy(out, "ogg", 4);
    } else if (strcmp(out, "mp") == 0) {
        memcpy(out, "mp3", 4);
    }
}

static char *title_of(ace_jobs *jobs, const ace_jobs_entry *e)
{
    (void)pthread_mutex_lock(&jobs->lock); /* it may be edited meanwhile */
    char *title = ace_strdup(e->title);
    (void)pthread_mutex_unlock(&jobs->lock);
    return title;
}

static ace_status set_output(ace_jobs *jobs, const ace_jobs_entry *e, const char *folder,
                             acestep_request *request, ace_error *err)
{
    char path[ACE_FOLDER_PATH_BYTES + 32];
    char extension[16];
    extension_of(e->request, extension);
    (void)snprintf(path, sizeof path, "%s/song.%s", folder, extension);
    const char *const values[][2] = {{"output", path}, {"sidecar", "true"}, {"overwrite", "false"}};
    ace_status status = ACESTEP_OK;
    for (size_t i = 0; i < sizeof values / sizeof *values && status == ACESTEP_OK; i++) {
        status = ace_request_put(request, values[i][0], values[i][1], err);
    }
    char *title = title_of(jobs, e);
    if (status == ACESTEP_OK && title != NULL && title[0] != '\0') {
        status = ace_request_put(request, "title", title, err);
    }
    ace_free(title);
    return status == ACESTEP_OK ? ace_folder_renew(folder, err) : status;
}

/* ---- what came out
 * ---------------------------------------------------------------------------------- */

static void take_report(ace_jobs_entry *e, json_t *report)
{
    bool has_items = ace_job_has_items(e->kind);
    const json_t *about = has_items ? report : json_object_get(report, "acestep");
    json_t *warnings = json_object_get(about, "warnings");
    if (json_is_array(warnings)) {
        ace_entry_put(&e->warnings, json_incref(warnings));
    }
    if (!has_items) {
        ace_entry_put(&e->words, json_incref(report));
        json_t *seconds = json_object_get(about, "seconds");
        ace_entry_put(&e->timings, json_pack("{s:O?}", "total", seconds));
        return;
    }
    json_t *timings = json_deep_copy(json_object_get(report, "timings"));
    size_t i = 0;
    json_t *stage = NULL;
    json_array_foreach (json_object_get(json_object_get(report, "measured"), "stages"), i, stage) {
        const char *name = json_string_value(json_object_get(stage, "stage"));
        double seconds = json_number_value(json_object_get(stage, "load_seconds")) +
                         json_number_value(json_object_get(stage, "compute_seconds"));
        double before = name != NULL ? json_number_value(json_object_get(timings, name)) : 0;
        if (name != NULL) {
            json_object_set_new(timings, name, json_real(before + seconds));
        }
    }
    ace_entry_put(&e->timings, timings);
    ace_entry_put(&e->plan, json_incref(json_object_get(report, "plan")));
}

/* What a new journal can take up, should this one be lost: job.json beside the songs. */
static ace_status write_record(const ace_jobs_entry *e, const char *folder, json_t *record,
                               ace_error *err)
{
    char path[ACE_FOLDER_PATH_BYTES + 32];
    (void)snprintf(path, sizeof path, "%s/job.json", folder);
    char *text = json_dumps(record, JSON_COMPACT | JSON_REAL_PRECISION(17));
    ace_status status = text != NULL ? ace_file_write(path, text, strlen(text), err)
                                     : ace_fail(err, ACESTEP_MEMORY, "%s: no host memory", e->id);
    free(text);
    json_decref(record);
    return status;
}

/* Others read the entry meanwhile: what is new comes in at once, under the lock. */
static json_t *enter(ace_jobs *jobs, ace_jobs_entry *e, json_t *report, json_t *items)
{
    (void)pthread_mutex_lock(&jobs->lock);
    take_report(e, report);
    ace_entry_put(&e->items, items);
    json_t *outcome = ace_entry_outcome(e);
    json_t *record = json_pack(
        "{s:s, s:f, s:f, s:f, s:s, s:O, s:O, s:o}", "kind", ace_job_kind_name(e->kind), "created",
        e->created, "started", e->started, "finished", e->started + ace_entry_elapsed(e), "title",
        e->title, "params", e->params, "request", e->request, "outcome", outcome);
    json_t *copy = json_deep_copy(record);
    json_decref(record);
    (void)pthread_mutex_unlock(&jobs->lock);
    return copy;
}

static ace_status deliver(ace_jobs *jobs, ace_jobs_entry *e, json_t *report, ace_error *err)
{
    char part[ACE_FOLDER_PATH_BYTES];
    char final[ACE_FOLDER_PATH_BYTES];
    if (!ace_job_has_items(e->kind)) {
        json_decref(enter(jobs, e, report, NULL));
        return ACESTEP_OK;
    }
    ace_result_folder(jobs, e->id, true, part);
    ace_result_folder(jobs, e->id, false, final);
    json_t *items = ace_result_items(e, part, report, err);
    if (items == NULL) {
        return err->code;
    }
    ace_status status = write_record(e, part, enter(jobs, e, report, items), err);
    uint64_t bytes = ace_folder_bytes(part);
    if (status == ACESTEP_OK) {
        status = ace_folder_publish(part, final, err);
    }
    (void)pthread_mutex_lock(&jobs->lock);
    e->bytes = bytes;
    if (status != ACESTEP_OK) {
        ace_entry_put(&e->items, NULL);
        e->bytes = 0;
    }
    (void)pthread_mutex_unlock(&jobs->lock);
    return status;
}

static ace_status run_open(ace_jobs *jobs, ace_jobs_entry *e, acestep_request *request,
                           ace_error *err)
{
    char *text = NULL;
    acestep_error failure = {.code = ACESTEP_OK};
    run_state state = {jobs, e, 0, 0};
    ace_status status = ace_worker_engine(jobs, request, err);
    if (status != ACESTEP_OK) {
        return status;
    }
    (void)pthread_mutex_lock(&jobs->lock);
    bool go_on = !e->cancel && !jobs->cancel_running;
    ace_engine_set_state(jobs, ACE_ENGINE_RUNNING);
    (void)pthread_mutex_unlock(&jobs->lock);
    status = go_on ? jobs->options.engine->run(jobs->slot.engine, e->kind, request, progress,
                                               &state, &text, &failure)
                   : ACESTEP_CANCELLED;
    ace_device_look(jobs);
    (void)pthread_mutex_lock(&jobs->lock);
    ace_engine_set_state(jobs, ACE_ENGINE_LOADED);
    (void)pthread_mutex_unlock(&jobs->lock);
    if (status != ACESTEP_OK) {
        return ace_fail(err, status, "%s", failure.message);
    }
    json_t *report = text != NULL ? json_loads(text, 0, NULL) : NULL;
    acestep_free(text);
    status = report != NULL ? deliver(jobs, e, report, err)
                            : ace_fail(err, ACESTEP_MEMORY, "result: no host memory");
    if (status == ACESTEP_OK && e->kind == ACE_JOB_SONG) {
        ace_times_learn(jobs, request, report);
    }
    json_decref(report);
    return status;
}

ace_status ace_job_run_it(ace_jobs *jobs, ace_jobs_entry *e, ace_error *err)
{
    acestep_request *request = NULL;
    char part[ACE_FOLDER_PATH_BYTES];
    ace_result_folder(jobs, e->id, true, part);
    ace_status status = ace_jobs_request_open(jobs, e->request, &request, err);
    if (status == ACESTEP_OK && ace_job_has_items(e->kind)) {
        status = set_output(jobs, e, part, request, err);
    }
    if (status == ACESTEP_OK) {
        status = run_open(jobs, e, request, err);
    }
    if (status != ACESTEP_OK) {
        ace_folder_remove(part);
    }
    acestep_request_free(request);
    return status;
}
