/* The published checkpoints: what there is to have, and what is known of it beforehand. */
#ifndef ACE_STORE_CATALOGUE_H
#define ACE_STORE_CATALOGUE_H

#include "base/status.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef enum ace_store_kind {
    ACE_STORE_DIFFUSION, /* a diffusion model */
    ACE_STORE_LANGUAGE,  /* a 5 Hz language model */
    ACE_STORE_SHARED     /* what every diffusion model needs beside it */
} ace_store_kind;

/* A file whose content is known for the pinned revision. */
typedef struct ace_store_fact {
    const char *name;
    uint64_t bytes;
    const char *sha256;
} ace_store_fact;

/* One folder beneath the models folder. */
typedef struct ace_store_set {
    const char *name;
    ace_store_kind kind;
    const char *repository;      /* the same name on both hosts */
    const char *inside;          /* the folder in the repository, or its one file; "": its root */
    const char *revision;        /* on Hugging Face: the commit of this release, or a branch */
    uint64_t bytes;              /* to be told before the host's list is here */
    const char *about;           /* one line */
    const ace_store_fact *facts; /* ends with a NULL name; may be NULL */
} ace_store_set;

size_t ace_store_set_count(void);
const ace_store_set *ace_store_set_at(size_t index);

/* By its name, or by a short one: "turbo", "base", "lm-0.6B", "1.7B". NULL when there is none. */
const ace_store_set *ace_store_set_find(const char *name);

const ace_store_fact *ace_store_fact_find(const ace_store_set *set, const char *file);

/* A choice of sets, in the order of the catalogue, each at most once. */
enum { ACE_STORE_SETS = 24 };
typedef struct ace_store_choice {
    const ace_store_set *set[ACE_STORE_SETS];
    size_t n;
} ace_store_choice;

/* Adds what `name` stands for: a set, "main" (the four parts of the main repository) or "all"
 * (without those that are others once more as GGUF files). ARGUMENT, with the names there are, for
 * anything else. */
ace_status ace_store_choose(ace_store_choice *choice, const char *name, ace_error *err);
/* What diffusion models need beside them, where one is chosen. */
void ace_store_choose_shared(ace_store_choice *choice);

const char *ace_store_kind_name(ace_store_kind kind);

#endif
