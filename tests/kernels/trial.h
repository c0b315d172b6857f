/* A trial: one random case of one operation on one device. The same seed gives the same shapes,
 * options and numbers on every device, so that results can be compared.
 *
 * All tensors are host memory, which both the reference and the CPU device address directly. Inputs
 * end where their last number ends, for a sanitizer to see a read behind it; what a trial writes
 * lies between guard bytes, and everything outside the written view must stay as it was. */
#ifndef ACE_TESTS_KERNELS_TRIAL_H
#define ACE_TESTS_KERNELS_TRIAL_H

#include "device/device.h"

#include <stdbool.h>
#include <stdint.h>

enum { TRIAL_BLOCKS = 48, TRIAL_TEXT = 256 };

typedef struct trial_block {
    void *memory; /* owned, NULL for a block that was reserved on the device */
    unsigned char *before;
    size_t bytes;
    ace_tensor written; /* the view inside `memory` that may change, or empty */
    uint64_t addr;      /* reserved on the device: a packed matrix */
} trial_block;

typedef struct trial {
    ace_device *device;
    uint64_t state; /* of the random numbers */
    int64_t grain;  /* gaps in views are multiples of so many numbers; 1 unless a case says so */
    trial_block blocks[TRIAL_BLOCKS];
    int n_blocks;
    ace_tensor output;
    double absolute, relative; /* |result - reference| ≤ absolute + relative·|reference| */
    char about[TRIAL_TEXT];    /* the case in words, for a failure's message */
    char failure[TRIAL_TEXT];  /* empty: none */
} trial;

void trial_begin(trial *t, ace_device *device, uint64_t seed);
void trial_end(trial *t);

/* Random numbers. */
int64_t trial_between(trial *t, int64_t low, int64_t high); /* inclusive */
bool trial_chance(trial *t, int percent);
float trial_real(trial *t, float low, float high);
/* A size in [1, max]: often 1 or next to a multiple of 16, where kernels have their tails. */
int64_t trial_size(trial *t, int64_t max);
ace_dtype trial_work_type(trial *t); /* f32 or bf16 */

/* Tensors with numbers in [low, high), for int8 rounded. Views have random gaps between rows. */
ace_tensor trial_input(trial *t, int64_t rows, int64_t cols, ace_dtype dtype, float low,
                       float high);
ace_tensor trial_row(trial *t, int64_t cols, float low, float high); /* f32 [1, cols] */
/* The tensor the operation writes: full of NaN (int8: of -128), or with numbers for one that is
 * updated in place. `gapless`: contiguous. */
ace_tensor trial_output(trial *t, int64_t rows, int64_t cols, ace_dtype dtype, bool gapless);
ace_tensor trial_updated(trial *t, int64_t rows, int64_t cols, ace_dtype dtype, float low,
                         float high);
void *trial_bytes(trial *t, size_t bytes); /* zero-filled, must not change once handed out */
/* Packed from one to three random parts in random layouts and types. */
ace_matrix trial_matrix(trial *t, ace_matrix_shape shape);

/* Sets the bounds, adding what rounding the result to its type costs. */
void trial_bound(trial *t, double absolute, double relative);
/* Remembers everything that must not change; called when all inputs are set up. */
void trial_freeze(trial *t);

void trial_fail(trial *t, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* After the operation: did anything change that must not? */
void trial_check_guards(trial *t);
/* The largest error in parts of the bound; a failure is noted in the trial. */
double trial_compare(trial *t, const trial *reference);
float trial_element(ace_tensor t, int64_t row, int64_t col);
void trial_set_element(ace_tensor t, int64_t row, int64_t col, float value);

#endif
