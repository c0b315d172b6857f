/* Finished songs to files: level, fades, tags, the sidecar. */
#ifndef ACE_RUN_OUTPUT_H
#define ACE_RUN_OUTPUT_H

#include "audio/format.h"
#include "run/brief.h"
#include "run/pipeline.h"

enum { ACE_OUTPUT_PATH_BYTES = 4352 };

/* Where the songs go: decided, and tried for being writable, before anything is computed. */
typedef struct ace_output {
    ace_audio_format format;
    char path[ACE_MAX_SONGS][ACE_OUTPUT_PATH_BYTES];
} ace_output;

/* As audio_format names it, else by the file's ending. ARGUMENT for an unknown one. */
ace_status ace_output_format(const ace_request *r, ace_audio_format *out, ace_error *err);

/* seeds[n]: of the songs, for their names. IO when a file exists (and overwrite is off) or its
 * folder cannot be written. */
ace_status ace_output_prepare(const ace_request *r, const uint64_t *seeds, int n, ace_output *out,
                              ace_error *err);

/* The same for a result without audio: only out->path[0], which ends in the first of these extensions
 * where `output` names a folder; the other files lie beside it. */
ace_status ace_output_prepare_beside(const ace_request *r, uint64_t seed,
                                     const char *const *extensions, int n, ace_output *out,
                                     ace_error *err);

/* Levels song->audio in place as the request says. */
ace_status ace_output_level(const ace_request *r, ace_audio *audio, ace_error *err);

/* Writes the audio file, the timed lyrics where there are any, then the sidecar (its presence means
 * that all are complete). After a failure none of them is left. sidecar: JSON text, or NULL for
 * none. */
ace_status ace_output_write(const ace_request *r, const ace_output *out, int index,
                            const ace_finished *song, const ace_brief *brief, const char *model,
                            const char *sidecar, ace_error *err);

/* "song.flac", "json" → "song.json" */
void ace_output_beside(const char *audio_path, const char *extension, char *out, size_t bytes);

#endif
