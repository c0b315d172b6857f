#include "run/silence_timbre.h"

#include "base/memory.h"
#include "base/program_file.h"

#include <string.h>

/* Raised when the network or the kernels give other numbers; a rebuilt program is another one
 * anyway (ace_program_identify). */
enum { TIMBRE_VERSION = 1 };

static const char name[] = "silence-timbre";

static int place_of(ace_dtype matrix)
{
    return matrix == ACE_I8 ? 1 : 0;
}

static ace_digest add_block(ace_digest d, const ace_block_config *b)
{
    const int64_t numbers[] = {b->hidden,   b->intermediate, b->heads,
                               b->kv_heads, b->head_dim,     b->window};
    d = ace_digest_add(d, numbers, sizeof numbers);
    d = ace_digest_add(d, &b->rms_eps, sizeof b->rms_eps);
    return ace_digest_add(d, &b->rope_theta, sizeof b->rope_theta);
}

static ace_digest add_encoder(ace_digest d, const ace_models *m)
{
    const ace_dit_config *c = &m->dit_config;
    int64_t frames = ace_models_silence_heard(m);
    const int64_t numbers[] = {c->timbre_layers, c->latent_channels, frames, c->timbre_cls};
    d = add_block(d, &c->encoder);
    d = ace_digest_add(d, numbers, sizeof numbers);
    d = ace_digest_add(d, c->sliding, (size_t)c->timbre_layers * sizeof *c->sliding);
    return ace_digest_add(d, m->silence,
                          (size_t)(frames * c->latent_channels) * sizeof *m->silence);
}

static bool find_keys(ace_silence_timbre *t, const ace_models *m, const ace_timbre_numerics *n)
{
    ace_digest d = ace_digest_add_number((ace_digest){0}, TIMBRE_VERSION);
    if (!ace_weights_identify(m->dit, &d) || !ace_program_identify(&d)) {
        return false;
    }
    d = add_encoder(d, m);
    d = ace_digest_add_number(d, (uint64_t)n->plain);
    d = ace_digest_add_number(d, (uint64_t)n->activation);
    d = ace_digest_add_number(d, (uint64_t)n->device);
    for (int i = 0; i < 2; i++) {
        t->key[i] = ace_digest_add_number(d, (uint64_t)i);
    }
    return true;
}

static ace_pack_piece piece_of(const ace_silence_timbre *t, int place)
{
    return (ace_pack_piece){t->states[place], (size_t)t->width * sizeof **t->states};
}

static void look_up(ace_silence_timbre *t, int place)
{
    t->states[place] = ace_malloc_array((size_t)t->width, sizeof **t->states);
    ace_pack_piece piece = piece_of(t, place);
    if (t->states[place] != NULL &&
        !ace_pack_cache_read(t->cache, ACE_CONSTANT_FOLDER, name, t->key[place], &piece, 1)) {
        ace_free(t->states[place]);
        t->states[place] = NULL;
    }
}

void ace_silence_timbre_open(ace_silence_timbre *t, const ace_models *m,
                             const ace_timbre_numerics *numerics, ace_pack_cache *cache)
{
    memset(t, 0, sizeof *t);
    t->width = m->dit_config.encoder.hidden;
    t->cache = cache;
    t->has_keys = ace_pack_cache_is_on(cache) && find_keys(t, m, numerics);
    for (int i = 0; i < 2 && t->has_keys; i++) {
        look_up(t, i);
    }
}

void ace_silence_timbre_close(ace_silence_timbre *t)
{
    for (int i = 0; i < 2; i++) {
        ace_free(t->states[i]);
    }
    memset(t, 0, sizeof *t);
}

const float *ace_silence_timbre_of(const ace_silence_timbre *t, ace_dtype matrix)
{
    return t != NULL ? t->states[place_of(matrix)] : NULL;
}

void ace_silence_timbre_keep(ace_silence_timbre *t, ace_dtype matrix, const float *states)
{
    int place = place_of(matrix);
    if (t == NULL || t->states[place] != NULL) {
        return;
    }
    t->states[place] = ace_malloc_array((size_t)t->width, sizeof *states);
    if (t->states[place] == NULL) {
        return;
    }
    memcpy(t->states[place], states, (size_t)t->width * sizeof *states);
    if (t->has_keys) {
        ace_pack_piece piece = piece_of(t, place);
        ace_pack_cache_write(t->cache, ACE_CONSTANT_FOLDER, name, t->key[place], &piece, 1);
    }
}
