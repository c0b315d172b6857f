/* What the rules for metadata are made of, in the tokens of one vocabulary: the fixed strings
 * between the values, and the values that each field can take. Built once per engine; constant
 * after that. Original: acestep/constrained_logits_processor.py. */
#ifndef ACE_LM_GRAMMAR_H
#define ACE_LM_GRAMMAR_H

#include "lm/fields.h"
#include "lm/genres.h"
#include "lm/token_tree.h"
#include "lm/vocabulary.h"

enum { ACE_LM_FIXED_TOKENS = 32 };

typedef struct ace_lm_fixed {
    int32_t id[ACE_LM_FIXED_TOKENS];
    int n;
} ace_lm_fixed;

typedef struct ace_lm_grammar {
    const ace_lm_vocabulary *vocabulary; /* borrowed */
    ace_lm_fixed open, line_feed, close; /* <think>, \n, </think> */
    ace_lm_fixed name[ACE_LM_FIELDS]; /* "bpm:" … without the space, which belongs to the value */
    ace_token_tree value[ACE_LM_FIELDS]; /* of bpm, duration, keyscale, language, timesignature */
    const ace_lm_genres *genres;         /* borrowed; NULL: the field is never asked for */
} ace_lm_grammar;

typedef struct ace_lm_grammar_options {
    int longest_seconds; /* what the duration may be at most: the tier's limit */
    /* Fixed strings as the tokenizer would write them. The original instead takes the longest
     * prefix that is one token, which spells "bpm:" as bp·m·: */
    bool canonical;
    const ace_lm_genres *genres;
} ace_lm_grammar_options;

ace_status ace_lm_grammar_open(const ace_lm_vocabulary *v, const ace_lm_grammar_options *o,
                               ace_lm_grammar *out, ace_error *err);
void ace_lm_grammar_close(ace_lm_grammar *g); /* a zeroed one is fine */

#endif
