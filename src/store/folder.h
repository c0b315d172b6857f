/* A models folder on disk, and how complete the sets in it are. */
#ifndef ACE_STORE_FOLDER_H
#define ACE_STORE_FOLDER_H

#include "store/catalogue.h"
#include "store/file_list.h"

enum { ACE_STORE_FOLDER_BYTES = 4096 };

/* acestep_store_folder says which. ARGUMENT where there is none, or its path is too long. */
ace_status ace_store_folder_resolve(const char *asked, char out[ACE_STORE_FOLDER_BYTES],
                                    ace_error *err);

/* Descriptor of folder/set; with create, made with its parents where it is missing. -1 with errno.
 */
int ace_store_set_open(const char *folder, const char *set, bool create);

/* Bytes that may still be written there; the folder need not exist yet. */
uint64_t ace_store_folder_room(const char *folder);

typedef enum ace_store_state {
    ACE_STORE_ABSENT,
    ACE_STORE_PARTIAL,
    ACE_STORE_COMPLETE,
    ACE_STORE_DAMAGED
} ace_store_state;

typedef struct ace_store_found {
    ace_store_state state;
    char reason[256]; /* why it is not complete */
    uint64_t bytes;   /* on disk, unfinished ones too */
    char revision[ACE_STORE_REVISION_BYTES];
    bool has_manifest;
} ace_store_found;

/* By sizes and by the headers of tensors; contents are not read. Complete is only what really is:
 * with a manifest all that it names, without one a config and all tensors' files. Of SET.gguf
 * without one only the first bytes are looked at. */
void ace_store_set_look(const char *folder, const char *set, ace_store_found *out);

const char *ace_store_state_name(ace_store_state state);

#endif
