#include "server/song_params.h"

#include "base/memory.h"
#include "server/jobs.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Of the sidecar: what the song is about, and what its sampling depends on. */
static const char *const told[] = {
    "caption",  "lyrics",         "instrumental",    "bpm", "keyscale", "timesignature",
    "duration", "vocal_language", "inference_steps", "lora"};

static json_t *read_sidecar(ace_server *server, const char *id, int item, ace_error *err)
{
    char *path = NULL;
    if (ace_jobs_file(server->jobs, id, item, ACE_JOB_SIDECAR, &path, err) != ACESTEP_OK) {
        return NULL;
    }
    json_t *sidecar = json_load_file(path, 0, NULL);
    ace_free(path);
    if (!json_is_object(sidecar)) {
        json_decref(sidecar);
        (void)ace_fail(err, ACESTEP_ARGUMENT, "song: nothing is known of it");
        return NULL;
    }
    return sidecar;
}

static bool has_latents(ace_server *server, const char *id, int item)
{
    char *path = NULL;
    ace_error unheard = {.code = ACESTEP_OK};
    bool has =
        ace_jobs_file(server->jobs, id, item, ACE_JOB_LATENTS, &path, &unheard) == ACESTEP_OK;
    ace_free(path);
    return has;
}

static bool read_name(const char *named, char id[ACE_JOB_ID_BYTES], int *item)
{
    char *end = NULL;
    size_t n = strcspn(named, "/");
    if (n >= ACE_JOB_ID_BYTES || named[n] != '/' || named[n + 1] < '0' || named[n + 1] > '9') {
        return false;
    }
    (void)snprintf(id, ACE_JOB_ID_BYTES, "%.*s", (int)n, named);
    long number = strtol(named + n + 1, &end, 10);
    *item = number < 1000 ? (int)number : -1;
    return *end == '\0' && *item >= 0;
}

ace_status ace_song_params(ace_server *server, const char *named, json_t **out, ace_error *err)
{
    char id[ACE_JOB_ID_BYTES];
    int item = 0;
    *out = NULL;
    if (!read_name(named, id, &item)) {
        return ace_fail(err, ACESTEP_ARGUMENT, "song: \"j_…/0\" is expected");
    }
    json_t *sidecar = read_sidecar(server, id, item, err);
    if (sidecar == NULL) {
        return err->code;
    }
    json_t *params = json_object();
    for (size_t i = 0; i < sizeof told / sizeof *told; i++) {
        json_object_set(params, told[i], json_object_get(sidecar, told[i]));
    }
    const char *codes = json_string_value(json_object_get(sidecar, "audio_codes"));
    if (codes != NULL && codes[0] != '\0') {
        json_object_set_new(params, "audio_codes", json_string(codes));
    }
    bool latents = has_latents(server, id, item);
    json_object_set_new(params, latents ? "src_latents" : "src_audio", json_string(named));
    json_decref(sidecar);
    *out = params;
    return ACESTEP_OK;
}
