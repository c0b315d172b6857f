#include "lm/hints.h"

#include <ctype.h>
#include <stddef.h>
#include <string.h>
#include <strings.h>

typedef struct language_name {
    const char *name, *code;
} language_name;

static const language_name names[] = {
    {"english", "en"},    {"chinese", "zh"},  {"mandarin", "zh"},   {"中文", "zh"},
    {"普通话", "zh"},     {"japanese", "ja"}, {"日本語", "ja"},     {"korean", "ko"},
    {"한국어", "ko"},     {"spanish", "es"},  {"español", "es"},    {"french", "fr"},
    {"français", "fr"},   {"german", "de"},   {"deutsch", "de"},    {"italian", "it"},
    {"portuguese", "pt"}, {"russian", "ru"},  {"bengali", "bn"},    {"hindi", "hi"},
    {"arabic", "ar"},     {"thai", "th"},     {"vietnamese", "vi"}, {"indonesian", "id"},
    {"turkish", "tr"},    {"dutch", "nl"},    {"polish", "pl"},
};

static bool is_letter(char c)
{
    return isalpha((unsigned char)c) != 0;
}

/* ASCII case does not matter. Names in Latin letters must be whole words; scripts without spaces
 * have none. */
static bool names_it(const char *sentence, const char *name)
{
    size_t n = strlen(name);
    for (const char *at = sentence; *at != '\0'; at++) {
        bool begins = at == sentence || !is_letter(at[-1]) || !is_letter(name[0]);
        if (begins && strncasecmp(at, name, n) == 0 &&
            (!is_letter(at[n]) || !is_letter(name[n - 1]))) {
            return true;
        }
    }
    return false;
}

const char *ace_lm_hint_language(const char *sentence)
{
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        if (names_it(sentence, names[i].name)) {
            return names[i].code;
        }
    }
    return NULL;
}

static bool contains(const char *sentence, const char *words)
{
    size_t n = strlen(words);
    for (const char *at = sentence; *at != '\0'; at++) {
        if (strncasecmp(at, words, n) == 0) {
            return true;
        }
    }
    return false;
}

bool ace_lm_hint_instrumental(const char *sentence)
{
    static const char solo[] = " solo";
    size_t n = strlen(sentence);
    size_t tail = sizeof solo - 1;
    return contains(sentence, "instrumental") || contains(sentence, "pure music") ||
           contains(sentence, "pure instrument") || strcasecmp(sentence, "solo") == 0 ||
           (n > tail && strcasecmp(sentence + n - tail, solo) == 0);
}
