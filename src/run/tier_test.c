#include "run/tier_test.h"

#include "base/clock.h"
#include "base/memory.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

const double ace_tier_test_sizes[ACE_TIERS] = {4, 6, 7, 8, 12, 16, 20, 24};
const int ace_tier_test_batches[ACE_TIER_TEST_BATCHES] = {1, 2, 4, 8};

static const double DEFAULT_SECONDS = 30;
enum { STEPS = 8 }; /* of diffusion, where the request leaves it open */

/* Below this a song counts as silent: -80 dB of full scale. */
static const float SILENCE = 1e-4f;

/* The request of one row; its texts stay here. */
typedef struct row_request {
    ace_request options;
    char gb[32], device[8], weights[24], caption[96], lyrics[160], seed[24];
} row_request;

/* All that the rows share. */
typedef struct tier_test_run {
    const ace_request *request;
    ace_tier_test *test;
    ace_job_progress *progress;
    ace_tier_row_done *done;
    void *context;
    int step, steps; /* of cards */
    int row, rows;   /* of this card; batches may end before the last */
    char label[64];  /* of the row: "8 GB, no-quant" */
    row_request own;
    ace_workshop workshop;
    ace_job job;
    ace_stage_log planned;
    ace_job_report report;
    ace_finished song[ACE_MAX_SONGS];
    ace_error *err;
} tier_test_run;

/* ---- the request of a row -------------------------------------------------------------------- */

static void put_text(char **field, char *room, size_t bytes, const char *text)
{
    (void)snprintf(room, bytes, "%s", text);
    *field = room;
}

static void fill_work(const ace_request *r, ace_request *o, row_request *own)
{
    if (r->weights[0] == '\0' && r->models[0] == '\0') {
        put_text(&o->weights, own->weights, sizeof own->weights, "synthetic");
    }
    if (r->caption[0] == '\0' && r->lyrics[0] == '\0') {
        put_text(&o->caption, own->caption, sizeof own->caption,
                 "warm ambient electronic analog pads with soft drums");
        put_text(&o->lyrics, own->lyrics, sizeof own->lyrics,
                 "[Verse]\nLights go out along the bay\nSlowly turning night to day\n\n[Chorus]\n"
                 "Stay a little longer");
    }
    if (r->source[ACE_OPTION_inference_steps] == ACE_FROM_DEFAULT) {
        o->inference_steps = STEPS;
    }
    if (r->seed[0] == '\0' || r->source[ACE_OPTION_seed] == ACE_FROM_DEFAULT) {
        put_text(&o->seed, own->seed, sizeof own->seed, "42");
    }
    o->exec = r->source[ACE_OPTION_exec] == ACE_FROM_DEFAULT ? 1 : r->exec;
}

static void ask(ace_request *o, int option)
{
    o->source[option] = ACE_FROM_CALLER;
}

/* Sets a variant apart from the tier's defaults. */
static void fill_variant(const ace_tier_row *row, ace_request *o)
{
    o->offload_to_cpu = o->offload_dit_to_cpu = ACE_SWITCH_AUTO;
    o->quantization = ACE_QUANTIZATION_AUTO;
    if (row->variant == ACE_VARIANT_NO_QUANT || row->variant == ACE_VARIANT_NO_OFFLOAD) {
        o->quantization = ACE_QUANTIZATION_NONE;
        o->force_config = true;
        ask(o, ACE_OPTION_quantization);
    }
    if (row->variant == ACE_VARIANT_NO_OFFLOAD) {
        o->offload_to_cpu = o->offload_dit_to_cpu = ACE_SWITCH_OFF;
        ask(o, ACE_OPTION_offload_to_cpu);
        ask(o, ACE_OPTION_offload_dit_to_cpu);
    }
}

static void fill_request(const tier_test_run *t, const ace_tier_row *row, row_request *own)
{
    const ace_tier_test_options *options = &t->test->options;
    ace_request *o = &own->options;
    *o = *t->request;
    fill_work(t->request, o, own);
    put_text(&o->device, own->device, sizeof own->device, "sim");
    (void)snprintf(own->gb, sizeof own->gb, "%.6g", row->gb);
    o->max_cuda_vram = own->gb;
    o->duration = options->duration > 0 ? options->duration : DEFAULT_SECONDS;
    o->batch_size = row->batch;
    o->init_llm = o->thinking = row->asks_lm ? ACE_SWITCH_ON : ACE_SWITCH_OFF;
    o->use_cot_metas = row->asks_lm ? ACE_SWITCH_ON : ACE_SWITCH_OFF;
    o->use_cot_caption = o->use_cot_language = ACE_SWITCH_OFF;
    ask(o, ACE_OPTION_init_llm);
    bool quantised = row->variant != ACE_VARIANT_NO_QUANT &&
                     row->variant != ACE_VARIANT_NO_OFFLOAD && row->tier.quantization_default;
    o->compile_model = options->skip_compile && !quantised ? ACE_SWITCH_OFF : ACE_SWITCH_AUTO;
    fill_variant(row, o);
}

/* ---- one row --------------------------------------------------------------------------------- */

static bool are_sound(const ace_finished *song, int n)
{
    for (int i = 0; i < n; i++) {
        const ace_audio *a = &song[i].audio;
        float loudest = 0;
        for (int64_t k = 0; k < a->frames * a->channels; k++) {
            if (!isfinite(a->samples[k])) {
                return false;
            }
            loudest = fmaxf(loudest, fabsf(a->samples[k]));
        }
        if (loudest < SILENCE) {
            return false;
        }
    }
    return true;
}

static double seconds_of(const ace_stage_log *log, const char *key)
{
    double seconds = 0;
    for (int i = 0; i < log->count; i++) {
        if (strcmp(log->stage[i].key, key) == 0) {
            seconds += log->stage[i].load_seconds + log->stage[i].compute_seconds;
        }
    }
    return seconds;
}

static void note_memory(const ace_stage_log *log, ace_tier_row *row)
{
    memcpy(row->part_bytes, log->part_bytes, sizeof row->part_bytes);
    row->workspace_bytes = log->workspace_bytes;
    for (int s = 0; s < ACE_STAGES; s++) {
        for (int i = 0; i < log->count; i++) {
            size_t bytes = log->stage[i].peak_bytes;
            if (strcmp(log->stage[i].key, ace_stage_key((ace_stage_id)s)) == 0 &&
                bytes > row->stage_bytes[s]) {
                row->stage_bytes[s] = bytes;
            }
        }
    }
}

static void note_times(const ace_stage_log *log, ace_tier_row *row)
{
    row->lm_seconds = seconds_of(log, ace_stage_key(ACE_STAGE_LM));
    row->dit_seconds = seconds_of(log, ace_stage_key(ACE_STAGE_DIFFUSION));
    row->vae_seconds = seconds_of(log, ace_stage_key(ACE_STAGE_VAE));
}

/* An ace_job_progress of one row, told on as one of the whole test. */
static bool tell(void *context, const char *stage, double fraction, double whole)
{
    const tier_test_run *t = context;
    double of_card = (t->row + whole) / t->rows;
    char name[160];
    (void)snprintf(name, sizeof name, "%s%s%.80s", t->label, stage[0] != '\0' ? ": " : "", stage);
    return t->progress == NULL ||
           t->progress(t->context, name, fraction, (t->step + of_card) / t->steps);
}

static ace_status plan_row(tier_test_run *t, ace_tier_row *row)
{
    ace_workshop *w = &t->workshop;
    const ace_request *o = &t->own.options;
    row->cap_bytes = (size_t)w->hardware.cap_bytes;
    row->free_bytes = ace_workshop_budget(w);
    if (row->variant == ACE_VARIANT_BATCH) { /* the tier's limits are what is to be tested */
        ace_tier *tier = &w->tiers.row[ace_tier_of_gb(row->gb)];
        int *limit = row->asks_lm ? &tier->max_batch_with_lm : &tier->max_batch_without_lm;
        *limit = *limit < row->batch ? row->batch : *limit;
    }
    ace_status status = ace_job_create(w, &o, 1, &row->warnings, &t->job, t->err);
    if (status == ACESTEP_OK) {
        status = ace_job_plan(w, o, &t->job, &row->warnings, &t->planned, t->err);
    }
    row->settings = t->job.memory;
    row->plan = t->job.plan;
    if (status == ACESTEP_OK) {
        row->duration = (double)t->job.brief[0].frames / (double)ACE_LATENT_RATE;
    }
    return status;
}

static ace_status make_row(tier_test_run *t, ace_tier_row *row)
{
    ace_workshop *w = &t->workshop;
    int n_songs = 0;
    ace_status status = ace_workshop_open(&t->own.options, w, t->err);
    row->opened = status == ACESTEP_OK;
    if (!row->opened) {
        return status;
    }
    (void)snprintf(t->test->model, sizeof t->test->model, "%s", w->models.name);
    status = plan_row(t, row);
    if (status == ACESTEP_OK) {
        status = ace_job_run(w, &t->own.options, &t->job, &t->planned, tell, t, &row->warnings,
                             &t->report, t->song, &n_songs, t->err);
    }
    row->ran = status == ACESTEP_OK;
    if (row->ran) {
        row->plan = t->job.plan;
        row->vae_place = t->report.vae_place;
        row->vae_chunk = t->report.vae_chunk;
        row->n_songs = n_songs;
        row->is_sound = w->shape || are_sound(t->song, n_songs);
        note_times(&t->report.log, row);
    }
    if (row->ran && !row->plan.host) { /* where the CPU does it all, nothing lies on the card */
        row->planned_bytes = ace_stage_log_peak(&t->planned);
        row->peak_bytes = t->report.peak_bytes;
        note_memory(&t->report.log, row);
    }
    for (int i = 0; i < ACE_MAX_SONGS; i++) {
        ace_finished_free(&t->song[i]);
    }
    ace_job_report_free(&t->report);
    return status;
}

/* A card that fails is a result; only these end the test. */
static bool ends_the_test(ace_status status)
{
    return status == ACESTEP_CANCELLED || status == ACESTEP_ARGUMENT || status == ACESTEP_MODEL ||
           status == ACESTEP_IO;
}

static ace_status add_row(tier_test_run *t, ace_tier_row *row, bool *passed)
{
    ace_tier_test *test = t->test;
    ace_tier_row *grown = ace_realloc_array(test->row, (size_t)test->n_rows + 1, sizeof *test->row);
    if (grown == NULL) {
        return ace_fail(t->err, ACESTEP_MEMORY, "profile: no host memory");
    }
    test->row = grown;
    ace_tier_row_judge(row);
    *passed = ace_tier_row_passed(row);
    test->row[test->n_rows++] = *row;
    if (t->done != NULL && !t->done(t->context, test)) {
        return ace_fail(t->err, ACESTEP_CANCELLED, "cancelled");
    }
    return ACESTEP_OK;
}

static void name_row(tier_test_run *t, const ace_tier_row *row)
{
    char variant[32];
    ace_tier_row_label(row, variant, sizeof variant);
    (void)snprintf(t->label, sizeof t->label, "%g GB, %s", row->gb, variant);
}

static ace_status run_row(tier_test_run *t, const ace_tier_row *wanted, bool *passed)
{
    ace_tier_row *row = ace_calloc(1, sizeof *row);
    if (row == NULL) {
        return ace_fail(t->err, ACESTEP_MEMORY, "profile: no host memory");
    }
    *row = *wanted;
    fill_request(t, row, &t->own);
    t->test->shape = t->own.options.exec == 1;
    name_row(t, row);
    double start = ace_clock_seconds();
    ace_status status =
        tell(t, "", 0, 0) ? make_row(t, row) : ace_fail(t->err, ACESTEP_CANCELLED, "cancelled");
    row->wall_seconds = ace_clock_seconds() - start;
    ace_job_free(&t->job);
    if (row->opened) {
        ace_workshop_close(&t->workshop);
    }
    if (!ends_the_test(status)) {
        row->status = status;
        if (status != ACESTEP_OK) {
            (void)snprintf(row->error, sizeof row->error, "%.*s", (int)sizeof row->error - 1,
                           t->err != NULL ? t->err->message : "");
        }
        status = add_row(t, row, passed);
    }
    t->row++;
    ace_free(row);
    return status;
}

/* ---- a card ---------------------------------------------------------------------------------- */

static ace_status run_batches(tier_test_run *t, const ace_tier_row *card, bool with_lm)
{
    bool passed = true;
    ace_status status = ACESTEP_OK;
    for (int i = 0; i < ACE_TIER_TEST_BATCHES && passed && status == ACESTEP_OK; i++) {
        ace_tier_row row = *card;
        row.variant = ACE_VARIANT_BATCH;
        row.batch = ace_tier_test_batches[i];
        row.asks_lm = with_lm;
        status = run_row(t, &row, &passed);
    }
    return status;
}

/* At the most: batches end at the first failure. */
static int count_rows(const ace_tier_test_options *o, const ace_tier *tier, bool offers_lm)
{
    int rows = 1;
    for (int v = ACE_VARIANT_NO_QUANT; o->boundary && v <= ACE_VARIANT_NO_OFFLOAD; v++) {
        rows += ace_tier_variant_applies((ace_tier_variant)v, tier);
    }
    return rows + (o->batch_boundary ? ACE_TIER_TEST_BATCHES * (offers_lm ? 2 : 1) : 0);
}

static ace_status run_card(tier_test_run *t, const ace_tier_table *tiers, double gb)
{
    const ace_tier_test_options *o = &t->test->options;
    ace_tier_row card = {.gb = gb, .batch = 1, .tier = tiers->row[ace_tier_of_gb(gb)]};
    bool offers_lm = card.tier.recommended_lm >= 0;
    int last = o->boundary ? ACE_VARIANT_NO_OFFLOAD : ACE_VARIANT_DEFAULT;
    bool passed = false;
    ace_status status = ACESTEP_OK;
    card.asks_lm = o->with_lm && offers_lm;
    t->row = 0;
    t->rows = count_rows(o, &card.tier, offers_lm);
    for (int v = ACE_VARIANT_DEFAULT; v <= last && status == ACESTEP_OK; v++) {
        card.variant = (ace_tier_variant)v;
        if (ace_tier_variant_applies(card.variant, &card.tier)) {
            status = run_row(t, &card, &passed);
        }
    }
    if (o->batch_boundary && status == ACESTEP_OK) {
        status = run_batches(t, &card, false);
    }
    if (o->batch_boundary && offers_lm && status == ACESTEP_OK) {
        status = run_batches(t, &card, true);
    }
    return status;
}

ace_status ace_tier_test_run(const ace_request *request, const ace_tier_test_options *options,
                             ace_job_progress *progress, ace_tier_row_done *done, void *context,
                             ace_tier_test *out, ace_error *err)
{
    *out = (ace_tier_test){.options = *options};
    if (options->n_sizes == 0) {
        memcpy(out->options.size, ace_tier_test_sizes, sizeof ace_tier_test_sizes);
        out->options.n_sizes = ACE_TIERS;
    }
    ace_tier_table *tiers = ace_calloc(1, sizeof *tiers);
    tier_test_run *t = ace_calloc(1, sizeof *t);
    ace_status status = ACESTEP_OK;
    if (tiers == NULL || t == NULL) {
        status = ace_fail(err, ACESTEP_MEMORY, "profile: no host memory");
    } else {
        *t = (tier_test_run){.request = request,
                             .test = out,
                             .progress = progress,
                             .done = done,
                             .context = context,
                             .steps = out->options.n_sizes,
                             .err = err};
        status = ace_tier_table_load(request->gpu_tiers, tiers, err);
    }
    for (int i = 0; i < out->options.n_sizes && status == ACESTEP_OK; i++) {
        t->step = i;
        status = run_card(t, tiers, out->options.size[i]);
    }
    ace_free(tiers);
    ace_free(t);
    return status;
}

void ace_tier_test_close(ace_tier_test *test)
{
    ace_free(test->row);
    memset(test, 0, sizeof *test);
}
