/* Packing weights from a file's layout into panels (layout: product.h), in parallel over panels. */
#include "base/block_formats.h"
#include "cpu/product.h"

#include <math.h>
#include <stdatomic.h>
#include <string.h>

enum {
    CHUNK = 512,     /* numbers of one row converted at a time */
    MAX_BLOCK = 256, /* numbers in a block of the largest block format */
    NO_PART = INT32_MAX
};

typedef struct packing {
    const ace_matrix *matrix;
    const ace_matrix_part *parts;
    int n_parts;
    ace_packed to;
    _Atomic int32_t damaged; /* lowest index of a part with NaN or infinity */
} packing;

/* One matrix row as a file stores it; part is NULL for rows that only fill up a panel. */
typedef struct source_row {
    const ace_matrix_part *part;
    int64_t row; /* within the part */
} source_row;

static source_row find_row(const packing *p, int64_t row)
{
    for (int i = 0; i < p->n_parts; i++) {
        if (row < p->parts[i].rows) {
            return (source_row){&p->parts[i], row};
        }
        row -= p->parts[i].rows;
    }
    return (source_row){0};
}

/* The matrix row in lane `lane` of a panel. */
static source_row row_of_lane(const packing *p, int64_t panel, int lane)
{
    const ace_matrix_shape *s = &p->matrix->shape;
    int64_t output = (s->swiglu ? panel / 2 : panel) * ACE_PANEL + lane;
    int64_t outputs = s->swiglu ? s->rows / 2 : s->rows;
    if (output >= outputs) {
        return (source_row){0};
    }
    return find_row(p, s->swiglu && panel % 2 == 1 ? outputs + output : output);
}

/* n numbers from the block-coded row's column k on; blocks run through row ends. */
static void decode_blocks(const ace_matrix_part *part, int64_t first, int64_t n, float *out)
{
    float block[MAX_BLOCK];
    int64_t per = ace_block_elements(part->dtype);
    for (int64_t done = 0; done < n;) {
        int64_t at = first + done;
        const unsigned char *data =
            (const unsigned char *)part->data + (size_t)(at / per) * ace_block_bytes(part->dtype);
        int64_t take = per - at % per < n - done ? per - at % per : n - done;
        ace_decode_row(part->dtype, data, per, block);
        memcpy(out + done, block + at % per, (size_t)take * sizeof *out);
        done += take;
    }
}

static void decode_strided(const ace_matrix_part *part, int64_t first, int64_t step, int64_t n,
                           float *out)
{
    const unsigned char *data = part->data;
    int64_t bytes = (int64_t)ace_dtype_bytes(part->dtype);
    data += first * bytes;
    if (step == 1) {
        ace_decode_row(part->dtype, data, n, out);
        return;
    }
    for (int64_t i = 0; i < n; i++) {
        const unsigned char *at = data + i * step * bytes;
        if (part->dtype == ACE_F32) {
            memcpy(&out[i], at, sizeof(float));
        } else {
            ace_decode_row(part->dtype, at, 1, &out[i]);
        }
    }
}

/* Columns k … k + n - 1 of a row, scales applied; zeros for a row that does not exist. */
static void read_row(const packing *p, source_row s, int tap, int64_t k, int64_t n, float *out)
{
    if (s.part == NULL) {
        memset(out, 0, (size_t)n * sizeof *out);
        return;
    }
    if (ace_block_elements(s.part->dtype) > 1) {
        decode_blocks(s.part, s.row * p->matrix->shape.cols + k, n, out);
    } else {
        int64_t first =
            s.row * s.part->row_stride + k * s.part->col_stride + tap * s.part->tap_stride;
        decode_strided(s.part, first, s.part->col_stride, n, out);
    }
    if (s.part->row_scale != NULL || s.part->col_scale != NULL) {
        float row_scale = s.part->row_scale != NULL ? s.part->row_scale[s.row] : 1.0f;
        for (int64_t i = 0; i < n; i++) {
            out[i] *= row_scale;
            out[i] *= s.part->col_scale != NULL ? s.part->col_scale[k + i] : 1.0f;
        }
    }
}

static void report_damage(packing *p, source_row s)
{
    int32_t index = (int32_t)(s.part - p->parts);
    int32_t lowest = atomic_load(&p->damaged);
    while (index < lowest && !atomic_compare_exchange_weak(&p->damaged, &lowest, index)) {
    }
}

/* Infinity and NaN have all exponent bits set: the largest magnitude as an integer tells. */
static bool is_finite_run(const float *v, int64_t n)
{
    uint32_t peak = 0;
    for (int64_t i = 0; i < n; i++) {
        uint32_t magnitude = ace_f32_bits(v[i]) & 0x7fffffffu;
        peak = magnitude > peak ? magnitude : peak;
    }
    return peak < 0x7f800000u;
}

/* Writes n numbers of one lane at depth k … into a panel's run for one tap. */
static void place(const ace_packed *to, unsigned char *run, int lane, int64_t k, int64_t n,
                  const float *v, float scale)
{
    if (to->dtype == ACE_F32) {
        float *out = (float *)(void *)run + k * ACE_PANEL + lane;
        for (int64_t i = 0; i < n; i++) {
            out[i * ACE_PANEL] = v[i];
        }
    } else if (to->dtype == ACE_BF16) {
        uint16_t *out = (uint16_t *)(void *)run + k * ACE_PANEL + 2 * lane;
        for (int64_t i = 0; i < n; i++) {
            out[i / 2 * 2 * ACE_PANEL + i % 2] = ace_f32_to_bf16(v[i]);
        }
    } else {
        int8_t *out = (int8_t *)run + k * ACE_PANEL + lane;
        for (int64_t i = 0; i < n; i++) {
            /* A subnormal scale is too coarse to keep the quotient within the range. */
            float q = scale > 0 ? rintf(v[i] / scale) : 0.0f;
            out[i * ACE_PANEL] = (int8_t)(q > 127 ? 127 : q < -127 ? -127 : q);
        }
    }
}

/* Largest magnitude of a row over all taps. */
static float row_peak(const packing *p, source_row s)
{
    float v[CHUNK];
    float peak = 0;
    for (int tap = 0; tap < p->to.taps; tap++) {
        for (int64_t k = 0; k < p->matrix->shape.cols; k += CHUNK) {
            int64_t n = p->matrix->shape.cols - k < CHUNK ? p->matrix->shape.cols - k : CHUNK;
            read_row(p, s, tap, k, n, v);
            for (int64_t i = 0; i < n; i++) {
                peak = fmaxf(peak, fabsf(v[i]));
            }
        }
    }
    return peak;
}

static void pack_lane(packing *p, int64_t panel, int lane)
{
    source_row s = row_of_lane(p, panel, lane);
    int64_t cols = p->matrix->shape.cols;
    float scale = 0;
    if (p->to.dtype == ACE_I8) {
        scale = row_peak(p, s) / 127.0f;
        p->to.scales[panel * ACE_PANEL + lane] = scale;
    }
    float v[CHUNK + 1];
    for (int tap = 0; tap < p->to.taps; tap++) {
        unsigned char *run = p->to.weights + ace_packed_offset(&p->to, panel, tap, 0);
        for (int64_t k = 0; k < cols; k += CHUNK) {
            int64_t n = cols - k < CHUNK ? cols - k : CHUNK;
            read_row(p, s, tap, k, n, v);
            if (s.part != NULL && !is_finite_run(v, n)) {
                report_damage(p, s);
                return;
            }
            if (n % 2 != 0) {
                v[n++] = 0.0f;
            }
            place(&p->to, run, lane, k, n, v, scale);
        }
    }
}

static void pack_panel(void *context, int64_t panel, int thread)
{
    (void)thread;
    for (int lane = 0; lane < ACE_PANEL; lane++) {
        pack_lane(context, panel, lane);
    }
}

ace_status ace_cpu_matrix_pack(ace_device *device, const ace_matrix *m,
                               const ace_matrix_part *parts, int n_parts, ace_error *err)
{
    packing p = {.matrix = m, .parts = parts, .n_parts = n_parts, .to = ace_packed_of(m)};
    atomic_init(&p.damaged, NO_PART);
    ace_pool_run(ace_cpu_of(device)->pool, p.to.panels, pack_panel, &p);
    int32_t damaged = atomic_load(&p.damaged);
    if (damaged != NO_PART) {
        return ace_fail(err, ACESTEP_MODEL, "%s: holds NaN or infinity; the file is damaged",
                        parts[damaged].name);
    }
    return ACESTEP_OK;
}

size_t ace_cpu_matrix_bytes(const ace_device *device, const ace_matrix_shape *shape)
{
    (void)device;
    return ace_packed_bytes(shape);
}
