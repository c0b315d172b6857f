/* A device for the kernel check whose tensors are host memory, while another device computes: every
 * operation copies what it reads and writes to that device and the result back. Behind and before
 * each copied tensor lie guard bytes there, which must stay as they are. Packed matrices stay on
 * the device. */
#ifndef TESTS_CUDA_MIRROR_DEVICE_H
#define TESTS_CUDA_MIRROR_DEVICE_H

#include "device/device.h"

/* inner is borrowed and must outlive it. */
ace_device *mirror_device_open(ace_device *inner);
/* What has gone wrong since the last call: "" or a message, static storage. */
const char *mirror_device_complaint(ace_device *mirror);

#endif
