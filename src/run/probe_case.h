/* Inside of the probe: a recorded case, its parameters, and the outputs collected so far. */
#ifndef ACE_RUN_PROBE_CASE_H
#define ACE_RUN_PROBE_CASE_H

#include "run/job.h"

#include <jansson.h>

typedef struct ace_probe {
    ace_weights *in;
    json_t *index; /* index.json, or NULL */
    json_t *meta;  /* the case's parameters; an empty object when there are none */
    char name[128], kind[32], model[32];
    ace_workshop *workshop;
    ace_runner *runner; /* of the present pass: measuring, then real */
    ace_weight *out;    /* names and data owned */
    size_t n_out, room;
    void **blocks; /* temporary memory, freed with the probe */
    size_t n_blocks;
    ace_status status; /* the first failure; everything below does nothing after it */
    ace_error *err;
} ace_probe;

ace_status ace_probe_open(ace_probe *p, const char *case_path, ace_error *err);
void ace_probe_close(ace_probe *p);
void ace_probe_fail(ace_probe *p, ace_status status, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Zeroed memory until the probe is closed; never NULL: a failure leaves a small block and a failed
 * probe. */
void *ace_probe_alloc(ace_probe *p, int64_t n, size_t size);

/* Inputs. optional: NULL when absent, without a failure. */
const ace_weight *ace_probe_tensor(ace_probe *p, const char *name, bool optional);
int64_t ace_probe_elements(const ace_weight *t);
float *ace_probe_f32(ace_probe *p, const char *name, bool optional);
int64_t *ace_probe_i64(ace_probe *p, const char *name, bool optional);
double ace_probe_number(const ace_probe *p, const char *key, double absent);
const char *ace_probe_text(const ace_probe *p, const char *key);

/* Rows of in.input_ids without what in.attention_mask hides, with room for `more` ids behind each; their
 * number, at most `most`. A row with fewer than `least` ids fails. */
int ace_probe_sequences(ace_probe *p, int most, int64_t least, int64_t more, int64_t *length,
                        int32_t **ids);

/* Outputs: data is copied; a second output of the same name replaces the first. */
void ace_probe_put(ace_probe *p, const char *name, const float *data, int rank, const int64_t *dim);
void ace_probe_put_i64(ace_probe *p, const char *name, const int64_t *data, int rank,
                       const int64_t *dim);

/* The next stage with its weights being loaded; false when something has failed. End it in any case
 * that began. */
bool ace_probe_begin(ace_probe *p, ace_stage *stage, const ace_weights *weights);
void ace_probe_end(ace_probe *p, ace_stage *stage);

/* An ace_observe that writes out.mid.<name>, [1, rows, cols]; context is the probe. */
void ace_probe_observe(void *context, ace_stream *s, const char *name, ace_tensor t);

/* [rows, cols] → [cols, rows] */
void ace_transpose(const float *in, int64_t rows, int64_t cols, float *out);

/* One pass over each kind of case: text, cond, fsq, dit, vae; sample, guidance; e2e; lm, sampler,
 * fsm. */
void ace_probe_text_encoder(ace_probe *p);
void ace_probe_condition(ace_probe *p);
void ace_probe_fsq(ace_probe *p);
void ace_probe_dit(ace_probe *p);
void ace_probe_vae(ace_probe *p);
void ace_probe_sample(ace_probe *p);
void ace_probe_guidance(ace_probe *p);
void ace_probe_song(ace_probe *p);
void ace_probe_lm(ace_probe *p);
void ace_probe_sampler(ace_probe *p);
void ace_probe_fsm(ace_probe *p);

/* The padded conditions that `cond` and `sample` cases share. prefix: "" or "non_cover_". */
void ace_probe_encode_condition(ace_probe *p, const char *prefix, float **states, int64_t **mask,
                                int64_t *length, bool parts);

#endif
