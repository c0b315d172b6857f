/* What the language model is asked for one request: prompts as tokens, rules, and the room that all
 * of it can take at most; and what it wrote. */
#ifndef ACE_RUN_LM_TASK_H
#define ACE_RUN_LM_TASK_H

#include "lm/fields.h"
#include "lm/prompts.h"
#include "lm/score.h"
#include "lm/writer.h"
#include "plan/settings.h"
#include "run/models.h"
#include "run/request.h"
#include "text/tokenizer.h"

/* The metadata as a prompt has them, with line breaks and quotes. */
enum { ACE_LM_BLOCK_TOKENS = 800 };

/* In this order; each of them can be left out, not all.
 *
 *     opening (a sentence, rough words, or codes ─► caption, lyrics, metadata)
 *         ─► metadata (the song's plan) ─► codes, for every song its own */
typedef struct ace_lm_task {
    ace_lm_mode opening; /* GENERATE: none */
    bool metadata, codes;
    bool whole_opening;             /* its caption and metadata count too, not only its lyrics */
    bool use_caption, use_language; /* of the metadata */
    char *caption, *lyrics;         /* owned: as the request has them */
    char *negative;                 /* owned */
    ace_lm_fields fixed;            /* what the user gave: written as it is */
    ace_tokens opening_prompt;
    ace_tokens prompt, twin; /* of the song, without its metadata; twin.n 0: no guidance */
    /* tokens at most */
    int64_t opening_room, prompt_room, twin_room, metadata_room, code_room;
    double seconds; /* of the request; ≤ 0: the model decides */
    double longest; /* it may decide at most */
} ace_lm_task;

/* NULL in *out when there is nothing to ask. limits: settings under which it runs; n_codes: of the
 * longest song that the plan must hold. */
ace_status ace_lm_task_create(const ace_request *r, const ace_models *m, const ace_settings *limits,
                              int64_t n_codes, ace_lm_task **out, ace_error *err);
/* To read codes: *out has only an opening. */
ace_status ace_lm_task_understand(const ace_models *m, const char *codes, ace_lm_task **out,
                                  ace_error *err);
/* The same before there are codes, with room for so many. */
ace_status ace_lm_task_understand_room(const ace_models *m, int64_t n_codes, ace_lm_task **out,
                                       ace_error *err);
/* To score n codes: *out has the words that they are held against, and nothing is written. */
ace_status ace_lm_task_score(const ace_request *r, int64_t n_codes, ace_lm_task **out,
                             ace_error *err);
void ace_lm_task_free(ace_lm_task *t);

/* Words come first, then codes. */
typedef enum ace_lm_phase_id {
    ACE_LM_PHASE_WORDS,
    ACE_LM_PHASE_CODES,
    ACE_LM_PHASES
} ace_lm_phase_id;

/* Of all requests of the job together. */
typedef struct ace_lm_phase {
    int64_t tokens; /* written */
    double seconds; /* with the prompts */
    ace_lm_times times;
} ace_lm_phase;

/* What came of it. */
typedef struct ace_lm_written {
    bool wrote;           /* anything: false where the task was not run */
    ace_lm_fields fields; /* all that is known of the song now */
    char *lyrics;         /* owned; NULL: none were written */
    int32_t *codes;       /* [songs, n_codes], owned; songs beyond the written ones: zeros */
    int64_t n_codes;
    ace_lm_score *score; /* [songs], owned; NULL: not asked for */
    int64_t tokens;      /* written in all */
    double seconds;      /* it took */
    ace_lm_phase phase[ACE_LM_PHASES];
} ace_lm_written;

void ace_lm_written_free(ace_lm_written *w); /* a zeroed one is fine */

/* The request that the song is made from: what the model wrote in the place of what was open, codes
 * aside. Values that no song can have are passed over. *out borrows its texts from asked and w, and
 * is not freed. */
void ace_lm_follow(const ace_request *asked, const ace_lm_task *t, const ace_lm_written *w,
                   ace_request *out);

#endif
