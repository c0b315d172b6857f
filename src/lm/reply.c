#include "lm/reply.h"

#include "base/memory.h"
#include "lm/yaml_read.h"
#include "text/span.h"
#include "text/utf8.h"

#include <string.h>

static const char thoughts_end[] = "</think>";
static const char first_code[] = "<|audio_code_";

/* ---- pieces of text
 * ----------------------------------------------------------------------------------------- */

/* The first place of the word; NULL when it is not there. */
static const char *find(ace_text_span in, const char *word)
{
    size_t n = strlen(word);
    const char *end = in.data + in.bytes;
    const char *at = in.data;
    while (at != NULL && (size_t)(end - at) >= n) {
        if (memcmp(at, word, n) == 0) {
            return at;
        }
        at = memchr(at + 1, word[0], (size_t)(end - at) - 1);
    }
    return NULL;
}

static ace_text_span before(ace_text_span text, const char *word)
{
    const char *at = find(text, word);
    if (at != NULL) {
        text.bytes = (size_t)(at - text.data);
    }
    return text;
}

/* An empty piece at the end when the word is not there. */
static ace_text_span after(ace_text_span text, const char *word)
{
    const char *at = find(text, word);
    const char *end = text.data + text.bytes;
    const char *from = at != NULL ? at + strlen(word) : end;
    return (ace_text_span){from, (size_t)(end - from)};
}

static bool is_blank(ace_text_span text)
{
    return ace_span_trim(text).bytes == 0;
}

/* Between the tags; empty when one is missing. */
static ace_text_span between(ace_text_span text, const char *open, const char *close)
{
    ace_text_span inside = after(text, open);
    if (find(inside, close) == NULL) {
        inside.bytes = 0;
    }
    return before(inside, close);
}

/* Where the fields are: between tags, or, as the first phase leaves its closing tag out, in all
 * that precedes the codes. Where only the closing tag is there, lyrics behind it are no fields. */
static ace_text_span thoughts_of(ace_text_span text)
{
    ace_text_span thoughts = between(text, "<think>", thoughts_end);
    if (is_blank(thoughts)) {
        thoughts = between(text, "<reasoning>", "</reasoning>");
    }
    if (is_blank(thoughts)) {
        thoughts = before(text, first_code);
        if (find(thoughts, "<think>") == NULL) {
            thoughts = before(thoughts, thoughts_end);
        }
    }
    return ace_span_trim(thoughts);
}

/* ---- fields
 * -------------------------------------------------------------------------------------------------
 */

typedef struct field_reader {
    ace_lm_fields *fields;
    ace_error *err;
    ace_status status;
    int field;             /* being read; ACE_LM_FIELDS: none, or none that is known */
    ace_text_buffer value; /* its lines so far */
} field_reader;

static int field_of(ace_text_span name)
{
    int i = 0;
    while (i < ACE_LM_FIELDS && !ace_span_is(name, ace_lm_field_name((ace_lm_field)i))) {
        i++;
    }
    return i;
}

/* Lines of a plain text, joined by spaces. */
static void append_lines(ace_text_buffer *out, ace_text_span lines)
{
    while (lines.bytes > 0) {
        ace_text_span line = ace_span_trim(ace_span_cut(&lines, '\n'));
        if (line.bytes > 0) {
            ace_text_append_string(out, out->bytes > 0 ? " " : "");
            ace_text_append(out, line.data, line.bytes);
        }
    }
}

static void finish_field(field_reader *r)
{
    ace_text_span raw = ace_span_trim((ace_text_span){r->value.data, r->value.bytes});
    ace_text_buffer text = {0};
    if (r->field != ACE_LM_FIELDS && raw.bytes > 0) {
        if (!ace_yaml_unquote(&text, raw)) {
            append_lines(&text, raw);
        }
        ace_text_span known = ace_span_trim((ace_text_span){text.data, text.bytes});
        r->value.failed |= text.failed;
        if (known.bytes > 0 && !ace_span_is(known, "N/A") && r->status == ACESTEP_OK) {
            r->status =
                ace_lm_fields_set(r->fields, (ace_lm_field)r->field, text.data, text.bytes, r->err);
        }
    }
    ace_text_free(&text);
    r->value.bytes = 0;
    r->field = ACE_LM_FIELDS;
}

/* Lines that go on: indented ones, and those that a break other than a line feed begins. */
static bool continues(ace_text_span line)
{
    return line.bytes > 0 &&
           (*line.data == ' ' || *line.data == '\t' || ace_yaml_break_bytes(line) > 0);
}

static void read_line(field_reader *r, ace_text_span line)
{
    ace_text_span content = ace_span_trim(line);
    const char *colon = find(line, ":");
    if (content.bytes == 0 || continues(line)) {
        ace_text_append_string(&r->value, "\n");
        ace_text_append(&r->value, line.data, line.bytes);
    } else if (content.data[0] != '<' && content.data == line.data && colon != NULL) {
        finish_field(r);
        ace_text_span value = line;
        r->field = field_of(ace_span_trim(ace_span_cut(&value, ':')));
        ace_text_append(&r->value, value.data, value.bytes);
    }
}

static ace_status read_fields(ace_text_span thoughts, ace_lm_fields *fields, ace_error *err)
{
    field_reader r = {.fields = fields, .err = err, .field = ACE_LM_FIELDS};
    while (thoughts.bytes > 0) {
        ace_text_span line = ace_span_cut(&thoughts, '\n');
        while (line.bytes > 0 && line.data[line.bytes - 1] == '\r') {
            line.bytes--;
        }
        read_line(&r, line);
    }
    finish_field(&r);
    bool failed = r.value.failed;
    ace_text_free(&r.value);
    return failed ? ace_fail(err, ACESTEP_MEMORY, "reply: no host memory") : r.status;
}

/* ---- lyrics
 * -------------------------------------------------------------------------------------------------
 */

static ace_text_span skip(ace_text_span text, size_t bytes)
{
    return (ace_text_span){text.data + bytes, text.bytes - bytes};
}

static ace_text_span skip_spaces(ace_text_span text)
{
    while (text.bytes > 0 && (*text.data == ' ' || *text.data == '\t' || *text.data == '\r')) {
        text = skip(text, 1);
    }
    return text;
}

/* Behind "# word", whatever the case; the text itself when it does not begin so. */
static ace_text_span skip_heading_word(ace_text_span text, const char *word)
{
    size_t n = strlen(word);
    if (text.bytes == 0 || *text.data != '#') {
        return text;
    }
    ace_text_span rest = skip_spaces(skip(text, 1));
    bool same = rest.bytes >= n && ace_span_is((ace_text_span){rest.data, n}, word);
    return same ? skip(rest, n) : text;
}

/* Behind the line "# Lyric"; "# Lyri" with an s or a bar is taken too, "# Lyrics" is not. */
static ace_text_span skip_heading(ace_text_span text)
{
    ace_text_span rest = skip_heading_word(text, "lyri");
    if (rest.data == text.data) {
        return text;
    }
    if (rest.bytes > 0 && strchr("cCsS|", *rest.data) != NULL) {
        rest = skip(rest, 1);
    }
    rest = skip_spaces(rest);
    if (rest.bytes == 0) {
        return rest;
    }
    return *rest.data == '\n' ? skip(rest, 1) : text;
}

/* Some replies name the languages first; the lyrics' heading follows within this many bytes. */
enum { PREAMBLE = 64 };

static ace_text_span skip_preamble(ace_text_span text)
{
    if (skip_heading_word(text, "language").data == text.data) {
        return text;
    }
    for (size_t i = 1; i < text.bytes && i <= PREAMBLE; i++) {
        ace_text_span rest = skip(text, i);
        if (text.data[i - 1] == '\n' && skip_heading(rest).data != rest.data) {
            return rest;
        }
    }
    return text;
}

static ace_text_span lyrics_of(ace_text_span text)
{
    ace_text_span rest = ace_span_trim(before(after(text, thoughts_end), first_code));
    return ace_span_trim(skip_heading(skip_preamble(rest)));
}

static ace_status read_lyrics(ace_text_span text, char **out, ace_error *err)
{
    ace_text_span lyrics = lyrics_of(text);
    ace_text_buffer copy = {0};
    if (lyrics.bytes == 0) {
        return ACESTEP_OK;
    }
    ace_text_append(&copy, lyrics.data, lyrics.bytes);
    *out = ace_text_take(&copy);
    return *out != NULL ? ACESTEP_OK : ace_fail(err, ACESTEP_MEMORY, "reply: no host memory");
}

/* ---- the reply
 * ----------------------------------------------------------------------------------------------
 */

/* Whole characters up to the end of the turn; a NUL becomes a space. */
static char *repaired_turn(const char *text, size_t n)
{
    ace_text_buffer repaired = {0};
    ace_text_span turn = {text, n};
    if (n > 0) {
        turn = before(before(turn, "<|im_end|>"), "<|endoftext|>");
        ace_utf8_append_repaired(&repaired, turn.data, turn.bytes);
    }
    for (size_t i = 0; i < repaired.bytes; i++) {
        repaired.data[i] = repaired.data[i] != '\0' ? repaired.data[i] : ' ';
    }
    return ace_text_take(&repaired);
}

ace_status ace_lm_reply_read(const char *text, size_t n, ace_lm_reply *out, ace_error *err)
{
    *out = (ace_lm_reply){0};
    char *repaired = repaired_turn(text, n);
    if (repaired == NULL) {
        return ace_fail(err, ACESTEP_MEMORY, "reply: no host memory");
    }
    ace_text_span turn = ace_span_of(repaired);
    ace_status status = read_fields(thoughts_of(turn), &out->fields, err);
    if (status == ACESTEP_OK) {
        status = read_lyrics(turn, &out->lyrics, err);
    }
    if (status != ACESTEP_OK) {
        ace_lm_reply_free(out);
    }
    ace_free(repaired);
    return status;
}

void ace_lm_reply_free(ace_lm_reply *reply)
{
    ace_lm_fields_free(&reply->fields);
    ace_free(reply->lyrics);
    reply->lyrics = NULL;
}
