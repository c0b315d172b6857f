/* Cases of the whole generate call, and of guidance alone. As in the original, a batch of unequal
 * prompts hears the padding of its shorter ones. */
#include "model/dit.h"
#include "model/fsq.h"
#include "run/probe_case.h"

#include <string.h>

typedef struct sample_run {
    ace_probe *p;
    ace_stage stage;
    ace_dit *dit;
    ace_arena_mark loaded;
    int64_t batch, frames, channels;
    int64_t length[2];      /* condition tokens, main and after the switch */
    float *states[2];       /* [batch, length, hidden] */
    float *context[2];      /* [batch, frames, 2·channels] */
    const float *sde_noise; /* [steps, batch, frames, channels], or NULL */
    int64_t sde_steps;
    ace_dit_session *session;
    int begun;
    bool guided;
    float *t, *traj_x, *traj_v; /* of all evaluations */
    int64_t rows;               /* of a trajectory entry: batch, or twice that with guidance */
    int calls;
} sample_run;

enum { MOST_EVALUATIONS = 256 };

/* ---- before the loop
 * --------------------------------------------------------------------------------------- */

/* What a cover hears: the codes of the source, decoded. [frames, channels] of one item, in place.
 */
static void through_codes(sample_run *r, float *latents)
{
    ace_probe *p = r->p;
    const ace_models *m = &p->workshop->models;
    int64_t window = m->dit_config.pool_window;
    int64_t groups = (r->frames + window - 1) / window;
    int64_t known = r->frames * r->channels;
    int64_t all = groups * window * r->channels;
    ace_fsq_tokenizer *tokenizer = ace_probe_alloc(p, 1, sizeof *tokenizer);
    ace_fsq_detokenizer *detokenizer = ace_probe_alloc(p, 1, sizeof *detokenizer);
    float *padded = ace_probe_alloc(p, all, sizeof *padded);
    int32_t *codes = ace_probe_alloc(p, groups, sizeof *codes);
    ace_stage stage;
    if (!ace_probe_begin(p, &stage, m->dit)) {
        return;
    }
    memcpy(padded, latents, (size_t)known * sizeof *padded);
    memcpy(padded + known, m->silence, (size_t)(all - known) * sizeof *padded);
    ace_fsq_tokenizer_load(&stage.loader, &m->dit_config, tokenizer);
    ace_fsq_detokenizer_load(&stage.loader, &m->dit_config, detokenizer);
    if (ace_stage_load_end(&stage) == ACESTEP_OK) {
        ace_fsq_encoding out = {.codes = codes};
        ace_fsq_encode(&stage.stream, tokenizer, padded, groups, &out);
        ace_fsq_decode(&stage.stream, detokenizer, codes, groups, NULL, padded);
        memcpy(latents, padded, (size_t)known * sizeof *latents);
    }
    ace_probe_end(p, &stage);
}

static void write_context(const sample_run *r, const float *latents, const float *mask, float *out)
{
    for (int64_t t = 0; t < r->frames; t++) {
        memcpy(out, latents + t * r->channels, (size_t)r->channels * sizeof *out);
        memcpy(out + r->channels, mask + t * r->channels, (size_t)r->channels * sizeof *out);
        out += 2 * r->channels;
    }
}

static void make_contexts(sample_run *r)
{
    ace_probe *p = r->p;
    int64_t item = r->frames * r->channels;
    float *source = ace_probe_f32(p, "in.src_latents", false);
    float *mask = ace_probe_f32(p, "in.chunk_masks", false);
    float *hints = ace_probe_f32(p, "in.precomputed_lm_hints_25Hz", true);
    int64_t *covers = ace_probe_i64(p, "in.is_covers", false);
    float *latents = ace_probe_alloc(p, item, sizeof *latents);
    for (int k = 0; k < 2; k++) {
        r->context[k] = ace_probe_alloc(p, r->batch * 2 * item, sizeof(float));
    }
    for (int64_t b = 0; b < r->batch && p->status == ACESTEP_OK; b++) {
        memcpy(latents, source + b * item, (size_t)item * sizeof *latents);
        if (covers[b] != 0 && hints != NULL) {
            memcpy(latents, hints + b * item, (size_t)item * sizeof *latents);
        } else if (covers[b] != 0) {
            through_codes(r, latents);
        }
        write_context(r, latents, mask + b * item, r->context[0] + b * 2 * item);
        write_context(r, p->workshop->models.silence, mask + b * item,
                      r->context[1] + b * 2 * item);
    }
}

/* Model defaults of the original's generate functions where the case says nothing. */
static ace_sampling read_sampling(sample_run *r)
{
    ace_probe *p = r->p;
    ace_sampling s;
    bool turbo = p->workshop->models.dit_config.turbo;
    ace_sampling_defaults(turbo, &s);
    s.steps = turbo ? 8 : (int)ace_probe_number(p, "infer_steps", 30);
    s.shift = ace_probe_number(p, "shift", turbo ? 3 : 1);
    s.method =
        strcmp(ace_probe_text(p, "infer_method"), "sde") == 0 ? ACE_METHOD_SDE : ACE_METHOD_EULER;
    s.guidance_scale = turbo ? 1 : ace_probe_number(p, "diffusion_guidance_sale", 7);
    s.guidance =
        json_is_true(json_object_get(p->meta, "use_adg")) ? ACE_GUIDANCE_ADG : ACE_GUIDANCE_APG;
    s.cfg_interval_start = ace_probe_number(p, "cfg_interval_start", 0);
    s.cfg_interval_end = ace_probe_number(p, "cfg_interval_end", 1);
    s.cover_strength = ace_probe_number(p, "audio_cover_strength", 1);
    s.cover_noise_strength = ace_probe_number(p, "cover_noise_strength", 0);
    s.always_evaluate_null = true;
    json_t *list = json_object_get(p->meta, "timesteps");
    size_t n = json_array_size(list);
    if (n > 0) {
        double *timesteps = ace_probe_alloc(p, (int64_t)n, sizeof *timesteps);
        for (size_t i = 0; i < n && p->status == ACESTEP_OK; i++) {
            timesteps[i] = json_number_value(json_array_get(list, i));
        }
        s.timesteps = timesteps;
        s.n_timesteps = (int)n;
    }
    r->guided = !turbo && s.guidance_scale > 1;
    return s;
}

/* ---- the loop
 * ---------------------------------------------------------------------------------------------- */

static void begin_session(sample_run *r, int condition)
{
    const float *states[ACE_DIT_MAX_CONDITIONS];
    int64_t lengths[ACE_DIT_MAX_CONDITIONS];
    int32_t of[ACE_DIT_MAX_BATCH];
    int64_t hidden = r->p->workshop->models.dit_config.encoder.hidden;
    for (int64_t b = 0; b < r->batch; b++) {
        states[b] = r->states[condition] + b * r->length[condition] * hidden;
        lengths[b] = r->length[condition];
        of[b] = (int32_t)b;
    }
    ace_dit_inputs in = {
        .batch = r->batch,
        .frames = r->frames,
        .context = r->context[condition],
        .n_conditions = (int)r->batch,
        .condition = states,
        .condition_length = lengths,
        .condition_of = of,
        .guided = r->guided,
    };
    ace_reset(&r->stage.stream, &r->loaded);
    ace_dit_begin(&r->stage.stream, r->dit, &in, r->session);
    r->begun = condition;
}

static ace_status velocity(void *context, const float *x, float t, int condition, bool guided,
                           float *v_cond, float *v_null)
{
    sample_run *r = context;
    float times[ACE_DIT_MAX_BATCH];
    for (int64_t b = 0; b < r->batch; b++) {
        times[b] = t;
    }
    if (r->begun != condition) {
        begin_session(r, condition);
    }
    ace_dit_velocity(r->session, x, times, times, false, v_cond);
    if (guided) {
        ace_dit_velocity(r->session, x, times, times, true, v_null);
    }
    return r->stage.stream.status;
}

static ace_status step_noise(void *context, int64_t item, int step, float *out)
{
    const sample_run *r = context;
    int64_t n = r->frames * r->channels;
    if (r->sde_noise == NULL || step >= r->sde_steps) {
        ace_probe_fail(r->p, ACESTEP_ARGUMENT, "in.sde_noise has no step %d", step);
        return ACESTEP_ARGUMENT;
    }
    memcpy(out, r->sde_noise + (step * r->batch + item) * n, (size_t)n * sizeof *out);
    return ACESTEP_OK;
}

static void keep_evaluation(void *context, const ace_evaluation *e)
{
    sample_run *r = context;
    int64_t n = r->batch * r->frames * r->channels;
    int64_t at = r->calls * r->rows * r->frames * r->channels;
    if (r->calls == MOST_EVALUATIONS) {
        ace_probe_fail(r->p, ACESTEP_ARGUMENT, "more than %d evaluations", MOST_EVALUATIONS);
        return;
    }
    r->t[r->calls++] = e->t;
    memcpy(r->traj_x + at, e->x, (size_t)n * sizeof(float));
    memcpy(r->traj_v + at, e->v_cond, (size_t)n * sizeof(float));
    if (r->rows > r->batch) { /* recorded as one batch of twice the size */
        memcpy(r->traj_x + at + n, e->x, (size_t)n * sizeof(float));
        if (e->v_null != NULL) {
            memcpy(r->traj_v + at + n, e->v_null, (size_t)n * sizeof(float));
        }
    }
}

static void run_solver(sample_run *r, const ace_sampling *sampling)
{
    ace_probe *p = r->p;
    int64_t n = r->batch * r->frames * r->channels;
    bool computes = p->runner->device->computes;
    float *noise = ace_probe_f32(p, "in.noise", false);
    float *source = ace_probe_f32(p, "in.src_latents", false);
    float *latents = ace_probe_alloc(p, n, sizeof *latents);
    ace_solver_io io = {
        .items = r->batch,
        .frames = r->frames,
        .channels = r->channels,
        .noise = computes ? noise : NULL,
        .source = sampling->cover_noise_strength > 0 ? source : NULL,
        .latents = latents,
        .velocity = velocity,
        .step_noise = step_noise,
        .trace = computes ? keep_evaluation : NULL,
        .context = r,
    };
    if (p->status != ACESTEP_OK) {
        return;
    }
    ace_status status = ace_solver_run(sampling, &io, p->err);
    if (status != ACESTEP_OK) {
        p->status = p->status != ACESTEP_OK ? p->status : status;
        return;
    }
    const int64_t calls[] = {r->calls};
    const int64_t dim[] = {r->batch, r->frames, r->channels};
    const int64_t trajectory[] = {r->calls, r->rows, r->frames, r->channels};
    const int64_t context[] = {r->batch, r->frames, 2 * r->channels};
    const int64_t states[] = {r->batch, r->length[0],
                              p->workshop->models.dit_config.encoder.hidden};
    ace_probe_put(p, "out.target_latents", latents, 3, dim);
    ace_probe_put(p, "out.timesteps", r->t, 1, calls);
    ace_probe_put(p, "out.traj_x", r->traj_x, 4, trajectory);
    ace_probe_put(p, "out.traj_v", r->traj_v, 4, trajectory);
    ace_probe_put(p, "out.context_latents", r->context[0], 3, context);
    ace_probe_put(p, "out.encoder_hidden_states", r->states[0], 3, states);
}

static bool read_shape(sample_run *r)
{
    ace_probe *p = r->p;
    const ace_weight *noise = ace_probe_tensor(p, "in.noise", false);
    const ace_weight *sde = ace_probe_tensor(p, "in.sde_noise", true);
    if (p->status != ACESTEP_OK || noise->rank != 3 || noise->dim[0] > ACE_DIT_MAX_BATCH ||
        noise->dim[2] != p->workshop->models.dit_config.latent_channels ||
        noise->dim[1] > p->workshop->models.silence_frames) {
        ace_probe_fail(p, ACESTEP_ARGUMENT, "in.noise does not fit the model");
        return false;
    }
    r->batch = noise->dim[0];
    r->frames = noise->dim[1];
    r->channels = noise->dim[2];
    r->sde_noise = ace_probe_f32(p, "in.sde_noise", true);
    r->sde_steps = sde != NULL && sde->rank == 4 ? sde->dim[0] : 0;
    return true;
}

void ace_probe_sample(ace_probe *p)
{
    const ace_models *m = &p->workshop->models;
    sample_run *r = ace_probe_alloc(p, 1, sizeof *r);
    int64_t *mask = NULL;
    r->p = p;
    r->begun = -1;
    if (p->status != ACESTEP_OK || !read_shape(r)) {
        return;
    }
    ace_sampling sampling = read_sampling(r);
    r->rows = r->guided ? 2 * r->batch : r->batch;
    int64_t per_call = r->rows * r->frames * r->channels;
    r->t = ace_probe_alloc(p, MOST_EVALUATIONS, sizeof *r->t);
    r->traj_x = ace_probe_alloc(p, MOST_EVALUATIONS * per_call, sizeof *r->traj_x);
    r->traj_v = ace_probe_alloc(p, MOST_EVALUATIONS * per_call, sizeof *r->traj_v);
    r->dit = ace_probe_alloc(p, 1, sizeof *r->dit);
    r->session = ace_probe_alloc(p, 1, sizeof *r->session);
    ace_probe_encode_condition(p, "", &r->states[0], &mask, &r->length[0], false);
    if (ace_probe_tensor(p, "in.non_cover_text_hidden_states", true) != NULL) {
        ace_probe_encode_condition(p, "non_cover_", &r->states[1], &mask, &r->length[1], false);
    } else {
        r->states[1] = r->states[0];
        r->length[1] = r->length[0];
    }
    make_contexts(r);
    if (!ace_probe_begin(p, &r->stage, m->dit)) {
        return;
    }
    ace_dit_load(&r->stage.loader, &m->dit_config, r->dit);
    if (ace_stage_load_end(&r->stage) == ACESTEP_OK) {
        r->loaded = ace_mark(&r->stage.stream);
        run_solver(r, &sampling);
    }
    ace_probe_end(p, &r->stage);
}

/* ---- guidance
 * ---------------------------------------------------------------------------------------------- */

typedef struct guidance_case {
    ace_probe *p;
    int64_t items, frames, channels;
} guidance_case;

static void guide_apg(const guidance_case *c, ace_apg *state, const char *cond, const char *null,
                      double scale, const char *out)
{
    const int64_t dim[] = {c->items, c->frames, c->channels};
    int64_t n = c->frames * c->channels;
    float *v = ace_probe_f32(c->p, cond, false);
    float *v_null = ace_probe_f32(c->p, null, false);
    for (int64_t i = 0; i < c->items && c->p->status == ACESTEP_OK; i++) {
        ace_apg_guide(state, i, scale, v_null + i * n, v + i * n);
    }
    if (c->p->status == ACESTEP_OK) {
        ace_probe_put(c->p, out, v, 3, dim);
    }
}

static void guide_adg(const guidance_case *c, const char *cond, const char *null, float t,
                      const char *out)
{
    const int64_t dim[] = {1, c->frames, c->channels};
    float *x = ace_probe_f32(c->p, "in.latents", false);
    float *v = ace_probe_f32(c->p, cond, false);
    float *v_null = ace_probe_f32(c->p, null, false);
    if (c->p->status == ACESTEP_OK) { /* the original's only works for one item */
        ace_adg_guide(c->frames, c->channels, 5.0, t, x, v_null, v);
        ace_probe_put(c->p, out, v, 3, dim);
    }
}

void ace_probe_guidance(ace_probe *p)
{
    static const char *const steps[][4] = {
        {"in.cond1", "in.uncond1", "out.apg_step1", "out.momentum_after_step1"},
        {"in.cond2", "in.uncond2", "out.apg_step2", "out.momentum_after_step2"},
        {"in.cond2", "in.uncond3", "out.apg_step3_small_diff", "out.momentum_after_step3"},
    };
    const ace_weight *shape = ace_probe_tensor(p, "in.cond1", false);
    if (p->status != ACESTEP_OK || shape->rank != 3) {
        ace_probe_fail(p, ACESTEP_ARGUMENT, "in.cond1 is not [items, frames, channels]");
        return;
    }
    guidance_case c = {p, shape->dim[0], shape->dim[1], shape->dim[2]};
    ace_apg state;
    p->status = ace_apg_create(c.items, c.frames, c.channels, &state, p->err);
    for (int i = 0; i < 3 && p->status == ACESTEP_OK; i++) {
        guide_apg(&c, &state, steps[i][0], steps[i][1], 7.0, steps[i][2]);
        ace_probe_put(p, steps[i][3], state.momentum, 3, shape->dim);
    }
    ace_apg_free(&state);
    if (p->status == ACESTEP_OK) {
        p->status = ace_apg_create(c.items, c.frames, c.channels, &state, p->err);
    }
    if (p->status == ACESTEP_OK) {
        guide_apg(&c, &state, "in.cond2", "in.uncond3", 3.0, "out.apg_nomomentum_g3_small");
        ace_apg_free(&state);
        guide_adg(&c, "in.cond1", "in.uncond1", 0.5f, "out.adg_t05_g5");
        guide_adg(&c, "in.cond2", "in.uncond3", 0.9f, "out.adg_t09_g5_close");
    }
}
