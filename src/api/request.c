#include "api/api.h"
#include "base/log.h"
#include "base/memory.h"
#include "options/option_readers.h"

#include <stdlib.h>
#include <string.h>

const char *acestep_version(void)
{
    return ACESTEP_VERSION;
}

const char *acestep_status_text(acestep_status status)
{
    return ace_status_text(status);
}

void acestep_set_log_level(int level)
{
    ace_log_set_level(level < 0 ? ACE_LOG_QUIET : level > 4 ? ACE_LOG_DEBUG : (ace_log_level)level);
}

/* Strings cross the border as plain malloc blocks, whoever made them. */
void acestep_free(void *text)
{
    free(text);
}

static char *handed_over(char *ours)
{
    char *theirs = ours != NULL ? strdup(ours) : NULL;
    ace_free(ours);
    return theirs;
}

char *acestep_options_help(void)
{
    return handed_over(ace_options_help());
}

char *acestep_options_json(void)
{
    return ace_options_json();
}

acestep_status acestep_request_create(acestep_request **out, acestep_error *err)
{
    *out = NULL;
    acestep_request *r = ace_calloc(1, sizeof *r);
    if (r == NULL) {
        return ace_fail(ace_inner_error(err), ACESTEP_MEMORY, "request: no host memory");
    }
    ace_status status = ace_request_create(&r->options, ace_inner_error(err));
    if (status != ACESTEP_OK) {
        ace_free(r);
        return status;
    }
    *out = r;
    return ACESTEP_OK;
}

void acestep_request_free(acestep_request *request)
{
    if (request != NULL) {
        ace_request_free(request->options);
        ace_free(request);
    }
}

acestep_status acestep_request_set(acestep_request *request, const char *name, const char *value,
                                   acestep_error *err)
{
    return ace_request_set(request->options, name, value, ACE_FROM_CALLER, ace_inner_error(err));
}

acestep_status acestep_request_set_arguments(acestep_request *request, int argc, char *const argv[],
                                             acestep_error *err)
{
    return ace_request_from_arguments(request->options, argc, argv, ace_inner_error(err));
}

acestep_status acestep_request_set_environment(acestep_request *request, acestep_error *err)
{
    return ace_request_from_environment(request->options, ace_inner_error(err));
}

acestep_status acestep_request_set_json(acestep_request *request, const char *text, size_t bytes,
                                        acestep_error *err)
{
    return ace_request_from_json(request->options, text, bytes, false, ace_inner_error(err));
}

char *acestep_request_json(const acestep_request *request, bool asked_only)
{
    return ace_request_to_json(request->options, asked_only);
}

bool acestep_option_takes_value(const char *argument)
{
    const char *name = argument + strspn(argument, "-");
    int index = name != argument && strchr(name, '=') == NULL ? ace_option_find(name) : -1;
    const ace_option *o = index >= 0 ? ace_option_at(index) : NULL;
    return o != NULL && o->kind != ACE_OPTION_FLAG && !ace_option_is_switch(o);
}
