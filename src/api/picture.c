#include "api/picture.h"

#include <string.h>

/* A cap of more than so many peaks is not drawn. The defaults of every tier stay below it: 30 s
 * without the language model take 1.4 of the 7.5 GB of an 8 GB card. */
static const size_t FAR = 6;

/* ---- bands ----------------------------------------------------------------------------------- */

static void take(ace_picture_stage *s, int band, size_t bytes, size_t *left)
{
    size_t taken = bytes < *left ? bytes : *left;
    s->band[band] += taken;
    *left -= taken;
}

int ace_band_of(int part)
{
    return part == ACE_PART_DIT_CONDITION ? (int)ACE_PART_DIT : part;
}

/* The record names the parts that the stage asked for; what else is held came with earlier stages
 * and stays between them. */
static void share_out(const acestep_plan *plan, int index, ace_picture_stage *s)
{
    const ace_stage_record *record = &plan->stages.stage[index];
    size_t left = record->peak_bytes;
    take(s, ACE_BAND_WORK, record->work_bytes, &left);
    for (int part = 0; part < ACE_PARTS; part++) {
        take(s, ace_band_of(part), record->part_bytes[part], &left);
    }
    for (int part = 0; part < ACE_PARTS; part++) {
        bool came = false;
        for (int i = 0; i < index; i++) {
            came = came || plan->stages.stage[i].part_bytes[part] > 0;
        }
        size_t bytes = plan->stages.part_bytes[part];
        if (came && record->part_bytes[part] == 0 && bytes <= left &&
            ace_plan_keeps(&plan->choice, (ace_part)part)) {
            take(s, ace_band_of(part), bytes, &left);
        }
    }
    s->band[ACE_BAND_OTHER] = left;
    s->band[ACE_BAND_DEVICE] = plan->stages.workspace_bytes;
    s->total = record->peak_bytes + plan->stages.workspace_bytes;
}

void ace_picture_of(const acestep_plan *plan, ace_picture *out)
{
    memset(out, 0, sizeof *out);
    out->cap = plan->cap_bytes;
    for (int i = 0; i < plan->stages.count; i++) {
        if (plan->stages.stage[i].peak_bytes == 0) {
            continue;
        }
        ace_picture_stage *s = &out->stage[out->count++];
        s->name = plan->stages.stage[i].name;
        share_out(plan, i, s);
        out->peak = s->total > out->peak ? s->total : out->peak;
    }
    ace_picture_set_scale(out);
}

void ace_picture_set_scale(ace_picture *p)
{
    bool is_near = p->cap > 0 && p->cap / FAR <= p->peak;
    p->scale = is_near ? p->cap : p->peak;
    p->scale = p->scale > p->peak ? p->scale : p->peak;
    p->scale += p->scale / 20; /* room above the line */
    p->scale = p->scale > 0 ? p->scale : 1;
}

bool ace_picture_shows_cap(const ace_picture *p)
{
    return p->cap > 0 && p->cap <= p->scale;
}

bool ace_picture_has_band(const ace_picture *p, int band)
{
    bool found = false;
    for (int i = 0; i < p->count; i++) {
        found = found || p->stage[i].band[band] > 0;
    }
    return found;
}

const char *ace_band_code(int band)
{
    static const char *const more[] = {"work", "other", "device"};
    return band < ACE_PARTS ? ace_part_code((ace_part)band) : more[band - ACE_PARTS];
}

const char *ace_band_title(int band)
{
    static const char *const more[] = {"work of the stage", "other models", "the device itself"};
    return band < ACE_PARTS ? ace_part_title((ace_part)band) : more[band - ACE_PARTS];
}

/* ---- in a terminal --------------------------------------------------------------------------- */

enum { NAME_COLUMNS = 18, AMOUNT_COLUMNS = 10, LEAST_CELLS = 20, MOST_CELLS = 120 };

/* One letter and one of the 256 colours for each band. */
typedef struct ink {
    char letter;
    int colour;
} ink;

static const ink inks[ACE_BANDS] = {
    [ACE_PART_LM] = {'L', 173},         [ACE_PART_TEXT] = {'T', 179},
    [ACE_PART_VAE_ENCODER] = {'E', 73}, [ACE_PART_CONDITION] = {'C', 108},
    [ACE_PART_TOKENIZER] = {'K', 144},  [ACE_PART_DETOKENIZER] = {'Q', 150},
    [ACE_PART_DIT] = {'D', 68},         [ACE_PART_DIT_CONDITION] = {'D', 68},
    [ACE_PART_ADAPTERS] = {'A', 175},   [ACE_PART_VAE_DECODER] = {'V', 139},
    [ACE_BAND_WORK] = {'w', 247},       [ACE_BAND_OTHER] = {'o', 240},
    [ACE_BAND_DEVICE] = {'#', 243},
};

static int cell_at(const ace_picture *p, size_t bytes, int cells)
{
    return (int)((double)bytes / (double)p->scale * cells + 0.5);
}

void ace_band_paint(ace_lines *t, int band, int cells, bool colour)
{
    ink i = band < 0 ? (ink){' ', 0} : inks[band];
    if (cells <= 0) {
        return;
    }
    colour = colour && band >= 0;
    if (colour) {
        ace_lines_add(t, "\033[30;48;5;%dm", i.colour);
    }
    for (int c = 0; c < cells; c++) {
        ace_lines_add(t, "%c", i.letter);
    }
    if (colour) {
        ace_lines_add(t, "\033[0m");
    }
}

static void bar(ace_lines *t, const ace_picture *p, const ace_picture_stage *s, int cells,
                bool colour)
{
    size_t bytes = 0;
    int at = 0;
    for (int band = 0; band < ACE_BANDS; band++) {
        bytes += s->band[band];
        int end = cell_at(p, bytes, cells);
        ace_band_paint(t, band, end - at, colour);
        at = end;
    }
    int cap = cell_at(p, p->cap, cells);
    if (ace_picture_shows_cap(p) && cap >= at) {
        ace_lines_add(t, "%*s%s", cap - at, "", "|");
    }
    ace_lines_add(t, "\n");
}

void ace_picture_legend(ace_lines *t, const ace_picture *p, bool colour, bool upright)
{
    ace_lines_add(t, "\n");
    for (int band = 0; band < ACE_BANDS; band++) {
        if (ace_picture_has_band(p, band)) {
            ace_lines_add(t, "  ");
            ace_band_paint(t, band, 1, colour);
            ace_lines_add(t, " %s (%s)\n", ace_band_title(band), ace_band_code(band));
        }
    }
    char cap[24];
    ace_report_bytes(p->cap, cap, sizeof cap);
    if (ace_picture_shows_cap(p) && upright) {
        ace_lines_add(t, "  | %s: what the device has\n", cap);
    } else if (p->cap > 0 && !ace_picture_shows_cap(p)) {
        ace_lines_add(t, "  the device has %s, far beyond this picture\n", cap);
    }
}

char *acestep_plan_picture(const acestep_plan *plan, int columns, bool colour)
{
    ace_picture p;
    ace_lines t = {.text = NULL};
    ace_picture_of(plan, &p);
    int cells = columns - NAME_COLUMNS - AMOUNT_COLUMNS - 8;
    cells = cells < LEAST_CELLS ? LEAST_CELLS : cells > MOST_CELLS ? MOST_CELLS : cells;
    for (int i = 0; i < p.count; i++) {
        char amount[24];
        ace_report_bytes(p.stage[i].total, amount, sizeof amount);
        ace_lines_add(&t, "  %-*s %*s  ", NAME_COLUMNS, p.stage[i].name, AMOUNT_COLUMNS, amount);
        bar(&t, &p, &p.stage[i], cells, colour);
    }
    ace_picture_legend(&t, &p, colour, true);
    return ace_lines_take(&t);
}
