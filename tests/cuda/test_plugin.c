/* The loader of plug-ins, with plug-ins that are right and wrong in several ways. */
#include "base/memory.h"
#include "device/plugin.h"
#include "support/temporary_folder.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static char path[512];

static const char *variant(const char *name)
{
    (void)snprintf(path, sizeof path, "%s/%s", FAKE_PLUGINS, name);
    return path;
}

static void a_right_one_opens(void **state)
{
    (void)state;
    const ace_plugin *plugin = NULL;
    ace_device *device = NULL;
    const ace_plugin_options options = {.card = 3};
    ace_error err = {.code = ACESTEP_OK};
    for (int i = 0; i < 2; i++) { /* and once more */
        assert_int_equal(ace_plugin_load(variant("RIGHT"), "fake", &plugin, &err), ACESTEP_OK);
        assert_string_equal(plugin->name, "fake");
    }
    assert_int_equal(ace_plugin_open(plugin, &options, &device, &err), ACESTEP_OK);
    assert_string_equal(device->name, "fake card 3");
    ace_free(device);
}

static void wrong_ones_are_refused_with_a_reason(void **state)
{
    (void)state;
    char versions[96];
    (void)snprintf(versions, sizeof versions,
                   "version %d of the plug-in interface, this program version %d",
                   ACE_PLUGIN_ABI - 1, ACE_PLUGIN_ABI);
    const struct {
        const char *variant, *says;
    } cases[] = {
        {"OLD", versions},
        {"SIZES", "other structs"},
        {"OTHER", "is no plug-in for fake"},
        {"NAMELESS", "has no " ACE_PLUGIN_ENTRY},
        {"ABSENT", "has no libacestep_fake.so"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const ace_plugin *plugin = (const ace_plugin *)cases;
        ace_error err = {.code = ACESTEP_OK};
        assert_int_equal(ace_plugin_load(variant(cases[i].variant), "fake", &plugin, &err),
                         ACESTEP_UNSUPPORTED);
        assert_null(plugin);
        if (strstr(err.message, cases[i].says) == NULL) {
            fail_msg("%s: %s", cases[i].variant, err.message);
        }
    }
}

static void a_file_that_is_no_library(void **state)
{
    (void)state;
    const ace_plugin *plugin = NULL;
    ace_error err = {.code = ACESTEP_OK};
    char file[700];
    char folder[TEMPORARY_FOLDER_BYTES];
    temporary_folder_make(folder);
    (void)snprintf(file, sizeof file, "%s/libacestep_fake.so", folder);
    FILE *f = fopen(file, "w");
    assert_non_null(f);
    (void)fputs("not a library", f);
    assert_int_equal(fclose(f), 0);
    assert_int_equal(ace_plugin_load(folder, "fake", &plugin, &err), ACESTEP_UNSUPPORTED);
    assert_non_null(strstr(err.message, "cannot be loaded"));
    temporary_folder_remove(folder);
}

/* Nothing of that name lies beside the test program. */
static void where_it_is_looked_for_is_said(void **state)
{
    (void)state;
    const ace_plugin *plugin = NULL;
    ace_error err = {.code = ACESTEP_OK};
    assert_int_equal(ace_plugin_load("", "fake", &plugin, &err), ACESTEP_UNSUPPORTED);
    assert_non_null(strstr(err.message, "beside the program"));
    assert_non_null(strstr(err.message, "make fake"));
    assert_int_equal(ace_plugin_load(NULL, "fake", &plugin, NULL), ACESTEP_UNSUPPORTED);
}

static void a_failure_without_a_word_gets_one(void **state)
{
    (void)state;
    const ace_plugin *plugin = NULL;
    ace_device *device = NULL;
    assert_int_equal(ace_plugin_load(variant("FAILS"), "fake", &plugin, NULL), ACESTEP_OK);
    for (int card = 0; card < 2; card++) {
        const ace_plugin_options options = {.card = card};
        ace_error err = {.code = ACESTEP_OK};
        assert_int_equal(ace_plugin_open(plugin, &options, &device, &err),
                         card == 0 ? ACESTEP_FAILED : ACESTEP_MEMORY);
        assert_null(device);
        assert_non_null(strstr(err.message, card == 0 ? "card 0" : "card 1"));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_right_one_opens),
        cmocka_unit_test(wrong_ones_are_refused_with_a_reason),
        cmocka_unit_test(a_file_that_is_no_library),
        cmocka_unit_test(where_it_is_looked_for_is_said),
        cmocka_unit_test(a_failure_without_a_word_gets_one),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
