#include "run/recovery.h"

#include "base/clock.h"
#include "base/log.h"

#include <stdio.h>
#include <string.h>

/* Opening a card that stays broken takes seconds, and the driver rarely changes its mind. */
static const double RETRY_SECONDS = 30;

const char *ace_card_health_state(const ace_workshop *w)
{
    if (!w->health.lost) {
        return "ok";
    }
    return w->card != NULL ? "lost" : "fallback";
}

/* A lost device refuses everything, and says why. */
static void ask_cause(ace_device *card, char *cause, size_t room)
{
    ace_error why = {.code = ACESTEP_OK};
    uint64_t addr = 0;
    if (card->ops->reserve(card, 1, &addr, &why) == ACESTEP_OK) {
        card->ops->release(card, addr, 1);
    }
    (void)snprintf(cause, room, "%s", why.message[0] != '\0' ? why.message : "the card has failed");
}

void ace_workshop_look(ace_workshop *w)
{
    ace_card_health *h = &w->health;
    if (w->card != NULL && !h->lost && ace_device_is_lost(w->card)) {
        h->lost = true;
        h->losses++;
        h->tried = 0;
        ask_cause(w->card, h->cause, sizeof h->cause);
    }
}

/* The ledger's file goes on where it was. */
static ace_status open_anew(ace_workshop *w, const ace_request *r, ace_error *err)
{
    FILE *trace = w->residency.ledger.trace;
    double started = w->residency.ledger.started;
    w->residency.ledger.trace = NULL;
    ace_workshop_close_device(w);
    ace_status status = ace_workshop_open_device(r, w, err);
    if (status != ACESTEP_OK) {
        ace_workshop_close_device(w);
    }
    w->residency.ledger.trace = trace;
    w->residency.ledger.started = started;
    return status;
}

/* What has been warned of already where the plug-in refused; else the card is not even found. */
static void note_problem(ace_workshop *w)
{
    ace_card_health *h = &w->health;
    ace_warn(&w->warnings, "W14", "device", "cuda", ace_device_kind_name(w->hardware.device),
             "the card has failed and is not found any more");
    for (int i = 0; i < w->warnings.count; i++) {
        if (strcmp(w->warnings.item[i].id, "W14") == 0) {
            (void)snprintf(h->problem, sizeof h->problem, "%s", w->warnings.item[i].reason);
        }
    }
}

ace_status ace_workshop_reopen(ace_workshop *w, const ace_request *r, ace_error *err)
{
    ace_card_health *h = &w->health;
    ace_workshop_look(w);
    h->lost = h->lost || w->card != NULL;
    h->tried = ace_clock_seconds();
    ace_status status = open_anew(w, r, err);
    if (w->card != NULL) {
        h->lost = false;
        h->reopened++;
        h->problem[0] = '\0';
    } else if (status == ACESTEP_OK && h->lost) {
        note_problem(w);
    }
    return status;
}

ace_status ace_workshop_recover(ace_workshop *w, const ace_request *r, ace_error *err)
{
    ace_card_health *h = &w->health;
    ace_workshop_look(w);
    bool runs_without = w->card == NULL && w->device != NULL;
    if (!h->lost || (runs_without && ace_clock_seconds() - h->tried < RETRY_SECONDS)) {
        return ACESTEP_OK;
    }
    ace_status status = ace_workshop_reopen(w, r, err);
    if (!h->lost) {
        ace_log(ACE_LOG_WARNING, "device", "the card was opened anew after: %s", h->cause);
    }
    return status;
}
