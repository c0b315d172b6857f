/* Requests as JSON: any bytes give a request or one error, and a request that was read survives
 * being written and read again. */
#include "options/option_readers.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    ace_request *r = NULL;
    ace_request *again = NULL;
    ace_error err = {.code = ACESTEP_OK};
    if (ace_request_create(&r, NULL) != ACESTEP_OK) {
        return 0;
    }
    if (ace_request_from_json(r, (const char *)data, size, true, &err) == ACESTEP_OK) {
        char *text = ace_request_to_json(r, false);
        if (text == NULL || ace_request_create(&again, NULL) != ACESTEP_OK ||
            ace_request_from_json(again, text, strlen(text), false, &err) != ACESTEP_OK) {
            abort();
        }
        free(text);
    } else if (err.message[0] == '\0') {
        abort();
    }
    ace_request_free(r);
    ace_request_free(again);
    return 0;
}
