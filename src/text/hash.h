/* Hashing for the tokenizer's open-addressing tables.
 *
 * The keys come from files, so a table must survive hostile ones: a probe longer than
 * ACE_HASH_MAX_PROBE, which honest data at half load never needs, is reported as a damaged file. */
#ifndef ACE_TEXT_HASH_H
#define ACE_TEXT_HASH_H

#include <stddef.h>
#include <stdint.h>

enum { ACE_HASH_MAX_PROBE = 1024 };

/* Finaliser of MurmurHash3 (Appleby): every input bit reaches every output bit. */
static inline uint64_t ace_hash_mix(uint64_t x)
{
    x ^= x >> 33;
    x *= 0xFF51AFD7ED558CCDULL;
    x ^= x >> 33;
    x *= 0xC4CEB9FE1A85EC53ULL;
    return x ^ x >> 33;
}

/* FNV-1a (Fowler, Noll, Vo) of data appended to what seed has hashed already; start with
 * ACE_HASH_SEED and finish with ace_hash_mix. */
#define ACE_HASH_SEED 0xCBF29CE484222325ULL
static inline uint64_t ace_hash_bytes(uint64_t seed, const char *data, size_t bytes)
{
    for (size_t i = 0; i < bytes; i++) {
        seed = (seed ^ (unsigned char)data[i]) * 0x100000001B3ULL;
    }
    return seed;
}

/* Slots of a table for that many keys: a power of two, at most half full. */
static inline size_t ace_hash_slots(size_t keys)
{
    size_t slots = 16;
    while (slots < keys * 2) {
        slots *= 2;
    }
    return slots;
}

#endif
