/* The rules under which the language model writes: a state machine over tokens that leaves it no
 * way to write a field that does not exist, a value that is none, or too many or too few codes. One
 * per song: songs of a batch never share it.
 *
 *     <think>\n bpm: 92\n caption: …\n duration: 180\n … timesignature: 4\n </think> [codes |
 * lyrics]
 *
 * Original: acestep/constrained_logits_processor.py. Stricter than it in one place: a caption ends
 * where a line does not go on with a space, and the next field's name follows at once. There the
 * original lets everything through until a colon comes, codes and the end included. */
#ifndef ACE_LM_CONSTRAINT_H
#define ACE_LM_CONSTRAINT_H

#include "lm/grammar.h"

typedef struct ace_lm_rules {
    bool codes;               /* write audio codes at once; else metadata first */
    int64_t target;           /* codes to write; -1: until the model ends */
    bool plan_only;           /* end where </think> would stand: codes get a prompt of their own */
    bool skip[ACE_LM_FIELDS]; /* fields that are not written; genres without a list anyway */
    const ace_lm_fields *fixed; /* borrowed: values that the user gave, written as they are */
} ace_lm_rules;

/* Which tokens may follow. */
typedef enum ace_lm_choice {
    ACE_LM_LISTED,      /* id[n] */
    ACE_LM_MOST_LIKELY, /* the best of id[n], not sampled */
    ACE_LM_CODES,       /* audio codes */
    ACE_LM_CODES_OR_END,
    ACE_LM_TEXT, /* tokens of all kinds in `with`, none in `without` (ACE_LM_TOKEN_…) */
    ACE_LM_TEXT_OR_END,
    ACE_LM_GENRE /* those that continue an entry of the list: ace_lm_constraint_permits */
} ace_lm_choice;

enum { ACE_LM_MOST_LISTED = 64 };

typedef struct ace_lm_allowed {
    ace_lm_choice choice;
    int n;
    int32_t id[ACE_LM_MOST_LISTED];
    uint8_t with, without;
} ace_lm_allowed;

typedef struct ace_lm_constraint ace_lm_constraint;

/* Copies what it needs of the rules. MEMORY; ARGUMENT for a fixed value that cannot be written. */
ace_status ace_lm_constraint_create(const ace_lm_grammar *g, const ace_lm_rules *rules,
                                    ace_lm_constraint **out, ace_error *err);
void ace_lm_constraint_free(ace_lm_constraint *c);

/* After the end of a line of a caption the most likely token decides whether the caption goes on:
 * then, and only then, `looks` is true, and `look` must come before `allow`. logits: of the whole
 * vocabulary, after guidance. */
bool ace_lm_constraint_looks(const ace_lm_constraint *c);
void ace_lm_constraint_look(ace_lm_constraint *c, const float *logits);
/* What may follow. */
void ace_lm_constraint_allow(const ace_lm_constraint *c, ace_lm_allowed *out);
/* Membership, for every choice. */
bool ace_lm_constraint_permits(const ace_lm_constraint *c, const ace_lm_allowed *a, int32_t id);
/* An allowed token was written. */
void ace_lm_constraint_accept(ace_lm_constraint *c, int32_t id);

bool ace_lm_constraint_ended(const ace_lm_constraint *c);
/* Are only codes written from here on? Then the head's range is ace_lm_code_range. */
bool ace_lm_constraint_writes_codes(const ace_lm_constraint *c);
/* "bpm", "caption", …, "lyrics", "codes": what is being written, for progress. */
const char *ace_lm_constraint_phase(const ace_lm_constraint *c);

#endif
