/* A checkpoint: named tensors, read in place. Immutable and shared once open.
 *
 * Sources: one .safetensors file, a folder with model.safetensors (or the shards named by
 * model.safetensors.index.json, or diffusion_pytorch_model.safetensors), a .gguf file, or
 * "synthetic": any name, any shape, values drawn from a hash of the name. Opening reads headers
 * only and checks every offset against the file; files are hostile until proven whole. */
#ifndef ACE_WEIGHTS_WEIGHTS_H
#define ACE_WEIGHTS_WEIGHTS_H

#include "base/digest.h"
#include "base/dtype.h"
#include "base/file_map.h"
#include "base/status.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct ace_weights ace_weights;

typedef struct ace_weight {
    const char *name;
    ace_dtype dtype;
    int rank;
    int64_t dim[4];   /* outermost first, as in PyTorch */
    const void *data; /* row-major, in the mapped file, not necessarily aligned */
    size_t bytes;
} ace_weight;

ace_status ace_weights_open(const char *path, ace_weights **out, ace_error *err);
/* The same from a whole file in memory, which stays the caller's and must outlive *out; name stands
 * for it in messages. */
ace_status ace_weights_open_memory(const unsigned char *data, size_t bytes, const char *name,
                                   ace_weights **out, ace_error *err);
ace_status ace_weights_open_synthetic(ace_weights **out, ace_error *err);
void ace_weights_close(ace_weights *w); /* NULL is fine */

bool ace_weights_is_synthetic(const ace_weights *w);
const char *ace_weights_path(const ace_weights *w); /* for messages */
size_t ace_weights_count(const ace_weights *w);
const ace_weight *ace_weights_at(const ace_weights *w, size_t index); /* in name order */

/* Exact name, else with "model." before it, else without it: both spellings occur in published
 * files. NULL when absent (always for a synthetic source). */
const ace_weight *ace_weights_find(const ace_weights *w, const char *name);

/* Metadata: safetensors __metadata__ and GGUF keys; numbers and booleans of GGUF as text. NULL when
 * absent. */
const char *ace_weights_metadata(const ace_weights *w, const char *key);
/* The same as a number, true and false as 1 and 0; false when absent or no number. */
bool ace_weights_metadata_number(const ace_weights *w, const char *key, double *out);

/* One string of an array, borrowed from the file and not terminated. */
typedef struct ace_weights_text {
    const char *data;
    size_t bytes;
} ace_weights_text;

/* An array of strings in a GGUF file's metadata (a tokenizer's tokens and merges). The caller frees
 * *out with ace_free; the texts live as long as w. MODEL when there is no such array. */
ace_status ace_weights_texts(const ace_weights *w, const char *key, ace_weights_text **out,
                             size_t *n, ace_error *err);

/* Adds what tells these files from others and from themselves after a change: path, size, time, number
 * of each, its beginning and samples of the rest. False where there are no files on disk: synthetic
 * weights, files inside the program. */
bool ace_weights_identify(const ace_weights *w, ace_digest *digest);

/* The mapped files, borrowed; 0: there are none on disk. */
int ace_weights_files(const ace_weights *w, const ace_file **files);

/* Pages of the file may be dropped from memory: what was needed has been copied to a device. */
void ace_weights_release_pages(const ace_weights *w, const ace_weight *tensor);

#endif
