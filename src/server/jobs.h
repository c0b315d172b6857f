/* Jobs: what clients have asked for, from the queue to files on disk.
 *
 * One worker thread owns the engine and takes jobs from a bounded queue in order. A journal
 * (SQLite, in the data folder) remembers every job, so that the queue survives the end of the
 * program however it comes; a job's files lie in DATA/results/ID/ and appear there all at once.
 * Everything may be called from any thread; nothing here waits for the running job unless it says
 * so.
 *
 * A job is shown to the outside as its record, a JSON object of which the caller gets a copy of his
 * own: id, kind, origin, status, created, started, finished (unix seconds or null), queue_position
 * (1: the next; null when it is not queued), wait_seconds, expected_seconds, params (as asked; its
 * seeds from the start on), request (every option), title, favourite, progress {stage, fraction,
 * whole, eta_seconds}, plan, items [{index, seed, seconds, bytes, format, audio, peaks, sidecar,
 * latents, lrc, vtt, caption, lyrics, bpm, keyscale, timesignature, vocal_language, codes}], words, warnings
 *   [{id, field, asked, used, reason}], timings, error {code, message, hint}. */
#ifndef ACE_SERVER_JOBS_H
#define ACE_SERVER_JOBS_H

#include "acestep.h"
#include "base/status.h"

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct ace_server ace_server;
typedef struct ace_jobs ace_jobs;

enum { ACE_JOB_ID_BYTES = 24 }; /* "j_" and 20 characters that sort by time */

typedef enum ace_job_kind {
    ACE_JOB_SONG,       /* acestep_generate */
    ACE_JOB_SAMPLE,     /* acestep_compose: a song's words from one sentence */
    ACE_JOB_FORMAT,     /* acestep_compose: from rough words */
    ACE_JOB_UNDERSTAND, /* acestep_understand */
    ACE_JOB_ENCODE,     /* acestep_encode: a recording to latents and codes */
    ACE_JOB_DECODE,     /* acestep_decode: latents or codes to a recording */
    ACE_JOB_SCORE,      /* acestep_score */
    ACE_JOB_TIMES       /* acestep_time_lyrics */
} ace_job_kind;

typedef enum ace_job_status {
    ACE_JOB_QUEUED,
    ACE_JOB_RUNNING,
    ACE_JOB_DONE,
    ACE_JOB_FAILED,
    ACE_JOB_CANCELLED
} ace_job_status;

enum { ACE_JOB_KINDS = 8, ACE_JOB_STATUSES = 5 };

/* "song", …; "queued", … The readers return -1 for another word. */
const char *ace_job_kind_name(ace_job_kind kind);
const char *ace_job_status_name(ace_job_status status);
int ace_job_kind_read(const char *name);
int ace_job_status_read(const char *name);
/* Do such jobs end with items, or with words? */
bool ace_job_has_items(ace_job_kind kind);

/* ---- the engine, so that tests can bring their own
 * --------------------------------------------------- */

typedef struct ace_jobs_engine {
    acestep_status (*open)(const acestep_request *request, void **engine, acestep_error *err);
    void (*close)(void *engine);
    char *(*describe)(void *engine); /* JSON; acestep_free */
    /* Runs a job and writes a song's files as the request's output options say. *report: the JSON
     * of acestep_result_json or acestep_words_json; acestep_free. */
    acestep_status (*run)(void *engine, ace_job_kind kind, const acestep_request *request,
                          acestep_progress *progress, void *context, char **report,
                          acestep_error *err);
    /* acestep_plan_json and acestep_plan_svg (svg may be NULL) of such a job; acestep_free. */
    acestep_status (*plan)(void *engine, ace_job_kind kind, const acestep_request *request,
                           char **json, char **svg, acestep_error *err);
    /* acestep_engine_reopen_device */
    acestep_status (*reopen)(void *engine, const acestep_request *request, acestep_error *err);
} ace_jobs_engine;

/* ---- life
 * ------------------------------------------------------------------------------------------- */

typedef struct ace_jobs_options {
    const char *folder;         /* the data folder; made where it is missing */
    int queue_limit;            /* jobs that may wait; 0: 200 */
    double keep_seconds;        /* finished jobs that are no favourites: age, … */
    int64_t keep_jobs;          /* … number, … */
    uint64_t keep_bytes;        /* … and bytes of their files; 0: no limit, each */
    double idle_unload_seconds; /* the engine goes after so long without a job; 0: it stays */
    ace_server *server;         /* handed to the functions below */
    /* What every request starts from (ace_server_defaults). NULL: the options' own defaults. */
    ace_status (*defaults)(ace_server *server, acestep_request **out, ace_error *err);
    /* The real path of a file that a request names (ace_server_input_path). NULL: the name itself.
     */
    ace_status (*input_path)(ace_server *server, const char *named, char **out, ace_error *err);
    /* The same for options of latents. NULL: input_path. */
    ace_status (*latents_path)(ace_server *server, const char *named, char **out, ace_error *err);
    /* The same for an adapter in the option lora. NULL: input_path. */
    ace_status (*adapter_path)(ace_server *server, const char *named, char **out, ace_error *err);
    /* A new event is there (ace_http_wake). Called from any thread, perhaps with locks held: it
     * must not call back into this file. May be NULL. */
    void (*changed)(ace_server *server);
    const ace_jobs_engine *engine; /* NULL: the public API */
} ace_jobs_options;

/* Opens the data folder and takes up what it holds: queued jobs are queued again; one that was
 * running is run once more, or fails when that happened before. BUSY when another server has the
 * folder. A damaged journal is set aside under another name, with an error line in the log, and a
 * new one is begun. */
ace_status ace_jobs_open(const ace_jobs_options *options, ace_jobs **out, ace_error *err);

/* Starts the worker. */
ace_status ace_jobs_start(ace_jobs *jobs, ace_error *err);

/* No further job starts. The running one may finish within so many seconds; then it is cancelled
 * and queued again for the next start. Returns when the worker has ended. */
void ace_jobs_stop(ace_jobs *jobs, double grace_seconds);

void ace_jobs_close(ace_jobs *jobs); /* stops at once what runs; NULL is fine */

/* ---- asking for work
 * -------------------------------------------------------------------------------- */

/* Is such an option's file one of latents? */
bool ace_job_takes_latents(const char *option);

typedef struct ace_job_wish {
    ace_job_kind kind;
    const char *origin; /* the API it came by: "native", "reference", "peer" */
    json_t *params; /* object of options as acestep_request_set_json reads it; borrowed. The files
                     * in src_audio, reference_audio, those of latents and lora go through the paths
                     * above */
    bool admin;     /* options of the machine and of the models may differ from the defaults */
    const char
        *repeat_key; /* Idempotency-Key: the same key within 24 h gives the same job; or NULL */
} ace_job_wish;

/* Queues a job and returns its record. BUSY when the queue is full, with the seconds until it is
 * worth another try in *retry_seconds (may be NULL). ARGUMENT, UNSUPPORTED, MODEL, AUDIO for a
 * request that cannot become a song; IO when the journal cannot be written. */
ace_status ace_jobs_add(ace_jobs *jobs, const ace_job_wish *wish, json_t **record,
                        double *retry_seconds, ace_error *err);

/* What such a job would be: {request, plan, plan_svg, seconds, basis, warnings}; plan is null for
 * words. basis: "measured" (speeds of finished jobs), "average" (of such jobs), "planned" (work by
 * the machine's rate) or "none". Does not wait for the running job. */
ace_status ace_jobs_preview(ace_jobs *jobs, const ace_job_wish *wish, json_t **out, ace_error *err);

/* ---- looking at jobs
 * --------------------------------------------------------------------------------- */

/* NULL when there is no such job. */
json_t *ace_jobs_record(ace_jobs *jobs, const char *id);

/* Its status alone, cheap; -1 when there is no such job. */
int ace_jobs_status(ace_jobs *jobs, const char *id);

typedef struct ace_jobs_filter {
    unsigned statuses;  /* bits 1 << ace_job_status; 0: all */
    unsigned kinds;     /* bits 1 << ace_job_kind; 0: all */
    int favourite;      /* 1: only favourites, 0: only others, -1: all */
    const char *text;   /* in title, caption or lyrics, any case; NULL: all */
    const char *origin; /* NULL: all */
    const char *after;  /* id: older than this one; NULL: from the newest on */
    int limit;          /* 1 … 500 */
} ace_jobs_filter;

/* {"jobs": [records, the newest first, without plan and request], "next": id or null, "total":
 * number}. NULL when memory is short. */
json_t *ace_jobs_list(ace_jobs *jobs, const ace_jobs_filter *filter);

typedef enum ace_job_file {
    ACE_JOB_AUDIO,
    ACE_JOB_SIDECAR,
    ACE_JOB_LRC,
    ACE_JOB_VTT,
    ACE_JOB_LATENTS
} ace_job_file;

/* Path of an item's file, which is there now but may go with its job at any time. ace_free.
 * ARGUMENT when there is no such job, item or file. */
ace_status ace_jobs_file(ace_jobs *jobs, const char *id, int item, ace_job_file file, char **path,
                         ace_error *err);

/* Files have been put beside an item's: they count among the job's bytes from now on. */
void ace_jobs_measure(ace_jobs *jobs, const char *id);

/* ---- changing jobs
 * ----------------------------------------------------------------------------------- */

typedef enum ace_job_change {
    ACE_JOB_CHANGED,
    ACE_JOB_UNKNOWN,  /* no such job */
    ACE_JOB_FINISHED, /* cancel: there is nothing left to cancel */
    ACE_JOB_UNSAVED   /* the journal cannot be written; the log says why */
} ace_job_change;

/* A queued job at once, a running one at its next step. */
ace_job_change ace_jobs_cancel(ace_jobs *jobs, const char *id);
/* The client has gone for whom alone a job was made: it is cancelled. False where the server is
 * stopping, which has sent the client away: the next start takes the job up, as any other. */
bool ace_jobs_abandon(ace_jobs *jobs, const char *id);
/* The record and its files; a job that is not finished is cancelled first. */
ace_job_change ace_jobs_remove(ace_jobs *jobs, const char *id);
/* title NULL and favourite -1: as it is. */
ace_job_change ace_jobs_edit(ace_jobs *jobs, const char *id, const char *title, int favourite);
/* The named jobs go to the front of the queue in this order; names of others count as nothing. */
ace_job_change ace_jobs_reorder(ace_jobs *jobs, const char *const *ids, size_t n);

/* ---- events
 * ------------------------------------------------------------------------------------------ */

typedef struct ace_job_event {
    uint64_t number; /* grows, also over restarts */
    const char *id;  /* of the job; "" for events of the engine */
    const char *
        name; /* queued started phase progress item warning done failed cancelled removed; engine */
    const char *data; /* a JSON object in one line, with id and status */
} ace_job_event;

/* Every event of a job but progress is also a line of the log, "ID NAME" under this area. */
#define ACE_JOB_LOG_AREA "job"

typedef void ace_job_event_visitor(void *context, const ace_job_event *event);

/* Shows the events after number `after` that concern the job (NULL: all), the oldest first. Returns
 * the number to go on from. *lost: events after `after` are no longer kept (or it is of another
 * journal's time): what they said has to be read again from the records. after 0: everything kept,
 * nothing counts as lost. The visitor must not call into this file. */
uint64_t ace_jobs_events(ace_jobs *jobs, const char *id, uint64_t after, bool *lost,
                         ace_job_event_visitor *visit, void *context);
uint64_t ace_jobs_last_event(ace_jobs *jobs);

/* ---- the engine
 * -------------------------------------------------------------------------------------- */

/* {"state": "unloaded|loading|loaded|running|unloading", "job": id or null, "options": {those it
 * was opened with}, "engine": {acestep_engine_json} or null, "since": unix seconds, "error":
 * message or null} */
json_t *ace_jobs_engine_state(ace_jobs *jobs);

/* Opens the engine with the defaults and these options, or closes it, as soon as no job runs.
 * Returns at once; an event "engine" tells when it has happened. MODEL for models that are not
 * here. */
ace_status ace_jobs_load(ace_jobs *jobs, json_t *options, ace_error *err);
void ace_jobs_unload(ace_jobs *jobs);

/* Could a job of the defaults run? BUSY while the queue is full; MODEL and so on where no engine is
 * open and none can be opened: that is tried, milliseconds. */
ace_status ace_jobs_ready(ace_jobs *jobs, ace_error *err);

/* Closes the engine's device and opens it anew, as soon as no job runs; nothing where no engine is
 * open. Returns at once, with an event "engine" in the end. */
void ace_jobs_reopen_device(ace_jobs *jobs);

/* {"name": the open engine's or null, "state": "ok|lost|fallback", "cause": of the last loss or
 * null, "problem": why it is not open anew or null, "losses", "reopened": since the start} */
json_t *ace_jobs_device_state(ace_jobs *jobs);

/* ---- figures
 * ----------------------------------------------------------------------------------------- */

typedef struct ace_jobs_statistics {
    uint64_t jobs[ACE_JOB_KINDS][ACE_JOB_STATUSES]; /* in the journal now */
    uint64_t added, refused; /* since the start; refused: the queue was full */
    uint64_t ended[ACE_JOB_KINDS][ACE_JOB_STATUSES]; /* since the start, by how they ended */
    double done_seconds[ACE_JOB_KINDS];              /* that those took which came to an end */
    int queued, queue_limit;
    double running_seconds; /* of the job that runs now; 0: none */
    double wait_seconds;    /* until a job added now would start */
    double average_seconds; /* of the last 50 songs that were made, start to end; 5 without any */
    uint64_t songs;         /* made since the start, … */
    double audio_seconds;   /* … and their length together */
    double busy_seconds;    /* the worker has spent on jobs since the start */
    uint64_t engine_loads;
    uint64_t device_losses, device_reopened;
    uint64_t warnings; /* clamps and fallbacks since the start */
    uint64_t result_bytes;
} ace_jobs_statistics;

void ace_jobs_statistics_read(ace_jobs *jobs, ace_jobs_statistics *out);

#endif
