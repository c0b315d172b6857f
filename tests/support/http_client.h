/* A server with routes of a test, and a client that sends exactly the bytes it is told to. */
#ifndef TESTS_SUPPORT_HTTP_CLIENT_H
#define TESTS_SUPPORT_HTTP_CLIENT_H

#include "server/http_serve.h"
#include "server/server.h"

typedef struct test_server {
    char folder[64];
    ace_server server;
} test_server;

/* config: folder, tables and host are filled in. Fails the test when the server does not start. */
void test_server_start(test_server *s, const ace_http_route *routes, ace_http_config config);
void test_server_stop(test_server *s);

typedef struct test_reply {
    int status; /* 0: the connection ended without an answer */
    char *text; /* header and body */
    size_t bytes;
    const char *body;
    size_t body_bytes;
} test_reply;

int test_connect(const test_server *s);
/* Everything; false when the other side is gone. */
bool test_send(int fd, const void *data, size_t bytes);
bool test_send_text(int fd, const char *text);
/* Reads one answer by its Content-Length, or to the end. 20 s. */
test_reply test_read(int fd);
void test_reply_free(test_reply *reply);
/* A header's value in `out`, "" where it is missing. */
const char *test_header(const test_reply *reply, const char *name, char *out, size_t room);

/* Sends "METHOD TARGET HTTP/1.1", Host, these header lines ("A: b\r\n") and the body. */
test_reply test_ask(const test_server *s, const char *method, const char *target,
                    const char *headers, const char *body);
/* Waits up to 10 s for a number to be reached. */
bool test_until(int (*read)(void), int wanted);

#endif
