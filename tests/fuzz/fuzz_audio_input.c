/* Uploaded recordings: the decoder path and the tag reader on arbitrary bytes. Corpus:
 * tests/fuzz/corpus/audio_input. Run with ASAN_OPTIONS=detect_leaks=0: libsndfile 1.2.0 forgets a
 * few kilobytes of libvorbis state when a Vorbis header is damaged. */
#include "audio/read.h"
#include "audio/tag_read.h"

#include <math.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const ace_audio_limits limits = {.max_bytes = 1 << 20, .max_seconds = 5.0};
    ace_audio audio;
    ace_audio_source source;
    ace_error err = {0};
    ace_status status = ace_audio_read_memory(data, size, "input", &limits, &audio, &source, &err);
    if (status != ACESTEP_OK && (audio.samples != NULL || err.message[0] == '\0')) {
        abort();
    }
    for (int64_t i = 0; i < audio.frames * audio.channels; i++) {
        if (!(fabsf(audio.samples[i]) <= 1.0f)) {
            abort();
        }
    }
    ace_audio_free(&audio);

    ace_tag_list list;
    if (ace_tags_read_memory(data, size, &list, NULL) == ACESTEP_OK &&
        ace_tags_check(list.tags, list.count, NULL) != ACESTEP_OK) {
        abort();
    }
    ace_tag_list_free(&list);
    return 0;
}
