/* Steps that come again. The first pass is issued as always, which loads what the driver loads when
 * it is first used, and tells how much the step copies from the host. The second is captured into a
 * graph; from then on a step is one launch. Kept graphs are few, and their order of age decides
 * which gives way. */
#include "cuda_device.h"

#include <string.h>

/* ---- the steps that are known ---------------------------------------------------------------- */

static void drop(ace_cuda *cuda, ace_cuda_step *step)
{
    bool alive = ace_cuda_may_launch(cuda);
    if (step->graph != NULL) {
        cuda->host->log(ACE_LOG_DEBUG, "cuda", "step %llu: replayed %llu times",
                        (unsigned long long)step->key, (unsigned long long)step->replays);
        if (alive) {
            (void)ace_cuda_check(cuda, cudaEventSynchronize(step->done), "finishing a step");
        }
        (void)cudaGraphExecDestroy(step->graph);
    }
    ace_cuda_free_staging(cuda, step);
    *step = (ace_cuda_step){.key = 0};
}

/* The step of this key, a free place for it, or that of the one asked for longest ago. */
static ace_cuda_step *step_of(ace_cuda *cuda, uint64_t key)
{
    ace_cuda_steps *all = &cuda->steps;
    ace_cuda_step *oldest = &all->step[0];
    for (int i = 0; i < ACE_CUDA_STEPS; i++) {
        ace_cuda_step *s = &all->step[i];
        if (s->key == key) {
            s->asked = ++all->clock;
            return s;
        }
        oldest = s->asked < oldest->asked ? s : oldest; /* a free place was never asked for */
    }
    if (oldest->key != 0) {
        drop(cuda, oldest);
    }
    *oldest = (ace_cuda_step){.key = key, .asked = ++all->clock};
    return oldest;
}

void ace_cuda_forget_step(ace_device *device, uint64_t key)
{
    ace_cuda *cuda = ace_cuda_of(device);
    for (int i = 0; i < ACE_CUDA_STEPS; i++) {
        ace_cuda_step *s = &cuda->steps.step[i];
        if (s->key != 0 && (key == 0 || s->key == key)) {
            drop(cuda, s);
        }
    }
}

/* ---- capture --------------------------------------------------------------------------------- */

/* `write` of another thread waits for what has been issued before it, and must not ask a stream
 * that captures. */
static bool begin_capture(ace_cuda *cuda)
{
    ace_cuda_steps *all = &cuda->steps;
    (void)pthread_mutex_lock(&all->lock);
    bool well =
        ace_cuda_check(cuda, cudaEventRecord(cuda->issued, cuda->compute), "recording") &&
        cudaStreamBeginCapture(cuda->compute, cudaStreamCaptureModeThreadLocal) == cudaSuccess;
    all->recorder = pthread_self();
    atomic_store(&all->broken, false);
    atomic_store(&all->capturing, well);
    (void)pthread_mutex_unlock(&all->lock);
    return well;
}

static cudaGraph_t end_capture(ace_cuda *cuda)
{
    ace_cuda_steps *all = &cuda->steps;
    cudaGraph_t graph = NULL;
    (void)pthread_mutex_lock(&all->lock);
    cudaError_t code = cudaStreamEndCapture(cuda->compute, &graph);
    atomic_store(&all->capturing, false);
    (void)pthread_mutex_unlock(&all->lock);
    if (code != cudaSuccess) {
        (void)cudaGetLastError(); /* of the capture: nothing has happened on the card */
    }
    return code == cudaSuccess ? graph : NULL;
}

bool ace_cuda_mark_issued(ace_cuda *cuda)
{
    ace_cuda_steps *all = &cuda->steps;
    (void)pthread_mutex_lock(&all->lock);
    bool well = atomic_load(&all->capturing) ||
                ace_cuda_check(cuda, cudaEventRecord(cuda->issued, cuda->compute), "copying");
    (void)pthread_mutex_unlock(&all->lock);
    return well;
}

/* ---- running --------------------------------------------------------------------------------- */

/* With what the host's memory holds now. False: it did not run, nor will it. */
static bool run(ace_cuda *cuda, ace_cuda_step *step)
{
    if (!ace_cuda_check(cuda, cudaEventSynchronize(step->done), "finishing a step")) {
        return false;
    }
    ace_cuda_fill_staging(step);
    if (cudaGraphLaunch(step->graph, cuda->compute) != cudaSuccess) {
        (void)cudaGetLastError(); /* a lasting one is found by what is issued instead */
        return false;
    }
    return ace_cuda_check(cuda, cudaEventRecord(step->done, cuda->compute), "running a step");
}

/* How much of the card is free; 0 when it is not known. */
static size_t free_bytes(void)
{
    size_t bytes = 0;
    size_t total = 0;
    return cudaMemGetInfo(&bytes, &total) == cudaSuccess ? bytes : 0;
}

static bool graphs_fit(const ace_cuda_steps *all)
{
    size_t sum = 0;
    for (int i = 0; i < ACE_CUDA_STEPS; i++) {
        sum += all->step[i].graph_bytes;
    }
    return sum <= ACE_CUDA_GRAPH_BYTES;
}

/* It is brought to the card at once, so that the figures show it. */
static bool instantiate(ace_cuda *cuda, ace_cuda_step *step, cudaGraph_t graph)
{
    size_t before = free_bytes();
    if (cudaGraphInstantiate(&step->graph, graph, 0) != cudaSuccess) {
        (void)cudaGetLastError(); /* no memory for it */
        step->graph = NULL;
        return false;
    }
    if (cudaGraphUpload(step->graph, cuda->compute) != cudaSuccess) {
        (void)cudaGetLastError();
        return false;
    }
    size_t after = free_bytes();
    step->graph_bytes = before > after ? before - after : 0;
    cuda->host->log(ACE_LOG_DEBUG, "cuda",
                    "step %llu: recorded, reads %d runs of host memory, %zu bytes; takes %zu bytes "
                    "of the card",
                    (unsigned long long)step->key, step->n, step->staged, step->graph_bytes);
    return graphs_fit(&cuda->steps);
}

static void give_up(ace_cuda *cuda, ace_cuda_step *step)
{
    uint64_t key = step->key;
    uint64_t asked = step->asked;
    cuda->host->log(ACE_LOG_DEBUG, "cuda", "step %llu: cannot be recorded",
                    (unsigned long long)key);
    drop(cuda, step);
    *step = (ace_cuda_step){.key = key, .asked = asked, .hopeless = true};
}

/* ---- the table's entries --------------------------------------------------------------------- */

ace_step_state ace_cuda_begin_step(ace_device *device, uint64_t key)
{
    ace_cuda *cuda = ace_cuda_of(device);
    ace_cuda_steps *all = &cuda->steps;
    if (!ace_cuda_may_launch(cuda)) {
        return ACE_STEP_ISSUE;
    }
    ace_cuda_step *step = step_of(cuda, key);
    if (step->graph != NULL) {
        if (run(cuda, step)) {
            step->replays++;
            return ACE_STEP_REPLAYED;
        }
        give_up(cuda, step);
    }
    if (step->hopeless) {
        return ACE_STEP_ISSUE;
    }
    if (!step->surveyed) {
        step->surveyed = true;
        all->surveying = step;
        return ACE_STEP_ISSUE;
    }
    if (!ace_cuda_allocate_staging(cuda, step) || !begin_capture(cuda)) {
        give_up(cuda, step);
        return ACE_STEP_ISSUE;
    }
    all->recording = step;
    return ACE_STEP_RECORD;
}

bool ace_cuda_end_step(ace_device *device)
{
    ace_cuda *cuda = ace_cuda_of(device);
    ace_cuda_steps *all = &cuda->steps;
    ace_cuda_step *step = all->recording;
    all->surveying = NULL;
    all->recording = NULL;
    if (step == NULL) {
        return true;
    }
    cudaGraph_t graph = end_capture(cuda);
    bool well = graph != NULL && !atomic_load(&all->broken) && ace_cuda_is_alive(cuda) &&
                instantiate(cuda, step, graph);
    if (graph != NULL) {
        (void)cudaGraphDestroy(graph);
    }
    well = well && run(cuda, step);
    if (!well) {
        give_up(cuda, step);
    }
    return well;
}
