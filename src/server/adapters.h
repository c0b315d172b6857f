/* Adapters that jobs may name: those that clients have sent, in DATA/adapters/, and those in the
 * folders of --adapters. A name is that of a safetensors file without its ending, or of PEFT's
 * folder; of two with one name the first counts, those that were sent before the others. */
#ifndef ACE_SERVER_ADAPTERS_H
#define ACE_SERVER_ADAPTERS_H

#include "server/server.h"

/* Of a name: these have a meaning in lists of adapters or in paths. */
#define ACE_ADAPTER_NAME_RULE                                                                      \
    "an adapter's name has 1 to 100 bytes, begins with no dot and has no / , : or control "        \
    "character in it"
bool ace_adapter_name_is_good(const char *name);

/* [{"name", "uploaded", "bytes", "changed", "error": null or why it cannot be used, and what
 * acestep_adapter_json says of it}], by name. Reads the head of every file. */
json_t *ace_adapters_list(ace_server *server);
/* One of them; NULL when there is none. */
json_t *ace_adapters_record(ace_server *server, const char *name);

/* Takes file number `model` of the request, and `config` (adapter_config.json) where it is not
 * negative. ARGUMENT for a bad name, BUSY for one that is there already; MODEL or UNSUPPORTED when
 * it is no adapter: nothing is kept then. */
ace_status ace_adapters_take(ace_server *server, ace_http_request *request, const char *name,
                             int model, int config, ace_error *err);

typedef enum ace_adapter_removal {
    ACE_ADAPTER_REMOVED,
    ACE_ADAPTER_UNKNOWN,
    ACE_ADAPTER_NOT_OURS /* it lies in a folder of --adapters */
} ace_adapter_removal;

ace_adapter_removal ace_adapters_remove(ace_server *server, const char *name);

#endif
