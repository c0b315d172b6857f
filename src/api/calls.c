#include "api/calls.h"

#include "run/output.h"

#include <stdbool.h>

ace_goal ace_call_goal(acestep_call call)
{
    static const ace_goal goals[] = {
        [ACESTEP_CALL_GENERATE] = ACE_GOAL_SONGS,
        [ACESTEP_CALL_COMPOSE] = ACE_GOAL_WORDS,
        [ACESTEP_CALL_UNDERSTAND] = ACE_GOAL_UNDERSTANDING,
        [ACESTEP_CALL_ENCODE] = ACE_GOAL_LATENTS,
        [ACESTEP_CALL_DECODE] = ACE_GOAL_RECORDING,
        [ACESTEP_CALL_SCORE] = ACE_GOAL_SCORE,
        [ACESTEP_CALL_TIME_LYRICS] = ACE_GOAL_LYRIC_TIMES,
    };
    return goals[call];
}

static bool has_sound(const ace_request *r)
{
    return r->src_audio[0] != '\0' || r->src_latents[0] != '\0';
}

static bool has_codes(const ace_request *r)
{
    return r->audio_codes[0] != '\0';
}

static bool is_sung(const ace_request *r)
{
    return r->lyrics[0] != '\0' && !r->instrumental;
}

/* Something to hold the codes against. */
static bool has_words(const ace_request *r)
{
    return r->caption[0] != '\0' || is_sung(r) || r->bpm > 0 || r->duration > 0 ||
           r->keyscale[0] != '\0' || r->timesignature[0] != '\0';
}

/* NULL: nothing. */
static const char *missing(acestep_call call, const ace_request *r)
{
    switch (call) {
    case ACESTEP_CALL_COMPOSE:
        return r->sample_query[0] != '\0' || r->use_format
                   ? NULL
                   : "sample_query: there is no sentence about the song";
    case ACESTEP_CALL_UNDERSTAND:
        return has_sound(r) || has_codes(r)
                   ? NULL
                   : "src_audio: there is nothing to listen to (acestep understand FILE)";
    case ACESTEP_CALL_ENCODE:
        return has_sound(r) ? NULL : "src_audio: there is nothing to encode";
    case ACESTEP_CALL_DECODE:
        return (r->src_latents[0] != '\0') != has_codes(r)
                   ? NULL
                   : "src_latents: either latents or audio_codes are decoded";
    case ACESTEP_CALL_SCORE:
        return !has_sound(r) && !has_codes(r) ? "audio_codes: there is nothing to score"
               : !has_words(r)                ? "caption: there are no words to score by"
                                              : NULL;
    case ACESTEP_CALL_TIME_LYRICS:
        return !has_sound(r) ? "src_audio: there is nothing to listen to"
               : !is_sung(r) ? "lyrics: there are no words to sing"
                             : NULL;
    case ACESTEP_CALL_GENERATE:
        break;
    }
    return NULL;
}

ace_status ace_call_check(acestep_call call, const ace_request *r, ace_error *err)
{
    const char *reason = missing(call, r);
    bool writes_audio = call == ACESTEP_CALL_GENERATE || call == ACESTEP_CALL_DECODE;
    ace_audio_format format;
    if (reason != NULL) {
        return ace_fail(err, ACESTEP_ARGUMENT, "%s", reason);
    }
    return writes_audio ? ace_output_format(r, &format, err) : ACESTEP_OK;
}
