/* What detect.c asks: the host, and the NVIDIA driver. */
#ifndef ACE_HARDWARE_PARTS_H
#define ACE_HARDWARE_PARTS_H

#include "hardware/hardware.h"

/* The pure half of detection: h holds cards, driver and host; fills in everything else. */
void ace_hardware_choose(const ace_hardware_wishes *wishes, ace_hardware *h);

/* Memory and CPUs of the host, from /proc. */
void ace_hardware_host(ace_hardware *h);
void ace_hardware_cpu_name(char *out, size_t room);

/* Cards that the driver shows; sets driver and gpu[]. Without a driver nothing happens. */
void ace_hardware_nvidia(ace_hardware *h);
/* Device files of a card whose driver does not answer. */
bool ace_hardware_has_nvidia_files(void);

#endif
