/* Handlers of the original's API server, by file. */
#ifndef ACE_SERVER_REFERENCE_ROUTES_H
#define ACE_SERVER_REFERENCE_ROUTES_H

#include "server/http.h"

/* reference_tasks.c */
ace_http_handler ace_reference_release_task;
ace_http_handler ace_reference_query_result;
ace_http_handler ace_reference_cancel_task;
/* reference_audio.c */
ace_http_handler ace_reference_audio;
/* reference_words.c */
ace_http_handler ace_reference_format_input;
ace_http_handler ace_reference_create_sample;
ace_http_handler ace_reference_random_sample;
/* reference_models.c */
ace_http_handler ace_reference_models;
ace_http_handler ace_reference_inventory;
ace_http_handler ace_reference_init;
ace_http_handler ace_reference_reinitialize;
ace_http_handler ace_reference_statistics;
/* reference_lora.c */
ace_http_handler ace_reference_lora;
ace_http_handler ace_reference_lora_status;
/* reference_chat.c */
ace_http_handler ace_reference_chat;
/* reference_music.c */
ace_http_handler ace_reference_music;

#endif
