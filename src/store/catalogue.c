#include "store/catalogue.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

static const char main_repository[] = "ACE-Step/Ace-Step1.5";
/* acestep.cpp's files of the same models: src/weights/gguf.c reads them. Their author changes them
 * in place. */
static const char gguf_repository[] = "Serveurperso/ACE-Step-1.5-GGUF";
static const char gguf_revision[] = "main";
static const char main_revision[] = "19671f406d603126926c1b7e2adc169acbcade22";

/* ---- contents of the pinned revisions, as Hugging Face lists them ---------------------------- */

#define SILENCE                                                                                    \
    {                                                                                              \
        "silence_latent.pt", 3841215,                                                              \
            "a778e9dd942f5e8b2c09c55370782d318834432b03dabbcdf70e6ed49ad6358b"                     \
    }
/* the language models share their tokenizer */
#define LM_TOKENIZER                                                                               \
    {                                                                                              \
        "tokenizer.json", 24321939,                                                                \
            "35af56c3f5cb3ea2cc578aa28a8937770981d504f183ac5c8c38baf4bbd4af4d"                     \
    }
#define LM_TOKENIZER_CONFIG                                                                        \
    {                                                                                              \
        "tokenizer_config.json", 14072925,                                                         \
            "6cd70cdd89425971794f5235562edcc608b0629a6c4686ae51a8b8c8b8ba5e95"                     \
    }
#define END                                                                                        \
    {                                                                                              \
        NULL, 0, NULL                                                                              \
    }

static const ace_store_fact turbo_facts[] = {
    {"model.safetensors", 4787825604,
     "3f6e0797fad420a39bd33979eb6e840e30989e34a3794e843d23b60ec6e422d7"},
    SILENCE,
    END,
};
static const ace_store_fact base_facts[] = {
    {"model.safetensors", 4787825604,
     "4177f600501a6d4bd81cadaa0abac557ffd15c54e5c8cb52053cdb24a0844d6b"},
    END,
};
static const ace_store_fact vae_facts[] = {
    {"diffusion_pytorch_model.safetensors", 337431388,
     "da17edb604c40deaf09e9b24974e590d1ca83a374070e5d0884cfa4bed9a99b0"},
    END,
};
static const ace_store_fact text_facts[] = {
    {"model.safetensors", 1191586416,
     "0437e45c94563b09e13cb7a64478fc406947a93cb34a7e05870fc8dcd48e23fd"},
    {"tokenizer.json", 11423705,
     "def76fb086971c7867b829c23a26261e38d9d74e02139253b38aeb9df8b4b50a"},
    END,
};
static const ace_store_fact lm_17b_facts[] = {
    {"model.safetensors", 3708521528,
     "f161689da73e5ecefa28ff780d51c2d92a00f056d021d7933c779ed5c6cd7db8"},
    LM_TOKENIZER,
    LM_TOKENIZER_CONFIG,
    END,
};
static const ace_store_fact lm_06b_facts[] = {
    {"model.safetensors", 1325804024,
     "5d92a60806e2e88c04de58ddc6dde93f2bc8f1336162b3ad5853886c9bcc6b82"},
    LM_TOKENIZER,
    LM_TOKENIZER_CONFIG,
    END,
};

/* ---- the sets -------------------------------------------------------------------------------- */

/* One GGUF file in a folder of its name. */
#define GGUF(name_, kind_, bytes_, about_)                                                         \
    {                                                                                              \
        name_, kind_, gguf_repository, name_ ".gguf", gguf_revision, bytes_, about_, NULL          \
    }

static const ace_store_set sets[] = {
    {"vae", ACE_STORE_SHARED, main_repository, "vae", main_revision, 337431813,
     "sound to latents and back; every song needs it", vae_facts},
    {"Qwen3-Embedding-0.6B", ACE_STORE_SHARED, main_repository, "Qwen3-Embedding-0.6B",
     main_revision, 1207466890, "reads caption and lyrics; every song needs it", text_facts},
    {"acestep-v15-turbo", ACE_STORE_DIFFUSION, main_repository, "acestep-v15-turbo", main_revision,
     4791668787, "8 steps; the default", turbo_facts},
    {"acestep-5Hz-lm-1.7B", ACE_STORE_LANGUAGE, main_repository, "acestep-5Hz-lm-1.7B",
     main_revision, 3755408449, "plans a song: 12 to 24 GB cards", lm_17b_facts},
    {"acestep-5Hz-lm-0.6B", ACE_STORE_LANGUAGE, "ACE-Step/acestep-5Hz-lm-0.6B", "",
     "148d8ea0225bdab342ee1ae3a354275ccd60ca80", 1372690946, "plans a song: 6 to 12 GB cards",
     lm_06b_facts},
    {"acestep-5Hz-lm-4B", ACE_STORE_LANGUAGE, "ACE-Step/acestep-5Hz-lm-4B", "",
     "0a3ec94b557aea7d508da38b31cfe7341f6ff737", 8426000000, "plans a song: 24 GB cards and more",
     NULL},
    {"acestep-v15-base", ACE_STORE_DIFFUSION, "ACE-Step/acestep-v15-base", "",
     "e432212fec32b8965a14ffa57ae653438d6abd14", 4791668787,
     "32 to 64 steps with guidance; lego, extract, complete", base_facts},
    {"acestep-v15-sft", ACE_STORE_DIFFUSION, "ACE-Step/acestep-v15-sft", "",
     "c410d249e71ea9385a7b586865e65b1473e1098d", 4791668787, "50 steps with guidance", NULL},
    {"acestep-v15-turbo-shift1", ACE_STORE_DIFFUSION, "ACE-Step/acestep-v15-turbo-shift1", "",
     "5b86586cc1faecd5214281b05440c8903b6da20f", 4791668787, "turbo, distilled at shift 1", NULL},
    {"acestep-v15-turbo-shift3", ACE_STORE_DIFFUSION, "ACE-Step/acestep-v15-turbo-shift3", "",
     "625a282f7c8d882c930a5e500be4c82800f84fb4", 4791668787, "turbo, distilled at shift 3", NULL},
    {"acestep-v15-turbo-continuous", ACE_STORE_DIFFUSION, "ACE-Step/acestep-v15-turbo-continuous",
     "", "f8e893768347fd42f5988e07d1d80675fc3e5718", 4791668787, "turbo, distilled over all shifts",
     NULL},
    {"acestep-v15-xl-turbo", ACE_STORE_DIFFUSION, "ACE-Step/acestep-v15-xl-turbo", "",
     "d4a0b288b83ebb7e25a8c0b32c573c22e134e8ee", 19953255000, "twice the parameters, 8 steps",
     NULL},
    {"acestep-v15-xl-sft", ACE_STORE_DIFFUSION, "ACE-Step/acestep-v15-xl-sft", "",
     "d06de46b4622f781cf07f4a013a67d591ca52819", 19953255000,
     "twice the parameters, 50 steps with guidance", NULL},
    {"acestep-v15-xl-base", ACE_STORE_DIFFUSION, "ACE-Step/acestep-v15-xl-base", "",
     "220c1166efbdd9583eafcb12eb160594bbfcb241", 19953255000,
     "twice the parameters; lego, extract, complete", NULL},
    GGUF("acestep-v15-turbo-Q8_0", ACE_STORE_DIFFUSION, 2550000000, "turbo in half the room"),
    GGUF("acestep-v15-base-Q8_0", ACE_STORE_DIFFUSION, 2550000000, "base in half the room"),
    GGUF("acestep-v15-sft-Q8_0", ACE_STORE_DIFFUSION, 2550000000, "sft in half the room"),
    GGUF("acestep-5Hz-lm-0.6B-Q8_0", ACE_STORE_LANGUAGE, 710000000, "0.6B in half the room"),
    GGUF("acestep-5Hz-lm-1.7B-Q8_0", ACE_STORE_LANGUAGE, 1980000000, "1.7B in half the room"),
    GGUF("acestep-5Hz-lm-4B-Q8_0", ACE_STORE_LANGUAGE, 4480000000, "4B in half the room"),
};
enum { N_SETS = sizeof sets / sizeof sets[0] };
_Static_assert((int)N_SETS <= (int)ACE_STORE_SETS, "a choice holds all of them");

size_t ace_store_set_count(void)
{
    return N_SETS;
}

const ace_store_set *ace_store_set_at(size_t index)
{
    return index < N_SETS ? &sets[index] : NULL;
}

static bool is_called(const char *name, const char *wanted, const char *family)
{
    size_t n = strlen(family);
    return strncmp(name, family, n) == 0 && strcasecmp(name + n, wanted) == 0;
}

const ace_store_set *ace_store_set_find(const char *name)
{
    static const char *const families[] = {"", "acestep-", "acestep-v15-", "acestep-5Hz-",
                                           "acestep-5Hz-lm-"};
    for (size_t f = 0; f < sizeof families / sizeof families[0]; f++) {
        for (size_t i = 0; i < N_SETS; i++) {
            if (is_called(sets[i].name, name, families[f])) {
                return &sets[i];
            }
        }
    }
    return NULL;
}

const ace_store_fact *ace_store_fact_find(const ace_store_set *set, const char *file)
{
    for (const ace_store_fact *f = set->facts; f != NULL && f->name != NULL; f++) {
        if (strcmp(f->name, file) == 0) {
            return f;
        }
    }
    return NULL;
}

/* ---- a choice
 * ------------------------------------------------------------------------------------ */

static void add(ace_store_choice *choice, const ace_store_set *set)
{
    size_t at = 0;
    while (at < choice->n && choice->set[at] < set) { /* all point into the same table */
        at++;
    }
    if (at < choice->n && choice->set[at] == set) {
        return;
    }
    memmove(&choice->set[at + 1], &choice->set[at], (choice->n - at) * sizeof choice->set[0]);
    choice->set[at] = set;
    choice->n++;
}

ace_status ace_store_choose(ace_store_choice *choice, const char *name, ace_error *err)
{
    bool all = strcmp(name, "all") == 0;
    bool main_parts = strcmp(name, "main") == 0;
    const ace_store_set *one = ace_store_set_find(name);
    for (size_t i = 0; i < N_SETS && (all || main_parts); i++) {
        if ((all && sets[i].repository != gguf_repository) ||
            sets[i].repository == main_repository) {
            add(choice, &sets[i]);
        }
    }
    if (one != NULL) {
        add(choice, one);
    }
    if (one == NULL && !all && !main_parts) {
        return ace_fail(
            err, ACESTEP_ARGUMENT,
            "\"%.80s\": no published set has this name; `acestep models list` shows them", name);
    }
    return ACESTEP_OK;
}

void ace_store_choose_shared(ace_store_choice *choice)
{
    bool diffusion = false;
    for (size_t i = 0; i < choice->n; i++) {
        diffusion = diffusion || choice->set[i]->kind == ACE_STORE_DIFFUSION;
    }
    for (size_t i = 0; i < N_SETS && diffusion; i++) {
        if (sets[i].kind == ACE_STORE_SHARED) {
            add(choice, &sets[i]);
        }
    }
}

const char *ace_store_kind_name(ace_store_kind kind)
{
    switch (kind) {
    case ACE_STORE_DIFFUSION:
        return "diffusion";
    case ACE_STORE_LANGUAGE:
        return "language";
    case ACE_STORE_SHARED:
        return "shared";
    }
    return "";
}
