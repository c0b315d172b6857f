/* What a request says in words: prompts, keys, signatures, languages and audio codes. Carriage
 * returns separate the fields of the input. Corpus: tests/fuzz/corpus/prompt. */
#include "base/log.h"
#include "base/memory.h"
#include "text/prompt.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { N_FIELDS = 8 };

static void check_codes(const char *text)
{
    enum { CODEBOOK = 144 };
    ace_error err = {0};
    int32_t *codes = NULL;
    int64_t n = 0;
    if (ace_codes_parse(text, CODEBOOK, &codes, &n, &err) != ACESTEP_OK) {
        if (err.message[0] == '\0') {
            abort();
        }
        return;
    }
    for (int64_t i = 0; i < n; i++) {
        if (codes[i] < 0 || codes[i] >= CODEBOOK) {
            abort();
        }
    }
    ace_free(codes);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    ace_log_set_level(ACE_LOG_QUIET);
    char *text = malloc(size + 1);
    const char *field[N_FIELDS] = {"", "", "", "", "", "", "", ""};
    memcpy(text, data, size);
    text[size] = '\0';
    char *at = text;
    for (int i = 0; i < N_FIELDS && at != NULL; i++) {
        field[i] = at;
        at = strchr(at, '\r');
        if (at != NULL) {
            *at++ = '\0';
        }
    }
    ace_prompt_input in = {.task = (ace_task)(size % ACE_N_TASKS),
                           .caption = field[0],
                           .keyscale = field[1],
                           .timesignature = field[2],
                           .language = field[3],
                           .lyrics = field[4],
                           .track_name = field[5],
                           .track_classes = field[5],
                           .instruction = field[6],
                           .bpm = (int64_t)(size % 400),
                           .seconds = (double)size};
    char *prompt = NULL;
    (void)ace_prompt_text(&in, &prompt, NULL);
    ace_free(prompt);
    (void)ace_prompt_lyrics(&in, &prompt, NULL);
    ace_free(prompt);
    check_codes(field[7]);
    free(text);
    return 0;
}
