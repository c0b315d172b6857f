/* How many threads to start, on machines made of files. */
#define _XOPEN_SOURCE 700 /* nftw */
#include "base/cpu_count.h"

#include <ftw.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#define CGROUP "/sys/fs/cgroup"

static char root[64];

static int remove_entry(const char *path, const struct stat *info, int type, struct FTW *place)
{
    (void)info;
    (void)type;
    (void)place;
    return remove(path);
}

static int new_machine(void **state)
{
    (void)state;
    (void)snprintf(root, sizeof root, "/tmp/acestep-cpus-%ld", (long)getpid());
    return mkdir(root, 0700);
}

static int remove_machine(void **state)
{
    (void)state;
    return nftw(root, remove_entry, 8, FTW_DEPTH | FTW_PHYS);
}

/* A file below the root, with the directories above it. */
static void put(const char *path, const char *text)
{
    char full[256];
    (void)snprintf(full, sizeof full, "%s%s", root, path);
    for (char *at = full + strlen(root) + 1; (at = strchr(at, '/')) != NULL; at++) {
        *at = '\0';
        (void)mkdir(full, 0700);
        *at = '/';
    }
    FILE *f = fopen(full, "w");
    assert_non_null(f);
    assert_true(fputs(text, f) >= 0);
    assert_int_equal(fclose(f), 0);
}

static void put_siblings(int cpu, const char *list)
{
    char path[128];
    (void)snprintf(path, sizeof path, "/sys/devices/system/cpu/cpu%d/topology/thread_siblings_list",
                   cpu);
    put(path, list);
}

/* CPUs first … last are allowed. */
static int count(int first, int last)
{
    ace_cpu_mask mask = {{false}};
    for (int cpu = first; cpu <= last; cpu++) {
        mask.allowed[cpu] = true;
    }
    return ace_cpu_count_at(root, &mask);
}

static void nothing_known_counts_the_mask(void **state)
{
    (void)state;
    assert_int_equal(count(0, 7), 8);
    assert_int_equal(count(3, 3), 1);
    assert_int_equal(count(0, ACE_CPUS_MOST - 1), ACE_CPUS_MOST);
    ace_cpu_mask none = {{false}};
    assert_int_equal(ace_cpu_count_at(root, &none), 1);
}

/* As servers number them: 0-3 are cores, 4-7 their second threads. */
static void siblings_count_once(void **state)
{
    (void)state;
    for (int cpu = 0; cpu < 8; cpu++) {
        char list[16];
        (void)snprintf(list, sizeof list, "%d,%d\n", cpu % 4, cpu % 4 + 4);
        put_siblings(cpu, list);
    }
    assert_int_equal(count(0, 7), 4);
    assert_int_equal(count(0, 3), 4);
    assert_int_equal(count(4, 7), 4); /* their siblings are not ours */
    assert_int_equal(count(2, 5), 4); /* 2, 3, 0's and 1's second ones */
    assert_int_equal(count(3, 7), 4); /* 3 and 7 share */
}

/* As desktops do: neighbours share; some cores have one thread; four threads; nonsense. */
static void lists_have_ranges(void **state)
{
    (void)state;
    put_siblings(0, "0-1\n");
    put_siblings(1, "0-1\n");
    put_siblings(2, "2\n");
    put_siblings(3, "3-5,7\n");
    put_siblings(4, "3-5,7\n");
    put_siblings(5, "3-5,7\n");
    put_siblings(7, "3-5,7\n");
    put_siblings(6, "what\n");
    put_siblings(8, "\n");
    put_siblings(9, "9-99999999999999999999,\n");
    assert_int_equal(count(0, 9), 6);
    assert_int_equal(count(4, 7), 2);
}

static void version_2_takes_the_least_up_the_tree(void **state)
{
    (void)state;
    put("/proc/self/cgroup", "0::/slice/unit.scope\n");
    put(CGROUP "/slice/unit.scope/cpu.max", "max 100000\n");
    assert_int_equal(count(0, 15), 16);
    put(CGROUP "/slice/cpu.max", "600000 100000\n");
    assert_int_equal(count(0, 15), 6);
    assert_int_equal(count(0, 3), 4); /* the mask is less */
    put(CGROUP "/slice/unit.scope/cpu.max", "150000 100000\n");
    assert_int_equal(count(0, 15), 2); /* one and a half */
    put(CGROUP "/cpu.max", "10000 100000\n");
    assert_int_equal(count(0, 15), 1);
}

/* The container sees its host's path, and its own cgroup at the mount. */
static void container_without_a_namespace(void **state)
{
    (void)state;
    put("/proc/self/cgroup", "0::/docker/0123456789abcdef\n");
    put(CGROUP "/cpu.max", "300000 100000\n");
    assert_int_equal(count(0, 15), 3);
    put("/proc/self/cgroup", "0::/../../elsewhere\n");
    assert_int_equal(count(0, 15), 3);
}

static void version_1(void **state)
{
    (void)state;
    put("/proc/self/cgroup", "12:memory:/m\n4:cpu,cpuacct:/job/step\n2:cpuset:/x\n0::/\n");
    put(CGROUP "/cpu,cpuacct/job/step/cpu.cfs_quota_us", "-1\n");
    put(CGROUP "/cpu,cpuacct/job/step/cpu.cfs_period_us", "100000\n");
    assert_int_equal(count(0, 15), 16);
    put(CGROUP "/cpu,cpuacct/job/cpu.cfs_quota_us", "200000\n");
    put(CGROUP "/cpu,cpuacct/job/cpu.cfs_period_us", "50000\n");
    assert_int_equal(count(0, 15), 4);
    put(CGROUP "/cpu/job/step/cpu.cfs_quota_us", "100000\n");
    put(CGROUP "/cpu/job/step/cpu.cfs_period_us", "100000\n");
    assert_int_equal(count(0, 15), 1);
}

/* Version 1 for CPU time, version 2 beside it for other things; cpuset alone is no quota. */
static void both_versions(void **state)
{
    (void)state;
    put("/proc/self/cgroup", "1:cpu:/\n2:cpuset:/\n0::/user\n");
    put(CGROUP "/cpuset/cpu.cfs_quota_us", "100000\n");
    put(CGROUP "/cpuset/cpu.cfs_period_us", "100000\n");
    assert_int_equal(count(0, 15), 16);
    put(CGROUP "/cpu/cpu.cfs_quota_us", "500000\n");
    put(CGROUP "/cpu/cpu.cfs_period_us", "100000\n");
    assert_int_equal(count(0, 15), 5);
    put(CGROUP "/unified/user/cpu.max", "400000 100000\n");
    assert_int_equal(count(0, 15), 4);
}

static void strange_files_change_nothing(void **state)
{
    (void)state;
    char text[4096];
    memset(text, 'x', sizeof text - 1);
    text[sizeof text - 1] = '\0';
    put("/proc/self/cgroup", text);
    assert_int_equal(count(0, 3), 4);
    memcpy(text, "0::/", 4);
    put("/proc/self/cgroup", text);
    assert_int_equal(count(0, 3), 4);
    put("/proc/self/cgroup", "no colon\n:\n::\n0::\n");
    put(CGROUP "/cpu.max", "-5 100000\n");
    assert_int_equal(count(0, 3), 4);
    put(CGROUP "/cpu.max", "100000 0\n");
    assert_int_equal(count(0, 3), 4);
    put(CGROUP "/cpu.max", "99999999999999999999 1\n");
    assert_int_equal(count(0, 3), 4);
    put(CGROUP "/cpu.max", "");
    assert_int_equal(count(0, 3), 4);
}

static void this_machine_has_some(void **state)
{
    (void)state;
    int cores = ace_cpu_count();
    assert_in_range(cores, 1, sysconf(_SC_NPROCESSORS_CONF));
}

#define ON_A_NEW_MACHINE(test) cmocka_unit_test_setup_teardown(test, new_machine, remove_machine)

int main(void)
{
    const struct CMUnitTest tests[] = {
        ON_A_NEW_MACHINE(nothing_known_counts_the_mask),
        ON_A_NEW_MACHINE(siblings_count_once),
        ON_A_NEW_MACHINE(lists_have_ranges),
        ON_A_NEW_MACHINE(version_2_takes_the_least_up_the_tree),
        ON_A_NEW_MACHINE(container_without_a_namespace),
        ON_A_NEW_MACHINE(version_1),
        ON_A_NEW_MACHINE(both_versions),
        ON_A_NEW_MACHINE(strange_files_change_nothing),
        cmocka_unit_test(this_machine_has_some),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
