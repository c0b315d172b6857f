/* The language model's part of a job: its tasks one after another, each with as many songs side by
 * side as the plan says. In a rehearsal the same steps are walked with the most that each can take;
 * the run takes that room and no more. */
#include "base/clock.h"
#include "base/memory.h"
#include "lm/grammar.h"
#include "lm/reply.h"
#include "lm/writer.h"
#include "run/lm_score.h"
#include "run/pipeline.h"
#include "text/audio_codes.h"
#include "weights/embedding.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

/* Which of a song's texts a random number belongs to. Further tries count on in steps of 16. */
enum { STREAM_OPENING, STREAM_METADATA, STREAM_CODES, STREAM_TRIES = 16 };

/* Scoring reads what writing wrote: the part of its time that progress sets aside. */
enum { SCORING_PART = 10 };

typedef struct lm_run {
    ace_runner *runner;
    const ace_job *job;
    const ace_models *models;
    const ace_heard_codes *heard; /* to be understood, or NULL */
    ace_stage stage;
    ace_lm_session *session;
    ace_arena_mark empty; /* the arena before the first session */

    /* the task at hand */
    const ace_brief *brief;
    const ace_lm_task *task;
    const ace_request *request;
    ace_lm_grammar grammar;
    int32_t *ids; /* tokens being written: [most_texts, most_tokens] */
    ace_lm_written *out;
    int64_t expected, done; /* tokens, for progress */
    double started;
} lm_run;

static bool computes(const lm_run *run)
{
    return run->runner->device->computes;
}

static ace_status status_of(const lm_run *run)
{
    return run->stage.stream.status;
}

/* ---- room ---------------------------------------------------------------------------------------
 */

static int branches(const ace_lm_task *t)
{
    return t->twin.n > 0 ? 2 : 1;
}

/* One sequence behind one prompt. */
static ace_lm_shape opening_shape(const ace_lm_task *t)
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
 * twice under guidance. The metadata are written into the first song's room, and read again into
 * the prompt. */
static ace_lm_shape song_shape(const ace_lm_task *t, int songs)
{
    int n = t->codes ? branches(t) : 1;
    ace_lm_shape shape = {
        .prompts = n,
        .prompt_tokens = {t->prompt_room, t->twin_room},
        .sequences = t->codes ? songs * n : 1,
        .own_tokens = larger(larger(t->code_room, t->metadata_room), ACE_LM_WAITING_TOKENS) + 1};
    for (int i = 0; i < shape.sequences; i++) {
        shape.prompt_of[i] = i % n;
    }
    return shape;
}

static void begin(lm_run *run, const ace_lm_shape *shape)
{
    ace_reset(&run->stage.stream, &run->empty);
    ace_lm_begin(&run->stage.stream, &run->runner->residency->lm, shape, run->session);
}

/* ---- the rehearsal ------------------------------------------------------------------------------
 */

static void walk_decoding(lm_run *run, int n, int64_t steps, const ace_lm_logits *logits)
{
    int sequences[ACE_LM_MAX_SEQUENCES];
    for (int i = 0; i < n; i++) {
        sequences[i] = i;
    }
    for (int64_t t = 0; t < steps && status_of(run) == ACESTEP_OK; t++) {
        ace_lm_decode(run->session, sequences, n, NULL, logits);
    }
}

/* One text under the rules for words: forced tokens are read in pieces, the others one by one. */
static void walk_words(lm_run *run, int64_t tokens)
{
    ace_lm_logits all = {.count = run->models->lm_config.vocabulary, .rows = 1};
    ace_lm_read(run->session, 0, NULL, ACE_LM_WAITING_TOKENS, &all);
    walk_decoding(run, 1, tokens > ACE_LM_WAITING_TOKENS ? tokens - ACE_LM_WAITING_TOKENS : 1,
                  &all);
}

/* Codes are written for each song as often as the best is to be picked of. */
static int texts_of(const lm_run *run)
{
    return run->brief->n_songs * (int)run->request->best_of;
}

/* songs of n are planned in chunks; `most`: decoding steps to walk through, because memory is the
 * same from the first on. */
static void walk_song(lm_run *run, int songs, int64_t most)
{
    const ace_lm_task *t = run->task;
    ace_lm_shape shape = song_shape(t, songs);
    ace_lm_logits codes = {.rows = 1};
    ace_lm_code_range(&run->models->lm_vocabulary, &codes.first, &codes.count);
    begin(run, &shape);
    if (t->metadata) {
        int64_t plan = ACE_LM_BLOCK_TOKENS + 1; /* and the prompt's last token */
        ace_lm_read_prompt(run->session, 0, NULL, t->prompt_room - plan, NULL);
        walk_words(run, t->metadata_room < most ? t->metadata_room : most);
        ace_lm_rewind(run->session, 0, 0);
        ace_lm_read_prompt(run->session, 0, NULL, plan, NULL);
    } else {
        ace_lm_read_prompt(run->session, 0, NULL, t->prompt_room, NULL);
    }
    if (!t->codes) {
        return;
    }
    if (shape.prompts == 2) {
        ace_lm_read_prompt(run->session, 1, NULL, t->twin_room, NULL);
    }
    int64_t steps = t->code_room < most ? t->code_room : most;
    walk_decoding(run, shape.sequences, steps, &codes);
    for (int done = songs; done < texts_of(run) && most > 1; done += songs) {
        int left = texts_of(run) - done;
        for (int i = 0; i < shape.sequences; i++) {
            ace_lm_rewind(run->session, i, 0);
        }
        walk_decoding(run, (left < songs ? left : songs) * shape.prompts, steps, &codes);
    }
}

static void walk(lm_run *run, int songs, int64_t most)
{
    const ace_lm_task *t = run->task;
    if (t->opening != ACE_LM_GENERATE) {
        ace_lm_shape shape = opening_shape(t);
        begin(run, &shape);
        ace_lm_read_prompt(run->session, 0, NULL, t->opening_prompt.n, NULL);
        walk_words(run, t->opening_room < most ? t->opening_room : most);
    }
    if (t->metadata || t->codes) {
        walk_song(run, songs, most);
    }
}

/* ---- reading prompts ----------------------------------------------------------------------------
 */

static ace_status read_prompt(lm_run *run, int prompt, const int32_t *ids, int64_t n)
{
    const ace_qwen3_config *c = &run->models->lm_config;
    if (n == 0) {
        return status_of(run);
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
        status = status_of(run);
    }
    ace_free(embeddings);
    return status;
}

/* ---- writing ------------------------------------------------------------------------------------
 */

static bool tell(void *context, const char *phase, int64_t written, int64_t tokens)
{
    lm_run *run = context;
    double seconds = ace_clock_seconds() - run->started;
    double all = (double)(run->done + tokens);
    (void)snprintf(run->stage.doing, sizeof run->stage.doing, "%s, token %lld, %.1f/s", phase,
                   (long long)written, seconds > 0 ? all / seconds : 0.0);
    ace_stream_progress(&run->stage.stream,
                        run->expected > 0 ? fmin(all / (double)run->expected, 1) : 0);
    return status_of(run) == ACESTEP_OK;
}

static ace_lm_writer writer_of(lm_run *run)
{
    const ace_request *r = run->request;
    return (ace_lm_writer){
        .session = run->session,
        .weights = run->models->lm,
        .vocabulary = &run->models->lm_vocabulary,
        .sampling = {.temperature = r->lm_temperature,
                     .top_k = r->lm_top_k,
                     .top_p = r->lm_top_p,
                     .min_p = r->lm_min_p,
                     .order = (ace_lm_order)r->lm_order},
        .guidance = r->lm_cfg_scale,
        .repetition_penalty = r->lm_repetition_penalty,
        .progress = tell,
        .context = run,
        .error = run->runner->error,
    };
}

static uint64_t seed_of(const lm_run *run, int song)
{
    int64_t own = run->request->lm_seed;
    return own >= 0 ? (uint64_t)own + (uint64_t)song : run->brief->seed[song];
}

/* The rules, or NULL where the user wants none. */
static ace_status make_rules(const lm_run *run, const ace_lm_rules *rules, ace_lm_constraint **out)
{
    *out = NULL;
    return run->request->use_constrained_decoding
               ? ace_lm_constraint_create(&run->grammar, rules, out, run->runner->error)
               : ACESTEP_OK;
}

/* One text by itself, read as a reply. */
static ace_status write_words(lm_run *run, const ace_lm_rules *rules, int32_t first,
                              uint32_t stream, int64_t most, ace_lm_reply *reply)
{
    ace_error *err = run->runner->error;
    ace_lm_constraint *constraint = NULL;
    ace_lm_writer writer = writer_of(run);
    ace_lm_text text = {.twin = -1,
                        .first = first,
                        .stop = rules->plan_only ? run->grammar.close.id[0] : -1,
                        .seed = seed_of(run, 0),
                        .stream = stream,
                        .most = most,
                        .id = run->ids};
    ace_status status = make_rules(run, rules, &constraint);
    text.constraint = constraint;
    if (status == ACESTEP_OK) {
        status = ace_lm_write(&writer, &text, 1);
    }
    ace_lm_constraint_free(constraint);
    run->done += text.n;
    run->out->tokens += text.n;
    char *words = NULL;
    size_t n = 0;
    if (status == ACESTEP_OK) {
        status = ace_tokenizer_decode(run->models->lm_tokenizer, text.id, text.n, &words, &n, err);
    }
    if (status == ACESTEP_OK) {
        status = ace_lm_reply_read(words, n, reply, err);
    }
    ace_free(words);
    return status;
}

/* Again with other random numbers while the reply cannot be used. */
static ace_status write_until_usable(lm_run *run, const ace_lm_rules *rules, int32_t first,
                                     uint32_t stream, int64_t most, ace_lm_field must_have,
                                     ace_lm_reply *reply)
{
    for (int64_t i = 0; i <= run->request->lm_retries; i++) {
        ace_lm_reply_free(reply);
        ace_lm_rewind(run->session, 0, 0);
        ace_status status =
            write_words(run, rules, first, stream + (uint32_t)i * STREAM_TRIES, most, reply);
        bool usable = must_have == ACE_LM_FIELDS || reply->fields.text[must_have] != NULL;
        if (status != ACESTEP_OK || usable) {
            return status;
        }
    }
    return ace_fail(run->runner->error, ACESTEP_MODEL,
                    "language model: %lld times it wrote nothing that can be used (no %s); try "
                    "another seed, or --thinking false",
                    (long long)run->request->lm_retries + 1, ace_lm_field_name(must_have));
}

static ace_status take_field(lm_run *run, ace_lm_field field, const char *text)
{
    return text == NULL ? ACESTEP_OK
                        : ace_lm_fields_set(&run->out->fields, field, text, strlen(text),
                                            run->runner->error);
}

/* ---- the opening --------------------------------------------------------------------------------
 */

/* None were written: rough words stay as they are, and nobody sings in the rest. */
static ace_status fill_in_lyrics(lm_run *run)
{
    const ace_lm_task *t = run->task;
    const char *lyrics = t->opening == ACE_LM_FORMAT && t->lyrics[0] != '\0' ? t->lyrics
                                                                             : "[Instrumental]";
    if (t->opening == ACE_LM_UNDERSTAND) {
        return ACESTEP_OK; /* unknown */
    }
    run->out->lyrics = ace_strdup(lyrics);
    return run->out->lyrics != NULL
               ? ACESTEP_OK
               : ace_fail(run->runner->error, ACESTEP_MEMORY, "language model: no host memory");
}

static ace_status take_opening(lm_run *run, ace_lm_reply *reply)
{
    const ace_lm_task *t = run->task;
    ace_status status = ACESTEP_OK;
    for (int f = 0; f < ACE_LM_FIELDS && status == ACESTEP_OK; f++) {
        bool counts = t->whole_opening || f == ACE_LM_LANGUAGE;
        const char *fixed = t->fixed.text[f];
        const char *text = fixed != NULL ? fixed : counts ? reply->fields.text[f] : NULL;
        status = take_field(run, (ace_lm_field)f, text);
    }
    run->out->lyrics = reply->lyrics;
    reply->lyrics = NULL;
    return status == ACESTEP_OK && run->out->lyrics == NULL ? fill_in_lyrics(run) : status;
}

static ace_status write_opening(lm_run *run)
{
    const ace_lm_task *t = run->task;
    const ace_tokens *prompt = &t->opening_prompt;
    ace_lm_shape shape = opening_shape(t);
    ace_lm_rules rules = {.target = -1, .fixed = &t->fixed};
    ace_lm_reply reply = {0};
    /* the language line is left out where the user fixed it: acestep/llm_inference.py */
    rules.skip[ACE_LM_LANGUAGE] =
        t->opening == ACE_LM_FORMAT && t->fixed.text[ACE_LM_LANGUAGE] != NULL;
    begin(run, &shape);
    ace_status status = read_prompt(run, 0, prompt->ids, prompt->n - 1);
    if (status == ACESTEP_OK) {
        status = write_until_usable(run, &rules, prompt->ids[prompt->n - 1], STREAM_OPENING,
                                    t->opening_room,
                                    t->whole_opening ? ACE_LM_CAPTION : ACE_LM_FIELDS, &reply);
    }
    if (status == ACESTEP_OK) {
        status = take_opening(run, &reply);
    }
    ace_lm_reply_free(&reply);
    return status;
}

/* ---- metadata -----------------------------------------------------------------------------------
 */

/* The request's own values stand; the rest is the model's. */
static ace_status take_metadata(lm_run *run, const ace_lm_reply *reply)
{
    const ace_lm_task *t = run->task;
    ace_status status = ACESTEP_OK;
    for (int f = 0; f < ACE_LM_FIELDS && status == ACESTEP_OK; f++) {
        bool wanted =
            (f != ACE_LM_CAPTION || t->use_caption) && (f != ACE_LM_LANGUAGE || t->use_language);
        if (t->fixed.text[f] == NULL && wanted) {
            status = take_field(run, (ace_lm_field)f, reply->fields.text[f]);
        }
    }
    return status;
}

static ace_status take_fixed(lm_run *run)
{
    ace_status status = ACESTEP_OK;
    for (int f = 0; f < ACE_LM_FIELDS && status == ACESTEP_OK; f++) {
        status = take_field(run, (ace_lm_field)f, run->task->fixed.text[f]);
    }
    return status;
}

static ace_status write_metadata(lm_run *run, int32_t first)
{
    const ace_lm_task *t = run->task;
    ace_lm_rules rules = {.target = -1, .plan_only = true, .fixed = &t->fixed};
    ace_lm_reply reply = {0};
    rules.skip[ACE_LM_GENRES] = true;
    rules.skip[ACE_LM_CAPTION] = !t->use_caption;
    rules.skip[ACE_LM_LANGUAGE] = !t->use_language;
    ace_status status =
        write_until_usable(run, &rules, first, STREAM_METADATA, t->metadata_room,
                           t->seconds > 0 ? ACE_LM_FIELDS : ACE_LM_DURATION, &reply);
    if (status == ACESTEP_OK) {
        status = take_metadata(run, &reply);
    }
    ace_lm_reply_free(&reply);
    ace_lm_rewind(run->session, 0, 0);
    return status;
}

/* ---- prompts of the song ------------------------------------------------------------------------
 */

/* As in the request, or as the opening wrote them. */
static ace_lm_prompt_input song_input(const lm_run *run)
{
    const ace_lm_task *t = run->task;
    bool opened = t->opening != ACE_LM_GENERATE;
    const char *caption = opened && t->whole_opening ? run->out->fields.text[ACE_LM_CAPTION] : NULL;
    return (ace_lm_prompt_input){
        .caption = caption != NULL ? caption : t->caption,
        .lyrics = opened && run->out->lyrics != NULL ? run->out->lyrics : t->lyrics,
        .negative = t->negative,
        .legacy = run->request->lm_legacy_prompt,
    };
}

static ace_status encode(lm_run *run, char *text, ace_tokens *out)
{
    ace_status status = ace_tokenizer_encode(run->models->lm_tokenizer, text, strlen(text), 0, out,
                                             run->runner->error);
    ace_free(text);
    return status;
}

/* The first half of a text, cut between characters. */
static void halve(char *text)
{
    size_t n = strlen(text) / 2;
    while (n > 0 && ((unsigned char)text[n] & 0xC0) == 0x80) {
        n--;
    }
    text[n] = '\0';
}

/* Text that was written token by token can take more tokens when it is read: lyrics are cut until
 * they fit. Texts of real models do fit. */
static ace_status song_prompt(lm_run *run, const char *block, int64_t room, ace_tokens *out)
{
    for (;;) {
        char *text = NULL;
        ace_lm_prompt_input in = song_input(run);
        in.block = block;
        ace_status status = ace_lm_prompt(ACE_LM_GENERATE, &in, &text, run->runner->error);
        if (status == ACESTEP_OK) {
            status = encode(run, text, out);
        }
        bool can_shrink = run->out->lyrics != NULL && run->out->lyrics[0] != '\0';
        if (status != ACESTEP_OK || out->n <= room || block != NULL || !can_shrink) {
            return status; /* too long with a block: the caller shortens that */
        }
        ace_tokens_free(out);
        halve(run->out->lyrics);
    }
}

static ace_status twin_prompt(lm_run *run, ace_tokens *out)
{
    char *text = NULL;
    ace_lm_prompt_input in = song_input(run);
    in.block = "";
    ace_status status = ace_lm_unconditional_prompt(&in, &text, run->runner->error);
    return status == ACESTEP_OK ? encode(run, text, out) : status;
}

/* The plan of the song as the prompt before its codes has it: after an opening without caption and
 * language, as the original calls it then. */
static ace_status write_block(lm_run *run, char **out)
{
    ace_lm_fields block = {0};
    ace_status status = ACESTEP_OK;
    for (int f = 0; f < ACE_LM_FIELDS && status == ACESTEP_OK; f++) {
        bool words = f == ACE_LM_CAPTION || f == ACE_LM_LANGUAGE;
        const char *text = run->out->fields.text[f];
        if (text != NULL && (run->task->metadata || !words)) {
            status =
                ace_lm_fields_set(&block, (ace_lm_field)f, text, strlen(text), run->runner->error);
        }
    }
    if (status == ACESTEP_OK) {
        status = ace_lm_fields_block(&block, out, run->runner->error);
    }
    ace_lm_fields_free(&block);
    return status;
}

/* With a caption as long as there is room for. */
static ace_status plan_prompt(lm_run *run, ace_tokens *prompt)
{
    int64_t room = run->task->prompt_room;
    for (;;) {
        char *block = NULL;
        char *caption = run->out->fields.text[ACE_LM_CAPTION];
        ace_status status = write_block(run, &block);
        if (status == ACESTEP_OK) {
            status = song_prompt(run, block, room, prompt);
        }
        ace_free(block);
        if (status != ACESTEP_OK || prompt->n <= room) {
            return status;
        }
        if (caption == NULL || caption[0] == '\0') {
            return ace_fail(run->runner->error, ACESTEP_MODEL,
                            "language model: the plan that it wrote takes %lld tokens, and there "
                            "is room for %lld; try another seed",
                            (long long)prompt->n, (long long)room);
        }
        ace_tokens_free(prompt);
        halve(caption);
    }
}

/* Reads on in the first prompt, whose beginning is there already. */
static ace_status read_plan(lm_run *run, const ace_tokens *before, int64_t there,
                            ace_tokens *prompt)
{
    ace_status status = plan_prompt(run, prompt);
    if (status != ACESTEP_OK) {
        return status;
    }
    if (prompt->n < there + 2 ||
        memcmp(prompt->ids, before->ids, (size_t)there * sizeof(int32_t)) != 0) {
        return ace_fail(run->runner->error, ACESTEP_MODEL,
                        "language model: its tokenizer writes the prompt differently with a plan");
    }
    return read_prompt(run, 0, prompt->ids + there, prompt->n - 1 - there);
}

/* ---- codes --------------------------------------------------------------------------------------
 */

static ace_status count_codes(lm_run *run)
{
    const ace_lm_task *t = run->task;
    double seconds = t->seconds > 0
                         ? t->seconds
                         : (double)ace_lm_fields_number(&run->out->fields, ACE_LM_DURATION);
    if (seconds <= 0) {
        return ace_fail(run->runner->error, ACESTEP_ARGUMENT,
                        "duration: nobody says how long the song is; give one, or let the language "
                        "model choose (--use-cot-metas true)");
    }
    int64_t n = (int64_t)(fmin(seconds, t->longest) * ACE_CODE_RATE);
    run->out->n_codes = n < t->code_room - 1 ? n : t->code_room - 1;
    run->out->codes =
        ace_calloc((size_t)(texts_of(run) * run->out->n_codes), sizeof *run->out->codes);
    return run->out->codes != NULL
               ? ACESTEP_OK
               : ace_fail(run->runner->error, ACESTEP_MEMORY, "language model: no host memory");
}

/* The codes among the tokens; without rules there can be others, and too few. */
static ace_status take_codes(lm_run *run, const ace_lm_text *text, int index)
{
    int64_t n = 0;
    int32_t *codes = run->out->codes + index * run->out->n_codes;
    for (int64_t i = 0; i < text->n && n < run->out->n_codes; i++) {
        int64_t code = ace_lm_code_of(&run->models->lm_vocabulary, text->id[i]);
        if (code >= 0) {
            codes[n++] = (int32_t)code;
        }
    }
    if (n < run->out->n_codes) {
        return ace_fail(run->runner->error, ACESTEP_MODEL,
                        "language model: song %d has %lld codes of %lld; use_constrained_decoding "
                        "makes it write all of them",
                        index / (int)run->request->best_of + 1, (long long)n, (long long)run->out->n_codes);
    }
    return ACESTEP_OK;
}

static void free_constraints(ace_lm_text *texts, int n)
{
    for (int i = 0; i < n; i++) {
        ace_lm_constraint_free(texts[i].constraint);
    }
}

/* Texts first … first + n - 1 of the brief, side by side. */
static ace_status write_chunk(lm_run *run, const ace_tokens *prompt, const ace_tokens *twin,
                              int first, int n)
{
    const ace_lm_task *t = run->task;
    ace_lm_text texts[ACE_LM_MOST_TEXTS] = {{0}};
    ace_lm_rules rules = {.codes = true, .target = run->out->n_codes};
    ace_lm_writer writer = writer_of(run);
    int step = branches(t);
    int tries = (int)run->request->best_of; /* a song's texts are neighbours */
    int64_t most = run->out->n_codes + 1;
    ace_status status = ACESTEP_OK;
    for (int i = 0; i < n && status == ACESTEP_OK; i++) {
        ace_lm_text *text = &texts[i];
        *text = (ace_lm_text){.sequence = i * step,
                              .twin = step == 2 ? i * step + 1 : -1,
                              .first = prompt->ids[prompt->n - 1],
                              .twin_first = step == 2 ? twin->ids[twin->n - 1] : 0,
                              .stop = -1,
                              .seed = seed_of(run, (first + i) / tries),
                              .stream = STREAM_CODES + STREAM_TRIES * (uint32_t)((first + i) % tries),
                              .most = most,
                              .id = run->ids + i * most};
        for (int k = 0; k < step; k++) {
            ace_lm_rewind(run->session, i * step + k, 0);
        }
        status = make_rules(run, &rules, &text->constraint);
    }
    if (status == ACESTEP_OK) {
        status = ace_lm_write(&writer, texts, n);
    }
    for (int i = 0; i < n; i++) {
        run->done += texts[i].n;
        run->out->tokens += texts[i].n;
        status = status == ACESTEP_OK ? take_codes(run, &texts[i], first + i) : status;
    }
    free_constraints(texts, n);
    return status;
}

static ace_status write_codes(lm_run *run, const ace_tokens *prompt, int chunk)
{
    ace_tokens twin = {0};
    ace_status status = count_codes(run);
    if (status == ACESTEP_OK && branches(run->task) == 2) {
        status = twin_prompt(run, &twin);
        if (status == ACESTEP_OK) {
            status = read_prompt(run, 1, twin.ids, twin.n - 1);
        }
    }
    for (int first = 0; first < texts_of(run) && status == ACESTEP_OK; first += chunk) {
        int left = texts_of(run) - first;
        status = write_chunk(run, prompt, &twin, first, left < chunk ? left : chunk);
    }
    ace_tokens_free(&twin);
    return status;
}

/* ---- scores -------------------------------------------------------------------------------------
 */

static bool scores(const lm_run *run)
{
    return run->task->codes && (run->request->auto_score || run->request->best_of > 1);
}

static ace_lm_scorer scorer_of(lm_run *run)
{
    double done = run->expected > 0 ? fmin((double)run->done / (double)run->expected, 1) : 0;
    return (ace_lm_scorer){.stream = &run->stage.stream,
                           .empty = run->empty,
                           .model = &run->runner->residency->lm,
                           .session = run->session,
                           .models = run->models,
                           .task = run->task,
                           .request = run->request,
                           .progress = done,
                           .progress_share = 1 - done,
                           .error = run->runner->error};
}

static ace_status score_songs(lm_run *run)
{
    ace_lm_scorer scorer = scorer_of(run);
    (void)snprintf(run->stage.doing, sizeof run->stage.doing, "scores");
    ace_status status = ace_lm_score_texts(&scorer, texts_of(run), run->out);
    if (status == ACESTEP_OK) {
        ace_lm_score_keep_best(run->out, run->brief->n_songs, (int)run->request->best_of);
    }
    return status;
}

/* ---- one task -----------------------------------------------------------------------------------
 */

static ace_status write_song(lm_run *run, int chunk)
{
    const ace_lm_task *t = run->task;
    ace_lm_shape shape = song_shape(t, chunk);
    ace_tokens before = {0};
    ace_tokens prompt = {0};
    begin(run, &shape);
    ace_status status = song_prompt(run, NULL, t->prompt_room - ACE_LM_BLOCK_TOKENS, &before);
    if (status == ACESTEP_OK) {
        status = read_prompt(run, 0, before.ids, before.n - 1);
    }
    if (status == ACESTEP_OK && t->metadata) {
        status = write_metadata(run, before.ids[before.n - 1]);
    }
    if (status == ACESTEP_OK) {
        status = take_fixed(run);
    }
    if (status == ACESTEP_OK && t->codes) {
        status = read_plan(run, &before, before.n - 1, &prompt);
    }
    if (status == ACESTEP_OK && t->codes) {
        status = write_codes(run, &prompt, chunk);
    }
    ace_tokens_free(&before);
    ace_tokens_free(&prompt);
    return status;
}

static ace_status prepare(lm_run *run, int chunk)
{
    const ace_lm_task *t = run->task;
    ace_lm_grammar_options options = {.longest_seconds = (int)t->longest,
                                      .canonical = run->request->lm_fsm_canonical,
                                      .genres = run->job->genres.n > 0 ? &run->job->genres : NULL};
    int64_t tokens = larger(larger(t->opening_room, t->metadata_room), t->code_room * chunk);
    run->ids = ace_calloc((size_t)tokens, sizeof *run->ids);
    run->expected = (t->opening != ACE_LM_GENERATE ? 400 : 0) + (t->metadata ? 150 : 0) +
                    (t->codes ? (t->code_room - 1) * texts_of(run) : 0);
    run->expected += scores(run) ? run->expected / SCORING_PART : 0;
    run->done = 0;
    run->started = ace_clock_seconds();
    if (run->ids == NULL) {
        return ace_fail(run->runner->error, ACESTEP_MEMORY, "language model: no host memory");
    }
    return ace_lm_grammar_open(&run->models->lm_vocabulary, &options, &run->grammar,
                               run->runner->error);
}

static ace_status write_task(lm_run *run, int chunk)
{
    const ace_lm_task *t = run->task;
    ace_status status = prepare(run, chunk);
    if (status == ACESTEP_OK && t->opening != ACE_LM_GENERATE) {
        status = write_opening(run);
    }
    if (status == ACESTEP_OK && (t->metadata || t->codes)) {
        status = write_song(run, chunk);
    }
    run->out->seconds = ace_clock_seconds() - run->started;
    if (status == ACESTEP_OK && scores(run)) {
        status = score_songs(run);
    }
    run->out->wrote = status == ACESTEP_OK;
    ace_lm_grammar_close(&run->grammar);
    ace_free(run->ids);
    run->ids = NULL;
    return status;
}

/* The model's own failure need not be the song's: where the user says so it is made without. */
static ace_status forgive(lm_run *run, ace_status status)
{
    ace_error *err = run->runner->error;
    if (status != ACESTEP_MODEL || !run->request->lm_optional || status_of(run) != ACESTEP_OK) {
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
    ace_lm_written_free(run->out);
    return ACESTEP_OK;
}

/* The brief's task stands for any codes of that length: now these are known. */
static ace_status understand(lm_run *run)
{
    ace_lm_task *task = NULL;
    ace_error *err = run->runner->error;
    char *text = ace_codes_format(run->heard->values, run->heard->n);
    ace_status status =
        text != NULL ? ace_lm_task_understand(run->models, text, &task, err)
                     : ace_fail(err, ACESTEP_MEMORY, "language model: no host memory");
    ace_free(text);
    if (status == ACESTEP_OK) {
        run->task = task;
        status = write_task(run, 1);
    }
    run->out->codes = run->heard->values == NULL ? NULL
                                                 : ace_calloc((size_t)run->heard->n, sizeof(int32_t));
    if (run->out->codes != NULL) {
        memcpy(run->out->codes, run->heard->values, (size_t)run->heard->n * sizeof(int32_t));
        run->out->n_codes = run->heard->n;
    }
    ace_lm_task_free(task);
    return status;
}

static ace_status run_brief(lm_run *run, int b, int64_t most_steps, ace_lm_written *written)
{
    run->brief = &run->job->brief[b];
    run->task = run->brief->lm;
    run->request = run->job->request[b];
    if (run->task == NULL) {
        return ACESTEP_OK;
    }
    int chunk = texts_of(run) < run->runner->plan->lm_chunk ? texts_of(run)
                                                            : run->runner->plan->lm_chunk;
    if (!computes(run)) {
        walk(run, chunk, most_steps);
        ace_lm_scorer scorer = scorer_of(run);
        return scores(run) ? ace_lm_score_walk(&scorer, most_steps > 1 ? texts_of(run) : 1)
                           : status_of(run);
    }
    run->out = &written[b];
    if (run->heard != NULL) {
        return understand(run);
    }
    return forgive(run, write_task(run, chunk));
}

ace_status ace_run_lm(ace_runner *r, const ace_job *job, const ace_heard_codes *heard,
                      int64_t most_steps, ace_lm_written *written)
{
    if (!r->plan->lm_runs) {
        return ACESTEP_OK;
    }
    lm_run *run = ace_calloc(1, sizeof *run);
    ace_lm_session *session = ace_calloc(1, sizeof *session);
    if (run == NULL || session == NULL) {
        ace_free(run);
        ace_free(session);
        return ace_fail(r->error, ACESTEP_MEMORY, "language model: no host memory");
    }
    *run = (lm_run){
        .runner = r, .job = job, .models = job->models, .heard = heard, .session = session};
    (void)ace_stage_begin_id(r, ACE_STAGE_LM, &run->stage);
    run->stage.bounded = computes(run);
    (void)ace_stage_borrow(&run->stage, ACE_PART_LM);
    ace_status status = ace_stage_open(&run->stage);
    run->empty = status == ACESTEP_OK ? ace_mark(&run->stage.stream) : run->empty;
    for (int b = 0; b < job->n_briefs && status == ACESTEP_OK; b++) {
        status = run_brief(run, b, most_steps, written);
    }
    if (status != ACESTEP_OK && run->stage.stream.status == ACESTEP_OK) {
        run->stage.stream.status = status;
    }
    ace_status end = ace_stage_end(&run->stage);
    ace_free(session);
    ace_free(run);
    return status != ACESTEP_OK ? status : end;
}
