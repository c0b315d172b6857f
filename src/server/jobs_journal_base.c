#include "server/jobs_journal_base.h"

#include "base/memory.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

sqlite3_stmt *ace_sql(ace_journal *j, const char *text, const char *kinds, ...)
{
    sqlite3_stmt *s = NULL;
    va_list values;
    int code = sqlite3_prepare_v2(j->db, text, -1, &s, NULL);
    va_start(values, kinds);
    for (int i = 1; kinds[i - 1] != '\0'; i++) {
        switch (kinds[i - 1]) {
        case 'i':
            code |= sqlite3_bind_int64(s, i, va_arg(values, int64_t));
            break;
        case 'd':
            code |= sqlite3_bind_double(s, i, va_arg(values, double));
            break;
        default:
            code |= sqlite3_bind_text(s, i, va_arg(values, const char *), -1, SQLITE_STATIC);
            break;
        }
    }
    va_end(values);
    if (code != SQLITE_OK) {
        (void)sqlite3_finalize(s);
        return NULL;
    }
    return s;
}

ace_status ace_sql_fail(ace_journal *j, ace_error *err)
{
    bool full = (sqlite3_errcode(j->db) & 0xff) == SQLITE_FULL; /* said as of any other file */
    return ace_fail(err, ACESTEP_IO, "%s cannot be read or written: %s", j->path,
                    full ? strerror(ENOSPC) : sqlite3_errmsg(j->db));
}

ace_status ace_sql_run(ace_journal *j, sqlite3_stmt *s, ace_error *err)
{
    int code = s != NULL ? sqlite3_step(s) : SQLITE_ERROR;
    while (code == SQLITE_ROW) {
        code = sqlite3_step(s);
    }
    ace_status status = code == SQLITE_DONE ? ACESTEP_OK : ace_sql_fail(j, err);
    (void)sqlite3_finalize(s);
    return status;
}

static const char *text_at(sqlite3_stmt *s, int column)
{
    const char *text = (const char *)sqlite3_column_text(s, column);
    return text != NULL ? text : "";
}

static const char *known_basis(const char *name)
{
    static const char *const known[] = {"measured", "average", "planned"};
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        if (strcmp(name, known[i]) == 0) {
            return known[i];
        }
    }
    return "none";
}

static bool read_texts(sqlite3_stmt *s, ace_jobs_entry *e)
{
    char *title = ace_strdup(text_at(s, 10));
    if (title == NULL) {
        return false;
    }
    ace_free(e->title);
    e->title = title;
    (void)snprintf(e->id, sizeof e->id, "%s", text_at(s, 0));
    (void)snprintf(e->origin, sizeof e->origin, "%s", text_at(s, 3));
    e->basis = known_basis(text_at(s, 12));
    ace_entry_put(&e->params, json_loads(text_at(s, 14), 0, NULL));
    ace_entry_put(&e->request, json_loads(text_at(s, 15), 0, NULL));
    ace_entry_set_outcome(e, json_loads(text_at(s, 16), 0, NULL));
    return true;
}

ace_jobs_entry *ace_sql_entry(sqlite3_stmt *s)
{
    int kind = sqlite3_column_int(s, 1);
    int status = sqlite3_column_int(s, 2);
    bool known = kind >= 0 && kind < ACE_JOB_KINDS && status >= 0 && status < ACE_JOB_STATUSES;
    ace_jobs_entry *e = known ? ace_entry_create((ace_job_kind)kind, "") : NULL;
    if (e == NULL || !read_texts(s, e)) {
        ace_entry_free(e);
        return NULL;
    }
    e->status = (ace_job_status)status;
    e->created = sqlite3_column_double(s, 4);
    e->started = sqlite3_column_double(s, 5);
    e->finished = sqlite3_column_double(s, 6);
    e->position = sqlite3_column_int64(s, 7);
    e->runs = sqlite3_column_int(s, 8);
    e->favourite = sqlite3_column_int(s, 9) != 0;
    e->expected = sqlite3_column_double(s, 11);
    e->bytes = (uint64_t)sqlite3_column_int64(s, 13);
    return e;
}
