/* What an instruction set provides to the product engine: one table per level. All of it works on
 * one thread's scratch memory: tile   the block's inputs, converted, f(x) applied       [tile
 * rows][row_stride] f32 or bf16 sums   results before the epilogue, f32 [panel][row][ACE_PANEL] */
#ifndef ACE_CPU_PRODUCT_KERNELS_H
#define ACE_CPU_PRODUCT_KERNELS_H

#include "cpu/product.h"

typedef enum ace_tile_type {
    ACE_TILE_F32,
    ACE_TILE_F32_ROUNDED, /* f32 holding numbers rounded to bf16: bf16 products without bf16 units
                           */
    ACE_TILE_BF16,
    ACE_TILE_I16, /* integers, one scale for every ACE_SCALE_GROUP columns of a row */
    ACE_TILE_I8   /* the same with 8 bits */
} ace_tile_type;

/* Of a group of columns in a row of integers. */
typedef struct ace_scale {
    float scale;   /* what 1 stands for */
    int32_t start; /* what a sum over the group starts from: in I8 weights are read with 128 added,
                      which this takes away again; in I16 0 */
} ace_scale;

typedef struct ace_tile {
    void *data;
    ace_tile_type type;
    int64_t row_stride; /* elements */
    int64_t first_col;  /* of x */
    int64_t cols;       /* even; those beyond x are zero */
    ace_scale *scales;  /* of integers: [tile rows][scale_row] */
    int64_t scale_row;  /* elements */
} ace_tile;

/* sums += tile · panels over some depth of all taps. */
typedef struct ace_block {
    const void *x;             /* the tile's element for the first row, first tap */
    const ace_scale *x_scales; /* of rows of integers */
    int64_t x_scale_row;       /* elements from one result's scales to the next one's */
    int64_t x_row;             /* elements from one result's inputs to the next one's */
    int64_t x_tap;             /* … from one tap's inputs to the next tap's */
    const void *w;             /* first panel */
    const void *next_w;        /* the same place of the panels that come next, or NULL */
    int64_t w_panel, w_tap;    /* elements */
    ace_dtype w_type; /* multiply_f32 takes other types than f32 in their packed form, for up to
                         ACE_FEW_ROWS rows */
    int taps;
    int64_t depth; /* even */
    float *sums;
    int64_t sums_panel; /* elements */
    int64_t rows;
    int panels;
    bool resume; /* add to sums already there; else start from zero */
} ace_block;

typedef struct ace_finish {
    const float *sums;
    int64_t sums_panel;
    int64_t first_row, rows; /* of y */
    int64_t first_panel;     /* of the matrix */
    int panels;              /* at most ACE_MAX_STEP, gate and up together */
} ace_finish;

typedef struct ace_product_kernels {
    /* Tile row `tile_row` and on: f(x[first_row …]), count rows, those outside x zero. */
    void (*fill)(const ace_product *, const ace_tile *, int64_t tile_row, int64_t first_row,
                 int64_t count);
    /* n packed numbers of one panel and tap, whole pairs or fours, to a wider type. */
    void (*widen_bf16_to_f32)(float *to, const uint16_t *from, int64_t n);
    void (*widen_i8_to_f32)(float *to, const int8_t *from, int64_t n);
    void (*widen_i8_to_bf16)(uint16_t *to, const int8_t *from, int64_t n);
    void (*multiply_f32)(const ace_block *);
    void (*multiply_bf16)(const ace_block *); /* NULL: no such unit; f32 serves */
    /* int8 weights as packed, one tap; or both NULL */
    void (*multiply_i16)(const ace_block *);
    void (*multiply_i8)(const ace_block *);
    void (*finish)(const ace_product *, const ace_finish *);
} ace_product_kernels;

extern const ace_product_kernels ace_product_kernels_generic, ace_product_kernels_avx2,
    ace_product_kernels_avx512;

enum {
    ACE_TILE_STEP = 12, /* rows of register tiles on every level divide this */
    ACE_FEW_ROWS = 6,
    ACE_EQUAL_ROWS = 32, /* up to here a row's result does not depend on the number of rows */
    /* Columns that share a scale: few, so that one large number takes little precision from the
     * others; enough to make the change of scale rare. */
    ACE_SCALE_GROUP = 256,
    ACE_MAX_STEP = 16 /* panels of one call */
};

#endif
