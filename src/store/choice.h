/* What the public functions share. */
#ifndef ACE_STORE_CHOICE_H
#define ACE_STORE_CHOICE_H

#include "acestep/store.h"
#include "store/catalogue.h"

#include <jansson.h>

_Static_assert(sizeof(acestep_error) == sizeof(ace_error), "the public error is the inner one");

static inline ace_error *ace_store_error(acestep_error *err)
{
    if (err != NULL) {
        err->code = ACESTEP_OK;
        err->message[0] = '\0';
    }
    return (ace_error *)err;
}

/* Takes over root; MEMORY where it is NULL. */
ace_status ace_store_dump(json_t *root, char **text, ace_error *err);

/* The sets that these names come to; without names the turbo model with the recommended language
 * model (NULL, "": none). What diffusion models need comes with them unless `alone`. */
ace_status ace_store_choose_all(ace_store_choice *choice, const char *const *names, size_t n,
                                const char *recommended_lm, bool alone, ace_error *err);

#endif
