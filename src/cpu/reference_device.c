#include "cpu/reference_device.h"

#include "base/block_formats.h"
#include "base/memory.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Packed layout: f32 [rows][taps][cols], rounded to the matrix's type when it is loaded. */

static float get(ace_tensor t, int64_t row, int64_t col)
{
    const unsigned char *base = (const unsigned char *)(uintptr_t)t.addr;
    int64_t i = row * t.row_stride + col;
    if (t.dtype == ACE_BF16) {
        return ace_bf16_to_f32(((const uint16_t *)(const void *)base)[i]);
    }
    if (t.dtype == ACE_I8) {
        return (float)((const int8_t *)(const void *)base)[i];
    }
    return ((const float *)(const void *)base)[i];
}

static void put(ace_tensor t, int64_t row, int64_t col, float value)
{
    unsigned char *base = (unsigned char *)(uintptr_t)t.addr;
    int64_t i = row * t.row_stride + col;
    if (t.dtype == ACE_BF16) {
        ((uint16_t *)(void *)base)[i] = ace_f32_to_bf16(value);
    } else {
        ((float *)(void *)base)[i] = value;
    }
}

static ace_status reserve(ace_device *d, size_t bytes, uint64_t *addr, ace_error *err)
{
    (void)d;
    void *block = NULL;
    if (posix_memalign(&block, 64, bytes != 0 ? bytes : 64) != 0) {
        return ace_fail(err, ACESTEP_MEMORY, "reference device: no host memory for %zu bytes",
                        bytes);
    }
    *addr = (uint64_t)(uintptr_t)block;
    return ACESTEP_OK;
}

static void release(ace_device *d, uint64_t addr, size_t bytes)
{
    (void)d;
    (void)bytes;
    free((void *)(uintptr_t)addr);
}

static void memory(ace_device *d, ace_device_memory *out)
{
    (void)d;
    *out = (ace_device_memory){.total = SIZE_MAX, .free = SIZE_MAX};
}

static ace_status upload(ace_device *d, ace_tensor to, const float *from, ace_error *err)
{
    (void)d;
    (void)err;
    for (int64_t r = 0; r < to.rows; r++) {
        for (int64_t c = 0; c < to.cols; c++) {
            put(to, r, c, from[r * to.cols + c]);
        }
    }
    return ACESTEP_OK;
}

static ace_status download(ace_device *d, float *to, ace_tensor from, ace_error *err)
{
    (void)d;
    (void)err;
    for (int64_t r = 0; r < from.rows; r++) {
        for (int64_t c = 0; c < from.cols; c++) {
            to[r * from.cols + c] = get(from, r, c);
        }
    }
    return ACESTEP_OK;
}

static size_t matrix_bytes(const ace_device *d, const ace_matrix_shape *s)
{
    (void)d;
    return (size_t)s->rows * (size_t)s->cols * (size_t)s->taps * sizeof(float);
}

static float part_value(const ace_matrix_part *p, int64_t row, int64_t col, int tap, int64_t cols)
{
    float value = 0;
    const unsigned char *data = p->data;
    if (ace_block_elements(p->dtype) > 1) {
        int64_t per = ace_block_elements(p->dtype);
        float block[256];
        const unsigned char *at =
            data + (size_t)((row * cols + col) / per) * ace_block_bytes(p->dtype);
        ace_decode_row(p->dtype, at, per, block);
        value = block[col % per];
    } else {
        int64_t i = row * p->row_stride + col * p->col_stride + tap * p->tap_stride;
        ace_decode_row(p->dtype, data + i * (int64_t)ace_dtype_bytes(p->dtype), 1, &value);
    }
    value *= p->row_scale != NULL ? p->row_scale[row] : 1.0f;
    value *= p->col_scale != NULL ? p->col_scale[col] : 1.0f;
    return value;
}

/* int8 weights: symmetric, scale = max|w| / 127 per row over all taps. */
static void quantise_row(float *w, int64_t n)
{
    float peak = 0;
    for (int64_t i = 0; i < n; i++) {
        peak = fmaxf(peak, fabsf(w[i]));
    }
    float scale = peak / 127.0f;
    for (int64_t i = 0; i < n; i++) {
        w[i] = scale > 0 ? rintf(w[i] / scale) * scale : 0.0f;
    }
}

static ace_status matrix_pack(ace_device *d, const ace_matrix *m, const ace_matrix_part *parts,
                              int n_parts, ace_error *err)
{
    (void)d;
    const ace_matrix_shape *s = &m->shape;
    float *out = (float *)(uintptr_t)m->addr;
    int64_t n = s->taps * s->cols;
    for (int i = 0; i < n_parts; i++) {
        for (int64_t r = 0; r < parts[i].rows; r++, out += n) {
            for (int tap = 0; tap < s->taps; tap++) {
                for (int64_t c = 0; c < s->cols; c++) {
                    float v = part_value(&parts[i], r, c, tap, s->cols);
                    if (!isfinite(v)) {
                        return ace_fail(err, ACESTEP_MODEL,
                                        "%s: holds NaN or infinity; the file is damaged",
                                        parts[i].name);
                    }
                    out[tap * s->cols + c] =
                        s->dtype == ACE_BF16 ? ace_bf16_to_f32(ace_f32_to_bf16(v)) : v;
                }
            }
            bool is_quantised = parts[i].dtype == ACE_I8 && parts[i].row_scale != NULL &&
                                parts[i].col_scale == NULL;
            if (s->dtype == ACE_I8 && !is_quantised) {
                quantise_row(out, n);
            }
        }
    }
    return ACESTEP_OK;
}

static float snake(ace_tensor alpha, ace_tensor inv_beta, int64_t c, float v)
{
    if (alpha.addr == 0) {
        return v;
    }
    double s = sin((double)get(alpha, 0, c) * (double)v);
    return (float)((double)v + (double)get(inv_beta, 0, c) * s * s);
}

/* Products of bf16 matrices take their inputs in bf16, as the fast kernels do. */
static float as_input(const ace_matrix *w, float v)
{
    return w->shape.dtype == ACE_BF16 ? ace_bf16_to_f32(ace_f32_to_bf16(v)) : v;
}

static double dot(const ace_matrix *w, int64_t row, int tap, ace_tensor x, int64_t x_row,
                  ace_tensor alpha, ace_tensor inv_beta)
{
    if (x_row < 0 || x_row >= x.rows) {
        return 0;
    }
    const float *weights =
        (const float *)(uintptr_t)w->addr + (row * w->shape.taps + tap) * w->shape.cols;
    double sum = 0;
    for (int64_t c = 0; c < x.cols; c++) {
        float v = as_input(w, snake(alpha, inv_beta, c, get(x, x_row, c)));
        sum += (double)weights[c] * (double)v;
    }
    return sum;
}

static void store(ace_tensor y, int64_t row, int64_t col, double value, const ace_epilogue *e)
{
    if (e->bias.addr != 0) {
        value += (double)get(e->bias, 0, col);
    }
    if (e->accumulate) {
        if (e->gate.addr != 0) {
            value *= (double)get(e->gate, row / (y.rows / e->gate.rows), col);
        }
        value += (double)get(y, row, col);
    }
    put(y, row, col, (float)value);
}

static void linear(ace_device *d, ace_tensor y, ace_tensor x, const ace_matrix *w,
                   const ace_epilogue *e)
{
    (void)d;
    ace_tensor none = {0};
    for (int64_t r = 0; r < y.rows; r++) {
        for (int64_t c = 0; c < y.cols; c++) {
            double value = dot(w, c, 0, x, r, none, none);
            if (w->shape.swiglu && y.cols != w->shape.rows) {
                double up = dot(w, c + y.cols, 0, x, r, none, none);
                put(y, r, c, (float)(value / (1.0 + exp(-value)) * up));
            } else {
                store(y, r, c, value, e);
            }
        }
    }
}

static void conv(ace_device *d, ace_tensor y, ace_tensor x, const ace_matrix *w, const ace_conv *c,
                 const ace_epilogue *e)
{
    (void)d;
    for (int64_t r = 0; r < y.rows; r++) {
        for (int64_t n = 0; n < y.cols; n++) {
            double value = 0;
            for (int tap = 0; tap < w->shape.taps; tap++) {
                value += dot(w, n, tap, x, r * c->stride + tap * c->dilation - c->pad,
                             c->snake_alpha, c->snake_inv_beta);
            }
            store(y, r, n, value, e);
        }
    }
}

static void conv_transpose(ace_device *d, ace_tensor y, ace_tensor x, const ace_matrix *w,
                           const ace_conv_transpose *c)
{
    (void)d;
    for (int64_t t = 0; t < y.rows; t++) {
        int64_t i = (t + c->crop) / c->stride;
        int64_t r = (t + c->crop) % c->stride;
        for (int64_t n = 0; n < y.cols; n++) {
            double value = dot(w, r * y.cols + n, 0, x, i - 1, c->snake_alpha, c->snake_inv_beta) +
                           dot(w, r * y.cols + n, 1, x, i, c->snake_alpha, c->snake_inv_beta);
            if (c->bias.addr != 0) {
                value += (double)get(c->bias, 0, n);
            }
            put(y, t, n, (float)value);
        }
    }
}

static void rms_norm(ace_device *d, ace_tensor y, ace_tensor x, const ace_norm *n)
{
    (void)d;
    for (int64_t r = 0; r < x.rows; r++) {
        double sum = 0;
        for (int64_t c = 0; c < x.cols; c++) {
            sum += (double)get(x, r, c) * (double)get(x, r, c);
        }
        double inverse = 1.0 / sqrt(sum / (double)x.cols + (double)n->eps);
        for (int64_t c = 0; c < x.cols; c++) {
            double v = (double)get(x, r, c) * inverse * (double)get(n->weight, 0, c);
            if (n->scale.addr != 0) {
                int64_t g = r / (x.rows / n->scale.rows);
                v = v * (1.0 + (double)get(n->scale, g, c)) + (double)get(n->shift, g, c);
            }
            put(y, r, c, (float)v);
        }
    }
}

static void head_norm(ace_device *d, ace_tensor x, const ace_head_norm *n)
{
    (void)d;
    int64_t hd = n->weight.cols;
    for (int64_t r = 0; r < x.rows; r++) {
        for (int64_t h = 0; h < n->heads; h++) {
            ace_tensor head = ace_cols(ace_rows(x, r, 1), h * hd, hd);
            ace_norm norm = {.weight = n->weight, .eps = n->eps};
            rms_norm(d, head, head, &norm);
            for (int64_t i = 0; n->rope.addr != 0 && i < hd / 2; i++) {
                double cosine = (double)get(n->rope, r % n->rope.rows, i);
                double sine = (double)get(n->rope, r % n->rope.rows, i + hd / 2);
                double a = (double)get(head, 0, i);
                double b = (double)get(head, 0, i + hd / 2);
                put(head, 0, i, (float)(a * cosine - b * sine));
                put(head, 0, i + hd / 2, (float)(b * cosine + a * sine));
            }
        }
    }
}

static bool is_visible(const ace_attention *a, int64_t b, int64_t i, int64_t j)
{
    if (a->kv_valid != NULL && j >= a->kv_valid[b]) {
        return false;
    }
    if (a->kv_mask != NULL && a->kv_mask[b * a->kv_len + j] == 0) {
        return false;
    }
    if (a->causal && j > i + a->kv_len - a->q_len) {
        return false;
    }
    return a->window == 0 || llabs((long long)(i - j)) <= a->window;
}

/* The keys or values of one head. */
static ace_tensor of_key_head(const ace_attention *a, ace_tensor t, int64_t kh)
{
    return a->kv_head_rows > 0 ? ace_rows(t, kh * a->kv_head_rows, a->kv_head_rows)
                               : ace_cols(t, kh * a->head_dim, a->head_dim);
}

static int64_t key_row(const ace_attention *a, int64_t b, int64_t j)
{
    if (a->kv_rows != NULL) {
        ace_key_rows r = a->kv_rows[b];
        return j < r.shared ? r.shared_first + j : r.own_first + j - r.shared;
    }
    return (a->kv_index != NULL ? a->kv_index[b] : b) * a->kv_len + j;
}

/* What a row of int8 keys or values is multiplied by. */
static double scale_of(const ace_attention *a, ace_tensor scale, int64_t kh, int64_t row)
{
    return scale.addr != 0 ? (double)get(scale, kh * a->kv_head_rows + row, 0) : 1;
}

static void attend_row(ace_tensor y, ace_tensor q, ace_tensor k, ace_tensor v,
                       const ace_attention *a, int64_t b, int64_t i, int64_t h, double *score)
{
    int64_t kh = h / (a->heads / a->kv_heads);
    k = of_key_head(a, k, kh);
    v = of_key_head(a, v, kh);
    double peak = -INFINITY;
    for (int64_t j = 0; j < a->kv_len; j++) {
        score[j] = -INFINITY;
        if (is_visible(a, b, i, j)) {
            double sum = 0;
            for (int64_t c = 0; c < a->head_dim; c++) {
                sum += (double)get(q, b * a->q_len + i, h * a->head_dim + c) *
                       (double)get(k, key_row(a, b, j), c);
            }
            score[j] = sum * scale_of(a, a->k_scale, kh, key_row(a, b, j)) * (double)a->scale;
            peak = fmax(peak, score[j]);
        }
    }
    if (isinf(peak) && a->uniform_when_hidden) {
        peak = 0;
        memset(score, 0, (size_t)a->kv_len * sizeof *score);
    }
    double total = 0;
    for (int64_t j = 0; j < a->kv_len; j++) {
        score[j] = isinf(score[j]) ? 0 : exp(score[j] - peak);
        total += score[j];
    }
    for (int64_t c = 0; c < a->head_dim; c++) {
        double sum = 0;
        for (int64_t j = 0; j < a->kv_len; j++) {
            if (score[j] > 0) { /* hidden keys need not lie in memory */
                int64_t row = key_row(a, b, j);
                sum += score[j] * scale_of(a, a->v_scale, kh, row) * (double)get(v, row, c);
            }
        }
        put(y, b * a->q_len + i, h * a->head_dim + c, (float)(total > 0 ? sum / total : 0));
    }
}

static void attention(ace_device *d, ace_tensor y, ace_tensor q, ace_tensor k, ace_tensor v,
                      const ace_attention *a)
{
    (void)d;
    double *score = malloc((size_t)a->kv_len * sizeof *score);
    if (score == NULL) {
        abort(); /* a test tool: there is nothing to fall back to */
    }
    for (int64_t b = 0; b < a->batch; b++) {
        for (int64_t i = 0; i < a->q_len; i++) {
            for (int64_t h = 0; h < a->heads; h++) {
                attend_row(y, q, k, v, a, b, i, h, score);
            }
        }
    }
    free(score);
}

static void silu(ace_device *d, ace_tensor y, ace_tensor x)
{
    (void)d;
    for (int64_t r = 0; r < x.rows; r++) {
        for (int64_t c = 0; c < x.cols; c++) {
            double v = (double)get(x, r, c);
            put(y, r, c, (float)(v / (1.0 + exp(-v))));
        }
    }
}

static void silu_mul(ace_device *d, ace_tensor y, ace_tensor gate, ace_tensor up)
{
    (void)d;
    for (int64_t r = 0; r < y.rows; r++) {
        for (int64_t c = 0; c < y.cols; c++) {
            double v = (double)get(gate, r, c);
            put(y, r, c, (float)(v / (1.0 + exp(-v)) * (double)get(up, r, c)));
        }
    }
}

static void add(ace_device *d, ace_tensor y, ace_tensor a, ace_tensor b)
{
    (void)d;
    for (int64_t r = 0; r < y.rows; r++) {
        for (int64_t c = 0; c < y.cols; c++) {
            put(y, r, c, get(a, r / (y.rows / a.rows), c) + get(b, r % b.rows, c));
        }
    }
}

static void copy(ace_device *d, ace_tensor y, ace_tensor x)
{
    (void)d;
    for (int64_t r = 0; r < x.rows; r++) {
        for (int64_t c = 0; c < x.cols; c++) {
            put(y, r, c, get(x, r, c));
        }
    }
}

static void fill(ace_device *d, ace_tensor y, float value)
{
    (void)d;
    for (int64_t r = 0; r < y.rows; r++) {
        for (int64_t c = 0; c < y.cols; c++) {
            put(y, r, c, value);
        }
    }
}

/* One row as int8 and its scale. */
static void round_row(ace_tensor y, ace_tensor scale, ace_tensor x)
{
    double peak = 0;
    bool finite = true;
    for (int64_t c = 0; c < x.cols; c++) {
        peak = fmax(peak, fabs((double)get(x, 0, c)));
        finite = finite && isfinite(get(x, 0, c));
    }
    peak = peak < 0x1p-100 ? 0 : peak;
    put(scale, 0, 0, finite ? (float)(peak / 127) : NAN);
    for (int64_t c = 0; c < x.cols; c++) {
        double number = finite && peak > 0 ? (double)get(x, 0, c) / peak * 127 : 0;
        ((int8_t *)(uintptr_t)y.addr)[c] = (int8_t)rint(number);
    }
}

static void scatter(ace_device *d, ace_tensor y, ace_tensor x, const ace_scatter *to)
{
    for (int64_t r = 0; r < x.rows; r++) {
        int64_t row = to->rows != NULL ? to->rows[r] : to->first + r;
        for (int64_t h = 0; h < y.rows / to->head_rows; h++) {
            ace_tensor from = ace_cols(ace_rows(x, r, 1), h * y.cols, y.cols);
            ace_tensor into = ace_rows(y, h * to->head_rows + row, 1);
            if (to->scale.addr != 0) {
                round_row(into, ace_rows(to->scale, h * to->head_rows + row, 1), from);
            } else {
                copy(d, into, from);
            }
        }
    }
}

static void mix(ace_device *d, ace_tensor y, ace_tensor x, const ace_mix *m)
{
    (void)d;
    ace_tensor w = m->weight;
    int64_t terms = w.addr != 0 ? w.cols : 1;
    int64_t width = x.cols / terms;
    for (int64_t r = 0; r < y.rows; r++) {
        for (int64_t c = 0; c < y.cols; c++) {
            double sum = 0;
            for (int64_t k = 0; k < terms; k++) {
                double factor = w.addr != 0 ? (double)get(w, c / width, k) : 1;
                sum += factor * (double)get(x, r, k * width + c % width);
            }
            if (m->gate.addr != 0) {
                sum *= (double)get(m->gate, r / (y.rows / m->gate.rows), c);
            }
            put(y, r, c, (float)(sum + (m->accumulate ? (double)get(y, r, c) : 0)));
        }
    }
}

static ace_status matrix_image(ace_device *d, const ace_matrix_shape *shape,
                               const ace_matrix_part *parts, int n_parts, void *to, ace_error *err)
{
    ace_matrix m = {*shape, (uint64_t)(uintptr_t)to, matrix_bytes(d, shape)};
    return matrix_pack(d, &m, parts, n_parts, err);
}

static ace_status write_bytes(ace_device *d, uint64_t addr, const void *from, size_t bytes,
                              ace_error *err)
{
    (void)d;
    (void)err;
    memcpy((void *)(uintptr_t)addr, from, bytes);
    return ACESTEP_OK;
}

static void close_device(ace_device *d)
{
    ace_free(d);
}

static const ace_device_ops reference_ops = {
    .reserve = reserve,
    .release = release,
    .memory = memory,
    .upload = upload,
    .download = download,
    .matrix_bytes = matrix_bytes,
    .matrix_pack = matrix_pack,
    .matrix_image = matrix_image,
    .write = write_bytes,
    .linear = linear,
    .conv = conv,
    .conv_transpose = conv_transpose,
    .rms_norm = rms_norm,
    .head_norm = head_norm,
    .attention = attention,
    .silu = silu,
    .silu_mul = silu_mul,
    .add = add,
    .copy = copy,
    .fill = fill,
    .scatter = scatter,
    .mix = mix,
    .close = close_device,
};

ace_status ace_reference_device_open(ace_device **out, ace_error *err)
{
    ace_device *d = ace_calloc(1, sizeof *d);
    if (d == NULL) {
        return ace_fail(err, ACESTEP_MEMORY, "reference device: no host memory");
    }
    d->name = "reference";
    d->ops = &reference_ops;
    d->alignment = 64;
    d->computes = true;
    *out = d;
    return ACESTEP_OK;
}
