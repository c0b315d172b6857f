/* Pages of Ogg (RFC 3533). */
#ifndef ACE_AUDIO_OGG_H
#define ACE_AUDIO_OGG_H

#include "audio/bytes.h"
#include "audio/tag.h"

/* Every stream we write has this serial number ("ACES"): numbers need to differ only inside a file
 * of several streams, and a random one would make every file different. */
enum { ACE_OGG_SERIAL = 0x53454341 };

/* One page of a file in memory. */
typedef struct ace_ogg_page {
    const unsigned char *header;
    const unsigned char *lacing; /* sizes of the segments */
    int segments;
    const unsigned char *body;
    size_t body_bytes;
} ace_ogg_page;

/* The page at *at, stepping over it; false when there is no whole page. */
bool ace_ogg_next_page(const unsigned char *data, size_t bytes, size_t *at, ace_ogg_page *page);

/* Appends the packet that begins at the start of the page at *at, over as many pages as it takes,
 * or at segment *segment of it; both are moved behind the packet. false when the data end first. */
bool ace_ogg_read_packet(const unsigned char *data, size_t bytes, size_t *at, int *segment,
                         ace_bytes *packet);

/* Copies an Ogg Vorbis file with our tags in its comment header and our serial number. false when
 * the input is no such file. */
bool ace_ogg_vorbis_retag(const ace_bytes *in, const ace_tag *tags, size_t n_tags, ace_bytes *out);

#endif
