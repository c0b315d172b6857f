#include "base/log.h"

#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>

static _Atomic int current_level = ACE_LOG_WARNING;

void ace_log_set_level(ace_log_level level)
{
    atomic_store(&current_level, (int)level);
}

ace_log_level ace_log_get_level(void)
{
    return (ace_log_level)atomic_load(&current_level);
}

void ace_log(ace_log_level level, const char *area, const char *format, ...)
{
    if ((int)level > atomic_load(&current_level)) {
        return;
    }
    static const char *const prefix[] = {"", "error: ", "warning: ", "", ""};
    char line[2048];
    va_list args;
    va_start(args, format);
    (void)vsnprintf(line, sizeof line, format, args);
    va_end(args);
    fprintf(stderr, "%s%s: %s\n", prefix[level], area, line);
}
