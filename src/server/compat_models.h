/* The checkpoints that a server has, by name. */
#ifndef ACE_SERVER_COMPAT_MODELS_H
#define ACE_SERVER_COMPAT_MODELS_H

#include "server/server.h"

/* {"dit": [names], "lm": [names], "vae": [names], "embedding": [names], "default", "loaded",
 * "loaded_lm", "max_duration": seconds}; default: the one that a song without a wish gets; loaded:
 * "" where none is. NULL when memory is short. */
json_t *ace_compat_models(ace_server *server);

#endif
