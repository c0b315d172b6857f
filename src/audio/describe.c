#include "audio/describe.h"

#include <math.h>
#include <string.h>

/* Every character drawn takes three bytes of UTF-8, except the space. */
enum { CHARACTER_BYTES = 3, STEPS = 8 /* heights within one row */ };

/* Filled from the bottom, in eighths. */
static const char *const rising[STEPS + 1] = {" ", "▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"};
/* Filled from the top. Unicode's old blocks have only an eighth, a half and the whole. */
static const char *const hanging[STEPS + 1] = {" ", "▔", "▔", "▀", "▀", "▀", "▀", "█", "█"};

static int clamp_int(int value, int low, int high)
{
    return value < low ? low : value > high ? high : value;
}

size_t ace_waveform_bytes(int columns, int rows)
{
    columns = clamp_int(columns, 1, ACE_WAVEFORM_MAX_COLUMNS);
    rows = clamp_int(rows, 1, ACE_WAVEFORM_MAX_ROWS);
    return (size_t)rows * ((size_t)columns * CHARACTER_BYTES + 1) + 1;
}

/* RMS or peak of the frames that fall into one column; short audio repeats frames. */
static float column_height(const ace_audio *audio, int column, int columns, bool rms)
{
    int64_t first = audio->frames * column / columns;
    int64_t end = audio->frames * (column + 1) / columns;
    end = end > first ? end : first + 1;
    double power = 0.0;
    float peak = 0.0f;
    int64_t count = (end - first) * audio->channels;
    const float *x = audio->samples + first * audio->channels;
    for (int64_t i = 0; i < count; i++) {
        float magnitude = isfinite(x[i]) ? fabsf(x[i]) : 0.0f;
        peak = magnitude > peak ? magnitude : peak;
        power += (double)magnitude * (double)magnitude;
    }
    return rms ? (float)sqrt(power / (double)count) : peak;
}

/* Eighths of a row filled in the row that begins at `from` eighths. */
static int filled(float height, int total, int from)
{
    return clamp_int((int)lrintf(height * (float)total) - from, 0, STEPS);
}

static const char *glyph(float height, int row, int rows, ace_waveform_style style)
{
    if (style == ACE_WAVEFORM_RMS) {
        return rising[filled(height, rows * STEPS, (rows - 1 - row) * STEPS)];
    }
    int half = rows / 2;
    if (row < half) {
        return rising[filled(height, half * STEPS, (half - 1 - row) * STEPS)];
    }
    return hanging[filled(height, half * STEPS, (row - half) * STEPS)];
}

size_t ace_waveform_draw(const ace_audio *audio, int columns, int rows, ace_waveform_style style,
                         char *text, size_t capacity)
{
    columns = clamp_int(columns, 1, ACE_WAVEFORM_MAX_COLUMNS);
    rows = clamp_int(rows, 1, ACE_WAVEFORM_MAX_ROWS);
    if (style == ACE_WAVEFORM_MIRRORED) {
        rows = rows < 2 ? 2 : rows / 2 * 2;
    }
    if (capacity < ace_waveform_bytes(columns, rows)) {
        if (capacity > 0) {
            text[0] = '\0';
        }
        return 0;
    }
    float heights[ACE_WAVEFORM_MAX_COLUMNS] = {0};
    float tallest = 0.0f;
    for (int c = 0; c < columns && audio->frames > 0; c++) {
        heights[c] = column_height(audio, c, columns, style == ACE_WAVEFORM_RMS);
        tallest = heights[c] > tallest ? heights[c] : tallest;
    }
    size_t length = 0;
    for (int row = 0; row < rows; row++) {
        for (int c = 0; c < columns; c++) {
            float height = tallest > 0.0f ? heights[c] / tallest : 0.0f;
            const char *character = glyph(height, row, rows, style);
            size_t size = strlen(character);
            memcpy(text + length, character, size);
            length += size;
        }
        text[length++] = '\n';
    }
    text[length] = '\0';
    return length;
}
