/* Any file is latents or one error. What is read holds numbers only, and is written back as it was.
 */
#include "base/memory.h"
#include "run/latents_file.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const int64_t channels[] = {1, 8, 64};
    ace_array latents;
    ace_error err = {.code = ACESTEP_OK};
    if (size == 0) {
        return 0;
    }
    int64_t width = channels[data[0] % 3];
    if (ace_latents_parse(data + 1, size - 1, width, "input", &latents, &err) != ACESTEP_OK) {
        if (err.message[0] == '\0' || latents.values != NULL || err.code != ACESTEP_AUDIO) {
            abort();
        }
        return 0;
    }
    size_t n = (size_t)(latents.rows * latents.cols);
    if (n * sizeof(float) != size - 1 || latents.cols != width ||
        memcmp(latents.values, data + 1, size - 1) != 0) { /* on a little-endian machine */
        abort();
    }
    for (size_t i = 0; i < n; i++) {
        if (!isfinite(latents.values[i])) {
            abort();
        }
    }
    ace_array_free(&latents);
    return 0;
}
