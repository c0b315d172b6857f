/* Choosing on the card, in the emulator: as the host chooses, alone as in company. */
#include "choice_cases.h"
#include "emulated_card.h"

#include <math.h>
#include <stdio.h>

static void as_on_the_host(void **state)
{
    (void)state;
    choice_tally tally;
    ace_device *d = open_card(SIZE_MAX, 0);
    choice_cases_run(d, 1, 2000, &tally);
    print_message("%lld choices, %lld of nothing, %lld at an edge\n", (long long)tally.choices,
                  (long long)tally.refused, (long long)tally.at_edge);
    if (tally.wrong > 0) {
        fail_msg("%lld wrong: %s", (long long)tally.wrong, tally.first_wrong);
    }
    assert_true(tally.choices > 10000 && tally.refused > 1000);
    assert_true(tally.at_edge < tally.choices / 1000);
    ace_device_close(d);
}

/* As many columns as the published model has codes, and the end token in front of them. */
static void among_all_codes(void **state)
{
    enum { COLUMNS = 65560, FIRST = 24, CALLS = 3 };
    (void)state;
    ace_device *d = open_card(SIZE_MAX, 0);
    float *rows = malloc((size_t)4 * COLUMNS * sizeof *rows);
    assert_non_null(rows);
    uint32_t seed = 5;
    for (int64_t i = 0; i < 4 * COLUMNS; i++) {
        seed = seed * 1664525u + 1013904223u;
        rows[i] = 3 * logf(1e-6f + (float)(seed >> 8) / 16777216.0f) + (float)(i % 97) / 16;
    }
    for (int k = 0; k < CALLS; k++) {
        int32_t chosen[2];
        ace_choice choices[2];
        for (int i = 0; i < 2; i++) {
            choices[i] = (ace_choice){.row = i,
                                      .twin = 2 + i,
                                      .guidance = 2,
                                      .first = FIRST,
                                      .count = COLUMNS - FIRST,
                                      .also = i == 0 ? 0 : ACE_CHOICE_NONE,
                                      .top_k = k == 1 ? 500 : 0,
                                      .top_p = k == 2 ? 1 : 0.9,
                                      .temperature = 0.85f,
                                      .uniform = 0.1 + 0.37 * k + 0.1 * i,
                                      .temper_last = i == 1};
        }
        assert_true(choice_on_device(d, rows, 4, COLUMNS, choices, 2, chosen));
        for (int i = 0; i < 2; i++) {
            assert_int_equal(chosen[i], choice_on_host(rows, COLUMNS, &choices[i]));
            int32_t alone = ACE_CHOICE_NONE;
            assert_true(choice_on_device(d, rows, 4, COLUMNS, &choices[i], 1, &alone));
            assert_int_equal(chosen[i], alone);
        }
    }
    free(rows);
    ace_device_close(d);
}

/* A choice is a share of the whole: how often each comes is how probable it is. */
static void shares_are_probabilities(void **state)
{
    enum { COLUMNS = 8, DRAWS = 64 };
    static const float row[COLUMNS] = {0, 0, 0, 0, 0, 0, 0, 0};
    (void)state;
    ace_device *d = open_card(SIZE_MAX, 0);
    ace_choice choices[DRAWS];
    float rows[DRAWS * COLUMNS];
    int32_t chosen[DRAWS];
    for (int i = 0; i < DRAWS; i++) {
        memcpy(rows + i * COLUMNS, row, sizeof row);
        choices[i] = (ace_choice){.row = i,
                                  .twin = ACE_CHOICE_NONE,
                                  .count = COLUMNS,
                                  .also = ACE_CHOICE_NONE,
                                  .top_p = 1,
                                  .temperature = 1,
                                  .uniform = (double)i / DRAWS};
    }
    assert_true(choice_on_device(d, rows, DRAWS, COLUMNS, choices, DRAWS, chosen));
    for (int i = 0; i < DRAWS; i++) {
        assert_int_equal(chosen[i], i / (DRAWS / COLUMNS));
    }
    ace_device_close(d);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(as_on_the_host),
        cmocka_unit_test(among_all_codes),
        cmocka_unit_test(shares_are_probabilities),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
