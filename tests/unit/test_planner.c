/* The planner: properties over many random pairs of card and request, and the ladder step by step. */
#include "base/log.h"
#include "plan/planner.h"
#include "support/plan_check.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { PAIRS = 100000 };

/* xorshift32: Marsaglia 2003. */
static uint32_t draw(void *context)
{
    uint32_t *x = context;
    *x ^= *x << 13;
    *x ^= *x >> 17;
    *x ^= *x << 5;
    return *x;
}

static void plans_keep_their_promises(void **state)
{
    (void)state;
    uint32_t seed = 2463534242u;
    plan_case *c = calloc(1, sizeof *c);
    ace_log_set_level(ACE_LOG_QUIET);
    for (int i = 0; i < PAIRS; i++) {
        uint32_t before = seed;
        plan_case_draw(c, draw, &seed);
        size_t budget = (size_t)(draw(&seed) % 24000) << 20;
        size_t more = budget + ((size_t)(draw(&seed) % 4000) << 20);
        const char *wrong = plan_case_check(c, budget, more);
        if (wrong != NULL) {
            fail_msg("pair %d (seed %u), budgets of %zu and %zu MB: %s", i, before, budget >> 20,
                     more >> 20, wrong);
        }
    }
    ace_log_set_level(ACE_LOG_WARNING);
    free(c);
}

/* 1 GB of weights in ten layers and a core of 0, 100 MB of work a song. */
static plan_case simple(int songs)
{
    plan_case c;
    memset(&c, 0, sizeof c);
    c.sizes.songs = songs;
    c.sizes.layers = 10;
    for (int i = 0; i < ACE_PARTS; i++) {
        c.sizes.has[i] = i != ACE_PART_LM && i != ACE_PART_ADAPTERS;
        c.sizes.part[i][0] = (size_t)100 << 20;
        c.sizes.part[i][1] = (size_t)50 << 20;
    }
    c.sizes.part[ACE_PART_DIT][0] = (size_t)1000 << 20;
    c.sizes.part[ACE_PART_DIT][1] = (size_t)500 << 20;
    c.sizes.layer[0] = (size_t)100 << 20;
    c.sizes.layer[1] = (size_t)50 << 20;
    for (int b = 1; b <= songs; b++) {
        c.sizes.diffusion[b] = (size_t)b * 100 << 20;
    }
    c.sizes.n_vae_chunks = 1;
    c.sizes.vae_chunk[0] = 64;
    c.sizes.vae[0][0] = (size_t)60 << 20;
    c.sizes.vae[1][0] = (size_t)20 << 20;
    c.wishes.lm_chunk = 1;
    c.settings.offload = ACE_OFFLOAD_CPU_DIT;
    return c;
}

static ace_plan plan_with(const plan_case *c, size_t megabytes, ace_warnings *w)
{
    ace_plan plan;
    ace_error err = {.code = ACESTEP_OK};
    memset(w, 0, sizeof *w);
    assert_int_equal(
        ace_plan_make(&c->sizes, &c->settings, &c->wishes, megabytes << 20, w, &plan, &err),
        ACESTEP_OK);
    return plan;
}

static void the_ladder(void **state)
{
    (void)state;
    plan_case c = simple(4);
    ace_warnings w;
    ace_plan p = plan_with(&c, 1400, &w); /* 1000 of layers and 400 of work */
    assert_int_equal(p.window, 10);
    assert_int_equal(p.device_batch, 4);
    assert_int_equal(w.count, 0);

    p = plan_with(&c, 1399, &w);
    assert_int_equal(p.window, 9);
    assert_int_equal(p.device_batch, 4);

    p = plan_with(&c, 500, &w); /* one layer and four songs; the condition part before it */
    assert_int_equal(p.window, 1);
    assert_int_equal(p.device_batch, 4);

    /* further passes: the condition part comes again while the layers are there */
    p = plan_with(&c, 499, &w);
    assert_int_equal(p.device_batch, 2);
    assert_int_equal(p.window, 1);
    assert_true(ace_warned(&w, "W20"));

    c.wishes.reduce = true;
    p = plan_with(&c, 499, &w);
    assert_int_equal(p.songs, 3);
    assert_int_equal(p.device_batch, 3);
    c.wishes.reduce = false;

    p = plan_with(&c, 180, &w); /* INT8: 50 + 50 of parts and 100 of work do not fit either */
    assert_true(p.host);
    assert_true(ace_warned(&w, "W09") && ace_warned(&w, "W23"));
}

static void what_the_user_switched_off_comes_back(void **state)
{
    (void)state;
    plan_case c = simple(1);
    ace_warnings w;
    c.settings.offload = ACE_OFFLOAD_NONE;
    c.settings.int8_by_user = true;
    ace_plan p = plan_with(&c, 2000, &w); /* all eight parts, 1700, and work */
    assert_int_equal(p.offload, ACE_OFFLOAD_NONE);
    assert_false(p.int8);
    p = plan_with(&c, 1300, &w); /* INT8 saves 600 */
    assert_int_equal(p.offload, ACE_OFFLOAD_NONE);
    assert_true(p.int8);
    assert_true(ace_warned(&w, "W09"));
    p = plan_with(&c, 1000, &w);
    assert_int_equal(p.offload, ACE_OFFLOAD_CPU);
    assert_true(ace_warned(&w, "W10"));
}

static void the_vae_falls_back(void **state)
{
    (void)state;
    plan_case c = simple(1);
    ace_warnings w;
    c.sizes.vae[0][0] = (size_t)3000 << 20;
    ace_plan p = plan_with(&c, 2000, &w);
    assert_int_equal(p.vae, ACE_VAE_STREAMED);
    c.sizes.vae[1][0] = (size_t)2500 << 20;
    p = plan_with(&c, 2000, &w);
    assert_int_equal(p.vae, ACE_VAE_HOST);
    assert_true(ace_warned(&w, "W22"));
}

static void chunks_of_the_guide(void **state)
{
    (void)state;
    static const double free_gb[] = {9, 8, 6, 5, 3, 2.5, 1.5, 1, 0.7, 0.5, 0.3, 0};
    static const int64_t chunk[] = {1536, 1536, 1024, 1024, 512, 512, 256, 256, 128, 128, 64, 64};
    for (size_t i = 0; i < sizeof chunk / sizeof *chunk; i++) {
        assert_int_equal(ace_vae_chunk_for((size_t)(free_gb[i] * (1 << 30))), chunk[i]);
    }
    assert_int_equal(ace_vae_chunk_below(1536), 1024);
    assert_int_equal(ace_vae_chunk_below(64), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(plans_keep_their_promises),
        cmocka_unit_test(the_ladder),
        cmocka_unit_test(what_the_user_switched_off_comes_back),
        cmocka_unit_test(the_vae_falls_back),
        cmocka_unit_test(chunks_of_the_guide),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
