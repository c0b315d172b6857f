/* `acestep quantize`: a models folder with an int8 diffusion model. */
#define _DEFAULT_SOURCE /* link */
#include "weights/quantize.h"

#include "api/api.h"
#include "base/file_map.h"
#include "base/file_write.h"
#include "model/dit.h"
#include "model/model_set.h"
#include "weights/demo_model.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

typedef struct reporter {
    acestep_progress *progress;
    void *context;
} reporter;

static bool report(void *context, double fraction)
{
    const reporter *r = context;
    return r->progress == NULL || r->progress(r->context, "quantizing", fraction, fraction);
}

static ace_status make_folder(const char *path, ace_error *err)
{
    if (mkdir(path, 0777) == 0 || errno == EEXIST) {
        return ACESTEP_OK;
    }
    return ace_fail(err, ACESTEP_IO, "%s: %s", path, strerror(errno));
}

/* A second name for the same file where the file system can, else a copy. */
static ace_status take_along(const char *from, const char *to, ace_error *err)
{
    ace_file file;
    if (ace_file_exists(to) || link(from, to) == 0) {
        return ACESTEP_OK;
    }
    ace_status status = ace_file_open(from, &file, err);
    if (status == ACESTEP_OK) {
        status = ace_file_write(to, file.data, file.bytes, err);
        ace_file_close(&file);
    }
    return status;
}

typedef struct folder_copy {
    const char *from, *to;
    bool without_weights;
    ace_status status;
    ace_error *err;
} folder_copy;

static bool ends_with(const char *text, const char *end)
{
    size_t n = strlen(text);
    size_t m = strlen(end);
    return n >= m && strcmp(text + n - m, end) == 0;
}

static bool copy_entry(void *context, const char *name)
{
    folder_copy *c = context;
    char from[ACE_MODEL_PATH_BYTES + 300];
    char to[ACE_MODEL_PATH_BYTES + 300];
    (void)snprintf(from, sizeof from, "%s/%.255s", c->from, name);
    (void)snprintf(to, sizeof to, "%s/%.255s", c->to, name);
    bool is_weights = ends_with(name, ".safetensors") || ends_with(name, ".safetensors.index.json");
    if (ace_directory_exists(from) || (c->without_weights && is_weights)) {
        return true;
    }
    c->status = take_along(from, to, c->err);
    return c->status == ACESTEP_OK;
}

/* The files of one folder into a folder of the same name below `output`. */
static ace_status copy_folder(const char *from, const char *output, bool without_weights, char *to,
                              size_t room, ace_error *err)
{
    const char *name = strrchr(from, '/');
    (void)snprintf(to, room, "%s/%s", output, name != NULL ? name + 1 : from);
    folder_copy c = {.from = from, .to = to, .without_weights = without_weights, .err = err};
    ace_status status = make_folder(to, err);
    if (status == ACESTEP_OK) {
        status = ace_directory_list(from, copy_entry, &c, err);
    }
    return status != ACESTEP_OK ? status : c.status;
}

/* acestep.json says what a set can do. */
static ace_status copy_card(const char *models, const char *output, ace_error *err)
{
    char from[ACE_MODEL_PATH_BYTES + 32];
    char to[ACE_MODEL_PATH_BYTES + 32];
    (void)snprintf(from, sizeof from, "%s/acestep.json", models);
    (void)snprintf(to, sizeof to, "%s/acestep.json", output);
    return ace_file_exists(from) ? take_along(from, to, err) : ACESTEP_OK;
}

static ace_status write_dit(const ace_model_set *set, const char *output, reporter *r,
                            ace_error *err)
{
    char to[ACE_MODEL_PATH_BYTES + 300];
    char path[ACE_MODEL_PATH_BYTES + 340];
    ace_weights *weights = NULL;
    ace_status status = copy_folder(set->dit, output, true, to, sizeof to, err);
    (void)snprintf(path, sizeof path, "%s/model.safetensors", to);
    if (status == ACESTEP_OK && ace_file_exists(path)) {
        status = ace_fail(err, ACESTEP_IO, "%s: is there already; choose another --output", path);
    }
    if (status == ACESTEP_OK) {
        status = ace_weights_open(set->dit, &weights, err);
    }
    if (status == ACESTEP_OK) {
        status = ace_quantise_file(weights, ace_dit_is_quantised, path, report, r, err);
    }
    ace_weights_close(weights);
    return status;
}

/* Else it is a GGUF file, or one in a folder of its name. */
static bool has_config(const char *dit)
{
    char path[ACE_MODEL_PATH_BYTES + 16];
    (void)snprintf(path, sizeof path, "%s/config.json", dit);
    return ace_file_exists(path);
}

acestep_status acestep_quantize(const acestep_request *request, acestep_progress *progress,
                                void *context, acestep_error *err)
{
    ace_error *inner = ace_inner_error(err);
    const ace_request *o = request->options;
    const char *models = o->models[0] != '\0' ? o->models : ACE_EMBEDDED_PREFIX "demo";
    char unused[ACE_MODEL_PATH_BYTES + 300];
    reporter r = {progress, context};
    ace_model_set set;
    ace_embedded_files_set(ace_demo_model_files());
    if (o->output[0] == '\0' || strlen(o->output) > ACE_MODEL_PATH_BYTES - 300) {
        return ace_fail(inner, ACESTEP_ARGUMENT, "output: a folder is needed (--output DIR)");
    }
    ace_status status = ace_model_set_find(models, o->model, &set, inner);
    if (status == ACESTEP_OK && !has_config(set.dit)) {
        status = ace_fail(inner, ACESTEP_UNSUPPORTED,
                          "%s: GGUF files are quantised by their own tools", set.dit);
    }
    if (status == ACESTEP_OK) {
        status = make_folder(o->output, inner);
    }
    if (status == ACESTEP_OK) {
        status = write_dit(&set, o->output, &r, inner);
    }
    if (status == ACESTEP_OK) {
        status = copy_folder(set.vae, o->output, false, unused, sizeof unused, inner);
    }
    if (status == ACESTEP_OK) {
        status = copy_folder(set.text_encoder, o->output, false, unused, sizeof unused, inner);
    }
    return status == ACESTEP_OK ? copy_card(models, o->output, inner) : status;
}
