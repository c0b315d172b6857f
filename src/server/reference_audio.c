/* GET /v1/audio?path=: a song's file. To clients the path is opaque; here it is "ID/INDEX.ending".
 */
#include "base/memory.h"
#include "server/compat_jobs.h"
#include "server/media_type.h"
#include "server/reference_result.h"
#include "server/reference_routes.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* False for anything but ID/INDEX or ID/INDEX.ending. */
static bool read_path(const char *path, char id[ACE_JOB_ID_BYTES], int *index)
{
    size_t n = strcspn(path, "/");
    const char *digits = path + n + (path[n] == '/' ? 1 : 0);
    size_t n_digits = strspn(digits, "0123456789");
    const char *rest = digits + n_digits;
    if (strncmp(path, "j_", 2) != 0 || n >= ACE_JOB_ID_BYTES || path[n] != '/' || n_digits == 0 ||
        n_digits > 2 || (rest[0] != '\0' && rest[0] != '.') || strchr(rest, '/') != NULL) {
        return false;
    }
    memcpy(id, path, n);
    id[n] = '\0';
    *index = atoi(digits);
    return true;
}

void ace_reference_audio(ace_http_request *request, ace_server *server)
{
    const char *path = ace_http_query(request, "path");
    char id[ACE_JOB_ID_BYTES];
    int index = 0;
    char *file = NULL;
    if (path == NULL || path[0] == '\0') {
        ace_http_reply_error(request, 400, "bad_value", "path", NULL, "path: missing");
        return;
    }
    if (!read_path(path, id, &index)) {
        ace_http_reply_error(request, 403, "not_allowed", "path",
                             "take the address from the job's result", "path: not a song's");
        return;
    }
    if (ace_jobs_file(server->jobs, id, index, ACE_JOB_AUDIO, &file, NULL) != ACESTEP_OK) {
        ace_http_reply_error(request, 404, "not_found", "path", NULL, "path: no such song");
        return;
    }
    const char *name = strrchr(file, '/') != NULL ? strrchr(file, '/') + 1 : file;
    bool save = ace_http_query_flag(request, "download");
    ace_http_reply_file(request, file, ace_media_type(name), save ? name : NULL);
    ace_free(file);
}
