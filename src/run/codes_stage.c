/* What 5 Hz codes stand for: given codes, or the source's own codes for a cover. */
#include "base/memory.h"
#include "run/pipeline.h"

#include <string.h>

typedef struct codes_run {
    ace_runner *runner;
    const ace_job *job;
    ace_stage stage;
} codes_run;

static bool needs_codes(const ace_job *job, bool own)
{
    for (int b = 0; b < job->n_briefs; b++) {
        const ace_brief *brief = &job->brief[b];
        if (brief->follows_codes && (!own || brief->n_codes == 0)) {
            return true;
        }
    }
    return false;
}

/* The source's latents in whole groups: the last one is filled from the start of the silence. */
static ace_status encode_source(codes_run *run, const ace_array *source, int32_t **codes,
                                int64_t *n_codes)
{
    const ace_models *m = run->job->models;
    int64_t window = m->dit_config.pool_window;
    int64_t channels = m->dit_config.latent_channels;
    int64_t groups = (source->rows + window - 1) / window;
    ace_array whole;
    ace_status status = ace_array_create(groups * window, channels, &whole, run->runner->error);
    if (status != ACESTEP_OK) {
        return status;
    }
    memcpy(whole.values, source->values, (size_t)(source->rows * channels) * sizeof *whole.values);
    memcpy(whole.values + source->rows * channels, m->silence,
           (size_t)((whole.rows - source->rows) * channels) * sizeof *whole.values);
    *codes = ace_calloc((size_t)groups, sizeof **codes);
    *n_codes = groups;
    if (*codes == NULL) {
        status = ace_fail(run->runner->error, ACESTEP_MEMORY, "codes: no host memory");
    } else {
        ace_fsq_encoding out = {.codes = *codes};
        ace_fsq_encode(&run->stage.stream, &run->runner->residency->tokenizer, whole.values, groups,
                       &out);
        status = run->stage.stream.status;
    }
    ace_array_free(&whole);
    return status;
}

/* Cut to the song, or filled up with the start of the silence: model.md 8.3. */
static ace_status decode(codes_run *run, const ace_brief *brief, const int32_t *codes,
                         int64_t n_codes, ace_array *out)
{
    const ace_models *m = run->job->models;
    int64_t channels = m->dit_config.latent_channels;
    ace_array all;
    ace_error *err = run->runner->error;
    ace_status status = ace_array_create(n_codes * m->dit_config.pool_window, channels, &all, err);
    if (status == ACESTEP_OK) {
        status = ace_array_create(brief->frames, channels, out, err);
    }
    if (status == ACESTEP_OK) {
        ace_fsq_decode(&run->stage.stream, &run->runner->residency->detokenizer, codes, n_codes,
                       NULL, all.values);
        status = run->stage.stream.status;
    }
    if (status == ACESTEP_OK) {
        int64_t kept = all.rows < out->rows ? all.rows : out->rows;
        memcpy(out->values, all.values, (size_t)(kept * channels) * sizeof *out->values);
        memcpy(out->values + kept * channels, m->silence,
               (size_t)((out->rows - kept) * channels) * sizeof *out->values);
    }
    ace_array_free(&all);
    return status;
}

static ace_status run_brief(codes_run *run, const ace_brief *brief, const ace_heard *heard,
                            ace_hints *out)
{
    ace_status status = ACESTEP_OK;
    if (!brief->follows_codes) {
        return ACESTEP_OK;
    }
    out->n = brief->own_codes ? brief->n_songs : 1;
    for (int i = 0; brief->n_codes > 0 && i < out->n && status == ACESTEP_OK; i++) {
        status =
            decode(run, brief, brief->codes + i * brief->n_codes, brief->n_codes, &out->latents[i]);
    }
    if (brief->n_codes > 0) {
        return status;
    }
    int32_t *codes = NULL;
    int64_t n_codes = 0;
    status = encode_source(run, &heard->source, &codes, &n_codes);
    if (status == ACESTEP_OK) {
        status = decode(run, brief, codes, n_codes, &out->latents[0]);
    }
    ace_free(codes);
    return status;
}

const float *ace_hints_of(const ace_hints *hints, int song)
{
    return hints->n == 0 ? NULL : hints->latents[hints->n > 1 ? song : 0].values;
}

ace_status ace_run_codes(ace_runner *r, const ace_job *job, const ace_heard *heard,
                         ace_hints *hints)
{
    if (!needs_codes(job, false)) {
        return ACESTEP_OK;
    }
    codes_run *run = ace_calloc(1, sizeof *run);
    if (run == NULL) {
        return ace_fail(r->error, ACESTEP_MEMORY, "codes: no host memory");
    }
    run->runner = r;
    run->job = job;
    (void)ace_stage_begin_id(r, ACE_STAGE_CODES, &run->stage);
    if (needs_codes(job, true)) {
        (void)ace_stage_borrow(&run->stage, ACE_PART_TOKENIZER);
    }
    (void)ace_stage_borrow(&run->stage, ACE_PART_DETOKENIZER);
    ace_status status = ace_stage_open(&run->stage);
    for (int b = 0; b < job->n_briefs && status == ACESTEP_OK; b++) {
        status = run_brief(run, &job->brief[b], &heard[b], &hints[b]);
    }
    ace_status end = ace_stage_end(&run->stage);
    ace_free(run);
    return status != ACESTEP_OK ? status : end;
}

ace_status ace_run_listen(ace_runner *r, const ace_job *job, const ace_heard *heard,
                          ace_heard_codes *out)
{
    const ace_brief *brief = &job->brief[0];
    if (brief->n_codes > 0) { /* they were given */
        out->values = ace_calloc((size_t)brief->n_codes, sizeof *out->values);
        out->n = brief->n_codes;
        if (out->values == NULL) {
            return ace_fail(r->error, ACESTEP_MEMORY, "codes: no host memory");
        }
        memcpy(out->values, brief->codes, (size_t)brief->n_codes * sizeof *out->values);
        return ACESTEP_OK;
    }
    codes_run *run = ace_calloc(1, sizeof *run);
    if (run == NULL) {
        return ace_fail(r->error, ACESTEP_MEMORY, "codes: no host memory");
    }
    run->runner = r;
    run->job = job;
    (void)ace_stage_begin_id(r, ACE_STAGE_CODES, &run->stage);
    (void)ace_stage_borrow(&run->stage, ACE_PART_TOKENIZER);
    ace_status status = ace_stage_open(&run->stage);
    if (status == ACESTEP_OK) {
        status = encode_source(run, &heard->source, &out->values, &out->n);
    }
    ace_status end = ace_stage_end(&run->stage);
    ace_free(run);
    return status != ACESTEP_OK ? status : end;
}
