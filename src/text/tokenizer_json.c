/* Reads the tokenizer.json of Hugging Face's tokenizers library, as far as byte-level BPE goes.
 * What would change token ids and is not known here is refused, never skipped. */
#include "text/json_reader.h"
#include "text/tokenizer_parts.h"

#include <inttypes.h>
#include <string.h>

/* Where the parts of the file are; a reader without text stands for an absent part. The order of
 * keys is not fixed, and merges can only be read after the vocabulary. */
typedef struct json_parts {
    ace_json_reader added_tokens, normalizer, pre_tokenizer, post_processor;
    ace_json_reader type, vocab, merges;
} json_parts;

static bool is_present(const ace_json_reader *part)
{
    ace_json_reader copy = *part;
    return part->begin != NULL && ace_json_peek(&copy) != ACE_JSON_NULL;
}

static ace_status unsupported(ace_error *err, const char *what)
{
    return ace_fail(err, ACESTEP_UNSUPPORTED, "%s: this kind of tokenizer is not supported", what);
}

static ace_status bad_json(const ace_json_reader *reader, ace_error *err)
{
    return ace_fail(err, ACESTEP_MODEL, "unexpected JSON at byte %zu", ace_json_offset(reader));
}

static ace_status out_of_memory(ace_error *err)
{
    return ace_fail(err, ACESTEP_MEMORY, "out of memory for the tokenizer");
}

/* Finds a member of the object that stands at the reader, which does not move. */
static bool find_member(ace_json_reader object, const char *name, ace_json_reader *value)
{
    ace_json_string key;
    if (ace_json_peek(&object) != ACE_JSON_OBJECT || !ace_json_enter_object(&object)) {
        return false;
    }
    while (ace_json_next_key(&object, &key)) {
        if (ace_json_equals(key, name)) {
            *value = object;
            return true;
        }
        if (!ace_json_skip(&object)) {
            return false;
        }
    }
    return false;
}

static bool member_is_string(ace_json_reader object, const char *name, const char *wanted)
{
    ace_json_reader value;
    ace_json_string text;
    return find_member(object, name, &value) && ace_json_read_string(&value, &text) &&
           ace_json_equals(text, wanted);
}

static bool member_is(ace_json_reader object, const char *name, ace_json_kind wanted)
{
    ace_json_reader value;
    return find_member(object, name, &value) && ace_json_peek(&value) == wanted;
}

/* The string with escapes resolved: itself, or in scratch. NULL when memory is short. */
static const char *resolve(ace_json_string string, ace_text_buffer *scratch, size_t *bytes)
{
    *bytes = string.bytes;
    if (!string.escaped) {
        return string.data;
    }
    scratch->bytes = 0;
    char *room = ace_text_reserve(scratch, string.bytes);
    if (room != NULL) {
        *bytes = ace_json_unescape(string, room);
    }
    return room;
}

/* Options of the BPE model that must be off, as they are in the Qwen family. */
static bool is_option_of_other_models(ace_json_string key)
{
    return ace_json_equals(key, "dropout") || ace_json_equals(key, "continuing_subword_prefix") ||
           ace_json_equals(key, "end_of_word_suffix") || ace_json_equals(key, "byte_fallback") ||
           ace_json_equals(key, "ignore_merges");
}

static bool is_off(ace_json_reader value)
{
    ace_json_string text;
    switch (ace_json_peek(&value)) {
    case ACE_JSON_NULL:
    case ACE_JSON_FALSE:
        return true;
    case ACE_JSON_STRING:
        return ace_json_read_string(&value, &text) && text.bytes == 0;
    default:
        return false;
    }
}

static ace_status locate_model(ace_json_reader *reader, json_parts *parts, ace_error *err)
{
    ace_json_string key;
    if (!ace_json_enter_object(reader)) {
        return bad_json(reader, err);
    }
    while (ace_json_next_key(reader, &key)) {
        if (ace_json_equals(key, "vocab")) {
            parts->vocab = *reader;
        } else if (ace_json_equals(key, "merges")) {
            parts->merges = *reader;
        } else if (ace_json_equals(key, "type")) {
            parts->type = *reader;
        } else if (is_option_of_other_models(key) && !is_off(*reader)) {
            return unsupported(err, "model");
        }
        (void)ace_json_skip(reader);
    }
    return reader->failed ? bad_json(reader, err) : ACESTEP_OK;
}

static ace_status locate(ace_json_reader *reader, json_parts *parts, ace_error *err)
{
    ace_json_string key;
    if (!ace_json_enter_object(reader)) {
        return bad_json(reader, err);
    }
    ace_status status = ACESTEP_OK;
    while (status == ACESTEP_OK && ace_json_next_key(reader, &key)) {
        if (ace_json_equals(key, "model")) {
            status = locate_model(reader, parts, err);
            continue;
        }
        if (ace_json_equals(key, "added_tokens")) {
            parts->added_tokens = *reader;
        } else if (ace_json_equals(key, "normalizer")) {
            parts->normalizer = *reader;
        } else if (ace_json_equals(key, "pre_tokenizer")) {
            parts->pre_tokenizer = *reader;
        } else if (ace_json_equals(key, "post_processor")) {
            parts->post_processor = *reader;
        }
        (void)ace_json_skip(reader);
    }
    if (status == ACESTEP_OK && !ace_json_at_end(reader)) {
        return bad_json(reader, err);
    }
    return status;
}

static ace_status read_vocab(ace_tokenizer *t, ace_json_reader reader, ace_text_buffer *scratch,
                             ace_error *err)
{
    ace_json_string key;
    ace_status status = ACESTEP_OK;
    if (reader.begin == NULL || !ace_json_enter_object(&reader)) {
        return ace_fail(err, ACESTEP_MODEL, "there is no vocabulary");
    }
    while (status == ACESTEP_OK && ace_json_next_key(&reader, &key)) {
        int64_t id = 0;
        if (!ace_json_read_integer(&reader, &id)) {
            break;
        }
        size_t bytes = 0;
        const char *spelling = resolve(key, scratch, &bytes);
        status = spelling != NULL ? ace_tokenizer_add_token(t, id, spelling, bytes, err)
                                  : out_of_memory(err);
    }
    return status == ACESTEP_OK && reader.failed ? bad_json(&reader, err) : status;
}

/* One merge: "a b" or, in newer files, ["a", "b"]. */
static ace_status read_merge(ace_tokenizer *t, ace_json_reader *reader, ace_text_buffer scratch[2],
                             ace_error *err)
{
    ace_json_string pair[2];
    const char *text[2];
    size_t bytes[2];
    bool line = ace_json_peek(reader) == ACE_JSON_STRING;
    bool ok = line ? ace_json_read_string(reader, &pair[0])
                   : ace_json_enter_array(reader) && ace_json_next_item(reader) &&
                         ace_json_read_string(reader, &pair[0]) && ace_json_next_item(reader) &&
                         ace_json_read_string(reader, &pair[1]) && !ace_json_next_item(reader);
    if (!ok || reader->failed) {
        return bad_json(reader, err);
    }
    for (int i = 0; i < (line ? 1 : 2); i++) {
        text[i] = resolve(pair[i], &scratch[i], &bytes[i]);
        if (text[i] == NULL) {
            return out_of_memory(err);
        }
    }
    return line ? ace_tokenizer_add_merge_line(t, text[0], bytes[0], err)
                : ace_tokenizer_add_merge(t, text[0], bytes[0], text[1], bytes[1], err);
}

static ace_status read_merges(ace_tokenizer *t, ace_json_reader reader, ace_text_buffer scratch[2],
                              ace_error *err)
{
    ace_status status = ACESTEP_OK;
    if (reader.begin == NULL || !ace_json_enter_array(&reader)) {
        return ace_fail(err, ACESTEP_MODEL, "there are no merges");
    }
    while (status == ACESTEP_OK && ace_json_next_item(&reader)) {
        status = read_merge(t, &reader, scratch, err);
    }
    return status == ACESTEP_OK && reader.failed ? bad_json(&reader, err) : status;
}

static ace_status read_added_token(ace_tokenizer *t, ace_json_reader *reader,
                                   ace_text_buffer *scratch, ace_error *err)
{
    ace_json_string key;
    ace_json_string content = {NULL, 0, false};
    int64_t id = -1;
    if (!ace_json_enter_object(reader)) {
        return bad_json(reader, err);
    }
    while (ace_json_next_key(reader, &key)) {
        bool strips = ace_json_equals(key, "lstrip") || ace_json_equals(key, "rstrip") ||
                      ace_json_equals(key, "single_word");
        if (ace_json_equals(key, "id")) {
            (void)ace_json_read_integer(reader, &id);
        } else if (ace_json_equals(key, "content")) {
            (void)ace_json_read_string(reader, &content);
        } else if (strips && ace_json_peek(reader) == ACE_JSON_TRUE) {
            return unsupported(err, "added_tokens");
        } else {
            (void)ace_json_skip(reader);
        }
    }
    if (reader->failed || content.data == NULL) {
        return bad_json(reader, err);
    }
    size_t bytes = 0;
    const char *text = resolve(content, scratch, &bytes);
    return text != NULL ? ace_added_tokens_add(&t->added, &t->vocabulary, id, text, bytes, err)
                        : out_of_memory(err);
}

static ace_status read_added_tokens(ace_tokenizer *t, ace_json_reader reader,
                                    ace_text_buffer *scratch, ace_error *err)
{
    ace_status status = ACESTEP_OK;
    if (!is_present(&reader)) {
        return ACESTEP_OK;
    }
    if (!ace_json_enter_array(&reader)) {
        return bad_json(&reader, err);
    }
    while (status == ACESTEP_OK && ace_json_next_item(&reader)) {
        status = read_added_token(t, &reader, scratch, err);
    }
    return status == ACESTEP_OK && reader.failed ? bad_json(&reader, err) : status;
}

/* NFC, nothing, or a sequence of these. */
static ace_status read_normalizer(ace_tokenizer *t, ace_json_reader reader, ace_error *err)
{
    t->normalize = false;
    if (!is_present(&reader)) {
        return ACESTEP_OK;
    }
    if (member_is_string(reader, "type", "NFC")) {
        t->normalize = true;
        return ACESTEP_OK;
    }
    ace_json_reader list;
    if (!member_is_string(reader, "type", "Sequence") ||
        !find_member(reader, "normalizers", &list) || !ace_json_enter_array(&list)) {
        return unsupported(err, "normalizer");
    }
    while (ace_json_next_item(&list)) {
        if (!member_is_string(list, "type", "NFC")) {
            return unsupported(err, "normalizer");
        }
        t->normalize = true;
        (void)ace_json_skip(&list);
    }
    return list.failed ? bad_json(&list, err) : ACESTEP_OK;
}

/* The regular expression of a Split whose matches become words. */
static bool read_split(ace_json_reader split, ace_json_string *regex)
{
    ace_json_reader pattern;
    ace_json_reader value;
    return member_is_string(split, "type", "Split") &&
           member_is_string(split, "behavior", "Isolated") &&
           !member_is(split, "invert", ACE_JSON_TRUE) && find_member(split, "pattern", &pattern) &&
           find_member(pattern, "Regex", &value) && ace_json_read_string(&value, regex);
}

/* The step to the byte alphabet, without a pattern of its own. */
static bool is_plain_byte_level(ace_json_reader step)
{
    return member_is_string(step, "type", "ByteLevel") &&
           member_is(step, "add_prefix_space", ACE_JSON_FALSE) &&
           member_is(step, "use_regex", ACE_JSON_FALSE);
}

/* A Split, then ByteLevel; the Qwen pattern when the file says nothing. */
static ace_status read_pre_tokenizer(ace_tokenizer *t, ace_json_reader reader,
                                     ace_text_buffer *scratch, ace_error *err)
{
    if (!is_present(&reader)) {
        return ace_pre_tokenizer_create(ace_qwen2_pattern, strlen(ace_qwen2_pattern),
                                        &t->pre_tokenizer, err);
    }
    ace_json_reader list;
    ace_json_string regex;
    bool ok = member_is_string(reader, "type", "Sequence") &&
              find_member(reader, "pretokenizers", &list) && ace_json_enter_array(&list) &&
              ace_json_next_item(&list) && read_split(list, &regex) && ace_json_skip(&list) &&
              ace_json_next_item(&list) && is_plain_byte_level(list) && ace_json_skip(&list) &&
              !ace_json_next_item(&list) && !list.failed;
    if (!ok) {
        return unsupported(err, "pre_tokenizer");
    }
    size_t bytes = 0;
    const char *pattern = resolve(regex, scratch, &bytes);
    return pattern != NULL ? ace_pre_tokenizer_create(pattern, bytes, &t->pre_tokenizer, err)
                           : out_of_memory(err);
}

static ace_status add_template_token(ace_tokenizer *t, ace_json_string name, bool after,
                                     ace_error *err)
{
    char text[ACE_MAX_ADDED_TOKEN_BYTES + 1];
    int *n = after ? &t->around.n_after : &t->around.n_before;
    int32_t *ids = after ? t->around.after : t->around.before;
    int32_t id = ACE_NO_TOKEN;
    if (name.bytes <= ACE_MAX_ADDED_TOKEN_BYTES) {
        text[ace_json_unescape(name, text)] = '\0';
        id = ace_tokenizer_token_id(t, text);
    }
    if (id == ACE_NO_TOKEN || *n == ACE_MAX_TEMPLATE_TOKENS) {
        return ace_fail(err, ACESTEP_MODEL, "post_processor: more than %d tokens or unknown ones",
                        ACE_MAX_TEMPLATE_TOKENS);
    }
    ids[(*n)++] = id;
    return ACESTEP_OK;
}

/* The list "single" of TemplateProcessing: special tokens around the sequence A. */
static ace_status read_template(ace_tokenizer *t, ace_json_reader list, ace_error *err)
{
    bool after = false;
    ace_status status = ACESTEP_OK;
    if (!ace_json_enter_array(&list)) {
        return bad_json(&list, err);
    }
    while (status == ACESTEP_OK && ace_json_next_item(&list)) {
        ace_json_reader piece;
        ace_json_string name;
        if (find_member(list, "SpecialToken", &piece)) {
            status = find_member(piece, "id", &piece) && ace_json_read_string(&piece, &name)
                         ? add_template_token(t, name, after, err)
                         : bad_json(&piece, err);
        } else {
            after = true;
        }
        (void)ace_json_skip(&list);
    }
    return status == ACESTEP_OK && list.failed ? bad_json(&list, err) : status;
}

static ace_status read_processor(ace_tokenizer *t, ace_json_reader reader, ace_error *err)
{
    ace_json_reader single;
    if (member_is_string(reader, "type", "ByteLevel")) {
        return ACESTEP_OK; /* trims offsets, which do not exist here */
    }
    if (member_is_string(reader, "type", "TemplateProcessing") &&
        find_member(reader, "single", &single)) {
        return read_template(t, single, err);
    }
    return unsupported(err, "post_processor");
}

static ace_status read_post_processor(ace_tokenizer *t, ace_json_reader reader, ace_error *err)
{
    ace_json_reader list;
    ace_status status = ACESTEP_OK;
    if (!is_present(&reader)) {
        return ACESTEP_OK;
    }
    if (!member_is_string(reader, "type", "Sequence")) {
        return read_processor(t, reader, err);
    }
    if (!find_member(reader, "processors", &list) || !ace_json_enter_array(&list)) {
        return bad_json(&reader, err);
    }
    while (status == ACESTEP_OK && ace_json_next_item(&list)) {
        status = read_processor(t, list, err);
        (void)ace_json_skip(&list);
    }
    return status == ACESTEP_OK && list.failed ? bad_json(&list, err) : status;
}

static ace_status read_all(ace_tokenizer *t, const json_parts *parts, ace_text_buffer scratch[2],
                           ace_error *err)
{
    ace_json_reader type = parts->type;
    ace_json_string name;
    if (is_present(&type) &&
        !(ace_json_read_string(&type, &name) && ace_json_equals(name, "BPE"))) {
        return unsupported(err, "model");
    }
    ace_status status = read_vocab(t, parts->vocab, scratch, err);
    if (status == ACESTEP_OK) {
        status = read_added_tokens(t, parts->added_tokens, scratch, err);
    }
    if (status == ACESTEP_OK) {
        status = ace_tokenizer_index_tokens(t, err);
    }
    if (status == ACESTEP_OK) {
        status = read_merges(t, parts->merges, scratch, err);
    }
    if (status == ACESTEP_OK) {
        status = ace_bpe_index(&t->bpe, err);
    }
    if (status == ACESTEP_OK) {
        status = read_normalizer(t, parts->normalizer, err);
    }
    if (status == ACESTEP_OK) {
        status = read_pre_tokenizer(t, parts->pre_tokenizer, scratch, err);
    }
    return status == ACESTEP_OK ? read_post_processor(t, parts->post_processor, err) : status;
}

ace_status ace_tokenizer_parse(const char *json, size_t bytes, const char *name,
                               ace_tokenizer **out, ace_error *err)
{
    *out = NULL;
    ace_error reason = {.code = ACESTEP_OK};
    ace_tokenizer *t = ace_tokenizer_create(&reason);
    ace_json_reader reader;
    json_parts parts = {.type = {.begin = NULL}};
    ace_json_init(&reader, json, bytes);
    ace_status status = t != NULL ? locate(&reader, &parts, &reason) : ACESTEP_MEMORY;
    if (status == ACESTEP_OK) {
        ace_text_buffer scratch[2] = {{.data = NULL}, {.data = NULL}};
        status = read_all(t, &parts, scratch, &reason);
        ace_text_free(&scratch[0]);
        ace_text_free(&scratch[1]);
    }
    if (status != ACESTEP_OK) {
        ace_tokenizer_free(t);
        return ace_fail(err, status, "%s: %s", name, reason.message);
    }
    *out = t;
    return ACESTEP_OK;
}
