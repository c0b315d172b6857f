/* Speed of the 5 Hz language model on the CPU: a prompt, then single tokens for some sequences at
 * once, early in a song and late. Decoding reads every weight once a step, so its bound is the
 * memory; that is measured in the same run. */
#ifndef ACE_RUN_BENCH_LM_H
#define ACE_RUN_BENCH_LM_H

#include "base/dtype.h"
#include "run/request.h"

enum { ACE_BENCH_LM_RATES = 8, ACE_BENCH_LM_RUNS = 2, ACE_BENCH_LM_PROMPT = 512 };

/* One decoding step. */
typedef struct ace_lm_rate {
    int sequences;
    int64_t context; /* tokens of each sequence before the step */
    double seconds;  /* the fastest of several */
    double bytes;    /* weights and cache that must be read */
} ace_lm_rate;

typedef struct ace_lm_run {
    ace_dtype matrix;    /* F32, BF16 or I8 */
    double weight_bytes; /* that a step reads, the head's rows of audio codes included */
    double load_seconds;
    double matrix_flops;   /* per second, of a large product */
    double prompt_seconds; /* ACE_BENCH_LM_PROMPT tokens */
    ace_lm_rate rate[ACE_BENCH_LM_RATES];
    int n_rates;
} ace_lm_run;

typedef struct ace_lm_bench {
    char model[64];
    const char *cpu; /* static */
    int threads;
    double bandwidth; /* bytes per second, of reading */
    ace_lm_run run[ACE_BENCH_LM_RUNS];
    int n_runs;
} ace_lm_bench;

/* The share of the memory's speed that a step makes use of, 0 … 1. */
static inline double ace_lm_bound_share(const ace_lm_bench *b, const ace_lm_rate *r)
{
    return r->bytes / b->bandwidth / r->seconds;
}

ace_status ace_bench_lm(const ace_request *request, ace_lm_bench *out, ace_error *err);

#endif
