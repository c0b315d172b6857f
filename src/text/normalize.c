#include "text/normalize.h"

#include "base/memory.h"
#include "text/utf8.h"

#include <string.h>
#include <utf8proc.h>

enum {
    /* A character's full canonical decomposition has at most 4 characters (Unicode 13). */
    MAX_DECOMPOSITION = 4,
    /* A run of marks is sorted by insertion up to this length, by counting above. */
    SHORT_RUN = 16,
    COMBINING_CLASSES = 256
};

bool ace_nfc_is_trivial(const char *text, size_t bytes)
{
    for (size_t i = 0; i < bytes; i++) {
        if ((unsigned char)text[i] >= 0xCC) { /* the first byte of U+0300 */
            return false;
        }
    }
    return true;
}

static utf8proc_propval_t combining_class(utf8proc_int32_t code_point)
{
    return utf8proc_get_property(code_point)->combining_class;
}

static void sort_by_insertion(utf8proc_int32_t *marks, size_t n)
{
    for (size_t i = 1; i < n; i++) {
        utf8proc_int32_t mark = marks[i];
        size_t j = i;
        while (j > 0 && combining_class(marks[j - 1]) > combining_class(mark)) {
            marks[j] = marks[j - 1];
            j--;
        }
        marks[j] = mark;
    }
}

static void sort_by_counting(utf8proc_int32_t *marks, size_t n, utf8proc_int32_t *scratch)
{
    size_t start[COMBINING_CLASSES + 1] = {0};
    for (size_t i = 0; i < n; i++) {
        start[combining_class(marks[i]) + 1]++;
    }
    for (size_t class = 0; class < COMBINING_CLASSES; class ++) {
        start[class + 1] += start[class];
    }
    memcpy(scratch, marks, n * sizeof *marks);
    for (size_t i = 0; i < n; i++) {
        marks[start[combining_class(scratch[i])]++] = scratch[i];
    }
}

/* Canonical ordering: each run of marks (combining class not 0) in stable order of class. The
 * library's own routine exchanges neighbours, which is quadratic in the length of the run. */
static void order_marks(utf8proc_int32_t *text, size_t n, utf8proc_int32_t *scratch)
{
    size_t i = 0;
    while (i < n) {
        size_t end = i;
        while (end < n && combining_class(text[end]) != 0) {
            end++;
        }
        if (end - i > SHORT_RUN) {
            sort_by_counting(text + i, end - i, scratch);
        } else if (end - i > 1) {
            sort_by_insertion(text + i, end - i);
        }
        i = end + 1;
    }
}

/* Returns the number of characters written; characters must have room for MAX_DECOMPOSITION each.
 */
static size_t decompose(const char *text, size_t bytes, utf8proc_int32_t *out)
{
    size_t n = 0;
    size_t at = 0;
    while (at < bytes) {
        size_t length = 1;
        int32_t code_point = ace_utf8_decode(text + at, bytes - at, &length);
        int boundary = 0;
        utf8proc_ssize_t written = utf8proc_decompose_char(code_point, out + n, MAX_DECOMPOSITION,
                                                           UTF8PROC_DECOMPOSE, &boundary);
        if (written < 0 || written > MAX_DECOMPOSITION) {
            out[n] = code_point;
            written = 1;
        }
        n += (size_t)written;
        at += length;
    }
    return n;
}

ace_status ace_nfc_append(ace_text_buffer *out, const char *text, size_t bytes, ace_error *err)
{
    /* A character takes one byte or more; above ASCII, where it may decompose, two or more. */
    size_t room = bytes * (MAX_DECOMPOSITION / 2) + MAX_DECOMPOSITION;
    utf8proc_int32_t *characters = ace_malloc_array(room, 2 * sizeof *characters);
    if (characters == NULL) {
        return ace_fail(err, ACESTEP_MEMORY, "out of memory while normalising %zu bytes of text",
                        bytes);
    }
    size_t n = decompose(text, bytes, characters);
    order_marks(characters, n, characters + room);
    utf8proc_ssize_t composed = utf8proc_normalize_utf32(characters, (utf8proc_ssize_t)n,
                                                         UTF8PROC_STABLE | UTF8PROC_COMPOSE);
    for (utf8proc_ssize_t i = 0; i < composed && !out->failed; i++) {
        char encoded[4];
        ace_text_append(out, encoded, ace_utf8_encode(characters[i], encoded));
    }
    ace_free(characters);
    if (out->failed) {
        return ace_fail(err, ACESTEP_MEMORY, "out of memory while normalising %zu bytes of text",
                        bytes);
    }
    return ACESTEP_OK;
}
