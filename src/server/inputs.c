/* Files that requests name. */
#define _DEFAULT_SOURCE /* realpath */
#include "base/memory.h"
#include "server/jobs.h"
#include "server/server.h"
#include "server/server_options.h"
#include "server/uploads.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool lies_in(const char *path, const char *folder)
{
    char real[PATH_MAX];
    if (realpath(folder, real) == NULL) {
        return false;
    }
    size_t n = strlen(real);
    return strncmp(path, real, n) == 0 && (path[n] == '/' || (n == 1 && real[0] == '/'));
}

/* The real path within one of the folders "a:b:c", else NULL. */
static char *allowed_path(const char *folders, const char *named)
{
    char real[PATH_MAX];
    char folder[PATH_MAX];
    if (named[0] != '/' || realpath(named, real) == NULL) {
        return NULL;
    }
    for (const char *at = folders; *at != '\0';) {
        size_t n = strcspn(at, ":");
        (void)snprintf(folder, sizeof folder, "%.*s", (int)(n < PATH_MAX ? n : 0), at);
        if (n > 0 && lies_in(real, folder)) {
            return ace_strdup(real);
        }
        at += n + (at[n] == ':');
    }
    return NULL;
}

/* "j_…/0" */
static char *song_path(ace_server *server, const char *named, ace_job_file file)
{
    char id[ACE_JOB_ID_BYTES];
    size_t n = strcspn(named, "/");
    char *end = NULL;
    char *path = NULL;
    if (n >= sizeof id || named[n] != '/' || named[n + 1] < '0' || named[n + 1] > '9') {
        return NULL;
    }
    (void)snprintf(id, sizeof id, "%.*s", (int)n, named);
    long item = strtol(named + n + 1, &end, 10);
    if (*end != '\0' || item > 1000) {
        return NULL;
    }
    ace_error err = {.code = ACESTEP_OK};
    return ace_jobs_file(server->jobs, id, (int)item, file, &path, &err) == ACESTEP_OK ? path
                                                                                       : NULL;
}

ace_status ace_server_input_path(ace_server *server, const char *named, char **out, ace_error *err)
{
    *out = strncmp(named, "u_", 2) == 0   ? ace_upload_path(server, named)
           : strncmp(named, "j_", 2) == 0 ? song_path(server, named, ACE_JOB_AUDIO)
                                          : allowed_path(server->options->allowed_path, named);
    return *out != NULL
               ? ACESTEP_OK
               : ace_fail(err, ACESTEP_ARGUMENT,
                          "\"%.200s\": no upload, no song made here and no file that this server "
                          "may read; POST /v1/uploads takes files, --allowed-path names folders",
                          named);
}

ace_status ace_server_latents_path(ace_server *server, const char *named, char **out,
                                   ace_error *err)
{
    *out = strncmp(named, "u_", 2) == 0   ? ace_upload_latents_path(server, named)
           : strncmp(named, "j_", 2) == 0 ? song_path(server, named, ACE_JOB_LATENTS)
                                          : allowed_path(server->options->allowed_path, named);
    return *out != NULL
               ? ACESTEP_OK
               : ace_fail(err, ACESTEP_ARGUMENT,
                          "\"%.200s\": no upload of latents, no song whose latents were saved and "
                          "no file that this server may read",
                          named);
}
