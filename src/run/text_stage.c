/* Prompts to hidden states. Lyrics only fetch rows of the embedding table: no layer runs on them.
 */
#include "run/pipeline.h"
#include "weights/embedding.h"

static ace_status gather(const ace_runner *r, const ace_models *m, const ace_tokens *tokens,
                         ace_array *out)
{
    int64_t width = m->text_config.block.hidden;
    ace_status status = ace_array_create(tokens->n, width, out, r->error);
    if (status != ACESTEP_OK || !r->device->computes) {
        return status;
    }
    return ace_embedding_gather(m->text, "embed_tokens.weight", m->text_config.vocabulary, width,
                                tokens->ids, tokens->n, out->values, r->error);
}

/* The encoder's last hidden states take the place of the embeddings they come from. */
static void encode(ace_stream *s, const ace_text_encoder *encoder, ace_array *states)
{
    ace_arena_mark mark = ace_mark(s);
    ace_tensor x = ace_new_from(s, ACE_F32, states->rows, states->cols, states->values);
    ace_text_encoder_forward(s, encoder, x, 1, states->rows, NULL, x);
    ace_download(s, states->values, x);
    ace_reset(s, &mark);
}

static ace_status gather_all(const ace_runner *r, const ace_job *job, ace_text_states *states)
{
    ace_status status = ACESTEP_OK;
    for (int b = 0; b < job->n_briefs && status == ACESTEP_OK; b++) {
        const ace_brief *brief = &job->brief[b];
        status = gather(r, job->models, &brief->text, &states[b].hidden);
        if (status == ACESTEP_OK) {
            status = gather(r, job->models, &brief->lyrics, &states[b].lyrics);
        }
        if (status == ACESTEP_OK && brief->plain_text.n > 0) {
            status = gather(r, job->models, &brief->plain_text, &states[b].plain_hidden);
        }
    }
    return status;
}

ace_status ace_run_text(ace_runner *r, const ace_job *job, ace_text_states *states)
{
    ace_status status = gather_all(r, job, states);
    if (status != ACESTEP_OK) {
        return status;
    }
    ace_stage stage;
    (void)ace_stage_begin_id(r, ACE_STAGE_TEXT, &stage);
    (void)ace_stage_borrow(&stage, ACE_PART_TEXT);
    if (ace_stage_open(&stage) == ACESTEP_OK) {
        for (int b = 0; b < job->n_briefs; b++) {
            encode(&stage.stream, &r->residency->text, &states[b].hidden);
            if (states[b].plain_hidden.rows > 0) {
                encode(&stage.stream, &r->residency->text, &states[b].plain_hidden);
            }
        }
    }
    return ace_stage_end(&stage);
}
