/* Copies between host and card. Numbers of tensors are converted by the host, in pinned memory;
 * a tensor wider than a slot goes in pieces of a row, a narrow one many rows at a time. */
#include "cuda_device.h"

#include <string.h>

/* Rows r … of a tensor, columns c …, that fit into one slot. */
typedef struct piece {
    int64_t row, col, rows, cols;
} piece;

static bool next_piece(const ace_tensor *t, piece *p)
{
    int64_t most = ACE_CUDA_SLOT_BYTES / (int64_t)sizeof(float);
    p->col += p->cols;
    if (p->rows != 0 && p->col >= t->cols) {
        p->row += p->rows;
        p->col = 0;
    }
    if (p->row >= t->rows) {
        return false;
    }
    p->cols = t->cols - p->col < most ? t->cols - p->col : most;
    int64_t fit = p->cols == t->cols ? most / t->cols : 1;
    p->rows = t->rows - p->row < fit ? t->rows - p->row : fit;
    return true;
}

static void *device_place(const ace_tensor *t, const piece *p)
{
    uint64_t elements = (uint64_t)(p->row * t->row_stride + p->col);
    return (void *)(uintptr_t)(t->addr + elements * ace_dtype_bytes(t->dtype));
}

void ace_cuda_narrow(void *to, const float *from, size_t n, ace_dtype dtype)
{
    if (dtype != ACE_BF16) {
        memcpy(to, from, n * sizeof *from);
        return;
    }
    uint16_t *out = to;
    for (size_t i = 0; i < n; i++) {
        out[i] = ace_f32_to_bf16(from[i]);
    }
}

static void narrow(unsigned char *slot, const float *from, const ace_tensor *t, const piece *p)
{
    size_t row_bytes = (size_t)p->cols * ace_dtype_bytes(t->dtype);
    for (int64_t r = 0; r < p->rows; r++) {
        ace_cuda_narrow(slot + (size_t)r * row_bytes, from + (p->row + r) * t->cols + p->col,
                        (size_t)p->cols, t->dtype);
    }
}

static void widen(float *to, const unsigned char *slot, const ace_tensor *t, const piece *p)
{
    for (int64_t r = 0; r < p->rows; r++) {
        float *row = to + (p->row + r) * t->cols + p->col;
        if (t->dtype == ACE_BF16) {
            const uint16_t *in = (const uint16_t *)(const void *)slot + r * p->cols;
            for (int64_t c = 0; c < p->cols; c++) {
                row[c] = ace_bf16_to_f32(in[c]);
            }
        } else {
            memcpy(row, (const float *)(const void *)slot + r * p->cols,
                   (size_t)p->cols * sizeof *row);
        }
    }
}

ace_status ace_cuda_upload(ace_device *device, ace_tensor to, const float *from, ace_error *err)
{
    ace_cuda *cuda = ace_cuda_of(device);
    size_t size = ace_dtype_bytes(to.dtype);
    if (ace_cuda_record_upload(cuda, to, from)) {
        return ACESTEP_OK;
    }
    for (piece p = {0}; next_piece(&to, &p);) {
        unsigned char *slot = ace_cuda_ring_take(cuda, &cuda->up);
        if (slot == NULL) {
            return ace_cuda_dead(cuda, err);
        }
        narrow(slot, from, &to, &p);
        size_t width = (size_t)p.cols * size;
        (void)ace_cuda_check(cuda,
                             cudaMemcpy2DAsync(device_place(&to, &p), (size_t)to.row_stride * size,
                                               slot, width, width, (size_t)p.rows,
                                               cudaMemcpyHostToDevice, cuda->compute),
                             "copying to the card");
        ace_cuda_ring_done(cuda, &cuda->up);
    }
    return ace_cuda_is_alive(cuda) ? ACESTEP_OK : ace_cuda_dead(cuda, err);
}

/* Waits for everything before it: here errors of operations come to light. */
ace_status ace_cuda_download(ace_device *device, float *to, ace_tensor from, ace_error *err)
{
    ace_cuda *cuda = ace_cuda_of(device);
    size_t size = ace_dtype_bytes(from.dtype);
    for (piece p = {0}; next_piece(&from, &p);) {
        unsigned char *slot = ace_cuda_ring_take(cuda, &cuda->up);
        if (slot == NULL) {
            return ace_cuda_dead(cuda, err);
        }
        size_t width = (size_t)p.cols * size;
        (void)ace_cuda_check(
            cuda,
            cudaMemcpy2DAsync(slot, width, device_place(&from, &p), (size_t)from.row_stride * size,
                              width, (size_t)p.rows, cudaMemcpyDeviceToHost, cuda->compute),
            "copying from the card");
        if (!ace_cuda_is_alive(cuda) || !ace_cuda_check(cuda, cudaStreamSynchronize(cuda->compute),
                                                        "waiting for the operations before")) {
            return ace_cuda_dead(cuda, err);
        }
        widen(to, slot, &from, &p);
    }
    return ACESTEP_OK;
}

bool ace_cuda_send(ace_cuda *cuda, void *to, const void *from, size_t bytes)
{
    const unsigned char *bytes_from = from;
    for (size_t done = 0; done < bytes;) {
        size_t n = bytes - done < ACE_CUDA_SLOT_BYTES ? bytes - done : ACE_CUDA_SLOT_BYTES;
        unsigned char *slot = ace_cuda_ring_take(cuda, &cuda->up);
        if (slot == NULL) {
            return false;
        }
        memcpy(slot, bytes_from + done, n);
        (void)ace_cuda_check(cuda,
                             cudaMemcpyAsync((unsigned char *)to + done, slot, n,
                                             cudaMemcpyHostToDevice, cuda->compute),
                             "copying to the card");
        ace_cuda_ring_done(cuda, &cuda->up);
        done += n;
    }
    return ace_cuda_is_alive(cuda);
}
