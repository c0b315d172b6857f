/* Random legal architectures: sizes that a checkpoint in the published layout could have, drawn
 * from a seed. Small, so that the reference device computes them in milliseconds, and odd: few of
 * them are multiples of anything. */
#ifndef TESTS_SUPPORT_ARCHITECTURE_H
#define TESTS_SUPPORT_ARCHITECTURE_H

#include "model/config.h"

#include <jansson.h>

/* Uniform numbers; splitmix64. */
typedef struct drawer {
    uint64_t state;
} drawer;

uint64_t draw_bits(drawer *d);
int64_t draw_between(drawer *d, int64_t least, int64_t most);
bool draw_coin(drawer *d);
float draw_unit(drawer *d); /* -1 … 1 */

typedef struct architecture {
    uint64_t seed;
    ace_dit_config dit;
    ace_vae_config vae;
    ace_qwen3_config text, lm;
} architecture;

/* songs: such that whole songs can be made of it, with the recorded models' tokenizer: frames of
 * 1920 samples, a vocabulary that holds the tokenizer's. */
void architecture_draw(uint64_t seed, bool songs, architecture *out);

/* config.json of its parts. Keys that the original has a default for are left out now and then
 * where the drawn value is that default. */
json_t *architecture_dit_json(const architecture *a);
json_t *architecture_vae_json(const architecture *a);
json_t *architecture_qwen3_json(const architecture *a, const ace_qwen3_config *c);

/* One line of its sizes, static storage. */
const char *architecture_text(const architecture *a);

#endif
