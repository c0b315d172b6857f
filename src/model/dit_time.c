#include "model/dit.h"

#include "base/memory.h"

#include <math.h>

void ace_dit_sinusoid(double t, float *out)
{
    /* Timesteps.get_timestep_embedding with flip_sin_to_cos; arguments reach 1000 rad, so in f64 */
    const int half = ACE_DIT_SINUSOID / 2;
    for (int i = 0; i < half; i++) {
        double angle = 1000.0 * t * exp(-log(10000.0) * i / half);
        out[i] = (float)cos(angle);
        out[half + i] = (float)sin(angle);
    }
}

void ace_dit_time(ace_stream *s, const ace_dit *m, const ace_time_embedding *e,
                  const float *sinusoids, int64_t rows, ace_tensor temb, ace_tensor projection)
{
    ace_arena_mark mark = ace_mark(s);
    ace_tensor in = ace_new_from(s, ACE_F32, rows, ACE_DIT_SINUSOID, sinusoids);
    ace_tensor hidden = ace_new(s, ACE_F32, rows, m->config.decoder.hidden);
    ace_epilogue bias_1 = {.bias = e->bias_1};
    ace_epilogue bias_2 = {.bias = e->bias_2};
    ace_epilogue projection_bias = {.bias = e->projection_bias};
    ace_linear(s, hidden, in, &e->linear_1, &bias_1);
    ace_silu(s, hidden, hidden);
    ace_linear(s, temb, hidden, &e->linear_2, &bias_2);
    ace_silu(s, hidden, temb);
    ace_linear(s, projection, hidden, &e->projection, &projection_bias);
    ace_reset(s, &mark);
}
