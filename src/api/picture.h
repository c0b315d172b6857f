/* What a plan's stages hold on the device, as bands to be stacked: the common part of the picture
 * in a terminal and the picture in a file. */
#ifndef ACE_API_PICTURE_H
#define ACE_API_PICTURE_H

#include "api/api.h"

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
bool ace_picture_shows_cap(const ace_picture *p);
bool ace_picture_has_band(const ace_picture *p, int band);
const char *ace_band_code(int band);  /* "DD", "work" */
const char *ace_band_title(int band); /* "diffusion transformer" */

#endif
