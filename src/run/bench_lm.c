#include "run/bench_lm.h"

#include "base/clock.h"
#include "base/memory.h"
#include "cpu/cpu_device.h"
#include "model/language_model.h"
#include "run/workshop.h"

#include <stdio.h>
#include <string.h>

enum {
    EARLY = 50,
    LATE = 1200,
    MOST = 16,           /* sequences */
    FIRST_CODE = 151645, /* <|im_end|> and the audio codes: what decoding asks for */
    CODES = 64024,
    PROMPT_ROUNDS = 3,
    STEP_ROUNDS = 40,
    PRODUCT_ROWS = 1024, /* of the large product */
    PRODUCT_SIZE = 2048,
    PRODUCT_ROUNDS = 5
};

static const double STEPS_SECONDS = 1.5; /* for one rate at most */
static const int companies[] = {1, 2, 8, MOST};

typedef struct lm_bench {
    ace_stream stream;
    ace_arena arena;
    ace_loader loader;
    ace_language_model model;
    ace_lm_session session;
    ace_lm_logits logits;
    ace_lm_run *run;
    float *embeddings; /* [ACE_BENCH_LM_PROMPT, hidden]; NULL while measuring */
} lm_bench;

static bool computes(const lm_bench *b)
{
    return b->stream.device->computes;
}

/* ---- the parts ----------------------------------------------------------------------------------
 */

static ace_lm_logits codes_of(const ace_qwen3_config *c)
{
    ace_lm_logits range = {.first = FIRST_CODE, .count = CODES, .rows = 1};
    if (c->vocabulary < FIRST_CODE + CODES) { /* a small model of another vocabulary */
        range.first = 0;
        range.count = c->vocabulary;
    }
    return range;
}

static double layer_bytes(const ace_language_model *m)
{
    double bytes = 0;
    for (int64_t i = 0; i < m->config.layers; i++) {
        const ace_block *b = &m->layers[i];
        bytes += (double)(b->attention.qkv.bytes + b->attention.out.bytes + b->mlp.gate_up.bytes +
                          b->mlp.down.bytes);
    }
    return bytes;
}

static double head_bytes(const ace_language_model *m, const ace_lm_logits *range)
{
    double bytes = 0;
    int64_t last = (range->first + range->count - 1) / m->head_rows;
    for (int64_t i = range->first / m->head_rows; i <= last; i++) {
        bytes += (double)m->head[i].bytes;
    }
    return bytes;
}

/* Keys and values of all layers, per token of context. */
static double cache_bytes(const lm_bench *b)
{
    const ace_block_config *c = &b->model.config.block;
    return (double)(b->model.config.layers * 2 * c->kv_heads * c->head_dim) *
           (double)ace_dtype_bytes(b->stream.activation);
}

/* A product of many rows, which memory does not hold back. */
static void run_product(lm_bench *b)
{
    ace_stream *s = &b->stream;
    ace_arena_mark mark = ace_mark(s);
    const float zero[PRODUCT_SIZE] = {0};
    ace_matrix_shape shape = {
        .rows = PRODUCT_SIZE, .cols = PRODUCT_SIZE, .taps = 1, .dtype = b->run->matrix};
    ace_matrix_part part = {.name = "zeros",
                            .data = zero,
                            .dtype = ACE_F32,
                            .rows = PRODUCT_SIZE,
                            .col_stride = 1}; /* one row of zeros for all */
    ace_matrix w = ace_matrix_new(s, &shape, &part, 1);
    ace_tensor x = ace_new(s, s->activation, PRODUCT_ROWS, PRODUCT_SIZE);
    ace_tensor y = ace_new(s, s->activation, PRODUCT_ROWS, PRODUCT_SIZE);
    ace_fill(s, x, 1.0f);
    for (int i = 0; i < PRODUCT_ROUNDS; i++) {
        double start = ace_clock_seconds();
        ace_linear(s, y, x, &w, NULL);
        double rate =
            2.0 * PRODUCT_ROWS * PRODUCT_SIZE * PRODUCT_SIZE / (ace_clock_seconds() - start);
        b->run->matrix_flops = rate > b->run->matrix_flops ? rate : b->run->matrix_flops;
    }
    ace_reset(s, &mark);
}

static void run_prompt(lm_bench *b)
{
    ace_stream *s = &b->stream;
    ace_lm_shape shape = {.prompts = 1, .prompt_tokens = {ACE_BENCH_LM_PROMPT}};
    ace_lm_logits none = {.count = 0};
    for (int i = 0; i < PROMPT_ROUNDS; i++) {
        ace_arena_mark mark = ace_mark(s);
        ace_lm_begin(s, &b->model, &shape, &b->session);
        double start = ace_clock_seconds();
        ace_lm_read_prompt(&b->session, 0, b->embeddings, ACE_BENCH_LM_PROMPT, &none);
        double seconds = ace_clock_seconds() - start;
        if (i == 0 || seconds < b->run->prompt_seconds) {
            b->run->prompt_seconds = seconds;
        }
        ace_reset(s, &mark);
    }
}

/* A session whose 16 sequences have `context` tokens each, all but one their own. Their keys and
 * values are made up: what is in the cache changes no time. */
static void begin_at(lm_bench *b, int64_t context)
{
    ace_stream *s = &b->stream;
    ace_lm_shape shape = {
        .prompts = 1, .prompt_tokens = {1}, .sequences = MOST, .own_tokens = context};
    ace_lm_begin(s, &b->model, &shape, &b->session);
    ace_lm_read_prompt(&b->session, 0, b->embeddings, 1, NULL);
    for (int64_t i = 0; i < b->model.config.layers; i++) {
        ace_fill(s, b->session.cache[i], 0.01f);
    }
    for (int i = 0; i < MOST; i++) {
        b->session.own_used[i] = context - 1;
    }
}

static void run_steps(lm_bench *b, int64_t context, int n)
{
    int sequences[MOST];
    for (int i = 0; i < n; i++) {
        sequences[i] = i;
    }
    ace_lm_rate rate = {.sequences = n,
                        .context = context,
                        .bytes =
                            b->run->weight_bytes + (double)n * (double)context * cache_bytes(b)};
    double spent = 0;
    for (int step = 0; step < STEP_ROUNDS && spent < STEPS_SECONDS; step++) {
        double start = ace_clock_seconds();
        ace_lm_decode(&b->session, sequences, n, b->embeddings, &b->logits);
        double seconds = ace_clock_seconds() - start;
        spent += seconds;
        rate.seconds = step == 0 || seconds < rate.seconds ? seconds : rate.seconds;
        for (int i = 0; i < n; i++) {
            ace_lm_rewind(&b->session, i, context - 1);
        }
        if (!computes(b)) {
            break;
        }
    }
    b->run->rate[b->run->n_rates++] = rate;
}

/* ---- one precision ------------------------------------------------------------------------------
 */

static void walk(lm_bench *b, const ace_weights *weights, const ace_qwen3_config *config)
{
    static const int64_t contexts[] = {EARLY, LATE};
    ace_stream *s = &b->stream;
    double start = ace_clock_seconds();
    ace_loader_init(&b->loader, s, weights, b->run->matrix);
    ace_language_model_load(&b->loader, config, &b->model);
    if (ace_loader_finish(&b->loader) != ACESTEP_OK) {
        return;
    }
    b->run->load_seconds = ace_clock_seconds() - start;
    b->run->weight_bytes = layer_bytes(&b->model) + head_bytes(&b->model, &b->logits);
    b->run->n_rates = 0;
    run_product(b);
    run_prompt(b);
    for (size_t i = 0; i < sizeof contexts / sizeof *contexts; i++) {
        ace_arena_mark mark = ace_mark(s);
        begin_at(b, contexts[i]);
        for (size_t k = 0; k < sizeof companies / sizeof *companies; k++) {
            run_steps(b, contexts[i], companies[k]);
        }
        ace_reset(s, &mark);
    }
}

/* Embeddings and room for logits, which the caller frees. */
static ace_status make_inputs(lm_bench *b, const ace_qwen3_config *config, ace_error *err)
{
    int64_t n = ACE_BENCH_LM_PROMPT * config->block.hidden;
    b->logits = codes_of(config);
    b->embeddings = ace_malloc_array((size_t)n, sizeof(float));
    b->logits.values = ace_malloc_array((size_t)(MOST * b->logits.count), sizeof(float));
    if (b->embeddings == NULL || b->logits.values == NULL) {
        return ace_fail(err, ACESTEP_MEMORY, "bench: no host memory for embeddings and logits");
    }
    for (int64_t i = 0; i < n; i++) { /* within ±0.5, no two tokens alike */
        b->embeddings[i] = (float)((uint32_t)i * 2654435761u >> 16) * 0x1p-16f - 0.5f;
    }
    return ACESTEP_OK;
}

/* First on a device that counts, to know the bytes, then on the real one. */
static ace_status run_precision(ace_workshop *w, lm_bench *b, ace_error *err)
{
    const ace_models *m = &w->models;
    ace_dtype activation = b->run->matrix == ACE_F32 ? ACE_F32 : ACE_BF16;
    ace_arena_open_at(&b->arena, w->cpu_measure, 1 << 12, SIZE_MAX / 4);
    ace_stream_init(&b->stream, w->cpu_measure, &b->arena, activation, err);
    walk(b, m->lm, &m->lm_config);
    size_t bytes = b->arena.high_water;
    ace_arena_close(&b->arena);
    ace_status status = ace_stream_status(&b->stream);
    b->run->matrix_flops = 0;
    if (status == ACESTEP_OK) {
        status = ace_arena_open(&b->arena, w->cpu, bytes, err);
    }
    if (status == ACESTEP_OK) {
        ace_stream_init(&b->stream, w->cpu, &b->arena, activation, err);
        walk(b, m->lm, &m->lm_config);
        status = ace_stream_status(&b->stream);
        ace_arena_close(&b->arena);
    }
    return status;
}

/* ---- all ----------------------------------------------------------------------------------------
 */

static void choose_precisions(const ace_request *r, ace_lm_bench *out)
{
    out->n_runs = r->precision == ACE_PRECISION_AUTO ? 2 : 1;
    out->run[0].matrix = r->precision == ACE_PRECISION_F32    ? ACE_F32
                         : r->precision == ACE_PRECISION_INT8 ? ACE_I8
                                                              : ACE_BF16;
    out->run[1].matrix = ACE_I8;
}

/* Before and after every run, since other programs use the same memory: the best is the bound. */
static ace_status measure_memory(const ace_workshop *w, ace_lm_bench *out, ace_error *err)
{
    double rate = 0;
    ace_status status = ace_cpu_device_bandwidth(w->cpu, &rate, err);
    out->bandwidth = rate > out->bandwidth ? rate : out->bandwidth;
    return status;
}

static ace_status run_all(ace_workshop *w, ace_lm_bench *out, ace_error *err)
{
    lm_bench *b = ace_calloc(1, sizeof *b);
    if (b == NULL) {
        return ace_fail(err, ACESTEP_MEMORY, "bench: no host memory");
    }
    ace_status status = make_inputs(b, &w->models.lm_config, err);
    for (int i = 0; i < out->n_runs && status == ACESTEP_OK; i++) {
        b->run = &out->run[i];
        status = run_precision(w, b, err);
        if (status == ACESTEP_OK) {
            status = measure_memory(w, out, err);
        }
    }
    ace_free(b->embeddings);
    ace_free(b->logits.values);
    ace_free(b);
    return status;
}

ace_status ace_bench_lm(const ace_request *request, ace_lm_bench *out, ace_error *err)
{
    memset(out, 0, sizeof *out);
    choose_precisions(request, out);
    ace_workshop *w = ace_calloc(1, sizeof *w);
    if (w == NULL) {
        return ace_fail(err, ACESTEP_MEMORY, "bench: no host memory");
    }
    const char *name =
        request->lm_model_path[0] != '\0' ? request->lm_model_path : "acestep-5Hz-lm-0.6B";
    ace_status status = ace_workshop_open(request, w, err);
    if (status == ACESTEP_OK) {
        status = ace_models_choose_lm(&w->models, name, err);
    }
    if (status == ACESTEP_OK) {
        (void)snprintf(out->model, sizeof out->model, "%s", name);
        out->cpu = ace_cpu_level_name(ace_cpu_device_level(w->cpu));
        out->threads = ace_cpu_device_threads(w->cpu);
        status = measure_memory(w, out, err);
    }
    if (status == ACESTEP_OK) {
        status = run_all(w, out, err);
    }
    ace_workshop_close(w);
    ace_free(w);
    return status;
}
