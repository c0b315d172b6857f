#include "model/low_rank.h"

void ace_linear_added(ace_stream *s, ace_tensor y, ace_tensor x, const ace_matrix *w,
                      const ace_low_rank *added, const ace_epilogue *e)
{
    ace_linear(s, y, x, w, e);
    if (!ace_adds(added)) {
        return;
    }
    ace_arena_mark mark = ace_mark(s);
    ace_tensor inner = ace_new(s, ACE_F32, x.rows, added->down.shape.rows);
    ace_linear(s, inner, x, &added->down, NULL);
    for (int i = 0; i < added->n_parts; i++) {
        const ace_low_rank_part *p = &added->part[i];
        ace_epilogue into = {.accumulate = true};
        if (e != NULL && e->gate.addr != 0) {
            into.gate = ace_cols(e->gate, p->first_row, p->up.shape.rows);
        }
        ace_linear(s, ace_cols(y, p->first_row, p->up.shape.rows),
                   ace_cols(inner, p->first_rank, p->rank), &p->up, &into);
    }
    ace_reset(s, &mark);
}
