#include "sample/dtw.h"

#include "base/checked.h"
#include "base/memory.h"

#include <math.h>
#include <string.h>

typedef enum step { DIAGONAL, UP, LEFT } step;

static step cheapest(float diagonal, float up, float left, float *least)
{
    if (diagonal < up && diagonal < left) {
        *least = diagonal;
        return DIAGONAL;
    }
    if (up < diagonal && up < left) {
        *least = up;
        return UP;
    }
    *least = left;
    return LEFT;
}

/* steps[rows, cols]: how the cheapest way comes into each cell. sums [cols + 1]: the costs of one
 * row of ways, one cell of border before it. */
static void find_steps(const float *cost, int64_t rows, int64_t cols, float *sums, uint8_t *steps)
{
    for (int64_t j = 0; j <= cols; j++) {
        sums[j] = j == 0 ? 0 : INFINITY;
    }
    for (int64_t i = 0; i < rows; i++) {
        float diagonal = sums[0];
        sums[0] = INFINITY;
        for (int64_t j = 0; j < cols; j++) {
            float up = sums[j + 1];
            float least = 0;
            steps[i * cols + j] = (uint8_t)cheapest(diagonal, up, sums[j], &least);
            sums[j + 1] = (float)((double)cost[i * cols + j] + (double)least);
            diagonal = up;
        }
    }
}

/* From the end; the border holds no way but the one into the first cell. */
static int64_t walk_back(const uint8_t *steps, int64_t rows, int64_t cols, ace_path_cell *cells)
{
    int64_t i = rows - 1;
    int64_t j = cols - 1;
    int64_t n = 0;
    while (i >= 0 && j >= 0) {
        cells[n++] = (ace_path_cell){(int32_t)i, (int32_t)j};
        step last = (step)steps[i * cols + j];
        i -= last != LEFT ? 1 : 0;
        j -= last != UP ? 1 : 0;
    }
    for (int64_t a = 0, b = n - 1; a < b; a++, b--) {
        ace_path_cell cell = cells[a];
        cells[a] = cells[b];
        cells[b] = cell;
    }
    return n;
}

ace_status ace_dtw(const float *cost, int64_t rows, int64_t cols, ace_path *out, ace_error *err)
{
    size_t count = 0;
    memset(out, 0, sizeof *out);
    if (rows < 1 || cols < 1 || rows > INT32_MAX || cols > INT32_MAX ||
        ace_mul_overflows((size_t)rows, (size_t)cols, &count)) {
        return ace_fail(err, ACESTEP_ARGUMENT, "alignment: no way through [%lld, %lld]",
                        (long long)rows, (long long)cols);
    }
    float *sums = ace_malloc_array((size_t)cols + 1, sizeof *sums);
    uint8_t *steps = ace_malloc_array(count, sizeof *steps);
    ace_path_cell *cells = ace_malloc_array((size_t)(rows + cols), sizeof *cells);
    ace_status status = ACESTEP_OK;
    if (sums == NULL || steps == NULL || cells == NULL) {
        status = ace_fail(err, ACESTEP_MEMORY, "alignment: no host memory");
        ace_free(cells);
    } else {
        find_steps(cost, rows, cols, sums, steps);
        out->cell = cells;
        out->n = walk_back(steps, rows, cols, cells);
    }
    ace_free(sums);
    ace_free(steps);
    return status;
}

void ace_path_free(ace_path *path)
{
    ace_free(path->cell);
    memset(path, 0, sizeof *path);
}
