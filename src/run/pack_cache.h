/* Packed weights kept on disk, so that the next start reads what this one has packed. Nothing
 * depends on it: whatever is wrong with folder or file, the weights are packed as if it were not
 * there, and one line in the log says why. docs/cache.md */
#ifndef ACE_RUN_PACK_CACHE_H
#define ACE_RUN_PACK_CACHE_H

#include "base/cache_folder.h"
#include "run/pack_file.h"
#include "run/request.h"

#define ACE_PACK_FOLDER "packed"        /* images of parts, below the cache's folder */
#define ACE_CONSTANT_FOLDER "constants" /* small results that depend on the weights alone */
#define ACE_PACK_SUFFIX ".acepack"

typedef struct ace_pack_cache {
    char base[4200]; /* empty: nothing is kept */
    uint64_t limit;  /* bytes that all images together may take */
    uint64_t least;  /* bytes of the smallest image that is worth it */
    ace_pool *pool;  /* borrowed */
    bool has_complained;
} ace_pack_cache;

void ace_pack_cache_open(ace_pack_cache *cache, const ace_request *r, ace_pool *pool);

/* cache_limit in bytes. */
uint64_t ace_pack_cache_limit(const ace_request *r);
bool ace_pack_cache_is_on(const ace_pack_cache *cache);
/* Is an image of this size to be kept? */
bool ace_pack_cache_wants(const ace_pack_cache *cache, uint64_t bytes);

/* False: not there. The pieces then hold garbage. name: what it is, for the file's name. */
bool ace_pack_cache_read(ace_pack_cache *cache, const char *folder, const char *name,
                         ace_digest key, const ace_pack_piece *pieces, int n);
/* The file that a read would open, if it is there. */
bool ace_pack_cache_find(ace_pack_cache *cache, const char *folder, const char *name,
                         ace_digest key, char path[ACE_CACHE_PATH_BYTES]);
/* Makes room, and keeps it if it can. */
void ace_pack_cache_write(ace_pack_cache *cache, const char *folder, const char *name,
                          ace_digest key, const ace_pack_piece *pieces, int n);

#endif
