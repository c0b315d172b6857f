/* What every kind of product has at its two ends: f(x), and what becomes of a value. */
#ifndef ACE_CUDA_PRODUCT_CUH
#define ACE_CUDA_PRODUCT_CUH

#include "numbers.cuh"

/* Snake: v + sin²(alpha·v) / beta. */
__device__ static inline float ace_activate(const ace_cuda_inputs &in, int64_t k, float v)
{
    if (in.alpha.addr == 0) {
        return v;
    }
    float s = sinf(ace_get(in.alpha, 0, k) * v);
    return v + ace_get(in.inv_beta, 0, k) * s * s;
}

/* f(x) of row m, tap and column k; zero outside x and beyond its columns. */
__device__ static inline float ace_input(const ace_cuda_product &p, int64_t m, int tap, int64_t k)
{
    int64_t row = m * p.in.stride + tap * p.in.dilation - p.in.pad;
    if (m >= p.m || k >= p.w.cols || row < 0 || row >= p.in.x.rows) {
        return 0.0f;
    }
    float v = ace_activate(p.in, k, ace_get(p.in.x, row, k));
    return p.w.dtype == ACE_BF16 ? ace_widen_bf16(ace_round_bf16(v)) : v;
}

/* What column n does to each value in it, and where in y it lies. */
typedef struct ace_column {
    int64_t col, down; /* down: rows further down, of scattered results */
    float scale, up_scale, bias;
} ace_column;

/* Rows and columns are below 2^31: divisions of 64 bits cost several times as much. */
__device__ static inline ace_column ace_column_of(const ace_cuda_product &p, int64_t n)
{
    const ace_cuda_outputs &o = p.out;
    ace_column c = {n, 0, 1.0f, 1.0f, 0.0f};
    if (p.w.scales != nullptr) {
        c.scale = p.w.scales[n];
        c.up_scale = o.swiglu ? p.w.scales[n + p.n] : 1.0f;
    }
    if (o.scatter > 0) {
        c.down = (unsigned)n / (unsigned)o.y.cols;
        c.col = n - c.down * o.y.cols;
    }
    c.bias = o.bias.addr != 0 ? ace_get(o.bias, 0, c.col) : 0.0f;
    return c;
}

/* Where value(m, …) lies in y, and which row of the gate it hears. */
typedef struct ace_line {
    int64_t row, gate;
} ace_line;

__device__ static inline ace_line ace_line_of(const ace_cuda_product &p, int64_t m)
{
    const ace_cuda_outputs &o = p.out;
    ace_line l = {m, 0};
    if (o.scatter > 0) {
        l.row = m * o.scatter - o.crop;
    } else if (o.gate.addr != 0) {
        l.gate = (unsigned)m / ((unsigned)o.y.rows / (unsigned)o.gate.rows);
    }
    return l;
}

/* What is written; before: what y holds. up: of swiglu, the value of column n + p.n. */
__device__ static inline float ace_result(const ace_cuda_outputs &o, const ace_line &l,
                                          const ace_column &c, float value, float up, float before)
{
    value *= c.scale;
    if (o.swiglu) {
        return ace_silu(value) * (up * c.up_scale);
    }
    value += c.bias;
    if (o.accumulate) {
        value = o.gate.addr != 0 ? value * ace_get(o.gate, l.gate, c.col) : value;
        value += before;
    }
    return value;
}

__device__ static inline void ace_deliver_at(const ace_cuda_outputs &o, const ace_line &l,
                                             const ace_column &c, float value, float up)
{
    int64_t row = l.row + c.down;
    if (row >= 0 && row < o.y.rows) {
        float before = o.accumulate ? ace_get(o.y, row, c.col) : 0.0f;
        ace_put(o.y, row, c.col, ace_result(o, l, c, value, up, before));
    }
}

__device__ static inline void ace_deliver(const ace_cuda_product &p, int64_t m, int64_t n,
                                          float value, float up)
{
    ace_deliver_at(p.out, ace_line_of(p, m), ace_column_of(p, n), value, up);
}

/* Two values next to each other, in one access where y's numbers lie so. */
__device__ static inline bool ace_lies_in_twos(const ace_tensor &t)
{
    uint64_t size = t.dtype == ACE_BF16 ? 2 : 4;
    return t.addr % (2 * size) == 0 && t.row_stride % 2 == 0;
}

__device__ static inline void ace_put_two(const ace_tensor &t, int64_t row, int64_t col,
                                          float first, float second)
{
    int64_t i = row * t.row_stride + col;
    if (t.dtype == ACE_BF16) {
        *(unsigned *)((uint16_t *)t.addr + i) =
            (unsigned)ace_round_bf16(first) | (unsigned)ace_round_bf16(second) << 16;
    } else {
        *(float2 *)((float *)t.addr + i) = float2{first, second};
    }
}

/* both: the second of the two is there. */
__device__ static inline void ace_deliver_two(const ace_cuda_outputs &o, const ace_line &l,
                                              const ace_column &c, const ace_column &d, bool both,
                                              const float (&value)[2], const float (&up)[2])
{
    int64_t row = l.row + c.down;
    bool together = both && c.down == d.down && c.col % 2 == 0 && ace_lies_in_twos(o.y);
    if (!together) {
        ace_deliver_at(o, l, c, value[0], up[0]);
        if (both) {
            ace_deliver_at(o, l, d, value[1], up[1]);
        }
    } else if (row >= 0 && row < o.y.rows) {
        float before = o.accumulate ? ace_get(o.y, row, c.col) : 0.0f;
        float beside = o.accumulate ? ace_get(o.y, row, d.col) : 0.0f;
        ace_put_two(o.y, row, c.col, ace_result(o, l, c, value[0], up[0], before),
                    ace_result(o, l, d, value[1], up[1], beside));
    }
}

__device__ static inline float ace_weight(float w)
{
    return w;
}

__device__ static inline float ace_weight(uint16_t w)
{
    return ace_widen_bf16(w);
}

/* Byte i of a word, which has 128 added, as a float: below the mantissa of 2^23 (whose lowest bit
 * counts 1) its bits are the number. Conversions have a quarter of the speed of these, or less. */
template <int I> __device__ static inline float ace_widen_byte(unsigned word)
{
    return __uint_as_float(__byte_perm(word, 0x4b000000u, 0x7440u + I)) - (0x1p23f + 128.0f);
}

/* Four int8 of a word. */
__device__ static inline void ace_widen_bytes(unsigned word, float (&to)[4])
{
    word ^= 0x80808080u;
    to[0] = ace_widen_byte<0>(word);
    to[1] = ace_widen_byte<1>(word);
    to[2] = ace_widen_byte<2>(word);
    to[3] = ace_widen_byte<3>(word);
}

__device__ static inline float ace_weight(int8_t w)
{
    return (float)w;
}

/* Row n of the matrix, one tap of it. */
template <typename W>
__device__ static inline const W *ace_weight_row(const ace_cuda_product &p, int64_t n, int tap)
{
    return (const W *)p.w.data + (n * p.w.taps + tap) * p.w.depth;
}

/* Calls LAUNCH<type of the weights, pairs of gate and up>. */
#define ACE_BY_WEIGHTS(p, LAUNCH, ...)                                                             \
    do {                                                                                           \
        if ((p)->w.dtype == ACE_F32) {                                                             \
            (p)->out.swiglu ? LAUNCH<float, true>(__VA_ARGS__)                                     \
                            : LAUNCH<float, false>(__VA_ARGS__);                                   \
        } else if ((p)->w.dtype == ACE_BF16) {                                                     \
            (p)->out.swiglu ? LAUNCH<uint16_t, true>(__VA_ARGS__)                                  \
                            : LAUNCH<uint16_t, false>(__VA_ARGS__);                                \
        } else {                                                                                   \
            (p)->out.swiglu ? LAUNCH<int8_t, true>(__VA_ARGS__)                                    \
                            : LAUNCH<int8_t, false>(__VA_ARGS__);                                  \
        }                                                                                          \
    } while (0)

#endif
