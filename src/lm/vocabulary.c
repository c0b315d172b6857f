#include "lm/vocabulary.h"

#include "base/memory.h"

#include <stdio.h>
#include <string.h>

static ace_status find(const ace_lm_vocabulary *v, const char *token, int32_t *id, ace_error *err)
{
    *id = ace_tokenizer_token_id(v->tokenizer, token);
    if (*id < 0 || *id >= v->size) {
        return ace_fail(err, ACESTEP_MODEL,
                        "language model: its vocabulary of %lld has no token \"%s\"",
                        (long long)v->size, strcmp(token, "\n") == 0 ? "\\n" : token);
    }
    return ACESTEP_OK;
}

static bool is_code(const ace_lm_vocabulary *v, int64_t id, const char *name)
{
    size_t n = 0;
    const char *bytes =
        id < v->size ? ace_tokenizer_token_bytes(v->tokenizer, (int32_t)id, &n) : NULL;
    return bytes != NULL && n == strlen(name) && memcmp(bytes, name, n) == 0;
}

/* As many as the codebook has, or, as in the original, as many as there are. Tokens are looked at
 * where they should be: to look all of them up by name would take longer than all else here. */
static ace_status find_codes(ace_lm_vocabulary *v, int64_t codebook, ace_error *err)
{
    char name[40];
    ace_status status = find(v, "<|audio_code_0|>", &v->first_code, err);
    if (status != ACESTEP_OK) {
        return status;
    }
    for (v->codes = 1; v->codes < codebook; v->codes++) {
        (void)snprintf(name, sizeof name, "<|audio_code_%lld|>", (long long)v->codes);
        if (!is_code(v, v->first_code + v->codes, name)) {
            int32_t elsewhere = ace_tokenizer_token_id(v->tokenizer, name);
            return elsewhere < 0 || elsewhere >= v->size
                       ? ACESTEP_OK
                       : ace_fail(err, ACESTEP_MODEL,
                                  "language model: its audio codes are not in a row");
        }
    }
    return ACESTEP_OK;
}

static uint8_t kind_of(const char *bytes, size_t n)
{
    uint8_t kind = ACE_LM_TOKEN_TEXT;
    kind |= memchr(bytes, '`', n) != NULL ? ACE_LM_TOKEN_BACKTICK : 0;
    kind |= memchr(bytes, '\n', n) != NULL ? ACE_LM_TOKEN_LINE_FEED : 0;
    kind |= bytes[0] == ' ' || bytes[0] == '\t' ? ACE_LM_TOKEN_BLANK_START : 0;
    return kind;
}

/* Added tokens follow the base vocabulary, <|endoftext|> first: everything before it is text. */
static ace_status sort_tokens(ace_lm_vocabulary *v, ace_error *err)
{
    v->kind = ace_calloc((size_t)v->size, sizeof *v->kind);
    if (v->kind == NULL) {
        return ace_fail(err, ACESTEP_MEMORY, "language model: no host memory");
    }
    for (int32_t id = 0; id < v->pad; id++) {
        size_t n = 0;
        const char *bytes = ace_tokenizer_token_bytes(v->tokenizer, id, &n);
        v->kind[id] = bytes != NULL && n > 0 ? kind_of(bytes, n) : 0;
    }
    return ACESTEP_OK;
}

ace_status ace_lm_vocabulary_open(const ace_tokenizer *tokenizer, int64_t size, int64_t codebook,
                                  ace_lm_vocabulary *out, ace_error *err)
{
    *out = (ace_lm_vocabulary){.tokenizer = tokenizer, .size = size};
    ace_status status = find(out, "<|endoftext|>", &out->pad, err);
    if (status == ACESTEP_OK) {
        status = find(out, "<|im_end|>", &out->end, err);
    }
    if (status == ACESTEP_OK) {
        status = find(out, "\n", &out->line_feed, err);
    }
    if (status == ACESTEP_OK) {
        status = find_codes(out, codebook, err);
    }
    return status == ACESTEP_OK ? sort_tokens(out, err) : status;
}

void ace_lm_vocabulary_close(ace_lm_vocabulary *v)
{
    ace_free(v->kind);
    memset(v, 0, sizeof *v);
}

int64_t ace_lm_code_of(const ace_lm_vocabulary *v, int32_t id)
{
    int64_t code = (int64_t)id - v->first_code;
    return code >= 0 && code < v->codes ? code : -1;
}

void ace_lm_code_range(const ace_lm_vocabulary *v, int64_t *first, int64_t *count)
{
    int64_t last_code = v->first_code + v->codes - 1;
    *first = v->end < v->first_code ? v->end : v->first_code;
    *count = (v->end > last_code ? v->end : last_code) - *first + 1;
}
