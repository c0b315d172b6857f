/* Attention of a single query, as in decoding: keys and values are streamed from where they lie,
 * once for all heads of the group, and nothing is packed. Probabilities stay f32. Included by
 * attention_body.h, once per level. */
#ifndef ACE_CPU_ATTENTION_SINGLE_H
#define ACE_CPU_ATTENTION_SINGLE_H

enum {
    GROUP_MOST = 4,    /* heads whose sums are in registers at once */
    KEYS_AT_ONCE = 4,  /* … by as many keys */
    VALUE_VECTORS = 4, /* of each of them */
    ROW_LINE = 64      /* bytes of a cache line */
};

/* Asks for n rows ahead of their use. Of a whole block at once most would wait for each other. */
static ALWAYS_INLINE void fetch_rows(const block *t, ace_tensor tensor, int64_t key, int64_t n,
                                     int64_t end)
{
    int64_t bytes = t->job->options->head_dim * (int64_t)ace_dtype_bytes(tensor.dtype);
    for (int64_t j = key; j < end && j < key + n; j++) {
        const char *row = key_row(t, tensor, j).data;
        for (int64_t i = 0; i < bytes; i += ROW_LINE) {
            __builtin_prefetch(row + i, 0, 3);
        }
    }
}

/* Scores of `heads` heads against `keys` keys, both constants at each call, from column j on. */
static ALWAYS_INLINE void score_keys(bool pairs, const block *t, int64_t key, int64_t j, int keys,
                                     int64_t head, int heads)
{
    ace_vf sum[GROUP_MOST][KEYS_AT_ONCE];
    ace_row row[KEYS_AT_ONCE];
    for (int i = 0; i < keys; i++) {
        row[i] = key_row(t, t->head_k, key + j + i);
        row[i].bf16 = row[i].bf16 && !pairs; /* pairs are words as they lie */
        for (int h = 0; h < heads; h++) {
            sum[h][i] = ace_vf_set(0.0f);
        }
    }
    for (int64_t c = 0; c < t->depth; c += ACE_VF) {
        ace_vf q[GROUP_MOST];
        for (int h = 0; h < heads; h++) {
            q[h] = ace_row_get((ace_row){t->q + (head + h) * t->depth, false}, c, t->depth);
        }
        for (int i = 0; i < keys; i++) {
            ace_vf words = ace_row_get(row[i], c, t->depth);
            for (int h = 0; h < heads; h++) {
                sum[h][i] = multiply_add(pairs, q[h], words, sum[h][i]);
            }
        }
    }
    for (int h = 0; h < heads; h++) {
        for (int i = 0; i < keys; i++) {
            t->scores[(head + h) * KEYS + j + i] = ace_vf_sum(sum[h][i]);
        }
    }
}

static ALWAYS_INLINE void score_heads(bool pairs, const block *t, int64_t key, int64_t n,
                                      int64_t head, int heads, int64_t end)
{
    int64_t j = 0;
    for (; j + KEYS_AT_ONCE <= n; j += KEYS_AT_ONCE) {
        if (head == 0) {
            fetch_rows(t, t->head_k, key + KEYS + j, KEYS_AT_ONCE, end);
        }
        score_keys(pairs, t, key, j, KEYS_AT_ONCE, head, heads);
    }
    for (; j < n; j++) {
        score_keys(pairs, t, key, j, 1, head, heads);
    }
}

/* Adds the block's weighted values to some heads' sums, `vectors` of them from column c on. */
static ALWAYS_INLINE void add_columns(bool pairs, const block *t, int64_t key, int64_t n, int64_t c,
                                      int vectors, int64_t head, int heads, int64_t last)
{
    /* for whole vectors the compiler sees that no part is missing */
    int64_t end = vectors > 1 ? c + vectors * ACE_VF : t->job->options->head_dim;
    ace_vf sum[GROUP_MOST][VALUE_VECTORS];
    float *to = t->sums + head * t->width + c;
    const float *weights = t->scores + head * KEYS;
    for (int h = 0; h < heads; h++) {
        for (int v = 0; v < vectors; v++) {
            sum[h][v] = ace_vf_load(to + h * t->width + v * ACE_VF);
        }
    }
    for (int64_t j = 0; j < n; j++) {
        if (head == 0 && c == 0) {
            fetch_rows(t, t->head_v, key + KEYS + j, 1, last);
        }
        ace_row row = key_row(t, t->head_v, key + j);
        row.bf16 = row.bf16 || pairs; /* then it is, and the compiler knows */
        ace_vf value[VALUE_VECTORS];
        for (int v = 0; v < vectors; v++) {
            value[v] = ace_row_get(row, c + v * ACE_VF, end);
        }
        for (int h = 0; h < heads; h++) {
            ace_vf weight = ace_vf_set(weights[h * KEYS + j]);
            for (int v = 0; v < vectors; v++) {
                sum[h][v] = ace_vf_fma(weight, value[v], sum[h][v]);
            }
        }
    }
    for (int h = 0; h < heads; h++) {
        for (int v = 0; v < vectors; v++) {
            ace_vf_store(to + h * t->width + v * ACE_VF, sum[h][v]);
        }
    }
}

static ALWAYS_INLINE void add_heads(bool pairs, const block *t, int64_t key, int64_t n,
                                    int64_t head, int heads, int64_t end)
{
    int64_t c = 0;
    for (; c + VALUE_VECTORS * ACE_VF <= t->job->options->head_dim; c += VALUE_VECTORS * ACE_VF) {
        add_columns(pairs, t, key, n, c, VALUE_VECTORS, head, heads, end);
    }
    for (; c < t->width; c += ACE_VF) {
        add_columns(pairs, t, key, n, c, 1, head, heads, end);
    }
}

static ALWAYS_INLINE void score_block(bool pairs, const block *t, int64_t key, int64_t n,
                                      int64_t end)
{
    int64_t head = 0;
    for (; head + 4 <= t->rows; head += 4) {
        score_heads(pairs, t, key, n, head, 4, end);
    }
    for (; head + 2 <= t->rows; head += 2) {
        score_heads(pairs, t, key, n, head, 2, end);
    }
    for (; head < t->rows; head++) {
        score_heads(pairs, t, key, n, head, 1, end);
    }
    for (int64_t row = 0; row < t->rows; row++) { /* whole vectors are weighed */
        for (int64_t j = n; j < KEYS; j++) {
            t->scores[row * KEYS + j] = 0.0f;
        }
    }
}

static ALWAYS_INLINE void add_values(bool pairs, const block *t, int64_t key, int64_t n,
                                     int64_t end)
{
    int64_t head = 0;
    for (; head + 4 <= t->rows; head += 4) {
        add_heads(pairs, t, key, n, head, 4, end);
    }
    for (; head + 2 <= t->rows; head += 2) {
        add_heads(pairs, t, key, n, head, 2, end);
    }
    for (; head < t->rows; head++) {
        add_heads(pairs, t, key, n, head, 1, end);
    }
}

static ALWAYS_INLINE void attend_single(bool pairs, const block *t)
{
    begin_rows(t);
    int64_t key;
    int64_t end = task_keys(t, &key);
    fetch_rows(t, t->head_k, key, KEYS, end);
    fetch_rows(t, t->head_v, key, KEYS, end);
    for (; key < end; key += KEYS) {
        int64_t n = end - key < KEYS ? end - key : KEYS;
        score_block(pairs, t, key, n, end);
        weigh_block(false, t, key, n);
        add_values(pairs, t, key, n, end);
    }
}

#endif
