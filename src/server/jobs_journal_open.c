/* Opening the journal: its tables, its version, and what to do with a file that is none. */
#include "base/log.h"
#include "base/memory.h"
#include "server/jobs_journal_base.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { APPLICATION = 0x41436a62, VERSION = 1, BUSY_MS = 5000 }; /* "ACjb" */

static const char *const tables =
    "CREATE TABLE jobs("
    "  id TEXT PRIMARY KEY, kind INTEGER NOT NULL, status INTEGER NOT NULL, origin TEXT NOT NULL,"
    "  created REAL NOT NULL, started REAL NOT NULL, finished REAL NOT NULL,"
    "  position INTEGER NOT NULL, runs INTEGER NOT NULL, favourite INTEGER NOT NULL,"
    "  title TEXT NOT NULL, expected REAL NOT NULL, basis TEXT NOT NULL, bytes INTEGER NOT NULL,"
    "  params TEXT NOT NULL, request TEXT NOT NULL, outcome TEXT NOT NULL, search TEXT NOT NULL,"
    "  repeat_key TEXT, hidden INTEGER NOT NULL DEFAULT 0);"
    "CREATE INDEX jobs_status ON jobs(status, position);"
    "CREATE INDEX jobs_recent ON jobs(hidden, kind, status, id, favourite, origin);"
    "CREATE INDEX jobs_figures ON jobs(favourite, hidden, finished, kind, status, bytes, origin);"
    "CREATE INDEX jobs_repeat ON jobs(repeat_key) WHERE repeat_key IS NOT NULL;"
    "CREATE TABLE speeds(engine TEXT NOT NULL, stage TEXT NOT NULL, work REAL NOT NULL,"
    "  seconds REAL NOT NULL, PRIMARY KEY(engine, stage)) WITHOUT ROWID;";

/* A number that a pragma or a query gives; -1 when it fails. */
static int64_t number(sqlite3 *db, const char *sql)
{
    sqlite3_stmt *s = NULL;
    int64_t value = -1;
    if (sqlite3_prepare_v2(db, sql, -1, &s, NULL) == SQLITE_OK && sqlite3_step(s) == SQLITE_ROW) {
        value = sqlite3_column_int64(s, 0);
    }
    (void)sqlite3_finalize(s);
    return value;
}

static bool run(sqlite3 *db, const char *sql)
{
    return sqlite3_exec(db, sql, NULL, NULL, NULL) == SQLITE_OK;
}

typedef enum verdict { USABLE, BEGUN, DAMAGED, NEWER, UNREADABLE } verdict;

static verdict judge_failure(sqlite3 *db)
{
    int code = sqlite3_errcode(db) & 0xff;
    return code == SQLITE_NOTADB || code == SQLITE_CORRUPT ? DAMAGED : UNREADABLE;
}

static bool is_sound(sqlite3 *db)
{
    sqlite3_stmt *s = NULL;
    bool sound = sqlite3_prepare_v2(db, "PRAGMA quick_check(1)", -1, &s, NULL) == SQLITE_OK &&
                 sqlite3_step(s) == SQLITE_ROW &&
                 strcmp((const char *)sqlite3_column_text(s, 0), "ok") == 0;
    (void)sqlite3_finalize(s);
    return sound;
}

static bool make_tables(sqlite3 *db)
{
    char marks[128];
    (void)snprintf(marks, sizeof marks, "PRAGMA application_id=%d; PRAGMA user_version=%d; COMMIT;",
                   APPLICATION, VERSION);
    return run(db, "BEGIN IMMEDIATE") && run(db, tables) && run(db, marks);
}

static verdict examine(ace_journal *j)
{
    int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX;
    if (sqlite3_open_v2(j->path, &j->db, flags, NULL) != SQLITE_OK) {
        return j->db != NULL ? judge_failure(j->db) : UNREADABLE;
    }
    (void)sqlite3_busy_timeout(j->db, BUSY_MS);
    int64_t n = number(j->db, "SELECT count(*) FROM sqlite_master");
    if (n < 0) {
        return judge_failure(j->db);
    }
    /* FULL: what a client was told is on the disk, also when the power goes */
    if (!run(j->db,
             "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA temp_store=MEMORY;")) {
        return judge_failure(j->db);
    }
    if (n == 0) {
        return make_tables(j->db) ? BEGUN : judge_failure(j->db);
    }
    if (number(j->db, "PRAGMA application_id") != APPLICATION) {
        return DAMAGED; /* another program's */
    }
    if (number(j->db, "PRAGMA user_version") > VERSION) {
        return NEWER;
    }
    return is_sound(j->db) ? USABLE : DAMAGED;
}

/* jobs.db, jobs.db-wal and jobs.db-shm become jobs.db.damaged-DATE and so on. */
static bool set_aside(const char *path)
{
    static const char *const ends[] = {"", "-wal", "-shm"};
    char from[4500];
    char to[4500];
    char stamp[32] = "";
    time_t now = time(NULL);
    struct tm utc;
    if (gmtime_r(&now, &utc) != NULL) {
        (void)strftime(stamp, sizeof stamp, "%Y%m%d-%H%M%S", &utc);
    }
    bool moved = false;
    for (int i = 0; i < 3; i++) {
        (void)snprintf(from, sizeof from, "%s%s", path, ends[i]);
        (void)snprintf(to, sizeof to, "%s.damaged-%s%s", path, stamp, ends[i]);
        moved |= rename(from, to) == 0 && i == 0;
    }
    if (moved) {
        ace_log(ACE_LOG_ERROR, "jobs",
                "%s is damaged or no journal of jobs; it is kept as %s.damaged-%s, and a new one "
                "is begun",
                path, path, stamp);
    }
    return moved;
}

/* What people write into songs is nobody else's business. SQLite's further files have the rights of
 * the first. */
static void make_private(const char *path)
{
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, S_IRUSR | S_IWUSR);
    if (fd >= 0) {
        (void)fchmod(fd, S_IRUSR | S_IWUSR);
        (void)close(fd);
    }
}

static ace_status refuse(ace_journal *j, verdict v, ace_error *err)
{
    if (v == NEWER) {
        return ace_fail(
            err, ACESTEP_UNSUPPORTED,
            "%s was written by a newer version of acestep; use that, or another data folder",
            j->path);
    }
    return ace_fail(err, ACESTEP_IO, "%s cannot be opened: %s", j->path,
                    j->db != NULL ? sqlite3_errmsg(j->db) : "no host memory");
}

ace_status ace_journal_open(const char *folder, ace_journal **out, bool *renewed, ace_error *err)
{
    ace_journal *j = ace_calloc(1, sizeof *j);
    *out = NULL;
    if (j == NULL) {
        return ace_fail(err, ACESTEP_MEMORY, "jobs: no host memory");
    }
    (void)snprintf(j->path, sizeof j->path, "%.4300s/jobs.db", folder);
    make_private(j->path);
    verdict v = examine(j);
    if (v == DAMAGED) {
        (void)sqlite3_close(j->db);
        j->db = NULL;
        bool moved = set_aside(j->path);
        make_private(j->path);
        v = moved ? examine(j) : UNREADABLE;
    }
    if (renewed != NULL) {
        *renewed = v == BEGUN;
    }
    ace_status status = v == USABLE || v == BEGUN ? ACESTEP_OK : refuse(j, v, err);
    if (status != ACESTEP_OK) {
        ace_journal_close(j);
        return status;
    }
    *out = j;
    return ACESTEP_OK;
}

void ace_journal_close(ace_journal *j)
{
    if (j != NULL) {
        (void)sqlite3_close(j->db);
        ace_free(j);
    }
}
