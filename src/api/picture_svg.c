/* The memory of a plan as a picture for a browser: a column for each stage, bytes upwards, the cap
 * as a line, one colour to a component. Light and dark follow the reader's setting. */
#include "api/lines.h"
#include "api/picture.h"

/* Pixels. */
enum {
    SLOT = 116,  /* of a stage */
    COLUMN = 72, /* of its bar */
    LEGEND_LINE = 22,
    GRID_LINES = 4
};

static const char *const colours[ACE_BANDS] = {
    [ACE_PART_LM] = "#c9784f",          [ACE_PART_TEXT] = "#c9a227",
    [ACE_PART_VAE_ENCODER] = "#3f9c9c", [ACE_PART_CONDITION] = "#6a9f58",
    [ACE_PART_TOKENIZER] = "#a39343",   [ACE_PART_DETOKENIZER] = "#84b05a",
    [ACE_PART_DIT] = "#4a78b5",         [ACE_PART_DIT_CONDITION] = "#4a78b5",
    [ACE_PART_ADAPTERS] = "#c4689b",    [ACE_PART_VAE_DECODER] = "#8f6fb0",
    [ACE_BAND_WORK] = "#8a8f98",        [ACE_BAND_OTHER] = "#5c626b",
    [ACE_BAND_DEVICE] = "#b3a79b",
};

/* Character data and attribute values. Control characters, which XML has no place for, are left
 * out. */
void ace_svg_text(ace_lines *t, const char *text)
{
    for (const char *c = text; *c != '\0'; c++) {
        const char *instead = *c == '&'   ? "&amp;"
                              : *c == '<' ? "&lt;"
                              : *c == '>' ? "&gt;"
                              : *c == '"' ? "&quot;"
                                          : NULL;
        if (instead != NULL) {
            ace_lines_add(t, "%s", instead);
        } else if ((unsigned char)*c >= 0x20 && *c != 0x7f) {
            ace_lines_add(t, "%c", *c);
        }
    }
}

const char *ace_band_colour(int band)
{
    return colours[band];
}

double ace_svg_pixels(const ace_svg_frame *f, const ace_picture *p, size_t bytes)
{
    return p->scale > 0 ? (double)bytes / (double)p->scale * f->height : 0;
}

void ace_svg_begin(ace_lines *t, const ace_svg_frame *f, const char *title, const char *model)
{
    int width = f->left + f->width + f->legend;
    int height = f->top + f->height + f->below;
    ace_lines_add(t,
                  "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 %d %d\" width=\"%d\" "
                  "height=\"%d\" role=\"img\">\n",
                  width, height, width, height);
    ace_lines_add(t, "<title>%s: ", title);
    ace_svg_text(t, model);
    ace_lines_add(t, "</title>\n<style>\n"
                     "text { font: 13px system-ui, sans-serif; fill: #1d2126; }\n"
                     ".paper { fill: #ffffff; }\n.grid { stroke: #d5d9de; }\n"
                     ".cap { stroke: #c2272d; stroke-width: 2; stroke-dasharray: 7 4; }\n"
                     ".middle { text-anchor: middle; }\n.end { text-anchor: end; }\n"
                     ".head { font-size: 16px; font-weight: 600; }\n"
                     "@media (prefers-color-scheme: dark) {\n"
                     "text { fill: #e6e8eb; }\n.paper { fill: #16191d; }\n"
                     ".grid { stroke: #363c44; }\n.cap { stroke: #ff6b6b; }\n}\n</style>\n");
    ace_lines_add(t, "<rect class=\"paper\" width=\"%d\" height=\"%d\"/>\n", width, height);
}

void ace_svg_scale(ace_lines *t, const ace_svg_frame *f, const ace_picture *p)
{
    for (int i = 0; i <= GRID_LINES; i++) {
        char amount[24];
        size_t bytes = p->scale / GRID_LINES * (size_t)i;
        double y = f->top + f->height - ace_svg_pixels(f, p, bytes);
        ace_report_bytes(bytes, amount, sizeof amount);
        ace_lines_add(t, "<line class=\"grid\" x1=\"%d\" x2=\"%d\" y1=\"%.2f\" y2=\"%.2f\"/>\n",
                      f->left, f->left + f->width, y, y);
        ace_lines_add(t, "<text class=\"end\" x=\"%d\" y=\"%.2f\">%s</text>\n", f->left - 8, y + 4,
                      amount);
    }
}

static void add_column(ace_lines *t, const ace_svg_frame *f, const ace_picture *p, int index)
{
    const ace_picture_stage *s = &p->stage[index];
    int x = f->left + SLOT * index + (SLOT - COLUMN) / 2;
    double y = f->top + f->height;
    char amount[24];
    for (int band = 0; band < ACE_BANDS; band++) {
        double tall = ace_svg_pixels(f, p, s->band[band]);
        if (s->band[band] == 0) {
            continue;
        }
        y -= tall;
        ace_report_bytes(s->band[band], amount, sizeof amount);
        ace_lines_add(t,
                      "<rect class=\"band\" x=\"%d\" y=\"%.4f\" width=\"%d\" height=\"%.4f\" "
                      "fill=\"%s\" data-bytes=\"%zu\"><title>%s, %s: %s</title></rect>\n",
                      x, y, COLUMN, tall, colours[band], s->band[band], s->name,
                      ace_band_title(band), amount);
    }
    ace_report_bytes(s->total, amount, sizeof amount);
    ace_lines_add(t, "<text class=\"middle\" x=\"%d\" y=\"%.2f\">%s</text>\n", x + COLUMN / 2,
                  y - 6, amount);
    ace_lines_add(t, "<text class=\"middle\" x=\"%d\" y=\"%d\">", x + COLUMN / 2,
                  f->top + f->height + 20);
    ace_svg_text(t, s->name);
    ace_lines_add(t, "</text>\n");
}

void ace_svg_cap(ace_lines *t, const ace_svg_frame *f, const ace_picture *p)
{
    int right = f->left + f->width;
    char amount[24];
    ace_report_bytes(p->cap, amount, sizeof amount);
    if (ace_picture_shows_cap(p)) {
        double y = f->top + f->height - ace_svg_pixels(f, p, p->cap);
        ace_lines_add(t,
                      "<line class=\"cap\" x1=\"%d\" x2=\"%d\" y1=\"%.4f\" y2=\"%.4f\" "
                      "data-bytes=\"%zu\"/>\n<text x=\"%d\" y=\"%.2f\">the device has %s</text>\n",
                      f->left, right, y, y, p->cap, right + 12, y + 4, amount);
    } else if (p->cap > 0) {
        ace_lines_add(t, "<text x=\"%d\" y=\"%d\">the device has %s, above this</text>\n",
                      right + 12, f->top - 14, amount);
    }
}

void ace_svg_legend(ace_lines *t, const ace_svg_frame *f, const ace_picture *p)
{
    int x = f->left + f->width + 16;
    int y = f->top + 28;
    for (int band = ACE_BANDS - 1; band >= 0; band--) { /* as they are stacked */
        if (!ace_picture_has_band(p, band)) {
            continue;
        }
        ace_lines_add(t, "<rect x=\"%d\" y=\"%d\" width=\"14\" height=\"14\" fill=\"%s\"/>\n", x, y,
                      colours[band]);
        ace_lines_add(t, "<text x=\"%d\" y=\"%d\">%s (%s)</text>\n", x + 22, y + 12,
                      ace_band_title(band), ace_band_code(band));
        y += LEGEND_LINE;
    }
}

char *acestep_plan_svg(const acestep_plan *plan)
{
    ace_picture p;
    ace_lines t = {.text = NULL};
    char peak[24];
    ace_picture_of(plan, &p);
    ace_svg_frame f = {.left = 84,
                       .top = 64,
                       .width = SLOT * (p.count > 0 ? p.count : 1),
                       .height = 320,
                       .legend = 260,
                       .below = 60};
    ace_report_bytes(p.peak, peak, sizeof peak);
    ace_svg_begin(&t, &f, "Device memory, stage by stage", plan->model);
    ace_lines_add(&t, "<text class=\"head\" x=\"16\" y=\"28\">");
    ace_svg_text(&t, plan->model);
    ace_lines_add(&t, ", %.1f s of audio, %s at the peak</text>\n", plan->seconds, peak);
    ace_svg_scale(&t, &f, &p);
    for (int i = 0; i < p.count; i++) {
        add_column(&t, &f, &p, i);
    }
    ace_svg_cap(&t, &f, &p);
    ace_svg_legend(&t, &f, &p);
    ace_lines_add(&t, "</svg>\n");
    return ace_lines_take(&t);
}
