#include "server/media_type.h"

#include <string.h>
#include <strings.h>

typedef struct media_type {
    const char *end, *type;
} media_type;

static const media_type types[] = {
    {"flac", "audio/flac"},
    {"wav", "audio/wav"},
    {"mp3", "audio/mpeg"},
    {"opus", "audio/ogg"},
    {"ogg", "audio/ogg"},
    {"json", "application/json"},
    {"lrc", "text/plain; charset=utf-8"},
    {"txt", "text/plain; charset=utf-8"},
    {"html", "text/html; charset=utf-8"},
    {"css", "text/css; charset=utf-8"},
    {"js", "text/javascript; charset=utf-8"},
    {"svg", "image/svg+xml"},
    {"png", "image/png"},
    {"woff2", "font/woff2"},
    {"webmanifest", "application/manifest+json"},
};

const char *ace_media_type(const char *name)
{
    const char *dot = strrchr(name, '.');
    for (size_t i = 0; dot != NULL && i < sizeof types / sizeof types[0]; i++) {
        if (strcasecmp(dot + 1, types[i].end) == 0) {
            return types[i].type;
        }
    }
    return "application/octet-stream";
}
