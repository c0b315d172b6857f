#include "base/memory.h"
#include "options/option_readers.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum { HELP_BYTES = 24 * 1024, NAME_COLUMN = 34 };

typedef struct text_buffer {
    char *at;
    size_t left;
} text_buffer;

__attribute__((format(printf, 2, 3))) static void append(text_buffer *b, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    int n = vsnprintf(b->at, b->left, format, args);
    va_end(args);
    size_t written = n < 0 ? 0 : (size_t)n < b->left ? (size_t)n : b->left - 1;
    b->at += written;
    b->left -= written;
}

/* "-p, --caption TEXT" */
static void describe_name(const ace_option *o, char *out, size_t bytes)
{
    char name[64];
    (void)snprintf(name, sizeof name, "%s", o->name);
    for (char *c = name; *c != '\0'; c++) {
        *c = *c == '_' ? '-' : *c;
    }
    char letter = '\0';
    for (const char *a = o->aliases; *a != '\0';) {
        size_t n = strcspn(a, ",");
        letter = n == 1 ? *a : letter;
        a += n + (a[n] == ',' ? 1 : 0);
    }
    static const char *const values[] = {"", " N", " X", " TEXT", " WORD"};
    const char *value = ace_option_is_switch(o) ? " [WORD]" : values[o->kind];
    if (letter != '\0') {
        (void)snprintf(out, bytes, "-%c, --%s%s", letter, name, value);
    } else {
        (void)snprintf(out, bytes, "    --%s%s", name, value);
    }
}

static void describe_default(const ace_option *o, char *out, size_t bytes)
{
    char word[64];
    out[0] = '\0';
    if (o->kind == ACE_OPTION_WORD) {
        ace_option_word(o, (int)o->number, word, sizeof word);
        (void)snprintf(out, bytes, " (%s) [%s]", o->words, word);
    } else if (o->kind == ACE_OPTION_INT || o->kind == ACE_OPTION_REAL) {
        (void)snprintf(out, bytes, " [%.6g]", o->number);
    } else if (o->kind == ACE_OPTION_FLAG && o->number != 0) {
        (void)snprintf(out, bytes, " [on; --no-... switches it off]");
    }
}

char *ace_options_help(void)
{
    char *help = ace_calloc(HELP_BYTES, 1);
    if (help == NULL) {
        return NULL;
    }
    text_buffer b = {help, HELP_BYTES};
    const char *group = "";
    for (int i = 0; i < ACE_OPTION_COUNT; i++) {
        const ace_option *o = ace_option_at(i);
        char name[96];
        char value[160];
        if (strcmp(group, o->group) != 0) {
            group = o->group;
            append(&b, "\n%s\n", group);
        }
        describe_name(o, name, sizeof name);
        describe_default(o, value, sizeof value);
        append(&b, "  %-*s%s%s\n", NAME_COLUMN, name, o->help, value);
    }
    return help;
}
