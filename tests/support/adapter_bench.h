/* Adapters made up in a test, the tiny transformers that they are for, and the velocities that come
 * of both: beside the weights, and with weights into which a test has merged them itself. */
#ifndef TESTS_SUPPORT_ADAPTER_BENCH_H
#define TESTS_SUPPORT_ADAPTER_BENCH_H

#include "model/dit_adapters.h"

enum { MADE_TENSORS = 1024 };

/* Tensors to be written, f32; names and numbers owned. */
typedef struct made_file {
    ace_weight tensor[MADE_TENSORS];
    size_t n;
    char path[80];
} made_file;

/* Numbers in ±spread. */
void adapter_bench_fill(float *out, int64_t n, unsigned seed, float spread);
float *adapter_bench_add(made_file *f, const char *name, int rank, const int64_t *dims);
const char *adapter_bench_write(made_file *f); /* to a path of its own */
void adapter_bench_free(made_file *f);         /* the file on disk, too */
ace_adapter *adapter_bench_open(const made_file *f);

/* model: a folder below tests/golden. */
ace_weights *adapter_bench_model(const char *model);
/* NULL behind the last layer. */
const ace_weight *adapter_bench_target(const ace_weights *w, int layer, int target);

/* One row of a weight as f32. */
void adapter_bench_row(const ace_weight *w, int64_t row, float *to);

/* Changes the numbers of one layer's weight `t`. */
typedef void merge_layer(const void *context, float *values, const ace_weight *t, int layer,
                         ace_adapter_target target);
/* The transformer in f32 with every adaptable layer changed so. */
made_file *adapter_bench_merged(const char *model, merge_layer *merge, const void *context);

/* Velocities of two items with and without condition. merged: path of the weights; NULL: the
 * model's own. *bytes: what the adapters took; NULL is fine. Closes the device. */
float *adapter_bench_velocities(ace_device *device, ace_dtype precision, const char *model,
                                const char *merged, const ace_adapter_use *uses, int n,
                                size_t *bytes);
/* How many numbers these are. */
int64_t adapter_bench_count(const char *model);
/* ‖a - b‖ / ‖b‖ */
double adapter_bench_distance(const float *a, const float *b, int64_t n);

/* Velocities of one use beside the weights, in f32 on bench_device 0 and 1: at most `most` from
 * those of the merged weights, and far from those without. what: for the message. */
void adapter_bench_check(const char *what, const char *model, const ace_adapter_use *use,
                         const made_file *merged, double most);

#endif
