#include "text/pre_tokenizer.h"

#include "base/memory.h"
#include "text/text_buffer.h"
#include "text/utf8.h"

#include <string.h>

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

/* Published with the Qwen2 and Qwen3 tokenizers (tokenizer.json, pre_tokenizer). */
const char ace_qwen2_pattern[] = "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}"
                                 "| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+";

enum {
    MAX_PATTERN_BYTES = 4096,
    /* Backtracking steps allowed for one match: the honest pattern backtracks a few times over the
     * white space ahead of it, so the budget grows with the text; a hostile pattern stops soon. */
    MATCH_LIMIT_BASE = 10000,
    MATCH_LIMIT_PER_BYTE = 16,
    HEAP_LIMIT_KIB = 65536
};

struct ace_pre_tokenizer {
    pcre2_general_context *general;
    pcre2_code *code;
};

static void *allocate(size_t bytes, void *context)
{
    (void)context;
    return ace_malloc_array(bytes, 1);
}

static void release(void *block, void *context)
{
    (void)context;
    ace_free(block);
}

/* \s of the original's regex engine is the Unicode property White_Space; PCRE2's \s also takes
 * U+180E, which left that property in Unicode 6.3. Mongolian text has it inside of words. */
static void append_with_white_space(ace_text_buffer *out, const char *pattern, size_t bytes)
{
    for (size_t i = 0; i < bytes; i++) {
        bool pair = pattern[i] == '\\' && i + 1 < bytes;
        if (pair && pattern[i + 1] == 's') {
            ace_text_append_string(out, "\\p{White_Space}");
            i++;
        } else if (pair && pattern[i + 1] == 'S') {
            ace_text_append_string(out, "\\P{White_Space}");
            i++;
        } else {
            ace_text_append(out, pattern + i, pair ? 2 : 1);
            i += pair ? 1 : 0;
        }
    }
}

static ace_status compile(ace_pre_tokenizer *p, const char *pattern, size_t bytes, ace_error *err)
{
    pcre2_compile_context *limits = pcre2_compile_context_create(p->general);
    if (limits == NULL) {
        return ace_fail(err, ACESTEP_MEMORY, "out of memory for the pre-tokenizer");
    }
    pcre2_set_max_pattern_length(limits, MAX_PATTERN_BYTES);
    int code = 0;
    size_t offset = 0;
    p->code =
        pcre2_compile((PCRE2_SPTR)pattern, bytes, PCRE2_UTF | PCRE2_UCP | PCRE2_NEVER_BACKSLASH_C,
                      &code, &offset, limits);
    pcre2_compile_context_free(limits);
    if (p->code == NULL) {
        char reason[128] = "";
        (void)pcre2_get_error_message(code, (PCRE2_UCHAR *)reason, sizeof reason);
        ace_status status = code == PCRE2_ERROR_HEAP_FAILED ? ACESTEP_MEMORY : ACESTEP_MODEL;
        return ace_fail(err, status, "pre-tokenizer pattern, at byte %zu: %s", offset, reason);
    }
    /* Where code cannot be generated, the interpreter gives the same matches. */
    (void)pcre2_jit_compile(p->code, PCRE2_JIT_COMPLETE);
    return ACESTEP_OK;
}

ace_status ace_pre_tokenizer_create(const char *pattern, size_t bytes, ace_pre_tokenizer **out,
                                    ace_error *err)
{
    *out = NULL;
    if (bytes > MAX_PATTERN_BYTES || !ace_utf8_valid(pattern, bytes)) {
        return ace_fail(err, ACESTEP_MODEL, "pre-tokenizer pattern: not UTF-8 of at most %d bytes",
                        MAX_PATTERN_BYTES);
    }
    ace_pre_tokenizer *p = ace_calloc(1, sizeof *p);
    ace_text_buffer rewritten = {0};
    append_with_white_space(&rewritten, pattern, bytes);
    ace_status status = ACESTEP_OK;
    if (p != NULL) {
        p->general = pcre2_general_context_create(allocate, release, NULL);
    }
    if (p == NULL || p->general == NULL || rewritten.failed) {
        status = ace_fail(err, ACESTEP_MEMORY, "out of memory for the pre-tokenizer");
    } else {
        status = compile(p, rewritten.bytes != 0 ? rewritten.data : "", rewritten.bytes, err);
    }
    ace_text_free(&rewritten);
    if (status != ACESTEP_OK) {
        ace_pre_tokenizer_free(p);
        return status;
    }
    *out = p;
    return ACESTEP_OK;
}

void ace_pre_tokenizer_free(ace_pre_tokenizer *p)
{
    if (p != NULL) {
        pcre2_code_free(p->code);
        pcre2_general_context_free(p->general);
        ace_free(p);
    }
}

/* What one split works with. */
typedef struct splitter {
    const ace_pre_tokenizer *pre_tokenizer;
    const char *text;
    size_t bytes;
    pcre2_match_context *limits;
    pcre2_match_data *match;
} splitter;

static bool splitter_init(splitter *s)
{
    s->limits = pcre2_match_context_create(s->pre_tokenizer->general);
    s->match = pcre2_match_data_create(1, s->pre_tokenizer->general);
    if (s->limits == NULL || s->match == NULL) {
        return false;
    }
    uint64_t steps = MATCH_LIMIT_BASE + (uint64_t)s->bytes * MATCH_LIMIT_PER_BYTE;
    pcre2_set_match_limit(s->limits, steps < UINT32_MAX ? (uint32_t)steps : UINT32_MAX);
    pcre2_set_heap_limit(s->limits, HEAP_LIMIT_KIB);
    return true;
}

static int match_at(const splitter *s, size_t at)
{
    const uint32_t options = PCRE2_NO_UTF_CHECK | PCRE2_NOTEMPTY;
    PCRE2_SPTR text = (PCRE2_SPTR)s->text;
    const pcre2_code *code = s->pre_tokenizer->code;
    int rc = pcre2_match(code, text, s->bytes, at, options, s->match, s->limits);
    if (rc == PCRE2_ERROR_JIT_STACKLIMIT) {
        rc = pcre2_match(code, text, s->bytes, at, options | PCRE2_NO_JIT, s->match, s->limits);
    }
    return rc;
}

static ace_status match_failure(int rc, ace_error *err)
{
    char reason[128] = "";
    (void)pcre2_get_error_message(rc, (PCRE2_UCHAR *)reason, sizeof reason);
    return ace_fail(err, rc == PCRE2_ERROR_NOMEMORY ? ACESTEP_MEMORY : ACESTEP_MODEL,
                    "pre-tokenizer pattern: %s", reason);
}

static ace_status visit_words(const splitter *s, ace_word_visit *visit, void *context,
                              ace_error *err)
{
    ace_status status = ACESTEP_OK;
    size_t at = 0;
    while (at < s->bytes && status == ACESTEP_OK) {
        size_t start = s->bytes;
        size_t end = s->bytes;
        int rc = match_at(s, at);
        if (rc < 0 && rc != PCRE2_ERROR_NOMATCH) {
            return match_failure(rc, err);
        }
        if (rc >= 0) {
            const size_t *span = pcre2_get_ovector_pointer(s->match);
            start = span[0];
            end = span[1];
        }
        if (start < at || end < start || (start == end && rc >= 0)) {
            return ace_fail(err, ACESTEP_MODEL, "pre-tokenizer pattern: matches run backwards");
        }
        if (start > at) {
            status = visit(context, s->text + at, start - at, err);
        }
        if (end > start && status == ACESTEP_OK) {
            status = visit(context, s->text + start, end - start, err);
        }
        at = end;
    }
    return status;
}

ace_status ace_pre_tokenizer_split(const ace_pre_tokenizer *pre_tokenizer, const char *text,
                                   size_t bytes, ace_word_visit *visit, void *context,
                                   ace_error *err)
{
    splitter s = {pre_tokenizer, text, bytes, NULL, NULL};
    ace_status status = splitter_init(&s)
                            ? visit_words(&s, visit, context, err)
                            : ace_fail(err, ACESTEP_MEMORY, "out of memory for the pre-tokenizer");
    pcre2_match_data_free(s.match);
    pcre2_match_context_free(s.limits);
    return status;
}
