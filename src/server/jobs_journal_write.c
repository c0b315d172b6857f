/* Changes of the journal: each is one transaction. */
#include "server/jobs_journal_base.h"
#include "server/jobs_search.h"

#include <stdio.h>
#include <stdlib.h>

static void line(FILE *out, const json_t *text)
{
    if (json_is_string(text)) {
        fprintf(out, "%s\n", json_string_value(text));
    }
}

/* What a search looks through: title, caption, lyrics and the sentence that was asked with. */
static char *search_text(const ace_jobs_entry *e)
{
    static const char *const names[] = {"title", "caption", "lyrics", "sample_query"};
    const json_t *item = json_array_get(e->items, 0);
    const json_t *found = item != NULL ? item : e->words;
    char *text = NULL;
    size_t bytes = 0;
    FILE *out = open_memstream(&text, &bytes);
    if (out == NULL) {
        return NULL;
    }
    fprintf(out, "%s\n", e->title);
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        line(out, json_object_get(e->request, names[i]));
    }
    line(out, json_object_get(found, "caption"));
    line(out, json_object_get(found, "lyrics"));
    char *folded = fclose(out) == 0 ? ace_search_fold(text) : NULL;
    free(text);
    return folded;
}

/* The JSON columns of an entry. */
typedef struct columns {
    char *params, *request, *outcome, *search;
} columns;

static bool make_columns(const ace_jobs_entry *e, columns *c)
{
    json_t *outcome = ace_entry_outcome(e);
    c->params = json_dumps(e->params, JSON_COMPACT | JSON_REAL_PRECISION(17));
    c->request = json_dumps(e->request, JSON_COMPACT | JSON_REAL_PRECISION(17));
    c->outcome = outcome != NULL ? json_dumps(outcome, JSON_COMPACT) : NULL;
    c->search = search_text(e);
    json_decref(outcome);
    return c->params != NULL && c->request != NULL && c->outcome != NULL && c->search != NULL;
}

static void free_columns(columns *c)
{
    free(c->params);
    free(c->request);
    free(c->outcome);
    free(c->search);
}

ace_status ace_journal_insert(ace_journal *j, const ace_jobs_entry *e, const char *repeat_key,
                              ace_error *err)
{
    columns c = {NULL, NULL, NULL, NULL};
    ace_status status = ACESTEP_OK;
    if (!make_columns(e, &c)) {
        status = ace_fail(err, ACESTEP_MEMORY, "jobs: no host memory");
    } else {
        status = ace_sql_run(
            j,
            ace_sql(j,
                    "INSERT INTO jobs(" ACE_ENTRY_COLUMNS ", search, repeat_key) "
                    "VALUES(?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)",
                    "tiitdddiiitdtittttt", e->id, (int64_t)e->kind, (int64_t)e->status, e->origin,
                    e->created, e->started, e->finished, e->position, (int64_t)e->runs,
                    (int64_t)e->favourite, e->title, e->expected, e->basis, (int64_t)e->bytes,
                    c.params, c.request, c.outcome, c.search, repeat_key),
            err);
    }
    free_columns(&c);
    return status;
}

ace_status ace_journal_update(ace_journal *j, const ace_jobs_entry *e, ace_error *err)
{
    columns c = {NULL, NULL, NULL, NULL};
    ace_status status = ACESTEP_OK;
    if (!make_columns(e, &c)) {
        status = ace_fail(err, ACESTEP_MEMORY, "jobs: no host memory");
    } else {
        status = ace_sql_run(
            j,
            ace_sql(
                j,
                "UPDATE jobs SET status=?, started=?, finished=?, position=?, runs=?, expected=?, "
                "basis=?, bytes=?, params=?, request=?, outcome=?, search=? WHERE id=?",
                "iddiidtittttt", (int64_t)e->status, e->started, e->finished, e->position,
                (int64_t)e->runs, e->expected, e->basis, (int64_t)e->bytes, c.params, c.request,
                c.outcome, c.search, e->id),
            err);
    }
    free_columns(&c);
    return status;
}

ace_status ace_journal_edit(ace_journal *j, const ace_jobs_entry *e, ace_error *err)
{
    char *search = search_text(e);
    ace_status status =
        search == NULL
            ? ace_fail(err, ACESTEP_MEMORY, "jobs: no host memory")
            : ace_sql_run(j,
                          ace_sql(j, "UPDATE jobs SET title=?, favourite=?, search=? WHERE id=?",
                                  "titt", e->title, (int64_t)e->favourite, search, e->id),
                          err);
    free(search);
    return status;
}

ace_status ace_journal_reorder(ace_journal *j, const ace_jobs_entry *queue, ace_error *err)
{
    ace_status status = ace_sql_run(j, ace_sql(j, "BEGIN IMMEDIATE", ""), err);
    if (status != ACESTEP_OK) {
        return status;
    }
    for (; queue != NULL && status == ACESTEP_OK; queue = queue->next) {
        status = ace_sql_run(
            j,
            ace_sql(j, "UPDATE jobs SET position=? WHERE id=?", "it", queue->position, queue->id),
            err);
    }
    if (status == ACESTEP_OK) {
        status = ace_sql_run(j, ace_sql(j, "COMMIT", ""), err);
    }
    if (status != ACESTEP_OK) {
        (void)ace_sql_run(j, ace_sql(j, "ROLLBACK", ""), NULL);
    }
    return status;
}

ace_status ace_journal_measure(ace_journal *j, const char *id, uint64_t bytes, ace_error *err)
{
    return ace_sql_run(
        j, ace_sql(j, "UPDATE jobs SET bytes=? WHERE id=?", "it", (int64_t)bytes, id), err);
}

ace_status ace_journal_hide(ace_journal *j, const char *id, ace_error *err)
{
    return ace_sql_run(j, ace_sql(j, "UPDATE jobs SET hidden=1 WHERE id=?", "t", id), err);
}

ace_status ace_journal_forget(ace_journal *j, const char *id, ace_error *err)
{
    return ace_sql_run(j, ace_sql(j, "DELETE FROM jobs WHERE id=?", "t", id), err);
}

ace_status ace_journal_set_speed(ace_journal *j, const char *engine, const char *stage,
                                 ace_speed speed, ace_error *err)
{
    return ace_sql_run(j,
                       ace_sql(j,
                               "INSERT INTO speeds(engine, stage, work, seconds) VALUES(?,?,?,?) "
                               "ON CONFLICT(engine, stage) DO UPDATE SET work=excluded.work, "
                               "seconds=excluded.seconds",
                               "ttdd", engine, stage, speed.work, speed.seconds),
                       err);
}
