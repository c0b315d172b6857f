/* Words for a song: rewritten, made from one sentence, or one of the examples. */
#include "server/compat_jobs.h"
#include "server/reference_examples.h"
#include "server/reference_reply.h"
#include "server/reference_result.h"
#include "server/reference_routes.h"

#include <string.h>

static json_t *or_asked(const json_t *words, const json_t *params, const char *key)
{
    json_t *value = json_object_get(words, key);
    value = value != NULL ? value : json_object_get(params, key);
    return json_incref(value != NULL ? value : json_null());
}

static void answer_words(ace_http_request *request, ace_server *server, const json_t *record)
{
    (void)server;
    const json_t *w = json_object_get(record, "words");
    const json_t *params = json_object_get(record, "params");
    if (ace_reference_status(record) != 1) {
        if (ace_compat_is_unsupported(record)) {
            ace_http_reply_error(request, 503, "no_language_model", NULL, NULL, "%s",
                                 ace_compat_failure(record));
        } else {
            ace_reference_reply_code(request, 500, ace_compat_failure(record));
        }
        return;
    }
    const char *lyrics = ace_compat_string(w, "lyrics");
    ace_reference_reply(request,
                        json_pack("{s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:b, s:o}", "caption",
                                  or_asked(w, params, "caption"), "lyrics",
                                  or_asked(w, params, "lyrics"), "bpm", or_asked(w, params, "bpm"),
                                  "key_scale", or_asked(w, params, "keyscale"), "time_signature",
                                  or_asked(w, params, "timesignature"), "duration",
                                  or_asked(w, params, "duration"), "vocal_language",
                                  or_asked(w, params, "vocal_language"), "instrumental",
                                  lyrics[0] == '\0' || strcmp(lyrics, "[Instrumental]") == 0,
                                  "warnings", ace_compat_all_warnings(record)));
}

/* The names that these two requests use for what the language model is asked. */
static json_t *as_task(ace_http_request *request)
{
    json_t *given = ace_http_body_object(request);
    json_t *body = given != NULL ? json_copy(given) : NULL;
    json_t *temperature = json_object_get(body, "temperature");
    if (temperature != NULL) {
        json_object_set(body, "lm_temperature", temperature);
        json_object_del(body, "temperature");
    }
    return body;
}

static void ask(ace_http_request *request, ace_server *server, json_t *body, ace_job_kind kind)
{
    ace_compat_request wish = {.params = NULL};
    ace_error err = {.code = ACESTEP_OK};
    if (ace_compat_read(body, ACE_COMPAT_REFERENCE, &wish, &err) != ACESTEP_OK) {
        ace_http_reply_failure(request, &err, NULL);
    } else {
        wish.kind = kind;
        json_object_del(wish.params, "thinking"); /* it is asked for nothing else */
        ace_compat_refusal refusal;
        json_t *record = ace_compat_queue(request, server, &wish, "reference", 1, &refusal);
        if (record == NULL &&
            refusal.err.code == ACESTEP_UNSUPPORTED) { /* as the original says it */
            ace_http_reply_error(request, 503, "not_possible", NULL, NULL, "%s",
                                 refusal.err.message);
        } else if (record == NULL) {
            ace_compat_reply_refusal(request, &refusal);
        } else {
            ace_compat_wait(request, server, record, ACE_COMPAT_WAIT_SECONDS, answer_words);
        }
        json_decref(record);
    }
    ace_compat_request_free(&wish);
}

void ace_reference_format_input(ace_http_request *request, ace_server *server)
{
    json_t *body = as_task(request);
    if (body != NULL) {
        json_object_set_new(body, "use_format", json_true());
        ask(request, server, body, ACE_JOB_FORMAT);
    }
    json_decref(body);
}

void ace_reference_create_sample(ace_http_request *request, ace_server *server)
{
    json_t *body = as_task(request);
    json_t *query = json_object_get(body, "query");
    if (body != NULL) {
        if (query != NULL) {
            json_object_set(body, "sample_query", query);
            json_object_del(body, "query");
        }
        json_object_set_new(body, "sample_mode", json_true());
        ask(request, server, body, ACE_JOB_SAMPLE);
    }
    json_decref(body);
}

void ace_reference_random_sample(ace_http_request *request, ace_server *server)
{
    (void)server;
    json_t *body = ace_http_body_object(request);
    if (body != NULL) {
        const char *type = ace_compat_string(body, "sample_type");
        ace_reference_reply(request, ace_reference_example(strcmp(type, "custom_mode") == 0));
    }
}
