/* The page of the server: the files that web/ is built into, embedded by cmake/page.cmake. */
#ifndef ACE_SERVER_PAGE_H
#define ACE_SERVER_PAGE_H

#include <stddef.h>

typedef struct ace_page_file {
    const char *path; /* as in the address, without the leading slash: "index.html", "page.js" */
    const char *content_type; /* with its charset */
    const char *hash;         /* of the plain bytes, hexadecimal: the file's ETag, without quotes */
    const unsigned char *bytes;
    size_t size;
    const unsigned char *gzip; /* the same for a browser that accepts gzip */
    size_t gzip_size;
} ace_page_file;

/* The table and its length in *count; they live as long as the program. The page itself is "index.html".
 * *count is 0 in a program that was built without Node.js: it serves its API alone. */
const ace_page_file *ace_page_files(size_t *count);

#endif
