#include "run/pipeline.h"

#include "base/memory.h"
#include "run/audio_encoder_stage.h"
#include "run/repaint_splice.h"

#include <string.h>

void ace_finished_free(ace_finished *song)
{
    ace_array_free(&song->latents);
    ace_audio_free(&song->audio);
    ace_free(song->lyrics.lrc);
    ace_free(song->lyrics.vtt);
    ace_free(song->codes);
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
    int most =
        r->plan->songs > 0 && r->plan->songs < ACE_MAX_SONGS ? r->plan->songs : ACE_MAX_SONGS;
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

/* ---- one stage after another ----------------------------------------------------------------- */

bool ace_goal_needs(ace_goal goal, ace_part part)
{
    bool to_hear = part == ACE_PART_VAE_ENCODER || part == ACE_PART_TOKENIZER;
    switch (goal) {
    case ACE_GOAL_WORDS:
        return part == ACE_PART_LM;
    case ACE_GOAL_UNDERSTANDING:
    case ACE_GOAL_SCORE:
        return part == ACE_PART_LM || to_hear;
    case ACE_GOAL_LATENTS:
        return to_hear;
    case ACE_GOAL_RECORDING:
        return part == ACE_PART_DETOKENIZER || part == ACE_PART_VAE_DECODER;
    case ACE_GOAL_LYRIC_TIMES:
        return part != ACE_PART_LM && part != ACE_PART_TOKENIZER && part != ACE_PART_VAE_DECODER;
    case ACE_GOAL_SONGS:
        break;
    }
    return true;
}

bool ace_goal_listens(ace_goal goal)
{
    return goal == ACE_GOAL_UNDERSTANDING || goal == ACE_GOAL_SCORE || goal == ACE_GOAL_LATENTS;
}

/* Not words alone. */
static bool makes_songs(ace_goal goal)
{
    return goal == ACE_GOAL_SONGS || goal == ACE_GOAL_LATENTS || goal == ACE_GOAL_RECORDING ||
           goal == ACE_GOAL_LYRIC_TIMES;
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
    const ace_heard_codes *heard = ace_goal_listens(job->goal) ? &m->codes : NULL;
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

/* The song is there already: what was heard, or what its codes stand for. Its context is as it was
 * when it was made, without a source. */
static ace_status step_take(ace_runner *r, const ace_job *job, intermediates *m)
{
    const float *hint = ace_hints_of(&m->hints[0], 0);
    ace_finished *song = &m->songs[0];
    (void)r;
    ace_array *from = m->heard[0].source.rows > 0 ? &m->heard[0].source
                      : hint != NULL              ? &m->hints[0].latents[0]
                                                  : NULL;
    if (from != NULL) { /* else the step comes again, after a new plan */
        ace_array_free(&song->latents);
        song->latents = *from;
        memset(from, 0, sizeof *from);
    }
    if (job->goal == ACE_GOAL_LATENTS) {
        ace_free(song->codes);
        song->codes = m->codes.values;
        song->n_codes = m->codes.n;
        m->codes.values = NULL;
    }
    return ACESTEP_OK;
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
    ace_status status = ace_run_decoder(r, job, m->songs, m->n_songs);
    if (status == ACESTEP_OK) {
        ace_repaint_splice(job, m->songs, m->n_songs);
    }
    return status;
}

typedef struct step_list {
    int n, preparing; /* of the latter: before the diffusion, or what else is measured by itself */
    run_step *step[9];
} step_list;

static const step_list lists[] = {
    [ACE_GOAL_SONGS] = {9,
                        6,
                        {step_load, step_lm, step_text, step_encode, step_condition, step_codes,
                         step_diffusion, step_align, step_decode}},
    [ACE_GOAL_WORDS] = {2, 2, {step_load, step_lm}},
    [ACE_GOAL_UNDERSTANDING] = {4, 4, {step_load, step_encode, step_listen, step_lm}},
    [ACE_GOAL_LATENTS] = {4, 4, {step_load, step_encode, step_listen, step_take}},
    [ACE_GOAL_RECORDING] = {5, 4, {step_load, step_encode, step_codes, step_take, step_decode}},
    [ACE_GOAL_LYRIC_TIMES] = {7,
                              6,
                              {step_load, step_text, step_encode, step_condition, step_codes,
                               step_take, step_align}},
    [ACE_GOAL_SCORE] = {4, 4, {step_load, step_encode, step_listen, step_lm}},
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

/* The residency loads what this job's adapters add, and what its references ask for. */
static void take_job(ace_runner *r, const ace_job *job)
{
    r->residency->uses = job->adapters.use;
    r->residency->n_uses = job->adapters.n;
    r->residency->references = ace_job_has_references(job);
}

ace_status ace_pipeline_run(ace_runner *r, const ace_job *job, ace_finished *songs, int *n_songs)
{
    *n_songs = makes_songs(job->goal) ? list_songs(r, job, songs) : 0;
    intermediates *m = ace_calloc(1, sizeof *m);
    if (m == NULL) {
        return ace_fail(r->error, ACESTEP_MEMORY, "pipeline: no host memory");
    }
    take_job(r, job);
    m->songs = songs;
    m->n_songs = *n_songs;
    ace_status status = run_steps(r, job, m, lists[job->goal].n);
    free_intermediates(m);
    if (status != ACESTEP_OK) { /* nothing half done stays on the device */
        ace_residency_settle(r->residency, r->plan);
    }
    return status;
}

/* ---- sizes ----------------------------------------------------------------------------------- */

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
    take_job(r, job);
    m->songs = songs;
    m->n_songs = makes_songs(job->goal) ? list_songs(r, job, songs) : 0;
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
    int n = job->goal == ACE_GOAL_SONGS ? m->n_songs : 0;
    if (job->goal == ACE_GOAL_LYRIC_TIMES && status == ACESTEP_OK) {
        r->log.count = 0;
        status = ace_run_alignment(r, brief_job, m->conditions, m->heard, m->hints, songs, 1);
        work[ACE_STAGE_ALIGN] = r->log.count > 0 ? r->log.stage[0].work_bytes : 0;
    }
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
    free_latents(songs, n == 0 ? m->n_songs : 0);
    r->plan = before;
    ace_free(brief_job);
    free_intermediates(m);
    return status;
}
