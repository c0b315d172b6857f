/* Cases of the encoders: text, condition, FSQ. */
#include "base/memory.h"
#include "model/condition_reference.h"
#include "model/fsq.h"
#include "model/text_encoder.h"
#include "run/probe_case.h"
#include "weights/embedding.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

bool ace_probe_begin(ace_probe *p, ace_stage *stage, const ace_weights *weights)
{
    if (p->status != ACESTEP_OK) {
        return false;
    }
    p->status = ace_stage_begin(p->runner, p->kind, p->kind, stage);
    if (p->status == ACESTEP_OK) {
        p->status = ace_stage_open(stage);
    }
    if (p->status == ACESTEP_OK) {
        ace_stage_load_begin(stage, weights);
    }
    return p->status == ACESTEP_OK;
}

void ace_probe_end(ace_probe *p, ace_stage *stage)
{
    ace_status status = ace_stage_end(stage);
    p->status = p->status != ACESTEP_OK ? p->status : status;
}

/* ---- text
 * --------------------------------------------------------------------------------------------------
 */

typedef struct token_rows {
    int64_t batch, length, width;
    float *embeddings; /* [batch·length, width] */
    uint8_t *mask;     /* [batch·length], or NULL */
} token_rows;

static token_rows read_tokens(ace_probe *p)
{
    const ace_models *m = &p->workshop->models;
    token_rows rows = {.width = m->text_config.block.hidden};
    const ace_weight *shape = ace_probe_tensor(p, "in.input_ids", false);
    int64_t *ids = ace_probe_i64(p, "in.input_ids", false);
    int64_t *mask = ace_probe_i64(p, "in.attention_mask", true);
    if (p->status != ACESTEP_OK || shape->rank != 2) {
        ace_probe_fail(p, ACESTEP_ARGUMENT, "in.input_ids is not [batch, length]");
        return rows;
    }
    rows.batch = shape->dim[0];
    rows.length = shape->dim[1];
    int64_t n = rows.batch * rows.length;
    int32_t *narrow = ace_probe_alloc(p, n, sizeof *narrow);
    rows.embeddings = ace_probe_alloc(p, n * rows.width, sizeof(float));
    for (int64_t i = 0; i < n && p->status == ACESTEP_OK; i++) {
        narrow[i] = (int32_t)ids[i];
    }
    if (mask != NULL) {
        rows.mask = ace_probe_alloc(p, n, 1);
        for (int64_t i = 0; i < n && p->status == ACESTEP_OK; i++) {
            rows.mask[i] = mask[i] != 0;
        }
    }
    if (p->status == ACESTEP_OK) {
        p->status = ace_embedding_gather(m->text, "embed_tokens.weight", m->text_config.vocabulary,
                                         rows.width, narrow, n, rows.embeddings, p->err);
    }
    return rows;
}

static void encode_text(ace_probe *p, ace_stage *stage, const ace_text_encoder *encoder,
                        const token_rows *rows, const uint8_t *mask, const char *name)
{
    int64_t n = rows->batch * rows->length;
    const int64_t dim[] = {rows->batch, rows->length, rows->width};
    float *hidden = ace_probe_alloc(p, n * rows->width, sizeof *hidden);
    ace_arena_mark mark = ace_mark(&stage->stream);
    ace_tensor x = ace_new_from(&stage->stream, ACE_F32, n, rows->width, rows->embeddings);
    ace_text_encoder_forward(&stage->stream, encoder, x, rows->batch, rows->length, mask, x);
    ace_download(&stage->stream, hidden, x);
    ace_reset(&stage->stream, &mark);
    ace_probe_put(p, name, hidden, 3, dim);
}

void ace_probe_text_encoder(ace_probe *p)
{
    const ace_models *m = &p->workshop->models;
    token_rows rows = read_tokens(p);
    const int64_t dim[] = {rows.batch, rows.length, rows.width};
    ace_stage stage;
    ace_text_encoder *encoder = ace_probe_alloc(p, 1, sizeof *encoder);
    if (!ace_probe_begin(p, &stage, m->text)) {
        return;
    }
    ace_text_encoder_load(&stage.loader, &m->text_config, encoder);
    if (ace_stage_load_end(&stage) == ACESTEP_OK) {
        if (rows.mask != NULL) {
            encode_text(p, &stage, encoder, &rows, NULL, "out.last_hidden_state_no_mask");
            encode_text(p, &stage, encoder, &rows, rows.mask, "out.last_hidden_state_with_mask");
        } else {
            encode_text(p, &stage, encoder, &rows, NULL, "out.last_hidden_state");
            ace_probe_put(p, "out.embeddings", rows.embeddings, 3, dim);
        }
    }
    ace_probe_end(p, &stage);
}

/* ---- condition
 * --------------------------------------------------------------------------------------------- */

static bool read_condition(ace_probe *p, const char *prefix, ace_padded_condition *in)
{
    char text_name[80];
    char mask_name[80];
    (void)snprintf(text_name, sizeof text_name, "in.%stext_hidden_states", prefix);
    (void)snprintf(mask_name, sizeof mask_name, "in.%stext_attention_mask", prefix);
    const ace_weight *text = ace_probe_tensor(p, text_name, false);
    const ace_weight *lyrics = ace_probe_tensor(p, "in.lyric_hidden_states", false);
    const ace_weight *refs =
        ace_probe_tensor(p, "in.refer_audio_acoustic_hidden_states_packed", false);
    if (p->status != ACESTEP_OK || text->rank != 3 || lyrics->rank != 3 || refs->rank != 3) {
        ace_probe_fail(p, ACESTEP_ARGUMENT, "the condition's inputs are not of rank 3");
        return false;
    }
    *in = (ace_padded_condition){
        .batch = text->dim[0],
        .text_length = text->dim[1],
        .lyric_length = lyrics->dim[1],
        .text = ace_probe_f32(p, text_name, false),
        .text_mask = ace_probe_i64(p, mask_name, false),
        .lyrics = ace_probe_f32(p, "in.lyric_hidden_states", false),
        .lyric_mask = ace_probe_i64(p, "in.lyric_attention_mask", false),
        .n_refs = refs->dim[0],
        .timbre_frames = refs->dim[1],
        .timbre = ace_probe_f32(p, "in.refer_audio_acoustic_hidden_states_packed", false),
        .ref_order = ace_probe_i64(p, "in.refer_audio_order_mask", false),
    };
    return p->status == ACESTEP_OK;
}

static void put_parts(ace_probe *p, const ace_padded_condition *in, const ace_packed_condition *out,
                      int64_t slots, int64_t hidden)
{
    const int64_t lyric[] = {in->batch, in->lyric_length, hidden};
    const int64_t timbre[] = {in->batch, slots, hidden};
    const int64_t text[] = {in->batch, in->text_length, hidden};
    ace_probe_put(p, "out.lyric_encoded", out->lyric_encoded, 3, lyric);
    ace_probe_put(p, "out.timbre_unpacked", out->timbre, 3, timbre);
    ace_probe_put_i64(p, "out.timbre_mask", out->timbre_mask, 2, timbre);
    ace_probe_put(p, "out.text_projected", out->text_projected, 3, text);
}

void ace_probe_encode_condition(ace_probe *p, const char *prefix, float **states, int64_t **mask,
                                int64_t *length, bool parts)
{
    const ace_models *m = &p->workshop->models;
    int64_t hidden = m->dit_config.encoder.hidden;
    ace_padded_condition in = {0};
    ace_stage stage;
    ace_condition_encoder *encoder = ace_probe_alloc(p, 1, sizeof *encoder);
    if (!read_condition(p, prefix, &in)) {
        return;
    }
    int64_t slots = ace_condition_slots(&in);
    *length = in.lyric_length + slots + in.text_length;
    int64_t rows = in.batch * *length;
    *states = ace_probe_alloc(p, rows * hidden, sizeof(float));
    *mask = ace_probe_alloc(p, rows, sizeof(int64_t));
    ace_packed_condition out = {
        .states = *states,
        .mask = *mask,
        .lyric_encoded = ace_probe_alloc(p, rows * hidden, sizeof(float)),
        .timbre = ace_probe_alloc(p, rows * hidden, sizeof(float)),
        .timbre_mask = ace_probe_alloc(p, rows, sizeof(int64_t)),
        .text_projected = ace_probe_alloc(p, rows * hidden, sizeof(float)),
    };
    if (!ace_probe_begin(p, &stage, m->dit)) {
        return;
    }
    ace_condition_encoder_load(&stage.loader, &m->dit_config, encoder);
    if (ace_stage_load_end(&stage) == ACESTEP_OK) {
        ace_condition_encode_padded(&stage.stream, encoder, &in, &out);
    }
    ace_probe_end(p, &stage);
    if (parts) {
        put_parts(p, &in, &out, slots, hidden);
    }
}

void ace_probe_condition(ace_probe *p)
{
    float *states = NULL;
    int64_t *mask = NULL;
    int64_t length = 0;
    ace_probe_encode_condition(p, "", &states, &mask, &length, true);
    if (p->status == ACESTEP_OK) {
        const int64_t dim[] = {ace_probe_tensor(p, "in.text_hidden_states", false)->dim[0], length,
                               p->workshop->models.dit_config.encoder.hidden};
        ace_probe_put(p, "out.encoder_hidden_states", states, 3, dim);
        ace_probe_put_i64(p, "out.encoder_attention_mask", mask, 2, dim);
    }
}

/* ---- FSQ
 * ---------------------------------------------------------------------------------------------------
 */

/* Distance of the closest number to a rounding boundary, in levels. */
static float closest_boundary(const ace_dit_config *c, const float *z, int64_t groups)
{
    double closest = 1;
    for (int64_t i = 0; i < groups * c->n_fsq_levels; i++) {
        double levels = c->fsq_levels[i % c->n_fsq_levels];
        double soft = 1.0 + 1.0 / (levels - 1.0);
        double v = fmin(1, fmax(-1, soft * tanh((double)z[i] / soft)));
        double level = (levels - 1.0) * (v + 1.0) / 2.0 + 0.5;
        closest = fmin(closest, fabs(level - nearbyint(level)));
    }
    return (float)closest;
}

static void run_tokenize(ace_probe *p, ace_stage *stage, const ace_fsq_tokenizer *m)
{
    const ace_dit_config *c = &p->workshop->models.dit_config;
    const ace_weight *shape = ace_probe_tensor(p, "in.latents", false);
    float *latents = ace_probe_f32(p, "in.latents", false);
    float *silence = ace_probe_f32(p, "in.silence_latent", true);
    if (p->status != ACESTEP_OK || shape->rank != 3 || shape->dim[2] != c->latent_channels) {
        ace_probe_fail(p, ACESTEP_ARGUMENT, "in.latents is not [batch, frames, channels]");
        return;
    }
    int64_t batch = shape->dim[0];
    int64_t frames = shape->dim[1];
    int64_t groups = (frames + c->pool_window - 1) / c->pool_window;
    int64_t hidden = c->encoder.hidden;
    if (silence != NULL && ace_probe_elements(ace_probe_tensor(p, "in.silence_latent", false)) <
                               (groups * c->pool_window - frames) * c->latent_channels) {
        ace_probe_fail(p, ACESTEP_ARGUMENT, "in.silence_latent does not fill the last group");
        return;
    }
    float *padded =
        ace_probe_alloc(p, groups * c->pool_window * c->latent_channels, sizeof *padded);
    float *pooled = ace_probe_alloc(p, batch * groups * hidden, sizeof *pooled);
    float *before = ace_probe_alloc(p, batch * groups * c->n_fsq_levels, sizeof *before);
    float *after = ace_probe_alloc(p, batch * groups * hidden, sizeof *after);
    int32_t *codes = ace_probe_alloc(p, batch * groups, sizeof *codes);
    int64_t *wide = ace_probe_alloc(p, batch * groups, sizeof *wide);
    for (int64_t b = 0; b < batch && p->status == ACESTEP_OK; b++) {
        int64_t known = frames * c->latent_channels;
        int64_t all = groups * c->pool_window * c->latent_channels;
        memcpy(padded, latents + b * known, (size_t)known * sizeof *padded);
        memcpy(padded + known, silence != NULL ? silence : p->workshop->models.silence,
               (size_t)(all - known) * sizeof *padded);
        ace_fsq_encoding out = {pooled + b * groups * hidden, before + b * groups * c->n_fsq_levels,
                                codes + b * groups, after + b * groups * hidden};
        ace_fsq_encode(&stage->stream, m, padded, groups, &out);
    }
    for (int64_t i = 0; i < batch * groups && p->status == ACESTEP_OK; i++) {
        wide[i] = codes[i];
    }
    float closest = closest_boundary(c, before, batch * groups);
    const int64_t one[] = {1};
    const int64_t dim[] = {batch, groups, hidden};
    const int64_t levels[] = {batch, groups, c->n_fsq_levels};
    ace_probe_put(p, "out.pooled", pooled, 3, dim);
    ace_probe_put(p, "out.pre_quant", before, 3, levels);
    ace_probe_put_i64(p, "out.indices", wide, 2, dim);
    ace_probe_put(p, "out.quantized", after, 3, dim);
    ace_probe_put(p, "out.min_margin_to_level_boundary", &closest, 1, one);
}

static void run_detokenize(ace_probe *p, ace_stage *stage, const ace_fsq_detokenizer *m)
{
    const ace_dit_config *c = &p->workshop->models.dit_config;
    const ace_weight *shape = ace_probe_tensor(p, "in.indices", false);
    int64_t *wide = ace_probe_i64(p, "in.indices", false);
    if (p->status != ACESTEP_OK || shape->rank != 2) {
        ace_probe_fail(p, ACESTEP_ARGUMENT, "in.indices is not [batch, codes]");
        return;
    }
    int64_t n = ace_probe_elements(shape);
    int64_t hidden = c->encoder.hidden;
    int32_t *codes = ace_probe_alloc(p, n, sizeof *codes);
    float *values = ace_probe_alloc(p, n * c->n_fsq_levels, sizeof *values);
    float *quantised = ace_probe_alloc(p, n * hidden, sizeof *quantised);
    float *latents = ace_probe_alloc(p, n * c->pool_window * c->latent_channels, sizeof *latents);
    for (int64_t i = 0; i < n && p->status == ACESTEP_OK; i++) {
        if (wide[i] < 0 || wide[i] >= c->fsq_codes) {
            ace_probe_fail(p, ACESTEP_ARGUMENT, "code %lld is outside the codebook of %lld",
                           (long long)wide[i], (long long)c->fsq_codes);
            return;
        }
        codes[i] = (int32_t)wide[i];
        ace_fsq_values(c, codes[i], values + i * c->n_fsq_levels);
    }
    ace_fsq_decode(&stage->stream, m, codes, n, quantised, latents);
    const int64_t levels[] = {shape->dim[0], shape->dim[1], c->n_fsq_levels};
    const int64_t dim[] = {shape->dim[0], shape->dim[1], hidden};
    const int64_t frames[] = {shape->dim[0], shape->dim[1] * c->pool_window, c->latent_channels};
    ace_probe_put(p, "out.codes", values, 3, levels);
    ace_probe_put(p, "out.quantized", quantised, 3, dim);
    ace_probe_put(p, "out.latents_25hz", latents, 3, frames);
}

void ace_probe_fsq(ace_probe *p)
{
    const ace_models *m = &p->workshop->models;
    bool encodes = ace_probe_tensor(p, "in.latents", true) != NULL;
    ace_fsq_tokenizer *tokenizer = ace_probe_alloc(p, 1, sizeof *tokenizer);
    ace_fsq_detokenizer *detokenizer = ace_probe_alloc(p, 1, sizeof *detokenizer);
    ace_stage stage;
    if (!ace_probe_begin(p, &stage, m->dit)) {
        return;
    }
    if (encodes) {
        ace_fsq_tokenizer_load(&stage.loader, &m->dit_config, tokenizer);
    } else {
        ace_fsq_detokenizer_load(&stage.loader, &m->dit_config, detokenizer);
    }
    if (ace_stage_load_end(&stage) == ACESTEP_OK && encodes) {
        run_tokenize(p, &stage, tokenizer);
    } else if (stage.stream.status == ACESTEP_OK) {
        run_detokenize(p, &stage, detokenizer);
    }
    ace_probe_end(p, &stage);
}
