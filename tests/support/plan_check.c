#include "support/plan_check.h"

#include <string.h>

static size_t megabytes(uint32_t n)
{
    return (size_t)n << 20;
}

void plan_case_draw(plan_case *c, uint32_t (*draw)(void *context), void *context)
{
    ace_sizes *s = &c->sizes;
    memset(c, 0, sizeof *c);
    s->songs = 1 + (int)(draw(context) % ACE_PLAN_MAX_SONGS);
    s->layers = 1 + (int)(draw(context) % 48);
    s->many_sessions = draw(context) % 4 == 0;
    s->needs_tokenizer = draw(context) % 2 == 0;
    s->vae_by_table = draw(context) % 2 == 0;
    s->workspace = megabytes(draw(context) % 64);
    for (int i = 0; i < ACE_PARTS; i++) {
        s->has[i] = i == ACE_PART_DIT || draw(context) % 8 != 0;
        s->part[i][0] = megabytes(1 + draw(context) % 4000);
        s->part[i][1] = s->part[i][0] / 2;
    }
    for (int type = 0; type < ACE_PLAN_TYPES; type++) {
        s->layer[type] = s->part[ACE_PART_DIT][type] / (size_t)(s->layers + 2);
    }
    s->work[ACE_STAGE_TEXT] = megabytes(1 + draw(context) % 50);
    s->work[ACE_STAGE_CONDITION] = megabytes(1 + draw(context) % 100);
    s->work[ACE_STAGE_CODES] = draw(context) % 2 == 0 ? 0 : megabytes(1 + draw(context) % 50);
    s->work[ACE_STAGE_ALIGN] = draw(context) % 2 == 0 ? 0 : megabytes(1 + draw(context) % 900);
    size_t per_song = megabytes(1 + draw(context) % 800);
    size_t lm_per_song = megabytes(1 + draw(context) % 900);
    for (int b = 1; b <= ACE_PLAN_MAX_SONGS; b++) {
        s->diffusion[b] = megabytes(20) + (size_t)b * per_song;
        s->lm[b] = megabytes(20) + (size_t)b * lm_per_song;
    }
    s->lm_songs = s->songs;
    for (int64_t chunk = 1536; chunk > 0; chunk = ace_vae_chunk_below(chunk)) {
        size_t window = (size_t)chunk * (1 << 20);
        s->vae[1][s->n_vae_chunks] = window;
        s->vae[0][s->n_vae_chunks] = window + megabytes(draw(context) % 220);
        s->vae_chunk[s->n_vae_chunks++] = chunk;
    }
    if (draw(context) % 2 == 0) {
        for (int i = 0; i < ACE_PLAN_ENCODER_CHUNKS; i++) {
            s->encoder_chunk[i] = 750 >> i;
            s->encoder[i] = megabytes((uint32_t)(400 >> i));
        }
        s->n_encoder_chunks = ACE_PLAN_ENCODER_CHUNKS;
    }
    ace_tier_table tiers;
    ace_tier_table_default(&tiers);
    c->settings.tier_index = (int)(draw(context) % ACE_TIERS);
    c->settings.tier = tiers.row[c->settings.tier_index];
    c->settings.offload = (ace_offload)(draw(context) % 3);
    c->settings.int8 = draw(context) % 2 == 0;
    c->settings.int8_by_user = draw(context) % 2 == 0;
    c->settings.offload_by_user = draw(context) % 2 == 0;
    c->settings.lm_runs = draw(context) % 2 == 0;
    c->wishes.window = (int)(draw(context) % 2 == 0 ? 0 : draw(context) % 60);
    c->wishes.whole_dit = draw(context) % 4 == 0;
    c->wishes.reduce = draw(context) % 2 == 0;
    c->wishes.vae_on_cpu = draw(context) % 8 == 0;
    c->wishes.vae_overlap = 12;
    c->wishes.lm_chunk = 1 + (int)(draw(context) % 8);
    c->wishes.is_cpu = draw(context) % 4 == 0;
}

/* How far down the ladder a plan stands: 0 is what was configured. */
static int steps_down(const plan_case *c, const ace_plan *p)
{
    ace_offload start = c->wishes.is_cpu ? ACE_OFFLOAD_CPU_DIT : c->settings.offload;
    bool lm = c->settings.lm_runs && c->sizes.has[ACE_PART_LM];
    return (int)p->offload - (int)start + (p->int8 != c->settings.int8 ? 1 : 0) +
           (p->lm_runs != lm ? 1 : 0) + (p->host ? 1 : 0);
}

static const char *check_reasons(const plan_case *c, const ace_plan *p, const ace_warnings *w)
{
    for (int i = 0; i < w->count; i++) {
        if (w->item[i].reason[0] == '\0' || w->item[i].asked[0] == '\0' ||
            w->item[i].used[0] == '\0') {
            return "a change without a reason";
        }
    }
    ace_offload start = c->wishes.is_cpu ? ACE_OFFLOAD_CPU_DIT : c->settings.offload;
    bool lm = c->settings.lm_runs && c->sizes.has[ACE_PART_LM];
    if (p->int8 != c->settings.int8 && !ace_warned(w, "W09")) {
        return "INT8 was switched on without W09";
    }
    if (p->offload != start && !ace_warned(w, "W10")) {
        return "offloading went further without W10";
    }
    if (p->lm_runs != lm && !ace_warned(w, "W05")) {
        return "the language model was left out without W05";
    }
    if (!p->host && p->device_batch < c->sizes.songs && !ace_warned(w, "W20")) {
        return "the batch was split without W20";
    }
    if (p->host && !ace_warned(w, "W23")) {
        return "the CPU took over without W23";
    }
    if (!p->host && p->vae == ACE_VAE_HOST && !c->wishes.vae_on_cpu && !ace_warned(w, "W22")) {
        return "the VAE went to the CPU without W22";
    }
    return NULL;
}

static const char *check_one(const plan_case *c, const ace_plan *p, size_t budget,
                             const ace_warnings *w)
{
    if (!p->host && ace_plan_peak_bytes(&c->sizes, p) > budget) {
        return "the peak is above the budget";
    }
    if (p->device_batch < 1 || p->device_batch > p->songs || p->songs > c->sizes.songs ||
        p->window < 1 || p->window > c->sizes.layers) {
        return "a choice is out of range";
    }
    if (!c->wishes.reduce && p->songs != c->sizes.songs) {
        return "songs were lost";
    }
    return check_reasons(c, p, w);
}

/* More memory must not give less, in the order in which the ladder gives things up. */
static const char *compare(const plan_case *c, const ace_plan *small, const ace_plan *large)
{
    int a = steps_down(c, small);
    int b = steps_down(c, large);
    if (b != a) {
        return b > a ? "more memory goes further down the ladder" : NULL;
    }
    if (small->host || large->device_batch != small->device_batch) {
        return !small->host && large->device_batch < small->device_batch
                   ? "more memory gives a smaller batch"
                   : NULL;
    }
    if (large->window < small->window || large->lm_chunk < small->lm_chunk) {
        return "more memory gives a narrower window or fewer songs side by side";
    }
    if (large->vae != ACE_VAE_HOST && small->vae == ACE_VAE_HOST) {
        return NULL;
    }
    if (large->vae == ACE_VAE_HOST && small->vae != ACE_VAE_HOST) {
        return "more memory sends the VAE to the CPU";
    }
    if (large->vae_chunk < small->vae_chunk ||
        (large->vae_chunk == small->vae_chunk && large->vae > small->vae) ||
        large->encoder_chunk < small->encoder_chunk) {
        return "more memory gives a smaller window of the VAE";
    }
    return NULL;
}

const char *plan_case_check(const plan_case *c, size_t budget, size_t more)
{
    static const size_t budgets = 2;
    ace_plan plan[2];
    ace_status status[2];
    for (size_t i = 0; i < budgets; i++) {
        ace_warnings w = {.count = 0};
        ace_error err = {.code = ACESTEP_OK};
        size_t room = i == 0 ? budget : more;
        status[i] = ace_plan_make(&c->sizes, &c->settings, &c->wishes, room, &w, &plan[i], &err);
        if (status[i] == ACESTEP_OK) {
            const char *wrong = check_one(c, &plan[i], room, &w);
            if (wrong != NULL) {
                return wrong;
            }
        } else if (status[i] != ACESTEP_MEMORY || err.message[0] == '\0' || !c->wishes.is_cpu) {
            return "a plan failed otherwise than for want of memory";
        }
    }
    if (status[0] == ACESTEP_OK && status[1] != ACESTEP_OK) {
        return "more memory gives no plan at all";
    }
    return status[0] == ACESTEP_OK ? compare(c, &plan[0], &plan[1]) : NULL;
}
