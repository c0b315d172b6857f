/* Cases of the diffusion transformer: single evaluations and its time embedding. */
#include "model/dit.h"
#include "run/probe_case.h"

#include <string.h>

static void put_time(ace_probe *p, ace_stage *stage, const ace_dit *dit,
                     const ace_time_embedding *embedding, const float *sinusoids, int64_t rows,
                     const char *temb_name, const char *projection_name)
{
    int64_t hidden = dit->config.decoder.hidden;
    const int64_t dim[] = {rows, hidden};
    const int64_t six[] = {rows, ACE_DIT_MODULATIONS, hidden};
    float *temb = ace_probe_alloc(p, rows * hidden, sizeof *temb);
    float *projection = ace_probe_alloc(p, rows * ACE_DIT_MODULATIONS * hidden, sizeof *projection);
    ace_stream *s = &stage->stream;
    ace_arena_mark mark = ace_mark(s);
    ace_tensor y = ace_new(s, ACE_F32, rows, hidden);
    ace_tensor z = ace_new(s, ACE_F32, rows, ACE_DIT_MODULATIONS * hidden);
    ace_dit_time(s, dit, embedding, sinusoids, rows, y, z);
    ace_download(s, temb, y);
    ace_download(s, projection, z);
    ace_reset(s, &mark);
    ace_probe_put(p, temb_name, temb, 2, dim);
    ace_probe_put(p, projection_name, projection, 3, six);
}

static void run_time(ace_probe *p, ace_stage *stage, const ace_dit *dit)
{
    float zero[ACE_DIT_SINUSOID];
    const ace_weight *shape = ace_probe_tensor(p, "in.t", false);
    float *t = ace_probe_f32(p, "in.t", false);
    if (p->status != ACESTEP_OK) {
        return;
    }
    int64_t n = ace_probe_elements(shape);
    if (n > ACE_DIT_MAX_BATCH) {
        ace_probe_fail(p, ACESTEP_ARGUMENT, "in.t has more than %d times", ACE_DIT_MAX_BATCH);
        return;
    }
    const int64_t dim[] = {n, ACE_DIT_SINUSOID};
    float *sinusoid = ace_probe_alloc(p, n * ACE_DIT_SINUSOID, sizeof *sinusoid);
    for (int64_t i = 0; i < n && p->status == ACESTEP_OK; i++) {
        ace_dit_sinusoid((double)t[i], sinusoid + i * ACE_DIT_SINUSOID);
    }
    ace_dit_sinusoid(0, zero);
    ace_probe_put(p, "out.sinusoid", sinusoid, 2, dim);
    put_time(p, stage, dit, &dit->time, sinusoid, n, "out.temb", "out.timestep_proj");
    put_time(p, stage, dit, &dit->time_r, zero, 1, "out.temb_r_zero", "out.timestep_proj_r_zero");
}

static void run_velocity(ace_probe *p, ace_stage *stage, const ace_dit *dit)
{
    const ace_weight *x_shape = ace_probe_tensor(p, "in.hidden_states", false);
    const ace_weight *c_shape = ace_probe_tensor(p, "in.encoder_hidden_states", false);
    float *x = ace_probe_f32(p, "in.hidden_states", false);
    float *context = ace_probe_f32(p, "in.context_latents", false);
    float *condition = ace_probe_f32(p, "in.encoder_hidden_states", false);
    float *t = ace_probe_f32(p, "in.timestep", false);
    float *t_r = ace_probe_f32(p, "in.timestep_r", true);
    if (p->status != ACESTEP_OK) {
        return;
    }
    if (x_shape->rank != 3 || c_shape->rank != 3 || x_shape->dim[0] > ACE_DIT_MAX_BATCH ||
        x_shape->dim[2] != dit->config.latent_channels ||
        c_shape->dim[2] != dit->config.encoder.hidden) {
        ace_probe_fail(p, ACESTEP_ARGUMENT, "the inputs do not fit the model");
        return;
    }
    const float *conditions[ACE_DIT_MAX_CONDITIONS];
    int64_t lengths[ACE_DIT_MAX_CONDITIONS];
    int32_t of[ACE_DIT_MAX_BATCH];
    int64_t batch = x_shape->dim[0];
    for (int64_t b = 0; b < batch; b++) { /* masks have no effect in the original */
        conditions[b] = condition + b * c_shape->dim[1] * c_shape->dim[2];
        lengths[b] = c_shape->dim[1];
        of[b] = (int32_t)b;
    }
    ace_dit_inputs in = {
        .batch = batch,
        .frames = x_shape->dim[1],
        .context = context,
        .n_conditions = (int)batch,
        .condition = conditions,
        .condition_length = lengths,
        .condition_of = of,
    };
    ace_dit_session *session = ace_probe_alloc(p, 1, sizeof *session);
    float *v = ace_probe_alloc(p, ace_probe_elements(x_shape), sizeof *v);
    if (p->status == ACESTEP_OK) {
        ace_dit_begin(&stage->stream, dit, &in, session);
        ace_dit_velocity(session, x, t, t_r != NULL ? t_r : t, false, v);
        ace_probe_put(p, "out.velocity", v, 3, x_shape->dim);
    }
}

void ace_probe_dit(ace_probe *p)
{
    const ace_models *m = &p->workshop->models;
    ace_dit *dit = ace_probe_alloc(p, 1, sizeof *dit);
    ace_stage stage;
    if (!ace_probe_begin(p, &stage, m->dit)) {
        return;
    }
    ace_dit_load(&stage.loader, &m->dit_config, dit);
    dit->observer = (ace_observer){ace_probe_observe, p};
    if (ace_stage_load_end(&stage) == ACESTEP_OK) {
        if (ace_probe_tensor(p, "in.t", true) != NULL) {
            run_time(p, &stage, dit);
        } else {
            run_velocity(p, &stage, dit);
        }
    }
    ace_probe_end(p, &stage);
}
