#include "run/probe.h"

#include "base/file_map.h"
#include "base/memory.h"
#include "run/probe_case.h"
#include "weights/safetensors_write.h"

#include <stdio.h>
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

/* The diffusion model that a case means where it names none of the above: the one whose name begins
 * with the word in that place ("xl": acestep-v15-xl-turbo), else turbo, else any: the other
 * networks' cases need none in particular. */
typedef struct meant_model {
    const char *word;
    char named[ACE_MODEL_NAME_BYTES], any[ACE_MODEL_NAME_BYTES];
    bool has_turbo;
} meant_model;

static void keep_first(char *slot, const char *name)
{
    if (slot[0] == '\0') {
        (void)snprintf(slot, ACE_MODEL_NAME_BYTES, "%s", name);
    }
}

static bool visit_model(void *context, const char *name)
{
    static const char family[] = "acestep-v15-";
    meant_model *m = context;
    size_t n = strlen(m->word);
    if (strncmp(name, family, sizeof family - 1) == 0 && strlen(name) < sizeof m->any) {
        const char *own = name + sizeof family - 1;
        bool begins = n > 0 && strncmp(own, m->word, n) == 0;
        if (begins && (own[n] == '-' || own[n] == '\0')) {
            keep_first(m->named, name);
        }
        keep_first(m->any, name);
        /* alone, or with the type of a GGUF file's numbers: turbo-BF16.gguf */
        bool is_turbo = strncmp(own, "turbo", 5) == 0 &&
                        (own[5] == '\0' || (own[5] == '-' && own[6] >= 'A' && own[6] <= 'Z'));
        m->has_turbo = m->has_turbo || is_turbo;
    }
    return true;
}

/* Stays empty where there is nothing to choose, or the choice is as always. */
static char *find_meant_model(const char *models, meant_model *m)
{
    if (models[0] != '\0') {
        (void)ace_directory_list(models, visit_model, m, NULL);
    }
    if (m->named[0] == '\0' && !m->has_turbo) {
        return m->any;
    }
    return m->named;
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
    meant_model meant = {.word = word};
    if (model[0] == '\0' && names_model(word)) {
        own.model = word;
    } else if (model[0] == '\0') {
        own.model = find_meant_model(own.models, &meant);
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
