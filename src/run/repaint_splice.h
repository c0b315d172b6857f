/* After decoding: the recording itself around what was made anew. */
#ifndef ACE_RUN_REPAINT_SPLICE_H
#define ACE_RUN_REPAINT_SPLICE_H

#include "run/pipeline.h"

/* In place, of the source that each brief holds anyway. Songs without a region stay as they are,
 * and so do those whose source was given as latents. */
void ace_repaint_splice(const ace_job *job, ace_finished *songs, int n_songs);

#endif
