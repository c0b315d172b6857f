/* What a client sends: bodies as JSON, as forms and as multipart forms in pieces of any size, targets, names of
 * files. The first byte chooses, the second the size of the pieces. Whatever comes, there is an answer and nothing
 * stays on disk. */
#define _GNU_SOURCE /* mkdtemp, socketpair */
#include "base/memory.h"
#include "server/http_body.h"
#include "server/http_target.h"

#include <dirent.h>
#include <microhttpd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerInitialize(int *argc, char ***argv);

static struct MHD_Connection *with_boundary; /* its headers are all that is used of it */
static char folder[64];

static enum MHD_Result keep(void *cls, struct MHD_Connection *connection, const char *url,
                            const char *method, const char *version, const char *upload,
                            size_t *bytes, void **state)
{
    (void)cls, (void)url, (void)method, (void)version, (void)upload, (void)bytes, (void)state;
    with_boundary = connection;
    return MHD_YES;
}

static void remove_folder(void)
{
    (void)rmdir(folder);
}

/* The library's reader of forms takes the boundary from a connection: one is made, and left as it is. */
int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    (void)argc, (void)argv;
    static const char request[] = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n"
                                  "Content-Type: multipart/form-data; boundary=limit\r\n\r\n";
    int pair[2];
    struct sockaddr_storage nobody = {.ss_family = AF_UNIX};
    struct MHD_Daemon *daemon =
        MHD_start_daemon(MHD_USE_NO_LISTEN_SOCKET, 0, NULL, NULL, keep, NULL, MHD_OPTION_END);
    (void)snprintf(folder, sizeof folder, "/tmp/fuzz-http-XXXXXX");
    if (daemon == NULL || socketpair(AF_UNIX, SOCK_STREAM, 0, pair) != 0 ||
        mkdtemp(folder) == NULL ||
        MHD_add_connection(daemon, pair[0], (struct sockaddr *)&nobody, sizeof nobody) != MHD_YES ||
        write(pair[1], request, sizeof request - 1) < 0) {
        abort();
    }
    for (int i = 0; i < 100 && with_boundary == NULL; i++) {
        (void)MHD_run(daemon);
    }
    if (with_boundary == NULL || atexit(remove_folder) != 0) {
        abort();
    }
    return 0;
}

static void expect_nothing_left(void)
{
    DIR *d = opendir(folder);
    for (struct dirent *e; (e = readdir(d)) != NULL;) {
        if (e->d_name[0] != '.') {
            abort();
        }
    }
    closedir(d);
}

static void read_body(const char *type, const uint8_t *data, size_t size, size_t piece)
{
    ace_http_body_limits limits = {
        .spool = folder, .text_bytes = 4096, .file_bytes = 4096, .files = true, .raw = true};
    ace_http_body *body = ace_http_body_open(with_boundary, type, &limits);
    if (body == NULL) {
        abort();
    }
    for (size_t i = 0; i < size; i += piece) {
        ace_http_body_add(body, (const char *)data + i, size - i < piece ? size - i : piece);
    }
    json_t *json = NULL;
    const ace_http_file *files = NULL;
    size_t n = 0;
    if (!ace_http_body_finish(body, &json, &files, &n)) {
        const ace_http_body_failure *failure = ace_http_body_failed(body);
        if (failure->status < 400 || failure->message[0] == '\0' || failure->code == NULL) {
            abort();
        }
    } else {
        for (size_t i = 0; i < n; i++) {
            if (strchr(files[i].name, '/') != NULL || access(files[i].path, R_OK) != 0) {
                abort();
            }
        }
    }
    ace_http_body_close(body);
    expect_nothing_left();
}

static void read_target(const uint8_t *data, size_t size)
{
    char *text = malloc(size + 1);
    ace_http_target target;
    ace_error err = {.code = ACESTEP_OK};
    memcpy(text, data, size);
    text[size] = '\0';
    if (ace_http_target_parse(text, &target, &err) != ACESTEP_OK && err.message[0] == '\0') {
        abort();
    }
    ace_http_target_free(&target);
    char *name = ace_http_file_name(text);
    if (name == NULL || name[0] == '\0' || strchr(name, '/') != NULL || strcmp(name, "..") == 0) {
        abort();
    }
    ace_free(name);
    free(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 2) {
        return 0;
    }
    size_t piece = data[1] == 0 ? size : data[1];
    switch (data[0] % 4) {
    case 0:
        read_body("application/json", data + 2, size - 2, piece);
        break;
    case 1:
        read_body("multipart/form-data; boundary=limit", data + 2, size - 2, piece);
        break;
    case 2:
        read_body("audio/flac", data + 2, size - 2, piece);
        break;
    case 3:
        read_target(data + 2, size - 2);
        break;
    }
    return 0;
}
