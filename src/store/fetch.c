/* Small answers: lists of files. */
#include "store/http.h"

#include "base/clock.h"
#include "base/memory.h"

#include <stdio.h>
#include <string.h>

enum { LARGEST_ANSWER = 8 << 20 };

typedef struct answer {
    ace_store_request request;
    char *text;
    size_t bytes;
    bool too_long, out_of_memory;
} answer;

static size_t keep(char *data, size_t one, size_t bytes, void *context)
{
    answer *a = context;
    long status = ace_store_request_status(&a->request);
    (void)one;
    if (status != 200) {
        return bytes; /* words for people */
    }
    if (bytes > LARGEST_ANSWER - a->bytes) {
        a->too_long = true;
        return 0;
    }
    char *grown = ace_realloc_array(a->text, a->bytes + bytes + 1, 1);
    if (grown == NULL) {
        a->out_of_memory = true;
        return 0;
    }
    a->text = grown;
    memcpy(grown + a->bytes, data, bytes);
    a->bytes += bytes;
    grown[a->bytes] = '\0';
    return bytes;
}

/* One hop, looking up often enough to be stopped. */
static CURLcode perform(CURLM *multi, CURL *curl, ace_store_go_on *go_on, void *context, bool *stop)
{
    CURLcode code = CURLE_OK;
    int running = 1;
    if (curl_multi_add_handle(multi, curl) != CURLM_OK) {
        return CURLE_OUT_OF_MEMORY;
    }
    while (running > 0 && !*stop) {
        if (curl_multi_perform(multi, &running) != CURLM_OK) {
            code = CURLE_OUT_OF_MEMORY;
            break;
        }
        *stop = !go_on(context, "");
        if (running > 0 && !*stop) {
            (void)curl_multi_poll(multi, NULL, 0, 200, NULL);
        }
    }
    int left = 0;
    for (CURLMsg *m = curl_multi_info_read(multi, &left); m != NULL;
         m = curl_multi_info_read(multi, &left)) {
        code = m->msg == CURLMSG_DONE ? m->data.result : code;
    }
    (void)curl_multi_remove_handle(multi, curl);
    return code;
}

static ace_status stopped(const char *what, ace_error *err)
{
    return ace_fail(err, ACESTEP_CANCELLED, "%s: stopped", what);
}

/* All hops of one attempt. */
static ace_store_turn attempt(CURLM *multi, const ace_store_line *line, const char *path,
                              const char *what, ace_store_go_on *go_on, void *context, answer *a,
                              ace_error *err)
{
    bool stop = false;
    ace_store_turn turn = ACE_STORE_REDIRECT;
    memset(a, 0, sizeof *a);
    if (ace_store_request_open(&a->request, line, path, keep, a, err) != ACESTEP_OK) {
        return ACE_STORE_REFUSED;
    }
    while (turn == ACE_STORE_REDIRECT) {
        CURLcode code = perform(multi, a->request.curl, go_on, context, &stop);
        if (stop) {
            (void)stopped(what, err);
            return ACE_STORE_REFUSED;
        }
        if (a->too_long || a->out_of_memory) {
            ace_fail(err, a->too_long ? ACESTEP_NETWORK : ACESTEP_MEMORY, "%s: %s", what,
                     a->too_long ? "the answer is too long to be a list" : "no host memory");
            return ACE_STORE_REFUSED;
        }
        turn = ace_store_request_turn(&a->request, code, what, err);
    }
    if (turn == ACE_STORE_DONE && a->text == NULL) {
        ace_fail(err, ACESTEP_NETWORK, "%s: the answer is empty", what);
        return ACE_STORE_AGAIN;
    }
    return turn;
}

static bool wait_for(double seconds, const char *note, ace_store_go_on *go_on, void *context,
                     CURLM *multi)
{
    double until = ace_clock_seconds() + seconds;
    for (double now = ace_clock_seconds(); now < until; now = ace_clock_seconds()) {
        if (!go_on(context, note)) {
            return false;
        }
        double left = until - now;
        (void)curl_multi_poll(multi, NULL, 0, left < 0.2 ? (int)(1000 * left) + 1 : 200, NULL);
    }
    return true;
}

ace_status ace_store_fetch(const ace_store_line *line, const char *path, const char *what,
                           ace_store_go_on *go_on, void *context, char **text, size_t *bytes,
                           ace_error *err)
{
    ace_status status = ace_store_network_start(err);
    CURLM *multi = status == ACESTEP_OK ? curl_multi_init() : NULL;
    *text = NULL;
    if (multi == NULL) {
        return status != ACESTEP_OK ? status
                                    : ace_fail(err, ACESTEP_MEMORY, "%s: no host memory", what);
    }
    ace_store_turn turn = ACE_STORE_AGAIN;
    for (int i = 0; turn == ACE_STORE_AGAIN; i++) {
        answer a;
        ace_error why = {.code = ACESTEP_OK};
        turn = attempt(multi, line, path, what, go_on, context, &a, &why);
        double pause = ace_store_backoff(line, i + 1, a.request.retry_after);
        ace_store_request_close(&a.request);
        if (turn == ACE_STORE_DONE) {
            *text = a.text;
            *bytes = a.bytes;
            break;
        }
        ace_free(a.text);
        if (turn != ACE_STORE_AGAIN || i >= line->retries) {
            status = ace_fail(err, why.code, "%s", why.message);
            break;
        }
        if (!wait_for(pause, why.message, go_on, context, multi)) {
            status = stopped(what, err);
            break;
        }
    }
    (void)curl_multi_cleanup(multi);
    return status;
}
