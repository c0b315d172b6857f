/* Norms, elementwise operations, scattered rows, mixed columns. */
#include "cuda_device.h"

static const ace_tensor none = {.addr = 0};

void ace_cuda_rms_norm(ace_device *device, ace_tensor y, ace_tensor x, const ace_norm *n)
{
    ace_cuda *cuda = ace_cuda_of(device);
    if (ace_cuda_may_launch(cuda)) {
        ace_cuda_normalize(y, x, n, cuda->compute);
        ace_cuda_launched(cuda, "rms_norm");
    }
}

void ace_cuda_head_norm(ace_device *device, ace_tensor x, const ace_head_norm *n)
{
    ace_cuda *cuda = ace_cuda_of(device);
    if (ace_cuda_may_launch(cuda)) {
        ace_cuda_normalize_heads(x, n, cuda->compute);
        ace_cuda_launched(cuda, "head_norm");
    }
}

static void map(ace_device *device, ace_cuda_map what, ace_tensor y, ace_tensor a, ace_tensor b,
                float value, const char *operation)
{
    ace_cuda *cuda = ace_cuda_of(device);
    if (ace_cuda_may_launch(cuda)) {
        ace_cuda_map_rows(what, y, a, b, value, cuda->compute);
        ace_cuda_launched(cuda, operation);
    }
}

void ace_cuda_silu(ace_device *device, ace_tensor y, ace_tensor x)
{
    map(device, ACE_CUDA_SILU, y, x, none, 0, "silu");
}

void ace_cuda_silu_mul(ace_device *device, ace_tensor y, ace_tensor gate, ace_tensor up)
{
    map(device, ACE_CUDA_SILU_MUL, y, gate, up, 0, "silu_mul");
}

void ace_cuda_add(ace_device *device, ace_tensor y, ace_tensor a, ace_tensor b)
{
    map(device, ACE_CUDA_ADD, y, a, b, 0, "add");
}

void ace_cuda_copy(ace_device *device, ace_tensor y, ace_tensor x)
{
    map(device, ACE_CUDA_COPY, y, x, none, 0, "copy");
}

void ace_cuda_fill(ace_device *device, ace_tensor y, float value)
{
    map(device, ACE_CUDA_FILL, y, none, none, value, "fill");
}

void ace_cuda_mix(ace_device *device, ace_tensor y, ace_tensor x, const ace_mix *m)
{
    ace_cuda *cuda = ace_cuda_of(device);
    if (ace_cuda_may_launch(cuda)) {
        ace_cuda_mix_columns(y, x, m, cuda->compute);
        ace_cuda_launched(cuda, "mix");
    }
}

/* As many rows at a time as the workspace has room for numbers of rows. */
static void scatter_by_table(ace_cuda *cuda, ace_tensor y, ace_tensor x, const ace_scatter *to)
{
    ace_scatter part = *to;
    const int64_t most = ACE_CUDA_TABLE_BYTES / (int64_t)sizeof *to->rows;
    for (int64_t first = 0; first < x.rows && ace_cuda_may_launch(cuda); first += most) {
        int64_t n = x.rows - first < most ? x.rows - first : most;
        unsigned char *at = cuda->area.tables;
        part.rows = ace_cuda_send_table(cuda, &at, to->rows + first, (size_t)n * sizeof *to->rows);
        if (part.rows != NULL) {
            ace_cuda_scatter_rows(y, ace_rows(x, first, n), &part, cuda->compute);
            ace_cuda_launched(cuda, "scatter");
        }
    }
}

void ace_cuda_scatter(ace_device *device, ace_tensor y, ace_tensor x, const ace_scatter *to)
{
    ace_cuda *cuda = ace_cuda_of(device);
    if (to->rows != NULL) {
        scatter_by_table(cuda, y, x, to);
    } else if (ace_cuda_may_launch(cuda)) {
        ace_cuda_scatter_rows(y, x, to, cuda->compute);
        ace_cuda_launched(cuda, "scatter");
    }
}
