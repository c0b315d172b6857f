/* The options of serving. From these rows come the struct, the command line, the environment
 * (ACESTEP_<NAME>), the help and the table of GET /v1/params.
 *
 * TEXT(field, default, aliases, help)
 * INT (field, default, minimum, maximum, aliases, help)
 * REAL(field, default, minimum, maximum, aliases, help)
 * FLAG(field, aliases, help)                                 off by default */
#ifndef ACE_SERVER_SERVER_OPTIONS_H
#define ACE_SERVER_SERVER_OPTIONS_H

#include "base/status.h"

#include <stdbool.h>
#include <stdint.h>

#define ACE_SERVER_OPTIONS(FLAG, INT, REAL, TEXT)                                                  \
    TEXT(host, "127.0.0.1", "api_host,server_name",                                                \
         "address to listen at; 0.0.0.0 or :: for all of this machine")                            \
    INT(port, 7860, 0, 65535, "api_port", "0: any that is free")                                   \
    TEXT(api_key, "", "", "keys that may do everything, with commas between them")                 \
    TEXT(api_key_file, "", "", "file with a key and its rights (read,generate,admin) to a line")   \
    FLAG(no_auth, "", "let everybody in who can reach the address, without a key")                 \
    TEXT(allowed_host, "", "", "further names of this server, with commas between them")           \
    TEXT(cors, "", "", "origins whose pages may call this server, with commas between them, or *") \
    TEXT(allowed_path, "", "",                                                                     \
         "folders whose audio files a request may name, with : between them")                      \
    TEXT(adapters, "", "adapter_dir,lora_dir",                                                     \
         "folders with adapters that requests may name, with : between them")                      \
    TEXT(data_dir, "", "",                                                                         \
         "jobs, songs and uploads; empty: XDG_DATA_HOME/acestep, else "                            \
         "~/.local/share/acestep")                                                                 \
    INT(max_upload, 512, 1, 1048576, "", "MB of files in one request")                             \
    INT(queue_limit, 200, 1, 100000, "queue_maxsize", "jobs that may wait")                        \
    REAL(keep_days, 0, 0, 36500, "", "days that finished jobs are kept; 0: for ever")              \
    INT(keep_count, 0, 0, 1000000000, "", "finished jobs that are kept; 0: all")                   \
    REAL(keep_bytes, 0, 0, 1e18, "", "bytes of songs that are kept; 0: all")                       \
    REAL(idle_unload, 0, 0, 1e9, "",                                                               \
         "seconds without a job after which models leave memory; 0: "                              \
         "never")                                                                                  \
    REAL(grace, 10, 0, 86400, "", "seconds that a running job gets when the server is stopped")

#define ACE_SERVER_FLAG(field, ...) bool field;
#define ACE_SERVER_INT(field, ...) int64_t field;
#define ACE_SERVER_REAL(field, ...) double field;
#define ACE_SERVER_TEXT(field, ...) char *field; /* owned, never NULL */

typedef struct ace_server_options {
    ACE_SERVER_OPTIONS(ACE_SERVER_FLAG, ACE_SERVER_INT, ACE_SERVER_REAL, ACE_SERVER_TEXT)
} ace_server_options;

ace_status ace_server_options_init(ace_server_options *o, ace_error *err); /* the defaults */
ace_status ace_server_options_copy(const ace_server_options *from, ace_server_options *to,
                                   ace_error *err);
void ace_server_options_release(ace_server_options *o);

/* ARGUMENT for an unknown name and for a value out of range. */
ace_status ace_server_options_set(ace_server_options *o, const char *name, const char *value,
                                  ace_error *err);

#endif
