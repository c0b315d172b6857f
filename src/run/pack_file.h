/* The file of one packed image: the bytes that a loader leaves in its arena, with a checksum for
 * every run of half a megabyte. All numbers little-endian:
 *
 *   0  "ACEPACK1"
 *   8  key, u64 low and high
 *  24  bytes of the image, u64
 *  32  bytes of a chunk, u64: ACE_PACK_CHUNK
 *  40  checksum of the header, u64, itself as zero
 *  48  a checksum of each chunk, u64
 *      zeros up to a multiple of ACE_PACK_ALIGNMENT, then the image
 *
 * Files are hostile until proven whole. */
#ifndef ACE_RUN_PACK_FILE_H
#define ACE_RUN_PACK_FILE_H

#include "base/digest.h"
#include "base/status.h"
#include "base/thread_pool.h"

#include <stdbool.h>

enum {
    ACE_PACK_CHUNK = 1 << 19, /* stays in a core's L2 cache between reading and summing up */
    ACE_PACK_ALIGNMENT = 4096
};

typedef struct ace_pack_header {
    ace_digest key;
    uint64_t bytes; /* of the image */
    uint64_t chunks;
    uint64_t data_offset;
    const unsigned char *checksums; /* into the parsed bytes */
} ace_pack_header;

/* Bytes of the header of an image, up to the image itself; 0 when it would be absurdly long. */
size_t ace_pack_header_bytes(uint64_t image_bytes);
/* The first `bytes` of a file of `file_bytes`; false for anything but a whole header of a file that
 * has the right length. */
bool ace_pack_header_parse(const unsigned char *data, size_t bytes, uint64_t file_bytes,
                           ace_pack_header *out);

/* An image lies in pieces, one after another. */
typedef struct ace_pack_piece {
    void *memory; /* NULL when reading: not wanted */
    size_t bytes;
} ace_pack_piece;

typedef enum ace_pack_found {
    ACE_PACK_FOUND,
    ACE_PACK_ABSENT,
    ACE_PACK_BAD /* there, but not what it should be: err says why */
} ace_pack_found;

/* Reads in parallel, straight into the pieces, and checks every chunk that holds a wanted byte.
 * After anything but FOUND the pieces hold garbage. */
ace_pack_found ace_pack_file_read(const char *path, ace_digest key, const ace_pack_piece *pieces,
                                  int n, ace_pool *pool, ace_error *err);

/* Writes the file beside itself and renames it: the name never holds half of one. It is not brought
 * to the disk at once (no fsync): after a power cut its checksums are wrong, and it is made again.
 * Each process that is at it at the same time writes its own. */
ace_status ace_pack_file_write(const char *path, ace_digest key, const ace_pack_piece *pieces,
                               int n, ace_pool *pool, ace_error *err);

#endif
