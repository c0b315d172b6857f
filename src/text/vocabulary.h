/* Token ids and the bytes they stand for. Filled while a tokenizer is opened, constant afterwards.
 */
#ifndef ACE_TEXT_VOCABULARY_H
#define ACE_TEXT_VOCABULARY_H

#include "base/status.h"
#include "text/text_buffer.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Ids are below this: four times the largest published vocabulary (217 204), so that a damaged file
 * cannot ask for much memory. */
enum { ACE_MAX_VOCABULARY = 1 << 20, ACE_NO_TOKEN = -1 };

typedef struct ace_vocabulary_entry {
    uint32_t offset, bytes;
    bool used;
} ace_vocabulary_entry;

typedef struct ace_vocabulary {
    ace_text_buffer text;          /* the bytes of all tokens, back to back */
    ace_vocabulary_entry *entries; /* [size], by id; owned */
    int64_t size, capacity;
    int32_t *slots; /* open addressing: ids, ACE_NO_TOKEN when free; owned */
    size_t n_slots;
} ace_vocabulary;

/* Adds a token. MODEL error for an id out of range or already used for other bytes. */
ace_status ace_vocabulary_add(ace_vocabulary *vocabulary, int64_t id, const char *data,
                              size_t bytes, ace_error *err);

/* Builds the table behind find; to be called once, after the last add and before find. Of two ids
 * with the same bytes the smaller is found. */
ace_status ace_vocabulary_index(ace_vocabulary *vocabulary, ace_error *err);

/* The id of the concatenation a·b, or ACE_NO_TOKEN. */
int32_t ace_vocabulary_find(const ace_vocabulary *vocabulary, const char *a, size_t a_bytes,
                            const char *b, size_t b_bytes);

/* The bytes of a token, borrowed; NULL for an id that is not in use. */
const char *ace_vocabulary_bytes(const ace_vocabulary *vocabulary, int64_t id, size_t *bytes);

void ace_vocabulary_free(ace_vocabulary *vocabulary);

#endif
