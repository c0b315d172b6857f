#include "text/prompt.h"

#include "text/span.h"
#include "text/text_buffer.h"

#include <string.h>

enum { DEFAULT_SECONDS = 30 };

/* Longer than any song by far, and exact as an integer. */
static const double MAX_SECONDS = 1e9;

/* ---- a caption that is a whole prompt -------------------------------------------------------- */

/* The heading "# name" at the front of the text, with any white space after the sign; returns what
 * follows it, NULL for other text. */
static const char *after_heading(const char *text, const char *name)
{
    if (*text != '#') {
        return NULL;
    }
    text += 1 + strspn(text + 1, " \t\r\n\v\f");
    size_t n = strlen(name);
    return strncmp(text, name, n) == 0 ? text + n : NULL;
}

/* The rest of a heading's line is white space: returns the place after the last line end of it. */
static const char *after_line_end(const char *text)
{
    const char *end = NULL;
    for (size_t i = strspn(text, " \t\r\n\v\f"); i > 0 && end == NULL; i--) {
        end = text[i - 1] == '\n' ? text + i : NULL;
    }
    return end;
}

/* A caption taken from a finished prompt is reduced to the caption in it, as the original does
 * (extract_caption_from_sft_format): from "# Caption" to "# Metas" or the end. */
static ace_text_span caption_body(const char *caption)
{
    if (strstr(caption, "# Instruction") == NULL || strstr(caption, "# Caption") == NULL) {
        return ace_span_of(caption);
    }
    const char *body = NULL;
    for (const char *at = caption; *at != '\0' && body == NULL; at++) {
        const char *rest = after_heading(at, "Caption");
        body = rest != NULL ? after_line_end(rest) : NULL;
    }
    if (body == NULL) {
        return ace_span_of(caption);
    }
    ace_text_span span = ace_span_of(body);
    const char *line = strchr(body, '\n');
    while (line != NULL) {
        const char *text = line + strspn(line, " \t\r\n\v\f");
        if (after_heading(text, "Metas") != NULL) {
            span.bytes = (size_t)(line - body);
            break;
        }
        line = strchr(text, '\n');
    }
    return ace_span_trim(span);
}

/* ---- metadata -------------------------------------------------------------------------------- */

static void append_number_or_none(ace_text_buffer *out, int64_t number)
{
    if (number != 0) {
        ace_text_append_integer(out, number);
    } else {
        ace_text_append_string(out, "N/A");
    }
}

static ace_status append_metas(ace_text_buffer *out, const ace_prompt_input *in, ace_error *err)
{
    char keyscale[ACE_KEYSCALE_BYTES];
    int timesignature = 0;
    ace_status status = ace_bpm_check(in->bpm, err);
    if (status == ACESTEP_OK) {
        status = ace_timesignature_parse(in->timesignature, &timesignature, err);
    }
    if (status == ACESTEP_OK) {
        status = ace_keyscale_parse(in->keyscale, keyscale, err);
    }
    if (status != ACESTEP_OK) {
        return status;
    }
    /* Written so that a NaN is refused too. */
    if (!(in->seconds < MAX_SECONDS)) {
        return ace_fail(err, ACESTEP_ARGUMENT, "duration: %g s is no length for a song",
                        in->seconds);
    }
    ace_text_append_string(out, "- bpm: ");
    append_number_or_none(out, in->bpm);
    ace_text_append_string(out, "\n- timesignature: ");
    append_number_or_none(out, timesignature);
    ace_text_append_string(out, "\n- keyscale: ");
    ace_text_append_string(out, keyscale[0] != '\0' ? keyscale : "N/A");
    ace_text_append_string(out, "\n- duration: ");
    ace_text_append_integer(out, in->seconds > 0 ? (int64_t)in->seconds : DEFAULT_SECONDS);
    ace_text_append_string(out, " seconds\n");
    return ACESTEP_OK;
}

/* ---- the texts ------------------------------------------------------------------------------- */

static void append_instruction(ace_text_buffer *out, const ace_prompt_input *in)
{
    ace_text_span own = ace_span_of(in->instruction);
    if (own.bytes == 0) {
        ace_task_append_instruction(out, in->task, in->track_name, in->track_classes);
        return;
    }
    ace_text_append(out, own.data, own.bytes);
    ace_text_append_string(out, own.data[own.bytes - 1] == ':' ? "" : ":");
}

static ace_status take(ace_text_buffer *buffer, char **out, ace_error *err)
{
    *out = ace_text_take(buffer);
    return *out != NULL ? ACESTEP_OK
                        : ace_fail(err, ACESTEP_MEMORY, "out of memory for the prompt");
}

ace_status ace_prompt_text(const ace_prompt_input *in, char **out, ace_error *err)
{
    *out = NULL;
    ace_text_buffer text = {0};
    ace_text_span caption = caption_body(in->caption != NULL ? in->caption : "");
    ace_text_append_string(&text, "# Instruction\n");
    append_instruction(&text, in);
    ace_text_append_string(&text, "\n\n# Caption\n");
    ace_text_append(&text, caption.data, caption.bytes);
    ace_text_append_string(&text, "\n\n# Metas\n");
    ace_status status = append_metas(&text, in, err);
    if (status != ACESTEP_OK) {
        ace_text_free(&text);
        return status;
    }
    ace_text_append_string(&text, "<|endoftext|>\n");
    return take(&text, out, err);
}

ace_status ace_prompt_lyrics(const ace_prompt_input *in, char **out, ace_error *err)
{
    *out = NULL;
    const char *language = NULL;
    ace_status status = ace_language_parse(in->language, &language, err);
    if (status != ACESTEP_OK) {
        return status;
    }
    ace_text_buffer text = {0};
    bool sung = ace_span_trim(ace_span_of(in->lyrics)).bytes > 0;
    ace_text_append_string(&text, "# Languages\n");
    ace_text_append_string(&text, language);
    ace_text_append_string(&text, "\n\n# Lyric\n");
    ace_text_append_string(&text, sung ? in->lyrics : "[Instrumental]");
    ace_text_append_string(&text, "<|endoftext|>");
    return take(&text, out, err);
}
