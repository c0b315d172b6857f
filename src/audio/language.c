#include "audio/language.h"

#include <stddef.h>
#include <string.h>
#include <strings.h>

/* The languages the model sings in; ISO 639-2/T codes. Cantonese has only an ISO 639-3 code. */
static const struct {
    char two[4];
    char three[4];
} languages[] = {
    {"ar", "ara"},  {"az", "aze"}, {"bg", "bul"}, {"bn", "ben"}, {"ca", "cat"}, {"cs", "ces"},
    {"da", "dan"},  {"de", "deu"}, {"el", "ell"}, {"en", "eng"}, {"es", "spa"}, {"fa", "fas"},
    {"fi", "fin"},  {"fr", "fra"}, {"he", "heb"}, {"hi", "hin"}, {"hr", "hrv"}, {"ht", "hat"},
    {"hu", "hun"},  {"id", "ind"}, {"is", "isl"}, {"it", "ita"}, {"ja", "jpn"}, {"ko", "kor"},
    {"la", "lat"},  {"lt", "lit"}, {"ms", "msa"}, {"ne", "nep"}, {"nl", "nld"}, {"no", "nor"},
    {"pa", "pan"},  {"pl", "pol"}, {"pt", "por"}, {"ro", "ron"}, {"ru", "rus"}, {"sa", "san"},
    {"sk", "slk"},  {"sr", "srp"}, {"sv", "swe"}, {"sw", "swa"}, {"ta", "tam"}, {"te", "tel"},
    {"th", "tha"},  {"tl", "tgl"}, {"tr", "tur"}, {"uk", "ukr"}, {"ur", "urd"}, {"vi", "vie"},
    {"yue", "yue"}, {"zh", "zho"},
};

const char *ace_language_iso639_2(const char *code)
{
    for (size_t i = 0; code != NULL && i < sizeof languages / sizeof languages[0]; i++) {
        if (strcasecmp(code, languages[i].two) == 0 || strcasecmp(code, languages[i].three) == 0) {
            return languages[i].three;
        }
    }
    return "und";
}

const char *ace_language_short(const char *code)
{
    for (size_t i = 0; i < sizeof languages / sizeof languages[0]; i++) {
        if (strcasecmp(code, languages[i].three) == 0) {
            return languages[i].two;
        }
    }
    return code;
}
