/* A folder of a test's own, removed with everything in it. */
#ifndef TESTS_SUPPORT_TEMPORARY_FOLDER_H
#define TESTS_SUPPORT_TEMPORARY_FOLDER_H

enum { TEMPORARY_FOLDER_BYTES = 64 };

void temporary_folder_make(char path[TEMPORARY_FOLDER_BYTES]);
void temporary_folder_remove(const char *path);

#endif
