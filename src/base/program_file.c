#include "base/program_file.h"

#include <sys/stat.h>

bool ace_program_identify(ace_digest *digest)
{
    struct stat st;
    if (stat("/proc/self/exe", &st) != 0) { /* Linux alone has it */
        return false;
    }
    const uint64_t numbers[] = {(uint64_t)st.st_size, (uint64_t)st.st_ino,
                                (uint64_t)st.st_mtim.tv_sec, (uint64_t)st.st_mtim.tv_nsec};
    for (int i = 0; i < 4; i++) {
        *digest = ace_digest_add_number(*digest, numbers[i]);
    }
    return true;
}
