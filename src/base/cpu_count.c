#define _GNU_SOURCE
#include "base/cpu_count.h"

#include <limits.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { PATH_BYTES = 1024, LINE_BYTES = 512 };

static int at_least_one(long long n)
{
    return n < 1 ? 1 : n > INT_MAX ? INT_MAX : (int)n;
}

static int smaller(int a, int b)
{
    return a < b ? a : b;
}

/* The first line of a file; false: no such file, or a name too long to be one. */
static bool read_line(char line[LINE_BYTES], const char *root, const char *directory,
                      const char *name)
{
    char path[PATH_BYTES];
    int length = snprintf(path, sizeof path, "%s%s/%s", root, directory, name);
    if (length < 0 || (size_t)length >= sizeof path) {
        return false;
    }
    FILE *f = fopen(path, "r");
    if (f == NULL) {
        return false;
    }
    bool ok = fgets(line, LINE_BYTES, f) != NULL;
    (void)fclose(f);
    return ok;
}

/* ---- cores ----------------------------------------------------------------------------------- */

/* The lowest allowed CPU of a list as the kernel writes it ("0-1,64"); `otherwise` if none is. */
static long first_allowed(const char *list, const ace_cpu_mask *mask, long otherwise)
{
    for (const char *at = list;;) {
        char *end;
        long first = strtol(at, &end, 10);
        if (end == at) {
            return otherwise;
        }
        long last = *end == '-' ? strtol(end + 1, &end, 10) : first;
        for (long cpu = first; cpu >= 0 && cpu <= last && cpu < ACE_CPUS_MOST; cpu++) {
            if (mask->allowed[cpu]) {
                return cpu;
            }
        }
        if (*end != ',') {
            return otherwise;
        }
        at = end + 1;
    }
}

/* Where the kernel says nothing about siblings every CPU is a core. */
static int count_cores(const char *root, const ace_cpu_mask *mask)
{
    int cores = 0;
    for (int cpu = 0; cpu < ACE_CPUS_MOST; cpu++) {
        if (!mask->allowed[cpu]) {
            continue;
        }
        char directory[64];
        char list[LINE_BYTES];
        (void)snprintf(directory, sizeof directory, "/sys/devices/system/cpu/cpu%d/topology", cpu);
        bool known = read_line(list, root, directory, "thread_siblings_list");
        cores += !known || first_allowed(list, mask, cpu) == cpu;
    }
    return cores;
}

/* ---- quotas ---------------------------------------------------------------------------------- */

static int cpus_of_quota(long long quota, long long period)
{
    if (quota <= 0 || period <= 0) {
        return INT_MAX;
    }
    return at_least_one(quota / period + (quota % period != 0));
}

/* Of one cgroup of version 2: "QUOTA PERIOD", where QUOTA may be the word max. */
static int quota_v2(const char *root, const char *directory)
{
    char line[LINE_BYTES];
    long long quota;
    long long period;
    bool limited = read_line(line, root, directory, "cpu.max") &&
                   sscanf(line, "%lld %lld", &quota, &period) == 2;
    return limited ? cpus_of_quota(quota, period) : INT_MAX;
}

/* Of one cgroup of version 1; a quota of -1 is none. */
static int quota_v1(const char *root, const char *directory)
{
    char quota[LINE_BYTES];
    char period[LINE_BYTES];
    bool limited = read_line(quota, root, directory, "cpu.cfs_quota_us") &&
                   read_line(period, root, directory, "cpu.cfs_period_us");
    return limited ? cpus_of_quota(strtoll(quota, NULL, 10), strtoll(period, NULL, 10)) : INT_MAX;
}

/* The least quota of a cgroup and of those above it. A container may see the path its host knows,
 * while only its own cgroup is mounted: then the walk up ends at that one. */
static int least_quota(const char *root, const char *mount, const char *group,
                       int (*quota_of)(const char *root, const char *directory))
{
    char path[PATH_BYTES];
    int length = snprintf(path, sizeof path, "%s%s", mount, group);
    if (length < 0 || (size_t)length >= sizeof path || strstr(group, "..") != NULL) {
        return quota_of(root, mount); /* outside of what is mounted */
    }
    int least = INT_MAX;
    for (;;) {
        least = smaller(least, quota_of(root, path));
        char *slash = strrchr(path + strlen(mount), '/');
        if (slash == NULL) {
            return least;
        }
        *slash = '\0';
    }
}

/* Whether a list of version 1 controllers ("cpu,cpuacct") has the one for CPU time. */
static bool has_cpu_controller(const char *list)
{
    while (*list != '\0') {
        size_t length = strcspn(list, ",");
        if (length == 3 && strncmp(list, "cpu", 3) == 0) {
            return true;
        }
        list += length + (list[length] == ',');
    }
    return false;
}

/* A line of /proc/self/cgroup: "ID:CONTROLLERS:PATH"; version 2 has no controllers there. Changes
 * the line. */
static int quota_of_line(const char *root, char *line)
{
    char *controllers = strchr(line, ':');
    char *group = controllers != NULL ? strchr(controllers + 1, ':') : NULL;
    if (group == NULL) {
        return INT_MAX;
    }
    *controllers++ = '\0';
    *group++ = '\0';
    group[strcspn(group, "\n")] = '\0';
    if (*controllers == '\0') {
        int alone = least_quota(root, "/sys/fs/cgroup", group, quota_v2);
        return smaller(alone, least_quota(root, "/sys/fs/cgroup/unified", group, quota_v2));
    }
    if (!has_cpu_controller(controllers)) {
        return INT_MAX;
    }
    int least = least_quota(root, "/sys/fs/cgroup/cpu", group, quota_v1);
    return smaller(least, least_quota(root, "/sys/fs/cgroup/cpu,cpuacct", group, quota_v1));
}

static int cgroup_quota(const char *root)
{
    char path[PATH_BYTES];
    char line[PATH_BYTES];
    int length = snprintf(path, sizeof path, "%s/proc/self/cgroup", root);
    if (length < 0 || (size_t)length >= sizeof path) {
        return INT_MAX;
    }
    FILE *f = fopen(path, "r");
    if (f == NULL) { /* no /proc: the file of the only cgroup there may be */
        return quota_v2(root, "/sys/fs/cgroup");
    }
    int least = INT_MAX;
    while (fgets(line, sizeof line, f) != NULL) {
        least = smaller(least, quota_of_line(root, line));
    }
    (void)fclose(f);
    return least;
}

/* ---- both ------------------------------------------------------------------------------------ */

int ace_cpu_count_at(const char *root, const ace_cpu_mask *mask)
{
    return at_least_one(smaller(count_cores(root, mask), cgroup_quota(root)));
}

int ace_cpu_count(void)
{
    ace_cpu_mask mask = {{false}};
    cpu_set_t set[ACE_CPUS_MOST / CPU_SETSIZE]; /* some kernels refuse less than they have */
    if (sched_getaffinity(0, sizeof set, set) == 0) {
        for (size_t cpu = 0; cpu < ACE_CPUS_MOST; cpu++) {
            mask.allowed[cpu] = CPU_ISSET_S(cpu, sizeof set, set);
        }
    } else {
        long online = sysconf(_SC_NPROCESSORS_ONLN);
        for (long cpu = 0; cpu < online && cpu < ACE_CPUS_MOST; cpu++) {
            mask.allowed[cpu] = true;
        }
    }
    return ace_cpu_count_at("", &mask);
}
