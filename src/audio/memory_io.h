/* libsndfile on memory: a read-only view of bytes, or a growing buffer to write into. */
#ifndef ACE_AUDIO_MEMORY_IO_H
#define ACE_AUDIO_MEMORY_IO_H

#include "audio/bytes.h"

#include <sndfile.h>

typedef struct ace_memory_view {
    const unsigned char *data;
    sf_count_t bytes;
    sf_count_t position;
} ace_memory_view;

/* view must outlive the handle. NULL when libsndfile refuses; sf_strerror(NULL) has the reason. */
SNDFILE *ace_memory_view_open(ace_memory_view *view, SF_INFO *info);

typedef struct ace_memory_sink {
    ace_bytes *bytes; /* not owned; its failure flag reports memory running out */
    sf_count_t position;
} ace_memory_sink;

SNDFILE *ace_memory_sink_open(ace_memory_sink *sink, SF_INFO *info);

#endif
