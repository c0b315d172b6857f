/* Source and reference audio to latents. When the device refuses memory the stage goes on with
 * smaller windows, then on the CPU, and keeps what it has. */
#include "run/audio_encoder_stage.h"

#include "audio/reference.h"
#include "base/memory.h"
#include "model/vae_encoder.h"
#include "model/vae_posterior.h"
#include "model/vae_tiling.h"
#include "run/pipeline.h"
#include "run/reference_latents.h"
#include "sample/noise.h"

#include <stdio.h>
#include <string.h>

typedef struct encoder_run {
    ace_runner *runner;
    const ace_job *job;
    ace_heard *heard;
    ace_stage stage;
    int64_t chunk, overlap; /* latent frames */
    /* where the encoder works at the moment */
    ace_stream *stream;
    const ace_vae_encoder *encoder;
} encoder_run;

/* Address space of a measuring arena. */
static const size_t UNLIMITED_BYTES = (size_t)1 << 50;

/* Windows of 30, 15, 8 and 4 s (gpu.md 6.4). */
static const int64_t chunks[ACE_ENCODER_CHUNKS] = {750, 375, 200, 100};

int64_t ace_encoder_chunk(int index)
{
    return chunks[index];
}

static int64_t chunk_below(int64_t chunk)
{
    for (int i = 0; i < ACE_ENCODER_CHUNKS; i++) {
        if (chunks[i] < chunk) {
            return chunks[i];
        }
    }
    return 0;
}

/* Which audio of a song, for its random numbers. */
enum { SOURCE_AUDIO = 0, REFERENCE_AUDIO = 1 };

/* wave [samples, 2] (NULL while measuring) → latents [samples / hop, channels] */
static ace_status encode(encoder_run *run, const float *wave, int64_t samples, uint64_t seed,
                         uint32_t audio, ace_array *out)
{
    const ace_vae_config *config = &run->job->models->vae_config;
    int64_t frames = samples / config->hop;
    int64_t channels = config->latent_channels;
    ace_array moments;
    ace_error *err = run->runner->error;
    ace_status status = ace_array_create(frames, 2 * channels, &moments, err);
    if (status == ACESTEP_OK) {
        status = ace_array_create(frames, channels, out, err);
    }
    if (status == ACESTEP_OK) {
        ace_vae_tiling tiling = ace_vae_tiling_of(run->chunk, run->overlap);
        ace_vae_encode_tiled(run->stream, run->encoder, wave, samples, &tiling, moments.values);
        status = run->stream->status;
    }
    float *noise = NULL;
    if (status == ACESTEP_OK && run->job->settings.vae_sample) {
        noise = ace_malloc_array((size_t)(frames * channels), sizeof *noise);
        if (noise == NULL) {
            status = ace_fail(err, ACESTEP_MEMORY, "audio encoder: no host memory");
        } else {
            ace_noise_stream(seed, ACE_NOISE_POSTERIOR, audio, 0, frames * channels, noise);
        }
    }
    if (status == ACESTEP_OK) {
        ace_vae_posterior(moments.values, frames, channels, noise, out->values);
    }
    ace_free(noise);
    ace_array_free(&moments);
    return status;
}

static void draw_cuts(uint64_t seed, double draws[ACE_REFERENCE_PIECES])
{
    for (int i = 0; i < ACE_REFERENCE_PIECES; i++) {
        draws[i] = ace_noise_uniform(seed, ACE_NOISE_REFERENCE_CUT, REFERENCE_AUDIO, i);
    }
}

/* A song's own cuts of the reference, drawn from its seed. */
static ace_status encode_reference(encoder_run *run, const ace_brief *brief, int song,
                                   ace_array *out)
{
    const ace_models *m = run->job->models;
    int64_t samples = m->dit_config.timbre_frames * m->vae_config.hop;
    if (!run->runner->device->computes) {
        return encode(run, NULL, samples, 0, REFERENCE_AUDIO, out);
    }
    double draws[ACE_REFERENCE_PIECES];
    ace_audio cuts;
    draw_cuts(brief->seed[song], draws);
    ace_status status = ace_reference_cut(&brief->reference, draws, &cuts, run->runner->error);
    if (status == ACESTEP_OK) {
        samples = samples < cuts.frames ? samples : cuts.frames;
        status = encode(run, cuts.samples, samples, brief->seed[song], REFERENCE_AUDIO, out);
        ace_audio_free(&cuts);
    }
    return status;
}

/* Shorter sources are filled up to the song's length from the start of the silence. */
static ace_status fill_up(const ace_job *job, int64_t frames, ace_array *latents, ace_error *err)
{
    ace_array longer;
    if (latents->rows >= frames) {
        latents->rows = frames;
        return ACESTEP_OK;
    }
    ace_status status = ace_array_create(frames, latents->cols, &longer, err);
    if (status == ACESTEP_OK) {
        int64_t known = latents->rows * latents->cols;
        int64_t missing = (frames - latents->rows) * latents->cols;
        memcpy(longer.values, latents->values, (size_t)known * sizeof *longer.values);
        memcpy(longer.values + known, job->models->silence,
               (size_t)missing * sizeof *longer.values);
        ace_array_free(latents);
        *latents = longer;
    }
    return status;
}

/* Nothing is left to encode of a source that was given as latents. */
static bool encodes_source(const ace_brief *brief)
{
    return brief->source.frames > 0 && brief->latents.rows == 0;
}

static ace_status take_given_reference(const ace_job *job, const ace_brief *brief, ace_heard *heard,
                                       ace_error *err)
{
    ace_status status = ACESTEP_OK;
    for (int i = 0; brief->reference_latents.rows > 0 && i < brief->n_songs; i++) {
        double draws[ACE_REFERENCE_PIECES];
        if (heard->reference[i].rows == 0 && status == ACESTEP_OK) {
            draw_cuts(brief->seed[i], draws);
            status = ace_reference_latents_cut(&brief->reference_latents,
                                               job->models->dit_config.timbre_frames, draws,
                                               &heard->reference[i], err);
        }
    }
    return status;
}

static ace_status take_given(const ace_job *job, const ace_brief *brief, ace_heard *heard,
                             ace_error *err)
{
    const ace_array *given = &brief->latents;
    if (given->rows == 0 || heard->source.rows > 0) {
        return ACESTEP_OK;
    }
    ace_status status = ace_array_create(given->rows, given->cols, &heard->source, err);
    if (status == ACESTEP_OK) {
        memcpy(heard->source.values, given->values,
               (size_t)(given->rows * given->cols) * sizeof *given->values);
        status = fill_up(job, brief->frames, &heard->source, err);
    }
    return status;
}

/* What has been encoded before a fallback stays. */
static ace_status encode_brief(encoder_run *run, const ace_brief *brief, ace_heard *heard)
{
    ace_status status = ACESTEP_OK;
    if (encodes_source(brief) && heard->source.rows == 0) {
        status = encode(run, brief->source.samples, brief->source.frames, brief->seed[0],
                        SOURCE_AUDIO, &heard->source);
        if (status == ACESTEP_OK) {
            status = fill_up(run->job, brief->frames, &heard->source, run->runner->error);
        } else {
            ace_array_free(&heard->source);
        }
    }
    for (int i = 0; i < brief->n_songs && status == ACESTEP_OK && brief->reference.frames > 0;
         i++) {
        if (heard->reference[i].rows == 0) {
            status = encode_reference(run, brief, i, &heard->reference[i]);
        }
        if (status != ACESTEP_OK) {
            ace_array_free(&heard->reference[i]);
        }
    }
    return status;
}

static ace_status encode_rest(encoder_run *run)
{
    ace_status status = ACESTEP_OK;
    for (int b = 0; b < run->job->n_briefs && status == ACESTEP_OK; b++) {
        status = encode_brief(run, &run->job->brief[b], &run->heard[b]);
    }
    return status;
}

static int64_t longest_samples(const ace_job *job)
{
    const ace_models *m = job->models;
    int64_t most = 0;
    for (int b = 0; b < job->n_briefs; b++) {
        const ace_brief *brief = &job->brief[b];
        int64_t reference =
            brief->reference.frames > 0 ? m->dit_config.timbre_frames * m->vae_config.hop : 0;
        int64_t source = encodes_source(brief) ? brief->source.frames : 0;
        int64_t here = source > reference ? source : reference;
        most = here > most ? here : most;
    }
    return most;
}

bool ace_encoder_is_needed(const ace_job *job)
{
    return longest_samples(job) > 0;
}

bool ace_job_has_references(const ace_job *job)
{
    bool has = false;
    for (int b = 0; b < job->n_briefs; b++) {
        has = has || job->brief[b].reference.frames > 0 || job->brief[b].reference_latents.rows > 0;
    }
    return has;
}

void ace_encoder_bytes(ace_device *measure, const ace_job *job, ace_precisions precisions,
                       int64_t chunk, int64_t overlap, size_t *weights, size_t *work)
{
    ace_arena arena;
    ace_stream stream;
    ace_loader loader;
    ace_error unused = {.code = ACESTEP_OK};
    ace_vae_encoder *encoder = ace_calloc(1, sizeof *encoder);
    *weights = 0;
    *work = 0;
    if (encoder == NULL) {
        return;
    }
    ace_arena_open_at(&arena, measure, (uint64_t)measure->alignment, UNLIMITED_BYTES);
    ace_stream_init(&stream, measure, &arena, precisions.activation, &unused);
    ace_loader_init(&loader, &stream, job->models->vae, precisions.plain);
    ace_vae_encoder_load(&loader, &job->models->vae_config, encoder);
    (void)ace_loader_finish(&loader);
    *weights = arena.high_water;
    ace_arena_open_at(&arena, measure, (uint64_t)measure->alignment, UNLIMITED_BYTES);
    ace_stream_init(&stream, measure, &arena, precisions.activation, &unused);
    ace_vae_tiling tiling = ace_vae_tiling_of(chunk, overlap);
    ace_vae_encode_tiled(&stream, encoder, NULL, longest_samples(job), &tiling, NULL);
    *work = arena.high_water;
    ace_free(encoder);
}

static ace_status encode_on_device(encoder_run *run)
{
    const ace_runner *r = run->runner;
    ace_status status = ace_stage_borrow(&run->stage, ACE_PART_VAE_ENCODER);
    run->stream = &run->stage.stream;
    run->encoder = &r->residency->vae_encoder;
    if (status == ACESTEP_OK && run->stage.deviates) {
        size_t weights = 0;
        size_t work = 0;
        ace_encoder_bytes(r->residency->measure, run->job, r->residency->precisions, run->chunk,
                          run->overlap, &weights, &work);
        status = ace_stage_open_sized(&run->stage, work);
    } else if (status == ACESTEP_OK) {
        status = ace_stage_open(&run->stage);
    }
    return status == ACESTEP_OK ? encode_rest(run) : status;
}

static ace_status encode_on_host(encoder_run *run)
{
    ace_runner *r = run->runner;
    ace_vae_encoder *encoder = ace_calloc(1, sizeof *encoder);
    ace_precisions precisions = r->residency->precisions;
    ace_arena arena;
    ace_stream s;
    ace_loader loader;
    size_t weights = 0;
    size_t work = 0;
    if (encoder == NULL) {
        return ace_fail(r->error, ACESTEP_MEMORY, "audio encoder: no host memory");
    }
    ace_encoder_bytes(r->host_measure, run->job, precisions, run->chunk, run->overlap, &weights,
                      &work);
    ace_device *device = r->device->computes ? r->host : r->host_measure;
    ace_status status = ace_arena_open(&arena, device, weights + work, r->error);
    if (status == ACESTEP_OK) {
        ace_stream_init(&s, device, &arena, precisions.activation, r->error);
        s.progress = run->stage.stream.progress;
        s.progress_context = run->stage.stream.progress_context;
        ace_loader_init(&loader, &s, run->job->models->vae, precisions.plain);
        ace_vae_encoder_load(&loader, &run->job->models->vae_config, encoder);
        run->stream = &s;
        run->encoder = encoder;
        status = ace_loader_finish(&loader);
        status = status == ACESTEP_OK ? encode_rest(run) : status;
        run->stage.host_bytes = arena.high_water;
        run->stage.stream.counters.flops += s.counters.flops;
        ace_arena_close(&arena);
    }
    ace_free(encoder);
    return status;
}

/* Smaller windows, then the CPU; false when there is nothing left. */
static bool step_down(encoder_run *run, bool *on_host)
{
    ace_runner *r = run->runner;
    char asked[32];
    char used[32];
    (void)snprintf(asked, sizeof asked, "%lld frames", (long long)run->chunk);
    if (*on_host || (chunk_below(run->chunk) == 0 && r->host == r->device)) {
        return false;
    }
    if (chunk_below(run->chunk) > 0) {
        run->chunk = chunk_below(run->chunk);
        (void)snprintf(used, sizeof used, "%lld frames", (long long)run->chunk);
    } else {
        *on_host = true;
        run->chunk = chunks[ACE_ENCODER_CHUNKS - 1];
        (void)snprintf(used, sizeof used, "the CPU");
        ace_stage_close_work(&run->stage);
        ace_residency_drop(r->residency, ACE_PART_VAE_ENCODER);
    }
    run->stage.deviates = true;
    run->stage.stream.status = ACESTEP_OK;
    if (r->error != NULL) {
        r->error->code = ACESTEP_OK;
    }
    ace_warn(r->warnings, *on_host ? "W22" : "", "src_audio", asked, used,
             "no room on the device for the audio encoder's window");
    return true;
}

ace_status ace_run_audio_encoder(ace_runner *r, const ace_job *job, ace_heard *heard)
{
    for (int b = 0; b < job->n_briefs; b++) {
        ace_status taken = take_given(job, &job->brief[b], &heard[b], r->error);
        if (taken == ACESTEP_OK) {
            taken = take_given_reference(job, &job->brief[b], &heard[b], r->error);
        }
        if (taken != ACESTEP_OK) {
            return taken;
        }
    }
    if (!ace_encoder_is_needed(job)) {
        return ACESTEP_OK;
    }
    encoder_run run = {.runner = r,
                       .job = job,
                       .heard = heard,
                       .chunk = r->plan->encoder_chunk,
                       .overlap = r->plan->encoder_overlap};
    bool on_host = false;
    ace_status status = ace_stage_begin_id(r, ACE_STAGE_ENCODE, &run.stage);
    if (status == ACESTEP_OK) {
        do {
            status = on_host ? encode_on_host(&run) : encode_on_device(&run);
        } while (status == ACESTEP_MEMORY && r->expected != NULL && step_down(&run, &on_host));
    }
    ace_status end = ace_stage_end(&run.stage);
    return status != ACESTEP_OK ? status : end;
}
