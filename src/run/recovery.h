/* A card that fails. A sticky error of its driver ends the job at hand, and with it everything that
 * was on the card; the next job finds the device opened anew, or runs without a card where that
 * fails. */
#ifndef ACE_RUN_RECOVERY_H
#define ACE_RUN_RECOVERY_H

#include "run/workshop.h"

/* After a job: notices that the card is lost, and keeps why. */
void ace_workshop_look(ace_workshop *w);

/* Before a job: closes a lost card and opens it anew, by the options that the workshop was opened
 * with. Where it cannot be opened, jobs run as without a card, with warning W14, and it is tried
 * again for a job that comes half a minute later or more. Fails only where no device can be opened
 * at all. */
ace_status ace_workshop_recover(ace_workshop *w, const ace_request *r, ace_error *err);

/* The same at once, lost or not. */
ace_status ace_workshop_reopen(ace_workshop *w, const ace_request *r, ace_error *err);

/* "ok"; "lost": until the next job; "fallback": jobs run without it. */
const char *ace_card_health_state(const ace_workshop *w);

#endif
