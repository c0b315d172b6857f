/* The seconds of a run, read from its result. */
#include "profile.h"

#include <stdio.h>
#include <string.h>

static double number(const json_t *object, const char *name)
{
    return json_number_value(json_object_get(object, name));
}

profile_times profile_read_times(const json_t *result)
{
    profile_times t = {0};
    const json_t *timings = json_object_get(result, "timings");
    const json_t *plan = json_object_get(result, "plan");
    size_t i;
    const json_t *entry;
    t.wall = number(timings, "total");
    t.saving = number(timings, "writing");
    t.planning = number(timings, "planning");
    t.steps = (int)number(plan, "inference_steps");
    t.songs = (int)json_array_size(json_object_get(result, "outputs"));
    json_array_foreach (json_object_get(json_object_get(result, "measured"), "stages"), i, entry) {
        const char *stage = json_string_value(json_object_get(entry, "stage"));
        double load = number(entry, "load_seconds");
        double compute = number(entry, "compute_seconds");
        if (strcmp(stage, "lm") == 0) {
            t.lm += load + compute;
            continue;
        }
        t.moving += load;
        if (strcmp(stage, "diffusion") == 0) {
            t.diffusion += compute;
        } else if (strcmp(stage, "vae") == 0) {
            t.vae += compute;
        } else {
            t.encoder += compute;
        }
    }
    t.dit = t.encoder + t.diffusion + t.vae + t.moving;
    json_array_foreach (json_object_get(result, "lm"), i, entry) {
        const json_t *phases = json_object_get(entry, "phases");
        if (phases != NULL) { /* of all songs together, the same in each entry */
            t.lm_words = number(json_object_get(phases, "words"), "seconds");
            t.lm_codes = number(json_object_get(phases, "codes"), "seconds");
        }
    }
    return t;
}

json_t *profile_times_json(const profile_times *t)
{
    return json_pack("{s:f, s:f, s:f, s:f, s:f, s:f, s:f, s:f, s:f, s:f, s:f}", "lm_phase1_time",
                     t->lm_words, "lm_phase2_time", t->lm_codes, "lm_total_time", t->lm,
                     "dit_encoder_time_cost", t->encoder, "dit_diffusion_time_cost", t->diffusion,
                     "dit_diffusion_per_step_time_cost",
                     t->steps > 0 ? t->diffusion / t->steps : 0.0, "dit_vae_decode_time_cost",
                     t->vae, "dit_offload_time_cost", t->moving, "dit_total_time_cost", t->dit,
                     "audio_save_time", t->saving, "pipeline_total_time", t->wall);
}

static void row(const char *name, double seconds, double wall)
{
    printf("  %-34s %10.3f %7.1f %%\n", name, seconds, wall > 0 ? 100 * seconds / wall : 0);
}

static void print_lm_rows(const profile_times *t, const json_t *lm)
{
    static const char *const phases[][2] = {{"words", "  words and metadata (phase 1)"},
                                            {"codes", "  audio codes (phase 2)"}};
    double constrained = 0;
    double guidance = 0;
    double generation = 0;
    row("LM total", t->lm, t->wall);
    for (size_t i = 0; i < sizeof phases / sizeof *phases; i++) {
        const json_t *p = json_object_get(json_object_get(lm, "phases"), phases[i][0]);
        row(phases[i][1], number(p, "seconds"), t->wall);
        constrained += number(p, "constrained_decoding");
        guidance += number(p, "guidance");
        generation += number(p, "network") + number(p, "sampling");
    }
    row("    token generation", generation, t->wall);
    row("    constrained decoding", constrained, t->wall);
    row("    CFG overhead", guidance, t->wall);
}

void profile_print_times(const profile_times *t, const json_t *lm)
{
    char steps[40];
    double rest = t->wall - t->lm - t->dit - t->saving;
    (void)snprintf(steps, sizeof steps, "    each of %d steps", t->steps);
    printf("\n  %-34s %10s %9s\n", "component", "seconds", "of wall");
    if (t->lm > 0) {
        print_lm_rows(t, lm);
    }
    row("DiT total", t->dit, t->wall);
    row("  encoders", t->encoder, t->wall);
    row("  diffusion", t->diffusion, t->wall);
    if (t->steps > 0) {
        row(steps, t->diffusion / t->steps, t->wall);
    }
    row("  VAE decode", t->vae, t->wall);
    row("  loading and offload", t->moving, t->wall);
    row("audio save", t->saving, t->wall);
    if (rest > 0.01) {
        row("overhead", rest, t->wall);
    }
    row("total", t->wall, t->wall);
}

void profile_print_lm(const json_t *lm)
{
    const char *phase;
    const json_t *p;
    printf("\n  %-8s %8s %9s %10s %9s %12s %9s %9s\n", "phase", "tokens", "seconds", "tokens/s",
           "network", "constrained", "guidance", "sampling");
    json_object_foreach ((json_t *)(uintptr_t)json_object_get(lm, "phases"), phase, p) {
        double seconds = number(p, "seconds");
        printf("  %-8s %8.0f %9.3f %10.1f %9.3f %12.3f %9.3f %9.3f\n", phase, number(p, "tokens"),
               seconds, seconds > 0 ? number(p, "tokens") / seconds : 0, number(p, "network"),
               number(p, "constrained_decoding"), number(p, "guidance"), number(p, "sampling"));
    }
}

const char *profile_insight(const profile_times *t)
{
    if (t->lm <= 0) {
        return t->vae > t->diffusion
                   ? "no language model: the VAE takes longest; larger chunks (--vae-chunk) help "
                     "where memory allows them"
                   : "no language model: diffusion takes longest; fewer steps, INT8 or a shorter "
                     "song help";
    }
    if (t->lm > 2 * t->dit) {
        return "bound by the language model: a smaller one, --use-cot-caption false, or "
               "--thinking false help";
    }
    if (t->dit > 2 * t->lm) {
        return "bound by the diffusion model: fewer steps, INT8 or a shorter song help";
    }
    return "balanced: language model and diffusion model take about as long";
}
