/* The networks of a song one at a time: weights loaded once, then a warm-up and some repetitions.
 * Token counts are those of the text-to-music job that other engines were measured with: 102 tokens
 * of prompt, 70 of lyrics and one of timbre make 173 for the transformer to hear. */
#include "base/clock.h"
#include "base/memory.h"
#include "model/vae_tiling.h"
#include "run/audio_encoder_stage.h"
#include "run/bench.h"
#include "run/job.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum {
    TEXT_TOKENS = 102,
    LYRIC_TOKENS = 70,
    REFERENCES = 1,
    CONDITION_TOKENS = 173,
    MOST_ARRAYS = 4
};

/* A pass: the rehearsal on the device that counts, or the real one. */
typedef struct network_run {
    ace_runner *runner;
    const ace_models *models;
    ace_stage stage;
    int64_t frames;            /* of latents */
    float *array[MOST_ARRAYS]; /* inputs, then the output, as `make` ordered them */
    int n_arrays;
    ace_dit_session *session; /* of the transformer, else NULL */
    bool keeps_steps;         /* as a song's job does */
    ace_bench_row *row;
} network_run;

typedef struct network {
    const char *name;
    ace_part read; /* the weights that each repetition reads */
    ace_part also; /* needed to prepare; ACE_PARTS: nothing is */
    ace_status (*make)(network_run *run, ace_error *err); /* host arrays; describes the work */
    void (*prepare)(network_run *run);                    /* NULL: nothing to do */
    void (*once)(network_run *run);
} network;

/* ---- arrays ---------------------------------------------------------------------------------- */

/* One more array of [rows, cols] numbers within ±0.5, no two rows alike. */
static ace_status add_array(network_run *run, int64_t rows, int64_t cols, ace_error *err)
{
    size_t n = (size_t)rows * (size_t)cols;
    float *values = ace_malloc_array(n, sizeof *values);
    if (values == NULL) {
        return ace_fail(err, ACESTEP_MEMORY, "bench: no host memory for [%lld, %lld] numbers",
                        (long long)rows, (long long)cols);
    }
    for (size_t i = 0; i < n; i++) {
        values[i] = (float)((uint32_t)i * 2654435761u >> 16) * 0x1p-16f - 0.5f;
    }
    run->array[run->n_arrays++] = values;
    return ACESTEP_OK;
}

typedef struct array_shape {
    int64_t rows, cols;
} array_shape;

static ace_status add_arrays(network_run *run, const array_shape *shape, int n, ace_error *err)
{
    ace_status status = ACESTEP_OK;
    for (int i = 0; i < n && status == ACESTEP_OK; i++) {
        status = add_array(run, shape[i].rows, shape[i].cols, err);
    }
    return status;
}

/* ---- text encoder ---------------------------------------------------------------------------- */

static ace_status make_text(network_run *run, ace_error *err)
{
    int64_t width = run->models->text_config.block.hidden;
    const array_shape shape[] = {{TEXT_TOKENS, width}, {TEXT_TOKENS, width}};
    (void)snprintf(run->row->work, sizeof run->row->work, "%d tokens", TEXT_TOKENS);
    return add_arrays(run, shape, 2, err);
}

static void encode_text(network_run *run)
{
    ace_stream *s = &run->stage.stream;
    ace_arena_mark mark = ace_mark(s);
    ace_tensor x =
        ace_new_from(s, ACE_F32, TEXT_TOKENS, run->models->text_config.block.hidden, run->array[0]);
    ace_text_encoder_forward(s, &run->runner->residency->text, x, 1, TEXT_TOKENS, NULL, x);
    ace_download(s, run->array[1], x);
    ace_reset(s, &mark);
}

/* ---- condition encoder
 * --------------------------------------------------------------------------- */

static ace_status make_conditions(network_run *run, int64_t timbre_frames, ace_error *err)
{
    const ace_dit_config *c = &run->models->dit_config;
    const array_shape shape[] = {{TEXT_TOKENS, c->text_dim},
                                 {LYRIC_TOKENS, c->text_dim},
                                 {timbre_frames, c->latent_channels},
                                 {CONDITION_TOKENS, c->encoder.hidden}};
    (void)snprintf(run->row->work, sizeof run->row->work,
                   "%d text and %d lyric tokens, %lld frame%s of timbre", TEXT_TOKENS, LYRIC_TOKENS,
                   (long long)timbre_frames, timbre_frames == 1 ? "" : "s");
    return add_arrays(run, shape, 4, err);
}

static ace_status make_condition(network_run *run, ace_error *err)
{
    return make_conditions(run, 1, err);
}

static ace_status make_condition_timbre(network_run *run, ace_error *err)
{
    return make_conditions(run, run->models->dit_config.timbre_frames, err);
}

static void encode_conditions(network_run *run, int64_t timbre_frames)
{
    ace_condition_input in = {.text = run->array[0],
                              .n_text = TEXT_TOKENS,
                              .lyrics = run->array[1],
                              .n_lyrics = LYRIC_TOKENS,
                              .timbre = run->array[2],
                              .n_refs = REFERENCES,
                              .timbre_frames = timbre_frames};
    ace_condition_encode(&run->stage.stream, &run->runner->residency->condition, &in,
                         run->array[3]);
}

static void encode_condition(network_run *run)
{
    encode_conditions(run, 1);
}

static void encode_condition_timbre(network_run *run)
{
    encode_conditions(run, run->models->dit_config.timbre_frames);
}

/* ---- diffusion transformer
 * ----------------------------------------------------------------------- */

static ace_status make_step(network_run *run, ace_error *err)
{
    const ace_dit_config *c = &run->models->dit_config;
    const array_shape shape[] = {{run->frames, 2 * c->latent_channels},
                                 {CONDITION_TOKENS, c->encoder.hidden},
                                 {run->frames, c->latent_channels},
                                 {run->frames, c->latent_channels}};
    (void)snprintf(run->row->work, sizeof run->row->work,
                   "1 step, %lld tokens, %d condition tokens",
                   (long long)((run->frames + c->patch - 1) / c->patch), CONDITION_TOKENS);
    run->session = ace_calloc(1, sizeof *run->session);
    if (run->session == NULL) {
        return ace_fail(err, ACESTEP_MEMORY, "bench: no host memory");
    }
    return add_arrays(run, shape, 4, err);
}

/* Keys and values of the condition are made once for a song, before its first step. */
static void prepare_step(network_run *run)
{
    const float *const condition[] = {run->array[1]};
    const int64_t length[] = {CONDITION_TOKENS};
    const int32_t of[] = {0};
    ace_dit_inputs in = {.batch = 1,
                         .frames = run->frames,
                         .context = run->array[0],
                         .n_conditions = 1,
                         .condition = condition,
                         .condition_length = length,
                         .condition_of = of};
    ace_dit_begin(&run->stage.stream, &run->runner->residency->dit, &in, run->session);
}

static void step(network_run *run)
{
    const float t = 0.5f;
    ace_dit_velocity(run->session, run->array[2], &t, &t, false, run->array[3]);
}

/* ---- audio decoder and encoder
 * ------------------------------------------------------------------- */

/* In the windows that a whole song would be decoded in. */
static void describe_windows(network_run *run, int64_t chunk, int64_t overlap)
{
    ace_vae_tiling tiling = ace_vae_tiling_of(chunk, overlap);
    bool whole = tiling.core == 0 || run->frames <= tiling.core + 2 * tiling.halo;
    size_t used = 0;
    ace_bench_row *row = run->row;
    (void)snprintf(row->work, sizeof row->work, "%lld frames", (long long)run->frames);
    used = strlen(row->work);
    if (!whole) {
        (void)snprintf(row->work + used, sizeof row->work - used, " in windows of %lld",
                       (long long)chunk);
    }
}

static ace_status make_latents(network_run *run, ace_error *err)
{
    const ace_vae_config *c = &run->models->vae_config;
    const array_shape shape[] = {{run->frames, c->latent_channels},
                                 {run->frames * c->hop, c->audio_channels}};
    describe_windows(run, run->runner->plan->vae_chunk, run->runner->plan->vae_overlap);
    return add_arrays(run, shape, 2, err);
}

static void decode(network_run *run)
{
    const ace_plan *plan = run->runner->plan;
    const ace_vae_decoder *decoder = &run->runner->residency->vae_decoder;
    ace_stream *s = &run->stage.stream;
    ace_vae_tiling tiling = ace_vae_tiling_of(plan->vae_chunk, plan->vae_overlap);
    if (plan->vae == ACE_VAE_DEVICE) {
        ace_vae_decode_resident(s, decoder, run->array[0], run->frames, &tiling, run->array[1]);
    } else {
        ace_vae_decode_tiled(s, decoder, run->array[0], run->frames, &tiling, run->array[1]);
    }
}

static ace_status make_wave(network_run *run, ace_error *err)
{
    const ace_vae_config *c = &run->models->vae_config;
    const array_shape shape[] = {{run->frames * c->hop, c->audio_channels},
                                 {run->frames, 2 * c->latent_channels}};
    describe_windows(run, run->runner->plan->encoder_chunk, run->runner->plan->encoder_overlap);
    return add_arrays(run, shape, 2, err);
}

static void encode(network_run *run)
{
    const ace_plan *plan = run->runner->plan;
    ace_vae_tiling tiling = ace_vae_tiling_of(plan->encoder_chunk, plan->encoder_overlap);
    ace_vae_encode_tiled(&run->stage.stream, &run->runner->residency->vae_encoder, run->array[0],
                         run->frames * run->models->vae_config.hop, &tiling, run->array[1]);
}

/* ---- a pass
 * -------------------------------------------------------------------------------------- */

static const network networks[] = {
    {"text", ACE_PART_TEXT, ACE_PARTS, make_text, NULL, encode_text},
    {"condition", ACE_PART_CONDITION, ACE_PARTS, make_condition, NULL, encode_condition},
    {"condition-timbre", ACE_PART_CONDITION, ACE_PARTS, make_condition_timbre, NULL,
     encode_condition_timbre},
    {"dit", ACE_PART_DIT, ACE_PART_DIT_CONDITION, make_step, prepare_step, step},
    {"dit-xl", ACE_PART_DIT, ACE_PART_DIT_CONDITION, make_step, prepare_step, step},
    {"vae-decode", ACE_PART_VAE_DECODER, ACE_PARTS, make_latents, NULL, decode},
    {"vae-encode", ACE_PART_VAE_ENCODER, ACE_PARTS, make_wave, NULL, encode},
};

/* One repetition that was cut off is none. */
static void repeat(network_run *run, const network *n, const ace_bench_context *c)
{
    ace_bench_row *row = run->row;
    ace_stream *s = &run->stage.stream;
    for (int i = -1; i < c->bench->repeats; i++) { /* the first is the warm-up */
        if (run->runner->device->computes) {
            ace_bench_measure_units(c);
        }
        ace_stream_progress(s, (double)(i + 1) / (c->bench->repeats + 1));
        double flops = s->counters.flops;
        double start = ace_clock_seconds();
        n->once(run);
        double seconds = ace_clock_seconds() - start;
        if (s->status != ACESTEP_OK) {
            return;
        }
        if (i >= 0) {
            row->seconds[row->n++] = seconds;
        }
        row->flops = s->counters.flops - flops;
    }
}

static ace_status pass(network_run *run, const network *n, const ace_bench_context *c)
{
    ace_stage *stage = &run->stage;
    ace_runner *r = run->runner;
    run->row->n = 0;
    (void)ace_stage_begin(r, n->name, n->name, stage);
    if (n->also != ACE_PARTS) {
        (void)ace_stage_borrow(stage, n->also);
    }
    (void)ace_stage_borrow(stage, n->read);
    ace_residency_await_writing(r->residency); /* a busy disk is not to be measured */
    if (ace_stage_open(stage) == ACESTEP_OK) {
        if (n->prepare != NULL) {
            n->prepare(run);
        }
        repeat(run, n, c);
    }
    ace_status status = ace_stage_end(stage);
    const ace_stage_record *record = &r->log.stage[0];
    run->row->load_seconds = record->load_seconds;
    run->row->bytes = (double)record->part_bytes[n->read];
    run->row->device_bytes = record->peak_bytes + r->log.workspace_bytes;
    return status;
}

static ace_status rehearse_and_run(network_run *run, const network *n, const ace_bench_context *c,
                                   const ace_plan *plan, ace_residency *rehearsed,
                                   ace_runner runners[2])
{
    ace_workshop *w = c->workshop;
    ace_residency_rehearse(&w->residency, rehearsed);
    runners[0] =
        (ace_runner){.device = w->measure,
                     .host = w->cpu_measure,
                     .host_measure = w->cpu_measure,
                     .residency = rehearsed,
                     .plan = plan,
                     .activation = w->precisions.activation,
                     .matrix = w->precisions.plain,
                     .keeps_steps = (ace_switch)c->request->compile_model != ACE_SWITCH_OFF,
                     .error = c->err};
    runners[1] = runners[0];
    runners[1].device = w->device;
    runners[1].host = w->cpu;
    runners[1].residency = &w->residency;
    runners[1].keeps_steps = run->keeps_steps;
    runners[1].expected = &runners[0].log;
    runners[1].progress = c->progress;
    runners[1].progress_context = c->progress_context;
    run->runner = &runners[0];
    run->row->matrix = ace_part_matrix(&w->residency, plan, n->read);
    ace_status status = n->make(run, c->err);
    for (int i = 0; i < 2 && status == ACESTEP_OK; i++) {
        run->runner = &runners[i];
        status = pass(run, n, c);
    }
    ace_residency_close(rehearsed);
    return status;
}

/* ---- the plan
 * -------------------------------------------------------------------------------------- */

/* What a song of this length would run with; pieces too short for a song as its shortest. */
static ace_status plan_song(const ace_bench_context *c, ace_job *job, ace_plan *out)
{
    ace_stage_log *log = ace_calloc(1, sizeof *log);
    ace_warnings unused = {0};
    ace_request song = *c->request; /* borrows its texts */
    const ace_request *request = &song;
    song.duration = fmax(song.duration, 10);
    ace_status status =
        log != NULL ? ACESTEP_OK : ace_fail(c->err, ACESTEP_MEMORY, "bench: no host memory");
    if (status == ACESTEP_OK) {
        status = ace_job_create(c->workshop, &request, 1, &unused, job, c->err);
    }
    if (status == ACESTEP_OK) {
        status = ace_job_plan(c->workshop, request, job, &unused, log, c->err);
    }
    *out = job->plan;
    out->encoder_chunk = ace_encoder_chunk(0);
    out->encoder_overlap = ACE_ENCODER_OVERLAP;
    ace_free(log);
    return status;
}

static const network *find_network(const char *name)
{
    for (size_t i = 0; i < sizeof networks / sizeof *networks; i++) {
        if (strcmp(networks[i].name, name) == 0) {
            return &networks[i];
        }
    }
    return NULL;
}

ace_status ace_bench_network(const ace_bench_context *c, const char *stage)
{
    ace_plan plan;
    network_run *run = ace_calloc(1, sizeof *run);
    ace_job *job = ace_calloc(1, sizeof *job);
    ace_runner *runners = ace_calloc(2, sizeof *runners);
    ace_residency *rehearsed = ace_calloc(1, sizeof *rehearsed);
    ace_bench_row *row = ace_bench_add(c, stage);
    ace_status status = ACESTEP_OK;
    if (run == NULL || job == NULL || runners == NULL || rehearsed == NULL) {
        status = ace_fail(c->err, ACESTEP_MEMORY, "bench: no host memory");
    } else if (row == NULL) {
        status = ACESTEP_ARGUMENT;
    } else {
        status = plan_song(c, job, &plan);
    }
    if (status == ACESTEP_OK) {
        run->row = row;
        run->models = &c->workshop->models;
        run->keeps_steps = job->memory.compile_model;
        run->frames = (int64_t)llround(fmax(c->request->duration, 0.08) * ACE_LATENT_RATE);
        row->audio_seconds = (double)run->frames / ACE_LATENT_RATE;
        status = rehearse_and_run(run, find_network(stage), c, &plan, rehearsed, runners);
    }
    for (int i = 0; run != NULL && i < run->n_arrays; i++) {
        ace_free(run->array[i]);
    }
    if (run != NULL) {
        ace_free(run->session);
    }
    if (job != NULL) {
        ace_job_free(job);
    }
    ace_free(rehearsed);
    ace_free(runners);
    ace_free(job);
    ace_free(run);
    return status;
}
