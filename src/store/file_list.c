#include "store/file_list.h"

#include "base/json.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

/* No checkpoint file comes near it; sums of ACE_STORE_FILES of them fit into 64 bits. */
static const json_int_t largest_file = (json_int_t)1 << 42;

typedef struct reader {
    const char *where, *inside;
    ace_status bad; /* what a text that is no list is called */
    ace_store_files *out;
} reader;

static bool ends_with(const char *name, const char *end)
{
    size_t n = strlen(name);
    size_t m = strlen(end);
    return n > m && strcmp(name + n - m, end) == 0;
}

bool ace_store_is_wanted(const char *name)
{
    return ends_with(name, ".safetensors") || ends_with(name, ".gguf") ||
           (ends_with(name, ".json") && strcmp(name, ACE_STORE_MANIFEST) != 0) ||
           strcmp(name, "merges.txt") == 0 || strcmp(name, "silence_latent.pt") == 0;
}

static bool is_plain_name(const char *name)
{
    static const char plain[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-";
    size_t n = strlen(name);
    return n > 0 && n < ACE_STORE_NAME_BYTES && name[0] != '.' && name[0] != '-' &&
           strspn(name, plain) == n;
}

/* A path that leads out of its folder has no business in a list. */
static bool is_hostile_path(const char *path)
{
    if (path[0] == '/' || path[0] == '\0' || strchr(path, '\\') != NULL) {
        return true;
    }
    for (const char *at = path; at != NULL;
         at = strchr(at, '/') != NULL ? strchr(at, '/') + 1 : NULL) {
        size_t n = strcspn(at, "/");
        if (n == 0 || (n == 1 && at[0] == '.') || (n == 2 && at[0] == '.' && at[1] == '.')) {
            return true;
        }
    }
    return false;
}

/* Hexadecimal of `digits` digits, or nothing. */
static bool take_hex(json_t *value, size_t digits, char *out)
{
    const char *text = json_string_value(value);
    out[0] = '\0';
    if (text == NULL || text[0] == '\0') {
        return value == NULL || json_is_null(value) || text != NULL;
    }
    if (strlen(text) != digits || strspn(text, "0123456789abcdefABCDEF") != digits) {
        return false;
    }
    for (size_t i = 0; i <= digits; i++) {
        out[i] = (char)tolower((unsigned char)text[i]);
    }
    return true;
}

static ace_status take_revision(const reader *r, json_t *value, ace_error *err)
{
    const char *text = json_string_value(value);
    if (text == NULL) {
        return ACESTEP_OK;
    }
    if (strlen(text) >= ACE_STORE_REVISION_BYTES || (text[0] != '\0' && !is_plain_name(text))) {
        return ace_fail(err, r->bad, "%s: \"%.80s\" is no revision", r->where, text);
    }
    memcpy(r->out->revision, text, strlen(text) + 1);
    return ACESTEP_OK;
}

/* The part of a repository's path that names a file of the set; NULL for others. */
static const char *name_inside(const reader *r, const char *path)
{
    size_t n = strlen(r->inside);
    if (n > 0 && strcmp(path, r->inside) == 0) { /* the set is this file */
        return strrchr(path, '/') == NULL ? path : strrchr(path, '/') + 1;
    }
    if (n > 0) {
        if (strncmp(path, r->inside, n) != 0 || path[n] != '/') {
            return NULL;
        }
        path += n + 1;
    }
    return strchr(path, '/') == NULL ? path : NULL;
}

static ace_status add_file(const reader *r, const char *path, json_t *size, json_t *sha256,
                           json_t *git_sha1, ace_error *err)
{
    if (path == NULL || is_hostile_path(path)) {
        return ace_fail(err, r->bad,
                        "%s: lists \"%.120s\", which is no file name; nothing of it is taken",
                        r->where, path != NULL ? path : "");
    }
    const char *name = name_inside(r, path);
    if (name == NULL || !ace_store_is_wanted(name)) {
        return ACESTEP_OK;
    }
    ace_store_files *list = r->out;
    for (size_t i = 0; i < list->n; i++) {
        if (strcmp(list->file[i].name, name) == 0) {
            return ace_fail(err, r->bad, "%s: lists %s twice", r->where, name);
        }
    }
    if (!is_plain_name(name) || list->n == ACE_STORE_FILES) {
        return ace_fail(err, r->bad, "%s: lists \"%.120s\", which no checkpoint has", r->where,
                        name);
    }
    ace_store_file *file = &list->file[list->n];
    json_int_t bytes = json_is_integer(size) ? json_integer_value(size) : -1;
    if (bytes < 0 || bytes > largest_file) {
        return ace_fail(err, r->bad, "%s: %s has no size that could be right", r->where, name);
    }
    if (!take_hex(sha256, ACE_STORE_SHA256_BYTES - 1, file->sha256) ||
        !take_hex(git_sha1, ACE_STORE_SHA1_BYTES - 1, file->git_sha1)) {
        return ace_fail(err, r->bad, "%s: %s has a digest that is none", r->where, name);
    }
    memcpy(file->name, name, strlen(name) + 1);
    file->bytes = (uint64_t)bytes;
    list->n++;
    return ACESTEP_OK;
}

/* A repository may hold many more files than a set, but not endlessly many. */
static ace_status check_array(const reader *r, json_t *array, ace_error *err)
{
    if (!json_is_array(array) || json_array_size(array) > 10000) {
        return ace_fail(err, r->bad, "%s: is no list of files", r->where);
    }
    return ACESTEP_OK;
}

static ace_status check_some(const reader *r, ace_error *err)
{
    bool weights = false;
    for (size_t i = 0; i < r->out->n; i++) {
        const char *name = r->out->file[i].name;
        weights = weights || ends_with(name, ".safetensors") || ends_with(name, ".gguf");
    }
    return weights ? ACESTEP_OK
                   : ace_fail(err, r->bad, "%s: no checkpoint%s%s is listed there", r->where,
                              r->inside[0] != '\0' ? " in " : "", r->inside);
}

static ace_status parse_object(const reader *r, const char *text, size_t bytes, json_t **root,
                               ace_error *err)
{
    ace_error inner = {.code = ACESTEP_OK};
    memset(r->out, 0, sizeof *r->out);
    ace_status status = ace_json_parse_object(text, bytes, r->where, root, &inner);
    return status == ACESTEP_OK
               ? ACESTEP_OK
               : ace_fail(err, status == ACESTEP_MODEL ? r->bad : status, "%s", inner.message);
}

ace_status ace_store_parse_huggingface(const char *text, size_t bytes, const char *inside,
                                       const char *where, ace_store_files *out, ace_error *err)
{
    const reader r = {where, inside, ACESTEP_NETWORK, out};
    json_t *root = NULL;
    ace_status status = parse_object(&r, text, bytes, &root, err);
    if (status != ACESTEP_OK) {
        return status;
    }
    json_t *siblings = json_object_get(root, "siblings");
    status = check_array(&r, siblings, err);
    if (status == ACESTEP_OK) {
        status = take_revision(&r, json_object_get(root, "sha"), err);
    }
    for (size_t i = 0; status == ACESTEP_OK && i < json_array_size(siblings); i++) {
        json_t *entry = json_array_get(siblings, i);
        json_t *large = json_object_get(entry, "lfs"); /* its blobId is that of the pointer file */
        bool is_large = json_is_object(large);
        status = add_file(&r, json_string_value(json_object_get(entry, "rfilename")),
                          json_object_get(is_large ? large : entry, "size"),
                          is_large ? json_object_get(large, "sha256") : NULL,
                          is_large ? NULL : json_object_get(entry, "blobId"), err);
    }
    json_decref(root);
    return status == ACESTEP_OK ? check_some(&r, err) : status;
}

ace_status ace_store_parse_modelscope(const char *text, size_t bytes, const char *inside,
                                      const char *where, ace_store_files *out, ace_error *err)
{
    const reader r = {where, inside, ACESTEP_NETWORK, out};
    json_t *root = NULL;
    ace_status status = parse_object(&r, text, bytes, &root, err);
    if (status != ACESTEP_OK) {
        return status;
    }
    json_t *files = json_object_get(json_object_get(root, "Data"), "Files");
    status = check_array(&r, files, err);
    for (size_t i = 0; status == ACESTEP_OK && i < json_array_size(files); i++) {
        json_t *entry = json_array_get(files, i);
        const char *type = json_string_value(json_object_get(entry, "Type"));
        if (type == NULL || strcmp(type, "tree") != 0) {
            status = add_file(&r, json_string_value(json_object_get(entry, "Path")),
                              json_object_get(entry, "Size"), json_object_get(entry, "Sha256"),
                              NULL, err);
        }
    }
    json_decref(root);
    return status == ACESTEP_OK ? check_some(&r, err) : status;
}

ace_status ace_store_parse_manifest(const char *text, size_t bytes, const char *where,
                                    ace_store_files *out, ace_error *err)
{
    const reader r = {where, "", ACESTEP_MODEL, out};
    json_t *root = NULL;
    ace_status status = parse_object(&r, text, bytes, &root, err);
    if (status != ACESTEP_OK) {
        return status;
    }
    json_t *files = json_object_get(root, "files");
    json_t *format = json_object_get(root, "format");
    if (!json_is_integer(format) || json_integer_value(format) != 1) {
        status = ace_fail(err, ACESTEP_MODEL, "%s: is no manifest of format 1", where);
    }
    if (status == ACESTEP_OK) {
        status = check_array(&r, files, err);
    }
    if (status == ACESTEP_OK) {
        status = take_revision(&r, json_object_get(root, "revision"), err);
    }
    for (size_t i = 0; status == ACESTEP_OK && i < json_array_size(files); i++) {
        json_t *entry = json_array_get(files, i);
        status =
            add_file(&r, json_string_value(json_object_get(entry, "name")),
                     json_object_get(entry, "bytes"), json_object_get(entry, "sha256"), NULL, err);
    }
    json_decref(root);
    return status == ACESTEP_OK ? check_some(&r, err) : status;
}
