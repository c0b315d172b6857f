#include "model/condition_reference.h"

#include "base/memory.h"

#include <string.h>

int64_t ace_condition_slots(const ace_padded_condition *in)
{
    int64_t most = 1;
    for (int64_t b = 0; b < in->batch; b++) {
        int64_t n = 0;
        for (int64_t r = 0; r < in->n_refs; r++) {
            n += in->ref_order[r] == b;
        }
        most = n > most ? n : most;
    }
    return most;
}

/* The parts before packing, on the host. */
typedef struct parts {
    float *lyrics, *text, *timbre, *tokens; /* tokens: one per reference */
    int64_t *timbre_mask;
    uint8_t *lyric_mask;
} parts;

static void free_parts(parts *p)
{
    ace_free(p->lyrics);
    ace_free(p->text);
    ace_free(p->timbre);
    ace_free(p->tokens);
    ace_free(p->timbre_mask);
    ace_free(p->lyric_mask);
}

static bool allocate_parts(parts *p, const ace_padded_condition *in, int64_t slots, int64_t hidden)
{
    p->lyrics = ace_calloc((size_t)(in->batch * in->lyric_length * hidden), sizeof(float));
    p->text = ace_calloc((size_t)(in->batch * in->text_length * hidden), sizeof(float));
    p->timbre = ace_calloc((size_t)(in->batch * slots * hidden), sizeof(float));
    p->tokens = ace_calloc((size_t)(in->n_refs * hidden), sizeof(float));
    p->timbre_mask = ace_calloc((size_t)(in->batch * slots), sizeof(int64_t));
    p->lyric_mask = ace_calloc((size_t)(in->batch * in->lyric_length), 1);
    return p->lyrics != NULL && p->text != NULL && p->timbre != NULL && p->tokens != NULL &&
           p->timbre_mask != NULL && p->lyric_mask != NULL;
}

static void encode_parts(ace_stream *s, const ace_condition_encoder *m,
                         const ace_padded_condition *in, parts *p)
{
    int64_t hidden = m->config.encoder.hidden;
    ace_arena_mark mark = ace_mark(s);
    for (int64_t i = 0; i < in->batch * in->lyric_length; i++) {
        p->lyric_mask[i] = in->lyric_mask[i] != 0;
    }
    ace_tensor lyrics = ace_new(s, ACE_F32, in->batch * in->lyric_length, hidden);
    ace_lyric_encode(s, m, lyrics, in->lyrics, in->batch, in->lyric_length, p->lyric_mask);
    ace_download(s, p->lyrics, lyrics);
    ace_reset(s, &mark);
    ace_tensor tokens = ace_new(s, ACE_F32, in->n_refs, hidden);
    ace_timbre_encode(s, m, tokens, in->timbre, in->n_refs, in->timbre_frames);
    ace_download(s, p->tokens, tokens);
    ace_reset(s, &mark);
    ace_tensor text = ace_new(s, ACE_F32, in->batch * in->text_length, hidden);
    ace_text_project(s, m, text, in->text);
    ace_download(s, p->text, text);
    ace_reset(s, &mark);
}

/* Each item's references in their order; unused slots stay zero. */
static void place_references(const ace_padded_condition *in, int64_t slots, int64_t hidden,
                             parts *p)
{
    for (int64_t b = 0; b < in->batch; b++) {
        int64_t slot = b * slots;
        for (int64_t r = 0; r < in->n_refs; r++) {
            if (in->ref_order[r] == b) {
                memcpy(p->timbre + slot * hidden, p->tokens + r * hidden,
                       (size_t)hidden * sizeof *p->timbre);
                p->timbre_mask[slot++] = 1;
            }
        }
    }
}

typedef struct packer {
    float *states;
    int64_t *mask;
    int64_t hidden, n;
} packer;

static void append(packer *p, const float *row, bool valid)
{
    memcpy(p->states + p->n * p->hidden, row, (size_t)p->hidden * sizeof *row);
    p->mask[p->n++] = valid;
}

static void append_those(packer *p, const float *rows, const int64_t *mask, int64_t n, bool valid)
{
    for (int64_t i = 0; i < n; i++) {
        if ((mask[i] != 0) == valid) {
            append(p, rows + i * p->hidden, valid);
        }
    }
}

/* Stable sorting by validity, twice: [lyrics, timbre], then with the text. */
static void pack_item(const ace_padded_condition *in, const parts *p, int64_t b, int64_t slots,
                      int64_t hidden, const ace_packed_condition *out)
{
    int64_t length = in->lyric_length + slots + in->text_length;
    packer k = {out->states + b * length * hidden, out->mask + b * length, hidden, 0};
    const float *lyrics = p->lyrics + b * in->lyric_length * hidden;
    const float *timbre = p->timbre + b * slots * hidden;
    const float *text = p->text + b * in->text_length * hidden;
    const int64_t *lyric_mask = in->lyric_mask + b * in->lyric_length;
    const int64_t *timbre_mask = p->timbre_mask + b * slots;
    const int64_t *text_mask = in->text_mask + b * in->text_length;
    append_those(&k, lyrics, lyric_mask, in->lyric_length, true);
    append_those(&k, timbre, timbre_mask, slots, true);
    append_those(&k, text, text_mask, in->text_length, true);
    append_those(&k, lyrics, lyric_mask, in->lyric_length, false);
    append_those(&k, timbre, timbre_mask, slots, false);
    append_those(&k, text, text_mask, in->text_length, false);
}

static void copy_if(void *to, const void *from, int64_t elements, size_t size)
{
    if (to != NULL) {
        memcpy(to, from, (size_t)elements * size);
    }
}

void ace_condition_encode_padded(ace_stream *s, const ace_condition_encoder *m,
                                 const ace_padded_condition *in, const ace_packed_condition *out)
{
    parts p = {0};
    int64_t hidden = m->config.encoder.hidden;
    int64_t slots = ace_condition_slots(in);
    if (!allocate_parts(&p, in, slots, hidden)) {
        ace_stream_fail(s, ACESTEP_MEMORY, "condition: no host memory");
    }
    if (s->status == ACESTEP_OK) {
        encode_parts(s, m, in, &p);
        place_references(in, slots, hidden, &p);
        for (int64_t b = 0; b < in->batch; b++) {
            pack_item(in, &p, b, slots, hidden, out);
        }
        copy_if(out->lyric_encoded, p.lyrics, in->batch * in->lyric_length * hidden, sizeof(float));
        copy_if(out->timbre, p.timbre, in->batch * slots * hidden, sizeof(float));
        copy_if(out->timbre_mask, p.timbre_mask, in->batch * slots, sizeof(int64_t));
        copy_if(out->text_projected, p.text, in->batch * in->text_length * hidden, sizeof(float));
    }
    free_parts(&p);
}
