/* The whole pipeline, as `acestep generate` runs it, up to the samples. */
#include "base/clock.h"
#include "base/memory.h"
#include "run/bench.h"
#include "run/job.h"

#include <stdio.h>

typedef struct song_run {
    ace_job job;
    ace_stage_log plan;
    ace_job_report report;
    ace_warnings warnings;
    ace_finished song[ACE_MAX_SONGS];
    int n_songs;
} song_run;

static double song_seconds(const ace_job *job)
{
    double seconds = 0;
    for (int b = 0; b < job->n_briefs; b++) {
        seconds += job->brief[b].n_songs * (double)job->brief[b].frames / (double)ACE_LATENT_RATE;
    }
    return seconds;
}

static ace_status add_stage(const ace_bench_context *c, const song_run *run,
                            const ace_stage_record *s)
{
    char name[32];
    (void)snprintf(name, sizeof name, "song.%.24s", s->key);
    ace_bench_row *row = ace_bench_add(c, name);
    if (row == NULL) {
        return ACESTEP_ARGUMENT;
    }
    row->matrix = c->workshop->precisions.plain;
    row->audio_seconds = song_seconds(&run->job);
    (void)snprintf(row->work, sizeof row->work, "%s", s->name);
    row->load_seconds = s->load_seconds;
    row->seconds[0] = s->compute_seconds;
    row->n = 1;
    row->flops = s->counters.flops;
    row->device_bytes = s->peak_bytes + run->report.log.workspace_bytes;
    return ACESTEP_OK;
}

static ace_status add_rows(const ace_bench_context *c, const song_run *run, double seconds)
{
    const ace_stage_log *log = &run->report.log;
    ace_bench_row *whole = ace_bench_add(c, "song");
    ace_status status = whole != NULL ? ACESTEP_OK : ACESTEP_ARGUMENT;
    for (int i = 0; i < log->count && status == ACESTEP_OK; i++) {
        const ace_stage_record *s = &log->stage[i];
        whole->flops += s->counters.flops;
        whole->load_seconds += s->load_seconds;
        if (s->peak_bytes > 0 || s->host_bytes > 0) {
            status = add_stage(c, run, s);
        }
    }
    if (status == ACESTEP_OK) {
        whole->matrix = c->workshop->precisions.plain;
        whole->audio_seconds = song_seconds(&run->job);
        (void)snprintf(whole->work, sizeof whole->work, "everything, loading included");
        whole->seconds[0] = seconds;
        whole->n = 1;
        whole->device_bytes = run->report.peak_bytes;
    }
    return status;
}

/* Of a song that was cut off, but for the stage in which it was. */
static void add_finished(const ace_bench_context *c, const song_run *run)
{
    const ace_stage_log *log = &run->report.log;
    for (int i = 0; i + 1 < log->count; i++) {
        const ace_stage_record *s = &log->stage[i];
        if ((s->peak_bytes > 0 || s->host_bytes > 0) && add_stage(c, run, s) != ACESTEP_OK) {
            return;
        }
    }
}

ace_status ace_bench_song(const ace_bench_context *c, const char *stage)
{
    (void)stage;
    song_run *run = ace_calloc(1, sizeof *run);
    if (run == NULL) {
        return ace_fail(c->err, ACESTEP_MEMORY, "bench: no host memory");
    }
    ace_status status =
        ace_job_create(c->workshop, &c->request, 1, &run->warnings, &run->job, c->err);
    if (status == ACESTEP_OK) {
        status =
            ace_job_plan(c->workshop, c->request, &run->job, &run->warnings, &run->plan, c->err);
    }
    if (status == ACESTEP_OK) {
        double start = ace_clock_seconds();
        status = ace_job_run(c->workshop, c->request, &run->job, &run->plan, c->progress,
                             c->progress_context, &run->warnings, &run->report, run->song,
                             &run->n_songs, c->err);
        double seconds = ace_clock_seconds() - start;
        if (status == ACESTEP_OK) {
            status = add_rows(c, run, seconds);
        } else if (status == ACESTEP_CANCELLED) {
            add_finished(c, run);
        }
    }
    for (int i = 0; i < run->n_songs; i++) {
        ace_finished_free(&run->song[i]);
    }
    ace_job_free(&run->job);
    ace_free(run);
    return status;
}
