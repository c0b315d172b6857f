#include "run/roofline.h"

#include "run/device_peaks.h"

#include <math.h>

const char *ace_roof_name(int roof)
{
    return roof == ACE_ROOF_MEMORY ? "memory" : ace_peak_name((ace_peak)roof);
}

void ace_roofline_raise(ace_roofline *best, const ace_roofline *found)
{
    best->bandwidth = fmax(best->bandwidth, found->bandwidth);
    for (int i = 0; i < ACE_PEAKS; i++) {
        best->peaks.flops[i] = fmax(best->peaks.flops[i], found->peaks.flops[i]);
        best->peaks.own[i] = found->peaks.own[i];
    }
}

void ace_roofline_measure_units(ace_device *cpu, ace_roofline *best)
{
    ace_roofline found = {0};
    ace_cpu_device_peaks(cpu, &found.peaks);
    ace_roofline_raise(best, &found);
}

static ace_status measure_cpu(ace_device *cpu, ace_roofline *found, ace_error *err)
{
    ace_status status = ace_cpu_device_bandwidth(cpu, &found->bandwidth, err);
    if (status == ACESTEP_OK) {
        ace_cpu_device_peaks(cpu, &found->peaks);
    }
    return status;
}

ace_status ace_roofline_measure(ace_device *cpu, ace_device *card, ace_roofline *best,
                                ace_error *err)
{
    ace_roofline found = {0};
    ace_status status =
        card != NULL ? ace_device_peaks(card, &found, err) : measure_cpu(cpu, &found, err);
    if (status == ACESTEP_OK) {
        ace_roofline_raise(best, &found);
    }
    return status;
}

double ace_roofline_seconds(const ace_roofline *limits, ace_peak unit, double flops, double bytes,
                            int *roof)
{
    double peak = limits->peaks.flops[unit];
    double computing = peak > 0 ? flops / peak : 0;
    double moving = limits->bandwidth > 0 ? bytes / limits->bandwidth : 0;
    *roof = moving > computing ? ACE_ROOF_MEMORY : (int)unit;
    return moving > computing ? moving : computing;
}
