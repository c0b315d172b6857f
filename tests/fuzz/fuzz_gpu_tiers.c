/* gpu_tiers.json: any bytes give a table whose values are in range and fit each other, or one error
 * and the table as it was. Corpus: tests/fuzz/corpus/gpu_tiers. */
#include "plan/tier.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool holds)
{
    if (!holds) {
        abort();
    }
}

static void check_row(const ace_tier *t)
{
    bool offers_lm = false;
    for (int i = 0; i < ACE_LM_SIZES; i++) {
        offers_lm = offers_lm || t->available_lm[i];
        require(t->lm_memory_gb[i] >= 0 && t->lm_memory_gb[i] <= 1024);
    }
    require(memchr(t->label, '\0', sizeof t->label) != NULL && t->label[0] != '\0');
    require(t->max_duration_with_lm >= ACE_SHORTEST_SONG);
    require(t->max_duration_with_lm <= ACE_LONGEST_SONG);
    require(t->max_duration_without_lm >= ACE_SHORTEST_SONG);
    require(t->max_duration_without_lm <= ACE_LONGEST_SONG);
    require(t->max_batch_with_lm >= 1 && t->max_batch_with_lm <= ACE_LARGEST_BATCH);
    require(t->max_batch_without_lm >= 1 && t->max_batch_without_lm <= ACE_LARGEST_BATCH);
    require(t->recommended_lm >= -1 && t->recommended_lm < ACE_LM_SIZES);
    require(t->recommended_lm < 0 || t->available_lm[t->recommended_lm]);
    require(!t->init_lm_default || offers_lm);
    require(t->vllm_allowed || t->recommended_backend != ACE_LM_VLLM);
    require(t->offload_to_cpu_default || !t->offload_dit_to_cpu_default);
    require(t->compile_model_default || !t->quantization_default);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    ace_tier_table before;
    ace_tier_table table;
    ace_error err = {.code = ACESTEP_OK};
    ace_tier_table_default(&before);
    table = before;
    if (ace_tier_table_parse(&table, (const char *)data, size, "input", &err) == ACESTEP_OK) {
        for (int i = 0; i < ACE_TIERS; i++) {
            check_row(&table.row[i]);
        }
    } else {
        require(err.message[0] != '\0' && strchr(err.message, '\n') == NULL);
        require(memcmp(&table, &before, sizeof table) == 0);
    }
    return 0;
}
