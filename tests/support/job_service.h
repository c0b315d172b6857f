/* What tests of the job service do again and again. Every wait fails the test after 20 s. */
#ifndef TESTS_SUPPORT_JOB_SERVICE_H
#define TESTS_SUPPORT_JOB_SERVICE_H

#include "server/jobs.h"

/* With the fake engine and a queue of 8; *options may be NULL or say more. */
ace_jobs *job_service_open(const char *folder, const ace_jobs_options *options);
ace_jobs *job_service_start(const char *folder, const ace_jobs_options *options);

/* Adds a song with this caption; its id, which the caller frees with free(). */
char *job_service_add(ace_jobs *jobs, const char *caption);
ace_status job_service_try(ace_jobs *jobs, const char *caption, double *retry_seconds, char **id);

void job_service_await(ace_jobs *jobs, const char *id, ace_job_status status);
/* A text below the record: "error.code"; "" where there is none. The caller frees with free(). */
char *job_service_text(ace_jobs *jobs, const char *id, const char *path);
bool job_service_file(ace_jobs *jobs, const char *id, int item, ace_job_file file);
/* Names of the events kept of this job (NULL: all), with blanks between them; free(). */
char *job_service_events(ace_jobs *jobs, const char *id);

/* Runs `work` in a process of its own and returns its wait status. */
int job_service_fork(void (*work)(const char *folder), const char *folder);

#endif
