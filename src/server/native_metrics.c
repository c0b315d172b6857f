/* GET /metrics: figures in Prometheus' text format 0.0.4. */
#include "server/http_serve.h"
#include "server/jobs.h"
#include "server/native.h"

#include "base/memory.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static void head(FILE *out, const char *name, const char *type, const char *help)
{
    fprintf(out, "# HELP acestep_%s %s\n# TYPE acestep_%s %s\n", name, help, name, type);
}

static void figure(FILE *out, const char *name, const char *type, const char *help, double value)
{
    head(out, name, type, help);
    fprintf(out, "acestep_%s %.15g\n", name, value);
}

static void put_request(void *context, const char *path, int status, uint64_t requests)
{
    fprintf(context, "acestep_http_requests_total{path=\"%s\",code=\"%d\"} %llu\n", path, status,
            (unsigned long long)requests);
}

static void put_jobs(FILE *out, const ace_jobs_statistics *s)
{
    head(out, "jobs_total", "counter", "Jobs that have ended since the start, by how.");
    for (int kind = 0; kind < ACE_JOB_KINDS; kind++) {
        for (int status = ACE_JOB_DONE; status < ACE_JOB_STATUSES; status++) {
            fprintf(out, "acestep_jobs_total{task=\"%s\",status=\"%s\"} %llu\n",
                    ace_job_kind_name((ace_job_kind)kind),
                    ace_job_status_name((ace_job_status)status),
                    (unsigned long long)s->ended[kind][status]);
        }
    }
    head(out, "jobs", "gauge", "Jobs in the journal now.");
    for (int kind = 0; kind < ACE_JOB_KINDS; kind++) {
        for (int status = 0; status < ACE_JOB_STATUSES; status++) {
            fprintf(out, "acestep_jobs{task=\"%s\",status=\"%s\"} %llu\n",
                    ace_job_kind_name((ace_job_kind)kind),
                    ace_job_status_name((ace_job_status)status),
                    (unsigned long long)s->jobs[kind][status]);
        }
    }
    head(out, "job_seconds", "summary", "That finished jobs took, start to end.");
    for (int kind = 0; kind < ACE_JOB_KINDS; kind++) {
        const char *task = ace_job_kind_name((ace_job_kind)kind);
        fprintf(out, "acestep_job_seconds_sum{task=\"%s\"} %.15g\n", task, s->done_seconds[kind]);
        fprintf(out, "acestep_job_seconds_count{task=\"%s\"} %llu\n", task,
                (unsigned long long)s->ended[kind][ACE_JOB_DONE]);
    }
    figure(out, "jobs_added_total", "counter", "Jobs that were queued.", (double)s->added);
    figure(out, "jobs_refused_total", "counter", "Jobs that found the queue full.",
           (double)s->refused);
    figure(out, "queue_depth", "gauge", "Jobs that wait.", s->queued);
    figure(out, "queue_limit", "gauge", "Jobs that may wait.", s->queue_limit);
    figure(out, "queue_wait_seconds", "gauge", "Until a job added now would start.",
           s->wait_seconds);
    figure(out, "job_running_seconds", "gauge", "Since the running job began; 0: none runs.",
           s->running_seconds);
    figure(out, "job_average_seconds", "gauge", "Of the last songs, start to end.",
           s->average_seconds);
    figure(out, "songs_total", "counter", "Songs that were made.", (double)s->songs);
    figure(out, "audio_seconds_total", "counter", "Their length together.", s->audio_seconds);
    figure(out, "busy_seconds_total", "counter", "Spent on jobs.", s->busy_seconds);
    figure(out, "model_loads_total", "counter", "Times the engine was opened.",
           (double)s->engine_loads);
    figure(out, "device_lost_total", "counter", "Times the graphics card has failed.",
           (double)s->device_losses);
    figure(out, "device_reopened_total", "counter", "Times it was opened anew.",
           (double)s->device_reopened);
    figure(out, "fallback_total", "counter", "Warnings: what was clamped or ran another way.",
           (double)s->warnings);
    figure(out, "result_bytes", "gauge", "Bytes of the songs that are kept.",
           (double)s->result_bytes);
}

void ace_native_metrics(ace_http_request *request, ace_server *server)
{
    char *text = NULL;
    size_t bytes = 0;
    FILE *out = open_memstream(&text, &bytes);
    if (out == NULL) {
        ace_http_reply_json(request, 500, NULL);
        return;
    }
    ace_jobs_statistics s;
    ace_jobs_statistics_read(server->jobs, &s);
    head(out, "build_info", "gauge", "Always 1.");
    fprintf(out, "acestep_build_info{version=\"%s\"} 1\n", acestep_version());
    put_jobs(out, &s);
    figure(out, "http_connections", "gauge", "Open connections.",
           ace_http_connections(server->http));
    head(out, "http_requests_total", "counter", "Answers, by route and status.");
    ace_http_counts(server->http, put_request, out);
    fclose(out);
    if (text == NULL) {
        ace_http_reply_json(request, 500, NULL);
    } else {
        ace_http_reply_text(request, 200, "text/plain; version=0.0.4; charset=utf-8", text);
    }
    free(text);
}
