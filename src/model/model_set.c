#include "model/model_set.h"

#include "base/file_map.h"
#include "base/json.h"
#include "weights/weights.h"

#include <stdio.h>
#include <string.h>

enum { MAX_DITS = 32 };

typedef struct scan {
    const char *folder;
    ace_model_set *set;
    char dit[MAX_DITS][128]; /* names of diffusion models, in byte order */
    int n_dits;
    char seen[512]; /* everything there, for messages */
    bool out_of_memory;
} scan;

static bool starts_with(const char *text, const char *prefix)
{
    return strncmp(text, prefix, strlen(prefix)) == 0;
}

static bool ends_with(const char *text, const char *end)
{
    size_t n = strlen(text);
    size_t m = strlen(end);
    return n >= m && strcmp(text + n - m, end) == 0;
}

static void join(char *out, const char *folder, const char *name)
{
    (void)snprintf(out, ACE_MODEL_PATH_BYTES, "%s/%s", folder, name);
}

static void remember_dit(scan *s, const char *name)
{
    if (s->n_dits < MAX_DITS && strlen(name) < sizeof s->dit[0]) {
        memcpy(s->dit[s->n_dits++], name, strlen(name) + 1);
    }
}

static void place(const scan *s, char *slot, const char *name)
{
    if (slot[0] == '\0') {
        join(slot, s->folder, name);
    }
}

/* A damaged or foreign file is passed over; the message about a missing part lists it. */
static void visit_gguf(scan *s, const char *name)
{
    char path[ACE_MODEL_PATH_BYTES];
    ace_weights *w = NULL;
    join(path, s->folder, name);
    ace_status status = ace_weights_open(path, &w, NULL);
    if (status != ACESTEP_OK) {
        s->out_of_memory = s->out_of_memory || status == ACESTEP_MEMORY;
        return;
    }
    const char *kind = ace_weights_metadata(w, "general.architecture");
    if (kind != NULL && strcmp(kind, "acestep-dit") == 0) {
        remember_dit(s, name);
    } else if (kind != NULL && strcmp(kind, "acestep-vae") == 0) {
        place(s, s->set->vae, name);
    } else if (kind != NULL && strcmp(kind, "acestep-text-enc") == 0) {
        place(s, s->set->text_encoder, name);
    } else if (kind != NULL && strcmp(kind, "acestep-lm") == 0) {
        place(s, s->set->lm, name);
    }
    ace_weights_close(w);
}

static bool visit(void *context, const char *name)
{
    scan *s = context;
    char path[ACE_MODEL_PATH_BYTES];
    join(path, s->folder, name);
    if (ends_with(name, ".gguf")) {
        visit_gguf(s, name);
    } else if (!ace_directory_exists(path)) {
        return true;
    } else if (starts_with(name, "acestep-5Hz-lm")) {
        place(s, s->set->lm, name);
    } else if (starts_with(name, "acestep-")) {
        remember_dit(s, name);
    } else if (strcmp(name, "vae") == 0) {
        place(s, s->set->vae, name);
    } else if (starts_with(name, "Qwen3-Embedding")) {
        place(s, s->set->text_encoder, name);
    }
    size_t used = strlen(s->seen);
    (void)snprintf(s->seen + used, sizeof s->seen - used, "%s%s", used > 0 ? ", " : "", name);
    return true;
}

/* Length of a name without the type of its numbers ("-BF16", "-Q4_K_M"), which is the only last
 * part that begins with a capital. */
static size_t without_type(const char *name, size_t n)
{
    for (size_t i = n; i > 1; i--) {
        if (name[i - 1] == '-') {
            return name[i] >= 'A' && name[i] <= 'Z' ? i - 1 : n;
        }
    }
    return n;
}

/* The n bytes at name, in full or without what all diffusion models are called. */
static bool is_named(const char *name, size_t n, const char *wanted)
{
    static const char family[] = "acestep-v15-";
    size_t prefix = starts_with(name, family) ? sizeof family - 1 : 0;
    size_t bytes = strlen(wanted);
    return (n == bytes && starts_with(name, wanted)) ||
           (n == bytes + prefix && starts_with(name + prefix, wanted));
}

/* "turbo" and "acestep-v15-turbo" name acestep-v15-turbo, acestep-v15-turbo-BF16.gguf and the
 * folder acestep-v15-turbo-Q8_0, but not acestep-v15-turbo-shift3. */
static bool is_called(const char *dit, const char *wanted)
{
    size_t n = strlen(dit) - (ends_with(dit, ".gguf") ? strlen(".gguf") : 0);
    return strcmp(dit, wanted) == 0 || is_named(dit, n, wanted) ||
           is_named(dit, without_type(dit, n), wanted);
}

static ace_status choose_dit(scan *s, const char *wanted, ace_error *err)
{
    int chosen = -1;
    for (int i = 0; i < s->n_dits && chosen < 0; i++) {
        chosen = is_called(s->dit[i], wanted[0] != '\0' ? wanted : "turbo") ? i : -1;
    }
    if (chosen < 0 && wanted[0] == '\0' && s->n_dits == 1) {
        chosen = 0;
    }
    if (chosen < 0 && wanted[0] != '\0') {
        return ace_fail(err, ACESTEP_MODEL, "model: no \"%s\" in %s; there is: %s", wanted,
                        s->folder, s->seen[0] != '\0' ? s->seen : "nothing");
    }
    if (chosen < 0) {
        return ace_fail(err, ACESTEP_MODEL,
                        "%s: no diffusion model to choose (acestep-v15-turbo, or name one with "
                        "--model); there is: %s",
                        s->folder, s->seen[0] != '\0' ? s->seen : "nothing");
    }
    join(s->set->dit, s->folder, s->dit[chosen]);
    (void)snprintf(s->set->dit_name, sizeof s->set->dit_name, "%s", s->dit[chosen]);
    if (ends_with(s->set->dit_name, ".gguf")) {
        s->set->dit_name[strlen(s->set->dit_name) - strlen(".gguf")] = '\0';
    }
    return ACESTEP_OK;
}

static ace_status read_card(const char *folder, ace_model_card *card, ace_error *err)
{
    char path[ACE_MODEL_PATH_BYTES];
    ace_file file;
    ace_error unreadable = {.code = ACESTEP_OK};
    ace_model_card_default(card);
    join(path, folder, "acestep.json");
    if (!ace_file_exists(path)) {
        return ACESTEP_OK;
    }
    if (ace_file_open(path, &file, &unreadable) != ACESTEP_OK) {
        return ace_fail(err, ACESTEP_MODEL, "%s", unreadable.message);
    }
    ace_status status = ace_model_card_parse((const char *)file.data, file.bytes, path, card, err);
    ace_file_close(&file);
    return status;
}

static bool visit_lm(void *context, const char *name)
{
    ace_lm_list *list = context;
    if (strstr(name, "5Hz-lm") != NULL && list->count < ACE_MAX_LMS &&
        strlen(name) < sizeof list->name[0]) {
        memcpy(list->name[list->count++], name, strlen(name) + 1);
    }
    return true;
}

void ace_lm_list_find(const char *folder, ace_lm_list *out)
{
    memset(out, 0, sizeof *out);
    (void)ace_directory_list(folder, visit_lm, out, NULL);
}

ace_status ace_model_set_find(const char *folder, const char *model, ace_model_set *out,
                              ace_error *err)
{
    scan s = {.folder = folder, .set = out};
    memset(out, 0, sizeof *out);
    if (strlen(folder) + 200 > ACE_MODEL_PATH_BYTES) {
        return ace_fail(err, ACESTEP_ARGUMENT, "models: the path is too long");
    }
    if (!ace_directory_exists(folder)) {
        return ace_fail(err, ACESTEP_MODEL, "models: %s is no folder", folder);
    }
    ace_status status = ace_directory_list(folder, visit, &s, err);
    if (status == ACESTEP_OK && s.out_of_memory) {
        status = ace_fail(err, ACESTEP_MEMORY, "%s: no host memory", folder);
    }
    if (status == ACESTEP_OK) {
        status = choose_dit(&s, model, err);
    }
    if (status == ACESTEP_OK && out->vae[0] == '\0') {
        status = ace_fail(err, ACESTEP_MODEL, "%s: the folder vae is missing; there is: %s", folder,
                          s.seen);
    }
    if (status == ACESTEP_OK && out->text_encoder[0] == '\0') {
        status = ace_fail(err, ACESTEP_MODEL,
                          "%s: the folder Qwen3-Embedding-0.6B is missing; there is: %s", folder,
                          s.seen);
    }
    ace_lm_list_find(folder, &out->lms);
    return status == ACESTEP_OK ? read_card(folder, &out->card, err) : status;
}
