#include "server/compat_request.h"

#include "base/memory.h"
#include "server/compat_rules.h"

#include <string.h>

json_t *ace_compat_warnings(json_t *params)
{
    return json_object_get(json_object_get(params, "acestep"), "warnings");
}

void ace_compat_request_free(ace_compat_request *request)
{
    json_decref(request->params);
    request->params = NULL;
}

static void read_table(const ace_compat_values *values, json_t *params, json_t *warnings)
{
    for (size_t i = 0; i < ace_compat_n_fields; i++) {
        const ace_compat_field *field = &ace_compat_fields[i];
        bool texts = field->kind == ACE_COMPAT_TEXT;
        json_t *value = ace_compat_find(values, field->names, texts);
        if (value != NULL && !ace_compat_has_own_rule(field->option)) {
            json_object_set_new(params, field->option, ace_compat_convert(field, value, warnings));
        }
    }
}

/* Typing errors and fields of other versions: the song is made without them, but not silently. */
static void name_unknown(json_t *body, json_t *warnings)
{
    const char *key = NULL;
    json_t *value = NULL;
    json_object_foreach (body, key, value) {
        if (!ace_compat_is_known(key) && !json_is_null(value)) {
            char name[40];
            ace_compat_cut(key, name, sizeof name);
            ace_compat_warn(warnings, name, value, "", "no such field here: left out");
        }
    }
}

ace_status ace_compat_read(json_t *body, ace_compat_dialect dialect, ace_compat_request *out,
                           ace_error *err)
{
    out->kind = ACE_JOB_SONG;
    out->params = json_pack("{s:{s:[], s:{}}}", "acestep", "warnings", "asked");
    if (out->params == NULL) {
        return ace_fail(err, ACESTEP_MEMORY, "request: no host memory");
    }
    ace_compat_values values;
    ace_compat_values_open(body, &values);
    ace_compat_rules rules = {.values = &values,
                              .params = out->params,
                              .warnings = ace_compat_warnings(out->params),
                              .asked =
                                  json_object_get(json_object_get(out->params, "acestep"), "asked"),
                              .dialect = dialect,
                              .kind = ACE_JOB_SONG};
    read_table(&values, out->params, rules.warnings);
    ace_status status = ace_compat_apply_rules(&rules, err);
    out->kind = rules.kind;
    name_unknown(body, rules.warnings);
    ace_compat_values_close(&values);
    return status;
}
