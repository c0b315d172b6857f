#include "text/audio_codes.h"

#include "base/log.h"
#include "base/memory.h"
#include "text/json_reader.h"
#include "text/span.h"
#include "text/text_buffer.h"

#include <inttypes.h>
#include <string.h>

static const char token_begin[] = "<|audio_code_";
static const char token_end[] = "|>";

typedef struct code_list {
    int32_t *codes; /* [capacity] */
    int64_t n, capacity;
    int64_t codebook;
    int64_t clamped;
} code_list;

static ace_status add_code(code_list *list, int64_t code, ace_error *err)
{
    if (list->n == list->capacity) {
        int64_t capacity = list->capacity != 0 ? list->capacity * 2 : 256;
        int32_t *grown = ace_realloc_array(list->codes, (size_t)capacity, sizeof *grown);
        if (grown == NULL) {
            return ace_fail(err, ACESTEP_MEMORY, "audio_codes: out of memory for %" PRId64 " codes",
                            capacity);
        }
        list->codes = grown;
        list->capacity = capacity;
    }
    if (code >= list->codebook) {
        code = list->codebook - 1;
        list->clamped++;
    }
    list->codes[list->n++] = (int32_t)code;
    return ACESTEP_OK;
}

/* Reads digits at the front of the text; false without any. Stops growing at what no codebook has.
 */
static bool take_number(ace_text_span *text, int64_t *number)
{
    const char *start = text->data;
    *number = 0;
    while (text->bytes > 0 && *text->data >= '0' && *text->data <= '9') {
        *number = *number < INT32_MAX ? *number * 10 + (*text->data - '0') : INT32_MAX;
        text->data++;
        text->bytes--;
    }
    return text->data > start;
}

static ace_status unreadable(ace_error *err)
{
    return ace_fail(err, ACESTEP_ARGUMENT,
                    "audio_codes: neither <|audio_code_N|> tokens nor a list of numbers from 0 up");
}

static ace_status read_tokens(code_list *list, const char *text, ace_error *err)
{
    ace_status status = ACESTEP_OK;
    const char *at = strstr(text, token_begin);
    while (at != NULL && status == ACESTEP_OK) {
        ace_text_span rest = ace_span_of(at + sizeof token_begin - 1);
        int64_t code = 0;
        if (take_number(&rest, &code) && strncmp(rest.data, token_end, sizeof token_end - 1) == 0) {
            status = add_code(list, code, err);
        }
        at = strstr(rest.data, token_begin);
    }
    return status == ACESTEP_OK && list->n == 0 ? unreadable(err) : status;
}

static ace_status read_list(code_list *list, ace_text_span text, ace_error *err)
{
    ace_status status = ACESTEP_OK;
    while (text.bytes > 0 && status == ACESTEP_OK) {
        ace_text_span item = ace_span_trim(ace_span_cut(&text, ','));
        int64_t code = 0;
        if (!take_number(&item, &code) || item.bytes > 0) {
            return unreadable(err);
        }
        status = add_code(list, code, err);
    }
    return status;
}

static ace_status read_json(code_list *list, ace_text_span text, ace_error *err)
{
    ace_json_reader reader;
    ace_status status = ACESTEP_OK;
    ace_json_init(&reader, text.data, text.bytes);
    (void)ace_json_enter_array(&reader);
    while (status == ACESTEP_OK && ace_json_next_item(&reader)) {
        int64_t code = 0;
        if (!ace_json_read_integer(&reader, &code) || code < 0) {
            return unreadable(err);
        }
        status = add_code(list, code, err);
    }
    return status == ACESTEP_OK && !ace_json_at_end(&reader) ? unreadable(err) : status;
}

ace_status ace_codes_parse(const char *text, int64_t codebook, int32_t **codes, int64_t *n,
                           ace_error *err)
{
    *codes = NULL;
    *n = 0;
    code_list list = {.codebook = codebook};
    ace_text_span given = ace_span_trim(ace_span_of(text));
    ace_status status = ACESTEP_OK;
    if (given.bytes > 0 && given.data[0] == '[') {
        status = read_json(&list, given, err);
    } else if (given.bytes > 0 && strstr(text, token_begin) != NULL) {
        status = read_tokens(&list, text, err);
    } else {
        status = read_list(&list, given, err);
    }
    if (status != ACESTEP_OK) {
        ace_free(list.codes);
        return status;
    }
    if (list.clamped > 0) {
        ace_log(ACE_LOG_WARNING, "codes",
                "%" PRId64 " of %" PRId64 " audio codes lie above %" PRId64
                " and are lowered to it",
                list.clamped, list.n, codebook - 1);
    }
    *codes = list.codes;
    *n = list.n;
    return ACESTEP_OK;
}

char *ace_codes_format(const int32_t *codes, int64_t n)
{
    ace_text_buffer out = {0};
    for (int64_t i = 0; i < n; i++) {
        ace_text_append_string(&out, token_begin);
        ace_text_append_integer(&out, codes[i]);
        ace_text_append_string(&out, token_end);
    }
    return ace_text_take(&out);
}
