#include "text/tokenizer_parts.h"

#include "base/memory.h"
#include "text/byte_alphabet.h"

#include <stdio.h>
#include <string.h>

/* In the published order, ids 151643 to 151668 of Qwen3 (its added_tokens.json). */
static const char *const qwen3_added_tokens[ACE_QWEN3_ADDED_TOKENS] = {"<|endoftext|>",
                                                                       "<|im_start|>",
                                                                       "<|im_end|>",
                                                                       "<|object_ref_start|>",
                                                                       "<|object_ref_end|>",
                                                                       "<|box_start|>",
                                                                       "<|box_end|>",
                                                                       "<|quad_start|>",
                                                                       "<|quad_end|>",
                                                                       "<|vision_start|>",
                                                                       "<|vision_end|>",
                                                                       "<|vision_pad|>",
                                                                       "<|image_pad|>",
                                                                       "<|video_pad|>",
                                                                       "<tool_call>",
                                                                       "</tool_call>",
                                                                       "<|fim_prefix|>",
                                                                       "<|fim_middle|>",
                                                                       "<|fim_suffix|>",
                                                                       "<|fim_pad|>",
                                                                       "<|repo_name|>",
                                                                       "<|file_sep|>",
                                                                       "<tool_response>",
                                                                       "</tool_response>",
                                                                       "<think>",
                                                                       "</think>"};

/* The bytes of a spelled token; short ones, nearly all, in the given room, others on the heap. */
typedef struct spelled {
    char room[256];
    char *data;
    size_t bytes;
} spelled;

static bool spelled_decode(spelled *s, const char *spelling, size_t bytes)
{
    s->data = bytes <= sizeof s->room ? s->room : ace_malloc_array(bytes, 1);
    if (s->data != NULL) {
        s->bytes = ace_byte_alphabet_decode(spelling, bytes, s->data);
    }
    return s->data != NULL;
}

static void spelled_free(spelled *s)
{
    if (s->data != s->room) {
        ace_free(s->data);
    }
}

ace_tokenizer *ace_tokenizer_create(ace_error *err)
{
    ace_tokenizer *t = ace_calloc(1, sizeof *t);
    if (t == NULL) {
        (void)ace_fail(err, ACESTEP_MEMORY, "out of memory for the tokenizer");
        return NULL;
    }
    t->normalize = true;
    return t;
}

ace_status ace_tokenizer_add_token(ace_tokenizer *t, int64_t id, const char *spelling, size_t bytes,
                                   ace_error *err)
{
    spelled token = {.data = NULL};
    if (!spelled_decode(&token, spelling, bytes)) {
        return ace_fail(err, ACESTEP_MEMORY, "out of memory for a token of %zu bytes", bytes);
    }
    ace_status status = ace_vocabulary_add(&t->vocabulary, id, token.data, token.bytes, err);
    spelled_free(&token);
    return status;
}

ace_status ace_tokenizer_add_published(ace_tokenizer *t, int64_t first_id, int64_t vocabulary,
                                       ace_error *err)
{
    ace_status status = ACESTEP_OK;
    for (int i = 0; i < ACE_QWEN3_ADDED_TOKENS && status == ACESTEP_OK; i++) {
        const char *name = qwen3_added_tokens[i];
        status =
            ace_added_tokens_add(&t->added, &t->vocabulary, first_id + i, name, strlen(name), err);
    }
    int64_t first_code = first_id + ACE_QWEN3_ADDED_TOKENS;
    for (int64_t id = first_code; id < vocabulary && status == ACESTEP_OK; id++) {
        char name[48];
        int n = snprintf(name, sizeof name, "<|audio_code_%lld|>", (long long)(id - first_code));
        status = ace_added_tokens_add(&t->added, &t->vocabulary, id, name, (size_t)n, err);
    }
    return status;
}

ace_status ace_tokenizer_index_tokens(ace_tokenizer *t, ace_error *err)
{
    ace_status status = ace_vocabulary_index(&t->vocabulary, err);
    if (status != ACESTEP_OK) {
        return status;
    }
    ace_added_tokens_index(&t->added, &t->vocabulary);
    for (int byte = 0; byte < 256; byte++) {
        char text = (char)byte;
        t->bpe.byte_ids[byte] = ace_vocabulary_find(&t->vocabulary, &text, 1, "", 0);
        if (t->bpe.byte_ids[byte] == ACE_NO_TOKEN) {
            return ace_fail(err, ACESTEP_MODEL, "the vocabulary has no token for the byte %02X",
                            (unsigned)byte);
        }
    }
    return ACESTEP_OK;
}

static ace_status add_decoded_merge(ace_tokenizer *t, const spelled *left, const spelled *right,
                                    ace_error *err)
{
    const ace_vocabulary *v = &t->vocabulary;
    ace_bpe_merge merge = {
        ace_vocabulary_find(v, left->data, left->bytes, "", 0),
        ace_vocabulary_find(v, right->data, right->bytes, "", 0),
        ace_vocabulary_find(v, left->data, left->bytes, right->data, right->bytes)};
    if (merge.left == ACE_NO_TOKEN || merge.right == ACE_NO_TOKEN || merge.merged == ACE_NO_TOKEN) {
        return ace_fail(err, ACESTEP_MODEL, "merge %zu has a part that is not in the vocabulary",
                        t->bpe.n_merges);
    }
    return ace_bpe_add(&t->bpe, merge, err);
}

ace_status ace_tokenizer_add_merge(ace_tokenizer *t, const char *left, size_t left_bytes,
                                   const char *right, size_t right_bytes, ace_error *err)
{
    spelled a = {.data = NULL};
    spelled b = {.data = NULL};
    ace_status status = ACESTEP_OK;
    if (spelled_decode(&a, left, left_bytes) && spelled_decode(&b, right, right_bytes)) {
        status = add_decoded_merge(t, &a, &b, err);
    } else {
        status = ace_fail(err, ACESTEP_MEMORY, "out of memory for a merge");
    }
    spelled_free(&a);
    spelled_free(&b);
    return status;
}

ace_status ace_tokenizer_add_merge_line(ace_tokenizer *t, const char *line, size_t bytes,
                                        ace_error *err)
{
    const char *space = bytes > 0 ? memchr(line, ' ', bytes) : NULL;
    size_t left = space != NULL ? (size_t)(space - line) : 0;
    if (left == 0 || left + 1 == bytes || memchr(space + 1, ' ', bytes - left - 1) != NULL) {
        return ace_fail(err, ACESTEP_MODEL, "merge %zu is not two tokens with a space between",
                        t->bpe.n_merges);
    }
    return ace_tokenizer_add_merge(t, line, left, space + 1, bytes - left - 1, err);
}
