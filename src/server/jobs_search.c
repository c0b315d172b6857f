#include "server/jobs_search.h"

#include <stdlib.h>
#include <string.h>
#include <utf8proc.h>

char *ace_search_fold(const char *text)
{
    char *folded = (char *)utf8proc_NFKC_Casefold((const utf8proc_uint8_t *)text);
    return folded != NULL ? folded : strdup(text);
}
