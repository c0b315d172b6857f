/* Files that later stages will read: their pages are asked for by a thread of its own while the
 * current stage computes, so that loading finds them in the system's page cache. Advice only:
 * nothing depends on it, and nothing waits for it but stopping. */
#ifndef ACE_RUN_FORESIGHT_H
#define ACE_RUN_FORESIGHT_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>

enum { ACE_FORESIGHT_ITEMS = 32 };

typedef struct ace_foresight_item {
    char *path;                /* owned; or NULL, and */
    const unsigned char *data; /* a mapped file, borrowed */
    size_t bytes;
} ace_foresight_item;

typedef struct ace_foresight {
    ace_foresight_item item[ACE_FORESIGHT_ITEMS];
    int n;
    size_t most; /* bytes that may be asked for */
    atomic_bool stopping;
    bool has_thread;
    pthread_t thread;
} ace_foresight;

/* Lists, in the order of need; what does not fit is left out. A zeroed struct is empty; none while
 * the thread runs. */
void ace_foresight_add_file(ace_foresight *f, const char *path);
void ace_foresight_add_mapped(ace_foresight *f, const unsigned char *data, size_t bytes);
/* Asks for what is listed, in the background, and for no more than `most` bytes: more than fits
 * into the page cache would push out what was there first. */
void ace_foresight_start(ace_foresight *f, size_t most);
/* Waits for what is listed, and empties the list. */
void ace_foresight_finish(ace_foresight *f);
/* The same without the rest of it. */
void ace_foresight_stop(ace_foresight *f);

#endif
