/* The cases: each sets up one random call, freezes its inputs, makes the call and states the bound.
 */
#ifndef ACE_TESTS_KERNELS_CASES_H
#define ACE_TESTS_KERNELS_CASES_H

#include "trial.h"

void case_linear(trial *t);
void case_conv(trial *t);
void case_conv_transpose(trial *t);
void case_attention(trial *t);
void case_attention_wide(trial *t);
void case_attention_int8(trial *t);
void case_rms_norm(trial *t);
void case_head_norm(trial *t);
void case_silu(trial *t);
void case_silu_mul(trial *t);
void case_add(trial *t);
void case_copy(trial *t);
void case_fill(trial *t);
void case_scatter(trial *t);
void case_scatter_int8(trial *t);
void case_mix(trial *t);

/* All of them, by the name of the operation. */
typedef struct case_operation {
    const char *name;
    void (*run)(trial *);
} case_operation;

enum { CASE_OPERATIONS = 16 };
extern const case_operation case_operations[CASE_OPERATIONS];

/* Prints the speed of every operation at published shapes. */
void bench_run(const char *op, ace_device *device, const char *level);
/* The thread pool alone, on 1 to 16 threads. */
void bench_threads(void);

#endif
