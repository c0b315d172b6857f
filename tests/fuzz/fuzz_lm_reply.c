/* Whatever a language model writes: it is read without a complaint, and what was read is whole
 * UTF-8 that says something. Corpus: tests/fuzz/corpus/lm_reply. */
#include "base/memory.h"
#include "lm/reply.h"
#include "text/span.h"
#include "text/utf8.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_text(const char *text)
{
    if (text != NULL &&
        (ace_span_trim(ace_span_of(text)).bytes == 0 || !ace_utf8_valid(text, strlen(text)))) {
        abort();
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    ace_lm_reply reply;
    uint64_t live = ace_memory_live();
    if (ace_lm_reply_read((const char *)data, size, &reply, NULL) != ACESTEP_OK) {
        abort();
    }
    for (int i = 0; i < ACE_LM_FIELDS; i++) {
        check_text(reply.fields.text[i]);
        if (ace_lm_fields_number(&reply.fields, (ace_lm_field)i) < 0) {
            abort();
        }
    }
    check_text(reply.lyrics);
    ace_lm_reply_free(&reply);
    if (ace_memory_live() != live) {
        abort();
    }
    return 0;
}
