/* An engine whose card fails: the job that meets it ends in an error, the next one finds the card
 * opened anew. The engine's whole life is in a process of its own, because the emulated card fails
 * at a certain kernel of its process. */
#include "acestep.h"
#include "emulated_card.h"

#include <jansson.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

typedef struct life {
    acestep_request *request;
    acestep_engine *engine;
    acestep_error err;
} life;

/* Of the emulated card or not, as the last job's warnings say; and its status. */
typedef struct outcome {
    acestep_status status;
    bool fell_back;
} outcome;

static outcome make_song(life *l)
{
    outcome o = {ACESTEP_OK, false};
    acestep_result *result = NULL;
    o.status = acestep_generate(l->engine, l->request, NULL, NULL, &result, &l->err);
    if (o.status == ACESTEP_OK) {
        char *text = acestep_result_json(result);
        json_t *root = json_loads(text, 0, NULL);
        size_t i = 0;
        json_t *w = NULL;
        json_array_foreach (json_object_get(root, "warnings"), i, w) {
            o.fell_back |= strcmp(json_string_value(json_object_get(w, "id")), "W14") == 0;
        }
        json_decref(root);
        acestep_free(text);
    }
    acestep_result_free(result);
    return o;
}

static bool health_is(life *l, const char *state, int losses, int reopened, const char *cause)
{
    char *text = acestep_engine_json(l->engine);
    json_t *root = json_loads(text, 0, NULL);
    const json_t *h = json_object_get(root, "health");
    const char *why = json_string_value(json_object_get(h, "cause"));
    bool well = strcmp(json_string_value(json_object_get(h, "state")), state) == 0 &&
                json_integer_value(json_object_get(h, "losses")) == losses &&
                json_integer_value(json_object_get(h, "reopened")) == reopened &&
                (cause == NULL) == (why == NULL) && (cause == NULL || strstr(why, cause) != NULL);
    if (!well) {
        fprintf(stderr, "%s\n", text);
    }
    json_decref(root);
    acestep_free(text);
    return well;
}

static bool open_engine(life *l, const char *folder)
{
    const char *const options[][2] = {{"device", "cuda"},
                                      {"plugin_dir", getenv("TEST_PLUGIN_DIR")},
                                      {"models", ACESTEP_SOURCE_DIR "/tests/golden"},
                                      {"cache", "false"},
                                      {"caption", "c"},
                                      {"duration", "10"},
                                      {"inference_steps", "1"},
                                      {"seed", "1"},
                                      {"vae_on_cpu", "true"},
                                      {"thinking", "false"},
                                      {"output", folder}};
    bool well = acestep_request_create(&l->request, &l->err) == ACESTEP_OK;
    for (size_t i = 0; i < sizeof options / sizeof *options && well; i++) {
        well = acestep_request_set(l->request, options[i][0], options[i][1], &l->err) == ACESTEP_OK;
    }
    well = well && acestep_engine_open(l->request, &l->engine, &l->err) == ACESTEP_OK;
    if (!well) {
        fprintf(stderr, "%s\n", l->err.message);
    }
    return well;
}

static void close_engine(life *l)
{
    acestep_engine_close(l->engine);
    acestep_request_free(l->request);
}

/* ---- lives ----------------------------------------------------------------------------------- */

static bool is_on_card(outcome o)
{
    return o.status == ACESTEP_OK && !o.fell_back;
}

/* 0 when all is well, else the number of what is not. */
static int comes_back(life *l)
{
    if (!health_is(l, "ok", 0, 0, NULL)) {
        return 1;
    }
    if (make_song(l).status != ACESTEP_FAILED ||
        strstr(l->err.message, "illegal memory access") == NULL) {
        return 2;
    }
    if (!health_is(l, "lost", 1, 0, "illegal memory access")) {
        return 3;
    }
    if (!is_on_card(make_song(l)) || !health_is(l, "ok", 1, 1, "illegal memory access")) {
        return 4;
    }
    return is_on_card(make_song(l)) && health_is(l, "ok", 1, 1, "illegal memory access") ? 0 : 5;
}

static int stays_away(life *l)
{
    (void)setenv("ACE_EMULATOR_REPAIR", "0", 1);
    if (make_song(l).status != ACESTEP_FAILED) {
        return 1;
    }
    outcome second = make_song(l);
    if (second.status != ACESTEP_OK || !second.fell_back ||
        !health_is(l, "fallback", 1, 0, "illegal memory access")) {
        return 2;
    }
    (void)setenv("ACE_EMULATOR_REPAIR", "1", 1);
    outcome third = make_song(l); /* it is too early to try again */
    if (third.status != ACESTEP_OK || !third.fell_back) {
        return 3;
    }
    if (acestep_engine_reopen_device(l->engine, l->request, &l->err) != ACESTEP_OK ||
        !health_is(l, "ok", 1, 1, "illegal memory access")) {
        return 4;
    }
    return is_on_card(make_song(l)) ? 0 : 5;
}

/* A healthy one as well: what was on it is loaded again. */
static int reopened_by_hand(life *l)
{
    (void)unsetenv("ACE_EMULATOR_FAIL_KERNEL");
    if (!is_on_card(make_song(l)) ||
        acestep_engine_reopen_device(l->engine, l->request, &l->err) != ACESTEP_OK) {
        return 1;
    }
    return is_on_card(make_song(l)) && health_is(l, "ok", 0, 1, NULL) ? 0 : 2;
}

static void live(int (*as)(life *), const char *kernel)
{
    char folder[] = "/tmp/acestep_recovery_XXXXXX";
    char removal[64];
    int status = -1;
    assert_non_null(mkdtemp(folder));
    pid_t child = fork();
    if (child == 0) {
        life l = {.engine = NULL};
        int code = 99;
        (void)setenv("ACE_EMULATOR_FAIL_KERNEL", kernel, 1);
        if (open_engine(&l, folder)) {
            code = as(&l);
        }
        close_engine(&l);
        _exit(code);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    (void)snprintf(removal, sizeof removal, "rm -r %s", folder);
    assert_int_equal(system(removal), 0);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
}

static void a_lost_card_comes_back(void **state)
{
    (void)state;
    live(comes_back, "1"); /* while nothing is on the card yet */
    live(comes_back, "150");
}

static void a_card_that_stays_away(void **state)
{
    (void)state;
    live(stays_away, "100");
}

static void a_card_is_opened_anew_by_hand(void **state)
{
    (void)state;
    live(reopened_by_hand, "0");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_lost_card_comes_back),
        cmocka_unit_test(a_card_that_stays_away),
        cmocka_unit_test(a_card_is_opened_anew_by_hand),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
