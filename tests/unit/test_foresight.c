/* What is foreseen gets into the system's page cache, from files and from mappings, and stopping
 * leaves nothing behind. ACE_TEST_MB: the size of the file, to see what it is worth. */
#define _DEFAULT_SOURCE /* mincore */
#include "base/clock.h"
#include "base/memory.h"
#include "run/foresight.h"
#include "run/pack_file.h"
#include "support/temporary_folder.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

static const ace_digest key = {7, 8};

typedef struct file {
    char folder[TEMPORARY_FOLDER_BYTES];
    char path[100];
    ace_pool *pool;
    unsigned char *image;
    size_t bytes;
    int fd;
    const unsigned char *mapped;
    size_t size;
} file;

static int set_up(void **state)
{
    const char *mb = getenv("ACE_TEST_MB");
    file *f = calloc(1, sizeof *f);
    temporary_folder_make(f->folder);
    (void)snprintf(f->path, sizeof f->path, "%s/image", f->folder);
    f->bytes = (size_t)(mb != NULL ? atoi(mb) : 24) << 20;
    f->image = malloc(f->bytes);
    assert_non_null(f->image);
    for (size_t i = 0; i < f->bytes; i++) {
        f->image[i] = (unsigned char)(i * 2654435761u >> 13);
    }
    const ace_pack_piece whole = {f->image, f->bytes};
    assert_int_equal(ace_pool_create(2, &f->pool, NULL), ACESTEP_OK);
    assert_int_equal(ace_pack_file_write(f->path, key, &whole, 1, f->pool, NULL), ACESTEP_OK);
    f->fd = open(f->path, O_RDONLY);
    assert_true(f->fd >= 0);
    f->size = (size_t)lseek(f->fd, 0, SEEK_END);
    void *map = mmap(NULL, f->size, PROT_READ, MAP_SHARED, f->fd, 0);
    assert_true(map != MAP_FAILED);
    f->mapped = map;
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    file *f = *state;
    (void)munmap((void *)(uintptr_t)f->mapped, f->size);
    (void)close(f->fd);
    ace_pool_free(f->pool);
    temporary_folder_remove(f->folder);
    free(f->image);
    free(f);
    return 0;
}

static double resident(const file *f)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    size_t n = (f->size + page - 1) / page;
    unsigned char *there = calloc(n, 1);
    size_t count = 0;
    assert_non_null(there);
    assert_int_equal(mincore((void *)(uintptr_t)f->mapped, f->size, there), 0);
    for (size_t i = 0; i < n; i++) {
        count += there[i] & 1;
    }
    free(there);
    return (double)count / (double)n;
}

/* False where the file system keeps its files in memory. */
static bool evict(const file *f)
{
    (void)fsync(f->fd);
    (void)posix_fadvise(f->fd, 0, 0, POSIX_FADV_DONTNEED);
    return resident(f) < 0.1;
}

/* Reading goes on after it was asked for. */
static bool becomes_resident(const file *f)
{
    const struct timespec moment = {.tv_nsec = 10000000};
    for (int i = 0; i < 3000 && resident(f) < 0.999; i++) {
        (void)nanosleep(&moment, NULL);
    }
    return resident(f) >= 0.999;
}

static double read_back(const file *f)
{
    unsigned char *back = malloc(f->bytes);
    const ace_pack_piece whole = {back, f->bytes};
    assert_non_null(back);
    memset(back, 0, f->bytes); /* the pages of the memory are there */
    double start = ace_clock_seconds();
    assert_int_equal(ace_pack_file_read(f->path, key, &whole, 1, f->pool, NULL), ACE_PACK_FOUND);
    double seconds = ace_clock_seconds() - start;
    assert_memory_equal(back, f->image, f->bytes);
    free(back);
    return seconds;
}

static void pages_are_read_ahead(void **state)
{
    const file *f = *state;
    if (!evict(f)) {
        skip();
    }
    double cold = read_back(f);
    for (int mapped = 0; mapped < 2; mapped++) {
        ace_foresight ahead = {.n = 0};
        assert_true(evict(f));
        if (mapped) {
            ace_foresight_add_mapped(&ahead, f->mapped, f->size);
            ace_foresight_add_mapped(&ahead, f->mapped, f->size); /* once is enough */
        } else {
            ace_foresight_add_file(&ahead, f->path);
        }
        assert_int_equal(ahead.n, 1);
        ace_foresight_start(&ahead, SIZE_MAX);
        ace_foresight_finish(&ahead);
        assert_true(becomes_resident(f));
        double warm = read_back(f);
        if (getenv("ACE_TEST_MB") != NULL) {
            printf("%zu MB: %.3f s cold, %.3f s foreseen\n", f->bytes >> 20, cold, warm);
        }
    }
}

/* Of what does not fit, the first part is asked for: a fifth here, and what the system reads ahead
 * behind it. */
static void no_more_than_may_be(void **state)
{
    const file *f = *state;
    ace_foresight ahead = {.n = 0};
    if (!evict(f)) {
        skip();
    }
    ace_foresight_add_file(&ahead, f->path);
    ace_foresight_add_mapped(&ahead, f->mapped, f->size);
    ace_foresight_start(&ahead, f->size / 5);
    ace_foresight_finish(&ahead);
    const struct timespec moment = {.tv_nsec = 10000000};
    for (int i = 0; i < 3000 && resident(f) < 0.19; i++) {
        (void)nanosleep(&moment, NULL);
    }
    assert_true(resident(f) >= 0.19);
    assert_true(resident(f) < 0.6);
}

static void stopping_leaves_nothing(void **state)
{
    const file *f = *state;
    ace_foresight ahead = {.n = 0};
    uint64_t before = ace_memory_live();
    ace_foresight_stop(&ahead);
    for (int i = 0; i < ACE_FORESIGHT_ITEMS + 3; i++) {
        ace_foresight_add_file(&ahead, i % 2 == 0 ? f->path : "/nowhere/at/all");
    }
    assert_int_equal(ahead.n, ACE_FORESIGHT_ITEMS);
    ace_foresight_start(&ahead, SIZE_MAX);
    ace_foresight_stop(&ahead);
    ace_foresight_stop(&ahead);
    assert_int_equal(ahead.n, 0);
    ace_memory_fail_at(1);
    ace_foresight_add_file(&ahead, f->path);
    ace_memory_fail_at(0);
    assert_int_equal(ahead.n, 0);
    ace_foresight_start(&ahead, SIZE_MAX);
    ace_foresight_stop(&ahead);
    assert_int_equal(ace_memory_live(), before);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pages_are_read_ahead),
        cmocka_unit_test(no_more_than_may_be),
        cmocka_unit_test(stopping_leaves_nothing),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
