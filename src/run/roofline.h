/* The roofline (Williams, Waterman, Patterson 2009): work can be no faster than the unit that
 * computes it, nor than memory hands over what it reads. */
#ifndef ACE_RUN_ROOFLINE_H
#define ACE_RUN_ROOFLINE_H

#include "cpu/peak.h"

enum { ACE_ROOF_MEMORY = ACE_PEAKS, ACE_ROOFS }; /* those before are ace_peak */

/* What the machine can do at the most, the best of some measurements: other programs only ever make
 * it look slower. Zeros: not known. */
typedef struct ace_roofline {
    ace_cpu_peaks peaks;
    double bandwidth; /* bytes per second, of reading memory */
} ace_roofline;

const char *ace_roof_name(int roof); /* ace_peak_name, or "memory" */

void ace_roofline_raise(ace_roofline *best, const ace_roofline *found);
/* Arithmetic alone: a third of a second, no memory. */
void ace_roofline_measure_units(ace_device *cpu, ace_roofline *best);
/* Memory too; it takes half a gigabyte. card: where it is not NULL, what is measured instead, which
 * takes some seconds and up to a gigabyte or two of its memory. MEMORY leaves *best as it was. */
ace_status ace_roofline_measure(ace_device *cpu, ace_device *card, ace_roofline *best,
                                ace_error *err);

/* Seconds that the work takes at the least; bytes: that must be moved. *roof: what holds it back. */
double ace_roofline_seconds(const ace_roofline *limits, ace_peak unit, double flops, double bytes,
                            int *roof);

#endif
