/* The page: files that are part of the program. */
#include "server/http_core.h"
#include "server/page.h"

#include <stdio.h>
#include <string.h>

/* The page brings everything with it, scripts and styles as files of their own. */
static const char policy[] =
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
    "media-src 'self' blob:; img-src 'self' data: blob:; font-src 'self'; manifest-src 'self'; "
    "worker-src 'self'; base-uri 'none'; frame-ancestors 'none'; form-action 'self'";

static bool takes_gzip(const ace_http_request *request)
{
    const char *accepted = ace_http_header(request, "Accept-Encoding");
    const char *gzip = accepted != NULL ? strstr(accepted, "gzip") : NULL;
    if (gzip == NULL) {
        return false;
    }
    gzip += strlen("gzip");
    gzip += strspn(gzip, " ;");
    return strncmp(gzip, "q=0", 3) != 0 ||
           (gzip[3] == '.' && strcspn(gzip + 4, "123456789") < strcspn(gzip + 4, ","));
}

static void reply_with(ace_http_exchange *x, const ace_page_file *file)
{
    ace_http_request *request = &x->request;
    ace_http_answer *answer = &x->answer;
    bool gzip = file->gzip_size > 0 && takes_gzip(request);
    char etag[96];
    /* the two forms are different bytes and need different names */
    (void)snprintf(etag, sizeof etag, "\"%.64s%s\"", file->hash, gzip ? "-gzip" : "");
    ace_http_reply_header(request, "ETag", etag);
    ace_http_reply_header(request, "Cache-Control", "no-cache");
    ace_http_reply_header(request, "Vary", "Accept-Encoding");
    ace_http_reply_header(request, "Content-Security-Policy", policy);
    const char *seen = ace_http_header(request, "If-None-Match");
    answer->kind = ACE_ANSWER_BYTES;
    answer->status = 304;
    if (seen != NULL && ace_http_etag_matches(seen, etag)) {
        return;
    }
    answer->status = 200;
    ace_http_reply_header(request, "Content-Type", file->content_type);
    if (gzip) {
        ace_http_reply_header(request, "Content-Encoding", "gzip");
    }
    answer->bytes = (void *)(uintptr_t)(gzip ? file->gzip : file->bytes);
    answer->n = gzip ? file->gzip_size : file->size;
}

bool ace_http_page_reply(ace_http_exchange *x)
{
    size_t count = 0;
    const ace_page_file *files = ace_page_files(&count);
    const char *name = x->target.path;
    bool root = strcmp(name, "/") == 0;
    if (root && count == 0) {
        ace_http_reply_text(&x->request, 200, "text/plain; charset=utf-8",
                            "acestep serves its API here; the page is not part of this build, "
                            "which was made without Node.js.\n"
                            "GET /openapi.json describes the API.\n");
        return true;
    }
    name = root ? "index.html" : name + (name[0] == '/');
    for (size_t i = 0; i < count; i++) {
        if (strcmp(files[i].path, name) == 0) {
            reply_with(x, &files[i]);
            return true;
        }
    }
    return false;
}
