#include "model/model_set.h"

#include "base/file_map.h"
#include "weights/weights.h"

#include <jansson.h>
#include <stdio.h>
#include <string.h>

enum { MAX_DITS = 32 };

typedef struct scan {
    const char *folder;
    ace_model_set *set;
    char dit[MAX_DITS][128]; /* names of diffusion models, in byte order */
    int n_dits;
    char seen[512]; /* everything there, for messages */
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

static void visit_gguf(scan *s, const char *name)
{
    char path[ACE_MODEL_PATH_BYTES];
    ace_weights *w = NULL;
    join(path, s->folder, name);
    if (ace_weights_open(path, &w, NULL) != ACESTEP_OK) {
        return; /* damaged or foreign: reported when it is asked for by name */
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

/* "turbo" names acestep-v15-turbo and acestep-v15-turbo-BF16.gguf. */
static bool is_called(const char *dit, const char *wanted)
{
    char name[160];
    if (strcmp(dit, wanted) == 0) {
        return true;
    }
    (void)snprintf(name, sizeof name, "acestep-v15-%s", wanted);
    size_t n = strlen(name);
    return strcmp(dit, name) == 0 ||
           (strncmp(dit, name, n) == 0 && dit[n] == '-' && ends_with(dit, ".gguf"));
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

/* ---- the card
 * ------------------------------------------------------------------------------------------ */

void ace_model_card_default(ace_model_card *out)
{
    memset(out, 0, sizeof *out);
    out->lm = true;
    out->audio_input = true;
}

static void read_text(json_t *root, const char *key, char *out, size_t bytes)
{
    const char *text = json_string_value(json_object_get(root, key));
    if (text != NULL) {
        (void)snprintf(out, bytes, "%s", text);
    }
}

static void read_truth(json_t *root, const char *key, bool *out)
{
    json_t *value = json_object_get(root, key);
    if (json_is_boolean(value)) {
        *out = json_is_true(value);
    }
}

static ace_status read_card(const char *folder, ace_model_card *card, ace_error *err)
{
    char path[ACE_MODEL_PATH_BYTES];
    ace_file file;
    ace_model_card_default(card);
    join(path, folder, "acestep.json");
    if (!ace_file_exists(path)) {
        return ACESTEP_OK;
    }
    ace_status status = ace_file_open(path, &file, err);
    if (status != ACESTEP_OK) {
        return status;
    }
    json_error_t where;
    json_t *root = json_loadb((const char *)file.data, file.bytes, 0, &where);
    if (!json_is_object(root)) {
        status = ace_fail(err, ACESTEP_MODEL, "%s: line %d: %s", path, where.line,
                          root == NULL ? where.text : "an object is expected");
    } else {
        read_text(root, "name", card->name, sizeof card->name);
        read_text(root, "note", card->note, sizeof card->note);
        read_text(root, "get_full_model", card->get_full_model, sizeof card->get_full_model);
        read_text(root, "precision", card->precision, sizeof card->precision);
        read_truth(root, "lm", &card->lm);
        read_truth(root, "audio_input", &card->audio_input);
        card->min_duration = json_number_value(json_object_get(root, "min_duration"));
        card->max_duration = json_number_value(json_object_get(root, "max_duration"));
    }
    json_decref(root);
    ace_file_close(&file);
    return status;
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
    return status == ACESTEP_OK ? read_card(folder, &out->card, err) : status;
}
