#include "lm/choice.h"

#include "base/clock.h"
#include "base/memory.h"
#include "sample/noise.h"
#include "weights/embedding.h"

#include <math.h>
#include <string.h>

typedef struct writing {
    const ace_lm_writer *w;
    ace_lm_text *text;
    int n;
    int64_t first, count; /* of the logits: columns of the head */
    float *logits;        /* [2·n, count], room for every range: conditional rows, then twins */
    float *listed;        /* logits of listed tokens, ACE_LM_MOST_LISTED */
    float *embedding;     /* [max(2·n, ACE_LM_WAITING_TOKENS), hidden] */
    uint8_t *mark;        /* [count], for the penalty */
    float *probability;   /* [count], where somebody observes */
    ace_lm_scratch scratch;
    ace_lm_choices choices;
    bool chosen; /* by the device, in this step */
    int64_t written;
    double lap; /* when the work at hand began */
    ace_lm_times times;
    ace_status status;
} writing;

static bool going(const writing *g)
{
    return g->status == ACESTEP_OK && g->w->session->stream->status == ACESTEP_OK;
}

/* Books the time since the last call. */
static void lap(writing *g, double *seconds)
{
    double now = ace_clock_seconds();
    *seconds += now - g->lap;
    g->lap = now;
}

static void fail(writing *g, ace_status status, const char *what)
{
    if (g->status == ACESTEP_OK) {
        g->status = ace_fail(g->w->error, status, "language model: %s", what);
    }
}

/* ---- tokens ---------------------------------------------------------------------------------- */

static bool is_end(const writing *g, int32_t id)
{
    return id == g->w->vocabulary->end || id == g->w->vocabulary->pad;
}

static void append(writing *g, int i, int32_t id, int64_t n_allowed, float margin)
{
    ace_lm_text *t = &g->text[i];
    if (g->w->observe != NULL) {
        g->w->observe(g->w->context, i, t->n, n_allowed, margin);
    }
    t->id[t->n++] = id;
    g->written++;
    if (t->constraint != NULL) {
        ace_lm_constraint_accept(t->constraint, id);
    }
    t->ended = t->constraint != NULL ? ace_lm_constraint_ended(t->constraint)
                                     : is_end(g, id) || id == t->stop;
}

static bool is_live(const ace_lm_text *t)
{
    return !t->ended && t->n < t->most;
}

/* Tokens without a choice, as many as follow each other. */
static void append_forced(writing *g, int i)
{
    ace_lm_text *t = &g->text[i];
    ace_lm_allowed allowed;
    while (t->constraint != NULL && is_live(t) && !ace_lm_constraint_looks(t->constraint)) {
        ace_lm_constraint_allow(t->constraint, &allowed);
        if (allowed.choice != ACE_LM_LISTED || allowed.n != 1) {
            return;
        }
        append(g, i, allowed.id[0], 1, ACE_LM_NO_MARGIN);
    }
}

/* Token number k of a sequence's own: the prompt's last one, then what was written. */
static int32_t own_token(const ace_lm_text *t, bool twin, int64_t k)
{
    return k > 0 ? t->id[k - 1] : twin ? t->twin_first : t->first;
}

static int64_t waiting(const ace_lm_text *t)
{
    return t->n + 1 - t->fed;
}

/* ---- through the model ----------------------------------------------------------------------- */

static bool embed(writing *g, const int32_t *ids, int n)
{
    const ace_qwen3_config *c = &g->w->session->model->config;
    ace_status status = ace_embedding_gather(g->w->weights, "embed_tokens.weight", c->vocabulary,
                                             c->block.hidden, ids, n, g->embedding, g->w->error);
    g->status = g->status == ACESTEP_OK ? status : g->status;
    return going(g);
}

/* All waiting tokens of one sequence, piece by piece; logits of the last. */
static void read_waiting(writing *g, int i, bool twin)
{
    const ace_lm_text *t = &g->text[i];
    int32_t ids[ACE_LM_WAITING_TOKENS];
    int row = twin ? g->n + i : i;
    for (int64_t at = t->fed; at < t->n + 1 && going(g);) {
        int64_t left = t->n + 1 - at;
        int n = (int)(left < ACE_LM_WAITING_TOKENS ? left : ACE_LM_WAITING_TOKENS);
        for (int k = 0; k < n; k++) {
            ids[k] = own_token(t, twin, at + k);
        }
        at += n;
        ace_lm_logits logits = {.first = g->first,
                                .count = at == t->n + 1 ? g->count : 0,
                                .rows = 1,
                                .values = g->logits + row * g->count};
        if (embed(g, ids, n)) {
            ace_lm_read(g->w->session, twin ? t->twin : t->sequence, g->embedding, n, &logits);
        }
    }
}

/* Can the device choose for every live text? An observer wants to see the logits. */
static bool list_choices(writing *g)
{
    bool listed = ace_stream_chooses(g->w->session->stream) && g->w->observe == NULL;
    ace_lm_choices_clear(&g->choices);
    for (int i = 0; i < g->n && listed; i++) {
        listed =
            !is_live(&g->text[i]) || ace_lm_choices_add(&g->choices, &g->text[i], g->w->vocabulary,
                                                        g->first, g->count, g->mark);
    }
    ace_lm_choices_place_twins(&g->choices);
    return listed;
}

/* One token of every live sequence, and where the device chooses, the next one. Rows of the logits
 * are in the order of live texts, so they are put where each text expects its own. */
static void decode_live(writing *g)
{
    int sequences[ACE_LM_MAX_SEQUENCES];
    int row[ACE_LM_MAX_SEQUENCES];
    int32_t ids[ACE_LM_MAX_SEQUENCES];
    int n = 0;
    for (int twin = 0; twin < 2; twin++) {
        for (int i = 0; i < g->n; i++) {
            const ace_lm_text *t = &g->text[i];
            if (is_live(t) && (twin == 0 || t->twin >= 0)) {
                sequences[n] = twin == 1 ? t->twin : t->sequence;
                ids[n] = own_token(t, twin == 1, t->fed);
                row[n++] = twin * g->n + i;
            }
        }
    }
    ace_lm_logits logits = {.first = g->first, .count = g->count, .values = g->logits};
    g->chosen = list_choices(g);
    if (g->chosen) {
        logits.choices = g->choices.of;
        logits.n_choices = g->choices.n;
        logits.chosen = g->choices.chosen;
    }
    if (embed(g, ids, n)) {
        ace_lm_decode(g->w->session, sequences, n, g->embedding, &logits);
    }
    for (int k = n - 1; k >= 0 && going(g) && !g->chosen; k--) { /* rows only move up: last first */
        if (row[k] != k) {
            memcpy(g->logits + row[k] * g->count, g->logits + k * g->count,
                   (size_t)g->count * sizeof *g->logits);
        }
    }
}

static void advance(writing *g)
{
    bool together = true;
    g->chosen = false;
    for (int i = 0; i < g->n; i++) {
        together = together && (!is_live(&g->text[i]) || waiting(&g->text[i]) == 1);
    }
    if (together) {
        decode_live(g);
    }
    for (int i = 0; i < g->n && going(g); i++) {
        ace_lm_text *t = &g->text[i];
        if (!is_live(t)) {
            continue;
        }
        if (!together) {
            read_waiting(g, i, false);
        }
        if (!together && t->twin >= 0) {
            read_waiting(g, i, true);
        }
        t->fed = t->n + 1;
    }
}

/* ---- choosing -------------------------------------------------------------------------------- */

/* How far the best of n logits is ahead of the second one that the filters keep. */
static float margin_of(writing *g, ace_lm_sampling sampling, const float *z, int64_t n)
{
    float best = -INFINITY;
    float second = -INFINITY;
    sampling.temperature = sampling.temperature > 0 ? sampling.temperature : 1;
    if (!ace_lm_distribution(&sampling, z, n, g->probability, &g->scratch)) {
        return ACE_LM_NO_MARGIN;
    }
    for (int64_t i = 0; i < n; i++) {
        if (g->probability[i] > 0 && z[i] > best) {
            second = best;
            best = z[i];
        } else if (g->probability[i] > 0 && z[i] > second) {
            second = z[i];
        }
    }
    return second > -INFINITY ? best - second : ACE_LM_NO_MARGIN;
}

static int64_t count_finite(const float *z, int64_t n)
{
    int64_t count = 0;
    for (int64_t i = 0; i < n; i++) {
        count += z[i] > -INFINITY;
    }
    return count;
}

/* Logits of what may follow: a view of the row, or the listed ones. id of entry k: ids[k], or
 * first + k without ids. */
typedef struct candidates {
    float *z;
    int64_t n;
    const int32_t *ids;
    int64_t first;
} candidates;

static void hide_others(const writing *g, const ace_lm_constraint *c, const ace_lm_allowed *allowed,
                        float *z)
{
    for (int64_t k = 0; k < g->count; k++) {
        if (!ace_lm_constraint_permits(c, allowed, (int32_t)(g->first + k))) {
            z[k] = -INFINITY;
        }
    }
}

static candidates list_candidates(const writing *g, const ace_lm_text *t, float *z,
                                  const ace_lm_allowed *allowed)
{
    candidates out = {.z = z, .n = g->count, .first = g->first};
    const ace_lm_vocabulary *v = g->w->vocabulary;
    if (t->constraint == NULL) {
        return out;
    }
    switch (allowed->choice) {
    case ACE_LM_CODES:
        return (candidates){
            .z = z + (v->first_code - g->first), .n = v->codes, .first = v->first_code};
    case ACE_LM_LISTED:
    case ACE_LM_MOST_LIKELY:
        for (int k = 0; k < allowed->n; k++) {
            g->listed[k] = z[allowed->id[k] - g->first];
        }
        return (candidates){.z = g->listed, .n = allowed->n, .ids = allowed->id};
    case ACE_LM_CODES_OR_END:
    case ACE_LM_TEXT:
    case ACE_LM_TEXT_OR_END:
    case ACE_LM_GENRE:
        break;
    }
    hide_others(g, t->constraint, allowed, z);
    return out;
}

/* The original's constrained loop: rules, then the penalty, then the filters. */
static void penalise(writing *g, const ace_lm_text *t, const candidates *c)
{
    double penalty = t->how.repetition_penalty;
    const int32_t *seen = t->id - t->before;
    int64_t n = t->before + t->n;
    if (c->ids == NULL) {
        ace_lm_penalise(c->z, c->first, c->n, seen, n, penalty, g->mark);
    }
    for (int64_t k = 0; c->ids != NULL && k < c->n; k++) {
        ace_lm_penalise(&c->z[k], c->ids[k], 1, seen, n, penalty, g->mark);
    }
}

static const char broken_logits[] = "its logits are no numbers";

static void choose(writing *g, int i)
{
    ace_lm_text *t = &g->text[i];
    float *z = g->logits + i * g->count;
    ace_lm_allowed allowed = {.choice = ACE_LM_LISTED};
    ace_lm_sampling sampling = t->how.sampling;
    if (t->twin >= 0) {
        ace_lm_guide(z, z, g->logits + (g->n + i) * g->count, g->count, t->how.guidance);
        lap(g, &g->times.guidance);
    }
    if (t->constraint != NULL) {
        if (ace_lm_constraint_looks(t->constraint)) {
            ace_lm_constraint_look(t->constraint, z);
        }
        ace_lm_constraint_allow(t->constraint, &allowed);
        sampling.temperature = allowed.choice == ACE_LM_MOST_LIKELY ? 0 : sampling.temperature;
    }
    candidates c = list_candidates(g, t, z, &allowed);
    lap(g, &g->times.rules);
    int64_t n_allowed = g->w->observe == NULL ? 0 : count_finite(c.z, c.n);
    penalise(g, t, &c);
    double uniform = ace_noise_uniform(t->seed, ACE_NOISE_TOKEN, t->stream, t->n);
    int64_t k = ace_lm_sample(&sampling, c.z, c.n, uniform, &g->scratch);
    lap(g, &g->times.sampling);
    if (k < 0) {
        fail(g, ACESTEP_MODEL, broken_logits);
        return;
    }
    bool alone = allowed.choice == ACE_LM_MOST_LIKELY;
    float margin =
        g->w->observe == NULL || alone ? ACE_LM_NO_MARGIN : margin_of(g, sampling, c.z, c.n);
    append(g, i, c.ids != NULL ? c.ids[k] : (int32_t)(c.first + k), alone ? 1 : n_allowed, margin);
    lap(g, &g->times.rules);
}

/* What the device chose for the k-th live text. */
static void take_chosen(writing *g, int i, int k)
{
    int32_t column = g->choices.chosen[k];
    if (column < 0) {
        fail(g, ACESTEP_MODEL, broken_logits);
        return;
    }
    append(g, i, (int32_t)(g->first + column), 0, ACE_LM_NO_MARGIN);
    lap(g, &g->times.rules);
}

/* ---- all texts ------------------------------------------------------------------------------- */

static bool all_write_codes(const writing *g)
{
    bool codes = true;
    for (int i = 0; i < g->n; i++) {
        const ace_lm_constraint *c = g->text[i].constraint;
        codes = codes && c != NULL && ace_lm_constraint_writes_codes(c);
    }
    return codes;
}

/* Columns of the head that what may follow lies in: ten digits need a fiftieth of it. */
static void range_of_words(const writing *g, const ace_lm_constraint *c, int64_t *first,
                           int64_t *count)
{
    const ace_lm_vocabulary *v = g->w->vocabulary;
    ace_lm_allowed allowed;
    int64_t last = v->size - 1;
    *first = 0;
    if (c != NULL && !ace_lm_constraint_looks(c)) {
        ace_lm_constraint_allow(c, &allowed);
        switch (allowed.choice) {
        case ACE_LM_LISTED:
        case ACE_LM_MOST_LIKELY:
            *first = allowed.id[0];
            last = allowed.id[0];
            for (int i = 1; i < allowed.n; i++) {
                *first = allowed.id[i] < *first ? allowed.id[i] : *first;
                last = allowed.id[i] > last ? allowed.id[i] : last;
            }
            break;
        case ACE_LM_TEXT:
        case ACE_LM_GENRE:
            last = v->pad - 1; /* the base vocabulary */
            break;
        case ACE_LM_TEXT_OR_END:
            last = v->end > v->pad ? v->end : v->pad;
            break;
        case ACE_LM_CODES:
        case ACE_LM_CODES_OR_END:
            break;
        }
    }
    *count = last - *first + 1;
}

/* Of the next step: one for all texts, which share the pass through the model. */
static void choose_range(writing *g)
{
    if (all_write_codes(g)) {
        ace_lm_code_range(g->w->vocabulary, &g->first, &g->count);
    } else if (g->n == 1) {
        range_of_words(g, g->text[0].constraint, &g->first, &g->count);
    } else {
        g->first = 0;
        g->count = g->w->vocabulary->size;
    }
}

static void prepare(writing *g)
{
    int64_t hidden = g->w->session->model->config.block.hidden;
    int64_t rows = 2 * g->n > ACE_LM_WAITING_TOKENS ? 2 * g->n : ACE_LM_WAITING_TOKENS;
    int64_t columns = g->w->vocabulary->size;
    if (all_write_codes(g)) {
        int64_t first = 0;
        ace_lm_code_range(g->w->vocabulary, &first, &columns);
    }
    g->logits = ace_malloc_array((size_t)(2 * g->n * columns), sizeof *g->logits);
    g->listed = ace_malloc_array(ACE_LM_MOST_LISTED, sizeof *g->listed);
    g->embedding = ace_malloc_array((size_t)(rows * hidden), sizeof *g->embedding);
    g->mark = ace_calloc((size_t)columns, sizeof *g->mark);
    g->probability = ace_malloc_array((size_t)columns, sizeof *g->probability);
    if (g->probability == NULL || g->logits == NULL || g->listed == NULL || g->embedding == NULL ||
        g->mark == NULL || !ace_lm_scratch_create(columns, &g->scratch) ||
        (ace_stream_chooses(g->w->session->stream) && !ace_lm_choices_create(&g->choices))) {
        fail(g, ACESTEP_MEMORY, "no host memory");
    }
}

static const char *phase_of(const writing *g)
{
    const ace_lm_constraint *c = g->text[0].constraint;
    return c != NULL ? ace_lm_constraint_phase(c) : "text";
}

static bool any_live(writing *g)
{
    bool live = false;
    for (int i = 0; i < g->n; i++) {
        append_forced(g, i);
        live = live || is_live(&g->text[i]);
    }
    return live;
}

static void step(writing *g)
{
    int64_t longest = 0;
    int live = 0;
    choose_range(g);
    lap(g, &g->times.rules);
    advance(g);
    lap(g, &g->times.model);
    for (int i = 0; i < g->n && going(g); i++) {
        if (is_live(&g->text[i]) && g->chosen) {
            take_chosen(g, i, live++);
        } else if (is_live(&g->text[i])) {
            choose(g, i);
        }
        longest = g->text[i].n > longest ? g->text[i].n : longest;
    }
    if (going(g) && g->w->progress != NULL &&
        !g->w->progress(g->w->context, phase_of(g), longest, g->written)) {
        fail(g, ACESTEP_CANCELLED, "cancelled");
    }
}

ace_status ace_lm_write(const ace_lm_writer *w, ace_lm_text *texts, int n)
{
    writing g = {.w = w, .text = texts, .n = n};
    prepare(&g);
    g.lap = ace_clock_seconds();
    while (going(&g) && any_live(&g)) {
        step(&g);
    }
    if (w->times != NULL) {
        w->times->model += g.times.model;
        w->times->rules += g.times.rules;
        w->times->guidance += g.times.guidance;
        w->times->sampling += g.times.sampling;
    }
    ace_free(g.logits);
    ace_free(g.listed);
    ace_free(g.embedding);
    ace_free(g.mark);
    ace_free(g.probability);
    ace_lm_scratch_free(&g.scratch);
    ace_lm_choices_free(&g.choices);
    return g.status != ACESTEP_OK ? g.status : w->session->stream->status;
}
