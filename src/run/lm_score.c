/* The codes of each text are shown to the model in a prompt, and what is known of the song is read
 * behind it: token by token known, so that 64 rows of logits come at a time. What the model would
 * say without codes is the same for all texts, and asked once. */
#include "run/lm_score.h"

#include "base/memory.h"
#include "text/audio_codes.h"
#include "weights/embedding.h"

#include <string.h>

enum {
    PIECE_ROWS = 64, /* of logits on the host at once: 56 MB of the published vocabulary */
    FIELD_TOKENS = 64
};

/* Tokens that sessions have room for. */
typedef struct room {
    int64_t blind, seen; /* prompts without and with codes, but for the last token */
    int64_t caption, lyrics;
    int64_t own; /* the longest target */
} room;

typedef struct scoring {
    const ace_lm_scorer *s;
    room room;
    ace_tokens target[ACE_LM_CONDITIONS];    /* n 0: not known */
    double unconditional[ACE_LM_CONDITIONS]; /* mean log-probability of caption and lyrics */
    float *embeddings;                       /* [PIECE_ROWS, hidden] */
    float *logits;                           /* [PIECE_ROWS, vocabulary] */
} scoring;

static ace_status no_memory(const ace_lm_scorer *s)
{
    return ace_fail(s->error, ACESTEP_MEMORY, "language model: no host memory");
}

static int64_t larger(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

/* ---- texts as tokens ------------------------------------------------------------------------- */

/* Takes the text. most 0: all of it. */
static ace_status encode(const ace_lm_scorer *s, char *text, int64_t most, ace_tokens *out)
{
    ace_status status =
        ace_tokenizer_encode(s->models->lm_tokenizer, text, strlen(text), most, out, s->error);
    ace_free(text);
    return status;
}

/* codes NULL: the prompt without any. */
static ace_status encode_prompt(const ace_lm_scorer *s, const char *codes, ace_tokens *out)
{
    ace_lm_prompt_input in = {.codes = codes};
    char *text = NULL;
    ace_status status = ace_lm_prompt(ACE_LM_UNDERSTAND, &in, &text, s->error);
    return status == ACESTEP_OK ? encode(s, text, 0, out) : status;
}

static bool is_blank(const char *text)
{
    return text == NULL || text[strspn(text, " \t\r\n")] == '\0';
}

/* Nothing for an unknown value. */
static ace_status encode_field(const ace_lm_scorer *s, ace_lm_field field, const char *value,
                               int64_t most, ace_tokens *out)
{
    char *text = NULL;
    if (is_blank(value)) {
        return ACESTEP_OK;
    }
    ace_status status = ace_lm_score_field_text(field, value, &text, s->error);
    return status == ACESTEP_OK ? encode(s, text, most, out) : status;
}

static ace_status encode_lyrics(const ace_lm_scorer *s, const char *lyrics, int64_t most,
                                ace_tokens *out)
{
    char *text = NULL;
    if (lyrics == NULL || !ace_lm_score_sings(lyrics)) {
        return ACESTEP_OK;
    }
    ace_status status = ace_lm_score_lyrics_text(lyrics, &text, s->error);
    return status == ACESTEP_OK ? encode(s, text, most, out) : status;
}

/* ---- room ------------------------------------------------------------------------------------ */

static ace_status measure_prompts(const ace_lm_scorer *s, room *out)
{
    ace_tokens prompt = {0};
    ace_status status = encode_prompt(s, NULL, &prompt);
    out->blind = prompt.n - 1;
    ace_tokens_free(&prompt);
    if (status == ACESTEP_OK) {
        status = encode_prompt(s, "<|audio_code_0|>", &prompt);
        out->seen = prompt.n - 1 + s->task->code_room - 2; /* one code there, one end token */
        ace_tokens_free(&prompt);
    }
    return status;
}

/* Of texts that the model can change, the most that is looked at. */
static ace_status measure_room(const ace_lm_scorer *s, room *out)
{
    const ace_lm_task *t = s->task;
    bool opens = t->opening != ACE_LM_GENERATE;
    bool new_caption = opens || (t->metadata && t->use_caption);
    ace_tokens caption = {0};
    ace_tokens lyrics = {0};
    ace_status status = measure_prompts(s, out);
    if (status == ACESTEP_OK) {
        status = encode_field(s, ACE_LM_CAPTION, t->caption, ACE_LM_SCORE_TOKENS, &caption);
    }
    if (status == ACESTEP_OK) {
        status = encode_lyrics(s, t->lyrics, ACE_LM_SCORE_TOKENS, &lyrics);
    }
    out->caption = larger(caption.n, new_caption ? ACE_LM_BLOCK_TOKENS : 0);
    out->lyrics = opens ? ACE_LM_SCORE_TOKENS : lyrics.n;
    out->own = larger(larger(out->caption, out->lyrics), FIELD_TOKENS);
    ace_tokens_free(&caption);
    ace_tokens_free(&lyrics);
    return status;
}

/* One sequence behind one prompt. */
static void begin(const ace_lm_scorer *s, int64_t prompt_tokens, int64_t own_tokens)
{
    ace_lm_shape shape = {.prompts = 1,
                          .prompt_tokens = {prompt_tokens},
                          .sequences = 1,
                          .own_tokens = own_tokens,
                          .int8_cache = s->int8_cache};
    ace_reset(s->stream, &s->empty);
    ace_lm_begin(s->stream, s->model, &shape, s->session);
}

/* ---- the rehearsal --------------------------------------------------------------------------- */

static void walk_target(const ace_lm_scorer *s, int64_t tokens)
{
    for (int64_t at = 0; at < tokens; at += PIECE_ROWS) {
        int64_t n = tokens - at < PIECE_ROWS ? tokens - at : PIECE_ROWS;
        ace_lm_logits all = {.count = s->models->lm_config.vocabulary, .rows = n};
        ace_lm_read(s->session, 0, NULL, n, &all);
    }
    ace_lm_rewind(s->session, 0, 0);
}

static void walk_prompt(const ace_lm_scorer *s, const room *r, int64_t tokens)
{
    begin(s, tokens, r->own);
    ace_lm_read_prompt(s->session, 0, NULL, tokens, NULL);
    walk_target(s, r->caption);
    walk_target(s, r->lyrics);
}

ace_status ace_lm_score_walk(const ace_lm_scorer *s, int texts)
{
    room r = {0};
    ace_status status = measure_room(s, &r);
    if (status != ACESTEP_OK) {
        return status;
    }
    walk_prompt(s, &r, r.blind);
    for (int i = 0; i < texts; i++) {
        walk_prompt(s, &r, r.seen);
        for (int f = 0; f < ACE_LM_FIELDS; f++) {
            if (f != ACE_LM_CAPTION) {
                walk_target(s, FIELD_TOKENS);
            }
        }
    }
    return s->stream->status;
}

/* ---- reading --------------------------------------------------------------------------------- */

static ace_status gather(const ace_lm_scorer *s, const int32_t *ids, int64_t n, float *out)
{
    const ace_qwen3_config *c = &s->models->lm_config;
    return ace_embedding_gather(s->models->lm, "embed_tokens.weight", c->vocabulary,
                                c->block.hidden, ids, n, out, s->error);
}

/* All but the prompt's last token, which is the first of the sequence's own. */
static ace_status open_prompt(const scoring *g, const ace_tokens *prompt, int64_t tokens,
                              double done, double share)
{
    const ace_lm_scorer *s = g->s;
    int64_t n = prompt->n - 1;
    float *embeddings =
        ace_malloc_array((size_t)(n * s->models->lm_config.block.hidden), sizeof *embeddings);
    if (embeddings == NULL) {
        return no_memory(s);
    }
    ace_status status = gather(s, prompt->ids, n, embeddings);
    if (status == ACESTEP_OK) {
        begin(s, tokens, g->room.own);
        s->session->progress = s->progress + s->progress_share * done;
        s->session->progress_share = s->progress_share * share;
        ace_lm_read_prompt(s->session, 0, embeddings, n, NULL);
        s->session->progress += s->session->progress_share;
        s->session->progress_share = 0;
        status = s->stream->status;
    }
    ace_free(embeddings);
    return status;
}

typedef double row_measure(const float *logits, int64_t n, int64_t id);

/* The mean over all tokens of a target, behind a prompt that ends with `last`. */
static ace_status read_target(const scoring *g, int32_t last, const ace_tokens *target,
                              row_measure *measure, double *mean)
{
    const ace_lm_scorer *s = g->s;
    int64_t vocabulary = s->models->lm_config.vocabulary;
    double sum = 0;
    ace_status status = ACESTEP_OK;
    for (int64_t at = 0; at < target->n && status == ACESTEP_OK; at += PIECE_ROWS) {
        int64_t n = target->n - at < PIECE_ROWS ? target->n - at : PIECE_ROWS;
        int32_t ids[PIECE_ROWS];
        ace_lm_logits all = {.count = vocabulary, .rows = n, .values = g->logits};
        for (int64_t i = 0; i < n; i++) { /* each row tells the token behind its own */
            ids[i] = at + i > 0 ? target->ids[at + i - 1] : last;
        }
        status = gather(s, ids, n, g->embeddings);
        if (status == ACESTEP_OK) {
            ace_lm_read(s->session, 0, g->embeddings, n, &all);
            ace_stream_progress(s->stream, s->session->progress);
            status = s->stream->status;
        }
        for (int64_t i = 0; i < n && status == ACESTEP_OK; i++) {
            sum += measure(g->logits + i * vocabulary, vocabulary, target->ids[at + i]);
        }
    }
    ace_lm_rewind(s->session, 0, 0);
    *mean = sum / (double)target->n;
    return status;
}

/* ---- scoring --------------------------------------------------------------------------------- */

static bool by_information(int condition)
{
    return condition == ACE_LM_CAPTION || condition == ACE_LM_SCORE_LYRICS;
}

static const char *value_of(const ace_lm_scorer *s, const ace_lm_written *w, ace_lm_field field)
{
    const char *value = w->fields.text[field];
    const char *language = s->request->vocal_language;
    if (value == NULL && field == ACE_LM_CAPTION) {
        value = s->task->caption;
    }
    if (value == NULL && field == ACE_LM_LANGUAGE && strcmp(language, "unknown") != 0) {
        value = language;
    }
    return value;
}

static ace_status encode_targets(scoring *g, const ace_lm_written *w)
{
    const ace_lm_scorer *s = g->s;
    bool opens = s->task->opening != ACE_LM_GENERATE;
    const char *lyrics = opens && w->lyrics != NULL ? w->lyrics : s->task->lyrics;
    ace_status status = g->room.lyrics > 0 ? encode_lyrics(s, lyrics, g->room.lyrics,
                                                           &g->target[ACE_LM_SCORE_LYRICS])
                                           : ACESTEP_OK;
    for (int f = 0; f < ACE_LM_FIELDS && status == ACESTEP_OK; f++) {
        ace_lm_field field = (ace_lm_field)f;
        status = encode_field(s, field, value_of(s, w, field),
                              f == ACE_LM_CAPTION ? g->room.caption : FIELD_TOKENS, &g->target[f]);
    }
    return status;
}

/* What the model says of caption and lyrics without having seen codes. */
static ace_status read_blind(scoring *g, double share)
{
    ace_tokens prompt = {0};
    ace_status status = encode_prompt(g->s, NULL, &prompt);
    if (status == ACESTEP_OK) {
        status = open_prompt(g, &prompt, g->room.blind, 0, share);
    }
    for (int i = 0; i < ACE_LM_CONDITIONS && status == ACESTEP_OK; i++) {
        if (by_information(i) && g->target[i].n > 0) {
            status = read_target(g, prompt.ids[prompt.n - 1], &g->target[i],
                                 ace_lm_score_log_probability, &g->unconditional[i]);
        }
    }
    ace_tokens_free(&prompt);
    return status;
}

static ace_status score_conditions(const scoring *g, int32_t last, ace_lm_score *out)
{
    ace_status status = ACESTEP_OK;
    for (int i = 0; i < ACE_LM_CONDITIONS && status == ACESTEP_OK; i++) {
        double mean = 0;
        out->has[i] = g->target[i].n > 0;
        if (!out->has[i]) {
            continue;
        }
        if (by_information(i)) {
            status = read_target(g, last, &g->target[i], ace_lm_score_log_probability, &mean);
            mean = ace_lm_score_of_pmi(mean - g->unconditional[i], g->s->request->score_scale);
        } else {
            status = read_target(g, last, &g->target[i], ace_lm_score_recall, &mean);
        }
        out->value[i] = mean;
    }
    ace_lm_score_weigh(out);
    return status;
}

static ace_status score_text(const scoring *g, const int32_t *codes, int64_t n, double done,
                             double share, ace_lm_score *out)
{
    ace_tokens prompt = {0};
    char *text = ace_codes_format(codes, n);
    ace_status status = text != NULL ? encode_prompt(g->s, text, &prompt) : no_memory(g->s);
    ace_free(text);
    if (status == ACESTEP_OK) {
        status = open_prompt(g, &prompt, g->room.seen, done, share);
    }
    if (status == ACESTEP_OK) {
        status = score_conditions(g, prompt.ids[prompt.n - 1], out);
    }
    ace_tokens_free(&prompt);
    return status;
}

static ace_status prepare(scoring *g, int texts, ace_lm_written *w)
{
    const ace_qwen3_config *c = &g->s->models->lm_config;
    ace_status status = measure_room(g->s, &g->room);
    if (status == ACESTEP_OK) {
        status = encode_targets(g, w);
    }
    w->score = ace_calloc((size_t)texts, sizeof *w->score);
    g->embeddings = ace_malloc_array((size_t)(PIECE_ROWS * c->block.hidden), sizeof(float));
    g->logits = ace_malloc_array((size_t)(PIECE_ROWS * c->vocabulary), sizeof(float));
    bool there = w->score != NULL && g->embeddings != NULL && g->logits != NULL;
    return status != ACESTEP_OK || there ? status : no_memory(g->s);
}

ace_status ace_lm_score_texts(const ace_lm_scorer *s, int texts, ace_lm_written *w)
{
    scoring g = {.s = s};
    double share = 1.0 / (texts + 1);
    ace_status status = prepare(&g, texts, w);
    if (status == ACESTEP_OK) {
        status = read_blind(&g, share);
    }
    for (int i = 0; i < texts && status == ACESTEP_OK; i++) {
        status = score_text(&g, w->codes + i * w->n_codes, w->n_codes, (i + 1) * share, share,
                            &w->score[i]);
    }
    for (int i = 0; i < ACE_LM_CONDITIONS; i++) {
        ace_tokens_free(&g.target[i]);
    }
    ace_free(g.embeddings);
    ace_free(g.logits);
    return status;
}

void ace_lm_score_keep_best(ace_lm_written *w, int songs, int candidates)
{
    for (int i = 0; i < songs; i++) {
        int best = i * candidates;
        for (int k = best + 1; k < (i + 1) * candidates; k++) {
            best = w->score[k].global > w->score[best].global ? k : best;
        }
        w->score[i] = w->score[best];
        memmove(w->codes + i * w->n_codes, w->codes + best * w->n_codes,
                (size_t)w->n_codes * sizeof *w->codes);
    }
}
