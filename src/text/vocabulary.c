#include "text/vocabulary.h"

#include "base/memory.h"
#include "text/hash.h"

#include <inttypes.h>
#include <string.h>

static ace_status out_of_memory(ace_error *err)
{
    return ace_fail(err, ACESTEP_MEMORY, "out of memory for the vocabulary");
}

static bool grow_to(ace_vocabulary *v, int64_t size)
{
    if (size > v->capacity) {
        int64_t capacity = v->capacity != 0 ? v->capacity : 1024;
        while (capacity < size) {
            capacity *= 2;
        }
        ace_vocabulary_entry *grown =
            ace_realloc_array(v->entries, (size_t)capacity, sizeof *grown);
        if (grown == NULL) {
            return false;
        }
        v->entries = grown;
        v->capacity = capacity;
    }
    while (v->size < size) {
        v->entries[v->size++] = (ace_vocabulary_entry){0, 0, false};
    }
    return true;
}

ace_status ace_vocabulary_add(ace_vocabulary *v, int64_t id, const char *data, size_t bytes,
                              ace_error *err)
{
    if (id < 0 || id >= ACE_MAX_VOCABULARY) {
        return ace_fail(err, ACESTEP_MODEL, "token id %" PRId64 " is outside of 0…%d", id,
                        ACE_MAX_VOCABULARY - 1);
    }
    if (bytes > UINT32_MAX - v->text.bytes) {
        return ace_fail(err, ACESTEP_MODEL, "the tokens have more than 4 GiB of text");
    }
    size_t known_bytes = 0;
    const char *known = ace_vocabulary_bytes(v, id, &known_bytes);
    if (known != NULL) {
        if (known_bytes == bytes && memcmp(known, data, bytes) == 0) {
            return ACESTEP_OK;
        }
        return ace_fail(err, ACESTEP_MODEL, "token id %" PRId64 " is given to two tokens", id);
    }
    uint32_t offset = (uint32_t)v->text.bytes;
    ace_text_append(&v->text, data, bytes);
    if (v->text.failed || !grow_to(v, id + 1 > v->size ? id + 1 : v->size)) {
        return out_of_memory(err);
    }
    v->entries[id] = (ace_vocabulary_entry){offset, (uint32_t)bytes, true};
    return ACESTEP_OK;
}

static uint64_t hash_pair(const char *a, size_t a_bytes, const char *b, size_t b_bytes)
{
    uint64_t hash = ace_hash_bytes(ACE_HASH_SEED, a, a_bytes);
    return ace_hash_mix(ace_hash_bytes(hash, b, b_bytes));
}

static bool is_concatenation(const ace_vocabulary *v, int32_t id, const char *a, size_t a_bytes,
                             const char *b, size_t b_bytes)
{
    const ace_vocabulary_entry *entry = &v->entries[id];
    const char *bytes = v->text.data + entry->offset;
    return entry->bytes == a_bytes + b_bytes && memcmp(bytes, a, a_bytes) == 0 &&
           memcmp(bytes + a_bytes, b, b_bytes) == 0;
}

/* The slot that holds a·b or is free for it; n_slots when the probe is too long. */
static size_t find_slot(const ace_vocabulary *v, const char *a, size_t a_bytes, const char *b,
                        size_t b_bytes)
{
    size_t mask = v->n_slots - 1;
    size_t slot = (size_t)hash_pair(a, a_bytes, b, b_bytes) & mask;
    for (int probe = 0; probe < ACE_HASH_MAX_PROBE; probe++) {
        int32_t id = v->slots[slot];
        if (id == ACE_NO_TOKEN || is_concatenation(v, id, a, a_bytes, b, b_bytes)) {
            return slot;
        }
        slot = (slot + 1) & mask;
    }
    return v->n_slots;
}

ace_status ace_vocabulary_index(ace_vocabulary *v, ace_error *err)
{
    v->n_slots = ace_hash_slots((size_t)v->size);
    v->slots = ace_malloc_array(v->n_slots, sizeof *v->slots);
    if (v->slots == NULL) {
        return out_of_memory(err);
    }
    for (size_t i = 0; i < v->n_slots; i++) {
        v->slots[i] = ACE_NO_TOKEN;
    }
    for (int64_t id = 0; id < v->size; id++) {
        size_t bytes = 0;
        const char *data = ace_vocabulary_bytes(v, id, &bytes);
        if (data == NULL) {
            continue;
        }
        size_t slot = find_slot(v, data, bytes, "", 0);
        if (slot == v->n_slots) {
            return ace_fail(err, ACESTEP_MODEL, "the vocabulary collides in the hash table");
        }
        if (v->slots[slot] == ACE_NO_TOKEN) {
            v->slots[slot] = (int32_t)id;
        }
    }
    return ACESTEP_OK;
}

int32_t ace_vocabulary_find(const ace_vocabulary *v, const char *a, size_t a_bytes, const char *b,
                            size_t b_bytes)
{
    size_t slot = find_slot(v, a, a_bytes, b, b_bytes);
    return slot == v->n_slots ? ACE_NO_TOKEN : v->slots[slot];
}

const char *ace_vocabulary_bytes(const ace_vocabulary *v, int64_t id, size_t *bytes)
{
    if (id < 0 || id >= v->size || !v->entries[id].used) {
        *bytes = 0;
        return NULL;
    }
    *bytes = v->entries[id].bytes;
    return v->text.data + v->entries[id].offset;
}

void ace_vocabulary_free(ace_vocabulary *v)
{
    ace_text_free(&v->text);
    ace_free(v->entries);
    ace_free(v->slots);
    memset(v, 0, sizeof *v);
}
