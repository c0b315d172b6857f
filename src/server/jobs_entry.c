#include "server/jobs_entry.h"

#include "base/memory.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

/* ---- names
 * ------------------------------------------------------------------------------------------ */

static const char *const kind_names[ACE_JOB_KINDS] = {"song",   "sample", "format", "understand",
                                                      "encode", "decode", "score",  "lrc"};
static const char *const status_names[ACE_JOB_STATUSES] = {"queued", "running", "done", "failed",
                                                           "cancelled"};

static int find(const char *name, const char *const *names, int n)
{
    for (int i = 0; i < n; i++) {
        if (strcmp(name, names[i]) == 0) {
            return i;
        }
    }
    return -1;
}

const char *ace_job_kind_name(ace_job_kind kind)
{
    return kind_names[kind];
}

bool ace_job_has_items(ace_job_kind kind)
{
    return kind == ACE_JOB_SONG || kind == ACE_JOB_ENCODE || kind == ACE_JOB_DECODE ||
           kind == ACE_JOB_TIMES;
}

const char *ace_job_status_name(ace_job_status status)
{
    return status_names[status];
}

int ace_job_kind_read(const char *name)
{
    return find(name, kind_names, ACE_JOB_KINDS);
}

int ace_job_status_read(const char *name)
{
    return find(name, status_names, ACE_JOB_STATUSES);
}

double ace_unix_seconds(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_REALTIME, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

/* ---- ids
 * -------------------------------------------------------------------------------------------- */

enum { TIME_CHARACTERS = 10, RANDOM_CHARACTERS = 10 };

static const char alphabet[] = "0123456789abcdefghjkmnpqrstvwxyz"; /* in the order of its bytes */

static void put_base32(uint64_t value, int characters, char *out)
{
    for (int i = characters - 1; i >= 0; i--) {
        out[i] = alphabet[value & 31];
        value >>= 5;
    }
}

/* Milliseconds since 1970, never the same twice. */
static uint64_t next_stamp(void)
{
    static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
    static uint64_t last;
    (void)pthread_mutex_lock(&lock);
    uint64_t now = (uint64_t)(ace_unix_seconds() * 1000);
    last = now > last ? now : last + 1;
    now = last;
    (void)pthread_mutex_unlock(&lock);
    return now;
}

static bool make_id(char id[ACE_JOB_ID_BYTES])
{
    uint64_t random = 0;
    if (getrandom(&random, sizeof random, 0) != (ssize_t)sizeof random) {
        return false;
    }
    memcpy(id, "j_", 2);
    put_base32(next_stamp(), TIME_CHARACTERS, id + 2);
    put_base32(random, RANDOM_CHARACTERS, id + 2 + TIME_CHARACTERS);
    id[2 + TIME_CHARACTERS + RANDOM_CHARACTERS] = '\0';
    return true;
}

bool ace_entry_id_valid(const char *id)
{
    enum { LENGTH = 2 + TIME_CHARACTERS + RANDOM_CHARACTERS };
    return strncmp(id, "j_", 2) == 0 && strlen(id) == LENGTH &&
           strspn(id + 2, alphabet) == LENGTH - 2;
}

/* ---- life
 * ------------------------------------------------------------------------------------------- */

ace_jobs_entry *ace_entry_create(ace_job_kind kind, const char *origin)
{
    ace_jobs_entry *e = ace_calloc(1, sizeof *e);
    if (e == NULL) {
        return NULL;
    }
    e->kind = kind;
    e->basis = "none";
    e->created = ace_unix_seconds();
    e->title = ace_strdup("");
    (void)snprintf(e->origin, sizeof e->origin, "%s", origin);
    if (e->title == NULL || !make_id(e->id)) {
        ace_entry_free(e);
        return NULL;
    }
    return e;
}

void ace_entry_free(ace_jobs_entry *e)
{
    if (e == NULL) {
        return;
    }
    json_t *const values[] = {e->params, e->request,  e->plan,    e->items,
                              e->words,  e->warnings, e->timings, e->error};
    for (size_t i = 0; i < sizeof values / sizeof *values; i++) {
        json_decref(values[i]);
    }
    ace_free(e->title);
    ace_free(e);
}

void ace_entry_put(json_t **slot, json_t *value)
{
    json_decref(*slot);
    *slot = value;
}

/* ---- what the journal keeps in one column
 * ------------------------------------------------------------ */

/* The name of each part and where it is. */
#define OUTCOME_PARTS(X) X(plan) X(items) X(words) X(warnings) X(timings) X(error)

json_t *ace_entry_outcome(const ace_jobs_entry *e)
{
    json_t *root = json_object();
#define PUT_PART(name)                                                                             \
    if (e->name != NULL) {                                                                         \
        json_object_set(root, #name, e->name);                                                     \
    }
    OUTCOME_PARTS(PUT_PART)
#undef PUT_PART
    return root;
}

void ace_entry_set_outcome(ace_jobs_entry *e, json_t *outcome)
{
#define TAKE_PART(name) ace_entry_put(&e->name, json_incref(json_object_get(outcome, #name)));
    OUTCOME_PARTS(TAKE_PART)
#undef TAKE_PART
    json_decref(outcome);
}

/* ---- errors
 * ----------------------------------------------------------------------------------------- */

static const struct {
    ace_status code;
    const char *name, *hint;
} errors[] = {
    {ACESTEP_ARGUMENT, "bad_parameter", NULL},
    {ACESTEP_MODEL, "model_missing", "look at GET /v1/models for what is there"},
    {ACESTEP_AUDIO, "bad_audio", "send another file; WAV, FLAC, MP3, Ogg and Opus are read"},
    {ACESTEP_MEMORY, "out_of_memory", "make the song shorter or the batch smaller"},
    {ACESTEP_UNSUPPORTED, "not_possible", NULL},
    {ACESTEP_NETWORK, "network", NULL},
    {ACESTEP_BUSY, "busy", "try again later"},
    {ACESTEP_IO, "disk", "look at the space and the rights of the data folder"},
    {ACESTEP_TIMEOUT, "timeout", NULL},
    {ACESTEP_CANCELLED, "cancelled", NULL},
};

json_t *ace_entry_error(ace_status code, const char *message)
{
    const char *name = "failed";
    const char *hint = NULL;
    for (size_t i = 0; i < sizeof errors / sizeof *errors; i++) {
        if (errors[i].code == code) {
            name = errors[i].name;
            hint = errors[i].hint;
        }
    }
    return json_pack("{s:s, s:s, s:s?}", "code", name, "message", message, "hint", hint);
}
