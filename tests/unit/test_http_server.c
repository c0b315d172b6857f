/* The HTTP server as a client meets it: answers, streams, answers that wait, limits, and clients that go
 * away in the middle. */
#define _DEFAULT_SOURCE
#include "support/http_client.h"

#include "base/memory.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static atomic_int done_count, tick, ready_calls, slow_calls;

static int read_done(void)
{
    return atomic_load(&done_count);
}

static void echo(ace_http_request *request, ace_server *server)
{
    (void)server;
    ace_http_reply_json(request, 200,
                        json_pack("{s:s, s:s?, s:O, s:O?, s:i, s:i}", "method", request->method,
                                  "capture", request->captures[0], "query", request->query, "body",
                                  request->body, "files", (int)request->n_files, "rights",
                                  (int)request->rights));
}

static void slow(ace_http_request *request, ace_server *server)
{
    (void)server;
    atomic_fetch_add(&slow_calls, 1);
    usleep(20000);
    ace_http_reply_text(request, 200, "text/plain", "slow\n");
}

static void silent(ace_http_request *request, ace_server *server)
{
    (void)request, (void)server;
}

/* ?errno= of a file that could not be written. */
static void failing(ace_http_request *request, ace_server *server)
{
    int64_t code = 0;
    ace_error err = {.code = ACESTEP_OK};
    (void)server;
    if (ace_http_query_int(request, "errno", 0, 1000, 0, &code)) {
        (void)ace_fail(&err, ACESTEP_IO, "song: cannot be written: %s", strerror((int)code));
        ace_http_reply_failure(request, &err, NULL);
    }
}

static void song(ace_http_request *request, ace_server *server)
{
    char path[128];
    (void)snprintf(path, sizeof path, "%s/song", server->data_folder);
    ace_http_reply_file(request, path, "audio/flac", ace_http_query(request, "as"));
}

typedef struct counter {
    int seen;
} counter;

static void free_counter(void *state)
{
    atomic_fetch_add(&done_count, 1);
    ace_free(state);
}

/* One piece to each tick; tick 3 is the last. */
static bool more(void *state, char **text, size_t *bytes)
{
    counter *c = state;
    if (c->seen < atomic_load(&tick)) {
        char line[32];
        *bytes = (size_t)snprintf(line, sizeof line, "data: %d\n\n", ++c->seen);
        *text = ace_strdup(line);
    }
    return c->seen < 3;
}

static void stream(ace_http_request *request, ace_server *server)
{
    (void)server;
    ace_http_reply_stream(request, "text/event-stream", more, free_counter,
                          ace_calloc(1, sizeof(counter)));
}

static bool ready(ace_http_request *request, void *state, bool late)
{
    (void)state;
    atomic_fetch_add(&ready_calls, 1);
    if (atomic_load(&tick) < 3 && !late) {
        return false;
    }
    ace_http_reply_text(request, late ? 202 : 200, "text/plain", "here\n");
    return true;
}

static void later(ace_http_request *request, ace_server *server)
{
    int64_t seconds = 0;
    (void)server;
    if (ace_http_query_int(request, "wait", 0, 60, 60, &seconds)) {
        ace_http_reply_later(request, (double)seconds, ready, free_counter,
                             ace_calloc(1, sizeof(counter)));
    }
}

static const ace_http_route routes[] = {
    {"GET", "/echo", echo, ACE_RIGHT_NONE, 0, 0},
    {"POST", "/echo", echo, ACE_RIGHT_NONE, 0, 64},
    {"POST", "/files", echo, ACE_RIGHT_NONE, ACE_ROUTE_FILES | ACE_ROUTE_RAW, 4096},
    {"GET", "/one/{a}", echo, ACE_RIGHT_NONE, 0, 0},
    {"GET", "/slow", slow, ACE_RIGHT_NONE, ACE_ROUTE_SLOW, 0},
    {"GET", "/silent", silent, ACE_RIGHT_NONE, 0, 0},
    {"GET", "/failing", failing, ACE_RIGHT_NONE, 0, 0},
    {"GET", "/song", song, ACE_RIGHT_NONE, 0, 0},
    {"GET", "/stream", stream, ACE_RIGHT_NONE, 0, 0},
    {"GET", "/later", later, ACE_RIGHT_NONE, 0, 0},
    {"POST", "/later", later, ACE_RIGHT_NONE, ACE_ROUTE_SLOW, 0},
    {NULL, NULL, NULL, 0, 0, 0},
};

static void expect(const test_server *s, const char *method, const char *target,
                   const char *headers, const char *body, int status, const char *part)
{
    test_reply r = test_ask(s, method, target, headers, body);
    if (r.status != status || (part != NULL && strstr(r.text, part) == NULL)) {
        fail_msg("%s %s: %d expected, with %s; got %d:\n%s", method, target, status,
                 part != NULL ? part : "anything", r.status, r.text);
    }
    test_reply_free(&r);
}

static const char as_json[] = "Content-Type: application/json\r\n";

static void answers_follow_from_the_request(void **state)
{
    (void)state;
    test_server s;
    test_server_start(&s, routes, (ace_http_config){.max_upload = 1 << 20});
    expect(&s, "GET", "/echo?a=1&b=%C3%A4+c", "", NULL, 200,
           "\"query\":{\"a\":\"1\",\"b\":\"ä c\"}");
    expect(&s, "GET", "/one/x%20y", "", NULL, 200, "\"capture\":\"x y\"");
    expect(&s, "GET", "/one/..", "", NULL, 404, NULL);
    expect(&s, "GET", "/one/..%2f..%2fetc", "", NULL, 404, NULL);
    expect(&s, "GET", "/one/a%00b", "", NULL, 400, NULL);
    expect(&s, "GET", "/one/%ff", "", NULL, 400, NULL);
    expect(&s, "GET", "/echo?a=%zz", "", NULL, 400, NULL);
    expect(&s, "DELETE", "/echo", "", NULL, 405, "Allow: GET, HEAD, POST, OPTIONS");
    expect(&s, "OPTIONS", "/echo", "", NULL, 204, "Allow: GET, HEAD, POST, OPTIONS");
    expect(&s, "OPTIONS", "*", "", NULL, 204,
           "Allow: GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS");
    expect(&s, "GET", "*", "", NULL, 404, NULL);
    char target[32];
    static const int codes[][2] = {{EACCES, 500}, {ENOSPC, 507}, {EDQUOT, 507}};
    for (int i = 0; i < 3; i++) {
        (void)snprintf(target, sizeof target, "/failing?errno=%d", codes[i][0]);
        expect(&s, "GET", target, "", NULL, codes[i][1], "\"storage\"");
    }
    expect(&s, "GET", "/nothing", "", NULL, 404, "\"code\":\"not_found\"");
    expect(&s, "GET", "/silent", "", NULL, 500, "\"code\":\"no_answer\"");
    expect(&s, "GET", "/slow", "", NULL, 200, "slow\n");
    expect(&s, "GET", "/later?wait=x", "", NULL, 400, "\"param\":\"wait\"");
    expect(&s, "HEAD", "/echo", "", NULL, 200, "Content-Type: application/json");
    expect(&s, "GET", "/echo", "", NULL, 200, "X-Content-Type-Options: nosniff");
    expect(&s, "POST", "/echo", "Transfer-Encoding: chunked\r\nContent-Length: 3\r\n",
           "3\r\na=1\r\n0\r\n\r\n", 400, "bad_header");
    expect(&s, "POST", "/echo", "Content-Length: 9\r\n", "a=1", 400, "Connection: close");
    expect(&s, "POST", "/echo", "Transfer-Encoding : chunked\r\n", "a=1", 400, "bad_header");
    expect(&s, "GET", "/echo", "X: y\r\nHost: other\r\n", NULL, 400, "bad_header");
    expect(&s, "POST", "/echo", "Transfer-Encoding: gzip\r\n", "x", 400, "bad_header");
    expect(&s, "POST", "/echo", "Transfer-Encoding: chunked\r\n", "3\r\na=1\r\n0\r\n\r\n", 200,
           "\"a\":\"1\"");
    test_server_stop(&s);
}

static void bodies_are_read_within_their_limits(void **state)
{
    (void)state;
    test_server s;
    test_server_start(&s, routes, (ace_http_config){.max_upload = 100000});
    expect(&s, "POST", "/echo", as_json, "{\"a\": [1, 2]}", 200, "\"body\":{\"a\":[1,2]}");
    expect(&s, "POST", "/echo", "", "{\"a\": 1}", 200, "\"body\":{\"a\":1}");
    expect(&s, "POST", "/echo", "", "a=1&a=2&b=%2B", 200, "\"a\":[\"1\",\"2\"],\"b\":\"+\"");
    expect(&s, "POST", "/echo", as_json, "{\"a\": 1", 400, "\"code\":\"bad_json\"");
    expect(&s, "POST", "/echo", as_json, "{\"a\": 1, \"a\": 2}", 400, "bad_json");
    expect(&s, "POST", "/echo", "Content-Type: image/png\r\n", "x", 415, NULL);
    char nested[200];
    memset(nested, '[', sizeof nested);
    nested[sizeof nested - 1] = '\0';
    expect(&s, "POST", "/files", as_json, nested, 400, "nested deeper");
    expect(&s, "POST", "/echo", as_json, nested, 413, "at most 64");
    expect(&s, "POST", "/echo", "Transfer-Encoding: chunked\r\n",
           "41\r\naaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\r\n0\r\n\r\n",
           413, NULL);
    expect(&s, "POST", "/files", "Content-Type: audio/flac\r\n", "fLaC", 200, "\"files\":1");
    expect(
        &s, "POST", "/files", "Content-Type: multipart/form-data; boundary=limit\r\n",
        "--limit\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\nText\r\n"
        "--limit\r\nContent-Disposition: form-data; name=\"f\"; filename=\"../../x.wav\"\r\n\r\nRIFF\r\n"
        "--limit--\r\n",
        200, "\"body\":{\"a\":\"Text\"},\"files\":1");
    expect(&s, "POST", "/files", "Content-Type: multipart/form-data; boundary=limit\r\n",
           "--limit\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\nText\r\n", 400,
           "bad_form");
    expect(&s, "POST", "/files", "Content-Type: multipart/form-data\r\n", "x", 400, "boundary");
    expect(
        &s, "POST", "/echo", "Content-Type: multipart/form-data; boundary=limit\r\n",
        "--limit\r\nContent-Disposition: form-data; name=\"f\"; filename=\"x\"\r\n\r\nR\r\n--limit--\r\n",
        415, "no_files");
    test_server_stop(&s);
}

/* What is sent after the limit is not read; before the first part of a form is no place to hide. */
static void refuse_endless(const char *type)
{
    test_server s;
    test_server_start(&s, routes, (ace_http_config){.max_upload = 100000});
    int fd = test_connect(&s);
    test_send_text(fd, "POST /files HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: ");
    test_send_text(fd, type);
    test_send_text(fd, "\r\n"
                       "Transfer-Encoding: chunked\r\n\r\n");
    static char block[4096 + 8];
    int n = snprintf(block, sizeof block, "1000\r\n");
    memset(block + n, 'x', 4096);
    memcpy(block + n + 4096, "\r\n", 2);
    int sent = 0;
    while (sent < 10000 && test_send(fd, block, sizeof block)) {
        sent++;
    }
    assert_true(sent < 10000);
    test_reply r = test_read(fd);
    assert_int_equal(r.status, 413);
    test_reply_free(&r);
    close(fd);
    test_server_stop(&s);
}

static void an_endless_body_is_refused(void **state)
{
    (void)state;
    refuse_endless("audio/flac");
    refuse_endless("multipart/form-data; boundary=limit");
}

static void a_file_comes_whole_in_part_or_not_at_all(void **state)
{
    (void)state;
    test_server s;
    test_server_start(&s, routes, (ace_http_config){.max_upload = 1});
    expect(&s, "GET", "/song", "", NULL, 404, NULL);
    char path[128];
    (void)snprintf(path, sizeof path, "%s/song", s.folder);
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    fputs("0123456789", f);
    fclose(f);
    expect(&s, "GET", "/song", "", NULL, 200, "\r\n\r\n0123456789");
    expect(&s, "GET", "/song", "Range: bytes=2-4\r\n", NULL, 206, "\r\n\r\n234");
    expect(&s, "GET", "/song", "Range: bytes=2-4\r\n", NULL, 206, "Content-Range: bytes 2-4/10");
    expect(&s, "GET", "/song", "Range: bytes=7-\r\n", NULL, 206, "\r\n\r\n789");
    expect(&s, "GET", "/song", "Range: bytes=7-99\r\n", NULL, 206, "bytes 7-9/10");
    expect(&s, "GET", "/song", "Range: bytes=-3\r\n", NULL, 206, "\r\n\r\n789");
    expect(&s, "GET", "/song", "Range: bytes=-99\r\n", NULL, 206, "bytes 0-9/10");
    expect(&s, "GET", "/song", "Range: bytes=10-\r\n", NULL, 416, "bytes */10");
    expect(&s, "GET", "/song", "Range: bytes=-0\r\n", NULL, 416, "bytes */10");
    expect(&s, "GET", "/song", "Range: bytes=8-99999999999999999999999\r\n", NULL, 206,
           "bytes 8-9/10");
    expect(&s, "GET", "/song", "Range: bytes=99999999999999999999999-\r\n", NULL, 416,
           "bytes */10");
    expect(&s, "GET", "/song", "Range: bytes=4-2\r\n", NULL, 200, NULL);
    expect(&s, "GET", "/song", "Range: bytes=0-1,3-4\r\n", NULL, 200, NULL);
    expect(&s, "GET", "/song", "Range: bytes=0-1\r\nIf-Range: \"other\"\r\n", NULL, 200, NULL);
    expect(&s, "HEAD", "/song", "", NULL, 200, "Content-Length: 10");
    expect(&s, "GET", "/song?as=M%C3%BCll%22.flac", "", NULL, 200,
           "filename*=UTF-8''M%C3%BCll%22.flac");

    test_reply r = test_ask(&s, "GET", "/song", "", NULL);
    char etag[80];
    char header[128];
    test_header(&r, "ETag", etag, sizeof etag);
    assert_true(strlen(etag) > 2);
    (void)snprintf(header, sizeof header, "If-None-Match: \"x\", %s\r\n", etag);
    expect(&s, "GET", "/song", header, NULL, 304, NULL);
    test_header(&r, "Last-Modified", etag, sizeof etag);
    (void)snprintf(header, sizeof header, "If-Modified-Since: %s\r\n", etag);
    expect(&s, "GET", "/song", header, NULL, 304, NULL);
    test_reply_free(&r);
    test_server_stop(&s);
}

static void streams_and_waiting_answers_wake(void **state)
{
    (void)state;
    test_server s;
    atomic_store(&tick, 0);
    atomic_store(&done_count, 0);
    atomic_store(&ready_calls, 0);
    test_server_start(&s, routes, (ace_http_config){.max_upload = 1});
    int a = test_connect(&s);
    int b = test_connect(&s);
    int c = test_connect(&s);
    test_send_text(a, "GET /stream HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n");
    test_send_text(b, "GET /later HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n");
    test_send_text(c, "POST /later HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 0\r\n\r\n");
    for (int i = 1; i <= 3; i++) {
        usleep(60000);
        atomic_store(&tick, i);
        ace_http_wake(&s.server);
    }
    test_reply r = test_read(a);
    assert_int_equal(r.status, 200);
    assert_non_null(strstr(r.text, "data: 1\n\n"));
    assert_non_null(strstr(r.text, "data: 3\n\n"));
    test_reply_free(&r);
    for (int i = 0; i < 2; i++) {
        r = test_read(i == 0 ? b : c);
        assert_int_equal(r.status, 200);
        assert_string_equal(r.body, "here\n");
        test_reply_free(&r);
    }
    assert_true(test_until(read_done, 3));
    assert_true(atomic_load(&ready_calls) >= 4);
    close(a);
    close(b);
    close(c);
    atomic_store(&tick, 0);
    expect(&s, "GET", "/later?wait=0", "", NULL, 202, "here");
    test_server_stop(&s);
}

/* Clients that go while a stream, a waiting answer or a body is under way leave nothing behind; the end of the
 * server ends what still waits. */
static void nobody_waits_for_those_who_left(void **state)
{
    (void)state;
    test_server s;
    atomic_store(&tick, 0);
    atomic_store(&done_count, 0);
    test_server_start(&s, routes, (ace_http_config){.max_upload = 1 << 20});
    static const char *const requests[] = {
        "GET /stream HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n",
        "GET /later HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n",
        "POST /files HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: a/b\r\nContent-Length: 99\r\n\r\nx",
        "GET /slow HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n",
        "GET /ec",
    };
    int fds[5];
    for (int i = 0; i < 5; i++) {
        fds[i] = test_connect(&s);
        test_send_text(fds[i], requests[i]);
    }
    usleep(100000);
    for (int i = 0; i < 5; i++) {
        close(fds[i]);
    }
    assert_true(test_until(read_done, 2));
    /* the end comes together with bytes that fill a read of the library */
    static char half[90000];
    for (int i = 0; i < 5; i++) {
        int fd = test_connect(&s);
        test_send_text(fd, "POST /files HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: a/b\r\n"
                           "Content-Length: 99999\r\n\r\n");
        test_send(fd, half, sizeof half);
        close(fd);
    }
    for (int i = 0; i < 1000 && ace_http_connections(s.server.http) > 0; i++) {
        usleep(10000);
    }
    assert_int_equal(ace_http_connections(s.server.http), 0);

    int stream_fd = test_connect(&s);
    int later_fd = test_connect(&s);
    test_send_text(stream_fd, requests[0]);
    test_send_text(later_fd, requests[1]);
    usleep(100000);
    test_server_stop(&s);
    test_reply r = test_read(later_fd);
    assert_int_equal(r.status, 202);
    test_reply_free(&r);
    close(stream_fd);
    close(later_fd);
    assert_int_equal(read_done(), 4);
}

/* A byte now and then does not keep a connection. */
static void slow_clients_are_cut(void **state)
{
    (void)state;
    test_server s;
    test_server_start(
        &s, routes,
        (ace_http_config){
            .max_upload = 1 << 20, .header_seconds = 1, .idle_seconds = 1.5, .body_seconds = 1});
    int head = test_connect(&s);
    int body = test_connect(&s);
    int idle = test_connect(&s);
    test_send_text(head, "GET /echo HTTP/1.1\r\n");
    test_send_text(body, "POST /echo HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 60\r\n\r\n");
    test_send_text(idle, "GET /echo HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n");
    test_reply r = test_read(idle);
    assert_int_equal(r.status, 200);
    test_reply_free(&r);
    for (int i = 0; i < 30 && ace_http_connections(s.server.http) > 0; i++) {
        usleep(200000);
        (void)test_send_text(head, "X");
        (void)test_send_text(body, " ");
        (void)test_send_text(idle, "G");
    }
    assert_int_equal(ace_http_connections(s.server.http), 0);
    close(head);
    close(body);
    close(idle);
    test_server_stop(&s);
}

static void many_at_once(void **state)
{
    (void)state;
    enum { CLIENTS = 40, ROUNDS = 10 };
    test_server s;
    test_server_start(&s, routes, (ace_http_config){.max_upload = 1 << 20});
    atomic_store(&slow_calls, 0);
    int fds[CLIENTS];
    for (int i = 0; i < CLIENTS; i++) {
        fds[i] = test_connect(&s);
    }
    for (int round = 0; round < ROUNDS; round++) { /* on the same connections */
        for (int i = 0; i < CLIENTS; i++) {
            test_send_text(fds[i], i % 2 == 0 ? "GET /slow HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"
                                              : "GET /echo HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n");
        }
        for (int i = 0; i < CLIENTS; i++) {
            test_reply r = test_read(fds[i]);
            assert_int_equal(r.status, 200);
            test_reply_free(&r);
        }
    }
    for (int i = 0; i < CLIENTS; i++) {
        close(fds[i]);
    }
    assert_int_equal(atomic_load(&slow_calls), CLIENTS / 2 * ROUNDS);
    test_server_stop(&s);
}

/* Whichever allocation fails, the client gets an answer or a closed connection, and the server goes on. */
static void memory_may_run_out(void **state)
{
    (void)state;
    test_server s;
    test_server_start(&s, routes, (ace_http_config){.max_upload = 1 << 20});
    static const struct {
        const char *method, *target, *headers, *body;
    } requests[] = {
        {"GET", "/echo?a=1", "", NULL},
        {"GET", "/slow", "", NULL},
        {"GET", "/later?wait=9", "", NULL},
        {"POST", "/echo", "", "a=1&a=2"},
        {"POST", "/files", "Content-Type: multipart/form-data; boundary=limit\r\n",
         "--limit\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\nText\r\n"
         "--limit\r\nContent-Disposition: form-data; name=\"f\"; filename=\"x.wav\"\r\n\r\nRIFF\r\n"
         "--limit--\r\n"},
    };
    atomic_store(&tick, 3);
    for (size_t i = 0; i < sizeof requests / sizeof *requests; i++) {
        int failed = 0;
        for (unsigned n = 1; n <= 40; n++) {
            ace_memory_fail_at(n);
            test_reply r = test_ask(&s, requests[i].method, requests[i].target, requests[i].headers,
                                    requests[i].body);
            ace_memory_fail_at(0);
            failed += r.status != 200;
            if (r.status != 0 && r.status != 200 && r.status < 500) {
                fail_msg("%s: %s", requests[i].target, r.text);
            }
            test_reply_free(&r);
        }
        assert_true(failed > 0 && failed < 40);
    }
    expect(&s, "GET", "/echo", "", NULL, 200, NULL);
    test_server_stop(&s);
}

static void nothing_is_left_in_memory(void **state)
{
    (void)state;
    assert_int_equal(ace_memory_live(), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(answers_follow_from_the_request),
        cmocka_unit_test(bodies_are_read_within_their_limits),
        cmocka_unit_test(an_endless_body_is_refused),
        cmocka_unit_test(a_file_comes_whole_in_part_or_not_at_all),
        cmocka_unit_test(streams_and_waiting_answers_wake),
        cmocka_unit_test(nobody_waits_for_those_who_left),
        cmocka_unit_test(slow_clients_are_cut),
        cmocka_unit_test(many_at_once),
        cmocka_unit_test(memory_may_run_out),
        cmocka_unit_test(nothing_is_left_in_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
