#include "server/peer_routes.h"

#include "server/server.h"

#include <stddef.h>

enum {
    READ = ACE_RIGHT_READ,
    MAKE = ACE_RIGHT_GENERATE,
    UPLOADS = ACE_ROUTE_SLOW | ACE_ROUTE_FILES,
    WITH_AUDIO = 64 << 20 /* base64 within JSON */
};

const ace_http_route ace_peer_routes[] = {
    {"POST", "/lm", ace_peer_lm, MAKE, UPLOADS, 0},
    {"POST", "/synth", ace_peer_synth, MAKE, UPLOADS, 0},
    {"POST", "/understand", ace_peer_understand, MAKE, UPLOADS, 0},
    {"POST", "/vae", ace_peer_vae, MAKE, UPLOADS, 0},
    {"GET", "/job", ace_peer_job, READ, ACE_ROUTE_SLOW, 0},
    {"POST", "/job", ace_peer_cancel, MAKE, 0, 0},
    {"GET", "/props", ace_peer_props, READ, ACE_ROUTE_SLOW, 0},
    {"GET", "/logs", ace_peer_logs, READ, 0, 0},
    {"POST", "/api/extra/music/prepare", ace_kobold_prepare, MAKE, ACE_ROUTE_SLOW, 0},
    {"POST", "/api/extra/music/generate", ace_kobold_generate, MAKE, ACE_ROUTE_SLOW, WITH_AUDIO},
    {NULL, NULL, NULL, 0, 0, 0},
};
