/* Fields of any texts: the block is well-formed, and what is read back from it gives the same block
 * again. Carriage returns separate the fields of the input. Corpus: tests/fuzz/corpus/lm_fields. */
#include "base/memory.h"
#include "lm/reply.h"
#include "lm/yaml_read.h"
#include "text/span.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool starts_with(ace_text_span line, const char *word)
{
    size_t n = strlen(word);
    return line.bytes >= n && memcmp(line.data, word, n) == 0;
}

static bool starts_field(ace_text_span line)
{
    for (int i = 0; i < ACE_LM_FIELDS; i++) {
        const char *name = ace_lm_field_name((ace_lm_field)i);
        ace_text_span rest = line;
        if (starts_with(line, name) && i != ACE_LM_GENRES) {
            rest.data += strlen(name);
            rest.bytes -= strlen(name);
            return starts_with(rest, ": ");
        }
    }
    return false;
}

/* Between quotes, lines may also be empty or begin with a break other than a line feed. */
static void check_lines(const char *block)
{
    ace_text_span rest = ace_span_of(block);
    const char *end = block + rest.bytes;
    if (!starts_with(ace_span_cut(&rest, '\n'), "<think>")) {
        abort();
    }
    while (rest.bytes > 0) {
        ace_text_span line = ace_span_cut(&rest, '\n');
        bool last = line.data + line.bytes == end;
        bool goes_on = line.bytes == 0 || starts_with(line, "  ") || ace_yaml_break_bytes(line) > 0;
        if (last ? strcmp(line.data, "</think>") != 0 : !goes_on && !starts_field(line)) {
            abort();
        }
    }
}

static char *block_of(const ace_lm_fields *fields)
{
    char *block = NULL;
    if (ace_lm_fields_block(fields, &block, NULL) != ACESTEP_OK) {
        abort();
    }
    check_lines(block);
    return block;
}

static char *read_back(const char *block)
{
    ace_lm_reply reply;
    if (ace_lm_reply_read(block, strlen(block), &reply, NULL) != ACESTEP_OK ||
        reply.lyrics != NULL) {
        abort();
    }
    char *again = block_of(&reply.fields);
    ace_lm_reply_free(&reply);
    return again;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    ace_lm_fields fields = {{0}};
    uint64_t live = ace_memory_live();
    ace_text_span rest = {(const char *)data, size};
    for (int i = 0; i < ACE_LM_FIELDS && rest.bytes > 0; i++) {
        ace_text_span text = ace_span_cut(&rest, '\r');
        if (ace_lm_fields_set(&fields, (ace_lm_field)i, text.data, text.bytes, NULL) !=
            ACESTEP_OK) {
            abort();
        }
    }
    /* The first reading drops blank texts and N/A; after it nothing changes any more. */
    char *first = block_of(&fields);
    char *second = read_back(first);
    char *third = read_back(second);
    if (strcmp(second, third) != 0) {
        abort();
    }
    ace_free(first);
    ace_free(second);
    ace_free(third);
    ace_lm_fields_free(&fields);
    if (ace_memory_live() != live) {
        abort();
    }
    return 0;
}
