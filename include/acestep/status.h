/* The vocabulary of failure, shared by every layer and by users of the library.
 *
 * A function that can fail returns a status; the sentence for a person is in the caller's
 * ace_error (src/base/status.h) or comes from acestep_last_error(). */
#ifndef ACESTEP_STATUS_H
#define ACESTEP_STATUS_H

/* name, exit code of the program, text */
#define ACESTEP_STATUS_LIST(X)                                                                     \
    X(OK, 0, "ok")                                                                                 \
    X(FAILED, 1, "generation failed")                                                              \
    X(ARGUMENT, 2, "bad parameter")                                                                \
    X(MODEL, 3, "model missing or damaged")                                                        \
    X(AUDIO, 4, "input audio unreadable or unsupported")                                           \
    X(MEMORY, 5, "out of memory")                                                                  \
    X(UNSUPPORTED, 6, "combination not possible")                                                  \
    X(NETWORK, 7, "network failure")                                                               \
    X(PARTIAL, 8, "some items of the batch failed")                                                \
    X(BUSY, 9, "queue full")                                                                       \
    X(IO, 10, "file cannot be read or written")                                                    \
    X(TIMEOUT, 124, "time limit reached")                                                          \
    X(CANCELLED, 130, "cancelled")

typedef enum acestep_status {
#define ACESTEP_STATUS_ENUM(name, exit_code, text) ACESTEP_##name = exit_code,
    ACESTEP_STATUS_LIST(ACESTEP_STATUS_ENUM)
#undef ACESTEP_STATUS_ENUM
} acestep_status;

#endif
