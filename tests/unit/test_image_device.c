#include "base/memory.h"
#include "cpu/cpu_device.h"
#include "device/image_device.h"
#include "support/bench_device.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static ace_device *open_image(ace_device *target)
{
    ace_device *d = NULL;
    assert_int_equal(ace_image_device_open(target, &d, NULL), ACESTEP_OK);
    assert_true(d->computes);
    assert_int_equal(d->alignment, target->alignment);
    return d;
}

static void blocks_are_aligned(void **state)
{
    (void)state;
    ace_device *cpu = bench_device(1);
    ace_device *image = open_image(cpu);
    uint64_t live = ace_memory_live();
    uint64_t addr[20];
    for (size_t i = 0; i < 20; i++) {
        assert_int_equal(image->ops->reserve(image, i * 7, &addr[i], NULL), ACESTEP_OK);
        assert_int_equal(addr[i] % 64, 0);
        memset((void *)(uintptr_t)addr[i], 1, i * 7);
    }
    for (size_t i = 0; i < 20; i++) {
        image->ops->release(image, addr[i], i * 7);
    }
    ace_error err = {0};
    assert_int_equal(image->ops->reserve(image, SIZE_MAX, &addr[0], &err), ACESTEP_MEMORY);
    assert_null(strchr(err.message, '\n'));
    assert_int_equal(ace_memory_live(), live);
    ace_device_close(image);
    ace_device_close(cpu);
}

static void uploads_convert(void **state)
{
    (void)state;
    static const float values[] = {1.0f, -2.5f, 3.14159274f, 0.1f, 1e30f, -0.0f};
    ace_device *cpu = bench_device(1);
    ace_device *image = open_image(cpu);
    uint64_t addr = 0;
    assert_int_equal(image->ops->reserve(image, 256, &addr, NULL), ACESTEP_OK);
    for (int dtype = 0; dtype < 2; dtype++) {
        ace_tensor t = {addr, dtype == 0 ? ACE_F32 : ACE_BF16, 2, 3, 5};
        float back[6];
        assert_int_equal(image->ops->upload(image, t, values, NULL), ACESTEP_OK);
        assert_int_equal(image->ops->download(image, back, t, NULL), ACESTEP_OK);
        for (int i = 0; i < 6; i++) {
            float expected = dtype == 0 ? values[i] : ace_bf16_to_f32(ace_f32_to_bf16(values[i]));
            assert_memory_equal(&back[i], &expected, sizeof expected);
        }
    }
    image->ops->release(image, addr, 256);
    ace_device_close(image);
    ace_device_close(cpu);
}

/* A loader's work: a norm, a fused matrix of two parts and a bf16 table. */
typedef struct component {
    ace_tensor norm, table;
    ace_matrix matrix;
} component;

static component load(ace_stream *s, const float *values, ace_dtype dtype)
{
    ace_matrix_shape shape = {.rows = 40, .cols = 48, .taps = 1, .dtype = dtype};
    const ace_matrix_part parts[] = {
        {"a", values, ACE_F32, 24, 48, 1, 0, NULL, NULL},
        {"b", values + 24 * 48, ACE_F32, 16, 48, 1, 0, NULL, NULL},
    };
    component c;
    c.norm = ace_new_from(s, ACE_F32, 1, 48, values);
    c.matrix = ace_matrix_new(s, &shape, parts, 2);
    c.table = ace_new_from(s, ACE_BF16, 3, 48, values + 100);
    return c;
}

static void open_stream(ace_stream *s, ace_device *d, ace_arena *arena, ace_error *err)
{
    assert_int_equal(ace_arena_open(arena, d, 1 << 16, err), ACESTEP_OK);
    ace_stream_init(s, d, arena, ACE_BF16, err);
}

/* What the image device packed, written to a device's memory, is what a loader leaves there; and
 * the tensors are those of the same loader on the measure device, at that address. */
static void check_image(ace_device *target, ace_dtype dtype, const float *values)
{
    ace_device *image = open_image(target);
    ace_device *measure = NULL;
    assert_int_equal(ace_measure_device_open(target, &measure, NULL), ACESTEP_OK);
    ace_error err = {0};
    ace_arena direct_arena, image_arena;
    ace_arena counted_arena = {.device = measure, .capacity = 1 << 16};
    ace_stream direct, packed, counted;
    open_stream(&direct, target, &direct_arena, &err);
    open_stream(&packed, image, &image_arena, &err);
    ace_arena_set_tag(&counted_arena, "weights");
    component expected = load(&direct, values, dtype);
    (void)load(&packed, values, dtype);
    assert_int_equal(ace_stream_status(&packed), ACESTEP_OK);
    size_t bytes = image_arena.used;
    assert_int_equal(bytes, direct_arena.used);

    uint64_t addr = 0;
    assert_int_equal(target->ops->reserve(target, bytes, &addr, &err), ACESTEP_OK);
    assert_int_equal(
        target->ops->write(target, addr, (const void *)(uintptr_t)image_arena.base, bytes, &err),
        ACESTEP_OK);
    counted_arena.base = addr;
    ace_stream_init(&counted, measure, &counted_arena, ACE_BF16, &err);
    component copy = load(&counted, NULL, dtype);
    assert_int_equal(copy.matrix.addr - addr, expected.matrix.addr - direct_arena.base);

    float x_values[2 * 48], y[2][2 * 40], norm[48], table[3 * 48];
    memcpy(x_values, values + 500, sizeof x_values);
    ace_tensor x = ace_new_from(&direct, ACE_F32, 2, 48, x_values);
    const ace_matrix *matrices[] = {&expected.matrix, &copy.matrix};
    for (int i = 0; i < 2; i++) {
        ace_tensor out = ace_new(&direct, ACE_F32, 2, 40);
        ace_linear(&direct, out, x, matrices[i], NULL);
        ace_download(&direct, y[i], out);
    }
    ace_download(&direct, norm, copy.norm);
    ace_download(&direct, table, copy.table);
    assert_int_equal(ace_stream_status(&direct), ACESTEP_OK);
    assert_memory_equal(y[0], y[1], sizeof y[0]);
    assert_memory_equal(norm, values, sizeof norm);
    for (int i = 0; i < 3 * 48; i++) {
        assert_true(table[i] == ace_bf16_to_f32(ace_f32_to_bf16(values[100 + i])));
    }
    target->ops->release(target, addr, bytes);
    ace_arena_close(&image_arena);
    ace_arena_close(&direct_arena);
    ace_device_close(measure);
    ace_device_close(image);
}

static void images_are_what_loaders_leave(void **state)
{
    (void)state;
    static const ace_dtype types[] = {ACE_F32, ACE_BF16, ACE_I8};
    float *values = malloc(40 * 48 * sizeof *values);
    assert_non_null(values);
    for (int i = 0; i < 40 * 48; i++) {
        values[i] = (float)((i * 7919) % 2003 - 1001) * 1e-3f;
    }
    ace_device *target = NULL;
    for (int d = 0; (target = bench_device(d)) != NULL; d++) {
        for (int t = 0; t < 3; t++) {
            check_image(target, types[t], values);
        }
        ace_device_close(target);
    }
    free(values);
}

/* Damage is found while packing, and named. */
static void bad_weights_are_named(void **state)
{
    (void)state;
    float *values = calloc(40 * 48, sizeof *values);
    assert_non_null(values);
    values[30 * 48] = 1.0f / 0.0f;
    ace_device *cpu = bench_device(1);
    ace_device *image = open_image(cpu);
    ace_error err = {0};
    ace_arena arena;
    ace_stream s;
    open_stream(&s, image, &arena, &err);
    (void)load(&s, values, ACE_BF16);
    assert_int_equal(ace_stream_status(&s), ACESTEP_MODEL);
    assert_true(strncmp(err.message, "b:", 2) == 0);
    ace_arena_close(&arena);
    ace_device_close(image);
    ace_device_close(cpu);
    free(values);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(blocks_are_aligned),
        cmocka_unit_test(uploads_convert),
        cmocka_unit_test(images_are_what_loaders_leave),
        cmocka_unit_test(bad_weights_are_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
