/* Inside of ace_weights, shared by the readers of each file format. */
#ifndef ACE_WEIGHTS_SOURCE_H
#define ACE_WEIGHTS_SOURCE_H

#include "base/file_map.h"
#include "weights/weights.h"

enum { ACE_WEIGHTS_MAX_FILES = 64 };

typedef struct ace_metadata_entry {
    char *key, *value; /* owned */
} ace_metadata_entry;

/* An array of strings, left where it is: in the mapped file, for each a u64 length and the bytes.
 * Bounds have been checked. */
typedef struct ace_metadata_strings {
    char *key; /* owned */
    const unsigned char *first;
    size_t n;
} ace_metadata_strings;

struct ace_weights {
    char *path;
    bool synthetic;
    ace_file file[ACE_WEIGHTS_MAX_FILES]; /* mapped shards */
    int n_files;
    ace_weight *tensor; /* names owned; sorted by name after ace_weights_finish */
    size_t count, room;
    ace_metadata_entry *metadata;
    size_t n_metadata;
    ace_metadata_strings *strings;
    size_t n_strings;
};

/* An empty source; the path is copied. */
ace_status ace_weights_create(const char *path, ace_weights **out, ace_error *err);

/* Appends a tensor; the name is copied. */
ace_status ace_weights_add(ace_weights *w, const ace_weight *tensor, ace_error *err);
ace_status ace_weights_add_metadata(ace_weights *w, const char *key, const char *value,
                                    ace_error *err);
ace_status ace_weights_add_strings(ace_weights *w, const char *key, const unsigned char *first,
                                   size_t n, ace_error *err);
/* Sorts, and refuses two tensors of one name. */
ace_status ace_weights_finish(ace_weights *w, ace_error *err);

/* Elements of a shape, with overflow and sign checked; false when impossible. */
bool ace_weights_elements(const ace_weight *t, size_t *out);

/* Readers: append what the bytes describe. `path` is for messages only. */
ace_status ace_safetensors_parse(ace_weights *w, const unsigned char *data, size_t bytes,
                                 const char *path, ace_error *err);
ace_status ace_gguf_parse(ace_weights *w, const unsigned char *data, size_t bytes, const char *path,
                          ace_error *err);
/* The texts of a checked string array. */
void ace_gguf_texts(const ace_metadata_strings *strings, ace_weights_text *out);

#endif
