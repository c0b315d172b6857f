#define _DEFAULT_SOURCE /* sysconf(_SC_NPROCESSORS_ONLN) */
#include "base/host_memory.h"
#include "hardware/parts.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { TEXT_BYTES = 8192 };

/* The start of a file of /proc; "" when it cannot be read. */
static void read_text(const char *path, char *out, size_t room)
{
    out[0] = '\0';
    FILE *f = fopen(path, "r");
    if (f != NULL) {
        size_t n = fread(out, 1, room - 1, f);
        out[n] = '\0';
        (void)fclose(f);
    }
}

void ace_hardware_host(ace_hardware *h)
{
    ace_host_memory memory = ace_host_memory_now();
    h->host_total_bytes = memory.total;
    h->host_available_bytes = memory.available;
    long cpus = sysconf(_SC_NPROCESSORS_ONLN);
    h->cpus = cpus > 0 ? (int)cpus : 1;
}

void ace_hardware_cpu_name(char *out, size_t room)
{
    char text[TEXT_BYTES];
    read_text("/proc/cpuinfo", text, sizeof text);
    const char *at = strstr(text, "model name");
    at = at != NULL ? strchr(at, ':') : NULL;
    if (at == NULL) {
        (void)snprintf(out, room, "CPU");
        return;
    }
    at += 1 + strspn(at + 1, " \t");
    (void)snprintf(out, room, "%.*s", (int)strcspn(at, "\n"), at);
}

bool ace_hardware_has_nvidia_files(void)
{
    return access("/dev/nvidiactl", F_OK) == 0 || access("/proc/driver/nvidia", F_OK) == 0;
}
