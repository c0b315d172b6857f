/* acestep_store_verify: every byte is read. */
#include "base/memory.h"
#include "store/choice.h"
#include "store/manifest.h"
#include "store/session.h"
#include "store/tensors.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

typedef struct check {
    ace_store_session session; /* for its progress */
    json_t *sets;
    bool damaged;
} check;

/* Without a manifest the published digests are what there is to compare with. */
static void files_from_facts(const ace_store_set *set, ace_store_files *out)
{
    memset(out, 0, sizeof *out);
    for (const ace_store_fact *f = set->facts; f != NULL && f->name != NULL; f++) {
        ace_store_file *file = &out->file[out->n++];
        (void)snprintf(file->name, sizeof file->name, "%s", f->name);
        (void)snprintf(file->sha256, sizeof file->sha256, "%s", f->sha256);
        file->bytes = f->bytes;
    }
}

/* "ok", or what is wrong with it. */
static ace_status check_file(check *c, int folder, const ace_store_file *file, char sha256[65],
                             const char **verdict, ace_error *err)
{
    struct stat st;
    bool matches = false;
    sha256[0] = '\0';
    if (fstatat(folder, file->name, &st, 0) != 0) {
        *verdict = "missing";
        return ACESTEP_OK;
    }
    if (!S_ISREG(st.st_mode) || (uint64_t)st.st_size != file->bytes) {
        *verdict = "wrong size";
        return ACESTEP_OK;
    }
    ace_error why = {.code = ACESTEP_OK};
    c->session.state.file = file->name;
    ace_status status = ace_store_file_digest(folder, file, ace_store_session_go_on, &c->session,
                                              sha256, &matches, &why);
    if (status != ACESTEP_OK && status != ACESTEP_MODEL) {
        return ace_fail(err, status, "%s", why.message);
    }
    c->session.state.done += file->bytes;
    *verdict = status == ACESTEP_MODEL ? "unreadable" : matches ? "ok" : "wrong digest";
    return ACESTEP_OK;
}

static const char *verdict_of_set(const ace_store_found *found, bool has_digests, bool published,
                                  const char *first_wrong)
{
    if (found->state != ACE_STORE_COMPLETE) {
        return "damaged";
    }
    if (first_wrong[0] == '\0') {
        return has_digests ? "complete" : "unknown";
    }
    /* without a manifest, another size is another file: nobody can say what it should be */
    return published && strcmp(first_wrong, "wrong size") == 0 ? "unknown" : "damaged";
}

static ace_status check_set(check *c, const ace_store_set *set, ace_store_files *files,
                            ace_error *err)
{
    const char *folder = c->session.folder;
    ace_store_found found;
    bool has_manifest = false;
    char reason[320] = "";
    const char *wrong = "";
    json_t *rows = json_array();
    ace_store_set_look(folder, set->name, &found);
    int fd = ace_store_set_open(folder, set->name, false);
    if (fd < 0 ||
        ace_store_manifest_read(fd, set->name, false, files, &has_manifest, NULL) != ACESTEP_OK ||
        !has_manifest) {
        files_from_facts(set, files);
    }
    ace_status status = ACESTEP_OK;
    for (size_t i = 0; fd >= 0 && i < files->n && status == ACESTEP_OK; i++) {
        char sha256[ACE_STORE_SHA256_BYTES];
        const char *verdict = "";
        status = check_file(c, fd, &files->file[i], sha256, &verdict, err);
        if (status == ACESTEP_OK && strcmp(verdict, "ok") != 0 && wrong[0] == '\0') {
            wrong = verdict;
            (void)snprintf(reason, sizeof reason, "%s: %s", files->file[i].name, verdict);
        }
        json_array_append_new(rows, json_pack("{s:s, s:I, s:s, s:s}", "name", files->file[i].name,
                                              "bytes", (json_int_t)files->file[i].bytes, "sha256",
                                              sha256, "state", verdict));
    }
    if (fd >= 0) {
        (void)close(fd);
    }
    const char *verdict = verdict_of_set(&found, files->n > 0, !has_manifest, wrong);
    c->damaged = c->damaged || strcmp(verdict, "damaged") == 0;
    json_array_append_new(c->sets, json_pack("{s:s, s:s, s:s, s:b, s:o}", "name", set->name,
                                             "state", verdict, "reason",
                                             found.reason[0] != '\0' ? found.reason : reason,
                                             "manifest", (int)has_manifest, "files", rows));
    return status;
}

/* Those that were named, or all that are here. */
static ace_status choose(const char *folder, const char *const *names, size_t n,
                         ace_store_choice *choice, uint64_t *total, ace_error *err)
{
    ace_status status =
        n > 0 ? ace_store_choose_all(choice, names, n, NULL, true, err) : ACESTEP_OK;
    for (size_t i = 0; n == 0 && i < ace_store_set_count(); i++) {
        ace_store_found found;
        const ace_store_set *set = ace_store_set_at(i);
        ace_store_set_look(folder, set->name, &found);
        if (found.state != ACE_STORE_ABSENT) {
            choice->set[choice->n++] = set;
            *total += found.bytes;
        }
    }
    if (status == ACESTEP_OK && choice->n == 0) {
        status = ace_fail(err, ACESTEP_MODEL, "%s: no published set is there to verify", folder);
    }
    return status;
}

acestep_status acestep_store_verify(const char *folder, const char *const *names, size_t n,
                                    acestep_store_progress *progress, void *context, char **json,
                                    acestep_error *error)
{
    ace_error *err = ace_store_error(error);
    ace_store_choice choice = {.n = 0};
    check *c = ace_calloc(1, sizeof *c);
    ace_store_files *files = ace_calloc(1, sizeof *files);
    *json = NULL;
    ace_status status = c != NULL && files != NULL
                            ? ACESTEP_OK
                            : ace_fail(err, ACESTEP_MEMORY, "verify: no host memory");
    if (status == ACESTEP_OK) {
        c->session.progress = progress;
        c->session.context = context;
        c->session.state = (acestep_store_state){.set = "", .file = "", .note = ""};
        c->sets = json_array();
        status = ace_store_folder_resolve(folder, c->session.folder, err);
    }
    if (status == ACESTEP_OK) {
        status = choose(c->session.folder, names, n, &choice, &c->session.state.total, err);
    }
    for (size_t i = 0; i < choice.n && status == ACESTEP_OK; i++) {
        c->session.state.set = choice.set[i]->name;
        status = check_set(c, choice.set[i], files, err);
    }
    if (status == ACESTEP_OK) {
        status = ace_store_dump(
            json_pack("{s:s, s:O}", "folder", c->session.folder, "sets", c->sets), json, err);
    }
    if (status == ACESTEP_OK && c->damaged) {
        status = ace_fail(err, ACESTEP_MODEL,
                          "%s: something is damaged; acestep models download gets it again",
                          c->session.folder);
    }
    if (c != NULL) {
        json_decref(c->sets);
    }
    ace_free(c);
    ace_free(files);
    return status;
}
