/* Questions to the journal. */
#include "server/jobs_journal_base.h"
#include "server/jobs_search.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool has_row(sqlite3_stmt *s)
{
    return s != NULL && sqlite3_step(s) == SQLITE_ROW;
}

ace_jobs_entry *ace_journal_find(ace_journal *j, const char *id)
{
    sqlite3_stmt *s =
        ace_sql(j, "SELECT " ACE_ENTRY_COLUMNS " FROM jobs WHERE id=? AND hidden=0", "t", id);
    ace_jobs_entry *e = has_row(s) ? ace_sql_entry(s) : NULL;
    (void)sqlite3_finalize(s);
    return e;
}

int ace_journal_status(ace_journal *j, const char *id)
{
    sqlite3_stmt *s = ace_sql(j, "SELECT status FROM jobs WHERE id=? AND hidden=0", "t", id);
    int status = has_row(s) ? sqlite3_column_int(s, 0) : -1;
    (void)sqlite3_finalize(s);
    return status;
}

static bool read_id(sqlite3_stmt *s, char id[ACE_JOB_ID_BYTES])
{
    bool found = has_row(s);
    if (found) {
        (void)snprintf(id, ACE_JOB_ID_BYTES, "%s", (const char *)sqlite3_column_text(s, 0));
    }
    return found;
}

bool ace_journal_repeated(ace_journal *j, const char *repeat_key, double since,
                          char id[ACE_JOB_ID_BYTES])
{
    sqlite3_stmt *s = ace_sql(j,
                              "SELECT id FROM jobs WHERE repeat_key=? AND created>=? AND hidden=0 "
                              "ORDER BY id DESC LIMIT 1",
                              "td", repeat_key, since);
    bool found = read_id(s, id);
    (void)sqlite3_finalize(s);
    return found;
}

/* Rows to entries until the visitor has enough. A row that cannot be read is left out. */
static ace_status visit_rows(ace_journal *j, sqlite3_stmt *s, ace_journal_visitor *visit,
                             void *context, ace_error *err)
{
    int code = s != NULL ? sqlite3_step(s) : SQLITE_ERROR;
    bool more = true;
    while (code == SQLITE_ROW && more) {
        ace_jobs_entry *e = ace_sql_entry(s);
        more = e == NULL || visit(context, e);
        code = more ? sqlite3_step(s) : SQLITE_DONE;
    }
    ace_status status = code == SQLITE_DONE ? ACESTEP_OK : ace_sql_fail(j, err);
    (void)sqlite3_finalize(s);
    return status;
}

ace_status ace_journal_pending(ace_journal *j, ace_journal_visitor *visit, void *context,
                               ace_error *err)
{
    return visit_rows(j,
                      ace_sql(j,
                              "SELECT " ACE_ENTRY_COLUMNS " FROM jobs WHERE status IN (?, ?) AND "
                              "hidden=0 ORDER BY position, id",
                              "ii", (int64_t)ACE_JOB_QUEUED, (int64_t)ACE_JOB_RUNNING),
                      visit, context, err);
}

/* A switch before each condition turns it off. Bits of statuses and kinds are numbers that SQLite
 * shifts itself. Without a text, an index alone answers how many there are; rows are read in the
 * order of their ids, and the plus keeps that index from being taken and sorted for them. */
#define COUNT "SELECT count(*) FROM jobs WHERE hidden=0" MATCHES
#define ROWS "SELECT " ACE_ENTRY_COLUMNS " FROM jobs WHERE +hidden=0" MATCHES
#define MATCHES                                                                                    \
    " AND (?1=0 OR (?1 >> status) & 1) AND (?2=0 OR (?2 >> kind) & 1) "                            \
    "AND (?3<0 OR favourite=?3) AND (?4 IS NULL OR origin=?4)"
#define WITH_TEXT " AND search LIKE ?5 ESCAPE '\\'" /* the text's own % and _ mean themselves */
#define NEWEST " AND (?6 IS NULL OR id<?6) ORDER BY id DESC LIMIT ?7"

enum { PATTERN_BYTES = 512 };

static const char *pattern_of(const char *text, char *out)
{
    size_t n = 0;
    if (text == NULL || text[0] == '\0') {
        return NULL;
    }
    out[n++] = '%';
    for (; *text != '\0' && n < PATTERN_BYTES - 4; text++) {
        if (strchr("%_\\", *text) != NULL) {
            out[n++] = '\\';
        }
        out[n++] = *text;
    }
    out[n++] = '%';
    out[n] = '\0';
    return out;
}

ace_status ace_journal_list(ace_journal *j, const ace_jobs_filter *f, int64_t *total,
                            ace_journal_visitor *visit, void *context, ace_error *err)
{
    char buffer[PATTERN_BYTES];
    char *folded = f->text != NULL ? ace_search_fold(f->text) : NULL;
    const char *pattern = pattern_of(folded, buffer);
    free(folded);
    int64_t statuses = f->statuses;
    int64_t kinds = f->kinds;
    int64_t favourite = f->favourite;
    const char *count = pattern == NULL ? COUNT : COUNT WITH_TEXT;
    const char *rows = pattern == NULL ? ROWS NEWEST : ROWS WITH_TEXT NEWEST;
    sqlite3_stmt *s = ace_sql(j, count, pattern == NULL ? "iiit" : "iiitt", statuses, kinds,
                              favourite, f->origin, pattern);
    *total = has_row(s) ? sqlite3_column_int64(s, 0) : 0;
    (void)sqlite3_finalize(s);
    return visit_rows(j,
                      ace_sql(j, rows, "iiittti", statuses, kinds, favourite, f->origin, pattern,
                              f->after, (int64_t)f->limit + 1),
                      visit, context, err);
}

void ace_journal_hidden(ace_journal *j, ace_journal_id_visitor *visit, void *context)
{
    sqlite3_stmt *s = ace_sql(j, "SELECT id FROM jobs WHERE hidden=1", "");
    while (has_row(s)) {
        visit(context, (const char *)sqlite3_column_text(s, 0));
    }
    (void)sqlite3_finalize(s);
}

bool ace_journal_oldest(ace_journal *j, char id[ACE_JOB_ID_BYTES], double *finished)
{
    sqlite3_stmt *s = ace_sql(j,
                              "SELECT id, finished FROM jobs WHERE favourite=0 AND finished>0 AND "
                              "hidden=0 ORDER BY finished LIMIT 1",
                              "");
    bool found = read_id(s, id);
    *finished = found ? sqlite3_column_double(s, 1) : 0;
    (void)sqlite3_finalize(s);
    return found;
}

void ace_journal_sizes(ace_journal *j, int64_t *jobs, uint64_t *bytes)
{
    sqlite3_stmt *s = ace_sql(j,
                              "SELECT total(favourite=0 AND finished>0), total(bytes) FROM jobs "
                              "WHERE hidden=0",
                              "");
    bool found = has_row(s);
    *jobs = found ? sqlite3_column_int64(s, 0) : 0;
    *bytes = found ? (uint64_t)sqlite3_column_int64(s, 1) : 0;
    (void)sqlite3_finalize(s);
}

void ace_journal_counts(ace_journal *j, uint64_t counts[ACE_JOB_KINDS][ACE_JOB_STATUSES])
{
    sqlite3_stmt *s = ace_sql(
        j, "SELECT kind, status, count(*) FROM jobs WHERE hidden=0 GROUP BY kind, status", "");
    memset(counts, 0, sizeof(uint64_t[ACE_JOB_KINDS][ACE_JOB_STATUSES]));
    while (has_row(s)) {
        int kind = sqlite3_column_int(s, 0);
        int status = sqlite3_column_int(s, 1);
        if (kind >= 0 && kind < ACE_JOB_KINDS && status >= 0 && status < ACE_JOB_STATUSES) {
            counts[kind][status] = (uint64_t)sqlite3_column_int64(s, 2);
        }
    }
    (void)sqlite3_finalize(s);
}

double ace_journal_average(ace_journal *j, ace_job_kind kind)
{
    sqlite3_stmt *s =
        ace_sql(j,
                "SELECT avg(finished-started) FROM (SELECT finished, started FROM jobs "
                "WHERE hidden=0 AND kind=? AND status=? AND started>0 ORDER BY id DESC LIMIT 50)",
                "ii", (int64_t)kind, (int64_t)ACE_JOB_DONE);
    double average = has_row(s) ? sqlite3_column_double(s, 0) : 0;
    (void)sqlite3_finalize(s);
    return average;
}

bool ace_journal_speed(ace_journal *j, const char *engine, const char *stage, ace_speed *out)
{
    sqlite3_stmt *s = ace_sql(j, "SELECT work, seconds FROM speeds WHERE engine=? AND stage=?",
                              "tt", engine, stage);
    bool found = has_row(s);
    *out = found ? (ace_speed){sqlite3_column_double(s, 0), sqlite3_column_double(s, 1)}
                 : (ace_speed){0, 0};
    (void)sqlite3_finalize(s);
    return found;
}
