/* Choices that a device makes among logits, against those of src/lm/sampler.c. */
#ifndef TESTS_CUDA_CHOICE_CASES_H
#define TESTS_CUDA_CHOICE_CASES_H

#include "device/device.h"

typedef struct choice_tally {
    int64_t choices;
    int64_t refused; /* nothing to choose from, on both sides */
    int64_t at_edge; /* different ones, where the least change of a number explains it */
    int64_t wrong;   /* different ones */
    char first_wrong[256];
} choice_tally;

/* Calls with random logits, rules and settings, some of them wide. */
void choice_cases_run(ace_device *d, uint64_t seed, int calls, choice_tally *out);

/* The host's choice; rows [n, columns] stay as they are. */
int32_t choice_on_host(const float *rows, int64_t columns, const ace_choice *c);
/* The device's: rows go up, and lie there with a gap behind each. False when it fails. */
bool choice_on_device(ace_device *d, const float *rows, int64_t n_rows, int64_t columns,
                      const ace_choice *choices, int n, int32_t *chosen);

#endif
