#include "run/trace.h"

#include "base/clock.h"
#include "base/memory.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* Tracks: threads of one process, to the reader. */
enum { PROCESS = 1, TRACK_STAGES = 1, TRACK_LOADS = 2, TRACK_OPERATIONS = 3 };

struct ace_job_trace {
    FILE *file; /* NULL: none, or it could not be opened */
    int code;   /* errno of the first failure; 0: none */
    char *path; /* NULL: no file is wanted */
    ace_watch watch;
    double zero;            /* ace_clock_seconds() at opening */
    ace_trace_stage *stage; /* at hand, in the summary; NULL before the first */
    ace_trace_summary summary;
};

/* ---- the file -------------------------------------------------------------------------------- */

__attribute__((format(printf, 2, 3))) static void put(ace_job_trace *t, const char *format, ...)
{
    if (t->code != 0 || t->file == NULL) {
        return;
    }
    va_list args;
    va_start(args, format);
    errno = 0;
    if (vfprintf(t->file, format, args) < 0) {
        t->code = errno != 0 ? errno : EIO;
    }
    va_end(args);
}

static double microseconds(const ace_job_trace *t, double seconds)
{
    return 1e6 * (seconds - t->zero);
}

static void put_track(ace_job_trace *t, int track, const char *name)
{
    put(t,
        ",\n{\"ph\":\"M\",\"pid\":%d,\"tid\":%d,\"name\":\"thread_name\","
        "\"args\":{\"name\":\"%s\"}}",
        PROCESS, track, name);
}

static void put_span(ace_job_trace *t, int track, const char *category, const char *name,
                     double started, double ended)
{
    put(t,
        ",\n{\"ph\":\"X\",\"pid\":%d,\"tid\":%d,\"cat\":\"%s\",\"name\":\"%s\",\"ts\":%.3f,"
        "\"dur\":%.3f,\"args\":",
        PROCESS, track, category, name, microseconds(t, started), 1e6 * (ended - started));
}

static void put_head(ace_job_trace *t)
{
    put(t,
        "{\"displayTimeUnit\":\"ms\",\"traceEvents\":[\n{\"ph\":\"M\",\"pid\":%d,"
        "\"name\":\"process_name\",\"args\":{\"name\":\"acestep\"}}",
        PROCESS);
    put_track(t, TRACK_STAGES, "stages");
    put_track(t, TRACK_LOADS, "loads");
    put_track(t, TRACK_OPERATIONS, "operations");
}

/* ---- operations ------------------------------------------------------------------------------ */

static double per_second(double amount, double seconds)
{
    return seconds > 0 ? amount / seconds : 0;
}

static const char *stage_of(const ace_job_trace *t)
{
    return t->stage != NULL ? t->stage->key : "idle";
}

/* The share of what the machine could do, and what held it back. */
static void put_share(ace_job_trace *t, const ace_operation *o, double seconds)
{
    ace_operation_sum alone = {.name = o->name};
    ace_operation_sum_add(&alone, o, stage_of(t), &t->summary.limits);
    int roof = ace_operation_sum_roof(&alone);
    if (roof >= 0 && seconds > 0) {
        put(t, ",\"share_of_peak\":%.4f,\"bound\":\"%s\"", alone.least / seconds,
            ace_roof_name(roof));
    }
}

static void put_operation(ace_job_trace *t, const ace_operation *o)
{
    double seconds = o->ended - o->started;
    put_span(t, TRACK_OPERATIONS, stage_of(t), o->name, o->started, o->ended);
    put(t, "{\"in\":\"%lld x %lld %s\",\"out\":\"%lld x %lld %s\"", (long long)o->x.rows,
        (long long)o->x.cols, ace_dtype_name(o->x.dtype), (long long)o->y.rows,
        (long long)o->y.cols, ace_dtype_name(o->y.dtype));
    if (o->taps > 0) {
        put(t, ",\"weights\":\"%s\",\"taps\":%d", ace_dtype_name(o->matrix), o->taps);
    }
    if (o->keys > 0) {
        put(t, ",\"keys\":%lld", (long long)o->keys);
    }
    put(t,
        ",\"flops\":%.1f,\"read_bytes\":%.0f,\"written_bytes\":%.0f,\"gflops\":%.3f,"
        "\"gb_per_second\":%.3f",
        o->flops, o->read, o->written, per_second(o->flops, seconds) / 1e9,
        per_second(o->read + o->written, seconds) / 1e9);
    put_share(t, o, seconds);
    put(t, "}}");
}

/* NULL: the table is full; there are fewer kinds of operations than rows. */
static ace_operation_sum *sum_of(ace_trace_stage *stage, const char *name)
{
    for (int i = 0; i < stage->n_operations; i++) {
        if (strcmp(stage->operation[i].name, name) == 0) {
            return &stage->operation[i];
        }
    }
    if (stage->n_operations >= ACE_TRACE_OPERATIONS) {
        return NULL;
    }
    ace_operation_sum *sum = &stage->operation[stage->n_operations++];
    sum->name = name;
    return sum;
}

static void hear(void *context, const ace_operation *heard)
{
    ace_job_trace *t = context;
    ace_operation o = *heard;
    if (!t->summary.timed) {
        o.started = o.ended = 0;
    }
    ace_operation_sum *sum = t->stage != NULL ? sum_of(t->stage, o.name) : NULL;
    if (sum != NULL) {
        ace_operation_sum_add(sum, &o, stage_of(t), &t->summary.limits);
    }
    if (t->summary.kernels != NULL) {
        ace_kernel_sums_add(t->summary.kernels, &o, stage_of(t), &t->summary.limits);
    }
    if (t->file != NULL) {
        put_operation(t, &o);
    }
}

const ace_watch *ace_trace_watch(const ace_job_trace *t)
{
    return t != NULL ? &t->watch : NULL;
}

/* ---- stages, loads, memory ------------------------------------------------------------------- */

void ace_trace_stage_begin(ace_job_trace *t, const char *key)
{
    if (t == NULL) {
        return;
    }
    ace_trace_summary *s = &t->summary;
    t->stage = NULL;
    for (int i = 0; i < s->n_stages && t->stage == NULL; i++) {
        t->stage = strcmp(s->stage[i].key, key) == 0 ? &s->stage[i] : NULL;
    }
    if (t->stage == NULL && s->n_stages < ACE_TRACE_STAGES) {
        t->stage = &s->stage[s->n_stages++];
        t->stage->key = key;
    }
}

void ace_trace_stage_end(ace_job_trace *t, const char *name, double started, double flops,
                         size_t peak_bytes)
{
    if (t == NULL) {
        return;
    }
    double ended = ace_clock_seconds();
    if (t->stage != NULL) {
        t->stage->seconds += ended - started;
    }
    put_span(t, TRACK_STAGES, "stage", name, started, ended);
    put(t, "{\"flops\":%.1f,\"peak_bytes\":%zu}}", flops, peak_bytes);
}

void ace_trace_load(ace_job_trace *t, const char *name, double started, size_t bytes)
{
    if (t == NULL) {
        return;
    }
    double ended = ace_clock_seconds();
    if (t->stage != NULL) {
        t->stage->load_seconds += ended - started;
    }
    put_span(t, TRACK_LOADS, "load", name, started, ended);
    put(t, "{\"bytes\":%zu}}", bytes);
}

static void add_sample(ace_job_trace *t, double now, const size_t part[ACE_PARTS], size_t work)
{
    ace_memory_sample sample = {.at = now - t->zero, .stage = stage_of(t), .work = work};
    memcpy(sample.part, part, sizeof sample.part);
    ace_timeline_add(t->summary.timeline, &sample);
}

/* Both parts of the diffusion transformer carry one code: they are one series. */
void ace_trace_memory(ace_job_trace *t, const size_t part[ACE_PARTS], size_t work)
{
    if (t == NULL) {
        return;
    }
    double now = ace_clock_seconds();
    if (t->summary.timeline != NULL) {
        add_sample(t, now, part, work);
    }
    put(t,
        ",\n{\"ph\":\"C\",\"pid\":%d,\"name\":\"device memory\",\"ts\":%.3f,\"args\":{"
        "\"work\":%zu",
        PROCESS, microseconds(t, now), work);
    for (int i = 0; i < ACE_PARTS; i++) {
        size_t bytes = i == ACE_PART_DIT ? part[i] + part[ACE_PART_DIT_CONDITION] : part[i];
        if (i != ACE_PART_DIT_CONDITION) {
            put(t, ",\"%s\":%zu", ace_part_code((ace_part)i), bytes);
        }
    }
    put(t, "}}");
}

/* ---- opening and closing --------------------------------------------------------------------- */

static bool wants_file(const ace_trace_options *options)
{
    return options->path != NULL && options->path[0] != '\0';
}

static bool reserve(ace_job_trace *t, const ace_trace_options *options)
{
    ace_trace_summary *s = &t->summary;
    t->path = wants_file(options) ? ace_strdup(options->path) : NULL;
    if (options->profile) {
        s->kernels = ace_calloc(1, sizeof *s->kernels);
        s->timeline = ace_calloc(1, sizeof *s->timeline);
    }
    return (t->path != NULL || !wants_file(options)) &&
           (!options->profile || (s->kernels != NULL && s->timeline != NULL));
}

static void free_trace(ace_job_trace *t)
{
    ace_trace_summary_free(&t->summary);
    ace_free(t->path);
    ace_free(t);
}

ace_status ace_trace_open(const ace_trace_options *options, ace_job_trace **out, ace_error *err)
{
    *out = NULL;
    ace_job_trace *t = ace_calloc(1, sizeof *t);
    if (t == NULL || !reserve(t, options)) {
        if (t != NULL) {
            free_trace(t);
        }
        return ace_fail(err, ACESTEP_MEMORY, "trace: no host memory");
    }
    t->watch = (ace_watch){.heard = hear, .context = t};
    t->summary.timed = options->timed;
    t->summary.limits = options->limits;
    t->zero = ace_clock_seconds();
    if (t->path != NULL) {
        t->file = fopen(t->path, "w");
        t->code = t->file == NULL ? errno : 0;
    }
    put_head(t);
    *out = t;
    return ACESTEP_OK;
}

void ace_trace_raise(ace_job_trace *t, const ace_roofline *limits)
{
    ace_trace_summary *s = &t->summary;
    ace_roofline before = s->limits;
    ace_roofline_raise(&s->limits, limits);
    for (int i = 0; i < s->n_stages; i++) {
        for (int k = 0; k < s->stage[i].n_operations; k++) {
            ace_operation_sum_rescale(&s->stage[i].operation[k], &before, &s->limits);
        }
    }
    for (int i = 0; s->kernels != NULL && i < ACE_KERNEL_SLOTS; i++) {
        ace_operation_sum_rescale(&s->kernels->slot[i].sum, &before, &s->limits);
    }
}

/* What the caller gets, or nobody. */
static void hand_over(ace_job_trace *t, ace_trace_summary *summary)
{
    if (summary == NULL) {
        return;
    }
    if (t->summary.kernels != NULL) {
        ace_kernel_sums_sort(t->summary.kernels);
    }
    *summary = t->summary;
    t->summary.kernels = NULL;
    t->summary.timeline = NULL;
}

void ace_trace_summary_free(ace_trace_summary *s)
{
    ace_free(s->kernels);
    ace_free(s->timeline);
    s->kernels = NULL;
    s->timeline = NULL;
}

ace_status ace_trace_close(ace_job_trace *t, ace_trace_summary *summary, ace_error *err)
{
    if (t == NULL) {
        return ACESTEP_OK;
    }
    put(t, "\n]}\n");
    if (t->file != NULL && fclose(t->file) != 0 && t->code == 0) {
        t->code = errno;
    }
    hand_over(t, summary);
    char reason[128];
    ace_status status = ACESTEP_OK;
    if (t->code != 0) {
        if (strerror_r(t->code, reason, sizeof reason) != 0) {
            (void)snprintf(reason, sizeof reason, "error %d", t->code);
        }
        status = ace_fail(err, ACESTEP_IO, "trace: %s: %s", t->path, reason);
    }
    free_trace(t);
    return status;
}
