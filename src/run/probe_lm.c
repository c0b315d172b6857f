/* Cases of the language model: logits of prompts, and greedy continuations. Recordings of several
 * sequences are padded on the left; here a sequence is its own tokens from position 0 on. That is
 * the same model, because rotary embedding is relative. */
#include "model/language_model.h"
#include "run/probe_case.h"
#include "weights/embedding.h"

#include <string.h>

/* The recorded sequences without their padding. */
typedef struct lm_case {
    ace_weights *weights;
    ace_language_model *model;
    ace_stream *stream;
    int batch;
    int64_t length[ACE_LM_MAX_PROMPTS];
    int32_t *ids[ACE_LM_MAX_PROMPTS];
} lm_case;

/* The recordings do not say how long they went on; their names and outputs do. */
enum { GREEDY_TOKENS = 32, GUIDED_TOKENS = 16, GREEDY_EVERY = 8 };

static float *embed(ace_probe *p, const lm_case *c, const int32_t *ids, int64_t n)
{
    const ace_qwen3_config *config = &c->model->config;
    float *out = ace_probe_alloc(p, n * config->block.hidden, sizeof *out);
    if (p->status == ACESTEP_OK) {
        p->status = ace_embedding_gather(c->weights, "embed_tokens.weight", config->vocabulary,
                                         config->block.hidden, ids, n, out, p->err);
    }
    return out;
}

/* A session with every sequence's prompt; `own` tokens may follow. */
static ace_lm_session *begin(ace_probe *p, const lm_case *c, int64_t own)
{
    ace_lm_session *session = ace_probe_alloc(p, 1, sizeof *session);
    ace_lm_shape shape = {
        .prompts = c->batch, .sequences = own > 0 ? c->batch : 0, .own_tokens = own};
    for (int b = 0; b < c->batch; b++) {
        shape.prompt_tokens[b] = c->length[b];
        shape.prompt_of[b] = b;
    }
    if (p->status == ACESTEP_OK) {
        ace_lm_begin(c->stream, c->model, &shape, session);
    }
    return session;
}

/* Logits of the last `rows` tokens of sequence b's prompt, [rows, vocabulary]. */
static float *prompt_logits(ace_probe *p, const lm_case *c, ace_lm_session *session, int b,
                            int64_t rows)
{
    int64_t vocabulary = c->model->config.vocabulary;
    float *values = ace_probe_alloc(p, rows * vocabulary, sizeof *values);
    float *embeddings = embed(p, c, c->ids[b], c->length[b]);
    if (p->status == ACESTEP_OK) {
        ace_lm_logits all = {.count = vocabulary, .rows = rows, .values = values};
        ace_lm_read_prompt(session, b, embeddings, c->length[b], &all);
    }
    return values;
}

/* ---- logits of prompts ----------------------------------------------------------------------- */

typedef struct observed_rows {
    float *values; /* [rows, cols] */
    int64_t rows, cols, seen;
} observed_rows;

static void observe_rows(void *context, ace_stream *s, const char *name, ace_tensor t)
{
    observed_rows *o = context;
    (void)name;
    if (o->seen + t.rows <= o->rows && t.cols == o->cols) {
        ace_download(s, o->values + o->seen * o->cols, t);
        o->seen += t.rows;
    }
}

static void run_logits(ace_probe *p, lm_case *c)
{
    int64_t hidden = c->model->config.block.hidden;
    int64_t n = c->length[0];
    const int64_t states[] = {1, n, hidden};
    const int64_t logits[] = {1, n, c->model->config.vocabulary};
    observed_rows seen = {
        .values = ace_probe_alloc(p, n * hidden, sizeof(float)), .rows = n, .cols = hidden};
    ace_lm_session *session = begin(p, c, 0);
    c->model->observer = (ace_observer){observe_rows, &seen};
    ace_probe_put(p, "out.logits", prompt_logits(p, c, session, 0, n), 3, logits);
    ace_probe_put(p, "out.last_hidden_state", seen.values, 3, states);
}

static void run_batch(ace_probe *p, const lm_case *c)
{
    enum { FIRST_ROWS = 4, SECOND_ROWS = 6 };
    int64_t vocabulary = c->model->config.vocabulary;
    if (c->batch != 2 || c->length[0] < FIRST_ROWS || c->length[1] < SECOND_ROWS) {
        ace_probe_fail(p, ACESTEP_ARGUMENT, "two sequences of at least six tokens are expected");
        return;
    }
    ace_lm_session *session = begin(p, c, 0);
    float *last = ace_probe_alloc(p, 2 * vocabulary, sizeof *last);
    float *first = prompt_logits(p, c, session, 0, FIRST_ROWS);
    float *second = prompt_logits(p, c, session, 1, SECOND_ROWS);
    for (int64_t i = 0; i < vocabulary && p->status == ACESTEP_OK; i++) {
        last[i] = first[(FIRST_ROWS - 1) * vocabulary + i];
        last[vocabulary + i] = second[(SECOND_ROWS - 1) * vocabulary + i];
    }
    const int64_t two[] = {2, vocabulary};
    const int64_t four[] = {FIRST_ROWS, vocabulary};
    const int64_t six[] = {SECOND_ROWS, vocabulary};
    ace_probe_put(p, "out.logits_last", last, 2, two);
    ace_probe_put(p, "out.logits_row0_last4", first, 2, four);
    ace_probe_put(p, "out.logits_row1_last6", second, 2, six);
}

/* ---- greedy continuations -------------------------------------------------------------------- */

/* One continuation of all sequences: the next token is the same for each. */
typedef struct continuation {
    const lm_case *c;
    ace_lm_session *session;
    float scale;   /* of guidance; one sequence: unused */
    float *rows;   /* [batch, vocabulary]: the present logits */
    float *mixed;  /* [vocabulary] */
    float *margin; /* [tokens]: best minus second best */
    int64_t *token;
} continuation;

static void mix(const continuation *k, int64_t vocabulary)
{
    for (int64_t i = 0; i < vocabulary; i++) {
        float conditional = k->rows[i];
        k->mixed[i] = conditional;
        if (k->c->batch == 2) {
            float other = k->rows[vocabulary + i];
            k->mixed[i] = other + k->scale * (conditional - other);
        }
    }
}

static void choose(const continuation *k, int64_t vocabulary, int64_t step)
{
    int64_t best = 0;
    for (int64_t i = 1; i < vocabulary; i++) {
        best = k->mixed[i] > k->mixed[best] ? i : best;
    }
    int64_t second = best == 0 && vocabulary > 1 ? 1 : 0;
    for (int64_t i = 0; i < vocabulary; i++) {
        second = i != best && k->mixed[i] > k->mixed[second] ? i : second;
    }
    k->token[step] = best;
    k->margin[step] = k->mixed[best] - k->mixed[second];
}

/* Appends the chosen token to every sequence. */
static void append(ace_probe *p, const continuation *k, int64_t step)
{
    int32_t ids[ACE_LM_MAX_SEQUENCES];
    int sequences[ACE_LM_MAX_SEQUENCES];
    int64_t vocabulary = k->c->model->config.vocabulary;
    for (int b = 0; b < k->c->batch; b++) {
        ids[b] = (int32_t)k->token[step];
        sequences[b] = b;
    }
    float *embeddings = embed(p, k->c, ids, k->c->batch);
    ace_lm_logits all = {.count = vocabulary, .values = k->rows};
    if (p->status == ACESTEP_OK) {
        ace_lm_decode(k->session, sequences, k->c->batch, embeddings, &all);
    }
}

/* n tokens; the mixed logits of the step before each multiple of `every` tokens, and of the first
 * step where first is true, go to kept [.., vocabulary]. */
static void continue_greedily(ace_probe *p, const continuation *k, int64_t n, int64_t every,
                              bool first, float *kept)
{
    int64_t vocabulary = k->c->model->config.vocabulary;
    for (int b = 0; b < k->c->batch; b++) {
        float *row = prompt_logits(p, k->c, k->session, b, 1);
        for (int64_t i = 0; i < vocabulary && p->status == ACESTEP_OK; i++) {
            k->rows[b * vocabulary + i] = row[i];
        }
    }
    for (int64_t step = 0; step < n && p->status == ACESTEP_OK; step++) {
        mix(k, vocabulary);
        choose(k, vocabulary, step);
        if ((step + 1) % every == 0 || (step == 0 && first)) {
            for (int64_t i = 0; i < vocabulary; i++) {
                *kept++ = k->mixed[i];
            }
        }
        if (step + 1 < n) {
            append(p, k, step);
        }
    }
}

static void run_greedy(ace_probe *p, const lm_case *c)
{
    const float *scale = ace_probe_f32(p, "in.cfg_scale", true);
    int64_t vocabulary = c->model->config.vocabulary;
    if (p->status != ACESTEP_OK || c->batch != (scale != NULL ? 2 : 1)) {
        ace_probe_fail(p, ACESTEP_ARGUMENT, "one sequence, or two with in.cfg_scale, expected");
        return;
    }
    int64_t n = scale != NULL ? GUIDED_TOKENS : GREEDY_TOKENS;
    int64_t every = scale != NULL ? GUIDED_TOKENS : GREEDY_EVERY;
    const int64_t tokens[] = {n};
    const int64_t kept[] = {n / every + (scale != NULL), vocabulary};
    float *logits = ace_probe_alloc(p, kept[0] * vocabulary, sizeof *logits);
    continuation k = {
        .c = c,
        .session = begin(p, c, n),
        .scale = scale != NULL ? scale[0] : 1,
        .rows = ace_probe_alloc(p, c->batch * vocabulary, sizeof(float)),
        .mixed = ace_probe_alloc(p, vocabulary, sizeof(float)),
        .margin = ace_probe_alloc(p, n, sizeof(float)),
        .token = ace_probe_alloc(p, n, sizeof(int64_t)),
    };
    continue_greedily(p, &k, n, every, scale != NULL, logits);
    ace_probe_put_i64(p, "out.tokens", k.token, 1, tokens);
    ace_probe_put(p, "out.margins", k.margin, 1, tokens);
    ace_probe_put(p, scale != NULL ? "out.cfg_logits_first_last" : "out.logits_step_7_15_23_31",
                  logits, 2, kept);
}

/* ---- the case -------------------------------------------------------------------------------- */

static void run_case(ace_probe *p, lm_case *c)
{
    if (strcmp(p->model, "logits") == 0) {
        run_logits(p, c);
    } else if (strcmp(p->model, "batch2") == 0) {
        run_batch(p, c);
    } else {
        run_greedy(p, c);
    }
}

void ace_probe_lm(ace_probe *p)
{
    lm_case c = {.model = ace_probe_alloc(p, 1, sizeof *c.model)};
    ace_qwen3_config config;
    ace_stage stage;
    c.batch = ace_probe_sequences(p, ACE_LM_MAX_PROMPTS, 1, 0, c.length, c.ids);
    if (p->status == ACESTEP_OK) {
        p->status = ace_models_open_lm(&p->workshop->models, &c.weights, &config, p->err);
    }
    if (ace_probe_begin(p, &stage, c.weights)) {
        ace_language_model_load(&stage.loader, &config, c.model);
        c.stream = &stage.stream;
        if (ace_stage_load_end(&stage) == ACESTEP_OK) {
            run_case(p, &c);
        }
        ace_probe_end(p, &stage);
    }
    ace_weights_close(c.weights);
}
