#include "run/pack_key.h"

#include "base/memory.h"

/* To be raised when loaders leave other numbers under the same names and shapes. What the device
 * makes of a matrix needs no version: see add_layout. */
enum { PACK_VERSION = 1 };

enum { LINE = 64, MOST_ROWS = 96, MOST_COLS = 160, MOST_TAPS = 3 };

/* Numbers between -1 and 1, no two rows alike. */
static void fill(float *values, size_t n)
{
    uint32_t state = 12345;
    for (size_t i = 0; i < n; i++) {
        state = state * 1664525u + 1013904223u; /* Numerical Recipes, 7.1 */
        values[i] = (float)(int32_t)(state >> 8) / 8388608.0f - 1.0f;
    }
}

/* The packed bytes of one matrix; false when there is no memory for them. */
static bool add_matrix(ace_device *device, const ace_matrix_shape *shape, const float *values,
                       ace_digest *d)
{
    const ace_matrix_part part = {.name = "layout",
                                  .data = values,
                                  .dtype = ACE_F32,
                                  .rows = shape->rows,
                                  .row_stride = shape->cols * shape->taps,
                                  .col_stride = shape->taps,
                                  .tap_stride = 1};
    size_t bytes = device->ops->matrix_bytes(device, shape);
    unsigned char *block = ace_calloc(bytes + LINE, 1);
    if (block == NULL) {
        return false;
    }
    unsigned char *image = block + (LINE - (uintptr_t)block % LINE) % LINE;
    ace_status status = device->ops->matrix_image(device, shape, &part, 1, image, NULL);
    *d = ace_digest_add(*d, image, bytes);
    ace_free(block);
    return status == ACESTEP_OK;
}

/* How the device packs is told by what it makes of a few small matrices: a kernel that changes its
 * layout changes the key by itself. */
static bool add_layout(ace_device *device, ace_digest *d)
{
    static const ace_matrix_shape shapes[] = {
        {.rows = MOST_ROWS, .cols = MOST_COLS, .taps = 1},
        {.rows = 41, .cols = 67, .taps = 1},
        {.rows = 40, .cols = 64, .taps = 1, .swiglu = true},
        {.rows = 96, .cols = 64, .taps = 1, .swiglu = true, .int8_inputs = true},
        {.rows = 48, .cols = 32, .taps = MOST_TAPS},
        {.rows = 2, .cols = 16, .taps = MOST_TAPS},
    };
    static const ace_dtype types[] = {ACE_F32, ACE_BF16, ACE_I8};
    const size_t n = (size_t)MOST_ROWS * MOST_COLS;
    float *values = ace_malloc_array(n, sizeof *values);
    bool complete = values != NULL;
    if (complete) {
        fill(values, n);
    }
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes && complete; i++) {
        for (size_t t = 0; t < sizeof types / sizeof *types && complete; t++) {
            ace_matrix_shape shape = shapes[i];
            shape.dtype = types[t];
            complete = add_matrix(device, &shape, values, d);
        }
    }
    ace_free(values);
    return complete;
}

bool ace_pack_key(const ace_pack_subject *s, ace_digest *key)
{
    const uint64_t numbers[] = {PACK_VERSION,
                                (uint64_t)s->part,
                                (uint64_t)s->matrix,
                                (uint64_t)s->conv,
                                (uint64_t)s->activation,
                                s->device->alignment,
                                s->bytes,
                                s->asked.low,
                                s->asked.high};
    ace_digest d = {0};
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
        d = ace_digest_add_number(d, numbers[i]);
    }
    bool complete = ace_weights_identify(s->weights, &d) && add_layout(s->device, &d);
    *key = d;
    return complete;
}
