/* The diffusion transformer through a window: its first layers stay on the device, the others pass
 * through two slots, one computing while the next is copied by a second thread. The layers' home is
 * a packed image of each in host memory; copies go upwards only. */
#ifndef ACE_RUN_LAYER_WINDOW_H
#define ACE_RUN_LAYER_WINDOW_H

#include "model/dit.h"
#include "run/ledger.h"
#include "weights/weights.h"

#include <pthread.h>

enum { ACE_WINDOW_SLOTS = 2 };

typedef struct ace_layer_window {
    ace_device *device;
    ace_ledger *ledger;
    int layers, pinned, slots; /* layers 0 … pinned - 1 stay; slots 0: no window */
    size_t layer_bytes;
    uint64_t slot_base[ACE_WINDOW_SLOTS];
    ace_layer_source source;

    unsigned char *image_block[ACE_MAX_LAYERS]; /* owned */
    unsigned char *image[ACE_MAX_LAYERS];       /* 64-byte aligned; NULL on a device that counts */
    bool packed[ACE_MAX_LAYERS];                /* the layer lies in its image */
    ace_dtype image_dtype;

    /* shared with the copying thread, under the lock */
    pthread_mutex_t lock;
    pthread_cond_t changed;
    int wanted[ACE_WINDOW_SLOTS];       /* layer to be copied into the slot, -1: none */
    int ready[ACE_WINDOW_SLOTS];        /* layer that lies in it, or is on its way; -1: none */
    uint64_t mark[ACE_WINDOW_SLOTS];    /* of the operations that read what lay there before */
    uint64_t written[ACE_WINDOW_SLOTS]; /* what operations that read it are to await */
    int first;                          /* slot whose copy was asked for first */
    ace_error failure;
    bool stopping;
    bool has_thread;
    pthread_t thread;
} ace_layer_window;

/* Bytes of any one layer, as `measure` counts. */
size_t ace_layer_bytes(ace_device *measure, const ace_weights *weights, const ace_dit_config *c,
                       ace_dtype matrix, ace_dtype activation);

/* Layers of such a window that stay. */
int ace_layer_window_pinned(int window);

/* Memory for the images of layers pinned … layers - 1; those that are there in this type stay as
 * they are. False when there is none. */
bool ace_layer_window_reserve(ace_layer_window *w, ace_dtype matrix, int pinned, int layers,
                              size_t layer_bytes);
/* Packs those that are still to be packed, in the layout of `device`. */
void ace_layer_window_pack(ace_layer_window *w, ace_loader *l, ace_device *device,
                           const ace_dit_config *c);
/* Somebody else has filled all images that were missing. */
void ace_layer_window_note_packed(ace_layer_window *w);

/* Loads `window` layers' worth of the model through the stage's loader: pinned layers as they are,
 * slots after them, and the rest as images in host memory (which stay until ace_layer_window_free,
 * for the next job). dit->layers and dit->source are set. device: where the slots are; the loader's
 * own, or the one that it only counts for. measure: counts for it. */
void ace_layer_window_load(ace_layer_window *w, ace_loader *l, ace_device *device,
                           ace_device *measure, ace_ledger *ledger, int window, ace_dit *dit);
/* Stops the thread; the slots' memory goes with the caller's arena. */
void ace_layer_window_stop(ace_layer_window *w);
void ace_layer_window_free(ace_layer_window *w); /* a zeroed one is fine */

#endif
