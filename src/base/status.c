#include "base/status.h"

#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

/* Bytes of the well-formed UTF-8 character at p (Unicode 15, table 3-7) that shows something; 0 for
 * a control character or anything else. p ends with a NUL. */
static size_t visible_bytes(const unsigned char *p)
{
    if (p[0] < 0x80) {
        return p[0] >= 0x20 && p[0] != 0x7f ? 1 : 0;
    }
    if (p[0] < 0xc2 || p[0] > 0xf4) {
        return 0;
    }
    /* the second byte excludes overlong forms, surrogates, C1 controls and what is above U+10FFFF
     */
    unsigned low = p[0] == 0xe0 || p[0] == 0xc2 ? 0xa0 : p[0] == 0xf0 ? 0x90 : 0x80;
    unsigned high = p[0] == 0xed ? 0x9f : p[0] == 0xf4 ? 0x8f : 0xbf;
    size_t n = p[0] < 0xe0 ? 2 : p[0] < 0xf0 ? 3 : 4;
    if (p[1] < low || p[1] > high) {
        return 0;
    }
    for (size_t i = 2; i < n; i++) {
        if ((p[i] & 0xc0) != 0x80) {
            return 0;
        }
    }
    return n;
}

/* Messages quote paths and names out of files that nobody vouches for: what could break the line,
 * drive a terminal or be refused as JSON becomes '?'. */
static void make_one_line(char *message)
{
    unsigned char *p = (unsigned char *)message;
    while (*p != '\0') {
        size_t n = visible_bytes(p);
        if (n == 0) {
            *p = '?';
            n = 1;
        }
        p += n;
    }
}

ace_status ace_fail(ace_error *err, ace_status code, const char *format, ...)
{
    if (err != NULL && err->code == ACESTEP_OK) {
        va_list args;
        va_start(args, format);
        err->code = code;
        (void)vsnprintf(err->message, sizeof err->message, format, args);
        va_end(args);
        make_one_line(err->message);
    }
    return code;
}

const char *ace_status_text(ace_status code)
{
    switch (code) {
#define STATUS_TEXT(name, exit_code, text)                                                         \
    case ACESTEP_##name:                                                                           \
        return text;
        ACESTEP_STATUS_LIST(STATUS_TEXT)
#undef STATUS_TEXT
    }
    return "unknown status";
}
