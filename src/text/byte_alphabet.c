#include "text/byte_alphabet.h"

#include "text/utf8.h"

#include <string.h>

enum {
    FIRST_MOVED = 0x100, /* stands for byte 0x00 */
    N_MOVED = 68,
    LAST_CONTROL = 0x20, /* bytes 00…20 are the first 33 */
    DELETE_BYTE = 0x7F,  /* bytes 7F…A0 follow */
    SOFT_HYPHEN = 0xAD,  /* and AD is the last */
    FIRST_LATIN1_PRINTABLE = 0xA1
};

/* The byte of a character, -1 for one outside of the alphabet. */
static int byte_of(int32_t character)
{
    if (character >= FIRST_MOVED && character < FIRST_MOVED + N_MOVED) {
        int k = character - FIRST_MOVED;
        if (k <= LAST_CONTROL) {
            return k;
        }
        return k == N_MOVED - 1 ? SOFT_HYPHEN : DELETE_BYTE + (k - LAST_CONTROL - 1);
    }
    bool ascii = character > LAST_CONTROL && character < DELETE_BYTE;
    bool latin1 = character >= FIRST_LATIN1_PRINTABLE && character < FIRST_MOVED;
    return (ascii || latin1) && character != SOFT_HYPHEN ? (int)character : -1;
}

static bool is_in_alphabet(const char *spelling, size_t bytes)
{
    size_t at = 0;
    while (at < bytes) {
        size_t length = 1;
        if (byte_of(ace_utf8_decode(spelling + at, bytes - at, &length)) < 0) {
            return false;
        }
        at += length;
    }
    return true;
}

size_t ace_byte_alphabet_decode(const char *spelling, size_t bytes, char *out)
{
    if (!is_in_alphabet(spelling, bytes)) {
        memmove(out, spelling, bytes);
        return bytes;
    }
    size_t n = 0;
    size_t at = 0;
    while (at < bytes) {
        size_t length = 1;
        int byte = byte_of(ace_utf8_decode(spelling + at, bytes - at, &length));
        out[n++] = (char)byte;
        at += length;
    }
    return n;
}
