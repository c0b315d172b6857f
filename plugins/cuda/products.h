/* How products are made: the ways that take more than one kernel. */
#ifndef ACE_CUDA_PRODUCTS_H
#define ACE_CUDA_PRODUCTS_H

#include "cuda_device.h"

/* By the library; false when it has no kernel, or is not there: nothing has been done then. */
bool ace_cuda_run_by_library(ace_cuda *cuda, const ace_cuda_product *p);
/* Would the library have to wait for a pass that gathers or converts x? Would y need one that
 * applies what is beyond a plain product? */
bool ace_cuda_needs_pass_for_inputs(const ace_cuda_product *p);
bool ace_cuda_needs_pass_for_results(const ace_cuda_product *p);

/* bf16 and int8 weights, from capability ACE_CUDA_LEAST_TENSOR_CAPABILITY on. */
void ace_cuda_run_on_tensor_cores(ace_cuda *cuda, const ace_cuda_product *p);
/* The same of linear layers with int8 weights that allow int8 inputs. */
void ace_cuda_run_in_int8(ace_cuda *cuda, const ace_cuda_product *p);

#endif
