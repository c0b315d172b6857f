#include "commands.h"

#include "acestep/store.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { LONGEST_REQUEST = 8 << 20 };

int exit_status_of(acestep_status status)
{
    return (int)status; /* the list in acestep/status.h is the list of exit codes */
}

/* Names and values from outside may hold control characters: the message stays one line, and cannot
 * steer the terminal. */
int report_error(const acestep_error *err)
{
    const char *message = err->message[0] != '\0' ? err->message : acestep_status_text(err->code);
    fputs("acestep: ", stderr);
    for (const unsigned char *c = (const unsigned char *)message; *c != '\0'; c++) {
        fputc(*c < 0x20 || *c == 0x7f ? '?' : *c, stderr);
    }
    fputc('\n', stderr);
    return exit_status_of(err->code);
}

static bool take(int *argc, char **argv, const char *name, const char *short_name)
{
    bool found = false;
    int kept = 0;
    for (int i = 0; i < *argc; i++) {
        bool is_value = i > 0 && acestep_option_takes_value(argv[i - 1]);
        if (!is_value && (strcmp(argv[i], name) == 0 || strcmp(argv[i], short_name) == 0)) {
            found = true;
        } else {
            argv[kept++] = argv[i];
        }
    }
    *argc = kept;
    return found;
}

common_switches take_common_switches(int *argc, char **argv)
{
    common_switches s = {
        .json = take(argc, argv, "--json", "--json"),
        .quiet = take(argc, argv, "--quiet", "-q"),
        .verbose = take(argc, argv, "--verbose", "-v"),
        .help = take(argc, argv, "--help", "-h"),
    };
    acestep_set_log_level(s.quiet ? 1 : s.verbose ? 4 : 2);
    return s;
}

static acestep_status read_request_file(acestep_request *request, const char *path,
                                        acestep_error *err)
{
    FILE *f = strcmp(path, "-") == 0 ? stdin : fopen(path, "rb");
    char *text = f != NULL ? malloc(LONGEST_REQUEST) : NULL;
    acestep_status status = ACESTEP_IO;
    if (f == NULL) {
        (void)snprintf(err->message, sizeof err->message, "%s: %s", path, strerror(errno));
    } else if (text == NULL) {
        status = ACESTEP_MEMORY;
        (void)snprintf(err->message, sizeof err->message, "%s: no host memory", path);
    } else {
        size_t bytes = fread(text, 1, LONGEST_REQUEST, f);
        status = acestep_request_set_json(request, text, bytes, err);
    }
    if (f != NULL && f != stdin) {
        fclose(f);
    }
    free(text);
    err->code = status;
    return status;
}

/* Takes "--request FILE" out of the arguments. */
static const char *take_request_path(int *argc, char **argv)
{
    const char *path = NULL;
    int kept = 0;
    for (int i = 0; i < *argc; i++) {
        if (strcmp(argv[i], "--request") == 0 && i + 1 < *argc) {
            path = argv[++i];
        } else {
            argv[kept++] = argv[i];
        }
    }
    *argc = kept;
    return path;
}

acestep_status set_downloaded_models(acestep_request *request, acestep_error *err)
{
    acestep_error unknown = {.code = ACESTEP_OK};
    char *folder = acestep_store_folder(NULL, &unknown);
    acestep_status status = ACESTEP_OK;
    if (folder != NULL && acestep_store_ready(folder)) {
        status = acestep_request_set(request, "models", folder, err);
    }
    acestep_free(folder);
    return status;
}

acestep_request *read_request(int argc, char **argv, int *exit_status)
{
    acestep_error err = {.code = ACESTEP_OK};
    acestep_request *request = NULL;
    const char *path = take_request_path(&argc, argv);
    acestep_status status = acestep_request_create(&request, &err);
    if (status == ACESTEP_OK) {
        status = set_downloaded_models(request, &err);
    }
    if (status == ACESTEP_OK) {
        status = acestep_request_set_environment(request, &err);
    }
    if (status == ACESTEP_OK && path != NULL) {
        status = read_request_file(request, path, &err);
    }
    if (status == ACESTEP_OK) {
        status = acestep_request_set_arguments(request, argc, argv, &err);
    }
    if (status != ACESTEP_OK) {
        *exit_status = report_error(&err);
        acestep_request_free(request);
        return NULL;
    }
    return request;
}

int print_description(int argc, char **argv, description *describe)
{
    int exit_status = 0;
    acestep_request *request = read_request(argc, argv, &exit_status);
    if (request == NULL) {
        return exit_status;
    }
    acestep_error err = {.code = ACESTEP_OK};
    char *text = describe(request, &err);
    if (text == NULL) {
        exit_status = report_error(&err);
    } else {
        printf("%s\n", text);
    }
    acestep_free(text);
    acestep_request_free(request);
    return exit_status;
}
