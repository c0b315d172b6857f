/* acestep_store_download: locks, lists, room, transfers. */
#include "store/session.h"

#include "base/clock.h"
#include "base/memory.h"
#include "store/choice.h"
#include "store/part.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <time.h>
#include <unistd.h>

/* Files systems need some room for themselves, and so does whoever uses the disk meanwhile. */
static const uint64_t spare_room = (uint64_t)64 << 20;

/* ---- progress
 * ---------------------------------------------------------------------------------------- */

bool ace_store_session_tell(ace_store_session *s, const char *note)
{
    double now = ace_clock_seconds();
    bool noted = note[0] != '\0';
    if (s->stopped || (noted == s->noted && now - s->last_told < 0.1)) {
        return !s->stopped;
    }
    if (now - s->last_measured >= 1) {
        double speed = s->state.done > s->last_done
                           ? (double)(s->state.done - s->last_done) / (now - s->last_measured)
                           : 0;
        double old = s->state.bytes_per_second;
        s->state.bytes_per_second = old > 0 ? 0.7 * old + 0.3 * speed : speed;
        s->last_done = s->state.done;
        s->last_measured = now;
    }
    s->last_told = now;
    s->noted = noted;
    s->state.note = note;
    s->stopped = s->progress != NULL && !s->progress(s->context, &s->state);
    s->state.note = ""; /* the text is the caller's */
    return !s->stopped;
}

bool ace_store_session_go_on(void *context, const char *note)
{
    return ace_store_session_tell(context, note);
}

/* ---- steps
 * ------------------------------------------------------------------------------------------- */

static ace_status stopped(ace_error *err)
{
    return ace_fail(err, ACESTEP_CANCELLED, "download: stopped; the next one goes on from here");
}

static ace_status lock(ace_store_session *s, ace_store_order *o, ace_error *err)
{
    char note[192];
    (void)snprintf(note, sizeof note, "another download of %s is under way", o->set->name);
    o->folder = ace_store_set_open(s->folder, o->set->name, true);
    if (o->folder < 0) {
        return ace_fail(err, ACESTEP_IO, "%s/%s: cannot be made: %s", s->folder, o->set->name,
                        strerror(errno));
    }
    while (flock(o->folder, LOCK_EX | LOCK_NB) != 0) {
        if (errno != EWOULDBLOCK && errno != EINTR) {
            return ACESTEP_OK; /* a file system without locks: then there is no second one to fear
                                */
        }
        if (!ace_store_session_tell(s, note)) {
            return stopped(err);
        }
        (void)nanosleep(&(struct timespec){.tv_nsec = 100000000}, NULL);
    }
    return ACESTEP_OK;
}

/* Complete ones are left alone: no host is asked about them. */
static ace_status open_order(ace_store_session *s, ace_store_order *o, ace_error *err)
{
    ace_store_found found;
    s->state.set = o->set->name;
    ace_store_set_look(s->folder, o->set->name, &found);
    if (found.state == ACE_STORE_COMPLETE && !s->options->force) {
        return ACESTEP_OK;
    }
    ace_status status = lock(s, o, err);
    if (status != ACESTEP_OK) {
        return status;
    }
    ace_store_set_look(s->folder, o->set->name, &found); /* the other one may have got it */
    if (found.state == ACE_STORE_COMPLETE && !s->options->force) {
        (void)close(o->folder);
        o->folder = -1;
    }
    return ACESTEP_OK;
}

static ace_status list_from(ace_store_session *s, ace_store_order *o, int source, ace_error *err)
{
    memset(o->files, 0, sizeof *o->files);
    memset(o->here, 0, sizeof o->here);
    ace_status status = ace_store_source_list(&s->sources.source[source], o->set,
                                              ace_store_session_go_on, s, o->files, err);
    if (status == ACESTEP_OK) {
        o->source = source;
        s->preferred = source;
        status = ace_store_order_look(s, o, err);
    }
    return status;
}

/* From the source that answered last, else from the other one. */
static ace_status list(ace_store_session *s, ace_store_order *o, ace_error *err)
{
    ace_error first = {.code = ACESTEP_OK};
    ace_error second = {.code = ACESTEP_OK};
    o->files = ace_calloc(1, sizeof *o->files);
    if (o->files == NULL) {
        return ace_fail(err, ACESTEP_MEMORY, "download: no host memory");
    }
    int source = s->preferred;
    ace_status status = list_from(s, o, source, &first);
    if (status == ACESTEP_NETWORK && s->sources.n > 1) {
        status = list_from(s, o, 1 - source, &second);
        if (status == ACESTEP_NETWORK) {
            return ace_fail(err, status, "%.480s; %.480s", first.message, second.message);
        }
        first = second;
    }
    return status == ACESTEP_OK ? ACESTEP_OK : ace_fail(err, first.code, "%s", first.message);
}

static ace_status check_room(ace_store_session *s, ace_error *err)
{
    uint64_t needed = spare_room;
    for (size_t i = 0; i < s->n; i++) {
        const ace_store_order *o = &s->order[i];
        for (size_t f = 0; o->files != NULL && f < o->files->n; f++) {
            const ace_store_file *file = &o->files->file[f];
            if (!o->here[f]) {
                uint64_t part = ace_store_part_bytes(o->folder, file->name);
                s->state.total += file->bytes;
                needed += file->bytes - (part < file->bytes ? part : file->bytes);
            }
        }
    }
    uint64_t room = ace_store_folder_room(s->folder);
    if (needed > room && needed > spare_room) {
        return ace_fail(err, ACESTEP_IO,
                        "%s: %.2f GB are needed there and %.2f GB are free; --models names another "
                        "folder",
                        s->folder, (double)needed / 1e9, (double)room / 1e9);
    }
    return ACESTEP_OK;
}

/* When one source fails in the middle, the other one goes on with the same files. */
static ace_status get(ace_store_session *s, ace_store_order *o, ace_error *err)
{
    ace_error first = {.code = ACESTEP_OK};
    ace_error second = {.code = ACESTEP_OK};
    s->state.set = o->set->name;
    ace_status status = ace_store_order_run(s, o, &first);
    if (status == ACESTEP_NETWORK && s->sources.n > 1) {
        status = list_from(s, o, 1 - o->source, &second);
        if (status == ACESTEP_OK) {
            status = ace_store_order_run(s, o, &second);
        }
        if (status == ACESTEP_NETWORK) {
            return ace_fail(err, status, "%.480s; %.480s", first.message, second.message);
        }
        first = second;
    }
    return status == ACESTEP_OK ? ACESTEP_OK : ace_fail(err, first.code, "%s", first.message);
}

/* Without the network: everything is here, or the error names what is not. */
static ace_status run_offline(const ace_store_session *s, ace_error *err)
{
    char missing[700] = "";
    size_t used = 0;
    for (size_t i = 0; i < s->n; i++) {
        ace_store_found found;
        ace_store_set_look(s->folder, s->order[i].set->name, &found);
        if (found.state != ACE_STORE_COMPLETE && used < sizeof missing) {
            used += (size_t)snprintf(missing + used, sizeof missing - used, "%s%s (%s)",
                                     used > 0 ? ", " : "", s->order[i].set->name,
                                     ace_store_state_name(found.state));
        }
    }
    if (used > 0) {
        return ace_fail(err, ACESTEP_NETWORK,
                        "%s forbids the network, and these are not complete in %.200s: %s; copy "
                        "them there from "
                        "another machine, or do without it",
                        s->options->offline, s->folder, missing);
    }
    return s->options->force ? ace_fail(err, ACESTEP_NETWORK,
                                        "force: everything is here, and %s forbids to get it again",
                                        s->options->offline)
                             : ACESTEP_OK;
}

static ace_status run(ace_store_session *s, ace_error *err)
{
    ace_status status = ACESTEP_OK;
    for (size_t i = 0; i < s->n && status == ACESTEP_OK; i++) {
        status = open_order(s, &s->order[i], err);
    }
    for (size_t i = 0; i < s->n && status == ACESTEP_OK; i++) {
        s->state.set = s->order[i].set->name;
        status = s->order[i].folder >= 0 ? list(s, &s->order[i], err) : ACESTEP_OK;
    }
    if (status == ACESTEP_OK) {
        status = check_room(s, err);
    }
    s->last_measured = ace_clock_seconds();
    for (size_t i = 0; i < s->n && status == ACESTEP_OK; i++) {
        status = s->order[i].folder >= 0 ? get(s, &s->order[i], err) : ACESTEP_OK;
    }
    return status;
}

/* ---- the call
 * ----------------------------------------------------------------------------------------- */

static json_t *describe(const ace_store_session *s)
{
    json_t *sets = json_array();
    uint64_t fetched = 0;
    for (size_t i = 0; i < s->n; i++) {
        const ace_store_order *o = &s->order[i];
        uint64_t bytes = 0;
        for (size_t f = 0; o->files != NULL && f < o->files->n; f++) {
            bytes += o->files->file[f].bytes;
        }
        fetched += o->fetched;
        json_array_append_new(
            sets, o->files == NULL
                      ? json_pack("{s:s, s:s, s:i}", "name", o->set->name, "source", "here",
                                  "downloaded", 0)
                      : json_pack("{s:s, s:s, s:s, s:I, s:I, s:I}", "name", o->set->name, "source",
                                  ace_store_source_name(&s->sources.source[o->source]), "revision",
                                  o->files->revision, "files", (json_int_t)o->files->n, "bytes",
                                  (json_int_t)bytes, "downloaded", (json_int_t)o->fetched));
    }
    return json_pack("{s:s, s:o, s:I, s:f}", "folder", s->folder, "sets", sets, "downloaded",
                     (json_int_t)fetched, "seconds", ace_clock_seconds() - s->started);
}

static void close_orders(ace_store_session *s)
{
    for (size_t i = 0; i < s->n; i++) {
        ace_store_order *o = &s->order[i];
        if (o->folder >= 0) {
            char path[ACE_STORE_FOLDER_BYTES];
            int n = snprintf(path, sizeof path, "%s/%s", s->folder, o->set->name);
            if (n > 0 && n < (int)sizeof path) {
                (void)rmdir(path); /* where nothing has come of it */
            }
            (void)close(o->folder);
        }
        ace_free(o->files);
    }
}

acestep_status acestep_store_download(const acestep_store_options *options,
                                      const char *const *names, size_t n,
                                      const char *recommended_lm, acestep_store_progress *progress,
                                      void *context, char **json, acestep_error *error)
{
    ace_error *err = ace_store_error(error);
    ace_store_choice choice = {.n = 0};
    ace_store_session *s = ace_calloc(1, sizeof *s);
    if (json != NULL) {
        *json = NULL;
    }
    if (s == NULL) {
        return ace_fail(err, ACESTEP_MEMORY, "download: no host memory");
    }
    s->options = options;
    s->progress = progress;
    s->context = context;
    s->state = (acestep_store_state){.set = "", .file = "", .note = ""};
    s->started = ace_clock_seconds();
    ace_status status = ace_store_folder_resolve(options->folder, s->folder, err);
    if (status == ACESTEP_OK) {
        status = ace_store_sources_resolve(options, &s->sources, err);
    }
    if (status == ACESTEP_OK) {
        status = ace_store_choose_all(&choice, names, n, recommended_lm, options->skip_main, err);
    }
    for (size_t i = 0; i < choice.n; i++) {
        s->order[s->n++] = (ace_store_order){.set = choice.set[i], .folder = -1};
    }
    if (status == ACESTEP_OK) {
        status = options->offline != NULL ? run_offline(s, err) : run(s, err);
    }
    if (status == ACESTEP_OK && json != NULL) {
        status = ace_store_dump(describe(s), json, err);
    }
    close_orders(s);
    ace_free(s);
    return status;
}
