#include "cases.h"

#include <math.h>
#include <stdio.h>

static const int32_t *random_valid(trial *t, const ace_attention *a)
{
    int32_t *valid = trial_bytes(t, (size_t)a->batch * sizeof *valid);
    for (int64_t b = 0; b < a->batch; b++) {
        valid[b] = (int32_t)(trial_chance(t, 15) ? 0 : trial_between(t, 1, a->kv_len));
    }
    return valid;
}

static const int32_t *random_index(trial *t, const ace_attention *a, int64_t blocks)
{
    int32_t *index = trial_bytes(t, (size_t)a->batch * sizeof *index);
    for (int64_t b = 0; b < a->batch; b++) {
        index[b] = (int32_t)trial_between(t, 0, blocks - 1);
    }
    return index;
}

static const uint8_t *random_mask(trial *t, const ace_attention *a)
{
    uint8_t *mask = trial_bytes(t, (size_t)(a->batch * a->kv_len));
    int shown = (int)trial_between(t, 0, 100);
    for (int64_t i = 0; i < a->batch * a->kv_len; i++) {
        mask[i] = trial_chance(t, shown);
    }
    return mask;
}

/* Items that share some of their first keys with each other, in pools of `rows` rows. */
static const ace_key_rows *random_rows(trial *t, const ace_attention *a, int64_t rows)
{
    ace_key_rows *items = trial_bytes(t, (size_t)a->batch * sizeof *items);
    for (int64_t b = 0; b < a->batch; b++) {
        items[b].shared = trial_chance(t, 20) ? 0 : trial_between(t, 1, a->kv_len);
        items[b].shared_first = trial_between(t, 0, rows - items[b].shared);
        items[b].own_first = trial_between(t, 0, rows - (a->kv_len - items[b].shared));
    }
    return items;
}

static ace_attention random_options(trial *t)
{
    static const int64_t published[] = {64, 128};
    ace_attention a = {.batch = trial_between(t, 1, 3), .kv_heads = trial_between(t, 1, 3)};
    a.heads = a.kv_heads * trial_between(t, 1, 4);
    a.head_dim = trial_chance(t, 30) ? published[trial_between(t, 0, 1)] : trial_size(t, 160);
    a.q_len = trial_chance(t, 30) ? 1 : trial_size(t, 90);
    a.kv_len = trial_chance(t, 40) ? a.q_len : trial_size(t, 220);
    a.scale = trial_real(t, 0.5f, 4.0f) / sqrtf((float)a.head_dim);
    a.causal = trial_chance(t, 30);
    a.window = trial_chance(t, 40) ? trial_between(t, 1, 100) : 0;
    a.kv_valid = trial_chance(t, 30) ? random_valid(t, &a) : NULL;
    a.kv_mask = trial_chance(t, 25) ? random_mask(t, &a) : NULL;
    a.uniform_when_hidden = trial_chance(t, 50);
    return a;
}

/* What kernels for wide loads and tensor cores want: whole pieces of 16 numbers, and more of them
 * than fit into one tile. */
static ace_attention wide_options(trial *t)
{
    static const int64_t dims[] = {16, 48, 64, 64, 96, 128, 128, 128};
    static const int64_t groups[] = {1, 2, 3, 4, 8};
    ace_attention a = random_options(t);
    a.kv_heads = trial_between(t, 1, 2);
    a.heads = a.kv_heads * groups[trial_between(t, 0, 4)];
    a.head_dim = dims[trial_between(t, 0, 7)];
    a.scale = trial_real(t, 0.5f, 4.0f) / sqrtf((float)a.head_dim);
    return a;
}

/* Which rows of the keys and values some item reads. */
static const bool *rows_read(trial *t, const ace_attention *a, int64_t rows)
{
    bool *is_read = trial_bytes(t, (size_t)rows * sizeof *is_read);
    int64_t pools = a->kv_head_rows > 0 ? a->kv_heads : 1;
    for (int64_t b = 0; b < a->batch; b++) {
        for (int64_t j = 0; j < a->kv_len; j++) {
            int64_t row = (a->kv_index != NULL ? a->kv_index[b] : b) * a->kv_len + j;
            if (a->kv_rows != NULL) {
                ace_key_rows r = a->kv_rows[b];
                row = j < r.shared ? r.shared_first + j : r.own_first + j - r.shared;
            }
            bool is_there = a->kv_valid == NULL || j < a->kv_valid[b];
            for (int64_t p = 0; p < pools; p++) {
                is_read[p * a->kv_head_rows + row] |= is_there;
            }
        }
    }
    return is_read;
}

/* Rows of keys and values that no item reads hold NaN. What only a mask hides is read, and gets a
 * weight of zero. */
static void poison(trial *t, const ace_attention *a, ace_tensor k, ace_tensor v)
{
    const bool *is_read = rows_read(t, a, k.rows);
    for (int64_t r = 0; r < k.rows; r++) {
        for (int64_t c = 0; !is_read[r] && c < k.cols; c++) {
            trial_set_element(k, r, c, NAN);
            trial_set_element(v, r, c, NAN);
        }
    }
}

static void check(trial *t, ace_attention a, ace_dtype dtype)
{
    int64_t kv_blocks = a.batch;
    if (trial_chance(t, 30)) {
        kv_blocks = trial_between(t, 1, 3);
        a.kv_index = random_index(t, &a, kv_blocks);
    }
    int64_t kv_rows = kv_blocks * a.kv_len;
    if (a.kv_index == NULL && !a.uniform_when_hidden && trial_chance(t, 40)) {
        kv_rows = a.kv_len + trial_between(t, 0, 50);
        a.kv_rows = random_rows(t, &a, kv_rows);
        a.kv_head_rows = trial_chance(t, 50) ? kv_rows : 0;
    }
    int64_t kv_cols = a.kv_heads * a.head_dim;
    if (a.kv_head_rows > 0) {
        kv_rows *= a.kv_heads;
        kv_cols = a.head_dim;
    }
    ace_tensor q = trial_input(t, a.batch * a.q_len, a.heads * a.head_dim, dtype, -1.0f, 1.0f);
    ace_tensor k = trial_input(t, kv_rows, kv_cols, dtype, -1.0f, 1.0f);
    ace_tensor v = trial_input(t, kv_rows, kv_cols, dtype, -1.0f, 1.0f);
    ace_tensor y = trial_output(t, q.rows, q.cols, trial_work_type(t), false);
    snprintf(
        t->about, sizeof t->about,
        "batch %lld, %lld queries, %lld keys, %lld/%lld heads of %lld, window %lld%s%s%s%s%s%s%s, "
        "%s -> %s",
        (long long)a.batch, (long long)a.q_len, (long long)a.kv_len, (long long)a.heads,
        (long long)a.kv_heads, (long long)a.head_dim, (long long)a.window,
        a.causal ? ", causal" : "", a.kv_valid != NULL ? ", valid" : "",
        a.kv_index != NULL ? ", index" : "", a.kv_rows != NULL ? ", rows" : "",
        a.kv_head_rows > 0 ? " by head" : "", a.kv_mask != NULL ? ", mask" : "",
        a.uniform_when_hidden ? ", uniform" : "", ace_dtype_name(dtype), ace_dtype_name(y.dtype));
    if (!a.uniform_when_hidden) {
        poison(t, &a, k, v);
    }
    /* Values are below one and weights sum to one. f32: scores of magnitude up to 16 (160 products
     * of numbers below one, times 4/√160) carry a relative error near 2^-22, which is the weights'
     * error. bf16: weights may be rounded to bf16, by 2^-8 at most. */
    trial_bound(t, 16 * 0x1p-22 + (dtype == ACE_BF16 ? 0x1p-8 : 0), 0);
    trial_freeze(t);
    t->device->ops->attention(t->device, y, q, k, v, &a);
}

/* What int8 rows are multiplied by: at most 1 / 127. */
static float *int8_scales(trial *t, int64_t n)
{
    float *values = trial_bytes(t, (size_t)n * sizeof *values);
    for (int64_t i = 0; i < n; i++) {
        values[i] = trial_real(t, 0.01f, 1.0f) / 127.0f;
    }
    return values;
}

void case_attention(trial *t)
{
    ace_attention a = random_options(t);
    check(t, a, trial_work_type(t));
}

/* All heads at multiples of 16 bytes. */
void case_attention_wide(trial *t)
{
    t->grain = 8;
    ace_attention a = wide_options(t);
    check(t, a, ACE_BF16);
}

/* Keys and values of 8 bits, as a language model's cache has them. */
void case_attention_int8(trial *t)
{
    t->grain = trial_chance(t, 50) ? 16 : 1;
    ace_attention a = wide_options(t);
    a.uniform_when_hidden = false;
    a.q_len = trial_chance(t, 60) ? 1 : a.q_len;
    a.kv_head_rows = a.kv_len + trial_between(t, 0, 50);
    a.kv_rows = random_rows(t, &a, a.kv_head_rows);
    ace_dtype dtype = trial_work_type(t);
    int64_t rows = a.kv_heads * a.kv_head_rows;
    ace_tensor q = trial_input(t, a.batch * a.q_len, a.heads * a.head_dim, dtype, -1.0f, 1.0f);
    ace_tensor k = trial_input(t, rows, a.head_dim, ACE_I8, -127.0f, 127.0f);
    ace_tensor v = trial_input(t, rows, a.head_dim, ACE_I8, -127.0f, 127.0f);
    a.k_scale = (ace_tensor){.addr = (uint64_t)(uintptr_t)int8_scales(t, rows),
                             .dtype = ACE_F32,
                             .rows = rows,
                             .cols = 1,
                             .row_stride = 1};
    a.v_scale = a.k_scale;
    a.v_scale.addr = (uint64_t)(uintptr_t)int8_scales(t, rows);
    const bool *is_read = rows_read(t, &a, rows);
    for (int64_t r = 0; r < rows; r++) {
        if (!is_read[r]) {
            trial_set_element(a.k_scale, r, 0, NAN);
            trial_set_element(a.v_scale, r, 0, NAN);
        }
    }
    ace_tensor y = trial_output(t, q.rows, q.cols, trial_work_type(t), false);
    snprintf(
        t->about, sizeof t->about,
        "batch %lld, %lld queries, %lld int8 keys, %lld/%lld heads of %lld, window %lld%s%s%s, "
        "%s -> %s",
        (long long)a.batch, (long long)a.q_len, (long long)a.kv_len, (long long)a.heads,
        (long long)a.kv_heads, (long long)a.head_dim, (long long)a.window,
        a.causal ? ", causal" : "", a.kv_valid != NULL ? ", valid" : "",
        a.kv_mask != NULL ? ", mask" : "", ace_dtype_name(dtype), ace_dtype_name(y.dtype));
    /* Keys and values are below one. Many queries: as above. A single one may be rounded to 16
     * bits, by 2^-16 each number, which moves scores by head_dim · scale times that, and weights by
     * e to the double of it; and so may be the weights of 64 keys against the largest of them,
     * which moves a sum by 64 · 2^-16 of the whole at most. */
    double rounding = 64 * 0x1p-16 + 2 * (double)a.head_dim * (double)a.scale * 0x1p-16;
    bool is_single = a.q_len == 1 && a.head_dim % 32 == 0;
    trial_bound(t,
                16 * 0x1p-22 + (a.q_len == 1 ? rounding : 0) +
                    (dtype == ACE_BF16 && !is_single ? 0x1p-8 : 0),
                0);
    trial_freeze(t);
    t->device->ops->attention(t->device, y, q, k, v, &a);
}
