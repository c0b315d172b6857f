#include "text/bpe.h"

#include "base/memory.h"
#include "text/hash.h"

#include <stdbool.h>
#include <string.h>

enum { NO_RANK = -1, GONE = -1 };
#define NO_SYMBOL UINT32_MAX

/* A word is a doubly linked list of symbols laid over its bytes: a symbol keeps the index of its
 * first byte, so that index order is text order. */
typedef struct ace_bpe_symbol {
    int32_t id; /* GONE: merged into its left neighbour */
    uint32_t previous, next;
} ace_bpe_symbol;

/* Entries of the queue are rank · 2³² + index of the left symbol: the smallest is the merge to do
 * next. They are not removed when a neighbour changes; popping compares with the symbols. */
typedef struct merge_queue {
    uint64_t *heap;
    size_t n;
} merge_queue;

static void queue_push(merge_queue *queue, uint64_t entry)
{
    size_t i = queue->n++;
    while (i > 0 && queue->heap[(i - 1) / 2] > entry) {
        queue->heap[i] = queue->heap[(i - 1) / 2];
        i = (i - 1) / 2;
    }
    queue->heap[i] = entry;
}

static uint64_t queue_pop(merge_queue *queue)
{
    uint64_t first = queue->heap[0];
    uint64_t last = queue->heap[--queue->n];
    size_t i = 0;
    for (;;) {
        size_t child = 2 * i + 1;
        if (child >= queue->n) {
            break;
        }
        if (child + 1 < queue->n && queue->heap[child + 1] < queue->heap[child]) {
            child++;
        }
        if (queue->heap[child] >= last) {
            break;
        }
        queue->heap[i] = queue->heap[child];
        i = child;
    }
    queue->heap[i] = last;
    return first;
}

ace_status ace_bpe_add(ace_bpe *bpe, ace_bpe_merge merge, ace_error *err)
{
    if (bpe->n_merges == ACE_MAX_MERGES) {
        return ace_fail(err, ACESTEP_MODEL, "more than %d merges", ACE_MAX_MERGES);
    }
    if (bpe->n_merges == bpe->capacity) {
        size_t capacity = bpe->capacity != 0 ? bpe->capacity * 2 : 1024;
        ace_bpe_merge *grown = ace_realloc_array(bpe->merges, capacity, sizeof *grown);
        if (grown == NULL) {
            return ace_fail(err, ACESTEP_MEMORY, "out of memory for the merges");
        }
        bpe->merges = grown;
        bpe->capacity = capacity;
    }
    bpe->merges[bpe->n_merges++] = merge;
    return ACESTEP_OK;
}

static bool is_pair(const ace_bpe_merge *merge, int32_t left, int32_t right)
{
    return merge->left == left && merge->right == right;
}

/* The slot that holds the pair or is free for it; n_slots when the probe is too long. */
static size_t find_slot(const ace_bpe *bpe, int32_t left, int32_t right)
{
    size_t mask = bpe->n_slots - 1;
    uint64_t key = (uint64_t)(uint32_t)left << 32 | (uint32_t)right;
    size_t slot = (size_t)ace_hash_mix(key) & mask;
    for (int probe = 0; probe < ACE_HASH_MAX_PROBE; probe++) {
        int32_t rank = bpe->slots[slot];
        if (rank == NO_RANK || is_pair(&bpe->merges[rank], left, right)) {
            return slot;
        }
        slot = (slot + 1) & mask;
    }
    return bpe->n_slots;
}

ace_status ace_bpe_index(ace_bpe *bpe, ace_error *err)
{
    bpe->n_slots = ace_hash_slots(bpe->n_merges);
    bpe->slots = ace_malloc_array(bpe->n_slots, sizeof *bpe->slots);
    if (bpe->slots == NULL) {
        return ace_fail(err, ACESTEP_MEMORY, "out of memory for the merges");
    }
    for (size_t i = 0; i < bpe->n_slots; i++) {
        bpe->slots[i] = NO_RANK;
    }
    for (size_t rank = 0; rank < bpe->n_merges; rank++) {
        size_t slot = find_slot(bpe, bpe->merges[rank].left, bpe->merges[rank].right);
        if (slot == bpe->n_slots) {
            return ace_fail(err, ACESTEP_MODEL, "the merges collide in the hash table");
        }
        bpe->slots[slot] = (int32_t)rank;
    }
    return ACESTEP_OK;
}

static bool scratch_reserve(ace_bpe_scratch *scratch, size_t bytes)
{
    if (bytes <= scratch->capacity) {
        return true;
    }
    size_t capacity = bytes < 256 ? 256 : bytes;
    ace_bpe_scratch_free(scratch);
    scratch->symbols = ace_malloc_array(capacity, sizeof *scratch->symbols);
    scratch->queue = ace_malloc_array(capacity, 2 * sizeof *scratch->queue);
    if (scratch->symbols == NULL || scratch->queue == NULL) {
        ace_bpe_scratch_free(scratch);
        return false;
    }
    scratch->capacity = capacity;
    return true;
}

/* Queues the merge of the symbol and its right neighbour, if there is one. */
static void consider(const ace_bpe *bpe, const ace_bpe_symbol *symbols, uint32_t left,
                     merge_queue *queue)
{
    if (left == NO_SYMBOL || symbols[left].next == NO_SYMBOL) {
        return;
    }
    size_t slot = find_slot(bpe, symbols[left].id, symbols[symbols[left].next].id);
    int32_t rank = slot == bpe->n_slots ? NO_RANK : bpe->slots[slot];
    if (rank != NO_RANK) {
        queue_push(queue, (uint64_t)(uint32_t)rank << 32 | left);
    }
}

static void merge_all(const ace_bpe *bpe, ace_bpe_symbol *symbols, merge_queue *queue)
{
    while (queue->n > 0) {
        uint64_t entry = queue_pop(queue);
        const ace_bpe_merge *merge = &bpe->merges[entry >> 32];
        uint32_t left = (uint32_t)entry;
        uint32_t right = symbols[left].next;
        if (right == NO_SYMBOL || !is_pair(merge, symbols[left].id, symbols[right].id)) {
            continue;
        }
        uint32_t after = symbols[right].next;
        symbols[left].id = merge->merged;
        symbols[left].next = after;
        symbols[right].id = GONE;
        if (after != NO_SYMBOL) {
            symbols[after].previous = left;
        }
        consider(bpe, symbols, symbols[left].previous, queue);
        consider(bpe, symbols, left, queue);
    }
}

ace_status ace_bpe_encode(const ace_bpe *bpe, ace_bpe_scratch *scratch, const char *word,
                          size_t bytes, int32_t *ids, size_t *n, ace_error *err)
{
    *n = 0;
    if (!scratch_reserve(scratch, bytes)) {
        return ace_fail(err, ACESTEP_MEMORY, "out of memory for a word of %zu bytes", bytes);
    }
    ace_bpe_symbol *symbols = scratch->symbols;
    for (size_t i = 0; i < bytes; i++) {
        symbols[i].id = bpe->byte_ids[(unsigned char)word[i]];
        symbols[i].previous = i > 0 ? (uint32_t)i - 1 : NO_SYMBOL;
        symbols[i].next = i + 1 < bytes ? (uint32_t)i + 1 : NO_SYMBOL;
    }
    /* At most bytes - 1 entries to start with, and a merge takes one out and puts two in: the
     * queue never holds more than twice the bytes. */
    merge_queue queue = {scratch->queue, 0};
    for (size_t i = 0; i + 1 < bytes; i++) {
        consider(bpe, symbols, (uint32_t)i, &queue);
    }
    merge_all(bpe, symbols, &queue);
    for (uint32_t i = bytes > 0 ? 0 : NO_SYMBOL; i != NO_SYMBOL; i = symbols[i].next) {
        ids[(*n)++] = symbols[i].id;
    }
    return ACESTEP_OK;
}

void ace_bpe_scratch_free(ace_bpe_scratch *scratch)
{
    ace_free(scratch->symbols);
    ace_free(scratch->queue);
    memset(scratch, 0, sizeof *scratch);
}

void ace_bpe_free(ace_bpe *bpe)
{
    ace_free(bpe->merges);
    ace_free(bpe->slots);
    memset(bpe, 0, sizeof *bpe);
}
