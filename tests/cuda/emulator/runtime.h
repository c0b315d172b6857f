/* Inside of the emulated card. */
#ifndef ACE_EMULATOR_RUNTIME_H
#define ACE_EMULATOR_RUNTIME_H

#include "cuda_runtime_api.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define ACE_EMULATOR_NAME "emulated card (no GPU)"
#define ACE_EMULATOR_PAGE ((size_t)2 << 20)
#define ACE_EMULATOR_CONTEXT ((size_t)300 << 20) /* what a context would take */

/* Of one card, from the environment. */
size_t ace_emulator_total(void);
int ace_emulator_cards(void);
int ace_emulator_capability(void);

#endif
