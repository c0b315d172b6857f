/* Attention of a single query over keys and values of 8 bits. Query and weights are rounded to 16
 * bits against the largest of their row, so that products and sums are those of integers, exact,
 * and nothing is widened further than to words. Heads are whole vectors of words. Included by
 * attention_body.h, once per level. */
#ifndef ACE_CPU_ATTENTION_SINGLE_INT8_H
#define ACE_CPU_ATTENTION_SINGLE_INT8_H

/* Sums of pairs of values in registers at once. */
#if defined(__AVX512F__) || defined(__aarch64__)
enum { WORD_SUMS = 16 };
#else
enum { WORD_SUMS = 8 };
#endif

/* n floats, a multiple of ACE_VF, as words; gives what one step of them is worth, or NaN where one
 * is no number. With the KEYS weights of a block, or a head of ACE_ATTENTION_WORD_HEAD columns,
 * sums of products with int8 stay below 2^15 · 2^7 · 512 = 2^31. */
static float round_to_words(const float *from, int64_t n, int16_t *to)
{
    ace_vf zero = ace_vf_set(0.0f);
    ace_vf peak = zero;
    ace_vf flaw = zero; /* 0 times what is no number is NaN */
    for (int64_t i = 0; i < n; i += ACE_VF) {
        ace_vf v = ace_vf_load(from + i);
        peak = ace_vf_max(peak, ace_vf_max(v, ace_vf_sub(zero, v)));
        flaw = ace_vf_fma(v, zero, flaw);
    }
    float largest = ace_vf_peak(peak);
    bool is_some = largest > 0x1p-100f;
    ace_vf factor = ace_vf_set(is_some ? 32767.0f / largest : 0.0f);
    for (int64_t i = 0; i < n; i += ACE_VF) {
        int32_t bits[ACE_VF]; /* with 1.5·2^23 added a whole number is the lower word */
        ace_vf shifted = ace_vf_fma(ace_vf_load(from + i), factor, ace_vf_set(ACE_VF_ROUNDER));
        memcpy(bits, &shifted, sizeof bits);
        for (int k = 0; k < ACE_VF; k++) {
            to[i + k] = (int16_t)bits[k];
        }
    }
    return (is_some ? largest / 32767.0f : 0.0f) + ace_vf_sum(flaw);
}

static void round_queries(const block *t)
{
    for (int64_t r = 0; r < t->rows; r++) {
        t->q_scale[r] = round_to_words(t->q + r * t->depth, t->depth, t->q_words + r * t->depth);
    }
}

/* Points at the rows of a block of keys or values; behind the last one stands that again. */
static ALWAYS_INLINE void point_at_rows(const block *t, ace_tensor tensor, int64_t key, int64_t end,
                                        const int8_t *rows[KEYS])
{
    int64_t n = end - key < KEYS ? end - key : KEYS;
    if (n <= 0) {
        return;
    }
    int64_t shared = shared_of(t, key, n);
    const int8_t *at = ace_cpu_i8(tensor, t->keys.shared_first + key);
    for (int64_t j = 0; j < n; j++, at += tensor.row_stride) {
        if (j == shared) {
            at = ace_cpu_i8(tensor, t->keys.own_first + key + j - t->keys.shared);
        }
        rows[j] = at;
    }
    for (int64_t j = n; j < KEYS; j++) {
        rows[j] = rows[n - 1];
    }
}

/* Asks for rows of the next block while this one is worked at: all at once they would wait for each
 * other. */
static ALWAYS_INLINE void fetch_next(const block *t, const int8_t *const *row, int n)
{
    for (int i = 0; i < n; i++) {
        for (int64_t c = 0; c < t->depth; c += ROW_LINE) {
            __builtin_prefetch(row[i] + c, 0, 3);
        }
    }
}

/* Scores of `heads` heads, a constant at each call, against as many keys from column j on as fill a
 * vector. */
static ALWAYS_INLINE void score_words(const block *t, const int8_t *const *row, int64_t j,
                                      int64_t head, int heads)
{
    const int keys = ACE_VF / heads;
    ace_vs sum[ACE_VF];
    for (int i = 0; i < ACE_VF; i++) {
        sum[i] = ace_vs_zero();
    }
    for (int64_t c = 0; c < t->depth; c += ACE_VW) {
        ace_vw q[GROUP_MOST];
        for (int h = 0; h < heads; h++) {
            q[h] = ace_vw_load(t->q_words + (head + h) * t->depth + c);
        }
        for (int i = 0; i < keys; i++) {
            ace_vw k = ace_vw_load_i8(row[j + i] + c);
            for (int h = 0; h < heads; h++) {
                sum[h * keys + i] = ace_vs_dot(sum[h * keys + i], k, q[h]);
            }
        }
    }
    float scores[ACE_VF];
    ace_vf_store(scores, ace_vs_totals(sum));
    for (int h = 0; h < heads; h++) {
        memcpy(t->scores + (head + h) * KEYS + j, scores + h * keys, (size_t)keys * sizeof *scores);
    }
}

static ALWAYS_INLINE void score_word_heads(const block *t, const int8_t *const *row, int64_t n,
                                           int64_t head, int heads)
{
    for (int64_t j = 0; j < n; j += ACE_VF / heads) {
        if (head == 0) {
            fetch_next(t, row + KEYS + j, ACE_VF / heads);
        }
        score_words(t, row, j, head, heads);
    }
}

/* Adds the block's weighted values to some heads' sums, `vectors` times ACE_VW from column c on. */
static ALWAYS_INLINE void add_word_columns(const block *t, const int8_t *const *row, int64_t n,
                                           int64_t c, int vectors, int64_t head, int heads)
{
    ace_vs sum[WORD_SUMS];
    for (int i = 0; i < 2 * vectors * heads; i++) {
        sum[i] = ace_vs_zero();
    }
    const int16_t *weights = t->weights + head * KEYS;
    for (int64_t j = 0; j < n; j += 2) { /* behind the last key the weight is zero */
        const int8_t *even = row[j] + c;
        const int8_t *odd = row[j + 1] + c;
        if (head == 0 && c == 0) {
            fetch_next(t, row + KEYS + j, 2);
        }
        ace_vw pair[GROUP_MOST];
        for (int h = 0; h < heads; h++) {
            pair[h] = ace_vw_pair(weights + h * KEYS + j);
        }
        for (int v = 0; v < vectors; v++) {
            ace_vw low;
            ace_vw high;
            ace_vw_interleave(ace_vw_load_i8(even + v * ACE_VW), ace_vw_load_i8(odd + v * ACE_VW),
                              &low, &high);
            for (int h = 0; h < heads; h++) {
                ace_vs *at = sum + 2 * (h * vectors + v);
                at[0] = ace_vs_dot(at[0], low, pair[h]);
                at[1] = ace_vs_dot(at[1], high, pair[h]);
            }
        }
    }
    for (int h = 0; h < heads; h++) {
        ace_vf scale = ace_vf_set(t->weight_scale[head + h]);
        for (int v = 0; v < vectors; v++) {
            float *to = t->sums + (head + h) * t->width + c + v * ACE_VW;
            ace_vf low = ace_vs_float(sum[2 * (h * vectors + v)]);
            ace_vf high = ace_vs_float(sum[2 * (h * vectors + v) + 1]);
            ace_vf_in_order(&low, &high);
            ace_vf_store(to, ace_vf_fma(low, scale, ace_vf_load(to)));
            ace_vf_store(to + ACE_VF, ace_vf_fma(high, scale, ace_vf_load(to + ACE_VF)));
        }
    }
}

static ALWAYS_INLINE void add_word_heads(const block *t, const int8_t *const *row, int64_t n,
                                         int64_t head, int heads)
{
    const int vectors =
        WORD_SUMS / heads / 2 < VALUE_VECTORS ? WORD_SUMS / heads / 2 : VALUE_VECTORS;
    int64_t c = 0;
    for (; c + vectors * ACE_VW <= t->depth; c += vectors * ACE_VW) {
        add_word_columns(t, row, n, c, vectors, head, heads);
    }
    for (; c < t->depth; c += ACE_VW) {
        add_word_columns(t, row, n, c, 1, head, heads);
    }
}

static void score_int8_block(const block *t, const int8_t *const *row, int64_t n)
{
    int64_t head = 0;
    for (; head + 4 <= t->rows; head += 4) {
        score_word_heads(t, row, n, head, 4);
    }
    for (; head + 2 <= t->rows; head += 2) {
        score_word_heads(t, row, n, head, 2);
    }
    for (; head < t->rows; head++) {
        score_word_heads(t, row, n, head, 1);
    }
    for (int64_t r = 0; r < t->rows; r++) { /* whole vectors are weighed */
        memset(t->scores + r * KEYS + n, 0, (size_t)(KEYS - n) * sizeof *t->scores);
    }
}

static void add_int8_values(const block *t, const int8_t *const *row, int64_t n)
{
    int64_t head = 0;
    for (int64_t r = 0; r < t->rows; r++) {
        float *weights = t->scores + r * KEYS;
        memset(weights + n, 0, (size_t)(KEYS - n) * sizeof *weights);
        t->weight_scale[r] = round_to_words(weights, KEYS, t->weights + r * KEYS);
    }
    for (; head + 4 <= t->rows; head += 4) {
        add_word_heads(t, row, n, head, 4);
    }
    for (; head + 2 <= t->rows; head += 2) {
        add_word_heads(t, row, n, head, 2);
    }
    for (; head < t->rows; head++) {
        add_word_heads(t, row, n, head, 1);
    }
}

static void attend_single_int8(const block *t)
{
    begin_rows(t);
    round_queries(t);
    int64_t key;
    int64_t end = task_keys(t, &key);
    if (key >= end) {
        return;
    }
    const int8_t *k[2 * KEYS]; /* of this block and of the next */
    const int8_t *v[2 * KEYS];
    point_at_rows(t, t->head_k, key, end, k + KEYS);
    point_at_rows(t, t->head_v, key, end, v + KEYS);
    fetch_next(t, k + KEYS, KEYS);
    fetch_next(t, v + KEYS, KEYS);
    for (; key < end; key += KEYS) {
        int64_t n = end - key < KEYS ? end - key : KEYS;
        memcpy(k, k + KEYS, KEYS * sizeof *k);
        memcpy(v, v + KEYS, KEYS * sizeof *v);
        point_at_rows(t, t->head_k, key + KEYS, end, k + KEYS);
        point_at_rows(t, t->head_v, key + KEYS, end, v + KEYS);
        score_int8_block(t, k, n);
        weigh_block(false, t, key, n);
        add_int8_values(t, v, n);
    }
}

#endif
