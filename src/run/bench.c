#include "run/bench.h"

#include "base/memory.h"
#include "hardware/parts.h"
#include "run/card_rates.h"
#include "run/resident.h"

#include <stdio.h>
#include <string.h>

typedef struct bench_stage {
    const char *name;
    ace_status (*run)(const ace_bench_context *c, const char *stage);
    bool xl;        /* the XL shapes in place of the 2B ones */
    double seconds; /* of audio, where the request does not say */
} bench_stage;

/* In the order of a song. */
static const bench_stage stages[] = {
    {"text", ace_bench_network, false, 30},
    {"condition", ace_bench_network, false, 30},
    {"condition-timbre", ace_bench_network, false, 30},
    {"vae-encode", ace_bench_network, false, 30},
    {"lm", ace_bench_language_model, false, 30},
    {"dit", ace_bench_network, false, 30},
    {"dit-xl", ace_bench_network, true, 30},
    {"vae-decode", ace_bench_network, false, 30},
    {"song", ace_bench_song, false, 10},
};
enum { N_STAGES = sizeof stages / sizeof *stages, MOST_ASKED = 32 };

/* ---- which stages ---------------------------------------------------------------------------- */

typedef struct stage_list {
    const bench_stage *stage[MOST_ASKED];
    int n;
} stage_list;

static const bench_stage *find_stage(const char *name, size_t length)
{
    for (int i = 0; i < N_STAGES; i++) {
        if (strlen(stages[i].name) == length && strncmp(stages[i].name, name, length) == 0) {
            return &stages[i];
        }
    }
    return NULL;
}

static ace_status refuse_stage(const char *name, size_t length, ace_error *err)
{
    char known[200] = "";
    for (int i = 0; i < N_STAGES; i++) {
        size_t used = strlen(known);
        (void)snprintf(known + used, sizeof known - used, "%s, ", stages[i].name);
    }
    return ace_fail(err, ACESTEP_ARGUMENT, "stage: \"%.*s\" is none; %sall are",
                    (int)(length < 40 ? length : 40), name, known);
}

static ace_status list_stages(const char *text, stage_list *out, ace_error *err)
{
    out->n = 0;
    if (strcmp(text, "all") == 0) {
        for (; out->n < N_STAGES; out->n++) {
            out->stage[out->n] = &stages[out->n];
        }
        return ACESTEP_OK;
    }
    for (const char *at = text;; at++) {
        size_t length = strcspn(at, ",");
        const bench_stage *stage = find_stage(at, length);
        if (stage == NULL) {
            return refuse_stage(at, length, err);
        }
        if (out->n == MOST_ASKED) {
            return ace_fail(err, ACESTEP_ARGUMENT, "stage: more than %d", MOST_ASKED);
        }
        out->stage[out->n++] = stage;
        at += length;
        if (*at == '\0') {
            return ACESTEP_OK;
        }
    }
}

/* ---- the request of a stage
 * ----------------------------------------------------------------------
 */

/* A request that borrows from the caller's, and the texts that it does not borrow. */
typedef struct stage_request {
    ace_request options;
    char weights[64];
    char caption[64];
    char seed[4];
} stage_request;

/* "synthetic:turbo" → "synthetic:xl-turbo". Files are taken as they are. */
static void choose_weights(const ace_request *r, bool xl, char *out, size_t room)
{
    static const char prefix[] = "synthetic:";
    bool files = r->weights[0] == '\0' && r->models[0] != '\0';
    const char *name = strncmp(r->weights, prefix, sizeof prefix - 1) == 0
                           ? r->weights + sizeof prefix - 1
                       : r->model[0] != '\0' ? r->model
                                             : "turbo";
    if (files) {
        out[0] = '\0';
    } else if (r->weights[0] != '\0' && !xl) {
        (void)snprintf(out, room, "%s", r->weights);
    } else {
        (void)snprintf(out, room, "%s%s%.40s", prefix,
                       xl && strncmp(name, "xl-", 3) != 0 ? "xl-" : "", name);
    }
}

static void fill_request(const ace_request *r, const bench_stage *stage, stage_request *out)
{
    ace_request *own = &out->options;
    *own = *r;
    choose_weights(r, stage->xl, out->weights, sizeof out->weights);
    own->weights = out->weights;
    own->exec = 0; /* shapes alone have no speed */
    own->duration = r->duration > 0 ? r->duration : stage->seconds;
    if (r->caption[0] == '\0') {
        (void)snprintf(out->caption, sizeof out->caption,
                       "warm ambient electronic analog pads with soft drums");
        own->caption = out->caption;
    }
    if (r->source[ACE_OPTION_seed] == ACE_FROM_DEFAULT) {
        (void)snprintf(out->seed, sizeof out->seed, "1");
        own->seed = out->seed;
    }
}

/* ---- the machine ----------------------------------------------------------------------------- */

/* A card is not shared as a processor is: it is measured once, while nothing lies on it. */
static bool is_known(const ace_bench_context *c)
{
    return c->workshop->card != NULL && c->bench->machine.limits.bandwidth > 0;
}

/* What was found counts for the stage at hand and for the whole run. */
static void keep(const ace_bench_context *c, const ace_roofline *found)
{
    ace_roofline_raise(c->around, found);
    ace_roofline_raise(&c->bench->machine.limits, found);
}

void ace_bench_measure_units(const ace_bench_context *c)
{
    ace_roofline found = {0};
    if (c->workshop->card == NULL) {
        ace_roofline_measure_units(c->workshop->cpu, &found);
        keep(c, &found);
    }
}

ace_status ace_bench_measure_machine(const ace_bench_context *c)
{
    ace_roofline found = c->bench->machine.limits;
    ace_status status = ACESTEP_OK;
    if (!is_known(c)) {
        found = (ace_roofline){0};
        status = ace_roofline_measure(c->workshop->cpu, c->workshop->card, &found, c->err);
    }
    if (status == ACESTEP_OK) {
        keep(c, &found);
        *c->last = found;
    }
    return status;
}

static void describe_machine(const ace_workshop *w, ace_bench_machine *m)
{
    ace_hardware_cpu_name(m->cpu, sizeof m->cpu);
    m->level = ace_cpu_level_name(ace_cpu_device_level(w->cpu));
    m->threads = ace_cpu_device_threads(w->cpu);
    (void)snprintf(m->device, sizeof m->device, "%s",
                   w->card != NULL ? w->hardware.device_name : "");
}

/* ---- all ------------------------------------------------------------------------------------- */

ace_bench_row *ace_bench_add(const ace_bench_context *c, const char *stage)
{
    ace_bench *b = c->bench;
    if (b->n_rows == ACE_BENCH_MAX_ROWS) {
        (void)ace_fail(c->err, ACESTEP_ARGUMENT, "stage: more than %d lines of results",
                       ACE_BENCH_MAX_ROWS);
        return NULL;
    }
    ace_bench_row *row = &b->row[b->n_rows++];
    memset(row, 0, sizeof *row);
    (void)snprintf(row->stage, sizeof row->stage, "%s", stage);
    (void)snprintf(row->model, sizeof row->model, "%s", c->workshop->models.name);
    return row;
}

/* Lines that were begun when the stage was cut off. */
static void drop_empty(ace_bench *b)
{
    while (b->n_rows > 0 && b->row[b->n_rows - 1].n == 0) {
        b->n_rows--;
    }
}

static ace_status run_stage(const ace_bench_context *c, const bench_stage *stage)
{
    const ace_models *m = &c->workshop->models;
    ace_bench *b = c->bench;
    int first = b->n_rows;
    if (stage->xl && !m->dit_config.timbre_cls) {
        return ace_fail(c->err, ACESTEP_ARGUMENT,
                        "dit-xl: %s has not the XL shapes; --model names another", m->name);
    }
    describe_machine(c->workshop, &b->machine);
    *c->around = *c->last; /* what was measured after the stage before */
    ace_status status = ACESTEP_OK;
    if (c->around->bandwidth == 0) {
        status = ace_bench_measure_machine(c);
    }
    if (status == ACESTEP_OK) {
        ace_resident_restart();
        status = stage->run(c, stage->name);
    }
    size_t resident = ace_resident_peak(); /* before the memory is measured again */
    drop_empty(b);
    if (status == ACESTEP_OK) {
        status = ace_bench_measure_machine(c);
    }
    for (int i = first; i < b->n_rows; i++) {
        ace_bench_row *row = &b->row[i];
        row->resident_bytes = row->resident_bytes == 0 ? resident : row->resident_bytes;
        row->limits = row->limits.bandwidth == 0 ? *c->around : row->limits;
    }
    return status;
}

/* The caller's progress, and which of the stages is at hand. */
typedef struct stage_progress {
    ace_job_progress *progress; /* NULL: nobody asks */
    void *context;
    int stage, stages;
} stage_progress;

/* An ace_job_progress of one stage, told on as one of all of them. */
static bool tell(void *context, const char *stage, double fraction, double whole)
{
    const stage_progress *p = context;
    return p->progress == NULL ||
           p->progress(p->context, stage, fraction, (p->stage + whole) / p->stages);
}

/* Each stage has a workshop of its own, so that its memory is its own too. */
static ace_status run_all(const ace_request *request, const stage_list *list, stage_request *own,
                          ace_bench_context *c)
{
    ace_status status = ACESTEP_OK;
    stage_progress p = {.progress = c->progress, .context = c->progress_context, .stages = list->n};
    c->progress = tell;
    c->progress_context = &p;
    c->request = &own->options;
    for (int i = 0; i < list->n && status == ACESTEP_OK; i++) {
        const bench_stage *stage = list->stage[i];
        p.stage = i;
        fill_request(request, stage, own);
        status = ace_workshop_open(&own->options, c->workshop, c->err);
        if (status == ACESTEP_OK && !tell(&p, stage->name, 0, 0)) {
            status = ace_fail(c->err, ACESTEP_CANCELLED, "cancelled");
        }
        if (status == ACESTEP_OK) {
            status = run_stage(c, stage);
        }
        ace_workshop_close(c->workshop);
    }
    if (c->bench->n_rows > 0 && status == ACESTEP_OK) {
        ace_card_rates_keep(request->cache ? request->cache_dir : "", c->bench);
    }
    return status;
}

ace_status ace_bench_stages(const ace_request *request, const char *names, int repeats,
                            ace_job_progress *progress, void *context, ace_bench *out,
                            ace_error *err)
{
    memset(out, 0, sizeof *out);
    out->repeats = repeats;
    if (repeats < 1 || repeats > ACE_BENCH_MAX_REPEATS) {
        return ace_fail(err, ACESTEP_ARGUMENT, "repeats: 1 to %d, not %d", ACE_BENCH_MAX_REPEATS,
                        repeats);
    }
    stage_list list;
    ace_status status = list_stages(names, &list, err);
    if (status != ACESTEP_OK) {
        return status;
    }
    stage_request *own = ace_calloc(1, sizeof *own);
    ace_workshop *w = ace_calloc(1, sizeof *w);
    if (own == NULL || w == NULL) {
        status = ace_fail(err, ACESTEP_MEMORY, "bench: no host memory");
    } else {
        ace_roofline around = {0};
        ace_roofline last = {0};
        ace_bench_context c = {.workshop = w,
                               .around = &around,
                               .last = &last,
                               .progress = progress,
                               .progress_context = context,
                               .bench = out,
                               .err = err};
        status = run_all(request, &list, own, &c);
    }
    ace_free(own);
    ace_free(w);
    return status;
}
