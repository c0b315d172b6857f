/* Writes a safetensors file: header, then the tensors in the order given. */
#ifndef ACE_WEIGHTS_SAFETENSORS_WRITE_H
#define ACE_WEIGHTS_SAFETENSORS_WRITE_H

#include "weights/weights.h"

/* F32 and I64 tensors; names unique. IO when the path cannot be written (then nothing is left there). */
ace_status ace_safetensors_write(const char *path, const ace_weight *tensors, size_t n,
                                 ace_error *err);

#endif
