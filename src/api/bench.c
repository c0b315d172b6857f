#include "api/bench.h"

#include "acestep_commit.h"
#include "api/lines.h"
#include "base/file_map.h"
#include "base/memory.h"
#include "weights/demo_model.h"

#include <stdlib.h>
#include <time.h>

const char *ace_bench_commit(void)
{
    return ACESTEP_COMMIT;
}

acestep_status acestep_bench_run(const acestep_request *request, const char *stages, int repeats,
                                 acestep_progress *progress, void *context, acestep_bench **out,
                                 acestep_error *err)
{
    ace_error *inner = ace_inner_error(err);
    *out = NULL;
    ace_embedded_files_set(ace_demo_model_files());
    acestep_bench *b = ace_calloc(1, sizeof *b);
    if (b == NULL) {
        return ace_fail(inner, ACESTEP_MEMORY, "bench: no host memory");
    }
    time_t now = time(NULL);
    struct tm utc;
    if (gmtime_r(&now, &utc) != NULL) {
        (void)strftime(b->date, sizeof b->date, "%Y-%m-%dT%H:%M:%SZ", &utc);
    }
    ace_status status =
        ace_bench_stages(request->options, stages, repeats, progress, context, &b->measured, inner);
    bool worth_showing = status == ACESTEP_CANCELLED && b->measured.n_rows > 0;
    if (status != ACESTEP_OK && !worth_showing) {
        ace_free(b);
        return status;
    }
    *out = b;
    return status;
}

void acestep_bench_free(acestep_bench *bench)
{
    ace_free(bench);
}

/* ---- for people
 * ----------------------------------------------------------------------------------
 */

static void put_machine(ace_lines *t, const ace_bench_machine *m)
{
    const char *commit = ace_bench_commit();
    if (m->device[0] != '\0') {
        ace_lines_add(t, "%s; ", m->device);
    }
    ace_lines_add(t, "%s, %s, %d thread%s; acestep %s%s%s\n", m->cpu, m->level, m->threads,
                  m->threads == 1 ? "" : "s", acestep_version(), commit[0] != '\0' ? " " : "",
                  commit);
    ace_lines_add(t, "at the most, ever in this run:");
    for (int i = 0; i < ACE_PEAKS; i++) {
        if (m->limits.peaks.own[i]) {
            ace_lines_add(t, " %s %.0f,", ace_peak_name((ace_peak)i),
                          m->limits.peaks.flops[i] * 1e-9);
        }
    }
    ace_lines_add(t, " in GFLOP/s; memory %s %.1f GB/s\n\n",
                  m->device[0] != '\0' ? "copies" : "reads", m->limits.bandwidth * 1e-9);
}

static void put_row(ace_lines *t, const ace_bench_row *row)
{
    double best = ace_bench_best(row);
    char share[32];
    (void)snprintf(share, sizeof share, "%.0f %% %s", ace_bench_share(row) * 100,
                   ace_roof_name(ace_bench_bound(row)));
    ace_lines_add(t, "  %-16s %-5s %6.2f %9.4f %9.4f %8.1f %8.1f %6.1f  %-12s", row->stage,
                  ace_dtype_name(row->matrix), row->load_seconds, ace_bench_median(row), best,
                  row->flops * 1e-9, row->flops / best * 1e-9, row->bytes / best * 1e-9, share);
    if (row->audio_seconds > 0) {
        ace_lines_add(t, " %9.4f", ace_bench_median(row) / row->audio_seconds);
    } else {
        ace_lines_add(t, " %9s", "");
    }
    ace_lines_add(t, " %7.3f %7.3f  %s", (double)row->device_bytes * 1e-9,
                  (double)row->resident_bytes * 1e-9, row->work);
    if (row->tokens > 0) {
        ace_lines_add(t, ": %.1f tokens/s", row->tokens / best);
    }
    ace_lines_add(t, "\n");
}

char *acestep_bench_text(const acestep_bench *bench)
{
    const ace_bench *b = &bench->measured;
    ace_lines t = {0};
    put_machine(&t, &b->machine);
    ace_lines_add(&t, "  %-16s %-5s %6s %9s %9s %8s %8s %6s  %-12s %9s %7s %7s  %s\n", "stage",
                  "type", "load s", "median s", "best s", "GFLOP", "GFLOP/s", "GB/s", "of the most",
                  "s/s audio", "GB used", "GB RAM", "work");
    for (int i = 0; i < b->n_rows; i++) {
        put_row(&t, &b->row[i]);
    }
    return ace_lines_take(&t);
}
