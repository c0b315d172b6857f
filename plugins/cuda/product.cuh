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

__device__ static inline void ace_store(const ace_cuda_outputs &o, int64_t row, int64_t col,
                                        float value)
{
    if (o.bias.addr != 0) {
        value += ace_get(o.bias, 0, col);
    }
    if (o.accumulate) {
        if (o.gate.addr != 0) {
            value *= ace_get(o.gate, row / (o.y.rows / o.gate.rows), col);
        }
        value += ace_get(o.y, row, col);
    }
    ace_put(o.y, row, col, value);
}

/* up: of swiglu, the value of column n + p.n. */
__device__ static inline void ace_deliver(const ace_cuda_product &p, int64_t m, int64_t n,
                                          float value, float up)
{
    const ace_cuda_outputs &o = p.out;
    if (p.w.scales != nullptr) {
        value *= p.w.scales[n];
        up *= o.swiglu ? p.w.scales[n + p.n] : 0.0f;
    }
    if (o.swiglu) {
        ace_put(o.y, m, n, ace_silu(value) * up);
    } else if (o.scatter > 0) {
        int64_t row = m * o.scatter + n / o.y.cols - o.crop;
        if (row >= 0 && row < o.y.rows) {
            ace_store(o, row, n % o.y.cols, value);
        }
    } else {
        ace_store(o, m, n, value);
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
