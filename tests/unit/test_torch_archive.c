/* silence_latent.pt: found through the zip directory, turned to [frames, channels]; damage is
 * refused. */
#include "base/file_map.h"
#include "base/memory.h"
#include "support/golden.h"
#include "support/hostile.h"
#include "weights/torch_archive.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

enum { CHANNELS = 8 }; /* of the recorded models */

/* ---- an archive written here ----------------------------------------------------------------- */

typedef struct archive {
    unsigned char data[1024];
    size_t bytes;
    size_t central; /* where the directory begins */
} archive;

static void put(archive *a, uint64_t value, size_t bytes)
{
    assert_true(a->bytes + bytes <= sizeof a->data);
    for (size_t i = 0; i < bytes; i++) {
        a->data[a->bytes++] = (unsigned char)(value >> (8 * i));
    }
}

static void put_bytes(archive *a, const void *data, size_t n)
{
    assert_true(a->bytes + n <= sizeof a->data);
    memcpy(a->data + a->bytes, data, n);
    a->bytes += n;
}

/* The fields that both headers share, from the version needed on. */
static void put_fields(archive *a, size_t size, size_t name_bytes, size_t extra)
{
    put(a, 20, 2);
    put(a, 0, 2); /* flags */
    put(a, 0, 2); /* stored */
    put(a, 0, 4); /* time */
    put(a, 0, 4); /* checksum */
    put(a, size, 4);
    put(a, size, 4);
    put(a, name_bytes, 2);
    put(a, extra, 2);
}

static size_t put_entry(archive *a, const char *name, const void *data, size_t size)
{
    size_t at = a->bytes;
    put(a, 0x04034b50, 4);
    put_fields(a, size, strlen(name), 3);
    put_bytes(a, name, strlen(name));
    put(a, 0, 3); /* an extra field that the directory does not have */
    put_bytes(a, data, size);
    return at;
}

static void put_directory_entry(archive *a, const char *name, size_t size, size_t offset)
{
    put(a, 0x02014b50, 4);
    put(a, 20, 2);
    put_fields(a, size, strlen(name), 0);
    put(a, 0, 2); /* comment */
    put(a, 0, 2); /* disk */
    put(a, 0, 2); /* internal attributes */
    put(a, 0, 4); /* external attributes */
    put(a, offset, 4);
    put_bytes(a, name, strlen(name));
}

static archive make_archive(const char *name, const void *data, size_t size)
{
    archive a = {.bytes = 0};
    size_t pickle = put_entry(&a, "archive/data.pkl", "\x80\x02.", 3);
    size_t numbers = put_entry(&a, name, data, size);
    a.central = a.bytes;
    put_directory_entry(&a, "archive/data.pkl", 3, pickle);
    put_directory_entry(&a, name, size, numbers);
    size_t length = a.bytes - a.central;
    put(&a, 0x06054b50, 4);
    put(&a, 0, 4);
    put(&a, 2, 2);
    put(&a, 2, 2);
    put(&a, length, 4);
    put(&a, a.central, 4);
    put(&a, 0, 2); /* comment */
    return a;
}

static ace_status read_archive(const unsigned char *data, size_t bytes, ace_error *err)
{
    const unsigned char *entry = NULL;
    size_t n = 0;
    ace_status status = ace_torch_archive_find(data, bytes, "image", &entry, &n, err);
    if (status == ACESTEP_OK) {
        assert_true(entry >= data && n <= bytes && (size_t)(entry - data) <= bytes - n);
    }
    return status;
}

static void test_entry_is_found(void **state)
{
    (void)state;
    archive a = make_archive("archive/data/0", "numbers", 7);
    const unsigned char *entry = NULL;
    size_t n = 0;
    assert_int_equal(ace_torch_archive_find(a.data, a.bytes, "image", &entry, &n, NULL),
                     ACESTEP_OK);
    assert_int_equal(n, 7);
    assert_memory_equal(entry, "numbers", 7);
}

static void test_every_cut_is_an_error(void **state)
{
    (void)state;
    archive a = make_archive("archive/data/0", "numbers", 7);
    hostile_cut(read_archive, a.data, a.bytes);
}

static void test_every_changed_byte_is_survived(void **state)
{
    (void)state;
    archive a = make_archive("archive/data/0", "numbers", 7);
    hostile_change(read_archive, a.data, a.bytes);
}

static void assert_refused(const archive *a, const char *expected)
{
    ace_error err = {.code = ACESTEP_OK};
    assert_int_equal(read_archive(a->data, a->bytes, &err), ACESTEP_MODEL);
    if (strstr(err.message, expected) == NULL) {
        fail_msg("\"%s\" does not say \"%s\"", err.message, expected);
    }
}

static void test_hostile_archives(void **state)
{
    (void)state;
    archive a = make_archive("archive/data/1", "numbers", 7);
    assert_refused(&a, "no tensor in it");
    a = make_archive("archive/data/0", "numbers", 7);
    size_t second = a.central + 46 + strlen("archive/data.pkl");
    a.data[second + 10] = 8; /* deflated */
    assert_refused(&a, "compressed");
    a = make_archive("archive/data/0", "numbers", 7);
    memset(a.data + second + 20, 0xff, 8); /* both sizes */
    assert_refused(&a, "cut short");
    a = make_archive("archive/data/0", "numbers", 7);
    memset(a.data + second + 42, 0xff, 4); /* offset of the local header */
    assert_refused(&a, "points nowhere");
    a = make_archive("archive/data/0", "numbers", 7);
    memset(a.data + a.bytes - 6, 0xff, 4); /* offset of the directory */
    assert_refused(&a, "broken zip directory");
    a = make_archive("archive/data/0", "numbers", 7);
    a.data[a.bytes - 12] = 0xff; /* number of entries */
    a.data[second + 46] = 'x';
    a.data[second + 46 + 13] = '7';
    assert_refused(&a, "broken zip directory");
}

/* ---- the latent itself ----------------------------------------------------------------------- */

static void test_recorded_silence(void **state)
{
    (void)state;
    float *silence = NULL;
    int64_t frames = 0;
    ace_error err = {.code = ACESTEP_OK};
    const char *path = golden_path("acestep-v15-turbo/silence_latent.pt");
    if (ace_silence_latent_load(path, CHANNELS, &silence, &frames, &err) != ACESTEP_OK) {
        fail_msg("%s", err.message);
    }
    assert_int_equal(frames, 2000);
    ace_weights *w = NULL; /* the same numbers, not turned: [1, channels, frames] */
    assert_int_equal(
        ace_weights_open(golden_path("acestep-v15-turbo/silence_latent.safetensors"), &w, NULL),
        ACESTEP_OK);
    assert_int_equal(ace_weights_count(w), 1);
    const unsigned char *same = ace_weights_at(w, 0)->data;
    assert_int_equal(ace_weights_at(w, 0)->bytes, (size_t)frames * CHANNELS * sizeof(float));
    for (int64_t t = 0; t < frames; t++) {
        for (int64_t c = 0; c < CHANNELS; c++) {
            float expected = 0;
            memcpy(&expected, same + (size_t)(c * frames + t) * sizeof expected, sizeof expected);
            assert_true(silence[t * CHANNELS + c] == expected);
        }
    }
    ace_weights_close(w);
    ace_free(silence);
}

static void refuse_silence(const char *path, int64_t channels, const char *expected)
{
    float *silence = NULL;
    int64_t frames = 0;
    ace_error err = {.code = ACESTEP_OK};
    uint64_t live = ace_memory_live();
    assert_int_equal(ace_silence_latent_load(path, channels, &silence, &frames, &err),
                     ACESTEP_MODEL);
    assert_null(silence);
    if (strstr(err.message, expected) == NULL) {
        fail_msg("\"%s\" does not say \"%s\"", err.message, expected);
    }
    assert_int_equal(ace_memory_live(), live);
}

static void test_silence_of_another_model(void **state)
{
    (void)state;
    refuse_silence(golden_path("acestep-v15-turbo/silence_latent.pt"), 7, "[1, 7, frames]");
    refuse_silence("/nowhere/silence_latent.pt", CHANNELS, "/nowhere/silence_latent.pt");
}

static void test_silence_of_no_numbers(void **state)
{
    (void)state;
    char path[64];
    const float numbers[] = {1, NAN};
    archive a = make_archive("archive/data/0", numbers, sizeof numbers);
    (void)snprintf(path, sizeof path, "/tmp/ace_silence_%ld.pt", (long)getpid());
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(a.data, 1, a.bytes, file), a.bytes);
    assert_int_equal(fclose(file), 0);
    refuse_silence(path, 2, "NaN or infinity");
    assert_int_equal(unlink(path), 0);
}

static void test_shortage(void **state)
{
    (void)state;
    float *silence = NULL;
    int64_t frames = 0;
    ace_memory_fail_at(1);
    ace_status status = ace_silence_latent_load(golden_path("acestep-v15-turbo/silence_latent.pt"),
                                                CHANNELS, &silence, &frames, NULL);
    ace_memory_fail_at(0);
    assert_int_equal(status, ACESTEP_MEMORY);
    assert_null(silence);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_entry_is_found),
        cmocka_unit_test(test_every_cut_is_an_error),
        cmocka_unit_test(test_every_changed_byte_is_survived),
        cmocka_unit_test(test_hostile_archives),
        cmocka_unit_test(test_recorded_silence),
        cmocka_unit_test(test_silence_of_another_model),
        cmocka_unit_test(test_silence_of_no_numbers),
        cmocka_unit_test(test_shortage),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
