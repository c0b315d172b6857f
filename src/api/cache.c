/* `acestep cache`: what is kept on disk between two starts, and how to be rid of it. */
#include "api/api.h"
#include "base/memory.h"
#include "run/card_rates.h"
#include "run/pack_cache.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

static const struct {
    const char *name, *suffix;
} folders[] = {{ACE_PACK_FOLDER, ACE_PACK_SUFFIX},
               {ACE_CONSTANT_FOLDER, ACE_PACK_SUFFIX},
               {ACE_RATES_FOLDER, ACE_RATES_SUFFIX}};
enum { FOLDERS = sizeof folders / sizeof folders[0] };

static ace_status path_of(const ace_request *r, int folder, char path[ACE_CACHE_PATH_BYTES],
                          ace_error *err)
{
    if (r->cache_dir[0] == '\0') {
        return ace_fail(err, ACESTEP_IO, "cache: no folder; --cache-dir names one");
    }
    (void)snprintf(path, ACE_CACHE_PATH_BYTES, "%s/%s", r->cache_dir, folders[folder].name);
    return ACESTEP_OK;
}

static ace_status add_files(const char *path, const char *suffix, json_t *files, uint64_t *total,
                            ace_error *err)
{
    ace_cache_entry *list = NULL;
    size_t n = 0;
    ace_status status = ace_cache_folder_list(path, suffix, &list, &n, err);
    for (size_t i = 0; i < n; i++) {
        *total += list[i].bytes;
        json_array_append_new(files, json_pack("{s:s, s:I, s:I}", "name", list[i].name, "bytes",
                                               (json_int_t)list[i].bytes, "used",
                                               (json_int_t)(list[i].used_ns / 1000000000)));
    }
    ace_free(list);
    return status;
}

static json_t *describe(const ace_request *r, ace_error *err)
{
    json_t *files = json_array();
    uint64_t total = 0;
    ace_status status = ACESTEP_OK;
    for (int i = 0; i < FOLDERS && status == ACESTEP_OK; i++) {
        char path[ACE_CACHE_PATH_BYTES];
        status = path_of(r, i, path, err);
        if (status == ACESTEP_OK) {
            status = add_files(path, folders[i].suffix, files, &total, err);
        }
    }
    if (status != ACESTEP_OK) {
        json_decref(files);
        return NULL;
    }
    return json_pack("{s:s, s:b, s:I, s:I, s:o}", "folder", r->cache_dir, "on", (int)r->cache,
                     "bytes", (json_int_t)total, "limit_bytes", (json_int_t)ace_pack_cache_limit(r),
                     "files", files);
}

char *acestep_cache_json(const acestep_request *request, acestep_error *err)
{
    json_t *root = describe(request->options, ace_inner_error(err));
    char *text = root != NULL ? json_dumps(root, JSON_INDENT(2)) : NULL;
    json_decref(root);
    return text;
}

static void print_file(FILE *out, json_t *file)
{
    char when[32] = "";
    time_t used = (time_t)json_integer_value(json_object_get(file, "used"));
    struct tm local;
    if (localtime_r(&used, &local) != NULL) {
        (void)strftime(when, sizeof when, "%Y-%m-%d %H:%M", &local);
    }
    (void)fprintf(out, "  %-56s %9.2f MB   %s\n", json_string_value(json_object_get(file, "name")),
                  (double)json_integer_value(json_object_get(file, "bytes")) / (1 << 20), when);
}

char *acestep_cache_text(const acestep_request *request, acestep_error *err)
{
    json_t *root = describe(request->options, ace_inner_error(err));
    char *text = NULL;
    size_t bytes = 0;
    FILE *out = root != NULL ? open_memstream(&text, &bytes) : NULL;
    if (out != NULL) {
        size_t i = 0;
        json_t *file = NULL;
        (void)fprintf(out, "%s\n", json_string_value(json_object_get(root, "folder")));
        json_array_foreach (json_object_get(root, "files"), i, file) {
            print_file(out, file);
        }
        (void)fprintf(out, "  %.2f GB of at most %.2f GB%s",
                      (double)json_integer_value(json_object_get(root, "bytes")) / (1 << 30),
                      (double)json_integer_value(json_object_get(root, "limit_bytes")) / (1 << 30),
                      request->options->cache ? "" : "; switched off");
        (void)fclose(out);
    }
    json_decref(root);
    return text;
}

acestep_status acestep_cache_clear(const acestep_request *request, acestep_error *err)
{
    ace_status status = ACESTEP_OK;
    for (int i = 0; i < FOLDERS && status == ACESTEP_OK; i++) {
        char path[ACE_CACHE_PATH_BYTES];
        status = path_of(request->options, i, path, ace_inner_error(err));
        if (status == ACESTEP_OK && ace_cache_folder_trim(path, folders[i].suffix, 0) > 0) {
            status =
                ace_fail(ace_inner_error(err), ACESTEP_IO, "%s: not all could be removed", path);
        }
    }
    return status;
}
