#include "acestep/server.h"

#include "server/native_jobs.h"
#include "server/server.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const ace_http_route *const ace_server_tables[] = {ace_native_routes, ace_job_routes,
                                                   ace_store_routes,  ace_reference_routes,
                                                   ace_peer_routes,   NULL};

char *acestep_server_routes_text(void)
{
    char *text = NULL;
    size_t bytes = 0;
    FILE *out = open_memstream(&text, &bytes);
    for (size_t t = 0; out != NULL && ace_server_tables[t] != NULL; t++) {
        for (const ace_http_route *r = ace_server_tables[t]; r->method != NULL; r++) {
            fprintf(out, "%s %s\n", r->method, r->path);
        }
    }
    if (out != NULL) {
        fclose(out);
    }
    return text;
}
