/* Tensor cores and copies past the registers: instructions that cards have from compute capability
 * 8.0 on. Kernels that use them must not be launched on older ones; compiled for these they trap.
 *
 * Layouts of fragments (PTX ISA, "Matrix Fragments for mma.m16n8k16" and "… m16n8k32"); lane = 4·g
 * + t: a [16, K]  words: row g, K-piece t | row g + 8, piece t | row g, piece t + 4 | row g + 8,
 * piece t + 4 b [K, 8]   words: column g, piece t | column g, piece t + 4 d [16, 8]  numbers: row
 * g, columns 2t, 2t + 1 | row g + 8, columns 2t, 2t + 1 A piece is a word of numbers next to each
 * other along K: two bf16 (K = 16) or four int8 (K = 32). */
#ifndef ACE_CUDA_MMA_CUH
#define ACE_CUDA_MMA_CUH

#include "numbers.cuh"

enum { ACE_LEAST_MMA_CAPABILITY = ACE_CUDA_LEAST_TENSOR_CAPABILITY };

/* Is what is being compiled for a card that has them? For others a kernel's body need not be. */
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ < 800
#define ACE_HAS_MMA 0
#else
#define ACE_HAS_MMA 1
#endif

/* d += a · b, bf16 with f32 sums. */
__device__ static inline void ace_mma_bf16(float (&d)[4], const unsigned (&a)[4],
                                           const unsigned (&b)[2])
{
#if defined(ACE_MMA)
    ACE_MMA(1, 1, &d, &a, &b);
#elif defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 800
    asm volatile("mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 "
                 "{%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};"
                 : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
                 : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
#elif defined(__CUDA_ARCH__)
    __trap();
#endif
}

/* d += a · b, int8 with int32 sums. */
__device__ static inline void ace_mma_int8(int (&d)[4], const unsigned (&a)[4],
                                           const unsigned (&b)[2])
{
#if defined(ACE_MMA)
    ACE_MMA(1, 1, &d, &a, &b);
#elif defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 800
    asm volatile("mma.sync.aligned.m16n8k32.row.col.s32.s8.s8.s32 "
                 "{%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};"
                 : "+r"(d[0]), "+r"(d[1]), "+r"(d[2]), "+r"(d[3])
                 : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
#elif defined(__CUDA_ARCH__)
    __trap();
#endif
}

/* d[i][j] += a[i] · b[j] for all i and j: the same instructions, which the emulator does at once.
 */
template <int M, int N>
__device__ static inline void ace_mma_all(float (&d)[M][N][4], const unsigned (&a)[M][4],
                                          const unsigned (&b)[N][2])
{
#if defined(ACE_MMA)
    ACE_MMA(M, N, d[0], a, b);
#else
#pragma unroll
    for (int i = 0; i < M; i++) {
#pragma unroll
        for (int j = 0; j < N; j++) {
            ace_mma_bf16(d[i][j], a[i], b[j]);
        }
    }
#endif
}

template <int M, int N>
__device__ static inline void ace_mma_all(int (&d)[M][N][4], const unsigned (&a)[M][4],
                                          const unsigned (&b)[N][2])
{
#if defined(ACE_MMA)
    ACE_MMA(M, N, d[0], a, b);
#else
#pragma unroll
    for (int i = 0; i < M; i++) {
#pragma unroll
        for (int j = 0; j < N; j++) {
            ace_mma_int8(d[i][j], a[i], b[j]);
        }
    }
#endif
}

/* Four matrices of 8 by 8 16-bit numbers from shared memory (ldmatrix): lane i gives the address of
 * row i % 8 of matrix i / 8, a multiple of 16 bytes. Word m of lane 4·g + t is row g, columns 2t
 * and 2t + 1 of matrix m; turned: column g, rows 2t and 2t + 1. */
__device__ static inline void ace_load_matrices(unsigned (&to)[4], const void *row)
{
#if defined(ACE_LOAD_MATRICES)
    ACE_LOAD_MATRICES(to, row);
#elif defined(__CUDA_ARCH__)
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0, %1, %2, %3}, [%4];"
                 : "=r"(to[0]), "=r"(to[1]), "=r"(to[2]), "=r"(to[3])
                 : "r"((unsigned)__cvta_generic_to_shared(row))
                 : "memory");
#endif
}

__device__ static inline void ace_load_matrices_turned(unsigned (&to)[4], const void *row)
{
#if defined(ACE_LOAD_MATRICES_TURNED)
    ACE_LOAD_MATRICES_TURNED(to, row);
#elif defined(__CUDA_ARCH__)
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0, %1, %2, %3}, [%4];"
                 : "=r"(to[0]), "=r"(to[1]), "=r"(to[2]), "=r"(to[3])
                 : "r"((unsigned)__cvta_generic_to_shared(row))
                 : "memory");
#endif
}

/* 16 bytes from device to shared memory, both at multiples of 16, without waiting (cp.async);
 * zeros where `there` is false, and then `from` is not read. They belong to the group that the
 * thread ends next. */
__device__ static inline void ace_copy_late(void *to, const void *from, bool there)
{
#if defined(ACE_COPY_LATE)
    ACE_COPY_LATE(to, from, there);
#elif defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 800
    asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;"
                 :
                 : "r"((unsigned)__cvta_generic_to_shared(to)), "l"(from), "r"(there ? 16 : 0)
                 : "memory");
#elif defined(__CUDA_ARCH__)
    __trap();
#endif
}

__device__ static inline void ace_end_group()
{
#if defined(ACE_END_GROUP)
    ACE_END_GROUP();
#elif defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 800
    asm volatile("cp.async.commit_group;" ::: "memory");
#endif
}

/* Until all groups of the thread but the last STILL_OUT have arrived; other threads see them after
 * a barrier. */
template <int STILL_OUT> __device__ static inline void ace_wait_groups()
{
#if defined(ACE_WAIT_GROUPS)
    ACE_WAIT_GROUPS(STILL_OUT);
#elif defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 800
    asm volatile("cp.async.wait_group %0;" ::"n"(STILL_OUT) : "memory");
#endif
}

/* Two numbers as bf16 in a word, the first in the lower half; one instruction where there is one,
 * which rounds as ace_round_bf16 does. */
__device__ static inline unsigned ace_pair_bf16(float first, float second)
{
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 800
    unsigned pair;
    asm("cvt.rn.bf16x2.f32 %0, %1, %2;" : "=r"(pair) : "f"(second), "f"(first));
    return pair;
#else
    return (unsigned)ace_round_bf16(first) | (unsigned)ace_round_bf16(second) << 16;
#endif
}

#endif
