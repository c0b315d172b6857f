#include "run/lm_task.h"

#include "base/memory.h"
#include "lm/hints.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

/* acestep/llm_inference.py: 5·600 + 500 tokens for whatever is not codes alone. */
enum { OPENING_TOKENS = 3500 };
/* A caption of 512 tokens, and the rest of the fields. */
enum { METADATA_TOKENS = 704 };
/* The template around what an opening wrote. */
enum { TEMPLATE_TOKENS = 128 };

static bool wanted(int choice)
{
    return choice != ACE_SWITCH_OFF;
}

/* ---- prompts --------------------------------------------------------------------------------- */

static ace_status copy_text(const char *text, char **out, ace_error *err)
{
    *out = ace_strdup(text);
    return *out != NULL ? ACESTEP_OK
                        : ace_fail(err, ACESTEP_MEMORY, "language model: no host memory");
}

static ace_status encode(const ace_models *m, const char *text, ace_tokens *out, ace_error *err)
{
    ace_status status = ace_tokenizer_encode(m->lm_tokenizer, text, strlen(text), 0, out, err);
    if (status == ACESTEP_OK && out->n < 2) {
        status =
            ace_fail(err, ACESTEP_MODEL, "language model: its tokenizer cannot write a prompt");
    }
    return status;
}

static ace_status encode_prompt(const ace_models *m, ace_lm_mode mode,
                                const ace_lm_prompt_input *in, ace_tokens *out, ace_error *err)
{
    char *text = NULL;
    ace_status status = ace_lm_prompt(mode, in, &text, err);
    if (status == ACESTEP_OK) {
        status = encode(m, text, out, err);
    }
    ace_free(text);
    return status;
}

/* Codes are guided by a prompt with the same layout and no song in it; the block in it is empty
 * whatever the real one says. */
static ace_status encode_twin(const ace_models *m, ace_lm_prompt_input in, ace_tokens *out,
                              ace_error *err)
{
    char *text = NULL;
    in.block = "";
    ace_status status = ace_lm_unconditional_prompt(&in, &text, err);
    if (status == ACESTEP_OK) {
        status = encode(m, text, out, err);
    }
    ace_free(text);
    return status;
}

/* ---- what is asked --------------------------------------------------------------------------- */

static ace_status fix(ace_lm_task *t, ace_lm_field field, const char *text, ace_error *err)
{
    return ace_lm_fields_set(&t->fixed, field, text, strlen(text), err);
}

static ace_status fix_number(ace_lm_task *t, ace_lm_field field, long long value, ace_error *err)
{
    char text[32];
    (void)snprintf(text, sizeof text, "%lld", value);
    return fix(t, field, text, err);
}

/* acestep/inference.py: tempo, key, meter and length, where given. Language and caption are never
 * fixed for the metadata; an opening takes the language. */
static ace_status read_fixed(const ace_request *r, ace_lm_task *t, ace_error *err)
{
    ace_status status = ACESTEP_OK;
    if (r->bpm > 0) {
        status = fix_number(t, ACE_LM_BPM, (long long)r->bpm, err);
    }
    if (status == ACESTEP_OK && t->seconds > 0) {
        status = fix_number(t, ACE_LM_DURATION, (long long)t->seconds, err);
    }
    if (status == ACESTEP_OK && r->keyscale[0] != '\0') {
        status = fix(t, ACE_LM_KEYSCALE, r->keyscale, err);
    }
    if (status == ACESTEP_OK && r->timesignature[0] != '\0') {
        status = fix(t, ACE_LM_TIMESIGNATURE, r->timesignature, err);
    }
    const char *language = r->vocal_language;
    if (strcmp(language, "unknown") == 0 || language[0] == '\0') {
        language = ace_lm_hint_language(r->sample_query);
    }
    bool opens = t->opening != ACE_LM_GENERATE;
    return status == ACESTEP_OK && opens && language != NULL
               ? fix(t, ACE_LM_LANGUAGE, language, err)
               : status;
}

static bool all_fixed(const ace_lm_fields *f)
{
    return f->text[ACE_LM_BPM] != NULL && f->text[ACE_LM_DURATION] != NULL &&
           f->text[ACE_LM_KEYSCALE] != NULL && f->text[ACE_LM_TIMESIGNATURE] != NULL;
}

static bool has_text(const char *text)
{
    return text[strspn(text, " \t\r\n")] != '\0';
}

/* A sentence makes a song, or lyrics for a caption; rough words are made better. After either the
 * metadata are there, as in acestep/api_server.py. */
static void choose_phases(const ace_request *r, ace_lm_task *t)
{
    bool no_lyrics = !has_text(r->lyrics) && !r->instrumental;
    t->opening = ACE_LM_GENERATE;
    if (has_text(r->sample_query)) {
        t->opening = ACE_LM_CREATE;
        t->whole_opening = true;
    } else if (r->use_format) {
        t->opening = ACE_LM_FORMAT;
        t->whole_opening = true;
    } else if (r->use_cot_lyrics && no_lyrics) {
        t->opening = ACE_LM_CREATE;
    }
    t->metadata = !t->whole_opening && wanted(r->use_cot_metas);
    t->use_caption = wanted(r->use_cot_caption);
    t->use_language = wanted(r->use_cot_language);
    t->codes = wanted(r->thinking) && r->audio_codes[0] == '\0';
    t->seconds = fmin(r->duration, t->longest);
}

static ace_status encode_opening(const ace_request *r, const ace_models *m, ace_lm_task *t,
                                 ace_error *err)
{
    ace_lm_prompt_input in = {
        .caption = r->caption,
        .lyrics = r->instrumental ? "" : r->lyrics,
        .query = t->whole_opening ? r->sample_query : r->caption,
        .instrumental = r->instrumental || ace_lm_hint_instrumental(r->sample_query),
    };
    t->opening_room = OPENING_TOKENS;
    return encode_prompt(m, t->opening, &in, &t->opening_prompt, err);
}

/* The song's own prompt; after an opening only its most is known. */
static ace_status encode_song(const ace_request *r, const ace_models *m, int64_t n_codes,
                              ace_lm_task *t, ace_error *err)
{
    ace_lm_prompt_input in = {.caption = t->caption,
                              .lyrics = t->lyrics,
                              .negative = t->negative,
                              .legacy = r->lm_legacy_prompt};
    ace_status status = encode_prompt(m, ACE_LM_GENERATE, &in, &t->prompt, err);
    t->prompt_room = t->prompt.n + ACE_LM_BLOCK_TOKENS;
    if (t->opening != ACE_LM_GENERATE) {
        t->prompt_room += OPENING_TOKENS + TEMPLATE_TOKENS;
    }
    t->metadata_room = t->metadata ? METADATA_TOKENS : 0;
    if (status == ACESTEP_OK && t->codes) {
        t->code_room = n_codes + 1; /* and the end token */
    }
    if (status == ACESTEP_OK && t->codes && r->lm_cfg_scale > 1) {
        status = encode_twin(m, in, &t->twin, err);
        t->twin_room = t->twin.n;
        if (r->lm_legacy_prompt && t->opening != ACE_LM_GENERATE) {
            t->twin_room += OPENING_TOKENS; /* it repeats the lyrics */
        }
    }
    return status;
}

static ace_status fill(const ace_request *r, const ace_models *m, int64_t n_codes, ace_lm_task *t,
                       ace_error *err)
{
    ace_status status = copy_text(r->caption, &t->caption, err);
    if (status == ACESTEP_OK) {
        status = copy_text(r->instrumental ? "" : r->lyrics, &t->lyrics, err);
    }
    if (status == ACESTEP_OK) {
        status = copy_text(r->lm_negative_prompt, &t->negative, err);
    }
    if (status == ACESTEP_OK && t->opening != ACE_LM_GENERATE) {
        status = encode_opening(r, m, t, err);
    }
    return status == ACESTEP_OK && (t->metadata || t->codes) ? encode_song(r, m, n_codes, t, err)
                                                             : status;
}

ace_status ace_lm_task_create(const ace_request *r, const ace_models *m, const ace_settings *limits,
                              int64_t n_codes, ace_lm_task **out, ace_error *err)
{
    *out = NULL;
    ace_lm_task *t = ace_calloc(1, sizeof *t);
    if (t == NULL) {
        return ace_fail(err, ACESTEP_MEMORY, "language model: no host memory");
    }
    t->longest = ace_settings_lm_duration_limit(limits);
    choose_phases(r, t);
    ace_status status = read_fixed(r, t, err);
    t->metadata = t->metadata && !all_fixed(&t->fixed);
    if (status == ACESTEP_OK && (t->metadata || t->codes || t->opening != ACE_LM_GENERATE)) {
        status = fill(r, m, n_codes, t, err);
    } else if (status == ACESTEP_OK) {
        ace_lm_task_free(t);
        return ACESTEP_OK;
    }
    if (status != ACESTEP_OK) {
        ace_lm_task_free(t);
        return status;
    }
    *out = t;
    return ACESTEP_OK;
}

/* ---- understanding --------------------------------------------------------------------------- */

ace_status ace_lm_task_understand(const ace_models *m, const char *codes, ace_lm_task **out,
                                  ace_error *err)
{
    ace_lm_prompt_input in = {.codes = codes};
    ace_lm_task *t = ace_calloc(1, sizeof *t);
    *out = NULL;
    if (t == NULL) {
        return ace_fail(err, ACESTEP_MEMORY, "language model: no host memory");
    }
    t->opening = ACE_LM_UNDERSTAND;
    t->whole_opening = true;
    t->opening_room = OPENING_TOKENS;
    ace_status status = encode_prompt(m, ACE_LM_UNDERSTAND, &in, &t->opening_prompt, err);
    if (status != ACESTEP_OK) {
        ace_lm_task_free(t);
        return status;
    }
    *out = t;
    return ACESTEP_OK;
}

ace_status ace_lm_task_understand_room(const ace_models *m, int64_t n_codes, ace_lm_task **out,
                                       ace_error *err)
{
    static const char code[] = "<|audio_code_0|>";
    const size_t n = sizeof code - 1;
    char *text = ace_malloc_array((size_t)n_codes + 1, n);
    *out = NULL;
    if (text == NULL) {
        return ace_fail(err, ACESTEP_MEMORY, "language model: no host memory");
    }
    for (int64_t i = 0; i < n_codes; i++) {
        memcpy(text + (size_t)i * n, code, n);
    }
    text[(size_t)n_codes * n] = '\0';
    ace_status status = ace_lm_task_understand(m, text, out, err);
    ace_free(text);
    return status;
}

/* ---- scoring --------------------------------------------------------------------------------- */

ace_status ace_lm_task_score(const ace_request *r, int64_t n_codes, ace_lm_task **out,
                             ace_error *err)
{
    ace_lm_task *t = ace_calloc(1, sizeof *t);
    *out = NULL;
    if (t == NULL) {
        return ace_fail(err, ACESTEP_MEMORY, "language model: no host memory");
    }
    t->opening = ACE_LM_GENERATE;
    t->codes = true;
    t->code_room = n_codes + 1; /* and the end token */
    t->seconds = r->duration;
    ace_status status = copy_text(r->caption, &t->caption, err);
    if (status == ACESTEP_OK) {
        status = copy_text(r->instrumental ? "" : r->lyrics, &t->lyrics, err);
    }
    if (status == ACESTEP_OK) {
        status = read_fixed(r, t, err);
    }
    if (status != ACESTEP_OK) {
        ace_lm_task_free(t);
        return status;
    }
    *out = t;
    return ACESTEP_OK;
}

/* ---- ends ------------------------------------------------------------------------------------ */

void ace_lm_task_free(ace_lm_task *t)
{
    if (t != NULL) {
        ace_free(t->caption);
        ace_free(t->lyrics);
        ace_free(t->negative);
        ace_lm_fields_free(&t->fixed);
        ace_tokens_free(&t->opening_prompt);
        ace_tokens_free(&t->prompt);
        ace_tokens_free(&t->twin);
        ace_free(t);
    }
}

void ace_lm_written_free(ace_lm_written *w)
{
    ace_lm_fields_free(&w->fields);
    ace_free(w->lyrics);
    ace_free(w->codes);
    ace_free(w->score);
    memset(w, 0, sizeof *w);
}
