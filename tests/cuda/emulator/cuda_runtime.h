/* CUDA C++ for the emulator: a kernel is an ordinary function, run once for every thread of every
 * block (grid.cpp). Shared memory is static: blocks run one after another. */
#ifndef ACE_EMULATOR_CUDA_RUNTIME_H
#define ACE_EMULATOR_CUDA_RUNTIME_H

#include "cuda_runtime_api.h"

#include <math.h>
#include <stdint.h>
#include <string.h>

#define __global__
#define __device__
#define __host__
#define __shared__ static
#define __launch_bounds__(...)

struct dim3 {
    unsigned x, y, z;
    dim3(unsigned x_ = 1, unsigned y_ = 1, unsigned z_ = 1) : x(x_), y(y_), z(z_)
    {
    }
};

struct alignas(16) uint4 {
    unsigned x, y, z, w;
};

struct alignas(8) uint2 {
    unsigned x, y;
};

struct alignas(8) float2 {
    float x, y;
};

struct alignas(16) float4 {
    float x, y, z, w;
};

/* Where the running thread is. */
struct ace_emulator_position {
    dim3 thread, block, grid;
};
extern ace_emulator_position ace_emulator_at;
#define threadIdx (ace_emulator_at.thread)
#define blockIdx (ace_emulator_at.block)
#define gridDim (ace_emulator_at.grid)

void __syncthreads();
static inline void __syncwarp();

/* Every lane of the warp brings a word; gives those of lane 0 … 31. Good until the lane's next
 * exchange but one. */
const unsigned *ace_emulator_exchange(unsigned mask, unsigned word);
/* Every lane of the warp brings an address; when all have, `work` is called once, with those of
 * lane 0 … 31. */
void ace_emulator_together(void (*work)(void *const *lanes), void *mine);
/* Ends the program when the card has less than this: an instruction that it does not know. */
void ace_emulator_need(int capability);
/* Of 16 bytes, from nowhere: zeros; groups as cp.async has them. */
void ace_emulator_copy_late(void *to, const void *from);
void ace_emulator_end_group();
void ace_emulator_wait_groups(int still_out);

/* The lane's number in its warp. */
static inline int ace_emulator_lane()
{
    return (int)(ace_emulator_at.thread.x % 32);
}

template <typename T> static inline T __shfl_sync(unsigned mask, T value, int lane)
{
    static_assert(sizeof(T) == sizeof(unsigned), "32 bits only");
    unsigned word;
    memcpy(&word, &value, sizeof word);
    const unsigned *all = ace_emulator_exchange(mask, word);
    T other;
    memcpy(&other, &all[lane % 32], sizeof other);
    return other;
}

template <typename T> static inline T __shfl_xor_sync(unsigned mask, T value, int lanes)
{
    return __shfl_sync(mask, value, ace_emulator_lane() ^ lanes);
}

static inline void __syncwarp()
{
    (void)__shfl_sync(0xffffffffu, 0u, 0);
}

static inline float __uint_as_float(unsigned u)
{
    float f;
    memcpy(&f, &u, sizeof f);
    return f;
}

/* To the nearest, ties to even; an integer's limits beyond them, 0 for NaN. */
static inline int __float2int_rn(float f)
{
    return f != f ? 0 : f >= 0x1p31f ? INT32_MAX : f <= -0x1p31f ? INT32_MIN : (int)rintf(f);
}

static inline unsigned __float_as_uint(float f)
{
    unsigned u;
    memcpy(&u, &f, sizeof u);
    return u;
}

/* Rounded each, never joined to one fma (cmake/cuda.cmake forbids it to the C++ compiler). */
static inline float __fadd_rn(float a, float b)
{
    return a + b;
}

static inline float __fsub_rn(float a, float b)
{
    return a - b;
}

static inline float __fmul_rn(float a, float b)
{
    return a * b;
}

/* Byte i of the result: that of the eight of a and b which nibble i of the selector names. */
static inline unsigned __byte_perm(unsigned a, unsigned b, unsigned selector)
{
    uint64_t all = (uint64_t)b << 32 | a;
    unsigned to = 0;
    for (int i = 0; i < 4; i++) {
        to |= (unsigned)(all >> (8 * (selector >> (4 * i) & 7)) & 255) << (8 * i);
    }
    return to;
}

/* One instruction on a card; here a call, unless it is two roundings instead of one. */
#define fmaf(a, b, c) ((a) * (b) + (c))

struct ace_emulator_grid {
    dim3 grid, block;
};
/* Runs `kernel(context)` for every thread. */
void ace_emulator_run(const ace_emulator_grid &g, void (*kernel)(void *), void *context);

template <typename BODY> struct ace_emulator_launch {
    ace_emulator_grid grid;
    BODY body;

    static void thread(void *context)
    {
        ((ace_emulator_launch *)context)->body();
    }
    static void task(void *context)
    {
        ace_emulator_run(((ace_emulator_launch *)context)->grid, thread, context);
    }
};

/* Arguments are copied when the kernel is launched, as on a card. */
template <typename KERNEL, typename... ARGUMENTS>
static void ace_emulator_launch_kernel(KERNEL kernel, dim3 grid, dim3 block, cudaStream_t stream,
                                       ARGUMENTS... arguments)
{
    auto body = [=]() { kernel(arguments...); };
    ace_emulator_launch<decltype(body)> launch = {{grid, block}, body};
    ace_emulator_enqueue_kernel(stream, launch.task, &launch, sizeof launch);
}

/* The instructions of mma.cuh. */
#include "warp_matrix.h"

#define ACE_LAUNCH(kernel, grid, block, stream, ...)                                               \
    ace_emulator_launch_kernel((kernel), (grid), (block), (stream), __VA_ARGS__)

#endif
