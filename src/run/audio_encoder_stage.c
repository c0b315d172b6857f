/* Source and reference audio to latents. */
#include "audio/reference.h"
#include "base/memory.h"
#include "model/vae_encoder.h"
#include "model/vae_posterior.h"
#include "model/vae_tiling.h"
#include "run/pipeline.h"
#include "sample/noise.h"

#include <string.h>

/* The encoder works through 30 s at a time, as the original does on large cards. */
enum { ENCODER_CORE_FRAMES = 750, ENCODER_HALO_FRAMES = 8 };

typedef struct encoder_run {
    ace_runner *runner;
    const ace_job *job;
    ace_stage stage;
    ace_vae_encoder encoder;
} encoder_run;

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
        ace_vae_tiling tiling = {.core = ENCODER_CORE_FRAMES, .halo = ENCODER_HALO_FRAMES};
        ace_vae_encode_tiled(&run->stage.stream, &run->encoder, wave, samples, &tiling,
                             moments.values);
        status = run->stage.stream.status;
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
    for (int i = 0; i < ACE_REFERENCE_PIECES; i++) {
        draws[i] =
            ace_noise_uniform(brief->seed[song], ACE_NOISE_REFERENCE_CUT, REFERENCE_AUDIO, i);
    }
    ace_status status = ace_reference_cut(&brief->reference, draws, &cuts, run->runner->error);
    if (status == ACESTEP_OK) {
        samples = samples < cuts.frames ? samples : cuts.frames;
        status = encode(run, cuts.samples, samples, brief->seed[song], REFERENCE_AUDIO, out);
        ace_audio_free(&cuts);
    }
    return status;
}

/* Shorter sources are filled up to the song's length from the start of the silence. */
static ace_status fill_up(const encoder_run *run, int64_t frames, ace_array *latents)
{
    ace_array longer;
    if (latents->rows >= frames) {
        latents->rows = frames;
        return ACESTEP_OK;
    }
    ace_status status = ace_array_create(frames, latents->cols, &longer, run->runner->error);
    if (status == ACESTEP_OK) {
        int64_t known = latents->rows * latents->cols;
        int64_t missing = (frames - latents->rows) * latents->cols;
        memcpy(longer.values, latents->values, (size_t)known * sizeof *longer.values);
        memcpy(longer.values + known, run->job->models->silence,
               (size_t)missing * sizeof *longer.values);
        ace_array_free(latents);
        *latents = longer;
    }
    return status;
}

static ace_status encode_brief(encoder_run *run, const ace_brief *brief, ace_heard *heard)
{
    ace_status status = ACESTEP_OK;
    if (brief->source.frames > 0) {
        status = encode(run, brief->source.samples, brief->source.frames, brief->seed[0],
                        SOURCE_AUDIO, &heard->source);
        if (status == ACESTEP_OK) {
            status = fill_up(run, brief->frames, &heard->source);
        }
    }
    for (int i = 0; i < brief->n_songs && status == ACESTEP_OK && brief->reference.frames > 0;
         i++) {
        status = encode_reference(run, brief, i, &heard->reference[i]);
    }
    return status;
}

static bool has_audio(const ace_job *job)
{
    for (int b = 0; b < job->n_briefs; b++) {
        if (job->brief[b].source.frames > 0 || job->brief[b].reference.frames > 0) {
            return true;
        }
    }
    return false;
}

ace_status ace_run_audio_encoder(ace_runner *r, const ace_job *job, ace_heard *heard)
{
    if (!has_audio(job)) {
        return ACESTEP_OK;
    }
    encoder_run run = {.runner = r, .job = job};
    ace_status status = ace_stage_begin(r, "audio encoder", &run.stage);
    if (status == ACESTEP_OK) {
        ace_stage_load_begin(&run.stage, job->models->vae);
        ace_vae_encoder_load(&run.stage.loader, &job->models->vae_config, &run.encoder);
        status = ace_stage_load_end(&run.stage);
    }
    for (int b = 0; b < job->n_briefs && status == ACESTEP_OK; b++) {
        status = encode_brief(&run, &job->brief[b], &heard[b]);
    }
    ace_status end = ace_stage_end(&run.stage);
    return status != ACESTEP_OK ? status : end;
}
