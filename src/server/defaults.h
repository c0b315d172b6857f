/* What every job starts from: the options given on the command line and in the environment, and what PATCH
 * /v1/system has changed since; and what these options mean for the models. */
#ifndef ACE_SERVER_DEFAULTS_H
#define ACE_SERVER_DEFAULTS_H

#include "server/server.h"

/* Keeps a copy of what the request asks for. */
ace_status ace_settings_create(const acestep_request *request, ace_settings_store **out,
                               ace_error *err);
void ace_settings_free(ace_settings_store *settings);

/* Sets the options of the object, null puts one back to its own default. All of it or, with ARGUMENT,
 * nothing. */
ace_status ace_settings_change(ace_settings_store *settings, json_t *changes, ace_error *err);

/* What these defaults open: acestep_engine_json, or NULL with err set where there are no such models. Looked at
 * every few seconds at most. */
json_t *ace_settings_models(ace_settings_store *settings, ace_error *err);

#endif
