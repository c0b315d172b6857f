/* Cases of constrained decoding: a prompt, the rules, and the tokens that a greedy run writes. */
#include "lm/writer.h"
#include "run/probe_case.h"
#include "weights/embedding.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

typedef struct fsm_case {
    ace_weights *weights;
    ace_language_model *model;
    ace_stream *stream;
    ace_tokenizer *tokenizer;
    ace_lm_vocabulary vocabulary;
    ace_lm_grammar grammar;
    ace_lm_fields fixed;
    int batch; /* 2: a conditional prompt and its twin */
    int64_t length[2];
    int32_t *ids[2];
    int64_t most;
    int64_t *allowed;
    float *margin;
} fsm_case;

static void read_fixed(ace_probe *p, fsm_case *c)
{
    json_t *user = json_object_get(p->meta, "user_metadata");
    for (int i = 0; i < ACE_LM_FIELDS && p->status == ACESTEP_OK; i++) {
        const char *text =
            json_string_value(json_object_get(user, ace_lm_field_name((ace_lm_field)i)));
        if (text != NULL) {
            p->status = ace_lm_fields_set(&c->fixed, (ace_lm_field)i, text, strlen(text), p->err);
        }
    }
}

static bool is_set(const ace_probe *p, const char *key)
{
    return json_is_true(json_object_get(p->meta, key));
}

static ace_lm_rules read_rules(const ace_probe *p, const fsm_case *c)
{
    const char *phase = ace_probe_text(p, "phase");
    double seconds = ace_probe_number(p, "target_duration", -1);
    ace_lm_rules rules = {
        .codes = phase != NULL && strcmp(phase, "codes") == 0,
        .target = seconds < 0 ? -1 : (int64_t)(seconds * ACE_CODE_RATE),
        .plan_only = is_set(p, "stop_at_reasoning"),
        .fixed = &c->fixed,
    };
    rules.skip[ACE_LM_CAPTION] = is_set(p, "skip_caption");
    rules.skip[ACE_LM_LANGUAGE] = is_set(p, "skip_language");
    return rules;
}

static void observe(void *context, int text, int64_t position, int64_t n_allowed, float margin)
{
    fsm_case *c = context;
    (void)text;
    c->allowed[position] = n_allowed;
    c->margin[position] = margin;
}

/* Everything but a prompt's last token, which the writer reads. */
static void read_prompt(ace_probe *p, const fsm_case *c, ace_lm_session *session, int b)
{
    const ace_qwen3_config *config = &c->model->config;
    int64_t n = c->length[b] - 1;
    float *embeddings = ace_probe_alloc(p, n * config->block.hidden, sizeof *embeddings);
    if (p->status == ACESTEP_OK) {
        p->status = ace_embedding_gather(c->weights, "embed_tokens.weight", config->vocabulary,
                                         config->block.hidden, c->ids[b], n, embeddings, p->err);
    }
    if (p->status == ACESTEP_OK) {
        ace_lm_read_prompt(session, b, embeddings, n, NULL);
    }
}

/* The most that writing can take: the widest read and a decoding step, logits of the whole
 * vocabulary. */
static void walk(const fsm_case *c, ace_lm_session *session)
{
    const int sequences[] = {0, 1};
    ace_lm_logits all = {.count = c->model->config.vocabulary, .rows = 1};
    for (int b = 0; b < c->batch; b++) {
        ace_lm_read(session, b, NULL, ACE_LM_WAITING_TOKENS, &all);
    }
    ace_lm_decode(session, sequences, c->batch, NULL, &all);
}

static void write(ace_probe *p, fsm_case *c, ace_lm_session *session)
{
    ace_lm_constraint *constraint = NULL;
    ace_lm_rules rules = read_rules(p, c);
    p->status = ace_lm_constraint_create(&c->grammar, &rules, &constraint, p->err);
    if (p->status != ACESTEP_OK) {
        return;
    }
    ace_lm_writer writer = {
        .session = session,
        .weights = c->weights,
        .vocabulary = &c->vocabulary,
        .observe = observe,
        .context = c,
        .error = p->err,
    };
    ace_lm_text text = {
        .twin = c->batch == 2 ? 1 : -1,
        .first = c->ids[0][c->length[0] - 1],
        .twin_first = c->batch == 2 ? c->ids[1][c->length[1] - 1] : 0,
        .how = {.sampling = {.temperature = ace_probe_number(p, "temperature", 0),
                             .top_k = (int64_t)ace_probe_number(p, "top_k", 0),
                             .top_p = ace_probe_number(p, "top_p", 1),
                             .order = ACE_LM_ORDER_PT},
                .guidance = ace_probe_number(p, "cfg_scale", 1),
                .repetition_penalty = ace_probe_number(p, "repetition_penalty", 1)},
        .constraint = constraint,
        .stop = -1,
        .most = c->most,
        .id = c->ids[0] + c->length[0], /* behind the prompt, which counts for the penalty */
        .before = c->length[0],
    };
    p->status = ace_lm_write(&writer, &text, 1);
    ace_lm_constraint_free(constraint);
    int64_t *tokens = ace_probe_alloc(p, text.n + 1, sizeof *tokens);
    for (int64_t i = 0; i < text.n && p->status == ACESTEP_OK; i++) {
        tokens[i] = text.id[i];
    }
    const int64_t shape[] = {text.n};
    ace_probe_put_i64(p, "out.tokens", tokens, 1, shape);
    ace_probe_put_i64(p, "out.n_allowed", c->allowed, 1, shape);
    ace_probe_put(p, "out.margins", c->margin, 1, shape);
}

static void run_case(ace_probe *p, fsm_case *c)
{
    ace_lm_session *session = ace_probe_alloc(p, 1, sizeof *session);
    int64_t own = c->most + 1 > ACE_LM_WAITING_TOKENS + 1 ? c->most + 1 : ACE_LM_WAITING_TOKENS + 1;
    ace_lm_shape shape = {.prompts = c->batch,
                          .sequences = c->batch,
                          .prompt_tokens = {c->length[0] - 1, c->length[1] - 1},
                          .prompt_of = {0, 1},
                          .own_tokens = own};
    if (p->status == ACESTEP_OK) {
        ace_lm_begin(c->stream, c->model, &shape, session);
    }
    for (int b = 0; b < c->batch; b++) {
        read_prompt(p, c, session, b);
    }
    if (p->status == ACESTEP_OK && c->stream->device->computes) {
        write(p, c, session);
    } else if (p->status == ACESTEP_OK) {
        walk(c, session);
    }
}

static void open_rules(ace_probe *p, fsm_case *c, const ace_qwen3_config *config)
{
    enum { LONGEST_SECONDS = 600 };
    ace_lm_grammar_options options = {.longest_seconds = LONGEST_SECONDS};
    const ace_models *m = &p->workshop->models;
    c->most = (int64_t)ace_probe_number(p, "max_new_tokens", 512);
    c->allowed = ace_probe_alloc(p, c->most, sizeof *c->allowed);
    c->margin = ace_probe_alloc(p, c->most, sizeof *c->margin);
    c->batch = ace_probe_sequences(p, 2, 2, c->most, c->length, c->ids);
    read_fixed(p, c);
    if (p->status == ACESTEP_OK) {
        p->status = ace_models_open_lm_tokenizer(m, c->weights, config, &c->tokenizer, p->err);
    }
    if (p->status == ACESTEP_OK) {
        p->status = ace_lm_vocabulary_open(c->tokenizer, config->vocabulary,
                                           m->dit_config.fsq_codes, &c->vocabulary, p->err);
    }
    if (p->status == ACESTEP_OK) {
        p->status = ace_lm_grammar_open(&c->vocabulary, &options, &c->grammar, p->err);
    }
}

void ace_probe_fsm(ace_probe *p)
{
    fsm_case *c = ace_probe_alloc(p, 1, sizeof *c);
    ace_qwen3_config config;
    ace_stage stage;
    if (p->status != ACESTEP_OK) {
        return;
    }
    c->model = ace_probe_alloc(p, 1, sizeof *c->model);
    p->status = ace_models_open_lm(&p->workshop->models, &c->weights, &config, p->err);
    if (p->status == ACESTEP_OK) {
        open_rules(p, c, &config);
    }
    if (ace_probe_begin(p, &stage, c->weights)) {
        stage.bounded = true;
        ace_language_model_load(&stage.loader, &config, c->model);
        c->stream = &stage.stream;
        if (ace_stage_load_end(&stage) == ACESTEP_OK) {
            run_case(p, c);
        }
        ace_probe_end(p, &stage);
    }
    ace_lm_grammar_close(&c->grammar);
    ace_lm_vocabulary_close(&c->vocabulary);
    ace_lm_fields_free(&c->fixed);
    ace_tokenizer_free(c->tokenizer);
    ace_weights_close(c->weights);
}
