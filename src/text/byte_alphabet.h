/* The byte alphabet of GPT-2: every byte has a printable character, so that vocabularies of byte
 * strings can be written as text. Printable Latin-1 stands for itself, the other 68 bytes are
 * U+0100 and up in order (encoder.py of openai/gpt-2, bytes_to_unicode). */
#ifndef ACE_TEXT_BYTE_ALPHABET_H
#define ACE_TEXT_BYTE_ALPHABET_H

#include <stddef.h>

/* Writes the bytes that the spelled token stands for to out (at most as many as the spelling has;
 * out may be the spelling itself) and returns their number. A spelling with a character outside of
 * the alphabet stands for itself. */
size_t ace_byte_alphabet_decode(const char *spelling, size_t bytes, char *out);

#endif
