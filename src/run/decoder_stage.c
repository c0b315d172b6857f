#include "run/decoder_stage.h"

#include "base/memory.h"
#include "model/vae_decoder.h"
#include "model/vae_tiling.h"

#include <stdio.h>
#include <string.h>

typedef struct decoder_run {
    ace_runner *runner;
    const ace_job *job;
    ace_stage stage;
    ace_finished *songs;
    int n_songs;
    ace_vae_place place;
    int64_t chunk, overlap;
    int song;     /* the next to decode … */
    int64_t done; /* … from this latent frame on */
} decoder_run;

/* Address space of a measuring arena. */
static const size_t UNLIMITED_BYTES = (size_t)1 << 50;

/* ---- songs ----------------------------------------------------------------------------------- */

/* The user's last touch on the latents: x·rescale + shift. */
static void adjust(const ace_job_settings *settings, ace_array *latents)
{
    if (settings->latent_shift == 0 && settings->latent_rescale == 1) {
        return;
    }
    for (int64_t i = 0; i < latents->rows * latents->cols; i++) {
        latents->values[i] =
            (float)((double)latents->values[i] * settings->latent_rescale + settings->latent_shift);
    }
}

static ace_status create_audio(const decoder_run *run)
{
    const ace_vae_config *config = &run->job->models->vae_config;
    for (int i = 0; i < run->n_songs; i++) {
        ace_finished *song = &run->songs[i];
        if (song->audio.samples != NULL) {
            continue; /* the stage runs again */
        }
        ace_status status =
            ace_audio_create(song->latents.rows * config->hop, (int)config->audio_channels,
                             config->sample_rate, &song->audio, run->runner->error);
        if (status != ACESTEP_OK) {
            return status;
        }
        adjust(&run->job->settings, &song->latents);
    }
    return ACESTEP_OK;
}

/* The songs that are left, wherever the stream computes. */
static void decode_rest(decoder_run *run, ace_stream *s, const ace_vae_decoder *decoder)
{
    ace_vae_tiling tiling = ace_vae_tiling_of(run->chunk, run->overlap);
    bool computes = run->runner->device->computes;
    for (; run->song < run->n_songs && ace_stream_status(s) == ACESTEP_OK;) {
        ace_finished *song = &run->songs[run->song];
        const float *latents = computes ? song->latents.values : NULL;
        float *wave = computes ? song->audio.samples : NULL;
        if (run->place == ACE_VAE_DEVICE) {
            ace_vae_decode_resident(s, decoder, latents, song->latents.rows, &tiling, wave);
        } else {
            ace_vae_decode_from(s, decoder, latents, song->latents.rows, &tiling, &run->done, wave);
        }
        if (ace_stream_status(s) == ACESTEP_OK) {
            run->song++;
            run->done = 0;
        }
    }
}

/* ---- on the device --------------------------------------------------------------------------- */

void ace_decoder_bytes(ace_device *measure, const ace_models *models, ace_precisions precisions,
                       int64_t frames, ace_vae_place place, int64_t chunk, int64_t overlap,
                       size_t *weights, size_t *work)
{
    ace_arena arena;
    ace_stream stream;
    ace_loader loader;
    ace_error unused = {.code = ACESTEP_OK};
    ace_vae_decoder *decoder = ace_calloc(1, sizeof *decoder);
    *weights = 0;
    *work = 0;
    if (decoder == NULL) {
        return;
    }
    ace_arena_open_at(&arena, measure, (uint64_t)measure->alignment, UNLIMITED_BYTES);
    ace_stream_init(&stream, measure, &arena, precisions.activation, &unused);
    ace_loader_init(&loader, &stream, models->vae, precisions.plain);
    ace_vae_decoder_load(&loader, &models->vae_config, decoder);
    (void)ace_loader_finish(&loader);
    *weights = arena.high_water;
    ace_arena_open_at(&arena, measure, (uint64_t)measure->alignment, UNLIMITED_BYTES);
    ace_stream_init(&stream, measure, &arena, precisions.activation, &unused);
    ace_vae_tiling tiling = ace_vae_tiling_of(chunk, overlap);
    if (place == ACE_VAE_DEVICE) {
        ace_vae_decode_resident(&stream, decoder, NULL, frames, &tiling, NULL);
    } else {
        ace_vae_decode_tiled(&stream, decoder, NULL, frames, &tiling, NULL);
    }
    *work = arena.high_water;
    ace_free(decoder);
}

static int64_t longest(const decoder_run *run)
{
    int64_t frames = 0;
    for (int i = 0; i < run->n_songs; i++) {
        frames = run->songs[i].latents.rows > frames ? run->songs[i].latents.rows : frames;
    }
    return frames;
}

static ace_status decode_on_device(decoder_run *run)
{
    const ace_runner *r = run->runner;
    ace_status status = ace_stage_borrow(&run->stage, ACE_PART_VAE_DECODER);
    if (status == ACESTEP_OK && run->stage.deviates) {
        size_t weights = 0;
        size_t work = 0;
        ace_decoder_bytes(r->residency->measure, run->job->models, r->residency->precisions,
                          longest(run), run->place, run->chunk, run->overlap, &weights, &work);
        status = ace_stage_open_sized(&run->stage, work);
    } else if (status == ACESTEP_OK) {
        status = ace_stage_open(&run->stage);
    }
    if (status == ACESTEP_OK) {
        decode_rest(run, &run->stage.stream, &r->residency->vae_decoder);
        status = run->stage.stream.status;
    }
    return status;
}

/* ---- on the CPU ------------------------------------------------------------------------------ */

static ace_status decode_on_host(decoder_run *run)
{
    ace_runner *r = run->runner;
    ace_stage *stage = &run->stage;
    bool computes = r->device->computes;
    ace_device *device = computes ? r->host : r->host_measure;
    ace_vae_decoder *decoder = ace_calloc(1, sizeof *decoder);
    ace_arena arena;
    ace_stream s;
    ace_loader loader;
    if (decoder == NULL) {
        return ace_fail(r->error, ACESTEP_MEMORY, "audio decoder: no host memory");
    }
    ace_precisions precisions = r->residency->precisions;
    size_t weights = 0;
    size_t work = 0;
    ace_decoder_bytes(r->host_measure, run->job->models, precisions, longest(run), ACE_VAE_STREAMED,
                      run->chunk, run->overlap, &weights, &work);
    ace_status status = ace_arena_open(&arena, device, weights + work, r->error);
    ace_stream_init(&s, device, &arena, precisions.activation, r->error);
    s.status = status;
    s.progress = stage->stream.progress;
    s.progress_context = stage->stream.progress_context;
    if (status == ACESTEP_OK) {
        ace_loader_init(&loader, &s, run->job->models->vae, precisions.plain);
        ace_vae_decoder_load(&loader, &run->job->models->vae_config, decoder);
        (void)ace_loader_finish(&loader);
        decode_rest(run, &s, decoder);
        status = s.status;
        stage->host_bytes = arena.high_water;
        stage->stream.counters.flops += s.counters.flops;
        stage->stream.counters.operations += s.counters.operations;
        ace_arena_close(&arena);
    }
    ace_free(decoder);
    return status;
}

/* ---- falling back ---------------------------------------------------------------------------- */

static void warn_next(const decoder_run *run, ace_vae_place from, int64_t chunk)
{
    ace_device_memory memory;
    const ace_runner *r = run->runner;
    char asked[48];
    char used[48];
    r->device->ops->memory(r->device, &memory);
    double free_gb = (double)memory.free / (double)((size_t)1 << 30);
    (void)snprintf(asked, sizeof asked, "%s, %lld frames", ace_vae_place_name(from),
                   (long long)chunk);
    (void)snprintf(used, sizeof used, "%s, %lld frames", ace_vae_place_name(run->place),
                   (long long)run->chunk);
    if (run->place == ACE_VAE_HOST) {
        ace_warn(
            r->warnings, "W22", "vae_chunk", asked, used,
            "no window of the VAE fits (%.2f GB free); decoding on the CPU, %d of %d songs left",
            free_gb, run->n_songs - run->song, run->n_songs);
    } else if (from == ACE_VAE_DEVICE) {
        ace_warn(r->warnings, "W21", "vae_chunk", asked, used,
                 "window and waveform do not fit (%.2f GB free); results go to host memory at once",
                 free_gb);
    } else {
        ace_warn(r->warnings, "", "vae_chunk", asked, used, "smaller windows (%.2f GB free)",
                 free_gb);
    }
}

/* The next way down; false when there is none. */
static bool step_down(decoder_run *run)
{
    ace_vae_place from = run->place;
    int64_t chunk = run->chunk;
    ace_runner *r = run->runner;
    if (run->place == ACE_VAE_DEVICE) {
        run->place = ACE_VAE_STREAMED;
    } else if (run->place == ACE_VAE_STREAMED && ace_vae_chunk_below(run->chunk) > 0) {
        run->chunk = ace_vae_chunk_below(run->chunk);
    } else if (run->place == ACE_VAE_STREAMED && r->host != r->device) {
        run->place = ACE_VAE_HOST;
        run->chunk = r->plan->vae_chunk;
        ace_stage_close_work(&run->stage);
        ace_residency_drop(r->residency, ACE_PART_VAE_DECODER);
    } else {
        return false;
    }
    run->stage.deviates = true;
    run->stage.stream.status = ACESTEP_OK;
    if (r->error != NULL) {
        r->error->code = ACESTEP_OK;
    }
    warn_next(run, from, chunk);
    return true;
}

static ace_status decode_all(decoder_run *run)
{
    ace_status status = ACESTEP_OK;
    do {
        status = run->place == ACE_VAE_HOST ? decode_on_host(run) : decode_on_device(run);
    } while (status == ACESTEP_MEMORY && run->runner->expected != NULL && step_down(run));
    return status;
}

ace_status ace_run_decoder(ace_runner *r, const ace_job *job, ace_finished *songs, int n_songs)
{
    decoder_run run = {.runner = r,
                       .job = job,
                       .songs = songs,
                       .n_songs = n_songs,
                       .place = r->plan->vae,
                       .chunk = r->plan->vae_chunk,
                       .overlap = r->plan->vae_overlap};
    ace_status status = ace_stage_begin_id(r, ACE_STAGE_VAE, &run.stage);
    if (status == ACESTEP_OK && r->device->computes) {
        status = create_audio(&run);
    }
    if (status == ACESTEP_OK) {
        status = decode_all(&run);
    }
    ace_status end = ace_stage_end(&run.stage);
    if (status == ACESTEP_OK && end == ACESTEP_OK) {
        r->vae_place = run.place;
        r->vae_chunk = run.chunk;
    }
    return status != ACESTEP_OK ? status : end;
}
