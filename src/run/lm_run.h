/* Inside of the language model's stage, shared by its files: the requests that it works for, and
 * the session in which it does. */
#ifndef ACE_RUN_LM_RUN_H
#define ACE_RUN_LM_RUN_H

#include "lm/grammar.h"
#include "lm/reply.h"
#include "lm/writer.h"
#include "run/pipeline.h"

/* Which of a song's texts a random number belongs to. Further tries count on in steps of 16. */
enum {
    ACE_LM_STREAM_OPENING,
    ACE_LM_STREAM_METADATA,
    ACE_LM_STREAM_CODES,
    ACE_LM_STREAM_TRIES = 16
};

/* One request's share of the stage. */
typedef struct ace_lm_part {
    const ace_brief *brief;
    const ace_lm_task *task;
    const ace_request *request;
    ace_lm_written *out; /* NULL in a rehearsal */
    ace_lm_task *heard;  /* owned: the task, where it was not known before its codes were heard */
    int prompt, twin;    /* of the songs' session; -1: none */
    ace_tokens ids, twin_ids; /* the prompts as read, owned */
    bool failed;              /* forgiven: the song is made without */
} ace_lm_part;

typedef struct ace_lm_run {
    ace_runner *runner;
    const ace_job *job;
    const ace_models *models;
    const ace_heard_codes *heard; /* to be understood, or NULL */
    ace_stage stage;
    ace_lm_session *session;
    ace_arena_mark empty; /* the arena before the first session */
    ace_lm_part part[ACE_MAX_BRIEFS];
    int n_parts;
    int texts;              /* with codes, written side by side at most */
    int64_t expected, done; /* tokens, for progress */
    double started;
    ace_lm_phase phase[ACE_LM_PHASES];
    ace_lm_phase_id at; /* of them */
} ace_lm_run;

/* ---- lm_stage.c ------------------------------------------------------------------------------ */

/* Codes are written for each song as often as the best is to be picked of. */
int ace_lm_part_texts(const ace_lm_part *part);
ace_status ace_lm_run_status(const ace_lm_run *run);
/* Sequences of one song: itself, and its twin under guidance. */
int ace_lm_branches(const ace_lm_task *t);
ace_lm_shape ace_lm_opening_shape(const ace_lm_task *t);
/* One session for the songs of all requests. */
ace_lm_shape ace_lm_songs_shape(const ace_lm_run *run);
/* A new session in the place of the last one. */
void ace_lm_run_begin(ace_lm_run *run, const ace_lm_shape *shape);
/* Token ids of a prompt, through the embeddings, into the session. */
ace_status ace_lm_run_read(ace_lm_run *run, int prompt, const int32_t *ids, int64_t n);
ace_lm_writer ace_lm_run_writer(ace_lm_run *run);
ace_lm_how ace_lm_run_how(const ace_request *r);
uint64_t ace_lm_run_seed(const ace_lm_part *part, int song);

/* The model's own failure need not be the song's: where the request says so it is made without. */
ace_status ace_lm_run_forgive(ace_lm_run *run, ace_lm_part *part, ace_status status);

/* ---- lm_words.c: what is written before the codes -------------------------------------------- */

ace_status ace_lm_run_opening(ace_lm_run *run, ace_lm_part *part);
/* Reads the song's prompt and writes its plan; then reads the plan as part of the prompt, and the
 * unconditional prompt, so that codes can follow. */
ace_status ace_lm_run_plan(ace_lm_run *run, ace_lm_part *part);

/* ---- lm_codes.c ------------------------------------------------------------------------------ */

/* Codes of all songs of all requests, run->texts at a time. */
ace_status ace_lm_run_codes(ace_lm_run *run);

#endif
