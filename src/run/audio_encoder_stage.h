/* Source and reference audio to latents, window by window. */
#ifndef ACE_RUN_AUDIO_ENCODER_STAGE_H
#define ACE_RUN_AUDIO_ENCODER_STAGE_H

#include "run/pipeline.h"

enum { ACE_ENCODER_CHUNKS = 4, ACE_ENCODER_OVERLAP = 8 };

int64_t ace_encoder_chunk(int index); /* latent frames, descending */
bool ace_encoder_is_needed(const ace_job *job);
/* Is there a reference to hear, as sound or as latents? */
bool ace_job_has_references(const ace_job *job);
/* Bytes of the encoder's weights and of its work with such windows, counted by `measure`. */
void ace_encoder_bytes(ace_device *measure, const ace_job *job, ace_precisions precisions,
                       int64_t chunk, int64_t overlap, size_t *weights, size_t *work);

#endif
