/* Which files a set consists of, as a host's interface or a manifest tells. None of it is trusted:
 * a name is one path element of plain characters, sizes are bounded, digests are hexadecimal. */
#ifndef ACE_STORE_FILE_LIST_H
#define ACE_STORE_FILE_LIST_H

#include "base/status.h"

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    ACE_STORE_NAME_BYTES = 128,
    ACE_STORE_REVISION_BYTES = 72,
    ACE_STORE_SHA256_BYTES = 65, /* digits and the end */
    ACE_STORE_SHA1_BYTES = 41,
    ACE_STORE_FILES = 64 /* the most of a set; published ones have up to 12 */
};

typedef struct ace_store_file {
    char name[ACE_STORE_NAME_BYTES];
    uint64_t bytes;
    char sha256[ACE_STORE_SHA256_BYTES]; /* lower case; "": not told */
    char git_sha1[ACE_STORE_SHA1_BYTES]; /* of the git blob; "": not told */
} ace_store_file;

typedef struct ace_store_files {
    char revision[ACE_STORE_REVISION_BYTES];
    ace_store_file file[ACE_STORE_FILES];
    size_t n;
} ace_store_files;

#define ACE_STORE_MANIFEST "acestep-manifest.json" /* beside the files that it names */

/* A file that the engine reads: *.safetensors, *.gguf, *.json, merges.txt, silence_latent.pt. */
bool ace_store_is_wanted(const char *name);

/* Hugging Face, /api/models/REPOSITORY/revision/REVISION?blobs=true. `inside`: only this folder of
 * the repository, or only this file; "": its root. where: stands for the text in messages. Here and
 * below: NETWORK for what is no such list, or has a name or a size that cannot be right. */
ace_status ace_store_parse_huggingface(const char *text, size_t bytes, const char *inside,
                                       const char *where, ace_store_files *out, ace_error *err);
/* ModelScope, /api/v1/models/REPOSITORY/repo/files?Revision=REVISION&Recursive=true */
ace_status ace_store_parse_modelscope(const char *text, size_t bytes, const char *inside,
                                      const char *where, ace_store_files *out, ace_error *err);
/* A manifest of ours; MODEL instead of NETWORK. */
ace_status ace_store_parse_manifest(const char *text, size_t bytes, const char *where,
                                    ace_store_files *out, ace_error *err);

#endif
