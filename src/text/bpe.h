/* Byte-pair encoding: adjacent symbols are merged, lowest rank first, leftmost on ties (Sennrich,
 * Haddow, Birch 2016, arXiv:1508.07909). */
#ifndef ACE_TEXT_BPE_H
#define ACE_TEXT_BPE_H

#include "base/status.h"

#include <stddef.h>
#include <stdint.h>

enum { ACE_MAX_MERGES = 1 << 20 };

typedef struct ace_bpe_merge {
    int32_t left, right; /* token ids of the pair */
    int32_t merged;      /* and of its concatenation */
} ace_bpe_merge;

typedef struct ace_bpe {
    int32_t byte_ids[256];
    ace_bpe_merge *merges; /* by rank; owned */
    size_t n_merges, capacity;
    int32_t *slots; /* open addressing over pairs: ranks, -1 when free; owned */
    size_t n_slots;
} ace_bpe;

/* Adds the merge of the next rank. */
ace_status ace_bpe_add(ace_bpe *bpe, ace_bpe_merge merge, ace_error *err);

/* Builds the table of pairs; to be called once, after the last add. Of two merges of the same pair
 * the later counts. */
ace_status ace_bpe_index(ace_bpe *bpe, ace_error *err);

/* Working memory of one thread, reused from word to word. Zero it before the first use. */
typedef struct ace_bpe_scratch {
    struct ace_bpe_symbol *symbols; /* [capacity] */
    uint64_t *queue;                /* [2 * capacity] */
    size_t capacity;
} ace_bpe_scratch;

/* Writes the tokens of a word to ids [bytes] and their number to n. Time is O(n log n) in the
 * bytes. MEMORY error only. */
ace_status ace_bpe_encode(const ace_bpe *bpe, ace_bpe_scratch *scratch, const char *word,
                          size_t bytes, int32_t *ids, size_t *n, ace_error *err);

void ace_bpe_scratch_free(ace_bpe_scratch *scratch);
void ace_bpe_free(ace_bpe *bpe);

#endif
