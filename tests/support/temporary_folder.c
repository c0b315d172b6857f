#define _XOPEN_SOURCE 700 /* nftw, mkdtemp */
#include "support/temporary_folder.h"

#include <ftw.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

void temporary_folder_make(char path[TEMPORARY_FOLDER_BYTES])
{
    (void)snprintf(path, TEMPORARY_FOLDER_BYTES, "/tmp/acestep-test-XXXXXX");
    assert_non_null(mkdtemp(path));
}

static int remove_one(const char *path, const struct stat *st, int kind, struct FTW *place)
{
    (void)st, (void)kind, (void)place;
    return remove(path);
}

void temporary_folder_remove(const char *path)
{
    assert_int_equal(nftw(path, remove_one, 16, FTW_DEPTH | FTW_PHYS), 0);
}
