#include "model/dit.h"

#include "base/memory.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

static void observe(const ace_dit_session *d, const char *name, ace_tensor t)
{
    const ace_observer *o = &d->model->observer;
    if (o->observe != NULL && d->stream->status == ACESTEP_OK) {
        o->observe(o->context, d->stream, name, t);
    }
}

static void observe_layer(const ace_dit_session *d, int64_t layer, const char *part, ace_tensor t)
{
    char name[48];
    (void)snprintf(name, sizeof name, "layer%d%s", (int)layer, part);
    observe(d, name, t);
}

/* The product alone, for an observer: the fused epilogue adds it to the residual unseen. */
static void observe_product(const ace_dit_session *d, int64_t layer, const char *part, ace_tensor x,
                            const ace_matrix *w, const ace_added *added)
{
    if (d->model->observer.observe != NULL) {
        ace_arena_mark mark = ace_mark(d->stream);
        ace_tensor y = ace_new(d->stream, ACE_F32, x.rows, w->shape.rows);
        ace_linear_added(d->stream, y, x, w, added, NULL);
        observe_layer(d, layer, part, y);
        ace_reset(d->stream, &mark);
    }
}

/* ---- begin
 * ----------------------------------------------------------------------------------------- */

/* One condition on the device, projected to the decoder's width: [length, hidden]. */
static ace_tensor embed_condition(ace_dit_session *d, const float *condition, int64_t length)
{
    ace_stream *s = d->stream;
    const ace_dit *m = d->model;
    ace_tensor embedded = ace_new(s, s->activation, length, m->config.decoder.hidden);
    ace_arena_mark mark = ace_mark(s);
    ace_tensor states = ace_new_from(s, s->activation, length, m->config.encoder.hidden, condition);
    ace_epilogue bias = {.bias = m->condition.embedder_bias};
    ace_linear(s, embedded, states, &m->condition.embedder, &bias);
    ace_reset(s, &mark);
    observe(d, "condition_embedder", embedded);
    return embedded;
}

/* Keys and values of one condition in every layer, its block of kv_length rows. Rows past its
 * length are hidden by kv_valid, but must hold numbers. */
static void project_condition(ace_dit_session *d, int index, const float *condition, int64_t length)
{
    ace_stream *s = d->stream;
    const ace_block_config *c = &d->model->config.decoder;
    int64_t first = index * d->kv_length;
    int64_t padding = d->kv_length - length;
    ace_arena_mark mark = ace_mark(s);
    ace_tensor embedded = embed_condition(d, condition, length);
    for (int64_t i = 0; i < d->model->config.layers; i++) {
        const ace_dit_condition *w = &d->model->condition;
        ace_tensor kv = ace_rows(d->cross_kv[i], first, length);
        ace_tensor no_rope = {0};
        ace_head_norm norm = {c->kv_heads, w->cross_k_norm[i], c->rms_eps, no_rope};
        ace_linear_added(s, kv, embedded, &w->cross_kv[i],
                         ace_dit_added(d->model->adapters, i, ACE_DIT_CROSS_KV), NULL);
        ace_head_rms_norm(s, ace_cols(kv, 0, c->kv_heads * c->head_dim), &norm);
        if (padding > 0) {
            ace_fill(s, ace_rows(d->cross_kv[i], first + length, padding), 0);
        }
    }
    ace_reset(s, &mark);
}

/* repeat_heads(v_proj(condition_embedder(null))) of every layer. */
static void project_null(ace_dit_session *d)
{
    ace_stream *s = d->stream;
    const ace_dit *m = d->model;
    const ace_block_config *c = &m->config.decoder;
    int64_t kv_cols = c->kv_heads * c->head_dim;
    int64_t group = c->heads / c->kv_heads;
    for (int64_t i = 0; i < m->config.layers; i++) {
        d->null_heads[i] = ace_new(s, s->activation, 1, c->heads * c->head_dim);
    }
    ace_arena_mark mark = ace_mark(s);
    ace_tensor embedded = ace_new(s, s->activation, 1, c->hidden);
    ace_tensor kv = ace_new(s, s->activation, 1, 2 * kv_cols);
    ace_epilogue bias = {.bias = m->condition.embedder_bias};
    ace_linear(s, embedded, m->condition.null_condition, &m->condition.embedder, &bias);
    for (int64_t i = 0; i < m->config.layers; i++) {
        ace_linear_added(s, kv, embedded, &m->condition.cross_kv[i],
                         ace_dit_added(m->adapters, i, ACE_DIT_CROSS_KV), NULL);
        for (int64_t h = 0; h < c->heads; h++) {
            ace_copy(s, ace_cols(d->null_heads[i], h * c->head_dim, c->head_dim),
                     ace_cols(kv, kv_cols + h / group * c->head_dim, c->head_dim));
        }
    }
    ace_reset(s, &mark);
}

static bool inputs_fit(const ace_dit_inputs *in)
{
    bool fit = in->batch > 0 && in->batch <= ACE_DIT_MAX_BATCH && in->frames > 0 &&
               in->n_conditions > 0 && in->n_conditions <= ACE_DIT_MAX_CONDITIONS;
    for (int i = 0; fit && i < in->n_conditions; i++) {
        fit = in->condition_length[i] > 0;
    }
    for (int64_t b = 0; fit && b < in->batch; b++) {
        fit = in->condition_of[b] >= 0 && in->condition_of[b] < in->n_conditions;
    }
    return fit;
}

void ace_dit_begin(ace_stream *s, const ace_dit *m, const ace_dit_inputs *in, ace_dit_session *out)
{
    const ace_dit_config *c = &m->config;
    memset(out, 0, sizeof *out);
    out->stream = s;
    out->model = m;
    if (!inputs_fit(in)) {
        ace_stream_fail(s, ACESTEP_FAILED, "diffusion: batch or conditions out of range");
        return;
    }
    out->batch = in->batch;
    out->frames = in->frames;
    out->tokens = (in->frames + c->patch - 1) / c->patch;
    for (int i = 0; i < in->n_conditions; i++) {
        out->kv_length =
            in->condition_length[i] > out->kv_length ? in->condition_length[i] : out->kv_length;
    }
    for (int64_t b = 0; b < in->batch; b++) {
        out->kv_index[b] = in->condition_of[b];
        out->kv_valid[b] = (int32_t)in->condition_length[in->condition_of[b]];
    }
    int64_t context_cols = c->in_channels - c->latent_channels;
    out->input = ace_new(s, s->activation, in->batch * in->frames, c->in_channels);
    ace_upload(s, ace_cols(out->input, 0, context_cols), in->context);
    out->rope = ace_rope_table(s, out->tokens, c->decoder.head_dim, c->decoder.rope_theta);

    ace_set_tag(s, "cross kv");
    for (int64_t i = 0; i < c->layers; i++) {
        out->cross_kv[i] = ace_new(s, s->activation, in->n_conditions * out->kv_length,
                                   2 * c->decoder.kv_heads * c->decoder.head_dim);
    }
    ace_set_tag(s, "activations");
    for (int i = 0; i < in->n_conditions; i++) {
        project_condition(out, i, in->condition[i], in->condition_length[i]);
    }
    if (in->guided) {
        project_null(out);
    }
}

/* ---- one evaluation
 * -------------------------------------------------------------------------------- */

/* Row k of each item's six modulations: a [batch, hidden] view of [batch·6, hidden]. */
static ace_tensor modulation(ace_tensor six, int64_t batch, int64_t k)
{
    ace_tensor view = ace_rows(six, k, batch);
    view.row_stride = ACE_DIT_MODULATIONS * six.cols;
    return view;
}

static void self_attention(ace_dit_session *d, int64_t i, ace_tensor x, ace_tensor six)
{
    ace_stream *s = d->stream;
    const ace_dit_config *c = &d->model->config;
    const ace_dit_layer *layer = &d->model->layers[i];
    ace_arena_mark mark = ace_mark(s);
    ace_norm norm = {
        .weight = layer->self_attention.norm,
        .eps = c->decoder.rms_eps,
        .shift = modulation(six, d->batch, 0),
        .scale = modulation(six, d->batch, 1),
    };
    ace_sequences seq = {
        .batch = d->batch,
        .length = d->tokens,
        .rope = d->rope,
        .window = c->sliding[i] ? c->decoder.window : 0,
    };
    const ace_added *added = ace_dit_added(d->model->adapters, i, ACE_DIT_SELF_OUT);
    ace_attention_weights w = layer->self_attention;
    w.qkv_added = ace_dit_added(d->model->adapters, i, ACE_DIT_SELF_QKV);
    ace_tensor attended = ace_self_attend(s, &c->decoder, &w, x, &norm, &seq);
    observe_product(d, i, ".self_attn", attended, &w.out, added);
    ace_epilogue into = {.accumulate = true, .gate = modulation(six, d->batch, 2)};
    ace_linear_added(s, x, attended, &w.out, added, &into);
    ace_reset(s, &mark);
}

static void cross_attention(ace_dit_session *d, int64_t i, ace_tensor x)
{
    ace_stream *s = d->stream;
    const ace_block_config *c = &d->model->config.decoder;
    const ace_dit_layer *layer = &d->model->layers[i];
    int64_t q_cols = c->heads * c->head_dim;
    int64_t kv_cols = c->kv_heads * c->head_dim;
    ace_arena_mark mark = ace_mark(s);
    ace_tensor q = ace_new(s, s->activation, x.rows, q_cols);
    ace_arena_mark inner = ace_mark(s);
    ace_tensor normed = ace_new(s, s->activation, x.rows, x.cols);
    ace_norm norm = {.weight = layer->cross_norm, .eps = c->rms_eps};
    ace_rms_norm(s, normed, x, &norm);
    ace_linear_added(s, q, normed, &layer->cross_q,
                     ace_dit_added(d->model->adapters, i, ACE_DIT_CROSS_Q), NULL);
    ace_reset(s, &inner);
    ace_tensor no_rope = {0};
    ace_head_norm q_norm = {c->heads, layer->cross_q_norm, c->rms_eps, no_rope};
    ace_head_rms_norm(s, q, &q_norm);

    if (d->hear != NULL && s->status == ACESTEP_OK) {
        d->hear(d->hear_context, s, i, q, ace_cols(d->cross_kv[i], 0, kv_cols));
    }
    ace_tensor attended = ace_new(s, s->activation, x.rows, q_cols);
    ace_attention a = {
        .batch = d->batch,
        .q_len = d->tokens,
        .kv_len = d->kv_length,
        .heads = c->heads,
        .kv_heads = c->kv_heads,
        .head_dim = c->head_dim,
        .scale = (float)(1.0 / sqrt((double)c->head_dim)),
        .kv_valid = d->kv_valid,
        .kv_index = d->kv_index,
    };
    ace_attend(s, attended, q, ace_cols(d->cross_kv[i], 0, kv_cols),
               ace_cols(d->cross_kv[i], kv_cols, kv_cols), &a);
    const ace_added *added = ace_dit_added(d->model->adapters, i, ACE_DIT_CROSS_OUT);
    observe_product(d, i, ".cross_attn", attended, &layer->cross_out, added);
    ace_epilogue into = {.accumulate = true};
    ace_linear_added(s, x, attended, &layer->cross_out, added, &into);
    ace_reset(s, &mark);
}

/* The same row for every query: the output projection of one row, added to all. */
static void null_cross_attention(ace_dit_session *d, int64_t i, ace_tensor x)
{
    ace_stream *s = d->stream;
    ace_arena_mark mark = ace_mark(s);
    ace_tensor row = ace_new(s, ACE_F32, 1, x.cols);
    ace_linear_added(s, row, d->null_heads[i], &d->model->layers[i].cross_out,
                     ace_dit_added(d->model->adapters, i, ACE_DIT_CROSS_OUT), NULL);
    ace_add(s, x, x, row);
    ace_reset(s, &mark);
}

static ace_mlp_weights mlp_of(const ace_dit_session *d, int64_t i)
{
    ace_mlp_weights w = d->model->layers[i].mlp;
    w.gate_up_added = ace_dit_added(d->model->adapters, i, ACE_DIT_GATE_UP);
    w.down_added = ace_dit_added(d->model->adapters, i, ACE_DIT_DOWN);
    return w;
}

static void observe_mlp(ace_dit_session *d, int64_t i, ace_tensor x, const ace_norm *norm)
{
    if (d->model->observer.observe != NULL) {
        ace_arena_mark mark = ace_mark(d->stream);
        ace_tensor alone = ace_new(d->stream, ACE_F32, x.rows, x.cols);
        ace_tensor no_gate = {0};
        ace_mlp_weights w = mlp_of(d, i);
        ace_copy(d->stream, alone, x);
        ace_mlp_forward(d->stream, &d->model->config.decoder, &w, alone, norm, no_gate, d->tokens);
        /* what the MLP adds: its result minus x, by adding -x */
        float *host = ace_malloc_array((size_t)(2 * x.rows * x.cols), sizeof *host);
        if (host != NULL) {
            ace_download(d->stream, host, alone);
            ace_download(d->stream, host + x.rows * x.cols, x);
            for (int64_t k = 0; k < x.rows * x.cols; k++) {
                host[k] -= host[x.rows * x.cols + k];
            }
            ace_upload(d->stream, alone, host);
            observe_layer(d, i, ".mlp", alone);
        }
        ace_free(host);
        ace_reset(d->stream, &mark);
    }
}

static void run_layer(ace_dit_session *d, int64_t i, ace_tensor x, ace_tensor time,
                      bool null_branch)
{
    ace_stream *s = d->stream;
    const ace_block_config *c = &d->model->config.decoder;
    const ace_dit_layer *layer = &d->model->layers[i];
    ace_arena_mark mark = ace_mark(s);
    ace_tensor six = ace_new(s, ACE_F32, d->batch * ACE_DIT_MODULATIONS, c->hidden);
    ace_add(s, six, time, layer->modulation);
    self_attention(d, i, x, six);
    if (null_branch) {
        null_cross_attention(d, i, x);
    } else {
        cross_attention(d, i, x);
    }
    ace_norm norm = {
        .weight = layer->mlp.norm,
        .eps = c->rms_eps,
        .shift = modulation(six, d->batch, 3),
        .scale = modulation(six, d->batch, 4),
    };
    observe_mlp(d, i, x, &norm);
    ace_mlp_weights mlp = mlp_of(d, i);
    ace_mlp_forward(s, c, &mlp, x, &norm, modulation(six, d->batch, 5), d->tokens);
    observe_layer(d, i, "", x);
    ace_reset(s, &mark);
}

/* What the times of an evaluation are seen as: t, and t - r. */
static void write_times(ace_dit_session *d, const float *t, const float *t_r)
{
    for (int64_t b = 0; b < d->batch; b++) {
        float difference = t[b] - t_r[b];
        ace_dit_sinusoid((double)t[b], d->sinusoid[0] + b * ACE_DIT_SINUSOID);
        ace_dit_sinusoid((double)difference, d->sinusoid[1] + b * ACE_DIT_SINUSOID);
    }
}

/* temb(t) + temb_r(t - r), and the same of their projections, [batch, …]. */
static void embed_time(ace_dit_session *d, ace_tensor temb, ace_tensor projection)
{
    ace_stream *s = d->stream;
    const ace_dit *m = d->model;
    ace_arena_mark mark = ace_mark(s);
    ace_tensor temb_r = ace_new(s, ACE_F32, temb.rows, temb.cols);
    ace_tensor projection_r = ace_new(s, ACE_F32, projection.rows, projection.cols);
    ace_dit_time(s, m, &m->time, d->sinusoid[0], d->batch, temb, projection);
    ace_dit_time(s, m, &m->time_r, d->sinusoid[1], d->batch, temb_r, projection_r);
    observe(d, "temb_t", temb);
    observe(d, "timestep_proj_t",
            ace_reshape(projection, d->batch * ACE_DIT_MODULATIONS, temb.cols));
    observe(d, "temb_r", temb_r);
    observe(d, "timestep_proj_r",
            ace_reshape(projection_r, d->batch * ACE_DIT_MODULATIONS, temb.cols));
    ace_add(s, temb, temb, temb_r);
    ace_add(s, projection, projection, projection_r);
    ace_reset(s, &mark);
}

/* Layers 0 … n - 1 */
static void run_layers(ace_dit_session *d, int64_t n, ace_tensor x, ace_tensor time,
                       bool null_branch)
{
    ace_stream *s = d->stream;
    const ace_layer_source *source = d->model->source;
    if (source != NULL) {
        source->begin(source->context, s);
    }
    for (int64_t i = 0; i < n; i++) {
        if (source != NULL) {
            source->acquire(source->context, s, i);
        }
        run_layer(d, i, x, time, null_branch);
        if (source != NULL) {
            source->release(source->context, s, i);
        }
        if (d->progress_share > 0) {
            double part = (double)(i + 1) / (double)n;
            ace_stream_progress(s, d->progress + d->progress_share * part);
        }
    }
    if (source != NULL && n < d->model->config.layers) {
        source->abandon(source->context, s);
    }
}

/* Frames to tokens: a convolution with stride = kernel = patch; an odd last frame meets a zero row.
 */
static void patch(ace_dit_session *d, ace_tensor x)
{
    const ace_dit *m = d->model;
    ace_conv conv = {.stride = m->config.patch, .dilation = 1};
    ace_epilogue bias = {.bias = m->patch_in_bias};
    for (int64_t b = 0; b < d->batch; b++) {
        ace_conv1d(d->stream, ace_rows(x, b * d->tokens, d->tokens),
                   ace_rows(d->input, b * d->frames, d->frames), &m->patch_in, &conv, &bias);
    }
    observe(d, "proj_in", x);
}

/* The final norm alone: what is used comes modulated. */
static void observe_norm_out(const ace_dit_session *d, ace_tensor x)
{
    if (d->model->observer.observe != NULL) {
        ace_arena_mark mark = ace_mark(d->stream);
        ace_tensor y = ace_new(d->stream, ACE_F32, x.rows, x.cols);
        ace_norm norm = {.weight = d->model->norm_out, .eps = d->model->config.decoder.rms_eps};
        ace_rms_norm(d->stream, y, x, &norm);
        observe(d, "norm_out", y);
        ace_reset(d->stream, &mark);
    }
}

/* Tokens to frames, f32 [batch·tokens, patch·latent_channels]. */
static ace_tensor unpatch(ace_dit_session *d, ace_tensor x, ace_tensor temb)
{
    ace_stream *s = d->stream;
    const ace_dit_config *c = &d->model->config;
    observe_norm_out(d, x);
    ace_tensor two = ace_new(s, ACE_F32, 2 * d->batch, c->decoder.hidden);
    ace_add(s, two, temb, d->model->modulation_out);
    ace_tensor shift = ace_rows(two, 0, d->batch);
    ace_tensor scale = ace_rows(two, 1, d->batch);
    shift.row_stride = 2 * two.cols;
    scale.row_stride = 2 * two.cols;
    ace_norm norm = {
        .weight = d->model->norm_out, .eps = c->decoder.rms_eps, .shift = shift, .scale = scale};
    ace_tensor normed = ace_new(s, s->activation, x.rows, x.cols);
    ace_tensor out = ace_new(s, ACE_F32, x.rows, c->patch * c->latent_channels);
    ace_epilogue bias = {.bias = d->model->patch_out_bias};
    ace_rms_norm(s, normed, x, &norm);
    ace_linear(s, out, normed, &d->model->patch_out, &bias);
    return out;
}

static void download_frames(ace_dit_session *d, ace_tensor out, float *v)
{
    const ace_dit_config *c = &d->model->config;
    for (int64_t b = 0; b < d->batch; b++) {
        ace_tensor frames = ace_reshape(ace_rows(out, b * d->tokens, d->tokens),
                                        d->tokens * c->patch, c->latent_channels);
        float *to = v != NULL ? v + b * d->frames * c->latent_channels : NULL;
        ace_download(d->stream, to, ace_rows(frames, 0, d->frames));
    }
}

/* What the layers start from: temb [batch, hidden], the modulations [batch·6, hidden], and
 * x [batch·tokens, hidden]. */
typedef struct evaluation {
    ace_tensor temb, six, x;
} evaluation;

/* x: host, or NULL for the one that is there. Of the times that were written before. */
static evaluation begin_evaluation(ace_dit_session *d, const float *x, bool same_x)
{
    ace_stream *s = d->stream;
    const ace_dit_config *c = &d->model->config;
    int64_t hidden = c->decoder.hidden;
    evaluation e;
    if (!same_x) {
        ace_upload(s, ace_cols(d->input, c->in_channels - c->latent_channels, c->latent_channels),
                   x);
    }
    e.temb = ace_new(s, ACE_F32, d->batch, hidden);
    ace_tensor time = ace_new(s, ACE_F32, d->batch, ACE_DIT_MODULATIONS * hidden);
    embed_time(d, e.temb, time);
    e.six = ace_reshape(time, d->batch * ACE_DIT_MODULATIONS, hidden);
    e.x = ace_new(s, ACE_F32, d->batch * d->tokens, hidden);
    patch(d, e.x);
    return e;
}

static void evaluate(void *context)
{
    ace_dit_evaluation *of = context;
    ace_dit_session *d = of->session;
    evaluation e = begin_evaluation(d, of->x, of->same_x);
    run_layers(d, d->model->config.layers, e.x, e.six, of->null_branch);
    of->out = unpatch(d, e.x, e.temb);
}

/* The evaluation of this kind that was there before, or one in place of the oldest. */
static ace_dit_evaluation *evaluation_of(ace_dit_session *d, const float *x, bool null_branch)
{
    for (int i = 0; i < ACE_DIT_EVALUATIONS; i++) {
        ace_dit_evaluation *of = &d->evaluation[i];
        if (of->session == d && of->x == x && of->null_branch == null_branch &&
            of->same_x == d->same_x) {
            return of;
        }
    }
    ace_dit_evaluation *of = &d->evaluation[d->next_evaluation];
    d->next_evaluation = (d->next_evaluation + 1) % ACE_DIT_EVALUATIONS;
    ace_step_forget(d->stream, &of->step);
    *of =
        (ace_dit_evaluation){.session = d, .x = x, .null_branch = null_branch, .same_x = d->same_x};
    return of;
}

void ace_dit_velocity(ace_dit_session *d, const float *x, const float *t, const float *t_r,
                      bool null_branch, float *v)
{
    ace_stream *s = d->stream;
    const ace_dit *m = d->model;
    if (s->status != ACESTEP_OK) {
        return;
    }
    ace_arena_mark mark = ace_mark(s);
    ace_dit_evaluation *of = evaluation_of(d, x, null_branch);
    d->same_x = false;
    write_times(d, t, t_r);
    if (m->source == NULL && m->observer.observe == NULL) {
        ace_step_run(s, &of->step, evaluate, of);
    } else { /* layers come and go, or somebody looks on */
        evaluate(of);
    }
    download_frames(d, of->out, v);
    ace_reset(s, &mark);
}

void ace_dit_listen(ace_dit_session *d, const float *x, const float *t, int64_t last,
                    ace_dit_hear *hear, void *context)
{
    ace_stream *s = d->stream;
    if (s->status != ACESTEP_OK) {
        return;
    }
    ace_arena_mark mark = ace_mark(s);
    d->hear = hear;
    d->hear_context = context;
    write_times(d, t, t);
    evaluation e = begin_evaluation(d, x, d->same_x);
    d->same_x = false;
    run_layers(d, last + 1, e.x, e.six, false);
    d->hear = NULL;
    ace_reset(s, &mark);
}
