/* Attention's one body, compiled once per level: the including file defines ATTENTION_KERNEL, the
 * function it provides.
 *
 * For every block of keys that a row block can see: scores = q·kᵀ, softmax weights against the
 * running maximum of each row, sums += weights·v, where the sums so far shrink whenever the maximum
 * grows (the online softmax of Milakov and Gimelshein 2018, blocked as in FlashAttention, Dao et
 * al. 2022). Scores, statistics and sums are f32. Key blocks start at the first key the row block
 * sees and follow in ascending order, so a result depends on shapes and options alone. */
#include "cpu/attention.h"
#include "cpu/attention_tile.h"
#include "cpu/row_view.h"
#include "cpu/vector_math.h"
#include "cpu/vector_words.h"

enum { ROWS = ACE_ATTENTION_ROWS, KEYS = ACE_ATTENTION_KEYS };

/* One task at work. Buffers are 32-bit words: floats, or pairs of bf16 where `pairs`. */
typedef struct block {
    const ace_attention_job *job;
    int64_t item, kv_head;     /* batch item; key head */
    ace_tensor head_k, head_v; /* of the key head */
    ace_key_rows keys;         /* the item's */
    int64_t first_row, rows;   /* stacked rows of this task */
    int64_t padded_rows;       /* rows up to a whole tile */
    int64_t begin, valid;      /* first key any row may see; end of the keys that exist */
    int64_t depth, width;      /* words of a query; floats of a row of sums */
    float *q;                  /* [padded_rows, depth] */
    float *k;                  /* [depth, KEYS]: the key block, transposed */
    float *v;                  /* [KEYS, width], or [KEYS / 2, width] of pairs (key, key + 1) */
    float *scores;             /* [padded_rows, KEYS], weights once they are known */
    float *sums;               /* [padded_rows, width] */
    float *peak, *total;       /* [padded_rows]: maximum score so far (base 2), sum of weights */
    float *hide;               /* [KEYS]: 0, or -infinity for keys kv_mask hides */
    bool pairs;                /* words are pairs of bf16 */
    /* Of int8 keys and values: */
    float *k_scale, *v_scale; /* [KEYS]: room for those of the block */
    float *q_scale;           /* [padded_rows]: what a row's scores are multiplied by; 1 unless its
                                 query is rounded to words */
    int16_t *q_words;         /* [rows, depth] */
    int16_t *weights;         /* [rows, KEYS] */
    float *weight_scale;      /* [rows] */
} block;

typedef struct key_range {
    int64_t begin, end;
} key_range;

/* Keys that query i may see, apart from those kv_mask hides; none where the end is not behind the
 * begin. Both grow with i. */
static key_range visible_keys(const block *t, int64_t i)
{
    const ace_attention *a = t->job->options;
    key_range r = {0, t->valid};
    if (a->causal && i + a->kv_len - a->q_len + 1 < r.end) {
        r.end = i + a->kv_len - a->q_len + 1;
    }
    if (a->window > 0) {
        r.begin = i - a->window > 0 ? i - a->window : 0;
        r.end = i + a->window + 1 < r.end ? i + a->window + 1 : r.end;
    }
    return r;
}

static int64_t query_of(const block *t, int64_t row)
{
    return (t->first_row + row) / t->job->group;
}

/* The part of a row of q or y that belongs to a stacked row. */
static ace_row query_row(const block *t, ace_tensor tensor, int64_t row)
{
    const ace_attention *a = t->job->options;
    int64_t head = t->kv_head * t->job->group + (t->first_row + row) % t->job->group;
    ace_tensor part = ace_cols(tensor, head * a->head_dim, a->head_dim);
    return ace_row_of(part, t->item * a->q_len + query_of(t, row));
}

/* The keys or values of the task's head. */
static ace_tensor of_key_head(const block *t, ace_tensor tensor)
{
    const ace_attention *a = t->job->options;
    return a->kv_head_rows > 0 ? ace_rows(tensor, t->kv_head * a->kv_head_rows, a->kv_head_rows)
                               : ace_cols(tensor, t->kv_head * a->head_dim, a->head_dim);
}

/* A row of either. */
static ace_row key_row(const block *t, ace_tensor tensor, int64_t key)
{
    int64_t own = t->keys.own_first + key - t->keys.shared;
    int64_t at = key < t->keys.shared ? t->keys.shared_first + key : own;
    return t->job->int8 ? (ace_row){ace_cpu_i8(tensor, at), false} : ace_row_of(tensor, at);
}

/* Words of a row: as they lie in memory for pairs, else converted to f32. */
static ace_vf get_words(const block *t, ace_row row, int64_t col)
{
    return ace_row_get((ace_row){row.data, row.bf16 && !t->pairs}, col, t->depth);
}

/* Columns col … of a row of int8 as f32: a whole vector or what is left, zero-filled. */
static ace_vf int8_get(ace_row row, int64_t col, int64_t end)
{
    const int8_t *p = (const int8_t *)row.data + col;
    return end - col >= ACE_VF ? ace_vf_load_i8(p) : ace_vf_load_i8_first(p, end - col);
}

#if defined(__AVX512BF16__)
/* The first n of 32 numbers of 8 bits as pairs of bf16, the others 0. */
static ace_vf int8_pairs(const int8_t *p, int64_t n)
{
    __mmask32 keep = n >= 32 ? UINT32_MAX : (1u << n) - 1;
    __m512i pairs = _mm512_cvtepu16_epi32(_mm256_maskz_loadu_epi8(keep, p));
    __m512i even = _mm512_srai_epi32(_mm512_slli_epi32(pairs, 24), 24);
    __m512i odd = _mm512_srai_epi32(_mm512_slli_epi32(pairs, 16), 24);
    __m512i low = _mm512_srli_epi32(_mm512_castps_si512(_mm512_cvtepi32_ps(even)), 16);
    __m512i high = _mm512_castps_si512(_mm512_cvtepi32_ps(odd));
    return _mm512_castsi512_ps(_mm512_or_si512(low, high));
}
#endif

static void pack_queries(const block *t)
{
    for (int64_t r = 0; r < t->padded_rows; r++) {
        float *to = t->q + r * t->depth;
        if (r >= t->rows) {
            memset(to, 0, (size_t)t->depth * sizeof *to);
            continue;
        }
        ace_row from = query_row(t, t->job->q, r);
        for (int64_t c = 0; c < t->depth; c += ACE_VF) {
            ace_row_put((ace_row){to, false}, c, t->depth, get_words(t, from, c));
        }
    }
}

/* The same of a row of keys. Whole numbers of 8 bits are exact in bf16. */
static ace_vf key_words(const block *t, ace_row row, int64_t col)
{
    if (!t->job->int8) {
        return get_words(t, row, col);
    }
#if defined(__AVX512BF16__)
    if (t->pairs) {
        return int8_pairs((const int8_t *)row.data + 2 * col, 2 * (t->depth - col));
    }
#endif
    return int8_get(row, col, t->depth);
}

/* A vector of values as f32. */
static ace_vf get_value(const block *t, ace_row row, int64_t col)
{
    int64_t head_dim = t->job->options->head_dim;
    return t->job->int8 ? int8_get(row, col, head_dim) : ace_row_get(row, col, head_dim);
}

/* Keys key … key + n - 1, transposed; columns from n on are zero. */
static void pack_keys(const block *t, int64_t key, int64_t n)
{
    for (int64_t j = 0; j < KEYS; j += ACE_VF) {
        for (int64_t c = 0; c < t->depth; c += ACE_VF) {
            ace_vf rows[ACE_VF];
            for (int i = 0; i < ACE_VF; i++) {
                rows[i] = j + i < n ? key_words(t, key_row(t, t->head_k, key + j + i), c)
                                    : ace_vf_set(0.0f);
            }
            ace_vf_transpose(rows);
            int64_t lanes = t->depth - c < ACE_VF ? t->depth - c : ACE_VF;
            for (int i = 0; i < lanes; i++) {
                ace_vf_store(t->k + (c + i) * KEYS + j, rows[i]);
            }
        }
    }
}

static void pack_values(const block *t, int64_t key, int64_t n)
{
    int64_t head_dim = t->job->options->head_dim;
    for (int64_t j = 0; j < n; j++) {
        ace_row from = key_row(t, t->head_v, key + j);
        for (int64_t c = 0; c < head_dim; c += ACE_VF) {
            ace_vf_store(t->v + j * t->width + c, get_value(t, from, c));
        }
    }
}

#if defined(__AVX512BF16__)
/* Words (value of key j, value of key j + 1); behind the last key stands zero. */
static void pack_value_pairs(const block *t, int64_t key, int64_t n)
{
    int64_t head_dim = t->job->options->head_dim;
    for (int64_t j = 0; j < n; j += 2) {
        ace_row even = key_row(t, t->head_v, key + j);
        ace_row odd = j + 1 < n ? key_row(t, t->head_v, key + j + 1) : even;
        __m512i keep = _mm512_set1_epi32(j + 1 < n ? -1 : 0);
        for (int64_t c = 0; c < head_dim; c += ACE_VF) {
            /* as floats the bf16 bits are in the upper halves */
            __m512i low = _mm512_castps_si512(get_value(t, even, c));
            __m512i high = _mm512_castps_si512(get_value(t, odd, c));
            high = _mm512_and_si512(high, keep);
            __m512i words = _mm512_or_si512(_mm512_srli_epi32(low, 16), high);
            ace_vf_store(t->v + j / 2 * t->width + c, _mm512_castsi512_ps(words));
        }
    }
}
#endif

/* Writes weights j … j + ACE_VF - 1 of a row, over scores that have been read. */
static ALWAYS_INLINE void put_weights(bool pairs, float *row, int64_t j, ace_vf weights)
{
#if defined(__AVX512BF16__)
    if (pairs) {
        __m256i half = (__m256i)_mm512_cvtneps_pbh(weights);
        _mm256_storeu_si256((__m256i *)(void *)((uint16_t *)(void *)row + j), half);
        return;
    }
#else
    (void)pairs;
#endif
    ace_vf_store(row + j, weights);
}

/* Scores times factor, and times `each` and plus `hide` where given, in place; their maximum. */
static float scale_row(float *scores, int64_t n, float factor, const float *each, const float *hide)
{
    ace_vf highest = ace_vf_set(-INFINITY);
    for (int64_t j = 0; j < n; j += ACE_VF) {
        ace_vf score = ace_vf_mul(ace_vf_load(scores + j), ace_vf_set(factor));
        if (each != NULL) {
            score = ace_vf_mul(score, ace_vf_load(each + j));
        }
        if (hide != NULL) {
            score = ace_vf_add(score, ace_vf_load(hide + j));
        }
        highest = ace_vf_max(highest, score);
        ace_vf_store(scores + j, score);
    }
    return ace_vf_peak(highest);
}

/* Hides what lies outside the row's range and gives the maximum of the rest; columns 0 … n - 1 are
 * keys key … key + n - 1. */
static float hide_outside(float *scores, int64_t key, int64_t n, key_range visible)
{
    for (int64_t j = 0; j < n && key + j < visible.begin; j++) {
        scores[j] = -INFINITY;
    }
    for (int64_t j = visible.end > key ? visible.end - key : 0; j < n; j++) {
        scores[j] = -INFINITY;
    }
    ace_vf highest = ace_vf_set(-INFINITY);
    for (int64_t j = 0; j < n; j += ACE_VF) {
        highest = ace_vf_max(highest, ace_vf_load(scores + j));
    }
    return ace_vf_peak(highest);
}

/* Scores of a row, base 2, become weights 2^(score - peak), times v_scale where given. When the
 * peak grows, what has been summed up against the old one shrinks. */
static ALWAYS_INLINE void weigh_row(bool pairs, const block *t, int64_t row, int64_t n,
                                    float highest, const float *v_scale)
{
    float *scores = t->scores + row * KEYS;
    float old = t->peak[row];
    float peak = highest > old ? highest : old;
    float base = peak == -INFINITY ? 0.0f : peak; /* nothing seen yet: all weights are zero */
    ace_vf total = ace_vf_set(0.0f);
    for (int64_t j = 0; j < n; j += ACE_VF) {
        ace_vf weights = ace_vf_exp2(ace_vf_sub(ace_vf_load(scores + j), ace_vf_set(base)));
        total = ace_vf_add(total, weights);
        if (v_scale != NULL) { /* from here on they are weights of whole numbers */
            weights = ace_vf_mul(weights, ace_vf_load(v_scale + j));
        }
        put_weights(pairs, scores, j, weights);
    }
    if (peak > old) {
        float shrink = exp2f(old - base); /* 0 at the first keys seen */
        t->total[row] *= shrink;
        for (int64_t c = 0; c < t->width; c += ACE_VF) {
            float *sum = t->sums + row * t->width + c;
            ace_vf_store(sum, ace_vf_mul(ace_vf_load(sum), ace_vf_set(shrink)));
        }
        t->peak[row] = peak;
    }
    t->total[row] += ace_vf_sum(total);
}

/* 0 or -infinity for each column of the block, or NULL: kv_mask hides nothing. */
static const float *hidden_columns(const block *t, int64_t key, int64_t n)
{
    const ace_attention *a = t->job->options;
    if (a->kv_mask == NULL) {
        return NULL;
    }
    const uint8_t *mask = a->kv_mask + t->item * a->kv_len + key;
    for (int64_t j = 0; j < KEYS; j++) {
        t->hide[j] = j < n && mask[j] != 0 ? 0.0f : -INFINITY;
    }
    return t->hide;
}

/* Keys of key … key + n - 1 that lie in the shared run. */
static int64_t shared_of(const block *t, int64_t key, int64_t n)
{
    int64_t left = t->keys.shared - key;
    return left < 0 ? 0 : left < n ? left : n;
}

/* What the rows of keys key … key + n - 1 are multiplied by: where they lie, or, where these are no
 * KEYS in one run, copied to `room`, with 0 behind them. */
static const float *scales_of(const block *t, ace_tensor scale, int64_t key, int64_t n, float *room)
{
    const float *all = ace_cpu_f32(scale, t->kv_head * t->job->options->kv_head_rows);
    int64_t shared = shared_of(t, key, n);
    int64_t own = t->keys.own_first + key + shared - t->keys.shared; /* where some are */
    if (n == KEYS && (shared == 0 || shared == n)) {
        return all + (shared == 0 ? own : t->keys.shared_first + key);
    }
    for (int64_t j = 0; j < shared; j++) {
        room[j] = all[t->keys.shared_first + key + j];
    }
    for (int64_t j = shared; j < n; j++) {
        room[j] = all[own + j - shared];
    }
    memset(room + n, 0, (size_t)(KEYS - n) * sizeof *room);
    return room;
}

static ALWAYS_INLINE void weigh_block(bool pairs, const block *t, int64_t key, int64_t n)
{
    const float *hide = hidden_columns(t, key, n);
    const float *k_scale = NULL;
    const float *v_scale = NULL;
    if (t->job->int8) {
        k_scale = scales_of(t, t->job->options->k_scale, key, n, t->k_scale);
        v_scale = scales_of(t, t->job->options->v_scale, key, n, t->v_scale);
    }
    /* 2^x is the cheaper exponential: e^(scale·s) = 2^(scale·log2(e)·s) */
    float factor = t->job->options->scale * 1.44269504f;
    int64_t padded = (n + ACE_VF - 1) / ACE_VF * ACE_VF;
    for (int64_t row = 0; row < t->rows; row++) {
        float *scores = t->scores + row * KEYS;
        float own = k_scale != NULL ? factor * t->q_scale[row] : factor;
        float highest = scale_row(scores, padded, own, k_scale, hide);
        key_range visible = visible_keys(t, query_of(t, row));
        if (visible.begin > key || visible.end < key + padded) {
            highest = hide_outside(scores, key, padded, visible);
        }
        weigh_row(pairs, t, row, padded, highest, v_scale);
    }
}

/* The end of the keys that any row of the task sees; *begin is the first. */
static int64_t task_keys(const block *t, int64_t *begin)
{
    key_range first = visible_keys(t, query_of(t, 0));
    key_range last = visible_keys(t, query_of(t, t->rows - 1));
    *begin = first.begin;
    return last.end;
}

/* Queries in place, and nothing seen yet. */
static void begin_rows(const block *t)
{
    pack_queries(t);
    for (int64_t r = 0; r < t->padded_rows; r++) {
        t->peak[r] = -INFINITY;
        t->total[r] = 0.0f;
        t->q_scale[r] = 1.0f;
    }
    memset(t->sums, 0, (size_t)(t->padded_rows * t->width) * sizeof *t->sums);
}

static ALWAYS_INLINE void attend(bool pairs, const block *t)
{
    begin_rows(t);
    int64_t key;
    int64_t end = task_keys(t, &key);
    for (; key < end; key += KEYS) {
        int64_t n = end - key < KEYS ? end - key : KEYS;
        pack_keys(t, key, n);
        product(pairs, t->padded_rows, KEYS, t->depth, t->q, t->depth, t->k, KEYS, t->scores, KEYS,
                false);
        weigh_block(pairs, t, key, n);
        int64_t steps = n;
#if defined(__AVX512BF16__)
        if (pairs) {
            pack_value_pairs(t, key, n);
            steps = (n + 1) / 2;
        } else
#endif
        {
            pack_values(t, key, n);
        }
        product(pairs, t->padded_rows, t->width, steps, t->scores, KEYS, t->v, t->width, t->sums,
                t->width, true);
    }
}

#include "cpu/attention_single.h"
#include "cpu/attention_single_int8.h"

/* The plain average of all kv_len values, [width], in partial sums of KEYS values. */
static void average_values(const block *t, float *average)
{
    int64_t head_dim = t->job->options->head_dim;
    int64_t keys = t->job->options->kv_len;
    for (int64_t c = 0; c < head_dim; c += ACE_VF) {
        ace_vf total = ace_vf_set(0.0f);
        for (int64_t first = 0; first < keys; first += KEYS) {
            ace_vf part = ace_vf_set(0.0f);
            for (int64_t j = first; j < keys && j < first + KEYS; j++) {
                part = ace_vf_add(part, ace_row_get(key_row(t, t->head_v, j), c, head_dim));
            }
            total = ace_vf_add(total, part);
        }
        ace_vf_store(average + c, ace_vf_div(total, ace_vf_set((float)keys)));
    }
}

static void put_results(const block *t)
{
    int64_t head_dim = t->job->options->head_dim;
    float *average = t->k; /* the key block is done with */
    bool have_average = false;
    for (int64_t row = 0; row < t->rows; row++) {
        const float *from = t->sums + row * t->width;
        float factor = 1.0f / t->total[row];
        if (t->total[row] == 0.0f) { /* every key is hidden: sums are zero */
            factor = 1.0f;
            if (t->job->options->uniform_when_hidden) {
                if (!have_average) {
                    average_values(t, average);
                    have_average = true;
                }
                from = average;
            }
        }
        ace_row to = query_row(t, t->job->y, row);
        for (int64_t c = 0; c < head_dim; c += ACE_VF) {
            ace_row_put(to, c, head_dim, ace_vf_mul(ace_vf_load(from + c), ace_vf_set(factor)));
        }
    }
}

static float *take(float **scratch, int64_t n)
{
    float *at = *scratch;
    *scratch += (n + 15) / 16 * 16; /* whole cache lines */
    return at;
}

static void place_buffers(block *t, float *scratch)
{
    t->peak = take(&scratch, t->padded_rows);
    t->total = take(&scratch, t->padded_rows);
    t->hide = take(&scratch, KEYS);
    t->q = take(&scratch, t->padded_rows * t->depth);
    t->k = take(&scratch, t->depth * KEYS);
    t->v = take(&scratch, KEYS * t->width);
    t->scores = take(&scratch, t->padded_rows * KEYS);
    t->sums = take(&scratch, t->padded_rows * t->width);
    t->k_scale = take(&scratch, KEYS);
    t->v_scale = take(&scratch, KEYS);
    t->q_scale = take(&scratch, t->padded_rows);
    /* a float's place has two words */
    t->weight_scale = take(&scratch, ACE_ATTENTION_SINGLE);
    t->weights = (int16_t *)(void *)take(&scratch, ACE_ATTENTION_SINGLE * KEYS / 2);
    t->q_words = (int16_t *)(void *)take(&scratch, ACE_ATTENTION_SINGLE * t->depth / 2);
}

static void attend_words(const block *t)
{
    attend(false, t);
}

static void attend_pairs(const block *t)
{
    attend(true, t);
}

static void attend_single_words(const block *t)
{
    attend_single(false, t);
}

static void attend_single_pairs(const block *t)
{
    attend_single(true, t);
}

void ATTENTION_KERNEL(const ace_attention_job *job, int64_t task, void *scratch)
{
    const ace_attention *a = job->options;
    block t = {.job = job};
    /* Items follow each other under a head: what they share of its keys is still in L2. */
    t.item = task / job->row_blocks % a->batch;
    t.kv_head = task / job->row_blocks / a->batch;
    t.first_row = task % job->row_blocks * ROWS;
    t.head_k = of_key_head(&t, job->k);
    t.head_v = of_key_head(&t, job->v);
    int64_t left = a->q_len * job->group - t.first_row;
    t.rows = left < ROWS ? left : ROWS;
    t.padded_rows = (t.rows + TILE_ROWS - 1) / TILE_ROWS * TILE_ROWS;
    t.keys.own_first = (a->kv_index != NULL ? a->kv_index[t.item] : t.item) * a->kv_len;
    if (a->kv_rows != NULL) {
        t.keys = a->kv_rows[t.item];
    }
    t.valid = a->kv_len;
    if (a->kv_valid != NULL && a->kv_valid[t.item] < t.valid) {
        t.valid = a->kv_valid[t.item] > 0 ? a->kv_valid[t.item] : 0;
    }
    bool is_single = a->q_len == 1 && t.rows <= ACE_ATTENTION_SINGLE;
    bool is_words = is_single && job->int8 && a->head_dim % ACE_VW == 0 &&
                    a->head_dim <= ACE_ATTENTION_WORD_HEAD;
    t.pairs = job->bf16_dots && !is_words;
    t.depth = t.pairs ? a->head_dim / 2 : a->head_dim;
    t.width = (a->head_dim + ACE_VF - 1) / ACE_VF * ACE_VF;
    place_buffers(&t, scratch);
    is_single = is_single && !job->int8;
    if (is_words) {
        attend_single_int8(&t);
    } else if (t.pairs) {
        (is_single ? attend_single_pairs : attend_pairs)(&t);
    } else {
        (is_single ? attend_single_words : attend_words)(&t);
    }
    put_results(&t);
}
