/* From what the language model wrote to the request that the song is made from: lm.md 8.3, the
 * original's _update_metadata_from_lm. Other than there, a language that it chose counts. */
#include "run/lm_task.h"
#include "text/metadata.h"

#include <string.h>

static const char *field(const ace_lm_written *w, ace_lm_field f)
{
    return w->fields.text[f];
}

static bool is_open(const char *text)
{
    return text[0] == '\0' || strcmp(text, "unknown") == 0 || strcmp(text, "N/A") == 0;
}

static void follow_numbers(const ace_lm_written *w, ace_request *out)
{
    long bpm = ace_lm_fields_number(&w->fields, ACE_LM_BPM);
    long seconds = ace_lm_fields_number(&w->fields, ACE_LM_DURATION);
    if (out->bpm == 0 && bpm >= ACE_BPM_MIN && bpm <= ACE_BPM_MAX) {
        out->bpm = bpm;
    }
    if (out->duration < 0 && seconds > 0) {
        out->duration = (double)seconds;
    }
}

static void follow_music(const ace_lm_written *w, ace_request *out)
{
    char key[ACE_KEYSCALE_BYTES];
    int signature = 0;
    const char *language = NULL;
    const char *text = field(w, ACE_LM_KEYSCALE);
    if (is_open(out->keyscale) && text != NULL &&
        ace_keyscale_parse(text, key, NULL) == ACESTEP_OK) {
        out->keyscale = w->fields.text[ACE_LM_KEYSCALE];
    }
    text = field(w, ACE_LM_TIMESIGNATURE);
    if (is_open(out->timesignature) && text != NULL &&
        ace_timesignature_parse(text, &signature, NULL) == ACESTEP_OK) {
        out->timesignature = w->fields.text[ACE_LM_TIMESIGNATURE];
    }
    text = field(w, ACE_LM_LANGUAGE);
    if (is_open(out->vocal_language) && text != NULL &&
        ace_language_parse(text, &language, NULL) == ACESTEP_OK) {
        out->vocal_language = w->fields.text[ACE_LM_LANGUAGE];
    }
}

void ace_lm_follow(const ace_request *asked, const ace_lm_task *t, const ace_lm_written *w,
                   ace_request *out)
{
    *out = *asked;
    if (!w->wrote) {
        return;
    }
    follow_numbers(w, out);
    follow_music(w, out);
    bool new_caption = t->whole_opening || (t->metadata && t->use_caption);
    if (new_caption && field(w, ACE_LM_CAPTION) != NULL) {
        out->caption = w->fields.text[ACE_LM_CAPTION];
    }
    if (t->opening != ACE_LM_GENERATE && w->lyrics != NULL) {
        out->lyrics = w->lyrics;
    }
}
