#include "text/metadata.h"

#include "text/span.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

const char *const ace_languages[ACE_N_LANGUAGES] = {
    "ar", "az", "bg", "bn", "ca", "cs", "da", "de", "el", "en",  "es", "fa",     "fi",
    "fr", "he", "hi", "hr", "ht", "hu", "id", "is", "it", "ja",  "ko", "la",     "lt",
    "ms", "ne", "nl", "no", "pa", "pl", "pt", "ro", "ru", "sa",  "sk", "sr",     "sv",
    "sw", "ta", "te", "th", "tl", "tr", "uk", "ur", "vi", "yue", "zh", "unknown"};

static bool is_not_given(ace_text_span text)
{
    return text.bytes == 0 || ace_span_is(text, "n/a");
}

ace_status ace_bpm_check(int64_t bpm, ace_error *err)
{
    if (bpm != 0 && (bpm < ACE_BPM_MIN || bpm > ACE_BPM_MAX)) {
        return ace_fail(err, ACESTEP_ARGUMENT,
                        "bpm: %" PRId64 " is outside of %d to %d; 0 leaves it open", bpm,
                        ACE_BPM_MIN, ACE_BPM_MAX);
    }
    return ACESTEP_OK;
}

static void skip_bytes(ace_text_span *text, size_t bytes)
{
    text->data += bytes;
    text->bytes -= bytes;
}

/* Consumes an accidental and returns its spelling, "" when there is none. */
static const char *take_accidental(ace_text_span *text)
{
    static const char *const accidentals[] = {"#", "b", "\xE2\x99\xAF", "\xE2\x99\xAD"};
    for (size_t i = 0; i < sizeof accidentals / sizeof *accidentals; i++) {
        size_t bytes = strlen(accidentals[i]);
        if (text->bytes >= bytes && memcmp(text->data, accidentals[i], bytes) == 0) {
            skip_bytes(text, bytes);
            return accidentals[i];
        }
    }
    return "";
}

/* NULL when the rest of a key is no mode. A lone m is minor, M major. */
static const char *mode_of(ace_text_span text)
{
    bool letter = text.bytes == 1;
    if (text.bytes == 0 || (letter && text.data[0] == 'M') || ace_span_is(text, "maj") ||
        ace_span_is(text, "major")) {
        return "major";
    }
    if ((letter && text.data[0] == 'm') || ace_span_is(text, "min") || ace_span_is(text, "minor")) {
        return "minor";
    }
    return NULL;
}

ace_status ace_keyscale_parse(const char *text, char out[ACE_KEYSCALE_BYTES], ace_error *err)
{
    ace_text_span rest = ace_span_trim(ace_span_of(text));
    out[0] = '\0';
    if (is_not_given(rest)) {
        return ACESTEP_OK;
    }
    char note = rest.data[0];
    note = note >= 'a' && note <= 'g' ? (char)(note - 'a' + 'A') : note;
    skip_bytes(&rest, 1);
    const char *accidental = take_accidental(&rest);
    const char *mode = mode_of(ace_span_trim(rest));
    if (note < 'A' || note > 'G' || mode == NULL) {
        return ace_fail(err, ACESTEP_ARGUMENT,
                        "keyscale: \"%.40s\" is no key such as \"C major\", \"F# minor\" or Am",
                        text);
    }
    (void)snprintf(out, ACE_KEYSCALE_BYTES, "%c%s %s", note, accidental, mode);
    return ACESTEP_OK;
}

ace_status ace_timesignature_parse(const char *text, int *out, ace_error *err)
{
    static const struct {
        int beats;
        const char *alone, *fraction;
    } signatures[] = {{2, "2", "2/4"}, {3, "3", "3/4"}, {4, "4", "4/4"}, {6, "6", "6/8"}};
    ace_text_span given = ace_span_trim(ace_span_of(text));
    *out = 0;
    if (is_not_given(given)) {
        return ACESTEP_OK;
    }
    for (size_t i = 0; i < sizeof signatures / sizeof *signatures; i++) {
        if (ace_span_is(given, signatures[i].alone) || ace_span_is(given, signatures[i].fraction)) {
            *out = signatures[i].beats;
            return ACESTEP_OK;
        }
    }
    return ace_fail(err, ACESTEP_ARGUMENT,
                    "timesignature: \"%.20s\" is none of 2/4, 3/4, 4/4 and 6/8", text);
}

ace_status ace_language_parse(const char *text, const char **out, ace_error *err)
{
    ace_text_span given = ace_span_trim(ace_span_of(text));
    *out = ace_languages[ACE_N_LANGUAGES - 1];
    if (given.bytes == 0) {
        return ACESTEP_OK;
    }
    for (int i = 0; i < ACE_N_LANGUAGES; i++) {
        if (ace_span_is(given, ace_languages[i])) {
            *out = ace_languages[i];
            return ACESTEP_OK;
        }
    }
    return ace_fail(err, ACESTEP_ARGUMENT,
                    "vocal_language: \"%.20s\" is none of the 50 codes such as en, ja or yue, nor "
                    "unknown",
                    text);
}
