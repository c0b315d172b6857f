#include "support/checkpoint.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

checkpoint *checkpoint_new(void)
{
    checkpoint *f = calloc(1, sizeof *f);
    assert_non_null(f);
    return f;
}

void checkpoint_free(checkpoint *f)
{
    if (f->path[0] != '\0') {
        (void)unlink(f->path);
    }
    free(f);
}

void checkpoint_add(checkpoint *f, const char *name, const char *type, const char *shape,
                    const void *data, size_t bytes)
{
    size_t used = strlen(f->header);
    (void)snprintf(f->header + used, sizeof f->header - used,
                   "%s\"%s\":{\"dtype\":\"%s\",\"shape\":%s,\"data_offsets\":[%zu,%zu]}",
                   used > 0 ? "," : "", name, type, shape, f->bytes, f->bytes + bytes);
    assert_true(f->bytes + bytes <= sizeof f->data);
    memcpy(f->data + f->bytes, data, bytes);
    f->bytes += bytes;
}

void checkpoint_add_f32(checkpoint *f, const char *name, const char *shape, const float *values,
                        int64_t n)
{
    checkpoint_add(f, name, "F32", shape, values, (size_t)n * sizeof *values);
}

void checkpoint_add_bf16(checkpoint *f, const char *name, const char *shape, const float *values,
                         int64_t n)
{
    uint16_t bits[1024];
    for (int64_t i = 0; i < n; i++) {
        bits[i] = ace_f32_to_bf16(values[i]);
    }
    checkpoint_add(f, name, "BF16", shape, bits, (size_t)n * sizeof *bits);
}

void checkpoint_write(const char *path, const void *head, size_t n, const void *tail, size_t m)
{
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(head, 1, n, file), n);
    assert_true(m == 0 || fwrite(tail, 1, m, file) == m);
    assert_int_equal(fclose(file), 0);
}

ace_weights *checkpoint_open(checkpoint *f)
{
    static int count;
    char head[8300];
    int n = snprintf(head + 8, sizeof head - 8, "{%s}", f->header);
    if (n % 2 == 0) {
        head[8 + n++] = ' ';
    }
    uint64_t length = (uint64_t)n;
    memcpy(head, &length, sizeof length);
    (void)snprintf(f->path, sizeof f->path, "/tmp/ace_loader_%ld_%d.safetensors", (long)getpid(),
                   count++);
    checkpoint_write(f->path, head, 8 + (size_t)n, f->data, f->bytes);
    ace_weights *w = NULL;
    ace_error error = {0};
    if (ace_weights_open(f->path, &w, &error) != ACESTEP_OK) {
        fail_msg("%s", error.message);
    }
    return w;
}
