#include "base/memory.h"
#include "server/http_body_parts.h"
#include "server/http_target.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

enum { PART_BUFFER = 8192, LONGEST_FIELD_NAME = 256, FRAMING_BYTES = 64 << 10 };

void ace_http_body_fail(ace_http_body *body, int status, const char *code, const char *hint,
                        const char *format, ...)
{
    if (body->failure.status == 0) {
        va_list args;
        va_start(args, format);
        (void)vsnprintf(body->failure.message, sizeof body->failure.message, format, args);
        va_end(args);
        body->failure.status = status;
        body->failure.code = code;
        body->failure.hint = hint;
    }
}

static bool is_type(const char *type, const char *name)
{
    size_t n = strcspn(type, "; \t");
    return strlen(name) == n && strncasecmp(type, name, n) == 0;
}

ace_body_kind ace_http_body_kind(const char *type, const ace_http_body_limits *limits)
{
    size_t n = type != NULL ? strcspn(type, "; \t") : 0;
    if (n == 0 || is_type(type, "application/json") ||
        is_type(type, "application/x-www-form-urlencoded") || is_type(type, "text/plain") ||
        (n > 5 && strncasecmp(type + n - 5, "+json", 5) == 0)) {
        return ACE_BODY_TEXT;
    }
    if (is_type(type, "multipart/form-data")) {
        return ACE_BODY_MULTIPART;
    }
    return limits->files && limits->raw ? ACE_BODY_RAW : ACE_BODY_UNKNOWN;
}

uint64_t ace_http_body_most(ace_body_kind kind, const ace_http_body_limits *limits)
{
    uint64_t files = limits->files ? limits->file_bytes : 0;
    return kind == ACE_BODY_RAW         ? files
           : kind == ACE_BODY_MULTIPART ? files + limits->text_bytes + FRAMING_BYTES
                                        : limits->text_bytes;
}

static bool text_add(ace_http_body *body, const char *data, size_t bytes)
{
    if (bytes > body->limits.text_bytes - body->text_before - body->text_bytes) {
        body->exceeded = true;
        ace_http_body_fail(body, 413, "too_large", NULL,
                           "the request is longer than the %zu bytes that it may have",
                           body->limits.text_bytes);
        return false;
    }
    if (body->text_bytes + bytes + 1 > body->text_room) {
        size_t room = 2 * (body->text_bytes + bytes) + 256;
        char *more = ace_realloc_array(body->text, room, 1);
        if (more == NULL) {
            ace_http_body_fail(body, 500, "memory", NULL, "the server is short of memory");
            return false;
        }
        body->text = more;
        body->text_room = room;
    }
    if (bytes > 0) {
        memcpy(body->text + body->text_bytes, data, bytes);
    }
    body->text_bytes += bytes;
    body->text[body->text_bytes] = '\0';
    return true;
}

/* The field that has arrived becomes a member of the object. */
static bool field_end(ace_http_body *body)
{
    if (body->field == NULL) {
        return true;
    }
    json_t *checked = json_stringn(body->text, body->text_bytes); /* NULL for broken UTF-8 */
    bool is_text = checked != NULL && strlen(body->text) == body->text_bytes;
    json_decref(checked);
    ace_error err = {.code = ACESTEP_OK};
    if (!is_text) {
        ace_http_body_fail(body, 400, "bad_text", NULL, "the field \"%.60s\" is not UTF-8 text",
                           body->field);
    } else if (ace_http_pairs_add(body->json, body->field, body->text, true, &err) != ACESTEP_OK) {
        ace_http_body_fail(body, 500, "memory", NULL, "the server is short of memory");
    }
    ace_free(body->field);
    body->field = NULL;
    body->text_before += body->text_bytes;
    body->text_bytes = 0;
    return body->failure.status == 0;
}

static bool part_begin(ace_http_body *body, const char *key, const char *filename)
{
    ace_http_spool_end(body);
    if (!field_end(body)) {
        return false;
    }
    json_t *checked = json_string(key);
    bool named = checked != NULL && strlen(key) <= LONGEST_FIELD_NAME;
    json_decref(checked);
    if (!named || body->n_parts == ACE_BODY_PARTS) {
        ace_http_body_fail(body, 400, "bad_form", NULL,
                           "a form has at most %d fields, with names of at most %d bytes of UTF-8",
                           ACE_BODY_PARTS, LONGEST_FIELD_NAME);
        return false;
    }
    body->n_parts++;
    if (filename == NULL) {
        body->field = ace_strdup(key);
        if (body->field == NULL) {
            ace_http_body_fail(body, 500, "memory", NULL, "the server is short of memory");
        }
        return body->field != NULL && text_add(body, "", 0);
    }
    if (!body->limits.files) {
        ace_http_body_fail(body, 415, "no_files", NULL, "no files are taken here");
        return false;
    }
    return ace_http_spool_begin(body, key, filename);
}

static enum MHD_Result take_part(void *context, enum MHD_ValueKind kind, const char *key,
                                 const char *filename, const char *type, const char *encoding,
                                 const char *data, uint64_t offset, size_t bytes)
{
    ace_http_body *body = context;
    (void)kind, (void)type, (void)encoding;
    bool fine = body->failure.status == 0;
    if (fine && offset == 0) {
        fine = part_begin(body, key != NULL ? key : "", filename);
    }
    if (fine && bytes > 0) {
        fine = body->fd >= 0 ? ace_http_spool_add(body, data, bytes) : text_add(body, data, bytes);
    }
    return fine ? MHD_YES : MHD_NO;
}

ace_http_body *ace_http_body_open(struct MHD_Connection *connection, const char *type,
                                  const ace_http_body_limits *limits)
{
    ace_http_body *body = ace_calloc(1, sizeof *body);
    if (body == NULL) {
        return NULL;
    }
    body->limits = *limits;
    body->fd = -1;
    body->kind = ace_http_body_kind(type, limits);
    if (body->kind == ACE_BODY_UNKNOWN) {
        ace_http_body_fail(body, 415, "media_type", "send application/json",
                           "bodies of the type %.60s are not taken here", type);
    } else if (body->kind == ACE_BODY_MULTIPART) {
        body->json = json_object();
        body->parts = MHD_create_post_processor(connection, PART_BUFFER, take_part, body);
        if (body->parts == NULL) {
            ace_http_body_fail(body, 400, "bad_form", NULL,
                               "the Content-Type of a form names its boundary");
        }
    } else if (body->kind == ACE_BODY_RAW) {
        (void)ace_http_spool_begin(body, "", "");
    }
    return body;
}

void ace_http_body_add(ace_http_body *body, const char *data, size_t bytes)
{
    uint64_t most = ace_http_body_most(body->kind, &body->limits);
    body->total += bytes;
    if (body->total > most) { /* also what stands between the parts of a form */
        body->exceeded = true;
        ace_http_body_fail(body, 413, "too_large", NULL,
                           "the body is longer than the %llu bytes that are taken",
                           (unsigned long long)most);
    }
    if (body->failure.status != 0) {
        return;
    }
    if (body->kind == ACE_BODY_MULTIPART) {
        if (MHD_post_process(body->parts, data, bytes) != MHD_YES) {
            ace_http_body_fail(body, 400, "bad_form", NULL, "the form is malformed");
        }
    } else if (body->kind == ACE_BODY_RAW) {
        (void)ace_http_spool_add(body, data, bytes);
    } else {
        (void)text_add(body, data, bytes);
    }
}

bool ace_http_body_exceeded(const ace_http_body *body)
{
    return body->exceeded;
}

/* Deep nesting would be recursion in whoever walks through it. */
static bool too_deep(const char *text, size_t bytes)
{
    int depth = 0;
    bool quoted = false;
    for (size_t i = 0; i < bytes; i++) {
        char c = text[i];
        if (quoted) {
            i += c == '\\';
            quoted = c != '"';
        } else if (c == '"') {
            quoted = true;
        } else if (c == '{' || c == '[') {
            if (++depth > ACE_BODY_DEPTH) {
                return true;
            }
        } else if (c == '}' || c == ']') {
            depth--;
        }
    }
    return false;
}

static void parse_json(ace_http_body *body)
{
    if (too_deep(body->text, body->text_bytes)) {
        ace_http_body_fail(body, 400, "bad_json", NULL, "the JSON is nested deeper than %d levels",
                           ACE_BODY_DEPTH);
        return;
    }
    json_error_t error;
    body->json = json_loadb(body->text, body->text_bytes, JSON_REJECT_DUPLICATES, &error);
    if (body->json == NULL) {
        ace_http_body_fail(body, 400, "bad_json", NULL, "not JSON: line %d, column %d: %s",
                           error.line, error.column, error.text);
    }
}

static void parse_form(ace_http_body *body)
{
    ace_error err = {.code = ACESTEP_OK};
    body->json = json_object();
    if (strlen(body->text) != body->text_bytes) {
        ace_http_body_fail(body, 400, "bad_form", NULL, "the form holds a NUL byte");
    } else if (body->json == NULL ||
               ace_http_pairs_parse(body->text, true, body->json, &err) == ACESTEP_MEMORY) {
        ace_http_body_fail(body, 500, "memory", NULL, "the server is short of memory");
    } else if (err.code != ACESTEP_OK) {
        ace_http_body_fail(body, 400, "bad_form", NULL, "%s", err.message);
    }
}

/* Many clients send JSON under the type of forms, or under none: what begins like JSON is JSON. */
static void parse_text(ace_http_body *body)
{
    size_t blank = body->text != NULL ? strspn(body->text, " \t\r\n") : 0;
    if (body->text_bytes == blank) {
        return;
    }
    bool form = body->text[blank] != '{' && body->text[blank] != '[' &&
                memchr(body->text, '=', body->text_bytes) != NULL;
    if (form) {
        parse_form(body);
    } else {
        parse_json(body);
    }
}

bool ace_http_body_finish(ace_http_body *body, json_t **json, const ace_http_file **files,
                          size_t *n_files)
{
    if (body->failure.status == 0 && body->kind == ACE_BODY_TEXT) {
        parse_text(body);
    }
    if (body->parts != NULL) {
        bool complete = MHD_destroy_post_processor(body->parts) == MHD_YES;
        body->parts = NULL;
        if (!complete) {
            ace_http_body_fail(body, 400, "bad_form", NULL,
                               "the form ends before its closing boundary");
        }
        (void)field_end(body);
    }
    ace_http_spool_end(body);
    *json = body->json;
    *files = body->file;
    *n_files = body->n_files;
    return body->failure.status == 0;
}

const ace_http_body_failure *ace_http_body_failed(const ace_http_body *body)
{
    return &body->failure;
}

void ace_http_body_forget(ace_http_body *body, size_t index)
{
    ace_free(body->file[index].path);
    body->file[index].path = NULL;
}

void ace_http_body_close(ace_http_body *body)
{
    if (body == NULL) {
        return;
    }
    if (body->parts != NULL) {
        (void)MHD_destroy_post_processor(body->parts);
    }
    ace_http_spool_end(body);
    for (size_t i = 0; i < body->n_files; i++) {
        if (body->file[i].path != NULL) {
            (void)unlink(body->file[i].path);
        }
        ace_free(body->file[i].path);
        ace_free(body->file[i].field);
        ace_free(body->file[i].name);
    }
    ace_free(body->text);
    ace_free(body->field);
    json_decref(body->json);
    ace_free(body);
}
