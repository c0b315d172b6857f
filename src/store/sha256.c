#include "store/sha256.h"

#include <stdio.h>

void ace_store_sha_begin(ace_store_sha *sha, uint64_t bytes, bool with_git)
{
    char head[32];
    sha256_init(&sha->sha256);
    sha->with_git = with_git;
    if (with_git) {
        int n = snprintf(head, sizeof head, "blob %llu", (unsigned long long)bytes);
        sha1_init(&sha->git);
        sha1_update(&sha->git, (size_t)n + 1, (const uint8_t *)head); /* with the NUL */
    }
}

void ace_store_sha_add(ace_store_sha *sha, const void *data, size_t bytes)
{
    sha256_update(&sha->sha256, bytes, data);
    if (sha->with_git) {
        sha1_update(&sha->git, bytes, data);
    }
}

static void write_hex(const uint8_t *digest, size_t n, char *out)
{
    static const char digits[] = "0123456789abcdef";
    for (size_t i = 0; i < n; i++) {
        out[2 * i] = digits[digest[i] >> 4];
        out[2 * i + 1] = digits[digest[i] & 15];
    }
    out[2 * n] = '\0';
}

void ace_store_sha_end(ace_store_sha *sha, char sha256[ACE_STORE_SHA256_BYTES],
                       char git_sha1[ACE_STORE_SHA1_BYTES])
{
    uint8_t digest[SHA256_DIGEST_SIZE];
    sha256_digest(&sha->sha256, SHA256_DIGEST_SIZE, digest);
    write_hex(digest, SHA256_DIGEST_SIZE, sha256);
    git_sha1[0] = '\0';
    if (sha->with_git) {
        sha1_digest(&sha->git, SHA1_DIGEST_SIZE, digest);
        write_hex(digest, SHA1_DIGEST_SIZE, git_sha1);
    }
}
