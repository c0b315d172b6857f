#include "store/http.h"

#include <ctype.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

static pthread_once_t once = PTHREAD_ONCE_INIT;
static CURLcode started;

static void start(void)
{
    started = curl_global_init(CURL_GLOBAL_DEFAULT);
}

ace_status ace_store_network_start(ace_error *err)
{
    (void)pthread_once(&once, start);
    return started == CURLE_OK ? ACESTEP_OK
                               : ace_fail(err, ACESTEP_NETWORK, "libcurl cannot start: %s",
                                          curl_easy_strerror(started));
}

/* ---- headers of the answer ------------------------------------------------------------------- */

/* The value where the line is this header; NULL otherwise. Cut at the end of the line. */
static const char *value_of(const char *line, size_t bytes, const char *name, char *room,
                            size_t room_bytes)
{
    size_t n = strlen(name);
    if (bytes <= n || strncasecmp(line, name, n) != 0 || line[n] != ':') {
        return NULL;
    }
    const char *from = line + n + 1;
    const char *end = line + bytes;
    while (from < end && isspace((unsigned char)*from)) {
        from++;
    }
    while (end > from && isspace((unsigned char)end[-1])) {
        end--;
    }
    size_t length = (size_t)(end - from);
    if (length >= room_bytes) {
        return NULL;
    }
    memcpy(room, from, length);
    room[length] = '\0';
    return room;
}

static void forget_answer(ace_store_request *r)
{
    r->etag[0] = '\0';
    r->has_range = false;
    r->retry_after = 0;
}

static size_t take_header(char *line, size_t one, size_t bytes, void *context)
{
    ace_store_request *r = context;
    char room[256];
    const char *value = NULL;
    if (bytes > 5 && memcmp(line, "HTTP/", 5) == 0) {
        forget_answer(r);
    } else if ((value = value_of(line, bytes, "ETag", room, sizeof room)) != NULL) {
        /* a weak one says nothing about bytes */
        (void)snprintf(r->etag, sizeof r->etag, "%s", value[0] == '"' ? value : "");
    } else if ((value = value_of(line, bytes, "Content-Range", room, sizeof room)) != NULL) {
        unsigned long long from = 0, to = 0, total = 0;
        if (sscanf(value, "bytes %llu-%llu/%llu", &from, &to, &total) == 3) {
            r->has_range = true;
            r->range_start = from;
            r->range_total = total;
        }
    } else if ((value = value_of(line, bytes, "Retry-After", room, sizeof room)) != NULL) {
        double seconds = strtod(value, NULL);
        r->retry_after = seconds > 0 && seconds <= 300 ? seconds : seconds > 300 ? 300 : 0;
    }
    return one * bytes;
}

/* ---- one hop
 * ------------------------------------------------------------------------------------- */

static bool add_header(ace_store_request *r, const char *text)
{
    struct curl_slist *grown = curl_slist_append(r->headers, text);
    if (grown == NULL) {
        return false;
    }
    r->headers = grown;
    return curl_easy_setopt(r->curl, CURLOPT_HTTPHEADER, grown) == CURLE_OK;
}

/* The token is set for each hop anew: only the host it is for gets it. */
static bool aim(ace_store_request *r)
{
    const ace_store_line *line = r->line;
    bool trusted = line->token != NULL && ace_store_address_trusted(line->base, r->address);
    return curl_easy_setopt(r->curl, CURLOPT_URL, r->address) == CURLE_OK &&
           curl_easy_setopt(r->curl, CURLOPT_HTTPAUTH, trusted ? CURLAUTH_BEARER : CURLAUTH_NONE) ==
               CURLE_OK &&
           curl_easy_setopt(r->curl, CURLOPT_XOAUTH2_BEARER, trusted ? line->token : NULL) ==
               CURLE_OK;
}

static void set_rules(ace_store_request *r)
{
    const ace_store_line *line = r->line;
    CURL *c = r->curl;
    curl_easy_setopt(c, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(c, CURLOPT_USERAGENT, "acestep/" ACESTEP_VERSION);
    curl_easy_setopt(c, CURLOPT_FOLLOWLOCATION, 0L);
    curl_easy_setopt(c, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(c, CURLOPT_HTTP_VERSION, CURL_HTTP_VERSION_2TLS);
    curl_easy_setopt(c, CURLOPT_ERRORBUFFER, r->reason);
    curl_easy_setopt(c, CURLOPT_HEADERFUNCTION, take_header);
    curl_easy_setopt(c, CURLOPT_HEADERDATA, r);
    curl_easy_setopt(c, CURLOPT_CONNECTTIMEOUT_MS, (long)(1000 * line->timeout));
    curl_easy_setopt(c, CURLOPT_LOW_SPEED_LIMIT, 64L);
    curl_easy_setopt(c, CURLOPT_LOW_SPEED_TIME, line->timeout < 1 ? 1L : (long)line->timeout);
    if (line->max_rate > 0) {
        curl_easy_setopt(c, CURLOPT_MAX_RECV_SPEED_LARGE, (curl_off_t)line->max_rate);
    }
}

ace_status ace_store_request_open(ace_store_request *r, const ace_store_line *line,
                                  const char *path, ace_store_sink *sink, void *context,
                                  ace_error *err)
{
    memset(r, 0, sizeof *r);
    r->line = line;
    int n = snprintf(r->address, sizeof r->address, "%s%s", line->base, path);
    if (n < 0 || n >= (int)sizeof r->address) {
        return ace_fail(err, ACESTEP_NETWORK, "%.80s: the address is too long", path);
    }
    r->curl = curl_easy_init();
    if (r->curl == NULL) {
        return ace_fail(err, ACESTEP_MEMORY, "download: no host memory");
    }
    set_rules(r);
    curl_easy_setopt(r->curl, CURLOPT_WRITEFUNCTION, sink);
    curl_easy_setopt(r->curl, CURLOPT_WRITEDATA, context);
    curl_easy_setopt(r->curl, CURLOPT_PRIVATE, context);
    return aim(r) ? ACESTEP_OK : ace_fail(err, ACESTEP_MEMORY, "download: no host memory");
}

ace_status ace_store_request_range(ace_store_request *r, uint64_t from, const char *if_range,
                                   ace_error *err)
{
    char text[320];
    (void)snprintf(text, sizeof text, "%llu-", (unsigned long long)from);
    bool well = curl_easy_setopt(r->curl, CURLOPT_RANGE, text) == CURLE_OK;
    if (well && if_range[0] != '\0') {
        (void)snprintf(text, sizeof text, "If-Range: %s", if_range);
        well = add_header(r, text);
    }
    return well ? ACESTEP_OK : ace_fail(err, ACESTEP_MEMORY, "download: no host memory");
}

void ace_store_request_close(ace_store_request *r)
{
    curl_easy_cleanup(r->curl);
    curl_slist_free_all(r->headers);
    r->curl = NULL;
    r->headers = NULL;
}

long ace_store_request_status(const ace_store_request *r)
{
    long status = 0;
    curl_easy_getinfo(r->curl, CURLINFO_RESPONSE_CODE, &status);
    return status;
}

static ace_store_turn redirect(ace_store_request *r, const char *what, ace_error *err)
{
    char host[256];
    char *to = NULL;
    curl_easy_getinfo(r->curl, CURLINFO_REDIRECT_URL, &to);
    if (to == NULL || strlen(to) >= sizeof r->address || ++r->redirects > ACE_STORE_REDIRECTS) {
        ace_store_address_host(r->address, host);
        ace_fail(err, ACESTEP_NETWORK, "%s: %s sends from one address to the next without an end",
                 what, host);
        return ACE_STORE_REFUSED;
    }
    if (!ace_store_address_allowed(r->line->base, to)) {
        ace_store_address_host(to, host);
        ace_fail(err, ACESTEP_NETWORK,
                 "%s: the host sends on to %s, where nothing is fetched from: not encrypted, or an "
                 "address with a password",
                 what, host);
        return ACE_STORE_REFUSED;
    }
    memmove(r->address, to, strlen(to) + 1);
    if (!aim(r)) {
        ace_fail(err, ACESTEP_MEMORY, "download: no host memory");
        return ACE_STORE_REFUSED;
    }
    return ACE_STORE_REDIRECT;
}

static ace_store_turn judge_status(ace_store_request *r, long status, const char *what,
                                   ace_error *err)
{
    char host[256];
    ace_store_address_host(r->address, host);
    if (status == 301 || status == 302 || status == 303 || status == 307 || status == 308) {
        return redirect(r, what, err);
    }
    const char *hint = status == 401 || status == 403
                           ? ": a token may be needed (HF_TOKEN), or it is not the right one"
                       : status == 404 ? ": it does not have this; another --source, --mirror or "
                                         "--revision might"
                                       : "";
    ace_fail(err, ACESTEP_NETWORK, "%s: %s answers %ld%s", what, host, status, hint);
    bool later =
        status == 408 || status == 425 || status == 429 || (status >= 500 && status <= 599);
    return later ? ACE_STORE_AGAIN : status == 416 ? ACE_STORE_RESTART : ACE_STORE_REFUSED;
}

/* Faults of the line, as opposed to faults of this program or of the address. */
static bool may_pass(CURLcode code)
{
    switch (code) {
    case CURLE_UNSUPPORTED_PROTOCOL:
    case CURLE_URL_MALFORMAT:
    case CURLE_NOT_BUILT_IN:
    case CURLE_OUT_OF_MEMORY:
    case CURLE_BAD_FUNCTION_ARGUMENT:
    case CURLE_PEER_FAILED_VERIFICATION:
    case CURLE_SSL_CACERT_BADFILE:
    case CURLE_SSL_PINNEDPUBKEYNOTMATCH:
    case CURLE_WEIRD_SERVER_REPLY:
        return false;
    default:
        return true;
    }
}

ace_store_turn ace_store_request_turn(ace_store_request *r, CURLcode code, const char *what,
                                      ace_error *err)
{
    long status = ace_store_request_status(r);
    if (status != 0 && status != 200 && status != 206) { /* whatever became of its body */
        return judge_status(r, status, what, err);
    }
    if (code == CURLE_OK && status != 0) {
        return ACE_STORE_DONE;
    }
    char host[256];
    ace_store_address_host(r->address, host);
    ace_fail(err, code == CURLE_OUT_OF_MEMORY ? ACESTEP_MEMORY : ACESTEP_NETWORK, "%s: %s: %s",
             what, host, r->reason[0] != '\0' ? r->reason : curl_easy_strerror(code));
    return may_pass(code) ? ACE_STORE_AGAIN : ACE_STORE_REFUSED;
}

double ace_store_backoff(const ace_store_line *line, int attempt, double retry_after)
{
    double wait = line->retry_wait;
    for (int i = 1; i < attempt && wait < 60; i++) {
        wait *= 2;
    }
    wait = wait < 60 ? wait : 60;
    return wait > retry_after ? wait : retry_after;
}
