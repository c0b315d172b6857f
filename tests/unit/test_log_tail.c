/* The last lines of the log: numbers, bounds, and what is left out of them. */
#include "server/log_tail.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

typedef struct seen {
    int n;
    ace_log_line first, last;
} seen;

static void keep(void *context, const ace_log_line *line)
{
    seen *s = context;
    s->first = s->n == 0 ? *line : s->first;
    s->last = *line;
    s->n++;
}

static ace_log_tail *tail;
static int changes;

static void count_change(void *context)
{
    assert_ptr_equal(context, &changes);
    changes++;
}

static int begin(void **state)
{
    (void)state;
    ace_error err = {.code = ACESTEP_OK};
    changes = 0;
    return ace_log_tail_create(count_change, &changes, &tail, &err) == ACESTEP_OK ? 0 : 1;
}

static int finish(void **state)
{
    (void)state;
    ace_log_tail_free(tail);
    return 0;
}

static seen look(const char *area, uint64_t after, uint64_t goes_on_from)
{
    seen s = {.n = 0};
    assert_int_equal(ace_log_tail_visit(tail, area, after, keep, &s), goes_on_from);
    return s;
}

static void assert_shown(const char *text, const char *shown)
{
    ace_log_tail_add(tail, ACE_LOG_WARNING, "area", text);
    seen s = {.n = 0};
    (void)ace_log_tail_visit(tail, NULL, ace_log_tail_before(tail, 1), keep, &s);
    assert_int_equal(s.n, 1);
    assert_string_equal(s.last.text, shown);
}

static void lines_have_numbers_to_go_on_from(void **state)
{
    (void)state;
    assert_int_equal(look(NULL, 0, 0).n, 0);
    ace_log_tail_add(tail, ACE_LOG_INFO, "http", "one");
    ace_log_tail_add(tail, ACE_LOG_ERROR, "jobs", "two");
    ace_log_tail_add(tail, ACE_LOG_INFO, "http", "three");
    assert_int_equal(changes, 3);
    seen s = look(NULL, 0, 3);
    assert_int_equal(s.n, 3);
    assert_string_equal(s.first.text, "one");
    assert_int_equal(s.first.number, 1);
    s = look(NULL, 1, 3);
    assert_int_equal(s.n, 2);
    assert_string_equal(s.first.area, "jobs");
    assert_int_equal(s.first.level, ACE_LOG_ERROR);
    assert_int_equal(look("http", 0, 3).n, 2);
    assert_int_equal(look(NULL, 3, 3).n, 0);
    assert_int_equal(look(NULL, 99, 3).n, 3); /* of another run */
    assert_int_equal(look(NULL, UINT64_MAX, 3).n, 3);
    assert_int_equal(ace_log_tail_before(tail, 2), 1);
    assert_int_equal(ace_log_tail_before(tail, 1000), 0);
}

static void the_oldest_go(void **state)
{
    (void)state;
    char text[32];
    const int all = 2 * ACE_LOG_TAIL_LINES + 7;
    for (int i = 1; i <= all; i++) {
        (void)snprintf(text, sizeof text, "line %d", i);
        ace_log_tail_add(tail, ACE_LOG_INFO, "a", text);
    }
    seen s = look(NULL, 3, (uint64_t)all);
    assert_int_equal(s.n, ACE_LOG_TAIL_LINES);
    assert_int_equal(s.first.number, all - ACE_LOG_TAIL_LINES + 1);
    (void)snprintf(text, sizeof text, "line %d", all);
    assert_string_equal(s.last.text, text);
}

static void passwords_in_addresses_are_left_out(void **state)
{
    (void)state;
    assert_shown("https://me:hf_secret@mirror.example/a: no answer",
                 "https://mirror.example/a: no answer");
    assert_shown("http://a@b@host http://two:x@there?q=u@v", "http://host http://there?q=u@v");
    assert_shown("http://host/path@1 and me@home", "http://host/path@1 and me@home");
    assert_shown("http://", "http://");
}

static void text_is_one_line_of_utf8(void **state)
{
    (void)state;
    assert_shown("a\nb\r\tc\x7f"
                 "d",
                 "a?b??c?d");
    assert_shown("Grüße 🎵", "Grüße 🎵");
    assert_shown("\xff\xc3\xed\xa0\x80\xf0\x80\x80\x80\xc0\xaf", "???????????");
    assert_shown("\xe2\x82", "??");
}

static void long_lines_are_cut_between_characters(void **state)
{
    (void)state;
    char text[2 * ACE_LOG_TAIL_TEXT];
    char shown[ACE_LOG_TAIL_TEXT] = "";
    memset(text, 'x', sizeof text);
    memcpy(text + ACE_LOG_TAIL_TEXT - 3, "\xf0\x9f\x8e\xb5", 4);
    text[sizeof text - 1] = '\0';
    memset(shown, 'x', ACE_LOG_TAIL_TEXT - 3);
    shown[ACE_LOG_TAIL_TEXT - 3] = '\0';
    assert_shown(text, shown);
    memset(text, 'x', sizeof text - 1);
    memset(shown, 'x', ACE_LOG_TAIL_TEXT - 1);
    shown[ACE_LOG_TAIL_TEXT - 1] = '\0';
    assert_shown(text, shown);
}

static void it_hears_the_log_until_it_ends(void **state)
{
    (void)state;
    ace_log_set_level(ACE_LOG_ERROR);
    ace_log(ACE_LOG_ERROR, "test", "before");
    ace_log_tail_start(tail);
    ace_log(ACE_LOG_ERROR, "test", "during %d", 1);
    ace_log(ACE_LOG_WARNING, "test", "not shown");
    ace_log_tail_end(tail);
    ace_log(ACE_LOG_ERROR, "test", "after");
    seen s = look(NULL, 0, 1);
    assert_int_equal(s.n, 1);
    assert_string_equal(s.last.text, "during 1");
}

static void the_last_listener_stays(void **state)
{
    (void)state;
    ace_error err = {.code = ACESTEP_OK};
    ace_log_tail *other = NULL;
    assert_int_equal(ace_log_tail_create(NULL, NULL, &other, &err), ACESTEP_OK);
    ace_log_tail_start(tail);
    ace_log_tail_start(other);
    ace_log_tail_end(tail);
    ace_log(ACE_LOG_ERROR, "test", "heard by the other");
    assert_int_equal(look(NULL, 0, 0).n, 0);
    assert_int_equal(ace_log_tail_before(other, 0), 1);
    ace_log_tail_free(other);
    ace_log(ACE_LOG_ERROR, "test", "heard by nobody");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, finish)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(lines_have_numbers_to_go_on_from),
        TEST(the_oldest_go),
        TEST(passwords_in_addresses_are_left_out),
        TEST(text_is_one_line_of_utf8),
        TEST(long_lines_are_cut_between_characters),
        TEST(it_hears_the_log_until_it_ends),
        TEST(the_last_listener_stays),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
