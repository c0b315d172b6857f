/* A stage's device memory: one reservation, cut from the bottom, given back in reverse order.
 *
 * The arena remembers the most bytes ever in use (the high-water mark) in all and per tag. On the
 * measure device the reservation is unlimited, and the high-water mark is what the plan reserves; on
 * every other device the run must reach exactly that mark. One thread at a time. */
#ifndef ACE_DEVICE_ARENA_H
#define ACE_DEVICE_ARENA_H

#include "device/device.h"

enum { ACE_ARENA_MAX_TAGS = 24 };

typedef struct ace_arena_tag {
    const char *name; /* static string: "weights", "kv", "activations", … */
    size_t bytes;     /* in use now */
    size_t peak;
} ace_arena_tag;

typedef struct ace_arena {
    ace_device *device;
    uint64_t base;
    size_t capacity;
    bool borrowed; /* the memory belongs to somebody else */
    size_t used;
    size_t high_water;
    uint64_t blocks; /* allocated since it was opened */
    ace_arena_tag tags[ACE_ARENA_MAX_TAGS];
    int n_tags;
    int current_tag;
} ace_arena;

typedef struct ace_arena_mark {
    size_t used;
    size_t tag_bytes[ACE_ARENA_MAX_TAGS];
    int n_tags;
} ace_arena_mark;

ace_status ace_arena_open(ace_arena *arena, ace_device *device, size_t capacity, ace_error *err);
/* Over memory that somebody else reserved; closing it releases nothing. */
void ace_arena_open_at(ace_arena *arena, ace_device *device, uint64_t base, size_t capacity);
void ace_arena_close(ace_arena *arena); /* a zeroed arena is fine */

/* Blocks allocated from now on count under this name (a static string). */
void ace_arena_set_tag(ace_arena *arena, const char *name);

/* The block's address, or 0 when the arena is full. */
uint64_t ace_arena_alloc(ace_arena *arena, size_t bytes);

ace_arena_mark ace_arena_get_mark(const ace_arena *arena);
void ace_arena_reset(ace_arena *arena, const ace_arena_mark *mark);

#endif
