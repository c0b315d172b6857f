/* Tokenizers from the files of a model folder and from the arrays of a GGUF file. */
#include "base/file_map.h"
#include "base/memory.h"
#include "text/json_reader.h"
#include "text/tokenizer_parts.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum { MAX_PATH_BYTES = 4096 };

static ace_status join_path(char path[MAX_PATH_BYTES], const char *folder, const char *file,
                            ace_error *err)
{
    int n = snprintf(path, MAX_PATH_BYTES, "%s/%s", folder, file);
    return n > 0 && n < MAX_PATH_BYTES
               ? ACESTEP_OK
               : ace_fail(err, ACESTEP_IO, "%.200s...: the path is too long", folder);
}

/* What is done with the text of one file. Messages need not name it. */
typedef ace_status file_use(ace_tokenizer *t, const char *text, size_t bytes, ace_error *err);

static ace_status use_file(ace_tokenizer *t, const char *folder, const char *name, file_use *use,
                           ace_error *err)
{
    char path[MAX_PATH_BYTES];
    ace_file file;
    ace_status status = join_path(path, folder, name, err);
    if (status == ACESTEP_OK) {
        status = ace_file_open(path, &file, err);
    }
    if (status != ACESTEP_OK) {
        return status;
    }
    ace_error reason = {.code = ACESTEP_OK};
    status = use(t, (const char *)file.data, file.bytes, &reason);
    ace_file_close(&file);
    return status == ACESTEP_OK ? ACESTEP_OK
                                : ace_fail(err, status, "%s: %s", path, reason.message);
}

static bool has_file(const char *folder, const char *name)
{
    char path[MAX_PATH_BYTES];
    return join_path(path, folder, name, NULL) == ACESTEP_OK && ace_file_exists(path);
}

typedef ace_status add_token(ace_tokenizer *t, int64_t id, const char *data, size_t bytes,
                             ace_error *err);

static ace_status add_added_token(ace_tokenizer *t, int64_t id, const char *data, size_t bytes,
                                  ace_error *err)
{
    return ace_added_tokens_add(&t->added, &t->vocabulary, id, data, bytes, err);
}

/* An object of token: id. */
static ace_status read_ids(ace_tokenizer *t, const char *text, size_t bytes, add_token *add,
                           ace_error *err)
{
    ace_json_reader reader;
    ace_json_string key;
    ace_text_buffer token = {.data = NULL};
    ace_status status = ACESTEP_OK;
    ace_json_init(&reader, text, bytes);
    (void)ace_json_enter_object(&reader);
    while (status == ACESTEP_OK && ace_json_next_key(&reader, &key)) {
        int64_t id = 0;
        token.bytes = 0;
        char *room = ace_text_reserve(&token, key.bytes);
        if (room == NULL) {
            status = ace_fail(err, ACESTEP_MEMORY, "out of memory for a token");
        } else if (ace_json_read_integer(&reader, &id)) {
            status = add(t, id, room, ace_json_unescape(key, room), err);
        }
    }
    ace_text_free(&token);
    if (status == ACESTEP_OK && !ace_json_at_end(&reader)) {
        return ace_fail(err, ACESTEP_MODEL, "unexpected JSON at byte %zu",
                        ace_json_offset(&reader));
    }
    return status;
}

static ace_status read_vocab_json(ace_tokenizer *t, const char *text, size_t bytes, ace_error *err)
{
    return read_ids(t, text, bytes, ace_tokenizer_add_token, err);
}

static ace_status read_added_tokens_json(ace_tokenizer *t, const char *text, size_t bytes,
                                         ace_error *err)
{
    return read_ids(t, text, bytes, add_added_token, err);
}

/* One merge a line; the first line may be a comment with the version. */
static ace_status read_merges_txt(ace_tokenizer *t, const char *text, size_t bytes, ace_error *err)
{
    static const char version[] = "#version";
    ace_status status = ACESTEP_OK;
    size_t at = 0;
    while (at < bytes && status == ACESTEP_OK) {
        const char *line = text + at;
        const char *end = memchr(line, '\n', bytes - at);
        size_t length = end != NULL ? (size_t)(end - line) : bytes - at;
        bool comment = at == 0 && length >= sizeof version - 1 &&
                       memcmp(line, version, sizeof version - 1) == 0;
        at += length + 1;
        if (length > 0 && line[length - 1] == '\r') {
            length--;
        }
        if (length > 0 && !comment) {
            status = ace_tokenizer_add_merge_line(t, line, length, err);
        }
    }
    return status;
}

static ace_status use_qwen2_pattern(ace_tokenizer *t, ace_error *err)
{
    return ace_pre_tokenizer_create(ace_qwen2_pattern, strlen(ace_qwen2_pattern), &t->pre_tokenizer,
                                    err);
}

static ace_status read_folder(ace_tokenizer *t, const char *folder, ace_error *err)
{
    ace_status status = use_file(t, folder, "vocab.json", read_vocab_json, err);
    if (status == ACESTEP_OK) {
        status = has_file(folder, "added_tokens.json")
                     ? use_file(t, folder, "added_tokens.json", read_added_tokens_json, err)
                     : ace_tokenizer_add_published(t, t->vocabulary.size, 0, err);
    }
    if (status == ACESTEP_OK) {
        status = ace_tokenizer_index_tokens(t, err);
    }
    if (status == ACESTEP_OK) {
        status = use_file(t, folder, "merges.txt", read_merges_txt, err);
    }
    if (status == ACESTEP_OK) {
        status = ace_bpe_index(&t->bpe, err);
    }
    return status == ACESTEP_OK ? use_qwen2_pattern(t, err) : status;
}

/* Hands the tokenizer over, or frees it and gives the reason with the name in front. */
static ace_status deliver(ace_tokenizer *t, ace_status status, const char *name,
                          const ace_error *reason, ace_tokenizer **out, ace_error *err)
{
    if (status == ACESTEP_OK) {
        *out = t;
        return ACESTEP_OK;
    }
    ace_tokenizer_free(t);
    bool named = strncmp(reason->message, name, strlen(name)) == 0;
    return ace_fail(err, status, "%s%s%s", named ? "" : name, named ? "" : ": ", reason->message);
}

ace_status ace_tokenizer_open_vocabulary(const char *folder, ace_tokenizer **out, ace_error *err)
{
    *out = NULL;
    ace_error reason = {.code = ACESTEP_OK};
    ace_tokenizer *t = ace_tokenizer_create(&reason);
    ace_status status = t != NULL ? read_folder(t, folder, &reason) : ACESTEP_MEMORY;
    return deliver(t, status, folder, &reason, out, err);
}

ace_status ace_tokenizer_open(const char *folder, ace_tokenizer **out, ace_error *err)
{
    *out = NULL;
    if (!has_file(folder, "tokenizer.json")) {
        return ace_tokenizer_open_vocabulary(folder, out, err);
    }
    char path[MAX_PATH_BYTES];
    ace_file file;
    ace_status status = join_path(path, folder, "tokenizer.json", err);
    if (status == ACESTEP_OK) {
        status = ace_file_open(path, &file, err);
    }
    if (status == ACESTEP_OK) {
        status = ace_tokenizer_parse((const char *)file.data, file.bytes, path, out, err);
        ace_file_close(&file);
    }
    return status;
}

static ace_status read_arrays(ace_tokenizer *t, const ace_tokenizer_arrays *a, ace_error *err)
{
    ace_status status = ACESTEP_OK;
    for (int64_t id = 0; id < a->n_tokens && status == ACESTEP_OK; id++) {
        status = ace_tokenizer_add_token(t, id, a->tokens[id].data, a->tokens[id].bytes, err);
    }
    if (status == ACESTEP_OK) {
        status = ace_tokenizer_add_published(t, a->n_tokens, a->vocabulary, err);
    }
    if (status == ACESTEP_OK) {
        status = ace_tokenizer_index_tokens(t, err);
    }
    for (int64_t i = 0; i < a->n_merges && status == ACESTEP_OK; i++) {
        status = ace_tokenizer_add_merge_line(t, a->merges[i].data, a->merges[i].bytes, err);
    }
    if (status == ACESTEP_OK) {
        status = ace_bpe_index(&t->bpe, err);
    }
    return status == ACESTEP_OK ? use_qwen2_pattern(t, err) : status;
}

ace_status ace_tokenizer_from_arrays(const ace_tokenizer_arrays *arrays, const char *name,
                                     ace_tokenizer **out, ace_error *err)
{
    *out = NULL;
    ace_error reason = {.code = ACESTEP_OK};
    ace_tokenizer *t = ace_tokenizer_create(&reason);
    ace_status status = t != NULL ? read_arrays(t, arrays, &reason) : ACESTEP_MEMORY;
    return deliver(t, status, name, &reason, out, err);
}
