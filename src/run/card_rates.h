/* How fast a card has been at the stages of a song, as `acestep bench` has measured it: kept in the
 * cache's folder, one file to a card, and asked for when a plan says how long the job will take. */
#ifndef ACE_RUN_CARD_RATES_H
#define ACE_RUN_CARD_RATES_H

#include "run/bench.h"
#include "run/pipeline.h"

#define ACE_RATES_FOLDER "rates" /* below the cache's folder */
#define ACE_RATES_SUFFIX ".json"

/* Adds what has been measured on a card to what is known of it. A failure is logged: the results of
 * the bench do not depend on it. */
void ace_card_rates_keep(const char *cache, const ace_bench *bench);

/* Seconds that the job will take on the card, loading included; 0 where one of its stages has not
 * been measured there with such weights, or runs elsewhere. */
double ace_card_rates_seconds(const char *cache, const ace_workshop *w, const ace_job *job,
                              const ace_stage_log *log);

#endif
