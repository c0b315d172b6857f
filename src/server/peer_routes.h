/* Handlers of acestep.cpp's server, and of the two of KoboldCpp that speak its language. */
#ifndef ACE_SERVER_PEER_ROUTES_H
#define ACE_SERVER_PEER_ROUTES_H

#include "server/http.h"
#include "server/jobs.h"

/* peer_jobs.c */
ace_http_handler ace_peer_lm;
ace_http_handler ace_peer_synth;
ace_http_handler ace_peer_understand;
ace_http_handler ace_peer_vae;
/* peer_results.c */
ace_http_handler ace_peer_job;
ace_http_handler ace_peer_cancel;
/* peer_props.c */
ace_http_handler ace_peer_props;
/* peer_logs.c */
ace_http_handler ace_peer_logs;
/* peer_kobold.c */
ace_http_handler ace_kobold_prepare;
ace_http_handler ace_kobold_generate;

/* {"error": text} */
void ace_peer_reply_error(ace_http_request *request, int status, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

enum { ACE_PEER_SONGS = 9 }; /* requests in one call; their ids stand in one, commas between */

/* What the language model made of a request, in its own words: what was asked with what is new. */
json_t *ace_peer_enriched(const json_t *record);

/* A wish for words by the request's lm_mode. ARGUMENT as ace_compat_read. */
struct ace_compat_request;
ace_status ace_peer_read_words(json_t *body, struct ace_compat_request *out, ace_error *err);

#endif
