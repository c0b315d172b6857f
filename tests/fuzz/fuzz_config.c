/* config.json of every network and acestep.json: accepted values are in range and fit each other.
 * Corpus: tests/fuzz/corpus/config. */
#include "model/config.h"
#include "model/model_set.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool holds)
{
    if (!holds) {
        abort();
    }
}

static bool accepted(ace_status status, ace_error *err)
{
    if (status != ACESTEP_OK) {
        require(err->message[0] != '\0' && strchr(err->message, '\n') == NULL);
    }
    *err = (ace_error){.code = ACESTEP_OK};
    return status == ACESTEP_OK;
}

static void check_block(const ace_block_config *b)
{
    require(b->hidden > 0 && b->intermediate > 0 && b->heads > 0 && b->kv_heads > 0);
    require(b->heads % b->kv_heads == 0 && b->head_dim > 0 && b->head_dim % 2 == 0);
    require(b->rms_eps >= 0 && b->rope_theta > 0);
}

static void check_dit(const ace_dit_config *c)
{
    int64_t codes = 1;
    check_block(&c->decoder);
    check_block(&c->encoder);
    require(c->decoder.window > 0 && c->encoder.window > 0);
    require(c->layers > 0 && c->layers <= ACE_MAX_LAYERS && c->lyric_layers <= c->layers);
    require(c->timbre_layers <= c->layers && c->pooler_layers <= ACE_MAX_LAYERS);
    require(c->in_channels == 3 * c->latent_channels && c->patch > 0 && c->pool_window > 0);
    for (int i = 0; i < c->n_fsq_levels; i++) {
        codes *= c->fsq_levels[i];
    }
    require(codes == c->fsq_codes && codes > 1);
}

static void check_vae(const ace_vae_config *c)
{
    int64_t hop = 1;
    for (int i = 0; i < c->n_blocks; i++) {
        require(c->strides[i] > 0 && c->multiples[i] > 0);
        hop *= c->strides[i];
    }
    require(c->n_blocks > 0 && hop == c->hop && c->sample_rate > 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char *json = (const char *)data;
    ace_dit_config dit;
    ace_vae_config vae;
    ace_qwen3_config text;
    ace_model_card card;
    ace_error err = {.code = ACESTEP_OK};
    if (accepted(ace_dit_config_parse(json, size, "input", &dit, &err), &err)) {
        check_dit(&dit);
    }
    if (accepted(ace_vae_config_parse(json, size, "input", &vae, &err), &err)) {
        check_vae(&vae);
    }
    if (accepted(ace_qwen3_config_parse(json, size, "input", &text, &err), &err)) {
        check_block(&text.block);
    }
    if (accepted(ace_model_card_parse(json, size, "input", &card, &err), &err)) {
        require(card.max_duration <= 0 || card.min_duration <= card.max_duration);
    }
    return 0;
}
