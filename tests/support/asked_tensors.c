#include "support/asked_tensors.h"

#include "cpu/reference_device.h"
#include "device/arena.h"
#include "device/device.h"
#include "model/condition_encoder.h"
#include "model/dit.h"
#include "model/fsq.h"
#include "model/language_model.h"
#include "model/text_encoder.h"
#include "model/vae_decoder.h"
#include "model/vae_encoder.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void ask_dit(ace_loader *l, const architecture *a)
{
    static ace_dit dit;
    static ace_condition_encoder condition;
    static ace_fsq_tokenizer tokenizer;
    static ace_fsq_detokenizer detokenizer;
    ace_dit_load(l, &a->dit, &dit);
    ace_condition_encoder_load(l, &a->dit, &condition);
    ace_fsq_tokenizer_load(l, &a->dit, &tokenizer);
    ace_fsq_detokenizer_load(l, &a->dit, &detokenizer);
}

void ask_vae(ace_loader *l, const architecture *a)
{
    static ace_vae_encoder encoder;
    static ace_vae_decoder decoder;
    ace_vae_encoder_load(l, &a->vae, &encoder);
    ace_vae_decoder_load(l, &a->vae, &decoder);
}

void ask_text(ace_loader *l, const architecture *a)
{
    static ace_text_encoder text;
    ace_text_encoder_load(l, &a->text, &text);
}

void ask_lm(ace_loader *l, const architecture *a)
{
    static ace_language_model lm;
    ace_language_model_load(l, &a->lm, &lm);
}

static void require(bool well, const char *what)
{
    if (!well) {
        (void)fprintf(stderr, "asked tensors: %s\n", what);
        abort();
    }
}

void asked_add(asked_tensors *list, const char *name, const int64_t *dims, int rank)
{
    for (int i = 0; i < list->n; i++) {
        if (strcmp(list->item[i].name, name) == 0) {
            return;
        }
    }
    require(list->n < MOST_ASKED && rank <= 3, "there are too many");
    asked_tensor *t = &list->item[list->n++];
    *t = (asked_tensor){.rank = rank};
    (void)snprintf(t->name, sizeof t->name, "%s", name);
    memcpy(t->dim, dims, (size_t)rank * sizeof *dims);
}

static void hear(void *context, const char *name, const int64_t *dims, int rank)
{
    asked_add(context, name, dims, rank);
}

asked_tensors *asked_by(ask_tensors *ask, const architecture *a)
{
    ace_device *reference = NULL;
    ace_device *measure = NULL;
    ace_weights *none = NULL;
    ace_arena arena;
    ace_stream stream;
    ace_loader loader;
    ace_error err = {.code = ACESTEP_OK};
    asked_tensors *list = calloc(1, sizeof *list);
    require(list != NULL && ace_reference_device_open(&reference, &err) == ACESTEP_OK &&
                ace_measure_device_open(reference, &measure, &err) == ACESTEP_OK &&
                ace_weights_open_synthetic(&none, &err) == ACESTEP_OK,
            "no memory");
    ace_arena_open_at(&arena, measure, 64, SIZE_MAX >> 1);
    ace_stream_init(&stream, measure, &arena, ACE_F32, &err);
    ace_loader_init(&loader, &stream, none, ACE_F32);
    loader.listener = hear;
    loader.listener_context = list;
    ask(&loader, a);
    require(ace_loader_finish(&loader) == ACESTEP_OK, err.message);
    ace_weights_close(none);
    ace_device_close(measure);
    ace_device_close(reference);
    return list;
}

int64_t asked_elements(const asked_tensor *t)
{
    int64_t n = 1;
    for (int i = 0; i < t->rank; i++) {
        n *= t->dim[i];
    }
    return n;
}
