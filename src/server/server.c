/* Puts the server together: data folder, jobs, HTTP. */
#include "server/server.h"

#include "acestep/server.h"
#include "base/log.h"
#include "base/memory.h"
#include "server/defaults.h"
#include "server/downloads.h"
#include "server/http_listen.h"
#include "server/http_serve.h"
#include "server/jobs.h"
#include "server/log_tail.h"
#include "server/server_options.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

struct acestep_server {
    ace_server shared;
    ace_server_options options;
    char *folder;
};

/* ---- the data folder ------------------------------------------------------------------------- */

/* As the XDG base directory specification has it. */
static char *default_folder(void)
{
    const char *xdg = getenv("XDG_DATA_HOME");
    const char *home = getenv("HOME");
    char path[4096];
    int n = -1;
    if (xdg != NULL && xdg[0] == '/') {
        n = snprintf(path, sizeof path, "%s/acestep", xdg);
    } else if (home != NULL && home[0] == '/') {
        n = snprintf(path, sizeof path, "%s/.local/share/acestep", home);
    }
    return n > 0 && n < (int)sizeof path ? ace_strdup(path) : NULL;
}

static ace_status make_folder(const char *path, ace_error *err)
{
    char part[4096];
    if (snprintf(part, sizeof part, "%s", path) >= (int)sizeof part) {
        return ace_fail(err, ACESTEP_IO, "%s: the path is too long", path);
    }
    for (char *c = part + 1; *c != '\0'; c++) {
        if (*c == '/') {
            *c = '\0';
            (void)mkdir(part, 0700); /* the last one tells whether it worked */
            *c = '/';
        }
    }
    struct stat found;
    if (mkdir(part, 0700) != 0 && !(stat(part, &found) == 0 && S_ISDIR(found.st_mode))) {
        int code = errno;
        return ace_fail(err, ACESTEP_IO, "%s: %s; --data-dir chooses another folder", part,
                        strerror(code == EEXIST ? ENOTDIR : code));
    }
    return ACESTEP_OK;
}

static ace_status make_folders(acestep_server *s, ace_error *err)
{
    static const char *const names[] = {"uploads", "presets", "adapters"};
    s->folder = s->options.data_dir[0] != '\0' ? ace_strdup(s->options.data_dir) : default_folder();
    if (s->folder == NULL) {
        return ace_fail(err, ACESTEP_ARGUMENT,
                        "--data-dir: say where jobs and songs are to be kept; "
                        "neither HOME nor XDG_DATA_HOME is set");
    }
    s->shared.data_folder = s->folder;
    ace_status status = make_folder(s->folder, err);
    for (size_t i = 0; i < sizeof names / sizeof *names && status == ACESTEP_OK; i++) {
        char path[4096];
        status = snprintf(path, sizeof path, "%s/%s", s->folder, names[i]) < (int)sizeof path
                     ? make_folder(path, err)
                     : ace_fail(err, ACESTEP_IO, "%s: the path is too long", s->folder);
    }
    return status;
}

/* ---- starting and stopping ------------------------------------------------------------------- */

static ace_status open_jobs(acestep_server *s, ace_error *err)
{
    const ace_server_options *o = &s->options;
    ace_jobs_options options = {.folder = s->folder,
                                .queue_limit = (int)o->queue_limit,
                                .keep_seconds = o->keep_days * 86400,
                                .keep_jobs = o->keep_count,
                                .keep_bytes = (uint64_t)o->keep_bytes,
                                .idle_unload_seconds = o->idle_unload,
                                .server = &s->shared,
                                .defaults = ace_server_defaults,
                                .input_path = ace_server_input_path,
                                .latents_path = ace_server_latents_path,
                                .adapter_path = ace_server_adapter_path,
                                .changed = ace_http_wake};
    return ace_jobs_open(&options, &s->shared.jobs, err);
}

static ace_status start_http(acestep_server *s, ace_error *err)
{
    const ace_server_options *o = &s->options;
    ace_http_config config = {.host = o->host,
                              .port = (int)o->port,
                              .tables = ace_server_tables,
                              .page = true,
                              .folder = s->folder,
                              .max_upload = (uint64_t)o->max_upload * 1000000,
                              .keys = o->api_key,
                              .key_file = o->api_key_file,
                              .origins = o->cors,
                              .hosts = o->allowed_host};
    return ace_http_start(&config, &s->shared, err);
}

/* "[::1]", as addresses of the web have it, is ::1. */
static void take_off_brackets(char *host)
{
    size_t length = strlen(host);
    if (length > 2 && host[0] == '[' && host[length - 1] == ']') {
        memmove(host, host + 1, length - 2);
        host[length - 2] = '\0';
    }
}

/* Whoever can reach the server can have it make songs, and read those of others. */
static ace_status check_exposure(const ace_server_options *o, ace_error *err)
{
    bool has_keys = o->api_key[0] != '\0' || o->api_key_file[0] != '\0';
    if (has_keys || o->no_auth || ace_http_is_loopback(o->host)) {
        return ACESTEP_OK;
    }
    return ace_fail(err, ACESTEP_ARGUMENT,
                    "--host %s: other machines can reach that; --api-key KEY asks them for a key, "
                    "--no-auth lets everybody in",
                    o->host);
}

static void wake_readers(void *server)
{
    ace_http_wake(server);
}

static ace_status start(acestep_server *s, const acestep_request *defaults, ace_error *err)
{
    ace_status status = check_exposure(&s->options, err);
    if (status == ACESTEP_OK) {
        status = ace_settings_create(defaults, &s->shared.settings, err);
    }
    if (status == ACESTEP_OK) {
        status = make_folders(s, err);
    }
    if (status == ACESTEP_OK) {
        status = open_jobs(s, err);
    }
    if (status == ACESTEP_OK) {
        status = ace_downloads_open(&s->shared, &s->shared.downloads, err);
    }
    if (status == ACESTEP_OK) {
        status = ace_log_tail_create(wake_readers, &s->shared, &s->shared.log, err);
    }
    if (status == ACESTEP_OK) {
        status = start_http(s, err);
    }
    if (status == ACESTEP_OK) {
        ace_log_tail_start(s->shared.log); /* its lines wake the HTTP server's streams */
    }
    /* the worker last: it reports to the HTTP server */
    return status == ACESTEP_OK ? ace_jobs_start(s->shared.jobs, err) : status;
}

acestep_status acestep_server_start(const acestep_server_options *options,
                                    const acestep_request *defaults, acestep_server **out,
                                    acestep_error *err)
{
    ace_error own = {.code = ACESTEP_OK};
    acestep_server *s = ace_calloc(1, sizeof *s);
    *out = NULL;
    ace_status status =
        s != NULL ? ace_server_options_copy((const ace_server_options *)options, &s->options, &own)
                  : ace_fail(&own, ACESTEP_MEMORY, "server: no host memory");
    if (status == ACESTEP_OK) {
        struct timespec now;
        (void)clock_gettime(CLOCK_REALTIME, &now);
        s->shared.started = (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
        s->shared.options = &s->options;
        take_off_brackets(s->options.host);
        status = start(s, defaults, &own);
    }
    if (status != ACESTEP_OK) {
        acestep_server_stop(s);
        if (err != NULL) {
            err->code = own.code;
            (void)snprintf(err->message, sizeof err->message, "%s", own.message);
        }
        return status;
    }
    *out = s;
    return ACESTEP_OK;
}

const char *acestep_server_address(const acestep_server *server)
{
    return ace_http_address(server->shared.http);
}

const char *acestep_server_data_folder(const acestep_server *server)
{
    return server->folder;
}

void acestep_server_stop(acestep_server *server)
{
    if (server == NULL) {
        return;
    }
    /* Clients hear how the running job ends; then they are let go; then what handlers used may go. */
    if (server->shared.http != NULL) {
        ace_jobs_stop(server->shared.jobs, server->options.grace);
        ace_log_tail_end(server->shared.log);
        ace_http_stop(server->shared.http);
    }
    ace_log_tail_free(server->shared.log);
    ace_downloads_close(server->shared.downloads);
    ace_jobs_close(server->shared.jobs);
    ace_settings_free(server->shared.settings);
    ace_server_options_release(&server->options);
    ace_free(server->folder);
    ace_free(server);
}
