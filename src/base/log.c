#include "base/log.h"

#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>

static _Atomic int current_level = ACE_LOG_WARNING;

static pthread_mutex_t listening = PTHREAD_MUTEX_INITIALIZER;
static ace_log_listener *current_listener;
static void *listener_context;

void ace_log_set_level(ace_log_level level)
{
    atomic_store(&current_level, (int)level);
}

ace_log_level ace_log_get_level(void)
{
    return (ace_log_level)atomic_load(&current_level);
}

void ace_log_listen(ace_log_listener *listener, void *context)
{
    (void)pthread_mutex_lock(&listening);
    current_listener = listener;
    listener_context = context;
    (void)pthread_mutex_unlock(&listening);
}

void ace_log_unlisten(ace_log_listener *listener, const void *context)
{
    (void)pthread_mutex_lock(&listening);
    if (current_listener == listener && listener_context == context) {
        current_listener = NULL;
        listener_context = NULL;
    }
    (void)pthread_mutex_unlock(&listening);
}

static void tell_listener(ace_log_level level, const char *area, const char *text)
{
    (void)pthread_mutex_lock(&listening);
    if (current_listener != NULL) {
        current_listener(listener_context, level, area, text);
    }
    (void)pthread_mutex_unlock(&listening);
}

void ace_log(ace_log_level level, const char *area, const char *format, ...)
{
    if ((int)level > atomic_load(&current_level)) {
        return;
    }
    static const char *const prefix[] = {"", "error: ", "warning: ", "", ""};
    char line[2048];
    va_list args;
    va_start(args, format);
    (void)vsnprintf(line, sizeof line, format, args);
    va_end(args);
    fprintf(stderr, "%s%s: %s\n", prefix[level], area, line);
    tell_listener(level, area, line);
}
