/* Choosing columns of logits: choices and their lists go up, the columns come down. All lie where
 * attention's tables do: the stream's order keeps them apart. */
#include "cuda_device.h"

#include <string.h>

/* Where they lie among the tables. */
enum {
    MASK_AT = ACE_CHOICES_MOST * sizeof(ace_choice),
    LISTS_AT = MASK_AT + ACE_CHOICE_COLUMNS / 8,
    CHOSEN_AT = LISTS_AT + ACE_CHOICE_PENALISED * sizeof(int32_t),
    TABLE_END = CHOSEN_AT + ACE_CHOICES_MOST * sizeof(int32_t)
};
_Static_assert((size_t)TABLE_END <= (size_t)ACE_CUDA_TABLE_BYTES, "the choices' tables fit");

/* The call's mask, once. */
static bool send_mask(ace_cuda *cuda, const ace_choice *choices, int n, int64_t columns)
{
    for (int i = 0; i < n; i++) {
        if (choices[i].mask != NULL) {
            return ace_cuda_send(cuda, cuda->area.tables + MASK_AT, choices[i].mask,
                                 ace_choice_mask_bytes(columns));
        }
    }
    return true;
}

static bool send_choices(ace_cuda *cuda, const ace_choice *choices, int n)
{
    ace_choice there[ACE_CHOICES_MOST];
    size_t at = LISTS_AT;
    bool well = true;
    for (int i = 0; i < n && well; i++) {
        size_t bytes = (size_t)choices[i].n_penalised * sizeof(int32_t);
        there[i] = choices[i];
        there[i].penalised = (const int32_t *)(const void *)(cuda->area.tables + at);
        well =
            bytes == 0 || ace_cuda_send(cuda, cuda->area.tables + at, choices[i].penalised, bytes);
        if (there[i].mask != NULL) {
            there[i].mask = (const uint32_t *)(const void *)(cuda->area.tables + MASK_AT);
        }
        at += bytes;
    }
    return well && ace_cuda_send(cuda, cuda->area.tables, there, (size_t)n * sizeof *there);
}

ace_status ace_cuda_choose(ace_device *device, ace_tensor logits, const ace_choice *choices, int n,
                           int32_t *chosen, ace_error *err)
{
    ace_cuda *cuda = ace_cuda_of(device);
    unsigned char *result = cuda->area.tables + CHOSEN_AT;
    float words[ACE_CHOICES_MOST]; /* f32 crosses as it is */
    if (!ace_cuda_may_launch(cuda) || !send_mask(cuda, choices, n, logits.cols) ||
        !send_choices(cuda, choices, n)) {
        return ace_cuda_dead(cuda, err);
    }
    ace_cuda_choose_columns(logits, (const ace_choice *)(const void *)cuda->area.tables, n,
                            (int32_t *)(void *)result, cuda->compute);
    ace_cuda_launched(cuda, "choose");
    ace_tensor from = {(uint64_t)(uintptr_t)result, ACE_F32, 1, n, n};
    ace_status status = ace_cuda_download(device, words, from, err);
    if (status == ACESTEP_OK) {
        memcpy(chosen, words, (size_t)n * sizeof *chosen);
    }
    return status;
}
