/* Downloads of checkpoints that the server makes, one after the other on a thread of their own.
 * What is asked for outlives the process: an unfinished download goes on when the server is started
 * again. */
#ifndef ACE_SERVER_DOWNLOADS_H
#define ACE_SERVER_DOWNLOADS_H

#include "server/server.h"

/* Where they go: the folder of the defaults' option "models", else that of acestep_store_folder.
 * The caller frees with acestep_free. */
char *ace_downloads_folder(ace_server *server, ace_error *err);
/* The language model that this machine is advised to have; "" for none. Freed with ace_free. */
char *ace_downloads_recommended(ace_server *server, ace_error *err);
/* Makes the folder the default of jobs where a song can be made from it and the server has had
 * nothing but the demo: whoever downloads wants to use it. */
void ace_downloads_use(ace_server *server, const char *folder);

/* Reads DATA/downloads.json and starts the thread. */
ace_status ace_downloads_open(ace_server *server, ace_downloads **out, ace_error *err);
/* Stops the running one, which goes on next time. */
void ace_downloads_close(ace_downloads *downloads);

/* names: an array of strings, may be empty; source: NULL for that of the server's
 * environment. *record: as below. ARGUMENT for
 * unknown names and sources, BUSY when too many wait. */
ace_status ace_downloads_add(ace_downloads *downloads, json_t *names, const char *source,
                             bool force, json_t **record, ace_error *err);

/* {"id", "status": "queued", "running", "done", "failed" or "cancelled", "sets", "source", "force",
 * "created", "started", "finished", "progress": {"set", "file", "note", "done", "total",
 * "fraction", "bytes_per_second", "eta_seconds"}, "result", "error"}; the newest first. */
json_t *ace_downloads_list(ace_downloads *downloads);
json_t *ace_downloads_show(ace_downloads *downloads, const char *id); /* NULL: there is none */

/* Cancels a waiting or running one, forgets another. Its record, NULL where there is none. */
json_t *ace_downloads_remove(ace_downloads *downloads, const char *id);

#endif
