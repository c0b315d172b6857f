#include "api/lines.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { FIRST_ROOM = 4096 };

static bool grow(ace_lines *t, size_t more)
{
    size_t room = t->room == 0 ? FIRST_ROOM : t->room;
    while (room - t->used <= more) {
        room *= 2;
    }
    if (room == t->room) {
        return true;
    }
    char *text = realloc(t->text, room); /* acestep_free's kind of memory */
    if (text == NULL) {
        t->failed = true;
        return false;
    }
    t->text = text;
    t->room = room;
    return true;
}

void ace_lines_add(ace_lines *t, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    int n = vsnprintf(NULL, 0, format, args);
    va_end(args);
    if (n < 0 || t->failed || !grow(t, (size_t)n)) {
        return;
    }
    va_start(args, format);
    (void)vsnprintf(t->text + t->used, t->room - t->used, format, args);
    va_end(args);
    t->used += (size_t)n;
}

char *ace_lines_take(ace_lines *t)
{
    char *text = t->text;
    if (t->failed) {
        free(text);
        text = NULL;
    }
    memset(t, 0, sizeof *t);
    return text;
}
