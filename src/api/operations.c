/* Where the time of a traced run went, by stage and operation. */
#include "api/api.h"
#include "api/lines.h"

#include <stdio.h>

static double rate(double amount, double seconds)
{
    return seconds > 0 ? amount / seconds / 1e9 : 0;
}

static double share(const ace_trace_stage *s, double seconds)
{
    return s->seconds > 0 ? seconds / s->seconds : 0;
}

/* What is neither an operation nor a load: the host's own work between them. */
static double rest_of(const ace_trace_stage *s)
{
    double rest = s->seconds - s->load_seconds;
    for (int i = 0; i < s->n_operations; i++) {
        rest -= s->operation[i].seconds;
    }
    return rest > 0 ? rest : 0;
}

/* ---- for people ------------------------------------------------------------------------------ */

static void add_plain_row(ace_lines *t, const ace_trace_stage *s, const char *name, double seconds)
{
    ace_lines_add(t, "  %-12s %-16s %9s %8.3f s %5.1f %%\n", s->key, name, "", seconds,
                  100 * share(s, seconds));
}

/* "61 % bf16": of what the machine could do, and what holds it back. */
static void describe_roof(const ace_operation_sum *o, char *out, size_t room)
{
    int roof = ace_operation_sum_roof(o);
    out[0] = '\0';
    if (roof >= 0 && o->seconds > 0) {
        (void)snprintf(out, room, "%.0f %% %s", 100 * o->least / o->seconds, ace_roof_name(roof));
    }
}

static void add_stage_rows(ace_lines *t, const ace_trace_stage *s, bool timed)
{
    for (int i = 0; i < s->n_operations; i++) {
        const ace_operation_sum *o = &s->operation[i];
        char roof[32];
        describe_roof(o, roof, sizeof roof);
        if (timed) {
            ace_lines_add(t, "  %-12s %-16s %9llu %8.3f s %5.1f %% %9.1f %8.1f  %s\n", s->key,
                          o->name, (unsigned long long)o->calls, o->seconds,
                          100 * share(s, o->seconds), rate(o->flops, o->seconds),
                          rate(o->read + o->written, o->seconds), roof);
        } else {
            ace_lines_add(t, "  %-12s %-16s %9llu %10.1f %8.2f %9.3f s\n", s->key, o->name,
                          (unsigned long long)o->calls, o->flops / 1e9,
                          (o->read + o->written) / 1e9, o->least);
        }
    }
    if (timed && s->load_seconds > 0) {
        add_plain_row(t, s, "(loading)", s->load_seconds);
    }
    if (timed) {
        add_plain_row(t, s, "(between)", rest_of(s));
    }
}

char *ace_operations_table(const ace_trace_summary *summary)
{
    ace_lines t = {.text = NULL};
    ace_lines_add(&t, "%s", "");
    if (summary->n_stages > 0 && summary->timed) {
        ace_lines_add(&t, "\n  %-12s %-16s %9s %10s %7s %9s %8s  %s\n", "stage", "operation",
                      "calls", "time", "share", "GFLOP/s", "GB/s", "of the most");
    } else if (summary->n_stages > 0) {
        ace_lines_add(&t, "\n  %-12s %-16s %9s %10s %8s %11s\n", "stage", "operation", "calls",
                      "GFLOP", "GB", "at least");
    }
    for (int i = 0; i < summary->n_stages; i++) {
        add_stage_rows(&t, &summary->stage[i], summary->timed);
    }
    return ace_lines_take(&t);
}

/* ---- by shape -------------------------------------------------------------------------------- */

/* "[375 x 2048] bf16 . int8 -> [6144] bf16" */
static void describe_kernel(const ace_kernel *k, char *out, size_t room)
{
    char matrix[24] = "";
    if (k->taps > 0) {
        (void)snprintf(matrix, sizeof matrix, " x %s%s", ace_dtype_name(k->matrix),
                       k->taps > 1 ? " taps" : "");
    }
    (void)snprintf(out, room, "[%lld, %lld] %s%s -> [%lld] %s", (long long)k->rows,
                   (long long)k->depth, ace_dtype_name(k->in), matrix, (long long)k->columns,
                   ace_dtype_name(k->out));
}

static void add_kernel(ace_lines *t, const ace_kernel *k, double total, bool timed)
{
    char shape[96];
    char roof[32];
    const ace_operation_sum *o = &k->sum;
    describe_kernel(k, shape, sizeof shape);
    describe_roof(o, roof, sizeof roof);
    double part = timed ? o->seconds : o->flops;
    ace_lines_add(t, "  %-10s %-14s %8llu %9.3f %9.3f %5.1f %% %10.1f %8.2f  %-12s %s\n", k->stage,
                  o->name, (unsigned long long)o->calls, o->seconds, o->least,
                  total > 0 ? 100 * part / total : 0, o->flops / 1e9, (o->read + o->written) / 1e9,
                  roof, shape);
}

char *ace_kernels_table(const ace_trace_summary *summary, int most)
{
    ace_lines t = {.text = NULL};
    const ace_kernel_sums *k = summary->kernels;
    double total = 0;
    ace_lines_add(&t, "%s", "");
    if (k == NULL || k->n == 0) {
        return ace_lines_take(&t);
    }
    for (int i = 0; i < k->n; i++) {
        total += summary->timed ? k->slot[i].sum.seconds : k->slot[i].sum.flops;
    }
    ace_lines_add(&t, "  %-10s %-14s %8s %9s %9s %7s %10s %8s  %-12s %s\n", "stage", "operation",
                  "calls", "seconds", "at least", summary->timed ? "share" : "of FLOP", "GFLOP",
                  "GB", "of the most", "shape");
    for (int i = 0; i < k->n && i < most; i++) {
        add_kernel(&t, &k->slot[i], total, summary->timed);
    }
    if (k->n > most) {
        ace_lines_add(&t, "  and %d more\n", k->n - most);
    }
    return ace_lines_take(&t);
}

/* ---- for programs ---------------------------------------------------------------------------- */

static void put_roof(json_t *entry, const ace_operation_sum *o)
{
    int roof = ace_operation_sum_roof(o);
    bool known = roof >= 0 && o->seconds > 0;
    json_object_set_new(entry, "least_seconds", roof >= 0 ? json_real(o->least) : json_null());
    json_object_set_new(entry, "share_of_peak",
                        known ? json_real(o->least / o->seconds) : json_null());
    json_object_set_new(entry, "bound", roof >= 0 ? json_string(ace_roof_name(roof)) : json_null());
}

static json_t *sum_json(const char *stage, const ace_operation_sum *o)
{
    json_t *entry = json_pack("{s:s, s:s, s:I, s:f, s:f, s:f, s:f, s:f, s:f}", "stage", stage,
                              "operation", o->name, "calls", (json_int_t)o->calls, "seconds",
                              o->seconds, "flops", o->flops, "read_bytes", o->read, "written_bytes",
                              o->written, "gflops", rate(o->flops, o->seconds), "gb_per_second",
                              rate(o->read + o->written, o->seconds));
    if (entry != NULL) {
        put_roof(entry, o);
    }
    return entry;
}

json_t *ace_operations_json(const ace_trace_summary *summary)
{
    json_t *list = json_array();
    for (int i = 0; i < summary->n_stages; i++) {
        const ace_trace_stage *s = &summary->stage[i];
        for (int k = 0; k < s->n_operations; k++) {
            json_t *entry = sum_json(s->key, &s->operation[k]);
            json_object_set_new(entry, "share", json_real(share(s, s->operation[k].seconds)));
            json_array_append_new(list, entry);
        }
    }
    return list;
}

json_t *ace_kernels_json(const ace_trace_summary *summary, int most)
{
    json_t *list = json_array();
    const ace_kernel_sums *sums = summary->kernels;
    for (int i = 0; sums != NULL && i < sums->n && i < most; i++) {
        char shape[96];
        json_t *entry = sum_json(sums->slot[i].stage, &sums->slot[i].sum);
        describe_kernel(&sums->slot[i], shape, sizeof shape);
        json_object_set_new(entry, "shape", json_string(shape));
        json_array_append_new(list, entry);
    }
    return list;
}
