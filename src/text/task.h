/* The tasks of the diffusion model and the instruction sentence that opens each one's prompt. */
#ifndef ACE_TEXT_TASK_H
#define ACE_TEXT_TASK_H

#include "base/status.h"
#include "text/text_buffer.h"

#include <stdbool.h>

typedef enum ace_task {
    ACE_TASK_TEXT2MUSIC,
    ACE_TASK_COVER, /* also text to music along given codes */
    ACE_TASK_REPAINT,
    ACE_TASK_LEGO,
    ACE_TASK_EXTRACT,
    ACE_TASK_COMPLETE
} ace_task;

enum { ACE_N_TASKS = ACE_TASK_COMPLETE + 1, ACE_N_TRACKS = 12 };

/* As in requests, e.g. "text2music"; NULL for a value outside of the enumeration. */
const char *ace_task_name(ace_task task);
bool ace_task_from_name(const char *name, ace_task *task);

/* The tracks that the base model knows (acestep/constants.py, TRACK_NAMES). Other names may be
 * used; results are then up to the model. */
extern const char *const ace_track_names[ACE_N_TRACKS];
bool ace_track_is_known(const char *name);

/* Appends the instruction, which ends with a colon. track is for lego and extract, classes,
 * separated by commas, for complete; both may be NULL or blank. */
void ace_task_append_instruction(ace_text_buffer *out, ace_task task, const char *track,
                                 const char *classes);

#endif
