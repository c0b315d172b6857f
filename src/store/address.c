#include "store/address.h"

#include <curl/curl.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

typedef struct place {
    char scheme[16], host[256], port[8];
    bool credentials, query;
} place;

static bool copy_part(CURLU *url, CURLUPart what, unsigned flags, char *out, size_t room)
{
    char *text = NULL;
    bool fits = curl_url_get(url, what, &text, flags) == CURLUE_OK && strlen(text) < room;
    if (fits) {
        memcpy(out, text, strlen(text) + 1);
    }
    curl_free(text);
    return fits;
}

static bool has_part(CURLU *url, CURLUPart what)
{
    char *text = NULL;
    bool has = curl_url_get(url, what, &text, 0) == CURLUE_OK;
    curl_free(text);
    return has;
}

static bool take_apart(const char *address, place *out)
{
    memset(out, 0, sizeof *out);
    CURLU *url = curl_url();
    bool well = url != NULL && curl_url_set(url, CURLUPART_URL, address, 0) == CURLUE_OK &&
                copy_part(url, CURLUPART_SCHEME, 0, out->scheme, sizeof out->scheme) &&
                copy_part(url, CURLUPART_HOST, 0, out->host, sizeof out->host) &&
                copy_part(url, CURLUPART_PORT, CURLU_DEFAULT_PORT, out->port, sizeof out->port);
    if (well) {
        out->credentials = has_part(url, CURLUPART_USER) || has_part(url, CURLUPART_PASSWORD);
        out->query = has_part(url, CURLUPART_QUERY) || has_part(url, CURLUPART_FRAGMENT);
    }
    curl_url_cleanup(url);
    return well;
}

static bool is_https(const place *p)
{
    return strcasecmp(p->scheme, "https") == 0;
}

static bool is_http(const place *p)
{
    return strcasecmp(p->scheme, "http") == 0;
}

/* curl has made 127.1 and the like into four numbers. */
static bool is_this_machine(const place *p)
{
    unsigned a = 0, b = 0, c = 0, d = 0;
    char rest = '\0';
    if (sscanf(p->host, "%u.%u.%u.%u%c", &a, &b, &c, &d, &rest) == 4) {
        return a == 127;
    }
    return strcasecmp(p->host, "localhost") == 0 || strcmp(p->host, "[::1]") == 0;
}

ace_status ace_store_address_base(const char *text, char out[ACE_STORE_ADDRESS_BYTES],
                                  ace_error *err)
{
    place p;
    size_t n = strlen(text);
    if (n >= ACE_STORE_ADDRESS_BYTES / 2 || !take_apart(text, &p) ||
        (!is_https(&p) && !is_http(&p))) {
        return ace_fail(err, ACESTEP_ARGUMENT,
                        "mirror: \"%.120s\" is no address such as https://example.org/models",
                        text);
    }
    if (p.credentials || p.query) {
        return ace_fail(
            err, ACESTEP_ARGUMENT,
            "mirror: the address on %s may hold neither a password nor a query; a token "
            "goes into HF_TOKEN",
            p.host);
    }
    while (n > 0 && text[n - 1] == '/') {
        n--;
    }
    memcpy(out, text, n);
    out[n] = '\0';
    return ACESTEP_OK;
}

static bool same_host(const place *a, const place *b)
{
    return strcasecmp(a->scheme, b->scheme) == 0 && strcasecmp(a->host, b->host) == 0 &&
           strcmp(a->port, b->port) == 0;
}

bool ace_store_address_allowed(const char *base, const char *address)
{
    place from;
    place to;
    if (!take_apart(base, &from) || !take_apart(address, &to) || to.credentials) {
        return false;
    }
    return is_https(&to) ||
           (is_http(&to) && is_http(&from) &&
            (same_host(&from, &to) || (is_this_machine(&from) && is_this_machine(&to))));
}

bool ace_store_address_trusted(const char *base, const char *address)
{
    place from;
    place to;
    return take_apart(base, &from) && take_apart(address, &to) && same_host(&from, &to) &&
           (is_https(&to) || is_this_machine(&to));
}

void ace_store_address_host(const char *address, char out[256])
{
    place p;
    if (take_apart(address, &p)) {
        (void)snprintf(out, 256, "%s://%.200s:%s", p.scheme, p.host, p.port);
    } else {
        (void)snprintf(out, 256, "an unreadable address");
    }
}
