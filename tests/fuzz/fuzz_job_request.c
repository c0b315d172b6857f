/* What clients ask for: any object becomes a job's request or one error. A request that is taken
 * has no place on the disk in it, its seeds are numbers once it starts, and they stay as they are
 * then. */
#include "base/memory.h"
#include "server/jobs_state.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static ace_status resolve(ace_server *server, const char *named, char **out, ace_error *err)
{
    (void)server;
    *out = strncmp(named, "u_", 2) == 0 ? ace_strdup("/uploads/file") : NULL;
    return *out != NULL ? ACESTEP_OK
                        : ace_fail(err, ACESTEP_ARGUMENT, "\"%.200s\": no upload", named);
}

static void check_places(const json_t *asked)
{
    static const char *const names[] = {"output", "trace",  "trace_mem", "gpu_tiers",
                                        "genres", "models", "plugin_dir"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        const char *text = json_string_value(json_object_get(asked, names[i]));
        if (text != NULL && text[0] != '\0') {
            abort();
        }
    }
}

static void check_seeds(json_t *asked)
{
    ace_jobs_entry entry = {.request = asked, .params = json_object()};
    if (ace_jobs_fix_seeds(&entry, NULL) == ACESTEP_OK) {
        const char *seeds = json_string_value(json_object_get(asked, "seed"));
        char *before = ace_strdup(seeds != NULL ? seeds : "");
        if (ace_jobs_fix_seeds(&entry, NULL) != ACESTEP_OK ||
            (seeds != NULL &&
             strcmp(before, json_string_value(json_object_get(asked, "seed"))) != 0)) {
            abort();
        }
        ace_free(before);
    }
    json_decref(entry.params);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static ace_jobs jobs = {.options = {.input_path = resolve}};
    json_t *asked = NULL;
    ace_error err = {.code = ACESTEP_OK};
    json_t *params = size > 0 ? json_loadb((const char *)data + 1, size - 1, 0, NULL) : NULL;
    if (json_is_object(params)) {
        const ace_job_wish wish = {.kind = (ace_job_kind)(data[0] % ACE_JOB_KINDS),
                                   .params = params};
        if (ace_jobs_request_make(&jobs, &wish, &asked, &err) == ACESTEP_OK) {
            check_places(asked);
            check_seeds(asked);
        } else if (err.message[0] == '\0' || asked != NULL) {
            abort();
        }
    }
    json_decref(asked);
    json_decref(params);
    return 0;
}
