/* Cases of choosing tokens: guided logits, and filtered distributions in the order of either
 * backend. No network takes part. */
#include "lm/sampler.h"
#include "run/probe_case.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- guidance
 * -----------------------------------------------------------------------------------------------
 */

/* The scales stand in the names of the recorded outputs only, "out.scale_2.0". */
static void guide(ace_probe *p)
{
    const ace_weight *shape = ace_probe_tensor(p, "in.cond", false);
    const ace_weight *other = ace_probe_tensor(p, "in.uncond", false);
    float *cond = ace_probe_f32(p, "in.cond", false);
    float *uncond = ace_probe_f32(p, "in.uncond", false);
    if (p->status != ACESTEP_OK || ace_probe_elements(shape) != ace_probe_elements(other)) {
        ace_probe_fail(p, ACESTEP_ARGUMENT, "in.cond and in.uncond have different sizes");
        return;
    }
    int64_t n = ace_probe_elements(shape);
    float *out = ace_probe_alloc(p, n, sizeof *out);
    for (size_t i = 0; i < ace_weights_count(p->in) && p->status == ACESTEP_OK; i++) {
        static const char prefix[] = "out.scale_";
        const char *name = ace_weights_at(p->in, i)->name;
        if (strncmp(name, prefix, sizeof prefix - 1) == 0) {
            ace_lm_guide(out, cond, uncond, n, strtod(name + sizeof prefix - 1, NULL));
            ace_probe_put(p, name, out, shape->rank, shape->dim);
        }
    }
}

/* ---- distributions
 * ----------------------------------------------------------------------------------------- */

typedef struct sampler_case {
    ace_probe *p;
    const char *name; /* "case0" */
    const json_t *parameters;
    int64_t dim[2]; /* rows, tokens */
    float *logits;  /* [rows, tokens] */
    int64_t *ids;   /* [rows, n_ids] seen before; NULL: none */
    int64_t n_ids;
    uint8_t *mark; /* [tokens] */
    int32_t *seen; /* [n_ids] */
    ace_lm_scratch scratch;
} sampler_case;

/* null, like an absent one, switches a filter off. */
static double parameter(const sampler_case *c, const char *key, double off)
{
    const json_t *v = json_object_get(c->parameters, key);
    return json_is_number(v) ? json_number_value(v) : off;
}

static void put_f32(const sampler_case *c, const char *output, const float *data)
{
    char name[96];
    (void)snprintf(name, sizeof name, "out.%s.%s", c->name, output);
    ace_probe_put(c->p, name, data, 2, c->dim);
}

/* The logits of all rows after the penalty. */
static float *penalised(sampler_case *c)
{
    int64_t n = c->dim[0] * c->dim[1];
    float *out = ace_probe_alloc(c->p, n, sizeof *out);
    if (c->p->status != ACESTEP_OK) {
        return out;
    }
    memcpy(out, c->logits, (size_t)n * sizeof *out);
    for (int64_t row = 0; row < c->dim[0] && c->ids != NULL; row++) {
        for (int64_t i = 0; i < c->n_ids; i++) {
            int64_t id = c->ids[row * c->n_ids + i];
            c->seen[i] = id >= 0 && id < c->dim[1] ? (int32_t)id : -1;
        }
        ace_lm_penalise(out + row * c->dim[1], 0, c->dim[1], c->seen, c->n_ids,
                        parameter(c, "repetition_penalty", 1), c->mark);
    }
    return out;
}

static float *distributions(sampler_case *c, const ace_lm_sampling *s, const float *logits)
{
    float *out = ace_probe_alloc(c->p, c->dim[0] * c->dim[1], sizeof *out);
    for (int64_t row = 0; row < c->dim[0] && c->p->status == ACESTEP_OK; row++) {
        int64_t at = row * c->dim[1];
        if (!ace_lm_distribution(s, logits + at, c->dim[1], out + at, &c->scratch)) {
            ace_probe_fail(c->p, ACESTEP_ARGUMENT, "row %lld of in.logits leaves no token",
                           (long long)row);
        }
    }
    return out;
}

/* What the filters keep: at temperature 0 the distribution no longer shows it. */
static void put_kept(sampler_case *c, ace_lm_sampling s, const float *logits)
{
    char name[96];
    int64_t n = c->dim[0] * c->dim[1];
    s.temperature = s.temperature > 0 ? s.temperature : 1;
    float *probability = distributions(c, &s, logits);
    int64_t *kept = ace_probe_alloc(c->p, n, sizeof *kept);
    for (int64_t i = 0; i < n && c->p->status == ACESTEP_OK; i++) {
        kept[i] = probability[i] > 0 ? 1 : 0;
    }
    (void)snprintf(name, sizeof name, "out.%s.kept", c->name);
    ace_probe_put_i64(c->p, name, kept, 2, c->dim);
}

static void run_case(sampler_case *c, ace_lm_order order)
{
    double top_k = parameter(c, "top_k", 0);
    ace_lm_sampling s = {.temperature = parameter(c, "temperature", 1),
                         .top_k = top_k >= 1 && top_k < INT32_MAX ? (int64_t)top_k : 0,
                         .top_p = parameter(c, "top_p", 1),
                         .min_p = parameter(c, "min_p", 0),
                         .order = order};
    float *logits = penalised(c);
    if (c->ids != NULL) {
        put_f32(c, "after_repetition", logits);
    }
    put_kept(c, s, logits);
    put_f32(c, "probs", distributions(c, &s, logits));
}

static bool read_inputs(sampler_case *c)
{
    ace_probe *p = c->p;
    const ace_weight *shape = ace_probe_tensor(p, "in.logits", false);
    const ace_weight *ids = ace_probe_tensor(p, "in.input_ids", true);
    c->logits = ace_probe_f32(p, "in.logits", false);
    c->ids = ace_probe_i64(p, "in.input_ids", true);
    if (p->status != ACESTEP_OK || shape->rank != 2 || shape->dim[1] > INT32_MAX ||
        (ids != NULL && (ids->rank != 2 || ids->dim[0] != shape->dim[0]))) {
        ace_probe_fail(p, ACESTEP_ARGUMENT,
                       "in.logits and in.input_ids are not [rows, tokens] and [rows, length]");
        return false;
    }
    memcpy(c->dim, shape->dim, sizeof c->dim);
    c->n_ids = ids != NULL ? ids->dim[1] : 0;
    c->mark = ace_probe_alloc(p, c->dim[1], sizeof *c->mark);
    c->seen = ace_probe_alloc(p, c->n_ids, sizeof *c->seen);
    c->scratch = (ace_lm_scratch){.value = ace_probe_alloc(p, c->dim[1], sizeof(float)),
                                  .weight = ace_probe_alloc(p, c->dim[1], sizeof(float)),
                                  .index = ace_probe_alloc(p, c->dim[1], sizeof(int32_t)),
                                  .n = c->dim[1]};
    return p->status == ACESTEP_OK;
}

void ace_probe_sampler(ace_probe *p)
{
    static const char prefix[] = "case";
    sampler_case c = {.p = p};
    const char *key = NULL;
    json_t *parameters = NULL;
    if (strcmp(p->model, "cfg") == 0) {
        guide(p);
        return;
    }
    bool vllm = strcmp(p->model, "vllm") == 0;
    if (!vllm && strcmp(p->model, "pt") != 0) {
        ace_probe_fail(p, ACESTEP_ARGUMENT, "the sampler has cases of pt, vllm and cfg");
        return;
    }
    if (!read_inputs(&c)) {
        return;
    }
    json_object_foreach (p->meta, key, parameters) {
        if (strncmp(key, prefix, sizeof prefix - 1) == 0 && json_is_object(parameters)) {
            c.name = key;
            c.parameters = parameters;
            run_case(&c, vllm ? ACE_LM_ORDER_VLLM : ACE_LM_ORDER_PT);
        }
    }
}
