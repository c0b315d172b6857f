/* A job as JSON for the outside. */
#include "base/clock.h"
#include "base/memory.h"
#include "server/jobs_entry.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static json_t *seconds_or_null(double seconds)
{
    return seconds > 0 ? json_real(seconds) : json_null();
}

static json_t *part_or_null(json_t *part)
{
    return part != NULL ? json_deep_copy(part) : json_null();
}

static json_t *part_or_list(json_t *part)
{
    return part != NULL ? json_deep_copy(part) : json_array();
}

double ace_entry_elapsed(const ace_jobs_entry *e)
{
    return e->began > 0 ? ace_clock_seconds() - e->began : 0;
}

double ace_entry_remaining(const ace_jobs_entry *e)
{
    const double enough = 0.05; /* before that, its progress says little about its speed */
    double elapsed = ace_entry_elapsed(e);
    if (e->whole >= enough) {
        return elapsed * (1 - e->whole) / e->whole;
    }
    return e->expected > 0 ? fmax(e->expected - elapsed, 0) : -1;
}

json_t *ace_entry_progress(const ace_jobs_entry *e)
{
    if (e->status != ACE_JOB_RUNNING) {
        bool done = e->status == ACE_JOB_DONE;
        return json_pack("{s:s, s:f, s:f, s:n}", "stage", done ? "done" : "", "fraction",
                         done ? 1.0 : 0.0, "whole", done ? 1.0 : 0.0, "eta_seconds");
    }
    double remaining = ace_entry_remaining(e);
    return json_pack("{s:s, s:f, s:f, s:o}", "stage", e->stage, "fraction", e->fraction, "whole",
                     e->whole, "eta_seconds", remaining >= 0 ? json_real(remaining) : json_null());
}

/* Every option with its value: what differs from the defaults, and the defaults. */
static json_t *whole_request(const json_t *asked)
{
    acestep_request *request = NULL;
    json_t *all = NULL;
    char *text = json_dumps(asked, JSON_COMPACT);
    if (text != NULL && acestep_request_create(&request, NULL) == ACESTEP_OK &&
        acestep_request_set_json(request, text, strlen(text), NULL) == ACESTEP_OK) {
        char *json = acestep_request_json(request, false);
        all = json != NULL ? json_loads(json, 0, NULL) : NULL;
        acestep_free(json);
    }
    acestep_request_free(request);
    free(text);
    return all;
}

static void drop_codes(json_t *items)
{
    size_t i = 0;
    json_t *item = NULL;
    json_array_foreach (items, i, item) {
        json_object_del(item, "codes");
    }
}

static void put_large_parts(json_t *record, const ace_jobs_entry *e)
{
    json_t *request = e->request != NULL ? whole_request(e->request) : NULL;
    if (request == NULL) {
        request = part_or_null(e->request); /* options of another version of the program */
    }
    json_object_set_new(record, "request", request);
    json_object_set_new(record, "plan", part_or_null(e->plan));
}

json_t *ace_entry_record(const ace_jobs_entry *e, ace_entry_place place, bool whole)
{
    json_t *items = part_or_list(e->items);
    if (!whole) {
        drop_codes(items);
    }
    json_t *record = json_pack(
        "{s:s, s:s, s:s, s:s, s:f, s:o, s:o, s:s, s:b, s:o, s:s, s:o, s:o, s:o, s:o, s:o, s:o, "
        "s:o, s:I}",
        "id", e->id, "kind", ace_job_kind_name(e->kind), "origin", e->origin, "status",
        ace_job_status_name(e->status), "created", e->created, "started",
        seconds_or_null(e->started), "finished", seconds_or_null(e->finished), "title", e->title,
        "favourite", (int)e->favourite, "expected_seconds", seconds_or_null(e->expected), "basis",
        e->basis, "params", part_or_null(e->params), "progress", ace_entry_progress(e), "items",
        items, "words", part_or_null(e->words), "warnings", part_or_list(e->warnings), "timings",
        part_or_null(e->timings), "error", part_or_null(e->error), "bytes", (json_int_t)e->bytes);
    bool queued = place.position > 0;
    json_object_set_new(record, "queue_position",
                        queued ? json_integer(place.position) : json_null());
    json_object_set_new(record, "wait_seconds",
                        queued ? json_real(place.wait_seconds) : json_null());
    if (whole) {
        put_large_parts(record, e);
    }
    return record;
}
