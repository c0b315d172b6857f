/* A checkpoint: named tensors, read in place. Immutable and shared once open.
 *
 * Sources: one .safetensors file, a folder with model.safetensors (or the shards named by
 * model.safetensors.index.json, or diffusion_pytorch_model.safetensors), a .gguf file, or
 * "synthetic": any name, any shape, values drawn from a hash of the name. Opening reads headers only and
 * checks every offset against the file; files are hostile until proven whole. */
#ifndef ACE_WEIGHTS_WEIGHTS_H
#define ACE_WEIGHTS_WEIGHTS_H

#include "base/dtype.h"
#include "base/status.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct ace_weights ace_weights;

typedef struct ace_weight {
    const char *name;
    ace_dtype dtype;
    int rank;
    int64_t dim[4]; /* outermost first, as in PyTorch */
    const void *data; /* row-major, in the mapped file, not necessarily aligned */
    size_t bytes;
} ace_weight;

ace_status ace_weights_open(const char *path, ace_weights **out, ace_error *err);
ace_status ace_weights_open_synthetic(ace_weights **out, ace_error *err);
void ace_weights_close(ace_weights *w); /* NULL is fine */

bool ace_weights_is_synthetic(const ace_weights *w);
const char *ace_weights_path(const ace_weights *w); /* for messages */
size_t ace_weights_count(const ace_weights *w);
const ace_weight *ace_weights_at(const ace_weights *w, size_t index); /* in name order */

/* Exact name, else with "model." before it, else without it: both spellings occur in published files.
 * NULL when absent (always for a synthetic source). */
const ace_weight *ace_weights_find(const ace_weights *w, const char *name);

/* String metadata: safetensors __metadata__, GGUF string keys. NULL when absent. */
const char *ace_weights_metadata(const ace_weights *w, const char *key);

/* Pages of the file may be dropped from memory: what was needed has been copied to a device. */
void ace_weights_release_pages(const ace_weights *w, const ace_weight *tensor);

#endif
