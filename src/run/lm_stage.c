/* The 5 Hz language model plans songs: prompts are read once, then every song gets its tokens, as
 * many songs side by side as the plan says. */
#include "base/memory.h"
#include "run/pipeline.h"

/* The template around caption and lyrics, and the metadata that the model writes before the codes
 * (lm.md: at most 500 tokens); and the prompt without a caption, for guidance. */
enum { TEMPLATE_TOKENS = 500, UNCONDITIONAL_TOKENS = 128, SPARE_TOKENS = 10 };

static bool is_guided(const ace_job *job)
{
    return job->settings.lm_cfg_scale > 1;
}

/* gpu.md 9.3: the prompts are shared by all songs of a request; each song has room for its codes,
 * twice under guidance. */
static ace_lm_shape shape_of(const ace_job *job, const ace_brief *brief, int songs)
{
    int branches = is_guided(job) ? 2 : 1;
    ace_lm_shape shape = {.prompts = branches,
                          .sequences = songs * branches,
                          .own_tokens = brief->n_codes + SPARE_TOKENS};
    shape.prompt_tokens[0] = brief->text.n + brief->lyrics.n + TEMPLATE_TOKENS;
    shape.prompt_tokens[1] = UNCONDITIONAL_TOKENS;
    for (int i = 0; i < shape.sequences; i++) {
        shape.prompt_of[i] = i % branches;
    }
    return shape;
}

/* One song or several, from the prompts to the last code. `most`: decoding steps to walk through;
 * memory is the same from the first on. */
static void plan_songs(ace_stage *stage, const ace_job *job, const ace_brief *brief, int songs,
                       int64_t most, ace_lm_session *session)
{
    ace_stream *s = &stage->stream;
    const ace_language_model *model = &stage->runner->residency->lm;
    ace_lm_shape shape = shape_of(job, brief, songs);
    ace_lm_logits logits = {.count = model->config.vocabulary, .rows = 1};
    int sequences[ACE_LM_MAX_SEQUENCES];
    ace_arena_mark mark = ace_mark(s);
    ace_lm_begin(s, model, &shape, session);
    for (int i = 0; i < shape.prompts; i++) {
        ace_lm_read_prompt(session, i, NULL, shape.prompt_tokens[i], &logits);
    }
    for (int i = 0; i < shape.sequences; i++) {
        sequences[i] = i;
    }
    int64_t steps = brief->n_codes < most ? brief->n_codes : most;
    for (int64_t t = 0; t < steps && ace_stream_status(s) == ACESTEP_OK; t++) {
        ace_lm_decode(session, sequences, shape.sequences, NULL, &logits);
        ace_stream_progress(s, (double)(t + 1) / (double)steps);
    }
    ace_reset(s, &mark);
}

ace_status ace_run_lm(ace_runner *r, const ace_job *job, int64_t most_steps)
{
    if (!r->plan->lm_runs) {
        return ACESTEP_OK;
    }
    ace_stage stage;
    ace_lm_session *session = ace_calloc(1, sizeof *session);
    if (session == NULL) {
        return ace_fail(r->error, ACESTEP_MEMORY, "language model: no host memory");
    }
    (void)ace_stage_begin_id(r, ACE_STAGE_LM, &stage);
    (void)ace_stage_borrow(&stage, ACE_PART_LM);
    ace_status status = ace_stage_open(&stage);
    for (int b = 0; b < job->n_briefs && status == ACESTEP_OK; b++) {
        const ace_brief *brief = &job->brief[b];
        for (int done = 0; done < brief->n_songs && status == ACESTEP_OK;) {
            int songs = brief->n_songs - done;
            songs = songs < r->plan->lm_chunk ? songs : r->plan->lm_chunk;
            plan_songs(&stage, job, brief, songs, most_steps, session);
            done += songs;
            status = stage.stream.status;
        }
    }
    ace_free(session);
    ace_status end = ace_stage_end(&stage);
    return status != ACESTEP_OK ? status : end;
}
