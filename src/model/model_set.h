/* Which checkpoints lie in a models folder, and what they can do.
 *
 * The folder holds the published ones side by side (acestep-v15-turbo/, vae/,
 * Qwen3-Embedding-0.6B/, acestep-5Hz-lm-…/), or acestep.cpp's GGUF files, told apart by their
 * general.architecture, or such a file in a folder of its name, as a download puts it there. A file
 * acestep.json beside them may say what the set cannot do. */
#ifndef ACE_MODEL_MODEL_SET_H
#define ACE_MODEL_MODEL_SET_H

#include "base/status.h"

#include <stdbool.h>
#include <stddef.h>

enum { ACE_MODEL_PATH_BYTES = 4400, ACE_MODEL_NAME_BYTES = 128, ACE_MAX_LMS = 16 };

/* Language models of a folder by name, in byte order: folders and files with "5Hz-lm" in it. */
typedef struct ace_lm_list {
    char name[ACE_MAX_LMS][ACE_MODEL_NAME_BYTES];
    int count;
} ace_lm_list;

/* What acestep.json says; without the file everything is possible. */
typedef struct ace_model_card {
    char name[64];
    char note[512];                    /* one line shown before the set is used; may be empty */
    char get_full_model[256];          /* how to get the real checkpoints; may be empty */
    double min_duration, max_duration; /* seconds; 0: no limit of its own */
    bool lm;                           /* its language model is trained */
    bool audio_input;                  /* source audio, reference audio and codes carry meaning */
    char precision[8]; /* of products when the user leaves the choice: "f32", "bf16" or empty */
} ace_model_card;

typedef struct ace_model_set {
    char dit[ACE_MODEL_PATH_BYTES]; /* folder or .gguf file */
    char vae[ACE_MODEL_PATH_BYTES];
    char text_encoder[ACE_MODEL_PATH_BYTES];
    char lm[ACE_MODEL_PATH_BYTES]; /* empty when there is none */
    ace_lm_list lms;               /* all of them */
    char dit_name[128];            /* last part of the path without ".gguf" */
    ace_model_card card;
} ace_model_set;

/* Empty when the folder cannot be read. */
void ace_lm_list_find(const char *folder, ace_lm_list *out);

void ace_model_card_default(ace_model_card *out);

/* The card in a text, path standing for it in messages. Absent fields keep the default. MODEL when
 * a field has another type or makes no sense. */
ace_status ace_model_card_parse(const char *json, size_t bytes, const char *path,
                                ace_model_card *out, ace_error *err);

/* model: a folder's or file's name, a short name ("turbo", "base", "xl-turbo"), or "" for turbo,
 * else the only one there is. MODEL when something is missing: the message lists what lies there.
 */
ace_status ace_model_set_find(const char *folder, const char *model, ace_model_set *out,
                              ace_error *err);

#endif
