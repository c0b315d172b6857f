/* One tensor on its way from a checkpoint to the device: checked against what the model expects,
 * then read in place, decoded, or made up. Used by the loader alone. */
#ifndef ACE_WEIGHTS_TENSOR_SOURCE_H
#define ACE_WEIGHTS_TENSOR_SOURCE_H

#include "weights/loader.h"

enum { ACE_SOURCE_MAX_RANK = 3 };

typedef struct ace_tensor_source {
    char name[256];           /* as the model asked for it */
    char label[512];          /* "file: name", for messages */
    const ace_weight *weight; /* NULL: made up, or only measured */
    const ace_weight *scale;  /* of int8 numbers, one for each index of the outermost dimension */
    int64_t leading;          /* outermost dimension */
    int64_t rest;             /* product of the others */
    int64_t first;            /* index of the first one wanted of the outermost dimension */
    /* After ace_source_read: element (i, j) is data[i · leading_stride + j], 0 ≤ j < rest. */
    const void *data; /* NULL on a device that only measures */
    ace_dtype dtype;
    int64_t leading_stride;
    const float *row_scale; /* NULL: 1 */
} ace_tensor_source;

/* Adds one problem to the loader's report. */
void ace_loader_problem(ace_loader *l, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
bool ace_loader_is_synthetic(const ace_loader *l);
/* Room for n floats in l->scratch, its content undefined; false with a failed stream. */
bool ace_loader_reserve_scratch(ace_loader *l, size_t n);

/* Looks the tensor up and checks shape (dimensions of 1 aside, which do not move a number) and
 * type; false after noting a problem. */
bool ace_source_find(ace_loader *l, const char *name, const int64_t *dims, int rank,
                     ace_tensor_source *out);

/* Only first … first + n - 1 of the outermost dimension from here on; false after noting a problem:
 * a block type whose blocks do not start there. */
bool ace_source_select(ace_loader *l, ace_tensor_source *s, int64_t first, int64_t n);

/* Floats of scratch that ace_source_read needs. keep_blocks: the packer takes block types as they
 * are. */
size_t ace_source_scratch_floats(const ace_loader *l, const ace_tensor_source *s, bool keep_blocks);
/* Sets data, dtype and leading_stride. Made-up numbers are uniform in ±spread. */
void ace_source_read(const ace_loader *l, ace_tensor_source *s, bool keep_blocks, float spread,
                     float *scratch);
/* What was read has been packed: the file's pages may go. */
void ace_source_release(const ace_loader *l, const ace_tensor_source *s);

#endif
