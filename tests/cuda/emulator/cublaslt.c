/* The functions of cuBLASLt that the plug-in uses (plugins/cuda/library.h), in plain loops: what
 * they are asked for is checked, how fast the real ones are is not shown. Odd leading dimensions of
 * bf16 are refused by the heuristic, as the real one may refuse what it has no kernel for. */
#include "runtime.h"

#include <stdlib.h>
#include <string.h>

enum {
    WELL = 0,
    INVALID = 7,
    UNSUPPORTED = 15,
    F32 = 0,
    BF16 = 14,
    COMPUTE_F32 = 68,
    TRANSPOSE_A = 3,
    MIN_ALIGNMENT_A = 5,
    MIN_ALIGNMENT_D = 8
};

typedef struct layout {
    int type;
    uint64_t rows, cols;
    int64_t ld;
} layout;

typedef struct desc {
    int transpose_a;
} desc;

typedef struct preference {
    uint32_t alignment[4];
    uint64_t workspace;
} preference;

typedef struct algo {
    uint64_t data[8];
} algo;

typedef struct heuristic {
    algo algo;
    size_t workspace;
    int state;
    float waves;
    int reserved[4];
} heuristic;

int cublasLtCreate(void **handle);
int cublasLtDestroy(void *handle);
int cublasLtMatmulDescCreate(void **out, int compute, int scale);
int cublasLtMatmulDescDestroy(void *d);
int cublasLtMatmulDescSetAttribute(void *d, int attribute, const void *value, size_t bytes);
int cublasLtMatrixLayoutCreate(void **out, int type, uint64_t rows, uint64_t cols, int64_t ld);
int cublasLtMatrixLayoutDestroy(void *l);
int cublasLtMatmulPreferenceCreate(void **out);
int cublasLtMatmulPreferenceDestroy(void *p);
int cublasLtMatmulPreferenceSetAttribute(void *p, int attribute, const void *value, size_t bytes);
int cublasLtMatmulAlgoGetHeuristic(void *handle, void *d, void *a, void *b, void *c, void *y,
                                   void *p, int asked, heuristic *found, int *n_found);
int cublasLtMatmul(void *handle, void *d, const void *alpha, const void *a_data, void *a,
                   const void *b_data, void *b, const void *beta, const void *c_data, void *c,
                   void *y_data, void *y, const algo *chosen, void *workspace, size_t bytes,
                   cudaStream_t stream);

static int create(void **out, size_t bytes)
{
    *out = calloc(1, bytes);
    return *out != NULL ? WELL : INVALID;
}

static int destroy(void *object)
{
    free(object);
    return WELL;
}

/* A handle is the memory that the library takes on the card. */
int cublasLtCreate(void **handle)
{
    return cudaMalloc(handle, (size_t)8 << 20) == cudaSuccess ? WELL : INVALID;
}

int cublasLtDestroy(void *handle)
{
    return cudaFree(handle) == cudaSuccess ? WELL : INVALID;
}

int cublasLtMatmulDescCreate(void **out, int compute, int scale)
{
    return compute == COMPUTE_F32 && scale == F32 ? create(out, sizeof(desc)) : INVALID;
}

int cublasLtMatmulDescDestroy(void *d)
{
    return destroy(d);
}

int cublasLtMatmulDescSetAttribute(void *d, int attribute, const void *value, size_t bytes)
{
    if (attribute != TRANSPOSE_A || bytes != sizeof(int)) {
        return INVALID;
    }
    memcpy(&((desc *)d)->transpose_a, value, bytes);
    return WELL;
}

int cublasLtMatrixLayoutCreate(void **out, int type, uint64_t rows, uint64_t cols, int64_t ld)
{
    if ((type != F32 && type != BF16) || ld < (int64_t)rows ||
        create(out, sizeof(layout)) != WELL) {
        return INVALID;
    }
    *(layout *)*out = (layout){type, rows, cols, ld};
    return WELL;
}

int cublasLtMatrixLayoutDestroy(void *l)
{
    return destroy(l);
}

int cublasLtMatmulPreferenceCreate(void **out)
{
    return create(out, sizeof(preference));
}

int cublasLtMatmulPreferenceDestroy(void *p)
{
    return destroy(p);
}

int cublasLtMatmulPreferenceSetAttribute(void *p, int attribute, const void *value, size_t bytes)
{
    preference *to = p;
    if (attribute == 1 && bytes == sizeof to->workspace) {
        memcpy(&to->workspace, value, bytes);
    } else if (attribute >= MIN_ALIGNMENT_A && attribute <= MIN_ALIGNMENT_D &&
               bytes == sizeof *to->alignment) {
        memcpy(&to->alignment[attribute - MIN_ALIGNMENT_A], value, bytes);
    } else {
        return INVALID;
    }
    return WELL;
}

static bool fits(const desc *d, const layout *a, const layout *b, const layout *y)
{
    return d->transpose_a == 1 && a->rows == b->rows && y->rows == a->cols && y->cols == b->cols &&
           a->type == b->type && (y->type == F32 || a->type == BF16);
}

int cublasLtMatmulAlgoGetHeuristic(void *handle, void *d, void *a, void *b, void *c, void *y,
                                   void *p, int asked, heuristic *found, int *n_found)
{
    const layout *x = b;
    const preference *wish = p;
    *n_found = 0;
    bool odd = x->type == BF16 && x->ld % 2 != 0;
    if (handle == NULL || c != y || asked < 1 || !fits(d, a, b, y) || odd) {
        return UNSUPPORTED;
    }
    for (int i = 0; i < 4; i++) {
        if (wish->alignment[i] != 16) {
            return INVALID;
        }
    }
    memset(found, 0, sizeof *found);
    found->algo.data[0] = ((const layout *)a)->cols; /* to be handed back with the product */
    *n_found = 1;
    return WELL;
}

typedef struct product {
    layout a, b, y;
    const unsigned char *a_data, *b_data;
    unsigned char *y_data;
} product;

static float get(const layout *l, const unsigned char *data, uint64_t row, uint64_t col)
{
    uint64_t i = col * (uint64_t)l->ld + row;
    float f;
    if (l->type == BF16) {
        uint16_t half;
        memcpy(&half, data + 2 * i, sizeof half);
        uint32_t bits = (uint32_t)half << 16;
        memcpy(&f, &bits, sizeof f);
    } else {
        memcpy(&f, data + 4 * i, sizeof f);
    }
    return f;
}

static void put(const layout *l, unsigned char *data, uint64_t row, uint64_t col, float f)
{
    uint64_t i = col * (uint64_t)l->ld + row;
    if (l->type == BF16) {
        uint32_t u;
        memcpy(&u, &f, sizeof u);
        uint16_t half = (uint16_t)((u + 0x7fffu + ((u >> 16) & 1u)) >> 16);
        memcpy(data + 2 * i, &half, sizeof half);
    } else {
        memcpy(data + 4 * i, &f, sizeof f);
    }
}

/* Row k of the result holds number k of every column of the operand. */
static float *transposed(const layout *l, const unsigned char *data)
{
    float *out = malloc((size_t)(l->rows * l->cols) * sizeof *out);
    if (out == NULL) {
        abort();
    }
    for (uint64_t c = 0; c < l->cols; c++) {
        for (uint64_t r = 0; r < l->rows; r++) {
            out[r * l->cols + c] = get(l, data, r, c);
        }
    }
    return out;
}

/* Sums of all columns of a side by side, for one column of b after another. */
static void run(void *context)
{
    const product *p = context;
    uint64_t n = p->a.cols;
    float *a = transposed(&p->a, p->a_data);
    float *sum = malloc((size_t)n * sizeof *sum);
    if (sum == NULL) {
        abort();
    }
    for (uint64_t m = 0; m < p->y.cols; m++) {
        memset(sum, 0, (size_t)n * sizeof *sum);
        for (uint64_t k = 0; k < p->a.rows; k++) {
            float x = get(&p->b, p->b_data, k, m);
            const float *row = a + k * n;
            for (uint64_t i = 0; i < n; i++) {
                sum[i] += x * row[i];
            }
        }
        for (uint64_t i = 0; i < n; i++) {
            put(&p->y, p->y_data, i, m, sum[i]);
        }
    }
    free(sum);
    free(a);
}

int cublasLtMatmul(void *handle, void *d, const void *alpha, const void *a_data, void *a,
                   const void *b_data, void *b, const void *beta, const void *c_data, void *c,
                   void *y_data, void *y, const algo *chosen, void *workspace, size_t bytes,
                   cudaStream_t stream)
{
    product p = {.a = *(layout *)a,
                 .b = *(layout *)b,
                 .y = *(layout *)y,
                 .a_data = a_data,
                 .b_data = b_data,
                 .y_data = y_data};
    bool aligned = ((uintptr_t)a_data | (uintptr_t)b_data | (uintptr_t)y_data) % 16 == 0;
    if (handle == NULL || c != y || c_data != y_data || *(const float *)alpha != 1.0f ||
        *(const float *)beta != 0.0f || !fits(d, a, b, y) || !aligned || workspace == NULL ||
        bytes == 0 || chosen->data[0] != p.a.cols) {
        return INVALID;
    }
    ace_emulator_enqueue_kernel(stream, run, &p, sizeof p);
    return WELL;
}
