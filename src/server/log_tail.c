#include "server/log_tail.h"

#include "base/memory.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

struct ace_log_tail {
    pthread_mutex_t lock;
    ace_log_line *line; /* number n lies at n % ACE_LOG_TAIL_LINES */
    uint64_t last;      /* number; 0: none */
    ace_log_tail_changed *changed;
    void *context;
};

/* ---- what may be shown ----------------------------------------------------------------------- */

/* Bytes of the UTF-8 character at `at` (RFC 3629, table 3-7 of Unicode); 0: none begins there. */
static size_t character_bytes(const char *at)
{
    const unsigned char *c = (const unsigned char *)at;
    size_t n = c[0] < 0x80                   ? 1
               : c[0] >= 0xC2 && c[0] < 0xE0 ? 2
               : c[0] >= 0xE0 && c[0] < 0xF0 ? 3
               : c[0] >= 0xF0 && c[0] < 0xF5 ? 4
                                             : 0;
    for (size_t i = 1; i < n; i++) {
        if ((c[i] & 0xC0u) != 0x80u) {
            return 0;
        }
    }
    bool bad = (c[0] == 0xE0 && c[1] < 0xA0) || (c[0] == 0xED && c[1] > 0x9F) ||
               (c[0] == 0xF0 && c[1] < 0x90) || (c[0] == 0xF4 && c[1] > 0x8F);
    return bad ? 0 : n;
}

/* "name:password@" of "scheme://name:password@host"; 0: there is none. RFC 3986, 3.2. */
static size_t userinfo_bytes(const char *authority)
{
    size_t n = strcspn(authority, "/?# \t\r\n\"'<>");
    while (n > 0 && authority[n - 1] != '@') {
        n--;
    }
    return n;
}

static void write_shown(const char *text, char out[ACE_LOG_TAIL_TEXT])
{
    size_t n = 0;
    while (*text != '\0') {
        size_t bytes = character_bytes(text);
        bool plain = bytes > 1 || (bytes == 1 && (unsigned char)*text >= 0x20 && *text != 0x7f);
        size_t written = plain ? bytes : 1;
        if (n + written >= ACE_LOG_TAIL_TEXT) {
            break;
        }
        memcpy(out + n, plain ? text : "?", written);
        n += written;
        text += bytes > 0 ? bytes : 1;
        if (n >= 3 && memcmp(out + n - 3, "://", 3) == 0) {
            text += userinfo_bytes(text);
        }
    }
    out[n] = '\0';
}

/* ---- lines ----------------------------------------------------------------------------------- */

ace_status ace_log_tail_create(ace_log_tail_changed *changed, void *context, ace_log_tail **out,
                               ace_error *err)
{
    ace_log_tail *tail = ace_calloc(1, sizeof *tail);
    *out = NULL;
    if (tail != NULL) {
        tail->line = ace_calloc(ACE_LOG_TAIL_LINES, sizeof *tail->line);
    }
    if (tail == NULL || tail->line == NULL) {
        ace_free(tail);
        return ace_fail(err, ACESTEP_MEMORY, "log: no host memory");
    }
    (void)pthread_mutex_init(&tail->lock, NULL);
    tail->changed = changed;
    tail->context = context;
    *out = tail;
    return ACESTEP_OK;
}

static void hear(void *context, ace_log_level level, const char *area, const char *text)
{
    ace_log_tail_add(context, level, area, text);
}

void ace_log_tail_start(ace_log_tail *tail)
{
    ace_log_listen(hear, tail);
}

void ace_log_tail_end(ace_log_tail *tail)
{
    ace_log_unlisten(hear, tail);
}

void ace_log_tail_free(ace_log_tail *tail)
{
    if (tail != NULL) {
        ace_log_tail_end(tail);
        (void)pthread_mutex_destroy(&tail->lock);
        ace_free(tail->line);
        ace_free(tail);
    }
}

void ace_log_tail_add(ace_log_tail *tail, ace_log_level level, const char *area, const char *text)
{
    struct timespec now = {0};
    (void)clock_gettime(CLOCK_REALTIME, &now);
    (void)pthread_mutex_lock(&tail->lock);
    uint64_t number = ++tail->last;
    ace_log_line *line = &tail->line[number % ACE_LOG_TAIL_LINES];
    line->number = number;
    line->time = (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
    line->level = level;
    (void)snprintf(line->area, sizeof line->area, "%s", area);
    write_shown(text, line->text);
    (void)pthread_mutex_unlock(&tail->lock);
    if (tail->changed != NULL) {
        tail->changed(tail->context);
    }
}

uint64_t ace_log_tail_visit(ace_log_tail *tail, const char *area, uint64_t after,
                            ace_log_tail_visitor *visit, void *context)
{
    (void)pthread_mutex_lock(&tail->lock);
    uint64_t last = tail->last;
    uint64_t oldest = last > ACE_LOG_TAIL_LINES ? last - ACE_LOG_TAIL_LINES + 1 : 1;
    uint64_t first = after <= last && after + 1 > oldest ? after + 1 : oldest;
    for (uint64_t n = first; n <= last; n++) {
        const ace_log_line *line = &tail->line[n % ACE_LOG_TAIL_LINES];
        if (area == NULL || strcmp(area, line->area) == 0) {
            visit(context, line);
        }
    }
    (void)pthread_mutex_unlock(&tail->lock);
    return last;
}

uint64_t ace_log_tail_before(ace_log_tail *tail, uint64_t n)
{
    (void)pthread_mutex_lock(&tail->lock);
    uint64_t before = tail->last > n ? tail->last - n : 0;
    (void)pthread_mutex_unlock(&tail->lock);
    return before;
}
