#include "store/source.h"

#include "base/memory.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

static const char *const names[] = {"huggingface", "modelscope", "folder"};
static const char *const addresses[] = {"https://huggingface.co", "https://www.modelscope.cn",
                                        NULL};

const char *ace_store_source_name(const ace_store_source *source)
{
    return names[source->protocol];
}

/* ---- which
 * ------------------------------------------------------------------------------------------ */

static bool has_text(const char *text)
{
    return text != NULL && text[0] != '\0';
}

static const char *from_environment(const char *name)
{
    const char *value = getenv(name);
    return has_text(value) ? value : NULL;
}

/* Any other word than these turns it on: no network where somebody might have meant that. */
static bool is_off(const char *value)
{
    static const char *const words[] = {"0", "false", "no", "off"};
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
        if (strcasecmp(value, words[i]) == 0) {
            return true;
        }
    }
    return false;
}

static void forbid_network(acestep_store_options *options)
{
    static const char *const variables[] = {"ACESTEP_OFFLINE", "HF_HUB_OFFLINE"};
    for (size_t i = 0; i < sizeof variables / sizeof variables[0]; i++) {
        const char *value = from_environment(variables[i]);
        if (options->offline == NULL && value != NULL && !is_off(value)) {
            options->offline = variables[i];
        }
    }
}

void acestep_store_options_environment(acestep_store_options *options)
{
    const struct {
        const char **field;
        const char *name;
    } known[] = {
        {&options->source, "ACESTEP_DOWNLOAD_SOURCE"},
        {&options->mirror, "ACESTEP_MIRROR"},
        {&options->hf_endpoint, "HF_ENDPOINT"},
        {&options->token, "HF_TOKEN"},
    };
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
        if (*known[i].field == NULL) {
            *known[i].field = from_environment(known[i].name);
        }
    }
    forbid_network(options);
}

static ace_status add(ace_store_sources *out, const acestep_store_options *o,
                      ace_store_protocol protocol, const char *address, ace_error *err)
{
    ace_store_source *s = &out->source[out->n++];
    memset(s, 0, sizeof *s);
    s->protocol = protocol;
    s->revision = has_text(o->revision) ? o->revision : NULL;
    s->line.token = protocol == ACE_STORE_HUGGINGFACE && has_text(o->token) ? o->token : NULL;
    s->line.timeout = o->timeout > 0 ? o->timeout : 30;
    s->line.retries = o->retries > 0 ? o->retries : o->retries < 0 ? 0 : 6;
    s->line.retry_wait = o->retry_wait > 0 ? o->retry_wait : 1;
    s->line.max_rate = o->max_rate > 0 ? o->max_rate : 0;
    return ace_store_address_base(address, s->line.base, err);
}

/* A revision becomes part of addresses, a token of a header. */
static ace_status check_words(const acestep_store_options *o, ace_error *err)
{
    static const char plain[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-";
    if (has_text(o->revision) &&
        (strlen(o->revision) >= ACE_STORE_REVISION_BYTES ||
         strspn(o->revision, plain) != strlen(o->revision) || o->revision[0] == '.')) {
        return ace_fail(err, ACESTEP_ARGUMENT,
                        "revision: \"%.80s\" is neither a commit nor a branch", o->revision);
    }
    for (const char *c = has_text(o->token) ? o->token : ""; *c != '\0'; c++) {
        if (*c <= ' ' || *c > '~') {
            return ace_fail(err, ACESTEP_ARGUMENT, "token: holds a character that no token has");
        }
    }
    return ACESTEP_OK;
}

ace_status ace_store_sources_resolve(const acestep_store_options *o, ace_store_sources *out,
                                     ace_error *err)
{
    const char *source = has_text(o->source) ? o->source : "auto";
    bool any = strcmp(source, "auto") == 0;
    ace_status status = check_words(o, err);
    out->n = 0;
    int protocol = -1;
    for (int i = 0; i < 3; i++) {
        protocol = strcmp(source, names[i]) == 0 ? i : protocol;
    }
    if (status == ACESTEP_OK && protocol < 0 && !any) {
        return ace_fail(err, ACESTEP_ARGUMENT,
                        "source: \"%.40s\" is not auto, huggingface, modelscope or folder", source);
    }
    if (status == ACESTEP_OK && protocol == ACE_STORE_COPY && !has_text(o->mirror)) {
        return ace_fail(err, ACESTEP_ARGUMENT,
                        "source: folder needs the address of the copy, with --mirror");
    }
    if (status == ACESTEP_OK && has_text(o->mirror)) { /* whoever names one wants no other */
        return add(out, o, any ? ACE_STORE_HUGGINGFACE : (ace_store_protocol)protocol, o->mirror,
                   err);
    }
    if (status == ACESTEP_OK && (any || protocol == ACE_STORE_HUGGINGFACE)) {
        status =
            add(out, o, ACE_STORE_HUGGINGFACE,
                has_text(o->hf_endpoint) ? o->hf_endpoint : addresses[ACE_STORE_HUGGINGFACE], err);
    }
    if (status == ACESTEP_OK && (any || protocol == ACE_STORE_MODELSCOPE)) {
        status = add(out, o, ACE_STORE_MODELSCOPE, addresses[ACE_STORE_MODELSCOPE], err);
    }
    return status;
}

/* ---- lists
 * ------------------------------------------------------------------------------------------- */

static const char *revision_of(const ace_store_source *s, const ace_store_set *set)
{
    return s->revision != NULL                   ? s->revision
           : s->protocol == ACE_STORE_MODELSCOPE ? "master"
                                                 : set->revision;
}

static void list_path(const ace_store_source *s, const ace_store_set *set, char *out, size_t room)
{
    const char *revision = revision_of(s, set);
    switch (s->protocol) {
    case ACE_STORE_HUGGINGFACE:
        (void)snprintf(out, room, "/api/models/%s/revision/%s?blobs=true", set->repository,
                       revision);
        return;
    case ACE_STORE_MODELSCOPE:
        (void)snprintf(out, room, "/api/v1/models/%s/repo/files?Revision=%s&Recursive=true",
                       set->repository, revision);
        return;
    case ACE_STORE_COPY:
        (void)snprintf(out, room, "/%s/" ACE_STORE_MANIFEST, set->name);
        return;
    }
}

/* "vae/"; nothing where the set is a file of the root. */
static void folder_inside(const ace_store_set *set, const char *file, char *out, size_t room)
{
    if (set->inside[0] != '\0' && strcmp(set->inside, file) != 0) {
        (void)snprintf(out, room, "%s/", set->inside);
    }
}

void ace_store_source_path(const ace_store_source *s, const ace_store_set *set,
                           const char *revision, const char *file, char *out, size_t room)
{
    char inside[64] = "";
    folder_inside(set, file, inside, sizeof inside);
    switch (s->protocol) {
    case ACE_STORE_HUGGINGFACE:
        (void)snprintf(out, room, "/%s/resolve/%s/%s%s", set->repository, revision, inside, file);
        return;
    case ACE_STORE_MODELSCOPE:
        (void)snprintf(out, room, "/models/%s/resolve/%s/%s%s", set->repository, revision, inside,
                       file);
        return;
    case ACE_STORE_COPY:
        (void)snprintf(out, room, "/%s/%s", set->name, file);
        return;
    }
}

static ace_status parse(const ace_store_source *s, const ace_store_set *set, const char *text,
                        size_t bytes, const char *what, ace_store_files *out, ace_error *err)
{
    ace_error why = {.code = ACESTEP_OK};
    switch (s->protocol) {
    case ACE_STORE_HUGGINGFACE:
        return ace_store_parse_huggingface(text, bytes, set->inside, what, out, err);
    case ACE_STORE_MODELSCOPE:
        return ace_store_parse_modelscope(text, bytes, set->inside, what, out, err);
    case ACE_STORE_COPY:
        break;
    }
    ace_status status = ace_store_parse_manifest(text, bytes, what, out, &why);
    return status == ACESTEP_OK ? ACESTEP_OK
                                : ace_fail(err, status == ACESTEP_MODEL ? ACESTEP_NETWORK : status,
                                           "%s", why.message);
}

/* Is it what this release was made with? Digests that are known are put in where the host tells
 * none. */
static ace_status compare_with_facts(const ace_store_source *s, const ace_store_set *set,
                                     ace_store_files *files, ace_error *err)
{
    bool other = s->revision != NULL ||
                 (s->protocol == ACE_STORE_COPY && strcmp(files->revision, set->revision) != 0);
    for (size_t i = 0; i < files->n && !other; i++) {
        ace_store_file *file = &files->file[i];
        const ace_store_fact *fact = ace_store_fact_find(set, file->name);
        if (fact == NULL) {
            continue;
        }
        if (file->bytes != fact->bytes ||
            (file->sha256[0] != '\0' && strcmp(file->sha256, fact->sha256) != 0)) {
            return ace_fail(
                err, ACESTEP_NETWORK,
                "%s/%s: %s has another file than the published one; with --revision NAME "
                "it is taken as it is there",
                set->name, file->name, ace_store_source_name(s));
        }
        memcpy(file->sha256, fact->sha256, ACE_STORE_SHA256_BYTES);
    }
    return ACESTEP_OK;
}

static bool is_commit(const char *revision)
{
    return strlen(revision) == 40 && strspn(revision, "0123456789abcdef") == 40;
}

static ace_status settle_revision(const ace_store_source *s, const ace_store_set *set,
                                  ace_store_files *files, ace_error *err)
{
    const char *asked = revision_of(s, set);
    if (s->protocol == ACE_STORE_COPY) {
        return ACESTEP_OK; /* the one the copy was made of */
    }
    if (files->revision[0] == '\0') {
        (void)snprintf(files->revision, sizeof files->revision, "%s", asked);
    }
    if (is_commit(asked) && strcmp(asked, files->revision) != 0) {
        return ace_fail(err, ACESTEP_NETWORK, "%s: asked for revision %s, the host has %s",
                        set->name, asked, files->revision);
    }
    return ACESTEP_OK;
}

ace_status ace_store_source_list(const ace_store_source *s, const ace_store_set *set,
                                 ace_store_go_on *go_on, void *context, ace_store_files *out,
                                 ace_error *err)
{
    char path[512];
    char what[160];
    char *text = NULL;
    size_t bytes = 0;
    list_path(s, set, path, sizeof path);
    (void)snprintf(what, sizeof what, "%s: list of files", set->name);
    ace_status status = ace_store_fetch(&s->line, path, what, go_on, context, &text, &bytes, err);
    if (status == ACESTEP_OK) {
        status = parse(s, set, text, bytes, what, out, err);
    }
    if (status == ACESTEP_OK) {
        status = settle_revision(s, set, out, err);
    }
    if (status == ACESTEP_OK) {
        status = compare_with_facts(s, set, out, err);
    }
    ace_free(text);
    return status;
}
