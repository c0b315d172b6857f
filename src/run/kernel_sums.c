#include "run/kernel_sums.h"

#include <stdlib.h>
#include <string.h>

/* int8 weights meet 8-bit inputs in the diffusion layers, bf16 in convolutions, 16-bit ones in the
 * rest (src/cpu/product.c). Without a matrix the inputs decide. */
static ace_peak unit_of(const ace_operation *o, const char *stage)
{
    if (o->taps == 0) {
        return ace_peak_of(o->x.dtype);
    }
    if (o->matrix != ACE_I8) {
        return ace_peak_of(o->matrix);
    }
    bool is_convolution = strcmp(o->name, "linear") != 0;
    return is_convolution                    ? ACE_PEAK_BF16
           : strcmp(stage, "diffusion") == 0 ? ACE_PEAK_I8
                                             : ACE_PEAK_I16;
}

void ace_operation_sum_add(ace_operation_sum *sum, const ace_operation *o, const char *stage,
                           const ace_roofline *limits)
{
    int roof = 0;
    ace_peak unit = unit_of(o, stage);
    double least = ace_roofline_seconds(limits, unit, o->flops, o->read + o->written, &roof);
    sum->calls++;
    sum->seconds += o->ended - o->started;
    sum->flops += o->flops;
    sum->read += o->read;
    sum->written += o->written;
    sum->unit = unit;
    sum->least += least;
    sum->least_moving += roof == ACE_ROOF_MEMORY ? least : 0;
}

int ace_operation_sum_roof(const ace_operation_sum *sum)
{
    return sum->least <= 0                      ? -1
           : sum->least_moving > sum->least / 2 ? ACE_ROOF_MEMORY
                                                : (int)sum->unit;
}

void ace_operation_sum_rescale(ace_operation_sum *sum, const ace_roofline *from,
                               const ace_roofline *to)
{
    double computing = to->peaks.flops[sum->unit] > 0
                           ? from->peaks.flops[sum->unit] / to->peaks.flops[sum->unit]
                           : 1;
    double moving = to->bandwidth > 0 ? from->bandwidth / to->bandwidth : 1;
    double moved = sum->least_moving * moving;
    sum->least = moved + (sum->least - sum->least_moving) * computing;
    sum->least_moving = moved;
}

/* ---- by shape -------------------------------------------------------------------------------- */

static ace_kernel kernel_of(const ace_operation *o, const char *stage)
{
    return (ace_kernel){.stage = stage,
                        .rows = o->x.rows,
                        .depth = o->x.cols,
                        .columns = o->y.cols,
                        .in = o->x.dtype,
                        .out = o->y.dtype,
                        .matrix = o->taps > 0 ? o->matrix : o->x.dtype,
                        .taps = o->taps,
                        .sum = {.name = o->name}};
}

static bool is_same(const ace_kernel *a, const ace_kernel *b)
{
    return strcmp(a->stage, b->stage) == 0 && strcmp(a->sum.name, b->sum.name) == 0 &&
           a->rows == b->rows && a->depth == b->depth && a->columns == b->columns &&
           a->in == b->in && a->out == b->out && a->matrix == b->matrix && a->taps == b->taps;
}

static uint64_t mix(uint64_t hash, uint64_t value)
{
    return (hash ^ value) * 0x100000001b3u; /* FNV-1a, by words */
}

static uint64_t hash_of(const ace_kernel *k)
{
    uint64_t hash = 0xcbf29ce484222325u;
    for (const char *c = k->stage; *c != '\0'; c++) {
        hash = mix(hash, (unsigned char)*c);
    }
    for (const char *c = k->sum.name; *c != '\0'; c++) {
        hash = mix(hash, (unsigned char)*c);
    }
    hash = mix(hash, (uint64_t)k->rows);
    hash = mix(hash, (uint64_t)k->depth);
    hash = mix(hash, (uint64_t)k->columns);
    hash = mix(hash, (uint64_t)k->matrix * 64 + (uint64_t)k->taps);
    return hash ^ hash >> 32;
}

void ace_kernel_sums_add(ace_kernel_sums *k, const ace_operation *o, const char *stage,
                         const ace_roofline *limits)
{
    enum { MOST = ACE_KERNEL_SLOTS * 3 / 4 };
    ace_kernel wanted = kernel_of(o, stage);
    uint64_t at = hash_of(&wanted) % ACE_KERNEL_SLOTS;
    while (k->slot[at].sum.calls > 0 && !is_same(&k->slot[at], &wanted)) {
        at = (at + 1) % ACE_KERNEL_SLOTS;
    }
    ace_operation_sum *sum = &k->slot[at].sum;
    if (sum->calls == 0 && k->n == MOST) {
        sum = &k->others;
    } else if (sum->calls == 0) {
        k->slot[at] = wanted;
        k->n++;
    }
    ace_operation_sum_add(sum, o, stage, limits);
}

static int by_cost(const void *a, const void *b)
{
    const ace_kernel *x = a;
    const ace_kernel *y = b;
    if (x->sum.calls == 0 || y->sum.calls == 0) { /* empty ones last */
        return (x->sum.calls == 0) - (y->sum.calls == 0);
    }
    int by_seconds = (x->sum.seconds < y->sum.seconds) - (x->sum.seconds > y->sum.seconds);
    return by_seconds != 0 ? by_seconds
                           : (x->sum.flops < y->sum.flops) - (x->sum.flops > y->sum.flops);
}

void ace_kernel_sums_sort(ace_kernel_sums *k)
{
    qsort(k->slot, ACE_KERNEL_SLOTS, sizeof *k->slot, by_cost);
}
