/* The two products of attention as one register tile: C [rows, n] (+)= A [rows, depth] · B [depth,
 * n] over 32-bit words. A word is a float or, with `pairs`, two bf16 that are multiplied and added
 * together (AVX512-BF16). Included by attention_body.h, once per level. */
#ifndef ACE_CPU_ATTENTION_TILE_H
#define ACE_CPU_ATTENTION_TILE_H

#include "cpu/vector.h"

#include <stdbool.h>

/* Rows and vectors of a tile: as many sums as the level's registers hold beside their operands. */
#if defined(__AVX512F__)
enum { TILE_ROWS = 6, TILE_VECTORS = 4 };
#elif defined(__AVX2__)
enum { TILE_ROWS = 6, TILE_VECTORS = 2 };
#elif defined(__aarch64__)
enum { TILE_ROWS = 6, TILE_VECTORS = 4 };
#else
enum { TILE_ROWS = 4, TILE_VECTORS = 2 };
#endif

#define ALWAYS_INLINE inline __attribute__((always_inline))

static ALWAYS_INLINE ace_vf multiply_add(bool pairs, ace_vf a, ace_vf b, ace_vf sum)
{
#if defined(__AVX512BF16__)
    if (pairs) {
        return _mm512_dpbf16_ps(sum, (__m512bh)_mm512_castps_si512(a),
                                (__m512bh)_mm512_castps_si512(b));
    }
#else
    (void)pairs;
#endif
    return ace_vf_fma(a, b, sum);
}

/* TILE_ROWS rows by `vectors` vectors, `vectors` a constant where this is inlined. */
static ALWAYS_INLINE void tile(bool pairs, int vectors, int64_t depth, const float *a, int64_t lda,
                               const float *b, int64_t ldb, float *c, int64_t ldc, bool accumulate)
{
    ace_vf sum[TILE_ROWS][TILE_VECTORS];
    for (int i = 0; i < TILE_ROWS; i++) {
        for (int j = 0; j < vectors; j++) {
            sum[i][j] = accumulate ? ace_vf_load(c + i * ldc + j * ACE_VF) : ace_vf_set(0.0f);
        }
    }
    for (int64_t k = 0; k < depth; k++) {
        ace_vf column[TILE_VECTORS];
        for (int j = 0; j < vectors; j++) {
            column[j] = ace_vf_load(b + k * ldb + j * ACE_VF);
        }
        for (int i = 0; i < TILE_ROWS; i++) {
            ace_vf left = ace_vf_set(a[i * lda + k]);
            for (int j = 0; j < vectors; j++) {
                sum[i][j] = multiply_add(pairs, left, column[j], sum[i][j]);
            }
        }
    }
    for (int i = 0; i < TILE_ROWS; i++) {
        for (int j = 0; j < vectors; j++) {
            ace_vf_store(c + i * ldc + j * ACE_VF, sum[i][j]);
        }
    }
}

/* rows a multiple of TILE_ROWS, n a multiple of ACE_VF. */
static ALWAYS_INLINE void product(bool pairs, int64_t rows, int64_t n, int64_t depth,
                                  const float *a, int64_t lda, const float *b, int64_t ldb,
                                  float *c, int64_t ldc, bool accumulate)
{
    int64_t wide = n - n % (TILE_VECTORS * ACE_VF);
    for (int64_t j = 0; j < wide; j += TILE_VECTORS * ACE_VF) {
        for (int64_t i = 0; i < rows; i += TILE_ROWS) {
            tile(pairs, TILE_VECTORS, depth, a + i * lda, lda, b + j, ldb, c + i * ldc + j, ldc,
                 accumulate);
        }
    }
    for (int64_t j = wide; j < n; j += ACE_VF) {
        for (int64_t i = 0; i < rows; i += TILE_ROWS) {
            tile(pairs, 1, depth, a + i * lda, lda, b + j, ldb, c + i * ldc + j, ldc, accumulate);
        }
    }
}

#endif
