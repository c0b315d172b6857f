/* A waveform for terminals, of the block characters ▁▂▃▄▅▆▇█. */
#ifndef ACE_AUDIO_DESCRIBE_H
#define ACE_AUDIO_DESCRIBE_H

#include "audio/audio.h"

#include <stddef.h>

typedef enum ace_waveform_style {
    ACE_WAVEFORM_RMS,     /* bars from the bottom: loudness */
    ACE_WAVEFORM_MIRRORED /* largest magnitudes, up and down from the middle; takes an even number
                           * of rows, from 2 */
} ace_waveform_style;

enum { ACE_WAVEFORM_MAX_COLUMNS = 512, ACE_WAVEFORM_MAX_ROWS = 4 };

/* Bytes the text takes at most, with its NUL. */
size_t ace_waveform_bytes(int columns, int rows);

/* Draws `rows` lines of `columns` characters, each ending in a newline. The tallest bar takes the
 * whole height, so that a quiet song is seen too. Counts out of range are brought into it; the text
 * is empty when capacity is below ace_waveform_bytes. Returns its length. */
size_t ace_waveform_draw(const ace_audio *audio, int columns, int rows, ace_waveform_style style,
                         char *text, size_t capacity);

#endif
