#include "run/pack_writer.h"

#include "base/memory.h"

#include <pthread.h>

struct ace_pack_writer {
    pthread_t thread;
    ace_pack_cache cache; /* its own, with a pool of one thread: the engine's is computing */
    const char *name;
    ace_digest key;
    ace_pack_piece image;
};

static void *write_image(void *context)
{
    ace_pack_writer *w = context;
    ace_pack_cache_write(&w->cache, ACE_PACK_FOLDER, w->name, w->key, &w->image, 1);
    return NULL;
}

ace_pack_writer *ace_pack_writer_start(const ace_pack_cache *cache, const char *name,
                                       ace_digest key, ace_pack_piece image)
{
    ace_pack_writer *w = ace_calloc(1, sizeof *w);
    if (w == NULL) {
        return NULL;
    }
    w->cache = *cache;
    w->cache.pool = NULL;
    w->name = name;
    w->key = key;
    w->image = image;
    if (ace_pool_create(1, &w->cache.pool, NULL) != ACESTEP_OK ||
        pthread_create(&w->thread, NULL, write_image, w) != 0) {
        ace_pool_free(w->cache.pool);
        ace_free(w);
        return NULL;
    }
    return w;
}

void ace_pack_writer_finish(ace_pack_writer *writer, ace_pack_cache *cache)
{
    if (writer == NULL) {
        return;
    }
    (void)pthread_join(writer->thread, NULL);
    cache->has_complained = cache->has_complained || writer->cache.has_complained;
    if (!ace_pack_cache_is_on(&writer->cache)) {
        cache->base[0] = '\0';
    }
    ace_pool_free(writer->cache.pool);
    ace_free(writer);
}
