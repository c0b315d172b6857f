/* The journal: every job in DATA/jobs.db, an SQLite database in WAL mode, so that a killed program
 * loses nothing that it has acknowledged. One caller at a time. */
#ifndef ACE_SERVER_JOBS_JOURNAL_H
#define ACE_SERVER_JOBS_JOURNAL_H

#include "server/jobs_entry.h"

typedef struct ace_journal ace_journal;

/* Opens or makes it. One that is damaged or no journal is renamed, with an error line in the log,
 * and a new one is begun; *renewed (may be NULL): this one is new, and knows nothing of what lies
 * in the folder. IO; UNSUPPORTED for the journal of a newer version. */
ace_status ace_journal_open(const char *folder, ace_journal **out, bool *renewed, ace_error *err);
void ace_journal_close(ace_journal *journal); /* NULL is fine */

/* repeat_key may be NULL. IO when it cannot be written; then nothing has changed. */
ace_status ace_journal_insert(ace_journal *journal, const ace_jobs_entry *entry,
                              const char *repeat_key, ace_error *err);
ace_status ace_journal_update(ace_journal *journal, const ace_jobs_entry *entry, ace_error *err);
/* Several positions at once, all or none. */
ace_status ace_journal_reorder(ace_journal *journal, const ace_jobs_entry *queue, ace_error *err);
/* Title and favourite alone. */
ace_status ace_journal_edit(ace_journal *journal, const ace_jobs_entry *entry, ace_error *err);
ace_status ace_journal_measure(ace_journal *journal, const char *id, uint64_t bytes,
                               ace_error *err);
/* Out of sight; its files may go now, and ace_journal_forget ends it. */
ace_status ace_journal_hide(ace_journal *journal, const char *id, ace_error *err);
ace_status ace_journal_forget(ace_journal *journal, const char *id, ace_error *err);

/* NULL when there is none, or it is hidden. The caller frees. */
ace_jobs_entry *ace_journal_find(ace_journal *journal, const char *id);
int ace_journal_status(ace_journal *journal, const char *id); /* -1: none */
/* The job that was added with this key since then; false: none. */
bool ace_journal_repeated(ace_journal *journal, const char *repeat_key, double since,
                          char id[ACE_JOB_ID_BYTES]);

/* Takes over the entry; false ends it. */
typedef bool ace_journal_visitor(void *context, ace_jobs_entry *entry);

/* Queued and running ones in the order of the queue. IO when they cannot be read. */
ace_status ace_journal_pending(ace_journal *journal, ace_journal_visitor *visit, void *context,
                               ace_error *err);
/* The newest first; limit and one more, so that the caller knows whether there are more. *total: of
 * all that match, whatever `after` and `limit` say. */
ace_status ace_journal_list(ace_journal *journal, const ace_jobs_filter *filter, int64_t *total,
                            ace_journal_visitor *visit, void *context, ace_error *err);

/* Ids only, of hidden ones: what a killed program was about to remove. */
typedef void ace_journal_id_visitor(void *context, const char *id);
void ace_journal_hidden(ace_journal *journal, ace_journal_id_visitor *visit, void *context);

/* The oldest finished job that is no favourite; false: none. */
bool ace_journal_oldest(ace_journal *journal, char id[ACE_JOB_ID_BYTES], double *finished);
/* Finished ones that are no favourites, and the bytes of all files. */
void ace_journal_sizes(ace_journal *journal, int64_t *jobs, uint64_t *bytes);
void ace_journal_counts(ace_journal *journal, uint64_t counts[ACE_JOB_KINDS][ACE_JOB_STATUSES]);
/* Seconds from start to end of the last finished ones of a kind; 0: there are none. */
double ace_journal_average(ace_journal *journal, ace_job_kind kind);

/* Speeds: work and seconds of a stage of an engine so far, older jobs counting less. */
typedef struct ace_speed {
    double work, seconds;
} ace_speed;
bool ace_journal_speed(ace_journal *journal, const char *engine, const char *stage, ace_speed *out);
ace_status ace_journal_set_speed(ace_journal *journal, const char *engine, const char *stage,
                                 ace_speed speed, ace_error *err);

#endif
