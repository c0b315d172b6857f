/* Audio codes: every song of every request its own, as many side by side as the plan says. A song
 * that ends leaves the batch; the next ones wait for the whole of it. */
#include "base/memory.h"
#include "run/lm_run.h"

#include <math.h>
#include <string.h>

typedef struct codes_song {
    ace_lm_part *part;
    int index; /* which of its request's texts: a song's candidates are neighbours */
} codes_song;

enum { MOST_CANDIDATES = 8, MOST_TEXTS = ACE_MAX_SONGS * MOST_CANDIDATES };

typedef struct codes_run {
    ace_lm_run *run;
    ace_lm_grammar grammar; /* rules for codes need the vocabulary alone */
    codes_song song[MOST_TEXTS];
    int n;
    int64_t most; /* tokens of one song */
    int32_t *ids; /* [run->texts, most] */
} codes_run;

static ace_status count_codes(ace_lm_run *run, ace_lm_part *part)
{
    const ace_lm_task *t = part->task;
    double seconds = t->seconds > 0
                         ? t->seconds
                         : (double)ace_lm_fields_number(&part->out->fields, ACE_LM_DURATION);
    if (seconds <= 0) {
        return ace_fail(run->runner->error, ACESTEP_ARGUMENT,
                        "duration: nobody says how long the song is; give one, or let the language "
                        "model choose (--use-cot-metas true)");
    }
    int64_t n = (int64_t)(fmin(seconds, t->longest) * ACE_CODE_RATE);
    ace_lm_written *out = part->out;
    out->n_codes = n < t->code_room - 1 ? n : t->code_room - 1;
    out->codes = ace_calloc((size_t)(ace_lm_part_texts(part) * out->n_codes), sizeof *out->codes);
    return out->codes != NULL
               ? ACESTEP_OK
               : ace_fail(run->runner->error, ACESTEP_MEMORY, "language model: no host memory");
}

static ace_status list_songs(codes_run *x)
{
    ace_status status = ACESTEP_OK;
    for (int p = 0; p < x->run->n_parts && status == ACESTEP_OK; p++) {
        ace_lm_part *part = &x->run->part[p];
        if (!part->task->codes || part->failed) {
            continue;
        }
        status = count_codes(x->run, part);
        for (int i = 0; i < ace_lm_part_texts(part) && x->n < MOST_TEXTS; i++) {
            x->song[x->n++] = (codes_song){part, i};
        }
        int64_t most = part->out->n_codes + 1;
        x->most = most > x->most ? most : x->most;
    }
    return status;
}

/* The codes among the tokens; without rules there can be others, and too few. */
static ace_status take_codes(const codes_run *x, const codes_song *song, const ace_lm_text *text)
{
    int64_t n = 0;
    ace_lm_written *out = song->part->out;
    int32_t *codes = out->codes + song->index * out->n_codes;
    for (int64_t i = 0; i < text->n && n < out->n_codes; i++) {
        int64_t code = ace_lm_code_of(&x->run->models->lm_vocabulary, text->id[i]);
        if (code >= 0) {
            codes[n++] = (int32_t)code;
        }
    }
    if (n < out->n_codes) {
        return ace_fail(x->run->runner->error, ACESTEP_MODEL,
                        "language model: song %d has %lld codes of %lld; use_constrained_decoding "
                        "makes it write all of them",
                        song->index / (int)song->part->request->best_of + 1, (long long)n,
                        (long long)out->n_codes);
    }
    return ACESTEP_OK;
}

/* Sequence `at` of the session, and the one after it for the twin. */
static ace_status prepare(codes_run *x, const codes_song *song, int at, int32_t *ids,
                          ace_lm_text *out)
{
    const ace_lm_part *part = song->part;
    ace_lm_session *session = x->run->session;
    ace_lm_rules rules = {.codes = true, .target = part->out->n_codes};
    int tries = (int)part->request->best_of;
    uint32_t stream = ACE_LM_STREAM_CODES + ACE_LM_STREAM_TRIES * (uint32_t)(song->index % tries);
    *out =
        (ace_lm_text){.sequence = at,
                      .twin = part->twin >= 0 ? at + 1 : -1,
                      .first = part->ids.ids[part->ids.n - 1],
                      .twin_first = part->twin >= 0 ? part->twin_ids.ids[part->twin_ids.n - 1] : 0,
                      .how = ace_lm_run_how(part->request),
                      .stop = -1,
                      .seed = ace_lm_run_seed(part, song->index / tries),
                      .stream = stream,
                      .most = part->out->n_codes + 1,
                      .id = ids};
    ace_lm_rewind(session, at, 0);
    ace_lm_bind(session, at, part->prompt);
    if (part->twin >= 0) {
        ace_lm_rewind(session, at + 1, 0);
        ace_lm_bind(session, at + 1, part->twin);
    }
    return part->request->use_constrained_decoding
               ? ace_lm_constraint_create(&x->grammar, &rules, &out->constraint,
                                          x->run->runner->error)
               : ACESTEP_OK;
}

/* A song that failed fails alone where its request says that it may. */
static ace_status take_chunk(codes_run *x, const codes_song *songs, const ace_lm_text *texts, int n)
{
    ace_status status = ACESTEP_OK;
    for (int i = 0; i < n; i++) {
        x->run->done += texts[i].n;
        songs[i].part->out->tokens += texts[i].n;
        if (status == ACESTEP_OK && !songs[i].part->failed) {
            status = ace_lm_run_forgive(x->run, songs[i].part, take_codes(x, &songs[i], &texts[i]));
        }
    }
    return status;
}

static ace_status write_chunk(codes_run *x, const codes_song *songs, int n)
{
    ace_lm_text texts[ACE_LM_MOST_TEXTS] = {{0}};
    ace_lm_writer writer = ace_lm_run_writer(x->run);
    ace_status status = ACESTEP_OK;
    int at = 0;
    for (int i = 0; i < n && status == ACESTEP_OK; i++) {
        status = prepare(x, &songs[i], at, x->ids + i * x->most, &texts[i]);
        at += ace_lm_branches(songs[i].part->task);
    }
    if (status == ACESTEP_OK) {
        status = ace_lm_write(&writer, texts, n);
    }
    if (status == ACESTEP_OK) {
        status = take_chunk(x, songs, texts, n);
    }
    for (int i = 0; i < n; i++) {
        ace_lm_constraint_free(texts[i].constraint);
    }
    return status;
}

ace_status ace_lm_run_codes(ace_lm_run *run)
{
    codes_run x = {.run = run, .grammar = {.vocabulary = &run->models->lm_vocabulary}};
    ace_status status = list_songs(&x);
    if (status == ACESTEP_OK && x.n > 0) {
        x.ids = ace_calloc((size_t)(run->texts * x.most), sizeof *x.ids);
        status = x.ids != NULL ? ACESTEP_OK
                               : ace_fail(run->runner->error, ACESTEP_MEMORY,
                                          "language model: no host memory");
    }
    for (int first = 0; first < x.n && status == ACESTEP_OK; first += run->texts) {
        int left = x.n - first;
        status = write_chunk(&x, &x.song[first], left < run->texts ? left : run->texts);
    }
    ace_free(x.ids);
    return status;
}
