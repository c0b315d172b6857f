/* Jobs with the cache of packed weights: the same songs, the same memory, whatever is on the disk.
 */
#define _DEFAULT_SOURCE
#include "base/cache_folder.h"
#include "base/log.h"
#include "base/memory.h"
#include "options/option_table.h"
#include "run/pack_cache.h"
#include "run/pack_key.h"
#include "run/pack_writer.h"
#include "support/bench_device.h"
#include "support/checkpoint.h"
#include "support/job_run.h"
#include "support/temporary_folder.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>
#include <unistd.h>

#include <cmocka.h>

static const char golden[] = "models=" ACESTEP_SOURCE_DIR "/tests/golden;threads=2;seed=3;"
                             "duration=6;caption=slow piano;file_tags=none;cache_least=0";

static const char *const engines[] = {
    "precision=bf16",
    "precision=int8",
    "precision=f32;model=base;inference_steps=2;guidance_scale=3",
    "device=sim;max_cuda_vram=8;model=turbo;limits=exact;vae_chunk=152;offload_dit_window=1",
    ("device=sim;max_cuda_vram=8;model=turbo;limits=exact;vae_chunk=152;offload_dit_window=2;"
     "quantization=int8"),
    "device=sim;max_cuda_vram=24;model=turbo;limits=exact;vae_chunk=152;thinking=true",
};
enum { ENGINES = sizeof engines / sizeof *engines };

static int set_up(void **state)
{
    char *folder = malloc(TEMPORARY_FOLDER_BYTES);
    temporary_folder_make(folder);
    ace_log_set_level(ACE_LOG_QUIET);
    *state = folder;
    return 0;
}

static int tear_down(void **state)
{
    ace_log_set_level(ACE_LOG_WARNING);
    temporary_folder_remove(*state);
    free(*state);
    return 0;
}

static made *make_cached(const char *engine, const char *folder, const char *more)
{
    char options[900];
    (void)snprintf(options, sizeof options, "%s;%s;cache_dir=%s;%s", golden, engine, folder, more);
    return job_make(options, NULL);
}

static made *make_plain(const char *engine)
{
    char options[900];
    (void)snprintf(options, sizeof options, "%s;%s", golden, engine);
    return job_make(options, NULL);
}

/* The images that lie in the cache. */
static size_t list_images(const char *folder, ace_cache_entry **list)
{
    char path[200];
    size_t n = 0;
    (void)snprintf(path, sizeof path, "%s/%s", folder, ACE_PACK_FOLDER);
    assert_int_equal(ace_cache_folder_list(path, ACE_PACK_SUFFIX, list, &n, NULL), ACESTEP_OK);
    return n;
}

static size_t count_images(const char *folder)
{
    ace_cache_entry *list = NULL;
    size_t n = list_images(folder, &list);
    ace_free(list);
    return n;
}

/* Every image's time of last use: a long time ago. */
static void age(const char *folder)
{
    ace_cache_entry *list = NULL;
    size_t n = list_images(folder, &list);
    for (size_t i = 0; i < n; i++) {
        char path[400];
        const struct timeval times[2] = {{.tv_sec = 1000}, {.tv_sec = 1000}};
        (void)snprintf(path, sizeof path, "%s/%s/%s", folder, ACE_PACK_FOLDER, list[i].name);
        assert_int_equal(utimes(path, times), 0);
    }
    ace_free(list);
}

static size_t count_old(const char *folder)
{
    ace_cache_entry *list = NULL;
    size_t n = list_images(folder, &list);
    size_t old = 0;
    for (size_t i = 0; i < n; i++) {
        old += list[i].used_ns < (int64_t)2000 * 1000000000;
    }
    ace_free(list);
    return old;
}

/* The same song with the same memory: only where the timbre of silence is known from an earlier
 * engine, the condition stage is spared work, and what hears a timbre is not loaded. */
static void check_same(const made *a, const made *b)
{
    assert_true(b->report.peak_bytes <= a->report.peak_bytes);
    assert_int_equal(a->report.log.count, b->report.log.count);
    for (int i = 0; i < a->report.log.count; i++) {
        const ace_stage_record *x = &a->report.log.stage[i];
        const ace_stage_record *y = &b->report.log.stage[i];
        assert_string_equal(x->name, y->name);
        if (strcmp(x->key, "condition") == 0) {
            assert_true(y->work_bytes <= x->work_bytes);
            continue;
        }
        assert_true(y->peak_bytes <= x->peak_bytes);
        assert_int_equal(x->work_bytes, y->work_bytes);
        assert_true(y->counters.uploaded <= x->counters.uploaded);
    }
    assert_true(job_same_song(&a->song[0], &b->song[0]));
}

static void songs_are_the_same(void **state)
{
    const char *folder = *state;
    for (int i = 0; i < ENGINES; i++) {
        made *plain = make_plain(engines[i]);
        made *first = make_cached(engines[i], folder, "cache=true");
        size_t kept = count_images(folder);
        age(folder);
        made *second = make_cached(engines[i], folder, "cache=true");
        check_same(plain, first);
        check_same(plain, second);
        assert_int_equal(count_images(folder), kept); /* nothing was packed again */
        assert_true(count_old(folder) <= kept - 4);   /* text, condition, diffusion, VAE */
        job_discard(plain);
        job_discard(first);
        job_discard(second);
    }
}

/* While the first stage computes, the later ones' files are asked for: images where they are kept,
 * the checkpoint where not. */
static void later_parts_are_foreseen(void **state)
{
    const char *folder = *state;
    static const char engine[] = "precision=bf16;model=base;inference_steps=2";
    made *run[] = {make_plain(engine), make_cached(engine, folder, "cache=true"),
                   make_cached(engine, folder, "cache=true")};
    for (int i = 0; i < 3; i++) {
        const ace_foresight *f = &run[i]->residency.foresight;
        int images = 0;
        for (int k = 0; k < f->n; k++) {
            images += f->item[k].data == NULL;
        }
        assert_true(f->n >= (i == 2 ? 3 : 2)); /* condition, transformer, VAE */
        assert_int_equal(images, i == 2 ? f->n : 0);
        assert_false(run[i]->residency.foreseen[ACE_PART_DIT]); /* it has been loaded since */
        job_discard(run[i]);
    }
}

/* One image of the transformer serves any window of it. */
static void windows_share_an_image(void **state)
{
    const char *folder = *state;
    static const char common[] = "device=sim;max_cuda_vram=8;model=turbo;limits=exact;"
                                 "quantization=none;vae_chunk=152;offload_to_cpu=true";
    static const char *const windows[] = {"offload_dit_window=1", "offload_dit_window=3",
                                          "offload_dit_policy=stage", "offload_dit_window=2"};
    made *plain = make_plain(common);
    size_t kept = 0;
    for (size_t i = 0; i < sizeof windows / sizeof *windows; i++) {
        made *cached = make_cached(common, folder, windows[i]);
        job_check_plan(cached);
        assert_true(job_same_song(&plain->song[0], &cached->song[0]));
        job_discard(cached);
        assert_true(i == 0 || count_images(folder) == kept);
        kept = count_images(folder);
    }
    job_discard(plain);
}

static void spoil(const char *folder, int way)
{
    ace_cache_entry *list = NULL;
    size_t n = list_images(folder, &list);
    for (size_t i = 0; i < n; i++) {
        char path[400];
        (void)snprintf(path, sizeof path, "%s/%s/%s", folder, ACE_PACK_FOLDER, list[i].name);
        FILE *f = fopen(path, "r+b");
        assert_non_null(f);
        long at = way == 0 ? 3 : way == 1 ? (long)list[i].bytes - 5 : 4096 + 1000;
        assert_int_equal(fseek(f, at, SEEK_SET), 0);
        (void)fputs("!?", f);
        (void)fclose(f);
        if (way == 3) {
            assert_int_equal(truncate(path, (off_t)list[i].bytes / 2), 0);
        }
    }
    ace_free(list);
}

static void spoiled_images_are_replaced(void **state)
{
    const char *folder = *state;
    for (int i = 0; i < ENGINES; i += 3) {
        made *plain = make_plain(engines[i]);
        job_discard(make_cached(engines[i], folder, "cache=true"));
        for (int way = 0; way < 4; way++) {
            spoil(folder, way);
            made *cached = make_cached(engines[i], folder, "cache=true");
            check_same(plain, cached);
            job_discard(cached);
            age(folder);
            made *again = make_cached(engines[i], folder, "cache=true");
            check_same(plain, again);
            assert_true(count_old(folder) <= count_images(folder) - 4);
            job_discard(again);
        }
        job_discard(plain);
    }
}

static void nothing_is_kept_without_being_asked(void **state)
{
    const char *folder = *state;
    job_discard(make_cached(engines[0], folder, "cache=false"));
    job_discard(make_cached(engines[0], folder, "cache_least=64"));
    job_discard(make_cached(engines[0], folder, "cache_limit=0.00001"));
    job_discard(make_cached(engines[0], folder, "models="));      /* the model inside the program */
    job_discard(make_cached("exec=shape", folder, "cache=true")); /* nothing is packed */
    assert_int_equal(count_images(folder), 0);
}

static void the_limit_holds(void **state)
{
    const char *folder = *state;
    uint64_t most = 0;
    for (int i = 0; i < 3; i++) {
        ace_cache_entry *list = NULL;
        uint64_t total = 0;
        job_discard(make_cached(engines[i], folder, "cache_limit=0.0007"));
        size_t n = list_images(folder, &list);
        for (size_t k = 0; k < n; k++) {
            total += list[k].bytes;
        }
        ace_free(list);
        assert_true(total <= (uint64_t)(0.0007 * (1 << 30)));
        most = total > most ? total : most;
    }
    assert_true(most > 300000);
}

/* A folder that cannot be used stops no job. */
static void useless_folders_are_survived(void **state)
{
    (void)state;
    made *plain = make_plain(engines[0]);
    made *cached = make_cached(engines[0], "/proc/no/such/folder", "cache=true");
    check_same(plain, cached);
    job_discard(cached);
    job_discard(plain);
}

/* ---- writing beside the computing
 * ------------------------------------------------------------------------ */

static void writers_write_what_is_read(void **state)
{
    enum { BYTES = (5 << 20) + 3, ROUNDS = 4 };
    const ace_digest key = {1, 2};
    ace_request *r = job_request(golden);
    ace_device *cpu = bench_device(1);
    ace_pack_cache cache;
    unsigned char *image = malloc(BYTES);
    unsigned char *copy = malloc(BYTES);
    ace_pack_piece from = {image, BYTES};
    ace_pack_piece to = {copy, BYTES};
    ace_pack_cache_open(&cache, r, ace_cpu_device_pool(cpu));
    (void)snprintf(cache.base, sizeof cache.base, "%s", (const char *)*state);
    for (int round = 0; round < ROUNDS; round++) {
        for (int i = 0; i < BYTES; i++) {
            image[i] = (unsigned char)(i * 7 + i / 1000 + round);
        }
        ace_pack_writer *writer = ace_pack_writer_start(&cache, "part", key, from);
        assert_non_null(writer);
        ace_pack_writer_finish(writer, &cache);
        memset(image, 0, BYTES); /* free to change from here on */
        assert_true(ace_pack_cache_read(&cache, ACE_PACK_FOLDER, "part", key, &to, 1));
        for (int i = 0; i < BYTES; i++) {
            assert_int_equal(copy[i], (unsigned char)(i * 7 + i / 1000 + round));
        }
    }
    assert_int_equal(count_images(*state), 1);
    free(image);
    free(copy);
    ace_device_close(cpu);
    ace_request_free(r);
}

/* What a writer finds out of the folder counts for all that comes after. */
static void writers_tell_of_useless_folders(void **state)
{
    (void)state;
    unsigned char image[100] = {0};
    ace_request *r = job_request(golden);
    ace_pack_cache cache;
    ace_pack_cache_open(&cache, r, NULL);
    (void)snprintf(cache.base, sizeof cache.base, "/proc/no/such/folder");
    ace_pack_writer *writer = ace_pack_writer_start(&cache, "part", (ace_digest){1, 2},
                                                    (ace_pack_piece){image, sizeof image});
    assert_non_null(writer);
    assert_true(ace_pack_cache_is_on(&cache));
    ace_pack_writer_finish(writer, &cache);
    assert_false(ace_pack_cache_is_on(&cache));
    assert_true(cache.has_complained);
    ace_pack_writer_finish(NULL, &cache);
    ace_request_free(r);
}

/* Without memory for a writer there is none, and nothing is left behind. */
static void writers_do_without_memory(void **state)
{
    unsigned char image[100] = {0};
    ace_request *r = job_request(golden);
    ace_pack_cache cache;
    ace_pack_cache_open(&cache, r, NULL);
    (void)snprintf(cache.base, sizeof cache.base, "%s", (const char *)*state);
    uint64_t live = ace_memory_live();
    ace_pack_writer *writer = NULL;
    uint64_t failed = 0;
    while (writer == NULL) {
        ace_memory_fail_at(++failed);
        writer = ace_pack_writer_start(&cache, "part", (ace_digest){1, 2},
                                       (ace_pack_piece){image, sizeof image});
        ace_memory_fail_at(0);
        assert_true(writer != NULL || ace_memory_live() == live);
    }
    assert_true(failed > 2);
    ace_pack_writer_finish(writer, &cache);
    assert_int_equal(ace_memory_live(), live);
    ace_request_free(r);
}

/* ---- the timbre of silence
 * ------------------------------------------------------------------------ */

static double condition_flops(const ace_stage_log *log)
{
    for (int i = 0; i < log->count; i++) {
        if (strcmp(log->stage[i].key, "condition") == 0) {
            return log->stage[i].counters.flops;
        }
    }
    fail_msg("no condition stage");
    return 0;
}

static void silence_is_heard_once(void **state)
{
    const char *folder = *state;
    for (int i = 0; i < ENGINES - 1; i++) {
        made *plain = make_plain(engines[i]);
        made *first = make_cached(engines[i], folder, "cache=true");
        made *second = make_cached(engines[i], folder, "cache=true");
        job_check_plan(first);
        job_check_plan(second);
        assert_true(job_same_song(&plain->song[0], &first->song[0]));
        assert_true(job_same_song(&plain->song[0], &second->song[0]));
        assert_true(condition_flops(&first->plan) <= condition_flops(&plain->plan));
        assert_true(condition_flops(&second->plan) < 0.5 * condition_flops(&plain->plan));
        job_discard(plain);
        job_discard(first);
        job_discard(second);
    }
}

/* A tone: 16 bit stereo at 48 kHz. */
static void write_tone(const char *path)
{
    enum { FRAMES = 100000 };
    static const unsigned char head[44] = {
        'R', 'I', 'F', 'F', 0xa4, 0x1a, 6,   0,   'W', 'A',  'V',  'E',  'f', 'm', 't',
        ' ', 16,  0,   0,   0,    1,    0,   2,   0,   0x80, 0xbb, 0,    0,   0,   0xee,
        2,   0,   4,   0,   16,   0,    'd', 'a', 't', 'a',  0x80, 0x1a, 6,   0};
    static int16_t samples[FRAMES][2];
    for (int i = 0; i < FRAMES; i++) {
        samples[i][0] = (int16_t)(8000 * ((i / 100) % 2) - 4000);
        samples[i][1] = samples[i][0];
    }
    checkpoint_write(path, head, sizeof head, samples, sizeof samples);
}

/* A reference is heard, whatever is known of silence. */
static void references_are_heard(void **state)
{
    const char *folder = *state;
    char path[100], engine[200];
    (void)snprintf(path, sizeof path, "%s/tone.wav", folder);
    (void)snprintf(engine, sizeof engine, "precision=bf16;reference_audio=%s", path);
    write_tone(path);
    job_discard(make_cached(engines[0], folder, "cache=true"));
    made *plain = make_plain(engine);
    made *cached = make_cached(engine, folder, "cache=true");
    job_check_plan(cached);
    assert_true(job_same_song(&plain->song[0], &cached->song[0]));
    assert_true(condition_flops(&cached->plan) == condition_flops(&plain->plan));
    job_discard(plain);
    job_discard(cached);
}

/* Loads of the condition encoder by one engine: without what hears a timbre where silence is known
 * from an earlier one, with it for a reference, and then it stays. One image serves all. */
static void timbre_encoders_come_when_needed(void **state)
{
    const char *folder = *state;
    ace_error err = {.code = ACESTEP_OK};
    char path[100], options[900], with[1024];
    (void)snprintf(path, sizeof path, "%s/tone.wav", folder);
    /* a card on which everything stays */
    static const char engine[] =
        "device=sim;max_cuda_vram=24;model=turbo;limits=exact;vae_chunk=152";
    (void)snprintf(options, sizeof options, "%s;%s;cache=true;cache_dir=%s", golden, engine,
                   folder);
    (void)snprintf(with, sizeof with, "%s;reference_audio=%s", options, path);
    write_tone(path);
    job_discard(job_make(options, NULL));
    size_t kept = count_images(folder);
    ace_request *r[] = {job_request(options), job_request(with)};
    made *plain = make_plain(engine);
    ace_workshop *w = calloc(1, sizeof *w);
    ace_job *job = calloc(1, sizeof *job);
    ace_warnings *warnings = calloc(1, sizeof *warnings);
    ace_stage_log *plan = calloc(1, sizeof *plan);
    ace_job_report *report = calloc(1, sizeof *report);
    size_t bytes[3];
    assert_int_equal(ace_workshop_open(r[0], w, &err), ACESTEP_OK);
    for (int run = 0; run < 3; run++) {
        ace_finished songs[ACE_MAX_SONGS];
        int n = 0;
        const ace_request *asked = r[run % 2];
        assert_int_equal(ace_job_create(w, &asked, 1, warnings, job, &err), ACESTEP_OK);
        assert_int_equal(ace_job_plan(w, asked, job, warnings, plan, &err), ACESTEP_OK);
        assert_int_equal(
            ace_job_run(w, asked, job, plan, NULL, NULL, warnings, report, songs, &n, &err),
            ACESTEP_OK);
        assert_int_equal(ace_stage_log_peak(plan), report->peak_bytes);
        const ace_held_part *held = &w->residency.part[ACE_PART_CONDITION];
        assert_true(held->held);
        assert_int_equal(held->timbre, run > 0);
        bytes[run] = held->arena.high_water;
        assert_int_equal(job_same_song(&plain->song[0], &songs[0]), run != 1);
        ace_finished_free(&songs[0]);
        ace_job_free(job);
    }
    assert_true(bytes[0] < bytes[1]);
    assert_int_equal(bytes[1], bytes[2]);
    assert_true(count_images(folder) >= kept); /* the audio encoder's may be new */
    ace_workshop_close(w);
    ace_request_free(r[0]);
    ace_request_free(r[1]);
    job_discard(plain);
    free(w);
    free(job);
    free(warnings);
    free(plan);
    free(report);
}

/* With the whole image gone, one is kept that lacks what hears a timbre, until a reference comes.
 */
static void short_images_are_kept(void **state)
{
    const char *folder = *state;
    ace_cache_entry *list = NULL;
    job_discard(make_cached(engines[0], folder, "cache=true"));
    size_t n = list_images(folder, &list);
    for (size_t i = 0; i < n; i++) {
        char path[400];
        (void)snprintf(path, sizeof path, "%s/%s/%s", folder, ACE_PACK_FOLDER, list[i].name);
        assert_int_equal(unlink(path), 0);
    }
    ace_free(list);
    made *plain = make_plain(engines[0]);
    for (int i = 0; i < 2; i++) {
        made *cached = make_cached(engines[0], folder, "cache=true");
        check_same(plain, cached);
        assert_false(cached->residency.part[ACE_PART_CONDITION].timbre);
        assert_int_equal(count_images(folder), n);
        assert_int_equal(count_old(folder), 0);
        age(folder); /* the second time all are read, which makes them young again */
        job_discard(cached);
    }
    job_discard(plain);
}

/* One engine without a disk, three jobs: silence is heard in the first. */
static void engines_remember_silence(void **state)
{
    (void)state;
    ace_error err = {.code = ACESTEP_OK};
    ace_request *r = job_request(golden);
    const ace_request *list[] = {r, r};
    ace_workshop *w = calloc(1, sizeof *w);
    ace_job *job = calloc(1, sizeof *job);
    ace_warnings *warnings = calloc(1, sizeof *warnings);
    ace_stage_log *plan = calloc(1, sizeof *plan);
    ace_job_report *report = calloc(1, sizeof *report);
    double flops[3];
    ace_finished songs[3][ACE_MAX_SONGS];
    int n = 0;
    assert_int_equal(ace_workshop_open(r, w, &err), ACESTEP_OK);
    for (int run = 0; run < 3; run++) { /* the last two: two requests in one batch */
        assert_int_equal(ace_job_create(w, list, run == 0 ? 1 : 2, warnings, job, &err),
                         ACESTEP_OK);
        assert_int_equal(ace_job_plan(w, r, job, warnings, plan, &err), ACESTEP_OK);
        assert_int_equal(
            ace_job_run(w, r, job, plan, NULL, NULL, warnings, report, songs[run], &n, &err),
            ACESTEP_OK);
        flops[run] = condition_flops(plan);
        assert_true(condition_flops(&report->log) == flops[run]);
        assert_true(job_same_song(&songs[0][0], &songs[run][0]));
        assert_int_equal(n, run == 0 ? 1 : 2);
        ace_job_free(job);
    }
    assert_true(flops[1] < flops[0]);
    assert_true(flops[1] == flops[2]);
    for (int run = 0; run < 3; run++) {
        ace_finished_free(&songs[run][0]);
        if (run > 0) {
            ace_finished_free(&songs[run][1]);
        }
    }
    ace_workshop_close(w);
    ace_request_free(r);
    free(report);
    free(plan);
    free(warnings);
    free(job);
    free(w);
}

/* ---- keys ------------------------------------------------------------------------------------ */

static ace_digest key_of(const ace_pack_subject *subject)
{
    ace_digest key = {0};
    assert_true(ace_pack_key(subject, &key));
    return key;
}

static bool differ(ace_digest a, ace_digest b)
{
    return a.low != b.low && a.high != b.high;
}

static void keys_tell_what_matters(void **state)
{
    (void)state;
    const float values[4] = {1, 2, 3, 4};
    checkpoint *file = checkpoint_new();
    checkpoint_add_f32(file, "a", "[4]", values, 4);
    ace_weights *weights = checkpoint_open(file);
    ace_device *cpu = bench_device(1);
    ace_pack_subject subject = {.part = ACE_PART_TEXT,
                                .weights = weights,
                                .device = cpu,
                                .matrix = ACE_BF16,
                                .conv = ACE_BF16,
                                .activation = ACE_BF16,
                                .asked = {1, 2},
                                .bytes = 64};
    ace_digest first = key_of(&subject);
    assert_false(differ(first, key_of(&subject)));
    ace_pack_subject others[7];
    for (int i = 0; i < 7; i++) {
        others[i] = subject;
    }
    others[0].part = ACE_PART_LM;
    others[1].matrix = ACE_I8;
    others[2].conv = ACE_F32;
    others[3].activation = ACE_F32;
    others[4].asked.high = 3;
    others[5].bytes = 128;
    ace_device *reference = bench_device(0); /* another layout */
    others[6].device = reference;
    for (int i = 0; i < 7; i++) {
        assert_true(differ(first, key_of(&others[i])));
    }
    ace_weights_close(weights);

    /* the same path and content at another time */
    const struct timeval times[2] = {{.tv_sec = 1000}, {.tv_sec = 1000}};
    assert_int_equal(utimes(file->path, times), 0);
    assert_int_equal(ace_weights_open(file->path, &weights, NULL), ACESTEP_OK);
    subject.weights = weights;
    assert_true(differ(first, key_of(&subject)));
    ace_weights_close(weights);

    ace_digest unused = {0};
    assert_int_equal(ace_weights_open_synthetic(&weights, NULL), ACESTEP_OK);
    subject.weights = weights;
    assert_false(ace_pack_key(&subject, &unused));
    ace_weights_close(weights);
    checkpoint_free(file);
    ace_device_close(reference);
    ace_device_close(cpu);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(songs_are_the_same, set_up, tear_down),
        cmocka_unit_test_setup_teardown(later_parts_are_foreseen, set_up, tear_down),
        cmocka_unit_test_setup_teardown(windows_share_an_image, set_up, tear_down),
        cmocka_unit_test_setup_teardown(spoiled_images_are_replaced, set_up, tear_down),
        cmocka_unit_test_setup_teardown(nothing_is_kept_without_being_asked, set_up, tear_down),
        cmocka_unit_test_setup_teardown(the_limit_holds, set_up, tear_down),
        cmocka_unit_test_setup_teardown(useless_folders_are_survived, set_up, tear_down),
        cmocka_unit_test_setup_teardown(writers_write_what_is_read, set_up, tear_down),
        cmocka_unit_test_setup_teardown(writers_tell_of_useless_folders, set_up, tear_down),
        cmocka_unit_test_setup_teardown(writers_do_without_memory, set_up, tear_down),
        cmocka_unit_test_setup_teardown(silence_is_heard_once, set_up, tear_down),
        cmocka_unit_test_setup_teardown(references_are_heard, set_up, tear_down),
        cmocka_unit_test_setup_teardown(timbre_encoders_come_when_needed, set_up, tear_down),
        cmocka_unit_test_setup_teardown(short_images_are_kept, set_up, tear_down),
        cmocka_unit_test(engines_remember_silence),
        cmocka_unit_test(keys_tell_what_matters),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
