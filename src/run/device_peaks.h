/* What a device other than the CPU does at the most, found out by its own operations: a large
 * square product for arithmetic, a large copy for memory. Sizes grow until one try takes long
 * enough, so that a slow device is asked for little. */
#ifndef ACE_RUN_DEVICE_PEAKS_H
#define ACE_RUN_DEVICE_PEAKS_H

#include "run/roofline.h"

/* FLOP/s of products with f32, bf16 and int8 weights (whose inputs are f32, bf16 and bf16), and
 * bytes per second that a copy reads and writes together. Takes half of the free memory at the
 * most. MEMORY where that is too little. */
ace_status ace_device_peaks(ace_device *device, ace_roofline *out, ace_error *err);

#endif
