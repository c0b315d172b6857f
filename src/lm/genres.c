#include "lm/genres.h"

#include "base/file_map.h"
#include "base/memory.h"

#include <stdlib.h>
#include <string.h>

enum { MOST_BYTES = 64 << 20 };

static int by_text(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static bool is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\r';
}

/* Cuts the text into trimmed lines in place, in lower case (ASCII, as tokens are compared). */
static void cut_lines(ace_lm_genres *g)
{
    for (char *line = g->text; *line != '\0';) {
        char *end = line + strcspn(line, "\n");
        char *next = *end == '\n' ? end + 1 : end;
        while (line < end && is_blank(*line)) {
            line++;
        }
        while (end > line && is_blank(end[-1])) {
            end--;
        }
        *end = '\0';
        for (char *c = line; c < end; c++) {
            *c = *c >= 'A' && *c <= 'Z' ? (char)(*c - 'A' + 'a') : *c;
        }
        if (*line != '\0' && *line != '#') {
            g->entry[g->n++] = line;
        }
        line = next;
    }
    qsort(g->entry, (size_t)g->n, sizeof *g->entry, by_text);
}

ace_status ace_lm_genres_parse(const char *text, size_t bytes, const char *name, ace_lm_genres *out,
                               ace_error *err)
{
    size_t lines = 1;
    memset(out, 0, sizeof *out);
    if (bytes > MOST_BYTES || memchr(text, '\0', bytes) != NULL) {
        return ace_fail(err, ACESTEP_MODEL, "%s: no list of genres, one to a line", name);
    }
    for (size_t i = 0; i < bytes; i++) {
        lines += text[i] == '\n';
    }
    out->text = ace_malloc_array(bytes + 1, 1);
    out->entry = ace_malloc_array(lines, sizeof *out->entry);
    if (out->text == NULL || out->entry == NULL) {
        ace_lm_genres_close(out);
        return ace_fail(err, ACESTEP_MEMORY, "%s: no host memory", name);
    }
    memcpy(out->text, text, bytes);
    out->text[bytes] = '\0';
    cut_lines(out);
    if (out->n == 0) {
        ace_lm_genres_close(out);
        return ace_fail(err, ACESTEP_MODEL, "%s: no genre in it, one to a line", name);
    }
    return ACESTEP_OK;
}

ace_status ace_lm_genres_open(const char *path, ace_lm_genres *out, ace_error *err)
{
    ace_file file;
    memset(out, 0, sizeof *out);
    ace_status status = ace_file_open(path, &file, err);
    if (status == ACESTEP_OK) {
        status = ace_lm_genres_parse((const char *)file.data, file.bytes, path, out, err);
        ace_file_close(&file);
    }
    return status;
}

void ace_lm_genres_close(ace_lm_genres *g)
{
    ace_free(g->text);
    ace_free(g->entry);
    memset(g, 0, sizeof *g);
}

bool ace_lm_genres_begins(const ace_lm_genres *g, const char *text, size_t n, bool *whole)
{
    int64_t low = 0;
    int64_t high = g->n;
    *whole = false;
    if (memchr(text, '\0', n) != NULL) { /* entries end there */
        return false;
    }
    while (low < high) { /* the first entry that does not come before the text */
        int64_t middle = low + (high - low) / 2;
        if (strncmp(g->entry[middle], text, n) < 0) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    bool begins = low < g->n && strncmp(g->entry[low], text, n) == 0;
    *whole = begins && g->entry[low][n] == '\0';
    return begins;
}
