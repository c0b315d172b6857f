/* Command lines: the input's lines are the arguments. '@' is taken out, so that no file is read. */
#include "options/option_readers.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { MOST_ARGUMENTS = 64 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *text = malloc(size + 1);
    char *argv[MOST_ARGUMENTS];
    int argc = 0;
    ace_request *r = NULL;
    ace_error err = {.code = ACESTEP_OK};
    if (text == NULL || ace_request_create(&r, NULL) != ACESTEP_OK) {
        free(text);
        return 0;
    }
    for (size_t i = 0; i < size; i++) {
        text[i] = data[i] == '\0' || data[i] == '@' ? '_' : (char)data[i];
    }
    text[size] = '\0';
    char *rest = text;
    for (char *line = NULL;
         argc < MOST_ARGUMENTS && (line = strtok_r(rest, "\n", &rest)) != NULL;) {
        argv[argc++] = line;
    }
    if (ace_request_from_arguments(r, argc, argv, &err) != ACESTEP_OK && err.message[0] == '\0') {
        abort();
    }
    ace_request_free(r);
    free(text);
    return 0;
}
