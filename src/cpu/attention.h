/* Attention in tasks, each complete in itself: one batch item, one key head, one block of rows. The
 * queries of all heads that share the key head are stacked, row = query · group + head, so that
 * every key block is packed once for the whole group. */
#ifndef ACE_CPU_ATTENTION_H
#define ACE_CPU_ATTENTION_H

#include "cpu/cpu.h"

enum {
    ACE_ATTENTION_ROWS = 96,  /* stacked rows of a task */
    ACE_ATTENTION_SINGLE = 8, /* heads of a group up to which one query is not worth packing keys */
    ACE_ATTENTION_WORD_HEAD = 512, /* longest head whose query over int8 keys becomes words */
    ACE_ATTENTION_KEYS = 64,       /* keys of a block of the online softmax */
    /* With this head the scratch of a task, about (2·rows + 2·keys)·head_dim floats, still fits. */
    ACE_ATTENTION_MAX_HEAD_DIM = 3072
};

typedef struct ace_attention_job {
    ace_tensor y, q, k, v;
    const ace_attention *options;
    int64_t group;      /* query heads per key head */
    int64_t row_blocks; /* per batch item and key head */
    bool bf16_dots;     /* products of bf16 pairs; the probabilities are rounded to bf16 as well */
    bool int8;          /* keys and values have 8 bits and scales */
} ace_attention_job;

typedef void ace_attention_kernel(const ace_attention_job *, int64_t task, void *scratch);

ace_attention_kernel ace_attention_generic, ace_attention_avx2, ace_attention_avx512;

#endif
