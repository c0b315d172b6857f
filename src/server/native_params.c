/* GET /v1/params: what a form needs to know. */
#include "server/defaults.h"
#include "server/native.h"

#include "acestep/server.h"

#include <string.h>

typedef struct mode {
    const char *name, *label, *task_type, *fields, *required;
    bool think;  /* the language model may plan it */
    bool source; /* the model has to take audio */
    bool base;   /* no turbo model does it */
} mode;

/* simple: a song from one sentence; custom: from all its words. The others are the model's tasks. */
static const mode modes[] = {
    {"simple", "Simple", "text2music",
     "sample_query,instrumental,vocal_language,duration,batch_size", "sample_query", true, false,
     false},
    {"custom", "Custom", "text2music",
     "caption,lyrics,instrumental,vocal_language,duration,bpm,keyscale,timesignature,"
     "reference_audio,audio_codes,batch_size",
     "caption", true, false, false},
    {"cover", "Cover", "cover",
     "src_audio,caption,lyrics,vocal_language,audio_cover_strength,cover_noise_strength,"
     "reference_audio,batch_size",
     "src_audio", false, true, false},
    {"repaint", "Repaint", "repaint",
     "src_audio,caption,lyrics,vocal_language,repainting_start,repainting_end,repaint_mode,"
     "repaint_strength,repaint_wav_crossfade_sec,repaint_latent_crossfade_frames,batch_size",
     "src_audio", false, true, false},
    {"lego", "Lego", "lego",
     "src_audio,track_name,caption,lyrics,repainting_start,repainting_end,"
     "repaint_wav_crossfade_sec,repaint_latent_crossfade_frames,batch_size",
     "src_audio,track_name", false, true, true},
    {"extract", "Extract", "extract", "src_audio,track_name,batch_size", "src_audio,track_name",
     false, true, true},
    {"complete", "Complete", "complete",
     "src_audio,track_classes,caption,lyrics,vocal_language,batch_size", "src_audio,track_classes",
     false, true, true},
};

static json_t *split(const char *list)
{
    json_t *array = json_array();
    while (*list != '\0') {
        size_t n = strcspn(list, ",");
        json_array_append_new(array, json_stringn(list, n));
        list += n + (list[n] == ',');
    }
    return array;
}

/* Why it cannot be done with these models; NULL when it can. */
static const char *reason_against(const mode *m, const json_t *models)
{
    const json_t *card = json_object_get(models, "card");
    if (m->source && !json_is_true(json_object_get(card, "audio_input"))) {
        return "the model makes music from words only";
    }
    if (m->base && json_is_true(json_object_get(card, "turbo"))) {
        return "it takes a base model; this is a turbo model";
    }
    if (strcmp(m->name, "simple") == 0 && !json_is_true(json_object_get(card, "lm"))) {
        return "it takes a language model";
    }
    return NULL;
}

static json_t *describe_modes(const json_t *models, const char *error)
{
    json_t *list = json_array();
    const json_t *card = json_object_get(models, "card");
    for (size_t i = 0; i < sizeof modes / sizeof *modes; i++) {
        const mode *m = &modes[i];
        const char *against = models == NULL ? error : reason_against(m, models);
        bool thinks = m->think && json_is_true(json_object_get(card, "lm"));
        json_array_append_new(list, json_pack("{s:s, s:s, s:s, s:o, s:o, s:b, s:b, s:s?}", "name",
                                              m->name, "label", m->label, "task_type", m->task_type,
                                              "fields", split(m->fields), "required",
                                              split(m->required), "think", (int)thinks, "available",
                                              (int)(against == NULL), "reason", against));
    }
    return list;
}

static json_t *parsed(char *text)
{
    json_t *value = text != NULL ? json_loads(text, 0, NULL) : NULL;
    acestep_free(text);
    return value;
}

void ace_native_params(ace_http_request *request, ace_server *server)
{
    ace_error err = {.code = ACESTEP_OK};
    json_t *models = ace_settings_models(server->settings, &err);
    acestep_request *defaults = NULL;
    json_t *root = parsed(acestep_vocabulary_json());
    int bad = root == NULL;
    if (ace_server_defaults(server, &defaults, NULL) == ACESTEP_OK) {
        bad |= json_object_set_new(root, "defaults", parsed(acestep_request_json(defaults, true)));
    }
    bad |= json_object_set_new(root, "options", parsed(acestep_options_json()));
    bad |= json_object_set_new(root, "server", parsed(acestep_server_options_json()));
    bad |= json_object_set_new(root, "modes", describe_modes(models, err.message));
    json_decref(models);
    acestep_request_free(defaults);
    if (bad) {
        json_decref(root);
        root = NULL;
    }
    ace_http_reply_json(request, 200, root);
}
