#include "api/examples.h"

#include "api/api.h"
#include "api/lines.h"

#include <stdlib.h>
#include <string.h>

/* "example_05.json", "example_05" and "5" are the same. */
static bool is_called(const ace_embedded_file *e, const char *name)
{
    size_t stem = strcspn(e->path, ".");
    if (strcmp(name, e->path) == 0 || (strlen(name) == stem && strncmp(name, e->path, stem) == 0)) {
        return true;
    }
    char *end = NULL;
    long number = strtol(name, &end, 10);
    const char *digits = e->path + strcspn(e->path, "0123456789");
    return name[0] >= '0' && name[0] <= '9' && *end == '\0' && number == strtol(digits, NULL, 10);
}

static char *names(void)
{
    ace_lines list = {.text = NULL};
    for (const ace_embedded_file *e = ace_examples(); e->path != NULL; e++) {
        ace_lines_add(&list, "%s%s", e == ace_examples() ? "" : ", ", e->path);
    }
    return ace_lines_take(&list);
}

char *acestep_example_json(const char *name, acestep_error *err)
{
    ace_error *inner = ace_inner_error(err);
    for (const ace_embedded_file *e = ace_examples(); e->path != NULL; e++) {
        if (is_called(e, name)) {
            char *text = malloc(e->bytes + 1); /* acestep_free's kind of memory */
            if (text == NULL) {
                (void)ace_fail(inner, ACESTEP_MEMORY, "%s: no host memory", e->path);
                return NULL;
            }
            memcpy(text, e->data, e->bytes);
            text[e->bytes] = '\0';
            return text;
        }
    }
    char *known = names();
    (void)ace_fail(inner, ACESTEP_ARGUMENT, "example: there is no \"%.80s\"; there are %s", name,
                   known != NULL ? known : "others");
    acestep_free(known);
    return NULL;
}
