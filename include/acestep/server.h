/* acestep serve: the engine behind HTTP, with a queue, a history and a page.
 *
 * Strings and errors as in acestep.h. */
#ifndef ACESTEP_SERVER_H
#define ACESTEP_SERVER_H

#include "acestep.h"

#ifdef __cplusplus
extern "C" {
#endif

/* how to serve: address, keys, limits */
typedef struct acestep_server_options acestep_server_options;
/* a server that runs */
typedef struct acestep_server acestep_server;

/* The options of serving, for a terminal and as a table like acestep_options_json's. */
char *acestep_server_options_help(void);
char *acestep_server_options_json(void);

/* Defaults, then the environment (ACESTEP_<NAME>). ARGUMENT. */
acestep_status acestep_server_options_create(acestep_server_options **out, acestep_error *err);
void acestep_server_options_free(acestep_server_options *options);
/* Takes "--port 7860", "--port=7860" and so on out of the arguments; what belongs to songs stays. ARGUMENT. */
acestep_status acestep_server_options_take(acestep_server_options *options, int *argc, char **argv,
                                           acestep_error *err);

/* Serves until acestep_server_stop. What the request asks for becomes the default of every job; models
 * are opened when they are first used. options and defaults are copied. ARGUMENT also for an address
 * that others can reach without a key (no_auth allows that); IO for an address or a data folder that cannot
 * be had; BUSY when another server has the data folder. */
acestep_status acestep_server_start(const acestep_server_options *options,
                                    const acestep_request *defaults, acestep_server **out,
                                    acestep_error *err);
/* "http://127.0.0.1:7860" */
const char *acestep_server_address(const acestep_server *server);
const char *acestep_server_data_folder(const acestep_server *server);
/* Takes no further jobs and gives the running one the time that the option grace says; it is made
 * again at the next start when that is not enough. NULL is fine. */
void acestep_server_stop(acestep_server *server);

/* "GET /v1/params\n…": every route that there is. */
char *acestep_server_routes_text(void);

#ifdef __cplusplus
}
#endif

#endif
