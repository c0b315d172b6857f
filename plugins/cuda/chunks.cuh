/* Eight numbers at once: 16 bytes of bf16 in one access, 32 of f32 in two. */
#ifndef ACE_CUDA_CHUNKS_CUH
#define ACE_CUDA_CHUNKS_CUH

#include "numbers.cuh"

enum { ACE_CHUNK = 8 };

/* Whether every row begins at a multiple of 16 bytes; an empty tensor is no hindrance. */
__host__ __device__ static inline bool ace_has_chunks(const ace_tensor &t)
{
    return t.addr % 16 == 0 && t.row_stride % (t.dtype == ACE_BF16 ? 8 : 4) == 0;
}

__device__ static inline uint4 *ace_chunk_at(const ace_tensor &t, int64_t row, int64_t column)
{
    int64_t i = row * t.row_stride + column;
    return (uint4 *)(t.addr + (uint64_t)(t.dtype == ACE_BF16 ? 2 * i : 4 * i));
}

/* Columns column … column + 7. */
__device__ static inline void ace_get_chunk(const ace_tensor &t, int64_t row, int64_t column,
                                            float (&to)[ACE_CHUNK])
{
    const uint4 *at = ace_chunk_at(t, row, column);
    uint4 first = at[0];
    if (t.dtype == ACE_BF16) {
        const unsigned words[4] = {first.x, first.y, first.z, first.w};
#pragma unroll
        for (int i = 0; i < ACE_CHUNK; i++) {
            to[i] = ace_widen_bf16((uint16_t)(words[i / 2] >> 16 * (i % 2)));
        }
        return;
    }
    uint4 second = at[1];
    const unsigned words[ACE_CHUNK] = {first.x,  first.y,  first.z,  first.w,
                                       second.x, second.y, second.z, second.w};
#pragma unroll
    for (int i = 0; i < ACE_CHUNK; i++) {
        to[i] = __uint_as_float(words[i]);
    }
}

__device__ static inline unsigned ace_two_bf16(float first, float second)
{
    return (unsigned)ace_round_bf16(first) | (unsigned)ace_round_bf16(second) << 16;
}

__device__ static inline void ace_put_chunk(const ace_tensor &t, int64_t row, int64_t column,
                                            const float (&from)[ACE_CHUNK])
{
    uint4 *at = ace_chunk_at(t, row, column);
    if (t.dtype == ACE_BF16) {
        at[0] = uint4{ace_two_bf16(from[0], from[1]), ace_two_bf16(from[2], from[3]),
                      ace_two_bf16(from[4], from[5]), ace_two_bf16(from[6], from[7])};
        return;
    }
    at[0] = uint4{__float_as_uint(from[0]), __float_as_uint(from[1]), __float_as_uint(from[2]),
                  __float_as_uint(from[3])};
    at[1] = uint4{__float_as_uint(from[4]), __float_as_uint(from[5]), __float_as_uint(from[6]),
                  __float_as_uint(from[7])};
}

#endif
