/* A device that only packs weights, into host memory, in the layout of another device: what a
 * loader leaves in its arena is the byte image of a component, to be written to the device as often
 * as needed. Loaded once more on the measure device at the device's address, the same loader gives
 * the tensors and matrices that point into the copy. */
#ifndef ACE_DEVICE_IMAGE_DEVICE_H
#define ACE_DEVICE_IMAGE_DEVICE_H

#include "device/device.h"

/* target is borrowed and must outlive it. Loaders reserve, upload and pack; the operations of the
 * table (linear … fill) are NULL. */
ace_status ace_image_device_open(ace_device *target, ace_device **out, ace_error *err);

#endif
