/* Operations of a traced run, summed by stage, name and shape: which products take the time. */
#ifndef ACE_RUN_KERNEL_SUMS_H
#define ACE_RUN_KERNEL_SUMS_H

#include "device/device.h"
#include "run/roofline.h"

/* Of operations that are one line of a table. */
typedef struct ace_operation_sum {
    const char *name; /* static */
    uint64_t calls;
    double seconds;
    double flops;
    double read, written; /* bytes */
    double least;         /* seconds that the machine needs at the least; 0: not known */
    double least_moving;  /* the part of it in which memory is what holds it back */
    ace_peak unit;        /* that the rest of it is computed in */
} ace_operation_sum;

void ace_operation_sum_add(ace_operation_sum *sum, const ace_operation *o, const char *stage,
                           const ace_roofline *limits);
/* What mostly holds it back, as in ace_roof_name; -1: not known. */
int ace_operation_sum_roof(const ace_operation_sum *sum);
/* For limits that turned out higher than those that it was added with. */
void ace_operation_sum_rescale(ace_operation_sum *sum, const ace_roofline *from,
                               const ace_roofline *to);

typedef struct ace_kernel {
    const char *stage;            /* key; static */
    int64_t rows, depth, columns; /* of what is read, and columns of what is written */
    ace_dtype in, out, matrix;
    int taps; /* 0: no matrix */
    ace_operation_sum sum;
} ace_kernel;

enum { ACE_KERNEL_SLOTS = 1024 };

/* Shapes beyond three quarters of the slots are not told apart any more: they are in `others`. */
typedef struct ace_kernel_sums {
    ace_kernel slot[ACE_KERNEL_SLOTS]; /* open addressing; sum.calls 0: empty */
    int n;
    ace_operation_sum others;
} ace_kernel_sums;

void ace_kernel_sums_add(ace_kernel_sums *k, const ace_operation *o, const char *stage,
                         const ace_roofline *limits);
/* Puts them in order to the front of slot: by time, or by FLOPs where nothing was timed. Nothing can
 * be added afterwards. */
void ace_kernel_sums_sort(ace_kernel_sums *k);

#endif
