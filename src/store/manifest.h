/* acestep-manifest.json beside the files of a set: what they are and where they come from. It is
 * written when all of them are there; acestep-manifest.json.part says the same of a download that
 * is under way. */
#ifndef ACE_STORE_MANIFEST_H
#define ACE_STORE_MANIFEST_H

#include "store/catalogue.h"
#include "store/file_list.h"

#define ACE_STORE_MANIFEST_PART ACE_STORE_MANIFEST ".part"

/* folder: descriptor of the set's folder. name: of the set, for messages. found: false, and OK,
 * where there is none. MODEL for a damaged one. */
ace_status ace_store_manifest_read(int folder, const char *name, bool part, ace_store_files *out,
                                   bool *found, ace_error *err);
ace_status ace_store_manifest_write(int folder, const ace_store_set *set, const char *source,
                                    bool part, const ace_store_files *files, ace_error *err);
void ace_store_manifest_remove(int folder, bool part);

#endif
