/* The middle of a list of numbers, in linear time on the average. */
#ifndef ACE_SAMPLE_MEDIAN_H
#define ACE_SAMPLE_MEDIAN_H

#include <stdint.h>

/* Of n ≥ 1 numbers, none of them NaN; the mean of the two middle ones when n is even. Rearranges
 * the list. */
float ace_median(float *values, int64_t n);

#endif
