/* The portable truth: the same operations as the CPU device in plain loops, f64 accumulation, no
 * blocking and no threads. Slow on purpose. Every faster kernel is checked against it. */
#ifndef ACE_CPU_REFERENCE_DEVICE_H
#define ACE_CPU_REFERENCE_DEVICE_H

#include "device/device.h"

ace_status ace_reference_device_open(ace_device **out, ace_error *err);

#endif
