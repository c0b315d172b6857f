#include "model/added.h"

/* The product, its columns stretched: on their way into a sum by the gate, else where they lie. */
static void stretched_product(ace_stream *s, ace_tensor y, ace_tensor x, const ace_matrix *w,
                              ace_tensor factors, const ace_epilogue *e)
{
    if (factors.addr == 0) {
        ace_linear(s, y, x, w, e);
    } else if (e != NULL && e->accumulate) {
        ace_epilogue into = {.accumulate = true, .gate = ace_gate_product(s, e->gate, factors)};
        ace_linear(s, y, x, w, &into);
    } else {
        ace_mix stretch = {.gate = factors};
        ace_linear(s, y, x, w, NULL);
        ace_mix_columns(s, y, y, &stretch);
    }
}

void ace_linear_added(ace_stream *s, ace_tensor y, ace_tensor x, const ace_matrix *w,
                      const ace_added *added, const ace_epilogue *e)
{
    if (!ace_adds(added)) {
        ace_linear(s, y, x, w, e);
        return;
    }
    ace_arena_mark mark = ace_mark(s);
    ace_tensor gate = e != NULL ? e->gate : (ace_tensor){.addr = 0};
    stretched_product(s, y, x, w, added->row_factors, e);
    ace_low_rank_add(s, y, x, &added->low_rank, gate);
    for (int i = 0; i < added->n_kroneckers; i++) {
        ace_kronecker_add(s, y, x, &added->kronecker[i], gate);
    }
    ace_reset(s, &mark);
}
