/* One engine for linear layers, convolutions and transposed convolutions: a sum of products over
 * taps, out[r, n] = Σ_tap Σ_k W[n, tap, k] · f(x[r·stride + tap·dilation - pad, k]) with rows
 * outside x zero, then an epilogue into y. product.c cuts it into tasks and blocks;
 * product_kernels.h is what each instruction set provides. */
#ifndef ACE_CPU_PRODUCT_H
#define ACE_CPU_PRODUCT_H

#include "cpu/cpu.h"

enum { ACE_PANEL = 16 }; /* matrix rows packed side by side: one AVX-512 register of f32 */

/* A packed matrix. A panel holds ACE_PANEL consecutive matrix rows (zeros beyond the last one); of
 * a swiglu matrix even panels hold gate rows and odd panels the up rows of the same outputs.
 *   f32   [panel][tap][depth][16]
 *   bf16  [panel][tap][depth/2][16][2]   pairs along depth, as vdpbf16ps reads them
 *   int8  [panel][tap][depth/4][16][4]   fours, as vpdpbusd does; then f32 scales [panel][16] */
typedef struct ace_packed {
    ace_dtype dtype;
    int64_t panels;
    int64_t depth; /* features of one tap, rounded up to whole pairs or fours with zeros */
    int taps;
    unsigned char *weights;
    float *scales; /* int8 only, else NULL */
} ace_packed;

/* weights and scales are NULL for a matrix without an address. */
ace_packed ace_packed_of(const ace_matrix *w);
/* SIZE_MAX where the shape is too large for the address space. */
size_t ace_packed_bytes(const ace_matrix_shape *shape);
/* Features that lie together in a panel's row: 1, 2 or 4. */
static inline int ace_packed_together(ace_dtype dtype)
{
    return dtype == ACE_F32 ? 1 : dtype == ACE_BF16 ? 2 : 4;
}

/* Byte offset of one element's run: panel, tap, and depth index k, where a pair or four begins. */
static inline size_t ace_packed_offset(const ace_packed *p, int64_t panel, int tap, int64_t k)
{
    int64_t line = (panel * p->taps + tap) * p->depth + k;
    return (size_t)(line * ACE_PANEL) * ace_dtype_bytes(p->dtype);
}

typedef struct ace_product {
    ace_tensor x;
    ace_packed w;
    int64_t stride, dilation, pad;
    ace_tensor snake_alpha, snake_inv_beta; /* or both empty */

    ace_tensor y;  /* y.rows × y.cols results; y.addr may lie before the memory that is written: */
    int64_t begin; /* only elements row · y.row_stride + col in [begin, end) are stored */
    int64_t end;
    bool swiglu;      /* store silu(even panel) · odd panel */
    bool apart;       /* of such panels, store the even ones left of the odd ones */
    bool accumulate;  /* y += gate ⊙ value */
    bool int8_inputs; /* as the matrix's shape has it */
    ace_tensor bias;  /* f32 [1, bias.cols], read at col % bias.cols; or empty */
    ace_tensor gate;  /* f32 [groups, y.cols], or empty */
} ace_product;

void ace_product_run(const ace_cpu *cpu, const ace_product *product);

#endif
