/* Latents as files: what is written is read; what is none is refused, and nothing of it kept. */
#define _DEFAULT_SOURCE /* truncate */
#include "base/little_endian.h"
#include "base/memory.h"
#include "run/latents_file.h"
#include "run/reference_latents.h"
#include "support/temporary_folder.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static char folder[TEMPORARY_FOLDER_BYTES];
static char path[TEMPORARY_FOLDER_BYTES + 32];

static int begin(void **state)
{
    (void)state;
    temporary_folder_make(folder);
    (void)snprintf(path, sizeof path, "%s/song.latents", folder);
    return 0;
}

static int finish(void **state)
{
    (void)state;
    temporary_folder_remove(folder);
    return 0;
}

static ace_array some(int64_t rows, int64_t cols)
{
    ace_array a;
    ace_error err = {.code = ACESTEP_OK};
    assert_int_equal(ace_array_create(rows, cols, &a, &err), ACESTEP_OK);
    for (int64_t i = 0; i < rows * cols; i++) {
        a.values[i] = (float)(i % 37 - 18) / 7.0f;
    }
    return a;
}

static void assert_refused(const void *bytes, size_t n, int64_t channels, const char *words)
{
    ace_array a;
    ace_error err = {.code = ACESTEP_OK};
    uint64_t live = ace_memory_live();
    assert_int_equal(ace_latents_parse(bytes, n, channels, "x.latents", &a, &err), ACESTEP_AUDIO);
    assert_null(a.values);
    assert_int_equal(a.rows, 0);
    assert_int_equal(ace_memory_live(), live);
    if (strstr(err.message, words) == NULL || strstr(err.message, "x.latents") == NULL) {
        fail_msg("\"%s\" is not in: %s", words, err.message);
    }
}

static void what_is_written_is_read(void **state)
{
    (void)state;
    ace_error err = {.code = ACESTEP_OK};
    ace_array a = some(11, 8);
    ace_array b;
    a.values[3] = -0.0f;
    a.values[4] = 1e-42f; /* smaller than any normal number */
    assert_int_equal(ace_latents_write(path, &a, &err), ACESTEP_OK);
    assert_int_equal(ace_latents_read(path, 8, &b, &err), ACESTEP_OK);
    assert_int_equal(b.rows, 11);
    assert_int_equal(b.cols, 8);
    assert_memory_equal(a.values, b.values, 11 * 8 * sizeof(float));
    ace_array_free(&b);
    assert_int_equal(ace_latents_read(path, 4, &b, &err), ACESTEP_OK); /* nobody can tell */
    assert_int_equal(b.rows, 22);
    ace_array_free(&b);
    ace_array_free(&a);
}

static void bytes_are_in_order(void **state)
{
    (void)state;
    static const unsigned char two[] = {0, 0, 0x80, 0x3f, 0, 0, 0x20, 0xc0};
    ace_array a;
    ace_error err = {.code = ACESTEP_OK};
    assert_int_equal(ace_latents_parse(two, sizeof two, 2, "x", &a, &err), ACESTEP_OK);
    assert_true(a.values[0] == 1.0f && a.values[1] == -2.5f);
    ace_array_free(&a);
}

static void what_is_no_latents_is_refused(void **state)
{
    (void)state;
    unsigned char frame[64] = {0};
    assert_refused(frame, 0, 8, "0 bytes");
    assert_refused(frame, 31, 8, "frames of 8 floats");
    assert_refused(frame, 36, 8, "frames of 8 floats");
    static const uint32_t none[] = {
        0x7fc00000u, 0xff800000u, 0x7f800000u, 0x7f800001u, 0x447a0001u /* the next after 1000 */,
        0x7f7fffffu};
    for (size_t i = 0; i < sizeof none / sizeof *none; i++) {
        ace_put_u32(frame + 36, none[i]);
        assert_refused(frame, 64, 8, "number 9");
    }
    ace_array a;
    ace_error err = {.code = ACESTEP_OK};
    ace_put_u32(frame + 36, 0xc47a0000u); /* -1000 */
    assert_int_equal(ace_latents_parse(frame, 64, 8, "x", &a, &err), ACESTEP_OK);
    ace_array_free(&a);
}

static void the_longest_song_is_the_most(void **state)
{
    (void)state;
    ace_error err = {.code = ACESTEP_OK};
    ace_array a = some(ACE_LATENTS_MOST_FRAMES + 1, 1);
    ace_array b;
    size_t n = (size_t)ACE_LATENTS_MOST_FRAMES * sizeof(float);
    assert_int_equal(ace_latents_parse((unsigned char *)a.values, n, 1, "x", &b, &err), ACESTEP_OK);
    ace_array_free(&b);
    assert_refused(a.values, n + sizeof(float), 1, "more than 15000");
    ace_array_free(&a);
}

/* A terabyte of holes is refused by its size, before a byte of it is read. */
static void huge_files_cost_nothing(void **state)
{
    (void)state;
    ace_array a;
    ace_error err = {.code = ACESTEP_OK};
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    (void)fclose(f);
    if (truncate(path, (off_t)1 << 40) == 0) {
        assert_int_equal(ace_latents_read(path, 64, &a, &err), ACESTEP_AUDIO);
    }
    assert_int_equal(truncate(path, 0), 0);
    assert_int_not_equal(ace_latents_read(path, 64, &a, &err), ACESTEP_OK);
    assert_null(a.values);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(ace_latents_read(path, 64, &a, &err), ACESTEP_IO);
}

/* Frame r of `rows` holds r, and each row of its cut says where it comes from. */
static void assert_cut(int64_t rows, double u, const int64_t starts[3])
{
    const double draws[] = {u, u, u};
    ace_array in;
    ace_array out;
    assert_int_equal(ace_array_create(rows, 2, &in, NULL), ACESTEP_OK);
    for (int64_t r = 0; r < rows; r++) {
        in.values[2 * r] = (float)r;
        in.values[2 * r + 1] = -(float)r;
    }
    assert_int_equal(ace_reference_latents_cut(&in, 750, draws, &out, NULL), ACESTEP_OK);
    assert_int_equal(out.rows, 750);
    assert_int_equal(out.cols, 2);
    for (int64_t r = 0; r < 750; r++) {
        float expected = (float)((starts[r / 250] + r % 250) % rows);
        assert_true(out.values[2 * r] == expected && out.values[2 * r + 1] == -expected);
    }
    ace_array_free(&in);
    ace_array_free(&out);
}

static void a_reference_is_cut_as_its_sound_would_be(void **state)
{
    (void)state;
    static const double last = 0.9999999999;
    assert_cut(750, last, (int64_t[]){0, 250, 500}); /* as it is */
    assert_cut(3000, 0, (int64_t[]){0, 1000, 2000});
    assert_cut(3000, last, (int64_t[]){750, 1750, 2750});
    assert_cut(500, 0, (int64_t[]){0, 333, 666}); /* twice */
    assert_cut(1, last, (int64_t[]){0, 250, 500});
    ace_array in;
    ace_array out;
    const double draws[] = {0, 0, 0};
    assert_int_equal(ace_array_create(5, 2, &in, NULL), ACESTEP_OK);
    memset(in.values, 0, 10 * sizeof *in.values);
    assert_int_equal(ace_reference_latents_cut(&in, 7, draws, &out, NULL), ACESTEP_OK);
    assert_int_equal(out.rows, 7); /* no multiple of three */
    ace_array_free(&out);
    ace_memory_fail_at(1);
    assert_int_equal(ace_reference_latents_cut(&in, 7, draws, &out, NULL), ACESTEP_MEMORY);
    ace_memory_fail_at(0);
    ace_array_free(&in);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, finish)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(what_is_written_is_read),       TEST(bytes_are_in_order),
        TEST(what_is_no_latents_is_refused), TEST(the_longest_song_is_the_most),
        TEST(huge_files_cost_nothing),       TEST(a_reference_is_cut_as_its_sound_would_be),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
