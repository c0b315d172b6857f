/* End-to-end cases: the engine's own pipeline on a recorded prompt, with the recorded noise in
 * place of a seed's. */
#include "base/memory.h"
#include "run/context.h"
#include "run/probe_case.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum { HEAD_FRAMES = 4, TAIL_FRAMES = 2 }; /* of the waveform that are recorded as they are */

static ace_task task_of(const ace_probe *p)
{
    if (json_is_array(json_object_get(p->meta, "repainting_start"))) {
        return ACE_TASK_REPAINT;
    }
    return ACE_TASK_TEXT2MUSIC;
}

static double first_number(const ace_probe *p, const char *key)
{
    return json_number_value(json_array_get(json_object_get(p->meta, key), 0));
}

/* "5 seconds" → 5 */
static double seconds_of(json_t *metas)
{
    const char *text = json_string_value(json_object_get(metas, "duration"));
    double seconds = 0;
    return text != NULL && sscanf(text, "%lf", &seconds) == 1 ? seconds : 30;
}

static void write_prompts(ace_probe *p, ace_brief *b)
{
    json_t *metas = json_object_get(p->meta, "metas");
    json_t *bpm = json_object_get(metas, "bpm");
    const char *key = json_string_value(json_object_get(metas, "keyscale"));
    const char *signature = json_string_value(json_object_get(metas, "timesignature"));
    const ace_tokenizer *t = p->workshop->models.tokenizer;
    json_t *instructions = json_object_get(p->meta, "instructions");
    ace_prompt_input in = {
        /* recorded below the layer that replaces the instruction when codes are given */
        .task = b->task,
        .instruction = json_string_value(json_array_get(instructions, 0)),
        .caption = ace_probe_text(p, "caption"),
        .lyrics = ace_probe_text(p, "lyrics"),
        .language = ace_probe_text(p, "vocal_language"),
        .bpm = json_integer_value(bpm),
        .keyscale = key,
        .timesignature = signature,
        .seconds = seconds_of(metas),
    };
    p->status = ace_prompt_text(&in, &b->text_prompt, p->err);
    if (p->status == ACESTEP_OK) {
        p->status = ace_prompt_lyrics(&in, &b->lyric_prompt, p->err);
    }
    if (p->status == ACESTEP_OK) {
        p->status =
            ace_tokenizer_encode(t, b->text_prompt, strlen(b->text_prompt), 256, &b->text, p->err);
    }
    if (p->status == ACESTEP_OK) {
        p->status = ace_tokenizer_encode(t, b->lyric_prompt, strlen(b->lyric_prompt), 2048,
                                         &b->lyrics, p->err);
    }
}

static void read_codes(ace_probe *p, ace_brief *b)
{
    const ace_weight *shape = ace_probe_tensor(p, "in.audio_codes", true);
    int64_t *wide = ace_probe_i64(p, "in.audio_codes", true);
    if (shape == NULL || p->status != ACESTEP_OK) {
        return;
    }
    b->n_codes = ace_probe_elements(shape);
    b->codes = ace_calloc((size_t)b->n_codes, sizeof *b->codes);
    b->follows_codes = true;
    for (int64_t i = 0; i < b->n_codes && b->codes != NULL; i++) {
        if (wide[i] < 0 || wide[i] >= p->workshop->models.dit_config.fsq_codes) {
            ace_probe_fail(p, ACESTEP_ARGUMENT, "code %lld is outside the codebook",
                           (long long)wide[i]);
            return;
        }
        b->codes[i] = (int32_t)wide[i];
    }
    if (b->codes == NULL) {
        ace_probe_fail(p, ACESTEP_MEMORY, "no host memory");
    }
}

static bool make_brief(ace_probe *p, ace_brief *b)
{
    const ace_weight *noise = ace_probe_tensor(p, "in.noise", false);
    int64_t channels = p->workshop->models.dit_config.latent_channels;
    if (p->status != ACESTEP_OK || noise->rank != 3 || noise->dim[0] != 1 ||
        noise->dim[1] < HEAD_FRAMES || noise->dim[2] != channels ||
        noise->dim[1] > p->workshop->models.silence_frames) {
        ace_probe_fail(p, ACESTEP_ARGUMENT, "in.noise does not fit the model");
        return false;
    }
    b->task = task_of(p);
    b->n_songs = 1;
    b->frames = noise->dim[1];
    b->region_end = b->frames;
    b->given_noise = ace_probe_f32(p, "in.noise", false);
    read_codes(p, b);
    if (b->task == ACE_TASK_REPAINT) {
        b->has_region = true;
        b->region_start = (int64_t)(first_number(p, "repainting_start") * ACE_LATENT_RATE);
        b->region_end = (int64_t)(first_number(p, "repainting_end") * ACE_LATENT_RATE);
        if (b->region_start < 0 || b->region_end <= b->region_start || b->region_end > b->frames) {
            ace_probe_fail(p, ACESTEP_ARGUMENT, "the region does not lie in the song");
        }
    }
    if (p->status == ACESTEP_OK) {
        write_prompts(p, b);
    }
    return p->status == ACESTEP_OK;
}

static void read_settings(const ace_probe *p, ace_job_settings *s)
{
    bool turbo = p->workshop->models.dit_config.turbo;
    ace_sampling_defaults(turbo, &s->sampling);
    s->sampling.steps = turbo ? 8 : (int)ace_probe_number(p, "infer_steps", 30);
    s->sampling.shift = ace_probe_number(p, "shift", turbo ? 3 : 1);
    s->sampling.guidance_scale = turbo ? 1 : ace_probe_number(p, "guidance_scale", 7);
    s->latent_rescale = 1;
    s->mask_value = 1;
}

static void put_latents(ace_probe *p, const ace_job *job, const ace_text_states *text,
                        const ace_conditions *conditions, const ace_heard *heard,
                        const ace_hints *hints, const ace_finished *song)
{
    enum { HEAD_ROWS = 24 };
    const ace_brief *b = &job->brief[0];
    int64_t channels = song->latents.cols;
    const ace_array *states = &conditions->states[0];
    const int64_t hidden[] = {1, text->hidden.rows, text->hidden.cols};
    const int64_t head[] = {1, states->rows < HEAD_ROWS ? states->rows : HEAD_ROWS, states->cols};
    const int64_t context_dim[] = {1, b->frames, 2 * channels};
    const int64_t latents[] = {1, b->frames, channels};
    const int64_t one[] = {1};
    const int64_t covers = b->follows_codes;
    float *context = ace_probe_alloc(p, b->frames * 2 * channels, sizeof *context);
    if (p->status == ACESTEP_OK) {
        ace_context_write(job, b, heard, ace_hints_of(hints, 0), false, context);
    }
    ace_probe_put(p, "out.text_hidden_states", text->hidden.values, 3, hidden);
    ace_probe_put(p, "out.encoder_hidden_states_head", states->values, 3, head);
    ace_probe_put(p, "out.context_latents", context, 3, context_dim);
    ace_probe_put_i64(p, "out.is_covers", &covers, 1, one);
    ace_probe_put(p, "out.target_latents", song->latents.values, 3, latents);
}

static void put_wave_part(ace_probe *p, const char *name, const float *samples, int64_t n)
{
    const int64_t dim[] = {1, 2, n};
    float *columns = ace_probe_alloc(p, 2 * n, sizeof *columns);
    if (p->status == ACESTEP_OK) {
        ace_transpose(samples, n, 2, columns);
        ace_probe_put(p, name, columns, 3, dim);
    }
}

/* The peak as decoded; then the waveform after the original's division by a peak above 1. */
static void put_wave(ace_probe *p, const ace_audio *audio, int64_t frames)
{
    int64_t hop = p->workshop->models.vae_config.hop;
    const int64_t one[] = {1};
    const int64_t rms_dim[] = {2, frames};
    float peak = ace_audio_peak(audio);
    float gain = peak > 1 ? 1 / peak : 1;
    float *rms = ace_probe_alloc(p, 2 * frames, sizeof *rms);
    if (p->status != ACESTEP_OK) {
        return;
    }
    for (int64_t i = 0; i < audio->frames * 2; i++) {
        audio->samples[i] *= gain;
    }
    for (int64_t f = 0; f < frames; f++) {
        for (int channel = 0; channel < 2; channel++) {
            double sum = 0;
            for (int64_t i = f * hop; i < (f + 1) * hop; i++) {
                double v = (double)audio->samples[2 * i + channel];
                sum += v * v;
            }
            rms[channel * frames + f] = (float)sqrt(sum / (double)hop);
        }
    }
    ace_probe_put(p, "out.peak", &peak, 1, one);
    put_wave_part(p, "out.wave_head4", audio->samples, HEAD_FRAMES * hop);
    put_wave_part(p, "out.wave_tail2", audio->samples + 2 * (frames - TAIL_FRAMES) * hop,
                  TAIL_FRAMES * hop);
    ace_probe_put(p, "out.wave_frame_rms", rms, 2, rms_dim);
}

/* Intermediate results of one song; freed together. */
typedef struct song_run {
    ace_job job;
    ace_text_states text;
    ace_heard heard;
    ace_conditions conditions;
    ace_hints hints;
    ace_finished song;
} song_run;

static void run_stages(ace_probe *p, song_run *r)
{
    ace_status status = ace_run_text(p->runner, &r->job, &r->text);
    if (status == ACESTEP_OK) {
        status = ace_run_condition(p->runner, &r->job, &r->text, &r->heard, &r->conditions);
    }
    if (status == ACESTEP_OK) {
        status = ace_run_codes(p->runner, &r->job, &r->heard, &r->hints);
    }
    if (status == ACESTEP_OK) {
        status = ace_run_diffusion(p->runner, &r->job, &r->conditions, &r->heard, &r->hints,
                                   &r->song, 1);
    }
    if (status == ACESTEP_OK) {
        status = ace_run_decoder(p->runner, &r->job, &r->song, 1);
    }
    p->status = status;
}

static void read_source(ace_probe *p, song_run *r)
{
    const ace_weight *shape = ace_probe_tensor(p, "in.source_latents", true);
    float *source = ace_probe_f32(p, "in.source_latents", true);
    if (source == NULL || p->status != ACESTEP_OK) {
        return;
    }
    int64_t channels = p->workshop->models.dit_config.latent_channels;
    if (ace_probe_elements(shape) != r->job.brief[0].frames * channels) {
        ace_probe_fail(p, ACESTEP_ARGUMENT, "in.source_latents and in.noise differ in shape");
        return;
    }
    p->status = ace_array_create(r->job.brief[0].frames, channels, &r->heard.source, p->err);
    if (p->status == ACESTEP_OK) {
        memcpy(r->heard.source.values, source, (size_t)ace_probe_elements(shape) * sizeof *source);
    }
}

void ace_probe_song(ace_probe *p)
{
    song_run *r = ace_probe_alloc(p, 1, sizeof *r);
    if (p->status != ACESTEP_OK) {
        return;
    }
    r->job.models = &p->workshop->models;
    r->job.n_briefs = 1;
    read_settings(p, &r->job.settings);
    if (make_brief(p, &r->job.brief[0])) {
        read_source(p, r);
    }
    if (p->status == ACESTEP_OK) {
        run_stages(p, r);
    }
    if (p->status == ACESTEP_OK && p->runner->device->computes) {
        put_latents(p, &r->job, &r->text, &r->conditions, &r->heard, &r->hints, &r->song);
        put_wave(p, &r->song.audio, r->job.brief[0].frames);
    }
    ace_brief_free(&r->job.brief[0]);
    ace_array_free(&r->text.hidden);
    ace_array_free(&r->text.lyrics);
    ace_array_free(&r->heard.source);
    ace_array_free(&r->conditions.states[0]);
    ace_array_free(&r->hints.latents[0]);
    ace_finished_free(&r->song);
}
