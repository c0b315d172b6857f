/* The language model inside whole jobs: a batch gives each song what it would get alone, as many
 * codes as the song is long, what the user gave stays as it is, what is written reaches the song,
 * and the plan holds. Small recorded models. */
#include "base/log.h"
#include "base/memory.h"
#include "device/sim_device.h"
#include "options/option_table.h"
#include "support/job_run.h"
#include "text/metadata.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static const char common[] = "models=" ACESTEP_SOURCE_DIR "/tests/golden;threads=2;thinking=true;"
                             "precision=f32;inference_steps=1;file_tags=none";
static const char words[] = "caption=slow piano;lyrics=la la";
/* All that the metadata could choose: nothing is left to write but codes. */
static const char fixed[] = "caption=slow piano;lyrics=la la;bpm=90;keyscale=C major;"
                            "timesignature=4;duration=6";

static ace_status attempt(const char *a, const char *b, made **out, ace_error *err)
{
    char text[1500];
    (void)snprintf(text, sizeof text, "%s;%s;%s", common, a, b);
    *err = (ace_error){.code = ACESTEP_OK};
    return job_try(text, NULL, out, err);
}

static made *make(const char *a, const char *b)
{
    ace_error err;
    made *m = NULL;
    if (attempt(a, b, &m, &err) != ACESTEP_OK) {
        fail_msg("%s;%s: %s", a, b, err.message);
    }
    return m;
}

/* It ends in this error, and the message names what is at fault. */
static void refused(ace_status expected, const char *a, const char *b, const char *says)
{
    ace_error err;
    made *m = NULL;
    ace_status status = attempt(a, b, &m, &err);
    if (status != expected || strstr(err.message, says) == NULL) {
        fail_msg("%s;%s: %d, \"%s\"", a, b, (int)status, err.message);
    }
    assert_null(strchr(err.message, '\n'));
    job_discard(m);
}

static const int32_t *codes_of(const made *m, int song)
{
    assert_non_null(m->written[0].codes);
    return m->written[0].codes + song * m->written[0].n_codes;
}

static bool same_codes(const made *a, int i, const made *b, int k)
{
    return a->written[0].n_codes == b->written[0].n_codes &&
           memcmp(codes_of(a, i), codes_of(b, k),
                  (size_t)a->written[0].n_codes * sizeof(int32_t)) == 0;
}

static const char *field(const made *m, ace_lm_field f)
{
    return m->written[0].fields.text[f];
}

static void check_field(const made *m, ace_lm_field f, const char *expected)
{
    assert_non_null(field(m, f));
    assert_string_equal(field(m, f), expected);
}

static void check_says(const char *prompt, const char *part)
{
    if (strstr(prompt, part) == NULL) {
        fail_msg("no \"%s\" in \"%s\"", part, prompt);
    }
}

/* ---- a batch --------------------------------------------------------------------------------- */

enum { SONGS = 3 };

static void check_alone(const made *batch, made *const alone[SONGS])
{
    assert_int_equal(batch->n, SONGS);
    assert_int_equal(batch->written[0].n_codes, 30);
    for (int i = 0; i < SONGS; i++) {
        assert_true(same_codes(batch, i, alone[i], 0));
        assert_true(job_same_song(&batch->song[i], &alone[i]->song[0]));
    }
}

/* With this precision and guidance: in chunks of every size, on the CPU and on a card. Every second
 * way from the first one: guidance takes turns with the ways, so that a precision goes through all
 * of them. */
static void check_batches(const char *kind, size_t first)
{
    static const char *const ways[] = {
        "lm_batch_chunk_size=1",
        "lm_batch_chunk_size=2",
        "lm_batch_chunk_size=8",
        "device=sim;max_cuda_vram=24;vae_chunk=152;lm_batch_chunk_size=1;backend=vllm",
        "device=sim;max_cuda_vram=24;vae_chunk=152;lm_batch_chunk_size=2;backend=vllm",
        "device=sim;max_cuda_vram=24;vae_chunk=152;lm_batch_chunk_size=8;backend=vllm",
        "device=sim;max_cuda_vram=24;vae_chunk=152;lm_batch_chunk_size=8;backend=pt",
    };
    made *alone[SONGS];
    char options[500];
    for (int i = 0; i < SONGS; i++) {
        (void)snprintf(options, sizeof options, "%s;vae_chunk=152;vae_overlap=12;seed=%d", kind,
                       11 * (i + 1));
        alone[i] = make(fixed, options);
    }
    assert_false(same_codes(alone[0], 0, alone[1], 0));
    assert_false(same_codes(alone[1], 0, alone[2], 0));
    for (size_t way = first; way < sizeof ways / sizeof *ways; way += 2) {
        (void)snprintf(options, sizeof options, "%s;vae_overlap=12;batch_size=3;seed=11,22,33;%s",
                       kind, ways[way]);
        made *batch = make(fixed, options);
        check_alone(batch, alone);
        job_discard(batch);
    }
    for (int i = 0; i < SONGS; i++) {
        job_discard(alone[i]);
    }
}

/* Two requests in one session: different words, lengths, guidance and ways of choosing. */
static void requests_do_not_meet(void **state)
{
    static const char *const asked[2] = {
        "caption=slow piano;lyrics=la la;duration=6;seed=11,22;lm_cfg_scale=1",
        "caption=loud guitars, drums;lyrics=;seed=33;duration=8;lm_top_k=40;lm_order=pt;"
        "lm_repetition_penalty=1.1"};
    static const char *const ways[] = {"lm_batch_chunk_size=1", "lm_batch_chunk_size=2",
                                       "device=sim;max_cuda_vram=24;lm_batch_chunk_size=8"};
    made *alone[2];
    (void)state;
    for (int i = 0; i < 2; i++) {
        alone[i] = make(asked[i], "vae_chunk=152;vae_overlap=12");
    }
    for (size_t way = 0; way < sizeof ways / sizeof *ways; way++) {
        char text[2][1000];
        for (int i = 0; i < 2; i++) {
            (void)snprintf(text[i], sizeof text[i], "%s;%s;vae_chunk=152;vae_overlap=12;%s", common,
                           asked[i], ways[way]);
        }
        made *both = job_make(text[0], text[1]);
        assert_int_equal(both->n, 3);
        assert_int_equal(ace_stage_log_peak(&both->plan), both->report.peak_bytes);
        for (int i = 0; i < 2; i++) {
            const ace_lm_written *w = &both->written[i];
            const ace_lm_written *own = &alone[i]->written[0];
            assert_int_equal(w->n_codes, own->n_codes);
            assert_memory_equal(w->codes, own->codes,
                                (size_t)(w->n_codes * (2 - i)) * sizeof *w->codes);
            assert_string_equal(w->fields.text[ACE_LM_CAPTION], own->fields.text[ACE_LM_CAPTION]);
        }
        assert_true(job_same_song(&both->song[1], &alone[0]->song[1]));
        assert_true(job_same_song(&both->song[2], &alone[1]->song[0]));
        job_discard(both);
    }
    job_discard(alone[0]);
    job_discard(alone[1]);
}

static void a_batch_changes_nothing_f32(void **state)
{
    (void)state;
    check_batches("precision=f32;lm_cfg_scale=2;quantization=none", 0);
    check_batches("precision=f32;lm_cfg_scale=1;quantization=none", 1);
}

static void a_batch_changes_nothing_bf16(void **state)
{
    (void)state;
    check_batches("precision=bf16;lm_cfg_scale=2;quantization=none", 1);
    check_batches("precision=bf16;lm_cfg_scale=1;quantization=none", 0);
}

static void a_batch_changes_nothing_int8(void **state)
{
    (void)state;
    check_batches("precision=int8;lm_cfg_scale=2;quantization=int8", 0);
    check_batches("precision=int8;lm_cfg_scale=1;quantization=int8", 1);
}

static void a_batch_changes_nothing_with_an_int8_cache(void **state)
{
    (void)state;
    check_batches("precision=bf16;kv_cache_dtype=int8;lm_cfg_scale=2;quantization=none", 1);
    check_batches("precision=int8;kv_cache_dtype=int8;lm_cfg_scale=1;quantization=int8", 0);
}

/* Metadata are the first song's; so its codes are those it gets alone, metadata and all. */
static void the_first_song_plans_for_all(void **state)
{
    (void)state;
    made *alone = make(words, "duration=6;seed=5");
    made *batch = make(words, "duration=6;batch_size=2;seed=5,6");
    for (int f = 0; f < ACE_LM_FIELDS; f++) {
        const char *text = field(alone, (ace_lm_field)f);
        assert_int_equal(text == NULL, field(batch, (ace_lm_field)f) == NULL);
        assert_true(text == NULL || strcmp(text, field(batch, (ace_lm_field)f)) == 0);
    }
    assert_true(same_codes(batch, 0, alone, 0));
    assert_true(job_same_song(&batch->song[0], &alone->song[0]));
    assert_false(same_codes(batch, 1, alone, 0));
    job_discard(alone);
    job_discard(batch);
}

/* Two requests of one job, each with a plan of its own. */
static void requests_of_a_job_are_apart(void **state)
{
    (void)state;
    char one[1000];
    char two[1000];
    (void)snprintf(one, sizeof one, "%s;%s;duration=6;seed=5", common, words);
    (void)snprintf(two, sizeof two, "%s;caption=loud drums;duration=8;seed=6;bpm=100", common);
    made *both = job_make(one, two);
    made *first = job_make(one, NULL);
    made *second = job_make(two, NULL);
    made *alone[2] = {first, second};
    for (int b = 0; b < 2; b++) {
        assert_int_equal(both->written[b].n_codes, alone[b]->written[0].n_codes);
        assert_memory_equal(both->written[b].codes, alone[b]->written[0].codes,
                            (size_t)both->written[b].n_codes * sizeof(int32_t));
        assert_string_equal(both->text_prompt[b], alone[b]->text_prompt[0]);
        assert_true(job_same_song(&both->song[b], &alone[b]->song[0]));
        job_discard(alone[b]);
    }
    assert_int_equal(both->written[0].n_codes, 30);
    assert_int_equal(both->written[1].n_codes, 40);
    job_discard(both);
}

/* ---- length ---------------------------------------------------------------------------------- */

static void as_many_codes_as_the_song_is_long(void **state)
{
    (void)state;
    static const struct {
        const char *options;
        int64_t n;
    } cases[] = {
        {"seed=1;duration=10", 50}, {"seed=1;duration=10.5", 52}, {"seed=2;duration=30.5", 152}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        made *m = make(words, cases[i].options);
        assert_int_equal(m->written[0].n_codes, cases[i].n);
        assert_int_equal(m->song[0].latents.rows, 5 * cases[i].n);
        for (int64_t k = 0; k < cases[i].n; k++) {
            assert_in_range(codes_of(m, 0)[k], 0, 1295); /* the small models' codebook */
        }
        job_discard(m);
    }
}

/* A file of tiers, all of them with this limit. */
static void write_limit(char *path, size_t room, int seconds)
{
    (void)snprintf(path, room, "/tmp/acestep_lm_run_%ld.json", (long)getpid());
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    assert_true(fprintf(f, "{\"tier4\": {\"max_duration_with_lm\": %d}}", seconds) > 0);
    assert_int_equal(fclose(f), 0);
}

static void the_model_chooses_within_the_limit(void **state)
{
    (void)state;
    char path[64];
    char options[200];
    bool differs = false;
    long before = 0;
    write_limit(path, sizeof path, 14);
    for (int seed = 1; seed <= 4; seed++) {
        (void)snprintf(
            options, sizeof options,
            "device=sim;max_cuda_vram=8;gpu_tiers=%s;lm_temperature=2;lm_top_p=1;seed=%d", path,
            seed);
        made *m = make(words, options);
        long seconds = ace_lm_fields_number(&m->written[0].fields, ACE_LM_DURATION);
        char said[64];
        assert_in_range(seconds, 10, 14);
        assert_int_equal(m->written[0].n_codes, 5 * seconds);
        assert_int_equal(m->song[0].latents.rows, 25 * seconds);
        (void)snprintf(said, sizeof said, "duration: %ld seconds", seconds);
        check_says(m->text_prompt[0], said);
        differs = differs || (before > 0 && seconds != before);
        before = seconds;
        job_discard(m);
    }
    assert_true(differs);
    assert_int_equal(remove(path), 0);
}

static void what_is_asked_for_is_held_to_the_limit(void **state)
{
    (void)state;
    char path[64];
    char options[200];
    write_limit(path, sizeof path, 12);
    (void)snprintf(options, sizeof options,
                   "device=sim;max_cuda_vram=8;gpu_tiers=%s;duration=20;seed=1", path);
    ace_log_set_level(ACE_LOG_QUIET);
    made *m = make(words, options);
    ace_log_set_level(ACE_LOG_WARNING);
    assert_true(ace_warned(&m->warnings, "W15"));
    assert_int_equal(m->written[0].n_codes, 60);
    assert_int_equal(m->song[0].latents.rows, 300);
    check_field(m, ACE_LM_DURATION, "12"); /* its plan is made for the song that there will be */
    check_says(m->text_prompt[0], "duration: 12 seconds");
    job_discard(m);
    assert_int_equal(remove(path), 0);
}

/* The guide's limit of 480 s, in the schedule alone. */
static void the_guide_limits_the_plan(void **state)
{
    (void)state;
    made *m = job_make("exec=shape;device=sim;max_cuda_vram=8;weights=synthetic;thinking=true;"
                       "seed=1",
                       NULL);
    assert_true(m->choice.lm_runs);
    assert_int_equal(m->song[0].latents.rows, 480 * 25);
    job_discard(m);
}

/* ---- what the user gave ---------------------------------------------------------------------- */

static void given_metadata_stay(void **state)
{
    (void)state;
    made *m = make(words, "seed=1;bpm=77;keyscale=F# minor;timesignature=3;duration=7;"
                          "vocal_language=fr");
    check_field(m, ACE_LM_BPM, "77");
    check_field(m, ACE_LM_KEYSCALE, "F# minor");
    check_field(m, ACE_LM_TIMESIGNATURE, "3");
    check_field(m, ACE_LM_DURATION, "7");
    assert_null(field(m, ACE_LM_CAPTION)); /* nothing was open: the phase was left out */
    assert_int_equal(m->written[0].tokens, 36);
    check_says(m->text_prompt[0], "slow piano");
    check_says(m->text_prompt[0], "- bpm: 77\n");
    check_says(m->text_prompt[0], "- timesignature: 3\n");
    check_says(m->text_prompt[0], "- keyscale: F# minor\n");
    check_says(m->text_prompt[0], "- duration: 7 seconds\n");
    check_says(m->lyric_prompt[0], "# Languages\nfr\n");
    job_discard(m);
}

/* One of them each, the others are the model's. */
static void every_given_value_stays_alone(void **state)
{
    (void)state;
    static const struct {
        const char *option, *value;
        ace_lm_field field;
    } cases[] = {{"bpm=123", "123", ACE_LM_BPM},
                 {"keyscale=Eb minor", "Eb minor", ACE_LM_KEYSCALE},
                 {"timesignature=6", "6", ACE_LM_TIMESIGNATURE},
                 {"duration=8", "8", ACE_LM_DURATION}};
    char options[100];
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        (void)snprintf(options, sizeof options, "seed=3;limits=seed;gpu_tier=tier4;%s%s",
                       cases[i].option,
                       i == 3   ? ""
                       : i == 0 ? ";duration=6.5"
                                : ";duration=7.5");
        made *m = make(words, options);
        check_field(m, cases[i].field, cases[i].value);
        assert_non_null(field(m, ACE_LM_CAPTION));
        assert_in_range(ace_lm_fields_number(&m->written[0].fields, ACE_LM_BPM), 30, 300);
        job_discard(m);
    }
}

static void the_language_is_the_users(void **state)
{
    (void)state;
    made *given = make(words, "seed=3;duration=6;vocal_language=fr");
    made *open = make(words, "seed=3;duration=6");
    made *off = make(words, "seed=3;duration=6;use_cot_language=false");
    char line[80];
    check_says(given->lyric_prompt[0], "# Languages\nfr\n");
    assert_non_null(field(open, ACE_LM_LANGUAGE));
    const char *known = NULL;
    assert_int_equal(ace_language_parse(field(open, ACE_LM_LANGUAGE), &known, NULL), ACESTEP_OK);
    (void)snprintf(line, sizeof line, "# Languages\n%s\n", field(open, ACE_LM_LANGUAGE));
    check_says(open->lyric_prompt[0], line);
    assert_null(field(off, ACE_LM_LANGUAGE));
    check_says(off->lyric_prompt[0], "# Languages\nunknown\n");
    job_discard(given);
    job_discard(open);
    job_discard(off);
}

static void the_caption_is_the_users_where_asked(void **state)
{
    (void)state;
    made *kept = make(words, "seed=4;duration=6;use_cot_caption=false");
    made *replaced = make(words, "seed=4;duration=6");
    assert_null(field(kept, ACE_LM_CAPTION));
    assert_non_null(field(kept, ACE_LM_KEYSCALE));
    check_says(kept->text_prompt[0], "# Caption\nslow piano\n");
    assert_non_null(field(replaced, ACE_LM_CAPTION));
    assert_null(strstr(replaced->text_prompt[0], "slow piano"));
    check_says(replaced->lyric_prompt[0], "la la"); /* lyrics are never replaced here */
    job_discard(kept);
    job_discard(replaced);
}

static void metadata_can_be_left_out(void **state)
{
    (void)state;
    made *m = make(words, "seed=4;duration=6;use_cot_metas=false;bpm=99");
    check_field(m, ACE_LM_BPM, "99");
    assert_null(field(m, ACE_LM_CAPTION));
    assert_null(field(m, ACE_LM_KEYSCALE));
    assert_int_equal(m->written[0].tokens, 31);
    check_says(m->text_prompt[0], "slow piano");
    check_says(m->text_prompt[0], "- keyscale: N/A\n");
    job_discard(m);
    refused(ACESTEP_ARGUMENT, words, "seed=4;use_cot_metas=false;gpu_tier=tier4;limits=seed",
            "duration");
}

/* thinking=false, and still asked for metadata. */
static void metadata_without_codes(void **state)
{
    (void)state;
    made *m = make(words, "seed=4;duration=6;thinking=false;use_cot_metas=true");
    assert_true(m->written[0].wrote);
    assert_null(m->written[0].codes);
    assert_non_null(field(m, ACE_LM_KEYSCALE));
    for (int i = 0; i < m->plan.count; i++) {
        assert_true(strcmp(m->plan.stage[i].key, "codes") != 0);
    }
    assert_int_equal(m->song[0].latents.rows, 150);
    job_discard(m);
}

static void without_anything_to_ask_it_stays_out(void **state)
{
    (void)state;
    static const char *const ways[] = {"thinking=false", "audio_codes=1,2,3,4,5,6,7,8,9,10,11,12,"
                                                         "13,14,15,16,17,18,19,20,21,22,23,24,25,"
                                                         "26,27,28,29,30"};
    for (size_t i = 0; i < sizeof ways / sizeof *ways; i++) {
        char options[200];
        (void)snprintf(options, sizeof options, "seed=4;duration=6;%s", ways[i]);
        made *m = make(words, options);
        assert_false(m->written[0].wrote);
        for (int k = 0; k < m->plan.count; k++) {
            assert_true(strcmp(m->plan.stage[k].key, "lm") != 0);
        }
        job_discard(m);
    }
}

/* ---- openings -------------------------------------------------------------------------------- */

/* Untrained words go on to the last token that there is room for: these are the slow ones. */
static void a_sentence_becomes_a_song(void **state)
{
    (void)state;
    made *m = make("sample_query=a sad ballad about rain in french", "seed=1;duration=6");
    assert_true(m->written[0].wrote);
    check_field(m, ACE_LM_LANGUAGE, "fr");
    check_field(m, ACE_LM_DURATION, "6");
    assert_non_null(field(m, ACE_LM_CAPTION));
    assert_in_range(ace_lm_fields_number(&m->written[0].fields, ACE_LM_BPM), 30, 300);
    assert_int_equal(m->written[0].n_codes, 30);
    check_says(m->lyric_prompt[0], "# Languages\nfr\n");
    check_says(m->text_prompt[0], "- duration: 6 seconds\n");
    assert_null(strstr(m->text_prompt[0], "- keyscale: N/A"));
    if (m->written[0].lyrics != NULL) {
        char start[40];
        (void)snprintf(start, sizeof start, "# Lyric\n%.12s", m->written[0].lyrics);
        check_says(m->lyric_prompt[0], start);
    }
    job_discard(m);
}

static void rough_words_are_made_better(void **state)
{
    (void)state;
    made *m = make(words, "use_format=true;seed=2;duration=6;bpm=111;vocal_language=de");
    assert_true(m->written[0].wrote);
    check_field(m, ACE_LM_BPM, "111");
    check_field(m, ACE_LM_LANGUAGE, "de");
    assert_non_null(field(m, ACE_LM_CAPTION));
    assert_null(strstr(m->text_prompt[0], "slow piano"));
    check_says(m->text_prompt[0], "- bpm: 111\n");
    check_says(m->lyric_prompt[0], "# Languages\nde\n");
    assert_int_equal(m->written[0].n_codes, 30);
    job_discard(m);
}

static void lyrics_where_none_are_given(void **state)
{
    (void)state;
    made *given = make(words, "use_cot_lyrics=true;seed=3;duration=6");
    made *open = make("caption=slow piano", "use_cot_lyrics=true;seed=3;duration=6");
    made *none = make("caption=slow piano", "use_cot_lyrics=true;instrumental=true;seed=3;"
                                            "duration=6");
    check_says(given->lyric_prompt[0], "la la");
    assert_null(given->written[0].lyrics);
    assert_null(none->written[0].lyrics);
    assert_true(open->written[0].tokens > given->written[0].tokens);
    assert_non_null(open->written[0].lyrics);
    assert_int_equal(open->written[0].n_codes, 30);
    job_discard(given);
    job_discard(open);
    job_discard(none);
}

/* "instrumental" in the sentence: the prompt says so, and the song follows. */
static void a_sentence_can_ask_for_silence_of_voices(void **state)
{
    (void)state;
    made *sung = make("sample_query=soft evening music", "thinking=false;seed=1;duration=6");
    made *solo =
        make("sample_query=soft evening music instrumental", "thinking=false;seed=1;duration=6");
    assert_null(sung->written[0].codes);
    assert_non_null(field(sung, ACE_LM_CAPTION));
    assert_non_null(field(solo, ACE_LM_CAPTION));
    /* the prompt is another one; an untrained model sings all the same */
    assert_true(strcmp(sung->text_prompt[0], solo->text_prompt[0]) != 0 ||
                strcmp(sung->lyric_prompt[0], solo->lyric_prompt[0]) != 0);
    job_discard(sung);
    job_discard(solo);
}

/* ---- choices --------------------------------------------------------------------------------- */

static bool same_writing(const made *a, const made *b)
{
    for (int f = 0; f < ACE_LM_FIELDS; f++) {
        const char *x = field(a, (ace_lm_field)f);
        const char *y = field(b, (ace_lm_field)f);
        if ((x == NULL) != (y == NULL) || (x != NULL && strcmp(x, y) != 0)) {
            return false;
        }
    }
    return same_codes(a, 0, b, 0);
}

static void choices_run_and_repeat(void **state)
{
    (void)state;
    static const char *const ways[] = {
        "lm_legacy_prompt=true",
        "lm_fsm_canonical=true",
        "lm_order=pt",
        "lm_order=pt;lm_top_k=40;lm_top_p=0.5",
        "lm_repetition_penalty=1.3",
        "lm_negative_prompt=loud noise",
        "lm_top_k=5",
        "lm_min_p=0.2",
        "lm_temperature=2;lm_top_p=1",
        "lm_cfg_scale=1",
        "lm_cfg_scale=7",
        "precision=bf16",
        "precision=int8",
    };
    made *plain = make(words, "seed=9;duration=6");
    made *again = make(words, "seed=9;duration=6");
    made *other = make(words, "seed=10;duration=6");
    assert_true(same_writing(plain, again));
    assert_false(same_writing(plain, other));
    job_discard(again);
    job_discard(other);
    for (size_t i = 0; i < sizeof ways / sizeof *ways; i++) {
        char options[200];
        (void)snprintf(options, sizeof options, "seed=9;duration=6;%s", ways[i]);
        made *m = make(words, options);
        made *repeated = make(words, options);
        assert_int_equal(m->written[0].n_codes, 30);
        assert_true(same_writing(m, repeated));
        bool may_agree = strncmp(ways[i], "precision", 9) == 0 || i == 1; /* as many tokens */
        if (same_writing(m, plain) && !may_agree) {
            fail_msg("%s changes nothing", ways[i]);
        }
        job_discard(m);
        job_discard(repeated);
    }
    job_discard(plain);
}

/* Temperature 0 leaves nothing to the seed. */
static void the_most_likely_is_one(void **state)
{
    (void)state;
    made *a = make(words, "seed=9;duration=6;lm_temperature=0");
    made *b = make(words, "seed=10;duration=6;lm_temperature=0");
    assert_true(same_writing(a, b));
    job_discard(a);
    job_discard(b);
}

static void its_own_seed_counts(void **state)
{
    (void)state;
    made *a = make(words, "seed=9;duration=6;lm_seed=77");
    made *b = make(words, "seed=10;duration=6;lm_seed=77");
    made *c = make(words, "seed=77;duration=6");
    made *two = make(words, "seed=1,2;batch_size=2;duration=6;lm_seed=77");
    assert_true(same_writing(a, b));
    assert_true(same_writing(a, c));
    assert_true(same_codes(two, 0, a, 0));
    assert_false(same_codes(two, 1, a, 0));
    assert_false(job_same_song(&a->song[0], &b->song[0])); /* the noise is still the song's */
    job_discard(a);
    job_discard(b);
    job_discard(c);
    job_discard(two);
}

/* ---- the plan -------------------------------------------------------------------------------- */

static void check_held(const made *m, double gb)
{
    assert_int_equal(ace_stage_log_peak(&m->plan), m->report.peak_bytes);
    assert_true(m->report.peak_bytes <= (size_t)((gb - 0.5) * (double)((size_t)1 << 30)));
    assert_int_equal(m->plan.count, m->report.log.count);
    for (int i = 0; i < m->plan.count; i++) {
        const ace_stage_record *planned = &m->plan.stage[i];
        const ace_stage_record *found = &m->report.log.stage[i];
        assert_string_equal(planned->key, found->key);
        assert_int_equal(planned->peak_bytes, found->peak_bytes);
        assert_int_equal(planned->work_bytes, found->work_bytes);
        bool bounded = strcmp(planned->key, "lm") == 0;
        assert_true(bounded ? found->counters.flops <= planned->counters.flops
                            : planned->counters.flops == found->counters.flops);
        assert_true(bounded ? found->counters.uploaded <= planned->counters.uploaded
                            : planned->counters.uploaded == found->counters.uploaded);
        for (int t = 0; bounded && t < found->n_tags; t++) {
            assert_true(found->tags[t].peak <= planned->tags[t].peak);
        }
    }
}

static void the_plan_holds(void **state)
{
    (void)state;
    static const double sizes[] = {7, 8, 12, 24};
    static const char *const jobs[] = {
        "seed=1;duration=6",
        "seed=1;duration=6;lm_cfg_scale=1",
        "seed=1,2;batch_size=2;duration=8;lm_batch_chunk_size=1;limits=exact",
        "seed=1,2;batch_size=2;duration=8;limits=exact",
        "seed=1;thinking=false;use_cot_metas=true;duration=6",
        "seed=1;use_cot_metas=false;duration=6",
    };
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        for (size_t k = 0; k < sizeof jobs / sizeof *jobs; k++) {
            char options[200];
            (void)snprintf(options, sizeof options, "device=sim;max_cuda_vram=%g;%s", sizes[i],
                           jobs[k]);
            made *m = make(words, options);
            check_held(m, sizes[i]);
            job_discard(m);
        }
    }
}

/* The length is the model's: the first plan is for the longest, the second for what it chose. */
static void the_second_plan_takes_no_more(void **state)
{
    (void)state;
    char path[64];
    char options[200];
    bool shorter = false;
    write_limit(path, sizeof path, 20);
    (void)snprintf(options, sizeof options,
                   "device=sim;max_cuda_vram=8;gpu_tiers=%s;seed=2;duration=20", path);
    made *longest = make(words, options);
    check_held(longest, 8);
    for (int seed = 1; seed <= 8 && !shorter; seed++) {
        (void)snprintf(options, sizeof options,
                       "device=sim;max_cuda_vram=8;gpu_tiers=%s;seed=%d;lm_temperature=2;"
                       "lm_top_p=1",
                       path, seed);
        made *open = make(words, options);
        check_held(open, 8);
        shorter = open->song[0].latents.rows < longest->song[0].latents.rows;
        assert_true(open->report.peak_bytes <= longest->report.peak_bytes);
        job_discard(open);
    }
    assert_true(shorter);
    job_discard(longest);
    assert_int_equal(remove(path), 0);
}

static void synthetic_weights_are_planned(void **state)
{
    (void)state;
    static const double sizes[] = {4, 6, 7, 8, 12, 16, 20, 24};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        for (int query = 0; query < 2; query++) {
            char options[200];
            (void)snprintf(options, sizeof options,
                           "exec=shape;device=sim;max_cuda_vram=%g;weights=synthetic;"
                           "thinking=true;seed=1;duration=60%s",
                           sizes[i], query ? ";sample_query=a song" : "");
            ace_log_set_level(ACE_LOG_QUIET);
            made *m = job_make(options, NULL);
            ace_log_set_level(ACE_LOG_WARNING);
            job_check_plan(m);
            assert_int_equal(m->choice.lm_runs, sizes[i] >= 7);
            assert_true(m->report.peak_bytes <=
                        (size_t)((sizes[i] - 0.5) * (double)((size_t)1 << 30)));
            job_discard(m);
        }
    }
}

/* Eight songs of ten minutes: as many side by side as the card has room for, one with pt. */
static void a_small_card_gets_chunks(void **state)
{
    (void)state;
    static const struct {
        double gb;
        const char *backend;
        int least, most; /* songs side by side */
    } cases[] = {{4, "vllm;force_config=true", 1, 4},
                 {6, "vllm;force_config=true", 4, 7},
                 {8, "vllm", 8, 8},
                 {8, "pt", 1, 1}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char options[300];
        (void)snprintf(options, sizeof options,
                       "exec=shape;device=sim;max_cuda_vram=%g;backend=%s;weights=synthetic;"
                       "thinking=true;lm_model_path=acestep-5Hz-lm-0.6B;limits=exact;seed=1;"
                       "duration=600;batch_size=8",
                       cases[i].gb, cases[i].backend);
        ace_log_set_level(ACE_LOG_QUIET);
        made *m = job_make(options, NULL);
        ace_log_set_level(ACE_LOG_WARNING);
        job_check_plan(m);
        assert_in_range(m->choice.lm_chunk, cases[i].least, cases[i].most);
        assert_true(m->report.peak_bytes <=
                    (size_t)((cases[i].gb - 0.5) * (double)((size_t)1 << 30)));
        job_discard(m);
    }
}

/* ---- one engine, several jobs ---------------------------------------------------------------- */

typedef struct engine {
    ace_workshop w;
    ace_request *request;
    ace_job job;
    ace_warnings warnings;
    ace_stage_log plan;
    ace_job_report report;
    ace_finished songs[ACE_MAX_SONGS];
    int n;
    ace_error err;
} engine;

static engine *open_engine(const char *options)
{
    char text[1200];
    engine *e = calloc(1, sizeof *e);
    (void)snprintf(text, sizeof text, "%s;%s;%s", common, words, options);
    e->request = job_request(text);
    assert_int_equal(ace_workshop_open(e->request, &e->w, &e->err), ACESTEP_OK);
    return e;
}

static void close_engine(engine *e)
{
    ace_workshop_close(&e->w);
    ace_request_free(e->request);
    free(e);
}

static ace_status run_job(engine *e, ace_job_progress *progress, void *context)
{
    const ace_request *list[] = {e->request};
    e->n = 0;
    e->err = (ace_error){.code = ACESTEP_OK};
    ace_status status = ace_job_create(&e->w, list, 1, &e->warnings, &e->job, &e->err);
    if (status == ACESTEP_OK) {
        status = ace_job_plan(&e->w, e->request, &e->job, &e->warnings, &e->plan, &e->err);
    }
    if (status == ACESTEP_OK) {
        status = ace_job_run(&e->w, e->request, &e->job, &e->plan, progress, context, &e->warnings,
                             &e->report, e->songs, &e->n, &e->err);
    }
    return status;
}

static void end_job(engine *e)
{
    for (int i = 0; i < e->n; i++) {
        ace_finished_free(&e->songs[i]);
    }
    e->n = 0;
    ace_job_free(&e->job);
}

static double uploaded(const engine *e, const char *stage)
{
    for (int i = 0; i < e->report.log.count; i++) {
        if (strcmp(e->report.log.stage[i].key, stage) == 0) {
            return e->report.log.stage[i].counters.uploaded;
        }
    }
    return 0;
}

/* gpu.md 7.2: on the largest cards everything stays; on small ones nothing. */
static void it_stays_where_there_is_room(void **state)
{
    (void)state;
    static const double sizes[] = {24, 8};
    for (int i = 0; i < 2; i++) {
        char options[100];
        double all[2];
        int32_t codes[30];
        (void)snprintf(options, sizeof options, "device=sim;max_cuda_vram=%g;seed=1;duration=6",
                       sizes[i]);
        engine *e = open_engine(options);
        for (int run = 0; run < 2; run++) {
            assert_int_equal(run_job(e, NULL, NULL), ACESTEP_OK);
            all[run] = uploaded(e, "load") + uploaded(e, "lm");
            assert_int_equal(ace_stage_log_peak(&e->plan), e->report.peak_bytes);
            assert_int_equal(ace_plan_keeps(&e->job.plan, ACE_PART_LM), sizes[i] > 20);
            assert_int_equal(e->w.residency.part[ACE_PART_LM].held, sizes[i] > 20);
            assert_int_equal(e->job.written[0].n_codes, 30);
            if (run == 0) {
                memcpy(codes, e->job.written[0].codes, sizeof codes);
            }
            assert_memory_equal(codes, e->job.written[0].codes, sizeof codes);
            end_job(e);
        }
        bool again = all[1] > all[0] / 2;
        assert_int_equal(again, sizes[i] < 20);
        close_engine(e);
    }
}

/* ---- when something is missing --------------------------------------------------------------- */

static void refused_allocations_are_survived(void **state)
{
    (void)state;
    static const double sizes[] = {8, 24};
    static const char *const which[] = {"1", "2", "3", "*"};
    char options[300];
    made *whole = make(words, "seed=1;duration=6;quantization=none;vae_chunk=152");
    ace_log_set_level(ACE_LOG_QUIET);
    for (int i = 0; i < 2; i++) {
        for (size_t n = 0; n < sizeof which / sizeof *which; n++) {
            (void)snprintf(options, sizeof options,
                           "seed=1;duration=6;device=sim;max_cuda_vram=%g;limits=exact;"
                           "quantization=none;vae_chunk=152;vae_overlap=12;sim_fail_alloc=lm:%s",
                           sizes[i], which[n]);
            ace_error err;
            made *m = NULL;
            ace_status status = attempt(words, options, &m, &err);
            if (status == ACESTEP_OK) {
                assert_true(same_writing(m, whole));
                assert_true(job_same_song(&m->song[0], &whole->song[0]));
            } else {
                assert_int_equal(status, ACESTEP_MEMORY);
                assert_string_equal(which[n], "*");
                assert_true(err.message[0] != '\0' && strchr(err.message, '\n') == NULL);
            }
            job_discard(m);
        }
    }
    ace_log_set_level(ACE_LOG_WARNING);
    job_discard(whole);
}

/* The device's memory goes, and comes back: the engine is as good as new. */
static void the_next_job_is_fine(void **state)
{
    (void)state;
    engine *e = open_engine("device=sim;max_cuda_vram=12;seed=1;duration=6");
    int32_t codes[30] = {0};
    ace_log_set_level(ACE_LOG_QUIET);
    for (int run = 0; run < 4; run++) {
        bool starved = run % 2 == 1;
        ace_sim_device_set_used(e->w.device, 0);
        assert_int_equal(ace_job_create(&e->w, &(const ace_request *){e->request}, 1, &e->warnings,
                                        &e->job, &e->err),
                         ACESTEP_OK);
        assert_int_equal(ace_job_plan(&e->w, e->request, &e->job, &e->warnings, &e->plan, &e->err),
                         ACESTEP_OK);
        if (starved) {
            ace_sim_device_set_used(e->w.device, (size_t)1 << 50);
        }
        ace_status status = ace_job_run(&e->w, e->request, &e->job, &e->plan, NULL, NULL,
                                        &e->warnings, &e->report, e->songs, &e->n, &e->err);
        assert_int_equal(status, starved ? ACESTEP_MEMORY : ACESTEP_OK);
        if (run == 0) {
            memcpy(codes, e->job.written[0].codes, sizeof codes);
        } else if (!starved) {
            assert_memory_equal(codes, e->job.written[0].codes, sizeof codes);
        }
        end_job(e);
    }
    ace_log_set_level(ACE_LOG_WARNING);
    close_engine(e);
}

/* Every n-th allocation of a whole job fails, from its creation to its end. */
static void short_memory_is_survived(void **state)
{
    (void)state;
    engine *e = open_engine("threads=1;seed=1;duration=6");
    uint64_t count = ace_memory_count();
    assert_int_equal(run_job(e, NULL, NULL), ACESTEP_OK);
    count = ace_memory_count() - count;
    end_job(e);
    assert_int_equal(run_job(e, NULL, NULL), ACESTEP_OK); /* what stays is there now */
    end_job(e);
    uint64_t live = ace_memory_live();
    int failed = 0;
    ace_log_set_level(ACE_LOG_QUIET);
    for (uint64_t n = 1; n <= count; n += n < 100 ? 1 : 97) {
        ace_memory_fail_at(n);
        ace_status status = run_job(e, NULL, NULL);
        ace_memory_fail_at(0);
        if (status != ACESTEP_OK && status != ACESTEP_MEMORY) {
            fail_msg("allocation %llu: %d, %s", (unsigned long long)n, (int)status, e->err.message);
        }
        failed += status == ACESTEP_MEMORY;
        assert_true(status == ACESTEP_OK || e->err.message[0] != '\0');
        end_job(e);
        if (ace_memory_live() != live) {
            fail_msg("allocation %llu: %llu blocks too many", (unsigned long long)n,
                     (unsigned long long)(ace_memory_live() - live));
        }
    }
    ace_log_set_level(ACE_LOG_WARNING);
    assert_true(failed > 20);
    assert_int_equal(run_job(e, NULL, NULL), ACESTEP_OK);
    end_job(e);
    close_engine(e);
}

/* ---- without rules --------------------------------------------------------------------------- */

/* Untrained and unruled it writes nothing that can be read. */
static void without_rules_it_may_fail(void **state)
{
    (void)state;
    refused(ACESTEP_MODEL, words, "seed=1;duration=6;use_constrained_decoding=false",
            "use_constrained_decoding");
    refused(ACESTEP_MODEL, words,
            "seed=1;use_constrained_decoding=false;lm_retries=0;"
            "gpu_tier=tier4;limits=seed",
            "1 times");
    refused(ACESTEP_MODEL, words,
            "seed=1;use_constrained_decoding=false;lm_retries=2;"
            "gpu_tier=tier4;limits=seed",
            "3 times");
}

static void and_the_song_can_do_without(void **state)
{
    (void)state;
    static const char *const ways[] = {"duration=6", "gpu_tier=tier4;limits=seed"};
    for (int i = 0; i < 2; i++) {
        char options[200];
        (void)snprintf(options, sizeof options,
                       "seed=1;use_constrained_decoding=false;lm_optional=true;lm_retries=0;%s",
                       ways[i]);
        ace_log_set_level(ACE_LOG_QUIET);
        made *m = make(words, options);
        made *plain =
            make(words, i == 0 ? "thinking=false;seed=1;duration=6" : "thinking=false;seed=1");
        ace_log_set_level(ACE_LOG_WARNING);
        assert_true(ace_warned(&m->warnings, "W25"));
        assert_false(m->written[0].wrote);
        assert_int_equal(m->n, 1);
        assert_string_equal(m->text_prompt[0], plain->text_prompt[0]);
        assert_true(job_same_song(&m->song[0], &plain->song[0]));
        job_discard(m);
        job_discard(plain);
    }
}

/* ---- cancelling ------------------------------------------------------------------------------ */

typedef struct patience {
    int calls, most; /* of the language model's progress */
    int after;       /* calls after it was cancelled */
    bool stopped;
    double highest;
    bool backwards;
} patience;

static bool lose_patience(void *context, const char *stage, double fraction, double whole)
{
    patience *p = context;
    p->after += p->stopped;
    p->backwards = p->backwards || whole < p->highest - 1e-9 || fraction < 0 || fraction > 1;
    p->highest = whole;
    if (strncmp(stage, "language model", 14) == 0 && ++p->calls > p->most) {
        p->stopped = true;
        return false;
    }
    return true;
}

static void it_can_be_cancelled(void **state)
{
    (void)state;
    engine *e = open_engine("seed=1;duration=6");
    uint64_t live = 0;
    patience p = {.most = 1 << 30};
    assert_int_equal(run_job(e, lose_patience, &p), ACESTEP_OK);
    end_job(e);
    assert_true(p.calls > 30); /* told about every token */
    assert_false(p.backwards);
    int all = p.calls;
    live = ace_memory_live();
    for (int most = 0; most < all; most += 5) {
        p = (patience){.most = most};
        assert_int_equal(run_job(e, lose_patience, &p), ACESTEP_CANCELLED);
        assert_int_equal(p.calls, most + 1);
        assert_int_equal(p.after, 0);
        end_job(e);
        assert_int_equal(ace_memory_live(), live);
    }
    assert_int_equal(run_job(e, NULL, NULL), ACESTEP_OK);
    end_job(e);
    close_engine(e);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(requests_do_not_meet),
        cmocka_unit_test(a_batch_changes_nothing_f32),
        cmocka_unit_test(a_batch_changes_nothing_bf16),
        cmocka_unit_test(a_batch_changes_nothing_int8),
        cmocka_unit_test(a_batch_changes_nothing_with_an_int8_cache),
        cmocka_unit_test(the_first_song_plans_for_all),
        cmocka_unit_test(requests_of_a_job_are_apart),
        cmocka_unit_test(as_many_codes_as_the_song_is_long),
        cmocka_unit_test(the_model_chooses_within_the_limit),
        cmocka_unit_test(what_is_asked_for_is_held_to_the_limit),
        cmocka_unit_test(the_guide_limits_the_plan),
        cmocka_unit_test(given_metadata_stay),
        cmocka_unit_test(every_given_value_stays_alone),
        cmocka_unit_test(the_language_is_the_users),
        cmocka_unit_test(the_caption_is_the_users_where_asked),
        cmocka_unit_test(metadata_can_be_left_out),
        cmocka_unit_test(metadata_without_codes),
        cmocka_unit_test(without_anything_to_ask_it_stays_out),
        cmocka_unit_test(a_sentence_becomes_a_song),
        cmocka_unit_test(rough_words_are_made_better),
        cmocka_unit_test(lyrics_where_none_are_given),
        cmocka_unit_test(a_sentence_can_ask_for_silence_of_voices),
        cmocka_unit_test(choices_run_and_repeat),
        cmocka_unit_test(the_most_likely_is_one),
        cmocka_unit_test(its_own_seed_counts),
        cmocka_unit_test(the_plan_holds),
        cmocka_unit_test(the_second_plan_takes_no_more),
        cmocka_unit_test(synthetic_weights_are_planned),
        cmocka_unit_test(a_small_card_gets_chunks),
        cmocka_unit_test(it_stays_where_there_is_room),
        cmocka_unit_test(refused_allocations_are_survived),
        cmocka_unit_test(the_next_job_is_fine),
        cmocka_unit_test(short_memory_is_survived),
        cmocka_unit_test(without_rules_it_may_fail),
        cmocka_unit_test(and_the_song_can_do_without),
        cmocka_unit_test(it_can_be_cancelled),
    };
    const char *only = getenv("TEST_ONLY");
    if (only != NULL) {
        cmocka_set_test_filter(only);
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
