#include "support/job_run.h"

#include "base/file_map.h"
#include "base/memory.h"
#include "options/option_table.h"
#include "weights/demo_model.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

ace_request *job_request(const char *options)
{
    ace_request *r = NULL;
    char copy[2048];
    assert_int_equal(ace_request_create(&r, NULL), ACESTEP_OK);
    r->thinking = 1; /* off, unless the options say otherwise */
    (void)snprintf(copy, sizeof copy, "%s", options);
    for (char *rest = copy, *part = NULL; (part = strtok_r(rest, ";", &rest)) != NULL;) {
        char *equals = strchr(part, '=');
        assert_non_null(equals);
        *equals = '\0';
        ace_error err = {.code = ACESTEP_OK};
        if (ace_request_set(r, part, equals + 1, ACE_FROM_CALLER, &err) != ACESTEP_OK) {
            fail_msg("%s", err.message);
        }
    }
    return r;
}

/* What the job knows and would free: before a failure too. */
static void keep_texts(made *m, ace_job *job)
{
    for (int b = 0; b < job->n_briefs && b < 2; b++) {
        m->written[b] = job->written[b];
        m->text_prompt[b] = job->brief[b].text_prompt;
        m->lyric_prompt[b] = job->brief[b].lyric_prompt;
        memset(&job->written[b], 0, sizeof job->written[b]);
        job->brief[b].text_prompt = NULL;
        job->brief[b].lyric_prompt = NULL;
    }
}

ace_status job_try(const char *first, const char *second, made **out, ace_error *err)
{
    ace_workshop *w = calloc(1, sizeof *w);
    ace_job *job = calloc(1, sizeof *job);
    made *m = calloc(1, sizeof *m);
    ace_request *r[2] = {job_request(first), second != NULL ? job_request(second) : NULL};
    const ace_request *list[2] = {r[0], r[1]};
    ace_embedded_files_set(ace_demo_model_files());
    ace_status status = ace_workshop_open(r[0], w, err);
    if (status == ACESTEP_OK) {
        status = ace_job_create(w, list, second != NULL ? 2 : 1, &m->warnings, job, err);
    }
    if (status == ACESTEP_OK) {
        status = ace_job_plan(w, r[0], job, &m->warnings, &m->plan, err);
    }
    if (status == ACESTEP_OK) {
        m->settings = job->memory;
        m->choice = job->plan;
        status = ace_job_run(w, r[0], job, &m->plan, NULL, NULL, &m->warnings, &m->report, m->song,
                             &m->n, err);
        m->residency = w->residency;
    }
    keep_texts(m, job);
    ace_job_free(job);
    ace_workshop_close(w);
    ace_request_free(r[0]);
    ace_request_free(r[1]);
    free(job);
    free(w);
    *out = m;
    return status;
}

made *job_make(const char *first, const char *second)
{
    ace_error err = {.code = ACESTEP_OK};
    made *m = NULL;
    if (job_try(first, second, &m, &err) != ACESTEP_OK) {
        fail_msg("%s: %s", first, err.message);
    }
    return m;
}

void job_discard(made *m)
{
    for (int i = 0; i < m->n; i++) {
        ace_finished_free(&m->song[i]);
    }
    for (int b = 0; b < 2; b++) {
        ace_lm_written_free(&m->written[b]);
        ace_free(m->text_prompt[b]);
        ace_free(m->lyric_prompt[b]);
    }
    free(m);
}

void job_check_plan(const made *m)
{
    assert_int_equal(m->plan.count, m->report.log.count);
    assert_int_equal(ace_stage_log_peak(&m->plan), m->report.peak_bytes);
    for (int i = 0; i < m->plan.count; i++) {
        const ace_stage_record *planned = &m->plan.stage[i];
        const ace_stage_record *found = &m->report.log.stage[i];
        assert_string_equal(planned->name, found->name);
        assert_int_equal(planned->peak_bytes, found->peak_bytes);
        assert_int_equal(planned->work_bytes, found->work_bytes);
        assert_int_equal(planned->n_tags, found->n_tags);
        for (int t = 0; t < planned->n_tags; t++) {
            assert_int_equal(planned->tags[t].peak, found->tags[t].peak);
        }
        assert_true(planned->counters.flops == found->counters.flops);
        assert_true(planned->counters.uploaded == found->counters.uploaded);
        assert_true(planned->counters.downloaded == found->counters.downloaded);
    }
}

bool job_same_song(const ace_finished *a, const ace_finished *b)
{
    return a->audio.frames == b->audio.frames &&
           memcmp(a->audio.samples, b->audio.samples,
                  (size_t)a->audio.frames * 2 * sizeof(float)) == 0;
}
