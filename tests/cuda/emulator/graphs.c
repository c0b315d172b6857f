/* Graphs: what is issued to a stream while it is captured is kept instead of run, and issued again
 * by every launch. One capture at a time, as the plug-in needs. */
#include "runtime.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct node {
    ace_emulator_task *run;
    bool is_kernel;
    size_t bytes;
    void *context;
} node;

struct CUgraph_st {
    node *nodes;
    int n, room;
};

struct CUgraphExec_st {
    struct CUgraph_st copy;
    size_t held; /* of the card, from its upload on */
};

static struct {
    cudaStream_t stream; /* NULL: nothing is captured */
    pthread_t thread;
    bool is_lost;
    struct CUgraph_st *graph;
} capture;

/* ---- graphs ---------------------------------------------------------------------------------- */

static void *memory_for(void *old, size_t bytes)
{
    void *p = realloc(old, bytes != 0 ? bytes : 1);
    if (p == NULL) {
        fprintf(stderr, "emulator: no memory for a graph\n");
        abort();
    }
    return p;
}

static void add(struct CUgraph_st *g, const node *from)
{
    if (g->n == g->room) {
        g->room = 2 * g->room + 64;
        g->nodes = memory_for(g->nodes, (size_t)g->room * sizeof *g->nodes);
    }
    node *to = &g->nodes[g->n++];
    *to = *from;
    to->context = memory_for(NULL, from->bytes);
    memcpy(to->context, from->context, from->bytes);
}

static void empty(struct CUgraph_st *g)
{
    for (int i = 0; i < g->n; i++) {
        free(g->nodes[i].context);
    }
    free(g->nodes);
    *g = (struct CUgraph_st){0};
}

cudaError_t cudaGraphDestroy(cudaGraph_t g)
{
    ace_emulator_lock();
    empty(g);
    free(g);
    return ace_emulator_leave(cudaSuccess);
}

cudaError_t cudaGraphInstantiate(cudaGraphExec_t *out, cudaGraph_t g, unsigned long long flags)
{
    (void)flags;
    ace_emulator_lock();
    if (ace_emulator_setting("ACE_EMULATOR_GRAPHS", 1) == 0) {
        return ace_emulator_leave(cudaErrorMemoryAllocation);
    }
    *out = memory_for(NULL, sizeof **out);
    **out = (struct CUgraphExec_st){.held = 0};
    for (int i = 0; i < g->n; i++) {
        add(&(*out)->copy, &g->nodes[i]);
    }
    return ace_emulator_leave(cudaSuccess);
}

cudaError_t cudaGraphUpload(cudaGraphExec_t e, cudaStream_t s)
{
    (void)s;
    ace_emulator_lock();
    if (e->held == 0) {
        e->held = (size_t)ace_emulator_setting("ACE_EMULATOR_GRAPH_MB", 0) << 20;
        ace_emulator_state.held += e->held;
    }
    return ace_emulator_leave(cudaSuccess);
}

cudaError_t cudaGraphExecDestroy(cudaGraphExec_t e)
{
    ace_emulator_lock();
    ace_emulator_state.held -= e->held;
    empty(&e->copy);
    free(e);
    return ace_emulator_leave(cudaSuccess);
}

cudaError_t cudaGraphLaunch(cudaGraphExec_t e, cudaStream_t s)
{
    ace_emulator_lock();
    if (ace_emulator_is_captured(s)) {
        ace_emulator_lose_capture();
        return ace_emulator_leave(cudaErrorStreamCaptureUnsupported);
    }
    for (int i = 0; i < e->copy.n; i++) {
        const node *t = &e->copy.nodes[i];
        if (t->is_kernel) {
            ace_emulator_enqueue_kernel(s, t->run, t->context, t->bytes);
        } else {
            ace_emulator_enqueue(s, t->run, t->context, t->bytes);
        }
    }
    return ace_emulator_leave(cudaSuccess);
}

/* ---- capture --------------------------------------------------------------------------------- */

bool ace_emulator_is_captured(cudaStream_t s)
{
    return capture.stream != NULL && capture.stream == s;
}

void ace_emulator_lose_capture(void)
{
    capture.is_lost = true;
}

bool ace_emulator_is_forbidden(void)
{
    bool mine = capture.stream != NULL && pthread_equal(capture.thread, pthread_self()) != 0;
    capture.is_lost = capture.is_lost || mine;
    return mine;
}

bool ace_emulator_capture(cudaStream_t s, ace_emulator_task *run, const void *context, size_t bytes,
                          bool is_kernel)
{
    if (!ace_emulator_is_captured(s)) {
        return false;
    }
    const node n = {run, is_kernel, bytes, (void *)(uintptr_t)context};
    add(capture.graph, &n);
    return true;
}

cudaError_t cudaStreamBeginCapture(cudaStream_t s, enum cudaStreamCaptureMode mode)
{
    ace_emulator_lock();
    if (capture.stream != NULL || mode != cudaStreamCaptureModeThreadLocal) {
        return ace_emulator_leave(cudaErrorInvalidValue);
    }
    capture.stream = s;
    capture.thread = pthread_self();
    capture.is_lost = false;
    capture.graph = memory_for(NULL, sizeof *capture.graph);
    *capture.graph = (struct CUgraph_st){0};
    return ace_emulator_leave(cudaSuccess);
}

cudaError_t cudaStreamEndCapture(cudaStream_t s, cudaGraph_t *out)
{
    ace_emulator_lock();
    *out = NULL;
    if (!ace_emulator_is_captured(s)) {
        return ace_emulator_leave(cudaErrorInvalidValue);
    }
    if (pthread_equal(capture.thread, pthread_self()) == 0) {
        return ace_emulator_leave(cudaErrorStreamCaptureWrongThread);
    }
    capture.stream = NULL;
    if (capture.is_lost) {
        empty(capture.graph);
        free(capture.graph);
        return ace_emulator_leave(cudaErrorStreamCaptureInvalidated);
    }
    *out = capture.graph;
    return ace_emulator_leave(cudaSuccess);
}
