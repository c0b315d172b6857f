/* Who may: routes, keys, signed addresses, names of the server, pages of others. */
#include "base/memory.h"
#include "server/http_guard.h"
#include "server/http_keys.h"
#include "server/http_route.h"
#include "support/http_client.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

static void hello(ace_http_request *request, ace_server *server)
{
    (void)server;
    char rights[16];
    (void)snprintf(rights, sizeof rights, "rights %u\n", request->rights);
    ace_http_reply_text(request, 200, "text/plain", rights);
}

static const ace_http_route routes[] = {
    {"GET", "/open", hello, ACE_RIGHT_NONE, 0, 0},
    {"GET", "/read", hello, ACE_RIGHT_READ, ACE_ROUTE_SIGNED, 0},
    {"GET", "/other", hello, ACE_RIGHT_READ, ACE_ROUTE_SIGNED, 0},
    {"GET", "/jobs/{id}", hello, ACE_RIGHT_READ, 0, 0},
    {"GET", "/jobs/{id}/{n}", hello, ACE_RIGHT_READ, 0, 0},
    {"POST", "/make", hello, ACE_RIGHT_GENERATE, ACE_ROUTE_TOKEN, 0},
    {"PUT", "/set", hello, ACE_RIGHT_ADMIN, 0, 0},
    {NULL, NULL, NULL, 0, 0, 0},
};

static void expect(const test_server *s, const char *method, const char *target,
                   const char *headers, const char *body, int status, const char *part)
{
    test_reply r = test_ask(s, method, target, headers, body);
    if (r.status != status || (part != NULL && strstr(r.text, part) == NULL)) {
        fail_msg("%s %s %s: %d expected, with %s; got %d:\n%s", method, target, headers, status,
                 part != NULL ? part : "anything", r.status, r.text);
    }
    test_reply_free(&r);
}

static ace_route_found find(const char *method, const char *uri, ace_route_match *match)
{
    static const ace_http_route *const tables[] = {routes, NULL};
    static ace_http_target target;
    ace_http_target_free(&target);
    assert_int_equal(ace_http_target_parse(uri, &target, NULL), ACESTEP_OK);
    return ace_route_find(tables, method, &target, match);
}

static void routes_match_whole_elements(void **state)
{
    (void)state;
    ace_route_match m;
    assert_int_equal(find("GET", "/jobs/j_1?x=/a", &m), ACE_ROUTE_FOUND);
    assert_string_equal(m.captures[0], "j_1");
    assert_int_equal(find("GET", "/jobs/a/b", &m), ACE_ROUTE_FOUND);
    assert_string_equal(m.captures[1], "b");
    static const char *const nowhere[] = {"/",
                                          "/jobs",
                                          "/jobs/",
                                          "/jobs//",
                                          "/jobs/./a",
                                          "/jobs/%2e",
                                          "/jobs/a/",
                                          "/jobs/a%2fb",
                                          "/Open",
                                          "/open/",
                                          "//open",
                                          "/jobs/a/b/c",
                                          "/open%2f",
                                          "open",
                                          "/jobs/%5ca",
                                          "*",
                                          "/a/b/c/d/e/f/g/h/i/j/k/l/m/n/o/p/q"};
    for (size_t i = 0; i < sizeof nowhere / sizeof *nowhere; i++) {
        if (find("GET", nowhere[i], &m) != ACE_ROUTE_UNKNOWN) {
            fail_msg("%s is known", nowhere[i]);
        }
    }
    assert_int_equal(find("POST", "/open", &m), ACE_ROUTE_OTHER_METHOD);
    assert_string_equal(m.allow, "GET, HEAD, OPTIONS");
    (void)find("GET", "/", &m);
}

static void keys_have_rights(void **state)
{
    (void)state;
    char path[] = "/tmp/acestep-keys-XXXXXX";
    int fd = mkstemp(path);
    FILE *f = fdopen(fd, "w");
    assert_non_null(f);
    fputs("# keys\n\nlistener read # of the radio\nmaker read,generate\nboss\n", f);
    fclose(f);
    test_server s;
    test_server_start(&s, routes, (ace_http_config){.keys = "first, second", .key_file = path});
    static const struct {
        const char *headers;
        int status[4]; /* open, read, make, set */
    } rows[] = {
        {"", {200, 401, 401, 401}},
        {"Authorization: Bearer first\r\n", {200, 200, 200, 200}},
        {"Authorization: bearer  second\r\n", {200, 200, 200, 200}},
        {"x-api-key: boss\r\n", {200, 200, 200, 200}},
        {"x-api-key: listener\r\n", {200, 200, 403, 403}},
        {"x-api-key: maker\r\n", {200, 200, 200, 403}},
        {"x-api-key: firs\r\n", {200, 401, 401, 401}},
        {"x-api-key: #\r\n", {200, 401, 401, 401}},
        {"Authorization: first\r\n", {200, 200, 200, 200}},
        {"Authorization: Basic first\r\n", {200, 401, 401, 401}},
        {"Authorization: Bearer \r\n", {200, 401, 401, 401}},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        expect(&s, "GET", "/open", rows[i].headers, NULL, rows[i].status[0], NULL);
        expect(&s, "GET", "/read", rows[i].headers, NULL, rows[i].status[1], NULL);
        expect(&s, "POST", "/make", rows[i].headers, "{}", rows[i].status[2], NULL);
        expect(&s, "PUT", "/set", rows[i].headers, "{}", rows[i].status[3], NULL);
    }
    expect(&s, "POST", "/make", "", "{\"ai_token\": \"maker\"}", 200, NULL);
    expect(&s, "POST", "/make", "", "ai_token=maker", 200, NULL);
    expect(&s, "POST", "/make", "", "{\"ai_token\": \"listener\"}", 403, NULL);
    expect(&s, "POST", "/make", "", "{\"ai_token\": 1}", 401, NULL);
    expect(&s, "PUT", "/set", "", "{\"ai_token\": \"first\"}", 401, NULL);
    test_server_stop(&s);

    f = fopen(path, "w");
    fputs("key reed\n", f);
    fclose(f);
    ace_http_keys keys;
    ace_error err = {.code = ACESTEP_OK};
    assert_int_equal(ace_http_keys_load(&keys, NULL, path, "/tmp", &err), ACESTEP_ARGUMENT);
    assert_non_null(strstr(err.message, "line 1"));
    ace_http_keys_free(&keys);
    remove(path);
}

static void signed_addresses_need_no_key(void **state)
{
    (void)state;
    test_server s;
    test_server_start(&s, routes, (ace_http_config){.keys = "k"});
    char *target = ace_http_sign(&s.server, "/read?path=%2Fa%20b");
    assert_non_null(target);
    char other[512];
    expect(&s, "GET", target, "", NULL, 200, "rights 1\n");
    (void)snprintf(other, sizeof other, "%s&format=mp3", target);
    expect(&s, "GET", other, "", NULL, 200, NULL);
    (void)snprintf(other, sizeof other, "%s&path=/c", target);
    expect(&s, "GET", other, "", NULL, 401, NULL);
    (void)snprintf(other, sizeof other, "/other?%s", strchr(target, '?') + 1);
    expect(&s, "GET", other, "", NULL, 401, NULL);
    char *unsigned_route = ace_http_sign(&s.server, "/jobs/1");
    expect(&s, "GET", unsigned_route, "", NULL, 401, NULL);
    ace_free(unsigned_route);
    (void)snprintf(other, sizeof other, "%s", target);
    char *expires = strstr(other, "exp=") + 4;
    *expires = (char)(*expires + 1); /* longer than it was signed for */
    expect(&s, "GET", other, "", NULL, 401, NULL);
    (void)snprintf(other, sizeof other, "%s", target);
    char *last = other + strlen(other) - 1;
    *last = *last == '0' ? '1' : '0';
    expect(&s, "GET", other, "", NULL, 401, NULL);

    ace_http_keys keys;
    assert_int_equal(ace_http_keys_load(&keys, "k", NULL, s.folder, NULL), ACESTEP_OK);
    char signature[2 * ACE_KEY_DIGEST_BYTES + 1];
    uint64_t now = (uint64_t)time(NULL);
    ace_http_keys_sign(&keys, "/read", NULL, now + 5, signature);
    (void)snprintf(other, sizeof other, "/read?exp=%llu&sig=%s", (unsigned long long)now + 5,
                   signature);
    expect(&s, "GET", other, "", NULL, 200, NULL); /* the secret is that of the folder */
    char text[24];
    (void)snprintf(text, sizeof text, "%llu", (unsigned long long)now + 5);
    assert_true(ace_http_keys_signed(&keys, "/read", NULL, text, signature, now + 5));
    assert_false(ace_http_keys_signed(&keys, "/read", NULL, text, signature, now + 6));
    assert_false(ace_http_keys_signed(&keys, "/read", "", text, signature, now));
    ace_http_keys_free(&keys);
    ace_free(target);
    test_server_stop(&s);
}

static void names_and_origins(void **state)
{
    (void)state;
    ace_http_guard g;
    assert_int_equal(
        ace_http_guard_init(&g, "127.0.0.1", "music.example", "https://a.example", NULL),
        ACESTEP_OK);
    static const char *const own[] = {"localhost",      "LOCALHOST:7860", "127.0.0.1:1",
                                      "[::1]:7860",     "[::1]",          "10.1.2.3",
                                      "a.localhost:80", "music.example",  "MUSIC.example:443"};
    static const char *const foreign[] = {"",
                                          "evil.example",
                                          "localhost.evil.example",
                                          "127.0.0.1.evil.example",
                                          "localhost:x",
                                          "[::1]evil",
                                          "[localhost",
                                          "example",
                                          ".localhost",
                                          ":80"};
    for (size_t i = 0; i < sizeof own / sizeof *own; i++) {
        assert_true(ace_http_guard_host(&g, own[i]));
    }
    for (size_t i = 0; i < sizeof foreign / sizeof *foreign; i++) {
        if (ace_http_guard_host(&g, foreign[i])) {
            fail_msg("%s is answered", foreign[i]);
        }
    }
    assert_true(ace_http_guard_host(&g, NULL)); /* no browser asks without one */
    assert_false(ace_http_guard_host(&g, ""));
    static const struct {
        const char *origin, *host, *site;
        ace_http_origin expected;
    } rows[] = {
        {NULL, "h", NULL, ACE_ORIGIN_OWN},
        {NULL, "h", "same-origin", ACE_ORIGIN_OWN},
        {NULL, "h", "cross-site", ACE_ORIGIN_FOREIGN},
        {"http://h:1", "h:1", NULL, ACE_ORIGIN_OWN},
        {"http://h:2", "h:1", NULL, ACE_ORIGIN_FOREIGN},
        {"null", "h", NULL, ACE_ORIGIN_FOREIGN},
        {"https://a.example", "h", NULL, ACE_ORIGIN_ALLOWED},
        {"https://a.example.evil", "h", NULL, ACE_ORIGIN_FOREIGN},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        assert_int_equal(ace_http_guard_origin(&g, rows[i].origin, rows[i].host, rows[i].site),
                         rows[i].expected);
    }
    ace_http_guard_free(&g);
    assert_int_equal(ace_http_guard_init(&g, "::1", NULL, "https://a/b", NULL), ACESTEP_ARGUMENT);
    ace_http_guard_free(&g);
    assert_int_equal(ace_http_guard_init(&g, "::1", NULL, "a.example", NULL), ACESTEP_ARGUMENT);
    ace_http_guard_free(&g);
}

static void pages_of_others_do_nothing_here(void **state)
{
    (void)state;
    test_server s;
    test_server_start(&s, routes, (ace_http_config){.origins = "https://a.example"});
    expect(&s, "GET", "/read", "Host: evil.example\r\n", NULL, 403, "unknown_host");
    expect(&s, "POST", "/make", "Origin: https://evil.example\r\n", "{}", 403, "foreign_origin");
    expect(&s, "POST", "/make", "Origin: null\r\n", "{}", 403, "foreign_origin");
    expect(&s, "POST", "/make", "Sec-Fetch-Site: cross-site\r\n", "{}", 403, "foreign_origin");
    expect(&s, "POST", "/make", "Origin: http://127.0.0.1\r\n", "{}", 200, NULL);
    expect(&s, "POST", "/make", "", "{}", 200, NULL);
    expect(&s, "POST", "/make", "Origin: https://a.example\r\n", "{}", 200,
           "Access-Control-Allow-Origin: https://a.example");
    expect(&s, "OPTIONS", "/make", "Origin: https://a.example\r\n", NULL, 204,
           "Access-Control-Allow-Methods: POST, OPTIONS");
    test_reply r = test_ask(&s, "GET", "/read", "Origin: https://evil.example\r\n", NULL);
    assert_int_equal(r.status, 200);
    assert_null(strstr(r.text, "Access-Control"));
    test_reply_free(&r);
    test_server_stop(&s);

    test_server_start(&s, routes, (ace_http_config){.keys = "k"});
    expect(&s, "GET", "/open", "Host: any.example\r\n", NULL, 200, NULL);
    expect(&s, "POST", "/make", "Origin: https://evil.example\r\nx-api-key: k\r\n", "{}", 200,
           NULL);
    expect(&s, "POST", "/make", "Origin: https://evil.example\r\n", "ai_token=k", 403, NULL);
    test_server_stop(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(routes_match_whole_elements), cmocka_unit_test(keys_have_rights),
        cmocka_unit_test(signed_addresses_need_no_key), cmocka_unit_test(names_and_origins),
        cmocka_unit_test(pages_of_others_do_nothing_here)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
