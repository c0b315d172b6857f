/* A checkpoint with int8 weights, written to disk: int8_weight_only, one scale per output row. */
#ifndef ACE_WEIGHTS_QUANTIZE_H
#define ACE_WEIGHTS_QUANTIZE_H

#include "weights/weights.h"

/* Is this tensor to be quantised? Asked for matrices [rows, cols] only. */
typedef bool ace_quantise_choice(const char *name);
/* fraction 0 … 1; return false to cancel. */
typedef bool ace_quantise_progress(void *context, double fraction);

/* Every chosen matrix X of `from` becomes X, I8, and X_scale, F32 [rows]: scale = max|w| / 127 of a
 * row, rounded to nearest, ties to even, exactly as the packer does it at load. All else is copied.
 * One row at a time is in memory. MODEL for NaN or infinity, UNSUPPORTED for weights in blocks (GGUF
 * files are quantised already). */
ace_status ace_quantise_file(const ace_weights *from, ace_quantise_choice *choose, const char *path,
                             ace_quantise_progress *progress, void *context, ace_error *err);

#endif
