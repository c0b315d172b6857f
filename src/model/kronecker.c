#include "model/kronecker.h"

#include "model/low_rank.h"

ace_tensor ace_gate_product(ace_stream *s, ace_tensor gate, ace_tensor row)
{
    if (gate.addr == 0 || row.addr == 0) {
        return gate.addr == 0 ? row : gate;
    }
    ace_tensor product = ace_new(s, ACE_F32, gate.rows, gate.cols);
    ace_mix scale = {.gate = row};
    ace_mix_columns(s, product, gate, &scale);
    return product;
}

/* x·W2ᵀ of runs in rows, [rows, c]. */
static ace_tensor inner_product(ace_stream *s, const ace_kronecker *k, ace_tensor x)
{
    ace_tensor y = ace_new(s, ACE_F32, x.rows, k->inner.shape.rows);
    if (k->inner_down.shape.rows > 0) {
        ace_tensor down = ace_new(s, ACE_F32, x.rows, k->inner_down.shape.rows);
        ace_linear(s, down, x, &k->inner_down, NULL);
        x = down;
    }
    ace_linear(s, y, x, &k->inner, NULL);
    return y;
}

/* x as rows without gaps, so that it can be cut into runs. */
static ace_tensor without_gaps(ace_stream *s, ace_tensor x)
{
    if (ace_tensor_is_contiguous(x)) {
        return x;
    }
    ace_tensor copy = ace_new(s, x.dtype, x.rows, x.cols);
    ace_copy(s, copy, x);
    return copy;
}

void ace_kronecker_add(ace_stream *s, ace_tensor y, ace_tensor x, const ace_kronecker *k,
                       ace_tensor gate)
{
    ace_arena_mark mark = ace_mark(s);
    int64_t a = k->outer.rows;
    int64_t b = k->outer.cols;
    int64_t c = k->inner.shape.rows;
    int64_t d = x.cols / b;
    ace_tensor to = ace_cols(y, k->first_row, a * c);
    ace_mix into = {
        .accumulate = true,
        .gate = ace_gate_product(s, ace_gate_cols(gate, k->first_row, a * c), k->row_factors)};
    if (b * c <= a * d) {
        ace_tensor runs = ace_reshape(without_gaps(s, x), x.rows * b, d);
        ace_tensor products = inner_product(s, k, runs);
        into.weight = k->outer;
        ace_mix_columns(s, to, ace_reshape(products, x.rows, b * c), &into);
    } else {
        ace_tensor mixed = ace_new(s, ACE_F32, x.rows, a * d);
        ace_mix outer = {.weight = k->outer};
        ace_mix_columns(s, mixed, x, &outer);
        ace_tensor products = inner_product(s, k, ace_reshape(mixed, x.rows * a, d));
        ace_mix_columns(s, to, ace_reshape(products, x.rows, a * c), &into);
    }
    ace_reset(s, &mark);
}
