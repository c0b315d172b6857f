#include "lm/score.h"

#include "lm/user_text.h"
#include "lm/yaml_scalar.h"

#include "base/memory.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

/* acestep/core/scoring/lm_score.py */
static const double CAPTION_WEIGHT = 0.5, LYRICS_WEIGHT = 0.3, METADATA_WEIGHT = 0.2;

/* Natural logarithm; float logits of a sound model stay far above it. */
static const double LEAST_LOG_PROBABILITY = -1000;

const char *ace_lm_condition_name(int condition)
{
    return condition == ACE_LM_SCORE_LYRICS ? "lyrics" : ace_lm_field_name((ace_lm_field)condition);
}

/* ---- one row --------------------------------------------------------------------------------- */

double ace_lm_score_recall(const float *logits, int64_t n, int64_t id)
{
    const float own = logits[id];
    int64_t ahead = 0;
    if (!(own > -INFINITY)) {
        return 0;
    }
    for (int64_t i = 0; i < n && ahead < ACE_LM_SCORE_TOP; i++) {
        ahead += logits[i] > own || (logits[i] == own && i < id);
    }
    return 1 - (double)ahead / ACE_LM_SCORE_TOP;
}

double ace_lm_score_log_probability(const float *logits, int64_t n, int64_t id)
{
    double most = -INFINITY;
    double sum = 0;
    for (int64_t i = 0; i < n; i++) {
        most = logits[i] > most ? (double)logits[i] : most;
    }
    if (isnan(logits[id]) || isinf(most)) {
        return logits[id] > 0 && isinf(logits[id]) ? 0 : LEAST_LOG_PROBABILITY;
    }
    for (int64_t i = 0; i < n; i++) {
        sum += isnan(logits[i]) ? 0 : exp((double)logits[i] - most);
    }
    return fmax((double)logits[id] - most - log(sum), LEAST_LOG_PROBABILITY);
}

/* ---- a song ---------------------------------------------------------------------------------- */

double ace_lm_score_of_pmi(double pmi, double scale)
{
    return 1 / (1 + exp(-pmi / scale));
}

static bool is_metadata(int condition)
{
    return condition != ACE_LM_CAPTION && condition != ACE_LM_SCORE_LYRICS;
}

void ace_lm_score_weigh(ace_lm_score *s)
{
    double metadata = 0;
    int fields = 0;
    double sum = 0;
    double weight = 0;
    for (int i = 0; i < ACE_LM_CONDITIONS; i++) {
        if (s->has[i] && is_metadata(i)) {
            metadata += s->value[i];
            fields++;
        } else if (s->has[i]) {
            double own = i == ACE_LM_CAPTION ? CAPTION_WEIGHT : LYRICS_WEIGHT;
            sum += own * s->value[i];
            weight += own;
        }
    }
    if (fields > 0) {
        sum += METADATA_WEIGHT * metadata / fields;
        weight += METADATA_WEIGHT;
    }
    s->scored = weight > 0;
    s->global = s->scored ? sum / weight : 0;
}

void ace_lm_score_report(const ace_lm_score *s, char *out, size_t bytes)
{
    static const int order[ACE_LM_CONDITIONS] = {
        ACE_LM_CAPTION,  ACE_LM_SCORE_LYRICS, ACE_LM_BPM,    ACE_LM_DURATION,
        ACE_LM_KEYSCALE, ACE_LM_LANGUAGE,     ACE_LM_GENRES, ACE_LM_TIMESIGNATURE,
    };
    const char *separator = ": ";
    if (!s->scored) {
        (void)snprintf(out, bytes, "%s", "");
        return;
    }
    int n = snprintf(out, bytes, "%.2f", s->global);
    size_t at = n > 0 ? (size_t)n : 0;
    for (int i = 0; i < ACE_LM_CONDITIONS && at < bytes; i++) {
        int condition = order[i];
        if (s->has[condition]) {
            n = snprintf(out + at, bytes - at, "%s%s %.2f", separator,
                         ace_lm_condition_name(condition), s->value[condition]);
            at += n > 0 ? (size_t)n : 0;
            separator = ", ";
        }
    }
}

/* ---- texts ----------------------------------------------------------------------------------- */

static ace_status hand_over(ace_text_buffer *built, char **out, ace_error *err)
{
    *out = ace_text_take(built);
    return *out != NULL ? ACESTEP_OK : ace_fail(err, ACESTEP_MEMORY, "score: no host memory");
}

/* The block of the prompts leaves genres out. */
static ace_status genres_block(const char *value, char **out, ace_error *err)
{
    ace_text_buffer clean = {0};
    ace_text_buffer block = {0};
    ace_lm_append_user_text(&clean, value);
    char *text = ace_text_take(&clean);
    if (text == NULL) {
        return ace_fail(err, ACESTEP_MEMORY, "score: no host memory");
    }
    ace_text_append_string(&block, "<think>\n");
    ace_yaml_append_entry(&block, ace_lm_field_name(ACE_LM_GENRES), text);
    ace_text_append_string(&block, "</think>");
    ace_free(text);
    return hand_over(&block, out, err);
}

static ace_status field_block(ace_lm_field field, const char *value, char **out, ace_error *err)
{
    ace_lm_fields one = {0};
    ace_status status = ace_lm_fields_set(&one, field, value, strlen(value), err);
    if (status == ACESTEP_OK) {
        status = ace_lm_fields_block(&one, out, err);
    }
    ace_lm_fields_free(&one);
    return status;
}

ace_status ace_lm_score_field_text(ace_lm_field field, const char *value, char **out,
                                   ace_error *err)
{
    char *block = NULL;
    ace_text_buffer built = {0};
    ace_status status = field == ACE_LM_GENRES ? genres_block(value, &block, err)
                                               : field_block(field, value, &block, err);
    if (status != ACESTEP_OK) {
        return status;
    }
    ace_text_append_string(&built, block);
    ace_text_append_string(&built, "\n");
    ace_free(block);
    return hand_over(&built, out, err);
}

ace_status ace_lm_score_lyrics_text(const char *lyrics, char **out, ace_error *err)
{
    ace_text_buffer built = {0};
    ace_text_append_string(&built, "<think>\n</think>\n# Lyric\n");
    ace_lm_append_user_text(&built, lyrics);
    ace_text_append_string(&built, "\n");
    return hand_over(&built, out, err);
}

bool ace_lm_score_sings(const char *lyrics)
{
    bool inside = false;
    for (const char *c = lyrics; *c != '\0'; c++) {
        if (*c == '[') {
            inside = true;
        } else if (*c == ']') {
            inside = false;
        } else if (!inside && strchr(" \t\r\n", *c) == NULL) {
            return true;
        }
    }
    return false;
}
