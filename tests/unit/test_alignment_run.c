/* Timed and scored lyrics of whole jobs: planned to the byte, the same whatever the machine does,
 * and written beside the song. */
#include "base/file_map.h"
#include "base/log.h"
#include "base/memory.h"
#include "options/option_table.h"
#include "run/output.h"
#include "support/job_run.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

static const char golden[] = "models=" ACESTEP_SOURCE_DIR "/tests/golden;seed=3;caption=slow piano;"
                             "duration=6;lyrics=[Verse]\nhello world\nthis is a song\n\n[Chorus]\n"
                             "la la la";

static made *make(const char *more)
{
    char options[1000];
    (void)snprintf(options, sizeof options, "%s;%s", golden, more);
    return job_make(options, NULL);
}

static const ace_stage_record *align_stage(const made *m)
{
    for (int i = 0; i < m->report.log.count; i++) {
        if (strcmp(m->report.log.stage[i].key, "align") == 0) {
            return &m->report.log.stage[i];
        }
    }
    return NULL;
}

static void plans_are_exact(void **state)
{
    (void)state;
    static const char *const jobs[] = {
        "model=turbo;auto_lrc=true",
        "model=turbo;auto_score=true;precision=bf16",
        "model=turbo;auto_lrc=true;auto_score=true;batch_size=3;seed=1,2,3",
        "model=base;auto_lrc=true;auto_score=true;steps=3",
        "model=base;auto_score=true;steps=3;batch_size=2;seed=1,2;precision=int8",
        ("model=turbo;auto_lrc=true;audio_codes=1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,"
         "21,22,23,24,25,26,27,28,29,30"),
    };
    for (size_t i = 0; i < sizeof jobs / sizeof *jobs; i++) {
        made *m = make(jobs[i]);
        job_check_plan(m);
        assert_non_null(align_stage(m));
        job_discard(m);
    }
}

/* Published sizes: what the planner chose holds for the rehearsal, on every size of card. */
static void cards_of_any_size(void **state)
{
    (void)state;
    static const double sizes[] = {4, 8, 24};
    static const char *const songs[] = {"weights=synthetic:turbo;duration=30",
                                        "weights=synthetic:base;duration=600;batch_size=8",
                                        "weights=synthetic:xl-turbo;duration=240;batch_size=2"};
    ace_log_set_level(ACE_LOG_QUIET);
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        for (size_t k = 0; k < sizeof songs / sizeof *songs; k++) {
            char options[400];
            (void)snprintf(options, sizeof options,
                           "exec=shape;device=sim;max_cuda_vram=%g;seed=1;limits=exact;"
                           "lyrics=la la la;auto_lrc=true;auto_score=true;%s",
                           sizes[i], songs[k]);
            made *m = job_make(options, NULL);
            job_check_plan(m);
            assert_true(m->choice.host || m->report.peak_bytes <= m->choice.budget_bytes);
            assert_non_null(align_stage(m));
            job_discard(m);
        }
    }
    ace_log_set_level(ACE_LOG_WARNING);
}

static void check_lines_are_there(const char *text, const char *const *lines, int n)
{
    const char *at = text;
    for (int i = 0; i < n; i++) {
        at = strstr(at, lines[i]);
        assert_non_null(at);
        at += strlen(lines[i]);
    }
}

/* Every line of LRC has its time; they ascend and lie within the song. */
static void check_lrc_times(const char *lrc, double seconds)
{
    double before = 0;
    for (const char *line = lrc; *line != '\0'; line = strchr(line, '\n') + 1) {
        int minutes = 0;
        double rest = 0;
        assert_int_equal(sscanf(line, "[%2d:%5lf]", &minutes, &rest), 2);
        assert_true(rest < 60 && minutes * 60 + rest >= before && minutes * 60 + rest <= seconds);
        before = minutes * 60 + rest;
        assert_non_null(strchr(line, '\n'));
    }
}

static void lines_and_scores_of_a_song(void **state)
{
    (void)state;
    static const char *const lines[] = {"[Verse]\n", "hello world\n", "this is a song\n",
                                        "[Chorus]\n", "la la la\n"};
    made *m = make("model=turbo;auto_lrc=true;auto_score=true");
    const ace_song_lyrics *l = &m->song[0].lyrics;
    check_lines_are_there(l->lrc, lines, 5);
    check_lines_are_there(l->vtt, lines, 5);
    check_lrc_times(l->lrc, 6);
    assert_int_equal(strncmp(l->vtt, "WEBVTT\n\n", 8), 0);
    assert_true(l->scored);
    assert_true(l->lm_score >= 0 && l->lm_score <= 1);
    assert_true(l->dit_score > 0 && l->dit_score <= 1);
    assert_true(l->lm_score != l->dit_score);
    job_discard(m);
}

static void only_what_was_asked_for(void **state)
{
    (void)state;
    made *none = make("model=turbo");
    made *times = make("model=turbo;auto_lrc=true");
    made *score = make("model=turbo;auto_score=true");
    assert_null(align_stage(none));
    assert_null(none->song[0].lyrics.lrc);
    assert_non_null(times->song[0].lyrics.lrc);
    assert_false(times->song[0].lyrics.scored);
    assert_null(score->song[0].lyrics.lrc);
    assert_null(score->song[0].lyrics.vtt);
    assert_true(score->song[0].lyrics.scored);
    /* two looks for the score, one for the times; the song itself does not notice */
    assert_true(align_stage(score)->counters.flops > 1.5 * align_stage(times)->counters.flops);
    assert_true(job_same_song(&none->song[0], &times->song[0]));
    assert_true(job_same_song(&none->song[0], &score->song[0]));
    job_discard(none);
    job_discard(times);
    job_discard(score);
}

static void songs_without_words(void **state)
{
    (void)state;
    static const char *const silent[] = {"lyrics=", "lyrics=[Instrumental]", "instrumental=true"};
    ace_log_set_level(ACE_LOG_QUIET);
    for (int i = 0; i < 3; i++) {
        char options[200];
        (void)snprintf(options, sizeof options, "model=turbo;auto_lrc=true;auto_score=true;%s",
                       silent[i]);
        made *m = make(options);
        job_check_plan(m);
        assert_null(align_stage(m));
        assert_null(m->song[0].lyrics.lrc);
        assert_false(m->song[0].lyrics.scored);
        assert_int_equal(m->warnings.count, 2);
        assert_string_equal(m->warnings.item[0].field, "auto_lrc");
        assert_string_equal(m->warnings.item[1].field, "auto_score");
        job_discard(m);
    }
    ace_log_set_level(ACE_LOG_WARNING);
}

static void check_same(const ace_song_lyrics *a, const ace_song_lyrics *b)
{
    assert_string_equal(a->lrc, b->lrc);
    assert_string_equal(a->vtt, b->vtt);
    assert_true(a->scored && b->scored);
    assert_true(a->lm_score == b->lm_score && a->dit_score == b->dit_score);
}

/* Threads, a window of layers that is left half way, what stays on the card: all the same. */
static void the_machine_does_not_matter(void **state)
{
    (void)state;
    static const char *const models[] = {"model=turbo", "model=base;steps=3"};
    static const char *const ways[] = {
        "device=cpu;threads=2",
        "device=sim;max_cuda_vram=8;threads=1;offload_dit_window=1;limits=exact",
        "device=sim;max_cuda_vram=8;threads=1;offload_dit_window=2;limits=exact",
        "device=sim;max_cuda_vram=8;threads=1;offload_dit_policy=stage;limits=exact",
        "device=sim;max_cuda_vram=24;threads=1;limits=exact",
    };
    for (int model = 0; model < 2; model++) {
        char options[300];
        static const char common[] = "auto_lrc=true;auto_score=true;quantization=none;"
                                     "batch_size=2;seed=1,2";
        (void)snprintf(options, sizeof options, "%s;%s;device=cpu;threads=1", models[model],
                       common);
        made *first = make(options);
        for (size_t way = 0; way < sizeof ways / sizeof *ways; way++) {
            (void)snprintf(options, sizeof options, "%s;%s;%s", models[model], common, ways[way]);
            made *other = make(options);
            job_check_plan(other);
            check_same(&first->song[0].lyrics, &other->song[0].lyrics);
            check_same(&first->song[1].lyrics, &other->song[1].lyrics);
            job_discard(other);
        }
        job_discard(first);
    }
}

static void company_does_not_matter(void **state)
{
    (void)state;
    char one[600];
    char two[600];
    (void)snprintf(one, sizeof one, "%s;model=turbo;auto_lrc=true;auto_score=true", golden);
    (void)snprintf(two, sizeof two,
                   "models=" ACESTEP_SOURCE_DIR "/tests/golden;model=turbo;"
                   "seed=9;caption=loud drums;duration=8;lyrics=one\ntwo;"
                   "auto_lrc=true;auto_score=true");
    made *both = job_make(one, two);
    made *first = job_make(one, NULL);
    made *second = job_make(two, NULL);
    job_check_plan(both);
    check_same(&both->song[0].lyrics, &first->song[0].lyrics);
    check_same(&both->song[1].lyrics, &second->song[0].lyrics);
    job_discard(both);
    job_discard(first);
    job_discard(second);
}

/* Memory of this stage is gone when it is opened: a new plan, the stage again, the song as it was.
 */
static void memory_may_be_gone(void **state)
{
    (void)state;
    static const char common[] = "model=turbo;auto_lrc=true;auto_score=true;device=sim;"
                                 "max_cuda_vram=8;limits=exact;quantization=none";
    char options[300];
    made *calm = make(common);
    ace_log_set_level(ACE_LOG_QUIET);
    (void)snprintf(options, sizeof options, "%s;sim_fail_alloc=align:1", common);
    made *m = make(options);
    ace_log_set_level(ACE_LOG_WARNING);
    assert_int_equal(m->report.replans, 1);
    assert_true(ace_warned(&m->warnings, "W24"));
    check_same(&calm->song[0].lyrics, &m->song[0].lyrics);
    assert_true(job_same_song(&calm->song[0], &m->song[0]));
    job_discard(calm);
    job_discard(m);
}

/* Arms the n-th allocation from the alignment's begin on, and stops the job after it. */
typedef struct fuse {
    uint64_t n;
    bool armed;
    uint64_t first, last; /* allocations counted at both ends */
} fuse;

static bool arm(void *context, const char *stage, double fraction, double whole)
{
    fuse *f = context;
    (void)fraction;
    (void)whole;
    if (strcmp(stage, "lyric alignment") == 0 && !f->armed) {
        f->armed = true;
        f->first = ace_memory_count();
        ace_memory_fail_at(f->n);
    }
    if (strcmp(stage, "audio decoder") == 0) {
        f->last = ace_memory_count();
        ace_memory_fail_at(0);
        return false;
    }
    return true;
}

static ace_status run_armed(ace_workshop *w, const ace_request *r, fuse *f, ace_error *err)
{
    ace_warnings *warnings = calloc(1, sizeof *warnings);
    ace_job *job = calloc(1, sizeof *job);
    ace_stage_log *plan = calloc(1, sizeof *plan);
    ace_job_report *report = calloc(1, sizeof *report);
    ace_finished songs[ACE_MAX_SONGS];
    int n = 0;
    assert_int_equal(ace_job_create(w, &r, 1, warnings, job, err), ACESTEP_OK);
    assert_int_equal(ace_job_plan(w, r, job, warnings, plan, err), ACESTEP_OK);
    ace_status status = ace_job_run(w, r, job, plan, arm, f, warnings, report, songs, &n, err);
    ace_memory_fail_at(0);
    for (int i = 0; i < n; i++) {
        ace_finished_free(&songs[i]);
    }
    ace_job_free(job);
    free(warnings);
    free(job);
    free(plan);
    free(report);
    return status;
}

/* One allocation of the stage fails: an error or a second, successful try, never a leak. */
static void short_memory_is_survived(void **state)
{
    (void)state;
    char options[600];
    (void)snprintf(options, sizeof options,
                   "%s;model=turbo;auto_lrc=true;auto_score=true;threads=1", golden);
    ace_request *r = job_request(options);
    ace_workshop *w = calloc(1, sizeof *w);
    ace_error err = {.code = ACESTEP_OK};
    fuse f = {0};
    assert_int_equal(ace_workshop_open(r, w, &err), ACESTEP_OK);
    assert_int_equal(run_armed(w, r, &f, &err), ACESTEP_CANCELLED);
    uint64_t all = f.last - f.first;
    assert_true(all > 60);
    ace_log_set_level(ACE_LOG_QUIET);
    err.code = ACESTEP_OK;
    (void)run_armed(w, r, &f, &err); /* what the engine keeps between jobs is there now */
    uint64_t live = ace_memory_live();
    for (uint64_t n = 1; n < all; n++) {
        f = (fuse){.n = n};
        err = (ace_error){.code = ACESTEP_OK};
        ace_status status = run_armed(w, r, &f, &err);
        assert_true(status == ACESTEP_MEMORY || status == ACESTEP_CANCELLED);
        assert_true(err.message[0] != '\0');
        assert_int_equal(ace_memory_live(), live);
    }
    ace_log_set_level(ACE_LOG_WARNING);
    ace_workshop_close(w);
    free(w);
    ace_request_free(r);
}

/* ---- files ----------------------------------------------------------------------------------- */

static char folder[64];

static const char *in_folder(const char *name)
{
    static char path[4][128];
    static int next;
    next = (next + 1) % 4;
    (void)snprintf(path[next], sizeof path[next], "%s/%s", folder, name);
    return path[next];
}

static void put(const char *name, const char *text)
{
    FILE *f = fopen(in_folder(name), "w");
    assert_non_null(f);
    assert_true(fputs(text, f) >= 0);
    assert_int_equal(fclose(f), 0);
}

static void check_content(const char *name, const char *expected)
{
    char text[256] = "";
    FILE *f = fopen(in_folder(name), "r");
    assert_non_null(f);
    size_t n = fread(text, 1, sizeof text - 1, f);
    (void)fclose(f);
    text[n] = '\0';
    assert_string_equal(text, expected);
}

static ace_status write_song(const char *options, bool lyrics, bool prepare_only, ace_error *err)
{
    static ace_output output;
    static float samples[2000];
    char all[300];
    uint64_t seed = 1;
    ace_finished song = {
        .seed = 1, .audio = {.samples = samples, .frames = 1000, .channels = 2, .rate = 48000}};
    (void)snprintf(all, sizeof all, "output=%s;auto_lrc=true;%s", in_folder("song.flac"), options);
    ace_request *r = job_request(all);
    song.lyrics.lrc = lyrics ? (char *)(uintptr_t) "[00:00.00]la\n" : NULL;
    song.lyrics.vtt = lyrics ? (char *)(uintptr_t) "WEBVTT\n" : NULL;
    ace_status status = ACESTEP_OK;
    if (prepare_only) {
        status = ace_output_prepare(r, &seed, 1, &output, err);
    } else {
        status = ace_output_write(r, &output, 0, &song, NULL, "model", "{}", err);
    }
    ace_request_free(r);
    return status;
}

static void remove_all(void)
{
    static const char *const names[] = {"song.flac", "song.lrc", "song.vtt", "song.json"};
    for (int i = 0; i < 4; i++) {
        (void)unlink(in_folder(names[i]));
        (void)rmdir(in_folder(names[i]));
    }
}

static void files_lie_beside_the_song(void **state)
{
    (void)state;
    ace_error err = {.code = ACESTEP_OK};
    remove_all();
    assert_int_equal(write_song("overwrite=false", true, true, &err), ACESTEP_OK);
    assert_false(ace_file_exists(in_folder("song.lrc")));
    assert_int_equal(write_song("overwrite=false", true, false, &err), ACESTEP_OK);
    check_content("song.lrc", "[00:00.00]la\n");
    check_content("song.vtt", "WEBVTT\n");
    check_content("song.json", "{}");
    remove_all();
    assert_int_equal(write_song("sidecar=false", false, false, &err), ACESTEP_OK);
    assert_true(ace_file_exists(in_folder("song.flac")));
    assert_false(ace_file_exists(in_folder("song.lrc")));
    assert_false(ace_file_exists(in_folder("song.vtt")));
    assert_false(ace_file_exists(in_folder("song.json")));
    remove_all();
}

static void nothing_is_replaced_unasked(void **state)
{
    (void)state;
    static const char *const names[] = {"song.lrc", "song.vtt"};
    for (int i = 0; i < 2; i++) {
        ace_error err = {.code = ACESTEP_OK};
        remove_all();
        put(names[i], "mine");
        assert_int_equal(write_song("overwrite=false", true, true, &err), ACESTEP_IO);
        assert_non_null(strstr(err.message, names[i]));
        check_content(names[i], "mine");
        err.code = ACESTEP_OK;
        assert_int_equal(write_song("overwrite=true", true, true, &err), ACESTEP_OK);
        assert_int_equal(write_song("auto_lrc=false", true, true, &err), ACESTEP_OK);
    }
    remove_all();
}

/* A folder has taken the place of one of the files after all was checked. */
static void nothing_half_done_stays(void **state)
{
    (void)state;
    static const char *const names[] = {"song.lrc", "song.vtt", "song.json"};
    for (int i = 0; i < 3; i++) {
        ace_error err = {.code = ACESTEP_OK};
        remove_all();
        assert_int_equal(write_song("overwrite=true", true, true, &err), ACESTEP_OK);
        assert_int_equal(mkdir(in_folder(names[i]), 0777), 0);
        assert_int_equal(write_song("overwrite=true", true, false, &err), ACESTEP_IO);
        assert_int_equal(rmdir(in_folder(names[i])), 0);
        assert_false(ace_file_exists(in_folder("song.flac")));
        for (int k = 0; k < 3; k++) {
            assert_false(ace_file_exists(in_folder(names[k])));
        }
    }
}

static int make_folder(void **state)
{
    (void)state;
    (void)snprintf(folder, sizeof folder, "/tmp/acestep-lyrics-XXXXXX");
    return mkdtemp(folder) != NULL ? 0 : -1;
}

static int remove_folder(void **state)
{
    (void)state;
    remove_all();
    return rmdir(folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(plans_are_exact),
        cmocka_unit_test(cards_of_any_size),
        cmocka_unit_test(lines_and_scores_of_a_song),
        cmocka_unit_test(only_what_was_asked_for),
        cmocka_unit_test(songs_without_words),
        cmocka_unit_test(the_machine_does_not_matter),
        cmocka_unit_test(company_does_not_matter),
        cmocka_unit_test(memory_may_be_gone),
        cmocka_unit_test(short_memory_is_survived),
        cmocka_unit_test(files_lie_beside_the_song),
        cmocka_unit_test(nothing_is_replaced_unasked),
        cmocka_unit_test(nothing_half_done_stays),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
