#include "server/http_target.h"

#include "base/memory.h"

#include <string.h>

enum { MOST_PAIRS = 1024 };

static int digit(char c)
{
    return c >= '0' && c <= '9'   ? c - '0'
           : c >= 'a' && c <= 'f' ? c - 'a' + 10
           : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                  : -1;
}

static bool is_text(const char *text, bool lines)
{
    for (const unsigned char *c = (const unsigned char *)text; *c != '\0'; c++) {
        if ((*c < 0x20 && !(lines && (*c == '\t' || *c == '\n' || *c == '\r'))) || *c == 0x7f) {
            return false;
        }
    }
    json_t *checked = json_string(text); /* NULL for broken UTF-8 */
    json_decref(checked);
    return checked != NULL;
}

bool ace_http_decode(char *text, bool plus)
{
    char *to = text;
    for (const char *from = text; *from != '\0'; from++) {
        char c = *from;
        if (c == '%') {
            int high = digit(from[1]);
            int low = high >= 0 ? digit(from[2]) : -1;
            if (low < 0 || high + low == 0) {
                return false;
            }
            c = (char)(high * 16 + low);
            from += 2;
        } else if (c == '+' && plus) {
            c = ' ';
        }
        *to++ = c;
    }
    *to = '\0';
    return is_text(text, plus);
}

ace_status ace_http_pairs_add(json_t *out, const char *key, const char *value, bool arrays,
                              ace_error *err)
{
    json_t *present = arrays ? json_object_get(out, key) : NULL;
    json_t *text = json_string(value);
    int bad = text == NULL;
    if (!bad && present == NULL) {
        bad = json_object_set(out, key, text);
    } else if (!bad && json_is_array(present)) {
        bad = json_array_append(present, text);
    } else if (!bad) {
        json_t *both = json_pack("[O, O]", present, text);
        bad = both == NULL || json_object_set(out, key, both) != 0;
        json_decref(both);
    }
    json_decref(text);
    return bad ? ace_fail(err, ACESTEP_MEMORY, "request: no host memory") : ACESTEP_OK;
}

ace_status ace_http_pairs_parse(char *pairs, bool arrays, json_t *out, ace_error *err)
{
    size_t count = 0;
    ace_status status = ACESTEP_OK;
    for (char *next = pairs; next != NULL && status == ACESTEP_OK;) {
        char *pair = next;
        next = strchr(pair, '&');
        if (next != NULL) {
            *next++ = '\0';
        }
        if (pair[0] == '\0') {
            continue;
        }
        char *value = strchr(pair, '=');
        value = value != NULL ? value : pair + strlen(pair);
        if (*value == '=') {
            *value++ = '\0';
        }
        if (++count > MOST_PAIRS) {
            return ace_fail(err, ACESTEP_ARGUMENT, "more than %d names in one request", MOST_PAIRS);
        }
        if (!ace_http_decode(pair, true) || !ace_http_decode(value, true)) {
            return ace_fail(err, ACESTEP_ARGUMENT,
                            "\"%.60s\": not well encoded; %% takes two hexadecimal digits, and the "
                            "text is UTF-8 without control characters",
                            pair);
        }
        status = ace_http_pairs_add(out, pair, value, arrays, err);
    }
    return status;
}

static ace_status split_path(ace_http_target *t, ace_error *err)
{
    char *next = t->room[0] == '/' ? t->room + 1 : NULL;
    while (next != NULL) {
        char *element = next;
        next = strchr(element, '/');
        if (next != NULL) {
            *next++ = '\0';
        }
        if (!ace_http_decode(element, false)) {
            return ace_fail(err, ACESTEP_ARGUMENT, "the path is not well encoded");
        }
        if (t->n_elements < ACE_TARGET_ELEMENTS) {
            t->element[t->n_elements] = element;
        }
        t->n_elements += t->n_elements <= ACE_TARGET_ELEMENTS;
    }
    return ACESTEP_OK;
}

ace_status ace_http_target_parse(const char *uri, ace_http_target *out, ace_error *err)
{
    memset(out, 0, sizeof *out);
    size_t length = strcspn(uri, "?#");
    out->raw = ace_strdup(uri);
    if (out->raw != NULL) {
        out->raw[length] = '\0';
        out->path = ace_strdup(out->raw);
        out->room = ace_strdup(out->raw);
    }
    char *query = ace_strdup(uri[length] == '?' ? uri + length + 1 : "");
    out->query = json_object();
    ace_status status = ACESTEP_OK;
    if (out->path == NULL || out->room == NULL || query == NULL || out->query == NULL) {
        status = ace_fail(err, ACESTEP_MEMORY, "request: no host memory");
    } else if (!ace_http_decode(out->path, false)) {
        status = ace_fail(err, ACESTEP_ARGUMENT, "the path is not well encoded");
    } else {
        status = split_path(out, err);
    }
    if (status == ACESTEP_OK) {
        query[strcspn(query, "#")] = '\0';
        status = ace_http_pairs_parse(query, false, out->query, err);
    }
    ace_free(query);
    return status;
}

void ace_http_target_free(ace_http_target *target)
{
    ace_free(target->raw);
    ace_free(target->path);
    ace_free(target->room);
    json_decref(target->query);
    memset(target, 0, sizeof *target);
}
