/* The cards of this process. Devices on the same card share the driver's primary context, and an
 * error that the driver calls sticky ends that context for all of them: each is then dead. Once the
 * last one is closed the context is destroyed (CUDA Runtime API, cudaDeviceReset), so that the next
 * device can make a new one. */
#include "cuda_device.h"

#include <string.h>

enum { MOST_CARDS = 64 };

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static ace_cuda *opened;           /* all devices that are open, by `next` */
static bool is_broken[MOST_CARDS]; /* the context has met a sticky error and is still there */

/* With the lock, as all below. */
static bool is_in_use(int card)
{
    for (const ace_cuda *c = opened; c != NULL; c = c->next) {
        if (c->card == card) {
            return true;
        }
    }
    return false;
}

/* On a broken card the choice of the card fails as everything does, although it is made. */
static bool choose(int card)
{
    int chosen = -1;
    (void)cudaSetDevice(card);
    (void)cudaGetDevice(&chosen);
    return chosen == card;
}

static void reset_if_broken(int card)
{
    if (is_broken[card] && !is_in_use(card)) {
        is_broken[card] = !choose(card) || cudaDeviceReset() != cudaSuccess;
        (void)cudaGetLastError(); /* what the runtime remembers of it */
    }
}

ace_status ace_cuda_card_enter(ace_cuda *cuda, ace_error *err)
{
    int card = cuda->card;
    ace_status status = ACESTEP_OK;
    if (card < 0 || card >= MOST_CARDS) {
        return ace_fail(err, ACESTEP_UNSUPPORTED, "cuda: there is no card %d", card);
    }
    (void)pthread_mutex_lock(&lock);
    reset_if_broken(card);
    if (is_broken[card]) {
        status = ace_fail(err, ACESTEP_FAILED,
                          is_in_use(card)
                              ? "cuda: card %d has failed, and another device of this program "
                                "still holds it"
                              : "cuda: card %d has failed, and the driver cannot reset it: start "
                                "the program again",
                          card);
    } else {
        cuda->next = opened;
        opened = cuda;
    }
    (void)pthread_mutex_unlock(&lock);
    return status;
}

void ace_cuda_card_leave(ace_cuda *cuda)
{
    (void)pthread_mutex_lock(&lock);
    ace_cuda **at = &opened;
    while (*at != NULL && *at != cuda) {
        at = &(*at)->next;
    }
    if (*at != NULL) {
        *at = cuda->next;
        /* what failed after the last question has been seen by nobody */
        is_broken[cuda->card] |=
            cuda->has_context && choose(cuda->card) && cudaDeviceSynchronize() != cudaSuccess;
        reset_if_broken(cuda->card);
    }
    (void)pthread_mutex_unlock(&lock);
}

void ace_cuda_card_fails(int card, const char *cause)
{
    (void)pthread_mutex_lock(&lock);
    is_broken[card] = true;
    for (ace_cuda *c = opened; c != NULL; c = c->next) {
        if (c->card == card) {
            ace_cuda_give_up(c, "%s", cause);
        }
    }
    (void)pthread_mutex_unlock(&lock);
}
