/* Log lines on stderr: one event, one line, `area: text`. stdout belongs to results.
 * Levels are chosen by how often a line may appear: error and warning at any time, info once per
 * job or stage, debug per step. Thread-safe. */
#ifndef ACE_BASE_LOG_H
#define ACE_BASE_LOG_H

typedef enum ace_log_level {
    ACE_LOG_QUIET,
    ACE_LOG_ERROR,
    ACE_LOG_WARNING,
    ACE_LOG_INFO,
    ACE_LOG_DEBUG
} ace_log_level;

void ace_log_set_level(ace_log_level level); /* set once at start, by the program */
ace_log_level ace_log_get_level(void);
void ace_log(ace_log_level level, const char *area, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Also sees every line that is shown, from any thread, one at a time: it must be quick and must not
 * log. */
typedef void ace_log_listener(void *context, ace_log_level level, const char *area,
                              const char *text);
/* There is one listener at most. When this returns, the one before it is not called any more. */
void ace_log_listen(ace_log_listener *listener, void *context);
/* Ends it, unless another one has taken its place. */
void ace_log_unlisten(ace_log_listener *listener, const void *context);

#endif
