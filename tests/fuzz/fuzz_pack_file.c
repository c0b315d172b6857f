/* Headers of packed images: what is accepted has its table inside. Corpus: tests/fuzz/corpus/pack_file. */
#include "run/pack_file.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    uint64_t file_bytes = 0;
    ace_pack_header header;
    for (size_t i = 0; i < 8 && i < size; i++) { /* the last bytes are the file's length */
        file_bytes = file_bytes << 8 | data[size - 1 - i];
    }
    uint64_t lengths[] = {file_bytes, size};
    for (int i = 0; i < 2; i++) {
        if (!ace_pack_header_parse(data, size, lengths[i], &header)) {
            continue;
        }
        if (header.data_offset > size || header.checksums < data ||
            (size_t)(header.checksums - data) + header.chunks * 8 > header.data_offset ||
            header.data_offset + header.bytes != lengths[i] ||
            header.bytes > header.chunks * ACE_PACK_CHUNK) {
            abort();
        }
    }
    return 0;
}
