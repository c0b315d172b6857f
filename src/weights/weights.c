#include "weights/weights.h"

#include "base/checked.h"
#include "base/memory.h"
#include "weights/source.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- the list of tensors
 * --------------------------------------------------------------------------- */

bool ace_weights_elements(const ace_weight *t, size_t *out)
{
    size_t n = 1;
    for (int i = 0; i < t->rank; i++) {
        if (t->dim[i] < 0 || ace_mul_overflows(n, (size_t)t->dim[i], &n)) {
            return false;
        }
    }
    *out = n;
    return true;
}

ace_status ace_weights_add(ace_weights *w, const ace_weight *tensor, ace_error *err)
{
    if (w->count == w->room) {
        size_t room = w->room != 0 ? 2 * w->room : 64;
        ace_weight *grown = ace_realloc_array(w->tensor, room, sizeof *grown);
        if (grown == NULL) {
            return ace_fail(err, ACESTEP_MEMORY, "%s: no host memory for its list of tensors",
                            w->path);
        }
        w->tensor = grown;
        w->room = room;
    }
    ace_weight copy = *tensor;
    copy.name = ace_strdup(tensor->name);
    if (copy.name == NULL) {
        return ace_fail(err, ACESTEP_MEMORY, "%s: no host memory for its list of tensors", w->path);
    }
    w->tensor[w->count++] = copy;
    return ACESTEP_OK;
}

ace_status ace_weights_add_metadata(ace_weights *w, const char *key, const char *value,
                                    ace_error *err)
{
    ace_metadata_entry *grown =
        ace_realloc_array(w->metadata, w->n_metadata + 1, sizeof *w->metadata);
    if (grown == NULL) {
        return ace_fail(err, ACESTEP_MEMORY, "%s: no host memory", w->path);
    }
    w->metadata = grown;
    ace_metadata_entry entry = {ace_strdup(key), ace_strdup(value)};
    if (entry.key == NULL || entry.value == NULL) {
        ace_free(entry.key);
        ace_free(entry.value);
        return ace_fail(err, ACESTEP_MEMORY, "%s: no host memory", w->path);
    }
    w->metadata[w->n_metadata++] = entry;
    return ACESTEP_OK;
}

ace_status ace_weights_add_strings(ace_weights *w, const char *key, const unsigned char *first,
                                   size_t n, ace_error *err)
{
    ace_metadata_strings *grown =
        ace_realloc_array(w->strings, w->n_strings + 1, sizeof *w->strings);
    char *copy = ace_strdup(key);
    if (grown != NULL) {
        w->strings = grown;
    }
    if (grown == NULL || copy == NULL) {
        ace_free(copy);
        return ace_fail(err, ACESTEP_MEMORY, "%s: no host memory", w->path);
    }
    w->strings[w->n_strings++] = (ace_metadata_strings){copy, first, n};
    return ACESTEP_OK;
}

static int by_name(const void *a, const void *b)
{
    return strcmp(((const ace_weight *)a)->name, ((const ace_weight *)b)->name);
}

ace_status ace_weights_finish(ace_weights *w, ace_error *err)
{
    if (w->count > 1) {
        qsort(w->tensor, w->count, sizeof *w->tensor, by_name);
    }
    for (size_t i = 1; i < w->count; i++) {
        if (strcmp(w->tensor[i - 1].name, w->tensor[i].name) == 0) {
            return ace_fail(err, ACESTEP_MODEL, "%s: %.100s stands there twice", w->path,
                            w->tensor[i].name);
        }
    }
    return ACESTEP_OK;
}

/* ---- birth and death */

ace_status ace_weights_create(const char *path, ace_weights **out, ace_error *err)
{
    ace_weights *w = ace_calloc(1, sizeof *w);
    char *copy = ace_strdup(path);
    if (w == NULL || copy == NULL) {
        ace_free(w);
        ace_free(copy);
        return ace_fail(err, ACESTEP_MEMORY, "%s: no host memory", path);
    }
    w->path = copy;
    *out = w;
    return ACESTEP_OK;
}

void ace_weights_close(ace_weights *w)
{
    if (w == NULL) {
        return;
    }
    for (size_t i = 0; i < w->count; i++) {
        ace_free((void *)(uintptr_t)w->tensor[i].name);
    }
    for (size_t i = 0; i < w->n_metadata; i++) {
        ace_free(w->metadata[i].key);
        ace_free(w->metadata[i].value);
    }
    for (size_t i = 0; i < w->n_strings; i++) {
        ace_free(w->strings[i].key);
    }
    for (int i = 0; i < w->n_files; i++) {
        ace_file_close(&w->file[i]);
    }
    ace_free(w->tensor);
    ace_free(w->metadata);
    ace_free(w->strings);
    ace_free(w->path);
    ace_free(w);
}

/* ---- asking
 * ---------------------------------------------------------------------------------------- */

bool ace_weights_is_synthetic(const ace_weights *w)
{
    return w->synthetic;
}

const char *ace_weights_path(const ace_weights *w)
{
    return w->path;
}

size_t ace_weights_count(const ace_weights *w)
{
    return w->count;
}

const ace_weight *ace_weights_at(const ace_weights *w, size_t index)
{
    return index < w->count ? &w->tensor[index] : NULL;
}

static const ace_weight *find_exact(const ace_weights *w, const char *name)
{
    const ace_weight key = {.name = name};
    return w->count > 0 ? bsearch(&key, w->tensor, w->count, sizeof key, by_name) : NULL;
}

const ace_weight *ace_weights_find(const ace_weights *w, const char *name)
{
    static const char prefix[] = "model.";
    const size_t n = sizeof prefix - 1;
    const ace_weight *found = find_exact(w, name);
    if (found == NULL && strncmp(name, prefix, n) == 0) {
        found = find_exact(w, name + n);
    } else if (found == NULL) {
        char longer[256];
        if (snprintf(longer, sizeof longer, "%s%s", prefix, name) < (int)sizeof longer) {
            found = find_exact(w, longer);
        }
    }
    return found;
}

const char *ace_weights_metadata(const ace_weights *w, const char *key)
{
    for (size_t i = 0; i < w->n_metadata; i++) {
        if (strcmp(w->metadata[i].key, key) == 0) {
            return w->metadata[i].value;
        }
    }
    return NULL;
}

bool ace_weights_metadata_number(const ace_weights *w, const char *key, double *out)
{
    const char *text = ace_weights_metadata(w, key);
    if (text == NULL) {
        return false;
    }
    if (strcmp(text, "true") == 0 || strcmp(text, "false") == 0) {
        *out = text[0] == 't';
        return true;
    }
    char *end = NULL;
    *out = strtod(text, &end);
    return end != text && *end == '\0';
}

ace_status ace_weights_texts(const ace_weights *w, const char *key, ace_weights_text **out,
                             size_t *n, ace_error *err)
{
    *out = NULL;
    *n = 0;
    for (size_t i = 0; i < w->n_strings; i++) {
        if (strcmp(w->strings[i].key, key) != 0) {
            continue;
        }
        ace_weights_text *texts = ace_malloc_array(w->strings[i].n, sizeof *texts);
        if (texts == NULL) {
            return ace_fail(err, ACESTEP_MEMORY, "%s: no host memory for %s", w->path, key);
        }
        ace_gguf_texts(&w->strings[i], texts);
        *out = texts;
        *n = w->strings[i].n;
        return ACESTEP_OK;
    }
    return ace_fail(err, ACESTEP_MODEL, "%s: the list of strings %s is missing", w->path, key);
}

void ace_weights_release_pages(const ace_weights *w, const ace_weight *tensor)
{
    for (int i = 0; i < w->n_files; i++) {
        const unsigned char *data = tensor->data;
        const ace_file *file = &w->file[i];
        if (data >= file->data && data < file->data + file->bytes) {
            ace_file_release_pages(file, data, tensor->bytes);
        }
    }
}
