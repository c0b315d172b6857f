/* What goes wrong on the card. The driver calls most errors sticky: after one, every later call in
 * the same context fails too. So the first one is kept, and the device does nothing more; closing
 * it and opening another one makes a new context (cards.c). */
#include "cuda_device.h"

#include <stdarg.h>
#include <stdio.h>

void ace_cuda_give_up(ace_cuda *cuda, const char *format, ...)
{
    (void)pthread_mutex_lock(&cuda->telling);
    if (!atomic_load(&cuda->dead)) {
        va_list args;
        va_start(args, format);
        (void)vsnprintf(cuda->cause, sizeof cuda->cause, format, args);
        va_end(args);
        atomic_store(&cuda->dead, true);
    }
    (void)pthread_mutex_unlock(&cuda->telling);
}

/* An error that is not sticky goes with the call that tells of it; a sticky one comes back. */
static bool is_sticky(void)
{
    (void)cudaGetLastError();
    return cudaDeviceSynchronize() != cudaSuccess;
}

/* What goes wrong in a capture, such as a call that it does not allow, ends the recording and
 * nothing else: nothing has run of it, and what lasts is found when it is issued again. */
static bool ends_recording(ace_cuda *cuda)
{
    bool ends = atomic_load(&cuda->steps.capturing) &&
                pthread_equal(cuda->steps.recorder, pthread_self()) != 0;
    if (ends) {
        atomic_store(&cuda->steps.broken, true);
        (void)cudaGetLastError();
    }
    return ends;
}

bool ace_cuda_check(ace_cuda *cuda, cudaError_t code, const char *doing)
{
    char cause[sizeof cuda->cause];
    if (code == cudaSuccess) {
        return true;
    }
    if (ends_recording(cuda)) {
        return false;
    }
    (void)snprintf(cause, sizeof cause, "%s (%s) while %s", cudaGetErrorString(code),
                   cudaGetErrorName(code), doing);
    ace_cuda_give_up(cuda, "%s", cause);
    if (is_sticky()) {
        ace_cuda_card_fails(cuda->card, cause);
    }
    return false;
}

void ace_cuda_check_launch(ace_cuda *cuda, const char *operation)
{
    (void)ace_cuda_check(cuda, cudaGetLastError(), operation);
}

ace_status ace_cuda_dead(ace_cuda *cuda, ace_error *err)
{
    (void)pthread_mutex_lock(&cuda->telling);
    ace_status status =
        ace_fail(err, ACESTEP_FAILED,
                 "cuda: card %d (%s) has failed: %s; try again, which opens it anew, and should it "
                 "happen again, try --device cpu",
                 cuda->card, cuda->card_name, cuda->cause);
    (void)pthread_mutex_unlock(&cuda->telling);
    return status;
}

bool ace_cuda_is_alive(ace_cuda *cuda)
{
    return !atomic_load(&cuda->dead);
}

bool ace_cuda_may_launch(ace_cuda *cuda)
{
    return ace_cuda_is_alive(cuda) &&
           ace_cuda_check(cuda, cudaSetDevice(cuda->card), "choosing the card");
}

void ace_cuda_launched(ace_cuda *cuda, const char *operation)
{
    ace_cuda_check_launch(cuda, operation);
    if (cuda->base.watch != NULL && ace_cuda_is_alive(cuda)) {
        (void)ace_cuda_check(cuda, cudaStreamSynchronize(cuda->compute), operation);
    }
}
