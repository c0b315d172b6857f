#include "own_arguments.h"

#include <stdio.h>
#include <string.h>

/* NULL: none of them. *inside: its value stands in the same word, after '='. */
static const own_argument *find(const own_argument *own, int n, const char *word, bool *inside)
{
    size_t length = strcspn(word, "=");
    for (int i = 0; i < n; i++) {
        bool same = strlen(own[i].name) == length && strncmp(own[i].name, word, length) == 0;
        *inside = word[length] == '=';
        if (same && (own[i].value != NULL || !*inside)) {
            return &own[i];
        }
    }
    return NULL;
}

static acestep_status refuse(const char *name, acestep_error *err)
{
    err->code = ACESTEP_ARGUMENT;
    (void)snprintf(err->message, sizeof err->message, "%s: a value must follow", name);
    return err->code;
}

acestep_status take_own_arguments(int *argc, char **argv, const own_argument *own, int n,
                                  acestep_error *err)
{
    int kept = 0;
    for (int i = 0; i < *argc; i++) {
        bool inside = false;
        bool is_value = kept > 0 && acestep_option_takes_value(argv[kept - 1]);
        const own_argument *found = is_value ? NULL : find(own, n, argv[i], &inside);
        if (found == NULL) {
            argv[kept++] = argv[i];
            continue;
        }
        if (found->flag != NULL) {
            *found->flag = true;
            continue;
        }
        const char *value = inside ? strchr(argv[i], '=') + 1 : i + 1 < *argc ? argv[++i] : "";
        if (value[0] == '\0') {
            return refuse(found->name, err);
        }
        *found->value = value;
    }
    *argc = kept;
    return ACESTEP_OK;
}
