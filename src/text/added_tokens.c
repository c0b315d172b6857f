#include "text/added_tokens.h"

#include "base/memory.h"

#include <stdlib.h>
#include <string.h>

ace_status ace_added_tokens_add(ace_added_tokens *added, ace_vocabulary *vocabulary, int64_t id,
                                const char *data, size_t bytes, ace_error *err)
{
    if (bytes == 0 || bytes > ACE_MAX_ADDED_TOKEN_BYTES) {
        return ace_fail(err, ACESTEP_MODEL, "an added token has %zu bytes; 1 to %d are possible",
                        bytes, ACE_MAX_ADDED_TOKEN_BYTES);
    }
    ace_status status = ace_vocabulary_add(vocabulary, id, data, bytes, err);
    if (status != ACESTEP_OK) {
        return status;
    }
    if (added->n == added->capacity) {
        size_t capacity = added->capacity != 0 ? added->capacity * 2 : 64;
        ace_added_token *grown = ace_realloc_array(added->tokens, capacity, sizeof *grown);
        if (grown == NULL) {
            return ace_fail(err, ACESTEP_MEMORY, "out of memory for the added tokens");
        }
        added->tokens = grown;
        added->capacity = capacity;
    }
    added->tokens[added->n++] = (ace_added_token){NULL, (uint32_t)bytes, (int32_t)id};
    return ACESTEP_OK;
}

static int by_bytes(const void *a, const void *b)
{
    const ace_added_token *x = a;
    const ace_added_token *y = b;
    int order = memcmp(x->data, y->data, x->bytes < y->bytes ? x->bytes : y->bytes);
    if (order != 0) {
        return order;
    }
    if (x->bytes != y->bytes) {
        return x->bytes < y->bytes ? -1 : 1;
    }
    return (x->id > y->id) - (x->id < y->id);
}

void ace_added_tokens_index(ace_added_tokens *added, const ace_vocabulary *vocabulary)
{
    for (size_t i = 0; i < added->n; i++) {
        size_t bytes = 0;
        added->tokens[i].data = ace_vocabulary_bytes(vocabulary, added->tokens[i].id, &bytes);
        added->starts[(unsigned char)added->tokens[i].data[0]] = true;
    }
    if (added->n > 1) {
        qsort(added->tokens, added->n, sizeof *added->tokens, by_bytes);
    }
}

/* The first of tokens [low, high), which agree before position depth, whose byte there is at least
 * the given one. A token that ends before depth sorts below every byte. */
static size_t lower_bound(const ace_added_tokens *added, size_t low, size_t high, size_t depth,
                          int byte)
{
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        const ace_added_token *token = &added->tokens[middle];
        int here = depth < token->bytes ? (unsigned char)token->data[depth] : -1;
        if (here < byte) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

/* The longest token that the text begins with. The sorted list serves as a trie: each further byte
 * narrows the range of tokens that agree so far. */
static const ace_added_token *longest_prefix(const ace_added_tokens *added, const char *text,
                                             size_t bytes)
{
    const ace_added_token *longest = NULL;
    size_t low = 0;
    size_t high = added->n;
    for (size_t depth = 0; depth < bytes && low < high; depth++) {
        int byte = (unsigned char)text[depth];
        low = lower_bound(added, low, high, depth, byte);
        high = lower_bound(added, low, high, depth, byte + 1);
        if (low < high && added->tokens[low].bytes == depth + 1) {
            longest = &added->tokens[low];
        }
    }
    return longest;
}

const ace_added_token *ace_added_tokens_find(const ace_added_tokens *added, const char *text,
                                             size_t bytes, size_t *start)
{
    for (size_t i = 0; i < bytes; i++) {
        if (!added->starts[(unsigned char)text[i]]) {
            continue;
        }
        const ace_added_token *token = longest_prefix(added, text + i, bytes - i);
        if (token != NULL) {
            *start = i;
            return token;
        }
    }
    return NULL;
}

int32_t ace_added_tokens_id(const ace_added_tokens *added, const char *text, size_t bytes)
{
    const ace_added_token *token = longest_prefix(added, text, bytes);
    return token != NULL && token->bytes == bytes ? token->id : ACE_NO_TOKEN;
}

void ace_added_tokens_free(ace_added_tokens *added)
{
    ace_free(added->tokens);
    memset(added, 0, sizeof *added);
}
