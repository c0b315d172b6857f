/* What is in an audio file: its waveform, the settings of a song made here; and other formats of it. */
#include "acestep.h"
#include "api/api.h"
#include "audio/read.h"
#include "audio/tag_read.h"
#include "audio/write.h"
#include "base/memory.h"
#include "options/option_readers.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_PAIRS = 4096 };

/* Extremes of a run of frames over both channels; hundredths of a per cent are finer than a screen. */
static void add_pair(const ace_audio *audio, int64_t from, int64_t to, json_t *low, json_t *high)
{
    float least = 0;
    float most = 0;
    for (int64_t i = from * audio->channels; i < to * audio->channels; i++) {
        least = audio->samples[i] < least ? audio->samples[i] : least;
        most = audio->samples[i] > most ? audio->samples[i] : most;
    }
    json_array_append_new(low, json_real(round((double)least * 1e4) / 1e4));
    json_array_append_new(high, json_real(round((double)most * 1e4) / 1e4));
}

static char *peaks_text(const ace_audio *audio, const ace_audio_source *source, int pairs)
{
    json_t *low = json_array();
    json_t *high = json_array();
    for (int64_t i = 0; i < pairs; i++) {
        add_pair(audio, audio->frames * i / pairs, audio->frames * (i + 1) / pairs, low, high);
    }
    json_t *root =
        json_pack("{s:f, s:i, s:i, s:s, s:i, s:o, s:o}", "seconds", ace_audio_seconds(audio),
                  "channels", source->channels, "sample_rate", source->rate, "format",
                  source->format, "pairs", pairs, "minimum", low, "maximum", high);
    char *text = root != NULL ? json_dumps(root, JSON_COMPACT | JSON_REAL_PRECISION(10)) : NULL;
    json_decref(root);
    return text;
}

char *acestep_audio_peaks_json(const char *path, int pairs, acestep_error *err)
{
    ace_error *inner = ace_inner_error(err);
    ace_audio audio;
    ace_audio_source source;
    if (pairs < 1 || pairs > MOST_PAIRS) {
        (void)ace_fail(inner, ACESTEP_ARGUMENT, "a waveform has 1 to %d pairs", MOST_PAIRS);
        return NULL;
    }
    if (ace_audio_read(path, NULL, &audio, &source, inner) != ACESTEP_OK) {
        return NULL;
    }
    char *text = peaks_text(&audio, &source, pairs);
    ace_audio_free(&audio);
    if (text == NULL) {
        (void)ace_fail(inner, ACESTEP_MEMORY, "%s: no host memory", path);
    }
    return text;
}

/* The tag is somebody's text until the options accept it. */
static bool is_request(const char *text)
{
    ace_request *request = NULL;
    bool is = ace_request_create(&request, NULL) == ACESTEP_OK &&
              ace_request_from_json(request, text, strlen(text), false, NULL) == ACESTEP_OK;
    ace_request_free(request);
    return is;
}

char *acestep_audio_settings_json(const char *path, acestep_error *err)
{
    ace_error *inner = ace_inner_error(err);
    ace_tag_list *list = ace_calloc(1, sizeof *list);
    if (list == NULL) {
        (void)ace_fail(inner, ACESTEP_MEMORY, "%s: no host memory", path);
        return NULL;
    }
    char *text = NULL;
    if (ace_tags_read(path, list, inner) == ACESTEP_OK) {
        const char *found = ace_tags_find(list->tags, list->count, "ACESTEP_PARAMS");
        text = found != NULL && is_request(found) ? strdup(found) : NULL;
    }
    ace_tag_list_free(list);
    ace_free(list);
    return text;
}

acestep_status acestep_audio_convert(const char *from, const char *format, const char *to,
                                     acestep_error *err)
{
    ace_error *inner = ace_inner_error(err);
    ace_audio_format wanted;
    ace_audio audio = {0};
    ace_tag_list *list = ace_calloc(1, sizeof *list);
    if (list == NULL) {
        return ace_fail(inner, ACESTEP_MEMORY, "%s: no host memory", from);
    }
    ace_status status = ace_audio_format_parse(format, &wanted, inner);
    if (status == ACESTEP_OK) {
        status = ace_audio_read(from, NULL, &audio, NULL, inner);
    }
    if (status == ACESTEP_OK) {
        status = ace_tags_read(from, list, inner);
    }
    if (status == ACESTEP_OK) {
        status = ace_audio_write(to, &audio, &wanted, list->tags, list->count, inner);
    }
    ace_audio_free(&audio);
    ace_tag_list_free(list);
    ace_free(list);
    return status;
}
