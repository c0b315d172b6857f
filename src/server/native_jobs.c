/* Jobs that are there: listed, shown, changed. */
#include "server/native_jobs.h"

#include "base/memory.h"

#include <stdio.h>
#include <string.h>

/* ---- records
 * ---------------------------------------------------------------------------------------- */

void ace_native_record_sign(ace_server *server, json_t *record)
{
    size_t i = 0;
    json_t *item = NULL;
    json_array_foreach (json_object_get(record, "items"), i, item) {
        const char *audio = json_string_value(json_object_get(item, "audio"));
        char *address = audio != NULL ? ace_http_sign(server, audio) : NULL;
        if (address != NULL) {
            json_object_set_new(item, "audio", json_string(address));
        }
        ace_free(address);
    }
}

static void reply_unknown(ace_http_request *request)
{
    ace_http_reply_error(request, 404, "not_found", NULL, NULL, "there is no such job (any more)");
}

static void reply_record(ace_http_request *request, ace_server *server, const char *id)
{
    json_t *record = ace_jobs_record(server->jobs, id);
    if (record == NULL) {
        reply_unknown(request);
        return;
    }
    ace_native_record_sign(server, record);
    ace_http_reply_json(request, 200, record);
}

void ace_native_reply_change(ace_http_request *request, ace_job_change change)
{
    if (change == ACE_JOB_UNKNOWN) {
        reply_unknown(request);
    } else if (change == ACE_JOB_FINISHED) {
        ace_http_reply_error(request, 409, "finished", NULL, NULL, "the job has ended already");
    } else {
        ace_http_reply_error(request, 500, "disk", NULL,
                             "look at the space and the rights of the data folder",
                             "the journal of jobs cannot be written");
    }
}

void ace_native_job_show(ace_http_request *request, ace_server *server)
{
    reply_record(request, server, request->captures[0]);
}

/* ---- lists
 * ------------------------------------------------------------------------------------------ */

/* "queued,running" as bits. False after answering 400. */
static bool read_words(ace_http_request *request, const char *name, int (*read)(const char *),
                       unsigned *bits)
{
    const char *at = ace_http_query(request, name);
    char word[16];
    while (at != NULL && *at != '\0') {
        size_t n = strcspn(at, ",");
        (void)snprintf(word, sizeof word, "%.*s", (int)(n < 15 ? n : 15), at);
        int value = read(word);
        if (value < 0) {
            ace_http_reply_error(request, 400, "bad_value", name, NULL, "%s: \"%s\" is none", name,
                                 word);
            return false;
        }
        *bits |= 1u << value;
        at += n + (at[n] == ',' ? 1 : 0);
    }
    return true;
}

static void reply_list(ace_http_request *request, ace_server *server, const ace_jobs_filter *filter)
{
    size_t i = 0;
    json_t *record = NULL;
    json_t *list = ace_jobs_list(server->jobs, filter);
    json_array_foreach (json_object_get(list, "jobs"), i, record) {
        ace_native_record_sign(server, record);
    }
    ace_http_reply_json(request, 200, list);
}

void ace_native_job_list(ace_http_request *request, ace_server *server)
{
    int64_t limit = 0;
    ace_jobs_filter filter = {.favourite = -1,
                              .text = ace_http_query(request, "q"),
                              .origin = ace_http_query(request, "origin"),
                              .after = ace_http_query(request, "after")};
    if (!read_words(request, "status", ace_job_status_read, &filter.statuses) ||
        !read_words(request, "kind", ace_job_kind_read, &filter.kinds) ||
        !ace_http_query_int(request, "limit", 1, 500, 50, &limit)) {
        return;
    }
    if (ace_http_query(request, "favourite") != NULL) {
        filter.favourite = ace_http_query_flag(request, "favourite") ? 1 : 0;
    }
    filter.limit = (int)limit;
    reply_list(request, server, &filter);
}

/* ---- changes
 * ---------------------------------------------------------------------------------------- */

void ace_native_job_change(ace_http_request *request, ace_server *server)
{
    json_t *body = ace_http_body_object(request);
    if (body == NULL) {
        return;
    }
    json_t *title = json_object_get(body, "title");
    json_t *favourite = json_object_get(body, "favourite");
    const char *text = json_string_value(title);
    if ((title != NULL && (text == NULL || strlen(text) > 512)) ||
        (favourite != NULL && !json_is_boolean(favourite)) ||
        (title == NULL && favourite == NULL)) {
        ace_http_reply_error(request, 400, "bad_value", title != NULL ? "title" : "favourite", NULL,
                             "a title of up to 512 bytes or favourite: true or false is expected");
        return;
    }
    int flag = favourite != NULL ? json_is_true(favourite) : -1;
    ace_job_change change = ace_jobs_edit(server->jobs, request->captures[0], text, flag);
    if (change == ACE_JOB_CHANGED) {
        reply_record(request, server, request->captures[0]);
    } else {
        ace_native_reply_change(request, change);
    }
}

void ace_native_job_remove(ace_http_request *request, ace_server *server)
{
    ace_job_change change = ace_jobs_remove(server->jobs, request->captures[0]);
    if (change == ACE_JOB_CHANGED) {
        ace_http_reply_json(request, 200, json_pack("{s:b}", "removed", 1));
    } else {
        ace_native_reply_change(request, change);
    }
}

void ace_native_job_cancel(ace_http_request *request, ace_server *server)
{
    ace_job_change change = ace_jobs_cancel(server->jobs, request->captures[0]);
    if (change == ACE_JOB_CHANGED) {
        reply_record(request, server, request->captures[0]);
    } else {
        ace_native_reply_change(request, change);
    }
}

enum { MOST_IDS = 1000 };

void ace_native_job_reorder(ace_http_request *request, ace_server *server)
{
    const char *ids[MOST_IDS];
    size_t n = 0;
    size_t i = 0;
    json_t *id = NULL;
    json_t *body = ace_http_body_object(request);
    if (body == NULL) {
        return;
    }
    json_t *list = json_object_get(body, "ids");
    bool good = json_is_array(list) && json_array_size(list) <= MOST_IDS;
    json_array_foreach (list, i, id) {
        good = good && json_is_string(id);
        if (good) {
            ids[n++] = json_string_value(id);
        }
    }
    if (!good) {
        ace_http_reply_error(request, 400, "bad_value", "ids", NULL,
                             "ids: a list of job ids is expected");
        return;
    }
    ace_job_change change = ace_jobs_reorder(server->jobs, ids, n);
    if (change != ACE_JOB_CHANGED) {
        ace_native_reply_change(request, change);
        return;
    }
    const ace_jobs_filter waiting = {
        .statuses = 1u << ACE_JOB_QUEUED, .favourite = -1, .limit = 500};
    reply_list(request, server, &waiting);
}
