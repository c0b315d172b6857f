#include "run/pack_file.h"

#include "base/cache_folder.h"
#include "base/checked.h"
#include "base/little_endian.h"
#include "base/memory.h"

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { KEY_AT = 8, BYTES_AT = 24, CHUNK_AT = 32, SUM_AT = 40, TABLE_AT = 48 };

static const char magic[8] = {'A', 'C', 'E', 'P', 'A', 'C', 'K', '1'};
static const uint64_t MOST_BYTES = (uint64_t)1 << 40;

static uint64_t chunks_of(uint64_t bytes)
{
    return (bytes + ACE_PACK_CHUNK - 1) / ACE_PACK_CHUNK;
}

/* ---- header ---------------------------------------------------------------------------------- */

size_t ace_pack_header_bytes(uint64_t image_bytes)
{
    if (image_bytes == 0 || image_bytes > MOST_BYTES) {
        return 0;
    }
    return ace_align_up(TABLE_AT + (size_t)chunks_of(image_bytes) * 8, ACE_PACK_ALIGNMENT);
}

/* Of the header with zeros where the sum itself stands. */
static uint64_t sum_up(const unsigned char *header, size_t bytes)
{
    ace_digest d = ace_digest_add((ace_digest){0}, header, SUM_AT);
    return ace_digest_add(d, header + TABLE_AT, bytes - TABLE_AT).low;
}

bool ace_pack_header_parse(const unsigned char *data, size_t bytes, uint64_t file_bytes,
                           ace_pack_header *out)
{
    if (bytes < TABLE_AT || memcmp(data, magic, sizeof magic) != 0 ||
        ace_get_u64(data + CHUNK_AT) != ACE_PACK_CHUNK) {
        return false;
    }
    *out = (ace_pack_header){
        .key = {ace_get_u64(data + KEY_AT), ace_get_u64(data + KEY_AT + 8)},
        .bytes = ace_get_u64(data + BYTES_AT),
        .checksums = data + TABLE_AT,
    };
    size_t header_bytes = ace_pack_header_bytes(out->bytes);
    if (header_bytes == 0 || bytes < header_bytes || file_bytes != header_bytes + out->bytes ||
        sum_up(data, header_bytes) != ace_get_u64(data + SUM_AT)) {
        return false;
    }
    out->chunks = chunks_of(out->bytes);
    out->data_offset = header_bytes;
    return true;
}

static void write_header(unsigned char *header, size_t header_bytes, ace_digest key, uint64_t bytes)
{
    memcpy(header, magic, sizeof magic);
    ace_put_u64(header + KEY_AT, key.low);
    ace_put_u64(header + KEY_AT + 8, key.high);
    ace_put_u64(header + BYTES_AT, bytes);
    ace_put_u64(header + CHUNK_AT, ACE_PACK_CHUNK);
    ace_put_u64(header + SUM_AT, sum_up(header, header_bytes));
}

/* ---- chunks and pieces ----------------------------------------------------------------------- */

typedef struct transfer {
    int fd;
    const ace_pack_piece *pieces;
    int n;
    uint64_t bytes, data_offset;
    unsigned char *table;   /* checksums of the chunks */
    unsigned char *staging; /* a chunk for each thread */
    _Atomic int code;       /* errno of a failure; -1: a wrong checksum */
} transfer;

static uint64_t image_bytes(const ace_pack_piece *pieces, int n)
{
    uint64_t bytes = 0;
    for (int i = 0; i < n; i++) {
        bytes += pieces[i].bytes;
    }
    return bytes;
}

static size_t chunk_bytes(const transfer *t, uint64_t first)
{
    return t->bytes - first < ACE_PACK_CHUNK ? (size_t)(t->bytes - first) : ACE_PACK_CHUNK;
}

static void fail_once(transfer *t, int code)
{
    int none = 0;
    (void)atomic_compare_exchange_strong(&t->code, &none, code);
}

/* The chunk as one run of memory, if one piece holds all of it. */
static unsigned char *find_run(const transfer *t, uint64_t first, size_t bytes)
{
    for (int i = 0; i < t->n; i++) {
        if (first < t->pieces[i].bytes) {
            unsigned char *memory = t->pieces[i].memory;
            return memory != NULL && bytes <= t->pieces[i].bytes - first ? memory + first : NULL;
        }
        first -= t->pieces[i].bytes;
    }
    return NULL;
}

/* Between a chunk in one run and the pieces that it belongs to. False: no piece wants it. */
static bool exchange(const transfer *t, uint64_t first, size_t bytes, unsigned char *run,
                     bool to_pieces, bool copy)
{
    bool wanted = false;
    for (int i = 0; i < t->n && bytes > 0; i++) {
        if (first >= t->pieces[i].bytes) {
            first -= t->pieces[i].bytes;
            continue;
        }
        size_t here = t->pieces[i].bytes - (size_t)first;
        here = here < bytes ? here : bytes;
        unsigned char *memory = t->pieces[i].memory;
        wanted = wanted || memory != NULL;
        if (memory != NULL && copy) {
            memcpy(to_pieces ? memory + first : run, to_pieces ? run : memory + first, here);
        }
        run += here;
        bytes -= here;
        first = 0;
    }
    return wanted;
}

static bool read_all(int fd, unsigned char *to, size_t bytes, uint64_t at, int *code)
{
    while (bytes > 0) {
        ssize_t n = pread(fd, to, bytes, (off_t)at);
        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n <= 0) {
            *code = n < 0 ? errno : EIO;
            return false;
        }
        to += n;
        at += (uint64_t)n;
        bytes -= (size_t)n;
    }
    return true;
}

static bool write_all(int fd, const unsigned char *from, size_t bytes, uint64_t at, int *code)
{
    while (bytes > 0) {
        ssize_t n = pwrite(fd, from, bytes, (off_t)at);
        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n <= 0) {
            *code = n < 0 ? errno : EIO;
            return false;
        }
        from += n;
        at += (uint64_t)n;
        bytes -= (size_t)n;
    }
    return true;
}

static void read_chunk(void *context, int64_t task, int thread)
{
    transfer *t = context;
    uint64_t first = (uint64_t)task * ACE_PACK_CHUNK;
    size_t bytes = chunk_bytes(t, first);
    unsigned char *staging = t->staging + (size_t)thread * ACE_PACK_CHUNK;
    unsigned char *run = find_run(t, first, bytes);
    int code = 0;
    if (atomic_load(&t->code) != 0 ||
        (run == NULL && !exchange(t, first, bytes, staging, true, false))) {
        return;
    }
    unsigned char *to = run != NULL ? run : staging;
    if (!read_all(t->fd, to, bytes, t->data_offset + first, &code)) {
        fail_once(t, code);
    } else if (ace_checksum(to, bytes) != ace_get_u64(t->table + 8 * task)) {
        fail_once(t, -1);
    } else if (run == NULL) {
        (void)exchange(t, first, bytes, staging, true, true);
    }
}

static void write_chunk(void *context, int64_t task, int thread)
{
    transfer *t = context;
    uint64_t first = (uint64_t)task * ACE_PACK_CHUNK;
    size_t bytes = chunk_bytes(t, first);
    unsigned char *staging = t->staging + (size_t)thread * ACE_PACK_CHUNK;
    unsigned char *run = find_run(t, first, bytes);
    int code = 0;
    if (atomic_load(&t->code) != 0) {
        return;
    }
    if (run == NULL) {
        (void)exchange(t, first, bytes, staging, false, true);
        run = staging;
    }
    ace_put_u64(t->table + 8 * task, ace_checksum(run, bytes));
    if (!write_all(t->fd, run, bytes, t->data_offset + first, &code)) {
        fail_once(t, code);
    }
}

static bool open_transfer(transfer *t, unsigned char **header, ace_pool *pool)
{
    *header = t->data_offset > 0 ? ace_calloc(t->data_offset, 1) : NULL;
    t->staging = ace_malloc_array((size_t)ace_pool_threads(pool), ACE_PACK_CHUNK);
    if (*header == NULL || t->staging == NULL) {
        ace_free(*header);
        ace_free(t->staging);
        return false;
    }
    t->table = *header + TABLE_AT;
    return true;
}

/* ---- reading --------------------------------------------------------------------------------- */

static ace_status bad(const char *path, const char *why, ace_error *err)
{
    return ace_fail(err, ACESTEP_IO, "%s: %s", path, why);
}

static ace_status read_image(transfer *t, unsigned char *header, uint64_t file_bytes,
                             ace_digest key, const char *path, ace_pool *pool, ace_error *err)
{
    ace_pack_header found;
    int code = 0;
    if (file_bytes < t->data_offset || !read_all(t->fd, header, (size_t)t->data_offset, 0, &code) ||
        !ace_pack_header_parse(header, (size_t)t->data_offset, file_bytes, &found) ||
        found.bytes != t->bytes || found.key.low != key.low || found.key.high != key.high) {
        return bad(path, "is cut off or damaged", err);
    }
    ace_pool_run(pool, (int64_t)found.chunks, read_chunk, t);
    code = atomic_load(&t->code);
    return code == 0 ? ACESTEP_OK
                     : bad(path, code < 0 ? "a checksum is wrong" : strerror(code), err);
}

ace_pack_found ace_pack_file_read(const char *path, ace_digest key, const ace_pack_piece *pieces,
                                  int n, ace_pool *pool, ace_error *err)
{
    uint64_t file_bytes = 0;
    uint64_t bytes = image_bytes(pieces, n);
    unsigned char *header = NULL;
    transfer t = {.fd = ace_cache_file_open(path, &file_bytes),
                  .pieces = pieces,
                  .n = n,
                  .bytes = bytes,
                  .data_offset = ace_pack_header_bytes(bytes)};
    atomic_init(&t.code, 0);
    if (t.fd < 0) {
        return ACE_PACK_ABSENT;
    }
    if (!open_transfer(&t, &header, pool)) {
        (void)close(t.fd);
        return ACE_PACK_ABSENT; /* no memory to look: it is packed anew */
    }
    ace_status status = read_image(&t, header, file_bytes, key, path, pool, err);
    if (status == ACESTEP_OK) {
        ace_cache_file_touch(t.fd);
    }
    (void)close(t.fd);
    ace_free(header);
    ace_free(t.staging);
    return status == ACESTEP_OK ? ACE_PACK_FOUND : ACE_PACK_BAD;
}

/* ---- writing --------------------------------------------------------------------------------- */

/* The header comes last: until then the file says nothing. 0 or errno. */
static int write_image(transfer *t, unsigned char *header, ace_digest key, ace_pool *pool)
{
    int code = 0;
    ace_pool_run(pool, (int64_t)chunks_of(t->bytes), write_chunk, t);
    write_header(header, (size_t)t->data_offset, key, t->bytes);
    if (atomic_load(&t->code) == 0 && !write_all(t->fd, header, (size_t)t->data_offset, 0, &code)) {
        fail_once(t, code);
    }
    return atomic_load(&t->code);
}

ace_status ace_pack_file_write(const char *path, ace_digest key, const ace_pack_piece *pieces,
                               int n, ace_pool *pool, ace_error *err)
{
    char temporary[ACE_CACHE_PATH_BYTES];
    uint64_t bytes = image_bytes(pieces, n);
    unsigned char *header = NULL;
    transfer t = {
        .pieces = pieces, .n = n, .bytes = bytes, .data_offset = ace_pack_header_bytes(bytes)};
    atomic_init(&t.code, 0);
    if (!open_transfer(&t, &header, pool)) {
        return ace_fail(err, ACESTEP_MEMORY, "%s: no host memory to write it", path);
    }
    t.fd = ace_cache_file_create(path, temporary);
    int code = t.fd < 0 ? errno : write_image(&t, header, key, pool);
    if (t.fd >= 0 && close(t.fd) != 0 && code == 0) {
        code = errno;
    }
    if (code == 0 && rename(temporary, path) != 0) {
        code = errno;
    }
    if (t.fd >= 0 && code != 0) {
        (void)unlink(temporary);
    }
    ace_free(header);
    ace_free(t.staging);
    return code == 0 ? ACESTEP_OK : bad(path, strerror(code), err);
}
