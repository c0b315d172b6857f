#define _DEFAULT_SOURCE /* sysconf(_SC_NPROCESSORS_ONLN) */
#include "hardware/parts.h"

#include <stdio.h>
#include <stdlib.h>
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

/* "MemTotal:   123 kB" */
static uint64_t memory_line(const char *text, const char *name)
{
    const char *at = strstr(text, name);
    return at != NULL ? (uint64_t)strtoull(at + strlen(name), NULL, 10) << 10 : 0;
}

void ace_hardware_host(ace_hardware *h)
{
    char text[TEXT_BYTES];
    read_text("/proc/meminfo", text, sizeof text);
    h->host_total_bytes = memory_line(text, "MemTotal:");
    h->host_available_bytes = memory_line(text, "MemAvailable:");
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
