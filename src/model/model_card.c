/* acestep.json: what a set of checkpoints is and cannot do. */
#include "base/json.h"
#include "model/model_set.h"

#include <stdio.h>
#include <string.h>

void ace_model_card_default(ace_model_card *out)
{
    memset(out, 0, sizeof *out);
    out->lm = true;
    out->audio_input = true;
}

/* The first bad field is reported. */
typedef struct card_reader {
    json_t *root;
    const char *path;
    ace_error *err;
    ace_status status;
} card_reader;

static json_t *field(card_reader *r, const char *key, bool (*is_right)(const json_t *),
                     const char *expected)
{
    json_t *value = json_object_get(r->root, key);
    if (value != NULL && !is_right(value)) {
        r->status = ace_fail(r->err, ACESTEP_MODEL, "%s: %s is no %s", r->path, key, expected);
        return NULL;
    }
    return value;
}

static bool is_text(const json_t *value)
{
    return json_is_string(value);
}

static bool is_truth(const json_t *value)
{
    return json_is_boolean(value);
}

static bool is_duration(const json_t *value)
{
    return json_is_number(value) && json_number_value(value) >= 0 &&
           json_number_value(value) <= 86400;
}

static void read_text(card_reader *r, const char *key, char *out, size_t bytes)
{
    const char *text = json_string_value(field(r, key, is_text, "text"));
    if (text != NULL) {
        (void)snprintf(out, bytes, "%s", text);
    }
}

static void read_truth(card_reader *r, const char *key, bool *out)
{
    json_t *value = field(r, key, is_truth, "true or false");
    *out = value != NULL ? json_is_true(value) : *out;
}

static void read_duration(card_reader *r, const char *key, double *out)
{
    json_t *value = field(r, key, is_duration, "number of seconds");
    *out = value != NULL ? json_number_value(value) : *out;
}

static void check_card(card_reader *r, const ace_model_card *card)
{
    if (r->status == ACESTEP_OK && card->max_duration > 0 &&
        card->min_duration > card->max_duration) {
        r->status =
            ace_fail(r->err, ACESTEP_MODEL, "%s: min_duration is above max_duration", r->path);
    }
    if (r->status == ACESTEP_OK && card->precision[0] != '\0' &&
        strcmp(card->precision, "f32") != 0 && strcmp(card->precision, "bf16") != 0) {
        r->status =
            ace_fail(r->err, ACESTEP_MODEL, "%s: precision is neither f32 nor bf16", r->path);
    }
}

ace_status ace_model_card_parse(const char *json, size_t bytes, const char *path,
                                ace_model_card *out, ace_error *err)
{
    card_reader r = {.path = path, .err = err};
    ace_model_card_default(out);
    r.status = ace_json_parse_object(json, bytes, path, &r.root, err);
    if (r.status == ACESTEP_OK) {
        read_text(&r, "name", out->name, sizeof out->name);
        read_text(&r, "note", out->note, sizeof out->note);
        read_text(&r, "get_full_model", out->get_full_model, sizeof out->get_full_model);
        read_text(&r, "precision", out->precision, sizeof out->precision);
        read_truth(&r, "lm", &out->lm);
        read_truth(&r, "audio_input", &out->audio_input);
        read_duration(&r, "min_duration", &out->min_duration);
        read_duration(&r, "max_duration", &out->max_duration);
        check_card(&r, out);
    }
    json_decref(r.root);
    return r.status;
}
