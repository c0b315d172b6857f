#include "run/foresight.h"

#include "base/memory.h"

#include <fcntl.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

enum { STEP = 8 << 20 }; /* asked for at a time, so that stopping does not wait long */

/* What the next step may ask for of the `rest` of a file, out of what is left to ask for in all; 0: nothing
 * more. */
static size_t take(ace_foresight *f, size_t rest, size_t *left)
{
    size_t bytes = rest < STEP ? rest : STEP;
    bytes = bytes < *left ? bytes : *left;
    *left -= bytes;
    return atomic_load(&f->stopping) ? 0 : bytes;
}

static void ask_file(ace_foresight *f, const char *path, size_t *left)
{
    struct stat found;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        return;
    }
    size_t bytes = fstat(fd, &found) == 0 && found.st_size > 0 ? (size_t)found.st_size : 0;
    size_t at = 0;
    for (size_t n; (n = take(f, bytes - at, left)) > 0; at += n) {
        (void)posix_fadvise(fd, (off_t)at, (off_t)n, POSIX_FADV_WILLNEED);
    }
    (void)close(fd);
}

static void ask_mapped(ace_foresight *f, const unsigned char *data, size_t bytes, size_t *left)
{
    size_t at = 0;
    for (size_t n; (n = take(f, bytes - at, left)) > 0; at += n) {
        (void)posix_madvise((void *)(uintptr_t)(data + at), n, POSIX_MADV_WILLNEED);
    }
}

static void *ask(void *context)
{
    ace_foresight *f = context;
    size_t left = f->most; /* the struct is only read here: a rehearsal copies it meanwhile */
    for (int i = 0; i < f->n; i++) {
        if (f->item[i].path != NULL) {
            ask_file(f, f->item[i].path, &left);
        } else {
            ask_mapped(f, f->item[i].data, f->item[i].bytes, &left);
        }
    }
    return NULL;
}

void ace_foresight_add_file(ace_foresight *f, const char *path)
{
    size_t room = strlen(path) + 1;
    char *copy = f->n < ACE_FORESIGHT_ITEMS ? ace_malloc_array(room, 1) : NULL;
    if (copy != NULL) {
        memcpy(copy, path, room);
        f->item[f->n++] = (ace_foresight_item){.path = copy};
    }
}

/* Parts of the models share files. */
void ace_foresight_add_mapped(ace_foresight *f, const unsigned char *data, size_t bytes)
{
    for (int i = 0; i < f->n; i++) {
        if (f->item[i].data == data) {
            return;
        }
    }
    if (f->n < ACE_FORESIGHT_ITEMS) {
        f->item[f->n++] = (ace_foresight_item){.data = data, .bytes = bytes};
    }
}

void ace_foresight_start(ace_foresight *f, size_t most)
{
    f->most = most;
    atomic_store(&f->stopping, false);
    f->has_thread = f->n > 0 && pthread_create(&f->thread, NULL, ask, f) == 0;
}

void ace_foresight_finish(ace_foresight *f)
{
    if (f->has_thread) {
        (void)pthread_join(f->thread, NULL);
        f->has_thread = false;
    }
    for (int i = 0; i < f->n; i++) {
        ace_free(f->item[i].path);
    }
    f->n = 0;
}

void ace_foresight_stop(ace_foresight *f)
{
    atomic_store(&f->stopping, true);
    ace_foresight_finish(f);
}
