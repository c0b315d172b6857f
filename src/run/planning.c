#include "run/planning.h"

#include "base/memory.h"
#include "model/vae_tiling.h"
#include "run/audio_encoder_stage.h"
#include "run/decoder_stage.h"

#include <stdio.h>
#include <string.h>

/* Latent frames that a CPU decodes at once: one in twenty is computed twice, and the two widest
 * levels take 380 MB, less than other stages. */
enum { CPU_VAE_CHUNK = 384 };

/* Address space of a measuring arena. */
static const size_t UNLIMITED_BYTES = (size_t)1 << 50;

/* ---- sizes
 * --------------------------------------------------------------------------------------- */

static ace_runner measuring_runner(const ace_workshop *w, ace_residency *residency,
                                   const ace_plan *plan, ace_error *err)
{
    return (ace_runner){.device = w->measure,
                        .host = w->cpu_measure,
                        .host_measure = w->cpu_measure,
                        .residency = residency,
                        .plan = plan,
                        .activation = w->precisions.activation,
                        .matrix = w->precisions.plain,
                        .error = err};
}

static ace_status measure_parts(const ace_workshop *w, ace_goal goal, ace_residency *residency,
                                ace_sizes *out, ace_error *err)
{
    for (int i = 0; i < ACE_PARTS; i++) {
        ace_part part = (ace_part)i;
        out->has[i] = ace_goal_needs(goal, part) && ace_residency_has(residency, part);
        for (int type = 0; type < ACE_PLAN_TYPES && out->has[i]; type++) {
            ace_plan plan = {.offload = ACE_OFFLOAD_CPU_DIT, .int8 = type == 1, .window = 1 << 20};
            ace_stream_counters unused = {0};
            ace_status status = ace_residency_load(residency, &plan, part, UNLIMITED_BYTES, &unused,
                                                   &out->part[i][type], err);
            ace_residency_drop(residency, part);
            if (status != ACESTEP_OK) {
                return status;
            }
        }
    }
    ace_dtype types[ACE_PLAN_TYPES] = {w->precisions.plain, ACE_I8};
    for (int type = 0; type < ACE_PLAN_TYPES; type++) {
        out->layer[type] = ace_layer_bytes(w->measure, w->models.dit, &w->models.dit_config,
                                           types[type], w->precisions.activation);
    }
    out->layers = (int)w->models.dit_config.layers;
    return ACESTEP_OK;
}

static int64_t longest_frames(const ace_job *job)
{
    int64_t frames = 0;
    for (int b = 0; b < job->n_briefs; b++) {
        frames = job->brief[b].frames > frames ? job->brief[b].frames : frames;
    }
    return frames;
}

/* Latent frames on each side of a VAE window: as many as its decoder hears, so that a tile equals
 * the same stretch of the whole, whatever the weights. */
static int64_t vae_overlap(const ace_workshop *w, const ace_request *r)
{
    return r->vae_overlap > 0 ? r->vae_overlap : ace_vae_decoder_halo(&w->models.vae_config);
}

static int64_t encoder_overlap(const ace_workshop *w)
{
    int64_t halo = ace_vae_encoder_halo(&w->models.vae_config);
    return halo > ACE_ENCODER_OVERLAP ? halo : ACE_ENCODER_OVERLAP;
}

/* The sizes that the planner may choose from, largest first. */
static void list_chunks(const ace_workshop *w, const ace_request *r, ace_sizes *out)
{
    bool is_card = w->hardware.device != ACE_DEVICE_CPU;
    int64_t first = r->vae_chunk > 0 ? r->vae_chunk : is_card ? 1536 : CPU_VAE_CHUNK;
    int64_t heard = 2 * vae_overlap(w, r); /* a smaller window has no core */
    out->vae_by_table = is_card && r->vae_chunk == 0;
    for (int64_t chunk = first; chunk > 0 && out->n_vae_chunks < ACE_PLAN_VAE_CHUNKS;
         chunk = ace_vae_chunk_below(chunk)) {
        if (chunk > heard || out->n_vae_chunks == 0) {
            out->vae_chunk[out->n_vae_chunks++] = chunk;
        }
    }
}

static void measure_vae(const ace_workshop *w, const ace_request *r, const ace_job *job,
                        ace_sizes *out)
{
    size_t weights = 0;
    list_chunks(w, r, out);
    bool decodes = ace_goal_needs(job->goal, ACE_PART_VAE_DECODER);
    for (int i = 0; decodes && i < out->n_vae_chunks; i++) {
        for (int place = 0; place < 2; place++) {
            ace_decoder_bytes(w->measure, &w->models, w->precisions, longest_frames(job),
                              (ace_vae_place)place, out->vae_chunk[i], vae_overlap(w, r), &weights,
                              &out->vae[place][i]);
        }
    }
    for (int i = 0; ace_encoder_is_needed(job) && i < ACE_ENCODER_CHUNKS; i++) {
        out->encoder_chunk[i] = ace_encoder_chunk(i);
        ace_encoder_bytes(w->measure, job, w->precisions, ace_encoder_chunk(i), encoder_overlap(w),
                          &weights, &out->encoder[i]);
        out->n_encoder_chunks++;
    }
}

/* That the language model can write side by side: of each song as many as there are to pick from.
 */
static int most_texts(const ace_job *job)
{
    int64_t texts = 0;
    for (int b = 0; b < job->n_briefs; b++) {
        bool codes = job->brief[b].lm != NULL && job->brief[b].lm->codes;
        texts += job->brief[b].n_songs * (codes ? job->request[b]->best_of : 1);
    }
    return texts < ACE_PLAN_MAX_SONGS ? (int)texts : ACE_PLAN_MAX_SONGS;
}

/* By songs side by side. One decoding step takes as much memory as all of them. */
static ace_status measure_lm(const ace_job *job, ace_runner *runner, ace_sizes *out)
{
    ace_status status = ACESTEP_OK;
    const ace_plan *before = runner->plan;
    out->lm_songs = most_texts(job);
    for (int songs = 1; songs <= out->lm_songs && status == ACESTEP_OK; songs++) {
        ace_plan plan = {.offload = ACE_OFFLOAD_CPU_DIT, .lm_runs = true, .lm_chunk = songs};
        runner->plan = &plan;
        runner->log.count = 0;
        status = ace_run_lm(runner, job, NULL, 1, NULL);
        out->lm[songs] = runner->log.stage[0].work_bytes;
    }
    runner->plan = before;
    return status;
}

static bool needs_own_codes(const ace_job *job)
{
    for (int b = 0; b < job->n_briefs; b++) {
        if (job->brief[b].follows_codes && job->brief[b].n_codes == 0) {
            return true;
        }
    }
    return false;
}

static bool lengths_differ(const ace_job *job)
{
    for (int b = 1; b < job->n_briefs; b++) {
        if (job->brief[b].frames != job->brief[0].frames) {
            return true;
        }
    }
    return false;
}

ace_status ace_measure_sizes(const ace_workshop *w, const ace_request *r, const ace_job *job,
                             ace_sizes *out, ace_error *err)
{
    memset(out, 0, sizeof *out);
    for (int b = 0; b < job->n_briefs; b++) {
        out->songs += job->brief[b].n_songs;
    }
    ace_residency *residency = ace_calloc(1, sizeof *residency);
    ace_runner *runner = ace_calloc(1, sizeof *runner);
    if (residency == NULL || runner == NULL) {
        ace_free(residency);
        ace_free(runner);
        return ace_fail(err, ACESTEP_MEMORY, "plan: no host memory");
    }
    ace_residency_init(residency, w->measure, w->measure, &w->models, w->precisions);
    residency->silence = w->residency.silence;
    residency->uses = job->adapters.use;
    residency->n_uses = job->adapters.n;
    residency->references = ace_job_has_references(job);
    ace_status status = measure_parts(w, job->goal, residency, out, err);
    if (status == ACESTEP_OK) {
        ace_plan plan = {.offload = ACE_OFFLOAD_CPU_DIT,
                         .window = out->layers,
                         .device_batch = out->songs,
                         .songs = out->songs,
                         .encoder_chunk = ace_encoder_chunk(ACE_ENCODER_CHUNKS - 1),
                         .encoder_overlap = encoder_overlap(w)};
        *runner = measuring_runner(w, residency, &plan, err);
        status = ace_pipeline_work_bytes(runner, job, out->work, out->diffusion);
    }
    if (status == ACESTEP_OK && job->memory.lm_runs) {
        status = measure_lm(job, runner, out);
    }
    if (status == ACESTEP_OK) {
        measure_vae(w, r, job, out);
        out->needs_tokenizer = needs_own_codes(job) || ace_goal_listens(job->goal);
        out->many_sessions = job->settings.sampling.cover_strength < 1 || lengths_differ(job);
        out->workspace = w->device->workspace_bytes;
    }
    ace_residency_close(residency);
    ace_free(residency);
    ace_free(runner);
    return status;
}

/* ---- plan
 * ------------------------------------------------------------------------------------------ */

ace_residency *ace_residency_for(ace_workshop *w, const ace_plan *plan)
{
    return plan->host ? &w->host_residency : &w->residency;
}

static ace_status rehearse(const ace_workshop *w, const ace_job *job, ace_stage_log *log,
                           ace_error *err)
{
    ace_finished songs[ACE_MAX_SONGS];
    int n_songs = 0;
    ace_residency *residency = ace_calloc(1, sizeof *residency);
    ace_runner *runner = ace_calloc(1, sizeof *runner);
    if (residency == NULL || runner == NULL) {
        ace_free(residency);
        ace_free(runner);
        return ace_fail(err, ACESTEP_MEMORY, "plan: no host memory");
    }
    ace_residency_rehearse(job->plan.host ? &w->host_residency : &w->residency, residency);
    *runner = measuring_runner(w, residency, &job->plan, err);
    if (job->plan.host) {
        runner->device = w->cpu_measure;
    }
    ace_status status = ace_pipeline_run(runner, job, songs, &n_songs);
    *log = runner->log;
    for (int i = 0; i < n_songs; i++) {
        ace_finished_free(&songs[i]);
    }
    ace_residency_close(residency);
    ace_free(residency);
    ace_free(runner);
    return status;
}

/* Sizes of one step stand for all; should a later step of this job take more, the difference is set
 * aside and the planner asked again. */
static ace_status plan_and_rehearse(const ace_workshop *w, const ace_sizes *sizes,
                                    const ace_plan_wishes *wishes, ace_job *job,
                                    ace_warnings *warnings, ace_stage_log *rehearsal,
                                    ace_error *err)
{
    enum { MOST_TRIES = 6 };
    size_t budget = ace_workshop_budget(w);
    size_t set_aside = 0;
    ace_status status = ACESTEP_OK;
    for (int i = 0; i < MOST_TRIES; i++) {
        status =
            ace_plan_make(sizes, &job->memory, wishes, budget > set_aside ? budget - set_aside : 0,
                          warnings, &job->plan, err);
        if (status == ACESTEP_OK) {
            status = rehearse(w, job, rehearsal, err);
        }
        if (status != ACESTEP_OK || job->plan.host || ace_stage_log_peak(rehearsal) <= budget) {
            job->plan.budget_bytes = budget;
            return status;
        }
        set_aside += ace_stage_log_peak(rehearsal) - budget;
    }
    return ace_fail(err, ACESTEP_MEMORY, "no plan fits into %zu bytes", budget);
}

/* The planner has given the language model up: the briefs must do without, and the sizes change. */
static ace_status leave_out_lm(ace_job *job, ace_error *err)
{
    static const ace_lm_written nothing = {.wrote = false};
    ace_warnings unheard = {.count = 0}; /* said before */
    ace_status status = ACESTEP_OK;
    job->memory.lm_runs = false;
    for (int b = 0; b < job->n_briefs && status == ACESTEP_OK; b++) {
        if (job->brief[b].lm != NULL && job->brief[b].lm->opening != ACE_LM_GENERATE) {
            return ace_fail(err, ACESTEP_MEMORY,
                            "the language model that is to write the words does not fit; a smaller "
                            "one (--lm-model-path) or offloading may help");
        }
        status = ace_brief_follow(job->request[b], job->models, &job->memory, &nothing, &unheard,
                                  &job->brief[b], err);
        ace_lm_task_free(job->brief[b].lm);
        job->brief[b].lm = NULL;
    }
    return status;
}

ace_status ace_plan_job(const ace_workshop *w, const ace_request *r, ace_job *job,
                        ace_warnings *warnings, ace_stage_log *rehearsal, ace_error *err)
{
    ace_plan_wishes wishes = {
        .window = (int)r->offload_dit_window,
        .whole_dit = r->offload_dit_policy == 1,
        .reduce = r->vram_guard == 1,
        .vae_on_cpu = r->vae_on_cpu,
        .vae_overlap = vae_overlap(w, r),
        .encoder_overlap = encoder_overlap(w),
        /* pt: one song at a time, the smallest memory */
        .lm_chunk = job->memory.backend == ACE_LM_PT ? 1 : (int)r->lm_batch_chunk_size,
        .is_cpu = w->hardware.device == ACE_DEVICE_CPU};
    ace_sizes *sizes = ace_calloc(1, sizeof *sizes);
    if (sizes == NULL) {
        return ace_fail(err, ACESTEP_MEMORY, "plan: no host memory");
    }
    ace_status status = ace_measure_sizes(w, r, job, sizes, err);
    if (status == ACESTEP_OK) {
        status = plan_and_rehearse(w, sizes, &wishes, job, warnings, rehearsal, err);
    }
    if (status == ACESTEP_OK && job->memory.lm_runs && !job->plan.lm_runs) {
        status = leave_out_lm(job, err);
        if (status == ACESTEP_OK) {
            status = ace_measure_sizes(w, r, job, sizes, err);
        }
        if (status == ACESTEP_OK) {
            status = plan_and_rehearse(w, sizes, &wishes, job, warnings, rehearsal, err);
        }
    }
    ace_free(sizes);
    return status;
}
