/* SHA-256 of bytes as they come by, and the SHA-1 by which git names the same content: hosts
 * publish the one for large files and the other for small ones. */
#ifndef ACE_STORE_SHA256_H
#define ACE_STORE_SHA256_H

#include "store/file_list.h"

#include <nettle/sha1.h>
#include <nettle/sha2.h>

typedef struct ace_store_sha {
    struct sha256_ctx sha256;
    struct sha1_ctx git;
    bool with_git;
} ace_store_sha;

/* bytes: of the whole content, which git hashes as well. with_git: SHA-1 is wanted too. */
void ace_store_sha_begin(ace_store_sha *sha, uint64_t bytes, bool with_git);
void ace_store_sha_add(ace_store_sha *sha, const void *data, size_t bytes);
/* In lower case; git_sha1 is "" unless it was wanted. */
void ace_store_sha_end(ace_store_sha *sha, char sha256[ACE_STORE_SHA256_BYTES],
                       char git_sha1[ACE_STORE_SHA1_BYTES]);

#endif
