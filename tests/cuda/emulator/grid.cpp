/* Runs a kernel's blocks one after another, and the threads of a block one after another too, until
 * one waits for the others, at a barrier or in an instruction of its warp: then the stack that it
 * is on is put aside, and another one goes on with the next thread. A warp runs from barrier to
 * barrier before the next one does.
 *
 * The order in which threads run turns around from block to block and from barrier to barrier, so
 * that a missing barrier shows. A block of which some threads have ended while others wait, or wait
 * at different places, would hang or worse on a card: here it ends the program with a message. */
#include "cuda_runtime.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#if !defined(__x86_64__)
#include <ucontext.h>
#endif

extern "C" int ace_emulator_capability(void); /* runtime.h */

ace_emulator_position ace_emulator_at;

namespace
{

enum { MOST_THREADS = 1024, WARP = 32, STACK_BYTES = 256 << 10 };
enum { MOST_COPIES = 64 };
enum state : unsigned char { READY, AT_BARRIER, IN_SHUFFLE, ENDED };

/* A stack. */
struct fibre {
#if defined(__x86_64__)
    void *stack_pointer;
#else
    ucontext_t context;
#endif
    unsigned char *stack;
};

/* A copy that has been asked for and not been waited for. */
struct late_copy {
    void *to;
    const void *from; /* NULL: zeros */
    unsigned group;
};

/* A thread of the block. */
struct thread {
    dim3 at;
    int parity;                       /* which row of values the next exchange writes */
    void (*work)(void *const *lanes); /* what the warp does together; NULL: an exchange */
    void *brought;                    /* to it */
    unsigned group;                   /* that copies asked for now belong to */
    int n_late;
    fibre *on;
};

fibre fibres[MOST_THREADS];
fibre *idle[MOST_THREADS];
int n_idle;
fibre *here; /* the stack in use */
thread threads[MOST_THREADS];
state states[MOST_THREADS]; /* of threads: side by side, since all are looked at again and again */
late_copy late[MOST_THREADS][MOST_COPIES];
thread *running;
int first_thread, n_threads, n_started; /* of the warp that begins */
int capability;                         /* of the card */
bool turned;                            /* the last thread comes first */
unsigned exchanged[2][MOST_THREADS];
void (*the_kernel)(void *);
void *the_context;

void fail(const char *what)
{
    fprintf(stderr, "emulator: block (%u, %u, %u): %s\n", ace_emulator_at.block.x,
            ace_emulator_at.block.y, ace_emulator_at.block.z, what);
    abort();
}

/* ---- switching ------------------------------------------------------------------------------- */

#if defined(__x86_64__)
void *scheduler_pointer;

/* Saves what a call must preserve on the stack, and goes on where the other stack was left. */
extern "C" void ace_emulator_switch(void **save, void *load);
__asm__(".text\n"
        ".type ace_emulator_switch, @function\n"
        "ace_emulator_switch:\n"
        "  push %rbp\n  push %rbx\n  push %r12\n  push %r13\n  push %r14\n  push %r15\n"
        "  mov %rsp, (%rdi)\n  mov %rsi, %rsp\n"
        "  pop %r15\n  pop %r14\n  pop %r13\n  pop %r12\n  pop %rbx\n  pop %rbp\n"
        "  ret\n"
        ".size ace_emulator_switch, . - ace_emulator_switch\n");

void enter(fibre *f)
{
    ace_emulator_switch(&scheduler_pointer, f->stack_pointer);
}

void leave(fibre *f)
{
    ace_emulator_switch(&f->stack_pointer, scheduler_pointer);
}
#else
ucontext_t scheduler_context;

void enter(fibre *f)
{
    (void)swapcontext(&scheduler_context, &f->context);
}

void leave(fibre *f)
{
    (void)swapcontext(&f->context, &scheduler_context);
}
#endif

/* Threads that have not begun, one after another, then the scheduler; for ever. */
void live()
{
    for (;;) {
        fibre *own = here;
        while (n_started < n_threads) {
            int next = turned ? n_threads - 1 - n_started : n_started;
            n_started++;
            running = &threads[first_thread + next];
            running->on = own;
            ace_emulator_at.thread = running->at;
            running->n_late = 0;
            running->group = 0;
            the_kernel(the_context);
            if (running->n_late > 0) {
                fail("a thread that ended with copies under way");
            }
            states[running - threads] = ENDED;
        }
        idle[n_idle++] = own;
        leave(own);
    }
}

void create(fibre *f)
{
    if (f->stack != nullptr) {
        return;
    }
    void *stack =
        mmap(nullptr, STACK_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (stack == MAP_FAILED) {
        fprintf(stderr, "emulator: no memory for the stack of a thread\n");
        abort();
    }
    f->stack = (unsigned char *)stack;
#if defined(__x86_64__)
    /* six registers, then where to go on; a call would have left the stack 8 off a multiple of 16.
     * Tops at the same place of every stack would lie in the same few lines of the cache. */
    size_t aside = (size_t)(f - fibres) * 13 * 64 % (STACK_BYTES / 4);
    void **top = (void **)(void *)(f->stack + STACK_BYTES - aside) - 2;
    top[0] = (void *)live;
    f->stack_pointer = top - 6;
#else
    (void)getcontext(&f->context);
    f->context.uc_stack.ss_sp = f->stack;
    f->context.uc_stack.ss_size = STACK_BYTES;
    f->context.uc_link = nullptr;
    makecontext(&f->context, live, 0);
#endif
}

/* ---- a block --------------------------------------------------------------------------------- */

void go_on(fibre *f)
{
    here = f;
    enter(f);
}

fibre *free_fibre()
{
    static int n_made;
    if (n_idle == 0) {
        create(&fibres[n_made]);
        idle[n_idle++] = &fibres[n_made++];
    }
    return idle[--n_idle];
}

/* Every thread that may, runs until it waits or ends. */
void run_ready(int first, int end, bool backwards)
{
    while (n_started < n_threads) {
        go_on(free_fibre());
    }
    for (int i = first; i < end; i++) {
        thread *t = &threads[backwards ? first + end - 1 - i : i];
        if (states[t - threads] == READY) {
            running = t;
            ace_emulator_at.thread = t->at;
            go_on(t->on);
        }
    }
}

int count(int first, int end, state is)
{
    int n = 0;
    for (int i = first; i < end; i++) {
        n += states[i] == is;
    }
    return n;
}

void release(int first, int end)
{
    for (int i = first; i < end; i++) {
        states[i] = READY;
    }
}

/* What all lanes have come for. */
void work_together(int first)
{
    void *lanes[WARP];
    void (*work)(void *const *) = threads[first].work;
    for (int i = 0; i < WARP; i++) {
        if (threads[first + i].work != work) {
            fail("lanes of a warp that are at different instructions of the warp");
        }
        lanes[i] = threads[first + i].brought;
    }
    if (work != nullptr) {
        work(lanes);
    }
}

/* A warp runs until its lanes are at a barrier or have ended: as far ahead of the others as can
 * be, so that a missing barrier shows. */
void run_warp(int first, int end, bool backwards)
{
    for (;;) {
        run_ready(first, end, backwards);
        int in_shuffle = count(first, end, IN_SHUFFLE);
        if (in_shuffle == 0) {
            return;
        }
        if (in_shuffle < WARP) {
            fail("a shuffle that not all lanes of a warp take part in");
        }
        work_together(first);
        release(first, end);
        backwards = !backwards;
    }
}

/* All warps, one after another; begins: their threads. */
void run_warps(int n, bool backwards, bool begins)
{
    int warps = (n + WARP - 1) / WARP;
    for (int i = 0; i < warps; i++) {
        int first = (backwards ? warps - 1 - i : i) * WARP;
        int end = first + WARP < n ? first + WARP : n;
        first_thread = first;
        n_started = 0;
        n_threads = begins ? end - first : 0;
        turned = backwards;
        run_warp(first, end, backwards);
    }
}

void run_block(int n, bool backwards)
{
    release(0, n);
    run_warps(n, backwards, true);
    while (count(0, n, ENDED) < n) {
        if (count(0, n, AT_BARRIER) < n) {
            fail("a barrier that not all threads come to");
        }
        release(0, n);
        backwards = !backwards;
        run_warps(n, backwards, false);
    }
}

void wait_as(state is)
{
    states[running - threads] = is;
    leave(here);
}

} // namespace

void ace_emulator_need(int needed)
{
    if (capability < needed) {
        fail("an instruction that cards of this compute capability do not have");
    }
}

void __syncthreads()
{
    wait_as(AT_BARRIER);
}

/* Values of two exchanges in a row lie apart: nobody comes to the second before all have read the
 * first. */
const unsigned *ace_emulator_exchange(unsigned mask, unsigned word)
{
    long at = running - threads;
    int parity = running->parity;
    if (mask != 0xffffffffu) {
        fail("a shuffle of some lanes only, which is not emulated");
    }
    running->parity ^= 1;
    running->work = nullptr;
    exchanged[parity][at] = word;
    wait_as(IN_SHUFFLE);
    return &exchanged[parity][at / WARP * WARP];
}

void ace_emulator_together(void (*work)(void *const *lanes), void *mine)
{
    running->work = work;
    running->brought = mine;
    wait_as(IN_SHUFFLE);
}

/* The place holds NaN until the copy has been waited for. */
void ace_emulator_copy_late(void *to, const void *from)
{
    thread *t = running;
    ace_emulator_need(80);
    if (t->n_late == MOST_COPIES) {
        fail("more copies under way than are emulated");
    }
    if ((uintptr_t)to % 16 != 0 || (uintptr_t)from % 16 != 0) {
        fail("a copy of 16 bytes from or to an address that is no multiple of 16");
    }
    memset(to, 0xff, 16);
    late[t - threads][t->n_late++] = late_copy{to, from, t->group};
}

void ace_emulator_end_group()
{
    running->group++;
}

void ace_emulator_wait_groups(int still_out)
{
    thread *t = running;
    late_copy *own = late[t - threads];
    int kept = 0;
    for (int i = 0; i < t->n_late; i++) {
        late_copy c = own[i];
        if ((int)(t->group - c.group) <= still_out) {
            own[kept++] = c;
        } else if (c.from != nullptr) {
            memcpy(c.to, c.from, 16);
        } else {
            memset(c.to, 0, 16);
        }
    }
    t->n_late = kept;
}

void ace_emulator_run(const ace_emulator_grid &g, void (*kernel)(void *), void *context)
{
    int n = (int)(g.block.x * g.block.y * g.block.z);
    if (n < 1 || n > MOST_THREADS || g.grid.x < 1 || g.grid.y < 1 || g.grid.z < 1 ||
        g.grid.x > 0x7fffffffu || g.grid.y > 65535 || g.grid.z > 65535) {
        fail("a grid or block of a size that no card takes");
    }
    capability = ace_emulator_capability();
    the_kernel = kernel;
    the_context = context;
    ace_emulator_at.grid = g.grid;
    for (int i = 0; i < n; i++) {
        threads[i].at = dim3((unsigned)i % g.block.x, (unsigned)i / g.block.x % g.block.y,
                             (unsigned)i / (g.block.x * g.block.y));
    }
    for (unsigned z = 0; z < g.grid.z; z++) {
        for (unsigned y = 0; y < g.grid.y; y++) {
            for (unsigned x = 0; x < g.grid.x; x++) {
                ace_emulator_at.block = dim3(x, y, z);
                run_block(n, ((x + y + z) & 1) != 0);
            }
        }
    }
}
