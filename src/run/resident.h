/* The most memory this process had in RAM, over a stretch of time. Linux; elsewhere it is not
 * known. */
#ifndef ACE_RUN_RESIDENT_H
#define ACE_RUN_RESIDENT_H

#include <stddef.h>

/* Starts a stretch. Where the system does not allow that, a stretch is the whole life of the
 * process. */
void ace_resident_restart(void);
/* Bytes; 0: not known. */
size_t ace_resident_peak(void);

#endif
