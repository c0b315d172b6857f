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

/* Cut to fit, but never inside a character: half of one is no UTF-8. */
static void put(char *out, size_t room, const char *text)
{
    (void)snprintf(out, room, "%s", text);
    size_t n = strlen(out);
    if (strlen(text) > n) {
        while (n > 0 && ((unsigned char)out[n - 1] & 0xc0) == 0x80) {
            n--;
        }
        n -= n > 0 && ((unsigned char)out[n - 1] & 0x80) != 0 ? 1 : 0;
        out[n] = '\0';
    }
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
    put(warning.field, sizeof warning.field, field);
    put(warning.asked, sizeof warning.asked, asked);
    put(warning.used, sizeof warning.used, used);
    ace_log(ACE_LOG_WARNING, field, "%s%s%s instead of %s: %s", warning.id,
            warning.id[0] != '\0' ? " " : "", warning.used, warning.asked, warning.reason);
    if (w->count < ACE_MAX_WARNINGS) {
        w->item[w->count++] = warning;
    }
}
