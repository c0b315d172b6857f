/* An image on its way to the disk, by a thread of its own, while the weights in it are computed
 * with already: both only read them. */
#ifndef ACE_RUN_PACK_WRITER_H
#define ACE_RUN_PACK_WRITER_H

#include "run/pack_cache.h"

typedef struct ace_pack_writer ace_pack_writer;

/* Begins what ace_pack_cache_write does in ACE_PACK_FOLDER. The image's memory has to stay, and to
 * stay as it is, until ace_pack_writer_finish. NULL: there is no memory or no thread for it, and
 * nothing is written. */
ace_pack_writer *ace_pack_writer_start(const ace_pack_cache *cache, const char *name,
                                       ace_digest key, ace_pack_piece image);
/* Waits for the file. What was wrong with the folder, `cache` knows then. NULL is fine. */
void ace_pack_writer_finish(ace_pack_writer *writer, ace_pack_cache *cache);

#endif
