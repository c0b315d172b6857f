/* Rules about the files that come out and the models that make them. */
#include "server/compat_rules.h"

#include "base/memory.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* ---- audio formats
 * ------------------------------------------------------------------------------- */

const char *ace_compat_audio_format(const char *name, bool *exactly)
{
    static const struct {
        const char *name, *format;
        bool exactly;
    } formats[] = {{"flac", "flac", true},   {"flac16", "flac16", true}, {"flac24", "flac", true},
                   {"mp3", "mp3", true},     {"opus", "opus", true},     {"ogg", "ogg", true},
                   {"vorbis", "ogg", true},  {"wav", "wav", true},       {"wav16", "wav", true},
                   {"wav24", "wav24", true}, {"wav32", "wav32", true},   {"aac", "mp3", false},
                   {"m4a", "mp3", false}};
    for (size_t i = 0; i < sizeof formats / sizeof *formats; i++) {
        if (strcasecmp(formats[i].name, name) == 0) {
            *exactly = formats[i].exactly;
            return formats[i].format;
        }
    }
    return NULL;
}

static void read_audio_format(ace_compat_rules *rules)
{
    const char *format = "mp3";
    bool exactly = true;
    json_t *value =
        ace_compat_find(rules->values, ace_compat_field_of("audio_format")->names, false);
    const char *word = json_string_value(value);
    if (value == NULL) {
        value = ace_compat_find(rules->values, "format", false);
        word = json_string_value(value);
        word = word != NULL && ace_compat_audio_format(word, &exactly) != NULL ? word : NULL;
        value = word != NULL ? value : NULL;
    }
    if (value != NULL) {
        const char *found = word != NULL ? ace_compat_audio_format(word, &exactly) : NULL;
        format = found != NULL ? found : format;
        if (found == NULL || !exactly) {
            ace_compat_warn(rules->warnings, "audio_format", value, format,
                            "not among flac, wav, mp3, opus and ogg");
        }
    }
    json_object_set_new(rules->params, "audio_format", json_string(format));
}

/* kbit/s, "192k" too. */
static void read_bitrate(ace_compat_rules *rules)
{
    const ace_compat_field *field = ace_compat_field_of("mp3_bitrate");
    json_t *value = ace_compat_find(rules->values, field->names, false);
    const char *text = json_string_value(value);
    char *end = NULL;
    double number = text != NULL ? strtod(text, &end) : 0;
    if (text != NULL && end != text &&
        (strcasecmp(end, "k") == 0 || strcasecmp(end, "kbps") == 0)) {
        value = json_real(number);
    } else {
        value = json_incref(value);
    }
    if (value != NULL) {
        json_object_set_new(rules->params, "mp3_bitrate",
                            ace_compat_convert(field, value, rules->warnings));
    }
    json_decref(value);
}

void ace_compat_rule_output(ace_compat_rules *rules)
{
    static const char *const rates[] = {"sample_rate", "mp3_sample_rate"};
    read_audio_format(rules);
    read_bitrate(rules);
    for (size_t i = 0; i < sizeof rates / sizeof *rates; i++) {
        double rate = 48000;
        json_t *value = ace_compat_find(rules->values, rates[i], false);
        if (ace_compat_number(value, &rate) && (rate < 48000 || rate > 48000)) {
            ace_compat_warn(rules->warnings, rates[i], value, "48000",
                            "songs are written at 48 kHz");
        }
    }
    json_t *tiled = ace_compat_find(rules->values, "use_tiled_decode,useTiledDecode", false);
    if (tiled != NULL && !ace_compat_truth(tiled)) {
        ace_compat_warn(rules->warnings, "use_tiled_decode", tiled, "true",
                        "decoded in tiles as memory asks for");
    }
    if (ace_compat_is_true(rules->values, "return_lyric_timing")) {
        json_object_set_new(rules->params, "auto_lrc", json_true());
    }
}

/* ---- models and adapters
 * ------------------------------------------------------------------------- */

char *ace_compat_model_name(const char *given)
{
    const char *slash = strrchr(given, '/');
    char *name = ace_strdup(slash != NULL ? slash + 1 : given);
    size_t n = name != NULL ? strlen(name) : 0;
    if (n > 5 && strcasecmp(name + n - 5, ".gguf") == 0) {
        name[n - 5] = '\0';
    }
    return name;
}

static void read_model(ace_compat_rules *rules, const char *option)
{
    const json_t *value = ace_compat_find(rules->values, ace_compat_field_of(option)->names, false);
    const char *text = json_string_value(value);
    char *name = text != NULL ? ace_compat_model_name(text) : NULL;
    if (name != NULL && name[0] != '\0' && strcmp(name, "auto") != 0) {
        json_object_set_new(rules->params, option, json_string(name));
    }
    ace_free(name);
}

enum { LORA_BYTES = 4096 };

/* Appends "NAME:SCALE" to the list. */
static ace_status add_adapter(char list[LORA_BYTES], const json_t *name, const json_t *scale,
                              ace_error *err)
{
    const char *text = json_string_value(name);
    double strength = 1;
    if (text == NULL || text[0] == '\0') {
        return ACESTEP_OK;
    }
    if (strpbrk(text, ",:") != NULL) {
        return ace_fail(err, ACESTEP_ARGUMENT, "lora: \"%.60s\" holds a comma or a colon", text);
    }
    (void)ace_compat_number(scale, &strength);
    size_t n = strlen(list);
    int more = snprintf(list + n, LORA_BYTES - n, "%s%s:%.6g", n > 0 ? "," : "", text, strength);
    if (more < 0 || (size_t)more >= LORA_BYTES - n) {
        return ace_fail(err, ACESTEP_ARGUMENT, "lora: the list of adapters is too long");
    }
    return ACESTEP_OK;
}

static const json_t *either(const json_t *object, const char *a, const char *b)
{
    const json_t *value = json_object_get(object, a);
    return value != NULL ? value : json_object_get(object, b);
}

static ace_status read_adapters(ace_compat_rules *rules, char list[LORA_BYTES], ace_error *err)
{
    const ace_compat_values *v = rules->values;
    const json_t *many = ace_compat_find(v, "adapters,lora", false);
    ace_status status = ACESTEP_OK;
    if (json_is_string(many)) {
        status =
            add_adapter(list, many, ace_compat_find(v, "lora_scale,adapter_scale", false), err);
    }
    size_t i = 0;
    const json_t *one = NULL;
    json_array_foreach (many, i, one) {
        const json_t *enabled = json_object_get(one, "enabled");
        if (status == ACESTEP_OK && (enabled == NULL || ace_compat_truth(enabled))) {
            status = add_adapter(list, json_is_string(one) ? one : either(one, "name", "id"),
                                 json_object_get(one, "scale"), err);
        }
    }
    const json_t *use = ace_compat_find(v, "use_lora", false);
    if (status == ACESTEP_OK && (use == NULL || ace_compat_truth(use))) {
        status = add_adapter(list, ace_compat_find(v, "lora_path,adapter", false),
                             ace_compat_find(v, "lora_scale,adapter_scale", false), err);
    }
    return status;
}

ace_status ace_compat_rule_models(ace_compat_rules *rules, ace_error *err)
{
    char list[LORA_BYTES] = "";
    read_model(rules, "model");
    read_model(rules, "lm_model_path");
    json_object_set_new(rules->asked, "model_fallback",
                        json_boolean(ace_compat_is_true(rules->values, "model_fallback")));
    ace_status status = read_adapters(rules, list, err);
    if (status == ACESTEP_OK && list[0] != '\0') {
        json_object_set_new(rules->params, "lora", json_string(list));
    }
    return status;
}
