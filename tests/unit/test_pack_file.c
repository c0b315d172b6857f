/* Packed images on disk: what comes back is what was written, or nothing. */
#define _DEFAULT_SOURCE
#include "base/cache_folder.h"
#include "base/memory.h"
#include "run/pack_cache.h"
#include "support/temporary_folder.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

enum { IMAGE = 3 * ACE_PACK_CHUNK + 12345 };

typedef struct bench {
    char folder[TEMPORARY_FOLDER_BYTES];
    char path[128];
    ace_pool *pool;
    unsigned char *image, *back;
} bench;

static const ace_digest key = {0x0123456789abcdef, 42};

static int set_up(void **state)
{
    bench *b = calloc(1, sizeof *b);
    temporary_folder_make(b->folder);
    (void)snprintf(b->path, sizeof b->path, "%s/x%s", b->folder, ACE_PACK_SUFFIX);
    assert_int_equal(ace_pool_create(2, &b->pool, NULL), ACESTEP_OK);
    b->image = malloc(IMAGE);
    b->back = malloc(IMAGE);
    uint32_t seed = 1;
    for (size_t i = 0; i < IMAGE; i++) {
        seed = seed * 1664525u + 1013904223u;
        b->image[i] = (unsigned char)(seed >> 24);
    }
    *state = b;
    return 0;
}

static int tear_down(void **state)
{
    bench *b = *state;
    temporary_folder_remove(b->folder);
    ace_pool_free(b->pool);
    free(b->image);
    free(b->back);
    free(b);
    return 0;
}

static void write_whole(const bench *b)
{
    const ace_pack_piece whole = {b->image, IMAGE};
    assert_int_equal(ace_pack_file_write(b->path, key, &whole, 1, b->pool, NULL), ACESTEP_OK);
}

static ace_pack_found read_whole(const bench *b, ace_digest k, ace_error *err)
{
    const ace_pack_piece whole = {b->back, IMAGE};
    memset(b->back, 0, IMAGE);
    return ace_pack_file_read(b->path, k, &whole, 1, b->pool, err);
}

static void images_come_back(void **state)
{
    const bench *b = *state;
    assert_int_equal(read_whole(b, key, NULL), ACE_PACK_ABSENT);
    write_whole(b);
    assert_int_equal(read_whole(b, key, NULL), ACE_PACK_FOUND);
    assert_memory_equal(b->back, b->image, IMAGE);
    struct stat st;
    assert_int_equal(stat(b->path, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
    assert_int_equal(st.st_size, ace_pack_header_bytes(IMAGE) + IMAGE);
}

/* However it is cut, on either side: the file is the same. */
static void pieces_make_no_difference(void **state)
{
    const bench *b = *state;
    static const size_t cuts[][4] = {{100, 64, 0, 0},
                                     {ACE_PACK_CHUNK, ACE_PACK_CHUNK, 1, 0},
                                     {ACE_PACK_CHUNK - 1, 2, ACE_PACK_CHUNK + 777, 5}};
    for (size_t c = 0; c < 3; c++) {
        ace_pack_piece from[5], to[5];
        size_t at = 0;
        for (int i = 0; i < 5; i++) {
            size_t bytes = i < 4 ? cuts[c][i] : IMAGE - at;
            from[i] = (ace_pack_piece){b->image + at, bytes};
            to[i] = (ace_pack_piece){i == 1 ? NULL : b->back + at, bytes};
            at += bytes;
        }
        assert_int_equal(ace_pack_file_write(b->path, key, from, 5, b->pool, NULL), ACESTEP_OK);
        assert_int_equal(read_whole(b, key, NULL), ACE_PACK_FOUND);
        assert_memory_equal(b->back, b->image, IMAGE);
        memset(b->back, 0, IMAGE);
        assert_int_equal(ace_pack_file_read(b->path, key, to, 5, b->pool, NULL), ACE_PACK_FOUND);
        memcpy(b->back + cuts[c][0], b->image + cuts[c][0], cuts[c][1]);
        assert_memory_equal(b->back, b->image, IMAGE);
        for (size_t i = 0; i < cuts[c][1]; i++) { /* the unwanted piece was left alone */
            b->back[cuts[c][0] + i] = 0;
        }
    }
}

static void flip(const char *path, off_t at)
{
    int fd = open(path, O_RDWR);
    unsigned char byte = 0;
    assert_int_equal(pread(fd, &byte, 1, at), 1);
    byte ^= 0x10;
    assert_int_equal(pwrite(fd, &byte, 1, at), 1);
    (void)close(fd);
}

static void damage_is_found(void **state)
{
    const bench *b = *state;
    const off_t header = (off_t)ace_pack_header_bytes(IMAGE);
    write_whole(b);
    for (off_t at = 0; at < header + IMAGE; at += at < 80 ? 1 : at < header ? 97 : 65521) {
        ace_error err = {.code = ACESTEP_OK};
        flip(b->path, at);
        assert_int_equal(read_whole(b, key, &err), ACE_PACK_BAD);
        assert_null(strchr(err.message, '\n'));
        flip(b->path, at);
    }
    assert_int_equal(read_whole(b, key, NULL), ACE_PACK_FOUND);
    assert_int_equal(read_whole(b, (ace_digest){key.low, 43}, NULL), ACE_PACK_BAD);
    const off_t lengths[] = {header + IMAGE + 1, header + IMAGE - 1, header, header - 1, 48, 47, 0};
    for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++) {
        assert_int_equal(truncate(b->path, lengths[i]), 0);
        assert_int_equal(read_whole(b, key, NULL), ACE_PACK_BAD);
    }
}

/* Not through links, and nothing but plain files. */
static void foreign_things_are_not_read(void **state)
{
    const bench *b = *state;
    char other[160];
    (void)snprintf(other, sizeof other, "%s/other", b->folder);
    write_whole(b);
    assert_int_equal(rename(b->path, other), 0);
    assert_int_equal(symlink(other, b->path), 0);
    assert_int_equal(read_whole(b, key, NULL), ACE_PACK_ABSENT);
    assert_int_equal(unlink(b->path), 0);
    assert_int_equal(mkfifo(b->path, 0600), 0);
    assert_int_equal(read_whole(b, key, NULL), ACE_PACK_ABSENT);
    assert_int_equal(unlink(b->path), 0);
    assert_int_equal(mkdir(b->path, 0700), 0);
    assert_int_equal(read_whole(b, key, NULL), ACE_PACK_ABSENT);
}

static void failed_writes_leave_nothing(void **state)
{
    const bench *b = *state;
    ace_error err = {.code = ACESTEP_OK};
    const ace_pack_piece whole = {b->image, IMAGE};
    ace_cache_entry *list = NULL;
    size_t n = 0;
    assert_int_equal(ace_pack_file_write("/nowhere/x", key, &whole, 1, b->pool, &err), ACESTEP_IO);
    assert_true(strstr(err.message, "/nowhere/x") != NULL);
    assert_int_equal(mkdir(b->path, 0700), 0); /* cannot be replaced by a file */
    assert_int_equal(ace_pack_file_write(b->path, key, &whole, 1, b->pool, NULL), ACESTEP_IO);
    assert_int_equal(ace_cache_folder_list(b->folder, "", &list, &n, NULL), ACESTEP_OK);
    assert_int_equal(n, 0);
    ace_free(list);
}

static void short_memory_is_survived(void **state)
{
    const bench *b = *state;
    const ace_pack_piece whole = {b->image, IMAGE};
    uint64_t live = ace_memory_live();
    write_whole(b);
    for (uint64_t n = 1; n <= 2; n++) {
        ace_memory_fail_at(n);
        assert_int_equal(read_whole(b, key, NULL), ACE_PACK_ABSENT);
        ace_memory_fail_at(n);
        assert_int_equal(ace_pack_file_write(b->path, key, &whole, 1, b->pool, NULL),
                         ACESTEP_MEMORY);
    }
    ace_memory_fail_at(0);
    assert_int_equal(ace_memory_live(), live);
    assert_int_equal(read_whole(b, key, NULL), ACE_PACK_FOUND);
}

static void absurd_sizes_are_refused(void **state)
{
    (void)state;
    assert_int_equal(ace_pack_header_bytes(0), 0);
    assert_int_equal(ace_pack_header_bytes(UINT64_MAX), 0);
    assert_int_equal(ace_pack_header_bytes(1), ACE_PACK_ALIGNMENT);
}

/* ---- the folder ------------------------------------------------------------------------------ */

static void put(const char *folder, const char *name, size_t bytes, time_t used)
{
    char path[200];
    (void)snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *f = fopen(path, "wb");
    assert_non_null(f);
    for (size_t i = 0; i < bytes; i++) {
        (void)fputc('x', f);
    }
    (void)fclose(f);
    const struct timeval times[2] = {{.tv_sec = used}, {.tv_sec = used}};
    assert_int_equal(utimes(path, times), 0);
}

static void the_oldest_go_first(void **state)
{
    const bench *b = *state;
    time_t now = time(NULL);
    put(b->folder, "a.acepack", 100, 3000);
    put(b->folder, "b.acepack", 200, 1000);
    put(b->folder, "c.acepack", 300, 2000);
    put(b->folder, "mine.txt", 400, 500);
    put(b->folder, "d.acepack.1-2.part", 5, now - 7200);
    put(b->folder, "e.acepack.1-2.part", 5, now);
    ace_cache_entry *list = NULL;
    size_t n = 0;
    assert_int_equal(ace_cache_folder_trim(b->folder, ".acepack", 600), 600);
    assert_int_equal(ace_cache_folder_trim(b->folder, ".acepack", 450), 400);
    assert_int_equal(ace_cache_folder_list(b->folder, ".acepack", &list, &n, NULL), ACESTEP_OK);
    assert_int_equal(n, 2);
    assert_string_equal(list[0].name, "c.acepack");
    assert_string_equal(list[1].name, "a.acepack");
    assert_int_equal(list[0].bytes, 300);
    ace_free(list);
    assert_int_equal(ace_cache_folder_trim(b->folder, ".acepack", 0), 0);
    assert_int_equal(ace_cache_folder_list(b->folder, "", &list, &n, NULL), ACESTEP_OK);
    assert_int_equal(n, 2); /* somebody's text, and what is being written */
    ace_free(list);
}

static void folders_of_others_are_not_used(void **state)
{
    const bench *b = *state;
    char base[100], path[ACE_CACHE_PATH_BYTES];
    struct stat st;
    ace_error err = {.code = ACESTEP_OK};
    (void)snprintf(base, sizeof base, "%s/deep/cache", b->folder);
    assert_int_equal(ace_cache_folder_open(base, "packed", path, NULL), ACESTEP_OK);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0700);
    assert_int_equal(ace_cache_folder_open(base, "packed", path, NULL), ACESTEP_OK);
    assert_int_equal(chmod(path, 0777), 0);
    assert_int_equal(ace_cache_folder_open(base, "packed", path, &err), ACESTEP_IO);
    assert_true(strstr(err.message, "others") != NULL);
    assert_int_equal(chmod(path, 0700), 0);
    assert_int_equal(chmod(base, 0770), 0);
    assert_int_equal(ace_cache_folder_open(base, "packed", path, NULL), ACESTEP_IO);
    assert_int_equal(ace_cache_folder_open("", "packed", path, NULL), ACESTEP_IO);
    (void)snprintf(base, sizeof base, "%s/file", b->folder);
    put(b->folder, "file", 1, 1000);
    assert_int_equal(ace_cache_folder_open(base, "packed", path, NULL), ACESTEP_IO);
    char long_base[ACE_CACHE_PATH_BYTES];
    memset(long_base, 'x', sizeof long_base - 1);
    long_base[sizeof long_base - 1] = '\0';
    assert_int_equal(ace_cache_folder_open(long_base, "packed", path, NULL), ACESTEP_IO);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(images_come_back, set_up, tear_down),
        cmocka_unit_test_setup_teardown(pieces_make_no_difference, set_up, tear_down),
        cmocka_unit_test_setup_teardown(damage_is_found, set_up, tear_down),
        cmocka_unit_test_setup_teardown(foreign_things_are_not_read, set_up, tear_down),
        cmocka_unit_test_setup_teardown(failed_writes_leave_nothing, set_up, tear_down),
        cmocka_unit_test_setup_teardown(short_memory_is_survived, set_up, tear_down),
        cmocka_unit_test(absurd_sizes_are_refused),
        cmocka_unit_test_setup_teardown(the_oldest_go_first, set_up, tear_down),
        cmocka_unit_test_setup_teardown(folders_of_others_are_not_used, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
