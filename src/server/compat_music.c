/* Rules about the music itself: tempo, key, metre, length, lyrics, solver, seeds. */
#include "server/compat_rules.h"

#include "base/memory.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* ---- metadata
 * ------------------------------------------------------------------------------------ */

/* What clients write where they have nothing to say. */
static bool says_nothing(const json_t *value)
{
    static const char *const words[] = {"", "n/a", "auto", "none", "null", "-"};
    const char *text = json_string_value(value);
    for (size_t i = 0; text != NULL && i < sizeof words / sizeof *words; i++) {
        if (strcasecmp(text, words[i]) == 0) {
            return true;
        }
    }
    return false;
}

static json_t *given(const ace_compat_rules *rules, const char *option)
{
    json_t *value = ace_compat_find(rules->values, ace_compat_field_of(option)->names, true);
    return value == NULL || says_nothing(value) ? NULL : value;
}

static void read_text(ace_compat_rules *rules, const char *option)
{
    json_t *value = given(rules, option);
    if (value != NULL) {
        json_object_set_new(
            rules->params, option,
            ace_compat_convert(ace_compat_field_of(option), value, rules->warnings));
    }
}

/* Zero and less stand for "as you like". */
static void read_positive(ace_compat_rules *rules, const char *option)
{
    json_t *value = given(rules, option);
    double number = 0;
    if (value == NULL || (ace_compat_number(value, &number) && number <= 0)) {
        return;
    }
    json_object_set_new(rules->params, option,
                        ace_compat_convert(ace_compat_field_of(option), value, rules->warnings));
}

static void read_lyrics(ace_compat_rules *rules)
{
    json_t *value = ace_compat_find(rules->values, "lyrics", true);
    char *text = value != NULL ? ace_compat_text(value) : NULL;
    if (text == NULL) {
        return;
    }
    const char *words = text + strspn(text, " \t\r\n");
    size_t n = strlen(words);
    while (n > 0 && strchr(" \t\r\n", words[n - 1]) != NULL) {
        n--;
    }
    if ((n == 6 && strncasecmp(words, "[inst]", n) == 0) ||
        (n == 14 && strncasecmp(words, "[instrumental]", n) == 0)) {
        json_object_set_new(rules->params, "instrumental", json_true());
    } else {
        json_object_set_new(rules->params, "lyrics", json_string(text));
    }
    ace_free(text);
}

void ace_compat_rule_music(ace_compat_rules *rules)
{
    read_lyrics(rules);
    read_positive(rules, "bpm");
    read_positive(rules, "duration");
    read_text(rules, "keyscale");
    read_text(rules, "timesignature");
    read_text(rules, "vocal_language");
}

/* ---- sampling
 * ------------------------------------------------------------------------------------ */

/* Names that the original's API server reserves; its pipeline reads neither: the guidance's
 * momentum is part of the method (docs/model.md). Zero is what clients send that do not care. */
static void leave_out(const ace_compat_rules *rules, const char *name)
{
    double number = 0;
    const json_t *value = ace_compat_find(rules->values, name, false);
    bool is_zero = ace_compat_number(value, &number) && !(number < 0 || number > 0);
    if (value != NULL && !is_zero) {
        ace_compat_warn(rules->warnings, name, value, "", "nothing reads it: left out");
    }
}

/* acestep.cpp has no switch for the correction: a strength above zero turns it on. */
static void peer_correction(ace_compat_rules *rules)
{
    double low = 0;
    double high = 0;
    (void)ace_compat_number(json_object_get(rules->params, "dcw_scaler"), &low);
    (void)ace_compat_number(json_object_get(rules->params, "dcw_high_scaler"), &high);
    if (low > 0 || high > 0) {
        json_object_set_new(rules->params, "dcw_enabled", json_true());
        json_object_set_new(rules->params, "dcw_scaler", json_real(low));
        json_object_set_new(rules->params, "dcw_high_scaler", json_real(high));
        if (json_object_get(rules->params, "dcw_mode") == NULL) {
            json_object_set_new(rules->params, "dcw_mode", json_string("low"));
        }
    }
}

void ace_compat_rule_sampling(ace_compat_rules *rules)
{
    const ace_compat_field *field = ace_compat_field_of("sampler_mode");
    json_t *solver = ace_compat_find(rules->values, field->names, false);
    const char *name = json_string_value(solver);
    if (name != NULL && strcmp(name, "sde") == 0) {
        json_object_set_new(rules->params, "infer_method", json_string("sde"));
    } else if (solver != NULL) {
        json_object_set_new(rules->params, "sampler_mode",
                            ace_compat_convert(field, solver, rules->warnings));
    }
    if (rules->dialect == ACE_COMPAT_PEER) {
        peer_correction(rules);
    }
    leave_out(rules, "eta");
    leave_out(rules, "momentum");
}

/* ---- seeds
 * --------------------------------------------------------------------------------------- */

enum { MOST_SEEDS = 8, SEED_BYTES = 12 };

/* One seed as the engine takes it: 32 bits, or -1. False where the text is no number. */
static bool read_seed(const char *text, size_t bytes, char out[SEED_BYTES])
{
    char copy[32];
    char *end = NULL;
    (void)snprintf(copy, sizeof copy, "%.*s", bytes < sizeof copy ? (int)bytes : 0, text);
    double value = strtod(copy, &end);
    bool is_number =
        end != copy && end[strspn(end, " \t]")] == '\0' && isfinite(value) && fabs(value) <= 1.8e19;
    long long whole = is_number && value >= 0 && value < 9.2e18 ? strtoll(copy, NULL, 10) : -1;
    if (is_number && value > 0 && whole <= 0) {
        whole = (long long)fmod(value, 4294967296.0); /* "1e3", or beyond 63 bits */
    }
    (void)snprintf(out, SEED_BYTES, "%lld", whole < 0 ? -1LL : (long long)(whole & 0xFFFFFFFFLL));
    return is_number;
}

static void put_seeds(ace_compat_rules *rules, const json_t *asked, const char *text)
{
    char list[MOST_SEEDS * SEED_BYTES] = "";
    size_t n = 0;
    bool known = false;
    for (int count = 0; *text != '\0'; count++) {
        char seed[SEED_BYTES];
        text += strspn(text, " \t[");
        size_t bytes = strcspn(text, ",");
        if (count == MOST_SEEDS) {
            ace_compat_warn(rules->warnings, "seed", asked, list, "a job has up to eight songs");
            break;
        }
        if (!read_seed(text, bytes, seed)) {
            ace_compat_warn(rules->warnings, "seed", asked, "-1", "no number");
        }
        known = known || seed[0] != '-';
        n += (size_t)snprintf(list + n, sizeof list - n, "%s%s", n > 0 ? "," : "", seed);
        text += bytes + (text[bytes] == ',' ? 1 : 0);
    }
    json_t *random = ace_compat_find(rules->values, "use_random_seed,useRandomSeed", false);
    if (known && random != NULL && ace_compat_truth(random)) {
        ace_compat_warn(rules->warnings, "seed", asked, "-1", "use_random_seed is true");
    } else if (known) {
        json_object_set_new(rules->params, "seed", json_string(list));
    }
}

void ace_compat_rule_seeds(ace_compat_rules *rules)
{
    static const char *const names[] = {"seeds", "seed"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        const json_t *value = ace_compat_find(rules->values, names[i], false);
        char *text = value != NULL ? ace_compat_text(value) : NULL;
        bool found = text != NULL && text[0] != '\0';
        if (found) {
            put_seeds(rules, value, text);
        }
        ace_free(text);
        if (found) {
            return;
        }
    }
}
