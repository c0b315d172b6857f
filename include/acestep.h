/* acestep: music from words with the ACE-Step 1.5 models, on whatever machine there is.
 *
 * Lifetimes: *_create/_free own memory, *_open/_close own an outside thing; freeing NULL is fine. Strings
 * are UTF-8. Every call that can fail returns a status and, through err (which may be NULL), one
 * sentence for a person. An engine is used by one thread at a time; requests, plans and results belong to
 * their creator. */
#ifndef ACESTEP_H
#define ACESTEP_H

#include "acestep/status.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct acestep_error {
    acestep_status code;
    char message[1024];
} acestep_error;

typedef struct acestep_request acestep_request; /* what is wanted: options by name */
typedef struct acestep_engine acestep_engine;   /* the device and the checkpoints */
typedef struct acestep_plan acestep_plan;       /* bytes, copies and work of every stage */
typedef struct acestep_result acestep_result;   /* finished songs */
typedef struct acestep_words acestep_words;     /* caption, lyrics and metadata without a song */

const char *acestep_version(void);
const char *acestep_status_text(acestep_status status);

/* Log lines on stderr: 0 none, 1 errors, 2 warnings (default), 3 one per stage, 4 everything. */
void acestep_set_log_level(int level);

/* Frees the strings that this library returns. */
void acestep_free(void *text);

/* ---- options and requests -------------------------------------------------------------------- */

char *acestep_options_help(void); /* for a terminal, by groups */
char *acestep_options_json(void); /* the option table: names, kinds, ranges, defaults, help */

/* Does the argument after this one belong to it ("--caption", but not "--overwrite")? */
bool acestep_option_takes_value(const char *argument);

acestep_status acestep_request_create(acestep_request **out, acestep_error *err);
void acestep_request_free(acestep_request *request);

/* One option by name or alias, its value as text. */
acestep_status acestep_request_set(acestep_request *request, const char *name, const char *value,
                                   acestep_error *err);
/* argv without the program's and the command's name. */
acestep_status acestep_request_set_arguments(acestep_request *request, int argc, char *const argv[],
                                             acestep_error *err);
acestep_status acestep_request_set_environment(acestep_request *request, acestep_error *err);
/* A JSON object; unknown keys are refused. Sidecar files are read as well. */
acestep_status acestep_request_set_json(acestep_request *request, const char *text, size_t bytes,
                                        acestep_error *err);
char *acestep_request_json(const acestep_request *request, bool asked_only);

/* ---- engine ---------------------------------------------------------------------------------- */

/* Opens the device and the checkpoints that the request's engine options name. Weights are read when a
 * stage needs them. */
acestep_status acestep_engine_open(const acestep_request *request, acestep_engine **out,
                                   acestep_error *err);
void acestep_engine_close(acestep_engine *engine);
/* Closes the device and opens it anew, and forgets what was on it. The request's engine options are
 * those that it was opened with. */
acestep_status acestep_engine_reopen_device(acestep_engine *engine, const acestep_request *request,
                                            acestep_error *err);
/* One line about what these checkpoints are, to be shown before they are used; "" when there is nothing to say. */
const char *acestep_engine_note(const acestep_engine *engine);
/* The options that an engine is opened with, as a JSON object: an engine serves every request for which
 * this is the same text. NULL when memory is short. */
char *acestep_engine_options_json(const acestep_request *request);
/* {"device", "health", "cpu", "threads", "precision", "models": {…}, "card": {…}}
 *
 * "health" is the graphics card's: {"state", "cause", "problem", "losses", "reopened"}. When a card
 * fails, the job at hand ends in an error and state is "lost"; the next job opens it anew, and
 * state is "ok" again, or "fallback" where it cannot be opened: then jobs run without it, with
 * warning W14, and it is tried again from time to time. cause: of the last loss; problem: why it
 * could not be opened; or null. */
char *acestep_engine_json(const acestep_engine *engine);

/* ---- the machine ----------------------------------------------------------------------------- */

/* What this machine is and what a job with these options would run with: device, tier, limits,
 * defaults, settings with their sources, and the controls of a page with values, choices and notes.
 * Needs no engine and no models. NULL with err set for a damaged gpu_tiers.json. */
char *acestep_info_json(const acestep_request *request, acestep_error *err);
char *acestep_info_text(const acestep_request *request, acestep_error *err);
/* The table of tiers: as rows keyed by name, in the form that gpu_tiers.json takes. */
char *acestep_tiers_json(const acestep_request *request, acestep_error *err);
char *acestep_tiers_text(const acestep_request *request, acestep_error *err);
/* Frames of latents that the VAE decodes at once by free memory, as the guide's six sizes. */
char *acestep_vae_chunk_table(bool json);
/* What constrained decoding lets the language model choose, for "duration"; NULL for another field. */
char *acestep_constraint_json(const acestep_request *request, const char *field,
                              acestep_error *err);

/* ---- planning -------------------------------------------------------------------------------- */

/* What an engine is asked for: the functions below. */
typedef enum acestep_call {
    ACESTEP_CALL_GENERATE,
    ACESTEP_CALL_COMPOSE,
    ACESTEP_CALL_UNDERSTAND,
    ACESTEP_CALL_ENCODE,
    ACESTEP_CALL_DECODE,
    ACESTEP_CALL_SCORE,
    ACESTEP_CALL_TIME_LYRICS
} acestep_call;

/* Walks the whole job on the measure device: no weights are read, milliseconds but for the audio
 * that the request names. What the call would refuse is refused here, with the same error; its
 * output files are not looked at. */
acestep_status acestep_plan_call(acestep_engine *engine, const acestep_request *request,
                                 acestep_call call, acestep_plan **out, acestep_error *err);
/* Of acestep_generate. */
acestep_status acestep_plan_create(acestep_engine *engine, const acestep_request *request,
                                   acestep_plan **out, acestep_error *err);
void acestep_plan_free(acestep_plan *plan);
uint64_t acestep_plan_peak_bytes(const acestep_plan *plan);
char *acestep_plan_json(const acestep_plan *plan);
char *acestep_plan_text(const acestep_plan *plan); /* a table for people */
/* Bytes on the device at every stage, a bar to a stage, a letter to a component. colour: with the
 * escape sequences of a terminal. */
char *acestep_plan_picture(const acestep_plan *plan, int columns, bool colour);
char *acestep_plan_svg(const acestep_plan *plan); /* the same as an SVG file */

/* ---- songs ----------------------------------------------------------------------------------- */

/* Called between steps. fraction: 0 … 1 of the stage; whole: of the job. Return false to cancel. */
typedef bool acestep_progress(void *context, const char *stage, double fraction, double whole);

/* Makes the songs and writes their files as the request's output options say. On failure nothing
 * partial is left behind. */
acestep_status acestep_generate(acestep_engine *engine, const acestep_request *request,
                                acestep_progress *progress, void *context, acestep_result **out,
                                acestep_error *err);
/* The same for those who measure: on CANCELLED *out holds the stages so far, without songs; NULL
 * where none had begun. The caller frees it. */
acestep_status acestep_measure(acestep_engine *engine, const acestep_request *request,
                               acestep_progress *progress, void *context, acestep_result **out,
                               acestep_error *err);
/* Up to 8 different songs in one batch. Sampling, engine and output options must be the same in all; each
 * song comes out as it would alone. */
acestep_status acestep_generate_batch(acestep_engine *engine,
                                      const acestep_request *const *requests, int n,
                                      acestep_progress *progress, void *context,
                                      acestep_result **out, acestep_error *err);
void acestep_result_free(acestep_result *result);

typedef struct acestep_song {
    const float *samples; /* [frames, 2] interleaved, as written */
    int64_t frames;
    int sample_rate; /* 48000 */
    uint64_t seed;
    const char *path; /* of the audio file; NULL and no samples under exec shape */
} acestep_song;

int acestep_result_songs(const acestep_result *result);
acestep_song acestep_result_song(const acestep_result *result, int index);
/* {"plan": {…}, "measured": {…}, "outputs": […], "warnings": […], "timings": […]} */
char *acestep_result_json(const acestep_result *result);
/* Stages with their times and memory, a table for people. */
char *acestep_result_text(const acestep_result *result);
/* After a run with option profile or trace: its operations by shape, at most `most` of them, those first that took
 * longest; a table for people, "" without those options. acestep_free. */
char *acestep_result_operations(const acestep_result *result, int most);
/* What lay on the device in the course of such a run, for a terminal or as an SVG file: time to the right, bytes
 * upwards, a letter or colour to a component; "" without those options. acestep_free. */
char *acestep_result_memory(const acestep_result *result, int columns, bool colour);
char *acestep_result_memory_svg(const acestep_result *result);

/* ---- songs that are there -----------------------------------------------------------------------
 *
 * Files go where the request's output option says. acestep_result_json tells their names; results
 * without audio have no samples. */

/* The recording in src_audio, or src_latents, as NAME.latents (frames of 32-bit floats, 25 times a second), and as 5 Hz
 * codes where the models can tell them. */
acestep_status acestep_encode(acestep_engine *engine, const acestep_request *request,
                              acestep_progress *progress, void *context, acestep_result **out,
                              acestep_error *err);
/* The audio of src_latents or of audio_codes, levelled and written like a song. */
acestep_status acestep_decode(acestep_engine *engine, const acestep_request *request,
                              acestep_progress *progress, void *context, acestep_result **out,
                              acestep_error *err);
/* When the song in src_audio or src_latents sings the request's lyrics: NAME.lrc and NAME.vtt; with
 * auto_score also how well. The other words, and audio_codes where it was made from any, should be
 * those that it was made from. */
acestep_status acestep_time_lyrics(acestep_engine *engine, const acestep_request *request,
                                   acestep_progress *progress, void *context, acestep_result **out,
                                   acestep_error *err);

/* ---- words ----------------------------------------------------------------------------------- */

/* What the language model makes of one sentence (option sample_query), or of rough words (use_format, with
 * caption and lyrics). UNSUPPORTED where it cannot run. */
acestep_status acestep_compose(acestep_engine *engine, const acestep_request *request,
                               acestep_progress *progress, void *context, acestep_words **out,
                               acestep_error *err);
/* What it hears in the request's src_audio, or reads in its audio_codes. */
acestep_status acestep_understand(acestep_engine *engine, const acestep_request *request,
                                  acestep_progress *progress, void *context, acestep_words **out,
                                  acestep_error *err);
/* How well audio_codes, or the codes of src_audio or src_latents, say the request's caption, lyrics and
 * metadata, in the language model's eyes: "lm_score" in the JSON. */
acestep_status acestep_score(acestep_engine *engine, const acestep_request *request,
                             acestep_progress *progress, void *context, acestep_words **out,
                             acestep_error *err);
void acestep_words_free(acestep_words *words);
/* {"caption", "lyrics", "bpm", …}: a request that makes such a song, with what happened under "acestep". */
char *acestep_words_json(const acestep_words *words);
char *acestep_words_text(const acestep_words *words); /* for people */

/* ---- audio files ----------------------------------------------------------------------------- */

/* {"seconds", "channels", "sample_rate", "format", "pairs", "minimum": [], "maximum": []}: the lowest and the
 * highest sample of each of 1 to 4096 equal parts, for a waveform. Reads the whole file. NULL with err
 * set: IO, AUDIO. */
char *acestep_audio_peaks_json(const char *path, int pairs, acestep_error *err);
/* The request that made this song, from the tags of the file; NULL without an error in any other file. */
char *acestep_audio_settings_json(const char *path, acestep_error *err);
/* {"format": "latents", "numbers"}: of a file as save_latents writes it, its values looked through. Whether
 * they are latents of a model is found out where they are used. NULL with err set: IO, AUDIO. */
char *acestep_latents_json(const char *path, acestep_error *err);
/* Writes the recording, with its tags, once more: flac, flac16, wav16, wav24, wav32, mp3, opus, ogg. */
acestep_status acestep_audio_convert(const char *from, const char *format, const char *to,
                                     acestep_error *err);

/* {"tasks", "languages", "tracks", "formats": [{"name", "extension", "media_type"}], "keys", …}: the
 * words that options know. */
char *acestep_vocabulary_json(void);

/* ---- checkpoints ----------------------------------------------------------------------------- */

/* Writes the request's model set once more into its folder `output`, the diffusion model with int8
 * weights: a complete folder for --models. Nothing is overwritten. On failure the new diffusion
 * model is not left behind. */
acestep_status acestep_quantize(const acestep_request *request, acestep_progress *progress,
                                void *context, acestep_error *err);

/* What an adapter is, from its headers, without a model: {"kind": "lora", "loha", "lokr" or
 * "mixed", "dora", "form": "peft" or "single file", "rank": {"least", "most"} (0: none of its
 * matrices are products), "layers", "modules", "targets": […], "parameters"}. path: a safetensors
 * file, PEFT's folder, or one with lokr_weights.safetensors; config: the adapter_config.json of a
 * file whose name and folder do not lead to it, or NULL. acestep_free. NULL with err set: MODEL,
 * UNSUPPORTED for adapters of other kinds, IO. */
char *acestep_adapter_json(const char *path, const char *config, acestep_error *err);

/* ---- the cache ------------------------------------------------------------------------------- */

/* The packed weights that are kept on disk in the request's cache_dir: names, sizes, last use. NULL
 * with err set where the folder cannot be read. */
char *acestep_cache_json(const acestep_request *request, acestep_error *err);
char *acestep_cache_text(const acestep_request *request, acestep_error *err);
/* Removes all of them. They are made again when they are needed. */
acestep_status acestep_cache_clear(const acestep_request *request, acestep_error *err);

/* ---- examples -------------------------------------------------------------------------------- */

/* A song to try things with, as acestep_request_set_json takes it; name: "example_05.json", "example_05" or "5".
 * acestep_free. NULL with err set (ARGUMENT, naming those that there are) for another name. */
char *acestep_example_json(const char *name, acestep_error *err);

/* ---- checking -------------------------------------------------------------------------------- */

/* Runs exactly one part of the networks on the inputs of a recorded case (a safetensors file with an
 * index.json beside it) and writes its outputs under the same names. The request names models, precision
 * (auto: f32) and device. */
acestep_status acestep_probe(const acestep_request *request, const char *case_path,
                             const char *output_path, acestep_error *err);

/* A song as block characters for a terminal: rows lines of columns characters, each ended by a newline.
 * Free with acestep_free. */
char *acestep_waveform(const acestep_song *song, int columns, int rows);

/* Writes a report to a file, as a whole or not at all. text may be NULL, as reports without memory
 * are: MEMORY. IO names the path. */
acestep_status acestep_file_write(const char *path, const char *text, acestep_error *err);

/* ---- benchmarks ------------------------------------------------------------------------------ */

typedef struct acestep_bench acestep_bench;

/* Measures stages alone, each with its weights loaded once, a warm-up and `repeats` (1 to 100)
 * repetitions, and what this machine can do at the most. stages: "all", or names with commas between
 * them: text, condition, condition-timbre, vae-encode, lm, dit, dit-xl, vae-decode, song. Without
 * weights or models in the request, weights are made up in the shapes of the published turbo model.
 * ARGUMENT for an unknown stage. On CANCELLED *out holds the stages that were finished, NULL for none. */
acestep_status acestep_bench_run(const acestep_request *request, const char *stages, int repeats,
                                 acestep_progress *progress, void *context, acestep_bench **out,
                                 acestep_error *err);
void acestep_bench_free(acestep_bench *bench);
char *acestep_bench_text(const acestep_bench *bench); /* for people; free with acestep_free */
char *acestep_bench_json(const acestep_bench *bench); /* docs: bench/README.md */
/* Adds a line for each result to a CSV file; a new or empty file gets a header first. IO. */
acestep_status acestep_bench_append_csv(const acestep_bench *bench, const char *path,
                                        acestep_error *err);
/* Two files of acestep_bench_json side by side, for people. NULL with err set when one cannot be
 * read (IO) or is something else (ARGUMENT). */
char *acestep_bench_compare(const char *old_path, const char *new_path, acestep_error *err);

/* ---- tier test ------------------------------------------------------------------------------- */

typedef struct acestep_tier_test acestep_tier_test;

typedef struct acestep_tier_test_options {
    const double *sizes; /* GB of the simulated cards */
    int n_sizes;         /* 0: one card of each tier */
    double duration;     /* s, clamped to each tier's limit; 0: 30 */
    bool with_lm;        /* the language model runs where the tier offers one; the batches are tried
                            without and with it in any case */
    bool skip_compile;   /* not compiled where nothing is quantised */
    bool boundary;       /* also without INT8, and without offloading */
    bool batch_boundary; /* also 1, 2, 4, 8 songs at once, until one fails */
} acestep_tier_test_options;

/* After each run; false stops the test. index: of the new row. */
typedef bool acestep_tier_row_done(void *context, const acestep_tier_test *test, int index);

/* A run on a simulated card of each size, with the defaults of its tier: lengths, batches,
 * offloading, quantization and what the language model does come from there, all else from the
 * request. Where it names neither weights nor models, weights are made up in the published shapes
 * of its model; exec is "shape" unless asked otherwise. A run that fails is a row, not an error. On
 * CANCELLED *out holds the rows so far; it is freed by the caller. */
acestep_status acestep_tier_test_run(const acestep_request *request,
                                     const acestep_tier_test_options *options,
                                     acestep_progress *progress, acestep_tier_row_done *done,
                                     void *context, acestep_tier_test **out, acestep_error *err);
void acestep_tier_test_free(acestep_tier_test *test);
bool acestep_tier_test_passed(const acestep_tier_test *test); /* every tier with its defaults */
/* For people: the table's head, a line of it, and what follows it. */
char *acestep_tier_test_head(const acestep_tier_test *test);
char *acestep_tier_test_row(const acestep_tier_test *test, int index);
char *acestep_tier_test_text(const acestep_tier_test *test);
/* An array of the runs (docs/BENCHMARK.md); summary: one more element with the boundaries. */
char *acestep_tier_test_json(const acestep_tier_test *test, bool summary);
/* Is it such a file? IO, ARGUMENT. */
acestep_status acestep_tier_test_check(const char *path, acestep_error *err);
/* Against such a file: *text lists settings that differ, passes that fail now and memory that grew by
 * more than 2 %. */
acestep_status acestep_tier_test_compare(const acestep_tier_test *test, const char *path,
                                         char **text, bool *regressed, acestep_error *err);

#ifdef __cplusplus
}
#endif

#endif
