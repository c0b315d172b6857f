/* The JSON file beside a song: its options under their own names, so that it is a request again,
 * and an object "acestep" with what happened. */
#include "api/api.h"
#include "base/memory.h"
#include "options/option_readers.h"
#include "text/audio_codes.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Where the song went and how the machine was used does not belong to repeating it. */
static void drop_places(json_t *root)
{
    static const char *const names[] = {"output",      "overwrite", "threads",
                                        "exec",        "profile",   "cache",
                                        "cache_limit", "cache_dir", "cache_least"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        json_object_del(root, names[i]);
    }
}

/* What the language model was asked has been done: its answer stands in the options. */
static void drop_questions(json_t *root)
{
    static const char *const names[] = {"sample_query",  "use_format",      "use_cot_lyrics",
                                        "use_cot_metas", "use_cot_caption", "use_cot_language"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        json_object_del(root, names[i]);
    }
    json_object_set_new(root, "thinking", json_string("false"));
}

/* So that the song comes out again without the language model. */
static void put_codes(json_t *root, const ace_brief *brief, const ace_finished *song)
{
    char *codes = ace_codes_format(brief->codes + song->index * brief->n_codes, brief->n_codes);
    if (codes != NULL) {
        json_object_set_new(root, "audio_codes", json_string(codes));
    }
    ace_free(codes);
}

json_t *ace_lm_phases_json(const ace_lm_written *w)
{
    static const char *const names[ACE_LM_PHASES] = {"words", "codes"};
    json_t *phases = json_object();
    for (int i = 0; i < ACE_LM_PHASES; i++) {
        const ace_lm_phase *p = &w->phase[i];
        json_object_set_new(
            phases, names[i],
            json_pack("{s:I, s:f, s:f, s:f, s:f, s:f}", "tokens", (json_int_t)p->tokens, "seconds",
                      p->seconds, "network", p->times.model, "constrained_decoding", p->times.rules,
                      "guidance", p->times.guidance, "sampling", p->times.sampling));
    }
    return phases;
}

json_t *ace_lm_report_json(const acestep_result *result, int brief)
{
    const ace_lm_written *w = &result->job.written[brief];
    json_t *root =
        json_pack("{s:s, s:I, s:f, s:f}", "model", result->plan.settings.lm_model, "tokens",
                  (json_int_t)w->tokens, "seconds", w->seconds, "tokens_per_second",
                  w->seconds > 0 ? (double)w->tokens / w->seconds : 0.0);
    for (int i = 0; i < ACE_LM_FIELDS; i++) {
        if (w->fields.text[i] != NULL) {
            json_object_set_new(root, ace_lm_field_name((ace_lm_field)i),
                                json_string(w->fields.text[i]));
        }
    }
    if (w->lyrics != NULL) {
        json_object_set_new(root, "lyrics", json_string(w->lyrics));
    }
    return root;
}

json_t *ace_lyric_score_json(const ace_finished *song)
{
    return json_pack("{s:f, s:f}", "lm", song->lyrics.lm_score, "dit", song->lyrics.dit_score);
}

json_t *ace_lm_score_json(const ace_lm_score *score)
{
    json_t *conditions = json_object();
    for (int i = 0; i < ACE_LM_CONDITIONS; i++) {
        if (score->has[i]) {
            json_object_set_new(conditions, ace_lm_condition_name(i), json_real(score->value[i]));
        }
    }
    return json_pack("{s:f, s:o}", "global", score->global, "conditions", conditions);
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
    if (song->lm_score.scored) {
        json_object_set_new(h, "lm_score", ace_lm_score_json(&song->lm_score));
    }
    if (result->job.written[song->brief].wrote) {
        json_object_set_new(h, "lm", ace_lm_report_json(result, song->brief));
    }
    json_object_set_new(h, "warnings", ace_warnings_json(&result->plan.warnings));
    return h;
}

/* A server's clients know an upload by a name of its own, and its paths are none of theirs. */
static void put_label(json_t *root, const char *option, const char *label)
{
    char name[40];
    (void)snprintf(name, sizeof name, "%s_label", option);
    json_object_del(root, name);
    if (label[0] != '\0') {
        json_object_set_new(root, option, json_string(label));
    }
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
    put_label(root, "src_audio", request->src_audio_label);
    put_label(root, "src_latents", request->src_latents_label);
    put_label(root, "reference_audio", request->reference_audio_label);
    put_label(root, "reference_latents", request->reference_latents_label);
    put_label(root, "lora", request->lora_label);
    if (result->job.written[song->brief].wrote) {
        drop_questions(root);
    }
    if (brief->own_codes) {
        put_codes(root, brief, song);
    }
    json_object_set_new(root, "seed", json_string(seed));
    json_object_set_new(root, "batch_size", json_integer(1));
    json_object_set_new(root, "acestep", history(w, brief, song, result));
    char *text =
        json_dumps(root, JSON_INDENT(2) | JSON_REAL_PRECISION(ace_request_json_digits(request)));
    json_decref(root);
    return text;
}
