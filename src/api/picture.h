/* What a plan's stages hold on the device, as bands to be stacked: the common part of the picture
 * in a terminal and the picture in a file. */
#ifndef ACE_API_PICTURE_H
#define ACE_API_PICTURE_H

#include "api/api.h"
#include "api/lines.h"

/* Bands: the parts of the models, then these. Both parts of the diffusion transformer are in
 * ACE_PART_DIT. */
enum {
    ACE_BAND_WORK = ACE_PARTS, /* the stage's own arena */
    ACE_BAND_OTHER,            /* models that the record does not name */
    ACE_BAND_DEVICE,           /* the device's own workspace */
    ACE_BANDS
};

typedef struct ace_picture_stage {
    const char *name;
    size_t band[ACE_BANDS]; /* bytes at the stage's peak; they add up to total */
    size_t total;
} ace_picture_stage;

typedef struct ace_picture {
    ace_picture_stage stage[ACE_MAX_STAGES];
    int count;
    size_t peak;  /* the largest total */
    size_t cap;   /* of the device; 0: none */
    size_t scale; /* bytes at the upper end: the cap, or a little more than the peak where the cap
                     is so far away that nothing could be seen */
} ace_picture;

void ace_picture_of(const acestep_plan *plan, ace_picture *out);
/* From peak and cap. */
void ace_picture_set_scale(ace_picture *p);
bool ace_picture_shows_cap(const ace_picture *p);
bool ace_picture_has_band(const ace_picture *p, int band);
/* The band that a part of the models is drawn as. */
int ace_band_of(int part);
/* So many cells of a terminal in the band's letter; a band below 0: blank. */
void ace_band_paint(ace_lines *t, int band, int cells, bool colour);
/* A line for each band of the picture, and one for the cap, which is a `|` where it stands upright. */
void ace_picture_legend(ace_lines *t, const ace_picture *p, bool colour, bool upright);
const char *ace_band_code(int band);  /* "DD", "work" */
const char *ace_band_title(int band); /* "diffusion transformer" */

/* Pieces of both pictures in files: the opening tag with a title and the styles, text with the characters
 * that mean something to XML replaced, the scale on the left, the cap, and what the colours mean. */
typedef struct ace_svg_frame {
    int left, top, width, height; /* of the field that bytes are drawn in, pixels */
    int legend;                   /* its width, right of the field */
    int below;                    /* room under the field */
} ace_svg_frame;

void ace_svg_begin(ace_lines *t, const ace_svg_frame *f, const char *title, const char *model);
void ace_svg_text(ace_lines *t, const char *text);
const char *ace_band_colour(int band); /* "#4a78b5" */
double ace_svg_pixels(const ace_svg_frame *f, const ace_picture *p, size_t bytes);
void ace_svg_scale(ace_lines *t, const ace_svg_frame *f, const ace_picture *p);
void ace_svg_cap(ace_lines *t, const ace_svg_frame *f, const ace_picture *p);
void ace_svg_legend(ace_lines *t, const ace_svg_frame *f, const ace_picture *p);

#endif
