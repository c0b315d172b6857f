/* Choosing a column of a row of logits on the device, where that is offered: a few bytes come down
 * in place of the row. The same choice on the host, and what every term means: lm/sampler.h. */
#ifndef ACE_DEVICE_CHOICE_H
#define ACE_DEVICE_CHOICE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    ACE_CHOICES_MOST = 64,          /* of one call */
    ACE_CHOICE_COLUMNS = 1 << 18,   /* of a row of logits */
    ACE_CHOICE_PENALISED = 1 << 16, /* of all choices of a call */
    ACE_CHOICE_NONE = -1
};

/* The logits are used up. In this order:
 *   guidance  z = twin + guidance · (z - twin) where there is a twin; -inf on either side stays
 *   penalty   of the penalised columns: z / penalty where positive, else z · penalty
 *   rules     columns first … first + count - 1, and `also`, of which the mask leaves some out; no
 *             others are looked at
 *   top-k     logits below the k-th are dropped
 *   top-p     of probabilities at `temperature`, from the largest down: those that have less than
 *             p before them; of equal ones at the edge the last. With temper_last: at temperature
 *             1, no more than p, and the first
 *   min-p     at `temperature`, as a share of the largest probability
 *   choice    the column whose share of what is left holds `uniform`, shares in order of columns
 */
typedef struct ace_choice {
    int64_t row;              /* of the logits */
    int64_t twin;             /* the unconditional row, in no other choice; ACE_CHOICE_NONE */
    int64_t first, count;     /* permitted columns */
    int64_t also;             /* one more; ACE_CHOICE_NONE */
    const uint32_t *mask;     /* host: bit i % 32 of word i / 32 lets column i in. NULL: all are in;
                                 there is one mask in a call, for any number of its choices */
    const int32_t *penalised; /* host [n_penalised]: columns, each once */
    int64_t n_penalised;
    int64_t top_k;  /* 0: off */
    double top_p;   /* ≥ 1: off */
    double uniform; /* [0, 1) */
    float guidance, penalty;
    float temperature; /* ≤ 0: the first of the largest */
    float min_p;       /* 0: off */
    bool temper_last;
} ace_choice;

/* Of the mask of so many columns. */
static inline size_t ace_choice_mask_bytes(int64_t columns)
{
    return (size_t)((columns + 31) / 32) * sizeof(uint32_t);
}

#endif
