/* Packs weights into host memory, in the layout of a target device. A loader reserves, uploads and
 * packs, and calls nothing else: the operations are absent. */
#include "device/image_device.h"

#include "base/checked.h"
#include "base/memory.h"

#include <string.h>

enum { LINE = 64 };

typedef struct image_device {
    ace_device base;
    ace_device *target;
} image_device;

/* A block aligned to cache lines at least, as the target packs; the bytes before it remember what
 * to free. */
static ace_status image_reserve(ace_device *d, size_t bytes, uint64_t *addr, ace_error *err)
{
    size_t alignment = d->alignment > LINE ? d->alignment : LINE;
    size_t padded;
    unsigned char *block =
        ace_add_overflows(bytes, 2 * alignment, &padded) ? NULL : ace_malloc_array(padded, 1);
    if (block == NULL) {
        return ace_fail(err, ACESTEP_MEMORY,
                        "no host memory for %zu bytes of packed weights; free memory or choose a "
                        "smaller configuration",
                        bytes);
    }
    unsigned char *start =
        block + alignment + (alignment - (uintptr_t)block % alignment) % alignment;
    memcpy(start - sizeof block, &block, sizeof block);
    *addr = (uint64_t)(uintptr_t)start;
    return ACESTEP_OK;
}

static void image_release(ace_device *d, uint64_t addr, size_t bytes)
{
    (void)d, (void)bytes;
    unsigned char *block;
    memcpy(&block, (unsigned char *)(uintptr_t)addr - sizeof block, sizeof block);
    ace_free(block);
}

static void image_memory(ace_device *d, ace_device_memory *out)
{
    (void)d;
    *out = (ace_device_memory){.total = SIZE_MAX, .free = SIZE_MAX};
}

static void *element(ace_tensor t, int64_t row)
{
    return (unsigned char *)(uintptr_t)t.addr +
           (size_t)(row * t.row_stride) * ace_dtype_bytes(t.dtype);
}

static ace_status image_upload(ace_device *d, ace_tensor to, const float *from, ace_error *err)
{
    (void)d, (void)err;
    for (int64_t r = 0; r < to.rows; r++, from += to.cols) {
        if (to.dtype != ACE_BF16) {
            memcpy(element(to, r), from, (size_t)to.cols * sizeof *from);
            continue;
        }
        uint16_t *row = element(to, r);
        for (int64_t c = 0; c < to.cols; c++) {
            row[c] = ace_f32_to_bf16(from[c]);
        }
    }
    return ACESTEP_OK;
}

static ace_status image_download(ace_device *d, float *to, ace_tensor from, ace_error *err)
{
    (void)d, (void)err;
    for (int64_t r = 0; r < from.rows; r++, to += from.cols) {
        if (from.dtype != ACE_BF16) {
            memcpy(to, element(from, r), (size_t)from.cols * sizeof *to);
            continue;
        }
        const uint16_t *row = element(from, r);
        for (int64_t c = 0; c < from.cols; c++) {
            to[c] = ace_bf16_to_f32(row[c]);
        }
    }
    return ACESTEP_OK;
}

static size_t image_matrix_bytes(const ace_device *d, const ace_matrix_shape *shape)
{
    const ace_device *target = ((const image_device *)d)->target;
    return target->ops->matrix_bytes(target, shape);
}

static ace_status image_matrix_image(ace_device *d, const ace_matrix_shape *shape,
                                     const ace_matrix_part *parts, int n_parts, void *to,
                                     ace_error *err)
{
    ace_device *target = ((image_device *)d)->target;
    return target->ops->matrix_image(target, shape, parts, n_parts, to, err);
}

static ace_status image_matrix_pack(ace_device *d, const ace_matrix *m,
                                    const ace_matrix_part *parts, int n_parts, ace_error *err)
{
    return image_matrix_image(d, &m->shape, parts, n_parts, (void *)(uintptr_t)m->addr, err);
}

static ace_status image_write(ace_device *d, uint64_t addr, const void *from, size_t bytes,
                              ace_error *err)
{
    (void)d, (void)err;
    memcpy((void *)(uintptr_t)addr, from, bytes);
    return ACESTEP_OK;
}

static void image_close(ace_device *d)
{
    ace_free(d);
}

static const ace_device_ops image_ops = {
    .reserve = image_reserve,
    .release = image_release,
    .memory = image_memory,
    .upload = image_upload,
    .download = image_download,
    .matrix_bytes = image_matrix_bytes,
    .matrix_pack = image_matrix_pack,
    .matrix_image = image_matrix_image,
    .write = image_write,
    .close = image_close,
};

ace_status ace_image_device_open(ace_device *target, ace_device **out, ace_error *err)
{
    *out = NULL;
    image_device *d = ace_calloc(1, sizeof *d);
    if (d == NULL) {
        return ace_fail(err, ACESTEP_MEMORY, "image device: no host memory");
    }
    /* It computes in the sense a loader asks for: files are read, tables are filled. */
    d->base = (ace_device){.name = "image",
                           .ops = &image_ops,
                           .alignment = target->alignment,
                           .computes = true,
                           .addressable = true};
    d->target = target;
    *out = &d->base;
    return ACESTEP_OK;
}
