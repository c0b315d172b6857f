/* The places that checkpoints come from, in the order in which they are tried. */
#ifndef ACE_STORE_SOURCE_H
#define ACE_STORE_SOURCE_H

#include "acestep/store.h"
#include "store/catalogue.h"
#include "store/file_list.h"
#include "store/http.h"

typedef enum ace_store_protocol {
    ACE_STORE_HUGGINGFACE,
    ACE_STORE_MODELSCOPE,
    ACE_STORE_COPY /* a web server with a copy of a models folder */
} ace_store_protocol;

typedef struct ace_store_source {
    ace_store_protocol protocol;
    const char *revision; /* asked for; NULL: the one of this release */
    ace_store_line line;
} ace_store_source;

enum { ACE_STORE_SOURCES = 2 };
typedef struct ace_store_sources {
    ace_store_source source[ACE_STORE_SOURCES];
    int n;
} ace_store_sources;

const char *ace_store_source_name(const ace_store_source *source);

/* Texts of options are borrowed. ARGUMENT. */
ace_status ace_store_sources_resolve(const acestep_store_options *options, ace_store_sources *out,
                                     ace_error *err);

/* What the set consists of there. NETWORK also where that is not what this release knows it to be.
 */
ace_status ace_store_source_list(const ace_store_source *source, const ace_store_set *set,
                                 ace_store_go_on *go_on, void *context, ace_store_files *out,
                                 ace_error *err);

/* Where a file lies, after the beginning of the line. revision: of the list. */
void ace_store_source_path(const ace_store_source *source, const ace_store_set *set,
                           const char *revision, const char *file, char *out, size_t room);

#endif
