/* The data folder: who has it, and folders in it that come and go as a whole. */
#ifndef ACE_SERVER_JOBS_FOLDER_H
#define ACE_SERVER_JOBS_FOLDER_H

#include "base/status.h"

#include <stdbool.h>
#include <stdint.h>

enum { ACE_FOLDER_PATH_BYTES = 4400 };

/* Makes folder, its parents, and results/ and uploads/ in it, for the user alone. IO. */
ace_status ace_folder_prepare(const char *folder, ace_error *err);

/* Holds the folder until the descriptor is closed, or the process ends however it does. BUSY when
 * another process has it. */
ace_status ace_folder_lock(const char *folder, int *fd, ace_error *err);

/* Removes a folder with the files in it, two levels deep at most; a missing one is fine. */
void ace_folder_remove(const char *path);

/* An empty folder: whatever was there before goes. */
ace_status ace_folder_renew(const char *path, ace_error *err);

/* Gives `from` its final name, and returns once that is on disk. Whatever had the name goes. */
ace_status ace_folder_publish(const char *from, const char *to, ace_error *err);

uint64_t ace_folder_bytes(const char *path); /* of the files in it; 0 where it is missing */

/* Removes what a killed process has left half done: entries of `folder` that end in `suffix`. */
void ace_folder_sweep(const char *folder, const char *suffix);

/* Cuts the folder out of a message that names files in it: where they lie is no client's business. */
void ace_folder_hide(const char *folder, ace_error *err);

#endif
