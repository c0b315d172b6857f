/* Lyrics, timbre and text to the sequence that the diffusion transformer listens to. */
#include "run/pipeline.h"

#include "base/memory.h"

#include <string.h>

typedef struct condition_run {
    ace_runner *runner;
    const ace_job *job;
    ace_stage stage;
    ace_dtype matrix;
    bool silence_known;
    float *silence; /* [encoder width], owned: its timbre, once it is known */
} condition_run;

/* Heard once, silence needs not be heard again: neither in this stage nor in the next. */
static void note_silence(condition_run *run, const ace_condition_input *in, const float *states)
{
    size_t width = (size_t)run->job->models->dit_config.encoder.hidden;
    memcpy(run->silence, states + (size_t)in->n_lyrics * width, width * sizeof *states);
    run->silence_known = true;
}

static ace_status encode(condition_run *run, const ace_array *text, const ace_array *lyrics,
                         const ace_array *reference, ace_array *out)
{
    const ace_models *m = run->job->models;
    bool is_silent = reference->rows == 0;
    /* without a reference the timbre is that of silence: its first 750 frames */
    ace_condition_input in = {
        .text = text->values,
        .n_text = text->rows,
        .lyrics = lyrics->values,
        .n_lyrics = lyrics->rows,
        .timbre = is_silent ? m->silence : reference->values,
        .n_refs = 1,
        .timbre_frames = is_silent ? ace_models_silence_heard(m) : reference->rows,
        .timbre_known = is_silent && run->silence_known,
        .timbre_states = run->silence,
    };
    ace_status status = ace_array_create(in.n_lyrics + in.n_refs + in.n_text,
                                         m->dit_config.encoder.hidden, out, run->runner->error);
    if (status == ACESTEP_OK) {
        ace_condition_encode(&run->stage.stream, &run->runner->residency->condition, &in,
                             out->values);
        status = run->stage.stream.status;
    }
    if (status == ACESTEP_OK && is_silent && !run->silence_known) {
        note_silence(run, &in, out->values);
    }
    return status;
}

/* What earlier jobs know of it. */
static ace_status recall_silence(condition_run *run)
{
    size_t width = (size_t)run->job->models->dit_config.encoder.hidden;
    const ace_residency *residency = run->runner->residency;
    run->matrix = ace_part_matrix(residency, run->runner->plan, ACE_PART_CONDITION);
    const float *known = ace_silence_timbre_of(residency->silence, run->matrix);
    run->silence = ace_calloc(width, sizeof *run->silence);
    if (run->silence == NULL) {
        return ace_fail(run->runner->error, ACESTEP_MEMORY, "condition: no host memory");
    }
    if (known != NULL) {
        memcpy(run->silence, known, width * sizeof *known);
        run->silence_known = true;
    }
    return ACESTEP_OK;
}

static ace_status encode_brief(condition_run *run, const ace_brief *brief,
                               const ace_text_states *text, const ace_heard *heard,
                               ace_conditions *out)
{
    ace_status status = ACESTEP_OK;
    out->n = heard->reference[0].rows > 0 ? brief->n_songs : 1;
    for (int i = 0; i < out->n && status == ACESTEP_OK; i++) {
        status = encode(run, &text->hidden, &text->lyrics, &heard->reference[i], &out->states[i]);
        if (status == ACESTEP_OK && text->plain_hidden.rows > 0) {
            status = encode(run, &text->plain_hidden, &text->lyrics, &heard->reference[i],
                            &out->plain_states[i]);
        }
    }
    return status;
}

ace_status ace_run_condition(ace_runner *r, const ace_job *job, const ace_text_states *text,
                             const ace_heard *heard, ace_conditions *conditions)
{
    condition_run run = {.runner = r, .job = job};
    (void)ace_stage_begin_id(r, ACE_STAGE_CONDITION, &run.stage);
    (void)ace_stage_borrow(&run.stage, ACE_PART_CONDITION);
    ace_status status = ace_stage_open(&run.stage);
    if (status == ACESTEP_OK) {
        status = recall_silence(&run);
    }
    for (int b = 0; b < job->n_briefs && status == ACESTEP_OK; b++) {
        status = encode_brief(&run, &job->brief[b], &text[b], &heard[b], &conditions[b]);
    }
    ace_status end = ace_stage_end(&run.stage);
    if (status == ACESTEP_OK && end == ACESTEP_OK && run.silence_known && r->device->computes) {
        ace_silence_timbre_keep(r->residency->silence, run.matrix, run.silence);
    }
    ace_free(run.silence);
    return status != ACESTEP_OK ? status : end;
}
