/* The device that counts: addresses are handed out, nothing is stored and nothing is computed. It
 * answers for the layouts of a target device, so that a plan made here holds there to the byte. */
#include "base/memory.h"
#include "device/device.h"

typedef struct measure_device {
    ace_device base;
    ace_device_ops ops; /* what the target leaves out, is left out */
    const ace_device *target;
} measure_device;

static ace_status measure_reserve(ace_device *d, size_t bytes, uint64_t *addr, ace_error *err)
{
    (void)d;
    (void)bytes;
    (void)err;
    *addr = UINT64_C(1) << 20; /* any address but 0, aligned for every device */
    return ACESTEP_OK;
}

static void measure_release(ace_device *d, uint64_t addr, size_t bytes)
{
    (void)d;
    (void)addr;
    (void)bytes;
}

static void measure_memory(ace_device *d, ace_device_memory *out)
{
    (void)d;
    *out = (ace_device_memory){.total = SIZE_MAX, .free = SIZE_MAX};
}

static ace_status measure_upload(ace_device *d, ace_tensor to, const float *from, ace_error *err)
{
    (void)d;
    (void)to;
    (void)from;
    (void)err;
    return ACESTEP_OK;
}

static ace_status measure_download(ace_device *d, float *to, ace_tensor from, ace_error *err)
{
    (void)d;
    (void)to;
    (void)from;
    (void)err;
    return ACESTEP_OK;
}

static size_t measure_matrix_bytes(const ace_device *d, const ace_matrix_shape *shape)
{
    const ace_device *target = ((const measure_device *)d)->target;
    return target->ops->matrix_bytes(target, shape);
}

static ace_status measure_matrix_pack(ace_device *d, const ace_matrix *m,
                                      const ace_matrix_part *parts, int n_parts, ace_error *err)
{
    (void)d;
    (void)m;
    (void)parts;
    (void)n_parts;
    (void)err;
    return ACESTEP_OK;
}

static ace_status measure_matrix_image(ace_device *d, const ace_matrix_shape *shape,
                                       const ace_matrix_part *parts, int n_parts, void *to,
                                       ace_error *err)
{
    (void)d, (void)shape, (void)parts, (void)n_parts, (void)to, (void)err;
    return ACESTEP_OK;
}

static ace_status measure_write(ace_device *d, uint64_t addr, const void *from, size_t bytes,
                                ace_error *err)
{
    (void)d, (void)addr, (void)from, (void)bytes, (void)err;
    return ACESTEP_OK;
}

static void measure_linear(ace_device *d, ace_tensor y, ace_tensor x, const ace_matrix *w,
                           const ace_epilogue *e)
{
    (void)d, (void)y, (void)x, (void)w, (void)e;
}

static void measure_conv(ace_device *d, ace_tensor y, ace_tensor x, const ace_matrix *w,
                         const ace_conv *c, const ace_epilogue *e)
{
    (void)d, (void)y, (void)x, (void)w, (void)c, (void)e;
}

static void measure_conv_transpose(ace_device *d, ace_tensor y, ace_tensor x, const ace_matrix *w,
                                   const ace_conv_transpose *c)
{
    (void)d, (void)y, (void)x, (void)w, (void)c;
}

static void measure_rms_norm(ace_device *d, ace_tensor y, ace_tensor x, const ace_norm *n)
{
    (void)d, (void)y, (void)x, (void)n;
}

static void measure_head_norm(ace_device *d, ace_tensor x, const ace_head_norm *n)
{
    (void)d, (void)x, (void)n;
}

static void measure_attention(ace_device *d, ace_tensor y, ace_tensor q, ace_tensor k, ace_tensor v,
                              const ace_attention *a)
{
    (void)d, (void)y, (void)q, (void)k, (void)v, (void)a;
}

static void measure_unary(ace_device *d, ace_tensor y, ace_tensor x)
{
    (void)d, (void)y, (void)x;
}

static void measure_binary(ace_device *d, ace_tensor y, ace_tensor a, ace_tensor b)
{
    (void)d, (void)y, (void)a, (void)b;
}

static void measure_fill(ace_device *d, ace_tensor y, float value)
{
    (void)d, (void)y, (void)value;
}

static void measure_scatter(ace_device *d, ace_tensor y, ace_tensor x, const ace_scatter *to)
{
    (void)d, (void)y, (void)x, (void)to;
}

static void measure_mix(ace_device *d, ace_tensor y, ace_tensor x, const ace_mix *m)
{
    (void)d, (void)y, (void)x, (void)m;
}

static ace_status measure_choose(ace_device *d, ace_tensor logits, const ace_choice *choices, int n,
                                 int32_t *chosen, ace_error *err)
{
    (void)d, (void)logits, (void)choices, (void)n, (void)chosen, (void)err;
    return ACESTEP_OK;
}

static void measure_close(ace_device *d)
{
    ace_free(d);
}

static const ace_device_ops measure_ops = {
    .reserve = measure_reserve,
    .release = measure_release,
    .memory = measure_memory,
    .upload = measure_upload,
    .download = measure_download,
    .matrix_bytes = measure_matrix_bytes,
    .matrix_pack = measure_matrix_pack,
    .matrix_image = measure_matrix_image,
    .write = measure_write,
    .linear = measure_linear,
    .conv = measure_conv,
    .conv_transpose = measure_conv_transpose,
    .rms_norm = measure_rms_norm,
    .head_norm = measure_head_norm,
    .attention = measure_attention,
    .silu = measure_unary,
    .silu_mul = measure_binary,
    .add = measure_binary,
    .copy = measure_unary,
    .fill = measure_fill,
    .scatter = measure_scatter,
    .mix = measure_mix,
    .close = measure_close,
};

ace_status ace_measure_device_open(const ace_device *target, ace_device **out, ace_error *err)
{
    measure_device *d = ace_calloc(1, sizeof *d);
    if (d == NULL) {
        return ace_fail(err, ACESTEP_MEMORY, "measure device: no host memory");
    }
    d->base.name = "measure";
    d->ops = measure_ops;
    d->ops.choose = target->ops->choose != NULL ? measure_choose : NULL;
    d->base.ops = &d->ops;
    d->base.alignment = target->alignment;
    d->base.workspace_bytes = target->workspace_bytes;
    d->target = target;
    *out = &d->base;
    return ACESTEP_OK;
}
