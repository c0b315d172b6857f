#include "model/low_rank.h"

void ace_low_rank_add(ace_stream *s, ace_tensor y, ace_tensor x, const ace_low_rank *added,
                      ace_tensor gate)
{
    if (added->n_parts == 0) {
        return;
    }
    ace_arena_mark mark = ace_mark(s);
    ace_tensor inner = ace_new(s, ACE_F32, x.rows, added->down.shape.rows);
    ace_linear(s, inner, x, &added->down, NULL);
    for (int i = 0; i < added->n_parts; i++) {
        const ace_low_rank_part *p = &added->part[i];
        int64_t rows = p->up.shape.rows;
        ace_epilogue into = {.accumulate = true, .gate = ace_gate_cols(gate, p->first_row, rows)};
        ace_linear(s, ace_cols(y, p->first_row, rows), ace_cols(inner, p->first_rank, p->rank),
                   &p->up, &into);
    }
    ace_reset(s, &mark);
}
