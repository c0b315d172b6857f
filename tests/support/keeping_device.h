/* A device that keeps steps (device.h), in front of another that computes: what is recorded is
 * remembered operation by operation, and run when the step ends and whenever it comes again. As on
 * a card, host memory is read when a recording runs and never while it is made. */
#ifndef TESTS_SUPPORT_KEEPING_DEVICE_H
#define TESTS_SUPPORT_KEEPING_DEVICE_H

#include "device/device.h"

typedef struct keeping_counts {
    int issued, recorded, replayed, forgotten;
} keeping_counts;

/* inner is closed with it. */
ace_device *keeping_device_open(ace_device *inner);
keeping_counts keeping_device_counts(const ace_device *d);
/* The next n recordings cannot be kept. */
void keeping_device_refuse(ace_device *d, int n);

#endif
