#define _DEFAULT_SOURCE
#include "support/http_client.h"
#include "support/temporary_folder.h"

#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

void test_server_start(test_server *s, const ace_http_route *routes, ace_http_config config)
{
    static const ace_http_route *tables[2];
    tables[0] = routes;
    memset(s, 0, sizeof *s);
    temporary_folder_make(s->folder);
    config.host = config.host != NULL ? config.host : "127.0.0.1";
    config.tables = tables;
    config.folder = s->folder;
    s->server.data_folder = s->folder;
    ace_error err = {.code = ACESTEP_OK};
    if (ace_http_start(&config, &s->server, &err) != ACESTEP_OK) {
        fail_msg("%s", err.message);
    }
}

void test_server_stop(test_server *s)
{
    ace_http_stop(s->server.http);
    temporary_folder_remove(s->folder);
}

int test_connect(const test_server *s)
{
    struct sockaddr_in to = {.sin_family = AF_INET,
                             .sin_port = htons((uint16_t)ace_http_port(s->server.http)),
                             .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct timeval limit = {.tv_sec = 20};
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    assert_true(fd >= 0);
    (void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    assert_int_equal(connect(fd, (struct sockaddr *)&to, sizeof to), 0);
    return fd;
}

bool test_send(int fd, const void *data, size_t bytes)
{
    for (const char *at = data; bytes > 0;) {
        ssize_t n = send(fd, at, bytes, MSG_NOSIGNAL);
        if (n <= 0) {
            return false;
        }
        at += n;
        bytes -= (size_t)n;
    }
    return true;
}

bool test_send_text(int fd, const char *text)
{
    return test_send(fd, text, strlen(text));
}

const char *test_header(const test_reply *reply, const char *name, char *out, size_t room)
{
    out[0] = '\0';
    size_t length = strlen(name);
    for (const char *line = reply->text; line != NULL && line < reply->body;) {
        if (strncasecmp(line, name, length) == 0 && line[length] == ':') {
            const char *value = line + length + 1 + strspn(line + length + 1, " ");
            (void)snprintf(out, room, "%.*s", (int)strcspn(value, "\r\n"), value);
            break;
        }
        line = strchr(line, '\n');
        line = line != NULL ? line + 1 : NULL;
    }
    return out;
}

static bool is_complete(test_reply *r, bool head)
{
    char *end = strstr(r->text, "\r\n\r\n");
    if (end == NULL) {
        return false;
    }
    r->body = end + 4;
    r->body_bytes = r->bytes - (size_t)(r->body - r->text);
    char length[32];
    test_header(r, "Content-Length", length, sizeof length);
    return head || strtol(r->text + 9, NULL, 10) == 304 || strtol(r->text + 9, NULL, 10) == 204 ||
           (length[0] != '\0' && r->body_bytes >= strtoull(length, NULL, 10));
}

static test_reply read_reply(int fd, bool head)
{
    test_reply r = {0};
    size_t room = 1 << 16;
    r.text = malloc(room);
    assert_non_null(r.text);
    r.text[0] = '\0';
    r.body = r.text;
    for (;;) {
        ssize_t n = recv(fd, r.text + r.bytes, room - 1 - r.bytes, 0);
        if (n <= 0) {
            break;
        }
        r.bytes += (size_t)n;
        r.text[r.bytes] = '\0';
        if (is_complete(&r, head)) {
            break;
        }
        if (room - r.bytes < 4096) {
            room *= 2;
            r.text = realloc(r.text, room);
            assert_non_null(r.text);
        }
    }
    (void)is_complete(&r, head);
    r.status = strncmp(r.text, "HTTP/1.", 7) == 0 ? (int)strtol(r.text + 9, NULL, 10) : 0;
    return r;
}

test_reply test_read(int fd)
{
    return read_reply(fd, false);
}

void test_reply_free(test_reply *reply)
{
    free(reply->text);
    memset(reply, 0, sizeof *reply);
}

test_reply test_ask(const test_server *s, const char *method, const char *target,
                    const char *headers, const char *body)
{
    char length[64] = "";
    char host[64] = "Host: 127.0.0.1\r\n";
    if (strncmp(headers, "Host:", 5) == 0) {
        host[0] = '\0';
    }
    if (body != NULL && strstr(headers, "Transfer-Encoding") == NULL) {
        (void)snprintf(length, sizeof length, "Content-Length: %zu\r\n", strlen(body));
    }
    int fd = test_connect(s);
    (void)(test_send_text(fd, method) && test_send_text(fd, " ") && test_send_text(fd, target) &&
           test_send_text(fd, " HTTP/1.1\r\n") && test_send_text(fd, host) &&
           test_send_text(fd, length) && test_send_text(fd, headers) &&
           test_send_text(fd, "\r\n") && test_send_text(fd, body != NULL ? body : ""));
    test_reply r = read_reply(fd, strcmp(method, "HEAD") == 0);
    close(fd);
    return r;
}

bool test_until(int (*read_number)(void), int wanted)
{
    for (int i = 0; i < 1000 && read_number() < wanted; i++) {
        struct timespec pause = {.tv_nsec = 10000000};
        (void)nanosleep(&pause, NULL);
    }
    return read_number() >= wanted;
}
