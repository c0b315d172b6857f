/* What there is, here and to be had. */
#include "acestep/store.h"

#include "base/memory.h"
#include "store/choice.h"
#include "store/folder.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

char *acestep_store_folder(const char *asked, acestep_error *err)
{
    char folder[ACE_STORE_FOLDER_BYTES];
    if (ace_store_folder_resolve(asked, folder, ace_store_error(err)) != ACESTEP_OK) {
        return NULL;
    }
    char *copy = strdup(folder); /* acestep_free is free() */
    if (copy == NULL) {
        (void)ace_fail((ace_error *)err, ACESTEP_MEMORY, "models: no host memory");
    }
    return copy;
}

static bool is_complete(const char *folder, const char *set)
{
    ace_store_found found;
    ace_store_set_look(folder, set, &found);
    return found.state == ACE_STORE_COMPLETE;
}

/* Others than published ones count where they are called like diffusion models. */
static bool any_diffusion(const char *folder)
{
    static const char family[] = "acestep-";
    static const char language[] = "acestep-5Hz-lm";
    DIR *list = opendir(folder);
    bool any = false;
    for (struct dirent *e = list != NULL ? readdir(list) : NULL; e != NULL && !any;
         e = readdir(list)) {
        any = strncmp(e->d_name, family, sizeof family - 1) == 0 &&
              strncmp(e->d_name, language, sizeof language - 1) != 0 &&
              is_complete(folder, e->d_name);
    }
    if (list != NULL) {
        (void)closedir(list);
    }
    return any;
}

bool acestep_store_ready(const char *folder)
{
    return is_complete(folder, "vae") && is_complete(folder, "Qwen3-Embedding-0.6B") &&
           any_diffusion(folder);
}

/* ---- the list
 * --------------------------------------------------------------------------------------- */

static bool is_recommended(const ace_store_set *set, const char *lm)
{
    return set->kind == ACE_STORE_SHARED || strcmp(set->name, "acestep-v15-turbo") == 0 ||
           (lm != NULL && strcasecmp(set->name, lm) == 0);
}

static json_t *row(const char *name, const char *kind, const char *about,
                   const ace_store_found *found, uint64_t size, const char *revision,
                   bool recommended)
{
    return json_pack("{s:s, s:s, s:s, s:s, s:s, s:I, s:I, s:s, s:b}", "name", name, "kind", kind,
                     "about", about, "state", ace_store_state_name(found->state), "reason",
                     found->reason, "bytes", (json_int_t)found->bytes, "size", (json_int_t)size,
                     "revision", revision, "recommended", (int)recommended);
}

static void add_published(const char *folder, const char *lm, json_t *sets, uint64_t *bytes)
{
    for (size_t i = 0; i < ace_store_set_count(); i++) {
        const ace_store_set *set = ace_store_set_at(i);
        ace_store_found found;
        ace_store_set_look(folder, set->name, &found);
        *bytes += found.bytes;
        json_array_append_new(sets, row(set->name, ace_store_kind_name(set->kind), set->about,
                                        &found, set->bytes,
                                        found.revision[0] != '\0' ? found.revision : set->revision,
                                        is_recommended(set, lm)));
    }
}

static bool is_published(const char *name)
{
    const ace_store_set *set = ace_store_set_find(name);
    return set != NULL && strcmp(set->name, name) == 0;
}

static int by_name(const void *a, const void *b)
{
    return strcmp(json_string_value(json_object_get(*(json_t *const *)a, "name")),
                  json_string_value(json_object_get(*(json_t *const *)b, "name")));
}

static void sort_by_name(json_t *rows)
{
    json_t *order[256];
    size_t n = json_array_size(rows);
    if (n < 2 || n > 256) {
        return;
    }
    for (size_t i = 0; i < n; i++) {
        order[i] = json_incref(json_array_get(rows, i));
    }
    qsort(order, n, sizeof order[0], by_name);
    json_array_clear(rows);
    for (size_t i = 0; i < n; i++) {
        json_array_append_new(rows, order[i]);
    }
}

/* Fine-tuned models, quantised copies, GGUF files. */
static ace_status add_others(const char *folder, json_t *sets, uint64_t *bytes, ace_error *err)
{
    DIR *list = opendir(folder);
    if (list == NULL) {
        return errno == ENOENT ? ACESTEP_OK
                               : ace_fail(err, ACESTEP_IO, "%s: %s", folder, strerror(errno));
    }
    json_t *rows = json_array();
    for (struct dirent *e = readdir(list); e != NULL; e = readdir(list)) {
        ace_store_found found = {.state = ACE_STORE_COMPLETE};
        char path[ACE_STORE_FOLDER_BYTES];
        struct stat st;
        const char *end = strrchr(e->d_name, '.');
        int n = snprintf(path, sizeof path, "%s/%s", folder, e->d_name);
        if (e->d_name[0] == '.' || is_published(e->d_name) || n >= (int)sizeof path ||
            stat(path, &st) != 0) {
            continue;
        }
        bool gguf = S_ISREG(st.st_mode) && end != NULL && strcmp(end, ".gguf") == 0;
        if (gguf) {
            found.bytes = (uint64_t)st.st_size;
        } else if (S_ISDIR(st.st_mode)) {
            ace_store_set_look(folder, e->d_name, &found);
        }
        if (gguf || (S_ISDIR(st.st_mode) && found.state != ACE_STORE_ABSENT)) {
            *bytes += found.bytes;
            json_array_append_new(rows, row(e->d_name, "other", "", &found, 0, "", false));
        }
    }
    (void)closedir(list);
    sort_by_name(rows);
    json_array_extend(sets, rows);
    json_decref(rows);
    return ACESTEP_OK;
}

static json_t *describe(const char *asked, const char *lm, ace_error *err)
{
    char folder[ACE_STORE_FOLDER_BYTES];
    uint64_t bytes = 0;
    if (ace_store_folder_resolve(asked, folder, err) != ACESTEP_OK) {
        return NULL;
    }
    json_t *sets = json_array();
    add_published(folder, lm, sets, &bytes);
    if (add_others(folder, sets, &bytes, err) != ACESTEP_OK) {
        json_decref(sets);
        return NULL;
    }
    json_t *root =
        json_pack("{s:s, s:I, s:I, s:o}", "folder", folder, "installed_bytes", (json_int_t)bytes,
                  "free_bytes", (json_int_t)ace_store_folder_room(folder), "sets", sets);
    if (root == NULL) {
        (void)ace_fail(err, ACESTEP_MEMORY, "models: no host memory (or a name that is not UTF-8)");
    }
    return root;
}

char *acestep_store_list_json(const char *folder, const char *recommended_lm, acestep_error *error)
{
    ace_error *err = ace_store_error(error);
    char *text = NULL;
    json_t *root = describe(folder, recommended_lm, err);
    if (root != NULL) {
        (void)ace_store_dump(root, &text, err);
    }
    return text;
}

static const char *text_of(json_t *object, const char *key)
{
    const char *text = json_string_value(json_object_get(object, key));
    return text != NULL ? text : "";
}

static double gigabytes(json_t *object, const char *key)
{
    return (double)json_integer_value(json_object_get(object, key)) / 1e9;
}

static void print_row(FILE *out, json_t *set)
{
    const char *state = text_of(set, "state");
    const char *reason = text_of(set, "reason");
    bool absent = strcmp(state, "absent") == 0;
    fprintf(out, "  %c %-30s %-9s %7.2f GB  %s\n",
            json_is_true(json_object_get(set, "recommended")) ? '*' : ' ', text_of(set, "name"),
            absent ? "-" : state, gigabytes(set, absent ? "size" : "bytes"),
            reason[0] != '\0' ? reason : text_of(set, "about"));
}

char *acestep_store_list_text(const char *folder, const char *recommended_lm, acestep_error *error)
{
    ace_error *err = ace_store_error(error);
    json_t *root = describe(folder, recommended_lm, err);
    char *text = NULL;
    size_t bytes = 0;
    FILE *out = root != NULL ? open_memstream(&text, &bytes) : NULL;
    if (out != NULL) {
        json_t *sets = json_object_get(root, "sets");
        fprintf(out, "%s: %.2f GB here, %.2f GB free\n\n", text_of(root, "folder"),
                gigabytes(root, "installed_bytes"), gigabytes(root, "free_bytes"));
        for (size_t i = 0; i < json_array_size(sets); i++) {
            print_row(out, json_array_get(sets, i));
        }
        fprintf(out, "\n  * what this machine is advised to have: acestep models download\n");
        if (fclose(out) != 0) {
            free(text);
            text = NULL;
        }
    }
    if (text == NULL) {
        (void)ace_fail(err, ACESTEP_MEMORY, "models: no host memory");
    }
    json_decref(root);
    return text;
}

/* ---- what a download comes to
 * ------------------------------------------------------------------------ */

acestep_status acestep_store_plan(const acestep_store_options *options, const char *const *names,
                                  size_t n, const char *recommended_lm, char **json,
                                  acestep_error *error)
{
    ace_error *err = ace_store_error(error);
    ace_store_choice choice = {.n = 0};
    char folder[ACE_STORE_FOLDER_BYTES];
    uint64_t size = 0;
    *json = NULL;
    ace_status status = ace_store_folder_resolve(options->folder, folder, err);
    if (status == ACESTEP_OK) {
        status = ace_store_choose_all(&choice, names, n, recommended_lm, options->skip_main, err);
    }
    if (status != ACESTEP_OK) {
        return status;
    }
    json_t *sets = json_array();
    for (size_t i = 0; i < choice.n; i++) {
        const ace_store_set *set = choice.set[i];
        ace_store_found found;
        ace_store_set_look(folder, set->name, &found);
        bool wanted = options->force || found.state != ACE_STORE_COMPLETE;
        uint64_t left =
            found.bytes < set->bytes && !options->force ? set->bytes - found.bytes : set->bytes;
        size += wanted ? left : 0;
        json_array_append_new(sets, json_pack("{s:s, s:I, s:s}", "name", set->name, "size",
                                              (json_int_t)set->bytes, "state",
                                              ace_store_state_name(found.state)));
    }
    return ace_store_dump(json_pack("{s:s, s:o, s:I, s:I}", "folder", folder, "sets", sets, "size",
                                    (json_int_t)size, "free_bytes",
                                    (json_int_t)ace_store_folder_room(folder)),
                          json, err);
}
