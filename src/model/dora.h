/* DoRA: row i of the changed matrix W + scale·Δ is stretched to the length magnitude[i] (PEFT's
 * lora_magnitude_vector, LyCORIS' dora_scale over outputs). The factors are found once, when an
 * adapter is loaded, from the checkpoint's own numbers of W, whatever the device makes of them:
 * int8 rows are stretched by what the rows they stand for are. */
#ifndef ACE_MODEL_DORA_H
#define ACE_MODEL_DORA_H

#include "weights/adapter.h"
#include "weights/loader.h"

/* to[i] = magnitude[i] / ‖row i of W + scale·Δ‖ for the layer that the checkpoint calls `weight`.
 * False with a failed stream, or after noting a problem. On a device that computes only. */
bool ace_dora_factors(ace_loader *l, const char *weight, const ace_adapter *a,
                      const ace_adapter_module *m, float *to);

#endif
