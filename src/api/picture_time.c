/* What lay on the device in the course of a run that has been measured: time to the right, bytes upwards, the cap
 * as a line, one colour to a component. In a terminal, and as a file for a browser. */
#include "api/picture.h"

#include <stdlib.h>
#include <string.h>

enum {
    TIME_COLUMNS = 900,
    SHOWN_ROWS = 12,
    AMOUNT_COLUMNS = 10,
    LEAST_CELLS = 20,
    MOST_CELLS = 120
};

/* The sample with the most bytes in each of n equal spans of time. Shorter than a span is what follows in the
 * same one: the peak is always there. */
typedef struct columns {
    const ace_memory_sample *at[TIME_COLUMNS]; /* NULL: nothing yet */
    int n;
} columns;

static int column_at(const ace_timeline *t, double seconds, int n)
{
    int at = t->end > 0 ? (int)(seconds / t->end * n) : 0;
    return at < 0 ? 0 : at >= n ? n - 1 : at;
}

static void spread(const ace_timeline *t, int n, columns *out)
{
    memset(out, 0, sizeof *out);
    out->n = n;
    for (int i = 0; i < t->n; i++) {
        const ace_memory_sample *s = &t->sample[i];
        int last = column_at(t, i + 1 < t->n ? t->sample[i + 1].at : t->end, n);
        for (int c = column_at(t, s->at, n); c <= last; c++) {
            if (out->at[c] == NULL ||
                ace_memory_sample_bytes(s) > ace_memory_sample_bytes(out->at[c])) {
                out->at[c] = s;
            }
        }
    }
}

static void bands_of(const ace_memory_sample *s, size_t workspace, ace_picture_stage *out)
{
    memset(out, 0, sizeof *out);
    for (int part = 0; s != NULL && part < ACE_PARTS; part++) {
        out->band[ace_band_of(part)] += s->part[part];
    }
    out->band[ACE_BAND_WORK] = s != NULL ? s->work : 0;
    out->band[ACE_BAND_DEVICE] = workspace;
    out->total = workspace + (s != NULL ? ace_memory_sample_bytes(s) : 0);
}

/* Peak, cap and scale of the whole, and one stage with the largest of each band, for the legend. */
static bool frame(const acestep_result *result, ace_picture *p)
{
    const ace_timeline *t = result->found.operations.timeline;
    memset(p, 0, sizeof *p);
    if (t == NULL || t->n == 0) {
        return false;
    }
    p->cap = result->plan.cap_bytes;
    p->count = 1;
    for (int i = 0; i < t->n; i++) {
        ace_picture_stage s;
        bands_of(&t->sample[i], result->found.log.workspace_bytes, &s);
        p->peak = s.total > p->peak ? s.total : p->peak;
        for (int band = 0; band < ACE_BANDS; band++) {
            if (s.band[band] > p->stage[0].band[band]) {
                p->stage[0].band[band] = s.band[band];
            }
        }
    }
    ace_picture_set_scale(p);
    return true;
}

/* ---- stages ---------------------------------------------------------------------------------- */

static const char *stage_at(const columns *spans, int c)
{
    return spans->at[c] != NULL ? spans->at[c]->stage : "";
}

/* The column behind the stage that column c belongs to. */
static int stage_end(const columns *spans, int c)
{
    int end = c + 1;
    while (end < spans->n && strcmp(stage_at(spans, end), stage_at(spans, c)) == 0) {
        end++;
    }
    return end;
}

/* The longer of its names that has room; "" where neither has. */
static const char *stage_name(const char *key, int room)
{
    for (int i = 0; i < ACE_STAGES; i++) {
        const char *title = ace_stage_title((ace_stage_id)i);
        if (strcmp(key, ace_stage_key((ace_stage_id)i)) == 0 && (int)strlen(title) <= room) {
            return title;
        }
    }
    return (int)strlen(key) <= room ? key : "";
}

/* ---- in a terminal --------------------------------------------------------------------------- */

/* The band at this height; -1 above all. */
static int band_at(const ace_picture_stage *s, size_t bytes)
{
    size_t below = 0;
    for (int band = 0; band < ACE_BANDS; band++) {
        below += s->band[band];
        if (bytes < below) {
            return band;
        }
    }
    return -1;
}

/* Which stage stands where, for those that are wide enough. */
static void stage_line(ace_lines *t, const columns *spans)
{
    ace_lines_add(t, "  %*s ", AMOUNT_COLUMNS, "");
    for (int c = 0; c < spans->n;) {
        int end = stage_end(spans, c);
        ace_lines_add(t, "|%-*s", end - c - 1, stage_name(stage_at(spans, c), end - c - 1));
        c = end;
    }
    ace_lines_add(t, "|\n");
}

char *acestep_result_memory(const acestep_result *result, int width, bool colour)
{
    ace_picture p;
    ace_lines t = {.text = NULL};
    ace_lines_add(&t, "%s", "");
    columns *spans = calloc(1, sizeof *spans);
    if (spans == NULL || !frame(result, &p)) {
        free(spans);
        return ace_lines_take(&t);
    }
    const ace_timeline *timeline = result->found.operations.timeline;
    int cells = width - AMOUNT_COLUMNS - 6;
    cells = cells < LEAST_CELLS ? LEAST_CELLS : cells > MOST_CELLS ? MOST_CELLS : cells;
    spread(timeline, cells, spans);
    for (int row = SHOWN_ROWS - 1; row >= 0; row--) {
        size_t low = p.scale / SHOWN_ROWS * (size_t)row;
        size_t high = low + p.scale / SHOWN_ROWS;
        bool is_cap = ace_picture_shows_cap(&p) && p.cap > low && p.cap <= high;
        char amount[24];
        ace_report_bytes(high, amount, sizeof amount);
        ace_lines_add(&t, "  %*s %s", AMOUNT_COLUMNS, amount, is_cap ? "+" : "|");
        for (int c = 0; c < spans->n; c++) {
            ace_picture_stage s;
            bands_of(spans->at[c], result->found.log.workspace_bytes, &s);
            int band = band_at(&s, low + (high - low) / 2);
            if (band < 0 && is_cap) {
                ace_lines_add(&t, "-");
            } else {
                ace_band_paint(&t, band, 1, colour);
            }
        }
        ace_lines_add(&t, "\n");
    }
    stage_line(&t, spans);
    ace_lines_add(&t, "  %*s  0 s, to the right: %.2f s%s\n", AMOUNT_COLUMNS, "", timeline->end,
                  ace_picture_shows_cap(&p) ? "; ---: what the device has" : "");
    ace_picture_legend(&t, &p, colour, false);
    free(spans);
    return ace_lines_take(&t);
}

/* ---- for a browser --------------------------------------------------------------------------- */

/* Columns that look the same are one rectangle. */
static bool same(const ace_picture_stage *a, const ace_picture_stage *b)
{
    return memcmp(a->band, b->band, sizeof a->band) == 0;
}

static void add_run(ace_lines *t, const ace_svg_frame *f, const ace_picture *p,
                    const ace_picture_stage *s, const char *stage, int from, int to)
{
    double y = f->top + f->height;
    for (int band = 0; band < ACE_BANDS; band++) {
        double tall = ace_svg_pixels(f, p, s->band[band]);
        char amount[24];
        if (s->band[band] == 0) {
            continue;
        }
        y -= tall;
        ace_report_bytes(s->band[band], amount, sizeof amount);
        ace_lines_add(t,
                      "<rect x=\"%d\" y=\"%.3f\" width=\"%d\" height=\"%.3f\" fill=\"%s\" "
                      "data-bytes=\"%zu\"><title>%s, %s: %s</title></rect>\n",
                      f->left + from, y, to - from, tall, ace_band_colour(band), s->band[band],
                      stage, ace_band_title(band), amount);
    }
}

static void add_field(ace_lines *t, const ace_svg_frame *f, const ace_picture *p,
                      const columns *spans, size_t workspace)
{
    for (int c = 0; c < spans->n;) {
        ace_picture_stage s;
        ace_picture_stage next;
        int end = c + 1;
        bands_of(spans->at[c], workspace, &s);
        for (; end < spans->n; end++) {
            bands_of(spans->at[end], workspace, &next);
            if (!same(&s, &next)) {
                break;
            }
        }
        add_run(t, f, p, &s, spans->at[c] != NULL ? spans->at[c]->stage : "", c, end);
        c = end;
    }
}

static void add_times(ace_lines *t, const ace_svg_frame *f, double end)
{
    enum { MARKS = 6 };
    bool is_short = end < 0.6; /* marks of less than a tenth of a second */
    for (int i = 0; i <= MARKS; i++) {
        double at = end * i / MARKS;
        ace_lines_add(t, "<text class=\"middle\" x=\"%d\" y=\"%d\">%.*f %s</text>\n",
                      f->left + f->width * i / MARKS, f->top + f->height + 22, is_short ? 0 : 2,
                      is_short ? 1000 * at : at, is_short ? "ms" : "s");
    }
}

/* A mark where a stage begins, and its name where there is room. */
static void add_stages(ace_lines *t, const ace_svg_frame *f, const columns *spans)
{
    enum { LETTER = 7 }; /* pixels, about */
    int below = f->top + f->height;
    for (int c = 0; c < spans->n;) {
        int end = stage_end(spans, c);
        ace_lines_add(t, "<line class=\"grid\" x1=\"%d\" x2=\"%d\" y1=\"%d\" y2=\"%d\"/>\n",
                      f->left + c, f->left + c, below + 30, below + 48);
        ace_lines_add(t, "<text class=\"middle\" x=\"%d\" y=\"%d\">%s</text>\n",
                      f->left + (c + end) / 2, below + 44,
                      stage_name(stage_at(spans, c), (end - c) / LETTER));
        c = end;
    }
}

/* How long it took, or that it did not do the work. */
static void add_heading(ace_lines *t, const acestep_result *result, size_t peak_bytes)
{
    char peak[24];
    ace_report_bytes(peak_bytes, peak, sizeof peak);
    ace_lines_add(t, "<text class=\"head\" x=\"16\" y=\"28\">");
    ace_svg_text(t, result->plan.model);
    ace_lines_add(t, ", %.1f s of audio", result->plan.seconds);
    if (result->found.operations.timed) {
        ace_lines_add(t, " in %.2f s", result->wall_seconds);
    }
    ace_lines_add(t, ", %s at the peak%s</text>\n", peak,
                  result->found.operations.timed ? "" : ", nothing computed");
}

char *acestep_result_memory_svg(const acestep_result *result)
{
    ace_picture p;
    ace_lines t = {.text = NULL};
    columns *spans = calloc(1, sizeof *spans);
    ace_lines_add(&t, "%s", "");
    if (spans == NULL || !frame(result, &p)) {
        free(spans);
        return ace_lines_take(&t);
    }
    const ace_timeline *timeline = result->found.operations.timeline;
    ace_svg_frame f = {
        .left = 84, .top = 64, .width = TIME_COLUMNS, .height = 320, .legend = 260, .below = 60};
    spread(timeline, TIME_COLUMNS, spans);
    ace_svg_begin(&t, &f, "Device memory over time", result->plan.model);
    add_heading(&t, result, p.peak);
    ace_svg_scale(&t, &f, &p);
    add_field(&t, &f, &p, spans, result->found.log.workspace_bytes);
    ace_svg_cap(&t, &f, &p);
    add_times(&t, &f, timeline->end);
    add_stages(&t, &f, spans);
    ace_svg_legend(&t, &f, &p);
    ace_lines_add(&t, "</svg>\n");
    free(spans);
    return ace_lines_take(&t);
}
