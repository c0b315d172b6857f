#include "base/status.h"

#include <stdarg.h>
#include <stdio.h>

ace_status ace_fail(ace_error *err, ace_status code, const char *format, ...)
{
    if (err != NULL && err->code == ACESTEP_OK) {
        va_list args;
        va_start(args, format);
        err->code = code;
        (void)vsnprintf(err->message, sizeof err->message, format, args);
        va_end(args);
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
