/* The machine that a request asks for: what the hardware layer finds, and the plug-in for a card.
 */
#ifndef ACE_RUN_CARD_H
#define ACE_RUN_CARD_H

#include "device/plugin.h"
#include "hardware/hardware.h"
#include "run/request.h"

/* problem: NULL, or why the card that was found before cannot be used: it is then looked for no
 * more. *plugin: NULL unless hardware.device is ACE_DEVICE_CUDA. Never fails. */
void ace_card_detect(const ace_request *r, const ace_error *problem, ace_hardware *hardware,
                     const ace_plugin **plugin);

/* The card's device, whose host side works with the threads of the pool. */
ace_status ace_card_open(const ace_request *r, const ace_hardware *hardware,
                         const ace_plugin *plugin, ace_pool *pool, ace_device **out,
                         ace_error *err);

/* Cards with the same number compute the same numbers; no CPU has it. */
int ace_card_numerics(const ace_request *r, const ace_hardware *hardware);

#endif
