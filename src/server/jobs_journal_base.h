/* Inside of the journal: statements. */
#ifndef ACE_SERVER_JOBS_JOURNAL_BASE_H
#define ACE_SERVER_JOBS_JOURNAL_BASE_H

#include "server/jobs_journal.h"

#include <sqlite3.h>

struct ace_journal {
    sqlite3 *db;
    char path[4400];
};

/* Prepares a statement and binds its values: one letter of `kinds` to a value, i (int64_t), d
 * (double) or t (const char *, NULL allowed; it must live until the statement ends). NULL when that
 * fails: the connection knows why. */
sqlite3_stmt *ace_sql(ace_journal *journal, const char *text, const char *kinds, ...);

/* Runs it to its end. IO with what the database says. */
ace_status ace_sql_run(ace_journal *journal, sqlite3_stmt *statement, ace_error *err);
ace_status ace_sql_fail(ace_journal *journal, ace_error *err);

/* The columns that an entry is read from, in this order, and how. */
#define ACE_ENTRY_COLUMNS                                                                          \
    "id, kind, status, origin, created, started, finished, position, runs, favourite, title, "     \
    "expected, basis, bytes, params, request, outcome"
ace_jobs_entry *ace_sql_entry(sqlite3_stmt *statement);

#endif
