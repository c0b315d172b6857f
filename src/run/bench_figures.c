/* From times to figures. */
#include "run/bench.h"

#include <string.h>

/* Sorts at most ACE_BENCH_MAX_REPEATS numbers. */
static void sort(double *values, int n)
{
    for (int i = 1; i < n; i++) {
        double v = values[i];
        int k = i;
        for (; k > 0 && values[k - 1] > v; k--) {
            values[k] = values[k - 1];
        }
        values[k] = v;
    }
}

double ace_bench_median(const ace_bench_row *row)
{
    double sorted[ACE_BENCH_MAX_REPEATS];
    memcpy(sorted, row->seconds, sizeof sorted);
    sort(sorted, row->n);
    return row->n == 0 ? 0 : (sorted[(row->n - 1) / 2] + sorted[row->n / 2]) / 2;
}

double ace_bench_best(const ace_bench_row *row)
{
    double best = row->n > 0 ? row->seconds[0] : 0;
    for (int i = 1; i < row->n; i++) {
        best = row->seconds[i] < best ? row->seconds[i] : best;
    }
    return best;
}

/* On the CPU int8 weights meet 8-bit inputs in the diffusion layers, bf16 in convolutions, 16-bit
 * ones in the rest (src/cpu/product.c); on a card the same inputs everywhere. */
static ace_peak unit_of(const ace_bench_row *row)
{
    const bool *own = row->limits.peaks.own;
    bool is_card = own[ACE_PEAK_I8] && !own[ACE_PEAK_I16];
    if (row->matrix != ACE_I8 || is_card || strncmp(row->stage, "dit", 3) == 0 ||
        strcmp(row->stage, "song.diffusion") == 0 || strcmp(row->stage, "song") == 0) {
        return ace_peak_of(row->matrix);
    }
    bool is_convolution = strstr(row->stage, "vae") != NULL;
    return is_convolution ? ACE_PEAK_BF16 : ACE_PEAK_I16;
}

static double least_seconds(const ace_bench_row *row, int *roof)
{
    return ace_roofline_seconds(&row->limits, unit_of(row), row->flops, row->bytes, roof);
}

int ace_bench_bound(const ace_bench_row *row)
{
    int roof = 0;
    (void)least_seconds(row, &roof);
    return roof;
}

double ace_bench_share(const ace_bench_row *row)
{
    int roof = 0;
    double best = ace_bench_best(row);
    return best > 0 ? least_seconds(row, &roof) / best : 0;
}
