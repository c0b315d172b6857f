/* API keys: what they may do, and addresses that are signed instead. Only digests of the keys are kept. */
#ifndef ACE_SERVER_HTTP_KEYS_H
#define ACE_SERVER_HTTP_KEYS_H

#include "base/status.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { ACE_KEY_DIGEST_BYTES = 32, ACE_SIGNED_SECONDS = 86400 };

typedef struct ace_http_key {
    unsigned char digest[ACE_KEY_DIGEST_BYTES]; /* SHA-256 */
    unsigned rights;
} ace_http_key;

typedef struct ace_http_keys {
    ace_http_key *key;
    size_t count; /* 0: everybody may do everything */
    unsigned char secret[ACE_KEY_DIGEST_BYTES];
} ace_http_keys;

/* keys: comma-separated, with all rights. file: "KEY [read,generate,admin] [# remark]" to a line,
 * without rights all of them. The secret that signs is kept in `folder`, so that signed addresses survive a
 * restart. ARGUMENT for a malformed file, IO. */
ace_status ace_http_keys_load(ace_http_keys *keys, const char *list, const char *file,
                              const char *folder, ace_error *err);
void ace_http_keys_free(ace_http_keys *keys);

/* Takes as long for a wrong key as for a right one. */
unsigned ace_http_keys_rights(const ace_http_keys *keys, const char *key);

/* Hexadecimal HMAC-SHA256 of a path, the value of its query's "path" (NULL: none) and a time. */
void ace_http_keys_sign(const ace_http_keys *keys, const char *path, const char *query_path,
                        uint64_t expires, char out[2 * ACE_KEY_DIGEST_BYTES + 1]);
bool ace_http_keys_signed(const ace_http_keys *keys, const char *path, const char *query_path,
                          const char *expires, const char *signature, uint64_t now);

#endif
