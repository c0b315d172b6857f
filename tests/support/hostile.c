#include "support/hostile.h"

#include "base/memory.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* A copy that ends where its memory ends. */
static unsigned char *exact_copy(const unsigned char *data, size_t bytes)
{
    unsigned char *copy = malloc(bytes != 0 ? bytes : 1);
    assert_non_null(copy);
    memcpy(copy, data, bytes);
    return copy;
}

static void check_message(const ace_error *err, ace_status status)
{
    assert_int_equal(err->code, status);
    assert_true(err->message[0] != '\0');
    assert_null(strchr(err->message, '\n'));
}

void hostile_cut(hostile_reader *read, const unsigned char *data, size_t bytes)
{
    uint64_t live = ace_memory_live();
    for (size_t n = 0; n < bytes; n++) {
        ace_error err = {.code = ACESTEP_OK};
        unsigned char *copy = exact_copy(data, n);
        if (read(copy, n, &err) != ACESTEP_MODEL) {
            fail_msg("the first %zu of %zu bytes were taken for a whole file", n, bytes);
        }
        check_message(&err, ACESTEP_MODEL);
        free(copy);
        assert_int_equal(ace_memory_live(), live);
    }
}

void hostile_change(hostile_reader *read, const unsigned char *data, size_t bytes)
{
    static const unsigned char values[] = {0, 1, 0x7f, 0xff};
    uint64_t live = ace_memory_live();
    unsigned char *copy = exact_copy(data, bytes);
    for (size_t i = 0; i < bytes; i++) {
        for (size_t v = 0; v < sizeof values; v++) {
            ace_error err = {.code = ACESTEP_OK};
            copy[i] = values[v];
            ace_status status = read(copy, bytes, &err);
            if (status != ACESTEP_OK) {
                check_message(&err, status);
            }
            assert_int_equal(ace_memory_live(), live);
        }
        copy[i] = data[i];
    }
    free(copy);
}

void hostile_shortage(hostile_reader *read, const unsigned char *data, size_t bytes)
{
    uint64_t live = ace_memory_live();
    uint64_t before = ace_memory_count();
    assert_int_equal(read(data, bytes, NULL), ACESTEP_OK);
    uint64_t allocations = ace_memory_count() - before;
    assert_true(allocations > 0);
    for (uint64_t n = 1; n <= allocations; n++) {
        ace_error err = {.code = ACESTEP_OK};
        ace_memory_fail_at(n);
        ace_status status = read(data, bytes, &err);
        ace_memory_fail_at(0);
        assert_int_equal(status, ACESTEP_MEMORY);
        check_message(&err, ACESTEP_MEMORY);
        assert_int_equal(ace_memory_live(), live);
    }
}
