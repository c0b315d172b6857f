/* The language model's score of the songs that it wrote codes for, while its weights are there. */
#ifndef ACE_RUN_LM_SCORE_H
#define ACE_RUN_LM_SCORE_H

#include "device/stream.h"
#include "lm/score.h"
#include "model/language_model.h"
#include "run/lm_task.h"

/* Tokens of lyrics that are looked at: as many as the diffusion model's condition has. */
enum { ACE_LM_SCORE_TOKENS = 2048 };

/* All borrowed. The task writes codes. */
typedef struct ace_lm_scorer {
    ace_stream *stream;
    ace_arena_mark empty; /* the arena before any session */
    const ace_language_model *model;
    ace_lm_session *session; /* begins anew */
    const ace_models *models;
    const ace_lm_task *task;
    const ace_request *request;
    bool int8_cache;
    double progress, progress_share; /* of the stage: from … on */
    ace_error *error;
} ace_lm_scorer;

/* In a rehearsal: the most that scoring so many texts can take. */
ace_status ace_lm_score_walk(const ace_lm_scorer *s, int texts);

/* Sets w->score for w->codes [texts, n_codes]. A text's score is the same in any company. */
ace_status ace_lm_score_texts(const ace_lm_scorer *s, int texts, ace_lm_written *w);

/* Of the candidates of each song, which stand together, leaves the one with the highest score, the
 * first of equal ones: codes and scores are then [songs]. */
void ace_lm_score_keep_best(ace_lm_written *w, int songs, int candidates);

#endif
