/* Where the time of a traced run went, by stage and operation. */
#include "api/api.h"
#include "api/lines.h"

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

/* ---- for people --------------------------------------------------------------------------------
 */

static void add_plain_row(ace_lines *t, const ace_trace_stage *s, const char *name, double seconds)
{
    ace_lines_add(t, "  %-12s %-16s %9s %8.3f s %5.1f %%\n", s->key, name, "", seconds,
                  100 * share(s, seconds));
}

static void add_stage_rows(ace_lines *t, const ace_trace_stage *s)
{
    for (int i = 0; i < s->n_operations; i++) {
        const ace_trace_sum *o = &s->operation[i];
        ace_lines_add(t, "  %-12s %-16s %9llu %8.3f s %5.1f %% %9.1f %8.1f\n", s->key, o->name,
                      (unsigned long long)o->calls, o->seconds, 100 * share(s, o->seconds),
                      rate(o->flops, o->seconds), rate(o->read + o->written, o->seconds));
    }
    if (s->load_seconds > 0) {
        add_plain_row(t, s, "(loading)", s->load_seconds);
    }
    add_plain_row(t, s, "(between)", rest_of(s));
}

char *ace_operations_table(const ace_trace_summary *summary)
{
    ace_lines t = {.text = NULL};
    ace_lines_add(&t, "%s", "");
    if (summary->n_stages > 0) {
        ace_lines_add(&t, "\n  %-12s %-16s %9s %10s %7s %9s %8s\n", "stage", "operation", "calls",
                      "time", "share", "GFLOP/s", "GB/s");
    }
    for (int i = 0; i < summary->n_stages; i++) {
        add_stage_rows(&t, &summary->stage[i]);
    }
    return ace_lines_take(&t);
}

/* ---- for programs ------------------------------------------------------------------------------
 */

static json_t *operation_json(const ace_trace_stage *s, const ace_trace_sum *o)
{
    return json_pack("{s:s, s:s, s:I, s:f, s:f, s:f, s:f, s:f, s:f, s:f}", "stage", s->key,
                     "operation", o->name, "calls", (json_int_t)o->calls, "seconds", o->seconds,
                     "share", share(s, o->seconds), "flops", o->flops, "read_bytes", o->read,
                     "written_bytes", o->written, "gflops", rate(o->flops, o->seconds),
                     "gb_per_second", rate(o->read + o->written, o->seconds));
}

json_t *ace_operations_json(const ace_trace_summary *summary)
{
    json_t *list = json_array();
    for (int i = 0; i < summary->n_stages; i++) {
        const ace_trace_stage *s = &summary->stage[i];
        for (int k = 0; k < s->n_operations; k++) {
            json_array_append_new(list, operation_json(s, &s->operation[k]));
        }
    }
    return list;
}
