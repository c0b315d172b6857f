/* Products by cuBLASLt, which is looked for when the device is opened and need not be there. Its
 * interface is declared here, as far as it is used, so that building needs nothing of it:
 * library_check.c holds the numbers against the vendor's header where there is one. */
#ifndef ACE_CUDA_LIBRARY_H
#define ACE_CUDA_LIBRARY_H

#include "device/device.h"

#include <cuda_runtime_api.h>

struct ace_cuda;

/* y[m, n] = Σ_k x[m, k] · w[n, k]; leading dimensions in elements. x and w are of one type, f32 or
 * bf16; sums are f32. */
typedef struct ace_cuda_matmul {
    int64_t m, n, k;
    int64_t x_ld, w_ld, y_ld;
    ace_dtype in, out;
} ace_cuda_matmul;

typedef struct ace_lt_algo {
    uint64_t data[8];
} ace_lt_algo;

typedef struct ace_lt_heuristic {
    ace_lt_algo algo;
    size_t workspace;
    int state;
    float waves;
    int reserved[4];
} ace_lt_heuristic;

enum {
    ACE_LT_F32 = 0,
    ACE_LT_BF16 = 14,
    ACE_LT_COMPUTE_F32 = 68,
    ACE_LT_TRANSPOSE_A = 3,
    ACE_LT_OP_TRANSPOSE = 1,
    ACE_LT_MAX_WORKSPACE = 1,
    ACE_LT_ALIGNMENT_A = 5, /* … D: 8 */
    ACE_LT_OPERANDS = 4
};

typedef struct ace_lt_functions {
    int (*create)(void **handle);
    int (*destroy)(void *handle);
    int (*desc_create)(void **desc, int compute, int scale);
    int (*desc_destroy)(void *desc);
    int (*desc_set)(void *desc, int attribute, const void *value, size_t bytes);
    int (*layout_create)(void **layout, int type, uint64_t rows, uint64_t cols, int64_t ld);
    int (*layout_destroy)(void *layout);
    int (*preference_create)(void **preference);
    int (*preference_destroy)(void *preference);
    int (*preference_set)(void *preference, int attribute, const void *value, size_t bytes);
    int (*heuristic)(void *handle, void *desc, void *a, void *b, void *c, void *d, void *preference,
                     int asked, ace_lt_heuristic *found, int *n_found);
    int (*matmul)(void *handle, void *desc, const void *alpha, const void *a_data, void *a,
                  const void *b_data, void *b, const void *beta, const void *c_data, void *c,
                  void *d_data, void *d, const ace_lt_algo *algo, void *workspace,
                  size_t workspace_bytes, cudaStream_t stream);
} ace_lt_functions;

/* A product whose kernel has been chosen. */
typedef struct ace_cuda_matmul_plan {
    ace_cuda_matmul shape;
    bool refused; /* the library has no kernel for it */
    void *x, *w, *y;
    ace_lt_algo algo;
} ace_cuda_matmul_plan;

enum { ACE_CUDA_MATMUL_PLANS = 128 };

typedef struct ace_cuda_library {
    bool wanted; /* may be looked for */
    bool asked;  /* has been */
    void *file, *handle, *desc, *preference;
    ace_lt_functions lt;
    ace_cuda_matmul_plan plan[ACE_CUDA_MATMUL_PLANS];
    int n_plans; /* ever made: the oldest is replaced */
} ace_cuda_library;

/* Is it there? Looks for it once; its absence is said once. */
bool ace_cuda_library_is_there(struct ace_cuda *cuda);
void ace_cuda_library_close(ace_cuda_library *l);
/* NULL when the library has no kernel. Good until ACE_CUDA_MATMUL_PLANS more were asked for. */
const ace_cuda_matmul_plan *ace_cuda_matmul_for(struct ace_cuda *cuda,
                                                const ace_cuda_matmul *shape);
/* Issues the product; all addresses are multiples of 16. */
void ace_cuda_matmul_run(struct ace_cuda *cuda, const ace_cuda_matmul_plan *plan, void *y,
                         const void *x, const void *w);

#endif
