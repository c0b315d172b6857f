#include "run/brief.h"

#include "audio/read.h"
#include "base/memory.h"
#include "run/latents_file.h"
#include "run/repaint.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

enum { TEXT_TOKENS = 256, LYRIC_TOKENS = 2048 }; /* acestep/core/generation/handler: truncation */

static const double DEFAULT_SECONDS =
    30; /* what the original's prompt says when nothing is known */

/* ---- seeds ----------------------------------------------------------------------------------- */

/* "7", "7,8,-1": explicit seeds first, random ones for the rest, as the original pads the list. */
static ace_status read_seeds(const ace_request *r, ace_brief *b, ace_error *err)
{
    const char *at = r->seed;
    int given = 0;
    while (*at != '\0') {
        char *end = NULL;
        long long value = strtoll(at, &end, 10);
        while (*end == ' ') {
            end++;
        }
        if (end == at || (*end != ',' && *end != '\0') || value < -1 || value > 4294967295LL) {
            return ace_fail(err, ACESTEP_ARGUMENT,
                            "seed: \"%.60s\" is no list of numbers from 0 to 4294967295 (or -1)",
                            r->seed);
        }
        if (given == ACE_MAX_SONGS) {
            return ace_fail(err, ACESTEP_ARGUMENT, "seed: more than %d seeds", ACE_MAX_SONGS);
        }
        if (value >= 0) {
            b->seed[given++] = (uint64_t)value;
        } else {
            uint32_t random = 0;
            if (getrandom(&random, sizeof random, 0) != (ssize_t)sizeof random) {
                return ace_fail(err, ACESTEP_FAILED, "seed: the system gives no random number");
            }
            b->seed[given++] = random;
        }
        at = *end == ',' ? end + 1 : end;
    }
    b->n_songs = given > (int)r->batch_size ? given : (int)r->batch_size;
    for (int i = given; i < b->n_songs; i++) {
        uint32_t random = 0;
        if (getrandom(&random, sizeof random, 0) != (ssize_t)sizeof random) {
            return ace_fail(err, ACESTEP_FAILED, "seed: the system gives no random number");
        }
        b->seed[i] = random;
    }
    return ACESTEP_OK;
}

/* ---- length ---------------------------------------------------------------------------------- */

/* acestep/core/generation/handler: floor(int(max(0.1, round(d, 1))·48000) / 1920) */
static int64_t frames_of_seconds(double seconds)
{
    double rounded = fmax(0.1, nearbyint(seconds * 10) / 10);
    return (int64_t)(rounded * ACE_AUDIO_RATE) / (ACE_AUDIO_RATE / ACE_LATENT_RATE);
}

static int64_t at_least_shortest(int64_t frames)
{
    return frames > ACE_SHORTEST_FRAMES ? frames : ACE_SHORTEST_FRAMES;
}

static const char *lm_state(const ace_settings *limits)
{
    return limits->lm_runs ? "with" : "without";
}

/* gpu.md 5: lengths above the tier's limit are cut, and the user is told. */
static bool clamp_to_tier(const ace_settings *limits, double *seconds, ace_warnings *warnings)
{
    char asked[32];
    char used[32];
    if (*seconds <= limits->max_duration) {
        return false;
    }
    (void)snprintf(asked, sizeof asked, "%g s", *seconds);
    (void)snprintf(used, sizeof used, "%g s", limits->max_duration);
    ace_warn(warnings, "W15", "duration", asked, used,
             "the limit of %s (%.4g GB) %s the language model", limits->tier.key, limits->gb,
             lm_state(limits));
    *seconds = limits->max_duration;
    return true;
}

/* Songs above the tier's limit are left out. */
static void clamp_songs(const ace_settings *limits, ace_brief *b, ace_warnings *warnings)
{
    char asked[32];
    char used[32];
    if (b->n_songs <= limits->max_batch) {
        return;
    }
    (void)snprintf(asked, sizeof asked, "%d", b->n_songs);
    (void)snprintf(used, sizeof used, "%d", limits->max_batch);
    ace_warn(warnings, "W16", "batch_size", asked, used,
             "the limit of %s (%.4g GB) %s the language model", limits->tier.key, limits->gb,
             lm_state(limits));
    b->n_songs = limits->max_batch;
}

/* The request's duration within what the model can do; told when it had to change. */
static ace_status clamp_seconds(const ace_request *r, const ace_models *m,
                                const ace_settings *limits, ace_warnings *warnings, double *seconds,
                                ace_error *err)
{
    double asked = r->duration;
    if (asked == 0 || (asked < 0 && asked != -1)) {
        return ace_fail(err, ACESTEP_ARGUMENT,
                        "duration: %g s is no length for a song; leave it out or give 10 to 600",
                        asked);
    }
    double most = (double)m->silence_frames / ACE_LATENT_RATE;
    double least = (double)ACE_SHORTEST_FRAMES / ACE_LATENT_RATE;
    if (m->set.card.max_duration > 0 && m->set.card.max_duration < most) {
        most = m->set.card.max_duration;
    }
    if (m->set.card.min_duration > least) {
        least = m->set.card.min_duration;
    }
    /* with the language model the length is its choice: the plan must hold for the longest */
    double unasked = limits->lm_runs ? limits->max_duration : DEFAULT_SECONDS;
    *seconds = asked < 0 ? fmin(unasked, most) : asked;
    char before[32];
    char after[32];
    (void)snprintf(before, sizeof before, "%g s", asked);
    if (*seconds > most) {
        (void)snprintf(after, sizeof after, "%g s", most);
        ace_warn(warnings, "", "duration", before, after, "the longest that %s makes", m->name);
        *seconds = most;
    }
    clamp_to_tier(limits, seconds, warnings);
    if (*seconds < least) {
        (void)snprintf(after, sizeof after, "%g s", least);
        ace_warn(warnings, "", "duration", before, after, "the shortest that %s makes", m->name);
    }
    return ACESTEP_OK;
}

/* ---- the region of repaint and lego
 * --------------------------------------------------------------- */

static ace_status too_long(const ace_models *m, int64_t frames, ace_error *err)
{
    return ace_fail(err, ACESTEP_ARGUMENT, "%.1f s are longer than the %.1f s that %s makes",
                    (double)frames / ACE_LATENT_RATE, (double)m->silence_frames / ACE_LATENT_RATE,
                    m->name);
}

/* Silence before and after latents, in whole frames. */
static ace_status pad_latents(const ace_models *m, ace_brief *b, double *start, double *end,
                              ace_error *err)
{
    double seconds = (double)b->latents.rows / ACE_LATENT_RATE;
    int64_t left = *start < 0 ? (int64_t)ceil(-*start * ACE_LATENT_RATE) : 0;
    int64_t right = *end > seconds ? (int64_t)ceil((*end - seconds) * ACE_LATENT_RATE) : 0;
    int64_t rows = left + b->latents.rows + right;
    if (left == 0 && right == 0) {
        return ACESTEP_OK;
    }
    if (rows > m->silence_frames) {
        return too_long(m, rows, err);
    }
    ace_array padded;
    int64_t channels = b->latents.cols;
    ace_status status = ace_array_create(rows, channels, &padded, err);
    if (status != ACESTEP_OK) {
        return status;
    }
    memcpy(padded.values, m->silence, (size_t)(left * channels) * sizeof *padded.values);
    memcpy(padded.values + left * channels, b->latents.values,
           (size_t)(b->latents.rows * channels) * sizeof *padded.values);
    memcpy(padded.values + (left + b->latents.rows) * channels, m->silence,
           (size_t)(right * channels) * sizeof *padded.values);
    ace_array_free(&b->latents);
    b->latents = padded;
    b->source.frames = rows * (ACE_AUDIO_RATE / ACE_LATENT_RATE);
    *start += (double)left / ACE_LATENT_RATE;
    *end += (double)left / ACE_LATENT_RATE;
    return ACESTEP_OK;
}

/* Silence before and after the source so that the region lies inside it: model.md 8.4; the
 * original's padding of the waveform in acestep/core/generation/handler. */
static ace_status pad_source(ace_audio *source, double *start, double *end, ace_error *err)
{
    double seconds = ace_audio_seconds(source);
    int64_t left = *start < 0 ? (int64_t)(-*start * ACE_AUDIO_RATE) : 0;
    int64_t right = *end > seconds ? (int64_t)((*end - seconds) * ACE_AUDIO_RATE) : 0;
    if (left == 0 && right == 0) {
        return ACESTEP_OK;
    }
    ace_audio padded;
    ace_status status = ace_audio_create(left + source->frames + right, source->channels,
                                         source->rate, &padded, err);
    if (status != ACESTEP_OK) {
        return status;
    }
    memcpy(padded.samples + left * source->channels, source->samples,
           (size_t)(source->frames * source->channels) * sizeof *source->samples);
    ace_audio_free(source);
    *source = padded;
    double shift = *start < 0 ? -*start : 0;
    *start += shift;
    *end += shift;
    return ACESTEP_OK;
}

static int64_t clamp_frame(double seconds, int64_t low, int64_t high)
{
    int64_t frame = (int64_t)(seconds * ACE_AUDIO_RATE) / (ACE_AUDIO_RATE / ACE_LATENT_RATE);
    return frame < low ? low : frame > high ? high : frame;
}

/* start, end: seconds of the source as it is now. */
static void choose_splice(const ace_request *r, double start, double end, ace_brief *b,
                          ace_warnings *warnings)
{
    ace_repaint_choice choice = ace_repaint_choose(r);
    if (b->latents.rows > 0) {
        if (r->repaint_wav_crossfade_sec >= 0) {
            ace_warn(warnings, "", "repaint_wav_crossfade_sec", "a fade", "none",
                     "latents are no recording to put around the region");
        }
        return;
    }
    b->splices = choice.splices;
    b->splice_start = (int64_t)(start * ACE_AUDIO_RATE);
    b->splice_end = (int64_t)(end * ACE_AUDIO_RATE);
    b->splice_fade = (int64_t)(choice.crossfade_seconds * ACE_AUDIO_RATE);
}

static ace_status read_region(const ace_request *r, const ace_models *m, ace_brief *b,
                              ace_warnings *warnings, ace_error *err)
{
    double start = r->repainting_start;
    double end = r->repainting_end < 0 ? ace_audio_seconds(&b->source) : r->repainting_end;
    ace_status status = b->latents.rows > 0 ? pad_latents(m, b, &start, &end, err)
                                            : pad_source(&b->source, &start, &end, err);
    if (status != ACESTEP_OK) {
        return status;
    }
    b->frames = at_least_shortest(b->source.frames / (ACE_AUDIO_RATE / ACE_LATENT_RATE));
    if (end <= start) {
        if (r->repainting_end >= 0) {
            return ace_fail(err, ACESTEP_ARGUMENT,
                            "repainting_end: %g s does not lie after repainting_start, %g s",
                            r->repainting_end, r->repainting_start);
        }
        return ace_fail(err, ACESTEP_ARGUMENT,
                        "repainting_start: %g s lies behind the end of the source",
                        r->repainting_start);
    }
    b->has_region = true;
    b->region_start = clamp_frame(start, 0, b->frames - 1);
    b->region_end = clamp_frame(end, b->region_start + 1, b->frames);
    choose_splice(r, start, end, b, warnings);
    return ACESTEP_OK;
}

/* ---- audio ----------------------------------------------------------------------------------- */

static bool needs_source(ace_task task)
{
    return task != ACE_TASK_TEXT2MUSIC;
}

static ace_status refuse_what_the_model_lacks(const ace_request *r, const ace_models *m,
                                              ace_error *err)
{
    ace_task task = (ace_task)r->task_type;
    bool uses_audio = needs_source(task) || r->reference_audio[0] != '\0' ||
                      r->reference_latents[0] != '\0' || r->audio_codes[0] != '\0';
    if (uses_audio && !m->set.card.audio_input) {
        return ace_fail(err, ACESTEP_UNSUPPORTED,
                        "%s makes music from words only: source audio, reference audio and codes "
                        "need a full checkpoint (%s)",
                        m->name, m->set.card.get_full_model);
    }
    if (m->dit_config.turbo && task >= ACE_TASK_LEGO) {
        return ace_fail(err, ACESTEP_UNSUPPORTED,
                        "task_type: %s is a turbo model; lego, extract and complete need a base "
                        "model (--model base)",
                        m->name);
    }
    if (needs_source(task) && r->src_audio[0] == '\0' && r->src_latents[0] == '\0') {
        return ace_fail(err, ACESTEP_ARGUMENT,
                        "src_audio: this task needs a source (--src-audio FILE)");
    }
    return ACESTEP_OK;
}

/* A file by the name that a server's client knows, whose business the server's paths are not. */
static const char *called(const char *path, const char *label)
{
    return label[0] != '\0' ? label : path;
}

static ace_status read_audio(const char *path, const char *name, const char *option, ace_audio *out,
                             ace_warnings *warnings, ace_error *err)
{
    ace_audio_source source;
    ace_status status = ace_audio_read(path, NULL, out, &source, err);
    char repairs[160];
    if (status == ACESTEP_OK &&
        ace_audio_repairs_text(name, source.repairs, repairs, sizeof repairs)) {
        ace_warn(warnings, "", option, name, "as far as it goes", "%s", repairs);
    }
    return status;
}

/* Latents win over audio: they are what the encoder would make of it. */
static ace_status read_source(const ace_request *r, const ace_models *m, ace_brief *b,
                              ace_warnings *warnings, ace_error *err)
{
    if (r->src_latents[0] != '\0') {
        ace_status status =
            ace_latents_read(r->src_latents, m->dit_config.latent_channels, &b->latents, err);
        b->source.frames = b->latents.rows * (ACE_AUDIO_RATE / ACE_LATENT_RATE);
        b->source.rate = ACE_AUDIO_RATE;
        return status;
    }
    const char *name = called(r->src_audio, r->src_audio_label);
    ace_status status = read_audio(r->src_audio, name, "src_audio", &b->source, warnings, err);
    if (status == ACESTEP_OK && ace_audio_is_silent(&b->source)) {
        status = ace_fail(err, ACESTEP_AUDIO, "%s: the source is silent", name);
    }
    return status;
}

static ace_status read_reference(const ace_request *r, const ace_models *m, ace_brief *b,
                                 ace_warnings *warnings, ace_error *err)
{
    if (r->reference_latents[0] != '\0') {
        return ace_latents_read(r->reference_latents, m->dit_config.latent_channels,
                                &b->reference_latents, err);
    }
    if (r->reference_audio[0] == '\0') {
        return ACESTEP_OK;
    }
    const char *name = called(r->reference_audio, r->reference_audio_label);
    ace_status status =
        read_audio(r->reference_audio, name, "reference_audio", &b->reference, warnings, err);
    if (status == ACESTEP_OK && ace_audio_is_silent(&b->reference)) {
        ace_warn(warnings, "", "reference_audio", name, "none", "it is silent");
        ace_audio_free(&b->reference);
    }
    return status;
}

static ace_status read_audio_inputs(const ace_request *r, const ace_models *m, ace_brief *b,
                                    ace_warnings *warnings, ace_error *err)
{
    ace_status status = ACESTEP_OK;
    if (needs_source(b->task)) {
        status = read_source(r, m, b, warnings, err);
    } else if (r->src_audio[0] != '\0' || r->src_latents[0] != '\0') {
        bool audio = r->src_audio[0] != '\0';
        ace_warn(warnings, "", audio ? "src_audio" : "src_latents",
                 audio ? called(r->src_audio, r->src_audio_label)
                       : called(r->src_latents, r->src_latents_label),
                 "none", "text2music does not listen to a source");
    }
    return status == ACESTEP_OK ? read_reference(r, m, b, warnings, err) : status;
}

static void cut_source(ace_brief *b, double seconds)
{
    int64_t frames = (int64_t)(seconds * ACE_LATENT_RATE);
    b->source.frames = (int64_t)(seconds * ACE_AUDIO_RATE);
    b->latents.rows = b->latents.rows < frames ? b->latents.rows : frames;
}

/* Length from the codes, the source or the request, in this order: model.md 8.2. */
static ace_status choose_length(const ace_request *r, const ace_models *m,
                                const ace_settings *limits, ace_brief *b, double *seconds,
                                ace_warnings *warnings, ace_error *err)
{
    const int64_t samples_per_frame = ACE_AUDIO_RATE / ACE_LATENT_RATE;
    ace_status status = ACESTEP_OK;
    if (b->n_codes > 0) {
        double length = (double)b->n_codes / ACE_CODE_RATE;
        if (clamp_to_tier(limits, &length, warnings)) {
            b->n_codes = (int64_t)(length * ACE_CODE_RATE);
        }
        b->frames = at_least_shortest(b->n_codes * m->dit_config.pool_window);
        *seconds = r->duration > 0 ? fmin(r->duration, limits->max_duration) : length;
    } else if (b->source.frames > 0) {
        double length = ace_audio_seconds(&b->source);
        if (clamp_to_tier(limits, &length, warnings)) {
            cut_source(b, length);
        }
        bool regional = b->task == ACE_TASK_REPAINT || b->task == ACE_TASK_LEGO;
        status = regional ? read_region(r, m, b, warnings, err) : ACESTEP_OK;
        b->frames = at_least_shortest(b->source.frames / samples_per_frame);
        *seconds = ace_audio_seconds(&b->source);
    } else {
        status = clamp_seconds(r, m, limits, warnings, seconds, err);
        b->frames = at_least_shortest(frames_of_seconds(*seconds));
        if (b->frames > m->silence_frames) {
            b->frames = m->silence_frames; /* tenths of a second were rounded up */
        }
    }
    if (status == ACESTEP_OK && b->frames > m->silence_frames) {
        status = too_long(m, b->frames, err);
    }
    if (!b->has_region) {
        b->region_start = 0;
        b->region_end = b->frames;
    }
    return status;
}

/* ---- texts ----------------------------------------------------------------------------------- */

static ace_status tokenise(const ace_models *m, const char *text, int64_t most, ace_tokens *out,
                           ace_error *err)
{
    return ace_tokenizer_encode(m->tokenizer, text, strlen(text), most, out, err);
}

static ace_status write_prompts(const ace_request *r, const ace_models *m, ace_brief *b,
                                ace_error *err)
{
    ace_prompt_input in = {
        .task = b->follows_codes ? ACE_TASK_COVER : b->task,
        .instruction = r->instruction,
        .track_name = r->track_name,
        .track_classes = r->track_classes,
        .caption = r->caption,
        .lyrics = r->instrumental ? "" : r->lyrics,
        .language = r->vocal_language,
        .bpm = r->bpm,
        .keyscale = r->keyscale,
        .timesignature = r->timesignature,
        .seconds = b->seconds,
    };
    ace_status status = ace_prompt_text(&in, &b->text_prompt, err);
    if (status == ACESTEP_OK) {
        status = ace_prompt_lyrics(&in, &b->lyric_prompt, err);
    }
    if (status == ACESTEP_OK) {
        status = tokenise(m, b->text_prompt, TEXT_TOKENS, &b->text, err);
    }
    if (status == ACESTEP_OK) {
        status = tokenise(m, b->lyric_prompt, LYRIC_TOKENS, &b->lyrics, err);
    }
    if (status == ACESTEP_OK && r->audio_cover_strength < 1) {
        char *plain = NULL;
        in.task = ACE_TASK_TEXT2MUSIC;
        in.instruction = "";
        status = ace_prompt_text(&in, &plain, err);
        if (status == ACESTEP_OK) {
            status = tokenise(m, plain, TEXT_TOKENS, &b->plain_text, err);
        }
        ace_free(plain);
    }
    return status;
}

/* ---- the language model ---------------------------------------------------------------------- */

/* The codes that it will write, floor(5 · seconds) for each song. Its caption can be as long as a
 * prompt: the plan must hold for that. */
static ace_status expect_codes(double seconds, ace_brief *b, ace_error *err)
{
    b->n_codes = (int64_t)(seconds * ACE_CODE_RATE);
    b->codes = ace_calloc((size_t)(b->n_songs * b->n_codes), sizeof *b->codes);
    b->follows_codes = true;
    b->own_codes = true;
    b->expects_codes = true;
    return b->codes != NULL ? ACESTEP_OK : ace_fail(err, ACESTEP_MEMORY, "codes: no host memory");
}

static ace_status lengthen(ace_tokens *tokens, int64_t n, ace_error *err)
{
    int32_t *longer = ace_realloc_array(tokens->ids, (size_t)n, sizeof *longer);
    if (longer == NULL) {
        return ace_fail(err, ACESTEP_MEMORY, "prompt: no host memory");
    }
    for (int64_t i = tokens->n; i < n; i++) {
        longer[i] = tokens->n > 0 ? longer[0] : 0;
    }
    tokens->ids = longer;
    tokens->n = n;
    return ACESTEP_OK;
}

/* Texts that it can change stand in the plan with their most. */
static ace_status make_room(ace_brief *b, ace_error *err)
{
    ace_status status = ACESTEP_OK;
    if (b->lm->metadata || b->lm->whole_opening) {
        status = lengthen(&b->text, TEXT_TOKENS, err);
    }
    if (status == ACESTEP_OK && b->lm->opening != ACE_LM_GENERATE) {
        status = lengthen(&b->lyrics, LYRIC_TOKENS, err);
    }
    if (status == ACESTEP_OK && b->plain_text.n > 0) {
        status = lengthen(&b->plain_text, TEXT_TOKENS, err);
    }
    return status;
}

static ace_status ask_lm(const ace_request *r, const ace_models *m, const ace_settings *limits,
                         double seconds, ace_brief *b, ace_error *err)
{
    int64_t n_codes = (int64_t)(seconds * ACE_CODE_RATE);
    ace_status status = ace_lm_task_create(r, m, limits, n_codes, &b->lm, err);
    if (status == ACESTEP_OK && b->lm != NULL && b->lm->codes) {
        status = expect_codes(seconds, b, err);
    }
    return status;
}

/* ---- briefs ---------------------------------------------------------------------------------- */

static ace_status read_codes(const ace_request *r, const ace_models *m, const ace_lm_written *w,
                             ace_brief *b, ace_error *err)
{
    if (w != NULL && w->codes != NULL) {
        size_t n = (size_t)(b->n_songs * w->n_codes);
        b->codes = ace_malloc_array(n, sizeof *b->codes);
        if (b->codes == NULL) {
            return ace_fail(err, ACESTEP_MEMORY, "codes: no host memory");
        }
        memcpy(b->codes, w->codes, n * sizeof *b->codes);
        b->n_codes = w->n_codes;
        b->own_codes = true;
        return ACESTEP_OK;
    }
    return r->audio_codes[0] == '\0' ? ACESTEP_OK
                                     : ace_codes_parse(r->audio_codes, m->dit_config.fsq_codes,
                                                       &b->codes, &b->n_codes, err);
}

/* w: what the language model wrote for it already, or NULL. */
static ace_status create(const ace_request *r, const ace_models *m, const ace_settings *limits,
                         const ace_lm_written *w, ace_warnings *warnings, ace_brief *out,
                         ace_error *err)
{
    double seconds = 0;
    ace_settings settled = *limits;
    settled.lm_runs = false;
    limits = w == NULL ? limits : &settled; /* nobody is left to choose a length */
    out->task = (ace_task)r->task_type;
    ace_status status = refuse_what_the_model_lacks(r, m, err);
    if (status == ACESTEP_OK && w == NULL) {
        status = read_seeds(r, out, err);
        clamp_songs(limits, out, warnings);
    }
    if (status == ACESTEP_OK) {
        status = read_codes(r, m, w, out, err);
    }
    if (status == ACESTEP_OK && (out->n_codes == 0 || out->own_codes)) {
        status = read_audio_inputs(r, m, out, warnings, err);
    }
    out->follows_codes = out->n_codes > 0 || (out->task == ACE_TASK_COVER && !r->no_fsq);
    if (status == ACESTEP_OK) {
        status = choose_length(r, m, limits, out, &seconds, warnings, err);
    }
    if (status == ACESTEP_OK && limits->lm_runs && w == NULL && out->task == ACE_TASK_TEXT2MUSIC) {
        status = ask_lm(r, m, limits, seconds, out, err);
    }
    out->seconds = seconds;
    if (status == ACESTEP_OK) {
        status = write_prompts(r, m, out, err);
    }
    return status == ACESTEP_OK && out->lm != NULL ? make_room(out, err) : status;
}

ace_status ace_brief_create(const ace_request *r, const ace_models *m, const ace_settings *limits,
                            ace_warnings *warnings, ace_brief *out, ace_error *err)
{
    memset(out, 0, sizeof *out);
    ace_status status = create(r, m, limits, NULL, warnings, out, err);
    if (status != ACESTEP_OK) {
        ace_brief_free(out);
    }
    return status;
}

ace_status ace_brief_follow(const ace_request *follows, const ace_models *m,
                            const ace_settings *limits, const ace_lm_written *w,
                            ace_warnings *warnings, ace_brief *b, ace_error *err)
{
    ace_brief next = {.n_songs = b->n_songs, .given_noise = b->given_noise};
    memcpy(next.seed, b->seed, sizeof next.seed);
    ace_status status = create(follows, m, limits, w, warnings, &next, err);
    if (status != ACESTEP_OK) {
        ace_brief_free(&next);
        return status;
    }
    next.lm = b->lm; /* its room is still part of the plan */
    b->lm = NULL;
    ace_brief_free(b);
    *b = next;
    return ACESTEP_OK;
}

ace_status ace_brief_words(const ace_request *r, const ace_models *m, const ace_settings *limits,
                           ace_brief *out, ace_error *err)
{
    memset(out, 0, sizeof *out);
    out->frames = ACE_SHORTEST_FRAMES;
    ace_status status = read_seeds(r, out, err);
    out->n_songs = 1;
    if (status == ACESTEP_OK) {
        status = ace_lm_task_create(r, m, limits, 0, &out->lm, err);
    }
    if (status == ACESTEP_OK && out->lm == NULL) {
        status = ace_fail(err, ACESTEP_ARGUMENT, "nothing is asked of the language model");
    }
    if (status != ACESTEP_OK) {
        ace_brief_free(out);
    }
    return status;
}

/* Audio longer than any song is cut: the model has read nothing longer. */
static ace_status read_what_is_heard(const ace_request *r, const ace_models *m,
                                     const ace_settings *limits, ace_warnings *warnings,
                                     ace_brief *b, ace_error *err)
{
    if (r->audio_codes[0] != '\0') {
        return ace_codes_parse(r->audio_codes, m->dit_config.fsq_codes, &b->codes, &b->n_codes,
                               err);
    }
    ace_status status = read_audio_inputs(r, m, b, warnings, err);
    double seconds = ace_audio_seconds(&b->source);
    double most = (double)m->silence_frames / ACE_LATENT_RATE;
    ace_settings longest = *limits;
    longest.max_duration = most < longest.max_duration ? most : longest.max_duration;
    if (status == ACESTEP_OK && clamp_to_tier(&longest, &seconds, warnings)) {
        cut_source(b, seconds);
    }
    return status;
}

/* Tells those apart that have learnt from words alone. */
static ace_status refuse_the_deaf(const ace_models *m, ace_error *err)
{
    return m->set.card.audio_input
               ? ACESTEP_OK
               : ace_fail(err, ACESTEP_UNSUPPORTED,
                          "%s makes music from words only: hearing needs a full checkpoint (%s)",
                          m->name, m->set.card.get_full_model);
}

/* One song, of the request's source or, where they count, its codes. The task is one that has a
 * source. */
static ace_status begin_recorded(const ace_request *r, const ace_models *m,
                                 const ace_settings *limits, ace_warnings *warnings, ace_brief *out,
                                 ace_error *err)
{
    memset(out, 0, sizeof *out);
    out->task = ACE_TASK_COVER;
    ace_status status = read_seeds(r, out, err);
    out->n_songs = 1;
    return status == ACESTEP_OK ? read_what_is_heard(r, m, limits, warnings, out, err) : status;
}

/* The same by a model that has ears. */
static ace_status begin_heard(const ace_request *r, const ace_models *m, const ace_settings *limits,
                              ace_warnings *warnings, ace_brief *out, ace_error *err)
{
    memset(out, 0, sizeof *out);
    ace_status status = refuse_the_deaf(m, err);
    return status == ACESTEP_OK ? begin_recorded(r, m, limits, warnings, out, err) : status;
}

static int64_t source_frames(const ace_brief *b)
{
    return b->source.frames / (ACE_AUDIO_RATE / ACE_LATENT_RATE);
}

static void set_frames(ace_brief *b, int64_t frames)
{
    b->frames = frames;
    b->region_end = frames;
    b->seconds = (double)frames / ACE_LATENT_RATE;
}

/* Codes that were given, or as many as the source will give. */
static int64_t codes_expected(const ace_models *m, const ace_brief *b)
{
    int64_t window = m->dit_config.pool_window;
    return b->n_codes > 0 ? b->n_codes : (b->frames + window - 1) / window;
}

static void frames_to_understand(const ace_models *m, ace_brief *b)
{
    set_frames(b, at_least_shortest(b->n_codes > 0 ? b->n_codes * m->dit_config.pool_window
                                                   : source_frames(b)));
}

ace_status ace_brief_understand(const ace_request *r, const ace_models *m,
                                const ace_settings *limits, ace_warnings *warnings, ace_brief *out,
                                ace_error *err)
{
    ace_status status = begin_heard(r, m, limits, warnings, out, err);
    if (status == ACESTEP_OK) {
        frames_to_understand(m, out);
        status = ace_lm_task_understand_room(m, codes_expected(m, out), &out->lm, err);
    }
    if (status != ACESTEP_OK) {
        ace_brief_free(out);
    }
    return status;
}

ace_status ace_brief_score(const ace_request *r, const ace_models *m, const ace_settings *limits,
                           ace_warnings *warnings, ace_brief *out, ace_error *err)
{
    ace_status status = begin_heard(r, m, limits, warnings, out, err);
    if (status == ACESTEP_OK) {
        frames_to_understand(m, out);
        status = ace_lm_task_score(r, codes_expected(m, out), &out->lm, err);
    }
    if (status != ACESTEP_OK) {
        ace_brief_free(out);
    }
    return status;
}

ace_status ace_brief_encode(const ace_request *r, const ace_models *m, const ace_settings *limits,
                            ace_warnings *warnings, ace_brief *out, ace_error *err)
{
    char none[1] = "";
    ace_request sound = *r;
    sound.audio_codes = none;
    ace_status status = begin_heard(&sound, m, limits, warnings, out, err);
    if (status == ACESTEP_OK && source_frames(out) < 1) {
        status = ace_fail(err, ACESTEP_AUDIO, "%s: shorter than one frame of latents, 40 ms",
                          r->src_audio);
    }
    if (status != ACESTEP_OK) {
        ace_brief_free(out);
        return status;
    }
    set_frames(out, source_frames(out));
    return ACESTEP_OK;
}

static ace_status limit_codes(const ace_models *m, const ace_settings *limits,
                              ace_warnings *warnings, ace_brief *b, ace_error *err)
{
    double length = (double)b->n_codes / ACE_CODE_RATE;
    if (clamp_to_tier(limits, &length, warnings)) {
        b->n_codes = (int64_t)(length * ACE_CODE_RATE);
    }
    int64_t frames = b->n_codes * m->dit_config.pool_window;
    return frames > m->silence_frames ? too_long(m, frames, err) : ACESTEP_OK;
}

ace_status ace_brief_decode(const ace_request *r, const ace_models *m, const ace_settings *limits,
                            ace_warnings *warnings, ace_brief *out, ace_error *err)
{
    bool codes = r->audio_codes[0] != '\0'; /* latents need no more than the audio decoder */
    ace_status status = codes ? begin_heard(r, m, limits, warnings, out, err)
                              : begin_recorded(r, m, limits, warnings, out, err);
    if (status == ACESTEP_OK && out->n_codes > 0) {
        out->follows_codes = true;
        status = limit_codes(m, limits, warnings, out, err);
    }
    if (status != ACESTEP_OK) {
        ace_brief_free(out);
        return status;
    }
    set_frames(out,
               out->n_codes > 0 ? out->n_codes * m->dit_config.pool_window : source_frames(out));
    return ACESTEP_OK;
}

/* The codes that the song follows are as long as it is, or the rest is silence: codes_stage.c. */
ace_status ace_brief_align(const ace_request *r, const ace_models *m, const ace_settings *limits,
                           ace_warnings *warnings, ace_brief *out, ace_error *err)
{
    ace_request sung = *r;
    char none[1] = "";
    sung.audio_codes = none;
    ace_status status = begin_heard(&sung, m, limits, warnings, out, err);
    if (status == ACESTEP_OK && r->audio_codes[0] != '\0') {
        status = ace_codes_parse(r->audio_codes, m->dit_config.fsq_codes, &out->codes,
                                 &out->n_codes, err);
        out->follows_codes = true;
    }
    if (status == ACESTEP_OK) {
        out->task = ACE_TASK_TEXT2MUSIC;
        set_frames(out, at_least_shortest(source_frames(out)));
        out->seconds = r->duration > 0 ? r->duration : out->seconds; /* as it was asked for */
        status = write_prompts(r, m, out, err);
    }
    if (status != ACESTEP_OK) {
        ace_brief_free(out);
    }
    return status;
}

static void free_prompts(ace_brief *b)
{
    ace_tokens_free(&b->text);
    ace_tokens_free(&b->lyrics);
    ace_tokens_free(&b->plain_text);
    ace_free(b->text_prompt);
    ace_free(b->lyric_prompt);
    b->text_prompt = NULL;
    b->lyric_prompt = NULL;
}

void ace_brief_free(ace_brief *b)
{
    free_prompts(b);
    ace_free(b->codes);
    ace_lm_task_free(b->lm);
    ace_array_free(&b->latents);
    ace_audio_free(&b->source);
    ace_audio_free(&b->reference);
    ace_array_free(&b->reference_latents);
    memset(b, 0, sizeof *b);
}
