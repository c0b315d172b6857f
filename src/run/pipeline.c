#include "run/pipeline.h"

#include "base/checked.h"
#include "base/memory.h"

#include <string.h>

ace_status ace_array_create(int64_t rows, int64_t cols, ace_array *out, ace_error *err)
{
    size_t elements = 0;
    memset(out, 0, sizeof *out);
    if (rows <= 0 || cols <= 0 || ace_mul_overflows((size_t)rows, (size_t)cols, &elements)) {
        return ace_fail(err, ACESTEP_FAILED, "array [%lld, %lld] is impossible", (long long)rows,
                        (long long)cols);
    }
    out->values = ace_calloc(elements, sizeof *out->values);
    if (out->values == NULL) {
        return ace_fail(err, ACESTEP_MEMORY, "no host memory for %zu numbers", elements);
    }
    out->rows = rows;
    out->cols = cols;
    return ACESTEP_OK;
}

void ace_array_free(ace_array *a)
{
    ace_free(a->values);
    memset(a, 0, sizeof *a);
}

void ace_finished_free(ace_finished *song)
{
    ace_array_free(&song->latents);
    ace_audio_free(&song->audio);
    ace_free(song->lyrics.lrc);
    ace_free(song->lyrics.vtt);
    memset(song, 0, sizeof *song);
}

/* What lies between the stages. */
typedef struct intermediates {
    ace_text_states text[ACE_MAX_BRIEFS];
    ace_heard heard[ACE_MAX_BRIEFS];
    ace_conditions conditions[ACE_MAX_BRIEFS];
    ace_hints hints[ACE_MAX_BRIEFS];
    ace_lm_written written[ACE_MAX_BRIEFS];
    ace_heard_codes codes; /* to be understood */
    ace_finished *songs;
    int n_songs;
} intermediates;

static void free_text(intermediates *m)
{
    for (int b = 0; b < ACE_MAX_BRIEFS; b++) {
        ace_array_free(&m->text[b].hidden);
        ace_array_free(&m->text[b].lyrics);
        ace_array_free(&m->text[b].plain_hidden);
    }
}

static void free_heard(intermediates *m)
{
    for (int b = 0; b < ACE_MAX_BRIEFS; b++) {
        ace_array_free(&m->heard[b].source);
        for (int i = 0; i < ACE_MAX_SONGS; i++) {
            ace_array_free(&m->heard[b].reference[i]);
        }
    }
}

static void free_conditions(intermediates *m)
{
    for (int b = 0; b < ACE_MAX_BRIEFS; b++) {
        for (int i = 0; i < ACE_MAX_SONGS; i++) {
            ace_array_free(&m->conditions[b].states[i]);
            ace_array_free(&m->conditions[b].plain_states[i]);
        }
    }
}

static void free_hints(intermediates *m)
{
    for (int b = 0; b < ACE_MAX_BRIEFS; b++) {
        for (int i = 0; i < ACE_MAX_SONGS; i++) {
            ace_array_free(&m->hints[b].latents[i]);
        }
        m->hints[b].n = 0;
    }
}

static void free_written(intermediates *m)
{
    for (int b = 0; b < ACE_MAX_BRIEFS; b++) {
        ace_lm_written_free(&m->written[b]);
    }
}

static void free_intermediates(intermediates *m)
{
    free_text(m);
    free_heard(m);
    free_conditions(m);
    free_hints(m);
    free_written(m);
    ace_free(m->codes.values);
    ace_free(m);
}

/* Songs the guard left out of the plan are the last ones of the last request. */
static int list_songs(const ace_runner *r, const ace_job *job, ace_finished *songs)
{
    int n = 0;
    int most = r->plan->songs > 0 && r->plan->songs < ACE_MAX_SONGS ? r->plan->songs : ACE_MAX_SONGS;
    for (int b = 0; b < job->n_briefs; b++) {
        for (int i = 0; i < job->brief[b].n_songs && n < most; i++, n++) {
            memset(&songs[n], 0, sizeof songs[n]);
            songs[n].brief = b;
            songs[n].index = i;
            songs[n].seed = job->brief[b].seed[i];
        }
    }
    return n;
}

/* ---- one stage after another ------------------------------------------------------------------ */

bool ace_goal_needs(ace_goal goal, ace_part part)
{
    bool to_hear = part == ACE_PART_VAE_ENCODER || part == ACE_PART_TOKENIZER;
    return goal == ACE_GOAL_SONGS || part == ACE_PART_LM ||
           (goal == ACE_GOAL_UNDERSTANDING && to_hear);
}

ace_status ace_run_load(ace_runner *r, ace_goal goal)
{
    ace_stage stage;
    ace_status status = ace_stage_begin_id(r, ACE_STAGE_LOAD, &stage);
    if (status == ACESTEP_OK) {
        ace_residency_settle(r->residency, r->plan);
        for (int i = 0; i < ACE_PARTS; i++) {
            ace_part part = (ace_part)i;
            if (ace_goal_needs(goal, part) && ace_plan_keeps(r->plan, part) &&
                ace_residency_has(r->residency, part) &&
                (part != ACE_PART_LM || r->plan->lm_runs)) {
                (void)ace_stage_borrow(&stage, part);
            }
        }
    }
    return ace_stage_end(&stage);
}

typedef ace_status run_step(ace_runner *r, const ace_job *job, intermediates *m);

static ace_status step_load(ace_runner *r, const ace_job *job, intermediates *m)
{
    (void)m;
    return ace_run_load(r, job->goal);
}

static void take_scores(const intermediates *m)
{
    for (int i = 0; i < m->n_songs; i++) {
        const ace_lm_score *scores = m->written[m->songs[i].brief].score;
        if (scores != NULL) {
            m->songs[i].lm_score = scores[m->songs[i].index];
        }
    }
}

static ace_status step_lm(ace_runner *r, const ace_job *job, intermediates *m)
{
    free_written(m);
    const ace_heard_codes *heard = job->goal == ACE_GOAL_UNDERSTANDING ? &m->codes : NULL;
    ace_status status = ace_run_lm(r, job, heard, INT64_MAX, m->written);
    take_scores(m);
    bool wrote = r->plan->lm_runs && r->device->computes;
    return status == ACESTEP_OK && wrote && r->after_lm != NULL ? r->after_lm(r, m->written)
                                                                : status;
}

static ace_status step_text(ace_runner *r, const ace_job *job, intermediates *m)
{
    free_text(m);
    return ace_run_text(r, job, m->text);
}

static ace_status step_encode(ace_runner *r, const ace_job *job, intermediates *m)
{
    return ace_run_audio_encoder(r, job, m->heard);
}

static ace_status step_listen(ace_runner *r, const ace_job *job, intermediates *m)
{
    ace_free(m->codes.values);
    m->codes.values = NULL;
    return ace_run_listen(r, job, m->heard, &m->codes);
}

static ace_status step_condition(ace_runner *r, const ace_job *job, intermediates *m)
{
    free_conditions(m);
    return ace_run_condition(r, job, m->text, m->heard, m->conditions);
}

static ace_status step_codes(ace_runner *r, const ace_job *job, intermediates *m)
{
    free_hints(m);
    return ace_run_codes(r, job, m->heard, m->hints);
}

static ace_status step_diffusion(ace_runner *r, const ace_job *job, intermediates *m)
{
    return ace_run_diffusion(r, job, m->conditions, m->heard, m->hints, m->songs, m->n_songs);
}

static ace_status step_align(ace_runner *r, const ace_job *job, intermediates *m)
{
    return ace_run_alignment(r, job, m->conditions, m->heard, m->hints, m->songs, m->n_songs);
}

static ace_status step_decode(ace_runner *r, const ace_job *job, intermediates *m)
{
    return ace_run_decoder(r, job, m->songs, m->n_songs);
}

typedef struct step_list {
    int n, preparing; /* of the latter: before the diffusion */
    run_step *step[9];
} step_list;

static const step_list lists[] = {
    [ACE_GOAL_SONGS] = {9, 6, {step_load, step_lm, step_text, step_encode, step_condition,
                               step_codes, step_diffusion, step_align, step_decode}},
    [ACE_GOAL_WORDS] = {2, 2, {step_load, step_lm}},
    [ACE_GOAL_UNDERSTANDING] = {4, 4, {step_load, step_encode, step_listen, step_lm}},
};

/* Memory that was planned is not there: another program took it. Once per job a new plan is made
 * with what there is now, and the stage runs again; the stages before it keep their results. */
static bool may_try_again(ace_runner *r, ace_status status)
{
    if (status != ACESTEP_MEMORY || r->expected == NULL || r->replan == NULL || r->replans > 0) {
        return false;
    }
    r->replans++;
    if (r->error != NULL) {
        r->error->code = ACESTEP_OK;
    }
    return r->replan(r) == ACESTEP_OK;
}

static ace_status run_steps(ace_runner *r, const ace_job *job, intermediates *m, int n)
{
    ace_status status = ACESTEP_OK;
    for (int i = 0; i < n && status == ACESTEP_OK; i++) {
        run_step *step = lists[job->goal].step[i];
        int records = r->log.count;
        status = step(r, job, m);
        if (may_try_again(r, status)) {
            r->log.count = records;
            status = step(r, job, m);
        }
    }
    return status;
}

/* The residency loads what this job's adapters add. */
static void take_adapters(ace_runner *r, const ace_job *job)
{
    r->residency->uses = job->adapters.use;
    r->residency->n_uses = job->adapters.n;
}

ace_status ace_pipeline_run(ace_runner *r, const ace_job *job, ace_finished *songs, int *n_songs)
{
    *n_songs = job->goal == ACE_GOAL_SONGS ? list_songs(r, job, songs) : 0;
    intermediates *m = ace_calloc(1, sizeof *m);
    if (m == NULL) {
        return ace_fail(r->error, ACESTEP_MEMORY, "pipeline: no host memory");
    }
    take_adapters(r, job);
    m->songs = songs;
    m->n_songs = *n_songs;
    ace_status status = run_steps(r, job, m, lists[job->goal].n);
    free_intermediates(m);
    if (status != ACESTEP_OK) { /* nothing half done stays on the device */
        ace_residency_settle(r->residency, r->plan);
    }
    return status;
}

/* ---- sizes ------------------------------------------------------------------------------------- */

static void free_latents(ace_finished *songs, int n)
{
    for (int i = 0; i < n; i++) {
        ace_finished_free(&songs[i]);
    }
}

ace_status ace_pipeline_work_bytes(ace_runner *r, const ace_job *job, size_t work[],
                                   size_t diffusion[])
{
    ace_finished songs[ACE_MAX_SONGS];
    ace_plan plan = *r->plan;
    ace_job *brief_job = ace_calloc(1, sizeof *brief_job);
    intermediates *m = ace_calloc(1, sizeof *m);
    if (m == NULL || brief_job == NULL) {
        ace_free(m);
        ace_free(brief_job);
        return ace_fail(r->error, ACESTEP_MEMORY, "plan: no host memory");
    }
    take_adapters(r, job);
    ace_status status = run_steps(r, job, m, lists[job->goal].preparing);
    for (int i = 0; i < ACE_STAGES; i++) {
        work[i] = 0;
        for (int k = 0; k < r->log.count; k++) {
            if (r->log.stage[k].key == ace_stage_key((ace_stage_id)i)) {
                work[i] = r->log.stage[k].work_bytes;
            }
        }
    }
    *brief_job = *job; /* one step takes as much memory as all of them */
    brief_job->settings.sampling.steps = 1;
    brief_job->settings.sampling.n_timesteps = 0;
    const ace_plan *before = r->plan;
    int n = job->goal == ACE_GOAL_SONGS ? list_songs(r, job, songs) : 0;
    for (int batch = 1; batch <= n && status == ACESTEP_OK; batch++) {
        plan.device_batch = batch;
        r->plan = &plan;
        r->log.count = 0;
        n = list_songs(r, job, songs);
        status = ace_run_diffusion(r, brief_job, m->conditions, m->heard, m->hints, songs, n);
        diffusion[batch] = r->log.stage[0].work_bytes;
        if (batch == n && status == ACESTEP_OK) {
            status = ace_run_alignment(r, brief_job, m->conditions, m->heard, m->hints, songs, n);
            work[ACE_STAGE_ALIGN] = r->log.count > 1 ? r->log.stage[1].work_bytes : 0;
        }
        free_latents(songs, n);
    }
    r->plan = before;
    ace_free(brief_job);
    free_intermediates(m);
    return status;
}
