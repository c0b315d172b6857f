#include "mirror_device.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { GUARD = 512, MOST = 12, PATTERN = 0x5a };

/* One tensor's memory, from its first to its last number, on the device. */
typedef struct mirrored {
    uint64_t host, device; /* device: of the first number */
    size_t bytes, size;    /* size: of a number; of int8 that of four, since words are fetched */
} mirrored;

typedef struct mirror {
    ace_device base;
    ace_device *inner;
    mirrored block[MOST];
    int n;
    char complaint[256], said[256];
} mirror;

static mirror *mirror_of(ace_device *d)
{
    return (mirror *)d;
}

static void complain(mirror *m, const char *what, const ace_error *err)
{
    if (m->complaint[0] == '\0') {
        (void)snprintf(m->complaint, sizeof m->complaint, "%s%.200s", what, err->message);
    }
}

static void put(mirror *m, uint64_t to, const void *from, size_t bytes)
{
    ace_error err = {.code = ACESTEP_OK};
    if (m->inner->ops->write(m->inner, to, from, bytes, &err) != ACESTEP_OK) {
        complain(m, "write: ", &err);
    }
}

/* The tensor on the device; tensors that are the same memory are so there. */
static ace_tensor to_device(mirror *m, ace_tensor t)
{
    static const unsigned char alarm[GUARD] = {[0 ... GUARD - 1] = PATTERN};
    ace_error err = {.code = ACESTEP_OK};
    if (t.addr == 0) {
        return t;
    }
    for (int i = 0; i < m->n; i++) {
        if (m->block[i].host == t.addr) {
            t.addr = m->block[i].device;
            return t;
        }
    }
    size_t size = ace_dtype_bytes(t.dtype);
    size_t bytes = (size_t)((t.rows - 1) * t.row_stride + t.cols) * size;
    uint64_t addr = 0;
    if (m->n == MOST ||
        m->inner->ops->reserve(m->inner, bytes + (size_t)2 * GUARD, &addr, &err) != ACESTEP_OK) {
        complain(m, "reserve: ", &err);
        return (ace_tensor){0};
    }
    /* an odd multiple of the number's size: kernels may not count on more alignment than that */
    size_t unit = size == 1 ? 4 : size;
    uint64_t start = addr + GUARD - (t.addr % 16 != 0 ? unit : 0);
    mirrored b = {t.addr, start, bytes, unit};
    m->block[m->n++] = b;
    put(m, start - (size_t)(start - addr), alarm, (size_t)(start - addr));
    put(m, start, (const void *)(uintptr_t)t.addr, bytes);
    put(m, start + bytes, alarm, GUARD);
    t.addr = start;
    return t;
}

/* Bytes as they are: f32 numbers cross without a change. */
static void fetch(mirror *m, void *to, uint64_t from, size_t bytes)
{
    ace_error err = {.code = ACESTEP_OK};
    ace_tensor t = {from, ACE_F32, 1, (int64_t)(bytes / sizeof(float)),
                    (int64_t)(bytes / sizeof(float))};
    if (bytes % sizeof(float) != 0) { /* an odd number of bf16 */
        t.dtype = ACE_BF16;
        t.cols = (int64_t)(bytes / 2);
        t.row_stride = t.cols;
        float *wide = malloc((size_t)t.cols * sizeof *wide);
        if (wide == NULL || m->inner->ops->download(m->inner, wide, t, &err) != ACESTEP_OK) {
            complain(m, "download: ", &err);
        } else {
            for (int64_t i = 0; i < t.cols; i++) {
                ((uint16_t *)to)[i] = ace_f32_to_bf16(wide[i]);
            }
        }
        free(wide);
    } else if (m->inner->ops->download(m->inner, to, t, &err) != ACESTEP_OK) {
        complain(m, "download: ", &err);
    }
}

/* Any number of bytes, by way of whole f32 numbers. */
static void fetch_bytes(mirror *m, void *to, uint64_t from, size_t bytes)
{
    size_t whole = (bytes + 3) / 4 * 4;
    unsigned char *words = malloc(whole);
    const ace_error err = {.message = "no memory"};
    if (words == NULL) {
        complain(m, "mirror: ", &err);
        return;
    }
    fetch(m, words, from, whole);
    memcpy(to, words, bytes);
    free(words);
}

static bool is_untouched(mirror *m, uint64_t addr, size_t bytes)
{
    unsigned char seen[GUARD];
    fetch(m, seen, addr, bytes);
    for (size_t i = 0; i < bytes; i++) {
        if (seen[i] != PATTERN) {
            return false;
        }
    }
    return true;
}

/* Everything back, read or written; all of it is checked by the trial. */
static void to_host(mirror *m)
{
    for (int i = 0; i < m->n; i++) {
        mirrored *b = &m->block[i];
        size_t shift = b->host % 16 != 0 ? b->size : 0;
        size_t before = (GUARD - shift) / 4 * 4; /* whole f32 numbers are fetched */
        size_t behind = b->bytes;
        if (b->bytes % 2 != 0 || b->size == 4) {
            fetch_bytes(m, (void *)(uintptr_t)b->host, b->device, b->bytes);
            behind = (b->bytes + 3) / 4 * 4;
        } else {
            fetch(m, (void *)(uintptr_t)b->host, b->device, b->bytes);
        }
        if (!is_untouched(m, b->device - before, before) ||
            !is_untouched(m, b->device + behind, GUARD - 4)) {
            const ace_error err = {.code = ACESTEP_OK};
            complain(m, "memory around a tensor was written on the device", &err);
        }
        m->inner->ops->release(m->inner, b->device - GUARD + shift, b->bytes + (size_t)2 * GUARD);
    }
    m->n = 0;
}

/* ---- memory
 * ---------------------------------------------------------------------------------------- */

static ace_status reserve(ace_device *d, size_t bytes, uint64_t *addr, ace_error *err)
{
    ace_device *inner = mirror_of(d)->inner;
    return inner->ops->reserve(inner, bytes, addr, err);
}

static void release(ace_device *d, uint64_t addr, size_t bytes)
{
    ace_device *inner = mirror_of(d)->inner;
    inner->ops->release(inner, addr, bytes);
}

static size_t matrix_bytes(const ace_device *d, const ace_matrix_shape *shape)
{
    const ace_device *inner = ((const mirror *)d)->inner;
    return inner->ops->matrix_bytes(inner, shape);
}

/* Every other matrix goes by way of an image, which must come to the same. */
static ace_status matrix_pack(ace_device *d, const ace_matrix *w, const ace_matrix_part *parts,
                              int n_parts, ace_error *err)
{
    ace_device *inner = mirror_of(d)->inner;
    if (w->shape.rows % 2 == 0) {
        return inner->ops->matrix_pack(inner, w, parts, n_parts, err);
    }
    void *image = NULL;
    if (posix_memalign(&image, 64, w->bytes) != 0) {
        return ace_fail(err, ACESTEP_MEMORY, "mirror: no memory");
    }
    ace_status status = inner->ops->matrix_image(inner, &w->shape, parts, n_parts, image, err);
    if (status == ACESTEP_OK) {
        status = inner->ops->write(inner, w->addr, image, w->bytes, err);
    }
    free(image);
    return status;
}

/* ---- operations
 * ------------------------------------------------------------------------------------ */

static ace_epilogue epilogue_to_device(mirror *m, const ace_epilogue *e)
{
    ace_epilogue out = *e;
    out.bias = to_device(m, e->bias);
    out.gate = to_device(m, e->gate);
    return out;
}

static void linear(ace_device *d, ace_tensor y, ace_tensor x, const ace_matrix *w,
                   const ace_epilogue *e)
{
    mirror *m = mirror_of(d);
    ace_epilogue epilogue = epilogue_to_device(m, e);
    m->inner->ops->linear(m->inner, to_device(m, y), to_device(m, x), w, &epilogue);
    to_host(m);
}

static void conv(ace_device *d, ace_tensor y, ace_tensor x, const ace_matrix *w, const ace_conv *c,
                 const ace_epilogue *e)
{
    mirror *m = mirror_of(d);
    ace_epilogue epilogue = epilogue_to_device(m, e);
    ace_conv inner = *c;
    inner.snake_alpha = to_device(m, c->snake_alpha);
    inner.snake_inv_beta = to_device(m, c->snake_inv_beta);
    m->inner->ops->conv(m->inner, to_device(m, y), to_device(m, x), w, &inner, &epilogue);
    to_host(m);
}

static void conv_transpose(ace_device *d, ace_tensor y, ace_tensor x, const ace_matrix *w,
                           const ace_conv_transpose *c)
{
    mirror *m = mirror_of(d);
    ace_conv_transpose inner = *c;
    inner.snake_alpha = to_device(m, c->snake_alpha);
    inner.snake_inv_beta = to_device(m, c->snake_inv_beta);
    inner.bias = to_device(m, c->bias);
    m->inner->ops->conv_transpose(m->inner, to_device(m, y), to_device(m, x), w, &inner);
    to_host(m);
}

static void rms_norm(ace_device *d, ace_tensor y, ace_tensor x, const ace_norm *n)
{
    mirror *m = mirror_of(d);
    ace_norm inner = *n;
    inner.weight = to_device(m, n->weight);
    inner.scale = to_device(m, n->scale);
    inner.shift = to_device(m, n->shift);
    m->inner->ops->rms_norm(m->inner, to_device(m, y), to_device(m, x), &inner);
    to_host(m);
}

static void head_norm(ace_device *d, ace_tensor x, const ace_head_norm *n)
{
    mirror *m = mirror_of(d);
    ace_head_norm inner = *n;
    inner.weight = to_device(m, n->weight);
    inner.rope = to_device(m, n->rope);
    m->inner->ops->head_norm(m->inner, to_device(m, x), &inner);
    to_host(m);
}

static void attention(ace_device *d, ace_tensor y, ace_tensor q, ace_tensor k, ace_tensor v,
                      const ace_attention *a)
{
    mirror *m = mirror_of(d);
    ace_attention inner = *a;
    inner.k_scale = to_device(m, a->k_scale);
    inner.v_scale = to_device(m, a->v_scale);
    m->inner->ops->attention(m->inner, to_device(m, y), to_device(m, q), to_device(m, k),
                             to_device(m, v), &inner);
    to_host(m);
}

static void silu(ace_device *d, ace_tensor y, ace_tensor x)
{
    mirror *m = mirror_of(d);
    m->inner->ops->silu(m->inner, to_device(m, y), to_device(m, x));
    to_host(m);
}

static void silu_mul(ace_device *d, ace_tensor y, ace_tensor gate, ace_tensor up)
{
    mirror *m = mirror_of(d);
    m->inner->ops->silu_mul(m->inner, to_device(m, y), to_device(m, gate), to_device(m, up));
    to_host(m);
}

static void add(ace_device *d, ace_tensor y, ace_tensor a, ace_tensor b)
{
    mirror *m = mirror_of(d);
    m->inner->ops->add(m->inner, to_device(m, y), to_device(m, a), to_device(m, b));
    to_host(m);
}

static void copy(ace_device *d, ace_tensor y, ace_tensor x)
{
    mirror *m = mirror_of(d);
    m->inner->ops->copy(m->inner, to_device(m, y), to_device(m, x));
    to_host(m);
}

static void fill(ace_device *d, ace_tensor y, float value)
{
    mirror *m = mirror_of(d);
    m->inner->ops->fill(m->inner, to_device(m, y), value);
    to_host(m);
}

static void scatter(ace_device *d, ace_tensor y, ace_tensor x, const ace_scatter *to)
{
    mirror *m = mirror_of(d);
    ace_scatter inner = *to;
    inner.scale = to_device(m, to->scale);
    m->inner->ops->scatter(m->inner, to_device(m, y), to_device(m, x), &inner);
    to_host(m);
}

static void mix(ace_device *d, ace_tensor y, ace_tensor x, const ace_mix *mix)
{
    mirror *m = mirror_of(d);
    ace_mix inner = *mix;
    inner.weight = to_device(m, mix->weight);
    inner.gate = to_device(m, mix->gate);
    m->inner->ops->mix(m->inner, to_device(m, y), to_device(m, x), &inner);
    to_host(m);
}

static void close_device(ace_device *d)
{
    free(d);
}

/* ---- the device
 * ------------------------------------------------------------------------------------ */

static const ace_device_ops mirror_ops = {
    .reserve = reserve,
    .release = release,
    .matrix_bytes = matrix_bytes,
    .matrix_pack = matrix_pack,
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

ace_device *mirror_device_open(ace_device *inner)
{
    mirror *m = calloc(1, sizeof *m);
    if (m == NULL) {
        fprintf(stderr, "mirror: no memory\n");
        exit(2);
    }
    m->base = (ace_device){.name = "mirror",
                           .ops = &mirror_ops,
                           .alignment = inner->alignment,
                           .computes = true,
                           .addressable = true};
    m->inner = inner;
    return &m->base;
}

const char *mirror_device_complaint(ace_device *d)
{
    mirror *m = mirror_of(d);
    memcpy(m->said, m->complaint, sizeof m->said);
    m->complaint[0] = '\0';
    return m->said;
}
