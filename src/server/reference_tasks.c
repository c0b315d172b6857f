/* Songs the way the original's clients ask for them: submit, ask again and again, fetch the file.
 */
#include "server/compat_jobs.h"
#include "server/reference_reply.h"
#include "server/reference_result.h"
#include "server/reference_routes.h"

#include <string.h>

void ace_reference_release_task(ace_http_request *request, ace_server *server)
{
    ace_compat_request wish = {.params = NULL};
    ace_error err = {.code = ACESTEP_OK};
    json_t *given = ace_http_body_object(request);
    if (given == NULL) {
        return;
    }
    json_t *body = json_copy(given);
    ace_status status = ace_compat_keep_files(request, server, body, &err);
    if (status == ACESTEP_OK) {
        status = ace_compat_read(body, ACE_COMPAT_REFERENCE, &wish, &err);
    }
    if (status != ACESTEP_OK) {
        ace_http_reply_failure(request, &err, NULL);
    } else {
        ace_compat_refusal refusal;
        json_t *record = ace_compat_queue(request, server, &wish, "reference", 0, &refusal);
        json_t *position = json_object_get(record, "queue_position");
        if (record == NULL) {
            ace_compat_reply_refusal(request, &refusal);
        } else {
            json_int_t place = json_is_integer(position) ? json_integer_value(position) : 1;
            ace_reference_reply(request, json_pack("{s:s, s:s, s:I, s:o}", "task_id",
                                                   ace_compat_string(record, "id"), "status",
                                                   "queued", "queue_position", place, "warnings",
                                                   ace_compat_all_warnings(record)));
        }
        json_decref(record);
    }
    ace_compat_request_free(&wish);
    json_decref(body);
}

enum { MOST_TASKS = 500 };

static void add_task(json_t *entries, ace_server *server, const char *id)
{
    json_t *record = ace_jobs_record(server->jobs, id);
    json_array_append_new(entries, ace_reference_entry(id, record, server));
    json_decref(record);
}

/* A list of ids, the same as JSON in a text, or one id. */
void ace_reference_query_result(ace_http_request *request, ace_server *server)
{
    json_t *body = ace_http_body_object(request);
    if (body == NULL) {
        return;
    }
    json_t *given = json_object_get(body, "task_id_list");
    given = given != NULL ? given : json_object_get(body, "task_id");
    const char *text = json_string_value(given);
    json_t *ids = json_is_array(given) ? json_incref(given)
                  : text != NULL       ? json_loads(text, 0, NULL)
                                       : NULL;
    if (!json_is_array(ids)) {
        json_decref(ids);
        ids = text != NULL && text[0] != '\0' ? json_pack("[s]", text) : json_array();
    }
    json_t *entries = json_array();
    size_t i = 0;
    const json_t *id = NULL;
    json_array_foreach (ids, i, id) {
        if (json_is_string(id) && i < MOST_TASKS) {
            add_task(entries, server, json_string_value(id));
        }
    }
    json_decref(ids);
    ace_reference_reply(request, entries);
}

void ace_reference_cancel_task(ace_http_request *request, ace_server *server)
{
    json_t *body = ace_http_body_object(request);
    if (body == NULL) {
        return;
    }
    const char *id = ace_compat_string(body, "task_id");
    switch (ace_jobs_cancel(server->jobs, id)) {
    case ACE_JOB_UNKNOWN:
        ace_http_reply_error(request, 404, "unknown_task", "task_id", NULL, "%.40s: unknown task",
                             id);
        return;
    case ACE_JOB_UNSAVED:
        ace_http_reply_error(request, 500, "storage", NULL, NULL, "the journal cannot be written");
        return;
    case ACE_JOB_FINISHED:
        ace_reference_reply(request, json_pack("{s:s, s:s}", "task_id", id, "status", "finished"));
        return;
    case ACE_JOB_CHANGED:
        ace_reference_reply(request, json_pack("{s:s, s:s}", "task_id", id, "status", "cancelled"));
        return;
    }
}
