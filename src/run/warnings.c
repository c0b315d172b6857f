#include "run/warnings.h"

#include "base/log.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

void ace_warn(ace_warnings *w, const char *field, const char *asked, const char *used,
              const char *reason, ...)
{
    ace_warning warning;
    memset(&warning, 0, sizeof warning);
    va_list args;
    va_start(args, reason);
    (void)vsnprintf(warning.reason, sizeof warning.reason, reason, args);
    va_end(args);
    (void)snprintf(warning.field, sizeof warning.field, "%s", field);
    (void)snprintf(warning.asked, sizeof warning.asked, "%s", asked);
    (void)snprintf(warning.used, sizeof warning.used, "%s", used);
    ace_log(ACE_LOG_WARNING, field, "%s instead of %s: %s", warning.used, warning.asked,
            warning.reason);
    if (w->count < ACE_MAX_WARNINGS) {
        w->item[w->count++] = warning;
    }
}
