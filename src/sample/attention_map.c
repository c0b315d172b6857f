#include "sample/attention_map.h"

#include "base/memory.h"

#include <math.h>
#include <string.h>

/* Queries at a time: their probabilities go out as whole cache lines of each row. */
enum { BLOCK = 16 };

/* scores[keys] = q · kᵀ · scale. The keys are turned so that the inner loop runs along them, four
 * dimensions at a time: scores are loaded and stored a quarter as often. */
static void multiply(const ace_attention_head *h, const float *turned, const float *q,
                     float *scores)
{
    int64_t n = h->keys;
    int64_t d = 0;
    memset(scores, 0, (size_t)n * sizeof *scores);
    for (; d + 4 <= h->head_dim; d += 4) {
        const float *row = turned + d * n;
        float a = q[d] * h->scale;
        float b = q[d + 1] * h->scale;
        float c = q[d + 2] * h->scale;
        float e = q[d + 3] * h->scale;
        for (int64_t i = 0; i < n; i++) {
            scores[i] += a * row[i] + b * row[n + i] + (c * row[2 * n + i] + e * row[3 * n + i]);
        }
    }
    for (; d < h->head_dim; d++) {
        for (int64_t i = 0; i < n; i++) {
            scores[i] += q[d] * h->scale * turned[d * n + i];
        }
    }
}

static void softmax(float *scores, int64_t n)
{
    float most = scores[0];
    double sum = 0;
    for (int64_t e = 1; e < n; e++) {
        most = scores[e] > most ? scores[e] : most;
    }
    for (int64_t e = 0; e < n; e++) {
        scores[e] = expf(scores[e] - most);
        sum += (double)scores[e];
    }
    float share = (float)(1 / sum);
    for (int64_t e = 0; e < n; e++) {
        scores[e] *= share;
    }
}

static void turn(const ace_attention_head *h, float *turned)
{
    for (int64_t e = 0; e < h->keys; e++) {
        for (int64_t d = 0; d < h->head_dim; d++) {
            turned[d * h->keys + e] = h->k[e * h->head_dim + d];
        }
    }
}

ace_status ace_attention_map(const ace_attention_head *h, int64_t first, int64_t n, float *out,
                             ace_error *err)
{
    if (h->keys < 1 || first < 0 || n < 0 || first > h->keys - n) {
        return ace_fail(err, ACESTEP_FAILED, "attention: keys %lld to %lld of %lld",
                        (long long)first, (long long)(first + n), (long long)h->keys);
    }
    float *turned = ace_malloc_array((size_t)(h->keys * h->head_dim), sizeof *turned);
    float *scores = ace_malloc_array((size_t)(h->keys * BLOCK), sizeof *scores);
    if (turned == NULL || scores == NULL) {
        ace_free(turned);
        ace_free(scores);
        return ace_fail(err, ACESTEP_MEMORY, "attention: no host memory");
    }
    turn(h, turned);
    for (int64_t t = 0; t < h->queries; t += BLOCK) {
        int64_t block = h->queries - t < BLOCK ? h->queries - t : BLOCK;
        for (int64_t i = 0; i < block; i++) {
            multiply(h, turned, h->q + (t + i) * h->head_dim, scores + i * h->keys);
            softmax(scores + i * h->keys, h->keys);
        }
        for (int64_t e = 0; e < n; e++) {
            for (int64_t i = 0; i < block; i++) {
                out[e * h->queries + t + i] = scores[i * h->keys + first + e];
            }
        }
    }
    ace_free(turned);
    ace_free(scores);
    return ACESTEP_OK;
}
