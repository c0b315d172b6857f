#include "model/lyric_heads.h"

#include <string.h>

typedef struct place {
    int layer, head;
} place;

static const place published_2b[] = {{2, 6}, {3, 10}, {3, 11}, {4, 3}, {5, 8}, {5, 9}, {6, 8}};

static void take_published(ace_lyric_heads *out)
{
    for (size_t i = 0; i < sizeof published_2b / sizeof published_2b[0]; i++) {
        out->of_layer[published_2b[i].layer] |= (uint64_t)1 << published_2b[i].head;
    }
}

/* At least one layer. */
static void take_middle(const ace_dit_config *c, ace_lyric_heads *out)
{
    int64_t first = c->layers / 3;
    int64_t end = 2 * c->layers / 3 > first ? 2 * c->layers / 3 : first + 1;
    uint64_t all = c->decoder.heads < ACE_MOST_LYRIC_HEADS ? ((uint64_t)1 << c->decoder.heads) - 1
                                                           : UINT64_MAX;
    for (int64_t i = first; i < end; i++) {
        out->of_layer[i] = all;
    }
}

void ace_lyric_heads_of(const ace_dit_config *c, ace_lyric_heads *out)
{
    bool said = false;
    memset(out, 0, sizeof *out);
    for (int64_t i = 0; i < c->layers; i++) {
        out->of_layer[i] = c->lyric_heads[i];
        said = said || c->lyric_heads[i] != 0;
    }
    if (!said && c->layers == 24 && c->decoder.heads == 16) {
        take_published(out);
    } else if (!said) {
        take_middle(c, out);
    }
    for (int64_t i = 0; i < c->layers; i++) {
        out->last_layer = out->of_layer[i] != 0 ? i : out->last_layer;
    }
}
