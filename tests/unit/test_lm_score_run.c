/* Songs scored by the language model that wrote their codes: planned, the same in any company, and
 * near nothing from a model that has learned nothing. */
#include "base/log.h"
#include "support/job_run.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static const char common[] = "models=" ACESTEP_SOURCE_DIR "/tests/golden;model=turbo;thinking=true;"
                             "auto_score=true;duration=10;precision=f32;caption=slow piano";
static const char words[] = "lyrics=[Verse]\nhello world\nthis is a song";
static const char no_cot[] = "use_cot_metas=false;use_cot_caption=false;use_cot_language=false";

static made *make(const char *more, const char *still_more)
{
    char options[1000];
    ace_log_set_level(ACE_LOG_QUIET);
    (void)snprintf(options, sizeof options, "%s;%s;%s", common, more, still_more);
    made *m = job_make(options, NULL);
    ace_log_set_level(ACE_LOG_WARNING);
    return m;
}

static const ace_stage_record *lm_stage(const ace_stage_log *log)
{
    for (int i = 0; i < log->count; i++) {
        if (strcmp(log->stage[i].key, "lm") == 0) {
            return &log->stage[i];
        }
    }
    fail_msg("no language model ran");
    return NULL;
}

/* How much it does depends on what it writes: never more than was planned. */
static void check_plan(const made *m)
{
    const ace_stage_record *planned = lm_stage(&m->plan);
    const ace_stage_record *found = lm_stage(&m->report.log);
    assert_int_equal(ace_stage_log_peak(&m->plan), m->report.peak_bytes);
    assert_int_equal(planned->peak_bytes, found->peak_bytes);
    assert_int_equal(planned->work_bytes, found->work_bytes);
    assert_int_equal(planned->n_tags, found->n_tags);
    for (int i = 0; i < planned->n_tags; i++) {
        assert_true(found->tags[i].peak <= planned->tags[i].peak);
    }
    assert_true(found->counters.flops <= planned->counters.flops);
    assert_true(found->counters.downloaded <= planned->counters.downloaded);
}

static void check_range(const ace_lm_score *s)
{
    assert_true(s->scored);
    assert_true(s->global >= 0 && s->global <= 1);
    for (int i = 0; i < ACE_LM_CONDITIONS; i++) {
        assert_true(!s->has[i] || (s->value[i] >= 0 && s->value[i] <= 1));
    }
}

static bool same_score(const ace_lm_score *a, const ace_lm_score *b)
{
    bool same = a->scored == b->scored && a->global == b->global;
    for (int i = 0; i < ACE_LM_CONDITIONS; i++) {
        same = same && a->has[i] == b->has[i] && a->value[i] == b->value[i];
    }
    return same;
}

static void plans_hold(void **state)
{
    (void)state;
    static const char *const jobs[] = {
        "lm_top_k=5",
        "use_cot_metas=false",
        "batch_size=3;seed=1,2,3;lm_batch_chunk_size=2",
        "batch_size=2;seed=1,2;best_of=2;lm_batch_chunk_size=3",
        "instrumental=true",
        "lm_cfg_scale=1;best_of=3",
        "use_format=true;seed=5",
        "device=sim;max_cuda_vram=24;threads=1;limits=exact;best_of=2",
    };
    for (size_t i = 0; i < sizeof jobs / sizeof *jobs; i++) {
        made *m = make(jobs[i], words);
        check_plan(m);
        for (int k = 0; k < m->n; k++) {
            check_range(&m->song[k].lm_score);
        }
        job_discard(m);
    }
}

/* Published sizes: what the planner chose holds for the rehearsal, on every size of card, and fewer
 * candidates stand side by side where there is less room. */
static void cards_of_any_size(void **state)
{
    (void)state;
    static const double sizes[] = {8, 24};
    static const char *const songs[] = {"duration=30;best_of=8", "duration=240;batch_size=2",
                                        "duration=30;batch_size=2;best_of=3",
                                        "duration=30;use_format=true"};
    ace_log_set_level(ACE_LOG_QUIET);
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        for (size_t k = 0; k < sizeof songs / sizeof *songs; k++) {
            char options[400];
            (void)snprintf(options, sizeof options,
                           "weights=synthetic:turbo;exec=shape;device=sim;max_cuda_vram=%g;seed=1;"
                           "limits=exact;lyrics=la la la;thinking=true;init_llm=true;"
                           "auto_score=true;%s",
                           sizes[i], songs[k]);
            made *m = job_make(options, NULL);
            job_check_plan(m);
            assert_true(m->choice.lm_runs && m->choice.lm_chunk <= 8);
            assert_true(k != 0 || i == 0 || m->choice.lm_chunk == 8);
            assert_true(m->choice.host || m->report.peak_bytes <= m->choice.budget_bytes);
            job_discard(m);
        }
    }
    ace_log_set_level(ACE_LOG_WARNING);
}

/* Scoring takes what it takes: little beside the cache of a long song. */
static void memory_barely_grows(void **state)
{
    (void)state;
    size_t work[2];
    ace_log_set_level(ACE_LOG_QUIET);
    for (int scored = 0; scored < 2; scored++) {
        char options[300];
        (void)snprintf(options, sizeof options,
                       "weights=synthetic:turbo;exec=shape;device=sim;max_cuda_vram=24;seed=1;"
                       "limits=exact;lyrics=la la la;thinking=true;init_llm=true;duration=240;"
                       "auto_score=%s",
                       scored ? "true" : "false");
        made *m = job_make(options, NULL);
        work[scored] = lm_stage(&m->plan)->work_bytes;
        job_discard(m);
    }
    ace_log_set_level(ACE_LOG_WARNING);
    assert_true(work[1] >= work[0] && work[1] <= work[0] + work[0] / 10);
}

/* PMI in nats, from a score of scale 0.5. */
static double information(double score)
{
    return 0.5 * log(score / (1 - score));
}

static void nothing_learned_nothing_known(void **state)
{
    (void)state;
    made *m = make("seed=3;bpm=92;keyscale=C major;timesignature=4;vocal_language=en", words);
    const ace_lm_score *s = &m->song[0].lm_score;
    static const int asked[] = {ACE_LM_BPM,         ACE_LM_CAPTION,  ACE_LM_DURATION,
                                ACE_LM_KEYSCALE,    ACE_LM_LANGUAGE, ACE_LM_TIMESIGNATURE,
                                ACE_LM_SCORE_LYRICS};
    for (size_t i = 0; i < sizeof asked / sizeof *asked; i++) {
        assert_true(s->has[asked[i]]);
    }
    assert_false(s->has[ACE_LM_GENRES]);
    /* within one of the 7.5 nats that a token of this vocabulary costs */
    assert_true(fabs(information(s->value[ACE_LM_CAPTION])) < 1);
    assert_true(fabs(information(s->value[ACE_LM_SCORE_LYRICS])) < 1);
    assert_true(s->value[ACE_LM_CAPTION] != 0.5); /* it did look */
    check_plan(m);
    job_discard(m);
}

/* The same difference counts for more under a smaller scale. */
static void the_scale_scales(void **state)
{
    (void)state;
    made *one = make("seed=3;score_scale=1", words);
    made *small = make("seed=3;score_scale=0.1", words);
    double a = one->song[0].lm_score.value[ACE_LM_CAPTION];
    double b = small->song[0].lm_score.value[ACE_LM_CAPTION];
    double pmi = log(a / (1 - a));
    assert_true(fabs(log(b / (1 - b)) / 10 - pmi) < 1e-9);
    assert_true(one->song[0].lm_score.value[ACE_LM_DURATION] ==
                small->song[0].lm_score.value[ACE_LM_DURATION]);
    job_discard(one);
    job_discard(small);
}

static void what_is_not_known_is_not_scored(void **state)
{
    (void)state;
    made *silent = make("instrumental=true;seed=3", no_cot);
    const ace_lm_score *s = &silent->song[0].lm_score;
    assert_true(s->has[ACE_LM_CAPTION] && s->has[ACE_LM_DURATION]);
    assert_false(s->has[ACE_LM_SCORE_LYRICS] || s->has[ACE_LM_BPM] || s->has[ACE_LM_LANGUAGE]);
    assert_true(
        fabs(s->global - (0.5 * s->value[ACE_LM_CAPTION] + 0.2 * s->value[ACE_LM_DURATION]) / 0.7) <
        1e-12);
    job_discard(silent);
    made *unasked = make("auto_score=false;seed=3", no_cot);
    assert_false(unasked->song[0].lm_score.scored);
    job_discard(unasked);
}

static void company_does_not_matter(void **state)
{
    (void)state;
    char options[300];
    (void)snprintf(options, sizeof options, "%s;%s", no_cot, words);
    made *alone = make("seed=2", options);
    made *unscored = make("seed=2;auto_score=false", options);
    made *chunks = make("batch_size=3;seed=1,2,3;lm_batch_chunk_size=1", options);
    made *together = make("batch_size=3;seed=1,2,3;lm_batch_chunk_size=3", options);
    made *two_threads = make("seed=2;threads=2", options);
    assert_true(job_same_song(&alone->song[0], &unscored->song[0]));
    assert_true(job_same_song(&alone->song[0], &together->song[1]));
    assert_true(same_score(&alone->song[0].lm_score, &chunks->song[1].lm_score));
    assert_true(same_score(&alone->song[0].lm_score, &together->song[1].lm_score));
    assert_true(same_score(&alone->song[0].lm_score, &two_threads->song[0].lm_score));
    assert_false(same_score(&together->song[0].lm_score, &together->song[1].lm_score));
    job_discard(alone);
    job_discard(unscored);
    job_discard(chunks);
    job_discard(together);
    job_discard(two_threads);
}

/* The first of the candidates is the song without any; more of them never score less. */
static void the_best_is_kept(void **state)
{
    (void)state;
    static const char *const ways[] = {"1", "2", "4"};
    char options[300];
    char more[100];
    double before = 0;
    (void)snprintf(options, sizeof options, "%s;%s", no_cot, words);
    for (int i = 0; i < 3; i++) {
        (void)snprintf(more, sizeof more, "seed=2;best_of=%s", ways[i]);
        made *alone = make(more, options);
        (void)snprintf(more, sizeof more, "batch_size=2;seed=1,2;lm_batch_chunk_size=3;best_of=%s",
                       ways[i]);
        made *second = make(more, options);
        const ace_lm_score *s = &alone->song[0].lm_score;
        assert_true(s->global >= before);
        before = s->global;
        assert_int_equal(alone->n, 1);
        assert_int_equal(second->n, 2);
        assert_true(same_score(s, &second->song[1].lm_score));
        assert_true(job_same_song(&alone->song[0], &second->song[1]));
        job_discard(alone);
        job_discard(second);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(plans_hold),
        cmocka_unit_test(cards_of_any_size),
        cmocka_unit_test(memory_barely_grows),
        cmocka_unit_test(nothing_learned_nothing_known),
        cmocka_unit_test(the_scale_scales),
        cmocka_unit_test(what_is_not_known_is_not_scored),
        cmocka_unit_test(company_does_not_matter),
        cmocka_unit_test(the_best_is_kept),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
