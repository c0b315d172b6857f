/* Any choices among the tokens that the rules allow: the end comes, metadata can be read and are of
 * the kinds that exist, fixed values stand as they were given, and there are exactly as many codes
 * as asked for. The first bytes choose the rules, the others the tokens; when they run out the
 * shortest way to the end is taken. Corpus: tests/fuzz/corpus/lm_constraint. */
#include "base/memory.h"
#include "lm/constraint.h"
#include "lm/reply.h"
#include "run/synthetic_tokenizer.h"
#include "text/metadata.h"

#include <stdlib.h>
#include <string.h>

/* As published, with fewer codes: every byte a token, and names that no text contains. */
enum { FIRST_CODE = 151669, CODES = 1000, VOCABULARY = FIRST_CODE + CODES + 16 };
enum { LONGEST = 480, MOST = 4096 };

typedef struct bytes {
    const uint8_t *data;
    size_t left;
} bytes;

static uint32_t draw(bytes *b)
{
    uint8_t value = b->left > 0 ? b->data[0] : 0;
    b->data += b->left > 0;
    b->left -= b->left > 0;
    return value;
}

static void demand(bool holds)
{
    if (!holds) {
        abort();
    }
}

/* The engine reads its tokenizer once, and so does the target; kept until the process ends. */
static const ace_lm_grammar *the_grammar(void)
{
    static ace_tokenizer *tokenizer;
    static ace_lm_vocabulary vocabulary;
    static ace_lm_grammar grammar;
    if (tokenizer == NULL) {
        ace_lm_grammar_options options = {.longest_seconds = LONGEST};
        demand(ace_synthetic_tokenizer(VOCABULARY, &tokenizer, NULL) == ACESTEP_OK);
        demand(ace_lm_vocabulary_open(tokenizer, VOCABULARY, CODES, &vocabulary, NULL) ==
               ACESTEP_OK);
        demand(ace_lm_grammar_open(&vocabulary, &options, &grammar, NULL) == ACESTEP_OK);
    }
    return &grammar;
}

/* Words and codes that two bytes can name: those of one byte each, specials, and codes. */
static int32_t any_token(bytes *b)
{
    uint32_t kind = draw(b);
    uint32_t value = draw(b);
    if (kind < 192) {
        return (int32_t)value;
    }
    return kind < 224 ? FIRST_CODE - 26 + (int32_t)(value % 26)
                      : FIRST_CODE + (int32_t)((kind - 224) * 256 + value) % CODES;
}

static int32_t choose(const ace_lm_grammar *g, const ace_lm_constraint *c, bytes *b)
{
    ace_lm_allowed allowed;
    ace_lm_constraint_allow(c, &allowed);
    if (allowed.choice == ACE_LM_LISTED || allowed.choice == ACE_LM_MOST_LIKELY) {
        demand(allowed.n > 0 && allowed.n <= ACE_LM_MOST_LISTED);
        return allowed.id[allowed.n == 1 ? 0 : draw(b) % (uint32_t)allowed.n];
    }
    bool ends = ace_lm_constraint_permits(c, &allowed, g->vocabulary->end);
    for (int tries = 0; tries < 8 && b->left > 0; tries++) {
        int32_t id = any_token(b);
        if (ace_lm_constraint_permits(c, &allowed, id)) {
            return id;
        }
    }
    if (ends) {
        return g->vocabulary->end;
    }
    if (ace_lm_constraint_permits(c, &allowed, g->vocabulary->line_feed)) {
        return g->vocabulary->line_feed;
    }
    if (ace_lm_constraint_permits(c, &allowed, FIRST_CODE)) {
        return FIRST_CODE;
    }
    for (int32_t id = 0; id < VOCABULARY; id++) {
        if (ace_lm_constraint_permits(c, &allowed, id)) {
            return id;
        }
    }
    abort(); /* the rules leave nothing */
}

/* After a line of a caption: does it go on? */
static void look(ace_lm_constraint *c, bytes *b)
{
    static float logits[VOCABULARY];
    int32_t best = any_token(b);
    logits[best] = 1;
    ace_lm_constraint_look(c, logits);
    logits[best] = 0;
}

static int64_t write_all(const ace_lm_grammar *g, ace_lm_constraint *c, bytes *b, int32_t *ids)
{
    int64_t n = 0;
    while (!ace_lm_constraint_ended(c)) {
        demand(n < MOST || b->left > 0); /* it ends, once nobody wants more */
        if (ace_lm_constraint_looks(c)) {
            look(c, b);
        }
        int32_t id = choose(g, c, b);
        ace_lm_constraint_accept(c, id);
        demand(ace_lm_constraint_phase(c) != NULL);
        ids[n++ % (2 * MOST)] = id;
    }
    return n;
}

static void check_codes(const ace_lm_grammar *g, const ace_lm_rules *rules, const int32_t *ids,
                        int64_t n)
{
    for (int64_t i = 0; i < n - 1 && i < 2 * MOST; i++) {
        demand(ace_lm_code_of(g->vocabulary, ids[i]) >= 0);
    }
    demand(rules->target < 0 || n == rules->target + 1);
}

static void check_value(const ace_lm_rules *rules, const ace_lm_reply *reply, ace_lm_field f)
{
    char key[ACE_KEYSCALE_BYTES];
    int signature = 0;
    const char *language = NULL;
    const char *text = reply->fields.text[f];
    const char *given = rules->fixed->text[f];
    if (rules->skip[f] || f == ACE_LM_GENRES) {
        demand(text == NULL);
    } else if (given != NULL) {
        demand(text != NULL && strcmp(text, given) == 0);
    } else if (f == ACE_LM_BPM || f == ACE_LM_DURATION) {
        long value = ace_lm_fields_number(&reply->fields, f);
        demand(value >= (f == ACE_LM_BPM ? 30 : 10) && value <= (f == ACE_LM_BPM ? 300 : LONGEST));
    } else if (f == ACE_LM_KEYSCALE) {
        demand(text != NULL && ace_keyscale_parse(text, key, NULL) == ACESTEP_OK);
    } else if (f == ACE_LM_TIMESIGNATURE) {
        demand(text != NULL && ace_timesignature_parse(text, &signature, NULL) == ACESTEP_OK);
    } else if (f == ACE_LM_LANGUAGE) {
        demand(text != NULL && ace_language_parse(text, &language, NULL) == ACESTEP_OK);
    }
}

static void check_words(const ace_lm_grammar *g, const ace_lm_rules *rules, const int32_t *ids,
                        int64_t n)
{
    char *text = NULL;
    size_t bytes_read = 0;
    ace_lm_reply reply = {0};
    demand(ace_tokenizer_decode(g->vocabulary->tokenizer, ids, n, &text, &bytes_read, NULL) ==
           ACESTEP_OK);
    demand(ace_lm_reply_read(text, bytes_read, &reply, NULL) == ACESTEP_OK);
    for (int f = 0; f < ACE_LM_FIELDS; f++) {
        check_value(rules, &reply, (ace_lm_field)f);
    }
    demand(!rules->plan_only || reply.lyrics == NULL);
    ace_lm_reply_free(&reply);
    ace_free(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const values[ACE_LM_FIELDS] = {"123",      NULL, "77", NULL,
                                                      "F# minor", "fr", "3"};
    const ace_lm_grammar *g = the_grammar();
    uint64_t live = ace_memory_live();
    bytes b = {data, size < MOST ? size : MOST};
    ace_lm_fields fixed = {{NULL}};
    uint32_t what = draw(&b);
    uint32_t given = draw(&b);
    ace_lm_rules rules = {.codes = (what & 1) != 0, .plan_only = (what & 2) != 0, .fixed = &fixed};
    rules.target = (what & 4) != 0 ? (int64_t)draw(&b) : -1;
    rules.skip[ACE_LM_CAPTION] = (what & 8) != 0;
    rules.skip[ACE_LM_LANGUAGE] = (what & 16) != 0;
    for (int f = 0; f < ACE_LM_FIELDS; f++) {
        if (values[f] != NULL && (given >> f & 1) != 0) {
            demand(ace_lm_fields_set(&fixed, (ace_lm_field)f, values[f], strlen(values[f]), NULL) ==
                   ACESTEP_OK);
        }
    }
    ace_lm_constraint *c = NULL;
    int32_t *ids = ace_calloc(2 * MOST, sizeof *ids);
    demand(ids != NULL && ace_lm_constraint_create(g, &rules, &c, NULL) == ACESTEP_OK);
    int64_t n = write_all(g, c, &b, ids);
    demand(n <= 2 * MOST);
    if (rules.codes) {
        check_codes(g, &rules, ids, n);
    } else {
        check_words(g, &rules, ids, n);
    }
    ace_lm_constraint_free(c);
    ace_lm_fields_free(&fixed);
    ace_free(ids);
    demand(ace_memory_live() == live);
    return 0;
}
