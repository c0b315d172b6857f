/* Words without music: what the language model makes of a sentence, of rough words, or of audio. */
#include "api/api.h"
#include "api/calls.h"
#include "base/clock.h"
#include "base/memory.h"
#include "run/recovery.h"
#include "text/audio_codes.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct acestep_words {
    acestep_plan plan;
    ace_job job;
    ace_job_report found;
    double seconds;
};

static ace_status run(ace_workshop *w, const ace_request *request, ace_goal goal,
                      acestep_progress *progress, void *context, acestep_words *out, ace_error *err)
{
    ace_finished songs[ACE_MAX_SONGS];
    int n_songs = 0;
    acestep_plan *plan = &out->plan;
    double start = ace_clock_seconds();
    ace_status status = ace_workshop_recover(w, request, err);
    if (status == ACESTEP_OK) {
        status = ace_job_create_for(w, request, goal, &plan->warnings, &out->job, err);
    }
    if (status == ACESTEP_OK) {
        status = ace_plan_for(w, request, &out->job, plan, err);
    }
    if (status == ACESTEP_OK) {
        status = ace_job_run(w, request, &out->job, &plan->stages, progress, context,
                             &plan->warnings, &out->found, songs, &n_songs, err);
        ace_workshop_look(w);
    }
    out->seconds = ace_clock_seconds() - start - out->found.aside_seconds;
    return status;
}

static acestep_status make(acestep_engine *engine, const acestep_request *request,
                           acestep_call call, acestep_progress *progress, void *context,
                           acestep_words **out, acestep_error *err)
{
    ace_error *inner = ace_inner_error(err);
    *out = NULL;
    ace_status status = ace_call_check(call, request->options, inner);
    if (status != ACESTEP_OK) {
        return status;
    }
    acestep_words *words = ace_calloc(1, sizeof *words);
    if (words == NULL) {
        return ace_fail(inner, ACESTEP_MEMORY, "words: no host memory");
    }
    status = run(&engine->workshop, request->options, ace_call_goal(call), progress, context, words,
                 inner);
    if (status != ACESTEP_OK) {
        acestep_words_free(words);
        return status;
    }
    *out = words;
    return ACESTEP_OK;
}

acestep_status acestep_compose(acestep_engine *engine, const acestep_request *request,
                               acestep_progress *progress, void *context, acestep_words **out,
                               acestep_error *err)
{
    return make(engine, request, ACESTEP_CALL_COMPOSE, progress, context, out, err);
}

acestep_status acestep_understand(acestep_engine *engine, const acestep_request *request,
                                  acestep_progress *progress, void *context, acestep_words **out,
                                  acestep_error *err)
{
    return make(engine, request, ACESTEP_CALL_UNDERSTAND, progress, context, out, err);
}

acestep_status acestep_score(acestep_engine *engine, const acestep_request *request,
                             acestep_progress *progress, void *context, acestep_words **out,
                             acestep_error *err)
{
    return make(engine, request, ACESTEP_CALL_SCORE, progress, context, out, err);
}

void acestep_words_free(acestep_words *words)
{
    if (words != NULL) {
        ace_job_free(&words->job);
        ace_job_report_free(&words->found);
        ace_free(words);
    }
}

/* ---- what they are --------------------------------------------------------------------------- */

static const char *text_of(const acestep_words *words, ace_lm_field field)
{
    return words->job.written[0].fields.text[field];
}

static void put_text(json_t *root, const char *name, const char *text)
{
    if (text != NULL && text[0] != '\0') {
        json_object_set_new(root, name, json_string(text));
    }
}

static void put_number(json_t *root, const char *name, const acestep_words *words,
                       ace_lm_field field)
{
    long value = ace_lm_fields_number(&words->job.written[0].fields, field);
    if (value > 0) {
        json_object_set_new(root, name, json_integer(value));
    }
}

static json_t *history(const acestep_words *words)
{
    const ace_lm_written *w = &words->job.written[0];
    json_t *h =
        json_pack("{s:s, s:s, s:I, s:f, s:f, s:I, s:o}", "version", acestep_version(), "lm_model",
                  words->plan.settings.lm_model, "tokens", (json_int_t)w->tokens,
                  "tokens_per_second", w->seconds > 0 ? (double)w->tokens / w->seconds : 0.0,
                  "seconds", words->seconds, "peak_bytes", (json_int_t)words->found.peak_bytes,
                  "warnings", ace_warnings_json(&words->plan.warnings));
    put_text(h, "genres", text_of(words, ACE_LM_GENRES));
    json_object_set_new(h, "phases", ace_lm_phases_json(w));
    return h;
}

char *acestep_words_json(const acestep_words *words)
{
    const ace_lm_written *w = &words->job.written[0];
    json_t *root = json_object();
    put_text(root, "caption", text_of(words, ACE_LM_CAPTION));
    put_text(root, "lyrics", w->lyrics);
    put_number(root, "bpm", words, ACE_LM_BPM);
    put_number(root, "duration", words, ACE_LM_DURATION);
    put_text(root, "keyscale", text_of(words, ACE_LM_KEYSCALE));
    put_text(root, "timesignature", text_of(words, ACE_LM_TIMESIGNATURE));
    put_text(root, "vocal_language", text_of(words, ACE_LM_LANGUAGE));
    if (w->codes != NULL) {
        char *codes = ace_codes_format(w->codes, w->n_codes);
        put_text(root, "audio_codes", codes);
        ace_free(codes);
    }
    if (w->score != NULL) {
        json_object_set_new(root, "lm_score", ace_lm_score_json(&w->score[0]));
    }
    json_object_set_new(root, "acestep", history(words));
    char *text = json_dumps(root, JSON_INDENT(2) | JSON_REAL_PRECISION(6));
    json_decref(root);
    return text;
}

char *acestep_words_text(const acestep_words *words)
{
    static const struct {
        const char *title;
        ace_lm_field field;
    } lines[] = {{"caption", ACE_LM_CAPTION},     {"bpm", ACE_LM_BPM},
                 {"duration", ACE_LM_DURATION},   {"key", ACE_LM_KEYSCALE},
                 {"meter", ACE_LM_TIMESIGNATURE}, {"language", ACE_LM_LANGUAGE},
                 {"genres", ACE_LM_GENRES}};
    const char *lyrics = words->job.written[0].lyrics;
    char *out = NULL;
    size_t bytes = 0;
    FILE *f = open_memstream(&out, &bytes);
    if (f == NULL) {
        return NULL;
    }
    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++) {
        const char *text = text_of(words, lines[i].field);
        if (text != NULL) {
            fprintf(f, "%-9s %s%s\n", lines[i].title, text,
                    lines[i].field == ACE_LM_DURATION ? " s" : "");
        }
    }
    if (words->job.written[0].score != NULL) {
        char score[ACE_LM_SCORE_REPORT_BYTES];
        ace_lm_score_report(&words->job.written[0].score[0], score, sizeof score);
        fprintf(f, "%-9s %s\n", "score", score);
    }
    if (lyrics != NULL && lyrics[0] != '\0') {
        fprintf(f, "\n%s\n", lyrics);
    }
    return fclose(f) == 0 ? out : NULL;
}
