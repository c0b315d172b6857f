#include "store/transfer.h"

#include "base/clock.h"
#include "base/memory.h"
#include "store/part.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static ace_status fail_io(const ace_store_transfer *t, const char *verb, int code, ace_error *err)
{
    char reason[128];
    if (strerror_r(code, reason, sizeof reason) != 0) {
        (void)snprintf(reason, sizeof reason, "error %d", code);
    }
    return ace_fail(err, ACESTEP_IO, "%s: cannot be %s: %s", t->what, verb, reason);
}

/* ---- the part
 * ------------------------------------------------------------------------------------- */

static void begin_digests(ace_store_transfer *t)
{
    ace_store_sha_begin(&t->sha, t->file->bytes, t->file->git_sha1[0] != '\0');
}

static ace_status from_zero(ace_store_transfer *t, ace_error *err)
{
    begin_digests(t);
    t->have = 0;
    t->joined = false;
    if (ftruncate(t->fd, 0) != 0 || lseek(t->fd, 0, SEEK_SET) != 0) {
        return fail_io(t, "emptied", errno, err);
    }
    return ACESTEP_OK;
}

static ace_status read_part(ace_store_transfer *t, ace_store_go_on *go_on, void *context,
                            ace_error *err)
{
    enum { CHUNK = 1 << 20 };
    unsigned char *chunk = ace_malloc_array(CHUNK, 1);
    ace_status status =
        chunk != NULL ? ACESTEP_OK : ace_fail(err, ACESTEP_MEMORY, "%s: no host memory", t->what);
    begin_digests(t);
    while (status == ACESTEP_OK) {
        ssize_t n = read(t->fd, chunk, CHUNK);
        if (n < 0 && errno != EINTR) {
            status = fail_io(t, "read", errno, err);
        } else if (n == 0) {
            break;
        } else if (n > 0) {
            ace_store_sha_add(&t->sha, chunk, (size_t)n);
            t->have += (uint64_t)n;
        }
        if (status == ACESTEP_OK && !go_on(context, "")) {
            status = ace_fail(err, ACESTEP_CANCELLED, "%s: stopped", t->what);
        }
    }
    ace_free(chunk);
    return status;
}

/* Without a digest to check in the end and without an ETag, nobody could tell whether two pieces
 * belong together. */
static bool may_be_continued(const ace_store_transfer *t)
{
    char etag[ACE_STORE_ETAG_BYTES];
    return t->file->sha256[0] != '\0' || t->file->git_sha1[0] != '\0' ||
           ace_store_part_etag(t->folder, t->file, t->line->base, etag);
}

ace_status ace_store_transfer_open(ace_store_transfer *t, ace_store_go_on *go_on, void *context,
                                   ace_error *err)
{
    struct stat st;
    t->state = ACE_STORE_WAITING;
    t->fd = ace_store_part_open(t->folder, t->file->name);
    if (t->fd < 0 || fstat(t->fd, &st) != 0 || !S_ISREG(st.st_mode)) {
        return fail_io(t, "written", t->fd < 0 ? errno : EINVAL, err);
    }
    if ((uint64_t)st.st_size > t->file->bytes || (st.st_size > 0 && !may_be_continued(t))) {
        return from_zero(t, err);
    }
    t->joined = st.st_size > 0;
    ace_status status = read_part(t, go_on, context, err);
    t->best = t->have;
    return status;
}

void ace_store_transfer_close(ace_store_transfer *t)
{
    ace_store_request_close(&t->request);
    if (t->fd >= 0) {
        (void)close(t->fd);
    }
    t->fd = -1;
}

/* ---- the body
 * ------------------------------------------------------------------------------------- */

static size_t refuse_body(ace_store_transfer *t, bool final, ace_status code, const char *why)
{
    ace_fail(&t->fault, code, "%s: %s", t->what, why);
    t->fault_final = final;
    return 0;
}

/* The first bytes of an answer: do they continue the part? */
static bool place_body(ace_store_transfer *t)
{
    curl_off_t announced = -1;
    bool whole = ace_store_request_status(&t->request) == 200;
    curl_easy_getinfo(t->request.curl, CURLINFO_CONTENT_LENGTH_DOWNLOAD_T, &announced);
    if (whole && announced >= 0 && (uint64_t)announced != t->file->bytes) {
        char why[128];
        (void)snprintf(why, sizeof why, "the host sends %lld bytes where its list says %llu",
                       (long long)announced, (unsigned long long)t->file->bytes);
        (void)refuse_body(t, true, ACESTEP_NETWORK, why);
        return false;
    }
    if (whole) { /* Range was ignored, or the content is another one now */
        return from_zero(t, &t->fault) == ACESTEP_OK;
    }
    if (!t->request.has_range || t->request.range_start != t->have ||
        t->request.range_total != t->file->bytes) {
        (void)refuse_body(t, false, ACESTEP_NETWORK, "the host sends another part than asked for");
        (void)from_zero(t, &t->fault);
        return false;
    }
    t->joined = true;
    return true;
}

static bool write_all(int fd, const char *data, size_t bytes)
{
    while (bytes > 0) {
        ssize_t n = write(fd, data, bytes);
        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n <= 0) {
            return false;
        }
        data += n;
        bytes -= (size_t)n;
    }
    return true;
}

static size_t take_body(char *data, size_t one, size_t bytes, void *context)
{
    ace_store_transfer *t = context;
    long status = ace_store_request_status(&t->request);
    (void)one;
    if (status != 200 && status != 206) {
        return bytes; /* words for people */
    }
    if (!t->body_started) {
        t->body_started = true;
        if (!place_body(t)) {
            return 0;
        }
        ace_store_part_remember(t->folder, t->file, t->line->base, t->request.etag);
    }
    if (bytes > t->file->bytes - t->have) {
        (void)from_zero(t, &t->fault);
        return refuse_body(t, true, ACESTEP_NETWORK, "the host sends more than its list says");
    }
    if (!write_all(t->fd, data, bytes)) {
        (void)fail_io(t, "written", errno, &t->fault);
        t->fault_final = true;
        return 0;
    }
    ace_store_sha_add(&t->sha, data, bytes);
    t->have += bytes;
    t->fetched += bytes;
    return bytes;
}

/* ---- attempts
 * ------------------------------------------------------------------------------------- */

static void fail(ace_store_transfer *t, const ace_error *why)
{
    t->state = ACE_STORE_FAILED;
    t->err = *why;
    ace_store_request_close(&t->request);
}

static void try_again(ace_store_transfer *t, const ace_error *why)
{
    if (t->have > t->best) {
        t->best = t->have;
        t->attempts = 0;
    }
    t->attempts++;
    if (t->attempts > t->line->retries) {
        fail(t, why);
        return;
    }
    t->err = *why;
    t->state = ACE_STORE_WAITING;
    t->not_before =
        ace_clock_seconds() + ace_store_backoff(t->line, t->attempts, t->request.retry_after);
    ace_store_request_close(&t->request);
}

static bool digests_match(ace_store_transfer *t)
{
    char sha256[ACE_STORE_SHA256_BYTES];
    char git_sha1[ACE_STORE_SHA1_BYTES];
    const ace_store_file *f = t->file;
    ace_store_sha_end(&t->sha, sha256, git_sha1);
    if ((f->sha256[0] != '\0' && strcmp(f->sha256, sha256) != 0) ||
        (f->git_sha1[0] != '\0' && strcmp(f->git_sha1, git_sha1) != 0)) {
        return false;
    }
    memcpy(t->file->sha256, sha256, sizeof sha256);
    return true;
}

/* All bytes are here. */
static void finish(ace_store_transfer *t)
{
    ace_error why = {.code = ACESTEP_OK};
    ace_store_request_close(&t->request);
    if (digests_match(t)) {
        if (ace_store_part_finish(t->folder, t->fd, t->file->name) != 0) {
            (void)fail_io(t, "put in place", errno, &why);
            fail(t, &why);
            return;
        }
        t->state = ACE_STORE_FINISHED;
        return;
    }
    bool joined = t->joined;
    (void)from_zero(t, &why);
    if (joined && !t->begun_anew && why.code == ACESTEP_OK) {
        t->begun_anew = true;
        ace_fail(&t->err, ACESTEP_NETWORK, "%s: the pieces do not belong together: from the start",
                 t->what);
        t->state = ACE_STORE_WAITING;
        t->not_before = 0;
        return;
    }
    ace_store_part_remove(t->folder, t->file->name);
    ace_fail(&why, ACESTEP_NETWORK,
             "%s: its digest is not the published one: what came has been removed", t->what);
    fail(t, &why);
}

void ace_store_transfer_start(ace_store_transfer *t, CURLM *multi)
{
    char etag[ACE_STORE_ETAG_BYTES] = "";
    ace_error why = {.code = ACESTEP_OK};
    t->body_started = false;
    t->fault.code = ACESTEP_OK;
    t->fault_final = false;
    if (t->have == t->file->bytes) {
        finish(t);
        return;
    }
    ace_status status = ace_store_request_open(&t->request, t->line, t->path, take_body, t, &why);
    if (status == ACESTEP_OK && t->have > 0) {
        (void)ace_store_part_etag(t->folder, t->file, t->line->base, etag);
        status = ace_store_request_range(&t->request, t->have, etag, &why);
    }
    if (status == ACESTEP_OK && curl_multi_add_handle(multi, t->request.curl) != CURLM_OK) {
        status = ace_fail(&why, ACESTEP_MEMORY, "%s: no host memory", t->what);
    }
    if (status != ACESTEP_OK) {
        fail(t, &why);
        return;
    }
    t->state = ACE_STORE_RUNNING;
}

void ace_store_transfer_ended(ace_store_transfer *t, CURLM *multi, CURLcode code)
{
    ace_error why = {.code = ACESTEP_OK};
    (void)curl_multi_remove_handle(multi, t->request.curl);
    if (t->fault.code != ACESTEP_OK) {
        if (t->fault_final) {
            fail(t, &t->fault);
        } else {
            try_again(t, &t->fault);
        }
        return;
    }
    switch (ace_store_request_turn(&t->request, code, t->what, &why)) {
    case ACE_STORE_REDIRECT:
        if (curl_multi_add_handle(multi, t->request.curl) != CURLM_OK) {
            ace_fail(&why, ACESTEP_MEMORY, "%s: no host memory", t->what);
            fail(t, &why);
        }
        return;
    case ACE_STORE_DONE:
        if (t->have == t->file->bytes) {
            finish(t);
        } else {
            ace_fail(&why, ACESTEP_NETWORK, "%s: ended after %llu of %llu bytes", t->what,
                     (unsigned long long)t->have, (unsigned long long)t->file->bytes);
            try_again(t, &why);
        }
        return;
    case ACE_STORE_RESTART:
        if (from_zero(t, &why) == ACESTEP_OK) {
            try_again(t, &why);
            return;
        }
        break;
    case ACE_STORE_AGAIN:
        try_again(t, &why);
        return;
    case ACE_STORE_REFUSED:
        break;
    }
    fail(t, &why);
}
