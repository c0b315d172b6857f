#include "server/http_route.h"

#include <stdio.h>
#include <string.h>

/* One path element, and nothing that means another place when it is put into a path. */
static bool may_be_captured(const char *element)
{
    return element[0] != '\0' && strcmp(element, ".") != 0 && strcmp(element, "..") != 0 &&
           strpbrk(element, "/\\") == NULL;
}

static bool fits(const char *pattern, const ace_http_target *target,
                 const char *captures[ACE_HTTP_CAPTURES])
{
    size_t taken = 0;
    memset(captures, 0, ACE_HTTP_CAPTURES * sizeof captures[0]);
    for (size_t i = 0; i < target->n_elements && i < ACE_TARGET_ELEMENTS; i++) {
        if (*pattern != '/') {
            return false;
        }
        pattern++;
        size_t length = strcspn(pattern, "/");
        const char *element = target->element[i];
        if (pattern[0] == '{') {
            if (taken == ACE_HTTP_CAPTURES || !may_be_captured(element)) {
                return false;
            }
            captures[taken++] = element;
        } else if (strlen(element) != length || memcmp(element, pattern, length) != 0) {
            return false;
        }
        pattern += length;
    }
    return *pattern == '\0' && target->n_elements > 0 && target->n_elements <= ACE_TARGET_ELEMENTS;
}

static void allow(char *list, size_t room, const char *method)
{
    size_t used = strlen(list);
    if (strstr(list, method) == NULL) {
        (void)snprintf(list + used, room - used, "%s%s", used > 0 ? ", " : "", method);
    }
}

ace_route_found ace_route_find(const ace_http_route *const *tables, const char *method,
                               const ace_http_target *target, ace_route_match *out)
{
    memset(out, 0, sizeof *out);
    for (size_t t = 0; tables[t] != NULL; t++) {
        for (const ace_http_route *route = tables[t]; route->method != NULL; route++) {
            const char *captures[ACE_HTTP_CAPTURES];
            if (!fits(route->path, target, captures)) {
                continue;
            }
            if (strcmp(route->method, method) == 0) {
                out->route = route;
                memcpy(out->captures, captures, sizeof captures);
                return ACE_ROUTE_FOUND;
            }
            allow(out->allow, sizeof out->allow, route->method);
            if (strcmp(route->method, "GET") == 0) {
                allow(out->allow, sizeof out->allow, "HEAD");
            }
        }
    }
    if (out->allow[0] == '\0') {
        return ACE_ROUTE_UNKNOWN;
    }
    allow(out->allow, sizeof out->allow, "OPTIONS");
    return ACE_ROUTE_OTHER_METHOD;
}
