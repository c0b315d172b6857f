/* The words that options know: for whoever builds a form. */
#include "acestep.h"
#include "audio/format.h"
#include "text/metadata.h"
#include "text/task.h"

#include <jansson.h>
#include <stdio.h>

static json_t *texts(const char *const *list, int n)
{
    json_t *array = json_array();
    for (int i = 0; i < n; i++) {
        json_array_append_new(array, json_string(list[i]));
    }
    return array;
}

static json_t *formats(void)
{
    json_t *array = json_array();
    for (int kind = ACE_AUDIO_FLAC; kind <= ACE_AUDIO_VORBIS; kind++) {
        json_array_append_new(
            array, json_pack("{s:s, s:s, s:s}", "name", ace_audio_format_name((ace_audio_kind)kind),
                             "extension", ace_audio_format_extension((ace_audio_kind)kind),
                             "media_type", ace_audio_format_media_type((ace_audio_kind)kind)));
    }
    return array;
}

/* All that keyscale takes, in its normal spelling. */
static json_t *keys(void)
{
    static const char *const accidentals[] = {"", "#", "b"};
    static const char *const scales[] = {"major", "minor"};
    json_t *array = json_array();
    for (char note = 'A'; note <= 'G'; note++) {
        for (int i = 0; i < 6; i++) {
            char name[24];
            (void)snprintf(name, sizeof name, "%c%s %s", note, accidentals[i / 2], scales[i % 2]);
            json_array_append_new(array, json_string(name));
        }
    }
    return array;
}

static json_t *tasks(void)
{
    json_t *array = json_array();
    for (int task = 0; task < ACE_N_TASKS; task++) {
        json_array_append_new(array, json_string(ace_task_name((ace_task)task)));
    }
    return array;
}

char *acestep_vocabulary_json(void)
{
    json_t *root = json_pack("{s:o, s:o, s:o, s:o, s:o, s:[i, i, i, i], s:{s:i, s:i}}", "tasks",
                             tasks(), "languages", texts(ace_languages, ACE_N_LANGUAGES), "tracks",
                             texts(ace_track_names, ACE_N_TRACKS), "formats", formats(), "keys",
                             keys(), "timesignatures", 2, 3, 4, 6, "bpm", "minimum", ACE_BPM_MIN,
                             "maximum", ACE_BPM_MAX);
    char *text = root != NULL ? json_dumps(root, JSON_COMPACT) : NULL;
    json_decref(root);
    return text;
}
