/* Packing weights from a file's layout into panels (layout: product.h), in parallel over panels. */
#include "base/block_formats.h"
#include "cpu/pack_kernels.h"
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
    const ace_cpu *cpu;
    const ace_pack_kernels *kernels;
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

/* int8 numbers with a scale per row: what quantising them again would yield but for rounding. */
static bool is_quantised(const packing *p, source_row s)
{
    const ace_matrix_part *part = s.part;
    return p->to.dtype == ACE_I8 && part != NULL && part->dtype == ACE_I8 &&
           part->row_scale != NULL && part->col_scale == NULL;
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

/* n numbers of a plain type, `step` elements apart. */
static void decode_strided(const ace_matrix_part *part, int64_t first, int64_t step, int64_t n,
                           float *out)
{
    size_t bytes = ace_dtype_bytes(part->dtype);
    const unsigned char *data = (const unsigned char *)part->data + (size_t)first * bytes;
    if (step == 1) {
        ace_decode_row(part->dtype, data, n, out);
    } else if (part->dtype == ACE_F32) {
        for (int64_t i = 0; i < n; i++) {
            memcpy(&out[i], data + (size_t)(i * step) * bytes, sizeof *out);
        }
    } else if (part->dtype == ACE_BF16) {
        for (int64_t i = 0; i < n; i++) {
            uint16_t half;
            memcpy(&half, data + (size_t)(i * step) * bytes, sizeof half);
            out[i] = ace_bf16_to_f32(half);
        }
    } else {
        for (int64_t i = 0; i < n; i++) {
            ace_decode_row(part->dtype, data + (size_t)(i * step) * bytes, 1, &out[i]);
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
static bool is_finite_f32(const float *v, int64_t n)
{
    uint32_t peak = 0;
    for (int64_t i = 0; i < n; i++) {
        uint32_t magnitude = ace_f32_bits(v[i]) & 0x7fffffffu;
        peak = magnitude > peak ? magnitude : peak;
    }
    return peak < 0x7f800000u;
}

static bool is_finite_bf16(const uint16_t *v, int64_t n)
{
    int16_t peak = 0; /* signed, since SSE2 knows no unsigned maximum */
    for (int64_t i = 0; i < n; i++) {
        int16_t magnitude = (int16_t)(v[i] & 0x7fff);
        peak = magnitude > peak ? magnitude : peak;
    }
    return peak < 0x7f80;
}

/* ---- one lane of a chunk, in the packed type ------------------------------------------------- */

/* A stretch of depth of one panel and tap, lane by lane, on its way from row order to panel order.
 */
typedef struct chunk {
    int64_t first, n; /* depth; n makes whole pairs or fours, with zeros */
    float values[CHUNK];
    union {
        float f32[ACE_PANEL][CHUNK];
        uint16_t bf16[ACE_PANEL][CHUNK];
        int8_t i8[ACE_PANEL][CHUNK];
    } lane;
} chunk;

/* Round to nearest even as ace_f32_to_bf16, for finite numbers: without a branch the loop
 * vectorises. */
static void round_to_bf16(uint16_t *to, const float *from, int64_t n)
{
    for (int64_t i = 0; i < n; i++) {
        uint32_t u = ace_f32_bits(from[i]);
        to[i] = (uint16_t)((u + 0x7fffu + ((u >> 16) & 1u)) >> 16);
    }
}

/* Columns k … of a row where they lie in the file as they are to be read, with no scale, side by
 * side; else no data. */
static ace_row find_plain(source_row s, int tap, int64_t k)
{
    const ace_matrix_part *part = s.part;
    bool is_plain = part != NULL && (part->dtype == ACE_BF16 || part->dtype == ACE_F32) &&
                    part->col_stride == 1 && part->row_scale == NULL && part->col_scale == NULL;
    size_t bytes = is_plain ? ace_dtype_bytes(part->dtype) : 1;
    if (!is_plain || (uintptr_t)part->data % bytes != 0) {
        return (ace_row){0};
    }
    int64_t first = s.row * part->row_stride + tap * part->tap_stride + k;
    void *data = (char *)(uintptr_t)part->data + first * (int64_t)bytes;
    return (ace_row){data, part->dtype == ACE_BF16};
}

/* The same or, where there is none, n of them copied to `values`. */
static ace_row view_row(const packing *p, source_row s, int tap, int64_t k, int64_t n,
                        float *values)
{
    ace_row plain = find_plain(s, tap, k);
    if (plain.data != NULL) {
        return plain;
    }
    read_row(p, s, tap, k, n, values);
    return (ace_row){values, false};
}

static bool load_quantised(chunk *c, source_row s, int lane, int tap, int64_t n)
{
    const ace_matrix_part *part = s.part;
    const int8_t *from = part->data;
    from += s.row * part->row_stride + tap * part->tap_stride + c->first * part->col_stride;
    for (int64_t i = 0; i < n; i++) {
        c->lane.i8[lane][i] = from[i * part->col_stride];
    }
    memset(c->lane.i8[lane] + n, 0, (size_t)(c->n - n));
    return isfinite(part->row_scale[s.row]);
}

/* Fills one lane of the chunk; false for NaN or infinity. n numbers exist. */
static bool load_lane(const packing *p, chunk *c, source_row s, int lane, int tap, int64_t n,
                      float scale)
{
    if (is_quantised(p, s)) {
        return load_quantised(c, s, lane, tap, n);
    }
    if (p->to.dtype == ACE_I8) { /* finite, since row_peak has been */
        ace_row from = view_row(p, s, tap, c->first, n, c->values);
        p->kernels->quantise(c->lane.i8[lane], from, n, scale);
        memset(c->lane.i8[lane] + n, 0, (size_t)(c->n - n));
        return true;
    }
    ace_row plain = find_plain(s, tap, c->first);
    if (p->to.dtype == ACE_BF16 && plain.bf16) {
        memcpy(c->lane.bf16[lane], plain.data, (size_t)n * sizeof(uint16_t));
        memset(c->lane.bf16[lane] + n, 0, (size_t)(c->n - n) * sizeof(uint16_t));
        return is_finite_bf16(c->lane.bf16[lane], n);
    }
    float *v = p->to.dtype == ACE_F32 ? c->lane.f32[lane] : c->values;
    read_row(p, s, tap, c->first, n, v);
    memset(v + n, 0, (size_t)(c->n - n) * sizeof *v);
    if (!is_finite_f32(v, n)) {
        return false;
    }
    if (p->to.dtype == ACE_BF16) {
        round_to_bf16(c->lane.bf16[lane], v, c->n);
        return is_finite_bf16(c->lane.bf16[lane], n); /* rounding may overflow */
    }
    return true;
}

/* ---- panel order ----------------------------------------------------------------------------- */

/* What lies together in a panel's row moves as one unit of 4 bytes: fours, pairs or single numbers.
 */
static void store_chunk(const packing *p, const chunk *c, int64_t panel, int tap)
{
    int64_t unit = ace_packed_together(p->to.dtype);
    void *run = p->to.weights + ace_packed_offset(&p->to, panel, tap, c->first);
    p->kernels->interleave(run, &c->lane, CHUNK / unit, c->n / unit);
}

/* Largest magnitude of a row over all taps, NaN for a damaged one; values is room for a chunk. */
static float row_peak(const packing *p, source_row s, float *values)
{
    float peak = 0;
    int64_t cols = p->matrix->shape.cols;
    for (int tap = 0; tap < p->to.taps; tap++) {
        for (int64_t k = 0; k < cols; k += CHUNK) {
            int64_t n = cols - k < CHUNK ? cols - k : CHUNK;
            float here = p->kernels->peak(view_row(p, s, tap, k, n, values), n);
            if (!(here <= peak)) { /* larger, or NaN */
                peak = here;
            }
            if (!isfinite(peak)) {
                return NAN;
            }
        }
    }
    return peak;
}

/* The scale of a row of int8; not finite where the row is damaged. */
static float scale_of(const packing *p, source_row s, float *values)
{
    return is_quantised(p, s) ? s.part->row_scale[s.row] : row_peak(p, s, values) / 127.0f;
}

static void pack_panel(void *context, int64_t panel, int thread)
{
    packing *p = context;
    chunk *c = ace_cpu_scratch(p->cpu, thread);
    int64_t cols = p->matrix->shape.cols;
    source_row rows[ACE_PANEL];
    float scale[ACE_PANEL] = {0};
    for (int lane = 0; lane < ACE_PANEL; lane++) {
        rows[lane] = row_of_lane(p, panel, lane);
        if (p->to.dtype == ACE_I8) {
            scale[lane] = scale_of(p, rows[lane], c->values);
            if (!isfinite(scale[lane])) {
                report_damage(p, rows[lane]);
                return;
            }
            p->to.scales[panel * ACE_PANEL + lane] = scale[lane];
        }
    }
    for (int tap = 0; tap < p->to.taps; tap++) {
        for (c->first = 0; c->first < cols; c->first += CHUNK) {
            int64_t n = cols - c->first < CHUNK ? cols - c->first : CHUNK;
            c->n = p->to.depth - c->first < CHUNK ? p->to.depth - c->first : CHUNK;
            for (int lane = 0; lane < ACE_PANEL; lane++) {
                if (!load_lane(p, c, rows[lane], lane, tap, n, scale[lane])) {
                    report_damage(p, rows[lane]);
                    return;
                }
            }
            store_chunk(p, c, panel, tap);
        }
    }
}

ace_status ace_cpu_matrix_pack(ace_device *device, const ace_matrix *m,
                               const ace_matrix_part *parts, int n_parts, ace_error *err)
{
    packing p = {.cpu = ace_cpu_of(device),
                 .kernels = ace_pack_kernels_of(ace_cpu_of(device)->level),
                 .matrix = m,
                 .parts = parts,
                 .n_parts = n_parts,
                 .to = ace_packed_of(m)};
    atomic_init(&p.damaged, NO_PART);
    ace_pool_run(p.cpu->pool, p.to.panels, pack_panel, &p);
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
