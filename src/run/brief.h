/* A brief: one request made ready for the pipeline: texts as tokens, audio as samples, times as
 * latent frames, defaults filled in by the model, clamps applied and told. A job is a list of
 * briefs, each with its songs; what all songs of a job share (steps, guidance, …) is in
 * ace_job_settings. */
#ifndef ACE_RUN_BRIEF_H
#define ACE_RUN_BRIEF_H

#include "audio/audio.h"
#include "plan/settings.h"
#include "run/array.h"
#include "run/lm_task.h"
#include "run/request.h"
#include "text/prompt.h"
#include "text/tokenizer.h"

enum { ACE_MAX_SONGS = 8, ACE_LATENT_RATE = 25, ACE_CODE_RATE = 5, ACE_SHORTEST_FRAMES = 128 };

typedef struct ace_brief {
    ace_task task;
    bool follows_codes; /* the context is made of 5 Hz codes: given ones, or the source's own */
    ace_tokens text, lyrics; /* ≤ 256 and ≤ 2048 ids */
    ace_tokens
        plain_text; /* the text-to-music prompt for the steps after the cover switch, or empty */
    char *text_prompt, *lyric_prompt; /* for the sidecar */
    int64_t frames;                   /* length of the song in latents */
    int64_t region_start,
        region_end; /* latent frames to make anew; the whole song when no region */
    bool has_region;
    bool splices; /* around the region the source is put back, whose samples these are: */
    int64_t splice_start, splice_end, splice_fade;
    double seconds; /* as the prompt says it */
    int32_t *codes; /* [n_codes], or [n_songs, n_codes] where each song has its own */
    int64_t n_codes;
    bool own_codes;
    bool expects_codes;  /* they are still to be written by the language model */
    ace_lm_task *lm;     /* what it is asked; NULL: nothing. Owned */
    ace_array latents;   /* given in the source's place, whose length is theirs, without samples;
                            rows 0: none */
    ace_audio source;    /* with the silence for outpainting around it; empty when there is none */
    ace_audio reference; /* exactly as read; the song's seed draws the cuts */
    ace_array reference_latents; /* given in the reference's place; rows 0: none */
    const float
        *given_noise; /* [frames, channels] instead of the seed's; borrowed, for the probe */
    int n_songs;
    uint64_t seed[ACE_MAX_SONGS];
} ace_brief;

/* Reads the audio files, tokenises, clamps to the model and to the limits. */
ace_status ace_brief_create(const ace_request *request, const ace_models *models,
                            const ace_settings *limits, ace_warnings *warnings, ace_brief *out,
                            ace_error *err);
/* The brief once the language model has written: made anew from the request that follows from it
 * (ace_lm_follow), with its codes and the seeds drawn before. w->wrote false: it did not, and the
 * song is made without. */
ace_status ace_brief_follow(const ace_request *follows, const ace_models *models,
                            const ace_settings *limits, const ace_lm_written *w,
                            ace_warnings *warnings, ace_brief *b, ace_error *err);
/* For the language model alone: a sentence or rough words; or, to be understood, the request's source
 * audio or codes. */
ace_status ace_brief_words(const ace_request *request, const ace_models *models,
                           const ace_settings *limits, ace_brief *out, ace_error *err);
ace_status ace_brief_understand(const ace_request *request, const ace_models *models,
                                const ace_settings *limits, ace_warnings *warnings, ace_brief *out,
                                ace_error *err);
/* A recording to be encoded: the request's source, to its last whole frame. */
ace_status ace_brief_encode(const ace_request *request, const ace_models *models,
                            const ace_settings *limits, ace_warnings *warnings, ace_brief *out,
                            ace_error *err);
/* Latents or codes to be decoded. */
ace_status ace_brief_decode(const ace_request *request, const ace_models *models,
                            const ace_settings *limits, ace_warnings *warnings, ace_brief *out,
                            ace_error *err);
/* A finished song, its words and, where they are known, the codes that it follows, to find out when
 * it sings them. */
ace_status ace_brief_align(const ace_request *request, const ace_models *models,
                           const ace_settings *limits, ace_warnings *warnings, ace_brief *out,
                           ace_error *err);
/* What is known of a song, and its codes or the song itself, to be scored. */
ace_status ace_brief_score(const ace_request *request, const ace_models *models,
                           const ace_settings *limits, ace_warnings *warnings, ace_brief *out,
                           ace_error *err);
void ace_brief_free(ace_brief *b); /* a zeroed one is fine */

#endif
