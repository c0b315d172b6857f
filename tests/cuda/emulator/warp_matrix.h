/* What mma.cuh asks of a card's tensor cores, by the layouts of fragments that the PTX manual gives
 * (mma.m16n8k16, mma.m16n8k32, ldmatrix). Products are exact, sums f32 one after another. */
#ifndef ACE_EMULATOR_WARP_MATRIX_H
#define ACE_EMULATOR_WARP_MATRIX_H

/* Word `i` of what the lane with this number brought. */
static inline unsigned ace_emulator_word(const unsigned *all, int lane, int i)
{
    return all[lane * ACE_EMULATOR_WORDS + i];
}

/* Fragments of a come as words 0 … 3, those of b as 4 and 5. Of 16-bit numbers each word holds two,
 * of 8-bit numbers four; `per` is that number.
 * a [16, 8·per]: lane 4·(row % 8) + k % (4·per) / per, word row / 8 + 2·(k / (4·per)).
 * b [8·per, 8]: lane 4·column + k % (4·per) / per, word 4 + k / (4·per). */
static inline unsigned ace_emulator_a(const unsigned *all, int row, int k, int per)
{
    unsigned w =
        ace_emulator_word(all, 4 * (row % 8) + k % (4 * per) / per, row / 8 + 2 * (k / (4 * per)));
    return w >> (32 / per * (k % per));
}

static inline unsigned ace_emulator_b(const unsigned *all, int k, int column, int per)
{
    unsigned w = ace_emulator_word(all, 4 * column + k % (4 * per) / per, 4 + k / (4 * per));
    return w >> (32 / per * (k % per));
}

/* Number i of a lane's four results: row lane / 4 + 8·(i / 2), column 2·(lane % 4) + i % 2. */
static inline void ace_emulator_mma_bf16(float *d, const unsigned *a, const unsigned *b)
{
    ace_emulator_need(80);
    const unsigned mine[6] = {a[0], a[1], a[2], a[3], b[0], b[1]};
    const unsigned *all = ace_emulator_exchange(0xffffffffu, mine, 6);
    for (int i = 0; i < 4; i++) {
        int row = ace_emulator_lane() / 4 + i / 2 * 8;
        int column = ace_emulator_lane() % 4 * 2 + i % 2;
        float sum = 0;
        for (int k = 0; k < 16; k++) {
            sum += __uint_as_float(ace_emulator_a(all, row, k, 2) << 16) *
                   __uint_as_float(ace_emulator_b(all, k, column, 2) << 16);
        }
        d[i] += sum;
    }
}

static inline void ace_emulator_mma_int8(int *d, const unsigned *a, const unsigned *b)
{
    ace_emulator_need(80);
    const unsigned mine[6] = {a[0], a[1], a[2], a[3], b[0], b[1]};
    const unsigned *all = ace_emulator_exchange(0xffffffffu, mine, 6);
    for (int i = 0; i < 4; i++) {
        int row = ace_emulator_lane() / 4 + i / 2 * 8;
        int column = ace_emulator_lane() % 4 * 2 + i % 2;
        for (int k = 0; k < 32; k++) {
            d[i] += (int)(signed char)(ace_emulator_a(all, row, k, 4) & 255) *
                    (int)(signed char)(ace_emulator_b(all, k, column, 4) & 255);
        }
    }
}

/* Four matrices of 8 by 8 16-bit numbers: lane i brings the address of row i % 8 of matrix i / 8. A
 * lane gets of each the numbers 2·(lane % 4) and the next of row lane / 4; turned: of column
 * lane / 4 the rows 2·(lane % 4) and the next. */
static inline void ace_emulator_load_matrices(unsigned *to, const void *row, bool turned)
{
    const unsigned *all = ace_emulator_exchange(0xffffffffu, &row, 2);
    const unsigned short *rows[32];
    for (int i = 0; i < 32; i++) {
        memcpy(&rows[i], all + i * ACE_EMULATOR_WORDS, sizeof rows[i]);
    }
    int one = ace_emulator_lane() / 4;
    int two = ace_emulator_lane() % 4 * 2;
    for (int m = 0; m < 4; m++) {
        unsigned low = turned ? rows[8 * m + two][one] : rows[8 * m + one][two];
        unsigned high = turned ? rows[8 * m + two + 1][one] : rows[8 * m + one][two + 1];
        to[m] = low | high << 16;
    }
    __syncwarp(); /* nobody writes before all have read */
}

#define ACE_MMA_BF16 ace_emulator_mma_bf16
#define ACE_MMA_INT8 ace_emulator_mma_int8
#define ACE_LOAD_MATRICES(to, row) ace_emulator_load_matrices((to), (row), false)
#define ACE_LOAD_MATRICES_TURNED(to, row) ace_emulator_load_matrices((to), (row), true)
#define ACE_COPY_LATE(to, from, there) ace_emulator_copy_late((to), (there) ? (from) : nullptr)
#define ACE_END_GROUP() ace_emulator_end_group()
#define ACE_WAIT_GROUPS(still_out) ace_emulator_wait_groups(still_out)

#endif
