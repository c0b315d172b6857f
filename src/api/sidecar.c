/* The JSON file beside a song: its options under their own names, so that it is a request again,
 * and an object "acestep" with what happened. */
#include "api/api.h"
#include "options/option_readers.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Where the song went and how the machine was used does not belong to repeating it. */
static void drop_places(json_t *root)
{
    static const char *const names[] = {"output", "overwrite", "threads", "exec"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        json_object_del(root, names[i]);
    }
}

json_t *ace_lyric_score_json(const ace_finished *song)
{
    return json_pack("{s:f, s:f}", "lm", song->lyrics.lm_score, "dit", song->lyrics.dit_score);
}

static json_t *history(const ace_workshop *w, const ace_brief *brief, const ace_finished *song,
                       const acestep_result *result)
{
    json_t *h = json_object();
    json_object_set_new(h, "format_version", json_integer(1));
    json_object_set_new(h, "version", json_string(acestep_version()));
    json_object_set_new(h, "model", json_string(w->models.set.dit_name));
    json_object_set_new(h, "device", json_string(w->device->name));
    json_object_set_new(h, "precision", json_string(ace_dtype_name(w->precisions.plain)));
    json_object_set_new(h, "latent_frames", json_integer(brief->frames));
    json_object_set_new(h, "seed", json_integer((json_int_t)song->seed));
    json_object_set_new(h, "text_prompt", json_string(brief->text_prompt));
    json_object_set_new(h, "lyric_prompt", json_string(brief->lyric_prompt));
    if (song->lyrics.scored) {
        json_object_set_new(h, "lyric_score", ace_lyric_score_json(song));
    }
    json_object_set_new(h, "warnings", ace_warnings_json(&result->plan.warnings));
    return h;
}

char *ace_sidecar_json(const ace_request *request, const ace_workshop *w, const ace_brief *brief,
                       const ace_finished *song, const acestep_result *result)
{
    char *options = ace_request_to_json(request, false);
    json_t *root = options != NULL ? json_loads(options, 0, NULL) : NULL;
    free(options);
    if (root == NULL) {
        return NULL;
    }
    char seed[24];
    (void)snprintf(seed, sizeof seed, "%llu", (unsigned long long)song->seed);
    drop_places(root);
    json_object_set_new(root, "seed", json_string(seed));
    json_object_set_new(root, "batch_size", json_integer(1));
    json_object_set_new(root, "acestep", history(w, brief, song, result));
    char *text = json_dumps(root, JSON_INDENT(2) | JSON_REAL_PRECISION(ace_request_json_digits(request)));
    json_decref(root);
    return text;
}
