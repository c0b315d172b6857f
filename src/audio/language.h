/* Language codes: two letters (ISO 639-1), as the model uses, to three (ISO 639-2), as ID3 wants.
 */
#ifndef ACE_AUDIO_LANGUAGE_H
#define ACE_AUDIO_LANGUAGE_H

/* A code of three letters; "und" (undetermined) for NULL and unknown ones. */
const char *ace_language_iso639_2(const char *code);

/* Back again: the model's code for one of three letters, or the code itself when none fits. */
const char *ace_language_short(const char *code);

#endif
