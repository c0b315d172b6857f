/* Packing weights from a file's layout into the device's (layout.h), by the host. */
#include "base/block_formats.h"
#include "base/float_mode.h"
#include "cuda_device.h"
#include "layout.h"

#include <math.h>
#include <string.h>

enum { CHUNK = 512, MAX_BLOCK = 256, TASK_BYTES = 1 << 17 };

/* A row as a file stores it. */
typedef struct source_row {
    const ace_matrix_part *part;
    int64_t row; /* of the part */
} source_row;

static source_row find_row(const ace_matrix_part *parts, int n_parts, int64_t row)
{
    int i = 0;
    while (i < n_parts - 1 && row >= parts[i].rows) {
        row -= parts[i++].rows;
    }
    return (source_row){&parts[i], row};
}

/* ---- numbers of a row
 * ---------------------------------------------------------------------------- */

/* Blocks run through the ends of rows. */
static void decode_blocks(const ace_matrix_part *part, int64_t at, int64_t n, float *out)
{
    float block[MAX_BLOCK];
    int64_t per = ace_block_elements(part->dtype);
    while (n > 0) {
        const unsigned char *data =
            (const unsigned char *)part->data + (size_t)(at / per) * ace_block_bytes(part->dtype);
        int64_t skip = at % per;
        int64_t take = per - skip < n ? per - skip : n;
        ace_decode_row(part->dtype, data, per, block);
        memcpy(out, block + skip, (size_t)take * sizeof *out);
        out += take;
        at += take;
        n -= take;
    }
}

/* Columns col … col + n - 1, scales applied. */
static void read_numbers(source_row s, int64_t cols, int tap, int64_t col, int64_t n, float *out)
{
    const ace_matrix_part *p = s.part;
    if (ace_block_elements(p->dtype) > 1) {
        decode_blocks(p, s.row * cols + col, n, out);
    } else {
        size_t size = ace_dtype_bytes(p->dtype);
        const unsigned char *data = p->data;
        int64_t first = s.row * p->row_stride + col * p->col_stride + tap * p->tap_stride;
        if (p->col_stride == 1) {
            ace_decode_row(p->dtype, data + (size_t)first * size, n, out);
        } else {
            for (int64_t i = 0; i < n; i++) {
                ace_decode_row(p->dtype, data + (size_t)(first + i * p->col_stride) * size, 1,
                               &out[i]);
            }
        }
    }
    float scale = p->row_scale != NULL ? p->row_scale[s.row] : 1.0f;
    for (int64_t i = 0; i < n; i++) {
        out[i] *= scale;
        out[i] *= p->col_scale != NULL ? p->col_scale[col + i] : 1.0f;
    }
}

static bool is_finite(const float *values, int64_t n)
{
    bool finite = true;
    for (int64_t i = 0; i < n; i++) {
        finite = finite && isfinite(values[i]);
    }
    return finite;
}

/* ---- rows into the layout
 * ------------------------------------------------------------------------ */

/* bf16 that lies in the file as it will lie on the device: nothing to convert. */
static bool copy_bf16(source_row s, const ace_matrix_shape *m, int tap, uint16_t *out, bool *finite)
{
    const ace_matrix_part *p = s.part;
    if (m->dtype != ACE_BF16 || p->dtype != ACE_BF16 || p->col_stride != 1 ||
        p->row_scale != NULL || p->col_scale != NULL) {
        return false;
    }
    const unsigned char *from = p->data;
    from += (size_t)(s.row * p->row_stride + tap * p->tap_stride) * sizeof *out;
    memcpy(out, from, (size_t)m->cols * sizeof *out);
    for (int64_t i = 0; i < m->cols; i++) {
        *finite = *finite && (out[i] & 0x7f80u) != 0x7f80u;
    }
    return true;
}

/* False for NaN or infinity, also where rounding to bf16 makes it one. */
static bool pack_plain(source_row s, const ace_matrix_shape *m, int64_t depth, unsigned char *out)
{
    bool finite = true;
    for (int tap = 0; tap < m->taps && finite; tap++) {
        float *f32 = (float *)(void *)out + tap * depth;
        uint16_t *bf16 = (uint16_t *)(void *)out + tap * depth;
        if (copy_bf16(s, m, tap, bf16, &finite)) {
            continue;
        }
        for (int64_t c = 0; c < m->cols && finite; c += CHUNK) {
            float values[CHUNK];
            int64_t n = m->cols - c < CHUNK ? m->cols - c : CHUNK;
            read_numbers(s, m->cols, tap, c, n, values);
            finite = is_finite(values, n);
            for (int64_t i = 0; i < n; i++) {
                if (m->dtype == ACE_F32) {
                    f32[c + i] = values[i];
                } else {
                    bf16[c + i] = ace_f32_to_bf16(values[i]);
                    finite = finite && (bf16[c + i] & 0x7f80u) != 0x7f80u;
                }
            }
        }
    }
    return finite;
}

/* int8 with a scale per row goes over as it is: quantising it again would only add rounding. */
static bool is_quantised(source_row s)
{
    return s.part->dtype == ACE_I8 && s.part->row_scale != NULL && s.part->col_scale == NULL;
}

static bool copy_quantised(source_row s, const ace_matrix_shape *m, int64_t depth, int8_t *out,
                           float *scale)
{
    const ace_matrix_part *p = s.part;
    const int8_t *from = p->data;
    from += s.row * p->row_stride;
    for (int tap = 0; tap < m->taps; tap++) {
        for (int64_t c = 0; c < m->cols; c++) {
            out[tap * depth + c] = from[c * p->col_stride + tap * p->tap_stride];
        }
    }
    *scale = p->row_scale[s.row];
    return isfinite(*scale);
}

/* Symmetric, scale = largest magnitude of the row over all taps / 127. */
static bool quantise(source_row s, const ace_matrix_shape *m, int64_t depth, int8_t *out,
                     float *scale)
{
    float values[CHUNK];
    float peak = 0;
    for (int pass = 0; pass < 2; pass++) {
        for (int tap = 0; tap < m->taps; tap++) {
            for (int64_t c = 0; c < m->cols; c += CHUNK) {
                int64_t n = m->cols - c < CHUNK ? m->cols - c : CHUNK;
                read_numbers(s, m->cols, tap, c, n, values);
                if (pass == 0 && !is_finite(values, n)) {
                    return false;
                }
                for (int64_t i = 0; i < n && pass == 0; i++) {
                    peak = fmaxf(peak, fabsf(values[i]));
                }
                for (int64_t i = 0; i < n && pass == 1; i++) {
                    out[tap * depth + c + i] =
                        *scale > 0 ? (int8_t)lrintf(values[i] / *scale) : (int8_t)0;
                }
            }
        }
        *scale = peak / 127.0f;
    }
    return true;
}

/* ---- many rows, by several threads
 * --------------------------------------------------------------- */

/* `n` rows from `first` on into zeroed memory; scales of I8 apart. */
typedef struct packing {
    const ace_matrix_shape *shape;
    ace_cuda_layout layout;
    const ace_matrix_part *parts;
    int n_parts;
    int64_t first, n, rows_per_task;
    unsigned char *out;
    float *scales;
    ace_float_mode mode;        /* the caller's: the same bytes on every thread */
    atomic_int_fast64_t broken; /* the first row that is not finite; n: none */
} packing;

static bool pack_row(const packing *p, int64_t i)
{
    source_row s = find_row(p->parts, p->n_parts, p->first + i);
    unsigned char *out = p->out + (size_t)i * p->layout.row_bytes;
    float *scale = p->shape->dtype == ACE_I8 ? &p->scales[p->first + i] : NULL;
    if (scale == NULL) {
        return pack_plain(s, p->shape, p->layout.depth, out);
    }
    return is_quantised(s) ? copy_quantised(s, p->shape, p->layout.depth, (int8_t *)out, scale)
                           : quantise(s, p->shape, p->layout.depth, (int8_t *)out, scale);
}

static void note_broken(packing *p, int64_t row)
{
    int_fast64_t known = atomic_load(&p->broken);
    while (row < known && !atomic_compare_exchange_weak(&p->broken, &known, row)) {
    }
}

static void pack_some(void *context, int64_t task, int thread)
{
    packing *p = context;
    int64_t end = (task + 1) * p->rows_per_task < p->n ? (task + 1) * p->rows_per_task : p->n;
    ace_float_mode before = ace_float_mode_fast();
    (void)thread;
    ace_float_mode_set(p->mode);
    for (int64_t i = task * p->rows_per_task; i < end && i < atomic_load(&p->broken); i++) {
        if (!pack_row(p, i)) {
            note_broken(p, i);
        }
    }
    ace_float_mode_set(before);
}

static ace_status pack_rows(ace_cuda *cuda, packing *p, ace_error *err)
{
    int64_t rows = TASK_BYTES / (int64_t)p->layout.row_bytes;
    p->rows_per_task = rows > 1 ? rows : 1;
    p->mode = ace_float_mode_fast();
    ace_float_mode_set(p->mode);
    atomic_init(&p->broken, p->n);
    int64_t n_tasks = (p->n + p->rows_per_task - 1) / p->rows_per_task;
    if (cuda->pool != NULL) {
        cuda->host->run(cuda->pool, n_tasks, pack_some, p);
    }
    for (int64_t task = 0; task < n_tasks && cuda->pool == NULL; task++) {
        pack_some(p, task, 0);
    }
    int64_t broken = atomic_load(&p->broken);
    if (broken == p->n) {
        return ACESTEP_OK;
    }
    return ace_fail(err, ACESTEP_MODEL, "%s: holds NaN or infinity; the file is damaged",
                    find_row(p->parts, p->n_parts, p->first + broken).part->name);
}

/* ---- the table's functions
 * ------------------------------------------------------------------------ */

size_t ace_cuda_matrix_bytes(const ace_device *device, const ace_matrix_shape *shape)
{
    (void)device;
    return ace_cuda_layout_of(shape).bytes;
}

ace_status ace_cuda_matrix_image(ace_device *device, const ace_matrix_shape *shape,
                                 const ace_matrix_part *parts, int n_parts, void *to,
                                 ace_error *err)
{
    ace_cuda_layout l = ace_cuda_layout_of(shape);
    packing p = {.shape = shape,
                 .layout = l,
                 .parts = parts,
                 .n_parts = n_parts,
                 .n = shape->rows,
                 .out = to,
                 .scales = (float *)(void *)((unsigned char *)to + l.scales)};
    memset(to, 0, l.bytes);
    return pack_rows(ace_cuda_of(device), &p, err);
}

/* Rows as many as fit into a slot at a time. */
ace_status ace_cuda_matrix_pack(ace_device *device, const ace_matrix *m,
                                const ace_matrix_part *parts, int n_parts, ace_error *err)
{
    ace_cuda *cuda = ace_cuda_of(device);
    ace_cuda_layout l = ace_cuda_layout_of(&m->shape);
    int64_t most = ACE_CUDA_SLOT_BYTES / (int64_t)l.row_bytes;
    most = most < 1 ? 1 : most < m->shape.rows ? most : m->shape.rows;
    unsigned char *rows = cuda->host->allocate((size_t)most, l.row_bytes);
    float *scales = cuda->host->allocate((size_t)m->shape.rows, sizeof *scales);
    ace_status status =
        rows != NULL && scales != NULL
            ? ACESTEP_OK
            : ace_fail(err, ACESTEP_MEMORY, "cuda: no host memory to pack %s", parts[0].name);
    unsigned char *to = (unsigned char *)(uintptr_t)m->addr;
    for (int64_t r = 0; r < m->shape.rows && status == ACESTEP_OK; r += most) {
        int64_t n = m->shape.rows - r < most ? m->shape.rows - r : most;
        memset(rows, 0, (size_t)n * l.row_bytes);
        packing p = {.shape = &m->shape,
                     .layout = l,
                     .parts = parts,
                     .n_parts = n_parts,
                     .first = r,
                     .n = n,
                     .out = rows,
                     .scales = scales};
        status = pack_rows(cuda, &p, err);
        if (status == ACESTEP_OK &&
            !ace_cuda_send(cuda, to + (size_t)r * l.row_bytes, rows, (size_t)n * l.row_bytes)) {
            status = ace_cuda_dead(cuda, err);
        }
    }
    if (status == ACESTEP_OK && m->shape.dtype == ACE_I8 &&
        !ace_cuda_send(cuda, to + l.scales, scales, (size_t)m->shape.rows * sizeof *scales)) {
        status = ace_cuda_dead(cuda, err);
    }
    cuda->host->release(rows);
    cuda->host->release(scales);
    return status;
}
