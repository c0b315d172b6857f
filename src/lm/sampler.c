#include "lm/sampler.h"

#include "base/memory.h"

#include <math.h>
#include <string.h>

/* ---- before the filters
 * -------------------------------------------------------------------------------------------- */

void ace_lm_guide(float *out, const float *cond, const float *uncond, int64_t n, double scale)
{
    float s = (float)scale;
    for (int64_t i = 0; i < n; i++) {
        /* a forbidden token stays so: -inf - -inf would be NaN, finite - -inf a certain winner */
        bool forbidden = cond[i] == -INFINITY || uncond[i] == -INFINITY;
        out[i] = forbidden ? -INFINITY : uncond[i] + s * (cond[i] - uncond[i]);
    }
}

void ace_lm_penalise(float *logits, int64_t first, int64_t n, const int32_t *seen, int64_t n_seen,
                     double penalty, uint8_t *mark)
{
    float r = (float)penalty;
    if (!(r > 0.0f) || r == 1.0f) {
        return;
    }
    for (int64_t i = 0; i < n_seen; i++) {
        int64_t at = (int64_t)seen[i] - first;
        if (at >= 0 && at < n && mark[at] == 0) {
            mark[at] = 1;
            logits[at] = logits[at] > 0.0f ? logits[at] / r : logits[at] * r;
        }
    }
    for (int64_t i = 0; i < n_seen; i++) {
        int64_t at = (int64_t)seen[i] - first;
        if (at >= 0 && at < n) {
            mark[at] = 0;
        }
    }
}

bool ace_lm_scratch_create(int64_t n, ace_lm_scratch *out)
{
    *out = (ace_lm_scratch){.n = n};
    if (n <= 0) {
        return n == 0;
    }
    out->value = ace_malloc_array((size_t)n, sizeof *out->value);
    out->weight = ace_malloc_array((size_t)n, sizeof *out->weight);
    out->index = ace_malloc_array((size_t)n, sizeof *out->index);
    if (out->value == NULL || out->weight == NULL || out->index == NULL) {
        ace_lm_scratch_free(out);
        return false;
    }
    return true;
}

void ace_lm_scratch_free(ace_lm_scratch *s)
{
    ace_free(s->value);
    ace_free(s->weight);
    ace_free(s->index);
    *s = (ace_lm_scratch){0};
}

/* ---- selection
 * ----------------------------------------------------------------------------------------------
 */

/* Tokens still in the running, in the order of their indices. */
typedef struct candidates {
    float *value;  /* [n] logits */
    float *weight; /* [n] exp of their distance to the largest, over a temperature */
    int32_t *index;
    int64_t n;
    float largest;
} candidates;

/* A whole number that is larger the larger the float is. No zero is negative here. */
static inline uint32_t key_of(float value)
{
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    return (bits & 0x80000000u) != 0 ? ~bits : bits | 0x80000000u;
}

/* Where a descending list of tokens is cut: at a value, of which only some tokens may stay. */
typedef struct cut {
    uint32_t key;
    double before; /* mass of all larger values */
} cut;

enum { DIGIT_BITS = 11, DIGITS = 1 << DIGIT_BITS };

/* The digit in which the mass from above first reaches the target (passes it, when `beyond`), or
 * the lowest one with any mass; *before grows by the mass above that digit. */
static uint32_t cut_digit(const double mass[DIGITS], double target, bool beyond, double *before)
{
    uint32_t found = DIGITS - 1;
    double above = *before;
    double sum = *before;
    for (uint32_t d = DIGITS; d-- > 0;) {
        if (mass[d] > 0) {
            found = d;
            above = sum;
            sum += mass[d];
            if (beyond ? sum > target : sum >= target) {
                break;
            }
        }
    }
    *before = above;
    return found;
}

/* Finds the value at which the mass of a descending list reaches or passes the target, one digit of
 * the keys after the other: linear in n. weight NULL: every token counts 1. */
static cut find_cut(const candidates *c, const float *weight, double target, bool beyond)
{
    static const unsigned shift[] = {21, 10, 0};
    static const uint32_t known[] = {0, 0xffe00000u, 0xfffffc00u};
    static const uint32_t digit[] = {DIGITS - 1, DIGITS - 1, DIGITS / 2 - 1};
    double mass[DIGITS];
    cut out = {0};
    for (int pass = 0; pass < 3; pass++) {
        memset(mass, 0, sizeof mass);
        for (int64_t i = 0; i < c->n; i++) {
            uint32_t key = key_of(c->value[i]);
            if ((key & known[pass]) == out.key) {
                mass[key >> shift[pass] & digit[pass]] += weight != NULL ? (double)weight[i] : 1.0;
            }
        }
        out.key |= cut_digit(mass, target, beyond, &out.before) << shift[pass];
    }
    return out;
}

/* Keeps what is above the cut, and of the tokens at it those from number `first` to `last`. */
static void keep_above(candidates *c, uint32_t key, int64_t first, int64_t last)
{
    int64_t kept = 0;
    int64_t equals = 0;
    for (int64_t i = 0; i < c->n; i++) {
        uint32_t own = key_of(c->value[i]);
        bool keep = own > key;
        if (own == key) {
            keep = equals >= first && equals < last;
            equals++;
        }
        c->value[kept] = c->value[i];
        c->weight[kept] = c->weight[i];
        c->index[kept] = c->index[i];
        kept += keep ? 1 : 0;
    }
    c->n = kept;
}

/* ---- the filters
 * --------------------------------------------------------------------------------------------
 */

/* Everything but -inf. False when that is nothing, or when a logit is NaN or +inf. */
static bool gather(const float *logits, int64_t n, const ace_lm_scratch *s, candidates *out)
{
    *out = (candidates){s->value, s->weight, s->index, 0, -INFINITY};
    bool broken = false;
    for (int64_t i = 0; i < n; i++) {
        float z = logits[i] + 0.0f; /* -0 becomes 0: they are equal, and so must their keys be */
        broken |= isnan(z) || z == INFINITY;
        out->value[out->n] = z;
        out->index[out->n] = (int32_t)i;
        out->n += z > -INFINITY ? 1 : 0;
        out->largest = z > out->largest ? z : out->largest;
    }
    return out->n > 0 && !broken;
}

/* Unnormalised probabilities; the largest is 1. Returns their sum. */
static double weigh(candidates *c, float temperature)
{
    double sum = 0;
    for (int64_t i = 0; i < c->n; i++) {
        c->weight[i] = expf((c->value[i] - c->largest) / temperature);
        sum += (double)c->weight[i];
    }
    return sum;
}

static double sum_weights(const candidates *c)
{
    double sum = 0;
    for (int64_t i = 0; i < c->n; i++) {
        sum += (double)c->weight[i];
    }
    return sum;
}

static void filter_top_k(candidates *c, int64_t k)
{
    if (k > 0 && k < c->n) {
        cut at = find_cut(c, NULL, (double)k, false);
        keep_above(c, at.key, 0, INT64_MAX);
    }
}

/* Both backends keep the head of a descending list: tokens before which there is less than p of the
 * mass (vllm: what lies at or after such a token is more than 1 - p), or no more than p (PyTorch).
 * Sorts are stable, so of equal tokens the one that sorts ascending loses the first ones and the
 * other the last ones. The head has one token at least. */
static void filter_top_p(candidates *c, double p, double sum, ace_lm_order order)
{
    if (!(p < 1.0)) {
        return;
    }
    bool beyond = order == ACE_LM_ORDER_PT;
    double target = p > 0 ? p * sum : 0;
    cut at = find_cut(c, c->weight, target, beyond);
    int64_t equals = 0;
    double weight = 0;
    for (int64_t i = 0; i < c->n; i++) {
        if (key_of(c->value[i]) == at.key) {
            equals++;
            weight = (double)c->weight[i];
        }
    }
    int64_t stay = 1;
    double before = at.before + weight;
    while (stay < equals && (beyond ? before <= target : before < target)) {
        stay++;
        before += weight;
    }
    if (beyond) {
        keep_above(c, at.key, 0, stay);
    } else {
        keep_above(c, at.key, equals - stay, equals);
    }
}

/* Relative to the largest probability, whose weight is 1. */
static void filter_min_p(candidates *c, double share)
{
    float least = (float)(share < 1.0 ? share : 1.0);
    if (!(least > 0.0f)) {
        return;
    }
    int64_t kept = 0;
    for (int64_t i = 0; i < c->n; i++) {
        if (c->weight[i] >= least) {
            c->value[kept] = c->value[i];
            c->weight[kept] = c->weight[i];
            c->index[kept] = c->index[i];
            kept++;
        }
    }
    c->n = kept;
}

/* The first of the largest, alone. */
static void filter_greedy(candidates *c)
{
    for (int64_t i = 0; i < c->n; i++) {
        if (c->value[i] == c->largest) {
            c->index[0] = c->index[i];
            break;
        }
    }
    c->value[0] = c->largest;
    c->weight[0] = 1.0f;
    c->n = 1;
}

/* The tokens left after all filters, with their weights. Values are never divided by the
 * temperature: it changes no order. */
static bool filter(const ace_lm_sampling *s, const float *logits, int64_t n,
                   const ace_lm_scratch *scratch, candidates *c)
{
    float temperature = (float)s->temperature;
    if (n <= 0 || n > scratch->n || !gather(logits, n, scratch, c)) {
        return false;
    }
    if (!(temperature > 0.0f)) {
        filter_greedy(c);
        return true;
    }
    filter_top_k(c, s->top_k);
    double sum = weigh(c, s->order == ACE_LM_ORDER_PT ? 1.0f : temperature);
    filter_top_p(c, s->top_p, sum, s->order);
    if (s->order == ACE_LM_ORDER_PT && temperature != 1.0f) {
        (void)weigh(c, temperature);
    }
    filter_min_p(c, s->min_p);
    return true;
}

bool ace_lm_distribution(const ace_lm_sampling *s, const float *logits, int64_t n,
                         float *probability, ace_lm_scratch *scratch)
{
    candidates c;
    if (!filter(s, logits, n, scratch, &c)) {
        return false;
    }
    double sum = sum_weights(&c);
    memset(probability, 0, (size_t)n * sizeof *probability);
    for (int64_t i = 0; i < c.n; i++) {
        probability[c.index[i]] = (float)((double)c.weight[i] / sum);
    }
    return true;
}

int64_t ace_lm_sample(const ace_lm_sampling *s, const float *logits, int64_t n, double uniform,
                      ace_lm_scratch *scratch)
{
    candidates c;
    if (!filter(s, logits, n, scratch, &c)) {
        return -1;
    }
    double target = uniform * sum_weights(&c);
    double sum = 0;
    int64_t chosen = -1;
    for (int64_t i = 0; i < c.n; i++) {
        if (c.weight[i] > 0.0f) { /* one at least is 1 */
            chosen = c.index[i];
            sum += (double)c.weight[i];
            if (sum > target) {
                break;
            }
        }
    }
    return chosen;
}
