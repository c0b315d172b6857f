/* From briefs to songs: stages in one direction. Each takes what earlier ones made as plain
 * host arrays and returns its own; nothing reaches back. The same functions make the plan on the
 * measure device and the songs on a real one.
 *
 * Songs:
 *   (language model) ─► text ─► (source, reference ─► encode) ─► condition ─► codes ─► diffuse
 *       ─► (align) ─► decode
 * Words: language model. Understanding: encode ─► listen ─► language model.
 * Latents of a recording: encode ─► listen. A recording of latents or codes: codes ─► decode.
 * Lyrics with times: text, encode ─► condition ─► codes ─► align.
 * A score: encode ─► listen ─► language model. */
#ifndef ACE_RUN_PIPELINE_H
#define ACE_RUN_PIPELINE_H

#include "lm/genres.h"
#include "plan/planner.h"
#include "run/adapters.h"
#include "run/brief.h"
#include "run/stage.h"
#include "sample/solver.h"

enum { ACE_MAX_BRIEFS = ACE_MAX_SONGS };

/* What all songs of a job share. */
typedef struct ace_job_settings {
    ace_sampling sampling;
    double latent_shift, latent_rescale;
    float mask_value; /* of the chunk mask where music is to be made: 1, or 2 for "auto" */
    uint64_t noise_grid;
    bool vae_sample;
    double lm_cfg_scale;
} ace_job_settings;

/* What a job is to bring. */
typedef enum ace_goal {
    ACE_GOAL_SONGS,
    ACE_GOAL_WORDS,         /* caption, lyrics and metadata from a sentence or from rough words */
    ACE_GOAL_UNDERSTANDING, /* the same from audio or codes */
    ACE_GOAL_LATENTS,       /* and codes, of a recording */
    ACE_GOAL_RECORDING,     /* of latents or codes */
    ACE_GOAL_LYRIC_TIMES,   /* of a finished song, and how well it sings them */
    ACE_GOAL_SCORE          /* of codes, or of the codes of a recording */
} ace_goal;

typedef struct ace_job {
    const ace_models *models;
    ace_goal goal;
    ace_brief brief[ACE_MAX_BRIEFS];
    const ace_request *request[ACE_MAX_BRIEFS]; /* borrowed: they outlive the job */
    /* What the language model wrote, and the requests that the songs are made from because of it. */
    ace_lm_written written[ACE_MAX_BRIEFS];
    ace_request follows[ACE_MAX_BRIEFS]; /* borrows its texts from request and written */
    int n_briefs;
    ace_lm_genres genres; /* that it may choose from; n 0: none */
    ace_job_settings settings;
    ace_job_adapters adapters;
    ace_settings memory; /* what the machine and the tier allow, resolved */
    ace_plan plan;
} ace_job;

/* What was found out about how a song sings its lyrics, where that was asked for. */
typedef struct ace_song_lyrics {
    char *lrc, *vtt; /* texts of files, owned; NULL: none */
    bool scored;
    double lm_score, dit_score; /* 0 … 1: from noise alone, and of the finished latents */
} ace_song_lyrics;

/* One finished song. */
typedef struct ace_finished {
    int brief, index; /* which of its brief's songs */
    uint64_t seed;
    ace_array latents; /* [frames, channels] */
    ace_audio audio;   /* as the decoder gave it: not levelled */
    ace_song_lyrics lyrics;
    ace_lm_score lm_score; /* of its codes, by the model that wrote them */
    int32_t *codes;        /* of a recording that was encoded, owned; NULL: none */
    int64_t n_codes;
} ace_finished;

/* Runs all stages. When runner->device does not compute, only the log is made, and the songs have
 * no audio. songs: room for ACE_MAX_SONGS; the caller frees each with ace_finished_free. */
ace_status ace_pipeline_run(ace_runner *runner, const ace_job *job, ace_finished *songs,
                            int *n_songs);
void ace_finished_free(ace_finished *song);

/* In a rehearsal: the bytes of work of every stage before the diffusion and of the alignment (by
 * ace_stage_id), and of the diffusion by the number of songs in one pass. */
ace_status ace_pipeline_work_bytes(ace_runner *runner, const ace_job *job, size_t work[],
                                   size_t diffusion[]);

/* ---- the stages, each usable alone
 * ---------------------------------------------------------------- */

typedef struct ace_text_states { /* of one brief */
    ace_array hidden;            /* [text ids, text width]: the encoder's last hidden states */
    ace_array lyrics;            /* [lyric ids, text width]: rows of its embedding table */
    ace_array plain_hidden;      /* for the steps after the cover switch; rows 0 when not needed */
} ace_text_states;

/* Does a job with this goal work with the part? */
bool ace_goal_needs(ace_goal goal, ace_part part);
/* Does it turn a recording into codes? */
bool ace_goal_listens(ace_goal goal);

/* Brings what the plan keeps on the device and the goal needs there, and nothing else. */
ace_status ace_run_load(ace_runner *r, ace_goal goal);

/* states[n_briefs] */
ace_status ace_run_text(ace_runner *r, const ace_job *job, ace_text_states *states);

typedef struct ace_heard {              /* audio inputs as latents */
    ace_array source;                   /* of the brief, [frames, channels]; rows 0: none */
    ace_array reference[ACE_MAX_SONGS]; /* per song of the brief, [750, channels]; rows 0: none */
} ace_heard;

/* heard[n_briefs]. Opens no stage when no brief has audio that is not given as latents. */
ace_status ace_run_audio_encoder(ace_runner *r, const ace_job *job, ace_heard *heard);

/* The 5 Hz codes of a brief's source. */
typedef struct ace_heard_codes {
    int32_t *values; /* owned; zeros in a rehearsal */
    int64_t n;
} ace_heard_codes;

/* Of the first brief; for understanding. */
ace_status ace_run_listen(ace_runner *r, const ace_job *job, const ace_heard *heard,
                          ace_heard_codes *out);

/* The language model's tasks of all briefs, to written[n_briefs] (untouched in a rehearsal). Opens no
 * stage when the plan leaves it out. heard: the codes to be understood, NULL where there are none.
 * most_steps: of decoding, in a rehearsal. */
ace_status ace_run_lm(ace_runner *r, const ace_job *job, const ace_heard_codes *heard,
                      int64_t most_steps, ace_lm_written *written);

typedef struct ace_conditions {            /* of one brief */
    int n;                                 /* 1, or one per song when a reference is given */
    ace_array states[ACE_MAX_SONGS];       /* [tokens, encoder width] */
    ace_array plain_states[ACE_MAX_SONGS]; /* after the switch; rows 0: none */
} ace_conditions;

ace_status ace_run_condition(ace_runner *r, const ace_job *job, const ace_text_states *text,
                             const ace_heard *heard, ace_conditions *conditions);

typedef struct ace_hints {            /* of one brief: latents that 5 Hz codes stand for */
    int n;                            /* 0: none; 1; or one per song */
    ace_array latents[ACE_MAX_SONGS]; /* [frames, channels] */
} ace_hints;

/* Those of a song; NULL for a brief without. */
const float *ace_hints_of(const ace_hints *hints, int song);

/* hints[n_briefs]. Opens no stage when no brief follows codes. */
ace_status ace_run_codes(ace_runner *r, const ace_job *job, const ace_heard *heard,
                         ace_hints *hints);

/* songs get their latents. */
ace_status ace_run_diffusion(ace_runner *r, const ace_job *job, const ace_conditions *conditions,
                             const ace_heard *heard, const ace_hints *hints, ace_finished *songs,
                             int n_songs);

/* songs, whose latents are there, get their lyrics' times and scores. Opens no stage when no request
 * asks for them. */
ace_status ace_run_alignment(ace_runner *r, const ace_job *job, const ace_conditions *conditions,
                             const ace_heard *heard, const ace_hints *hints, ace_finished *songs,
                             int n_songs);

ace_status ace_run_decoder(ace_runner *r, const ace_job *job, ace_finished *songs, int n_songs);

#endif
