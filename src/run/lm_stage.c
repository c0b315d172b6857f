/* The language model's part of a job: its tasks, with as many songs side by side as the plan says.
 * In a rehearsal the same steps are walked with the most that each can take; the run takes that
 * room and no more. */
#include "base/clock.h"
#include "base/memory.h"
#include "run/lm_run.h"
#include "run/lm_score.h"
#include "text/audio_codes.h"
#include "weights/embedding.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

static bool computes(const ace_lm_run *run)
{
    return run->runner->device->computes;
}

ace_status ace_lm_run_status(const ace_lm_run *run)
{
    return run->stage.stream.status;
}

int ace_lm_part_texts(const ace_lm_part *part)
{
    return part->brief->n_songs * (int)part->request->best_of;
}

static bool only_scores(const ace_lm_run *run)
{
    return run->job->goal == ACE_GOAL_SCORE;
}

static bool scores(const ace_lm_run *run, const ace_lm_part *part)
{
    bool asked = part->request->auto_score || part->request->best_of > 1 || only_scores(run);
    return part->task->codes && asked;
}

static bool plays(const ace_lm_part *part)
{
    return part->task->metadata || part->task->codes;
}

/* ---- room ------------------------------------------------------------------------------------ */

int ace_lm_branches(const ace_lm_task *t)
{
    return t->codes && t->twin.n > 0 ? 2 : 1;
}

/* One sequence behind one prompt. */
ace_lm_shape ace_lm_opening_shape(const ace_lm_task *t)
{
    return (ace_lm_shape){.prompts = 1,
                          .prompt_tokens = {t->opening_prompt.n},
                          .sequences = 1,
                          .own_tokens = t->opening_room + 1};
}

static int64_t larger(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

/* gpu.md 9.3: the prompts are shared by all songs of a request; each song has room for its codes,
 * twice under guidance. The metadata are written into the first sequence's room, and read again
 * into the prompt. */
ace_lm_shape ace_lm_songs_shape(const ace_lm_run *run)
{
    ace_lm_shape shape = {.sequences = 1, .own_tokens = ACE_LM_WAITING_TOKENS + 1};
    for (int p = 0; p < run->n_parts; p++) {
        const ace_lm_task *t = run->part[p].task;
        if (!plays(&run->part[p])) {
            continue;
        }
        shape.prompt_tokens[shape.prompts++] = t->prompt_room;
        if (ace_lm_branches(t) == 2) {
            shape.prompt_tokens[shape.prompts++] = t->twin_room;
        }
        if (t->codes) {
            int sequences = run->texts * ace_lm_branches(t);
            shape.sequences = sequences > shape.sequences ? sequences : shape.sequences;
        }
        shape.own_tokens = larger(shape.own_tokens, larger(t->code_room, t->metadata_room) + 1);
    }
    return shape;
}

void ace_lm_run_begin(ace_lm_run *run, const ace_lm_shape *shape)
{
    ace_lm_shape whole = *shape;
    whole.int8_cache = run->job->memory.int8_cache;
    ace_reset(&run->stage.stream, &run->empty);
    ace_lm_begin(&run->stage.stream, &run->runner->residency->lm, &whole, run->session);
}

/* ---- the rehearsal --------------------------------------------------------------------------- */

static void walk_decoding(ace_lm_run *run, int n, int64_t steps, const ace_lm_logits *logits)
{
    int sequences[ACE_LM_MAX_SEQUENCES];
    for (int i = 0; i < n; i++) {
        sequences[i] = i;
    }
    for (int64_t t = 0; t < steps && ace_lm_run_status(run) == ACESTEP_OK; t++) {
        ace_lm_decode(run->session, sequences, n, NULL, logits);
    }
}

/* One text under the rules for words: forced tokens are read in pieces, the others one by one. */
static void walk_words(ace_lm_run *run, int64_t tokens)
{
    ace_lm_logits all = {.count = run->models->lm_config.vocabulary, .rows = 1};
    ace_lm_read(run->session, 0, NULL, ACE_LM_WAITING_TOKENS, &all);
    walk_decoding(run, 1, tokens > ACE_LM_WAITING_TOKENS ? tokens - ACE_LM_WAITING_TOKENS : 1,
                  &all);
    ace_lm_rewind(run->session, 0, 0);
}

static int64_t at_most(int64_t n, int64_t most)
{
    return n < most ? n : most;
}

static void walk_plan(ace_lm_run *run, const ace_lm_part *part, int64_t most)
{
    const ace_lm_task *t = part->task;
    ace_lm_bind(run->session, 0, part->prompt);
    if (t->metadata) {
        int64_t plan = ACE_LM_BLOCK_TOKENS + 1; /* and the prompt's last token */
        ace_lm_read_prompt(run->session, part->prompt, NULL, t->prompt_room - plan, NULL);
        walk_words(run, at_most(t->metadata_room, most));
        ace_lm_read_prompt(run->session, part->prompt, NULL, plan, NULL);
    } else {
        ace_lm_read_prompt(run->session, part->prompt, NULL, t->prompt_room, NULL);
    }
    if (part->twin >= 0) {
        ace_lm_read_prompt(run->session, part->twin, NULL, t->twin_room, NULL);
    }
}

/* Songs that are written side by side, and again until all are; every one as long as the longest.
 */
static void walk_codes(ace_lm_run *run, int64_t most)
{
    ace_lm_logits logits = {.rows = 1};
    int texts = 0;
    int sequences = 0;
    int64_t steps = 0;
    ace_lm_code_range(&run->models->lm_vocabulary, &logits.first, &logits.count);
    for (int p = 0; p < run->n_parts; p++) {
        const ace_lm_part *part = &run->part[p];
        int n = part->task->codes ? ace_lm_branches(part->task) : 0;
        texts += part->task->codes ? ace_lm_part_texts(part) : 0;
        sequences = n > sequences ? n : sequences;
        steps = larger(steps, part->task->code_room);
    }
    for (int done = 0; done < texts && (done == 0 || most > 1); done += run->texts) {
        int n = texts - done < run->texts ? texts - done : run->texts;
        for (int i = 0; i < n * sequences; i++) {
            ace_lm_rewind(run->session, i, 0);
        }
        logits.n_choices = ace_stream_chooses(&run->stage.stream) ? n : 0;
        walk_decoding(run, n * sequences, at_most(steps, most), &logits);
    }
}

/* `most`: decoding steps to walk through, because memory is the same from the first on. */
static void walk(ace_lm_run *run, int64_t most)
{
    bool any = false;
    for (int p = 0; p < run->n_parts; p++) {
        const ace_lm_task *t = run->part[p].task;
        any = any || plays(&run->part[p]);
        if (t->opening != ACE_LM_GENERATE) {
            ace_lm_shape shape = ace_lm_opening_shape(t);
            ace_lm_run_begin(run, &shape);
            ace_lm_read_prompt(run->session, 0, NULL, t->opening_prompt.n, NULL);
            walk_words(run, at_most(t->opening_room, most));
        }
    }
    if (any) {
        ace_lm_shape shape = ace_lm_songs_shape(run);
        ace_lm_run_begin(run, &shape);
    }
    for (int p = 0; p < run->n_parts; p++) {
        if (plays(&run->part[p])) {
            walk_plan(run, &run->part[p], most);
        }
    }
    walk_codes(run, most);
}

/* ---- what the parts need --------------------------------------------------------------------- */

ace_status ace_lm_run_read(ace_lm_run *run, int prompt, const int32_t *ids, int64_t n)
{
    const ace_qwen3_config *c = &run->models->lm_config;
    if (n == 0) {
        return ace_lm_run_status(run);
    }
    float *embeddings = ace_malloc_array((size_t)(n * c->block.hidden), sizeof *embeddings);
    if (embeddings == NULL) {
        return ace_fail(run->runner->error, ACESTEP_MEMORY, "language model: no host memory");
    }
    ace_status status =
        ace_embedding_gather(run->models->lm, "embed_tokens.weight", c->vocabulary, c->block.hidden,
                             ids, n, embeddings, run->runner->error);
    if (status == ACESTEP_OK) {
        ace_lm_read_prompt(run->session, prompt, embeddings, n, NULL);
        status = ace_lm_run_status(run);
    }
    ace_free(embeddings);
    return status;
}

static bool tell(void *context, const char *phase, int64_t written, int64_t tokens)
{
    ace_lm_run *run = context;
    double seconds = ace_clock_seconds() - run->started;
    double all = (double)(run->done + tokens);
    (void)snprintf(run->stage.doing, sizeof run->stage.doing, "%s, token %lld, %.1f/s", phase,
                   (long long)written, seconds > 0 ? all / seconds : 0.0);
    ace_stream_progress(&run->stage.stream,
                        run->expected > 0 ? fmin(all / (double)run->expected, 1) : 0);
    return ace_lm_run_status(run) == ACESTEP_OK;
}

ace_lm_writer ace_lm_run_writer(ace_lm_run *run)
{
    return (ace_lm_writer){.session = run->session,
                           .weights = run->models->lm,
                           .vocabulary = &run->models->lm_vocabulary,
                           .progress = tell,
                           .context = run,
                           .times = &run->phase[run->at].times,
                           .error = run->runner->error};
}

ace_lm_how ace_lm_run_how(const ace_request *r)
{
    return (ace_lm_how){.sampling = {.temperature = r->lm_temperature,
                                     .top_k = r->lm_top_k,
                                     .top_p = r->lm_top_p,
                                     .min_p = r->lm_min_p,
                                     .order = (ace_lm_order)r->lm_order},
                        .guidance = r->lm_cfg_scale,
                        .repetition_penalty = r->lm_repetition_penalty};
}

uint64_t ace_lm_run_seed(const ace_lm_part *part, int song)
{
    int64_t own = part->request->lm_seed;
    return own >= 0 ? (uint64_t)own + (uint64_t)song : part->brief->seed[song];
}

ace_status ace_lm_run_forgive(ace_lm_run *run, ace_lm_part *part, ace_status status)
{
    ace_error *err = run->runner->error;
    bool optional = part->request->lm_optional && run->job->goal == ACE_GOAL_SONGS;
    if (status != ACESTEP_MODEL || !optional || ace_lm_run_status(run) != ACESTEP_OK) {
        return status;
    }
    if (run->runner->warnings != NULL) {
        ace_warn(run->runner->warnings, "W25", "thinking", "true", "false", "%s",
                 err != NULL ? err->message : "the language model failed");
    }
    if (err != NULL) {
        err->code = ACESTEP_OK;
        err->message[0] = '\0';
    }
    part->failed = true;
    return ACESTEP_OK;
}

/* ---- the run --------------------------------------------------------------------------------- */

/* The brief's task stands for any codes of that length: now these are known. */
static ace_status know_codes(ace_lm_run *run, ace_lm_part *part)
{
    ace_error *err = run->runner->error;
    size_t n = (size_t)run->heard->n;
    char *text = ace_codes_format(run->heard->values, run->heard->n);
    part->out->codes = ace_calloc(n, sizeof *part->out->codes);
    ace_status status = text != NULL && part->out->codes != NULL
                            ? ace_lm_task_understand(run->models, text, &part->heard, err)
                            : ace_fail(err, ACESTEP_MEMORY, "language model: no host memory");
    ace_free(text);
    if (status == ACESTEP_OK) {
        memcpy(part->out->codes, run->heard->values, n * sizeof *part->out->codes);
        part->out->n_codes = run->heard->n;
        part->task = part->heard;
    }
    return status;
}

static int64_t expected_tokens(const ace_lm_run *run)
{
    /* scoring reads what writing wrote: a tenth of its time */
    enum { USUAL_OPENING = 400, USUAL_METADATA = 150, SCORING_PART = 10 };
    int64_t n = 0;
    bool scored = false;
    for (int p = 0; p < run->n_parts; p++) {
        const ace_lm_task *t = run->part[p].task;
        n += t->opening != ACE_LM_GENERATE ? USUAL_OPENING : 0;
        n += t->metadata ? USUAL_METADATA : 0;
        n += t->codes ? (t->code_room - 1) * ace_lm_part_texts(&run->part[p]) : 0;
        scored = scored || scores(run, &run->part[p]);
    }
    return scored ? n + n / SCORING_PART : n;
}

static ace_status write_openings(ace_lm_run *run)
{
    ace_status status = ACESTEP_OK;
    for (int p = 0; p < run->n_parts && status == ACESTEP_OK; p++) {
        ace_lm_part *part = &run->part[p];
        if (run->heard != NULL) {
            status = know_codes(run, part);
        }
        if (status == ACESTEP_OK && part->task->opening != ACE_LM_GENERATE) {
            status = ace_lm_run_forgive(run, part, ace_lm_run_opening(run, part));
        }
    }
    return status;
}

/* Books what has been done since then. */
static void book_phase(ace_lm_run *run, double started, int64_t done)
{
    ace_lm_phase *phase = &run->phase[run->at];
    phase->seconds += ace_clock_seconds() - started;
    phase->tokens += run->done - done;
}

static ace_status write_codes(ace_lm_run *run)
{
    double started = ace_clock_seconds();
    int64_t done = run->done;
    run->at = ACE_LM_PHASE_CODES;
    ace_status status = ace_lm_run_codes(run);
    book_phase(run, started, done);
    return status;
}

static ace_status write_plans(ace_lm_run *run)
{
    ace_lm_shape shape = ace_lm_songs_shape(run);
    ace_status status = ACESTEP_OK;
    if (shape.prompts == 0) {
        return ACESTEP_OK;
    }
    ace_lm_run_begin(run, &shape);
    for (int p = 0; p < run->n_parts && status == ACESTEP_OK; p++) {
        ace_lm_part *part = &run->part[p];
        if (plays(part) && !part->failed) {
            status = ace_lm_run_forgive(run, part, ace_lm_run_plan(run, part));
        }
    }
    return status;
}

static ace_lm_scorer scorer_of(ace_lm_run *run, const ace_lm_part *part)
{
    double done = run->expected > 0 ? fmin((double)run->done / (double)run->expected, 1) : 0;
    return (ace_lm_scorer){.stream = &run->stage.stream,
                           .empty = run->empty,
                           .model = &run->runner->residency->lm,
                           .session = run->session,
                           .models = run->models,
                           .task = part->task,
                           .request = part->request,
                           .int8_cache = run->job->memory.int8_cache,
                           .progress = done,
                           .progress_share = 1 - done,
                           .error = run->runner->error};
}

static ace_status score_songs(ace_lm_run *run)
{
    ace_status status = ACESTEP_OK;
    for (int p = 0; p < run->n_parts && status == ACESTEP_OK; p++) {
        ace_lm_part *part = &run->part[p];
        if (!scores(run, part) || part->failed) {
            continue;
        }
        ace_lm_scorer scorer = scorer_of(run, part);
        (void)snprintf(run->stage.doing, sizeof run->stage.doing, "scores");
        status = ace_lm_score_texts(&scorer, ace_lm_part_texts(part), part->out);
        if (status == ACESTEP_OK) {
            ace_lm_score_keep_best(part->out, part->brief->n_songs, (int)part->request->best_of);
        }
    }
    return status;
}

static ace_status walk_scores(ace_lm_run *run, int64_t most)
{
    ace_status status = ace_lm_run_status(run);
    for (int p = 0; p < run->n_parts && status == ACESTEP_OK; p++) {
        const ace_lm_part *part = &run->part[p];
        if (scores(run, part)) {
            ace_lm_scorer scorer = scorer_of(run, part);
            status = ace_lm_score_walk(&scorer, most > 1 ? ace_lm_part_texts(part) : 1);
        }
    }
    return status;
}

static ace_status write_all(ace_lm_run *run)
{
    run->expected = expected_tokens(run);
    run->started = ace_clock_seconds();
    ace_status status = write_openings(run);
    if (status == ACESTEP_OK) {
        status = write_plans(run);
    }
    book_phase(run, run->started, 0);
    if (status == ACESTEP_OK && ace_lm_songs_shape(run).prompts > 0) {
        status = write_codes(run);
    }
    double seconds = ace_clock_seconds() - run->started;
    if (status == ACESTEP_OK) {
        status = score_songs(run);
    }
    for (int p = 0; p < run->n_parts; p++) {
        ace_lm_part *part = &run->part[p];
        if (part->failed) {
            ace_lm_written_free(part->out);
        } else {
            part->out->wrote = status == ACESTEP_OK;
            part->out->seconds = seconds;
            memcpy(part->out->phase, run->phase, sizeof run->phase);
        }
    }
    return status;
}

/* The words that the codes are held against are the request's own. */
static ace_status take_codes_to_score(ace_lm_run *run, ace_lm_part *part)
{
    ace_error *err = run->runner->error;
    const ace_heard_codes *heard = run->heard;
    ace_status status = ACESTEP_OK;
    part->out->codes = ace_calloc((size_t)heard->n, sizeof *heard->values);
    if (part->out->codes == NULL) {
        return ace_fail(err, ACESTEP_MEMORY, "language model: no host memory");
    }
    memcpy(part->out->codes, heard->values, (size_t)heard->n * sizeof *heard->values);
    part->out->n_codes = heard->n;
    for (int f = 0; f < ACE_LM_FIELDS && status == ACESTEP_OK; f++) {
        const char *text = part->task->fixed.text[f];
        if (text != NULL) {
            status =
                ace_lm_fields_set(&part->out->fields, (ace_lm_field)f, text, strlen(text), err);
        }
    }
    return status;
}

static ace_status score_given(ace_lm_run *run)
{
    double started = ace_clock_seconds();
    ace_status status = take_codes_to_score(run, &run->part[0]);
    if (status == ACESTEP_OK) {
        status = score_songs(run);
    }
    run->part[0].out->wrote = status == ACESTEP_OK;
    run->part[0].out->seconds = ace_clock_seconds() - started;
    return status;
}

/* The requests that have something to ask, and which prompts of the session are theirs. */
static void list_parts(ace_lm_run *run, ace_lm_written *written)
{
    const ace_job *job = run->job;
    int texts = 0;
    int prompts = 0;
    for (int b = 0; b < job->n_briefs; b++) {
        if (job->brief[b].lm == NULL) {
            continue;
        }
        ace_lm_part *part = &run->part[run->n_parts++];
        *part = (ace_lm_part){.brief = &job->brief[b],
                              .task = job->brief[b].lm,
                              .request = job->request[b],
                              .out = computes(run) ? &written[b] : NULL,
                              .prompt = prompts,
                              .twin = -1};
        texts += part->task->codes ? ace_lm_part_texts(part) : 1;
        if (plays(part)) {
            prompts++;
            part->twin = ace_lm_branches(part->task) == 2 ? prompts++ : -1;
        }
    }
    int most = run->runner->plan->lm_chunk;
    run->texts = texts < most ? texts : most;
}

static void free_parts(ace_lm_run *run)
{
    for (int p = 0; p < run->n_parts; p++) {
        ace_lm_task_free(run->part[p].heard);
        ace_tokens_free(&run->part[p].ids);
        ace_tokens_free(&run->part[p].twin_ids);
    }
}

static ace_status run_stage(ace_lm_run *run, int64_t most_steps)
{
    (void)ace_stage_begin_id(run->runner, ACE_STAGE_LM, &run->stage);
    run->stage.bounded = computes(run);
    (void)ace_stage_borrow(&run->stage, ACE_PART_LM);
    ace_status status = ace_stage_open(&run->stage);
    if (status == ACESTEP_OK) {
        run->empty = ace_mark(&run->stage.stream);
        if (computes(run)) {
            status = only_scores(run) ? score_given(run) : write_all(run);
        } else {
            if (!only_scores(run)) {
                walk(run, most_steps);
            }
            status = walk_scores(run, most_steps);
        }
    }
    if (status != ACESTEP_OK && run->stage.stream.status == ACESTEP_OK) {
        run->stage.stream.status = status;
    }
    ace_status end = ace_stage_end(&run->stage);
    return status != ACESTEP_OK ? status : end;
}

ace_status ace_run_lm(ace_runner *r, const ace_job *job, const ace_heard_codes *heard,
                      int64_t most_steps, ace_lm_written *written)
{
    if (!r->plan->lm_runs) {
        return ACESTEP_OK;
    }
    ace_lm_run *run = ace_calloc(1, sizeof *run);
    ace_lm_session *session = ace_calloc(1, sizeof *session);
    if (run == NULL || session == NULL) {
        ace_free(run);
        ace_free(session);
        return ace_fail(r->error, ACESTEP_MEMORY, "language model: no host memory");
    }
    run->runner = r;
    run->job = job;
    run->models = job->models;
    run->heard = heard;
    run->session = session;
    list_parts(run, written);
    ace_status status = run_stage(run, most_steps);
    free_parts(run);
    ace_free(session);
    ace_free(run);
    return status;
}
