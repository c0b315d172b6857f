/* What a recorded step copies from the host. A graph copies from fixed addresses, and the host's
 * numbers may need converting: so it copies from memory of the step's own, which is filled from the
 * host's before each run. Tables have a place in the workspace for the whole step, and are copied
 * once for all operations that read them. */
#include "base/checked.h"
#include "cuda_device.h"

#include <string.h>

enum { STAGING_ALIGNMENT = 16 };

static size_t bytes_of(const ace_cuda_source *s)
{
    return s->numbers > 0 ? s->numbers * ace_dtype_bytes(s->dtype) : s->bytes;
}

static void survey(ace_cuda_step *step, size_t bytes)
{
    step->most++;
    step->staging_bytes += ace_align_up(bytes, STAGING_ALIGNMENT);
}

bool ace_cuda_allocate_staging(ace_cuda *cuda, ace_cuda_step *step)
{
    void *staging = NULL;
    size_t bytes = step->staging_bytes > 0 ? step->staging_bytes : 1;
    if (cudaHostAlloc(&staging, bytes, cudaHostAllocDefault) != cudaSuccess) {
        (void)cudaGetLastError();
        return false;
    }
    step->staging = staging;
    step->source = cuda->host->allocate((size_t)step->most + 1, sizeof *step->source);
    return step->source != NULL &&
           ace_cuda_check(cuda, cudaEventCreateWithFlags(&step->done, cudaEventDisableTiming),
                          "making an event");
}

void ace_cuda_free_staging(ace_cuda *cuda, ace_cuda_step *step)
{
    if (step->done != NULL) {
        (void)cudaEventDestroy(step->done);
    }
    if (step->staging != NULL) {
        (void)cudaFreeHost(step->staging);
    }
    cuda->host->release(step->source);
}

void ace_cuda_fill_staging(ace_cuda_step *step)
{
    for (int i = 0; i < step->n; i++) {
        const ace_cuda_source *s = &step->source[i];
        if (s->numbers > 0) {
            ace_cuda_narrow(step->staging + s->at, s->from, s->numbers, s->dtype);
        } else {
            memcpy(step->staging + s->at, s->from, s->bytes);
        }
    }
}

/* Room for it in the staging memory. NULL, and the recording is none, when the first pass had less
 * to copy. */
static ace_cuda_source *add(ace_cuda *cuda, ace_cuda_source source)
{
    ace_cuda_step *step = cuda->steps.recording;
    size_t end = step->staged + ace_align_up(bytes_of(&source), STAGING_ALIGNMENT);
    if (step->n == step->most || end > step->staging_bytes) {
        atomic_store(&cuda->steps.broken, true);
        return NULL;
    }
    ace_cuda_source *s = &step->source[step->n++];
    *s = source;
    s->at = step->staged;
    step->staged = end;
    return s;
}

bool ace_cuda_record_upload(ace_cuda *cuda, ace_tensor to, const float *from)
{
    ace_cuda_step *step = cuda->steps.recording;
    size_t size = ace_dtype_bytes(to.dtype);
    size_t width = (size_t)to.cols * size;
    if (cuda->steps.surveying != NULL) {
        survey(cuda->steps.surveying, (size_t)to.rows * width);
    }
    if (step == NULL) {
        return false;
    }
    const ace_cuda_source *s = add(
        cuda,
        (ace_cuda_source){.from = from, .numbers = (size_t)(to.rows * to.cols), .dtype = to.dtype});
    if (s != NULL) {
        (void)ace_cuda_check(cuda,
                             cudaMemcpy2DAsync((void *)(uintptr_t)to.addr,
                                               (size_t)to.row_stride * size, step->staging + s->at,
                                               width, width, (size_t)to.rows,
                                               cudaMemcpyHostToDevice, cuda->compute),
                             "recording a copy");
    }
    return true;
}

/* A place for a table in the workspace, filled when the recording runs. */
static const void *record_table(ace_cuda *cuda, const void *from, size_t bytes)
{
    ace_cuda_step *step = cuda->steps.recording;
    for (int i = 0; i < step->n; i++) {
        const ace_cuda_source *s = &step->source[i];
        if (s->to != NULL && s->from == from && s->bytes == bytes) {
            return s->to;
        }
    }
    unsigned char *to = cuda->area.tables + step->tables;
    if (step->tables + bytes > ACE_CUDA_TABLE_BYTES) {
        atomic_store(&cuda->steps.broken, true);
        return NULL;
    }
    ace_cuda_source *s = add(cuda, (ace_cuda_source){.from = from, .bytes = bytes, .to = to});
    if (s == NULL) {
        return NULL;
    }
    step->tables += ace_align_up(bytes, STAGING_ALIGNMENT);
    (void)ace_cuda_check(
        cuda,
        cudaMemcpyAsync(to, step->staging + s->at, bytes, cudaMemcpyHostToDevice, cuda->compute),
        "recording a copy");
    return to;
}

const void *ace_cuda_send_table(ace_cuda *cuda, unsigned char **at, const void *from, size_t bytes)
{
    if (cuda->steps.recording != NULL) {
        return record_table(cuda, from, bytes);
    }
    if (cuda->steps.surveying != NULL) {
        survey(cuda->steps.surveying, bytes);
    }
    unsigned char *to = *at;
    *at += ace_align_up(bytes, STAGING_ALIGNMENT);
    return ace_cuda_send(cuda, to, from, bytes) ? to : NULL;
}
