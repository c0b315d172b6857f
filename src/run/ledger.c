#include "run/ledger.h"

#include "base/clock.h"
#include "base/log.h"

#include <errno.h>
#include <string.h>

ace_status ace_ledger_open(ace_ledger *l, const char *trace_path, ace_error *err)
{
    memset(l, 0, sizeof *l);
    l->step = -1;
    l->stage = "idle";
    l->started = ace_clock_seconds();
    if (trace_path == NULL || trace_path[0] == '\0') {
        return ACESTEP_OK;
    }
    l->trace = fopen(trace_path, "w");
    if (l->trace == NULL) {
        return ace_fail(err, ACESTEP_IO, "trace_mem: %s: %s", trace_path, strerror(errno));
    }
    return ACESTEP_OK;
}

void ace_ledger_close(ace_ledger *l)
{
    if (l->trace != NULL) {
        (void)fclose(l->trace);
    }
    l->trace = NULL;
}

/* A full disk costs the trace, never the song. */
static void give_up(ace_ledger *l)
{
    ace_log(ACE_LOG_WARNING, "trace_mem", "the file ends here: %s", strerror(errno));
    (void)fclose(l->trace);
    l->trace = NULL;
}

static void write_line(ace_ledger *l, const char *component, const char *event, double bytes,
                       size_t held)
{
    if (l->trace == NULL) {
        return;
    }
    bool written = fprintf(l->trace,
                           "{\"time\":%.6f,\"stage\":\"%s\",\"step\":%d,\"component\":\"%s\","
                           "\"event\":\"%s\",\"bytes\":%.0f,\"component_bytes\":%zu,\"in_use\":%zu,"
                           "\"high_water\":%zu}\n",
                           ace_clock_seconds() - l->started, l->stage, l->step, component, event,
                           bytes, held, l->in_use, l->high_water) > 0;
    if (!written || fflush(l->trace) != 0) {
        give_up(l);
    }
}

/* Both parts of the diffusion transformer are one component to the reader. */
static size_t component_bytes(const ace_ledger *l, ace_part part)
{
    if (part == ACE_PART_DIT || part == ACE_PART_DIT_CONDITION) {
        return l->part[ACE_PART_DIT] + l->part[ACE_PART_DIT_CONDITION];
    }
    return l->part[part];
}

/* The bytes of a component have just changed. */
static void settle(ace_ledger *l, size_t in_use)
{
    l->in_use = in_use;
    l->high_water = in_use > l->high_water ? in_use : l->high_water;
    ace_trace_memory(l->timeline, l->part, l->work);
}

void ace_ledger_alloc(ace_ledger *l, ace_part part, size_t bytes)
{
    l->part[part] += bytes;
    settle(l, l->in_use + bytes);
    write_line(l, ace_part_code(part), "alloc", (double)bytes, component_bytes(l, part));
}

void ace_ledger_free(ace_ledger *l, ace_part part, bool evict)
{
    size_t bytes = l->part[part];
    l->part[part] = 0;
    settle(l, l->in_use - bytes);
    write_line(l, ace_part_code(part), evict ? "evict" : "free", (double)bytes,
               component_bytes(l, part));
}

void ace_ledger_alloc_work(ace_ledger *l, size_t bytes)
{
    l->work += bytes;
    settle(l, l->in_use + bytes);
    write_line(l, "work", "alloc", (double)bytes, l->work);
}

void ace_ledger_free_work(ace_ledger *l)
{
    size_t bytes = l->work;
    l->work = 0;
    settle(l, l->in_use - bytes);
    if (bytes > 0) {
        write_line(l, "work", "free", (double)bytes, 0);
    }
}

void ace_ledger_copy(ace_ledger *l, const char *component, const char *event, double bytes)
{
    write_line(l, component, event, bytes, 0);
}

void ace_ledger_mark(ace_ledger *l, const char *event, size_t bytes)
{
    write_line(l, "all", event, (double)bytes, l->in_use);
}

void ace_ledger_step(ace_ledger *l, int step)
{
    l->step = step;
    write_line(l, "DD", "step", 0, component_bytes(l, ACE_PART_DIT));
}
