/* `acestep bench --stage lm`: the report. */
#include "run/bench_lm.h"

#include "api/api.h"
#include "base/file_map.h"
#include "weights/demo_model.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

static ace_status measure(const acestep_request *request, ace_lm_bench *out, ace_error *err)
{
    ace_embedded_files_set(ace_demo_model_files());
    return ace_bench_lm(request->options, out, err);
}

static double tokens_per_second(const ace_lm_rate *r)
{
    return r->sequences / r->seconds;
}

static double prompt_rate(const ace_lm_run *r)
{
    return ACE_BENCH_LM_PROMPT / r->prompt_seconds;
}

static json_t *rate_json(const ace_lm_bench *b, const ace_lm_rate *r)
{
    return json_pack("{s:i, s:I, s:f, s:f, s:f, s:f}", "sequences", r->sequences, "context",
                     (json_int_t)r->context, "tokens_per_second", tokens_per_second(r),
                     "milliseconds", r->seconds * 1e3, "bytes_per_step", r->bytes,
                     "share_of_memory_bound", ace_lm_bound_share(b, r));
}

static json_t *run_json(const ace_lm_bench *b, const ace_lm_run *r)
{
    json_t *decode = json_array();
    for (int i = 0; i < r->n_rates; i++) {
        (void)json_array_append_new(decode, rate_json(b, &r->rate[i]));
    }
    return json_pack("{s:s, s:f, s:f, s:f, s:{s:i, s:f}, s:o}", "precision",
                     ace_dtype_name(r->matrix), "weight_bytes_per_step", r->weight_bytes,
                     "load_seconds", r->load_seconds, "product_gflops", r->matrix_flops * 1e-9,
                     "prefill", "tokens", ACE_BENCH_LM_PROMPT, "tokens_per_second", prompt_rate(r),
                     "decode", decode);
}

char *acestep_bench_lm_json(const acestep_request *request, acestep_error *err)
{
    ace_error *inner = ace_inner_error(err);
    ace_lm_bench bench;
    if (measure(request, &bench, inner) != ACESTEP_OK) {
        return NULL;
    }
    json_t *runs = json_array();
    for (int i = 0; i < bench.n_runs; i++) {
        (void)json_array_append_new(runs, run_json(&bench, &bench.run[i]));
    }
    json_t *all =
        json_pack("{s:s, s:s, s:i, s:f, s:o}", "model", bench.model, "cpu", bench.cpu, "threads",
                  bench.threads, "memory_bytes_per_second", bench.bandwidth, "runs", runs);
    char *text = all != NULL ? json_dumps(all, JSON_INDENT(2) | JSON_REAL_PRECISION(6)) : NULL;
    json_decref(all);
    if (text == NULL) {
        (void)ace_fail(inner, ACESTEP_MEMORY, "bench: no host memory for the report");
    }
    return text;
}

/* Lines of a table, in room that is enough for all of them. */
typedef struct table {
    char *text;
    size_t used;
} table;

enum { TABLE_BYTES = 8192 };

static void put_line(table *t, const char *format, ...) __attribute__((format(printf, 2, 3)));

static void put_line(table *t, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    int n = vsnprintf(t->text + t->used, TABLE_BYTES - t->used, format, args);
    va_end(args);
    size_t left = TABLE_BYTES - 1 - t->used;
    t->used += n < 0 ? 0 : (size_t)n < left ? (size_t)n : left;
}

static void put_run(table *t, const ace_lm_bench *b, const ace_lm_run *r)
{
    put_line(t, "\n%s: %.3f GB of weights a step, loaded in %.1f s; a large product %.0f GFLOP/s\n",
             ace_dtype_name(r->matrix), r->weight_bytes * 1e-9, r->load_seconds,
             r->matrix_flops * 1e-9);
    put_line(t, "  prompt of %d tokens: %.0f tokens/s\n", ACE_BENCH_LM_PROMPT, prompt_rate(r));
    put_line(t, "  sequences  context  tokens/s  ms a step  GB a step  of the memory bound\n");
    for (int i = 0; i < r->n_rates; i++) {
        const ace_lm_rate *rate = &r->rate[i];
        put_line(t, "  %9d  %7lld  %8.1f  %9.2f  %9.3f  %17.0f %%\n", rate->sequences,
                 (long long)rate->context, tokens_per_second(rate), rate->seconds * 1e3,
                 rate->bytes * 1e-9, ace_lm_bound_share(b, rate) * 100);
    }
}

char *acestep_bench_lm_text(const acestep_request *request, acestep_error *err)
{
    ace_error *inner = ace_inner_error(err);
    ace_lm_bench bench;
    if (measure(request, &bench, inner) != ACESTEP_OK) {
        return NULL;
    }
    table t = {.text = malloc(TABLE_BYTES)}; /* acestep_free's kind of memory */
    if (t.text == NULL) {
        (void)ace_fail(inner, ACESTEP_MEMORY, "bench: no host memory for the report");
        return NULL;
    }
    put_line(&t, "%s, %s, %d threads, memory reads %.1f GB/s\n", bench.model, bench.cpu,
             bench.threads, bench.bandwidth * 1e-9);
    for (int i = 0; i < bench.n_runs; i++) {
        put_run(&t, &bench, &bench.run[i]);
    }
    return t.text;
}
