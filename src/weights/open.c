/* From a path to a checkpoint: one file, a folder, or the shards that a folder's index names. */
#include "base/json.h"
#include "weights/source.h"

#include <stdio.h>
#include <string.h>

enum { PATH_BYTES = 4352 };

static bool ends_with(const char *text, const char *end)
{
    size_t n = strlen(text);
    size_t m = strlen(end);
    return n >= m && strcmp(text + n - m, end) == 0;
}

/* A GGUF file begins with its name, whatever it is called. */
static ace_status parse(ace_weights *w, const unsigned char *data, size_t bytes, const char *path,
                        ace_error *err)
{
    bool gguf = ends_with(path, ".gguf") || (bytes >= 4 && memcmp(data, "GGUF", 4) == 0);
    return gguf ? ace_gguf_parse(w, data, bytes, path, err)
                : ace_safetensors_parse(w, data, bytes, path, err);
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
    return parse(w, file->data, file->bytes, path, err);
}

/* A shard's name must be a plain file name: the index is not trusted. */
static bool is_plain_name(const char *name)
{
    return name != NULL && name[0] != '\0' && name[0] != '.' && strchr(name, '/') == NULL &&
           strlen(name) < 200;
}

static ace_status add_shard(ace_weights *w, const char *folder, const char *shard, ace_error *err)
{
    char path[PATH_BYTES];
    (void)snprintf(path, sizeof path, "%s/%s", folder, shard);
    if (!ace_file_exists(path)) {
        return ace_fail(err, ACESTEP_MODEL, "%s: missing, though the index names it; download it",
                        path);
    }
    return add_file(w, path, err);
}

/* {"weight_map": {tensor: shard}}: each shard is opened once and says itself what it holds. */
static ace_status add_shards(ace_weights *w, const char *folder, json_t *index,
                             const char *index_path, ace_error *err)
{
    json_t *map = json_object_get(index, "weight_map");
    json_t *seen = json_object();
    const char *tensor = NULL;
    json_t *value = NULL;
    ace_status status = ACESTEP_OK;
    if (json_object_size(map) == 0) {
        status = ace_fail(err, ACESTEP_MODEL, "%s: no weight_map in it", index_path);
    }
    json_object_foreach (map, tensor, value) {
        const char *shard = json_string_value(value);
        if (!is_plain_name(shard)) {
            status =
                ace_fail(err, ACESTEP_MODEL, "%s: it names no file for %.100s", index_path, tensor);
        } else if (json_object_get(seen, shard) == NULL) {
            status = json_object_set_new(seen, shard, json_true()) == 0
                         ? add_shard(w, folder, shard, err)
                         : ace_fail(err, ACESTEP_MEMORY, "%s: no host memory", index_path);
        }
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
    json_t *index = NULL;
    ace_error unreadable = {.code = ACESTEP_OK};
    if (ace_file_open(index_path, &file, &unreadable) != ACESTEP_OK) {
        return ace_fail(err, ACESTEP_MODEL, "%s", unreadable.message);
    }
    ace_status status =
        ace_json_parse_object((const char *)file.data, file.bytes, index_path, &index, err);
    if (status == ACESTEP_OK) {
        status = add_shards(w, folder, index, index_path, err);
    }
    json_decref(index);
    ace_file_close(&file);
    return status;
}

static ace_status add_folder(ace_weights *w, const char *folder, ace_error *err)
{
    static const char *const single[] = {"model.safetensors",
                                         "diffusion_pytorch_model.safetensors"};
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
    const char *slash = strrchr(folder, '/');
    (void)snprintf(path, sizeof path, "%s/%s.gguf", folder, slash != NULL ? slash + 1 : folder);
    if (ace_file_exists(path)) {
        return add_file(w, path, err);
    }
    return ace_fail(err, ACESTEP_MODEL,
                    "%s: holds neither model.safetensors nor its index; download it again", folder);
}

/* Hands w over, or closes it when reading has failed. */
static ace_status finish(ace_weights *w, ace_status status, ace_weights **out, ace_error *err)
{
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

ace_status ace_weights_open(const char *path, ace_weights **out, ace_error *err)
{
    ace_weights *w = NULL;
    *out = NULL;
    if (strlen(path) > PATH_BYTES - 256) {
        return ace_fail(err, ACESTEP_ARGUMENT, "%.60s…: the path is too long", path);
    }
    ace_status status = ace_weights_create(path, &w, err);
    if (status == ACESTEP_OK) {
        status = ace_directory_exists(path) ? add_folder(w, path, err) : add_file(w, path, err);
    }
    return finish(w, status, out, err);
}

ace_status ace_weights_open_memory(const unsigned char *data, size_t bytes, const char *name,
                                   ace_weights **out, ace_error *err)
{
    ace_weights *w = NULL;
    *out = NULL;
    ace_status status = ace_weights_create(name, &w, err);
    if (status == ACESTEP_OK) {
        status = parse(w, data, bytes, name, err);
    }
    return finish(w, status, out, err);
}

ace_status ace_weights_open_synthetic(ace_weights **out, ace_error *err)
{
    ace_status status = ace_weights_create("synthetic weights", out, err);
    if (status == ACESTEP_OK) {
        (*out)->synthetic = true;
    }
    return status;
}
