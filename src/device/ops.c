/* The operations as model code calls them: shapes and types are checked here once for all devices,
 * work is counted, and a stream that has failed stands still. */
#include "device/stream.h"

#include "base/clock.h"

static bool same_shape(ace_tensor a, ace_tensor b)
{
    return a.rows == b.rows && a.cols == b.cols;
}

static bool is_work_type(ace_tensor t)
{
    return t.addr != 0 && (t.dtype == ACE_F32 || t.dtype == ACE_BF16) && t.rows > 0 && t.cols > 0 &&
           t.row_stride >= t.cols;
}

static bool is_int8(ace_tensor t)
{
    return t.addr != 0 && t.dtype == ACE_I8 && t.rows > 0 && t.cols > 0 && t.row_stride >= t.cols;
}

static bool is_row_of(ace_tensor t, int64_t cols)
{
    return t.addr == 0 || (t.dtype == ACE_F32 && t.rows == 1 && t.cols == cols);
}

/* A [groups, cols] table whose rows each serve an equal run of `rows` rows. */
static bool is_group_table(ace_tensor t, int64_t rows, int64_t cols)
{
    return t.addr == 0 ||
           (t.dtype == ACE_F32 && t.cols == cols && t.rows > 0 && rows % t.rows == 0);
}

static bool refuse(ace_stream *s, bool valid, const char *operation)
{
    if (s->status != ACESTEP_OK) {
        return true;
    }
    if (!valid) {
        ace_stream_fail(s, ACESTEP_FAILED, "%s: shapes or types do not fit together", operation);
        return true;
    }
    s->counters.operations++;
    return false;
}

static bool epilogue_fits(const ace_epilogue *e, ace_tensor y, const ace_matrix *w)
{
    if (e == NULL) {
        return true;
    }
    if (w->shape.swiglu && (e->accumulate || e->bias.addr != 0 || e->gate.addr != 0)) {
        return false;
    }
    return is_row_of(e->bias, y.cols) && is_group_table(e->gate, y.rows, y.cols) &&
           (e->gate.addr == 0 || e->accumulate);
}

static bool is_output_of(ace_tensor y, const ace_matrix *w)
{
    return y.cols == w->shape.rows || (w->shape.swiglu && y.cols == w->shape.rows / 2);
}

/* ---- watching -------------------------------------------------------------------------------- */

/* The clock is asked only while somebody listens. */
static double started(const ace_stream *s)
{
    return s->device->watch != NULL ? ace_clock_seconds() : 0;
}

static void finished(const ace_stream *s, double start, ace_operation o)
{
    const ace_watch *watch = s->device->watch;
    if (watch != NULL) {
        o.started = start;
        o.ended = ace_clock_seconds();
        watch->heard(watch->context, &o);
    }
}

static double bytes_of(ace_tensor t)
{
    return t.addr != 0 ? (double)t.rows * (double)t.cols * (double)ace_dtype_bytes(t.dtype) : 0;
}

static void finished_product(const ace_stream *s, double start, const char *name, ace_tensor y,
                             ace_tensor x, const ace_matrix *w, bool accumulate, double flops)
{
    finished(
        s, start,
        (ace_operation){.name = name,
                        .x = x,
                        .y = y,
                        .taps = w->shape.taps,
                        .matrix = w->shape.dtype,
                        .flops = flops,
                        .read = bytes_of(x) + (double)w->bytes + (accumulate ? bytes_of(y) : 0),
                        .written = bytes_of(y)});
}

/* An operation that counts no FLOPs: it is as fast as memory. b: a second operand, or empty. */
static void finished_pass(const ace_stream *s, double start, const char *name, ace_tensor y,
                          ace_tensor x, ace_tensor b)
{
    finished(s, start,
             (ace_operation){.name = name,
                             .x = x,
                             .y = y,
                             .read = bytes_of(x) + bytes_of(b),
                             .written = bytes_of(y)});
}

/* ---- products -------------------------------------------------------------------------------- */

static double product_flops(int64_t rows, const ace_matrix *w)
{
    return 2.0 * (double)rows * (double)w->shape.rows * (double)w->shape.cols * w->shape.taps;
}

void ace_linear(ace_stream *s, ace_tensor y, ace_tensor x, const ace_matrix *w,
                const ace_epilogue *e)
{
    if (refuse(s,
               is_work_type(y) && is_work_type(x) && w->addr != 0 && w->shape.taps == 1 &&
                   x.cols == w->shape.cols && is_output_of(y, w) && x.rows == y.rows &&
                   epilogue_fits(e, y, w),
               "linear")) {
        return;
    }
    static const ace_epilogue plain;
    double flops = product_flops(y.rows, w);
    double start = started(s);
    s->counters.flops += flops;
    s->device->ops->linear(s->device, y, x, w, e != NULL ? e : &plain);
    finished_product(s, start, "linear", y, x, w, e != NULL && e->accumulate, flops);
}

static bool snake_fits(ace_tensor alpha, ace_tensor inv_beta, int64_t channels)
{
    return (alpha.addr != 0) == (inv_beta.addr != 0) && is_row_of(alpha, channels) &&
           is_row_of(inv_beta, channels);
}

void ace_conv1d(ace_stream *s, ace_tensor y, ace_tensor x, const ace_matrix *w, const ace_conv *c,
                const ace_epilogue *e)
{
    if (refuse(s,
               is_work_type(y) && is_work_type(x) && w->addr != 0 && !w->shape.swiglu &&
                   x.cols == w->shape.cols && y.cols == w->shape.rows && c->stride > 0 &&
                   c->dilation > 0 && c->pad >= 0 && epilogue_fits(e, y, w) &&
                   snake_fits(c->snake_alpha, c->snake_inv_beta, x.cols),
               "conv1d")) {
        return;
    }
    static const ace_epilogue plain;
    double flops = product_flops(y.rows, w);
    double start = started(s);
    s->counters.flops += flops;
    s->device->ops->conv(s->device, y, x, w, c, e != NULL ? e : &plain);
    finished_product(s, start, "conv", y, x, w, e != NULL && e->accumulate, flops);
}

void ace_conv_transpose1d(ace_stream *s, ace_tensor y, ace_tensor x, const ace_matrix *w,
                          const ace_conv_transpose *c)
{
    if (refuse(s,
               is_work_type(y) && is_work_type(x) && w->addr != 0 && !w->shape.swiglu &&
                   w->shape.taps == 2 && x.cols == w->shape.cols && c->stride > 0 && c->crop >= 0 &&
                   c->crop <= c->stride && w->shape.rows == c->stride * y.cols &&
                   y.rows == x.rows * c->stride && is_row_of(c->bias, y.cols) &&
                   ace_tensor_is_contiguous(y) &&
                   snake_fits(c->snake_alpha, c->snake_inv_beta, x.cols),
               "conv_transpose1d")) {
        return;
    }
    double flops = product_flops(x.rows, w);
    double start = started(s);
    s->counters.flops += flops;
    s->device->ops->conv_transpose(s->device, y, x, w, c);
    finished_product(s, start, "conv_transpose", y, x, w, false, flops);
}

void ace_rms_norm(ace_stream *s, ace_tensor y, ace_tensor x, const ace_norm *n)
{
    if (refuse(s,
               is_work_type(y) && is_work_type(x) && same_shape(x, y) && n->weight.addr != 0 &&
                   is_row_of(n->weight, x.cols) && (n->scale.addr != 0) == (n->shift.addr != 0) &&
                   is_group_table(n->scale, x.rows, x.cols) &&
                   is_group_table(n->shift, x.rows, x.cols),
               "rms_norm")) {
        return;
    }
    double start = started(s);
    s->device->ops->rms_norm(s->device, y, x, n);
    finished_pass(s, start, "rms_norm", y, x, (ace_tensor){.addr = 0});
}

void ace_head_rms_norm(ace_stream *s, ace_tensor x, const ace_head_norm *n)
{
    int64_t head_dim = n->weight.cols;
    if (refuse(s,
               is_work_type(x) && n->heads > 0 && head_dim > 0 && head_dim % 2 == 0 &&
                   x.cols == n->heads * head_dim && n->weight.addr != 0 &&
                   is_row_of(n->weight, head_dim) &&
                   (n->rope.addr == 0 ||
                    (n->rope.dtype == ACE_F32 && n->rope.cols == head_dim && n->rope.rows > 0)),
               "head_rms_norm")) {
        return;
    }
    double start = started(s);
    s->device->ops->head_norm(s->device, x, n);
    finished_pass(s, start, "head_norm", x, x, (ace_tensor){.addr = 0});
}

/* Keys that exist for an item. */
static int64_t keys_of(const ace_attention *a, int64_t item)
{
    bool fewer = a->kv_valid != NULL && a->kv_valid[item] < a->kv_len;
    return fewer ? a->kv_valid[item] : a->kv_len;
}

static bool key_rows_fit(const ace_attention *a, int64_t item, int64_t rows)
{
    ace_key_rows r = a->kv_rows[item];
    int64_t keys = keys_of(a, item);
    int64_t shared = keys < r.shared ? keys : r.shared;
    return r.shared_first >= 0 && r.shared >= 0 && r.own_first >= 0 &&
           r.shared_first <= rows - shared &&
           (keys <= r.shared || r.own_first <= rows - (keys - r.shared));
}

/* Every item's keys lie inside k and v. */
static bool keys_fit(ace_tensor k, const ace_attention *a)
{
    bool fit = true;
    if (a->kv_rows != NULL) {
        bool is_apart = a->kv_head_rows > 0;
        fit = a->kv_index == NULL && !a->uniform_when_hidden &&
              (!is_apart || k.rows / a->kv_heads == a->kv_head_rows);
        for (int64_t b = 0; fit && b < a->batch; b++) {
            fit = key_rows_fit(a, b, is_apart ? a->kv_head_rows : k.rows);
        }
        return fit;
    }
    fit = a->kv_head_rows == 0 && k.rows % a->kv_len == 0 &&
          (a->kv_index != NULL || k.rows == a->batch * a->kv_len);
    for (int64_t b = 0; fit && a->kv_index != NULL && b < a->batch; b++) {
        fit = a->kv_index[b] >= 0 && a->kv_index[b] < k.rows / a->kv_len;
    }
    return fit;
}

/* A number for each row of a tensor of int8. */
static bool is_scale_of(ace_tensor scale, ace_tensor t)
{
    return scale.addr != 0 && scale.dtype == ACE_F32 && scale.rows == t.rows && scale.cols == 1 &&
           scale.row_stride == 1;
}

/* Of the type of the queries, or int8 with scales. */
static bool key_types_fit(ace_tensor q, ace_tensor k, ace_tensor v, const ace_attention *a)
{
    if (a->k_scale.addr == 0 && a->v_scale.addr == 0) {
        return is_work_type(k) && is_work_type(v) && q.dtype == k.dtype && k.dtype == v.dtype;
    }
    return is_int8(k) && is_int8(v) && is_scale_of(a->k_scale, k) && is_scale_of(a->v_scale, v) &&
           a->kv_rows != NULL && a->kv_head_rows > 0;
}

/* Of keys and values, each item's once. */
static double key_bytes(ace_tensor k, const ace_attention *a)
{
    double keys = 0;
    for (int64_t b = 0; b < a->batch; b++) {
        keys += (double)keys_of(a, b);
    }
    double row = (double)a->head_dim * (double)ace_dtype_bytes(k.dtype) +
                 (a->k_scale.addr != 0 ? sizeof(float) : 0);
    return 2 * keys * (double)a->kv_heads * row;
}

static void finished_attention(const ace_stream *s, double start, ace_tensor y, ace_tensor q,
                               ace_tensor k, const ace_attention *a, double flops)
{
    if (s->device->watch == NULL) {
        return;
    }
    finished(s, start,
             (ace_operation){.name = "attention",
                             .x = q,
                             .y = y,
                             .keys = a->kv_len,
                             .flops = flops,
                             .read = bytes_of(q) + key_bytes(k, a),
                             .written = bytes_of(y)});
}

void ace_attend(ace_stream *s, ace_tensor y, ace_tensor q, ace_tensor k, ace_tensor v,
                const ace_attention *a)
{
    bool valid = is_work_type(y) && is_work_type(q) && key_types_fit(q, k, v, a) && a->batch > 0 &&
                 a->q_len > 0 && a->kv_len > 0 && a->heads > 0 && a->kv_heads > 0 &&
                 a->heads % a->kv_heads == 0 && a->head_dim > 0 && same_shape(y, q) &&
                 same_shape(k, v) && q.rows == a->batch * a->q_len &&
                 q.cols == a->heads * a->head_dim &&
                 k.cols == (a->kv_head_rows > 0 ? 1 : a->kv_heads) * a->head_dim && keys_fit(k, a);
    if (refuse(s, valid, "attention")) {
        return;
    }
    double keys = (double)a->kv_len;
    if (a->window > 0 && 2.0 * (double)a->window + 1.0 < keys) {
        keys = 2.0 * (double)a->window + 1.0;
    }
    double flops = 4.0 * (double)(a->batch * a->q_len * a->heads * a->head_dim) * keys *
                   (a->causal ? 0.5 : 1.0);
    double start = started(s);
    s->counters.flops += flops;
    s->device->ops->attention(s->device, y, q, k, v, a);
    finished_attention(s, start, y, q, k, a, flops);
}

void ace_silu(ace_stream *s, ace_tensor y, ace_tensor x)
{
    if (refuse(s, is_work_type(y) && is_work_type(x) && same_shape(x, y), "silu")) {
        return;
    }
    double start = started(s);
    s->device->ops->silu(s->device, y, x);
    finished_pass(s, start, "silu", y, x, (ace_tensor){.addr = 0});
}

void ace_silu_mul(ace_stream *s, ace_tensor y, ace_tensor gate, ace_tensor up)
{
    if (refuse(s,
               is_work_type(y) && is_work_type(gate) && is_work_type(up) && same_shape(gate, y) &&
                   same_shape(up, y),
               "silu_mul")) {
        return;
    }
    double start = started(s);
    s->device->ops->silu_mul(s->device, y, gate, up);
    finished_pass(s, start, "silu_mul", y, gate, up);
}

void ace_add(ace_stream *s, ace_tensor y, ace_tensor a, ace_tensor b)
{
    if (refuse(s,
               is_work_type(y) && is_work_type(a) && is_work_type(b) && a.cols == y.cols &&
                   b.cols == y.cols && y.rows % a.rows == 0 && y.rows % b.rows == 0,
               "add")) {
        return;
    }
    double start = started(s);
    s->device->ops->add(s->device, y, a, b);
    finished_pass(s, start, "add", y, a, b);
}

void ace_copy(ace_stream *s, ace_tensor y, ace_tensor x)
{
    if (refuse(s, is_work_type(y) && is_work_type(x) && same_shape(x, y), "copy")) {
        return;
    }
    double start = started(s);
    s->device->ops->copy(s->device, y, x);
    finished_pass(s, start, "copy", y, x, (ace_tensor){.addr = 0});
}

static bool rows_fit(ace_tensor x, const ace_scatter *to)
{
    if (to->rows == NULL) {
        return to->first >= 0 && to->first <= to->head_rows - x.rows;
    }
    bool fit = true;
    for (int64_t i = 0; fit && i < x.rows; i++) {
        fit = to->rows[i] >= 0 && to->rows[i] < to->head_rows;
    }
    return fit;
}

void ace_scatter_rows(ace_stream *s, ace_tensor y, ace_tensor x, const ace_scatter *to)
{
    bool rounds = to->scale.addr != 0;
    bool valid = (rounds ? is_int8(y) && is_scale_of(to->scale, y) : is_work_type(y)) &&
                 is_work_type(x) && to->head_rows > 0 && y.rows % to->head_rows == 0 &&
                 x.cols == y.rows / to->head_rows * y.cols;
    if (refuse(s, valid && rows_fit(x, to), "scatter")) {
        return;
    }
    double start = started(s);
    double numbers = (double)(x.rows * x.cols);
    s->device->ops->scatter(s->device, y, x, to);
    finished(s, start,
             (ace_operation){.name = "scatter",
                             .x = x,
                             .y = y,
                             .read = bytes_of(x),
                             .written = numbers * (double)ace_dtype_bytes(y.dtype) +
                                        (rounds ? numbers / (double)y.cols * sizeof(float) : 0)});
}

static bool mix_fits(ace_tensor y, ace_tensor x, const ace_mix *m)
{
    if (y.rows != x.rows || !is_group_table(m->gate, y.rows, y.cols)) {
        return false;
    }
    ace_tensor w = m->weight;
    if (w.addr == 0) {
        return y.cols == x.cols;
    }
    return is_work_type(w) && w.dtype == ACE_F32 && y.addr != x.addr && y.cols % w.rows == 0 &&
           x.cols % w.cols == 0 && y.cols / w.rows == x.cols / w.cols;
}

void ace_mix_columns(ace_stream *s, ace_tensor y, ace_tensor x, const ace_mix *m)
{
    if (refuse(s, is_work_type(y) && is_work_type(x) && mix_fits(y, x, m), "mix")) {
        return;
    }
    double flops = m->weight.addr == 0 ? 0 : 2.0 * (double)(y.rows * y.cols * m->weight.cols);
    double start = started(s);
    s->counters.flops += flops;
    s->device->ops->mix(s->device, y, x, m);
    finished(s, start,
             (ace_operation){.name = "mix",
                             .x = x,
                             .y = y,
                             .flops = flops,
                             .read = bytes_of(x) + bytes_of(m->weight) +
                                     (m->accumulate ? bytes_of(y) : 0),
                             .written = bytes_of(y)});
}

void ace_fill(ace_stream *s, ace_tensor y, float value)
{
    if (refuse(s, is_work_type(y), "fill")) {
        return;
    }
    double start = started(s);
    s->device->ops->fill(s->device, y, value);
    finished_pass(s, start, "fill", y, (ace_tensor){.addr = 0}, (ace_tensor){.addr = 0});
}
