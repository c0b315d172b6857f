/* One set: which of its files are here, and the transfers of the others. */
#include "store/session.h"

#include "base/clock.h"
#include "base/memory.h"
#include "store/manifest.h"
#include "store/part.h"
#include "store/transfer.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* ---- what is here
 * ------------------------------------------------------------------------------------ */

ace_status ace_store_file_digest(int folder, const ace_store_file *file, ace_store_go_on *go_on,
                                 void *context, char sha256[ACE_STORE_SHA256_BYTES], bool *matches,
                                 ace_error *err)
{
    enum { CHUNK = 1 << 20 };
    char git_sha1[ACE_STORE_SHA1_BYTES];
    ace_store_sha sha;
    int fd = openat(folder, file->name, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
    if (fd < 0) {
        return ace_fail(err, ACESTEP_MODEL, "%s: cannot be read: %s", file->name, strerror(errno));
    }
    unsigned char *chunk = ace_malloc_array(CHUNK, 1);
    ace_status status = chunk != NULL
                            ? ACESTEP_OK
                            : ace_fail(err, ACESTEP_MEMORY, "%s: no host memory", file->name);
    ace_store_sha_begin(&sha, file->bytes, file->git_sha1[0] != '\0');
    ssize_t n = 1;
    while (status == ACESTEP_OK && n > 0) {
        n = read(fd, chunk, CHUNK);
        if (n < 0) {
            status =
                ace_fail(err, ACESTEP_MODEL, "%s: cannot be read: %s", file->name, strerror(errno));
        } else {
            ace_store_sha_add(&sha, chunk, (size_t)n);
        }
        if (status == ACESTEP_OK && !go_on(context, "")) {
            status = ace_fail(err, ACESTEP_CANCELLED, "%s: stopped", file->name);
        }
    }
    ace_free(chunk);
    (void)close(fd);
    ace_store_sha_end(&sha, sha256, git_sha1);
    *matches = (file->sha256[0] == '\0' || strcmp(sha256, file->sha256) == 0) &&
               (file->git_sha1[0] == '\0' || strcmp(git_sha1, file->git_sha1) == 0);
    return status;
}

ace_status ace_store_order_look(ace_store_session *s, ace_store_order *o, ace_error *err)
{
    for (size_t i = 0; i < o->files->n; i++) {
        ace_store_file *f = &o->files->file[i];
        struct stat st;
        bool comparable = f->sha256[0] != '\0' || f->git_sha1[0] != '\0';
        if (s->options->force || !comparable || fstatat(o->folder, f->name, &st, 0) != 0 ||
            !S_ISREG(st.st_mode) || (uint64_t)st.st_size != f->bytes) {
            continue;
        }
        char sha256[ACE_STORE_SHA256_BYTES];
        s->state.file = f->name;
        ace_status status = ace_store_file_digest(o->folder, f, ace_store_session_go_on, s, sha256,
                                                  &o->here[i], err);
        if (status != ACESTEP_OK && status != ACESTEP_MODEL) {
            return status;
        }
        if (o->here[i]) {
            memcpy(f->sha256, sha256, sizeof sha256);
        }
    }
    return ACESTEP_OK;
}

/* ---- transfers
 * ---------------------------------------------------------------------------------------- */

typedef struct queue {
    ace_store_session *session;
    CURLM *multi;
    ace_store_transfer *transfer; /* all of them */
    size_t n, parallel;
} queue;

static void tell(queue *q)
{
    ace_store_session *s = q->session;
    const char *note = "";
    uint64_t now = 0;
    for (size_t i = 0; i < q->n; i++) {
        const ace_store_transfer *t = &q->transfer[i];
        now += t->have;
        if (t->state == ACE_STORE_RUNNING && t->fault.code == ACESTEP_OK) {
            s->state.file = t->file->name;
        }
        if (t->state == ACE_STORE_WAITING && t->err.code != ACESTEP_OK) {
            note = t->err.message;
        }
    }
    s->state.done = s->finished + now;
    s->stopped = !ace_store_session_tell(s, note) || s->stopped;
}

/* Starts what is due, in the order of the list. Returns milliseconds until something else is. */
static int start_due(queue *q)
{
    size_t running = 0;
    double now = ace_clock_seconds();
    double next = 0.2;
    for (size_t i = 0; i < q->n; i++) {
        running += q->transfer[i].state == ACE_STORE_RUNNING;
    }
    for (size_t i = 0; i < q->n && running < q->parallel; i++) {
        ace_store_transfer *t = &q->transfer[i];
        if (t->state == ACE_STORE_WAITING && t->not_before <= now) {
            ace_store_transfer_start(t, q->multi);
            next = t->state == ACE_STORE_RUNNING ? next : 0;
            running += t->state == ACE_STORE_RUNNING;
        } else if (t->state == ACE_STORE_WAITING && t->not_before - now < next) {
            next = t->not_before - now;
        }
    }
    return (int)(1000 * next);
}

static const ace_store_transfer *failed(const queue *q)
{
    for (size_t i = 0; i < q->n; i++) {
        if (q->transfer[i].state == ACE_STORE_FAILED) {
            return &q->transfer[i];
        }
    }
    return NULL;
}

static bool all_finished(const queue *q)
{
    for (size_t i = 0; i < q->n; i++) {
        if (q->transfer[i].state != ACE_STORE_FINISHED) {
            return false;
        }
    }
    return true;
}

static void collect(queue *q)
{
    int left = 0;
    for (CURLMsg *m = curl_multi_info_read(q->multi, &left); m != NULL;
         m = curl_multi_info_read(q->multi, &left)) {
        void *transfer = NULL;
        if (m->msg == CURLMSG_DONE) {
            CURLcode code = m->data.result;
            curl_easy_getinfo(m->easy_handle, CURLINFO_PRIVATE, &transfer);
            ace_store_transfer_ended(transfer, q->multi, code);
        }
    }
}

static ace_status run(queue *q, ace_error *err)
{
    while (!all_finished(q)) {
        int running = 0;
        int pause = start_due(q);
        if (curl_multi_perform(q->multi, &running) != CURLM_OK) {
            return ace_fail(err, ACESTEP_MEMORY, "download: no host memory");
        }
        collect(q);
        tell(q);
        if (failed(q) != NULL) {
            return ace_fail(err, failed(q)->err.code, "%s", failed(q)->err.message);
        }
        if (q->session->stopped) {
            return ace_fail(err, ACESTEP_CANCELLED,
                            "download: stopped; the next one goes on from here");
        }
        (void)curl_multi_poll(q->multi, NULL, 0, pause, NULL);
    }
    return ACESTEP_OK;
}

static ace_status prepare(queue *q, ace_store_order *o, ace_error *err)
{
    ace_store_session *s = q->session;
    const ace_store_source *source = &s->sources.source[o->source];
    for (size_t i = 0; i < o->files->n; i++) {
        ace_store_file *f = &o->files->file[i];
        if (o->here[i]) {
            continue;
        }
        ace_store_transfer *t = &q->transfer[q->n++];
        t->line = &source->line;
        t->file = f;
        t->folder = o->folder;
        t->fd = -1;
        (void)snprintf(t->what, sizeof t->what, "%s/%s", o->set->name, f->name);
        ace_store_source_path(source, o->set, o->files->revision, f->name, t->path, sizeof t->path);
        s->state.file = f->name;
        if (s->options->force) {
            ace_store_part_remove(o->folder, f->name);
        }
        ace_status status = ace_store_transfer_open(t, ace_store_session_go_on, s, err);
        if (status != ACESTEP_OK) {
            return status;
        }
    }
    return ACESTEP_OK;
}

static void take_result(queue *q, ace_store_order *o)
{
    for (size_t i = 0; i < q->n; i++) {
        ace_store_transfer *t = &q->transfer[i];
        o->fetched += t->fetched;
        if (t->state == ACE_STORE_FINISHED) {
            o->here[t->file - o->files->file] = true;
            q->session->finished += t->file->bytes;
        }
        if (t->state == ACE_STORE_RUNNING) {
            (void)curl_multi_remove_handle(q->multi, t->request.curl);
        }
        ace_store_transfer_close(t);
        if (t->state != ACE_STORE_FINISHED && t->have == 0) {
            ace_store_part_remove(o->folder, t->file->name);
        }
    }
}

/* Nothing has come of it: then there is nothing to go on from. */
static bool is_empty(const queue *q, const ace_store_order *o)
{
    uint64_t have = 0;
    for (size_t i = 0; i < q->n; i++) {
        have += q->transfer[i].have;
    }
    return have == 0 && q->n == o->files->n;
}

ace_status ace_store_order_run(ace_store_session *s, ace_store_order *o, ace_error *err)
{
    int wanted = s->options->parallel;
    queue q = {.session = s, .parallel = wanted < 1 ? 2 : wanted > 4 ? 4 : (size_t)wanted};
    const ace_store_source *source = &s->sources.source[o->source];
    ace_store_manifest_remove(o->folder, false); /* it is not complete until all is well again */
    ace_status status = ace_store_manifest_write(o->folder, o->set, ace_store_source_name(source),
                                                 true, o->files, err);
    if (status == ACESTEP_OK) {
        status = ace_store_network_start(err);
    }
    if (status != ACESTEP_OK) {
        return status;
    }
    q.transfer = ace_calloc(o->files->n, sizeof *q.transfer);
    q.multi = curl_multi_init();
    status = q.transfer != NULL && q.multi != NULL
                 ? prepare(&q, o, err)
                 : ace_fail(err, ACESTEP_MEMORY, "download: no host memory");
    if (status == ACESTEP_OK) {
        status = run(&q, err);
    }
    if (q.transfer != NULL) {
        take_result(&q, o);
    }
    if (status != ACESTEP_OK && q.transfer != NULL && is_empty(&q, o)) {
        ace_store_manifest_remove(o->folder, true);
    }
    (void)curl_multi_cleanup(q.multi);
    ace_free(q.transfer);
    if (status == ACESTEP_OK) {
        status = ace_store_manifest_write(o->folder, o->set, ace_store_source_name(source), false,
                                          o->files, err);
    }
    if (status == ACESTEP_OK) {
        ace_store_manifest_remove(o->folder, true);
    }
    return status;
}
