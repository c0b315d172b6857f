#include "support/keeping_device.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { MOST_STEPS = 16, MOST_OPERATIONS = 4096 };

typedef enum kind {
    UPLOAD,
    LINEAR,
    CONV,
    CONV_TRANSPOSE,
    RMS_NORM,
    HEAD_NORM,
    ATTENTION,
    SILU,
    SILU_MUL,
    ADD,
    COPY,
    FILL,
    SCATTER,
    MIX
} kind;

/* An operation's arguments; those that it has. */
typedef struct kept {
    kind kind;
    ace_tensor y, x, a, b;
    ace_matrix w;
    ace_epilogue epilogue;
    ace_conv conv;
    ace_conv_transpose transpose;
    ace_norm norm;
    ace_head_norm head_norm;
    ace_attention attention;
    ace_scatter scatter;
    ace_mix mix;
    float value;
    const float *from;
} kept;

typedef struct kept_step {
    uint64_t key; /* 0: free */
    int passes;
    kept *operations;
    int n;
} kept_step;

typedef struct keeping {
    ace_device base;
    ace_device *inner;
    kept_step steps[MOST_STEPS];
    kept_step *recording;
    bool open;
    int refuse;
    keeping_counts counts;
} keeping;

static keeping *keeping_of(ace_device *d)
{
    return (keeping *)d;
}

static ace_status run(ace_device *d, const kept *k)
{
    const ace_device_ops *ops = d->ops;
    switch (k->kind) {
    case UPLOAD:
        return ops->upload(d, k->y, k->from, NULL);
    case LINEAR:
        ops->linear(d, k->y, k->x, &k->w, &k->epilogue);
        break;
    case CONV:
        ops->conv(d, k->y, k->x, &k->w, &k->conv, &k->epilogue);
        break;
    case CONV_TRANSPOSE:
        ops->conv_transpose(d, k->y, k->x, &k->w, &k->transpose);
        break;
    case RMS_NORM:
        ops->rms_norm(d, k->y, k->x, &k->norm);
        break;
    case HEAD_NORM:
        ops->head_norm(d, k->x, &k->head_norm);
        break;
    case ATTENTION:
        ops->attention(d, k->y, k->x, k->a, k->b, &k->attention);
        break;
    case SILU:
        ops->silu(d, k->y, k->x);
        break;
    case SILU_MUL:
        ops->silu_mul(d, k->y, k->a, k->b);
        break;
    case ADD:
        ops->add(d, k->y, k->a, k->b);
        break;
    case COPY:
        ops->copy(d, k->y, k->x);
        break;
    case FILL:
        ops->fill(d, k->y, k->value);
        break;
    case SCATTER:
        ops->scatter(d, k->y, k->x, &k->scatter);
        break;
    case MIX:
        ops->mix(d, k->y, k->x, &k->mix);
        break;
    }
    return ACESTEP_OK;
}

static ace_status take(ace_device *d, const kept *k)
{
    keeping *m = keeping_of(d);
    kept_step *s = m->recording;
    if (s == NULL) {
        return run(m->inner, k);
    }
    assert_true(s->n < MOST_OPERATIONS);
    s->operations[s->n++] = *k;
    return ACESTEP_OK;
}

/* ---- steps ----------------------------------------------------------------------------------- */

static void run_step(const keeping *m, const kept_step *s)
{
    for (int i = 0; i < s->n; i++) {
        assert_int_equal(run(m->inner, &s->operations[i]), ACESTEP_OK);
    }
}

static kept_step *step_of(keeping *m, uint64_t key)
{
    kept_step *empty = NULL;
    for (int i = 0; i < MOST_STEPS; i++) {
        if (m->steps[i].key == key) {
            return &m->steps[i];
        }
        empty = m->steps[i].key == 0 ? &m->steps[i] : empty;
    }
    assert_non_null(empty);
    *empty = (kept_step){.key = key};
    return empty;
}

static void drop(kept_step *s)
{
    free(s->operations);
    *s = (kept_step){0};
}

/* The first pass is not recorded, as on a card. */
static ace_step_state begin_step(ace_device *d, uint64_t key)
{
    keeping *m = keeping_of(d);
    assert_false(m->open);
    assert_int_not_equal(key, 0);
    kept_step *s = step_of(m, key);
    if (s->operations != NULL) {
        m->counts.replayed++;
        run_step(m, s);
        return ACE_STEP_REPLAYED;
    }
    m->open = true;
    if (s->passes++ == 0) {
        m->counts.issued++;
        return ACE_STEP_ISSUE;
    }
    s->operations = calloc(MOST_OPERATIONS, sizeof *s->operations);
    assert_non_null(s->operations);
    m->recording = s;
    return ACE_STEP_RECORD;
}

static bool end_step(ace_device *d)
{
    keeping *m = keeping_of(d);
    kept_step *s = m->recording;
    assert_true(m->open);
    m->open = false;
    m->recording = NULL;
    if (s == NULL) {
        return true;
    }
    if (m->refuse > 0) {
        m->refuse--;
        free(s->operations);
        s->operations = NULL;
        return false;
    }
    m->counts.recorded++;
    run_step(m, s);
    return true;
}

static void forget_step(ace_device *d, uint64_t key)
{
    keeping *m = keeping_of(d);
    assert_false(m->open);
    for (int i = 0; i < MOST_STEPS; i++) {
        if (m->steps[i].key != 0 && (key == 0 || m->steps[i].key == key)) {
            m->counts.forgotten++;
            drop(&m->steps[i]);
        }
    }
}

/* ---- memory ---------------------------------------------------------------------------------- */

static ace_status reserve(ace_device *d, size_t bytes, uint64_t *addr, ace_error *err)
{
    ace_device *inner = keeping_of(d)->inner;
    assert_false(keeping_of(d)->open);
    return inner->ops->reserve(inner, bytes, addr, err);
}

static void release(ace_device *d, uint64_t addr, size_t bytes)
{
    ace_device *inner = keeping_of(d)->inner;
    inner->ops->release(inner, addr, bytes);
}

static void memory(ace_device *d, ace_device_memory *out)
{
    ace_device *inner = keeping_of(d)->inner;
    inner->ops->memory(inner, out);
}

static ace_status download(ace_device *d, float *to, ace_tensor from, ace_error *err)
{
    ace_device *inner = keeping_of(d)->inner;
    assert_false(keeping_of(d)->open);
    return inner->ops->download(inner, to, from, err);
}

static size_t matrix_bytes(const ace_device *d, const ace_matrix_shape *shape)
{
    const ace_device *inner = ((const keeping *)d)->inner;
    return inner->ops->matrix_bytes(inner, shape);
}

static ace_status matrix_pack(ace_device *d, const ace_matrix *m, const ace_matrix_part *parts,
                              int n_parts, ace_error *err)
{
    ace_device *inner = keeping_of(d)->inner;
    assert_false(keeping_of(d)->open);
    return inner->ops->matrix_pack(inner, m, parts, n_parts, err);
}

static ace_status matrix_image(ace_device *d, const ace_matrix_shape *shape,
                               const ace_matrix_part *parts, int n_parts, void *to, ace_error *err)
{
    ace_device *inner = keeping_of(d)->inner;
    return inner->ops->matrix_image(inner, shape, parts, n_parts, to, err);
}

static ace_status write_bytes(ace_device *d, uint64_t addr, const void *from, size_t bytes,
                              ace_error *err)
{
    ace_device *inner = keeping_of(d)->inner;
    return inner->ops->write(inner, addr, from, bytes, err);
}

/* ---- operations ------------------------------------------------------------------------------ */

static ace_status upload(ace_device *d, ace_tensor to, const float *from, ace_error *err)
{
    (void)err;
    return take(d, &(kept){.kind = UPLOAD, .y = to, .from = from});
}

static void linear(ace_device *d, ace_tensor y, ace_tensor x, const ace_matrix *w,
                   const ace_epilogue *e)
{
    (void)take(d, &(kept){.kind = LINEAR, .y = y, .x = x, .w = *w, .epilogue = *e});
}

static void conv(ace_device *d, ace_tensor y, ace_tensor x, const ace_matrix *w, const ace_conv *c,
                 const ace_epilogue *e)
{
    (void)take(d, &(kept){.kind = CONV, .y = y, .x = x, .w = *w, .conv = *c, .epilogue = *e});
}

static void conv_transpose(ace_device *d, ace_tensor y, ace_tensor x, const ace_matrix *w,
                           const ace_conv_transpose *c)
{
    (void)take(d, &(kept){.kind = CONV_TRANSPOSE, .y = y, .x = x, .w = *w, .transpose = *c});
}

static void rms_norm(ace_device *d, ace_tensor y, ace_tensor x, const ace_norm *n)
{
    (void)take(d, &(kept){.kind = RMS_NORM, .y = y, .x = x, .norm = *n});
}

static void head_norm(ace_device *d, ace_tensor x, const ace_head_norm *n)
{
    (void)take(d, &(kept){.kind = HEAD_NORM, .x = x, .head_norm = *n});
}

static void attention(ace_device *d, ace_tensor y, ace_tensor q, ace_tensor k, ace_tensor v,
                      const ace_attention *a)
{
    (void)take(d, &(kept){.kind = ATTENTION, .y = y, .x = q, .a = k, .b = v, .attention = *a});
}

static void silu(ace_device *d, ace_tensor y, ace_tensor x)
{
    (void)take(d, &(kept){.kind = SILU, .y = y, .x = x});
}

static void silu_mul(ace_device *d, ace_tensor y, ace_tensor gate, ace_tensor up)
{
    (void)take(d, &(kept){.kind = SILU_MUL, .y = y, .a = gate, .b = up});
}

static void add(ace_device *d, ace_tensor y, ace_tensor a, ace_tensor b)
{
    (void)take(d, &(kept){.kind = ADD, .y = y, .a = a, .b = b});
}

static void copy(ace_device *d, ace_tensor y, ace_tensor x)
{
    (void)take(d, &(kept){.kind = COPY, .y = y, .x = x});
}

static void fill(ace_device *d, ace_tensor y, float value)
{
    (void)take(d, &(kept){.kind = FILL, .y = y, .value = value});
}

static void scatter(ace_device *d, ace_tensor y, ace_tensor x, const ace_scatter *to)
{
    (void)take(d, &(kept){.kind = SCATTER, .y = y, .x = x, .scatter = *to});
}

static void mix(ace_device *d, ace_tensor y, ace_tensor x, const ace_mix *m)
{
    (void)take(d, &(kept){.kind = MIX, .y = y, .x = x, .mix = *m});
}

static void close_device(ace_device *d)
{
    keeping *m = keeping_of(d);
    for (int i = 0; i < MOST_STEPS; i++) {
        drop(&m->steps[i]);
    }
    ace_device_close(m->inner);
    free(m);
}

/* ---- the device ------------------------------------------------------------------------------ */

static const ace_device_ops keeping_ops = {
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
    .begin_step = begin_step,
    .end_step = end_step,
    .forget_step = forget_step,
    .close = close_device,
};

ace_device *keeping_device_open(ace_device *inner)
{
    keeping *m = calloc(1, sizeof *m);
    assert_non_null(m);
    m->base = *inner;
    m->base.name = "keeping";
    m->base.ops = &keeping_ops;
    m->inner = inner;
    return &m->base;
}

keeping_counts keeping_device_counts(const ace_device *d)
{
    return ((const keeping *)d)->counts;
}

void keeping_device_refuse(ace_device *d, int n)
{
    keeping_of(d)->refuse = n;
}
