/* Digests of bytes by XXH3 (xxhash): as fast as memory is read, and good against accidents. They
 * are no defence against somebody who wants two inputs to look alike. */
#ifndef ACE_BASE_DIGEST_H
#define ACE_BASE_DIGEST_H

#include <stddef.h>
#include <stdint.h>

enum { ACE_DIGEST_HEX_BYTES = 33 }; /* 32 digits and the end */

typedef struct ace_digest {
    uint64_t low, high;
} ace_digest;

/* 64 bits of a run of bytes. */
uint64_t ace_checksum(const void *data, size_t bytes);

/* What `so_far` stands for and then these bytes: (ab, c) and (a, bc) differ. Begin with zeros. */
ace_digest ace_digest_add(ace_digest so_far, const void *data, size_t bytes);
ace_digest ace_digest_add_text(ace_digest so_far, const char *text);
ace_digest ace_digest_add_number(ace_digest so_far, uint64_t number);

void ace_digest_hex(ace_digest d, char out[ACE_DIGEST_HEX_BYTES]);

#endif
