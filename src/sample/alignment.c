#include "sample/alignment.h"

#include "base/checked.h"
#include "base/memory.h"
#include "sample/dtw.h"
#include "sample/median.h"

#include <math.h>
#include <string.h>

ace_status ace_alignment_create(int64_t tokens, int64_t frames, bool times, ace_alignment *out,
                                ace_error *err)
{
    size_t cells = 0;
    memset(out, 0, sizeof *out);
    if (tokens < 1 || frames < 1 || ace_mul_overflows((size_t)tokens, (size_t)frames, &cells)) {
        return ace_fail(err, ACESTEP_ARGUMENT, "alignment: %lld tokens in %lld frames",
                        (long long)tokens, (long long)frames);
    }
    out->tokens = tokens;
    out->frames = frames;
    out->energy = ace_calloc(cells, sizeof *out->energy);
    bool complete = out->energy != NULL;
    if (times) {
        out->sharp = ace_calloc(cells, sizeof *out->sharp);
        out->work = ace_malloc_array(cells, sizeof *out->work);
        out->row_sum = ace_calloc((size_t)tokens, sizeof *out->row_sum);
        out->col_sum = ace_calloc((size_t)frames, sizeof *out->col_sum);
        out->line = ace_calloc((size_t)(tokens > frames ? tokens : frames), sizeof *out->line);
        complete = complete && out->sharp != NULL && out->work != NULL && out->row_sum != NULL &&
                   out->col_sum != NULL && out->line != NULL;
    }
    if (!complete) {
        ace_alignment_free(out);
        return ace_fail(err, ACESTEP_MEMORY, "alignment: no host memory");
    }
    return ACESTEP_OK;
}

void ace_alignment_free(ace_alignment *a)
{
    ace_free(a->energy);
    ace_free(a->sharp);
    ace_free(a->work);
    ace_free(a->row_sum);
    ace_free(a->col_sum);
    ace_free(a->line);
    memset(a, 0, sizeof *a);
}

/* ---- heads ----------------------------------------------------------------------------------- */

/* work = softmax over frames · softmax over tokens. Probabilities need no shift: e^p is 1 … e. */
static void multiply_softmaxes(ace_alignment *a, const float *p)
{
    memset(a->row_sum, 0, (size_t)a->tokens * sizeof *a->row_sum);
    memset(a->col_sum, 0, (size_t)a->frames * sizeof *a->col_sum);
    for (int64_t i = 0; i < a->tokens; i++) {
        double sum = 0;
        for (int64_t j = 0; j < a->frames; j++) {
            float e = expf(p[i * a->frames + j]);
            a->work[i * a->frames + j] = e;
            a->col_sum[j] += e;
            sum += (double)e;
        }
        a->row_sum[i] = (float)sum;
    }
    for (int64_t i = 0; i < a->tokens; i++) {
        for (int64_t j = 0; j < a->frames; j++) {
            float *w = &a->work[i * a->frames + j];
            *w = *w / a->row_sum[i] * (*w / a->col_sum[j]);
        }
    }
}

static float above(float value, float floor)
{
    return value > floor ? value - floor : 0;
}

/* What stands out neither in its row nor in its column goes: first rows that light up all along
 * (tokens looked at all the time), then columns (moments that look at everything). */
static void keep_what_stands_out(ace_alignment *a)
{
    enum { MEDIANS = 2 }; /* the original's violence_level */
    for (int64_t i = 0; i < a->tokens; i++) {
        float *row = a->work + i * a->frames;
        memcpy(a->line, row, (size_t)a->frames * sizeof *row);
        float floor = MEDIANS * ace_median(a->line, a->frames);
        for (int64_t j = 0; j < a->frames; j++) {
            row[j] = above(row[j], floor);
        }
    }
    for (int64_t j = 0; j < a->frames; j++) {
        for (int64_t i = 0; i < a->tokens; i++) {
            a->line[i] = a->work[i * a->frames + j];
        }
        float floor = MEDIANS * ace_median(a->line, a->tokens);
        for (int64_t i = 0; i < a->tokens; i++) {
            a->work[i * a->frames + j] = above(a->work[i * a->frames + j], floor);
        }
    }
}

ace_status ace_alignment_add_head(ace_alignment *a, const float *probabilities, ace_error *err)
{
    const float rounding = 1e-3f; /* above 1, of probabilities that were held in bf16 */
    int64_t cells = a->tokens * a->frames;
    for (int64_t k = 0; k < cells; k++) {
        if (!(probabilities[k] >= 0 && probabilities[k] <= 1 + rounding)) {
            return ace_fail(err, ACESTEP_FAILED,
                            "alignment: %g in the attention to the lyrics is no probability",
                            (double)probabilities[k]);
        }
    }
    for (int64_t k = 0; k < cells; k++) {
        a->energy[k] += probabilities[k];
    }
    if (a->sharp != NULL) {
        multiply_softmaxes(a, probabilities);
        keep_what_stands_out(a);
        for (int64_t k = 0; k < cells; k++) {
            float square = a->work[k] * a->work[k];
            a->sharp[k] += square;
            a->sharp_sum += (double)square;
            a->sharp_squares += (double)square * (double)square;
        }
    }
    a->heads++;
    return ACESTEP_OK;
}

/* ---- score ----------------------------------------------------------------------------------- */

/* The mean over the heads, stretched to 0 … 1; all 0 when it is flat. */
static void stretch_energy(const ace_alignment *a, float *out)
{
    const float flat = 1e-9f;
    int64_t cells = a->tokens * a->frames;
    float least = INFINITY;
    float most = -INFINITY;
    for (int64_t k = 0; k < cells; k++) {
        out[k] = a->energy[k] / (float)(a->heads > 0 ? a->heads : 1);
        least = out[k] < least ? out[k] : least;
        most = out[k] > most ? out[k] : most;
    }
    for (int64_t k = 0; k < cells; k++) {
        out[k] = most - least > flat ? (out[k] - least) / (most - least) : 0;
    }
}

static double coverage(const ace_alignment *a, const float *energy, const bool *sung)
{
    const float clear = 0.1f;
    int64_t n = 0;
    int64_t covered = 0;
    for (int64_t i = 0; i < a->tokens; i++) {
        float most = 0;
        for (int64_t j = 0; j < a->frames; j++) {
            most = energy[i * a->frames + j] > most ? energy[i * a->frames + j] : most;
        }
        n += sung[i] ? 1 : 0;
        covered += sung[i] && most > clear ? 1 : 0;
    }
    return n > 0 ? (double)covered / (double)n : 1;
}

/* The frame around which a token's energy lies; -1 when it has none. */
static double centroid(const float *row, int64_t frames)
{
    const float noise = 0.01f;
    double sum = 0;
    double moment = 0;
    for (int64_t j = 0; j < frames; j++) {
        double weight = row[j] > noise ? (double)row[j] : 0;
        sum += weight;
        moment += weight * (double)j;
    }
    return sum > 1e-9 ? moment / sum : -1;
}

static double monotonicity(const ace_alignment *a, const float *energy, const bool *sung)
{
    const double tolerance = 9; /* frames: 0.72 s */
    double before = -1;
    int64_t n = 0;
    int64_t in_order = 0;
    for (int64_t i = 0; i < a->tokens; i++) {
        double here = sung[i] ? centroid(energy + i * a->frames, a->frames) : -1;
        if (here < 0) {
            continue;
        }
        if (before >= 0) {
            n++;
            in_order += here >= before - tolerance ? 1 : 0;
        }
        before = here;
    }
    return n > 0 ? (double)in_order / (double)n : 1;
}

static double confidence(const ace_alignment *a, const float *energy, const ace_path *path)
{
    double sum = 0;
    for (int64_t k = 0; k < path->n; k++) {
        sum += (double)energy[path->cell[k].row * a->frames + path->cell[k].col];
    }
    return path->n > 0 ? sum / (double)path->n : 0;
}

/* Room for one value per cell; NULL is reported. */
static float *cells_of(const ace_alignment *a, ace_error *err)
{
    float *cells = ace_malloc_array((size_t)(a->tokens * a->frames), sizeof *cells);
    if (cells == NULL) {
        (void)ace_fail(err, ACESTEP_MEMORY, "alignment: no host memory");
    }
    return cells;
}

ace_status ace_alignment_rate(const ace_alignment *a, const bool *sung, ace_alignment_score *out,
                              ace_error *err)
{
    memset(out, 0, sizeof *out);
    float *energy = cells_of(a, err);
    float *cost = energy != NULL ? cells_of(a, err) : NULL;
    ace_path path = {0};
    ace_status status = cost != NULL ? ACESTEP_OK : ACESTEP_MEMORY;
    if (status == ACESTEP_OK) {
        stretch_energy(a, energy);
        for (int64_t k = 0; k < a->tokens * a->frames; k++) {
            cost[k] = -(energy[k] * energy[k]);
        }
        status = ace_dtw(cost, a->tokens, a->frames, &path, err);
    }
    if (status == ACESTEP_OK) {
        out->coverage = coverage(a, energy, sung);
        out->monotonicity = monotonicity(a, energy, sung);
        out->confidence = confidence(a, energy, &path);
        double total =
            out->coverage * out->coverage * out->monotonicity * out->monotonicity * out->confidence;
        total = total < 0 ? 0 : total > 1 ? 1 : total;
        out->total = nearbyint(total * 1e4) / 1e4;
    }
    ace_path_free(&path);
    ace_free(cost);
    ace_free(energy);
    return status;
}

/* ---- times ----------------------------------------------------------------------------------- */

/* Minus the mean over the heads of the z-score; mean and deviation are those of all heads' cells.
 */
static void negate_z_score(const ace_alignment *a, float *cost)
{
    int64_t cells = a->tokens * a->frames;
    double heads = a->heads > 0 ? a->heads : 1;
    double n = heads * (double)cells;
    double mean = a->sharp_sum / n;
    double variance = a->sharp_squares / n - mean * mean;
    double deviation = variance > 0 ? sqrt(variance) : 0;
    for (int64_t k = 0; k < cells; k++) {
        cost[k] = (float)-(((double)a->sharp[k] / heads - mean) / (deviation + 1e-9));
    }
}

static void take_times(const ace_alignment *a, const ace_path *path, double seconds, double *start,
                       double *end)
{
    double per_frame = seconds / (double)a->frames;
    double before = 0;
    int64_t k = 0;
    for (int64_t i = 0; i < a->tokens; i++) {
        start[i] = before; /* of a token that the path passes by */
        end[i] = before;
        bool first = true;
        for (; k < path->n && path->cell[k].row == i; k++) {
            double at = (double)path->cell[k].col * per_frame;
            start[i] = first ? at : start[i];
            end[i] = at;
            first = false;
        }
        before = end[i];
    }
}

ace_status ace_alignment_times(const ace_alignment *a, double seconds, double *start, double *end,
                               ace_error *err)
{
    if (a->sharp == NULL || !isfinite(seconds)) {
        return ace_fail(err, ACESTEP_ARGUMENT, "alignment: times of %g s were not asked for",
                        seconds);
    }
    float *cost = cells_of(a, err);
    ace_path path = {0};
    ace_status status = cost != NULL ? ACESTEP_OK : ACESTEP_MEMORY;
    if (status == ACESTEP_OK) {
        negate_z_score(a, cost);
        status = ace_dtw(cost, a->tokens, a->frames, &path, err);
    }
    if (status == ACESTEP_OK) {
        take_times(a, &path, seconds, start, end);
    }
    ace_path_free(&path);
    ace_free(cost);
    return status;
}
