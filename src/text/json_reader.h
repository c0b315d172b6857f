/* Reads a JSON text in place, value by value, without building a tree: tokenizer files have 500 000
 * strings, and a tree of them would take ten times the file's size.
 *
 * The reader stays at the first error: every later call fails, and `failed` tells. Hostile input
 * costs linear time; nesting is limited to 64 levels. */
#ifndef ACE_TEXT_JSON_READER_H
#define ACE_TEXT_JSON_READER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct ace_json_reader {
    const char *begin, *at, *end;
    bool failed;
} ace_json_reader;

/* A string between its quotes, escapes not yet resolved. Borrowed from the text. */
typedef struct ace_json_string {
    const char *data;
    size_t bytes;
    bool escaped;
} ace_json_string;

typedef enum ace_json_kind {
    ACE_JSON_NONE, /* end of the text or no value */
    ACE_JSON_OBJECT,
    ACE_JSON_ARRAY,
    ACE_JSON_STRING,
    ACE_JSON_NUMBER,
    ACE_JSON_TRUE,
    ACE_JSON_FALSE,
    ACE_JSON_NULL
} ace_json_kind;

void ace_json_init(ace_json_reader *reader, const char *text, size_t bytes);

/* Offset in the text, for messages. */
size_t ace_json_offset(const ace_json_reader *reader);

/* What the next value is; the reader does not move. */
ace_json_kind ace_json_peek(ace_json_reader *reader);

/* Members of an object: enter, then next_key until it returns false, each followed by exactly one
 * value. next_key consumes the closing brace. Arrays likewise with next_item. */
bool ace_json_enter_object(ace_json_reader *reader);
bool ace_json_next_key(ace_json_reader *reader, ace_json_string *key);
bool ace_json_enter_array(ace_json_reader *reader);
bool ace_json_next_item(ace_json_reader *reader);

bool ace_json_read_string(ace_json_reader *reader, ace_json_string *out);
bool ace_json_read_integer(ace_json_reader *reader, int64_t *out);
bool ace_json_skip(ace_json_reader *reader);

/* True when nothing but white space follows. */
bool ace_json_at_end(ace_json_reader *reader);

/* Resolves the escapes into out, which has room for string.bytes, and returns the length written.
 */
size_t ace_json_unescape(ace_json_string string, char *out);

/* Compares a string with plain ASCII text. */
bool ace_json_equals(ace_json_string string, const char *text);

#endif
