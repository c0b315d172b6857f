/* Files as answers: ranges, and whether the client has it already. */
#include "base/memory.h"
#include "server/http_core.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

bool ace_http_etag_matches(const char *list, const char *etag)
{
    size_t length = strlen(etag);
    for (const char *at = list; *at != '\0';) {
        at += strspn(at, " \t,");
        if (*at == '*') {
            return true;
        }
        at += strncmp(at, "W/", 2) == 0 ? 2 : 0;
        size_t n = strcspn(at, ",");
        size_t bare = n;
        while (bare > 0 && (at[bare - 1] == ' ' || at[bare - 1] == '\t')) {
            bare--;
        }
        if (bare == length && strncmp(at, etag, length) == 0) {
            return true;
        }
        at += n;
    }
    return false;
}

/* Names of days and months do not follow the locale here. */
static void date_text(time_t when, char out[40])
{
    static const char days[] = "SunMonTueWedThuFriSat";
    static const char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
    struct tm t;
    if (gmtime_r(&when, &t) == NULL) {
        memset(&t, 0, sizeof t);
        t.tm_mday = 1;
    }
    (void)snprintf(out, 40, "%.3s, %02d %.3s %04d %02d:%02d:%02d GMT", days + 3 * t.tm_wday,
                   t.tm_mday, months + 3 * t.tm_mon, t.tm_year % 8100 + 1900, t.tm_hour, t.tm_min,
                   t.tm_sec);
}

typedef enum range_kind { RANGE_WHOLE, RANGE_PART, RANGE_NONE } range_kind;

/* Beyond 64 bits the largest number: behind the end of any file. */
static bool read_number(const char **text, uint64_t *out)
{
    size_t n = strspn(*text, "0123456789");
    if (n == 0) {
        return false;
    }
    *out = strtoull(*text, NULL, 10);
    *text += n;
    return true;
}

/* "bytes=a-b", "bytes=a-", "bytes=-n". Several ranges at once, and what is malformed, give the whole, as
 * RFC 9110 allows. */
static range_kind read_range(const char *text, uint64_t size, uint64_t *first, uint64_t *length)
{
    uint64_t from = 0;
    uint64_t to = UINT64_MAX;
    if (strncasecmp(text, "bytes=", 6) != 0) {
        return RANGE_WHOLE;
    }
    text += 6;
    bool has_first = read_number(&text, &from);
    if (*text++ != '-') {
        return RANGE_WHOLE;
    }
    bool has_last = read_number(&text, &to);
    if (*text != '\0' || (!has_first && !has_last) || (has_first && has_last && to < from)) {
        return RANGE_WHOLE;
    }
    if (!has_first) { /* the last `to` bytes */
        if (to == 0 || size == 0) {
            return RANGE_NONE;
        }
        *first = to < size ? size - to : 0;
        *length = size - *first;
        return RANGE_PART;
    }
    if (from >= size) {
        return RANGE_NONE;
    }
    *first = from;
    *length = (to < size - 1 ? to : size - 1) - from + 1;
    return RANGE_PART;
}

static bool is_unchanged(const ace_http_request *request, const char *etag, const char *modified)
{
    const char *etags = ace_http_header(request, "If-None-Match");
    const char *since = ace_http_header(request, "If-Modified-Since");
    return etags != NULL ? ace_http_etag_matches(etags, etag)
                         : since != NULL && strcmp(since, modified) == 0;
}

static bool range_still_fits(const ace_http_request *request, const char *etag,
                             const char *modified)
{
    const char *seen = ace_http_header(request, "If-Range");
    return seen == NULL || strcmp(seen, etag) == 0 || strcmp(seen, modified) == 0;
}

/* For the name in Content-Disposition (RFC 6266): in ASCII, and as UTF-8 percent-encoded. */
static void put_download_name(ace_http_request *request, const char *name)
{
    char plain[ACE_BODY_NAME_BYTES + 1];
    char encoded[3 * ACE_BODY_NAME_BYTES + 1];
    char value[5 * ACE_BODY_NAME_BYTES];
    size_t n = 0;
    size_t e = 0;
    static const char as_it_is[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
                                   "-._~";
    for (const char *c = name; *c != '\0' && n < ACE_BODY_NAME_BYTES; c++) {
        bool quotable = *c >= 0x20 && *c < 0x7f && strchr("\"\\/%", *c) == NULL;
        plain[n++] = quotable ? *c : '_';
        if (strchr(as_it_is, *c) != NULL) {
            encoded[e++] = *c;
        } else {
            e += (size_t)snprintf(encoded + e, sizeof encoded - e, "%%%02X", (unsigned char)*c);
        }
    }
    plain[n] = encoded[e] = '\0';
    (void)snprintf(value, sizeof value, "attachment; filename=\"%s\"; filename*=UTF-8''%s", plain,
                   encoded);
    ace_http_reply_header(request, "Content-Disposition", value);
}

static void reply_with(ace_http_request *request, int fd, const struct stat *found,
                       const char *type, const char *download)
{
    ace_http_answer *answer = &request->exchange->answer;
    char etag[64];
    char modified[40];
    uint64_t size = (uint64_t)found->st_size;
    (void)snprintf(etag, sizeof etag, "\"%llx-%llx-%llx\"", (unsigned long long)found->st_ino,
                   (unsigned long long)size,
                   (unsigned long long)found->st_mtim.tv_sec * 1000000000ULL +
                       (unsigned long long)found->st_mtim.tv_nsec);
    date_text(found->st_mtim.tv_sec, modified);
    ace_http_reply_header(request, "ETag", etag);
    ace_http_reply_header(request, "Last-Modified", modified);
    ace_http_reply_header(request, "Accept-Ranges", "bytes");
    ace_http_reply_header(request, "Cache-Control", "private, no-cache");
    if (is_unchanged(request, etag, modified)) {
        close(fd);
        answer->kind = ACE_ANSWER_BYTES;
        answer->status = 304;
        return;
    }
    const char *range = ace_http_header(request, "Range");
    char content_range[64];
    answer->kind = ACE_ANSWER_FILE;
    answer->status = 200;
    answer->fd = fd;
    answer->offset = 0;
    answer->length = size;
    if (range != NULL && range_still_fits(request, etag, modified)) {
        range_kind kind = read_range(range, size, &answer->offset, &answer->length);
        if (kind == RANGE_NONE) {
            close(fd);
            answer->fd = -1;
            (void)snprintf(content_range, sizeof content_range, "bytes */%llu",
                           (unsigned long long)size);
            ace_http_reply_header(request, "Content-Range", content_range);
            ace_http_reply_error(request, 416, "bad_range", NULL, NULL,
                                 "the file has only %llu bytes", (unsigned long long)size);
            return;
        }
        if (kind == RANGE_PART) {
            answer->status = 206;
            (void)snprintf(content_range, sizeof content_range, "bytes %llu-%llu/%llu",
                           (unsigned long long)answer->offset,
                           (unsigned long long)(answer->offset + answer->length - 1),
                           (unsigned long long)size);
            ace_http_reply_header(request, "Content-Range", content_range);
        }
    }
    ace_http_reply_header(request, "Content-Type", type);
    if (download != NULL) {
        put_download_name(request, download);
    }
}

void ace_http_reply_file(ace_http_request *request, const char *path, const char *type,
                         const char *download)
{
    struct stat found;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK); /* a pipe must not hold us */
    if (fd >= 0 && fstat(fd, &found) == 0 && S_ISREG(found.st_mode)) {
        reply_with(request, fd, &found, type, download);
        return;
    }
    if (fd >= 0) {
        close(fd);
    }
    ace_http_reply_error(request, 404, "not_found", NULL, NULL, "there is no such file (any more)");
}
