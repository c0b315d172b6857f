/* Requests of other programs: any JSON gives a request or one error; its options keep the kinds and
 * ranges of the table, and the engine's own reader refuses it with a message or takes it. The first
 * byte says which program it is; a chat becomes a request first. */
#include "acestep.h"
#include "base/memory.h"
#include "server/compat_base64.h"
#include "server/compat_request.h"
#include "server/compat_values.h"
#include "server/reference_messages.h"

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

static void read_request(json_t *body, ace_compat_dialect dialect)
{
    ace_compat_request r;
    ace_error err = {.code = ACESTEP_OK};
    if (ace_compat_read(body, dialect, &r, &err) == ACESTEP_OK) {
        check(&r);
    } else {
        require(err.message[0] != '\0');
    }
    ace_compat_request_free(&r);
}

static void read_audio(const json_t *audio)
{
    void *bytes = NULL;
    size_t n = 0;
    const char *text = json_string_value(json_object_get(audio, "data"));
    require(text != NULL);
    if (ace_base64_read(text, &bytes, &n, NULL) == ACESTEP_OK) {
        require(n > 0 && n <= strlen(text));
    }
    ace_free(bytes);
}

static void read_chat(json_t *body)
{
    ace_chat_request chat;
    ace_error err = {.code = ACESTEP_OK};
    if (ace_chat_read(body, &chat, &err) == ACESTEP_OK) {
        for (int i = 0; i < ACE_CHAT_AUDIOS && chat.audio[i] != NULL; i++) {
            require(chat.audio_field[i] != NULL);
            read_audio(chat.audio[i]);
        }
        read_request(chat.task, ACE_COMPAT_REFERENCE);
    } else {
        require(err.message[0] != '\0');
    }
    ace_chat_request_free(&chat);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    json_t *body =
        size > 0 ? json_loadb((const char *)data + 1, size - 1, JSON_ALLOW_NUL, NULL) : NULL;
    if (body == NULL) {
        return 0;
    }
    if (data[0] % 3 == 2) {
        read_chat(body);
    } else {
        read_request(body, data[0] % 3 == 0 ? ACE_COMPAT_REFERENCE : ACE_COMPAT_PEER);
    }
    json_decref(body);
    return 0;
}
