#include "model/fsq.h"

#include <math.h>

int32_t ace_fsq_quantise(const ace_dit_config *c, const float *z, float *values)
{
    int32_t code = 0;
    int32_t basis = 1;
    for (int i = 0; i < c->n_fsq_levels; i++) {
        double levels = c->fsq_levels[i];
        double soft = 1.0 + 1.0 / (levels - 1.0);
        double v = soft * tanh((double)z[i] / soft);
        v = v < -1.0 ? -1.0 : v > 1.0 ? 1.0 : v;
        double digit = floor((levels - 1.0) * (v + 1.0) / 2.0 + 0.5);
        values[i] = (float)(2.0 * digit / (levels - 1.0) - 1.0);
        code += (int32_t)digit * basis;
        basis *= c->fsq_levels[i];
    }
    return code;
}

void ace_fsq_values(const ace_dit_config *c, int32_t code, float *values)
{
    for (int i = 0; i < c->n_fsq_levels; i++) {
        int32_t levels = c->fsq_levels[i];
        int32_t digit = code % levels;
        code /= levels;
        values[i] = (float)(2.0 * (double)digit / (double)(levels - 1) - 1.0);
    }
}
