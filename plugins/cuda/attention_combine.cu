/* The results of attention whose keys were shared out between blocks, brought to one peak: a warp
 * for each query and head. Lane s stands for split s while their weights are made, and for columns
 * while they are added. A split that saw no key has no weight. */
#include "attention.cuh"

enum { WARPS = 4 };
static_assert((int)ACE_CUDA_MOST_SPLITS <= (int)ACE_WARP, "a lane for each split");

__global__ static void __launch_bounds__(WARPS *ACE_WARP) combine(ace_cuda_attention a)
{
    int lane = (int)threadIdx.x % ACE_WARP;
    int64_t at = (int64_t)blockIdx.x * WARPS + threadIdx.x / ACE_WARP;
    if (at >= a.batch * a.q_len * a.heads) {
        return;
    }
    int64_t each = a.head_dim + 2;
    const float *partial = a.partial + at * a.splits * each;
    float peak = lane < a.splits ? partial[lane * each] : -INFINITY;
    float total = lane < a.splits ? partial[lane * each + 1] : 0.0f;
    float highest = ace_warp_max(peak);
    float weight = total != 0 ? exp2f(peak - highest) : 0.0f;
    total = ace_warp_sum(weight != 0 ? weight * total : 0.0f);
    for (int64_t first = 0; first < a.head_dim; first += ACE_WARP) {
        int64_t c = first + lane;
        float sum = 0;
        for (int s = 0; s < a.splits; s++) {
            float w = __shfl_sync(ACE_ALL_LANES, weight, s);
            sum = w != 0 && c < a.head_dim ? fmaf(w, partial[s * each + 2 + c], sum) : sum;
        }
        if (c < a.head_dim) {
            ace_put(a.y, a.first * a.q_len + at / a.heads, at % a.heads * a.head_dim + c,
                    total != 0 ? sum / total : 0.0f);
        }
    }
}

extern "C" void ace_cuda_combine_splits(const ace_cuda_attention *a, cudaStream_t stream)
{
    ACE_LAUNCH(combine, dim3(ace_blocks(a->batch * a->q_len * a->heads, WARPS)),
               dim3(WARPS * ACE_WARP), stream, *a);
}
