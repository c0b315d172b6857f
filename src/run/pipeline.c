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
    memset(song, 0, sizeof *song);
}

/* What lies between the stages. */
typedef struct intermediates {
    ace_text_states text[ACE_MAX_BRIEFS];
    ace_heard heard[ACE_MAX_BRIEFS];
    ace_conditions conditions[ACE_MAX_BRIEFS];
    ace_array hints[ACE_MAX_BRIEFS];
} intermediates;

static void free_intermediates(intermediates *m)
{
    for (int b = 0; b < ACE_MAX_BRIEFS; b++) {
        ace_array_free(&m->text[b].hidden);
        ace_array_free(&m->text[b].lyrics);
        ace_array_free(&m->text[b].plain_hidden);
        ace_array_free(&m->heard[b].source);
        for (int i = 0; i < ACE_MAX_SONGS; i++) {
            ace_array_free(&m->heard[b].reference[i]);
            ace_array_free(&m->conditions[b].states[i]);
            ace_array_free(&m->conditions[b].plain_states[i]);
        }
        ace_array_free(&m->hints[b]);
    }
    ace_free(m);
}

static int list_songs(const ace_job *job, ace_finished *songs)
{
    int n = 0;
    for (int b = 0; b < job->n_briefs; b++) {
        for (int i = 0; i < job->brief[b].n_songs && n < ACE_MAX_SONGS; i++, n++) {
            memset(&songs[n], 0, sizeof songs[n]);
            songs[n].brief = b;
            songs[n].seed = job->brief[b].seed[i];
        }
    }
    return n;
}

ace_status ace_pipeline_run(ace_runner *r, const ace_job *job, ace_finished *songs, int *n_songs)
{
    *n_songs = list_songs(job, songs);
    intermediates *m = ace_calloc(1, sizeof *m);
    if (m == NULL) {
        return ace_fail(r->error, ACESTEP_MEMORY, "pipeline: no host memory");
    }
    ace_status status = ace_run_text(r, job, m->text);
    if (status == ACESTEP_OK) {
        status = ace_run_audio_encoder(r, job, m->heard);
    }
    if (status == ACESTEP_OK) {
        status = ace_run_condition(r, job, m->text, m->heard, m->conditions);
    }
    if (status == ACESTEP_OK) {
        status = ace_run_codes(r, job, m->heard, m->hints);
    }
    if (status == ACESTEP_OK) {
        status = ace_run_diffusion(r, job, m->conditions, m->heard, m->hints, songs, *n_songs);
    }
    free_intermediates(m);
    if (status == ACESTEP_OK) {
        status = ace_run_decoder(r, job, songs, *n_songs);
    }
    return status;
}
