#include "cpu/cpu_device.h"
#include "device/sim_device.h"
#include "device/stream.h"
#include "model/dit.h"
#include "support/bench_device.h"

#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

static const size_t MIB = (size_t)1 << 20;
static const size_t GIB = (size_t)1 << 30;

static ace_device *open_cpu(void)
{
    ace_device *d = NULL;
    assert_int_equal(ace_cpu_device_open(2, ACE_CPU_BEST, &d, NULL), ACESTEP_OK);
    return d;
}

/* A card with `cap` bytes besides the workspace of the device that computes for it. */
static ace_device *open_sim(ace_device *inner, size_t cap, const ace_sim_options *more)
{
    ace_sim_options options = more != NULL ? *more : (ace_sim_options){0};
    options.cap_bytes = cap + inner->workspace_bytes;
    ace_device *d = NULL;
    ace_error err = {0};
    if (ace_sim_device_open(inner, &options, &d, &err) != ACESTEP_OK) {
        fail_msg("%s", err.message);
    }
    return d;
}

static ace_device *open_measure(ace_device *target)
{
    ace_device *d = NULL;
    assert_int_equal(ace_measure_device_open(target, &d, NULL), ACESTEP_OK);
    return d;
}

/* ---- the same operations on two devices ------------------------------------------------------ */

enum { MAX_RESULTS = 1 << 16 };

/* A stream on a device, random numbers that repeat, and all results so far. */
typedef struct player {
    ace_error error;
    ace_arena arena;
    ace_stream stream;
    uint32_t state;
    float results[MAX_RESULTS];
    int n_results;
} player;

static player *player_open(ace_device *device)
{
    player *p = calloc(1, sizeof *p);
    assert_non_null(p);
    assert_int_equal(ace_arena_open(&p->arena, device, 8 * MIB, &p->error), ACESTEP_OK);
    ace_stream_init(&p->stream, device, &p->arena, ACE_BF16, &p->error);
    p->state = 1;
    return p;
}

static void player_close(player *p)
{
    ace_arena_close(&p->arena);
    free(p);
}

static float number(player *p)
{
    p->state = p->state * 1664525u + 1013904223u;
    return (float)(int32_t)p->state * 0x1p-31f;
}

static ace_tensor numbers(player *p, ace_dtype dtype, int64_t rows, int64_t cols)
{
    float values[8192];
    assert_true(rows * cols <= 8192);
    for (int64_t i = 0; i < rows * cols; i++) {
        values[i] = number(p);
    }
    return ace_new_from(&p->stream, dtype, rows, cols, values);
}

static ace_matrix matrix(player *p, int64_t rows, int64_t cols, int taps, ace_dtype dtype,
                         bool swiglu)
{
    static float values[65536];
    int64_t n = rows * cols * taps;
    assert_true(n <= 65536);
    for (int64_t i = 0; i < n; i++) {
        values[i] = number(p);
    }
    ace_matrix_shape shape = {
        .rows = rows, .cols = cols, .taps = taps, .dtype = dtype, .swiglu = swiglu};
    ace_matrix_part part = {.name = "w",
                            .data = values,
                            .dtype = ACE_F32,
                            .rows = rows,
                            .row_stride = cols * taps,
                            .col_stride = 1,
                            .tap_stride = cols};
    return ace_matrix_new(&p->stream, &shape, &part, 1);
}

static void keep(player *p, ace_tensor t)
{
    assert_true(p->n_results + t.rows * t.cols <= MAX_RESULTS);
    ace_download(&p->stream, p->results + p->n_results, t);
    p->n_results += (int)(t.rows * t.cols);
    if (ace_stream_status(&p->stream) != ACESTEP_OK) {
        fail_msg("%s", p->error.message);
    }
}

static void play_linear(player *p)
{
    static const ace_dtype types[] = {ACE_F32, ACE_BF16, ACE_I8};
    ace_stream *s = &p->stream;
    for (int i = 0; i < 3; i++) {
        ace_tensor x = numbers(p, ACE_BF16, 12, 64);
        ace_matrix w = matrix(p, 48, 64, 1, types[i], false);
        ace_matrix gate_up = matrix(p, 64, 64, 1, types[i], true);
        ace_tensor y = numbers(p, ACE_F32, 12, 96);
        ace_epilogue e = {.bias = numbers(p, ACE_F32, 1, 48),
                          .accumulate = true,
                          .gate = numbers(p, ACE_F32, 3, 48)};
        ace_linear(s, ace_cols(y, 48, 48), x, &w, &e);
        ace_linear(s, ace_cols(y, 0, 48), x, &w, NULL);
        keep(p, y);
        ace_tensor z = ace_new(s, ACE_BF16, 12, 32);
        ace_linear(s, z, x, &gate_up, NULL);
        keep(p, z);
    }
}

static void play_conv(player *p)
{
    ace_stream *s = &p->stream;
    ace_tensor alpha = numbers(p, ACE_F32, 1, 16);
    ace_tensor inv_beta = numbers(p, ACE_F32, 1, 16);
    ace_tensor x = numbers(p, ACE_F32, 20, 16);
    ace_matrix w = matrix(p, 24, 16, 7, ACE_F32, false);
    ace_tensor y = numbers(p, ACE_F32, 20, 24);
    ace_conv c = {
        .stride = 1, .dilation = 3, .pad = 9, .snake_alpha = alpha, .snake_inv_beta = inv_beta};
    ace_epilogue e = {.bias = numbers(p, ACE_F32, 1, 24), .accumulate = true};
    ace_conv1d(s, y, x, &w, &c, &e);
    keep(p, y);
    ace_matrix up = matrix(p, 4 * 8, 16, 2, ACE_BF16, false);
    ace_tensor z = ace_new(s, ACE_F32, 80, 8);
    ace_conv_transpose t = {.stride = 4,
                            .crop = 2,
                            .snake_alpha = alpha,
                            .snake_inv_beta = inv_beta,
                            .bias = numbers(p, ACE_F32, 1, 8)};
    ace_conv_transpose1d(s, z, x, &up, &t);
    keep(p, z);
}

static void play_norms(player *p)
{
    ace_stream *s = &p->stream;
    ace_tensor x = numbers(p, ACE_BF16, 12, 64);
    ace_tensor y = ace_new(s, ACE_F32, 12, 64);
    ace_norm n = {.weight = numbers(p, ACE_F32, 1, 64), .eps = 1e-6f};
    ace_rms_norm(s, y, x, &n);
    keep(p, y);
    n.scale = numbers(p, ACE_F32, 4, 64);
    n.shift = numbers(p, ACE_F32, 4, 64);
    ace_rms_norm(s, y, x, &n);
    keep(p, y);
    ace_head_norm h = {.heads = 4,
                       .weight = numbers(p, ACE_F32, 1, 16),
                       .eps = 1e-6f,
                       .rope = numbers(p, ACE_F32, 6, 16)};
    ace_head_rms_norm(s, x, &h);
    keep(p, x);
}

static void play_attention(player *p)
{
    static const int32_t valid[] = {7, 9};
    ace_stream *s = &p->stream;
    ace_tensor q = numbers(p, ACE_BF16, 2 * 5, 4 * 32);
    ace_tensor k = numbers(p, ACE_BF16, 2 * 9, 2 * 32);
    ace_tensor v = numbers(p, ACE_BF16, 2 * 9, 2 * 32);
    ace_tensor y = ace_new(s, ACE_F32, 2 * 5, 4 * 32);
    ace_attention a = {.batch = 2,
                       .q_len = 5,
                       .kv_len = 9,
                       .heads = 4,
                       .kv_heads = 2,
                       .head_dim = 32,
                       .scale = 0.2f,
                       .kv_valid = valid};
    ace_attend(s, y, q, k, v, &a);
    keep(p, y);
}

static void play_elementwise(player *p)
{
    ace_stream *s = &p->stream;
    ace_tensor x = numbers(p, ACE_F32, 12, 64);
    ace_tensor y = ace_new(s, ACE_BF16, 12, 64);
    ace_silu(s, y, x);
    keep(p, y);
    ace_silu_mul(s, y, x, numbers(p, ACE_BF16, 12, 64));
    keep(p, y);
    ace_add(s, y, numbers(p, ACE_F32, 3, 64), x);
    keep(p, y);
    ace_copy(s, ace_rows(y, 2, 8), ace_rows(x, 4, 8));
    ace_fill(s, ace_cols(y, 8, 8), 0.5f);
    keep(p, y);
}

static void play_images(player *p)
{
    ace_device *d = p->stream.device;
    ace_matrix w = matrix(p, 16, 64, 1, ACE_I8, false);
    float *values = calloc(16 * 64, sizeof *values);
    assert_non_null(values);
    for (int i = 0; i < 16 * 64; i++) {
        values[i] = number(p);
    }
    ace_matrix_part part = {.name = "w",
                            .data = values,
                            .dtype = ACE_F32,
                            .rows = 16,
                            .row_stride = 64,
                            .col_stride = 1};
    void *image = aligned_alloc(64, (w.bytes + 63) / 64 * 64);
    assert_non_null(image);
    assert_int_equal(d->ops->matrix_image(d, &w.shape, &part, 1, image, NULL), ACESTEP_OK);
    assert_int_equal(d->ops->write(d, w.addr, image, w.bytes, NULL), ACESTEP_OK);
    free(image);
    free(values);
    ace_tensor x = numbers(p, ACE_F32, 5, 64);
    ace_tensor y = ace_new(&p->stream, ACE_F32, 5, 16);
    ace_linear(&p->stream, y, x, &w, NULL);
    keep(p, y);
}

static player *play(ace_device *device)
{
    player *p = player_open(device);
    play_linear(p);
    play_conv(p);
    play_norms(p);
    play_attention(p);
    play_elementwise(p);
    play_images(p);
    return p;
}

static void computes_as_the_inner_device(void **state)
{
    (void)state;
    ace_device *cpu = open_cpu();
    ace_device *sim = open_sim(cpu, 16 * MIB, NULL);
    player *a = play(cpu);
    player *b = play(sim);
    assert_true(a->n_results > 5000);
    assert_int_equal(a->n_results, b->n_results);
    assert_memory_equal(a->results, b->results, (size_t)a->n_results * sizeof(float));
    player_close(a);
    player_close(b);
    assert_int_equal(ace_sim_device_held(sim), 0);
    ace_device_close(sim);
    ace_device_close(cpu);
}

/* The velocity of the tiny diffusion transformer for made-up inputs, [2, 9, D]. */
static float *velocity(ace_device *device, ace_dtype precision, int64_t *n)
{
    enum { FRAMES = 9, TOKENS = 11 };
    static const char model[] = "acestep-v15-turbo";
    ace_dit_config config = bench_dit_config(model);
    int64_t width = config.latent_channels;
    *n = 2 * FRAMES * width;
    float *values = malloc((size_t)(2 * *n + TOKENS * config.encoder.hidden) * sizeof *values);
    float *v = malloc((size_t)*n * sizeof *v);
    ace_dit *dit = malloc(sizeof *dit);
    ace_dit_session *session = malloc(sizeof *session);
    assert_true(values != NULL && v != NULL && dit != NULL && session != NULL);
    for (int64_t i = 0; i < 2 * *n + TOKENS * config.encoder.hidden; i++) {
        values[i] = (float)((i * 7919) % 2003 - 1001) * 1e-3f;
    }
    const float *condition = values + 2 * *n;
    int64_t length = TOKENS;
    static const int32_t condition_of[] = {0, 0};
    static const float t[] = {0.7f, 0.7f};
    ace_dit_inputs in = {.batch = 2,
                         .frames = FRAMES,
                         .context = values,
                         .n_conditions = 1,
                         .condition = &condition,
                         .condition_length = &length,
                         .condition_of = condition_of};
    test_bench b;
    bench_open(&b, device, model, precision);
    ace_dit_load(&b.loader, &config, dit);
    bench_loaded(&b);
    ace_dit_begin(&b.stream, dit, &in, session);
    ace_dit_velocity(session, values, t, t, false, v);
    bench_check(&b);
    bench_close(&b);
    free(session);
    free(dit);
    free(values);
    return v;
}

static void networks_compute_alike(void **state)
{
    (void)state;
    static const ace_dtype precisions[] = {ACE_F32, ACE_I8};
    for (int i = 0; i < 2; i++) {
        int64_t n = 0;
        ace_device *cpu = open_cpu(); /* the card's; it outlives the card */
        float *direct = velocity(open_cpu(), precisions[i], &n);
        float *card = velocity(open_sim(cpu, 256 * MIB, NULL), precisions[i], &n);
        assert_memory_equal(direct, card, (size_t)n * sizeof *direct);
        free(card);
        free(direct);
        ace_device_close(cpu);
    }
}

/* ---- a stray read ---------------------------------------------------------------------------- */

static int signal_of_read(const volatile float *address)
{
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        struct rlimit no_core = {0, 0};
        (void)setrlimit(RLIMIT_CORE, &no_core);
        (void)signal(SIGSEGV, SIG_DFL);
        float value = *address;
        _exit(value == value);
    }
    int status = 0;
    assert_int_equal(waitpid(child, &status, 0), child);
    return WIFSIGNALED(status) ? WTERMSIG(status) : 0;
}

static void host_reads_fault(void **state)
{
    (void)state;
    ace_device *cpu = open_cpu();
    ace_device *sim = open_sim(cpu, 16 * MIB, NULL);
    float host = 1.0f;
    assert_int_equal(signal_of_read(&host), 0);
    uint64_t addr = 0;
    assert_int_equal(sim->ops->reserve(sim, MIB, &addr, NULL), ACESTEP_OK);
    assert_int_equal(signal_of_read((const volatile float *)(uintptr_t)addr), SIGSEGV);
    assert_int_equal(signal_of_read((const volatile float *)(uintptr_t)(addr + MIB - 4)), SIGSEGV);
    sim->ops->release(sim, addr, MIB);
    ace_device_close(sim);
    ace_device_close(cpu);
}

/* Memory of the host is not memory of the card, whatever computes for it. */
static void host_addresses_are_refused(void **state)
{
    (void)state;
    ace_device *cpu = open_cpu();
    ace_device *sim = open_sim(cpu, 16 * MIB, NULL);
    float values[16] = {0};
    ace_tensor host = {(uint64_t)(uintptr_t)values, ACE_F32, 1, 16, 16};
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        struct rlimit no_core = {0, 0};
        (void)setrlimit(RLIMIT_CORE, &no_core);
        (void)signal(SIGSEGV, SIG_DFL);
        float copy[16];
        (void)sim->ops->download(sim, copy, host, NULL);
        _exit(0);
    }
    int status = 0;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status));
    assert_int_equal(WTERMSIG(status), SIGSEGV);
    ace_device_close(sim);
    ace_device_close(cpu);
}

/* ---- the cap --------------------------------------------------------------------------------- */

static ace_status reserve(ace_device *d, size_t bytes, uint64_t *addr, ace_error *err)
{
    memset(err, 0, sizeof *err);
    return d->ops->reserve(d, bytes, addr, err);
}

static void check_cap(ace_device *inner)
{
    ace_device *sim = open_sim(inner, 3 * MIB, NULL);
    ace_error err;
    ace_device_memory m;
    uint64_t a = 0;
    uint64_t b = 0;
    assert_int_equal(reserve(sim, 2 * MIB, &a, &err), ACESTEP_OK);
    assert_int_equal(reserve(sim, MIB + 1, &b, &err), ACESTEP_MEMORY);
    assert_non_null(strstr(err.message, "1048577 bytes"));
    assert_null(strchr(err.message, '\n'));
    assert_int_equal(reserve(sim, SIZE_MAX, &b, &err), ACESTEP_MEMORY);
    assert_int_equal(reserve(sim, MIB, &b, &err), ACESTEP_OK);
    sim->ops->memory(sim, &m);
    assert_int_equal(m.held, 3 * MIB);
    assert_int_equal(m.free, 0);
    assert_int_equal(m.total, 3 * MIB + inner->workspace_bytes);
    sim->ops->release(sim, a, 2 * MIB);
    assert_int_equal(ace_sim_device_held(sim), MIB);
    assert_int_equal(ace_sim_device_peak(sim), 3 * MIB);
    ace_sim_device_reset_peak(sim);
    assert_int_equal(ace_sim_device_peak(sim), MIB);
    ace_sim_device_set_used(sim, MIB + 1);
    sim->ops->memory(sim, &m);
    assert_int_equal(m.free, MIB - 1);
    assert_int_equal(reserve(sim, MIB, &a, &err), ACESTEP_MEMORY);
    ace_sim_device_set_used(sim, 100 * MIB);
    sim->ops->memory(sim, &m);
    assert_int_equal(m.free, 0);
    assert_int_equal(reserve(sim, 0, &a, &err), ACESTEP_MEMORY);
    ace_sim_device_set_used(sim, 0);
    assert_int_equal(reserve(sim, 2 * MIB, &a, &err), ACESTEP_OK);
    sim->ops->release(sim, a, 2 * MIB);
    sim->ops->release(sim, b, MIB);
    ace_device_close(sim);
}

static void next_byte_is_refused(void **state)
{
    (void)state;
    ace_device *cpu = open_cpu();
    ace_device *measure = open_measure(cpu);
    check_cap(cpu);
    check_cap(measure);
    ace_device_close(measure);
    ace_device_close(cpu);
}

/* Sizes of real cards, on a machine of any size. */
static void counting_card_holds_nothing(void **state)
{
    (void)state;
    ace_device *cpu = open_cpu();
    ace_device *measure = open_measure(cpu);
    ace_device *sim = open_sim(measure, 4096 * GIB, NULL);
    assert_false(sim->computes);
    player *p = play(sim); /* the results are undefined */
    player_close(p);
    uint64_t addr = 0;
    assert_int_equal(sim->ops->reserve(sim, 4095 * GIB, &addr, NULL), ACESTEP_OK);
    assert_int_equal(ace_sim_device_held(sim), 4095 * GIB);
    sim->ops->release(sim, addr, 4095 * GIB);
    ace_device_close(sim);
    ace_device_close(measure);
    ace_device_close(cpu);
}

/* The table of blocks grows, shrinks from the middle, and finds everyone's bytes. */
static void many_blocks(void **state)
{
    (void)state;
    enum { N = 70 };
    ace_device *cpu = open_cpu();
    ace_device *sim = open_sim(cpu, 16 * MIB, NULL);
    uint64_t addr[N];
    for (int i = 0; i < N; i++) {
        float value = (float)i;
        assert_int_equal(sim->ops->reserve(sim, 5000, &addr[i], NULL), ACESTEP_OK);
        ace_tensor t = {addr[i] + 4992, ACE_F32, 1, 1, 1};
        assert_int_equal(sim->ops->upload(sim, t, &value, NULL), ACESTEP_OK);
    }
    for (int i = 0; i < N; i += 2) {
        sim->ops->release(sim, addr[i], 5000);
    }
    for (int i = 1; i < N; i += 2) {
        float value = -1;
        ace_tensor t = {addr[i] + 4992, ACE_F32, 1, 1, 1};
        assert_int_equal(sim->ops->download(sim, &value, t, NULL), ACESTEP_OK);
        assert_true(value == (float)i);
        sim->ops->release(sim, addr[i], 5000);
    }
    assert_int_equal(ace_sim_device_held(sim), 0);
    ace_device_close(sim);
    ace_device_close(cpu);
}

/* ---- hooks ----------------------------------------------------------------------------------- */

/* Reserves and gives back under a label: does it work? */
static bool reserves(ace_device *sim, const char *stage)
{
    uint64_t addr = 0;
    sim->stage = stage;
    if (sim->ops->reserve(sim, MIB, &addr, NULL) != ACESTEP_OK) {
        return false;
    }
    sim->ops->release(sim, addr, MIB);
    return true;
}

static void chosen_allocations_fail(void **state)
{
    (void)state;
    ace_device *cpu = open_cpu();
    ace_device *measure = open_measure(cpu);
    ace_sim_options hooks = {.fail_alloc = "vae:2,text:*,diffusion:1,diffusion:3"};
    ace_device *sim = open_sim(measure, 16 * MIB, &hooks);
    char vae[] = "vae"; /* labels count by their text */
    assert_true(reserves(sim, NULL));
    for (int again = 0; again < 2; again++) {
        assert_true(reserves(sim, "vae"));
        assert_false(reserves(sim, vae));
        assert_true(reserves(sim, "vae"));
        for (int i = 0; i < 5; i++) {
            assert_false(reserves(sim, "text"));
        }
        assert_true(reserves(sim, "texts"));
        assert_false(reserves(sim, "diffusion"));
        assert_true(reserves(sim, "diffusion"));
        assert_false(reserves(sim, "diffusion"));
        assert_true(reserves(sim, "diffusion"));
    }
    ace_device_close(sim);
    ace_device_close(measure);
    ace_device_close(cpu);
}

static void others_take_memory(void **state)
{
    (void)state;
    ace_device *cpu = open_cpu();
    ace_device *measure = open_measure(cpu);
    ace_sim_options hooks = {.shrink = "diffusion:2.5,vae:0.25", .used_gb = 0.5};
    ace_device *sim = open_sim(measure, 4 * GIB, &hooks);
    ace_device_memory m;
    sim->ops->memory(sim, &m);
    assert_int_equal(m.free, 7 * GIB / 2);
    assert_true(reserves(sim, "text"));
    sim->ops->memory(sim, &m);
    assert_int_equal(m.free, 7 * GIB / 2);
    assert_true(reserves(sim, "diffusion"));
    sim->ops->memory(sim, &m);
    assert_int_equal(m.free, 3 * GIB / 2);
    uint64_t addr = 0;
    assert_int_equal(sim->ops->reserve(sim, 3 * GIB / 2 + 1, &addr, NULL), ACESTEP_MEMORY);
    assert_true(reserves(sim, "vae"));
    sim->ops->memory(sim, &m);
    assert_int_equal(m.free, 15 * GIB / 4);
    ace_device_close(sim);
    ace_device_close(measure);
    ace_device_close(cpu);
}

static void unreadable_hooks(void **state)
{
    (void)state;
    static const ace_sim_options bad[] = {
        {.fail_alloc = "vae"},
        {.fail_alloc = "vae:"},
        {.fail_alloc = "vae:0"},
        {.fail_alloc = "vae:1,"},
        {.fail_alloc = ":1"},
        {.fail_alloc = "vae:1;text:2"},
        {.fail_alloc = ",vae:1"},
        {.fail_alloc = "vae:**"},
        {.shrink = "vae:*"},
        {.shrink = "vae:-1"},
        {.shrink = "vae:nan"},
        {.shrink = "vae:1e300"},
        {.shrink = "vae:1,text"},
        {.used_gb = -1},
        {.used_gb = 1.0 / 0.0 - 1.0 / 0.0},
        {.fail_alloc = "a-stage-with-a-name-longer-than-anything:1"},
        {.fail_alloc = "a:1,a:1,a:1,a:1,a:1,a:1,a:1,a:1,a:1,a:1,a:1,a:1,a:1,a:1,a:1,a:1,a:1"},
    };
    ace_device *cpu = open_cpu();
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        ace_error err = {0};
        ace_device *sim = NULL;
        assert_int_equal(ace_sim_device_open(cpu, &bad[i], &sim, &err), ACESTEP_ARGUMENT);
        assert_null(sim);
        assert_true(strncmp(err.message, "sim: ", 5) == 0);
    }
    ace_device_close(cpu);
}

/* ---- the ledger ------------------------------------------------------------------------------ */

static void copies_are_counted(void **state)
{
    (void)state;
    ace_device *cpu = open_cpu();
    ace_device *sim = open_sim(cpu, 16 * MIB, NULL);
    assert_true(ace_is_sim_device(sim));
    assert_false(ace_is_sim_device(cpu));
    player *p = player_open(sim);
    sim->stage = "text";
    ace_set_tag(&p->stream, "weights");
    ace_matrix w = matrix(p, 16, 64, 1, ACE_BF16, false);
    ace_set_tag(&p->stream, "activations");
    keep(p, numbers(p, ACE_BF16, 4, 8));
    sim->stage = "diffusion";
    keep(p, numbers(p, ACE_F32, 4, 8));
    unsigned char image[256] = {0};
    assert_int_equal(sim->ops->write(sim, w.addr, image, sizeof image, NULL), ACESTEP_OK);
    assert_int_equal(sim->ops->write(sim, w.addr + 256, image, 100, NULL), ACESTEP_OK);
    const ace_sim_copies *rows;
    assert_int_equal(ace_sim_device_copies(sim, &rows), 4);
    static const ace_sim_copies expected[] = {{"text", "weights", 0, 0, 1},
                                              {"text", "activations", 64, 64, 2},
                                              {"diffusion", "activations", 128, 128, 2},
                                              {"diffusion", "weights", 356, 0, 2}};
    for (int i = 0; i < 4; i++) {
        double to_device = i == 0 ? (double)w.bytes : expected[i].to_device;
        assert_string_equal(rows[i].stage, expected[i].stage);
        assert_string_equal(rows[i].tag, expected[i].tag);
        assert_true(rows[i].to_device == to_device);
        assert_true(rows[i].to_host == expected[i].to_host);
        assert_int_equal(rows[i].count, expected[i].count);
    }
    player_close(p);
    ace_device_close(sim);
    ace_device_close(cpu);
}

/* More labels than rows: nothing is lost. */
static void full_ledger(void **state)
{
    (void)state;
    static char labels[150][8];
    ace_device *cpu = open_cpu();
    ace_device *sim = open_sim(cpu, 16 * MIB, NULL);
    uint64_t addr = 0;
    assert_int_equal(sim->ops->reserve(sim, MIB, &addr, NULL), ACESTEP_OK);
    ace_tensor t = {addr, ACE_F32, 1, 1, 1};
    float value = 0;
    for (int i = 0; i < 150; i++) {
        (void)snprintf(labels[i], sizeof labels[i], "%d", i);
        sim->tag = labels[i];
        assert_int_equal(sim->ops->upload(sim, t, &value, NULL), ACESTEP_OK);
    }
    const ace_sim_copies *rows;
    int n = ace_sim_device_copies(sim, &rows);
    double sum = 0;
    for (int i = 0; i < n; i++) {
        sum += rows[i].to_device;
    }
    assert_int_equal(n, ACE_SIM_MAX_COPIES);
    assert_string_equal(rows[n - 1].tag, "other");
    assert_true(sum == 150 * 4);
    sim->ops->release(sim, addr, MIB);
    ace_device_close(sim);
    ace_device_close(cpu);
}

/* A thread that writes weights while the executor computes, reserves and gives back. */
typedef struct writer {
    ace_device *device;
    uint64_t addr;
} writer;

enum { WRITES = 2000, CHUNK = 512 };

static void *write_much(void *context)
{
    const writer *w = context;
    unsigned char chunk[CHUNK];
    for (int i = 0; i < WRITES; i++) {
        memset(chunk, i & 0x3f, sizeof chunk);
        if (w->device->ops->write(w->device, w->addr + (uint64_t)(i % 16) * CHUNK, chunk, CHUNK,
                                  NULL) != ACESTEP_OK) {
            return NULL;
        }
    }
    return context;
}

static void writes_beside_operations(void **state)
{
    (void)state;
    ace_device *cpu = open_cpu();
    ace_device *sim = open_sim(cpu, 64 * MIB, NULL);
    sim->stage = "diffusion";
    player *p = player_open(sim);
    ace_set_tag(&p->stream, "activations");
    ace_tensor x = numbers(p, ACE_F32, 16, 64);
    writer w = {.device = sim};
    assert_int_equal(sim->ops->reserve(sim, (size_t)16 * CHUNK, &w.addr, NULL), ACESTEP_OK);
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, write_much, &w), 0);
    for (int i = 0; i < 300; i++) {
        uint64_t addr = 0;
        assert_int_equal(sim->ops->reserve(sim, MIB, &addr, NULL), ACESTEP_OK);
        ace_set_tag(&p->stream, i % 2 != 0 ? "activations" : "kv");
        ace_silu(&p->stream, x, x);
        sim->ops->release(sim, addr, MIB);
    }
    void *result = NULL;
    assert_int_equal(pthread_join(thread, &result), 0);
    assert_ptr_equal(result, &w);
    float last[CHUNK / 4];
    float expected[CHUNK / 4];
    ace_tensor t = {w.addr + (uint64_t)((WRITES - 1) % 16) * CHUNK, ACE_F32, 1, CHUNK / 4,
                    CHUNK / 4};
    assert_int_equal(sim->ops->download(sim, last, t, NULL), ACESTEP_OK);
    memset(expected, (WRITES - 1) & 0x3f, sizeof expected);
    assert_memory_equal(last, expected, sizeof last);
    const ace_sim_copies *rows;
    int n = ace_sim_device_copies(sim, &rows);
    double written = 0;
    for (int i = 0; i < n; i++) {
        written += strcmp(rows[i].tag, "weights") == 0 ? rows[i].to_device : 0;
    }
    assert_true(written == (double)WRITES * CHUNK);
    sim->ops->release(sim, w.addr, (size_t)16 * CHUNK);
    player_close(p);
    ace_device_close(sim);
    ace_device_close(cpu);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(computes_as_the_inner_device),
        cmocka_unit_test(networks_compute_alike),
        cmocka_unit_test(host_reads_fault),
        cmocka_unit_test(host_addresses_are_refused),
        cmocka_unit_test(next_byte_is_refused),
        cmocka_unit_test(counting_card_holds_nothing),
        cmocka_unit_test(many_blocks),
        cmocka_unit_test(chosen_allocations_fail),
        cmocka_unit_test(others_take_memory),
        cmocka_unit_test(unreadable_hooks),
        cmocka_unit_test(copies_are_counted),
        cmocka_unit_test(full_ledger),
        cmocka_unit_test(writes_beside_operations),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
