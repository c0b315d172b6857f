#include "text/tokenizer.h"

#include "base/memory.h"
#include "text/normalize.h"
#include "text/tokenizer_parts.h"
#include "text/utf8.h"

#include <inttypes.h>
#include <string.h>

/* Offsets of the merge queue are 32 bits wide; a song's text is a thousandth of this. */
enum { MAX_TEXT_BYTES = 256 << 20 };

/* State of one call to encode. */
typedef struct encoder {
    const ace_tokenizer *tokenizer;
    ace_bpe_scratch scratch;
    ace_text_buffer normalized;
    int32_t *ids; /* [capacity] */
    size_t n, capacity;
    size_t limit; /* ids wanted at most */
} encoder;

static ace_status encoder_reserve(encoder *e, size_t more, ace_error *err)
{
    if (more <= e->capacity - e->n) {
        return ACESTEP_OK;
    }
    size_t capacity = e->capacity * 2 > e->n + more ? e->capacity * 2 : e->n + more;
    int32_t *grown = ace_realloc_array(e->ids, capacity, sizeof *grown);
    if (grown == NULL) {
        return ace_fail(err, ACESTEP_MEMORY, "out of memory for %zu token ids", capacity);
    }
    e->ids = grown;
    e->capacity = capacity;
    return ACESTEP_OK;
}

static bool is_full(const encoder *e)
{
    return e->n >= e->limit;
}

static ace_status encode_word(void *context, const char *word, size_t bytes, ace_error *err)
{
    encoder *e = context;
    if (is_full(e)) {
        return ACESTEP_CANCELLED; /* tells the splitter to stop; never leaves encode_segment */
    }
    ace_status status = encoder_reserve(e, bytes, err);
    if (status != ACESTEP_OK) {
        return status;
    }
    size_t n = 0;
    status = ace_bpe_encode(&e->tokenizer->bpe, &e->scratch, word, bytes, e->ids + e->n, &n, err);
    e->n += n;
    return status;
}

/* A piece of text without added tokens. */
static ace_status encode_segment(encoder *e, const char *text, size_t bytes, ace_error *err)
{
    if (e->tokenizer->normalize && !ace_nfc_is_trivial(text, bytes)) {
        e->normalized.bytes = 0;
        ace_status status = ace_nfc_append(&e->normalized, text, bytes, err);
        if (status != ACESTEP_OK) {
            return status;
        }
        text = e->normalized.data;
        bytes = e->normalized.bytes;
    }
    ace_status status =
        ace_pre_tokenizer_split(e->tokenizer->pre_tokenizer, text, bytes, encode_word, e, err);
    return status == ACESTEP_CANCELLED ? ACESTEP_OK : status;
}

static ace_status encode_valid(encoder *e, const char *text, size_t bytes, ace_error *err)
{
    ace_status status = ACESTEP_OK;
    while (bytes > 0 && !is_full(e) && status == ACESTEP_OK) {
        size_t start = bytes;
        const ace_added_token *token =
            ace_added_tokens_find(&e->tokenizer->added, text, bytes, &start);
        if (start > 0) {
            status = encode_segment(e, text, start, err);
        }
        if (token != NULL && status == ACESTEP_OK) {
            status = encoder_reserve(e, 1, err);
            if (status == ACESTEP_OK) {
                e->ids[e->n++] = token->id;
            }
            start += token->bytes;
        }
        text += start;
        bytes -= start;
    }
    return status;
}

static ace_status encode_any(encoder *e, const char *text, size_t bytes, ace_error *err)
{
    if (ace_utf8_valid(text, bytes)) {
        return encode_valid(e, text, bytes, err);
    }
    ace_text_buffer repaired = {0};
    ace_utf8_append_repaired(&repaired, text, bytes);
    ace_status status = repaired.failed ? ace_fail(err, ACESTEP_MEMORY,
                                                   "out of memory for %zu bytes of text", bytes)
                                        : encode_valid(e, repaired.data, repaired.bytes, err);
    ace_text_free(&repaired);
    return status;
}

/* Puts the template's ids around what the encoder has. */
static ace_status finish(encoder *e, const ace_token_template *around, ace_tokens *out,
                         ace_error *err)
{
    size_t before = (size_t)around->n_before;
    size_t after = (size_t)around->n_after;
    e->n = is_full(e) ? e->limit : e->n;
    ace_status status = encoder_reserve(e, before + after + 1, err);
    if (status != ACESTEP_OK) {
        return status;
    }
    memmove(e->ids + before, e->ids, e->n * sizeof *e->ids);
    memcpy(e->ids, around->before, before * sizeof *e->ids);
    memcpy(e->ids + before + e->n, around->after, after * sizeof *e->ids);
    out->n = (int64_t)(before + e->n + after);
    out->ids = e->ids;
    e->ids = NULL;
    return ACESTEP_OK;
}

ace_status ace_tokenizer_encode(const ace_tokenizer *t, const char *text, size_t bytes,
                                int64_t max_tokens, ace_tokens *out, ace_error *err)
{
    *out = (ace_tokens){NULL, 0};
    int64_t reserved = t->around.n_before + t->around.n_after;
    if (max_tokens < 0 || (max_tokens > 0 && max_tokens < reserved)) {
        return ace_fail(err, ACESTEP_ARGUMENT,
                        "%" PRId64 " tokens are too few: the tokenizer itself adds %" PRId64,
                        max_tokens, reserved);
    }
    if (bytes > MAX_TEXT_BYTES) {
        return ace_fail(err, ACESTEP_ARGUMENT, "%zu bytes of text are too many; the limit is %d",
                        bytes, MAX_TEXT_BYTES);
    }
    encoder e = {.tokenizer = t,
                 .limit = max_tokens > 0 ? (size_t)(max_tokens - reserved) : SIZE_MAX};
    ace_status status = encode_any(&e, text, bytes, err);
    if (status == ACESTEP_OK) {
        status = finish(&e, &t->around, out, err);
    }
    ace_bpe_scratch_free(&e.scratch);
    ace_text_free(&e.normalized);
    ace_free(e.ids);
    return status;
}

ace_status ace_tokenizer_decode(const ace_tokenizer *t, const int32_t *ids, int64_t n, char **text,
                                size_t *bytes, ace_error *err)
{
    *text = NULL;
    ace_text_buffer raw = {0};
    for (int64_t i = 0; i < n; i++) {
        size_t length = 0;
        const char *token = ace_vocabulary_bytes(&t->vocabulary, ids[i], &length);
        if (token != NULL) {
            ace_text_append(&raw, token, length);
        }
    }
    ace_text_buffer repaired = {0};
    ace_utf8_append_repaired(&repaired, raw.data, raw.bytes);
    repaired.failed |= raw.failed;
    ace_text_free(&raw);
    if (bytes != NULL) {
        *bytes = repaired.bytes;
    }
    *text = ace_text_take(&repaired);
    return *text != NULL ? ACESTEP_OK
                         : ace_fail(err, ACESTEP_MEMORY,
                                    "out of memory for the text of %" PRId64 " tokens", n);
}

const char *ace_tokenizer_token_bytes(const ace_tokenizer *t, int32_t id, size_t *bytes)
{
    return ace_vocabulary_bytes(&t->vocabulary, id, bytes);
}

int32_t ace_tokenizer_token_id(const ace_tokenizer *t, const char *token)
{
    size_t bytes = strlen(token);
    int32_t id = ace_added_tokens_id(&t->added, token, bytes);
    return id != ACE_NO_TOKEN ? id : ace_vocabulary_find(&t->vocabulary, token, bytes, "", 0);
}

int64_t ace_tokenizer_vocabulary_size(const ace_tokenizer *t)
{
    return t->vocabulary.size;
}

ace_status ace_tokenizer_require_suffix(ace_tokenizer *t, const char *token, ace_error *err)
{
    if (t->around.n_after > 0) {
        return ACESTEP_OK;
    }
    int32_t id = ace_tokenizer_token_id(t, token);
    if (id == ACE_NO_TOKEN) {
        return ace_fail(err, ACESTEP_MODEL, "the tokenizer has no token %s", token);
    }
    t->around.after[t->around.n_after++] = id;
    return ACESTEP_OK;
}

void ace_tokens_free(ace_tokens *tokens)
{
    ace_free(tokens->ids);
    *tokens = (ace_tokens){NULL, 0};
}

void ace_tokenizer_free(ace_tokenizer *t)
{
    if (t != NULL) {
        ace_vocabulary_free(&t->vocabulary);
        ace_added_tokens_free(&t->added);
        ace_bpe_free(&t->bpe);
        ace_pre_tokenizer_free(t->pre_tokenizer);
        ace_free(t);
    }
}
