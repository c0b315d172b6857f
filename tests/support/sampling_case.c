#include "support/sampling_case.h"

#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
/* cmocka wants the headers above first */
#include <setjmp.h>

#include <cmocka.h>

static double number(const golden *g, const char *key, double otherwise)
{
    json_t *v = json_object_get(json_object_get(g->entry, "meta"), key);
    return v == NULL ? otherwise : json_number_value(v);
}

static void read_settings(sampling_case *c)
{
    ace_sampling *s = &c->sampling;
    json_t *meta = json_object_get(c->g.entry, "meta");
    json_t *timesteps = json_object_get(meta, "timesteps");
    const char *method = json_string_value(json_object_get(meta, "infer_method"));
    ace_sampling_defaults(strncmp(c->g.name, "sample_turbo", 12) == 0, s);
    s->always_evaluate_null = true;
    s->shift = number(&c->g, "shift", s->shift);
    s->steps = (int)number(&c->g, "infer_steps", s->steps);
    /* the original's spelling */
    s->guidance_scale = number(&c->g, "diffusion_guidance_sale", s->guidance_scale);
    s->cfg_interval_start = number(&c->g, "cfg_interval_start", s->cfg_interval_start);
    s->cfg_interval_end = number(&c->g, "cfg_interval_end", s->cfg_interval_end);
    s->cover_strength = number(&c->g, "audio_cover_strength", s->cover_strength);
    s->cover_noise_strength = number(&c->g, "cover_noise_strength", s->cover_noise_strength);
    if (method != NULL && strcmp(method, "sde") == 0) {
        s->method = ACE_METHOD_SDE;
    }
    if (json_is_true(json_object_get(meta, "use_adg"))) {
        s->guidance = ACE_GUIDANCE_ADG;
    }
    if (timesteps != NULL) {
        s->n_timesteps = (int)json_array_size(timesteps);
        s->timesteps = c->timesteps;
        assert_true(s->n_timesteps <= 32);
        for (int i = 0; i < s->n_timesteps; i++) {
            c->timesteps[i] = json_number_value(json_array_get(timesteps, (size_t)i));
        }
    }
}

void sampling_case_open(const char *name, sampling_case *c)
{
    *c = (sampling_case){.g = golden_open(name)};
    const ace_weight *noise = golden_tensor(&c->g, "in.noise");
    read_settings(c);
    c->items = noise->dim[0];
    c->frames = noise->dim[1];
    c->channels = noise->dim[2];
    c->noise = golden_f32(&c->g, "in.noise");
    c->source = golden_f32(&c->g, "in.src_latents");
    if (ace_weights_find(c->g.weights, "in.sde_noise") != NULL) {
        c->step_noise = golden_f32(&c->g, "in.sde_noise");
    }
    c->has_trajectory = ace_weights_find(c->g.weights, "out.traj_v") != NULL;
    c->rows = c->items;
    if (c->has_trajectory) {
        c->rows = golden_tensor(&c->g, "out.traj_v")->dim[1];
    }
}

void sampling_case_close(sampling_case *c)
{
    free(c->noise);
    free(c->source);
    free(c->step_noise);
    golden_close(&c->g);
}
