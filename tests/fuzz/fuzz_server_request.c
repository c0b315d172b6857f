/* Requests of other programs: any JSON gives a request or one error; its options keep the kinds and
 * ranges of the table, and the engine's own reader refuses it with a message or takes it. The first
 * byte says which program it is. */
#include "acestep.h"
#include "server/compat_request.h"
#include "server/compat_values.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool truth)
{
    if (!truth) {
        abort();
    }
}

static void check_numbers(const json_t *params)
{
    for (size_t i = 0; i < ace_compat_n_fields; i++) {
        const ace_compat_field *field = &ace_compat_fields[i];
        const json_t *value = json_object_get(params, field->option);
        bool number = field->kind == ACE_COMPAT_INT || field->kind == ACE_COMPAT_REAL;
        if (value != NULL && number) {
            require(json_number_value(value) >= field->low &&
                    json_number_value(value) <= field->high);
        }
    }
}

static void check(const ace_compat_request *r)
{
    acestep_request *request = NULL;
    acestep_error err = {.code = ACESTEP_OK};
    const json_t *warnings = ace_compat_warnings(r->params);
    require(json_is_array(warnings) && json_array_size(warnings) <= 32);
    check_numbers(r->params);
    char *text = json_dumps(r->params, JSON_COMPACT);
    require(text != NULL && acestep_request_create(&request, &err) == ACESTEP_OK);
    if (acestep_request_set_json(request, text, strlen(text), &err) != ACESTEP_OK) {
        require(err.message[0] != '\0');
        require(strstr(err.message, "no such option") == NULL);
    }
    acestep_request_free(request);
    free(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0) {
        return 0;
    }
    ace_compat_dialect dialect = data[0] % 2 == 0 ? ACE_COMPAT_REFERENCE : ACE_COMPAT_PEER;
    json_t *body = json_loadb((const char *)data + 1, size - 1, JSON_ALLOW_NUL, NULL);
    if (body == NULL) {
        return 0;
    }
    ace_compat_request r;
    ace_error err = {.code = ACESTEP_OK};
    if (ace_compat_read(body, dialect, &r, &err) == ACESTEP_OK) {
        check(&r);
    } else {
        require(err.message[0] != '\0');
    }
    ace_compat_request_free(&r);
    json_decref(body);
    return 0;
}
