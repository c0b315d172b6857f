/* Choosing a column of a row of logits, as lm/sampler.h defines it: a block for each choice.
 *
 * Probabilities are summed as whole numbers, so that neither the number of threads nor the order of
 * sums changes a choice. Where a filter cuts is found by dividing a range of keys in eight again
 * and again: ten passes or so over the row, which lies in a cache. Histograms of digits would take
 * fewer, but their counters are 64 bits wide, whose atomics in shared memory are loops, and logits
 * are so alike that most would meet in a few of them. */
#include "numbers.cuh"

enum { MOST_WARPS = 32, FEW_WARPS = 4, FEW_COLUMNS = 4096, PARTS = 8 };

/* Steps of weights, of which the largest is 1: exact for those above 2^-22, and 2^18 of them fit
 * into 64 bits. */
#define MASS_OF_ONE 0x1p45f

/* Whole numbers in the order of the logits. Columns that are out have no key. */
#define NO_KEY 0u
#define KEY_OF_MINUS_INFINITY 0x007fffffu
#define KEY_OF_INFINITY 0xff800000u
#define BROKEN_KEY 0xffffffffu /* NaN or +inf */

/* Shared memory of a block. */
typedef struct block_memory {
    uint64_t of_warp[MOST_WARPS][PARTS];
    uint64_t of_block[PARTS];
    uint64_t held[MOST_WARPS]; /* by the run of each warp */
    unsigned lowest[MOST_WARPS], highest[MOST_WARPS];
    int found;
} block_memory;

/* The row, as one thread sees it: its own columns are every 32nd of its warp's run. */
typedef struct row_view {
    unsigned *word; /* of each column: the bits of its logit, later its key */
    block_memory *shared;
    int first, end; /* of the warp's run */
    int lane, warp, warps;
} row_view;

__device__ static row_view view_of(const ace_tensor &logits, const ace_choice &c, int warps,
                                   block_memory *shared)
{
    row_view v;
    v.word = (unsigned *)logits.addr + c.row * logits.row_stride;
    v.shared = shared;
    v.lane = (int)threadIdx.x % ACE_WARP;
    v.warp = (int)threadIdx.x / ACE_WARP;
    v.warps = warps;
    int first = (int)c.first;
    int end = (int)(c.first + c.count);
    int also = (int)c.also;
    end = also >= end ? also + 1 : end;
    first = also >= 0 && also < first ? also : first;
    int run = (end - first + warps - 1) / warps;
    run = (run + ACE_WARP - 1) / ACE_WARP * ACE_WARP;
    v.first = first + v.warp * run;
    v.end = v.first + run < end ? v.first + run : end;
    return v;
}

__device__ static inline unsigned key_of(float z)
{
    unsigned bits = __float_as_uint(z + 0.0f); /* -0 becomes 0: they are equal */
    unsigned key = (bits & 0x80000000u) != 0 ? ~bits : bits | 0x80000000u;
    if (key == KEY_OF_MINUS_INFINITY) {
        return NO_KEY;
    }
    return key >= KEY_OF_INFINITY || key < KEY_OF_MINUS_INFINITY ? BROKEN_KEY : key;
}

__device__ static inline float value_of(unsigned key)
{
    return __uint_as_float((key & 0x80000000u) != 0 ? key & 0x7fffffffu : ~key);
}

/* ---- before the filters
 * --------------------------------------------------------------------------- */

/* Rounded after every step, as on the host. */
__device__ static float guided(float z, float twin, float scale)
{
    if (z == -INFINITY || twin == -INFINITY) {
        return -INFINITY;
    }
    return __fadd_rn(twin, __fmul_rn(scale, __fsub_rn(z, twin)));
}

__device__ static void guide(const row_view &v, const ace_tensor &logits, const ace_choice &c)
{
    if (c.twin < 0) {
        return;
    }
    const float *twin = (const float *)logits.addr + c.twin * logits.row_stride;
#pragma unroll 4
    for (int i = v.first + v.lane; i < v.end; i += ACE_WARP) {
        v.word[i] = __float_as_uint(guided(__uint_as_float(v.word[i]), twin[i], c.guidance));
    }
}

__device__ static void penalise(const row_view &v, const ace_choice &c)
{
    for (int64_t k = threadIdx.x; k < c.n_penalised; k += v.warps * ACE_WARP) {
        unsigned *word = &v.word[c.penalised[k]];
        float z = __uint_as_float(*word);
        *word = __float_as_uint(z > 0.0f ? z / c.penalty : z * c.penalty);
    }
}

/* ---- sums over the block
 * -------------------------------------------------------------------------- */

__device__ static inline uint64_t other_lane(uint64_t v, int lane)
{
    unsigned low = __shfl_sync(ACE_ALL_LANES, (unsigned)v, lane);
    unsigned high = __shfl_sync(ACE_ALL_LANES, (unsigned)(v >> 32), lane);
    return (uint64_t)high << 32 | low;
}

/* Eight sums over the lanes of a warp. At each of three steps a lane leaves half of the sums that
 * it has to another lane and takes over that one's share of the rest; lanes 4·k … 4·k + 3 end up
 * with sum k. */
__device__ static uint64_t warp_sums(uint64_t part[PARTS], int lane)
{
    int step = ACE_WARP / 2;
#pragma unroll
    for (int half = PARTS / 2; half > 0; half /= 2, step /= 2) {
        bool upper = (lane & step) != 0;
#pragma unroll
        for (int k = 0; k < half; k++) {
            uint64_t given = upper ? part[k] : part[k + half];
            uint64_t kept = upper ? part[k + half] : part[k];
            part[k] = kept + other_lane(given, lane ^ step);
        }
    }
    for (; step > 0; step /= 2) {
        part[0] += other_lane(part[0], lane ^ step);
    }
    return part[0];
}

/* Sums over the block, in the place of each thread's share. */
__device__ static void block_sums(const row_view &v, uint64_t part[PARTS])
{
    enum { SAME = ACE_WARP / PARTS };
    uint64_t own = warp_sums(part, v.lane);
    if (v.lane % SAME == 0) {
        v.shared->of_warp[v.warp][v.lane / SAME] = own;
    }
    __syncthreads();
    if (threadIdx.x < PARTS) {
        uint64_t sum = 0;
        for (int w = 0; w < v.warps; w++) {
            sum += v.shared->of_warp[w][threadIdx.x];
        }
        v.shared->of_block[threadIdx.x] = sum;
    }
    __syncthreads();
#pragma unroll
    for (int k = 0; k < PARTS; k++) {
        part[k] = v.shared->of_block[k];
    }
}

__device__ static inline bool is_permitted(const ace_choice &c, int i)
{
    bool inside = (i >= c.first && i < c.first + c.count) || i == c.also;
    return inside && (c.mask == nullptr || (c.mask[i / 32] >> (i % 32) & 1) != 0);
}

/* Keys in the place of logits; the smallest and the largest, or NO_KEY for both. */
__device__ static void make_keys(const row_view &v, const ace_choice &c, unsigned *lowest,
                                 unsigned *highest)
{
    unsigned low = BROKEN_KEY;
    unsigned high = NO_KEY;
#pragma unroll 4
    for (int i = v.first + v.lane; i < v.end; i += ACE_WARP) {
        unsigned key = is_permitted(c, i) ? key_of(__uint_as_float(v.word[i])) : NO_KEY;
        v.word[i] = key;
        low = key != NO_KEY && key < low ? key : low;
        high = key > high ? key : high;
    }
    for (int step = ACE_WARP / 2; step > 0; step /= 2) {
        unsigned other_low = __shfl_xor_sync(ACE_ALL_LANES, low, step);
        unsigned other_high = __shfl_xor_sync(ACE_ALL_LANES, high, step);
        low = other_low < low ? other_low : low;
        high = other_high > high ? other_high : high;
    }
    if (v.lane == 0) {
        v.shared->lowest[v.warp] = low;
        v.shared->highest[v.warp] = high;
    }
    __syncthreads();
    for (int w = 0; w < v.warps; w++) {
        low = v.shared->lowest[w] < low ? v.shared->lowest[w] : low;
        high = v.shared->highest[w] > high ? v.shared->highest[w] : high;
    }
    *lowest = high != NO_KEY ? low : NO_KEY;
    *highest = high;
}

/* ---- measures
 * -------------------------------------------------------------------------------------
 *
 * What a column counts, by its key: 1, or its unnormalised probability. */

typedef struct measure {
    bool counts;
    float largest, temperature;
} measure;

__device__ static inline float weight_of(const measure &m, unsigned key)
{
    return expf((value_of(key) - m.largest) / m.temperature);
}

__device__ static inline uint64_t amount_of(const measure &m, unsigned key)
{
    return m.counts ? 1u : (uint64_t)(weight_of(m, key) * MASS_OF_ONE);
}

/* Of all columns with at least this key. */
__device__ static uint64_t whole_of(const row_view &v, const measure &m, unsigned least)
{
    uint64_t part[PARTS] = {0};
#pragma unroll 4
    for (int i = v.first + v.lane; i < v.end; i += ACE_WARP) {
        unsigned key = v.word[i];
        part[0] += key >= least ? amount_of(m, key) : 0;
    }
    block_sums(v, part);
    return part[0];
}

/* The largest key from `low` to `high` at and above which columns hold at least `wanted`, more than
 * nothing; at and above `low` they do, and above `high` there are none. *above: what they hold
 * above the key found. */
__device__ static unsigned cut_at(const row_view &v, const measure &m, unsigned low, unsigned high,
                                  uint64_t wanted, uint64_t *above)
{
    *above = 0;
    while (low < high) {
        unsigned step = (high - low) / PARTS + 1;
        uint64_t part[PARTS] = {0}; /* from low + k · step to high */
#pragma unroll 4
        for (int i = v.first + v.lane; i < v.end; i += ACE_WARP) {
            unsigned key = v.word[i];
            if (key >= low + step && key <= high) {
                uint64_t amount = amount_of(m, key);
#pragma unroll
                for (unsigned k = 1; k < PARTS; k++) {
                    part[k] += key >= low + k * step ? amount : 0;
                }
            }
        }
        block_sums(v, part);
        uint64_t more = 0; /* of what follows the part that is found */
        unsigned found = 0;
#pragma unroll
        for (unsigned k = PARTS - 1; k > 0; k--) {
            bool reaches = *above + part[k] >= wanted;
            found = reaches && found == 0 ? k : found;
            more = found == 0 ? part[k] : more;
        }
        high = found + 1 < PARTS && low + (found + 1) * step <= high ? low + (found + 1) * step - 1
                                                                     : high;
        low += found * step;
        *above += more;
    }
    return low;
}

/* ---- what is kept
 * --------------------------------------------------------------------------------- */

/* Columns with keys from `cut` to `top`; of those at the cut the ones from `first` to `last`; of
 * all those of a weight. */
typedef struct kept {
    unsigned cut, top;
    int first, last;
    float least_weight;
} kept;

__device__ static inline uint64_t held_by(const kept &k, const measure &m, unsigned key, int i)
{
    bool inside = key >= k.cut && key <= k.top && (key > k.cut || (i >= k.first && i <= k.last));
    if (!inside || (!m.counts && weight_of(m, key) < k.least_weight)) {
        return 0;
    }
    return amount_of(m, key);
}

/* Of the whole row; remembers each warp's share for column_at. */
__device__ static uint64_t held_by_row(const row_view &v, const kept &k, const measure &m)
{
    uint64_t sum = 0;
#pragma unroll 4
    for (int i = v.first + v.lane; i < v.end; i += ACE_WARP) {
        sum += held_by(k, m, v.word[i], i);
    }
    for (int step = ACE_WARP / 2; step > 0; step /= 2) {
        sum += other_lane(sum, v.lane ^ step);
    }
    if (v.lane == 0) {
        v.shared->held[v.warp] = sum;
    }
    __syncthreads();
    sum = 0;
    for (int w = 0; w < v.warps; w++) {
        sum += v.shared->held[w];
    }
    return sum;
}

/* Goes through the warp's run for the column at which the sum from `before` on comes to `wanted`.
 */
__device__ static void find_in_run(const row_view &v, const kept &k, const measure &m,
                                   uint64_t before, uint64_t wanted)
{
    for (int from = v.first; from < v.end && before < wanted; from += ACE_WARP) {
        int i = from + v.lane;
        uint64_t own = i < v.end ? held_by(k, m, v.word[i], i) : 0;
        uint64_t sum = own; /* of the lanes up to this one */
        for (int step = 1; step < ACE_WARP; step *= 2) {
            uint64_t other = other_lane(sum, v.lane >= step ? v.lane - step : v.lane);
            sum += v.lane >= step ? other : 0;
        }
        if (before + sum >= wanted && before + sum - own < wanted) {
            v.shared->found = i;
        }
        before += other_lane(sum, ACE_WARP - 1);
    }
}

/* The first column up to which the row, in order, holds `wanted`: from 1 to what held_by_row has
 * just given for the same. */
__device__ static int column_at(const row_view &v, const kept &k, const measure &m, uint64_t wanted)
{
    uint64_t before = 0;
    for (int w = 0; w < v.warp; w++) {
        before += v.shared->held[w];
    }
    if (before < wanted && wanted <= before + v.shared->held[v.warp]) {
        find_in_run(v, k, m, before, wanted);
    }
    __syncthreads();
    return v.shared->found;
}

/* ---- the filters
 * ---------------------------------------------------------------------------------- */

__device__ static inline measure counting()
{
    return measure{true, 0.0f, 1.0f};
}

__device__ static void keep_top_k(const row_view &v, const ace_choice &c, kept *k)
{
    uint64_t above = 0;
    if (c.top_k > 0 && (uint64_t)c.top_k < whole_of(v, counting(), k->cut)) {
        k->cut = cut_at(v, counting(), k->cut, k->top, (uint64_t)c.top_k, &above);
    }
}

/* The least whole number that is no less than the share of a sum or, `beyond`, that is more. */
__device__ static uint64_t share_of(uint64_t whole, double share, bool beyond)
{
    double exact = share * (double)whole;
    uint64_t n = exact > 0 ? (uint64_t)exact : 0;
    n += beyond || (double)n < exact ? 1 : 0;
    n = n < whole ? n : whole;
    return n > 0 ? n : 1;
}

/* Of equal logits at the cut as many stay as it takes, one at least: the first or the last ones. */
__device__ static void keep_some_equals(const row_view &v, const ace_choice &c, kept *k,
                                        uint64_t stay)
{
    kept equals = *k;
    equals.top = equals.cut;
    uint64_t n = held_by_row(v, equals, counting());
    stay = stay < 1 ? 1 : stay;
    if (stay >= n) {
        __syncthreads(); /* all have read what is held */
    } else if (c.temper_last) {
        k->last = column_at(v, equals, counting(), stay);
    } else {
        k->first = column_at(v, equals, counting(), n - stay + 1);
    }
}

__device__ static void keep_top_p(const row_view &v, const ace_choice &c, kept *k)
{
    if (!(c.top_p < 1.0)) {
        return;
    }
    measure mass = {false, value_of(k->top), c.temper_last ? 1.0f : c.temperature};
    uint64_t whole = whole_of(v, mass, k->cut);
    uint64_t wanted = share_of(whole, c.top_p, c.temper_last);
    uint64_t above = 0;
    k->cut = cut_at(v, mass, k->cut, k->top, wanted, &above);
    uint64_t each = amount_of(mass, k->cut);
    keep_some_equals(v, c, k, (wanted - above + each - 1) / each);
}

/* `lowest` and `highest`: keys of the row. */
__device__ static int pick(const row_view &v, const ace_choice &c, unsigned lowest,
                           unsigned highest)
{
    kept k = {lowest, highest, 0, ACE_CHOICE_COLUMNS, 0.0f};
    if (!(c.temperature > 0.0f)) {
        k.cut = highest;
        (void)held_by_row(v, k, counting());
        return column_at(v, k, counting(), 1);
    }
    keep_top_k(v, c, &k);
    keep_top_p(v, c, &k);
    measure mass = {false, value_of(highest), c.temperature};
    k.least_weight = c.min_p < 1.0f ? c.min_p : 1.0f;
    uint64_t whole = held_by_row(v, k, mass);
    return column_at(v, k, mass, share_of(whole, c.uniform, true));
}

__global__ static void __launch_bounds__(MOST_WARPS *ACE_WARP)
    choose(ace_tensor logits, const ace_choice *choices, int32_t *chosen, int warps)
{
    __shared__ block_memory shared;
    const ace_choice &c = choices[blockIdx.x];
    row_view v = view_of(logits, c, warps, &shared);
    unsigned lowest = NO_KEY;
    unsigned highest = NO_KEY;
    guide(v, logits, c);
    __syncthreads();
    penalise(v, c);
    __syncthreads();
    make_keys(v, c, &lowest, &highest);
    int column = ACE_CHOICE_NONE;
    if (highest != NO_KEY && highest != BROKEN_KEY) {
        column = pick(v, c, lowest, highest);
    }
    if (threadIdx.x == 0) {
        chosen[blockIdx.x] = column;
    }
}

extern "C" void ace_cuda_choose_columns(ace_tensor logits, const ace_choice *choices, int n,
                                        int32_t *chosen, cudaStream_t stream)
{
    int warps = logits.cols > FEW_COLUMNS ? MOST_WARPS : FEW_WARPS;
    ACE_LAUNCH(choose, dim3((unsigned)n), dim3((unsigned)(warps * ACE_WARP)), stream, logits,
               choices, chosen, warps);
}
