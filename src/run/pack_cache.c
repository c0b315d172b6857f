#include "run/pack_cache.h"

#include "base/clock.h"
#include "base/log.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* Room that stays on the disk for everybody else. */
static const uint64_t SPARE_BYTES = (uint64_t)1 << 30;

static const double MB = 1024 * 1024;

uint64_t ace_pack_cache_limit(const ace_request *r)
{
    return (uint64_t)(r->cache_limit * 1024 * MB);
}

void ace_pack_cache_open(ace_pack_cache *cache, const ace_request *r, ace_pool *pool)
{
    memset(cache, 0, sizeof *cache);
    (void)snprintf(cache->base, sizeof cache->base, "%s", r->cache ? r->cache_dir : "");
    cache->limit = ace_pack_cache_limit(r);
    cache->least = (uint64_t)(r->cache_least * MB);
    cache->pool = pool;
}

bool ace_pack_cache_is_on(const ace_pack_cache *cache)
{
    return cache != NULL && cache->base[0] != '\0';
}

bool ace_pack_cache_wants(const ace_pack_cache *cache, uint64_t bytes)
{
    return ace_pack_cache_is_on(cache) && bytes >= cache->least &&
           ace_pack_header_bytes(bytes) > 0 && bytes + ace_pack_header_bytes(bytes) <= cache->limit;
}

/* Once: what is wrong with one file is likely wrong with all. */
static void complain(ace_pack_cache *cache, const ace_error *err)
{
    ace_log(cache->has_complained ? ACE_LOG_DEBUG : ACE_LOG_WARNING, "cache", "%s", err->message);
    cache->has_complained = true;
}

static bool open_folder(ace_pack_cache *cache, const char *folder, char path[ACE_CACHE_PATH_BYTES])
{
    ace_error err = {.code = ACESTEP_OK};
    if (ace_cache_folder_open(cache->base, folder, path, &err) != ACESTEP_OK) {
        complain(cache, &err);
        cache->base[0] = '\0';
        return false;
    }
    return true;
}

static void append_name(char path[ACE_CACHE_PATH_BYTES], const char *name, ace_digest key)
{
    char hex[ACE_DIGEST_HEX_BYTES];
    ace_digest_hex(key, hex);
    size_t used = strlen(path);
    (void)snprintf(path + used, ACE_CACHE_PATH_BYTES - used, "/%s-%s%s", name, hex,
                   ACE_PACK_SUFFIX);
}

bool ace_pack_cache_find(ace_pack_cache *cache, const char *folder, const char *name,
                         ace_digest key, char path[ACE_CACHE_PATH_BYTES])
{
    if (!ace_pack_cache_is_on(cache) || !open_folder(cache, folder, path)) {
        return false;
    }
    append_name(path, name, key);
    return access(path, R_OK) == 0;
}

bool ace_pack_cache_read(ace_pack_cache *cache, const char *folder, const char *name,
                         ace_digest key, const ace_pack_piece *pieces, int n)
{
    char path[ACE_CACHE_PATH_BYTES];
    ace_error err = {.code = ACESTEP_OK};
    if (!ace_pack_cache_is_on(cache) || !open_folder(cache, folder, path)) {
        return false;
    }
    append_name(path, name, key);
    double start = ace_clock_seconds();
    ace_pack_found found = ace_pack_file_read(path, key, pieces, n, cache->pool, &err);
    if (found == ACE_PACK_BAD) {
        (void)unlink(path);
        complain(cache, &err);
    } else if (found == ACE_PACK_FOUND) {
        ace_log(ACE_LOG_DEBUG, "cache", "%s: read in %.3f s", path, ace_clock_seconds() - start);
    }
    return found == ACE_PACK_FOUND;
}

static uint64_t file_bytes(const ace_pack_piece *pieces, int n)
{
    uint64_t bytes = 0;
    for (int i = 0; i < n; i++) {
        bytes += pieces[i].bytes;
    }
    return bytes + ace_pack_header_bytes(bytes);
}

void ace_pack_cache_write(ace_pack_cache *cache, const char *folder, const char *name,
                          ace_digest key, const ace_pack_piece *pieces, int n)
{
    char path[ACE_CACHE_PATH_BYTES];
    ace_error err = {.code = ACESTEP_OK};
    uint64_t bytes = file_bytes(pieces, n);
    if (!ace_pack_cache_is_on(cache) || bytes > cache->limit || !open_folder(cache, folder, path)) {
        return;
    }
    double start = ace_clock_seconds();
    ace_status status = ACESTEP_OK;
    if (ace_cache_folder_trim(path, ACE_PACK_SUFFIX, cache->limit - bytes) > cache->limit - bytes ||
        ace_cache_folder_room(path) < bytes + SPARE_BYTES) {
        status = ace_fail(&err, ACESTEP_IO, "%s: no room for %.1f GB; nothing is kept", path,
                          (double)bytes / (1024 * MB));
    } else {
        append_name(path, name, key);
        status = ace_pack_file_write(path, key, pieces, n, cache->pool, &err);
    }
    if (status != ACESTEP_OK) {
        complain(cache, &err);
    } else {
        ace_log(ACE_LOG_DEBUG, "cache", "%s: written in %.3f s", path, ace_clock_seconds() - start);
    }
}
