/* Keys for a cache of 8 bits. A key is rounded against the largest of its numbers, so channels that
 * are always small would keep few bits. How large they are is the weight of the norm of keys; what
 * a channel's keys are divided by, its queries can be multiplied by (SmoothQuant, Xiao et al. 2023,
 * does so between a norm and a product). The two channels that a rotation mixes share the factor, a
 * power of two: scores are the same to the bit, but for the rounding of keys. */
#include "model/language_pass.h"

#include <math.h>

void ace_lm_balance(float *q, float *k, int64_t head_dim)
{
    int64_t half = head_dim / 2;
    for (int64_t i = 0; i < half; i++) {
        float size = hypotf(k[i], k[half + i]);
        int exponent = 0;
        if (isfinite(size) && size > 0) {
            (void)frexpf(size, &exponent);
        }
        for (int64_t c = i; c < head_dim; c += half) {
            k[c] = ldexpf(k[c], -exponent);
            q[c] = ldexpf(q[c], exponent);
        }
    }
}

void ace_lm_balance_norms(ace_lm_session *d)
{
    ace_stream *s = d->stream;
    int64_t head_dim = d->model->config.block.head_dim;
    float norms[2 * ACE_MAX_HEAD_DIM] = {0}; /* and so they stay where nothing is computed */
    for (int64_t i = 0; i < d->model->config.layers; i++) {
        const ace_attention_weights *w = &d->model->layers[i].attention;
        d->norms[i] = ace_new(s, ACE_F32, 2, head_dim);
        ace_download(s, norms, w->q_norm);
        ace_download(s, norms + head_dim, w->k_norm);
        ace_lm_balance(norms, norms + head_dim, head_dim);
        ace_upload(s, d->norms[i], norms);
    }
}
