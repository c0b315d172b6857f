#include "run/layer_window.h"

#include "base/memory.h"
#include "device/image_device.h"

#include <string.h>

enum { LINE = 64 };

/* ---- sizes and images ------------------------------------------------------------------------ */

/* One layer's tensors and matrices, addressed from `base`, without reading a weight. */
static ace_status address_layer(ace_device *measure, const ace_loader *like, uint64_t base,
                                const ace_dit_config *c, int64_t index, ace_dit_layer *out,
                                size_t *bytes)
{
    ace_arena arena;
    ace_stream stream;
    ace_loader loader;
    ace_arena_open_at(&arena, measure, base, SIZE_MAX >> 1);
    ace_stream_init(&stream, measure, &arena, like->stream->activation, like->stream->error);
    ace_loader_init(&loader, &stream, like->weights, like->matrix_dtype);
    loader.conv_dtype = like->conv_dtype;
    ace_dit_load_layer(&loader, c, index, out);
    *bytes = arena.high_water;
    return ace_loader_finish(&loader);
}

size_t ace_layer_bytes(ace_device *measure, const ace_weights *weights, const ace_dit_config *c,
                       ace_dtype matrix, ace_dtype activation)
{
    ace_dit_layer layer;
    size_t bytes = 0;
    ace_error unused = {.code = ACESTEP_OK};
    ace_stream stream = {.activation = activation, .error = &unused};
    ace_loader like = {
        .stream = &stream, .weights = weights, .matrix_dtype = matrix, .conv_dtype = matrix};
    (void)address_layer(measure, &like, LINE, c, 0, &layer, &bytes);
    return bytes;
}

/* Packs one layer into its image. */
static ace_status pack_layer(ace_layer_window *w, ace_device *packer, const ace_loader *like,
                             const ace_dit_config *c, int64_t index)
{
    ace_arena arena;
    ace_stream stream;
    ace_loader loader;
    ace_dit_layer unused;
    ace_arena_open_at(&arena, packer, (uint64_t)(uintptr_t)w->image[index], w->layer_bytes);
    ace_stream_init(&stream, packer, &arena, like->stream->activation, like->stream->error);
    ace_loader_init(&loader, &stream, like->weights, like->matrix_dtype);
    loader.conv_dtype = like->conv_dtype;
    ace_dit_load_layer(&loader, c, index, &unused);
    return ace_loader_finish(&loader);
}

static void free_images(ace_layer_window *w)
{
    for (int i = 0; i < ACE_MAX_LAYERS; i++) {
        ace_free(w->image_block[i]);
        w->image_block[i] = NULL;
        w->image[i] = NULL;
        w->packed[i] = false;
    }
}

bool ace_layer_window_reserve(ace_layer_window *w, ace_dtype matrix, int pinned, int layers,
                              size_t layer_bytes)
{
    if (w->image_dtype != matrix || w->layer_bytes != layer_bytes) {
        free_images(w);
    }
    w->image_dtype = matrix;
    w->layer_bytes = layer_bytes;
    w->pinned = pinned;
    w->layers = layers;
    for (int i = pinned; i < layers; i++) {
        if (w->image[i] != NULL) {
            continue;
        }
        w->image_block[i] = ace_malloc_array(layer_bytes + LINE, 1);
        if (w->image_block[i] == NULL) {
            free_images(w);
            return false;
        }
        w->image[i] = w->image_block[i] + (LINE - (uintptr_t)w->image_block[i] % LINE) % LINE;
    }
    return true;
}

void ace_layer_window_note_packed(ace_layer_window *w)
{
    for (int i = w->pinned; i < w->layers; i++) {
        w->packed[i] = w->image[i] != NULL;
    }
}

void ace_layer_window_pack(ace_layer_window *w, ace_loader *l, ace_device *device,
                           const ace_dit_config *c)
{
    ace_device *packer = NULL;
    if (ace_stream_status(l->stream) != ACESTEP_OK) {
        return;
    }
    ace_status status = ace_image_device_open(device, &packer, l->stream->error);
    for (int i = w->pinned; i < w->layers && status == ACESTEP_OK; i++) {
        if (!w->packed[i]) {
            status = pack_layer(w, packer, l, c, i);
            w->packed[i] = status == ACESTEP_OK;
        }
    }
    ace_device_close(packer);
    if (status != ACESTEP_OK) {
        free_images(w);
        ace_stream_fail(l->stream, status, "diffusion: layers cannot be prepared");
    }
}

/* ---- copying --------------------------------------------------------------------------------- */

static int slot_of(const ace_layer_window *w, int layer)
{
    return (layer - w->pinned) % w->slots;
}

/* The slot to serve next: the older of two requests. */
static int next_wanted(const ace_layer_window *w)
{
    for (int i = 0; i < w->slots; i++) {
        int slot = (w->first + i) % w->slots;
        if (w->wanted[slot] >= 0) {
            return slot;
        }
    }
    return -1;
}

/* Into its slot, once nothing reads the former layer there any more. */
static ace_status copy_layer(ace_layer_window *w, int slot, int layer, uint64_t mark,
                             ace_error *err)
{
    const ace_device_ops *ops = w->device->ops;
    if (ops->write_after == NULL) {
        return ops->write(w->device, w->slot_base[slot], w->image[layer], w->layer_bytes, err);
    }
    return ops->write_after(w->device, mark, w->slot_base[slot], w->image[layer], w->layer_bytes,
                            &w->written[slot], err);
}

static void *copy_layers(void *context)
{
    ace_layer_window *w = context;
    (void)pthread_mutex_lock(&w->lock);
    while (!w->stopping) {
        int slot = next_wanted(w);
        if (slot < 0) {
            (void)pthread_cond_wait(&w->changed, &w->lock);
            continue;
        }
        int layer = w->wanted[slot];
        uint64_t mark = w->mark[slot];
        ace_error failure = {.code = ACESTEP_OK};
        (void)pthread_mutex_unlock(&w->lock);
        ace_status status = copy_layer(w, slot, layer, mark, &failure);
        (void)pthread_mutex_lock(&w->lock);
        if (status != ACESTEP_OK && w->failure.code == ACESTEP_OK) {
            w->failure = failure;
        }
        w->wanted[slot] = -1;
        w->ready[slot] = layer;
        w->first = (slot + 1) % w->slots;
        (void)pthread_cond_broadcast(&w->changed);
    }
    (void)pthread_mutex_unlock(&w->lock);
    return NULL;
}

/* Asks for a layer in its slot; all operations that read the former one have been issued. */
static void request(ace_layer_window *w, ace_stream *s, int layer)
{
    if (ace_stream_status(s) != ACESTEP_OK) {
        return;
    }
    int slot = slot_of(w, layer);
    s->counters.uploaded += (double)w->layer_bytes;
    ace_ledger_copy(w->ledger, "DD", "h2d", (double)w->layer_bytes);
    if (!w->has_thread) {
        ace_status status = w->device->ops->write(w->device, w->slot_base[slot], w->image[layer],
                                                  w->layer_bytes, s->error);
        w->ready[slot] = layer;
        if (status != ACESTEP_OK) {
            ace_stream_fail(s, status, "diffusion: a layer cannot be copied");
        }
        return;
    }
    const ace_device_ops *ops = w->device->ops;
    uint64_t mark = ops->mark != NULL ? ops->mark(w->device) : 0;
    (void)pthread_mutex_lock(&w->lock);
    w->mark[slot] = mark;
    w->wanted[slot] = layer;
    w->ready[slot] = -1;
    (void)pthread_cond_broadcast(&w->changed);
    (void)pthread_mutex_unlock(&w->lock);
}

/* The copies of the first passing layers run while the pinned ones compute. */
static void begin(void *context, ace_stream *s)
{
    ace_layer_window *w = context;
    for (int i = 0; i < w->slots && w->pinned + i < w->layers; i++) {
        request(w, s, w->pinned + i);
    }
}

static void acquire(void *context, ace_stream *s, int64_t index)
{
    ace_layer_window *w = context;
    int layer = (int)index;
    if (layer < w->pinned || ace_stream_status(s) != ACESTEP_OK) {
        return;
    }
    int slot = slot_of(w, layer);
    if (!w->has_thread) {
        return;
    }
    (void)pthread_mutex_lock(&w->lock);
    while (w->ready[slot] != layer && w->failure.code == ACESTEP_OK) {
        (void)pthread_cond_wait(&w->changed, &w->lock);
    }
    ace_error failure = w->failure;
    uint64_t written = w->written[slot];
    (void)pthread_mutex_unlock(&w->lock);
    if (failure.code != ACESTEP_OK) {
        ace_stream_fail(s, (ace_status)failure.code, "%s", failure.message);
    } else if (w->device->ops->await != NULL) {
        w->device->ops->await(w->device, written);
    }
}

static void release(void *context, ace_stream *s, int64_t index)
{
    ace_layer_window *w = context;
    int next = (int)index + w->slots;
    if (index >= w->pinned && next < w->layers) {
        request(w, s, next);
    }
}

/* The copies under way end before the slots are asked for again. */
static void abandon(void *context, ace_stream *s)
{
    ace_layer_window *w = context;
    (void)s;
    if (!w->has_thread) {
        return;
    }
    (void)pthread_mutex_lock(&w->lock);
    while (next_wanted(w) >= 0) {
        (void)pthread_cond_wait(&w->changed, &w->lock);
    }
    (void)pthread_mutex_unlock(&w->lock);
}

/* ---- loading --------------------------------------------------------------------------------- */

static void reset_slots(ace_layer_window *w)
{
    for (int i = 0; i < ACE_WINDOW_SLOTS; i++) {
        w->wanted[i] = -1;
        w->ready[i] = -1;
    }
    w->first = 0;
    w->failure = (ace_error){.code = ACESTEP_OK};
    w->stopping = false;
}

static void start_thread(ace_layer_window *w, ace_stream *s)
{
    reset_slots(w);
    if (!w->device->computes) {
        return;
    }
    (void)pthread_mutex_init(&w->lock, NULL);
    (void)pthread_cond_init(&w->changed, NULL);
    w->has_thread = pthread_create(&w->thread, NULL, copy_layers, w) == 0;
    if (!w->has_thread) {
        (void)pthread_cond_destroy(&w->changed);
        (void)pthread_mutex_destroy(&w->lock);
        ace_stream_fail(s, ACESTEP_FAILED, "diffusion: the system starts no thread for copies");
    }
}

static int slots_of(int window)
{
    return window < ACE_WINDOW_SLOTS ? 1 : ACE_WINDOW_SLOTS;
}

int ace_layer_window_pinned(int window)
{
    return window - slots_of(window);
}

/* Images of the layers that pass. */
static void make_images(ace_layer_window *w, ace_loader *l, const ace_dit_config *c,
                        size_t layer_bytes)
{
    if (!ace_layer_window_reserve(w, l->matrix_dtype, w->pinned, w->layers, layer_bytes)) {
        ace_stream_fail(l->stream, ACESTEP_MEMORY,
                        "diffusion: no host memory for layers of %zu bytes", layer_bytes);
        return;
    }
    ace_layer_window_pack(w, l, w->device, c);
}

void ace_layer_window_load(ace_layer_window *w, ace_loader *l, ace_device *device,
                           ace_device *measure, ace_ledger *ledger, int window, ace_dit *dit)
{
    const ace_dit_config *c = &dit->config;
    ace_stream *s = l->stream;
    size_t layer_bytes = 0;
    w->device = device;
    w->ledger = ledger;
    w->layers = (int)c->layers;
    w->slots = slots_of(window);
    w->pinned = ace_layer_window_pinned(window);
    for (int i = 0; i < w->pinned; i++) {
        ace_dit_load_layer(l, c, i, &dit->layers[i]);
    }
    ace_status status =
        address_layer(measure, l, LINE, c, 0, &dit->layers[w->pinned], &layer_bytes);
    for (int i = 0; i < w->slots && status == ACESTEP_OK; i++) {
        ace_tensor slot = ace_new(s, ACE_I8, 1, (int64_t)layer_bytes);
        w->slot_base[i] = slot.addr;
        status = ace_stream_status(s);
    }
    for (int i = w->pinned; i < w->layers && status == ACESTEP_OK; i++) {
        size_t bytes = 0;
        status =
            address_layer(measure, l, w->slot_base[slot_of(w, i)], c, i, &dit->layers[i], &bytes);
    }
    if (status != ACESTEP_OK) {
        ace_stream_fail(s, status, "diffusion: the window of layers cannot be opened");
        return;
    }
    w->source = (ace_layer_source){begin, acquire, release, abandon, w};
    dit->source = &w->source;
    if (w->device->computes) {
        make_images(w, l, c, layer_bytes);
    } else {
        w->layer_bytes = layer_bytes;
    }
    start_thread(w, s);
}

void ace_layer_window_stop(ace_layer_window *w)
{
    if (w->has_thread) {
        (void)pthread_mutex_lock(&w->lock);
        w->stopping = true;
        (void)pthread_cond_broadcast(&w->changed);
        (void)pthread_mutex_unlock(&w->lock);
        (void)pthread_join(w->thread, NULL);
        (void)pthread_cond_destroy(&w->changed);
        (void)pthread_mutex_destroy(&w->lock);
        w->has_thread = false;
    }
    w->slots = 0;
}

void ace_layer_window_free(ace_layer_window *w)
{
    ace_layer_window_stop(w);
    free_images(w);
    memset(w, 0, sizeof *w);
}
