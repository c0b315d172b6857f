#include "choice_cases.h"

#include "lm/sampler.h"

#include <float.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    MOST_CHOICES = 12,
    MOST_ROWS = 2 * MOST_CHOICES,
    MOST_PENALISED = 64,
    MOST_COLUMNS = 8192,
    GAP = 5
};

/* ---- both sides
 * ---------------------------------------------------------------------------------------- */

static bool is_permitted(const ace_choice *c, int64_t i)
{
    bool inside = (i >= c->first && i < c->first + c->count) || i == c->also;
    return inside && (c->mask == NULL || (c->mask[i / 32] >> (i % 32) & 1) != 0);
}

int32_t choice_on_host(const float *rows, int64_t columns, const ace_choice *c)
{
    size_t n = (size_t)columns;
    ace_lm_scratch scratch;
    ace_lm_sampling s = {.temperature = (double)c->temperature,
                         .top_k = c->top_k,
                         .top_p = c->top_p,
                         .min_p = (double)c->min_p,
                         .order = c->temper_last ? ACE_LM_ORDER_PT : ACE_LM_ORDER_VLLM};
    float *z = malloc(n * sizeof *z);
    uint8_t *mark = calloc(n, 1);
    if (z == NULL || mark == NULL || !ace_lm_scratch_create(columns, &scratch)) {
        abort();
    }
    memcpy(z, rows + c->row * columns, n * sizeof *z);
    if (c->twin != ACE_CHOICE_NONE) {
        ace_lm_guide(z, z, rows + c->twin * columns, columns, (double)c->guidance);
    }
    ace_lm_penalise(z, 0, columns, c->penalised, c->n_penalised, (double)c->penalty, mark);
    for (int64_t i = 0; i < columns; i++) {
        z[i] = is_permitted(c, i) ? z[i] : -INFINITY;
    }
    int64_t chosen = ace_lm_sample(&s, z, columns, c->uniform, &scratch);
    ace_lm_scratch_free(&scratch);
    free(mark);
    free(z);
    return (int32_t)chosen;
}

bool choice_on_device(ace_device *d, const float *rows, int64_t n_rows, int64_t columns,
                      const ace_choice *choices, int n, int32_t *chosen)
{
    size_t bytes = (size_t)(n_rows * (columns + GAP)) * sizeof(float);
    ace_tensor logits = {0, ACE_F32, n_rows, columns, columns + GAP};
    bool well = d->ops->reserve(d, bytes, &logits.addr, NULL) == ACESTEP_OK;
    if (well) {
        well = d->ops->upload(d, logits, rows, NULL) == ACESTEP_OK &&
               d->ops->choose(d, logits, choices, n, chosen, NULL) == ACESTEP_OK;
        d->ops->release(d, logits.addr, bytes);
    }
    return well;
}

/* ---- chance
 * -------------------------------------------------------------------------------------------- */

static uint64_t next(uint64_t *state)
{
    *state = *state * 6364136223846793005u + 1442695040888963407u;
    return *state >> 33;
}

static int64_t below(uint64_t *state, int64_t n)
{
    return (int64_t)(next(state) % (uint64_t)n);
}

static double unit(uint64_t *state)
{
    return (double)next(state) / 2147483648.0;
}

static bool chance(uint64_t *state, int percent)
{
    return below(state, 100) < percent;
}

/* ---- logits
 * -------------------------------------------------------------------------------------------- */

typedef enum kind {
    EVEN,    /* spread between two bounds */
    PEAKED,  /* a sum of several: most in the middle, a few far above */
    FEW,     /* few distinct values, zeros of both signs */
    EQUAL,   /* all the same */
    EXTREME, /* of every size that a float can have */
    LONELY,  /* -inf but for one or two, or for none */
    BROKEN,  /* NaN or +inf somewhere */
    KINDS
} kind;

static float extreme(uint64_t *state)
{
    static const float sizes[] = {0x1p-149f, FLT_MIN, 1e-20f, 1e-3f,  1.0f,
                                  80.0f,     1e4f,    1e30f,  FLT_MAX};
    float size = sizes[below(state, 9)] * (float)(0.5 + unit(state) / 2);
    return chance(state, 50) ? -size : size;
}

static float value_of(uint64_t *state, kind k, int steps)
{
    switch (k) {
    case EVEN:
        return (float)(20 * unit(state) - 12);
    case PEAKED:
        return (float)(pow(unit(state) + unit(state) + unit(state) - 1.5, 3) * 8 + 2);
    case FEW:
        return chance(state, 6) ? -0.0f : ((float)below(state, steps) - (float)(steps / 2)) * 0.37f;
    case EQUAL:
        return (float)steps * 0.7f - 10;
    case EXTREME:
        return extreme(state);
    case LONELY:
        return -INFINITY;
    case BROKEN:
    case KINDS:
        break;
    }
    return (float)unit(state);
}

static void fill(uint64_t *state, kind k, int64_t columns, float *row)
{
    int steps = 1 + (int)below(state, 30);
    int forbidden = chance(state, 30) ? (int)below(state, 99) : 0;
    for (int64_t i = 0; i < columns; i++) {
        row[i] = chance(state, forbidden) ? -INFINITY : value_of(state, k, steps);
    }
    for (int64_t n = below(state, 3); k == LONELY && n > 0; n--) {
        row[below(state, columns)] = (float)unit(state);
    }
    static const float broken[] = {NAN, -NAN, INFINITY};
    if (k == BROKEN) {
        row[below(state, columns)] = broken[below(state, 3)];
    }
}

/* ---- settings
 * ------------------------------------------------------------------------------------------ */

static void set_rules(uint64_t *state, int64_t columns, ace_choice *c)
{
    c->first = chance(state, 40) ? 0 : below(state, columns);
    c->count = chance(state, 40) ? columns - c->first : 1 + below(state, columns - c->first);
    c->also = chance(state, 40) ? below(state, columns) : ACE_CHOICE_NONE;
}

static void set_filters(uint64_t *state, ace_choice *c)
{
    static const float temperatures[] = {0, -1, 1e-4f, 0.1f, 0.85f, 1, 1, 2, 1e4f, 1e30f};
    static const double shares[] = {0, 1e-9, 0.25, 0.5, 0.9, 0.95, 1 - 1e-9, 1, 2};
    c->temperature = temperatures[below(state, 10)];
    c->top_k = chance(state, 50) ? 0 : chance(state, 30) ? 1 : below(state, 60);
    c->top_p = chance(state, 50) ? shares[below(state, 9)] : unit(state);
    c->min_p = chance(state, 60) ? 0 : chance(state, 10) ? 2 : (float)(unit(state) * unit(state));
    c->temper_last = chance(state, 50);
    c->uniform = chance(state, 5) ? 0 : chance(state, 5) ? 1 - 0x1p-32 : unit(state);
}

/* Columns once each, of which some are not permitted. */
static void set_penalty(uint64_t *state, int64_t columns, ace_choice *c, int32_t *list)
{
    c->penalty = chance(state, 50) ? 1.2f : 0.7f;
    c->penalised = list;
    int64_t most = columns < MOST_PENALISED ? columns : MOST_PENALISED;
    int64_t stride = columns / most;
    for (int64_t n = chance(state, 40) ? 0 : below(state, most + 1); c->n_penalised < n;) {
        list[c->n_penalised] = (int32_t)(c->n_penalised * stride + below(state, stride));
        c->n_penalised++;
    }
}

/* ---- a call
 * -------------------------------------------------------------------------------------------- */

typedef struct call {
    int64_t columns;
    float *rows; /* [2·n, columns]: each choice's, then the twins */
    int n;
    kind of[MOST_CHOICES];
    ace_choice choice[MOST_CHOICES];
    int32_t penalised[MOST_CHOICES][MOST_PENALISED];
    uint32_t mask[MOST_COLUMNS / 32];
} call;

static int64_t width(uint64_t *state)
{
    if (chance(state, 2)) {
        return 4000 + below(state, 3000); /* some in blocks of many threads */
    }
    return chance(state, 10) ? 1 + below(state, 1000) : 1 + below(state, 70);
}

static void prepare(uint64_t *state, call *c)
{
    c->columns = width(state);
    c->n = 1 + (int)below(state, c->columns < 1000 ? MOST_CHOICES : 2);
    c->rows = malloc((size_t)(2 * c->n * c->columns) * sizeof *c->rows);
    if (c->rows == NULL) {
        abort();
    }
    for (int i = 0; i < MOST_COLUMNS / 32; i++) {
        c->mask[i] = (uint32_t)(next(state) | next(state) << 11);
    }
    for (int i = 0; i < c->n; i++) {
        c->of[i] = chance(state, 95) ? (kind)below(state, BROKEN) : BROKEN;
        c->choice[i] = (ace_choice){.row = i, .twin = ACE_CHOICE_NONE, .guidance = 1};
        fill(state, c->of[i], c->columns, c->rows + i * c->columns);
        fill(state, c->of[i], c->columns, c->rows + (c->n + i) * c->columns);
        if (chance(state, 50)) {
            c->choice[i].twin = c->n + i;
            c->choice[i].guidance = (float)(3 * unit(state));
        }
        set_rules(state, c->columns, &c->choice[i]);
        c->choice[i].mask = chance(state, 25) ? c->mask : NULL;
        set_filters(state, &c->choice[i]);
        set_penalty(state, c->columns, &c->choice[i], c->penalised[i]);
    }
}

/* Would the host choose this if one number were the least bit different? Probabilities on a card
 * may be two units in the last place off. */
static bool is_at_edge(const call *c, const ace_choice *choice, int32_t chosen)
{
    static const double step[] = {0, -1e-6, 1e-6};
    for (int u = 0; u < 3; u++) {
        for (int p = 0; p < 3; p++) {
            for (int m = 0; m < 3; m++) {
                ace_choice other = *choice;
                other.uniform = fmin(fmax(other.uniform + step[u], 0), 1 - 0x1p-32);
                other.top_p += step[p];
                other.min_p *= 1 + (float)step[m];
                if (choice_on_host(c->rows, c->columns, &other) == chosen) {
                    return true;
                }
            }
        }
    }
    return false;
}

static void compare(const call *c, const int32_t *chosen, int number, choice_tally *out)
{
    for (int i = 0; i < c->n; i++) {
        int32_t wanted = choice_on_host(c->rows, c->columns, &c->choice[i]);
        out->choices++;
        out->refused += wanted < 0 && chosen[i] < 0;
        if (chosen[i] == wanted) {
            continue;
        }
        if (wanted >= 0 && chosen[i] >= 0 && is_at_edge(c, &c->choice[i], chosen[i])) {
            out->at_edge++;
        } else if (out->wrong++ == 0) {
            const ace_choice *o = &c->choice[i];
            (void)snprintf(out->first_wrong, sizeof out->first_wrong,
                           "call %d, choice %d of %d among %lld (kind %d): %d and not %d; "
                           "temperature %g, top-k %lld, top-p %g, min-p %g, %s, uniform %.9f",
                           number, i, c->n, (long long)c->columns, (int)c->of[i], (int)chosen[i],
                           (int)wanted, (double)o->temperature, (long long)o->top_k, o->top_p,
                           (double)o->min_p, o->temper_last ? "last" : "first", o->uniform);
        }
    }
}

void choice_cases_run(ace_device *d, uint64_t seed, int calls, choice_tally *out)
{
    static call c;
    uint64_t state = seed;
    *out = (choice_tally){0};
    for (int k = 0; k < calls; k++) {
        int32_t chosen[MOST_CHOICES] = {0};
        memset(&c, 0, sizeof c);
        prepare(&state, &c);
        if (!choice_on_device(d, c.rows, 2 * c.n, c.columns, c.choice, c.n, chosen)) {
            out->wrong++;
            (void)snprintf(out->first_wrong, sizeof out->first_wrong, "call %d failed", k);
        } else {
            compare(&c, chosen, k, out);
        }
        free(c.rows);
    }
}
