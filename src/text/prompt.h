/* The two texts that condition the diffusion model: what to make, and what to sing. Their layout is
 * the one the model was trained on (acestep/constants.py, SFT_GEN_PROMPT and LYRIC_GEN_PROMPT). */
#ifndef ACE_TEXT_PROMPT_H
#define ACE_TEXT_PROMPT_H

#include "base/status.h"
#include "text/audio_codes.h"
#include "text/metadata.h"
#include "text/task.h"

#include <stdint.h>

/* Texts are borrowed; NULL stands for an empty one. */
typedef struct ace_prompt_input {
    ace_task task;             /* COVER also for text to music along codes */
    const char *instruction;   /* replaces the task's own sentence unless empty */
    const char *track_name;    /* lego, extract */
    const char *track_classes; /* complete: separated by commas */
    const char *caption;
    const char *lyrics;   /* blank: [Instrumental] */
    const char *language; /* of the lyrics; blank: unknown */
    int64_t bpm;          /* 0: not given */
    const char *keyscale, *timesignature;
    double seconds; /* of the song; ≤ 0: not known, the prompt says 30 */
} ace_prompt_input;

/* Both return a string to be freed with ace_free. ARGUMENT errors name the field. */
ace_status ace_prompt_text(const ace_prompt_input *in, char **out, ace_error *err);
ace_status ace_prompt_lyrics(const ace_prompt_input *in, char **out, ace_error *err);

#endif
