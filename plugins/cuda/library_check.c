/* Holds our declarations of cuBLASLt (library.h) against the vendor's. Compiles to nothing; built
 * where the header is there. */
#include "library.h"

#include <cublasLt.h>

#define SAME(ours, theirs)                                                                         \
    _Static_assert((int)(ours) == (int)(theirs), #theirs " is another number")

SAME(ACE_LT_F32, CUDA_R_32F);
SAME(ACE_LT_BF16, CUDA_R_16BF);
SAME(ACE_LT_COMPUTE_F32, CUBLAS_COMPUTE_32F);
SAME(ACE_LT_TRANSPOSE_A, CUBLASLT_MATMUL_DESC_TRANSA);
SAME(ACE_LT_OP_TRANSPOSE, CUBLAS_OP_T);
SAME(ACE_LT_MAX_WORKSPACE, CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES);
SAME(ACE_LT_ALIGNMENT_A, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES);
SAME(ACE_LT_ALIGNMENT_A + ACE_LT_OPERANDS - 1, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES);
SAME(sizeof(ace_lt_algo), sizeof(cublasLtMatmulAlgo_t));
SAME(sizeof(ace_lt_heuristic), sizeof(cublasLtMatmulHeuristicResult_t));
SAME(0, CUBLAS_STATUS_SUCCESS);
