/* What a song file says about itself. Keys are the names of Vorbis comments; every container stores
 * them in its own way:
 *
 *   key                        FLAC, Ogg          MP3, `id3 ` chunk of WAV      LIST INFO of WAV
 *   TITLE, ARTIST              as they are        TIT2, TPE1                    INAM, IART
 *   DESCRIPTION (caption)      "                  COMM, described "caption"     ICMT
 *   LYRICS                     "                  USLT in the song's language   -
 *   SYNCEDLYRICS (LRC text)    "                  SYLT, milliseconds            -
 *   BPM, INITIALKEY            "                  TBPM, TKEY ("Am", "C#")       -
 *   LANGUAGE (ISO 639-1)       "                  TLAN (ISO 639-2)              ILNG
 *   DATE, ENCODER              "                  TDRC, TSSE                    ICRD, ISFT
 *   any other, ACESTEP_PARAMS  "                  TXXX, described by the key    -
 *
 * Values are UTF-8. */
#ifndef ACE_AUDIO_TAG_H
#define ACE_AUDIO_TAG_H

#include "base/status.h"

#include <stdbool.h>
#include <stddef.h>

typedef struct ace_tag {
    const char *key;   /* ASCII 0x20 … 0x7d without '=' */
    const char *value; /* NULL or empty: left out */
} ace_tag;

/* ACESTEP_ARGUMENT when a key or a value cannot be stored, naming the key. */
ace_status ace_tags_check(const ace_tag *tags, size_t n_tags, ace_error *err);

/* Value of the first tag with this key (any case), or NULL. */
const char *ace_tags_find(const ace_tag *tags, size_t n_tags, const char *key);

#endif
