/* Recorded cases of the original: tests/golden/golden/NAME.safetensors with tolerances in index.json. */
#ifndef TESTS_SUPPORT_GOLDEN_H
#define TESTS_SUPPORT_GOLDEN_H

#include "weights/weights.h"

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

typedef struct golden {
    const char *name;
    ace_weights *weights;
    json_t *index; /* whole index.json */
    json_t *entry; /* of this case */
} golden;

/* Path below tests/golden, static storage, overwritten by the next call but three. */
const char *golden_path(const char *below);

golden golden_open(const char *name); /* fails the test when the case is missing */
void golden_close(golden *g);

const ace_weight *golden_tensor(const golden *g, const char *name);
int64_t golden_elements(const ace_weight *t);
/* Copies; the caller frees with free(). */
float *golden_f32(const golden *g, const char *name);
int64_t *golden_i64(const golden *g, const char *name);

/* Largest |got - recorded| against the case's tolerance for "out.…"; prints the worst element when it is
 * exceeded. */
bool golden_matches(const golden *g, const char *name, const float *got);
bool golden_matches_i64(const golden *g, const char *name, const int64_t *got);
/* For lower precision: cosine and relative RMS error. */
void golden_distance(const golden *g, const char *name, const float *got, double *cosine,
                     double *relative_rms);

#endif
