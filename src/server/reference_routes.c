#include "server/reference_routes.h"

#include "server/server.h"

#include <stddef.h>

enum {
    READ = ACE_RIGHT_READ,
    MAKE = ACE_RIGHT_GENERATE,
    ADMIN = ACE_RIGHT_ADMIN,
    SLOW = ACE_ROUTE_SLOW | ACE_ROUTE_TOKEN,
    UPLOADS = ACE_ROUTE_SLOW | ACE_ROUTE_TOKEN | ACE_ROUTE_FILES,
    WITH_AUDIO = 64 << 20 /* base64 within JSON */
};

/* Training is another program's business: this one makes songs. */
static void no_training(ace_http_request *request, ace_server *server)
{
    (void)server;
    ace_http_reply_error(request, 501, "not_implemented", NULL,
                         "train with the original, then load the adapter here",
                         "data sets and training are not part of this server");
}

const ace_http_route ace_reference_routes[] = {
    {"POST", "/release_task", ace_reference_release_task, MAKE, UPLOADS, 0},
    {"POST", "/query_result", ace_reference_query_result, READ, ACE_ROUTE_TOKEN, 0},
    {"POST", "/cancel_task", ace_reference_cancel_task, MAKE, ACE_ROUTE_TOKEN, 0},
    {"POST", "/format_input", ace_reference_format_input, MAKE, SLOW, 0},
    {"POST", "/create_random_sample", ace_reference_random_sample, READ, ACE_ROUTE_TOKEN, 0},
    {"POST", "/v1/create_sample", ace_reference_create_sample, MAKE, SLOW, 0},
    {"GET", "/v1/audio", ace_reference_audio, READ, ACE_ROUTE_SIGNED, 0},
    {"GET", "/v1/models", ace_reference_models, READ, ACE_ROUTE_SLOW, 0},
    {"GET", "/v1/model_inventory", ace_reference_inventory, READ, ACE_ROUTE_SLOW, 0},
    {"POST", "/v1/init", ace_reference_init, ADMIN, SLOW, 0},
    {"POST", "/v1/models/switch", ace_reference_init, ADMIN, SLOW, 0},
    {"POST", "/v1/reinitialize", ace_reference_reinitialize, ADMIN, SLOW, 0},
    {"GET", "/v1/stats", ace_reference_statistics, READ, 0, 0},
    {"GET", "/v1/lora/status", ace_reference_lora_status, READ, 0, 0},
    {"POST", "/v1/lora/{what}", ace_reference_lora, ADMIN, SLOW, 0},
    {"POST", "/v1/chat/completions", ace_reference_chat, MAKE, SLOW, WITH_AUDIO},
    {"POST", "/v1/audio/music", ace_reference_music, MAKE, SLOW, 0},
    {"POST", "/v1/audio/music/generations", ace_reference_music, MAKE, SLOW, 0},
    {"GET", "/v1/dataset/{what}", no_training, READ, 0, 0},
    {"POST", "/v1/dataset/{what}", no_training, READ, ACE_ROUTE_TOKEN, 0},
    {"GET", "/v1/training/{what}", no_training, READ, 0, 0},
    {"POST", "/v1/training/{what}", no_training, READ, ACE_ROUTE_TOKEN, 0},
    {NULL, NULL, NULL, 0, 0, 0},
};
