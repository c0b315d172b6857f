/* Inside of the job service: its state, and who may touch what.
 *
 * `lock` guards everything but the worker's own things and the preview's. Only jobs that wait or
 * run are in memory, besides those that the journal could not take; all others are read from it
 * when asked for. */
#ifndef ACE_SERVER_JOBS_STATE_H
#define ACE_SERVER_JOBS_STATE_H

#include "server/jobs_entry.h"
#include "server/jobs_events.h"
#include "server/jobs_folder.h"
#include "server/jobs_journal.h"

#include <pthread.h>

/* An open engine and the options it was opened with. */
typedef struct ace_engine_slot {
    void *engine; /* NULL: none */
    char *key;    /* acestep_engine_options_json of those */
} ace_engine_slot;

typedef enum ace_engine_state {
    ACE_ENGINE_UNLOADED,
    ACE_ENGINE_LOADING,
    ACE_ENGINE_LOADED,
    ACE_ENGINE_RUNNING,
    ACE_ENGINE_UNLOADING
} ace_engine_state;

/* The card of the open engine. */
typedef struct ace_device_record {
    char state[16]; /* "" as "ok" */
    char cause[1024], problem[256];
    uint64_t losses, reopened; /* that the open engine has counted */
} ace_device_record;

struct ace_jobs {
    ace_jobs_options options; /* its strings are copies */
    char *folder;
    int lock_fd;

    pthread_mutex_t lock;
    pthread_cond_t wakeup; /* of the worker; on the monotonic clock */
    pthread_t worker;
    bool started, stopping, cancel_running;

    ace_journal *journal;
    ace_jobs_events_ring events;
    ace_jobs_entry *queue; /* by position */
    int queued;
    ace_jobs_entry *running; /* NULL: none */
    ace_jobs_entry *unsaved; /* finished, but the journal could not be written; tried again */

    ace_engine_state engine_state;
    double engine_since; /* unix seconds */
    char *engine_json;   /* acestep_engine_json of the open one; or NULL */
    char *engine_key;    /* a copy of the slot's */
    char engine_error[1024];
    acestep_request *load; /* asked for by ace_jobs_load; NULL: nothing */
    bool unload, reopen;
    ace_device_record device;

    ace_jobs_statistics counted; /* those fields that count since the start */
    double average[ACE_JOB_KINDS];

    ace_engine_slot slot; /* the worker's alone */

    pthread_mutex_t preview_lock; /* taken before `lock`, never after it */
    ace_engine_slot preview;
    double preview_used; /* monotonic seconds */
};

/* jobs_queue.c; with the lock held */
void ace_queue_insert(ace_jobs *jobs, ace_jobs_entry *entry);
bool ace_queue_take_out(ace_jobs *jobs, ace_jobs_entry *entry);
ace_jobs_entry *ace_queue_find(ace_jobs *jobs, const char *id);
double ace_queue_wait(ace_jobs *jobs, int before); /* until so many of the queue have run */
ace_entry_place ace_queue_place(ace_jobs *jobs, const ace_jobs_entry *entry);
/* Waiting, running or unsaved; NULL: ask the journal. */
ace_jobs_entry *ace_live_find(ace_jobs *jobs, const char *id);

/* jobs_finish.c; with the lock held. A job that neither waits nor runs any more: to the journal,
 * its event, the figures. Takes the entry over. */
void ace_job_end(ace_jobs *jobs, ace_jobs_entry *entry, ace_job_status status);
void ace_job_save_again(ace_jobs *jobs); /* what the journal could not take before */

/* jobs_publish.c; with the lock held. An event of this job; takes `more` over (NULL: nothing), an
 * object whose members are added to id and status. */
void ace_job_tell(ace_jobs *jobs, const ace_jobs_entry *entry, const char *name, json_t *more);
void ace_engine_tell(ace_jobs *jobs);

/* jobs_worker.c */
void *ace_jobs_work(void *jobs);

/* jobs_run.c: without the lock; the entry is the running one. Fills items or words, plan, warnings,
 * timings. */
ace_status ace_job_run_it(ace_jobs *jobs, ace_jobs_entry *entry, ace_error *err);

/* jobs_request.c */
ace_status ace_jobs_request_make(ace_jobs *jobs, const ace_job_wish *wish, json_t **asked,
                                 ace_error *err);
/* The request of a job with its files resolved. The caller frees. */
ace_status ace_jobs_request_open(ace_jobs *jobs, const json_t *asked, acestep_request **out,
                                 ace_error *err);
/* Random seeds become numbers, in request and params. */
ace_status ace_jobs_fix_seeds(ace_jobs_entry *entry, ace_error *err);
ace_status ace_request_put(acestep_request *request, const char *name, const char *value,
                           ace_error *err);

/* jobs_engine.c */
extern const ace_jobs_engine ace_jobs_public_engine;
/* The slot's engine for these options: the open one where it will do. */
ace_status ace_slot_open(ace_engine_slot *slot, const ace_jobs_engine *functions,
                         const acestep_request *request, bool *opened, ace_error *err);
void ace_slot_close(ace_engine_slot *slot, const ace_jobs_engine *functions);
/* The worker's engine, with state and event. Without the lock. */
ace_status ace_worker_engine(ace_jobs *jobs, const acestep_request *request, ace_error *err);
void ace_worker_unload(ace_jobs *jobs);
void ace_engine_set_state(ace_jobs *jobs, ace_engine_state state); /* with the lock */
/* What everybody may read about the worker's engine. Without the lock. */
void ace_worker_show(ace_jobs *jobs, ace_engine_state state, const char *error);

/* jobs_device.c: by the worker, without the lock. */
void ace_device_forget(ace_jobs *jobs); /* of an engine that is closed */
/* After a job: has the card been lost, or opened anew? */
void ace_device_look(ace_jobs *jobs);
void ace_device_reopen(ace_jobs *jobs);

/* jobs_result.c: the folders of a job's files. */
void ace_result_folder(const ace_jobs *jobs, const char *id, bool part, char *path);
/* Items of a finished song's report; its files get their names 0.flac, 0.json, … in the .part
 * folder. */
json_t *ace_result_items(const ace_jobs_entry *entry, const char *folder, json_t *report,
                         ace_error *err);

/* jobs_times.c */
typedef struct ace_estimate {
    double seconds; /* 0: unknown */
    const char *basis;
} ace_estimate;
void ace_times_learn(ace_jobs *jobs, const acestep_request *request, const json_t *report);
/* plan: acestep_plan_json or NULL. With the lock held. */
ace_estimate ace_times_expect(ace_jobs *jobs, ace_job_kind kind, const acestep_request *request,
                              const json_t *plan);

/* jobs_preview.c: can the request never be done here? Memory that is short now need not be so
 * later. */
bool ace_is_hopeless(ace_status status);
/* Plans with the second engine. svg may be NULL. */
ace_status ace_jobs_plan(ace_jobs *jobs, ace_job_kind kind, acestep_request *request, json_t **plan,
                         char **svg, ace_error *err);
/* Are the models there that it asks for? */
ace_status ace_jobs_look_at_models(ace_jobs *jobs, acestep_request *request, ace_error *err);
void ace_preview_unload(ace_jobs *jobs, double idle_seconds);

/* jobs_retention.c; takes and gives back the lock. */
void ace_jobs_retain(ace_jobs *jobs);
/* Record and files of a finished job. With the lock held. */
ace_job_change ace_job_drop(ace_jobs *jobs, const char *id);

/* jobs_recover.c */
ace_status ace_jobs_recover(ace_jobs *jobs, bool renewed, ace_error *err);

#endif
