/* Checkpoints of a drawn architecture in the published layout, with random weights: one file or
 * shards, f32, bf16 or f16, with or without "model." before the names, weight-normed convolutions.
 */
#ifndef TESTS_SUPPORT_MADE_CHECKPOINT_H
#define TESTS_SUPPORT_MADE_CHECKPOINT_H

#include "support/architecture.h"

/* Folders of the parts below `folder`, which exists: acestep-v15-turbo, vae, Qwen3-Embedding-0.6B
 * and acestep-5Hz-lm-0.6B. The diffusion model's file has its silence, too. For songs the text
 * encoder gets the recorded one's tokenizer. */
void made_checkpoint_write(const char *folder, const architecture *a, bool songs);

#endif
