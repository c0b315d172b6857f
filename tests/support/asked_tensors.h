/* What networks ask of a checkpoint: names and shapes of its tensors, in the order in which their
 * loaders ask for them. */
#ifndef TESTS_SUPPORT_ASKED_TENSORS_H
#define TESTS_SUPPORT_ASKED_TENSORS_H

#include "support/architecture.h"
#include "weights/loader.h"

enum { MOST_ASKED = 4096 };

typedef struct asked_tensor {
    char name[128];
    int64_t dim[3];
    int rank;
} asked_tensor;

typedef struct asked_tensors {
    asked_tensor item[MOST_ASKED];
    int n;
} asked_tensors;

/* Loads what one file holds. */
typedef void ask_tensors(ace_loader *l, const architecture *a);
ask_tensors ask_dit, ask_vae, ask_text, ask_lm;

/* To be freed. What goes wrong ends the program. */
asked_tensors *asked_by(ask_tensors *ask, const architecture *a);
/* One more, unless there is one of that name: rows of it were asked for before. */
void asked_add(asked_tensors *list, const char *name, const int64_t *dims, int rank);
int64_t asked_elements(const asked_tensor *t);

#endif
