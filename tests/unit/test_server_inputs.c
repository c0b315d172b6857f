/* Which files a request may name. */
#define _DEFAULT_SOURCE /* symlink */
#include "base/memory.h"
#include "server/jobs.h"
#include "server/server.h"
#include "server/server_options.h"
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

static char folder[TEMPORARY_FOLDER_BYTES];

static void make_file(const char *name)
{
    char path[512];
    (void)snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    fclose(f);
}

static void make_folder(const char *name)
{
    char path[512];
    (void)snprintf(path, sizeof path, "%s/%s", folder, name);
    assert_int_equal(mkdir(path, 0700), 0);
}

/* In a folder: music/a.wav, music/link → ../secret.wav, secret.wav, musical/b.wav,
 * data/uploads/u_…/audio */
static void only_uploads_songs_and_allowed_folders(void **state)
{
    (void)state;
    static const char id[] = "u_01m8fzsqhm5mvmts0npt";
    char path[256];
    char data[256];
    make_folder("music");
    make_folder("musical");
    make_folder("data");
    make_folder("data/uploads");
    (void)snprintf(path, sizeof path, "data/uploads/%s", id);
    make_folder(path);
    (void)snprintf(path, sizeof path, "data/uploads/%s/audio", id);
    make_file(path);
    static const char latents[] = "u_01m8fzsqhm5mvmts0npz";
    (void)snprintf(path, sizeof path, "data/uploads/%s", latents);
    make_folder(path);
    (void)snprintf(path, sizeof path, "data/uploads/%s/latents", latents);
    make_file(path);
    make_file("music/a.wav");
    make_file("musical/b.wav");
    make_file("secret.wav");
    make_folder("data/audio");
    make_file("data/audio/audio");
    (void)snprintf(path, sizeof path, "%s/music/link", folder);
    assert_int_equal(symlink("../secret.wav", path), 0);

    ace_server_options options;
    assert_int_equal(ace_server_options_init(&options, NULL), ACESTEP_OK);
    (void)snprintf(path, sizeof path, "/nowhere:%s/music", folder);
    assert_int_equal(ace_server_options_set(&options, "allowed-path", path, NULL), ACESTEP_OK);
    (void)snprintf(data, sizeof data, "%s/data", folder);
    ace_server server = {.data_folder = data, .options = &options};

    ace_jobs_options jobs = {.folder = data, .server = &server};
    assert_int_equal(ace_jobs_open(&jobs, &server.jobs, NULL), ACESTEP_OK);

    char *found = NULL;
    assert_int_equal(ace_server_input_path(&server, id, &found, NULL), ACESTEP_OK);
    ace_free(found);
    assert_int_equal(ace_server_latents_path(&server, latents, &found, NULL), ACESTEP_OK);
    ace_free(found);
    /* one kind is not the other */
    assert_int_equal(ace_server_latents_path(&server, id, &found, NULL), ACESTEP_ARGUMENT);
    assert_int_equal(ace_server_input_path(&server, latents, &found, NULL), ACESTEP_ARGUMENT);
    (void)snprintf(path, sizeof path, "%s/music/../music/a.wav", folder);
    assert_int_equal(ace_server_input_path(&server, path, &found, NULL), ACESTEP_OK);
    assert_null(strstr(found, ".."));
    ace_free(found);

    static const char *const within[] = {"music/link", "musical/b.wav",       "secret.wav",
                                         "music",      "music/../secret.wav", "music/none.wav"};
    for (size_t i = 0; i < sizeof within / sizeof *within; i++) {
        (void)snprintf(path, sizeof path, "%s/%s", folder, within[i]);
        if (ace_server_input_path(&server, path, &found, NULL) != ACESTEP_ARGUMENT &&
            strcmp(within[i], "music") != 0) {
            fail_msg("%s may be read", within[i]);
        }
    }
    static const char *const elsewhere[] = {"",
                                            "/etc/passwd",
                                            "u_",
                                            "u_/../../audio",
                                            "u_01m8fzsqhm5mvmts0np",
                                            "u_/../audio",
                                            "j_",
                                            "j_/0",
                                            "j_1",
                                            "j_1/x",
                                            "a.wav",
                                            "./a.wav",
                                            "../x",
                                            "u_01m8fzsqhm5mvmts0npu"};
    for (size_t i = 0; i < sizeof elsewhere / sizeof *elsewhere; i++) {
        ace_error err = {.code = ACESTEP_OK};
        if (ace_server_input_path(&server, elsewhere[i], &found, &err) != ACESTEP_ARGUMENT) {
            fail_msg("\"%s\" may be read", elsewhere[i]);
        }
        assert_null(found);
        assert_non_null(strstr(err.message, "no upload"));
        if (ace_server_latents_path(&server, elsewhere[i], &found, &err) != ACESTEP_ARGUMENT ||
            found != NULL) {
            fail_msg("\"%s\" may be read as latents", elsewhere[i]);
        }
    }
    ace_jobs_close(server.jobs);
    ace_server_options_release(&options);
    assert_int_equal(ace_memory_live(), 0);
}

static int make(void **state)
{
    (void)state;
    temporary_folder_make(folder);
    return 0;
}

static int drop(void **state)
{
    (void)state;
    temporary_folder_remove(folder);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(only_uploads_songs_and_allowed_folders)};
    return cmocka_run_group_tests(tests, make, drop);
}
