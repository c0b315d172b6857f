/* What lay on the device in the course of a run that has been measured: time to the right, bytes upwards, the cap
 * as a line, one colour to a component. In a terminal, and as a file for a browser. */
#include "api/picture.h"

#include <stdlib.h>
#include <string.h>

enum { TIME_COLUMNS = 900, SHOWN_ROWS = 12, AMOUNT_COLUMNS = 10, LEAST_CELLS = 20, MOST_CELLS = 120 };

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
                      f->left + from, y, to - from, tall, ace_band_colour(band), s->band[band], stage,
                      ace_band_title(band), amount);
    }
}

static void add_field(ace_lines *t, const ace_svg_frame *f, const ace_picture *p, const columns *spans,
                      size_t workspace)
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
    for (int i = 0; i <= MARKS; i++) {
        ace_lines_add(t, "<text class=\"middle\" x=\"%d\" y=\"%d\">%.2f s</text>\n",
                      f->left + f->width * i / MARKS, f->top + f->height + 22, end * i / MARKS);
    }
}

char *acestep_result_memory_svg(const acestep_result *result)
{
    ace_picture p;
    ace_lines t = {.text = NULL};
    char peak[24];
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
    ace_report_bytes(p.peak, peak, sizeof peak);
    ace_svg_begin(&t, &f, "Device memory over time", result->plan.model);
    ace_lines_add(&t, "<text class=\"head\" x=\"16\" y=\"28\">");
    ace_svg_text(&t, result->plan.model);
    ace_lines_add(&t, ", %.1f s of audio in %.2f s, %s at the peak</text>\n", result->plan.seconds,
                  result->wall_seconds, peak);
    ace_svg_scale(&t, &f, &p);
    add_field(&t, &f, &p, spans, result->found.log.workspace_bytes);
    ace_svg_cap(&t, &f, &p);
    add_times(&t, &f, timeline->end);
    ace_svg_legend(&t, &f, &p);
    ace_lines_add(&t, "</svg>\n");
    free(spans);
    return ace_lines_take(&t);
}
