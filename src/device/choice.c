/* The choice as model code calls it: checked and counted, as the operations in ops.c. */
#include "device/stream.h"

#include "base/clock.h"

bool ace_stream_chooses(const ace_stream *s)
{
    return s->device->ops->choose != NULL;
}

static bool is_column(int64_t column, int64_t columns)
{
    return column >= 0 && column < columns;
}

static bool penalised_fit(const ace_choice *c, int64_t columns)
{
    bool fit = c->n_penalised >= 0 && c->n_penalised <= ACE_CHOICE_PENALISED;
    for (int64_t i = 0; fit && i < c->n_penalised; i++) {
        fit = is_column(c->penalised[i], columns);
    }
    return fit && (c->n_penalised == 0 || c->penalty > 0);
}

static bool choice_fits(const ace_choice *c, ace_tensor logits)
{
    bool has_twin = c->twin != ACE_CHOICE_NONE;
    bool has_also = c->also != ACE_CHOICE_NONE;
    return is_column(c->row, logits.rows) &&
           (!has_twin || (is_column(c->twin, logits.rows) && c->twin != c->row)) && c->count > 0 &&
           c->first >= 0 && c->first <= logits.cols - c->count &&
           (!has_also || is_column(c->also, logits.cols)) && c->uniform >= 0 && c->uniform < 1 &&
           penalised_fit(c, logits.cols);
}

/* No choice uses up a row that another one reads. */
static bool is_apart(const ace_choice *choices, int n, int i)
{
    bool apart = true;
    for (int k = 0; k < n; k++) {
        apart = apart &&
                (k == i || (choices[k].row != choices[i].row && choices[k].twin != choices[i].row));
    }
    return apart;
}

/* The call's, or NULL. */
static const uint32_t *mask_of(const ace_choice *choices, int n)
{
    const uint32_t *mask = NULL;
    for (int i = 0; i < n && mask == NULL; i++) {
        mask = choices[i].mask;
    }
    return mask;
}

static bool choices_fit(const ace_choice *choices, int n, ace_tensor logits)
{
    int64_t penalised = 0;
    const uint32_t *mask = choices != NULL ? mask_of(choices, n) : NULL;
    bool fit = logits.addr != 0 && logits.dtype == ACE_F32 && logits.cols > 0 &&
               logits.cols <= ACE_CHOICE_COLUMNS && n > 0 && n <= ACE_CHOICES_MOST;
    for (int i = 0; choices != NULL && fit && i < n; i++) {
        fit = choice_fits(&choices[i], logits) && is_apart(choices, n, i) &&
              (choices[i].mask == NULL || choices[i].mask == mask);
        penalised += choices[i].n_penalised;
    }
    return fit && penalised <= ACE_CHOICE_PENALISED;
}

/* What goes up and comes down. Lists of penalised columns depend on what is written. */
static void count_bytes(ace_stream *s, ace_tensor logits, const ace_choice *choices, int n)
{
    s->counters.operations++;
    s->counters.uploaded += (double)n * (double)sizeof *choices;
    s->counters.downloaded += (double)n * (double)sizeof(int32_t);
    for (int i = 0; choices != NULL && i < n; i++) {
        s->counters.uploaded += (double)choices[i].n_penalised * (double)sizeof(int32_t);
    }
    if (choices != NULL && mask_of(choices, n) != NULL) {
        s->counters.uploaded += (double)ace_choice_mask_bytes(logits.cols);
    }
}

static void tell(const ace_stream *s, double start, ace_tensor logits, int n)
{
    const ace_watch *watch = s->device->watch;
    if (watch != NULL) {
        ace_operation o = {.name = "choose",
                           .x = logits,
                           .read = (double)logits.rows * (double)logits.cols * sizeof(float),
                           .written = (double)n * (double)sizeof(int32_t),
                           .started = start,
                           .ended = ace_clock_seconds()};
        watch->heard(watch->context, &o);
    }
}

void ace_choose(ace_stream *s, ace_tensor logits, const ace_choice *choices, int n, int32_t *chosen)
{
    if (s->status != ACESTEP_OK) {
        return;
    }
    if (!ace_stream_chooses(s) || !choices_fit(choices, n, logits) ||
        (choices == NULL && s->device->computes)) {
        ace_stream_fail(s, ACESTEP_FAILED, "choose: %d choices do not fit %lld rows of %lld logits",
                        n, (long long)logits.rows, (long long)logits.cols);
        return;
    }
    double start = s->device->watch != NULL ? ace_clock_seconds() : 0;
    count_bytes(s, logits, choices, n);
    ace_status status = s->device->ops->choose(s->device, logits, choices, n, chosen, s->error);
    if (status != ACESTEP_OK) {
        ace_stream_fail(s, status, "choosing failed");
    }
    tell(s, start, logits, n);
}
