/* Where checkpoints are kept, and when a set counts as complete. */
#include "acestep/store.h"
#include "store/folder.h"
#include "store/manifest.h"
#include "store/part.h"
#include "store/tensors.h"
#include "support/temporary_folder.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#define TENSORS "{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]}}"

static char folder[TEMPORARY_FOLDER_BYTES];

static int set_up(void **state)
{
    (void)state;
    temporary_folder_make(folder);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    temporary_folder_remove(folder);
    return 0;
}

static void write_file(const char *set, const char *name, const void *data, size_t bytes)
{
    char path[256];
    (void)snprintf(path, sizeof path, "%s/%s", folder, set);
    (void)mkdir(path, 0777);
    (void)snprintf(path, sizeof path, "%s/%s/%s", folder, set, name);
    FILE *f = fopen(path, "wb");
    assert_non_null(f);
    assert_int_equal(fwrite(data, 1, bytes, f), bytes);
    assert_int_equal(fclose(f), 0);
}

/* A safetensors file whose one tensor has 8 bytes, and `extra` bytes more or fewer. */
static void write_tensors(const char *set, const char *name, int extra)
{
    char data[128] = {0};
    size_t header = strlen(TENSORS);
    data[0] = (char)header;
    memcpy(data + 8, TENSORS, header);
    write_file(set, name, data, (size_t)((int)(8 + header + 8) + extra));
}

static ace_store_found look(const char *set)
{
    ace_store_found found;
    ace_store_set_look(folder, set, &found);
    return found;
}

static void the_folder(void **state)
{
    char out[ACE_STORE_FOLDER_BYTES];
    char longest[2 * ACE_STORE_FOLDER_BYTES];
    (void)state;
    setenv("HOME", "/home/x", 1);
    setenv("XDG_DATA_HOME", "/data/", 1);
    setenv("ACESTEP_MODELS", "/models//", 1);
    assert_int_equal(ace_store_folder_resolve("here/", out, NULL), ACESTEP_OK);
    assert_string_equal(out, "here");
    assert_int_equal(ace_store_folder_resolve("/", out, NULL), ACESTEP_OK);
    assert_string_equal(out, "/");
    assert_int_equal(ace_store_folder_resolve(NULL, out, NULL), ACESTEP_OK);
    assert_string_equal(out, "/models");
    unsetenv("ACESTEP_MODELS");
    assert_int_equal(ace_store_folder_resolve("", out, NULL), ACESTEP_OK);
    assert_string_equal(out, "/data//acestep/models");
    setenv("XDG_DATA_HOME", "relative", 1); /* the specification: to be ignored */
    assert_int_equal(ace_store_folder_resolve(NULL, out, NULL), ACESTEP_OK);
    assert_string_equal(out, "/home/x/.local/share/acestep/models");
    unsetenv("HOME");
    assert_int_equal(ace_store_folder_resolve(NULL, out, NULL), ACESTEP_ARGUMENT);
    memset(longest, 'x', sizeof longest - 1);
    longest[sizeof longest - 1] = '\0';
    assert_int_equal(ace_store_folder_resolve(longest, out, NULL), ACESTEP_ARGUMENT);
}

static void without_a_manifest(void **state)
{
    (void)state;
    assert_int_equal(look("m").state, ACE_STORE_ABSENT);
    write_file("m", "config.json", "{}", 2);
    assert_int_equal(look("m").state, ACE_STORE_PARTIAL);
    write_tensors("m", "model.safetensors", 0);
    assert_int_equal(look("m").state, ACE_STORE_COMPLETE);
    for (int extra = -1; extra <= 1; extra += 2) {
        write_tensors("m", "model.safetensors", extra);
        assert_int_equal(look("m").state, ACE_STORE_DAMAGED);
        assert_non_null(strstr(look("m").reason, "model.safetensors"));
    }
    write_tensors("m", "model.safetensors", 0);
    write_file("m", "model.safetensors.part", "x", 1);
    assert_int_equal(look("m").state, ACE_STORE_PARTIAL);
}

static void one_gguf_file(void **state)
{
    (void)state;
    write_file("g-Q8_0", "other.gguf", "GGUF", 4);
    assert_int_equal(look("g-Q8_0").state, ACE_STORE_PARTIAL);
    write_file("g-Q8_0", "g-Q8_0.gguf", "GGUF\3", 5);
    assert_int_equal(look("g-Q8_0").state, ACE_STORE_COMPLETE);
    static const char pointer[] = "version https://git-lfs.github.com/spec/v1\n";
    for (size_t bytes = 0; bytes < sizeof pointer; bytes += sizeof pointer - 1) {
        write_file("g-Q8_0", "g-Q8_0.gguf", pointer, bytes);
        assert_int_equal(look("g-Q8_0").state, ACE_STORE_DAMAGED);
        assert_non_null(strstr(look("g-Q8_0").reason, "g-Q8_0.gguf"));
    }
}

static void shards(void **state)
{
    static const char index[] =
        "{\"weight_map\": {\"a\": \"1.safetensors\", \"b\": \"2.safetensors\"}}";
    (void)state;
    write_file("m", "config.json", "{}", 2);
    write_file("m", "model.safetensors.index.json", index, sizeof index - 1);
    write_tensors("m", "1.safetensors", 0);
    assert_int_equal(look("m").state, ACE_STORE_PARTIAL);
    assert_non_null(strstr(look("m").reason, "2.safetensors"));
    write_tensors("m", "2.safetensors", 0);
    assert_int_equal(look("m").state, ACE_STORE_COMPLETE);
    write_tensors("m", "2.safetensors", -1);
    assert_int_equal(look("m").state, ACE_STORE_DAMAGED);
    write_file("m", "model.safetensors.index.json", "{\"weight_map\": {\"a\": \"../x\"}}", 29);
    assert_int_equal(look("m").state, ACE_STORE_DAMAGED);
    write_file("m", "model.safetensors.index.json", "{", 1);
    assert_int_equal(look("m").state, ACE_STORE_DAMAGED);
}

static void with_a_manifest(void **state)
{
    const ace_store_set *set = ace_store_set_find("vae");
    ace_store_files files = {.n = 2, .revision = "main"};
    ace_store_files back;
    bool found = false;
    (void)state;
    strcpy(files.file[0].name, "config.json");
    files.file[0].bytes = 2;
    strcpy(files.file[1].name, "x.safetensors");
    files.file[1].bytes = 16 + strlen(TENSORS);
    write_file("vae", "config.json", "{}", 2);
    write_tensors("vae", "x.safetensors", 0);
    int fd = ace_store_set_open(folder, "vae", false);
    assert_true(fd >= 0);
    assert_int_equal(ace_store_manifest_write(fd, set, "huggingface", true, &files, NULL),
                     ACESTEP_OK);
    assert_int_equal(look("vae").state, ACE_STORE_PARTIAL); /* under way */
    assert_int_equal(ace_store_manifest_write(fd, set, "huggingface", false, &files, NULL),
                     ACESTEP_OK);
    assert_int_equal(look("vae").state, ACE_STORE_PARTIAL);
    ace_store_manifest_remove(fd, true);
    assert_int_equal(look("vae").state, ACE_STORE_COMPLETE);
    assert_string_equal(look("vae").revision, "main");
    assert_int_equal(ace_store_manifest_read(fd, "vae", false, &back, &found, NULL), ACESTEP_OK);
    assert_true(found);
    assert_memory_equal(&back.file[1], &files.file[1], sizeof back.file[1]);
    write_tensors("vae", "x.safetensors", 1);
    assert_int_equal(look("vae").state, ACE_STORE_DAMAGED);
    assert_int_equal(unlinkat(fd, "x.safetensors", 0), 0);
    assert_int_equal(look("vae").state, ACE_STORE_PARTIAL);
    (void)close(fd);
}

static void what_a_part_belongs_to(void **state)
{
    ace_store_file file = {.name = "x.json", .bytes = 9};
    char etag[ACE_STORE_ETAG_BYTES];
    (void)state;
    int fd = ace_store_set_open(folder, "vae", true);
    assert_false(ace_store_part_etag(fd, &file, "https://a", etag));
    ace_store_part_remember(fd, &file, "https://a", "\"tag\"");
    assert_true(ace_store_part_etag(fd, &file, "https://a", etag));
    assert_string_equal(etag, "\"tag\"");
    assert_false(ace_store_part_etag(fd, &file, "https://b", etag)); /* another host's tags */
    file.bytes = 10;
    assert_false(ace_store_part_etag(fd, &file, "https://a", etag)); /* another content */
    file.bytes = 9;
    file.sha256[0] = '1';
    assert_false(ace_store_part_etag(fd, &file, "https://a", etag));
    file.sha256[0] = '\0';
    ace_store_part_remember(fd, &file, "https://a", "");
    assert_false(ace_store_part_etag(fd, &file, "https://a", etag));
    (void)close(fd);
}

static void ready_for_a_song(void **state)
{
    static const char *const sets[] = {"vae", "Qwen3-Embedding-0.6B", "acestep-v15-mine"};
    (void)state;
    for (size_t i = 0; i < 3; i++) {
        assert_false(acestep_store_ready(folder));
        write_file(sets[i], "config.json", "{}", 2);
        write_tensors(sets[i], i == 0 ? "diffusion_pytorch_model.safetensors" : "model.safetensors",
                      0);
    }
    assert_true(acestep_store_ready(folder));
    write_tensors("vae", "diffusion_pytorch_model.safetensors", -1);
    assert_false(acestep_store_ready(folder));
}

static void room(void **state)
{
    char deep[256];
    (void)state;
    (void)snprintf(deep, sizeof deep, "%s/not/there/yet", folder);
    assert_true(ace_store_folder_room(deep) > 0);
    assert_true(ace_store_folder_room("not/there/yet") > 0);
    assert_true(ace_store_folder_room("/not/there") > 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_folder),
        cmocka_unit_test_setup_teardown(without_a_manifest, set_up, tear_down),
        cmocka_unit_test_setup_teardown(one_gguf_file, set_up, tear_down),
        cmocka_unit_test_setup_teardown(shards, set_up, tear_down),
        cmocka_unit_test_setup_teardown(with_a_manifest, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_a_part_belongs_to, set_up, tear_down),
        cmocka_unit_test_setup_teardown(ready_for_a_song, set_up, tear_down),
        cmocka_unit_test_setup_teardown(room, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
