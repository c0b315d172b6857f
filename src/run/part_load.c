#include "run/part_load.h"

#include "base/memory.h"
#include "device/image_device.h"
#include "run/pack_key.h"

#include <stdio.h>
#include <string.h>

enum { LINE = 64 };

static const ace_weights *weights_of(const ace_models *m, ace_part part)
{
    switch (part) {
    case ACE_PART_LM:
        return m->lm;
    case ACE_PART_TEXT:
        return m->text;
    case ACE_PART_VAE_ENCODER:
    case ACE_PART_VAE_DECODER:
        return m->vae;
    default:
        return m->dit;
    }
}

/* ---- through a loader
 * ---------------------------------------------------------------------------- */

/* The core, then the layers that stay: an image of the whole transformer begins with what any
 * window of it begins with, and goes on with the layers that pass. */
static void load_dit(ace_residency *r, int window, ace_loader *l)
{
    const ace_dit_config *c = &r->models->dit_config;
    r->dit.source = NULL;
    ace_dit_load_core(l, c, &r->dit);
    if (window < (int)c->layers) {
        ace_layer_window_load(&r->window, l, r->device, r->measure, &r->ledger, window, &r->dit);
        return;
    }
    for (int64_t i = 0; i < c->layers; i++) {
        ace_dit_load_layer(l, c, i, &r->dit.layers[i]);
    }
}

static void load_part(ace_residency *r, const ace_part_order *order, ace_loader *l)
{
    const ace_models *m = r->models;
    switch (order->part) {
    case ACE_PART_TEXT:
        ace_text_encoder_load(l, &m->text_config, &r->text);
        break;
    case ACE_PART_VAE_ENCODER:
        ace_vae_encoder_load(l, &m->vae_config, &r->vae_encoder);
        break;
    case ACE_PART_CONDITION:
        ace_condition_encoder_load_words(l, &m->dit_config, &r->condition);
        if (order->timbre) {
            ace_condition_encoder_load_timbre(l, &m->dit_config, &r->condition);
        }
        break;
    case ACE_PART_TOKENIZER:
        ace_fsq_tokenizer_load(l, &m->dit_config, &r->tokenizer);
        break;
    case ACE_PART_DETOKENIZER:
        ace_fsq_detokenizer_load(l, &m->dit_config, &r->detokenizer);
        break;
    case ACE_PART_DIT_CONDITION:
        ace_dit_load_condition(l, &m->dit_config, &r->dit.condition);
        break;
    case ACE_PART_DIT:
        load_dit(r, order->window, l);
        break;
    case ACE_PART_ADAPTERS:
        ace_dit_adapters_load(l, &m->dit_config, r->uses, r->n_uses, &r->adapters);
        r->dit.adapters = &r->adapters;
        break;
    case ACE_PART_VAE_DECODER:
        ace_vae_decoder_load(l, &m->vae_config, &r->vae_decoder);
        break;
    case ACE_PART_LM:
        ace_language_model_load(l, &m->lm_config, &r->lm);
        break;
    case ACE_PARTS:
        break;
    }
}

/* What a loader needs, in one. */
typedef struct loading {
    ace_stream stream;
    ace_loader loader;
} loading;

static void begin(loading *g, const ace_residency *r, const ace_part_order *order,
                  ace_device *device, ace_arena *arena, ace_error *err)
{
    ace_stream_init(&g->stream, device, arena, r->precisions.activation, err);
    ace_set_tag(&g->stream, "weights");
    ace_loader_init(&g->loader, &g->stream, weights_of(r->models, order->part), order->matrix);
    g->loader.conv_dtype = r->precisions.plain;
    g->loader.pool = r->pool;
}

static ace_status load_through(ace_residency *r, const ace_part_order *order, ace_device *device,
                               ace_arena *arena, double *uploaded, ace_error *err)
{
    loading g;
    begin(&g, r, order, device, arena, err);
    load_part(r, order, &g.loader);
    *uploaded = g.stream.counters.uploaded;
    return ace_loader_finish(&g.loader);
}

/* ---- through an image
 * ------------------------------------------------------------------------------ */

typedef struct image {
    ace_residency *r;
    const ace_part_order *order;
    ace_digest key;
    size_t bytes;          /* of the whole part */
    size_t unwanted;       /* at its end: what hears a timbre, where all timbres are known */
    int layers;            /* of the DiT that pass through a window: their images follow, else 0 */
    unsigned char *memory; /* of what stays on the device: in the arena, or to be written there */
    size_t stays;
    void *block; /* owned; NULL: memory is the arena's */
} image;

static bool passes_window(const ace_residency *r, const ace_part_order *order)
{
    return order->part == ACE_PART_DIT && order->window < (int)r->models->dit_config.layers;
}

static void note_asked(void *context, const char *name, const int64_t *dims, int rank)
{
    ace_digest *asked = context;
    *asked = ace_digest_add_text(*asked, name);
    *asked = ace_digest_add(*asked, dims, (size_t)rank * sizeof *dims);
}

/* What an order takes, as the measure device tells. */
static size_t bytes_of(const image *m)
{
    ace_error unused = {.code = ACESTEP_OK};
    ace_arena arena;
    double uploaded = 0;
    ace_arena_open_at(&arena, m->r->measure, LINE, SIZE_MAX >> 1);
    return load_through(m->r, m->order, m->r->measure, &arena, &uploaded, &unused) == ACESTEP_OK
               ? arena.high_water
               : 0;
}

/* Sizes and names of the whole part, as the measure device tells. */
static bool survey(image *m)
{
    ace_residency *r = m->r;
    ace_part_order whole = *m->order;
    ace_error unused = {.code = ACESTEP_OK};
    ace_arena arena;
    loading g;
    whole.window = (int)r->models->dit_config.layers;
    whole.timbre = true;
    ace_arena_open_at(&arena, r->measure, LINE, SIZE_MAX >> 1);
    begin(&g, r, &whole, r->measure, &arena, &unused);
    ace_digest asked = {0};
    g.loader.listener = note_asked;
    g.loader.listener_context = &asked;
    load_part(r, &whole, &g.loader);
    m->bytes = arena.high_water;
    m->stays = arena.high_water;
    if (m->order->part == ACE_PART_CONDITION && !m->order->timbre) {
        m->stays = bytes_of(m);
        m->unwanted = m->bytes - m->stays;
    }
    ace_pack_subject subject = {.part = m->order->part,
                                .weights = g.loader.weights,
                                .device = r->device,
                                .matrix = m->order->matrix,
                                .conv = r->precisions.plain,
                                .activation = r->precisions.activation,
                                .asked = asked,
                                .bytes = m->bytes};
    return ace_loader_finish(&g.loader) == ACESTEP_OK && ace_pack_cache_wants(r->cache, m->bytes) &&
           ace_pack_key(&subject, &m->key);
}

/* Memory for the image, where the device's own cannot be touched or does not hold all of it. False:
 * there is none. */
static bool find_memory(image *m, const ace_arena *arena)
{
    ace_residency *r = m->r;
    if (passes_window(r, m->order)) {
        const ace_dit_config *c = &r->models->dit_config;
        size_t layer = ace_layer_bytes(r->measure, r->models->dit, c, m->order->matrix,
                                       r->precisions.activation);
        int pinned = ace_layer_window_pinned(m->order->window);
        m->layers = (int)c->layers - pinned;
        m->stays = m->bytes - (size_t)m->layers * layer;
        if (!ace_layer_window_reserve(&r->window, m->order->matrix, pinned, (int)c->layers,
                                      layer)) {
            return false;
        }
    }
    if (m->stays > arena->capacity) {
        return false;
    }
    if (r->device->addressable) {
        m->memory = (unsigned char *)(uintptr_t)arena->base;
        return true;
    }
    m->block = ace_malloc_array(m->stays + LINE, 1);
    m->memory = (unsigned char *)m->block + (LINE - (uintptr_t)m->block % LINE) % LINE;
    return m->block != NULL;
}

/* What stays, then the passing layers. missing_only: not the layers whose images an earlier job has
 * left in host memory. */
static int list_pieces(const image *m, bool missing_only, ace_pack_piece *pieces)
{
    const ace_layer_window *w = &m->r->window;
    int n = 0;
    pieces[n++] = (ace_pack_piece){m->memory, m->stays};
    for (int i = 0; i < m->layers; i++) {
        int layer = (int)m->r->models->dit_config.layers - m->layers + i;
        bool skip = missing_only && w->packed[layer];
        pieces[n++] = (ace_pack_piece){skip ? NULL : w->image[layer], w->layer_bytes};
    }
    return n;
}

/* Of an image without its unwanted end. */
static ace_digest short_key(const image *m)
{
    return ace_digest_add_number(m->key, (uint64_t)m->stays);
}

/* From the whole image, or from one that lacks what is not wanted. */
static bool read_image(const image *m)
{
    enum { END = 1 };
    ace_pack_piece pieces[1 + ACE_MAX_LAYERS + END];
    const char *name = ace_part_code(m->order->part);
    ace_pack_cache *cache = m->r->cache;
    int n = list_pieces(m, true, pieces);
    if (m->unwanted == 0) {
        return ace_pack_cache_read(cache, ACE_PACK_FOLDER, name, m->key, pieces, n);
    }
    pieces[n] = (ace_pack_piece){NULL, m->unwanted};
    return ace_pack_cache_read(cache, ACE_PACK_FOLDER, name, m->key, pieces, n + END) ||
           ace_pack_cache_read(cache, ACE_PACK_FOLDER, name, short_key(m), pieces, n);
}

/* From the checkpoint into the image's memory, in the device's layout. */
static ace_status pack(image *m, ace_error *err)
{
    ace_residency *r = m->r;
    ace_device *packer = NULL;
    ace_arena arena;
    loading g;
    ace_part_order order = *m->order;
    ace_status status = ace_image_device_open(r->device, &packer, err);
    if (status != ACESTEP_OK) {
        return status;
    }
    ace_arena_open_at(&arena, packer, (uint64_t)(uintptr_t)m->memory, m->stays);
    begin(&g, r, &order, packer, &arena, err);
    if (m->layers > 0) {
        ace_dit_load_core(&g.loader, &r->models->dit_config, &r->dit);
        for (int i = 0; i < (int)r->models->dit_config.layers - m->layers; i++) {
            ace_dit_load_layer(&g.loader, &r->models->dit_config, i, &r->dit.layers[i]);
        }
        ace_layer_window_pack(&r->window, &g.loader, r->device, &r->models->dit_config);
    } else {
        load_part(r, &order, &g.loader);
    }
    status = ace_loader_finish(&g.loader);
    ace_device_close(packer);
    return status;
}

/* Beside the computing, where the image is the arena itself, which stays until it is written.
 * False: it is not, or there is no thread. */
static bool write_beside(const image *m, ace_digest key)
{
    ace_residency *r = m->r;
    if (m->block != NULL || m->layers > 0) {
        return false;
    }
    ace_residency_await_writing(r);
    r->writer = ace_pack_writer_start(r->cache, ace_part_code(m->order->part), key,
                                      (ace_pack_piece){m->memory, m->stays});
    r->writing = m->order->part;
    return r->writer != NULL;
}

static void write_image(const image *m)
{
    ace_pack_piece pieces[1 + ACE_MAX_LAYERS];
    ace_digest key = m->unwanted > 0 ? short_key(m) : m->key;
    if (!write_beside(m, key)) {
        int n = list_pieces(m, false, pieces);
        ace_pack_cache_write(m->r->cache, ACE_PACK_FOLDER, ace_part_code(m->order->part), key,
                             pieces, n);
    }
}

static ace_status fill(image *m, ace_error *err)
{
    ace_residency *r = m->r;
    if (read_image(m)) {
        if (m->layers > 0) {
            ace_layer_window_note_packed(&r->window);
        }
        return ACESTEP_OK;
    }
    ace_status status = pack(m, err);
    if (status == ACESTEP_OK) {
        write_image(m);
    }
    return status;
}

/* With the bytes in place the measure device tells where everything lies. */
static ace_status address(image *m, ace_arena *arena, double *uploaded, ace_error *err)
{
    ace_residency *r = m->r;
    ace_device *device = arena->device;
    arena->device = r->measure;
    ace_status status = load_through(r, m->order, r->measure, arena, uploaded, err);
    arena->device = device;
    return status;
}

static ace_status load_image(image *m, ace_arena *arena, double *uploaded, ace_error *err)
{
    ace_device *device = m->r->device;
    ace_status status = fill(m, err);
    if (status == ACESTEP_OK && m->block != NULL) {
        status = device->ops->write(device, arena->base, m->memory, m->stays, err);
    }
    return status == ACESTEP_OK ? address(m, arena, uploaded, err) : status;
}

/* Adapters are small, and depend on files of their own. */
static bool may_be_kept(const ace_residency *r, ace_part part)
{
    return r->cache != NULL && r->device->computes && part != ACE_PART_ADAPTERS;
}

ace_status ace_part_load(ace_residency *r, const ace_part_order *order, ace_arena *arena,
                         double *uploaded, ace_error *err)
{
    image m = {.r = r, .order = order};
    bool by_image = may_be_kept(r, order->part) && survey(&m) && find_memory(&m, arena);
    ace_status status = by_image ? load_image(&m, arena, uploaded, err)
                                 : load_through(r, order, r->device, arena, uploaded, err);
    ace_free(m.block);
    return status;
}

/* ---- before it is loaded
 * ------------------------------------------------------------------------ */

/* The image's file is known by its key, which loading on a device that counts gives: in a copy,
 * because that fills in the part's tensors. */
static bool find_image(const ace_residency *r, const ace_part_order *order,
                       char path[ACE_CACHE_PATH_BYTES])
{
    ace_residency *copy = may_be_kept(r, order->part) ? ace_calloc(1, sizeof *copy) : NULL;
    if (copy == NULL) {
        return false;
    }
    ace_residency_rehearse(r, copy);
    copy->device = r->device;
    image m = {.r = copy, .order = order};
    const char *name = ace_part_code(order->part);
    bool found = survey(&m) && (ace_pack_cache_find(r->cache, ACE_PACK_FOLDER, name, m.key, path) ||
                                (m.unwanted > 0 && ace_pack_cache_find(r->cache, ACE_PACK_FOLDER,
                                                                       name, short_key(&m), path)));
    ace_free(copy);
    return found;
}

void ace_part_foresee(const ace_residency *r, const ace_part_order *order, ace_foresight *f)
{
    char path[ACE_CACHE_PATH_BYTES];
    const ace_file *files = NULL;
    const ace_weights *weights = weights_of(r->models, order->part);
    if (find_image(r, order, path)) {
        ace_foresight_add_file(f, path);
        return;
    }
    int n = weights != NULL ? ace_weights_files(weights, &files) : 0;
    for (int i = 0; i < n; i++) {
        ace_foresight_add_mapped(f, files[i].data, files[i].bytes);
    }
}
