#include "cpu/cpu_device.h"
#include "run/job.h"

#include <string.h>

static ace_precision choose_precision(const ace_request *r, const ace_models *m)
{
    if (r->precision != ACE_PRECISION_AUTO) {
        return (ace_precision)r->precision;
    }
    return strcmp(m->set.card.precision, "f32") == 0 ? ACE_PRECISION_F32 : ACE_PRECISION_BF16;
}

ace_status ace_workshop_open(const ace_request *r, ace_workshop *out, ace_error *err)
{
    memset(out, 0, sizeof *out);
    ace_status status = ace_models_open(r, &out->models, err);
    if (status == ACESTEP_OK) {
        status = ace_cpu_device_open((int)r->threads, (ace_cpu_level)r->cpu, &out->device, err);
    }
    if (status == ACESTEP_OK) {
        status = ace_measure_device_open(out->device, &out->measure, err);
    }
    switch (choose_precision(r, &out->models)) {
    case ACE_PRECISION_F32:
        out->matrix = ACE_F32;
        out->activation = ACE_F32;
        break;
    case ACE_PRECISION_INT8:
        out->matrix = ACE_I8;
        out->activation = ACE_BF16;
        break;
    case ACE_PRECISION_BF16:
    case ACE_PRECISION_AUTO:
        out->matrix = ACE_BF16;
        out->activation = ACE_BF16;
        break;
    }
    if (status != ACESTEP_OK) {
        ace_workshop_close(out);
    }
    return status;
}

void ace_workshop_close(ace_workshop *w)
{
    ace_device_close(w->measure);
    ace_device_close(w->device);
    ace_models_close(&w->models);
    memset(w, 0, sizeof *w);
}
