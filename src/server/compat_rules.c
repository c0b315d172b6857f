#include "server/compat_rules.h"

#include "base/memory.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

static const char own_rules[] = "bpm,duration,keyscale,timesignature,vocal_language,lyrics,"
                                "sampler_mode,audio_format,mp3_bitrate,model,lm_model_path";

bool ace_compat_has_own_rule(const char *option)
{
    return ace_compat_position(own_rules, ',', option) >= 0;
}

void ace_compat_cut(const char *text, char *out, size_t bytes)
{
    size_t n = strlen(text);
    if (n >= bytes) {
        n = bytes - 1;
        while (n > 0 && ((unsigned char)text[n] & 0xC0u) == 0x80u) {
            n--;
        }
    }
    memcpy(out, text, n);
    out[n] = '\0';
}

/* ---- the task
 * ------------------------------------------------------------------------------------ */

/* The original's names, those of its page and of its chat adapter, and acestep.cpp's. */
static const struct {
    const char *name, *task;
} tasks[] = {{"text2music", "text2music"},
             {"", "text2music"},
             {"simple", "text2music"},
             {"custom", "text2music"},
             {"music_continuation", "text2music"},
             {"cover", "cover"},
             {"cover-nofsq", "cover"},
             {"remix", "cover"},
             {"repaint", "repaint"},
             {"lego", "lego"},
             {"extract", "extract"},
             {"complete", "complete"}};

static ace_status read_task(ace_compat_rules *rules, const char **task, ace_error *err)
{
    const json_t *value = ace_compat_find(rules->values, "task_type,taskType", false);
    char *given = value != NULL ? ace_compat_text(value) : NULL;
    const char *name = given != NULL ? given : "";
    *task = NULL;
    for (size_t i = 0; i < sizeof tasks / sizeof *tasks; i++) {
        if (strcasecmp(tasks[i].name, name) == 0) {
            *task = tasks[i].task;
        }
    }
    ace_status status = ACESTEP_OK;
    if (*task == NULL) {
        status =
            ace_fail(err, ACESTEP_ARGUMENT,
                     "task_type: \"%.40s\" is none of text2music, cover, cover-nofsq, repaint, "
                     "lego, extract and complete",
                     name);
    } else {
        json_object_set_new(rules->params, "task_type", json_string(*task));
        if (strcasecmp(name, "cover-nofsq") == 0) {
            json_object_set_new(rules->params, "no_fsq", json_true());
        }
    }
    ace_free(given);
    return status;
}

/* acestep.cpp names the tracks to complete with in "track", bars between them. */
static void name_tracks(ace_compat_rules *rules, const char *task)
{
    const char *track = json_string_value(json_object_get(rules->params, "track_name"));
    if (strcmp(task, "complete") != 0 || track == NULL ||
        json_object_get(rules->params, "track_classes") != NULL) {
        return;
    }
    char *classes = ace_strdup(track);
    for (char *c = classes; c != NULL && *c != '\0'; c++) {
        *c = *c == '|' ? ',' : *c;
    }
    if (classes != NULL) {
        json_object_set_new(rules->params, "track_classes", json_string(classes));
    }
    json_object_del(rules->params, "track_name");
    ace_free(classes);
}

/* The address that a result gave for a song names the song: "/v1/audio?path=j_1%2F0.mp3" is
 * "j_1/0". */
static void name_song(ace_compat_rules *rules, const char *option)
{
    static const char theirs[] = "/v1/audio?path=";
    const char *given = json_string_value(json_object_get(rules->params, option));
    const char *path = given != NULL ? strstr(given, theirs) : NULL;
    char name[64];
    size_t n = 0;
    if (path == NULL) {
        return;
    }
    path += sizeof theirs - 1;
    while (*path != '\0' && *path != '&' && *path != '.' && n + 1 < sizeof name) {
        bool slash = strncasecmp(path, "%2f", 3) == 0;
        name[n++] = slash ? '/' : *path;
        path += slash ? 3 : 1;
    }
    json_object_set_new(rules->params, option, json_stringn(name, n));
}

/* Audio to be described instead of a song to be made, or only a song's words. */
static void read_goal(ace_compat_rules *rules)
{
    const ace_compat_values *v = rules->values;
    bool codes = ace_compat_is_true(v, "extract_codes_only,extractCodesOnly");
    if (codes || ace_compat_is_true(v, "full_analysis_only,fullAnalysisOnly")) {
        rules->kind = ACE_JOB_UNDERSTAND;
        json_object_set_new(rules->asked, "codes_only", json_boolean(codes));
    } else if (ace_compat_is_true(v, "analysis_only,analysisOnly")) {
        rules->kind = ACE_JOB_FORMAT;
        json_object_set_new(rules->params, "use_format", json_true());
    }
}

static void leave_out_source(ace_compat_rules *rules, const char *option)
{
    if (json_string_length(json_object_get(rules->params, option)) > 0) {
        ace_compat_warn(rules->warnings, option, NULL, "", "text2music takes no source audio");
        json_object_del(rules->params, option);
    }
}

/* The original's own default, which clients send along and its code leaves to repaint_mode. */
static void leave_to_the_mode(ace_compat_rules *rules, const char *option, double theirs)
{
    double value = 0;
    if (ace_compat_number(json_object_get(rules->params, option), &value) && value == theirs) {
        json_object_del(rules->params, option);
    }
}

ace_status ace_compat_rule_task(ace_compat_rules *rules, ace_error *err)
{
    static const char theirs[] = "Fill the audio semantic mask based on the given conditions:";
    const char *task = NULL;
    ace_status status = read_task(rules, &task, err);
    if (status != ACESTEP_OK) {
        return status;
    }
    name_song(rules, "src_audio");
    name_song(rules, "reference_audio");
    read_goal(rules);
    name_tracks(rules, task);
    /* clients send the original's default sentence along with every task */
    const char *instruction = json_string_value(json_object_get(rules->params, "instruction"));
    if (instruction != NULL && strcmp(instruction, theirs) == 0) {
        json_object_del(rules->params, "instruction");
    }
    if (rules->kind == ACE_JOB_SONG && strcmp(task, "text2music") == 0) {
        leave_out_source(rules, "src_audio");
        leave_out_source(rules, "src_latents");
    }
    leave_to_the_mode(rules, "repaint_wav_crossfade_sec", 0);
    leave_to_the_mode(rules, "repaint_latent_crossfade_frames", 10);
    double end = 0;
    if (ace_compat_number(json_object_get(rules->params, "repainting_end"), &end) && end <= 0) {
        json_object_set_new(rules->params, "repainting_end", json_real(-1)); /* the source's end */
    }
    return ACESTEP_OK;
}

/* ---- the language model
 * -------------------------------------------------------------------------- */

static void put_default(ace_compat_rules *rules, const char *option, json_t *value)
{
    if (json_object_get(rules->params, option) == NULL) {
        json_object_set_new(rules->params, option, value);
    } else {
        json_decref(value);
    }
}

/* "format" is the original's third name for use_format, and what others call the audio's format. */
static void read_format(ace_compat_rules *rules)
{
    bool exactly = false;
    json_t *value = ace_compat_find(rules->values, "format", false);
    const char *word = json_string_value(value);
    if (value == NULL || (word != NULL && ace_compat_audio_format(word, &exactly) != NULL)) {
        return; /* ace_compat_rule_output */
    }
    put_default(rules, "use_format", json_boolean(ace_compat_truth(value)));
}

void ace_compat_rule_words(ace_compat_rules *rules)
{
    json_t *params = rules->params;
    const ace_compat_values *v = rules->values;
    read_format(rules);
    bool asked = json_string_length(json_object_get(params, "sample_query")) > 0;
    if (!asked && ace_compat_is_true(v, "sample_mode,sampleMode")) {
        json_object_set_new(params, "sample_query", json_string("NO USER INPUT"));
        asked = true;
    }
    if (asked) {
        json_object_set_new(rules->asked, "sample", json_true());
    }
    if (ace_compat_is_true(v, "is_format_caption,isFormatCaption")) {
        json_object_set_new(params, "use_format", json_false());
        json_object_set_new(params, "use_cot_caption", json_string("false"));
    }
    json_t *together = ace_compat_find(v, "allow_lm_batch,allowLmBatch,parallel_thinking", false);
    if (together != NULL && !ace_compat_truth(together)) {
        json_object_set_new(params, "lm_batch_chunk_size", json_integer(1));
    }
    if (rules->dialect == ACE_COMPAT_REFERENCE) {
        put_default(rules, "thinking", json_string("false"));
        put_default(rules, "lm_cfg_scale", json_real(2.5));
    }
    const char *language = json_string_value(json_object_get(params, "vocal_language"));
    if (asked && (language == NULL || ace_compat_position("en,unknown", ',', language) >= 0)) {
        json_object_del(params, "vocal_language"); /* in the original this leaves the choice open */
    } else if (rules->dialect == ACE_COMPAT_REFERENCE && rules->kind == ACE_JOB_SONG) {
        put_default(rules, "vocal_language", json_string("en"));
    }
}

ace_status ace_compat_apply_rules(ace_compat_rules *rules, ace_error *err)
{
    ace_status status = ace_compat_rule_task(rules, err);
    if (status != ACESTEP_OK) {
        return status;
    }
    ace_compat_rule_music(rules);
    ace_compat_rule_words(rules);
    ace_compat_rule_seeds(rules);
    ace_compat_rule_output(rules);
    ace_compat_rule_sampling(rules);
    return ace_compat_rule_models(rules, err);
}
