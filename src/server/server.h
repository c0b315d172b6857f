/* The state that all handlers share. Made by server.c, valid while handlers run. */
#ifndef ACE_SERVER_SERVER_H
#define ACE_SERVER_SERVER_H

#include "acestep.h"
#include "server/http.h"

typedef struct ace_jobs ace_jobs;                     /* server/jobs.h */
typedef struct ace_downloads ace_downloads;           /* server/downloads.h */
typedef struct ace_http ace_http;                     /* server/http_serve.h */
typedef struct ace_log_tail ace_log_tail;             /* server/log_tail.h */
typedef struct ace_server_options ace_server_options; /* server/server_options.h */
typedef struct ace_settings_store ace_settings_store; /* server/defaults.h */

struct ace_server {
    ace_http *http;
    ace_jobs *jobs;
    const char *data_folder; /* holds jobs.db, results/, uploads/, presets/, adapters/ */
    const ace_server_options *options;
    ace_settings_store *settings;
    ace_downloads *downloads;
    ace_log_tail *log;
    double started; /* unix seconds */
};

/* The tables of routes; each ends with a NULL method. */
extern const ace_http_route ace_native_routes[];
extern const ace_http_route ace_store_routes[];
extern const ace_http_route ace_reference_routes[];
extern const ace_http_route ace_peer_routes[];

/* server_routes.c: those that are served, in the order in which they are tried; ended by NULL. */
extern const ace_http_route *const ace_server_tables[];

/* A file that a request names, such as src_audio: the id of an upload ("u_…"), a song made here ("j_…/0"), or
 * a path within the folders of --allowed-path, links resolved. *out is the real path (ace_free).
 * ARGUMENT for anything else, without telling whether it exists. */
ace_status ace_server_input_path(ace_server *server, const char *named, char **out, ace_error *err);

/* The same for src_latents and reference_latents: the upload is one of latents, and the song has
 * saved its own. */
ace_status ace_server_latents_path(ace_server *server, const char *named, char **out,
                                   ace_error *err);

/* The same for an adapter: one by its name (server/adapters.h), or a path as above. */
ace_status ace_server_adapter_path(ace_server *server, const char *named, char **out,
                                   ace_error *err);

/* A copy of this server's defaults: what --option and PATCH /v1/system have set. The caller frees. */
ace_status ace_server_defaults(ace_server *server, acestep_request **out, ace_error *err);

#endif
