#define _DEFAULT_SOURCE /* explicit_bzero */
#include "server/http_keys.h"

#include "base/memory.h"
#include "server/http.h"

#include <errno.h>
#include <fcntl.h>
#include <nettle/hmac.h>
#include <nettle/memops.h>
#include <nettle/sha2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

enum { MOST_KEYS = 1000, LONGEST_LINE = 1024 };

static void digest_of(const char *key, unsigned char out[ACE_KEY_DIGEST_BYTES])
{
    struct sha256_ctx sha;
    sha256_init(&sha);
    sha256_update(&sha, strlen(key), (const uint8_t *)key);
    sha256_digest(&sha, ACE_KEY_DIGEST_BYTES, out);
}

static ace_status add_key(ace_http_keys *keys, const char *key, unsigned rights, ace_error *err)
{
    ace_http_key *more = keys->count < MOST_KEYS
                             ? ace_realloc_array(keys->key, keys->count + 1, sizeof *more)
                             : NULL;
    if (more == NULL) {
        return ace_fail(err, ACESTEP_ARGUMENT, "keys: more than %d of them", MOST_KEYS);
    }
    keys->key = more;
    digest_of(key, keys->key[keys->count].digest);
    keys->key[keys->count++].rights = rights;
    return ACESTEP_OK;
}

static ace_status add_list(ace_http_keys *keys, const char *list, ace_error *err)
{
    char *copy = ace_strdup(list);
    ace_status status =
        copy != NULL ? ACESTEP_OK : ace_fail(err, ACESTEP_MEMORY, "keys: no host memory");
    char *rest = NULL;
    for (char *key = copy != NULL ? strtok_r(copy, ", ", &rest) : NULL;
         key != NULL && status == ACESTEP_OK; key = strtok_r(NULL, ", ", &rest)) {
        status = add_key(keys, key, ACE_RIGHT_ALL, err);
    }
    ace_free(copy);
    return status;
}

/* "read,generate"; 0 for anything else. */
static unsigned rights_of(char *words)
{
    unsigned rights = 0;
    char *rest = NULL;
    for (char *word = strtok_r(words, ",", &rest); word != NULL;
         word = strtok_r(NULL, ",", &rest)) {
        unsigned one = strcmp(word, "read") == 0       ? ACE_RIGHT_READ
                       : strcmp(word, "generate") == 0 ? ACE_RIGHT_GENERATE
                       : strcmp(word, "admin") == 0    ? ACE_RIGHT_ADMIN
                       : strcmp(word, "all") == 0      ? ACE_RIGHT_ALL
                                                       : 0;
        if (one == 0) {
            return 0;
        }
        rights |= one;
    }
    return rights;
}

static ace_status add_line(ace_http_keys *keys, const char *path, int number, char *line,
                           ace_error *err)
{
    char *rest = NULL;
    char *key = strtok_r(line, " \t\r\n", &rest);
    if (key == NULL || key[0] == '#') {
        return ACESTEP_OK;
    }
    char *words = strtok_r(NULL, " \t\r\n", &rest);
    bool given = words != NULL && words[0] != '#';
    unsigned rights = given ? rights_of(words) : ACE_RIGHT_ALL;
    char *more = given ? strtok_r(NULL, " \t\r\n", &rest) : NULL;
    if (rights == 0 || (more != NULL && more[0] != '#')) {
        return ace_fail(err, ACESTEP_ARGUMENT,
                        "%s: line %d: a key is followed by its rights, of read, generate, admin "
                        "with commas between them, or by nothing",
                        path, number);
    }
    return add_key(keys, key, rights, err);
}

static ace_status add_file(ace_http_keys *keys, const char *path, ace_error *err)
{
    FILE *f = fopen(path, "re");
    if (f == NULL) {
        return ace_fail(err, ACESTEP_IO, "%s: %s", path, strerror(errno));
    }
    char line[LONGEST_LINE];
    ace_status status = ACESTEP_OK;
    size_t before = keys->count;
    for (int number = 1; status == ACESTEP_OK && fgets(line, sizeof line, f) != NULL; number++) {
        status = add_line(keys, path, number, line, err);
    }
    if (status == ACESTEP_OK && (ferror(f) || keys->count == before)) {
        status = ace_fail(err, ACESTEP_ARGUMENT, "%s: there is no key in it", path);
    }
    fclose(f);
    return status;
}

/* Reads it, or makes it: whoever comes second finds the whole file of whoever came first. */
static ace_status load_secret(ace_http_keys *keys, const char *folder, ace_error *err)
{
    char path[4096];
    int n = snprintf(path, sizeof path, "%s/signing.key", folder);
    int fd = n < (int)sizeof path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
    if (fd >= 0) {
        ssize_t got = read(fd, keys->secret, sizeof keys->secret);
        close(fd);
        if (got == (ssize_t)sizeof keys->secret) {
            return ACESTEP_OK;
        }
    }
    if (getrandom(keys->secret, sizeof keys->secret, 0) != (ssize_t)sizeof keys->secret) {
        return ace_fail(err, ACESTEP_IO, "random numbers: %s", strerror(errno));
    }
    fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    ssize_t put = fd >= 0 ? write(fd, keys->secret, sizeof keys->secret) : -1;
    if (fd >= 0) {
        close(fd);
    }
    return put == (ssize_t)sizeof keys->secret
               ? ACESTEP_OK
               : ace_fail(err, ACESTEP_IO, "%s: %s", path, strerror(errno));
}

ace_status ace_http_keys_load(ace_http_keys *keys, const char *list, const char *file,
                              const char *folder, ace_error *err)
{
    memset(keys, 0, sizeof *keys);
    ace_status status = list != NULL ? add_list(keys, list, err) : ACESTEP_OK;
    if (status == ACESTEP_OK && file != NULL && file[0] != '\0') {
        status = add_file(keys, file, err);
    }
    if (status == ACESTEP_OK && keys->count > 0) {
        status = load_secret(keys, folder, err);
    }
    return status;
}

void ace_http_keys_free(ace_http_keys *keys)
{
    ace_free(keys->key);
    explicit_bzero(keys, sizeof *keys);
}

unsigned ace_http_keys_rights(const ace_http_keys *keys, const char *key)
{
    if (keys->count == 0) {
        return ACE_RIGHT_ALL;
    }
    unsigned char digest[ACE_KEY_DIGEST_BYTES];
    unsigned rights = ACE_RIGHT_NONE;
    digest_of(key != NULL ? key : "", digest);
    for (size_t i = 0; i < keys->count; i++) {
        unsigned same = (unsigned)memeql_sec(digest, keys->key[i].digest, sizeof digest);
        rights |= keys->key[i].rights & (0u - same);
    }
    return key != NULL ? rights : ACE_RIGHT_NONE;
}

void ace_http_keys_sign(const ace_http_keys *keys, const char *path, const char *query_path,
                        uint64_t expires, char out[2 * ACE_KEY_DIGEST_BYTES + 1])
{
    struct hmac_sha256_ctx hmac;
    unsigned char digest[ACE_KEY_DIGEST_BYTES];
    char number[24];
    int n = snprintf(number, sizeof number, "%llu", (unsigned long long)expires);
    hmac_sha256_set_key(&hmac, sizeof keys->secret, keys->secret);
    /* the NULs between them keep ("ab", "c") from looking like ("a", "bc") */
    hmac_sha256_update(&hmac, (size_t)n + 1, (const uint8_t *)number);
    hmac_sha256_update(&hmac, strlen(path) + 1, (const uint8_t *)path);
    if (query_path != NULL) {
        hmac_sha256_update(&hmac, strlen(query_path) + 1, (const uint8_t *)query_path);
    }
    hmac_sha256_digest(&hmac, sizeof digest, digest);
    for (size_t i = 0; i < sizeof digest; i++) {
        (void)snprintf(out + 2 * i, 3, "%02x", digest[i]);
    }
}

bool ace_http_keys_signed(const ace_http_keys *keys, const char *path, const char *query_path,
                          const char *expires, const char *signature, uint64_t now)
{
    char own[2 * ACE_KEY_DIGEST_BYTES + 1];
    if (keys->count == 0 || expires == NULL || signature == NULL || strlen(expires) > 12 ||
        expires[0] == '\0' || strspn(expires, "0123456789") != strlen(expires) ||
        strlen(signature) != sizeof own - 1) {
        return false;
    }
    uint64_t until = strtoull(expires, NULL, 10);
    ace_http_keys_sign(keys, path, query_path, until, own);
    return memeql_sec(own, signature, sizeof own - 1) != 0 && now <= until;
}
