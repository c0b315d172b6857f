#include "device/arena.h"

#include "base/checked.h"

#include <string.h>

ace_status ace_arena_open(ace_arena *arena, ace_device *device, size_t capacity, ace_error *err)
{
    memset(arena, 0, sizeof *arena);
    uint64_t base = 0;
    ace_status status = device->ops->reserve(device, capacity, &base, err);
    if (status != ACESTEP_OK) {
        return status;
    }
    arena->device = device;
    arena->base = base;
    arena->capacity = capacity;
    ace_arena_set_tag(arena, "other");
    return ACESTEP_OK;
}

void ace_arena_open_at(ace_arena *arena, ace_device *device, uint64_t base, size_t capacity)
{
    memset(arena, 0, sizeof *arena);
    arena->device = device;
    arena->base = base;
    arena->capacity = capacity;
    arena->borrowed = true;
    ace_arena_set_tag(arena, "other");
}

void ace_arena_close(ace_arena *arena)
{
    if (arena->device != NULL && !arena->borrowed) {
        arena->device->ops->release(arena->device, arena->base, arena->capacity);
    }
    memset(arena, 0, sizeof *arena);
}

void ace_arena_set_tag(ace_arena *arena, const char *name)
{
    for (int i = 0; i < arena->n_tags; i++) {
        if (strcmp(arena->tags[i].name, name) == 0) {
            arena->current_tag = i;
            return;
        }
    }
    if (arena->n_tags < ACE_ARENA_MAX_TAGS) {
        arena->tags[arena->n_tags].name = name;
        arena->current_tag = arena->n_tags++;
    }
}

uint64_t ace_arena_alloc(ace_arena *arena, size_t bytes)
{
    size_t alignment = arena->device->alignment;
    size_t end = 0;
    if (bytes == 0) {
        bytes = 1;
    }
    if (bytes > SIZE_MAX - alignment) {
        return 0;
    }
    bytes = ace_align_up(bytes, alignment);
    if (ace_add_overflows(arena->used, bytes, &end) || end > arena->capacity) {
        return 0;
    }
    uint64_t addr = arena->base + arena->used;
    arena->used = end;
    arena->blocks++;
    if (arena->used > arena->high_water) {
        arena->high_water = arena->used;
    }
    ace_arena_tag *tag = &arena->tags[arena->current_tag];
    tag->bytes += bytes;
    if (tag->bytes > tag->peak) {
        tag->peak = tag->bytes;
    }
    return addr;
}

ace_arena_mark ace_arena_get_mark(const ace_arena *arena)
{
    ace_arena_mark mark = {.used = arena->used, .n_tags = arena->n_tags};
    for (int i = 0; i < arena->n_tags; i++) {
        mark.tag_bytes[i] = arena->tags[i].bytes;
    }
    return mark;
}

void ace_arena_reset(ace_arena *arena, const ace_arena_mark *mark)
{
    arena->used = mark->used;
    for (int i = 0; i < arena->n_tags; i++) {
        arena->tags[i].bytes = i < mark->n_tags ? mark->tag_bytes[i] : 0;
    }
}
