/* When the words of finished songs are sung, and how well. The diffusion transformer looks once
 * more at the song, with a little noise over it; which words it attends to at each moment tells
 * when they are sung (sample/alignment.h). For the score it looks at the noise alone as well.
 * Original: get_lyric_timestamp and get_lyric_score in acestep/handler.py. */
#include "base/memory.h"
#include "model/lyric_heads.h"
#include "run/context.h"
#include "run/diffusion_session.h"
#include "sample/alignment.h"
#include "sample/attention_map.h"
#include "sample/noise.h"
#include "text/lyric_times.h"

#include <math.h>
#include <string.h>

/* Of the noise, for every song. */
enum { NOISE_SEED = 42 };

/* Of one brief: the tokens of the words among those of the prompt, which come first in the sequence
 * that the transformer listens to. */
typedef struct words {
    bool times, score; /* asked for, and there is something to sing */
    int64_t first, n;
    bool *sung; /* [n], owned */
} words;

typedef struct alignment_run {
    ace_runner *runner;
    const ace_job *job;
    const ace_conditions *conditions;
    const ace_heard *heard;
    const ace_hints *hints;
    ace_lyric_heads heads;
    words words[ACE_MAX_BRIEFS];
    ace_stage stage;
    ace_arena_mark empty;
    int pass, passes; /* of all songs */

    /* the song at hand */
    ace_finished *song;
    ace_dit_session session;
    ace_alignment noise, latents;
    ace_alignment *listening; /* one of them */
} alignment_run;

static ace_status no_memory(const alignment_run *run)
{
    return ace_fail(run->runner->error, ACESTEP_MEMORY, "lyric alignment: no host memory");
}

/* ---- words ----------------------------------------------------------------------------------- */

/* Tokens before the first word: those of the prompt's heading, told by tokenising it alone. */
static ace_status find_first(const alignment_run *run, const ace_brief *brief, int32_t end_id,
                             int64_t *first)
{
    static const char heading[] = "# Lyric\n";
    const char *at = strstr(brief->lyric_prompt, heading);
    size_t bytes = at != NULL ? (size_t)(at - brief->lyric_prompt) + strlen(heading) : 0;
    ace_tokens tokens = {0};
    ace_status status = ace_tokenizer_encode(run->job->models->tokenizer, brief->lyric_prompt,
                                             bytes, 0, &tokens, run->runner->error);
    *first = 0;
    while (status == ACESTEP_OK && *first < tokens.n && tokens.ids[*first] != end_id) {
        (*first)++;
    }
    ace_tokens_free(&tokens);
    return status;
}

static ace_status find_words(const alignment_run *run, const ace_brief *brief, words *w)
{
    const ace_tokenizer *tokenizer = run->job->models->tokenizer;
    int32_t end_id = ace_tokenizer_token_id(tokenizer, "<|endoftext|>");
    ace_status status = find_first(run, brief, end_id, &w->first);
    while (status == ACESTEP_OK && w->first + w->n < brief->lyrics.n &&
           brief->lyrics.ids[w->first + w->n] != end_id) {
        w->n++;
    }
    if (status != ACESTEP_OK || w->n == 0) {
        return status;
    }
    w->sung = ace_calloc((size_t)w->n, sizeof *w->sung);
    if (w->sung == NULL) {
        return no_memory(run);
    }
    ace_lyrics_find_sung(tokenizer, brief->lyrics.ids + w->first, w->n, w->sung);
    return ACESTEP_OK;
}

static bool any_sung(const words *w)
{
    for (int64_t i = 0; i < w->n; i++) {
        if (w->sung[i]) {
            return true;
        }
    }
    return false;
}

static void warn_of_silence(const alignment_run *run, const char *option)
{
    if (run->runner->warnings != NULL) {
        ace_warn(run->runner->warnings, "", option, "true", "false",
                 "a song without words to sing has nothing to align");
    }
}

static ace_status find_all_words(alignment_run *run)
{
    ace_status status = ACESTEP_OK;
    for (int b = 0; b < run->job->n_briefs && status == ACESTEP_OK; b++) {
        const ace_request *request = run->job->request[b];
        words *w = &run->words[b];
        if (!request->auto_lrc && !request->auto_score) {
            continue;
        }
        status = find_words(run, &run->job->brief[b], w);
        bool sings = any_sung(w);
        w->times = request->auto_lrc && sings;
        w->score = request->auto_score && sings;
        if (request->auto_lrc && !sings && status == ACESTEP_OK) {
            warn_of_silence(run, "auto_lrc");
        }
        if (request->auto_score && !sings && status == ACESTEP_OK) {
            warn_of_silence(run, "auto_score");
        }
    }
    return status;
}

/* ---- listening ------------------------------------------------------------------------------- */

/* Probabilities of one head go into the alignment at hand. */
static ace_status add_head(const alignment_run *run, const ace_attention_head *head)
{
    const words *w = &run->words[run->song->brief];
    ace_error *err = run->runner->error;
    float *map = ace_malloc_array((size_t)(w->n * head->queries), sizeof *map);
    if (map == NULL) {
        return no_memory(run);
    }
    ace_status status = ace_attention_map(head, w->first, w->n, map, err);
    if (status == ACESTEP_OK) {
        status = ace_alignment_add_head(run->listening, map, err);
    }
    ace_free(map);
    return status;
}

static void hear_head(const alignment_run *run, ace_stream *s, ace_tensor q, ace_tensor k)
{
    bool computes = run->runner->device->computes;
    float *values = NULL;
    if (computes) {
        values = ace_malloc_array((size_t)((q.rows + k.rows) * q.cols), sizeof *values);
        if (values == NULL) {
            ace_stream_fail(s, no_memory(run), "lyric alignment: no host memory");
            return;
        }
    }
    float *keys = computes ? values + q.rows * q.cols : NULL;
    ace_download(s, values, q);
    ace_download(s, keys, k);
    if (computes && ace_stream_status(s) == ACESTEP_OK) {
        float scale = (float)(1.0 / sqrt((double)q.cols));
        ace_attention_head head = {values, keys, q.rows, k.rows, q.cols, scale};
        ace_status status = add_head(run, &head);
        if (status != ACESTEP_OK) {
            ace_stream_fail(s, status, "lyric alignment failed");
        }
    }
    ace_free(values);
}

static void hear_layer(void *context, ace_stream *s, int64_t layer, ace_tensor q, ace_tensor k)
{
    const alignment_run *run = context;
    const ace_block_config *c = &run->job->models->dit_config.decoder;
    int64_t group = c->heads / c->kv_heads;
    for (int64_t h = 0; h < c->heads && h < ACE_MOST_LYRIC_HEADS; h++) {
        if ((run->heads.of_layer[layer] >> h & 1) != 0) {
            hear_head(run, s, ace_cols(q, h * c->head_dim, c->head_dim),
                      ace_cols(k, h / group * c->head_dim, c->head_dim));
        }
    }
}

/* One look at t·noise + (1 - t)·latents. */
static void listen(alignment_run *run, float t, ace_alignment *into)
{
    const ace_array *latents = &run->song->latents;
    int64_t n = latents->rows * latents->cols;
    float *x = NULL;
    if (ace_stream_status(&run->stage.stream) != ACESTEP_OK) {
        return; /* there may be no session */
    }
    if (run->runner->device->computes) {
        x = ace_malloc_array((size_t)n, sizeof *x);
        if (x == NULL) {
            ace_stream_fail(&run->stage.stream, no_memory(run), "lyric alignment: no host memory");
            return;
        }
        ace_noise_normal(NOISE_SEED, 0, n, run->job->settings.noise_grid, x);
        for (int64_t i = 0; i < n; i++) {
            x[i] = t * x[i] + (1 - t) * latents->values[i];
        }
    }
    run->listening = into;
    run->session.progress = (double)run->pass / run->passes;
    run->session.progress_share = 1.0 / run->passes;
    ace_dit_listen(&run->session, x, &t, run->heads.last_layer, hear_layer, run);
    run->pass++;
    ace_free(x);
}

/* ---- one song -------------------------------------------------------------------------------- */

static void begin_session(alignment_run *run)
{
    const ace_array *states = ace_song_condition(run->conditions, run->song, false);
    const float *condition[1] = {states->values};
    const int32_t condition_of[1] = {0};
    int b = run->song->brief;
    int64_t frames = run->song->latents.rows;
    ace_dit_inputs in = {
        .batch = 1,
        .frames = frames,
        .n_conditions = 1,
        .condition = condition,
        .condition_length = &states->rows,
        .condition_of = condition_of,
    };
    float *context = NULL;
    if (run->runner->device->computes) {
        context = ace_malloc_array((size_t)(frames * 2 * run->song->latents.cols), sizeof *context);
        if (context == NULL) {
            ace_stream_fail(&run->stage.stream, no_memory(run), "lyric alignment: no host memory");
            return;
        }
        ace_context_write(run->job, &run->job->brief[b], &run->heard[b],
                          ace_hints_of(&run->hints[b], run->song->index), false, context);
    }
    in.context = context;
    ace_reset(&run->stage.stream, &run->empty);
    ace_diffusion_begin(&run->stage, run->job, &in, &run->session);
    ace_free(context);
}

static ace_status create_alignments(alignment_run *run, const words *w)
{
    int64_t patch = run->job->models->dit_config.patch;
    int64_t frames = (run->song->latents.rows + patch - 1) / patch;
    ace_error *err = run->runner->error;
    ace_status status = ace_alignment_create(w->n, frames, w->times, &run->latents, err);
    if (status == ACESTEP_OK && w->score) {
        status = ace_alignment_create(w->n, frames, false, &run->noise, err);
    }
    return status;
}

static ace_status rate(const alignment_run *run, const words *w)
{
    ace_song_lyrics *out = &run->song->lyrics;
    ace_alignment_score score;
    ace_status status = ace_alignment_rate(&run->noise, w->sung, &score, run->runner->error);
    out->lm_score = score.total;
    if (status == ACESTEP_OK) {
        status = ace_alignment_rate(&run->latents, w->sung, &score, run->runner->error);
    }
    out->dit_score = score.total;
    out->scored = status == ACESTEP_OK;
    return status;
}

static ace_status write_texts(const alignment_run *run, const words *w, const double *start,
                              const double *end, double seconds)
{
    const ace_brief *brief = &run->job->brief[run->song->brief];
    ace_song_lyrics *out = &run->song->lyrics;
    ace_error *err = run->runner->error;
    ace_lyric_lines lines;
    ace_status status = ace_lyric_lines_create(
        run->job->models->tokenizer, brief->lyrics.ids + w->first, w->n, start, end, &lines, err);
    if (status != ACESTEP_OK) {
        return status;
    }
    ace_free(out->lrc); /* the stage may run again */
    ace_free(out->vtt);
    out->lrc = NULL;
    out->vtt = NULL;
    status = ace_lrc_write(&lines, &out->lrc, err);
    if (status == ACESTEP_OK) {
        status = ace_webvtt_write(&lines, seconds, &out->vtt, err);
    }
    ace_lyric_lines_free(&lines);
    return status;
}

static ace_status time_lines(const alignment_run *run, const words *w)
{
    double seconds = (double)run->song->latents.rows / ACE_LATENT_RATE;
    double *start = ace_calloc((size_t)w->n, sizeof *start);
    double *end = ace_calloc((size_t)w->n, sizeof *end);
    ace_status status = start != NULL && end != NULL ? ACESTEP_OK : no_memory(run);
    if (status == ACESTEP_OK) {
        status = ace_alignment_times(&run->latents, seconds, start, end, run->runner->error);
    }
    if (status == ACESTEP_OK) {
        status = write_texts(run, w, start, end, seconds);
    }
    ace_free(start);
    ace_free(end);
    return status;
}

static ace_status listen_to_song(alignment_run *run, const words *w)
{
    float last = (float)(1.0 / run->job->settings.sampling.steps);
    begin_session(run);
    if (w->score) {
        listen(run, 1, &run->noise);
    }
    listen(run, last, &run->latents);
    return ace_stream_status(&run->stage.stream);
}

static ace_status align_song(alignment_run *run, ace_finished *song)
{
    const words *w = &run->words[song->brief];
    bool computes = run->runner->device->computes;
    run->song = song;
    ace_status status = computes ? create_alignments(run, w) : ACESTEP_OK;
    if (status == ACESTEP_OK) {
        status = listen_to_song(run, w);
    }
    if (status == ACESTEP_OK && computes && w->score) {
        status = rate(run, w);
    }
    if (status == ACESTEP_OK && computes && w->times) {
        status = time_lines(run, w);
    }
    ace_alignment_free(&run->noise);
    ace_alignment_free(&run->latents);
    return status;
}

/* ---- all songs ------------------------------------------------------------------------------- */

static int passes_of(const alignment_run *run, const ace_finished *song)
{
    const words *w = &run->words[song->brief];
    return (w->score ? 2 : w->times ? 1 : 0);
}

static ace_status align_songs(alignment_run *run, ace_finished *songs, int n_songs)
{
    (void)ace_stage_begin_id(run->runner, ACE_STAGE_ALIGN, &run->stage);
    ace_status status = ace_stage_open(&run->stage);
    run->empty = status == ACESTEP_OK ? ace_mark(&run->stage.stream) : run->empty;
    for (int i = 0; i < n_songs && status == ACESTEP_OK; i++) {
        if (passes_of(run, &songs[i]) > 0) {
            status = align_song(run, &songs[i]);
        }
    }
    ace_status end = ace_stage_end(&run->stage);
    return status != ACESTEP_OK ? status : end;
}

ace_status ace_run_alignment(ace_runner *r, const ace_job *job, const ace_conditions *conditions,
                             const ace_heard *heard, const ace_hints *hints, ace_finished *songs,
                             int n_songs)
{
    alignment_run *run = ace_calloc(1, sizeof *run);
    if (run == NULL) {
        return ace_fail(r->error, ACESTEP_MEMORY, "lyric alignment: no host memory");
    }
    run->runner = r;
    run->job = job;
    run->conditions = conditions;
    run->heard = heard;
    run->hints = hints;
    ace_lyric_heads_of(&job->models->dit_config, &run->heads);
    ace_status status = find_all_words(run);
    for (int i = 0; i < n_songs; i++) {
        run->passes += passes_of(run, &songs[i]);
    }
    if (status == ACESTEP_OK && run->passes > 0) {
        status = align_songs(run, songs, n_songs);
    }
    for (int b = 0; b < ACE_MAX_BRIEFS; b++) {
        ace_free(run->words[b].sung);
    }
    ace_free(run);
    return status;
}
