/* What a profile is made of, said before it begins. */
#include "profile.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* ---- the configuration ----------------------------------------------------------------------- */

static json_t *parsed(char *text)
{
    json_t *value = text != NULL ? json_loads(text, 0, NULL) : NULL;
    acestep_free(text);
    return value;
}

/* A new reference, null where it is missing. */
static json_t *of(const json_t *object, const char *name)
{
    json_t *value = json_object_get(object, name);
    return value != NULL ? json_incref(value) : json_null();
}

json_t *profile_configuration(acestep_engine *engine, const acestep_request *request,
                              const profile_switches *s)
{
    static const char *const copied[] = {"exec",
                                         "thinking",
                                         "use_cot_metas",
                                         "use_cot_caption",
                                         "use_cot_language",
                                         "use_constrained_decoding",
                                         "task_type",
                                         "seed",
                                         "guidance_scale",
                                         "lm_temperature",
                                         "lm_cfg_scale"};
    json_t *options = parsed(acestep_request_json(request, false));
    json_t *opened = parsed(acestep_engine_json(engine));
    json_t *plan = NULL;
    acestep_plan *planned = NULL;
    if (acestep_plan_create(engine, request, &planned, NULL) == ACESTEP_OK) {
        plan = parsed(acestep_plan_json(planned));
    }
    acestep_plan_free(planned);
    const json_t *models = json_object_get(opened, "models");
    bool makes_songs = (s->mode & (MODE_PROFILE | MODE_BENCHMARK)) != 0;
    json_t *c = json_pack(
        "{s:s, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:b}", "mode",
        s->mode_name, "device", of(opened, "device"), "requested_device", of(options, "device"),
        "card", of(plan, "device"), "precision", of(opened, "precision"), "dit", of(models, "name"),
        "lm", of(models, "lm"), "lm_backend", of(plan, "lm_backend"), "tier", of(plan, "tier"),
        "gpu_gb", of(plan, "gpu_gb"), "cap_bytes", of(plan, "cap_bytes"), "offload",
        of(plan, "offload"), "quantization", of(plan, "quantization"), "planned_bytes",
        of(plan, "peak_bytes"), "inference_steps", of(plan, "inference_steps"), "warmup",
        makes_songs && !s->no_warmup);
    for (size_t i = 0; i < sizeof copied / sizeof *copied; i++) {
        json_object_set_new(c, copied[i], of(options, copied[i]));
    }
    json_decref(options);
    json_decref(opened);
    json_decref(plan);
    return c;
}

static const char *text_of(const json_t *c, const char *name, const char *missing)
{
    const char *text = json_string_value(json_object_get(c, name));
    return text != NULL && text[0] != '\0' ? text : missing;
}

/* Flags may be booleans or words. */
static const char *switch_of(const json_t *c, const char *name)
{
    const json_t *value = json_object_get(c, name);
    return json_is_boolean(value) ? (json_is_true(value) ? "true" : "false")
                                  : text_of(c, name, "auto");
}

static void line(const char *name, const char *value)
{
    printf("  %-14s %s\n", name, value);
}

/* Of a path: which model it is, not where. */
static const char *last_part(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash != NULL ? slash + 1 : path;
}

void profile_print_header(const json_t *c)
{
    char memory[160];
    char flags[160];
    double cap = json_number_value(json_object_get(c, "cap_bytes")) / (1024.0 * 1024 * 1024);
    (void)snprintf(memory, sizeof memory, "%s%s%.2f%s", text_of(c, "tier", "no tier"),
                   cap > 0 ? ", at most " : "", cap, cap > 0 ? " GB" : "");
    if (cap <= 0) {
        (void)snprintf(memory, sizeof memory, "%s, no cap", text_of(c, "tier", "no tier"));
    }
    (void)snprintf(flags, sizeof flags, "metas %s, caption %s, language %s",
                   switch_of(c, "use_cot_metas"), switch_of(c, "use_cot_caption"),
                   switch_of(c, "use_cot_language"));
    line("mode", text_of(c, "mode", ""));
    printf("  %-14s %s (asked for: %s)\n", "device", text_of(c, "device", "none"),
           text_of(c, "requested_device", "auto"));
    line("exec", strcmp(text_of(c, "exec", ""), "shape") == 0
                     ? "shape: the schedule is walked, nothing is computed"
                     : "full");
    line("DiT", text_of(c, "dit", "none"));
    line("LM", last_part(text_of(c, "lm", "none")));
    line("LM backend", text_of(c, "lm_backend", "none"));
    line("precision", text_of(c, "precision", ""));
    line("memory", memory);
    line("offload", text_of(c, "offload", "none"));
    line("quantization", text_of(c, "quantization", "none"));
    line("thinking", switch_of(c, "thinking"));
    line("chain of thought", flags);
    line("constrained", switch_of(c, "use_constrained_decoding"));
    line("warm-up", switch_of(c, "warmup"));
    (void)fflush(stdout);
}

/* ---- the scratch folder ---------------------------------------------------------------------- */

acestep_status profile_scratch_make(profile_scratch *scratch, acestep_request *request,
                                    acestep_error *err)
{
    scratch->path[0] = '\0';
    json_t *options = parsed(acestep_request_json(request, false));
    bool asked = text_of(options, "output", "")[0] != '\0';
    json_decref(options);
    if (asked) {
        return ACESTEP_OK;
    }
    const char *folder = getenv("TMPDIR");
    char path[sizeof scratch->path];
    int n = snprintf(path, sizeof path, "%s/acestep-profile-XXXXXX",
                     folder != NULL && folder[0] != '\0' ? folder : "/tmp");
    if (n >= (int)sizeof path) {
        (void)snprintf(path, sizeof path, "/tmp/acestep-profile-XXXXXX");
    }
    if (mkdtemp(path) == NULL) {
        err->code = ACESTEP_IO;
        (void)snprintf(err->message, sizeof err->message, "%s: %s", path, strerror(errno));
        return err->code;
    }
    memcpy(scratch->path, path, sizeof path);
    return acestep_request_set(request, "output", path, err);
}

void profile_scratch_remove(const profile_scratch *scratch)
{
    DIR *folder = scratch->path[0] != '\0' ? opendir(scratch->path) : NULL;
    if (folder == NULL) {
        return;
    }
    for (struct dirent *entry; (entry = readdir(folder)) != NULL;) {
        char path[sizeof scratch->path + sizeof entry->d_name + 1];
        (void)snprintf(path, sizeof path, "%s/%s", scratch->path, entry->d_name);
        (void)unlink(path); /* "." and ".." stay */
    }
    (void)closedir(folder);
    (void)rmdir(scratch->path);
}
