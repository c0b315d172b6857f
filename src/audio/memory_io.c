#include "audio/memory_io.h"

#include <string.h>

/* The position a seek leads to, or -1 when it lies outside 0 … size. */
static sf_count_t seek_target(sf_count_t offset, int whence, sf_count_t position, sf_count_t size)
{
    sf_count_t from = whence == SEEK_SET ? 0 : whence == SEEK_CUR ? position : size;
    if (offset < -from || offset > size - from) {
        return -1;
    }
    return from + offset;
}

static sf_count_t view_length(void *user)
{
    return ((ace_memory_view *)user)->bytes;
}

static sf_count_t view_seek(sf_count_t offset, int whence, void *user)
{
    ace_memory_view *view = user;
    sf_count_t target = seek_target(offset, whence, view->position, view->bytes);
    if (target >= 0) {
        view->position = target;
    }
    return target;
}

static sf_count_t view_read(void *out, sf_count_t count, void *user)
{
    ace_memory_view *view = user;
    sf_count_t left = view->bytes - view->position;
    count = count < left ? count : left;
    if (count <= 0) {
        return 0;
    }
    memcpy(out, view->data + view->position, (size_t)count);
    view->position += count;
    return count;
}

static sf_count_t view_write(const void *data, sf_count_t count, void *user)
{
    (void)data;
    (void)count;
    (void)user;
    return 0;
}

static sf_count_t view_tell(void *user)
{
    return ((ace_memory_view *)user)->position;
}

SNDFILE *ace_memory_view_open(ace_memory_view *view, SF_INFO *info)
{
    SF_VIRTUAL_IO io = {view_length, view_seek, view_read, view_write, view_tell};
    memset(info, 0, sizeof *info);
    return sf_open_virtual(&io, SFM_READ, info, view);
}

static sf_count_t sink_length(void *user)
{
    return (sf_count_t)((ace_memory_sink *)user)->bytes->size;
}

static sf_count_t sink_seek(sf_count_t offset, int whence, void *user)
{
    ace_memory_sink *sink = user;
    sf_count_t target = seek_target(offset, whence, sink->position, sink_length(user));
    if (target >= 0) {
        sink->position = target;
    }
    return target;
}

static sf_count_t sink_read(void *out, sf_count_t count, void *user)
{
    ace_memory_sink *sink = user;
    ace_memory_view view = {sink->bytes->data, sink_length(user), sink->position};
    sf_count_t got = view_read(out, count, &view);
    sink->position = view.position;
    return got;
}

static sf_count_t sink_write(const void *data, sf_count_t count, void *user)
{
    ace_memory_sink *sink = user;
    ace_bytes *bytes = sink->bytes;
    size_t end = (size_t)(sink->position + count);
    if (end > bytes->size) {
        if (!ace_bytes_reserve(bytes, end - bytes->size)) {
            return count; /* libsndfile's Vorbis writer leaks when told; bytes->failed tells ours */
        }
        bytes->size = end;
    }
    memcpy(bytes->data + sink->position, data, (size_t)count);
    sink->position = (sf_count_t)end;
    return count;
}

static sf_count_t sink_tell(void *user)
{
    return ((ace_memory_sink *)user)->position;
}

SNDFILE *ace_memory_sink_open(ace_memory_sink *sink, SF_INFO *info)
{
    SF_VIRTUAL_IO io = {sink_length, sink_seek, sink_read, sink_write, sink_tell};
    return sf_open_virtual(&io, SFM_WRITE, info, sink);
}
