#include "base/host_memory.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { TEXT_BYTES = 2048 };

/* "MemTotal:   123 kB" */
static uint64_t line_of(const char *text, const char *name)
{
    const char *at = strstr(text, name);
    return at != NULL ? (uint64_t)strtoull(at + strlen(name), NULL, 10) << 10 : 0;
}

ace_host_memory ace_host_memory_now(void)
{
    char text[TEXT_BYTES] = "";
    FILE *f = fopen("/proc/meminfo", "r");
    if (f != NULL) {
        size_t n = fread(text, 1, sizeof text - 1, f);
        text[n] = '\0';
        (void)fclose(f);
    }
    return (ace_host_memory){line_of(text, "MemTotal:"), line_of(text, "MemAvailable:")};
}
