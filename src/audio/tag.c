#include "audio/tag.h"

#include <string.h>
#include <strings.h>
#include <utf8proc.h>

/* Together, so that no container's 24 or 28 bit sizes overflow. */
static const size_t max_bytes = (size_t)8 << 20;

static bool key_is_valid(const char *key)
{
    for (const char *c = key; *c != '\0'; c++) {
        if (*c < 0x20 || *c > 0x7d || *c == '=') {
            return false;
        }
    }
    return key[0] != '\0';
}

static bool text_is_valid(const char *text)
{
    const utf8proc_uint8_t *at = (const utf8proc_uint8_t *)text;
    size_t left = strlen(text);
    while (left > 0) {
        utf8proc_int32_t code;
        utf8proc_ssize_t step = utf8proc_iterate(at, (utf8proc_ssize_t)left, &code);
        if (step <= 0) {
            return false;
        }
        at += step;
        left -= (size_t)step;
    }
    return true;
}

ace_status ace_tags_check(const ace_tag *tags, size_t n_tags, ace_error *err)
{
    size_t total = 0;
    for (size_t i = 0; i < n_tags; i++) {
        if (tags[i].key == NULL || !key_is_valid(tags[i].key)) {
            return ace_fail(err, ACESTEP_ARGUMENT,
                            "tag number %zu has no valid name; use ASCII without '='", i + 1);
        }
        if (tags[i].value == NULL) {
            continue;
        }
        if (!text_is_valid(tags[i].value)) {
            return ace_fail(err, ACESTEP_ARGUMENT, "tag %.80s is not valid UTF-8", tags[i].key);
        }
        total += strlen(tags[i].key) + strlen(tags[i].value);
    }
    if (total > max_bytes) {
        return ace_fail(err, ACESTEP_ARGUMENT, "tags of %zu MB; at most %zu MB fit into a file",
                        total >> 20, max_bytes >> 20);
    }
    return ACESTEP_OK;
}

const char *ace_tags_find(const ace_tag *tags, size_t n_tags, const char *key)
{
    for (size_t i = 0; i < n_tags; i++) {
        if (strcasecmp(tags[i].key, key) == 0) {
            return tags[i].value;
        }
    }
    return NULL;
}
