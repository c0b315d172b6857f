#include "lm/yaml_types.h"

#include <stddef.h>
#include <string.h>

#define DIGITS "0123456789"

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static const char *skip(const char *at, const char *set)
{
    return at + strspn(at, set);
}

static const char *skip_sign(const char *at)
{
    return *at == '-' || *at == '+' ? at + 1 : at;
}

static bool is_one_of(const char *text, const char *const *words, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (strcmp(text, words[i]) == 0) {
            return true;
        }
    }
    return false;
}

static bool is_word(const char *text)
{
    static const char *const words[] = {
        "yes",   "Yes",   "YES",   "no",   "No",   "NO",   "true",  "True",  "TRUE",  "false",
        "False", "on",    "On",    "ON",   "off",  "Off",  "OFF",   "FALSE", "null",  "Null",
        "NULL",  "~",     "",      ".inf", ".Inf", ".INF", "+.inf", "+.Inf", "+.INF", "=",
        "-.inf", "-.Inf", "-.INF", "<<",   ".nan", ".NaN", ".NAN"};
    return is_one_of(text, words, sizeof words / sizeof *words);
}

/* At least one of the set, and nothing else. */
static bool is_made_of(const char *text, const char *set)
{
    return *text != '\0' && *skip(text, set) == '\0';
}

/* Behind groups to the base of 60, ":59:7"; unmoved where a group is none. */
static const char *skip_sixties(const char *at)
{
    while (at[0] == ':' && is_digit(at[1])) {
        at += at[1] <= '5' && is_digit(at[2]) ? 3 : 2;
    }
    return at;
}

static bool is_integer(const char *text)
{
    const char *at = skip_sign(text);
    if (at[0] == '0') {
        switch (at[1]) {
        case '\0':
            return true;
        case 'b':
            return is_made_of(at + 2, "01_");
        case 'x':
            return is_made_of(at + 2, DIGITS "abcdefABCDEF_");
        default:
            return is_made_of(at + 1, "01234567_");
        }
    }
    return is_digit(at[0]) && *skip_sixties(skip(at, DIGITS "_")) == '\0';
}

/* YAML 1.1 wants a sign in the exponent. */
static const char *skip_exponent(const char *at)
{
    bool some = (at[0] == 'e' || at[0] == 'E') && (at[1] == '-' || at[1] == '+') && is_digit(at[2]);
    return some ? skip(at + 2, DIGITS) : at;
}

static bool is_real(const char *text)
{
    const char *at = skip_sign(text);
    if (at[0] == '.') {
        return at == text && is_digit(at[1]) && *skip_exponent(skip(at + 1, DIGITS "_")) == '\0';
    }
    if (!is_digit(at[0])) {
        return false;
    }
    at = skip(at, DIGITS "_");
    const char *point = skip_sixties(at);
    if (*point != '.') {
        return false;
    }
    const char *end = skip(point + 1, DIGITS "_");
    return *(point == at ? skip_exponent(end) : end) == '\0';
}

/* Behind least to most digits; NULL where there are fewer or more. */
static const char *digits(const char *at, int least, int most)
{
    int n = 0;
    while (n <= most && is_digit(at[n])) {
        n++;
    }
    return n >= least && n <= most ? at + n : NULL;
}

static const char *digits_after(const char *at, char sign, int least, int most)
{
    return at != NULL && *at == sign ? digits(at + 1, least, most) : NULL;
}

static bool is_zone(const char *text)
{
    const char *at = skip(text, " \t");
    if (*at == '\0') {
        return at == text;
    }
    if (at[0] == 'Z') {
        return at[1] == '\0';
    }
    if (at[0] != '-' && at[0] != '+') {
        return false;
    }
    at = digits(at + 1, 1, 2);
    if (at != NULL && *at == ':') {
        at = digits(at + 1, 2, 2);
    }
    return at != NULL && *at == '\0';
}

static bool is_date(const char *text)
{
    const char *month = digits_after(digits(text, 4, 4), '-', 1, 2);
    const char *day = digits_after(month, '-', 1, 2);
    if (day == NULL) {
        return false;
    }
    if (*day == '\0') { /* a date alone has two digits for each */
        return day == text + 10;
    }
    const char *hour = *day == 'T' || *day == 't' ? day + 1 : skip(day, " \t");
    if (hour == day) {
        return false;
    }
    const char *second = digits_after(digits_after(digits(hour, 1, 2), ':', 2, 2), ':', 2, 2);
    if (second == NULL) {
        return false;
    }
    return is_zone(*second == '.' ? skip(second + 1, DIGITS) : second);
}

bool ace_yaml_is_no_text(const char *text)
{
    return is_word(text) || is_integer(text) || is_real(text) || is_date(text);
}
