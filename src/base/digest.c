#include "base/digest.h"

#include "base/little_endian.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <xxhash.h>

uint64_t ace_checksum(const void *data, size_t bytes)
{
    return XXH3_64bits(data, bytes);
}

/* A chain: each link is the digest of the one before it and of the new bytes' own digest. */
ace_digest ace_digest_add(ace_digest so_far, const void *data, size_t bytes)
{
    unsigned char link[32];
    XXH128_hash_t own = XXH3_128bits(data, bytes);
    ace_put_u64(link, so_far.low);
    ace_put_u64(link + 8, so_far.high);
    ace_put_u64(link + 16, own.low64);
    ace_put_u64(link + 24, own.high64);
    XXH128_hash_t whole = XXH3_128bits(link, sizeof link);
    return (ace_digest){whole.low64, whole.high64};
}

ace_digest ace_digest_add_text(ace_digest so_far, const char *text)
{
    return ace_digest_add(so_far, text, strlen(text));
}

ace_digest ace_digest_add_number(ace_digest so_far, uint64_t number)
{
    unsigned char bytes[8];
    ace_put_u64(bytes, number);
    return ace_digest_add(so_far, bytes, sizeof bytes);
}

void ace_digest_hex(ace_digest d, char out[ACE_DIGEST_HEX_BYTES])
{
    (void)snprintf(out, ACE_DIGEST_HEX_BYTES, "%016" PRIx64 "%016" PRIx64, d.high, d.low);
}
