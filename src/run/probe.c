#include "run/probe.h"

#include "base/memory.h"
#include "run/probe_case.h"
#include "weights/safetensors_write.h"

#include <string.h>

typedef struct probe_kind {
    const char *name;
    void (*run)(ace_probe *p);
} probe_kind;

static const probe_kind kinds[] = {
    {"text", ace_probe_text_encoder}, {"cond", ace_probe_condition}, {"fsq", ace_probe_fsq},
    {"dit", ace_probe_dit},           {"vae", ace_probe_vae},        {"sample", ace_probe_sample},
    {"guidance", ace_probe_guidance}, {"e2e", ace_probe_song},       {"lm", ace_probe_lm},
    {"sampler", ace_probe_sampler},   {"fsm", ace_probe_fsm},
};

static const probe_kind *find_kind(ace_probe *p)
{
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        if (strcmp(kinds[i].name, p->kind) == 0) {
            return &kinds[i];
        }
    }
    ace_probe_fail(p, ACESTEP_ARGUMENT,
                   "\"%s\" is no kind of case; text, cond, fsq, dit, vae, sample, guidance, e2e, "
                   "lm, sampler and fsm are",
                   p->kind);
    return NULL;
}

/* Nothing stays between stages; the whole decoder's window, as the case was recorded. */
static ace_plan plan_for(const ace_workshop *w)
{
    return (ace_plan){.offload = ACE_OFFLOAD_CPU_DIT,
                      .window = (int)w->models.dit_config.layers,
                      .device_batch = ACE_MAX_SONGS,
                      .songs = ACE_MAX_SONGS,
                      .vae = ACE_VAE_STREAMED,
                      .encoder_chunk = 750,
                      .encoder_overlap = 8};
}

/* First on the measure device, to know the bytes, then on the real one with exactly those. */
static void run_passes(ace_probe *p, const probe_kind *kind, ace_runner *measure, ace_runner *real,
                       ace_residency *rehearsed)
{
    ace_workshop *w = p->workshop;
    ace_plan plan = plan_for(w);
    ace_residency_rehearse(&w->residency, rehearsed);
    *measure = (ace_runner){.device = w->measure,
                            .host = w->cpu_measure,
                            .host_measure = w->cpu_measure,
                            .residency = rehearsed,
                            .plan = &plan,
                            .activation = w->precisions.activation,
                            .matrix = w->precisions.plain,
                            .error = p->err};
    *real = *measure;
    real->device = w->device;
    real->host = w->cpu;
    real->residency = &w->residency;
    real->expected = &measure->log;
    p->runner = measure;
    kind->run(p);
    if (p->status == ACESTEP_OK) {
        p->runner = real;
        kind->run(p);
    }
    ace_residency_close(rehearsed);
}

/* sft cases were recorded on base weights where there is no sft folder. */
static bool names_model(const char *word)
{
    static const char *const words[] = {"turbo", "base", "sft"};
    for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
        if (strcmp(word, words[i]) == 0) {
            return true;
        }
    }
    return false;
}

static ace_status open_workshop(const ace_request *request, const ace_probe *p, ace_workshop *w,
                                ace_error *err)
{
    ace_request own = *request; /* borrows the texts */
    char *model = own.model;
    char word[sizeof p->model];
    memcpy(word, p->model, sizeof word);
    if (own.precision == ACE_PRECISION_AUTO) {
        own.precision = ACE_PRECISION_F32;
    }
    if (model[0] == '\0' && names_model(word)) {
        own.model = word;
    }
    ace_error first = {.code = ACESTEP_OK};
    ace_status status = ace_workshop_open(&own, w, &first);
    if (status != ACESTEP_OK && strcmp(own.model, "sft") == 0) {
        char base[] = "base";
        own.model = base;
        return ace_workshop_open(&own, w, err);
    }
    return status != ACESTEP_OK ? ace_fail(err, status, "%s", first.message) : status;
}

ace_status ace_probe_run(const ace_request *request, const char *case_path, const char *output_path,
                         ace_error *err)
{
    ace_probe p;
    ace_workshop *w = ace_calloc(1, sizeof *w);
    ace_runner *runners = ace_calloc(2, sizeof *runners);
    ace_residency *rehearsed = ace_calloc(1, sizeof *rehearsed);
    ace_status status = ace_probe_open(&p, case_path, err);
    if (w == NULL || runners == NULL || rehearsed == NULL) {
        status = ace_fail(err, ACESTEP_MEMORY, "probe: no host memory");
        p.status = status;
    }
    const probe_kind *kind = status == ACESTEP_OK ? find_kind(&p) : NULL;
    if (kind != NULL) {
        p.status = open_workshop(request, &p, w, err);
        p.workshop = w;
    }
    if (p.status == ACESTEP_OK) {
        run_passes(&p, kind, &runners[0], &runners[1], rehearsed);
    }
    if (p.status == ACESTEP_OK) {
        p.status = ace_safetensors_write(output_path, p.out, p.n_out, err);
    }
    status = p.status;
    ace_probe_close(&p);
    if (w != NULL) {
        ace_workshop_close(w);
    }
    ace_free(w);
    ace_free(runners);
    ace_free(rehearsed);
    return status;
}
