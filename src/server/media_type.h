/* What a file is, for the Content-Type header, by the end of its name. */
#ifndef ACE_SERVER_MEDIA_TYPE_H
#define ACE_SERVER_MEDIA_TYPE_H

/* "audio/flac" for "song.flac"; "application/octet-stream" for anything unknown. A static string. */
const char *ace_media_type(const char *name);

#endif
