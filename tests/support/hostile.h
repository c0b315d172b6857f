/* Properties that every reader of foreign files must have. */
#ifndef TESTS_SUPPORT_HOSTILE_H
#define TESTS_SUPPORT_HOSTILE_H

#include "base/status.h"

#include <stddef.h>

/* Reads `bytes` at data, and releases what came of it again. */
typedef ace_status hostile_reader(const unsigned char *data, size_t bytes, ace_error *err);

/* Every proper prefix fails with MODEL, a message of one line, and nothing left allocated. Each
 * prefix is a block of its own, so that AddressSanitizer sees a read behind its end. */
void hostile_cut(hostile_reader *read, const unsigned char *data, size_t bytes);

/* Every byte in turn is set to 0, 1, 0x7f and 0xff: whatever comes of it, nothing is left. */
void hostile_change(hostile_reader *read, const unsigned char *data, size_t bytes);

/* The file is fine, but the n-th allocation fails, for every n: MEMORY, and nothing is left. */
void hostile_shortage(hostile_reader *read, const unsigned char *data, size_t bytes);

#endif
