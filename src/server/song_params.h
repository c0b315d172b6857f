/* What is known of a song that was made here, as options of a request. */
#ifndef ACE_SERVER_SONG_PARAMS_H
#define ACE_SERVER_SONG_PARAMS_H

#include "server/server.h"

/* named: "j_…/0". *out: a new object with src_latents or src_audio, the song's words, and
 * audio_codes where it follows any. ARGUMENT when there is no such song. */
ace_status ace_song_params(ace_server *server, const char *named, json_t **out, ace_error *err);

#endif
