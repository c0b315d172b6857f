/* silence_latent.pt: what is found lies in the file. Corpus: tests/fuzz/corpus/torch_archive. */
#include "weights/torch_archive.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const unsigned char *entry = NULL;
    size_t bytes = 0;
    ace_error err = {.code = ACESTEP_OK};
    if (ace_torch_archive_find(data, size, "input", &entry, &bytes, &err) != ACESTEP_OK) {
        if (err.message[0] == '\0' || strchr(err.message, '\n') != NULL) {
            abort();
        }
        return 0;
    }
    if (entry < data || bytes > size || (size_t)(entry - data) > size - bytes) {
        abort();
    }
    return 0;
}
