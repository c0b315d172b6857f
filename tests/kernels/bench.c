/* Speed at the shapes of the published models: hidden size 2048, 16 query and 8 key heads of 128,
 * feed-forward 6144; 750 rows are a minute of music after patching. Best of a few runs. */
#include "base/clock.h"
#include "cases.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { RUNS = 5 };

typedef struct bench {
    trial inputs; /* owns tensors and matrices */
    ace_device *device;
    const char *level;
} bench;

/* One call to time: whatever the operation needs. */
typedef struct call {
    void (*run)(ace_device *, const struct call *);
    ace_tensor y, x, k, v;
    ace_matrix w;
    ace_epilogue epilogue;
    ace_attention attention;
    ace_conv conv;
    ace_conv_transpose conv_transpose;
    ace_norm norm;
    ace_head_norm head_norm;
    double flops, bytes; /* one of them zero */
} call;

static void measure(bench *b, const char *name, const call *c)
{
    double best = 1e30;
    for (int i = 0; i < RUNS; i++) {
        double start = ace_clock_seconds();
        c->run(b->device, c);
        double seconds = ace_clock_seconds() - start;
        best = seconds < best ? seconds : best;
    }
    double amount = c->flops > 0 ? c->flops : c->bytes;
    printf("%-8s %-44s %9.3f ms %8.1f %s\n", b->level, name, best * 1e3, amount / best * 1e-9,
           c->flops > 0 ? "GFLOP/s" : "GB/s");
    trial_end(&b->inputs);
}

static ace_tensor tensor(bench *b, int64_t rows, int64_t cols, ace_dtype dtype)
{
    ace_tensor t = {.dtype = dtype, .rows = rows, .cols = cols, .row_stride = cols};
    int64_t n = rows * cols;
    void *data = trial_bytes(&b->inputs, (size_t)n * ace_dtype_bytes(dtype));
    for (int64_t i = 0; i < n; i++) {
        float value = (float)((i * 7919) % 2003 - 1001) * 1e-3f;
        if (dtype == ACE_BF16) {
            ((uint16_t *)data)[i] = ace_f32_to_bf16(value);
        } else {
            ((float *)data)[i] = value;
        }
    }
    t.addr = (uint64_t)(uintptr_t)data;
    return t;
}

static double tensor_bytes(ace_tensor t)
{
    return (double)(t.rows * t.cols) * (double)ace_dtype_bytes(t.dtype);
}

static void run_linear(ace_device *d, const call *c)
{
    d->ops->linear(d, c->y, c->x, &c->w, &c->epilogue);
}

static void bench_linear(bench *b)
{
    static const int64_t shapes[][3] = {{750, 2048, 2048}, {750, 2048, 6144}, {1, 2048, 6144}};
    static const ace_dtype types[] = {ACE_F32, ACE_BF16, ACE_I8, ACE_I8};
    for (int s = 0; s < 3; s++) {
        for (int d = 0; d < 4; d++) {
            int64_t rows = shapes[s][0];
            ace_dtype work = types[d] == ACE_F32 ? ACE_F32 : ACE_BF16;
            call c = {.run = run_linear,
                      .x = tensor(b, rows, shapes[s][1], work),
                      .y = tensor(b, rows, shapes[s][2], work),
                      .flops = 2.0 * (double)(rows * shapes[s][1] * shapes[s][2])};
            c.w = trial_matrix(&b->inputs, (ace_matrix_shape){.rows = shapes[s][2],
                                                              .cols = shapes[s][1],
                                                              .taps = 1,
                                                              .dtype = types[d],
                                                              .int8_inputs = d == 3});
            char name[96];
            snprintf(name, sizeof name, "linear %lld x %lld -> %lld, weights %s%s", (long long)rows,
                     (long long)shapes[s][1], (long long)shapes[s][2], ace_dtype_name(types[d]),
                     d == 3 ? ", inputs too" : "");
            measure(b, name, &c);
        }
    }
}

static void run_conv(ace_device *d, const call *c)
{
    d->ops->conv(d, c->y, c->x, &c->w, &c->conv, &c->epilogue);
}

static void bench_conv(bench *b)
{
    static const int64_t channels[] = {128, 512};
    static const ace_dtype types[] = {ACE_F32, ACE_BF16};
    for (int i = 0; i < 4; i++) {
        int64_t n = channels[i / 2];
        ace_dtype dtype = types[i % 2];
        int64_t rows = 1 << 22 >> (n == 128 ? 7 : 10);
        call c = {.run = run_conv,
                  .x = tensor(b, rows, n, dtype),
                  .y = tensor(b, rows, n, dtype),
                  .conv = {.stride = 1, .dilation = 3, .pad = 9},
                  .flops = 2.0 * (double)(rows * n * n * 7)};
        c.conv.snake_alpha = tensor(b, 1, n, ACE_F32);
        c.conv.snake_inv_beta = tensor(b, 1, n, ACE_F32);
        c.w = trial_matrix(&b->inputs,
                           (ace_matrix_shape){.rows = n, .cols = n, .taps = 7, .dtype = dtype});
        char name[96];
        snprintf(name, sizeof name, "conv %lld x %lld, 7 taps, snake, %s", (long long)rows,
                 (long long)n, ace_dtype_name(dtype));
        measure(b, name, &c);
    }
}

static void run_conv_transpose(ace_device *d, const call *c)
{
    d->ops->conv_transpose(d, c->y, c->x, &c->w, &c->conv_transpose);
}

static void bench_conv_transpose(bench *b)
{
    int64_t rows = 2048;
    int64_t n = 512;
    int64_t stride = 4;
    call c = {.run = run_conv_transpose,
              .x = tensor(b, rows, n, ACE_F32),
              .y = tensor(b, rows * stride, n / 2, ACE_F32),
              .conv_transpose = {.stride = stride, .crop = 2},
              .flops = 4.0 * (double)(rows * n * n / 2 * stride)};
    c.conv_transpose.snake_alpha = tensor(b, 1, n, ACE_F32);
    c.conv_transpose.snake_inv_beta = tensor(b, 1, n, ACE_F32);
    c.w = trial_matrix(
        &b->inputs,
        (ace_matrix_shape){.rows = stride * n / 2, .cols = n, .taps = 2, .dtype = ACE_F32});
    measure(b, "conv_transpose 2048 x 512 -> 256, stride 4", &c);
}

static void run_attention(ace_device *d, const call *c)
{
    d->ops->attention(d, c->y, c->x, c->k, c->v, &c->attention);
}

static void bench_attention(bench *b)
{
    static const struct {
        int64_t queries, keys, window;
    } shapes[] = {{750, 750, 0}, {3000, 3000, 0}, {3000, 3000, 128}, {1, 3000, 0}};
    static const ace_dtype types[] = {ACE_F32, ACE_BF16};
    for (int i = 0; i < 8; i++) {
        int64_t queries = shapes[i / 2].queries;
        int64_t keys = shapes[i / 2].keys;
        int64_t window = shapes[i / 2].window;
        ace_dtype dtype = types[i % 2];
        call c = {.run = run_attention,
                  .x = tensor(b, queries, 16 * 128, dtype),
                  .y = tensor(b, queries, 16 * 128, dtype),
                  .k = tensor(b, keys, 8 * 128, dtype),
                  .v = tensor(b, keys, 8 * 128, dtype),
                  .attention = {.batch = 1,
                                .q_len = queries,
                                .kv_len = keys,
                                .heads = 16,
                                .kv_heads = 8,
                                .head_dim = 128,
                                .scale = 0.088f,
                                .window = window}};
        int64_t seen = window != 0 ? 2 * window + 1 : keys;
        c.flops = 4.0 * (double)(queries * seen * 16 * 128);
        char name[96];
        snprintf(name, sizeof name, "attention %lld x %lld, window %lld, %s", (long long)queries,
                 (long long)keys, (long long)window, ace_dtype_name(dtype));
        measure(b, name, &c);
    }
}

static void run_rms_norm(ace_device *d, const call *c)
{
    d->ops->rms_norm(d, c->y, c->x, &c->norm);
}

static void run_head_norm(ace_device *d, const call *c)
{
    d->ops->head_norm(d, c->x, &c->head_norm);
}

static void run_silu(ace_device *d, const call *c)
{
    d->ops->silu(d, c->y, c->x);
}

static void run_add(ace_device *d, const call *c)
{
    d->ops->add(d, c->y, c->x, c->k);
}

static void run_copy(ace_device *d, const call *c)
{
    d->ops->copy(d, c->y, c->x);
}

static void run_fill(ace_device *d, const call *c)
{
    d->ops->fill(d, c->y, 1.0f);
}

static void bench_rows(bench *b, const char *op)
{
    static const struct {
        const char *name;
        void (*run)(ace_device *, const call *);
        int tensors; /* moved through memory: inputs and outputs */
    } rows[] = {{"rms_norm", run_rms_norm, 2}, {"head_norm", run_head_norm, 2},
                {"silu", run_silu, 2},         {"add", run_add, 3},
                {"copy", run_copy, 2},         {"fill", run_fill, 1}};
    static const ace_dtype types[] = {ACE_F32, ACE_BF16};
    for (int i = 0; i < 12; i++) {
        if (op != NULL && strcmp(op, rows[i / 2].name) != 0) {
            continue;
        }
        ace_dtype dtype = types[i % 2];
        call c = {.run = rows[i / 2].run,
                  .x = tensor(b, 3000, 2048, dtype),
                  .y = tensor(b, 3000, 2048, dtype),
                  .k = tensor(b, 3000, 2048, dtype)};
        c.norm = (ace_norm){.weight = tensor(b, 1, 2048, ACE_F32), .eps = 1e-6f};
        c.norm.scale = tensor(b, 1, 2048, ACE_F32);
        c.norm.shift = tensor(b, 1, 2048, ACE_F32);
        c.head_norm = (ace_head_norm){.heads = 16,
                                      .weight = tensor(b, 1, 128, ACE_F32),
                                      .eps = 1e-6f,
                                      .rope = tensor(b, 3000, 128, ACE_F32)};
        c.bytes = rows[i / 2].tensors * tensor_bytes(c.x);
        char name[96];
        snprintf(name, sizeof name, "%s 3000 x 2048, %s", rows[i / 2].name, ace_dtype_name(dtype));
        measure(b, name, &c);
    }
}

void bench_run(const char *op, ace_device *device, const char *level)
{
    static const struct {
        const char *name;
        void (*run)(bench *);
    } products[] = {{"linear", bench_linear},
                    {"conv", bench_conv},
                    {"conv_transpose", bench_conv_transpose},
                    {"attention", bench_attention}};
    bench b = {.device = device, .level = level};
    trial_begin(&b.inputs, device, 1);
    for (int i = 0; i < 4; i++) {
        if (op == NULL || strcmp(op, products[i].name) == 0) {
            products[i].run(&b);
        }
    }
    bench_rows(&b, op);
}
