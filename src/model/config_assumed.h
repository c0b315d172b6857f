/* What a config leaves out about the heads of attention, from the shapes of the tensors beside it:
 * the classes that read such configs have had several defaults. */
#ifndef ACE_MODEL_CONFIG_ASSUMED_H
#define ACE_MODEL_CONFIG_ASSUMED_H

#include "model/config.h"
#include "weights/weights.h"

/* Where the tensors say nothing that makes sense, the defaults stay, and loading tells what does
 * not fit. */
void ace_dit_config_complete(ace_dit_config *c, const ace_weights *w);
void ace_qwen3_config_complete(ace_qwen3_config *c, const ace_weights *w);

#endif
