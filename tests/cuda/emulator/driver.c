/* The functions of the driver's library that say what cards there are, for the program
 * (src/hardware/nvidia.c) and the plug-in (reservation.c). */
#include "runtime.h"

#include <stdio.h>

enum { WELL = 0, INVALID = 1, CAPABILITY_MAJOR = 75, CAPABILITY_MINOR = 76, VIRTUAL_MEMORY = 102 };

int cuInit(unsigned flags);
int cuDeviceGetCount(int *count);
int cuDeviceGet(int *device, int ordinal);
int cuDeviceGetName(char *name, int room, int device);
int cuDeviceTotalMem_v2(size_t *bytes, int device);
int cuDeviceGetAttribute(int *value, int attribute, int device);

int cuInit(unsigned flags)
{
    (void)flags;
    return WELL;
}

int cuDeviceGetCount(int *count)
{
    *count = ace_emulator_cards();
    return WELL;
}

int cuDeviceGet(int *device, int ordinal)
{
    *device = ordinal;
    return ordinal >= 0 && ordinal < ace_emulator_cards() ? WELL : INVALID;
}

int cuDeviceGetName(char *name, int room, int device)
{
    (void)device;
    (void)snprintf(name, (size_t)room, ACE_EMULATOR_NAME);
    return WELL;
}

int cuDeviceTotalMem_v2(size_t *bytes, int device)
{
    (void)device;
    *bytes = ace_emulator_total();
    return WELL;
}

int cuDeviceGetAttribute(int *value, int attribute, int device)
{
    (void)device;
    if (attribute == CAPABILITY_MAJOR) {
        *value = ace_emulator_capability() / 10;
    } else if (attribute == CAPABILITY_MINOR) {
        *value = ace_emulator_capability() % 10;
    } else if (attribute == VIRTUAL_MEMORY) {
        *value = ace_emulator_setting("ACE_EMULATOR_VMM", 1) != 0;
    } else {
        return INVALID;
    }
    return WELL;
}
