#include "lm/grammar.h"

#include "text/metadata.h"

#include <stdio.h>
#include <string.h>

/* ---- fixed strings --------------------------------------------------------------------------- */

/* The longest prefix that is one token, again and again. */
static void spell_by_prefixes(const ace_lm_vocabulary *v, const char *text, ace_lm_fixed *out)
{
    char piece[32];
    out->n = 0;
    while (*text != '\0' && out->n < ACE_LM_FIXED_TOKENS) {
        size_t n = strlen(text);
        int32_t id = -1;
        for (; n > 0; n--) {
            (void)snprintf(piece, sizeof piece, "%.*s", (int)n, text);
            id = ace_tokenizer_token_id(v->tokenizer, piece);
            if (id >= 0) {
                break;
            }
        }
        if (n == 0) {
            out->n = 0;
            return;
        }
        out->id[out->n++] = id;
        text += n;
    }
}

static ace_status spell_canonically(const ace_lm_vocabulary *v, const char *text, ace_lm_fixed *out,
                                    ace_error *err)
{
    ace_tokens tokens = {0};
    ace_status status = ace_tokenizer_encode(v->tokenizer, text, strlen(text), 0, &tokens, err);
    out->n = 0;
    if (status == ACESTEP_OK && tokens.n <= ACE_LM_FIXED_TOKENS) {
        out->n = (int)tokens.n;
        memcpy(out->id, tokens.ids, (size_t)tokens.n * sizeof *out->id);
    }
    ace_tokens_free(&tokens);
    return status;
}

static ace_status spell(const ace_lm_vocabulary *v, const char *text, bool canonical,
                        ace_lm_fixed *out, ace_error *err)
{
    ace_status status = ACESTEP_OK;
    if (canonical) {
        status = spell_canonically(v, text, out, err);
    } else {
        spell_by_prefixes(v, text, out);
    }
    for (int i = 0; i < out->n && status == ACESTEP_OK; i++) {
        status = out->id[i] < v->size ? ACESTEP_OK : ACESTEP_MODEL;
    }
    if (status == ACESTEP_MODEL || (status == ACESTEP_OK && out->n == 0)) {
        return ace_fail(err, ACESTEP_MODEL, "language model: its vocabulary cannot write \"%s\"",
                        text);
    }
    return status;
}

/* ---- values ---------------------------------------------------------------------------------- */

typedef struct value_list {
    const ace_lm_vocabulary *vocabulary;
    ace_token_tree *tree;
    ace_lm_fixed prefix; /* the field's name and colon, as the tokenizer writes them */
    char heading[24];    /* the same as text */
    ace_status status;
    ace_error *err;
} value_list;

/* Encoded behind the field's name, as in the texts that the model was trained on. */
static void add_value(value_list *list, const char *value)
{
    char text[64];
    ace_tokens tokens = {0};
    if (list->status != ACESTEP_OK) {
        return;
    }
    (void)snprintf(text, sizeof text, "%s %s", list->heading, value);
    list->status = ace_tokenizer_encode(list->vocabulary->tokenizer, text, strlen(text), 0, &tokens,
                                        list->err);
    int64_t n = list->prefix.n;
    if (list->status == ACESTEP_OK) {
        bool begins = tokens.n > n &&
                      memcmp(tokens.ids, list->prefix.id, (size_t)n * sizeof *tokens.ids) == 0;
        if (!begins) {
            list->status = ace_fail(list->err, ACESTEP_MODEL,
                                    "language model: its tokenizer joins \"%s\" with \"%s\"",
                                    list->heading, value);
        } else if (!ace_token_tree_add(list->tree, tokens.ids + n, tokens.n - n)) {
            list->status = ace_fail(list->err, ACESTEP_MEMORY, "language model: no host memory");
        }
    }
    ace_tokens_free(&tokens);
}

static void add_numbers(value_list *list, int from, int to)
{
    char text[16];
    for (int i = from; i <= to; i++) {
        (void)snprintf(text, sizeof text, "%d", i);
        add_value(list, text);
    }
}

/* 7 notes, 5 accidentals, 2 modes. */
static void add_keys(value_list *list)
{
    static const char *const accidentals[] = {"", "#", "b", "\xE2\x99\xAF", "\xE2\x99\xAD"};
    static const char *const modes[] = {"major", "minor"};
    char text[32];
    for (char note = 'A'; note <= 'G'; note++) {
        for (int a = 0; a < 5; a++) {
            for (int m = 0; m < 2; m++) {
                (void)snprintf(text, sizeof text, "%c%s %s", note, accidentals[a], modes[m]);
                add_value(list, text);
            }
        }
    }
}

static void add_values(value_list *list, ace_lm_field field, int longest_seconds)
{
    enum { SHORTEST_SECONDS = 10 }; /* acestep/constants.py */
    static const char *const signatures[] = {"2", "3", "4", "6"};
    switch (field) {
    case ACE_LM_BPM:
        add_numbers(list, ACE_BPM_MIN, ACE_BPM_MAX);
        break;
    case ACE_LM_DURATION:
        add_numbers(list, SHORTEST_SECONDS,
                    longest_seconds > SHORTEST_SECONDS ? longest_seconds : SHORTEST_SECONDS);
        break;
    case ACE_LM_KEYSCALE:
        add_keys(list);
        break;
    case ACE_LM_LANGUAGE:
        for (int i = 0; i < ACE_N_LANGUAGES; i++) {
            add_value(list, ace_languages[i]);
        }
        break;
    case ACE_LM_TIMESIGNATURE:
        for (size_t i = 0; i < sizeof signatures / sizeof *signatures; i++) {
            add_value(list, signatures[i]);
        }
        break;
    case ACE_LM_CAPTION:
    case ACE_LM_GENRES:
    case ACE_LM_FIELDS:
        break;
    }
}

static ace_status open_field(ace_lm_grammar *g, ace_lm_field field, const ace_lm_grammar_options *o,
                             ace_error *err)
{
    value_list list = {.vocabulary = g->vocabulary, .tree = &g->value[field], .err = err};
    (void)snprintf(list.heading, sizeof list.heading, "%s:", ace_lm_field_name(field));
    list.status = spell(g->vocabulary, list.heading, true, &list.prefix, err);
    if (list.status == ACESTEP_OK) {
        list.status = spell(g->vocabulary, list.heading, o->canonical, &g->name[field], err);
    }
    add_values(&list, field, o->longest_seconds);
    return list.status;
}

ace_status ace_lm_grammar_open(const ace_lm_vocabulary *v, const ace_lm_grammar_options *o,
                               ace_lm_grammar *out, ace_error *err)
{
    *out = (ace_lm_grammar){.vocabulary = v, .genres = o->genres};
    ace_status status = spell(v, "<think>", o->canonical, &out->open, err);
    if (status == ACESTEP_OK) {
        status = spell(v, "</think>", o->canonical, &out->close, err);
    }
    out->line_feed = (ace_lm_fixed){.id = {v->line_feed}, .n = 1};
    for (int i = 0; i < ACE_LM_FIELDS && status == ACESTEP_OK; i++) {
        status = open_field(out, (ace_lm_field)i, o, err);
    }
    return status;
}

void ace_lm_grammar_close(ace_lm_grammar *g)
{
    for (int i = 0; i < ACE_LM_FIELDS; i++) {
        ace_token_tree_free(&g->value[i]);
    }
    memset(g, 0, sizeof *g);
}
