/* Monotonic time in seconds. */
#ifndef ACE_BASE_CLOCK_H
#define ACE_BASE_CLOCK_H

double ace_clock_seconds(void);

#endif
