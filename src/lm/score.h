/* How well a song's codes say what was asked for, in the eyes of the language model: it is shown
 * the codes, and its probabilities for what is known of the song are counted. Metadata score by how
 * often the true token is among the likeliest; caption and lyrics by how much likelier the codes
 * make them (pointwise mutual information, PMI). Original: acestep/core/scoring/lm_score.py. */
#ifndef ACE_LM_SCORE_H
#define ACE_LM_SCORE_H

#include "lm/fields.h"

#include <stdint.h>

enum {
    ACE_LM_SCORE_LYRICS = ACE_LM_FIELDS, /* the condition behind the fields */
    ACE_LM_CONDITIONS,
    ACE_LM_SCORE_TOP = 10, /* places that count in a recall */
    ACE_LM_SCORE_REPORT_BYTES = 320
};

typedef struct ace_lm_score {
    bool scored;                     /* by one condition at least */
    double global;                   /* 0 … 1 */
    bool has[ACE_LM_CONDITIONS];     /* false: not known of this song, or not asked */
    double value[ACE_LM_CONDITIONS]; /* 0 … 1: by ace_lm_field, then the lyrics */
} ace_lm_score;

/* "bpm", …, "timesignature", "lyrics" */
const char *ace_lm_condition_name(int condition);

/* ---- of one row of logits [n], for the token that does follow; 0 ≤ id < n -----------------------
 *
 * Logits that are not numbers are passed over. */

/* 1 for the likeliest token, 0.9 for the second, … 0.1 for the tenth, else 0. Of equal logits the
 * lower id is the likelier. */
double ace_lm_score_recall(const float *logits, int64_t n, int64_t id);
/* Of the softmax, at least -1000: a token without any probability leaves a mean finite. */
double ace_lm_score_log_probability(const float *logits, int64_t n, int64_t id);

/* ---- of a song ------------------------------------------------------------------------------- */

/* 1 / (1 + exp(-pmi / scale)): one half where the codes say nothing. scale > 0 */
double ace_lm_score_of_pmi(double pmi, double scale);
/* Sets `scored` and `global`: caption 0.5, lyrics 0.3, metadata (the mean of its fields) 0.2, of
 * those that there are. */
void ace_lm_score_weigh(ace_lm_score *s);

/* "0.61: caption 0.55, lyrics 0.52, bpm 0.90, …", cut to the bytes; empty when not scored. */
void ace_lm_score_report(const ace_lm_score *s, char *out, size_t bytes);

/* ---- what the model is to say, behind the prompt that shows it the codes ------------------------
 *
 * *out is freed with ace_free. MEMORY error only. */

/* "<think>\nbpm: 92\n</think>\n" */
ace_status ace_lm_score_field_text(ace_lm_field field, const char *value, char **out,
                                   ace_error *err);
/* "<think>\n</think>\n# Lyric\n…\n" */
ace_status ace_lm_score_lyrics_text(const char *lyrics, char **out, ace_error *err);
/* Is there a word outside of [brackets]? */
bool ace_lm_score_sings(const char *lyrics);

#endif
