/* One file on its way from a host into its folder.
 *
 * Bytes go to NAME.part and through the digests at once; NAME.part.etag remembers which content
 * they belong to, so that any later attempt, also of another process, goes on where this one ended.
 * Only when size and digest are right does the file get its name. */
#ifndef ACE_STORE_TRANSFER_H
#define ACE_STORE_TRANSFER_H

#include "store/http.h"
#include "store/sha256.h"

typedef enum ace_store_transfer_state {
    ACE_STORE_WAITING, /* until not_before */
    ACE_STORE_RUNNING,
    ACE_STORE_FINISHED,
    ACE_STORE_FAILED
} ace_store_transfer_state;

typedef struct ace_store_transfer {
    /* given */
    const ace_store_line *line;
    ace_store_file *file; /* sha256 is filled in at the end */
    int folder;           /* descriptor of the set's folder */
    char path[1024];      /* on the host, after line->base */
    char what[256];       /* for messages */

    ace_store_transfer_state state;
    double not_before; /* monotonic seconds */
    uint64_t have;     /* bytes in NAME.part, or of the finished file */
    uint64_t fetched;  /* bytes that came over the network */
    ace_error err;     /* why it failed, or is tried again */

    ace_store_request request;
    ace_store_sha sha;
    int fd;
    uint64_t best;     /* the most it ever had: more is progress */
    int attempts;      /* in a row without progress */
    bool joined;       /* the part was not fetched in one go */
    bool begun_anew;   /* for a wrong digest; a second time is final */
    bool body_started; /* of the present answer */
    ace_error fault;   /* of the present answer: found while its body came */
    bool fault_final;
} ace_store_transfer;

/* Opens NAME.part and reads what it has. IO, CANCELLED. */
ace_status ace_store_transfer_open(ace_store_transfer *t, ace_store_go_on *go_on, void *context,
                                   ace_error *err);
void ace_store_transfer_close(ace_store_transfer *t); /* the part stays */

/* WAITING → RUNNING (or FINISHED, FAILED). */
void ace_store_transfer_start(ace_store_transfer *t, CURLM *multi);
/* What libcurl says at the end of a hop: RUNNING again, WAITING, FINISHED or FAILED. */
void ace_store_transfer_ended(ace_store_transfer *t, CURLM *multi, CURLcode code);

#endif
