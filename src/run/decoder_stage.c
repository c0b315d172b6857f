/* Latents to sound, one song after another, tile by tile. */
#include "base/memory.h"
#include "model/vae_decoder.h"
#include "model/vae_tiling.h"
#include "run/pipeline.h"

#include <math.h>

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

static ace_status decode(ace_stage *stage, const ace_job *job, const ace_vae_decoder *decoder,
                         ace_finished *song)
{
    const ace_vae_config *config = &job->models->vae_config;
    ace_vae_tiling tiling = {.core = job->settings.vae_core, .halo = job->settings.vae_halo};
    bool computes = stage->runner->device->computes;
    if (computes) {
        ace_status status =
            ace_audio_create(song->latents.rows * config->hop, (int)config->audio_channels,
                             config->sample_rate, &song->audio, stage->runner->error);
        if (status != ACESTEP_OK) {
            return status;
        }
        adjust(&job->settings, &song->latents);
    }
    ace_vae_decode_tiled(&stage->stream, decoder, computes ? song->latents.values : NULL,
                         song->latents.rows, &tiling, song->audio.samples);
    return stage->stream.status;
}

ace_status ace_run_decoder(ace_runner *r, const ace_job *job, ace_finished *songs, int n_songs)
{
    ace_stage stage;
    ace_vae_decoder decoder;
    ace_status status = ace_stage_begin(r, "audio decoder", &stage);
    if (status == ACESTEP_OK) {
        ace_stage_load_begin(&stage, job->models->vae);
        ace_vae_decoder_load(&stage.loader, &job->models->vae_config, &decoder);
        status = ace_stage_load_end(&stage);
    }
    for (int i = 0; i < n_songs && status == ACESTEP_OK; i++) {
        status = decode(&stage, job, &decoder, &songs[i]);
    }
    ace_status end = ace_stage_end(&stage);
    return status != ACESTEP_OK ? status : end;
}
