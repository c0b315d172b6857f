/* `acestep bench`: stages measured alone, on published shapes with made-up weights, against what
 * this machine can do at the most. */
#ifndef ACE_RUN_BENCH_H
#define ACE_RUN_BENCH_H

#include "base/dtype.h"
#include "run/roofline.h"
#include "run/stage.h"
#include "run/workshop.h"

enum { ACE_BENCH_MAX_REPEATS = 100, ACE_BENCH_MAX_ROWS = 64 };

typedef struct ace_bench_machine {
    char device[96]; /* the card that computes; "": the CPU does */
    char cpu[96];
    const char *level; /* static */
    int threads;
    ace_roofline limits; /* of the whole run */
} ace_bench_machine;

/* One stage, or one step of it, repeated. */
typedef struct ace_bench_row {
    char stage[32]; /* "dit", "song.diffusion", "lm.decode" */
    char work[96];  /* what one repetition is: "1 step, 375 tokens, 173 condition tokens" */
    char model[128];
    ace_dtype matrix;                      /* of the weights */
    double audio_seconds;                  /* that the work is for; 0: it is for none */
    double tokens;                         /* that a language model reads or writes; 0: none */
    double load_seconds;                   /* reading (or making up) and packing the weights */
    double seconds[ACE_BENCH_MAX_REPEATS]; /* every repetition after the warm-up, in order */
    int n;
    double flops;          /* of one repetition, as the stream counts them */
    double bytes;          /* weights (and cache) that one repetition must read; 0: not known */
    size_t device_bytes;   /* most on the device: weights and work */
    size_t resident_bytes; /* most of the process in memory while it ran; 0: not known */
    ace_roofline limits;   /* just before the stage, between its repetitions and just after: what
                                a machine can do changes within minutes where others use it too */
} ace_bench_row;

typedef struct ace_bench {
    ace_bench_machine machine;
    int repeats;
    ace_bench_row row[ACE_BENCH_MAX_ROWS];
    int n_rows;
} ace_bench;

/* ---- figures (bench_figures.c) --------------------------------------------------------------- */

double ace_bench_median(const ace_bench_row *row);
double ace_bench_best(const ace_bench_row *row);
/* What holds the work back on this machine: memory, or the unit that its products work in. As in
 * ace_roof_name. */
int ace_bench_bound(const ace_bench_row *row);
/* The share of that unit's peak which the best repetition reaches, 0 … 1. */
double ace_bench_share(const ace_bench_row *row);

/* ---- measuring ------------------------------------------------------------------------------- */

/* stages: names with commas between them, or "all". *out is zeroed first; rows stand in the order
 * asked for. ARGUMENT for an unknown stage, before anything is measured. On CANCELLED, which may
 * come between two repetitions, the rows so far stand in *out with the repetitions that were
 * finished. */
ace_status ace_bench_stages(const ace_request *request, const char *stages, int repeats,
                            ace_job_progress *progress, void *context, ace_bench *out,
                            ace_error *err);

/* Of the stages' files: an open workshop, and where rows go. */
typedef struct ace_bench_context {
    ace_workshop *workshop;
    const ace_request *request; /* with the stage's defaults filled in */
    ace_job_progress *progress; /* whole: of the stage */
    void *progress_context;
    ace_bench *bench;
    ace_roofline *around; /* the stage at hand, so far */
    ace_roofline *last;   /* the latest full measurement */
    ace_error *err;
} ace_bench_context;

/* Arithmetic alone, between repetitions: takes no memory. Not of a card. */
void ace_bench_measure_units(const ace_bench_context *c);
/* Memory too; it takes half a gigabyte. Of a card the first time only. */
ace_status ace_bench_measure_machine(const ace_bench_context *c);

/* The next row, named; NULL with the error set when there is no room. */
ace_bench_row *ace_bench_add(const ace_bench_context *c, const char *stage);

/* bench_network.c: text, condition, condition-timbre, dit, vae-decode, vae-encode. */
ace_status ace_bench_network(const ace_bench_context *c, const char *stage);
/* bench_song.c: the whole pipeline once, one row for it and one for each of its stages. */
ace_status ace_bench_song(const ace_bench_context *c, const char *stage);
/* bench_lm.c: reading a prompt and decoding. */
ace_status ace_bench_language_model(const ace_bench_context *c, const char *stage);

#endif
