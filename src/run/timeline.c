#include "run/timeline.h"

size_t ace_memory_sample_bytes(const ace_memory_sample *s)
{
    size_t bytes = s->work;
    for (int i = 0; i < ACE_PARTS; i++) {
        bytes += s->part[i];
    }
    return bytes;
}

static void halve(ace_timeline *t)
{
    int kept = 0;
    for (int i = 0; i + 1 < t->n; i += 2) {
        const ace_memory_sample *a = &t->sample[i];
        const ace_memory_sample *b = &t->sample[i + 1];
        ace_memory_sample larger =
            ace_memory_sample_bytes(a) >= ace_memory_sample_bytes(b) ? *a : *b;
        larger.at = a->at;
        t->sample[kept++] = larger;
    }
    t->n = kept;
}

void ace_timeline_add(ace_timeline *t, const ace_memory_sample *sample)
{
    if (t->n == ACE_TIMELINE_SAMPLES) {
        halve(t);
    }
    t->sample[t->n++] = *sample;
    t->end = sample->at;
}
