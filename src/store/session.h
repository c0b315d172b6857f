/* One call of acestep_store_download: what its steps share. */
#ifndef ACE_STORE_SESSION_H
#define ACE_STORE_SESSION_H

#include "store/folder.h"
#include "store/source.h"

/* A set that is being got. */
typedef struct ace_store_order {
    const ace_store_set *set;
    int folder;             /* descriptor, locked; -1: the set is here and stays as it is */
    int source;             /* index, of the list */
    ace_store_files *files; /* NULL until the list is here */
    bool here[ACE_STORE_FILES];
    uint64_t fetched; /* bytes that came over the network */
} ace_store_order;

typedef struct ace_store_session {
    const acestep_store_options *options;
    char folder[ACE_STORE_FOLDER_BYTES];
    ace_store_sources sources;
    int preferred; /* the source that answered last */
    ace_store_order order[ACE_STORE_SETS];
    size_t n;

    acestep_store_progress *progress;
    void *context;
    acestep_store_state state;
    uint64_t finished;  /* bytes of files that are done */
    uint64_t last_done; /* for the speed */
    double started, last_told, last_measured;
    bool noted; /* what was told last had a note */
    bool stopped;
} ace_store_session;

/* Tells where things stand, at most ten times a second but when a note comes or goes. False: stop.
 */
bool ace_store_session_tell(ace_store_session *s, const char *note);
/* The same as an ace_store_go_on, context: the session. */
bool ace_store_session_go_on(void *context, const char *note);

/* Gets what is missing of one order from the source of its list. */
ace_status ace_store_order_run(ace_store_session *s, ace_store_order *o, ace_error *err);
/* Marks files that are here with the right content. */
ace_status ace_store_order_look(ace_store_session *s, ace_store_order *o, ace_error *err);

/* Digest of a file that is here; MODEL where it cannot be read, CANCELLED. */
ace_status ace_store_file_digest(int folder, const ace_store_file *file, ace_store_go_on *go_on,
                                 void *context, char sha256[ACE_STORE_SHA256_BYTES], bool *matches,
                                 ace_error *err);

#endif
