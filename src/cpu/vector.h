/* A vector of floats of the instruction set the including file is compiled for, so that one kernel
 * body serves every level: 16 lanes with AVX-512, 8 with AVX2 + FMA, 4 with NEON, else 4 of the
 * compiler's portable vectors (SSE2 on x86-64). Everything here is static: files of different
 * levels never share code. Pointers need no alignment. */
#ifndef ACE_CPU_VECTOR_H
#define ACE_CPU_VECTOR_H

#include "base/dtype.h"

#include <math.h>
#include <stdint.h>
#include <string.h>

#if defined(__AVX512F__) && defined(__AVX512BW__) && defined(__AVX512VL__) && defined(__AVX512DQ__)
#include "cpu/vector_avx512.h"
#elif defined(__AVX2__) && defined(__FMA__)
#include "cpu/vector_avx2.h"
#elif defined(__aarch64__)
#include "cpu/vector_neon.h"
#else
#include "cpu/vector_portable.h"
#endif

/* The first n lanes, 0 < n < ACE_VF; the others read as zero and are never touched in memory. */
static inline ace_vf ace_vf_load_first(const float *p, int64_t n)
{
    float lanes[ACE_VF] = {0};
    memcpy(lanes, p, (size_t)n * sizeof *p);
    return ace_vf_load(lanes);
}

static inline void ace_vf_store_first(float *p, int64_t n, ace_vf v)
{
    float lanes[ACE_VF];
    ace_vf_store(lanes, v);
    memcpy(p, lanes, (size_t)n * sizeof *p);
}

static inline ace_vf ace_vf_load_bf16_first(const uint16_t *p, int64_t n)
{
    uint16_t lanes[ACE_VF] = {0};
    memcpy(lanes, p, (size_t)n * sizeof *p);
    return ace_vf_load_bf16(lanes);
}

static inline ace_vf ace_vf_load_i8_first(const int8_t *p, int64_t n)
{
    int8_t lanes[ACE_VF] = {0};
    memcpy(lanes, p, (size_t)n);
    return ace_vf_load_i8(lanes);
}

static inline void ace_vf_store_i8_first(int8_t *p, int64_t n, ace_vf v)
{
    int8_t lanes[ACE_VF];
    ace_vf_store_i8(lanes, v);
    memcpy(p, lanes, (size_t)n);
}

static inline void ace_vf_store_bf16_first(uint16_t *p, int64_t n, ace_vf v)
{
    uint16_t lanes[ACE_VF];
    ace_vf_store_bf16(lanes, v);
    memcpy(p, lanes, (size_t)n * sizeof *p);
}

#endif
