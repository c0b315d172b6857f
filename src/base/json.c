#include "base/json.h"

/* A tree takes up to 40 times its text; published headers and indexes are below 200 KiB. */
enum { LARGEST_TEXT = 16 << 20 };

ace_status ace_json_parse_object(const char *text, size_t bytes, const char *path, json_t **out,
                                 ace_error *err)
{
    *out = NULL;
    if (bytes > LARGEST_TEXT) {
        return ace_fail(err, ACESTEP_MODEL, "%s: %zu bytes of JSON are too many to be true", path,
                        bytes);
    }
    json_error_t where;
    json_t *root = json_loadb(text, bytes, JSON_REJECT_DUPLICATES, &where);
    if (root == NULL && json_error_code(&where) == json_error_out_of_memory) {
        return ace_fail(err, ACESTEP_MEMORY, "%s: no host memory", path);
    }
    if (!json_is_object(root)) {
        ace_fail(err, ACESTEP_MODEL, "%s: damaged, line %d: %s", path,
                 root == NULL ? where.line : 1, root == NULL ? where.text : "not an object");
        json_decref(root);
        return ACESTEP_MODEL;
    }
    *out = root;
    return ACESTEP_OK;
}
