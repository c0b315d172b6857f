#include "run/repaint_splice.h"

#include "audio/level.h"
#include "audio/splice.h"

void ace_repaint_splice(const ace_job *job, ace_finished *songs, int n_songs)
{
    for (int i = 0; i < n_songs; i++) {
        const ace_brief *b = &job->brief[songs[i].brief];
        if (b->splices && songs[i].audio.samples != NULL) {
            ace_level_fit(&songs[i].audio); /* the original does this first */
            ace_audio_splice(&songs[i].audio, &b->source, b->splice_start, b->splice_end,
                             b->splice_fade);
        }
    }
}
