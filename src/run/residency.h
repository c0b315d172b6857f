/* Which parts of the models are on the device: loaded when a stage borrows them, dropped as the
 * plan says. Weights are only read, so dropping one costs nothing; copies go upwards only. */
#ifndef ACE_RUN_RESIDENCY_H
#define ACE_RUN_RESIDENCY_H

#include "model/condition_encoder.h"
#include "model/dit.h"
#include "model/dit_adapters.h"
#include "model/fsq.h"
#include "model/language_model.h"
#include "model/text_encoder.h"
#include "model/vae_decoder.h"
#include "model/vae_encoder.h"
#include "run/foresight.h"
#include "run/layer_window.h"
#include "run/ledger.h"
#include "run/models.h"
#include "run/pack_writer.h"
#include "run/silence_timbre.h"

typedef struct ace_precisions {
    ace_dtype activation; /* F32 or BF16 */
    ace_dtype plain;      /* of weights: F32, BF16, or I8 */
} ace_precisions;

typedef struct ace_held_part {
    bool held;
    ace_dtype matrix;
    int window;  /* of the DiT */
    bool timbre; /* of the condition encoder: with what hears a timbre */
    ace_arena arena;
} ace_held_part;

typedef struct ace_residency {
    ace_device *device, *measure; /* measure counts for device, and may be it */
    const ace_models *models;
    ace_precisions precisions;
    ace_ledger ledger;
    ace_held_part part[ACE_PARTS];
    ace_language_model lm;
    ace_text_encoder text;
    ace_vae_encoder vae_encoder;
    ace_condition_encoder condition;
    ace_fsq_tokenizer tokenizer;
    ace_fsq_detokenizer detokenizer;
    ace_dit dit;
    ace_dit_adapters adapters;
    ace_vae_decoder vae_decoder;
    const ace_adapter_use *uses; /* of the job at hand; borrowed */
    int n_uses;
    ace_layer_window window;
    ace_pool *pool;          /* borrowed; for work on the host; NULL: one thread */
    ace_pack_cache *cache;   /* borrowed; NULL: nothing is kept on disk */
    ace_pack_writer *writer; /* of the part `writing`, which stays until it is done, or NULL */
    ace_part writing;
    ace_silence_timbre *silence; /* borrowed; NULL: it is heard every time */
    bool references;             /* of the job at hand: there are some to hear */
    ace_foresight foresight;
    bool foreseen[ACE_PARTS]; /* asked for since it was loaded last */
} ace_residency;

/* Borrows all; nothing is loaded yet. */
void ace_residency_init(ace_residency *r, ace_device *device, ace_device *measure,
                        const ace_models *models, ace_precisions precisions);
/* Drops everything, the layers' images too. A zeroed one is fine. */
void ace_residency_close(ace_residency *r);

/* The same state on the measure device: what is held now counts, nothing real is touched. Has no
 * trace. Close with ace_residency_close. */
void ace_residency_rehearse(const ace_residency *real, ace_residency *out);

/* Can the models supply this part at all? */
bool ace_residency_has(const ace_residency *r, ace_part part);

/* The type that a plan gives the part's matrices. */
ace_dtype ace_part_matrix(const ace_residency *r, const ace_plan *plan, ace_part part);

/* Loads the part unless it is there as the plan wants it. capacity: bytes to reserve, SIZE_MAX on
 * the measure device. counters: uploads are added. *bytes: what it takes. */
ace_status ace_residency_load(ace_residency *r, const ace_plan *plan, ace_part part,
                              size_t capacity, ace_stream_counters *counters, size_t *bytes,
                              ace_error *err);
/* Parts that are to be loaded later, in this order: what is not held is asked for in the
 * background. */
void ace_residency_foresee(ace_residency *r, const ace_plan *plan, const ace_part *parts, int n);
void ace_residency_drop(ace_residency *r, ace_part part);
/* Waits until the disk has what was packed last. */
void ace_residency_await_writing(ace_residency *r);
/* Drops what the plan does not keep. */
void ace_residency_settle(ace_residency *r, const ace_plan *plan);

#endif
