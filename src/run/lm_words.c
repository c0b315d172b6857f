/* What the language model writes in words: an opening, and the plan of a song. */
#include "base/memory.h"
#include "run/lm_run.h"

#include <string.h>

typedef struct words_run {
    ace_lm_run *run;
    ace_lm_part *part;
    ace_lm_grammar grammar;
    int32_t *ids; /* being written */
} words_run;

static ace_status open_words(ace_lm_run *run, ace_lm_part *part, words_run *out)
{
    const ace_lm_task *t = part->task;
    const ace_job *job = run->job;
    ace_lm_grammar_options options = {.longest_seconds = (int)t->longest,
                                      .canonical = part->request->lm_fsm_canonical,
                                      .genres = job->genres.n > 0 ? &job->genres : NULL};
    int64_t tokens = t->opening_room > t->metadata_room ? t->opening_room : t->metadata_room;
    *out = (words_run){.run = run, .part = part};
    out->ids = ace_calloc((size_t)tokens + 1, sizeof *out->ids);
    return out->ids == NULL
               ? ace_fail(run->runner->error, ACESTEP_MEMORY, "language model: no host memory")
               : ace_lm_grammar_open(&run->models->lm_vocabulary, &options, &out->grammar,
                                     run->runner->error);
}

static ace_status do_words(ace_lm_run *run, ace_lm_part *part, ace_status (*work)(words_run *))
{
    words_run x;
    ace_status status = open_words(run, part, &x);
    if (status == ACESTEP_OK) {
        status = work(&x);
    }
    ace_lm_grammar_close(&x.grammar);
    ace_free(x.ids);
    return status;
}

/* The rules, or NULL where the user wants none. */
static ace_status make_rules(const words_run *x, const ace_lm_rules *rules, ace_lm_constraint **out)
{
    *out = NULL;
    return x->part->request->use_constrained_decoding
               ? ace_lm_constraint_create(&x->grammar, rules, out, x->run->runner->error)
               : ACESTEP_OK;
}

/* One text by itself, read as a reply. */
static ace_status write_words(words_run *x, const ace_lm_rules *rules, int32_t first,
                              uint32_t stream, int64_t most, ace_lm_reply *reply)
{
    ace_error *err = x->run->runner->error;
    ace_lm_constraint *constraint = NULL;
    ace_lm_writer writer = ace_lm_run_writer(x->run);
    ace_lm_text text = {.twin = -1,
                        .first = first,
                        .how = ace_lm_run_how(x->part->request),
                        .stop = rules->plan_only ? x->grammar.close.id[0] : -1,
                        .seed = ace_lm_run_seed(x->part, 0),
                        .stream = stream,
                        .most = most,
                        .id = x->ids};
    ace_status status = make_rules(x, rules, &constraint);
    text.constraint = constraint;
    if (status == ACESTEP_OK) {
        status = ace_lm_write(&writer, &text, 1);
    }
    ace_lm_constraint_free(constraint);
    x->run->done += text.n;
    x->part->out->tokens += text.n;
    char *words = NULL;
    size_t n = 0;
    if (status == ACESTEP_OK) {
        status =
            ace_tokenizer_decode(x->run->models->lm_tokenizer, text.id, text.n, &words, &n, err);
    }
    if (status == ACESTEP_OK) {
        status = ace_lm_reply_read(words, n, reply, err);
    }
    ace_free(words);
    return status;
}

/* Again with other random numbers while the reply cannot be used. */
static ace_status write_until_usable(words_run *x, const ace_lm_rules *rules, int32_t first,
                                     uint32_t stream, int64_t most, ace_lm_field must_have,
                                     ace_lm_reply *reply)
{
    for (int64_t i = 0; i <= x->part->request->lm_retries; i++) {
        ace_lm_reply_free(reply);
        ace_lm_rewind(x->run->session, 0, 0);
        ace_status status =
            write_words(x, rules, first, stream + (uint32_t)i * ACE_LM_STREAM_TRIES, most, reply);
        bool usable = must_have == ACE_LM_FIELDS || reply->fields.text[must_have] != NULL;
        if (status != ACESTEP_OK || usable) {
            return status;
        }
    }
    return ace_fail(x->run->runner->error, ACESTEP_MODEL,
                    "language model: %lld times it wrote nothing that can be used (no %s); try "
                    "another seed, or --thinking false",
                    (long long)x->part->request->lm_retries + 1, ace_lm_field_name(must_have));
}

static ace_status take_field(words_run *x, ace_lm_field field, const char *text)
{
    return text == NULL ? ACESTEP_OK
                        : ace_lm_fields_set(&x->part->out->fields, field, text, strlen(text),
                                            x->run->runner->error);
}

/* ---- the opening ----------------------------------------------------------------------------- */

/* None were written: rough words stay as they are, and nobody sings in the rest. */
static ace_status fill_in_lyrics(words_run *x)
{
    const ace_lm_task *t = x->part->task;
    const char *lyrics =
        t->opening == ACE_LM_FORMAT && t->lyrics[0] != '\0' ? t->lyrics : "[Instrumental]";
    if (t->opening == ACE_LM_UNDERSTAND) {
        return ACESTEP_OK; /* unknown */
    }
    x->part->out->lyrics = ace_strdup(lyrics);
    return x->part->out->lyrics != NULL
               ? ACESTEP_OK
               : ace_fail(x->run->runner->error, ACESTEP_MEMORY, "language model: no host memory");
}

static ace_status take_opening(words_run *x, ace_lm_reply *reply)
{
    const ace_lm_task *t = x->part->task;
    ace_status status = ACESTEP_OK;
    for (int f = 0; f < ACE_LM_FIELDS && status == ACESTEP_OK; f++) {
        bool counts = t->whole_opening || f == ACE_LM_LANGUAGE;
        const char *fixed = t->fixed.text[f];
        const char *text = fixed != NULL ? fixed : counts ? reply->fields.text[f] : NULL;
        status = take_field(x, (ace_lm_field)f, text);
    }
    x->part->out->lyrics = reply->lyrics;
    reply->lyrics = NULL;
    return status == ACESTEP_OK && x->part->out->lyrics == NULL ? fill_in_lyrics(x) : status;
}

static ace_status write_opening(words_run *x)
{
    const ace_lm_task *t = x->part->task;
    const ace_tokens *prompt = &t->opening_prompt;
    ace_lm_shape shape = ace_lm_opening_shape(t);
    ace_lm_rules rules = {.target = -1, .fixed = &t->fixed};
    ace_lm_reply reply = {0};
    /* the language line is left out where the user fixed it: acestep/llm_inference.py */
    rules.skip[ACE_LM_LANGUAGE] =
        t->opening == ACE_LM_FORMAT && t->fixed.text[ACE_LM_LANGUAGE] != NULL;
    ace_lm_run_begin(x->run, &shape);
    ace_status status = ace_lm_run_read(x->run, 0, prompt->ids, prompt->n - 1);
    if (status == ACESTEP_OK) {
        status = write_until_usable(x, &rules, prompt->ids[prompt->n - 1], ACE_LM_STREAM_OPENING,
                                    t->opening_room,
                                    t->whole_opening ? ACE_LM_CAPTION : ACE_LM_FIELDS, &reply);
    }
    if (status == ACESTEP_OK) {
        status = take_opening(x, &reply);
    }
    ace_lm_reply_free(&reply);
    return status;
}

/* ---- metadata -------------------------------------------------------------------------------- */

/* The request's own values stand; the rest is the model's. */
static ace_status take_metadata(words_run *x, const ace_lm_reply *reply)
{
    const ace_lm_task *t = x->part->task;
    ace_status status = ACESTEP_OK;
    for (int f = 0; f < ACE_LM_FIELDS && status == ACESTEP_OK; f++) {
        bool wanted =
            (f != ACE_LM_CAPTION || t->use_caption) && (f != ACE_LM_LANGUAGE || t->use_language);
        if (t->fixed.text[f] == NULL && wanted) {
            status = take_field(x, (ace_lm_field)f, reply->fields.text[f]);
        }
    }
    return status;
}

static ace_status take_fixed(words_run *x)
{
    ace_status status = ACESTEP_OK;
    for (int f = 0; f < ACE_LM_FIELDS && status == ACESTEP_OK; f++) {
        status = take_field(x, (ace_lm_field)f, x->part->task->fixed.text[f]);
    }
    return status;
}

static ace_status write_metadata(words_run *x, int32_t first)
{
    const ace_lm_task *t = x->part->task;
    ace_lm_rules rules = {.target = -1, .plan_only = true, .fixed = &t->fixed};
    ace_lm_reply reply = {0};
    rules.skip[ACE_LM_GENRES] = true;
    rules.skip[ACE_LM_CAPTION] = !t->use_caption;
    rules.skip[ACE_LM_LANGUAGE] = !t->use_language;
    ace_status status =
        write_until_usable(x, &rules, first, ACE_LM_STREAM_METADATA, t->metadata_room,
                           t->seconds > 0 ? ACE_LM_FIELDS : ACE_LM_DURATION, &reply);
    if (status == ACESTEP_OK) {
        status = take_metadata(x, &reply);
    }
    ace_lm_reply_free(&reply);
    ace_lm_rewind(x->run->session, 0, 0);
    return status;
}

/* ---- prompts of the song --------------------------------------------------------------------- */

/* As in the request, or as the opening wrote them. */
static ace_lm_prompt_input song_input(const words_run *x)
{
    const ace_lm_task *t = x->part->task;
    bool opened = t->opening != ACE_LM_GENERATE;
    const char *caption =
        opened && t->whole_opening ? x->part->out->fields.text[ACE_LM_CAPTION] : NULL;
    return (ace_lm_prompt_input){
        .caption = caption != NULL ? caption : t->caption,
        .lyrics = opened && x->part->out->lyrics != NULL ? x->part->out->lyrics : t->lyrics,
        .negative = t->negative,
        .legacy = x->part->request->lm_legacy_prompt,
    };
}

static ace_status encode(words_run *x, char *text, ace_tokens *out)
{
    ace_status status = ace_tokenizer_encode(x->run->models->lm_tokenizer, text, strlen(text), 0,
                                             out, x->run->runner->error);
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
static ace_status song_prompt(words_run *x, const char *block, int64_t room, ace_tokens *out)
{
    for (;;) {
        char *text = NULL;
        ace_lm_prompt_input in = song_input(x);
        in.block = block;
        ace_status status = ace_lm_prompt(ACE_LM_GENERATE, &in, &text, x->run->runner->error);
        if (status == ACESTEP_OK) {
            status = encode(x, text, out);
        }
        bool can_shrink = x->part->out->lyrics != NULL && x->part->out->lyrics[0] != '\0';
        if (status != ACESTEP_OK || out->n <= room || block != NULL || !can_shrink) {
            return status; /* too long with a block: the caller shortens that */
        }
        ace_tokens_free(out);
        halve(x->part->out->lyrics);
    }
}

static ace_status twin_prompt(words_run *x, ace_tokens *out)
{
    char *text = NULL;
    ace_lm_prompt_input in = song_input(x);
    in.block = "";
    ace_status status = ace_lm_unconditional_prompt(&in, &text, x->run->runner->error);
    return status == ACESTEP_OK ? encode(x, text, out) : status;
}

/* The plan of the song as the prompt before its codes has it: after an opening without caption and
 * language, as the original calls it then. */
static ace_status write_block(words_run *x, char **out)
{
    ace_lm_fields block = {0};
    ace_status status = ACESTEP_OK;
    for (int f = 0; f < ACE_LM_FIELDS && status == ACESTEP_OK; f++) {
        bool words = f == ACE_LM_CAPTION || f == ACE_LM_LANGUAGE;
        const char *text = x->part->out->fields.text[f];
        if (text != NULL && (x->part->task->metadata || !words)) {
            status = ace_lm_fields_set(&block, (ace_lm_field)f, text, strlen(text),
                                       x->run->runner->error);
        }
    }
    if (status == ACESTEP_OK) {
        status = ace_lm_fields_block(&block, out, x->run->runner->error);
    }
    ace_lm_fields_free(&block);
    return status;
}

/* With a caption as long as there is room for. */
static ace_status plan_prompt(words_run *x, ace_tokens *prompt)
{
    int64_t room = x->part->task->prompt_room;
    for (;;) {
        char *block = NULL;
        char *caption = x->part->out->fields.text[ACE_LM_CAPTION];
        ace_status status = write_block(x, &block);
        if (status == ACESTEP_OK) {
            status = song_prompt(x, block, room, prompt);
        }
        ace_free(block);
        if (status != ACESTEP_OK || prompt->n <= room) {
            return status;
        }
        if (caption == NULL || caption[0] == '\0') {
            return ace_fail(x->run->runner->error, ACESTEP_MODEL,
                            "language model: the plan that it wrote takes %lld tokens, and there "
                            "is room for %lld; try another seed",
                            (long long)prompt->n, (long long)room);
        }
        ace_tokens_free(prompt);
        halve(caption);
    }
}

/* Reads on in the first prompt, whose beginning is there already. */
static ace_status read_plan(words_run *x, const ace_tokens *before, int64_t there,
                            ace_tokens *prompt)
{
    ace_status status = plan_prompt(x, prompt);
    if (status != ACESTEP_OK) {
        return status;
    }
    if (prompt->n < there + 2 ||
        memcmp(prompt->ids, before->ids, (size_t)there * sizeof(int32_t)) != 0) {
        return ace_fail(x->run->runner->error, ACESTEP_MODEL,
                        "language model: its tokenizer writes the prompt differently with a plan");
    }
    return ace_lm_run_read(x->run, x->part->prompt, prompt->ids + there, prompt->n - 1 - there);
}

ace_status ace_lm_run_opening(ace_lm_run *run, ace_lm_part *part)
{
    return do_words(run, part, write_opening);
}

static ace_status read_twin(words_run *x)
{
    ace_lm_part *part = x->part;
    ace_status status = twin_prompt(x, &part->twin_ids);
    return status == ACESTEP_OK
               ? ace_lm_run_read(x->run, part->twin, part->twin_ids.ids, part->twin_ids.n - 1)
               : status;
}

static ace_status plan_song(words_run *x)
{
    ace_lm_part *part = x->part;
    const ace_lm_task *t = part->task;
    ace_tokens before = {0};
    ace_lm_bind(x->run->session, 0, part->prompt);
    ace_status status = song_prompt(x, NULL, t->prompt_room - ACE_LM_BLOCK_TOKENS, &before);
    if (status == ACESTEP_OK) {
        status = ace_lm_run_read(x->run, part->prompt, before.ids, before.n - 1);
    }
    if (status == ACESTEP_OK && t->metadata) {
        status = write_metadata(x, before.ids[before.n - 1]);
    }
    if (status == ACESTEP_OK) {
        status = take_fixed(x);
    }
    if (status == ACESTEP_OK && t->codes) {
        status = read_plan(x, &before, before.n - 1, &part->ids);
    }
    if (status == ACESTEP_OK && part->twin >= 0) {
        status = read_twin(x);
    }
    ace_tokens_free(&before);
    return status;
}

ace_status ace_lm_run_plan(ace_lm_run *run, ace_lm_part *part)
{
    return do_words(run, part, plan_song);
}
