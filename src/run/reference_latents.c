#include "run/reference_latents.h"

#include <string.h>

ace_status ace_reference_latents_cut(const ace_array *in, int64_t rows,
                                     const double u[ACE_REFERENCE_PIECES], ace_array *out,
                                     ace_error *err)
{
    int64_t piece = (rows + ACE_REFERENCE_PIECES - 1) / ACE_REFERENCE_PIECES;
    int64_t start[ACE_REFERENCE_PIECES];
    ace_status status = ace_array_create(rows, in->cols, out, err);
    if (status != ACESTEP_OK) {
        return status;
    }
    ace_reference_pieces(in->rows, piece, u, start);
    for (int64_t row = 0; row < rows; row++) {
        int64_t from = (start[row / piece] + row % piece) % in->rows;
        memcpy(out->values + row * in->cols, in->values + from * in->cols,
               (size_t)in->cols * sizeof *out->values);
    }
    return ACESTEP_OK;
}
