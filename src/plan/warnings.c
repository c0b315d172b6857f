#include "plan/warnings.h"

#include "base/log.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static bool is_known(const ace_warnings *w, const char *id, const char *field)
{
    for (int i = 0; i < w->count; i++) {
        if (id[0] != '\0' && strcmp(w->item[i].id, id) == 0 &&
            strcmp(w->item[i].field, field) == 0) {
            return true;
        }
    }
    return false;
}

bool ace_warned(const ace_warnings *w, const char *id)
{
    for (int i = 0; i < w->count; i++) {
        if (strcmp(w->item[i].id, id) == 0) {
            return true;
        }
    }
    return false;
}

void ace_warn(ace_warnings *w, const char *id, const char *field, const char *asked,
              const char *used, const char *reason, ...)
{
    if (is_known(w, id, field)) {
        return;
    }
    ace_warning warning;
    memset(&warning, 0, sizeof warning);
    va_list args;
    va_start(args, reason);
    (void)vsnprintf(warning.reason, sizeof warning.reason, reason, args);
    va_end(args);
    (void)snprintf(warning.id, sizeof warning.id, "%s", id);
    (void)snprintf(warning.field, sizeof warning.field, "%s", field);
    (void)snprintf(warning.asked, sizeof warning.asked, "%s", asked);
    (void)snprintf(warning.used, sizeof warning.used, "%s", used);
    ace_log(ACE_LOG_WARNING, field, "%s%s%s instead of %s: %s", warning.id,
            warning.id[0] != '\0' ? " " : "", warning.used, warning.asked, warning.reason);
    if (w->count < ACE_MAX_WARNINGS) {
        w->item[w->count++] = warning;
    }
}
