/* Which words are sung when, and how well: read off the cross-attention of the diffusion
 * transformer. Some of its heads look, at every moment of the song, at the words of that moment
 * (model/lyric_heads.h).
 *
 * Heads are added one at a time, so that memory does not grow with their number. Rules and
 * constants: the original's acestep/core/scoring/dit_alignment.py (times) and dit_score.py
 * (score). */
#ifndef ACE_SAMPLE_ALIGNMENT_H
#define ACE_SAMPLE_ALIGNMENT_H

#include "base/status.h"

#include <stdbool.h>
#include <stdint.h>

typedef struct ace_alignment {
    int64_t tokens, frames;
    int heads;                       /* added so far */
    float *energy;                   /* [tokens, frames]: sum of the heads' probabilities */
    float *sharp;                    /* the same after sharpening; NULL: times are not asked for */
    float *work;                     /* [tokens, frames], with sharp */
    float *row_sum, *col_sum;        /* [tokens], [frames], with sharp */
    float *line;                     /* [max(tokens, frames)], with sharp */
    double sharp_sum, sharp_squares; /* over all cells of all heads */
} ace_alignment;

/* tokens: of the lyrics; frames: of the transformer, 12.5 per second. times: token times will be
 * asked for, not only the score. ARGUMENT when one of them is not positive. */
ace_status ace_alignment_create(int64_t tokens, int64_t frames, bool times, ace_alignment *out,
                                ace_error *err);
void ace_alignment_free(ace_alignment *a); /* a zeroed one is fine */

/* Probabilities of one head, [tokens, frames]. FAILED for a number that is none. */
ace_status ace_alignment_add_head(ace_alignment *a, const float *probabilities, ace_error *err);

typedef struct ace_alignment_score {
    double coverage;     /* share of the sung tokens that some frame clearly looks at */
    double monotonicity; /* share of the sung tokens that do not come before the one before */
    double confidence;   /* mean energy along the path */
    double total;        /* coverage² · monotonicity² · confidence, rounded to four digits */
} ace_alignment_score;

/* sung: [tokens], false for section marks like [verse]. At least one head must have been added. */
ace_status ace_alignment_rate(const ace_alignment *a, const bool *sung, ace_alignment_score *out,
                              ace_error *err);

/* start, end: [tokens], seconds of a song of that many seconds. Both ascend. */
ace_status ace_alignment_times(const ace_alignment *a, double seconds, double *start, double *end,
                               ace_error *err);

#endif
