/* What mma.cuh asks of a card's tensor cores, by the layouts of fragments that the PTX manual gives
 * (mma.m16n8k16, mma.m16n8k32, ldmatrix). Products are exact, sums f32 one after another.
 *
 * A warp's work is done once, for all lanes together, when the last of them has come. */
#ifndef ACE_EMULATOR_WARP_MATRIX_H
#define ACE_EMULATOR_WARP_MATRIX_H

/* What a lane brings: fragments of a, of b, and of d for each a and each b. */
template <typename D> struct ace_emulator_fragments {
    D (*d)[4];
    const unsigned (*a)[4];
    const unsigned (*b)[2];
};

static inline void ace_emulator_unpack(float *to, unsigned word)
{
    to[0] = __uint_as_float(word << 16);
    to[1] = __uint_as_float(word & 0xffff0000u);
}

static inline void ace_emulator_unpack(short *to, unsigned word)
{
    for (int i = 0; i < 4; i++) {
        to[i] = (short)(signed char)(word >> (8 * i) & 255);
    }
}

/* One column after another for integers, in which sums run along K … */
static inline void ace_emulator_put_b(short (*to)[32], int column, int k, unsigned word)
{
    ace_emulator_unpack(to[column] + k, word);
}

/* … and side by side for f32, whose sums keep their order. */
static inline void ace_emulator_put_b(float (*to)[8], int column, int k, unsigned word)
{
    float pair[2];
    ace_emulator_unpack(pair, word);
    to[k][column] = pair[0];
    to[k + 1][column] = pair[1];
}

/* Fragments of a as [16, K]. A word holds K / 8 numbers: lane 4·(row % 8) + t, word row / 8 +
 * 2·half has those from (4·half + t)·(K / 8) on. */
template <typename D, typename T, int K>
static inline void ace_emulator_unpack_a(T (*to)[K], void *const *lanes, int i)
{
    for (int lane = 0; lane < 32; lane++) {
        const unsigned *word = ((const ace_emulator_fragments<D> *)lanes[lane])->a[i];
        for (int w = 0; w < 4; w++) {
            int k = (w / 2 * 4 + lane % 4) * (K / 8);
            ace_emulator_unpack(to[lane / 4 + w % 2 * 8] + k, word[w]);
        }
    }
}

/* Fragments of b, likewise: lane 4·column + t, word half. */
template <typename D, typename B, int K>
static inline void ace_emulator_unpack_b(B to, void *const *lanes, int j)
{
    for (int lane = 0; lane < 32; lane++) {
        const unsigned *word = ((const ace_emulator_fragments<D> *)lanes[lane])->b[j];
        for (int w = 0; w < 2; w++) {
            ace_emulator_put_b(to, lane / 4, (w * 4 + lane % 4) * (K / 8), word[w]);
        }
    }
}

static inline void ace_emulator_dot(float (*sum)[8], const float (*a)[16], const float (*b)[8])
{
    for (int row = 0; row < 16; row++) {
        float line[8] = {};
        for (int k = 0; k < 16; k++) {
            for (int column = 0; column < 8; column++) {
                line[column] += a[row][k] * b[k][column];
            }
        }
        memcpy(sum[row], line, sizeof line);
    }
}

static inline void ace_emulator_dot(int (*sum)[8], const short (*a)[32], const short (*b)[32])
{
    for (int row = 0; row < 16; row++) {
        for (int column = 0; column < 8; column++) {
            int one = 0;
            for (int k = 0; k < 32; k++) {
                one += a[row][k] * b[column][k];
            }
            sum[row][column] = one;
        }
    }
}

/* M by N products at once. D: of sums; T: of numbers; b as put_b lays it. */
template <typename D, typename T, int K, typename B, int M, int N>
static inline void ace_emulator_multiply(void *const *lanes)
{
    static B b[N];
    T a[16][K];
    D sum[16][8];
    for (int j = 0; j < N; j++) {
        ace_emulator_unpack_b<D, decltype(&b[j][0]), K>(b[j], lanes, j);
    }
    for (int i = 0; i < M; i++) {
        ace_emulator_unpack_a<D, T, K>(a, lanes, i);
        for (int j = 0; j < N; j++) {
            ace_emulator_dot(sum, a, b[j]);
            for (int lane = 0; lane < 32; lane++) {
                D *d = ((const ace_emulator_fragments<D> *)lanes[lane])->d[i * N + j];
                for (int e = 0; e < 4; e++) {
                    d[e] += sum[lane / 4 + e / 2 * 8][lane % 4 * 2 + e % 2];
                }
            }
        }
    }
}

template <int M, int N>
static inline void ace_emulator_mma(float (*d)[4], const unsigned (*a)[4], const unsigned (*b)[2])
{
    ace_emulator_need(80);
    ace_emulator_fragments<float> mine = {d, a, b};
    ace_emulator_together(ace_emulator_multiply<float, float, 16, float[16][8], M, N>, &mine);
}

template <int M, int N>
static inline void ace_emulator_mma(int (*d)[4], const unsigned (*a)[4], const unsigned (*b)[2])
{
    ace_emulator_need(80);
    ace_emulator_fragments<int> mine = {d, a, b};
    ace_emulator_together(ace_emulator_multiply<int, short, 32, short[8][32], M, N>, &mine);
}

/* Four matrices of 8 by 8 16-bit numbers: lane i brings the address of row i % 8 of matrix i / 8. A
 * lane gets of each the numbers 2·(lane % 4) and the next of row lane / 4; turned: of column
 * lane / 4 the rows 2·(lane % 4) and the next. */
struct ace_emulator_matrix_row {
    unsigned *to;
    const void *from;
};

template <bool TURNED> static inline void ace_emulator_load_all(void *const *lanes)
{
    const unsigned short *rows[32];
    for (int i = 0; i < 32; i++) {
        rows[i] = (const unsigned short *)((const ace_emulator_matrix_row *)lanes[i])->from;
    }
    for (int lane = 0; lane < 32; lane++) {
        unsigned *to = ((const ace_emulator_matrix_row *)lanes[lane])->to;
        int one = lane / 4;
        int two = lane % 4 * 2;
        for (int m = 0; m < 4; m++) {
            unsigned low = TURNED ? rows[8 * m + two][one] : rows[8 * m + one][two];
            unsigned high = TURNED ? rows[8 * m + two + 1][one] : rows[8 * m + one][two + 1];
            to[m] = low | high << 16;
        }
    }
}

template <bool TURNED> static inline void ace_emulator_load_matrices(unsigned *to, const void *row)
{
    ace_emulator_matrix_row mine = {to, row};
    ace_emulator_together(ace_emulator_load_all<TURNED>, &mine);
}

#define ACE_MMA(M, N, d, a, b) ace_emulator_mma<M, N>((d), (a), (b))
#define ACE_LOAD_MATRICES(to, row) ace_emulator_load_matrices<false>((to), (row))
#define ACE_LOAD_MATRICES_TURNED(to, row) ace_emulator_load_matrices<true>((to), (row))
#define ACE_COPY_LATE(to, from, there) ace_emulator_copy_late((to), (there) ? (from) : nullptr)
#define ACE_END_GROUP() ace_emulator_end_group()
#define ACE_WAIT_GROUPS(still_out) ace_emulator_wait_groups(still_out)

#endif
