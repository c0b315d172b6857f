#include "weights/weights.h"

#include "base/checked.h"
#include "base/memory.h"
#include "weights/source.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { PATH_BYTES = 4352 };

/* ---- the list of tensors --------------------------------------------------------------------------- */

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

/* ---- opening --------------------------------------------------------------------------------------- */

static ace_status create(const char *path, ace_weights **out, ace_error *err)
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

static bool ends_with(const char *text, const char *end)
{
    size_t n = strlen(text);
    size_t m = strlen(end);
    return n >= m && strcmp(text + n - m, end) == 0;
}

static ace_status add_file(ace_weights *w, const char *path, ace_error *err)
{
    if (w->n_files == ACE_WEIGHTS_MAX_FILES) {
        return ace_fail(err, ACESTEP_MODEL, "%s: more than %d files", w->path,
                        ACE_WEIGHTS_MAX_FILES);
    }
    ace_file *file = &w->file[w->n_files];
    ace_error unreadable = {.code = ACESTEP_OK};
    if (ace_file_open(path, file, &unreadable) != ACESTEP_OK) {
        return ace_fail(err, ACESTEP_MODEL, "%s", unreadable.message);
    }
    w->n_files++;
    return ends_with(path, ".gguf") ? ace_gguf_parse(w, file->data, file->bytes, path, err)
                                    : ace_safetensors_parse(w, file->data, file->bytes, path, err);
}

/* A shard's name must be a plain file name: the index is not trusted. */
static bool is_plain_name(const char *name)
{
    return name != NULL && name[0] != '\0' && name[0] != '.' && strchr(name, '/') == NULL &&
           strlen(name) < 200;
}

/* model.safetensors.index.json: {"weight_map": {tensor: shard}}; each shard is opened once. */
static ace_status add_shards(ace_weights *w, const char *folder, json_t *index, ace_error *err)
{
    json_t *map = json_object_get(index, "weight_map");
    json_t *seen = json_object();
    const char *tensor = NULL;
    json_t *value = NULL;
    ace_status status = ACESTEP_OK;
    if (!json_is_object(map) || seen == NULL) {
        status = ace_fail(err, ACESTEP_MODEL, "%s: the shard index has no weight_map", folder);
    }
    json_object_foreach(status == ACESTEP_OK ? map : NULL, tensor, value) {
        const char *shard = json_string_value(value);
        if (!is_plain_name(shard)) {
            status = ace_fail(err, ACESTEP_MODEL, "%s: the shard index names no file for %.100s",
                              folder, tensor);
            break;
        }
        if (json_object_get(seen, shard) != NULL) {
            continue;
        }
        char path[PATH_BYTES];
        (void)snprintf(path, sizeof path, "%s/%s", folder, shard);
        status = json_object_set_new(seen, shard, json_true()) == 0
                     ? add_file(w, path, err)
                     : ace_fail(err, ACESTEP_MEMORY, "%s: no host memory", folder);
        if (status != ACESTEP_OK) {
            break;
        }
    }
    json_decref(seen);
    return status;
}

static ace_status add_indexed(ace_weights *w, const char *folder, const char *index_path,
                              ace_error *err)
{
    ace_file file;
    ace_status status = ace_file_open(index_path, &file, err);
    if (status != ACESTEP_OK) {
        return status;
    }
    json_error_t where;
    json_t *index = json_loadb((const char *)file.data, file.bytes, 0, &where);
    if (index == NULL) {
        status = ace_fail(err, ACESTEP_MODEL, "%s: line %d: %s", index_path, where.line, where.text);
    } else {
        status = add_shards(w, folder, index, err);
    }
    json_decref(index);
    ace_file_close(&file);
    return status;
}

static ace_status add_folder(ace_weights *w, const char *folder, ace_error *err)
{
    static const char *const single[] = {"model.safetensors", "diffusion_pytorch_model.safetensors"};
    char path[PATH_BYTES];
    for (size_t i = 0; i < sizeof single / sizeof *single; i++) {
        (void)snprintf(path, sizeof path, "%s/%s", folder, single[i]);
        if (ace_file_exists(path)) {
            return add_file(w, path, err);
        }
    }
    (void)snprintf(path, sizeof path, "%s/model.safetensors.index.json", folder);
    if (ace_file_exists(path)) {
        return add_indexed(w, folder, path, err);
    }
    return ace_fail(err, ACESTEP_MODEL,
                    "%s: holds neither model.safetensors nor its index; download it again", folder);
}

ace_status ace_weights_open(const char *path, ace_weights **out, ace_error *err)
{
    ace_weights *w = NULL;
    *out = NULL;
    if (strlen(path) > PATH_BYTES - 256) {
        return ace_fail(err, ACESTEP_ARGUMENT, "%.60s…: the path is too long", path);
    }
    ace_status status = create(path, &w, err);
    if (status == ACESTEP_OK) {
        status = ace_directory_exists(path) ? add_folder(w, path, err) : add_file(w, path, err);
    }
    if (status == ACESTEP_OK) {
        status = ace_weights_finish(w, err);
    }
    if (status != ACESTEP_OK) {
        ace_weights_close(w);
        return status;
    }
    *out = w;
    return ACESTEP_OK;
}

ace_status ace_weights_open_synthetic(ace_weights **out, ace_error *err)
{
    ace_status status = create("synthetic weights", out, err);
    if (status == ACESTEP_OK) {
        (*out)->synthetic = true;
    }
    return status;
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
    for (int i = 0; i < w->n_files; i++) {
        ace_file_close(&w->file[i]);
    }
    ace_free(w->tensor);
    ace_free(w->metadata);
    ace_free(w->path);
    ace_free(w);
}

/* ---- asking ---------------------------------------------------------------------------------------- */

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
