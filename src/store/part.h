/* Unfinished files: NAME.part, and NAME.part.etag, which says what content it is a part of. */
#ifndef ACE_STORE_PART_H
#define ACE_STORE_PART_H

#include "store/file_list.h"

enum { ACE_STORE_ETAG_BYTES = 256 };

/* For reading and writing, at its start; -1 with errno. */
int ace_store_part_open(int folder, const char *name);

/* The ETag under which this part came from the host with this address; false with "" where it is
 * not known, or belongs to other content. */
bool ace_store_part_etag(int folder, const ace_store_file *file, const char *base,
                         char etag[ACE_STORE_ETAG_BYTES]);
/* Without it the part is still of use where the digest is known: errors are no matter. */
void ace_store_part_remember(int folder, const ace_store_file *file, const char *base,
                             const char *etag);

/* To disk, then NAME.part becomes NAME. 0, or -1 with errno. */
int ace_store_part_finish(int folder, int fd, const char *name);

/* Removes NAME.part and what belongs to it. */
void ace_store_part_remove(int folder, const char *name);
/* Bytes of NAME.part; 0 when there is none. */
uint64_t ace_store_part_bytes(int folder, const char *name);

#endif
