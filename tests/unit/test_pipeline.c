/* The engine's promises: what runs is what was planned, to the byte; a song does not depend on its
 * company or on the number of threads. */
#include "base/file_map.h"
#include "base/memory.h"
#include "options/option_table.h"
#include "support/golden.h"
#include "support/job_run.h"
#include "weights/demo_model.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* Golden models cannot be opened side by side with a plain `models=`: their path has no ';' or '='.
 */
static const char *golden_options(char *out, size_t bytes, const char *more)
{
    (void)snprintf(out, bytes, "models=%s;%s", golden_path(""), more);
    return out;
}

static void plans_are_exact(void **state)
{
    (void)state;
    static const char *const jobs[] = {
        "duration=6;seed=1;caption=calm strings",
        "duration=6;seed=1;precision=bf16;batch_size=2",
        "duration=6;seed=1;precision=int8",
        "duration=6;seed=1;vae_chunk=64;vae_overlap=16;infer_method=sde",
        "duration=6;seed=1;sampler_mode=heun;audio_cover_strength=0.5",
    };
    for (size_t i = 0; i < sizeof jobs / sizeof jobs[0]; i++) {
        made *m = job_make(jobs[i], NULL);
        job_check_plan(m);
        job_discard(m);
    }
}

static void plans_are_exact_on_golden_models(void **state)
{
    (void)state;
    static const char *const jobs[] = {
        "model=turbo;duration=6;seed=3;caption=a;lyrics=la la",
        "model=turbo;duration=6;seed=3;caption=a;precision=bf16",
        "model=base;duration=6;seed=3;caption=a;steps=3",
        "model=base;duration=6;seed=3;caption=a;steps=3;precision=bf16;batch_size=2",
        "model=base;duration=6;seed=3;caption=a;steps=4;audio_cover_strength=0.5;use_adg=true",
        ("model=turbo;seed=3;caption=a;audio_codes=1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,"
         "20,21,22,23,24,25,26,27"),
    };
    for (size_t i = 0; i < sizeof jobs / sizeof jobs[0]; i++) {
        char options[1024];
        made *m = job_make(golden_options(options, sizeof options, jobs[i]), NULL);
        job_check_plan(m);
        job_discard(m);
    }
}

/* The same job on one thread and on each of these. */
static void check_threads(const char *options, const int *threads, int n)
{
    char text[1024];
    (void)snprintf(text, sizeof text, "%s;threads=1", options);
    made *alone = job_make(text, NULL);
    for (int i = 0; i < n; i++) {
        (void)snprintf(text, sizeof text, "%s;threads=%d", options, threads[i]);
        made *m = job_make(text, NULL);
        if (!job_same_song(&alone->song[0], &m->song[0])) {
            fail_msg("%s: another song than on one thread", text);
        }
        job_discard(m);
    }
    job_discard(alone);
}

/* Every network of a song, in every precision and with every set of instructions: 7 threads are
 * more than many machines have cores. Of precision, instructions and threads each pair meets once.
 */
static void threads_do_not_matter(void **state)
{
    (void)state;
    static const int threads[] = {2, 3, 7};
    static const char *const precision[] = {"f32", "bf16", "int8"};
    static const char *const level[] = {"generic", "avx2", "avx512"};
    for (int p = 0; p < 3; p++) {
        char options[1024];
        char text[768];
        (void)snprintf(text, sizeof text,
                       "duration=5.2;seed=9;caption=piano and drums;precision=%s;vae_chunk=64",
                       precision[p]);
        check_threads(text, threads, 3);
        for (int i = 0; i < 3; i++) {
            (void)snprintf(text, sizeof text,
                           "model=turbo;duration=6;seed=3;caption=slow piano;lyrics=la la;"
                           "precision=%s;cpu=%s",
                           precision[p], level[i]);
            check_threads(golden_options(options, sizeof options, text), &threads[(p + i) % 3], 1);
        }
    }
}

static void company_does_not_matter(void **state)
{
    (void)state;
    made *both = job_make("duration=6;seed=5,6;batch_size=2;caption=happy piano", NULL);
    made *first = job_make("duration=6;seed=5;caption=happy piano", NULL);
    made *second = job_make("duration=6;seed=6;caption=happy piano", NULL);
    assert_int_equal(both->n, 2);
    assert_true(job_same_song(&both->song[0], &first->song[0]));
    assert_true(job_same_song(&both->song[1], &second->song[0]));
    assert_false(job_same_song(&both->song[0], &both->song[1]));
    job_discard(both);
    job_discard(first);
    job_discard(second);
}

/* The original lets the shorter prompt of a batch hear padding; here each song is as if alone. */
static void unequal_prompts_do_not_matter(void **state)
{
    (void)state;
    static const char one[] = "duration=6;seed=5;caption=happy piano";
    static const char two[] =
        "duration=6;seed=8;bpm=75;caption=a very slow and calm ambient piece with strings and a "
        "soft pad, for the night";
    static const char longer[] = "duration=7.5;seed=8;caption=sad slow bass";
    made *both = job_make(one, two);
    made *mixed = job_make(one, longer);
    made *first = job_make(one, NULL);
    made *second = job_make(two, NULL);
    made *third = job_make(longer, NULL);
    job_check_plan(both);
    job_check_plan(mixed);
    assert_true(job_same_song(&both->song[0], &first->song[0]));
    assert_true(job_same_song(&both->song[1], &second->song[0]));
    assert_true(job_same_song(&mixed->song[0], &first->song[0]));
    assert_true(job_same_song(&mixed->song[1], &third->song[0]));
    job_discard(both);
    job_discard(mixed);
    job_discard(first);
    job_discard(second);
    job_discard(third);
}

static void unequal_prompts_do_not_matter_with_guidance(void **state)
{
    (void)state;
    char a[1024];
    char b[1024];
    golden_options(a, sizeof a, "model=base;duration=5.2;seed=1;steps=3;caption=x;lyrics=one two");
    golden_options(b, sizeof b,
                   "model=base;duration=5.2;seed=2;steps=3;caption=a much longer caption than the "
                   "other;lyrics=one two three four five six");
    made *both = job_make(a, b);
    made *first = job_make(a, NULL);
    made *second = job_make(b, NULL);
    assert_true(job_same_song(&both->song[0], &first->song[0]));
    assert_true(job_same_song(&both->song[1], &second->song[0]));
    job_discard(both);
    job_discard(first);
    job_discard(second);
}

/* Published shapes, measured only: in milliseconds, without weights. */
static void published_shapes_can_be_planned(void **state)
{
    (void)state;
    static const char *const names[] = {"turbo", "base", "sft", "xl-turbo", "xl-base", "xl-sft"};
    size_t peak[6];
    for (int i = 0; i < 6; i++) {
        char options[160];
        ace_error err = {.code = ACESTEP_OK};
        ace_warnings *warnings = calloc(1, sizeof *warnings);
        ace_workshop *w = calloc(1, sizeof *w);
        ace_job *job = calloc(1, sizeof *job);
        ace_stage_log *plan = calloc(1, sizeof *plan);
        (void)snprintf(options, sizeof options,
                       "weights=synthetic:%s;duration=600;seed=1;batch_size=8", names[i]);
        ace_request *r = job_request(options);
        const ace_request *list[] = {r};
        ace_embedded_files_set(ace_demo_model_files());
        assert_int_equal(ace_workshop_open(r, w, &err), ACESTEP_OK);
        assert_int_equal(ace_job_create(w, list, 1, warnings, job, &err), ACESTEP_OK);
        assert_int_equal(ace_job_plan(w, r, job, warnings, plan, &err), ACESTEP_OK);
        peak[i] = ace_stage_log_peak(plan);
        ace_job_free(job);
        ace_workshop_close(w);
        ace_request_free(r);
        free(job);
        free(w);
        free(plan);
        free(warnings);
    }
    assert_true(peak[0] > (size_t)3 << 30); /* 2.94 GB of weights and eight songs of 7500 tokens */
    assert_true(peak[0] < (size_t)8 << 30);
    assert_true(peak[3] > peak[0]);
}

/* Every n-th host allocation fails once: an error or a song, never a leak. */
static void short_memory_is_an_error(void **state)
{
    (void)state;
    ace_request *r = job_request("duration=5.2;seed=1;threads=1;caption=x");
    const ace_request *list[] = {r};
    ace_embedded_files_set(ace_demo_model_files());
    uint64_t before = ace_memory_live();
    bool finished = false;
    int failures = 0;
    for (uint64_t n = 1; !finished && n < 100000; n += 1 + n / 4) {
        ace_error err = {.code = ACESTEP_OK};
        ace_warnings *warnings = calloc(1, sizeof *warnings);
        ace_workshop *w = calloc(1, sizeof *w);
        ace_job *job = calloc(1, sizeof *job);
        ace_stage_log *plan = calloc(1, sizeof *plan);
        ace_memory_fail_at(n);
        ace_status status = ace_workshop_open(r, w, &err);
        if (status == ACESTEP_OK) {
            status = ace_job_create(w, list, 1, warnings, job, &err);
        }
        if (status == ACESTEP_OK) {
            status = ace_job_plan(w, r, job, warnings, plan, &err);
        }
        if (status != ACESTEP_OK) {
            assert_int_equal(status, ACESTEP_MEMORY);
            assert_true(err.message[0] != '\0');
            failures++;
        } else {
            finished = ace_memory_count() < n; /* never: only the range ends the loop */
        }
        ace_memory_fail_at(0);
        ace_job_free(job);
        ace_workshop_close(w);
        free(job);
        free(w);
        free(plan);
        free(warnings);
        assert_int_equal(ace_memory_live(), before);
        if (status == ACESTEP_OK) {
            break; /* the failure lay behind the last allocation */
        }
    }
    assert_true(failures > 10);
    ace_request_free(r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(plans_are_exact),
        cmocka_unit_test(plans_are_exact_on_golden_models),
        cmocka_unit_test(threads_do_not_matter),
        cmocka_unit_test(company_does_not_matter),
        cmocka_unit_test(unequal_prompts_do_not_matter),
        cmocka_unit_test(unequal_prompts_do_not_matter_with_guidance),
        cmocka_unit_test(published_shapes_can_be_planned),
        cmocka_unit_test(short_memory_is_an_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
