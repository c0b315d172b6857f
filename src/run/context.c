#include "run/context.h"

#include <string.h>

const float *ace_context_source(const ace_brief *brief, const ace_heard *heard, const float *hints)
{
    return brief->n_codes > 0 ? hints : heard->source.values;
}

/* What the frames outside of silence hold, or NULL: model.md 8.3. */
static const float *known_latents(const ace_brief *brief, const ace_heard *heard,
                                  const float *hints, bool plain)
{
    if (plain) {
        return NULL;
    }
    return brief->follows_codes ? hints : heard->source.values;
}

void ace_context_write(const ace_job *job, const ace_brief *brief, const ace_heard *heard,
                       const float *hints, bool plain, float *out)
{
    int64_t channels = job->models->dit_config.latent_channels;
    const float *known = known_latents(brief, heard, hints, plain);
    for (int64_t t = 0; t < brief->frames; t++) {
        bool inside = t >= brief->region_start && t < brief->region_end;
        /* repainting starts from silence; a new track (lego) is written over what can be heard */
        bool silent = known == NULL || (inside && brief->task == ACE_TASK_REPAINT);
        const float *from = (silent ? job->models->silence : known) + t * channels;
        memcpy(out, from, (size_t)channels * sizeof *out);
        for (int64_t c = 0; c < channels; c++) {
            out[channels + c] = inside ? job->settings.mask_value : 0.0f;
        }
        out += 2 * channels;
    }
}
