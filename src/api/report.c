/* Plans and results as tables for people and as JSON for programs. */
#include "api/api.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { TABLE_BYTES = 8192, BAR_CELLS = 20 };

typedef struct table {
    char *text;
    size_t used;
} table;

__attribute__((format(printf, 2, 3))) static void line(table *t, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    int n = vsnprintf(t->text + t->used, TABLE_BYTES - t->used, format, args);
    va_end(args);
    t->used += n > 0 ? (size_t)n : 0;
    t->used = t->used < TABLE_BYTES ? t->used : TABLE_BYTES - 1;
}

static void human_bytes(size_t bytes, char *out, size_t room)
{
    if (bytes >= (size_t)1 << 30) {
        (void)snprintf(out, room, "%.2f GB", (double)bytes / (double)((size_t)1 << 30));
    } else {
        (void)snprintf(out, room, "%.1f MB", (double)bytes / (double)(1 << 20));
    }
}

/* ████▌ in eighths of a cell. */
static void bar(double share, char *out, size_t room)
{
    static const char *const part[] = {"", "▏", "▎", "▍", "▌", "▋", "▊", "▉"};
    int eighths = (int)(share * BAR_CELLS * 8 + 0.5);
    out[0] = '\0';
    for (; eighths >= 8; eighths -= 8) {
        strncat(out, "█", room - strlen(out) - 1);
    }
    strncat(out, part[eighths], room - strlen(out) - 1);
}

static size_t tag_peak(const ace_stage_record *s, const char *name)
{
    for (int i = 0; i < s->n_tags; i++) {
        if (strcmp(s->tags[i].name, name) == 0) {
            return s->tags[i].peak;
        }
    }
    return 0;
}

char *ace_plan_table(const acestep_plan *plan)
{
    table t = {calloc(TABLE_BYTES, 1), 0};
    size_t peak = 0;
    if (t.text == NULL) {
        return NULL;
    }
    for (int i = 0; i < plan->stages.count; i++) {
        peak = plan->stages.stage[i].peak_bytes > peak ? plan->stages.stage[i].peak_bytes : peak;
    }
    line(&t, "%s, %d song%s, %.1f s of audio\n\n", plan->model, plan->songs,
         plan->songs == 1 ? "" : "s", plan->seconds);
    line(&t, "  %-18s %10s %10s %10s  %8s\n", "stage", "weights", "work", "memory", "GFLOP");
    for (int i = 0; i < plan->stages.count; i++) {
        const ace_stage_record *s = &plan->stages.stage[i];
        char weights[24];
        char work[24];
        char all[24];
        char cells[4 * BAR_CELLS];
        human_bytes(tag_peak(s, "weights"), weights, sizeof weights);
        human_bytes(s->peak_bytes - tag_peak(s, "weights"), work, sizeof work);
        human_bytes(s->peak_bytes, all, sizeof all);
        bar(peak > 0 ? (double)s->peak_bytes / (double)peak : 0, cells, sizeof cells);
        line(&t, "  %-18s %10s %10s %10s  %8.0f  %s%s\n", s->name, weights, work, all,
             s->counters.flops / 1e9, cells, s->peak_bytes == peak ? " peak" : "");
    }
    char all[24];
    char workspace[24];
    human_bytes(peak + plan->workspace_bytes, all, sizeof all);
    human_bytes(plan->workspace_bytes, workspace, sizeof workspace);
    line(&t, "\n  %s at the peak, with %s of the device's own workspace", all, workspace);
    return t.text;
}

char *ace_result_table(const acestep_result *r)
{
    table t = {calloc(TABLE_BYTES, 1), 0};
    double most = 0;
    if (t.text == NULL) {
        return NULL;
    }
    for (int i = 0; i < r->found.count; i++) {
        const ace_stage_record *s = &r->found.stage[i];
        double seconds = s->load_seconds + s->compute_seconds;
        most = seconds > most ? seconds : most;
    }
    line(&t, "  %-18s %8s %8s %10s %8s\n", "stage", "load", "compute", "memory", "GFLOP/s");
    for (int i = 0; i < r->found.count; i++) {
        const ace_stage_record *s = &r->found.stage[i];
        char memory[24];
        char cells[4 * BAR_CELLS];
        human_bytes(s->peak_bytes, memory, sizeof memory);
        bar(most > 0 ? (s->load_seconds + s->compute_seconds) / most : 0, cells, sizeof cells);
        line(&t, "  %-18s %6.2f s %6.2f s %10s %8.0f  %s\n", s->name, s->load_seconds,
             s->compute_seconds, memory,
             s->compute_seconds > 0 ? s->counters.flops / s->compute_seconds / 1e9 : 0, cells);
    }
    char planned[24];
    size_t peak = r->plan.workspace_bytes;
    for (int i = 0; i < r->found.count; i++) {
        size_t here = r->found.stage[i].peak_bytes + r->plan.workspace_bytes;
        peak = here > peak ? here : peak;
    }
    human_bytes(peak, planned, sizeof planned);
    line(&t, "\n  %.2f s for %.1f s of audio; peak memory %s, as planned to the byte\n",
         r->wall_seconds, r->plan.seconds, planned);
    return t.text;
}

static json_t *stage_json(const ace_stage_record *s)
{
    json_t *tags = json_object();
    for (int i = 0; i < s->n_tags; i++) {
        json_object_set_new(tags, s->tags[i].name, json_integer((json_int_t)s->tags[i].peak));
    }
    return json_pack("{s:s, s:I, s:o, s:f, s:f, s:f, s:f, s:f}", "name", s->name, "peak_bytes",
                     (json_int_t)s->peak_bytes, "bytes", tags, "flops", s->counters.flops,
                     "host_to_device_bytes", s->counters.uploaded, "device_to_host_bytes",
                     s->counters.downloaded, "load_seconds", s->load_seconds, "compute_seconds",
                     s->compute_seconds);
}

json_t *ace_stage_log_json(const ace_stage_log *log, size_t workspace_bytes)
{
    json_t *stages = json_array();
    double uploaded = 0;
    size_t peak = 0;
    for (int i = 0; i < log->count; i++) {
        const ace_stage_record *s = &log->stage[i];
        json_array_append_new(stages, stage_json(s));
        uploaded += s->counters.uploaded;
        peak = s->peak_bytes > peak ? s->peak_bytes : peak;
    }
    return json_pack("{s:I, s:I, s:I, s:o}", "peak_bytes", (json_int_t)(peak + workspace_bytes),
                     "workspace_bytes", (json_int_t)workspace_bytes, "host_to_device_bytes",
                     (json_int_t)uploaded, "stages", stages);
}

json_t *ace_warnings_json(const ace_warnings *w)
{
    json_t *list = json_array();
    for (int i = 0; i < w->count; i++) {
        json_array_append_new(list, json_pack("{s:s, s:s, s:s, s:s, s:s}", "id", w->item[i].id,
                                              "field", w->item[i].field, "asked", w->item[i].asked, "used", w->item[i].used,
                                              "reason", w->item[i].reason));
    }
    return list;
}
