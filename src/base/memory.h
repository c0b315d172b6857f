/* Host memory. Every allocation of the engine goes through here, so that tests can fail the n-th one
 * and count what is still alive. Thread-safe. */
#ifndef ACE_BASE_MEMORY_H
#define ACE_BASE_MEMORY_H

#include <stddef.h>
#include <stdint.h>

/* count · size bytes, zeroed; NULL when memory is short or the product overflows. The caller frees
 * with ace_free. */
void *ace_calloc(size_t count, size_t size);

/* As ace_calloc, but the content is undefined: for large buffers about to be filled. */
void *ace_malloc_array(size_t count, size_t size);

/* Grows or shrinks; on failure returns NULL and the old block stays valid. */
void *ace_realloc_array(void *block, size_t count, size_t size);

/* Copy of a string, NULL when memory is short. */
char *ace_strdup(const char *text);

void ace_free(void *block); /* NULL is fine */

/* Test hooks. After ace_memory_fail_at(n) the n-th allocation from now on fails (n = 1: the next),
 * once; 0 switches it off. ace_memory_live() counts blocks not yet freed. */
void ace_memory_fail_at(uint64_t n);
uint64_t ace_memory_live(void);
uint64_t ace_memory_count(void); /* allocations so far */

#endif
