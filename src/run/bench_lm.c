/* Speed of the 5 Hz language model: a prompt, then single tokens for some sequences at
 * once, early in a song and late. Decoding reads every weight once a step, so its bound is the
 * memory. */
#include "base/clock.h"
#include "base/memory.h"
#include "model/language_model.h"
#include "run/bench.h"
#include "run/resident.h"

#include <stdio.h>
#include <string.h>

enum {
    PROMPT = 512,
    EARLY = 50,
    LATE = 1200,
    MOST = 16,           /* sequences */
    FIRST_CODE = 151645, /* <|im_end|> and the audio codes: what decoding asks for */
    CODES = 64024,
    STEP_ROUNDS = 40,
    CODES_PER_SECOND = 5 /* of audio */
};

static const double STEPS_SECONDS = 1.5; /* for one rate at most */
static const int companies[] = {1, 2, 8, MOST};
static const int64_t contexts[] = {EARLY, LATE};
enum {
    N_COMPANIES = sizeof companies / sizeof *companies,
    N_CONTEXTS = sizeof contexts / sizeof *contexts
};

typedef struct lm_bench {
    const ace_bench_context *context;
    ace_stream stream;
    ace_arena arena;
    ace_loader loader;
    ace_language_model model;
    ace_lm_session session;
    ace_lm_logits logits;
    ace_dtype matrix;
    double weight_bytes; /* that a step reads, the head's rows of audio codes included */
    double load_seconds;
    float *embeddings; /* [PROMPT, hidden] */
    int row, rows;     /* done, and of all precisions */
} lm_bench;

static bool computes(const lm_bench *b)
{
    return b->stream.device->computes;
}

/* An ace_progress of the stream: a cancel request is heard between two repetitions. */
static bool tell(void *context, double fraction)
{
    const lm_bench *b = context;
    const ace_bench_context *c = b->context;
    double whole = (b->row + fraction) / b->rows;
    return c->progress == NULL || c->progress(c->progress_context, "language model", whole, whole);
}

static bool goes_on(lm_bench *b, double fraction)
{
    ace_stream_progress(&b->stream, fraction);
    return b->stream.status == ACESTEP_OK;
}

/* ---- the parts ------------------------------------------------------------------------------- */

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

static bool has_int8_cache(const lm_bench *b)
{
    return b->context->request->kv_cache_dtype == ACE_KV_CACHE_INT8;
}

/* Keys and values of all layers, per token of context. */
static double cache_bytes(const lm_bench *b)
{
    ace_lm_shape one = {.prompts = 1, .prompt_tokens = {1}, .int8_cache = has_int8_cache(b)};
    return (double)ace_lm_cache_bytes(&b->model.config, &one, b->stream.activation);
}

/* A new row; NULL on the device that only counts, where nothing is recorded. */
static ace_bench_row *add_row(lm_bench *b, const char *stage)
{
    ace_bench_row *row = computes(b) ? ace_bench_add(b->context, stage) : NULL;
    if (row != NULL) {
        (void)snprintf(row->model, sizeof row->model, "%s", b->context->workshop->models.lm_name);
        row->matrix = b->matrix;
        row->load_seconds = b->load_seconds;
        row->device_bytes = b->arena.capacity + b->stream.device->workspace_bytes;
    } else if (computes(b)) {
        b->stream.status = ACESTEP_ARGUMENT;
    }
    return row;
}

/* Nothing of a prompt comes down by itself, and a card works on while the host has gone ahead. */
static void wait_for_all(lm_bench *b)
{
    float value = 0;
    const ace_lm_session *d = &b->session;
    ace_tensor first = has_int8_cache(b) ? d->scale[0] : d->cache[0];
    ace_download(&b->stream, &value, ace_cols(ace_rows(first, 0, 1), 0, 1));
}

static void read_prompt(lm_bench *b)
{
    ace_stream *s = &b->stream;
    ace_lm_shape shape = {.prompts = 1, .prompt_tokens = {PROMPT}, .int8_cache = has_int8_cache(b)};
    ace_lm_logits none = {.count = 0};
    ace_arena_mark mark = ace_mark(s);
    ace_lm_begin(s, &b->model, &shape, &b->session);
    ace_lm_read_prompt(&b->session, 0, b->embeddings, PROMPT, &none);
    wait_for_all(b);
    ace_reset(s, &mark);
}

static void run_prompt(lm_bench *b)
{
    read_prompt(b); /* the warm-up */
    ace_bench_row *row = add_row(b, "lm.prefill");
    if (row == NULL) {
        return;
    }
    (void)snprintf(row->work, sizeof row->work, "%d tokens", PROMPT);
    row->tokens = PROMPT;
    row->bytes = layer_bytes(&b->model);
    double flops = b->stream.counters.flops;
    int repeats = b->context->bench->repeats;
    while (row->n < repeats && goes_on(b, (double)row->n / repeats)) {
        double start = ace_clock_seconds();
        read_prompt(b);
        row->seconds[row->n++] = ace_clock_seconds() - start;
    }
    row->flops = row->n > 0 ? (b->stream.counters.flops - flops) / row->n : 0;
    b->row++;
}

/* Any numbers, in every byte of the cache: memory that was never written is not read as other is.
 */
static void fill_cache(lm_bench *b)
{
    ace_lm_session *d = &b->session;
    for (int64_t i = 0; i < b->model.config.layers; i++) {
        ace_tensor cache = d->cache[i];
        if (has_int8_cache(b)) { /* filled as floats, whatever whole numbers these are */
            cache.dtype = ACE_F32;
            cache = ace_reshape(cache, cache.rows, cache.cols / (int64_t)sizeof(float));
            ace_fill(&b->stream, d->scale[i], 0.01f);
        }
        ace_fill(&b->stream, cache, 0.01f);
    }
}

/* A session whose 16 sequences have `context` tokens each, all but one their own. Their keys and
 * values are made up: what is in the cache changes no time. */
static void begin_at(lm_bench *b, int64_t context)
{
    ace_stream *s = &b->stream;
    ace_lm_shape shape = {.prompts = 1,
                          .prompt_tokens = {1},
                          .sequences = MOST,
                          .own_tokens = context,
                          .int8_cache = has_int8_cache(b)};
    ace_lm_begin(s, &b->model, &shape, &b->session);
    ace_lm_read_prompt(&b->session, 0, b->embeddings, 1, NULL);
    fill_cache(b);
    for (int i = 0; i < MOST; i++) {
        b->session.own_used[i] = context - 1;
    }
}

/* One token for each of the sequences 0 … n - 1, whose contexts end up as they were. */
static void run_step(lm_bench *b, int64_t context, int n)
{
    int sequences[MOST] = {0};
    for (int i = 0; i < n; i++) {
        sequences[i] = i;
    }
    ace_lm_decode(&b->session, sequences, n, b->embeddings, &b->logits);
    for (int i = 0; i < n; i++) {
        ace_lm_rewind(&b->session, i, context - 1);
    }
}

static void run_steps(lm_bench *b, int64_t context, int n)
{
    run_step(b, context, n); /* the warm-up */
    ace_bench_row *row = add_row(b, "lm.decode");
    if (row == NULL) {
        return;
    }
    (void)snprintf(row->work, sizeof row->work, "1 token, %d sequence%s, context %lld%s", n,
                   n == 1 ? "" : "s", (long long)context, has_int8_cache(b) ? ", int8 keys" : "");
    row->tokens = n;
    row->audio_seconds = (double)n / CODES_PER_SECOND;
    row->bytes = b->weight_bytes + (double)n * (double)context * cache_bytes(b);
    double flops = b->stream.counters.flops;
    double spent = 0;
    while (row->n < STEP_ROUNDS && spent < STEPS_SECONDS &&
           goes_on(b, (double)row->n / STEP_ROUNDS)) {
        double start = ace_clock_seconds();
        run_step(b, context, n);
        row->seconds[row->n] = ace_clock_seconds() - start;
        spent += row->seconds[row->n++];
    }
    row->flops = row->n > 0 ? (b->stream.counters.flops - flops) / row->n : 0;
    b->row++;
}

/* ---- one precision --------------------------------------------------------------------------- */

static void walk(lm_bench *b, const ace_weights *weights, const ace_qwen3_config *config)
{
    ace_stream *s = &b->stream;
    double start = ace_clock_seconds();
    ace_loader_init(&b->loader, s, weights, b->matrix);
    ace_language_model_load(&b->loader, config, &b->model);
    if (ace_loader_finish(&b->loader) != ACESTEP_OK) {
        return;
    }
    b->load_seconds = ace_clock_seconds() - start;
    if (!goes_on(b, 0)) { /* loading may have taken long */
        return;
    }
    b->weight_bytes = layer_bytes(&b->model) + head_bytes(&b->model, &b->logits);
    run_prompt(b);
    for (int i = 0; i < N_CONTEXTS; i++) {
        ace_arena_mark mark = ace_mark(s);
        begin_at(b, contexts[i]);
        for (int k = 0; k < N_COMPANIES && goes_on(b, 0); k++) {
            run_steps(b, contexts[i], companies[k]);
        }
        ace_reset(s, &mark);
    }
}

/* Embeddings and room for logits, which the caller frees. */
static ace_status make_inputs(lm_bench *b, const ace_qwen3_config *config, ace_error *err)
{
    int64_t n = PROMPT * config->block.hidden;
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
static ace_status run_precision(lm_bench *b)
{
    const ace_workshop *w = b->context->workshop;
    ace_error *err = b->context->err;
    ace_dtype activation = b->matrix == ACE_F32 ? ACE_F32 : ACE_BF16;
    ace_device *device = w->card != NULL ? w->card : w->cpu;
    ace_device *measure = w->card != NULL ? w->measure : w->cpu_measure;
    ace_arena_open_at(&b->arena, measure, 1 << 12, SIZE_MAX / 4);
    ace_stream_init(&b->stream, measure, &b->arena, activation, err);
    walk(b, w->models.lm, &w->models.lm_config);
    size_t bytes = b->arena.high_water;
    ace_arena_close(&b->arena);
    ace_status status = ace_stream_status(&b->stream);
    if (status == ACESTEP_OK) {
        status = ace_arena_open(&b->arena, device, bytes, err);
    }
    if (status == ACESTEP_OK) {
        ace_stream_init(&b->stream, device, &b->arena, activation, err);
        b->stream.progress = tell;
        b->stream.progress_context = b;
        b->stream.keeps_steps = (ace_switch)b->context->request->compile_model != ACE_SWITCH_OFF;
        walk(b, w->models.lm, &w->models.lm_config);
        status = ace_stream_status(&b->stream);
        ace_step_forget_all(device);
        ace_arena_close(&b->arena);
    }
    return status;
}

/* bf16 and int8 where the request leaves it open. */
static int choose_precisions(const ace_request *r, ace_dtype out[2])
{
    out[0] = r->precision == ACE_PRECISION_F32    ? ACE_F32
             : r->precision == ACE_PRECISION_INT8 ? ACE_I8
                                                  : ACE_BF16;
    out[1] = ACE_I8;
    return r->precision == ACE_PRECISION_AUTO ? 2 : 1;
}

static ace_status run_all(lm_bench *b)
{
    const ace_bench_context *c = b->context;
    ace_dtype precisions[2];
    int n = choose_precisions(c->request, precisions);
    b->rows = n * (1 + N_CONTEXTS * N_COMPANIES);
    ace_status status = make_inputs(b, &c->workshop->models.lm_config, c->err);
    for (int i = 0; i < n && status == ACESTEP_OK; i++) {
        int first = c->bench->n_rows;
        b->matrix = precisions[i];
        ace_resident_restart();
        status = run_precision(b);
        size_t resident = ace_resident_peak(); /* before the memory is measured, which takes some */
        if (status == ACESTEP_OK) {
            status = ace_bench_measure_machine(c);
        }
        for (int k = first; k < c->bench->n_rows; k++) {
            c->bench->row[k].resident_bytes = resident;
            c->bench->row[k].limits = *c->around;
        }
        *c->around = *c->last;
    }
    return status;
}

ace_status ace_bench_language_model(const ace_bench_context *c, const char *stage)
{
    (void)stage;
    const char *asked = c->request->lm_model_path;
    ace_status status = ace_models_choose_lm(
        &c->workshop->models, asked[0] != '\0' ? asked : "acestep-5Hz-lm-0.6B", c->err);
    if (status != ACESTEP_OK) {
        return status;
    }
    lm_bench *b = ace_calloc(1, sizeof *b);
    if (b == NULL) {
        return ace_fail(c->err, ACESTEP_MEMORY, "bench: no host memory");
    }
    b->context = c;
    status = run_all(b);
    ace_free(b->embeddings);
    ace_free(b->logits.values);
    ace_free(b);
    return status;
}
