/* Every tier at work on the simulated card: published sizes with the schedule alone, tiny models
 * with all the computing. What the plan says is what happens, to the byte, under the cap. */
#include "base/log.h"
#include "device/sim_device.h"
#include "options/option_table.h"
#include "support/job_run.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static const double sizes[] = {4, 6, 7, 8, 12, 16, 20, 24};
enum { SIZES = sizeof sizes / sizeof sizes[0] };

static const size_t GB = (size_t)1 << 30;

/* ---- published sizes ------------------------------------------------------------------------- */

static void check_published(double gb, const char *options)
{
    char text[400];
    (void)snprintf(text, sizeof text, "exec=shape;device=sim;max_cuda_vram=%g;seed=1;%s", gb,
                   options);
    made *m = job_make(text, NULL);
    job_check_plan(m);
    assert_true(m->report.peak_bytes <= m->choice.budget_bytes);
    assert_true(m->report.peak_bytes <= (size_t)((gb - 0.5) * (double)GB));
    assert_false(m->choice.host);
    assert_true(m->n == m->choice.songs);
    job_discard(m);
}

/* The guide's limits, and a short song. */
static void every_tier_runs_under_its_cap(void **state)
{
    (void)state;
    static const char *const models[] = {"weights=synthetic:turbo",
                                         "weights=synthetic:base;guidance_scale=7"};
    static const char small_keys[] = "duration=600;batch_size=8;thinking=true;kv_cache_dtype=int8";
    static const char *const songs[] = {"duration=30;batch_size=1", "duration=600;batch_size=8",
                                        "duration=30;thinking=true",
                                        "duration=600;batch_size=8;thinking=true", small_keys};
    for (int i = 0; i < SIZES; i++) {
        for (int model = 0; model < 2; model++) {
            /* the language model does not care which diffusion model follows */
            for (int song = 0; song < (model == 0 ? 5 : 2); song++) {
                char options[160];
                (void)snprintf(options, sizeof options, "%s;%s", models[model], songs[song]);
                check_published(sizes[i], options);
            }
        }
    }
}

/* gpu.md 12.3: what the smallest cards could do. */
static void beyond_the_guide(void **state)
{
    (void)state;
    check_published(4, "weights=synthetic:turbo;duration=600;batch_size=8;limits=exact;"
                       "quantization=none");
    check_published(4, "weights=synthetic:base;guidance_scale=7;duration=600;batch_size=8;"
                       "limits=exact;quantization=none");
    check_published(2, "weights=synthetic:turbo;duration=30;limits=exact");
    check_published(2, "weights=synthetic:turbo;duration=600;batch_size=4;limits=exact");
    check_published(4, "weights=synthetic:xl-turbo;duration=600;limits=exact");
}

/* The language model outside its tier's list, where the plan proves that it fits; and where it
 * does not, the song is made without. */
static void language_models_beyond_the_guide(void **state)
{
    (void)state;
    static const char common[] = "exec=shape;device=sim;weights=synthetic;duration=600;"
                                 "thinking=true;init_llm=true;limits=exact;seed=1";
    char options[300];
    ace_log_set_level(ACE_LOG_QUIET);
    (void)snprintf(options, sizeof options, "%s;max_cuda_vram=4;lm_model_path=acestep-5Hz-lm-0.6B",
                   common);
    made *small = job_make(options, NULL);
    (void)snprintf(options, sizeof options, "%s;max_cuda_vram=4;lm_model_path=acestep-5Hz-lm-1.7B",
                   common);
    made *large = job_make(options, NULL);
    ace_log_set_level(ACE_LOG_WARNING);
    job_check_plan(small);
    job_check_plan(large);
    assert_true(small->choice.lm_runs);
    assert_false(large->choice.lm_runs);
    assert_true(ace_warned(&large->warnings, "W05"));
    for (int i = 0; i < large->plan.count; i++) { /* no codes without the model that writes them */
        assert_true(strcmp(large->plan.stage[i].key, "codes") != 0);
    }
    job_discard(small);
    job_discard(large);
}

static size_t held(const made *m, ace_part part)
{
    return m->residency.part[part].held ? 1 : 0;
}

/* Who is where when nothing runs: gpu.md 7.2. */
static void residency_after_a_job(void **state)
{
    (void)state;
    made *small =
        job_make("exec=shape;device=sim;max_cuda_vram=8;weights=synthetic;duration=30", NULL);
    made *middle =
        job_make("exec=shape;device=sim;max_cuda_vram=12;weights=synthetic;duration=30", NULL);
    made *large =
        job_make("exec=shape;device=sim;max_cuda_vram=24;weights=synthetic;duration=30", NULL);
    for (int i = 0; i < ACE_PARTS; i++) {
        ace_part part = (ace_part)i;
        bool is_dit = part == ACE_PART_DIT || part == ACE_PART_DIT_CONDITION ||
                      part == ACE_PART_CONDITION || part == ACE_PART_TOKENIZER ||
                      part == ACE_PART_DETOKENIZER;
        assert_int_equal(held(small, part), 0);
        assert_int_equal(held(middle, part), is_dit ? 1 : 0);
        assert_int_equal(held(large, part),
                         part == ACE_PART_LM || part == ACE_PART_ADAPTERS ? 0 : 1);
    }
    job_discard(small);
    job_discard(middle);
    job_discard(large);
}

/* 2.43 GB against 4.46 GB of DiT: gpu.md 0.3. */
static void int8_halves_the_dit(void **state)
{
    (void)state;
    made *m[2] = {
        job_make("exec=shape;device=sim;max_cuda_vram=12;weights=synthetic;duration=30", NULL),
        job_make("exec=shape;device=sim;max_cuda_vram=12;weights=synthetic;duration=30;"
                 "quantization=none",
                 NULL)};
    static const double expected[2] = {2.43, 4.46};
    for (int i = 0; i < 2; i++) {
        double gb = (double)m[i]->report.log.stage[0].counters.uploaded / (double)GB;
        assert_true(gb > expected[i] - 0.03 && gb < expected[i] + 0.03);
        job_discard(m[i]);
    }
}

/* ---- tiny models, computed ------------------------------------------------------------------- */

static const char golden[] = "models=" ACESTEP_SOURCE_DIR "/tests/golden;threads=2;seed=3;"
                             "duration=6;caption=slow piano;file_tags=none";

static made *on_sim(double gb, const char *options)
{
    char text[700];
    (void)snprintf(text, sizeof text, "%s;device=sim;max_cuda_vram=%g;%s", golden, gb, options);
    return job_make(text, NULL);
}

static made *on_cpu(const char *options)
{
    char text[700];
    (void)snprintf(text, sizeof text, "%s;device=cpu;%s", golden, options);
    return job_make(text, NULL);
}

/* Bit for bit, whatever stays on the card and whatever passes through. */
static void sim_equals_cpu(void **state)
{
    (void)state;
    static const char *const kinds[] = {
        "model=turbo;quantization=none",
        "model=turbo;quantization=int8",
        "model=base;quantization=int8;guidance_scale=4;inference_steps=3",
    };
    static const char *const ways[] = {"offload_to_cpu=true",  "offload_dit_window=1",
                                       "offload_dit_window=2", "offload_dit_policy=stage",
                                       "vae_chunk=64",         "vae_on_cpu=true"};
    for (size_t kind = 0; kind < sizeof kinds / sizeof *kinds; kind++) {
        made *cpu = on_cpu(kinds[kind]);
        for (int i = 0; i < SIZES; i += 3) {
            char options[200];
            (void)snprintf(options, sizeof options, "%s;limits=exact;vae_chunk=152", kinds[kind]);
            made *sim = on_sim(sizes[i], options);
            job_check_plan(sim);
            assert_true(job_same_song(&cpu->song[0], &sim->song[0]));
            job_discard(sim);
        }
        for (size_t way = 0; way < sizeof ways / sizeof *ways; way++) {
            char options[200];
            (void)snprintf(options, sizeof options, "%s;limits=exact;vae_chunk=152;%s", kinds[kind],
                           ways[way]);
            made *sim = on_sim(8, options);
            job_check_plan(sim);
            if (strncmp(ways[way], "vae_chunk", 9) != 0) {
                assert_true(job_same_song(&cpu->song[0], &sim->song[0]));
            }
            job_discard(sim);
        }
        job_discard(cpu);
    }
}

static const ace_stage_record *stage_of(const made *m, const char *key)
{
    for (int i = 0; i < m->plan.count; i++) {
        if (strcmp(m->plan.stage[i].key, key) == 0) {
            return &m->plan.stage[i];
        }
    }
    fail_msg("no stage %s", key);
    return NULL;
}

/* Songs of one batch in two passes come out as in one. */
static void passes_change_nothing(void **state)
{
    (void)state;
    static const char songs[] = "duration=20;batch_size=8;seed=1,2,3,4,5,6,7,8;quantization=int8;"
                                "limits=exact";
    ace_log_set_level(ACE_LOG_QUIET);
    made *whole = on_sim(24, songs);
    for (int reduce = 0; reduce < 2; reduce++) {
        /* room for six tenths of what all eight take at once; others hold the rest of the card */
        double room = 0.25 + (0.6 * (double)stage_of(whole, "diffusion")->work_bytes +
                              (double)whole->plan.workspace_bytes) /
                                 (double)GB;
        char options[300];
        (void)snprintf(options, sizeof options, "%s;vram_guard=%s;sim_used_gb=%.9f", songs,
                       reduce ? "reduce;exec=shape" : "split", 3.5 - room);
        made *split = on_sim(4, options);
        assert_false(split->choice.host);
        assert_true(ace_warned(&split->warnings, "W20"));
        assert_in_range(split->choice.device_batch, 2, 5);
        assert_int_equal(split->n, reduce ? split->choice.device_batch : 8);
        job_check_plan(split);
        for (int i = 0; i < split->n && !reduce; i++) {
            const ace_array *latents = &whole->song[i].latents;
            assert_memory_equal(split->song[i].latents.values, latents->values,
                                (size_t)(latents->rows * latents->cols) * sizeof(float));
        }
        job_discard(split);
    }
    ace_log_set_level(ACE_LOG_WARNING);
    job_discard(whole);
}

/* INT8 weights against bf16 ones, on the latents of a whole song of eight steps: the tiny model's
 * rounding errors are larger than a trained one's, whose layers are a hundred times as wide. */
static void int8_stays_close(void **state)
{
    (void)state;
    made *plain = on_sim(8, "model=turbo;precision=bf16;quantization=none;limits=exact");
    made *int8 = on_sim(8, "model=turbo;precision=bf16;quantization=int8");
    const ace_array *a = &plain->song[0].latents;
    const ace_array *b = &int8->song[0].latents;
    double difference = 0;
    double power = 0;
    double product = 0;
    double other = 0;
    for (int64_t i = 0; i < a->rows * a->cols; i++) {
        double x = (double)a->values[i];
        double y = (double)b->values[i];
        difference += (x - y) * (x - y);
        power += x * x;
        other += y * y;
        product += x * y;
    }
    double relative = sqrt(difference / power);
    double cosine = product / sqrt(power * other);
    print_message("int8 against bf16: relative RMS %.4f, cosine %.5f\n", relative, cosine);
    assert_true(relative > 0); /* they are not the same weights */
    assert_true(relative < 0.03);
    assert_true(cosine > 0.9995);
    job_discard(plain);
    job_discard(int8);
}

/* ---- when the card refuses
 * ----------------------------------------------------------------------- */

static const char *const stages[] = {"load", "text", "condition", "diffusion", "vae"};

/* A source to cover: 5.2 s of a tone, 16 bit stereo at 48 kHz. The caller removes the file. */
static void write_source(char *path, size_t room)
{
    enum { SAMPLES = 249600 };
    static const unsigned char head[44] = {
        'R', 'I', 'F', 'F', 0x24, 0x3c, 0x0f, 0,   'W', 'A',  'V',  'E',  'f',  'm', 't',
        ' ', 16,  0,   0,   0,    1,    0,    2,   0,   0x80, 0xbb, 0,    0,    0,   0xee,
        2,   0,   4,   0,   16,   0,    'd',  'a', 't', 'a',  0,    0x3c, 0x0f, 0};
    (void)snprintf(path, room, "/tmp/acestep_tiers_%ld.wav", (long)getpid());
    FILE *f = fopen(path, "wb");
    assert_non_null(f);
    assert_int_equal(fwrite(head, sizeof head, 1, f), 1);
    for (int i = 0; i < SAMPLES; i++) {
        int16_t value = (int16_t)(8000 * ((i / 100) % 2) - 4000);
        int16_t both[2] = {value, (int16_t)-value};
        assert_int_equal(fwrite(both, sizeof both, 1, f), 1);
    }
    assert_int_equal(fclose(f), 0);
}

/* Audio goes in: encoder and codes are among the stages that may be refused memory. */
static void refused_allocations_of_a_cover(void **state)
{
    (void)state;
    static const char *const audio_stages[] = {"encode", "codes", "condition", "diffusion"};
    char source[64];
    char options[900];
    write_source(source, sizeof source);
    (void)snprintf(options, sizeof options,
                   "%s;model=turbo;task_type=cover;src_audio=%s;reference_audio=%s;vae_chunk=152",
                   golden, source, source);
    ace_log_set_level(ACE_LOG_QUIET);
    made *whole = job_make(options, NULL);
    for (size_t stage = 0; stage < sizeof audio_stages / sizeof *audio_stages; stage++) {
        for (int n = 0; n <= 2; n++) {
            char failing[1000];
            char which[8] = "*";
            ace_error err = {.code = ACESTEP_OK};
            made *m = NULL;
            if (n > 0) {
                (void)snprintf(which, sizeof which, "%d", n);
            }
            (void)snprintf(failing, sizeof failing,
                           "%s;device=sim;max_cuda_vram=8;quantization=none;limits=exact;"
                           "sim_fail_alloc=%s:%s",
                           options, audio_stages[stage], which);
            ace_status status = job_try(failing, NULL, &m, &err);
            bool has_fallback = n > 0 || stage == 0; /* the encoder can go to the CPU */
            assert_int_equal(status, has_fallback ? ACESTEP_OK : ACESTEP_MEMORY);
            if (status == ACESTEP_OK && stage > 0) {
                assert_true(job_same_song(&m->song[0], &whole->song[0]));
            } else if (status == ACESTEP_OK) { /* smaller windows: the same up to rounding */
                assert_int_equal(m->song[0].audio.frames, whole->song[0].audio.frames);
            }
            job_discard(m);
        }
    }
    ace_log_set_level(ACE_LOG_WARNING);
    job_discard(whole);
    assert_int_equal(remove(source), 0);
}

/* The n-th allocation of a stage is refused, or all are (0): a song, the same one, or one clear
 * error. */
static void check_refused(const made *whole, double gb, const char *stage, int n)
{
    char options[900];
    char which[8] = "*";
    ace_error err = {.code = ACESTEP_OK};
    made *m = NULL;
    if (n > 0) {
        (void)snprintf(which, sizeof which, "%d", n);
    }
    (void)snprintf(options, sizeof options,
                   "%s;device=sim;max_cuda_vram=%g;model=turbo;quantization=int8;"
                   "vae_chunk=152;sim_fail_alloc=%s:%s",
                   golden, gb, stage, which);
    ace_status status = job_try(options, NULL, &m, &err);
    if (status == ACESTEP_OK) {
        assert_true(job_same_song(&m->song[0], &whole->song[0]) || m->report.vae_chunk != 152);
    } else {
        assert_int_equal(status, ACESTEP_MEMORY);
        assert_int_equal(n, 0);
        assert_true(err.message[0] != '\0');
    }
    job_discard(m);
}

/* Every allocation of every stage, on a small card or on a large one: of the three each pair meets.
 */
static void every_refused_allocation_is_survived(void **state)
{
    (void)state;
    static const double cards[] = {4, 12};
    made *whole = on_cpu("model=turbo;quantization=int8");
    ace_log_set_level(ACE_LOG_QUIET);
    for (int stage = 0; stage < (int)(sizeof stages / sizeof *stages); stage++) {
        check_refused(whole, cards[0], stages[stage], 0);
        check_refused(whole, cards[1], stages[stage], 0);
        for (int n = 1; n <= 3; n++) {
            check_refused(whole, cards[(stage + n) % 2], stages[stage], n);
        }
    }
    ace_log_set_level(ACE_LOG_WARNING);
    job_discard(whole);
}

static void the_vae_falls_back_twice(void **state)
{
    (void)state;
    ace_log_set_level(ACE_LOG_QUIET);
    made *a = on_sim(24, "vae_chunk=152;quantization=none");
    made *b = on_sim(24, "vae_chunk=152;quantization=none;sim_fail_alloc=vae:1");
    made *c = on_sim(24, "vae_chunk=152;quantization=none;sim_fail_alloc=vae:*");
    ace_log_set_level(ACE_LOG_WARNING);
    assert_int_equal(a->report.vae_place, ACE_VAE_DEVICE);
    assert_int_equal(b->report.vae_place, ACE_VAE_STREAMED);
    assert_int_equal(c->report.vae_place, ACE_VAE_HOST);
    assert_true(ace_warned(&b->warnings, "W21"));
    assert_true(ace_warned(&c->warnings, "W22"));
    assert_true(job_same_song(&a->song[0], &b->song[0]));
    assert_true(job_same_song(&a->song[0], &c->song[0]));
    job_discard(a);
    job_discard(b);
    job_discard(c);
}

/* Another program takes the card between two stages: one new plan, and the job goes on; or one
 * clear error when nothing is left. */
static void a_shrinking_card(void **state)
{
    (void)state;
    static const char job[] =
        "exec=shape;device=sim;max_cuda_vram=24;weights=synthetic;duration=120;"
        "seed=1;sim_shrink=";
    char options[300];
    ace_error err = {.code = ACESTEP_OK};
    made *nothing = NULL;
    ace_log_set_level(ACE_LOG_QUIET);
    /* everything was to stay: 5.6 GB of models where 3 GB are left */
    (void)snprintf(options, sizeof options, "%sdiffusion:20.5", job);
    made *less = job_make(options, NULL);
    (void)snprintf(options, sizeof options, "%sdiffusion:23.5", job);
    ace_status status = job_try(options, NULL, &nothing, &err);
    ace_log_set_level(ACE_LOG_WARNING);
    assert_int_equal(less->report.replans, 1);
    assert_int_equal(less->n, 1);
    assert_true(ace_warned(&less->warnings, "W24") && ace_warned(&less->warnings, "W10"));
    assert_int_equal(status, ACESTEP_MEMORY);
    assert_non_null(strstr(err.message, "another program"));
    job_discard(nothing);
    job_discard(less);
}

/* A card larger than the machine: what computes on it still has to fit into the machine. */
static void a_simulated_card_is_no_larger_than_the_host(void **state)
{
    (void)state;
    static const char *const exec[] = {"full", "shape"};
    size_t budget[2];
    size_t host = 0;
    for (int i = 0; i < 2; i++) {
        char options[100];
        ace_error err = {.code = ACESTEP_OK};
        ace_workshop *w = calloc(1, sizeof *w);
        (void)snprintf(options, sizeof options, "device=sim;max_cuda_vram=1000;exec=%s", exec[i]);
        ace_request *r = job_request(options);
        assert_int_equal(ace_workshop_open(r, w, &err), ACESTEP_OK);
        budget[i] = ace_workshop_budget(w);
        host = (size_t)w->hardware.host_total_bytes;
        ace_workshop_close(w);
        ace_request_free(r);
        free(w);
    }
    assert_true(budget[0] <= host);
    assert_true(budget[1] > 990 * GB);
}

/* A job that finds no memory leaves nothing behind, and the next one in the same engine runs. What
 * is kept is the same from the second finished song on: the first one still had to hear the timbre
 * of silence. */
static void the_next_job_runs(void **state)
{
    (void)state;
    char options[700];
    ace_error err = {.code = ACESTEP_OK};
    (void)snprintf(options, sizeof options, "%s;device=sim;max_cuda_vram=12;model=turbo", golden);
    ace_request *r = job_request(options);
    const ace_request *list[] = {r};
    ace_workshop *w = calloc(1, sizeof *w);
    ace_job *job = calloc(1, sizeof *job);
    ace_warnings *warnings = calloc(1, sizeof *warnings);
    ace_stage_log *plan = calloc(1, sizeof *plan);
    ace_job_report *report = calloc(1, sizeof *report);
    ace_log_set_level(ACE_LOG_QUIET);
    assert_int_equal(ace_workshop_open(r, w, &err), ACESTEP_OK);
    size_t held = 0;
    for (int run = 0; run < 6; run++) {
        ace_finished songs[ACE_MAX_SONGS];
        int n = 0;
        bool starved = run % 2 == 0;
        ace_sim_device_set_used(w->device, 0);
        assert_int_equal(ace_job_create(w, list, 1, warnings, job, &err), ACESTEP_OK);
        assert_int_equal(ace_job_plan(w, r, job, warnings, plan, &err), ACESTEP_OK);
        if (starved) { /* after the plan another program takes everything */
            ace_sim_device_set_used(w->device, (size_t)1 << 50);
        }
        ace_status status =
            ace_job_run(w, r, job, plan, NULL, NULL, warnings, report, songs, &n, &err);
        assert_int_equal(status, starved ? ACESTEP_MEMORY : ACESTEP_OK);
        for (int i = 0; i < n; i++) {
            ace_finished_free(&songs[i]);
        }
        ace_job_free(job);
        if (run == 3) {
            held = ace_sim_device_held(w->device);
        }
    }
    assert_true(held > 0); /* tier 5 keeps the DiT */
    assert_int_equal(ace_sim_device_held(w->device), held);
    ace_log_set_level(ACE_LOG_WARNING);
    ace_workshop_close(w);
    ace_request_free(r);
    free(w);
    free(job);
    free(warnings);
    free(plan);
    free(report);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_tier_runs_under_its_cap),
        cmocka_unit_test(beyond_the_guide),
        cmocka_unit_test(language_models_beyond_the_guide),
        cmocka_unit_test(residency_after_a_job),
        cmocka_unit_test(int8_halves_the_dit),
        cmocka_unit_test(sim_equals_cpu),
        cmocka_unit_test(passes_change_nothing),
        cmocka_unit_test(int8_stays_close),
        cmocka_unit_test(every_refused_allocation_is_survived),
        cmocka_unit_test(refused_allocations_of_a_cover),
        cmocka_unit_test(the_vae_falls_back_twice),
        cmocka_unit_test(a_shrinking_card),
        cmocka_unit_test(the_next_job_runs),
        cmocka_unit_test(a_simulated_card_is_no_larger_than_the_host),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
