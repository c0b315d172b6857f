#include "audio/format.h"

#include <string.h>
#include <strings.h>

typedef struct kind_names {
    const char *name;
    const char *alias;
    const char *extension;
    const char *media_type;
} kind_names;

static const kind_names names[] = {
    [ACE_AUDIO_FLAC] = {"flac", "flac24", "flac", "audio/flac"},
    [ACE_AUDIO_FLAC16] = {"flac16", "flac16", "flac", "audio/flac"},
    [ACE_AUDIO_WAV16] = {"wav16", "wav", "wav", "audio/wav"},
    [ACE_AUDIO_WAV24] = {"wav24", "wav24", "wav", "audio/wav"},
    [ACE_AUDIO_WAV32] = {"wav32", "wav32", "wav", "audio/wav"},
    [ACE_AUDIO_MP3] = {"mp3", "mp3", "mp3", "audio/mpeg"},
    [ACE_AUDIO_OPUS] = {"opus", "opus", "opus", "audio/ogg"},
    [ACE_AUDIO_VORBIS] = {"ogg", "vorbis", "ogg", "audio/ogg"},
};

enum { KINDS = sizeof names / sizeof names[0] };

ace_audio_format ace_audio_format_default(ace_audio_kind kind)
{
    return (ace_audio_format){.kind = kind,
                              .mp3_bitrate = 192,
                              .mp3_vbr = -1,
                              .opus_bitrate = 160,
                              .ogg_quality = 6.0f,
                              .flac_level = 5,
                              .dither = true};
}

ace_status ace_audio_format_parse(const char *name, ace_audio_format *out, ace_error *err)
{
    for (int kind = 0; kind < KINDS; kind++) {
        if (strcasecmp(name, names[kind].name) == 0 || strcasecmp(name, names[kind].alias) == 0) {
            *out = ace_audio_format_default((ace_audio_kind)kind);
            return ACESTEP_OK;
        }
    }
    return ace_fail(err, ACESTEP_ARGUMENT, "unknown audio format '%.40s'; known are %s", name,
                    ACE_AUDIO_OUTPUT_FORMATS);
}

ace_status ace_audio_format_for_path(const char *path, ace_audio_format *out, ace_error *err)
{
    const char *slash = strrchr(path, '/');
    const char *dot = strrchr(slash != NULL ? slash : path, '.');
    for (int kind = 0; dot != NULL && kind < KINDS; kind++) {
        if (strcasecmp(dot + 1, names[kind].extension) == 0) {
            *out = ace_audio_format_default((ace_audio_kind)kind);
            return ACESTEP_OK;
        }
    }
    if (dot != NULL && strcasecmp(dot, ".oga") == 0) {
        *out = ace_audio_format_default(ACE_AUDIO_VORBIS);
        return ACESTEP_OK;
    }
    return ace_fail(err, ACESTEP_ARGUMENT,
                    "%s: the ending tells no audio format; use .flac, .wav, .mp3, .opus or .ogg",
                    path);
}

ace_status ace_audio_format_check(const ace_audio_format *format, ace_error *err)
{
    if (format->rate != 0 && (format->rate < 8000 || format->rate > 192000)) {
        return ace_fail(err, ACESTEP_ARGUMENT, "sample rate %d; 8000 to 192000 Hz", format->rate);
    }
    switch (format->kind) {
    case ACE_AUDIO_MP3:
        if (format->mp3_vbr < -1 || format->mp3_vbr > 9) {
            return ace_fail(err, ACESTEP_ARGUMENT, "MP3 quality V%d; V0 to V9", format->mp3_vbr);
        }
        if (format->mp3_vbr < 0 && (format->mp3_bitrate < 32 || format->mp3_bitrate > 320)) {
            return ace_fail(err, ACESTEP_ARGUMENT, "MP3 bit rate %d; 32 to 320 kbit/s",
                            format->mp3_bitrate);
        }
        break;
    case ACE_AUDIO_OPUS:
        if (format->opus_bitrate < 32 || format->opus_bitrate > 510) {
            return ace_fail(err, ACESTEP_ARGUMENT, "Opus bit rate %d; 32 to 510 kbit/s",
                            format->opus_bitrate);
        }
        break;
    case ACE_AUDIO_VORBIS:
        if (!(format->ogg_quality >= 0.0f && format->ogg_quality <= 10.0f)) {
            return ace_fail(err, ACESTEP_ARGUMENT, "Vorbis quality %g; 0 to 10",
                            (double)format->ogg_quality);
        }
        break;
    case ACE_AUDIO_FLAC:
    case ACE_AUDIO_FLAC16:
        if (format->flac_level < 0 || format->flac_level > 8) {
            return ace_fail(err, ACESTEP_ARGUMENT, "FLAC level %d; 0 to 8", format->flac_level);
        }
        break;
    case ACE_AUDIO_WAV16:
    case ACE_AUDIO_WAV24:
    case ACE_AUDIO_WAV32:
        break;
    }
    return ACESTEP_OK;
}

const char *ace_audio_format_name(ace_audio_kind kind)
{
    return names[kind].name;
}

const char *ace_audio_format_extension(ace_audio_kind kind)
{
    return names[kind].extension;
}

const char *ace_audio_format_media_type(ace_audio_kind kind)
{
    return names[kind].media_type;
}
