/* Writing: from a session whose prompts are read, token by token, to texts. All texts of a call
 * advance together, so that the weights are read once for all; each has its own rules, random
 * numbers and end, and comes out as it would alone.
 *
 * Tokens that the rules leave no choice about are not computed: they wait, and go through the model
 * together with the next one that is. */
#ifndef ACE_LM_WRITER_H
#define ACE_LM_WRITER_H

#include "lm/constraint.h"
#include "lm/sampler.h"
#include "model/language_model.h"

enum {
    ACE_LM_MOST_TEXTS = ACE_LM_MAX_SEQUENCES / 2,
    /* Waiting tokens read in one piece. */
    ACE_LM_WAITING_TOKENS = 64
};

/* How tokens are chosen. */
typedef struct ace_lm_how {
    ace_lm_sampling sampling;
    double guidance; /* 1: none */
    double repetition_penalty;
} ace_lm_how;

/* One text. Its sequences' prompts are read up to the last token, which is the first of its own. */
typedef struct ace_lm_text {
    int sequence;
    int twin;                  /* the unconditional sequence for guidance; -1: none */
    int32_t first, twin_first; /* last tokens of the two prompts */
    ace_lm_how how;
    ace_lm_constraint *constraint; /* borrowed; NULL: free, to the end token or `stop` */
    int32_t stop;                  /* -1: none */
    uint64_t seed;
    uint32_t stream; /* which of the song's texts: the index of its random numbers */
    int64_t most;    /* tokens to write at most, the end token included */
    int32_t *id;     /* [most]: what was written; the caller's */
    int64_t n;
    int64_t before; /* ids that lie in front of id[0] and count for the repetition penalty too: the
                       prompt's, as in the original's PyTorch backend */
    int64_t fed;    /* tokens in the cache, `first` included */
    bool ended;     /* with an end token; else at `most` */
} ace_lm_text;

/* Called for every token: how many were allowed, and how far the best was ahead of the second one
 * (ACE_LM_NO_MARGIN where there was none). */
typedef void ace_lm_observe(void *context, int text, int64_t position, int64_t n_allowed,
                            float margin);
#define ACE_LM_NO_MARGIN 1e9f

/* Where the time of writing goes; what is left of the whole is prompts and bookkeeping. */
typedef struct ace_lm_times {
    double model;    /* s, through the network */
    double rules;    /* constrained decoding: what may follow, and hiding what may not */
    double guidance; /* mixing conditional and unconditional logits */
    double sampling; /* penalty, filters, the choice */
} ace_lm_times;

typedef struct ace_lm_writer {
    ace_lm_session *session;
    const ace_weights *weights; /* of the embeddings */
    const ace_lm_vocabulary *vocabulary;
    /* After each step; false cancels. written: tokens of the longest text so far. NULL: silent. */
    bool (*progress)(void *context, const char *phase, int64_t written, int64_t tokens_in_all);
    ace_lm_observe *observe; /* NULL: nobody */
    void *context;
    ace_lm_times *times; /* is added to; NULL: nobody asks */
    ace_error *error;
} ace_lm_writer;

/* Writes n texts to their ends. On failure the session's stream or the status says why; ids written
 * so far stay. MODEL when the logits are no numbers. */
ace_status ace_lm_write(const ace_lm_writer *w, ace_lm_text *texts, int n);

#endif
