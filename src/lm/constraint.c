#include "lm/constraint.h"

#include "base/memory.h"

#include <string.h>

/* acestep/constrained_logits_processor.py: a caption is at most this long. */
enum { CAPTION_TOKENS = 512 };

enum { GENRE_BYTES = 256, QUEUE_TOKENS = 1024 };

typedef enum state {
    OPEN,  /* <think> */
    BREAK, /* the line feed behind it */
    NAME,  /* of `field` */
    VALUE, /* of `field`, its line feed included */
    CLOSE, /* </think>, or the end in its place */
    CODES,
    LYRICS, /* free text to the end */
    ENDED
} state;

struct ace_lm_constraint {
    const ace_lm_grammar *grammar;
    ace_lm_rules rules;
    ace_tokens fixed[ACE_LM_FIELDS]; /* " value\n" of what the user gave; n 0: nothing */
    state state;
    ace_lm_field field;
    int at;       /* tokens written of a fixed string or a fixed value */
    int32_t node; /* of the value tree */
    int64_t codes;

    /* the caption */
    int caption_tokens;
    bool caption_blank;  /* nothing but white space so far */
    bool line_ended;     /* its last token held a line feed: who looks decides how it goes on */
    bool line_continues; /* decided: with a token that begins with a space */

    char genre[GENRE_BYTES];
    size_t genre_bytes;
};

/* ---- creation -------------------------------------------------------------------------------- */

/* One line: a line feed inside would end the value. */
static ace_status encode_fixed(const ace_lm_grammar *g, const char *value, ace_tokens *out,
                               ace_error *err)
{
    size_t n = strlen(value);
    char *text = ace_malloc_array(n + 3, 1);
    if (text == NULL) {
        return ace_fail(err, ACESTEP_MEMORY, "language model: no host memory");
    }
    text[0] = ' ';
    for (size_t i = 0; i < n; i++) {
        text[1 + i] = value[i] == '\n' || value[i] == '\r' ? ' ' : value[i];
    }
    text[1 + n] = '\n';
    text[2 + n] = '\0';
    ace_status status =
        ace_tokenizer_encode(g->vocabulary->tokenizer, text, n + 2, QUEUE_TOKENS, out, err);
    ace_free(text);
    return status;
}

ace_status ace_lm_constraint_create(const ace_lm_grammar *g, const ace_lm_rules *rules,
                                    ace_lm_constraint **out, ace_error *err)
{
    ace_lm_constraint *c = ace_calloc(1, sizeof *c);
    *out = NULL;
    if (c == NULL) {
        return ace_fail(err, ACESTEP_MEMORY, "language model: no host memory");
    }
    c->grammar = g;
    c->rules = *rules;
    c->rules.fixed = NULL;
    c->rules.skip[ACE_LM_GENRES] = rules->skip[ACE_LM_GENRES] || g->genres == NULL;
    c->state = rules->codes ? CODES : OPEN;
    ace_status status = ACESTEP_OK;
    for (int i = 0; i < ACE_LM_FIELDS && rules->fixed != NULL && status == ACESTEP_OK; i++) {
        if (rules->fixed->text[i] != NULL) {
            status = encode_fixed(g, rules->fixed->text[i], &c->fixed[i], err);
        }
    }
    if (status != ACESTEP_OK) {
        ace_lm_constraint_free(c);
        return status;
    }
    *out = c;
    return ACESTEP_OK;
}

void ace_lm_constraint_free(ace_lm_constraint *c)
{
    if (c != NULL) {
        for (int i = 0; i < ACE_LM_FIELDS; i++) {
            ace_tokens_free(&c->fixed[i]);
        }
        ace_free(c);
    }
}

/* ---- transitions ----------------------------------------------------------------------------- */

static void enter(ace_lm_constraint *c, state to)
{
    c->state = to;
    c->at = 0;
    c->node = 0;
    c->caption_tokens = 0;
    c->caption_blank = true;
    c->line_ended = false;
    c->line_continues = false;
    c->genre_bytes = 0;
}

/* The first field from here on that is written, or the end of the metadata. */
static void enter_field(ace_lm_constraint *c, int first)
{
    int field = first;
    while (field < ACE_LM_FIELDS && c->rules.skip[field]) {
        field++;
    }
    if (field < ACE_LM_FIELDS) {
        c->field = (ace_lm_field)field;
    }
    enter(c, field < ACE_LM_FIELDS ? NAME : CLOSE);
}

static const ace_lm_fixed *fixed_string(const ace_lm_constraint *c)
{
    switch (c->state) {
    case OPEN:
        return &c->grammar->open;
    case BREAK:
        return &c->grammar->line_feed;
    case NAME:
        return &c->grammar->name[c->field];
    case CLOSE:
        return &c->grammar->close;
    case VALUE:
    case CODES:
    case LYRICS:
    case ENDED:
        break;
    }
    return NULL;
}

static void accept_fixed_string(ace_lm_constraint *c)
{
    c->at++;
    if (c->state == CLOSE && c->rules.plan_only) {
        enter(c, ENDED);
    } else if (c->at < fixed_string(c)->n) {
        return;
    } else if (c->state == OPEN) {
        enter(c, BREAK);
    } else if (c->state == BREAK) {
        enter_field(c, 0);
    } else if (c->state == NAME) {
        enter(c, VALUE);
    } else {
        enter(c, LYRICS);
    }
}

/* ---- captions -------------------------------------------------------------------------------- */

bool ace_lm_constraint_looks(const ace_lm_constraint *c)
{
    return c->state == VALUE && c->field == ACE_LM_CAPTION && c->line_ended;
}

static bool has_kind(const ace_lm_constraint *c, int32_t id, uint8_t kind)
{
    const ace_lm_vocabulary *v = c->grammar->vocabulary;
    return id >= 0 && id < v->size && (v->kind[id] & kind) != 0;
}

void ace_lm_constraint_look(ace_lm_constraint *c, const float *logits)
{
    int64_t best = 0;
    if (!ace_lm_constraint_looks(c)) {
        return;
    }
    for (int64_t i = 1; i < c->grammar->vocabulary->size; i++) {
        best = logits[i] > logits[best] ? i : best;
    }
    c->line_ended = false;
    c->line_continues =
        c->caption_tokens < CAPTION_TOKENS && has_kind(c, (int32_t)best, ACE_LM_TOKEN_BLANK_START);
    if (!c->line_continues) {
        enter_field(c, ACE_LM_CAPTION + 1);
    }
}

static bool is_blank_token(const ace_lm_constraint *c, int32_t id)
{
    size_t n = 0;
    const char *bytes = ace_tokenizer_token_bytes(c->grammar->vocabulary->tokenizer, id, &n);
    for (size_t i = 0; bytes != NULL && i < n; i++) {
        if (strchr(" \t\r\n\v\f", bytes[i]) == NULL) {
            return false;
        }
    }
    return true;
}

static void allow_caption(const ace_lm_constraint *c, ace_lm_allowed *out)
{
    out->choice = ACE_LM_TEXT;
    out->with = ACE_LM_TOKEN_TEXT;
    out->without = ACE_LM_TOKEN_BACKTICK;
    if (c->caption_tokens >= CAPTION_TOKENS) {
        out->choice = ACE_LM_LISTED;
        out->id[out->n++] = c->grammar->vocabulary->line_feed;
    } else if (c->caption_blank) {
        out->without |= ACE_LM_TOKEN_LINE_FEED; /* an empty caption is none */
    } else if (c->line_continues) {
        out->with |= ACE_LM_TOKEN_BLANK_START;
        out->without |= ACE_LM_TOKEN_LINE_FEED;
    }
}

static void accept_caption(ace_lm_constraint *c, int32_t id)
{
    c->caption_tokens++;
    c->caption_blank = c->caption_blank && is_blank_token(c, id);
    c->line_ended = has_kind(c, id, ACE_LM_TOKEN_LINE_FEED);
    c->line_continues = false;
}

/* ---- genres ---------------------------------------------------------------------------------- */

/* The genre so far with one token more, in lower case and without space in front; 0 for what is too
 * long. A genre's own spaces are single. */
static size_t with_token(const ace_lm_constraint *c, int32_t id, char out[GENRE_BYTES])
{
    size_t n = 0;
    const char *bytes = ace_tokenizer_token_bytes(c->grammar->vocabulary->tokenizer, id, &n);
    size_t total = c->genre_bytes;
    if (bytes == NULL || total + n > GENRE_BYTES) {
        return 0;
    }
    memmove(out, c->genre, total);
    for (size_t i = 0; i < n; i++) {
        char byte = bytes[i] >= 'A' && bytes[i] <= 'Z' ? (char)(bytes[i] - 'A' + 'a') : bytes[i];
        if (byte != ' ' || total > 0) {
            out[total++] = byte;
        }
    }
    return total;
}

static bool continues_genre(const ace_lm_constraint *c, int32_t id)
{
    char text[GENRE_BYTES];
    bool whole = false;
    if (id == c->grammar->vocabulary->line_feed) {
        return c->genre_bytes > 0 &&
               ace_lm_genres_begins(c->grammar->genres, c->genre, c->genre_bytes, &whole) && whole;
    }
    if (!has_kind(c, id, ACE_LM_TOKEN_TEXT) || has_kind(c, id, ACE_LM_TOKEN_LINE_FEED)) {
        return false;
    }
    size_t n = with_token(c, id, text);
    return n > c->genre_bytes && ace_lm_genres_begins(c->grammar->genres, text, n, &whole);
}

/* ---- values ---------------------------------------------------------------------------------- */

/* bpm and duration may go on after a whole number; other values end where one is complete. */
static bool may_grow(ace_lm_field field)
{
    return field == ACE_LM_BPM || field == ACE_LM_DURATION;
}

static void allow_listed(const ace_lm_constraint *c, ace_lm_allowed *out)
{
    const ace_token_tree *tree = &c->grammar->value[c->field];
    bool complete = tree->node[c->node].complete;
    bool first_of_language = c->field == ACE_LM_LANGUAGE && c->node == 0;
    out->choice = first_of_language ? ACE_LM_MOST_LIKELY : ACE_LM_LISTED;
    if (!complete || may_grow(c->field)) {
        out->n = ace_token_tree_next(tree, c->node, out->id, ACE_LM_MOST_LISTED - 1);
    }
    if (complete) {
        out->id[out->n++] = c->grammar->vocabulary->line_feed;
    }
}

static void allow_value(const ace_lm_constraint *c, ace_lm_allowed *out)
{
    const ace_tokens *fixed = &c->fixed[c->field];
    if (fixed->n > 0) {
        out->id[out->n++] = fixed->ids[c->at];
    } else if (c->field == ACE_LM_CAPTION) {
        allow_caption(c, out);
    } else if (c->field == ACE_LM_GENRES) {
        out->choice = ACE_LM_GENRE;
    } else {
        allow_listed(c, out);
    }
}

static void accept_value(ace_lm_constraint *c, int32_t id)
{
    bool ends = id == c->grammar->vocabulary->line_feed;
    if (c->fixed[c->field].n > 0) {
        c->at++;
        ends = c->at == c->fixed[c->field].n;
    } else if (c->field == ACE_LM_CAPTION) {
        accept_caption(c, id);
        ends = false; /* who looks decides */
    } else if (c->field == ACE_LM_GENRES && !ends) {
        c->genre_bytes = with_token(c, id, c->genre);
    } else if (!ends) {
        c->node = ace_token_tree_step(&c->grammar->value[c->field], c->node, id);
    }
    if (ends) {
        enter_field(c, (int)c->field + 1);
    }
}

/* ---- codes and lyrics ------------------------------------------------------------------------ */

static void allow_codes(const ace_lm_constraint *c, ace_lm_allowed *out)
{
    if (c->rules.target < 0) {
        out->choice = ACE_LM_CODES_OR_END;
    } else if (c->codes < c->rules.target) {
        out->choice = ACE_LM_CODES;
    } else {
        out->id[out->n++] = c->grammar->vocabulary->end;
    }
}

static bool is_end(const ace_lm_constraint *c, int32_t id)
{
    return id == c->grammar->vocabulary->end || id == c->grammar->vocabulary->pad;
}

/* ---- the machine ----------------------------------------------------------------------------- */

void ace_lm_constraint_allow(const ace_lm_constraint *c, ace_lm_allowed *out)
{
    *out = (ace_lm_allowed){.choice = ACE_LM_LISTED};
    switch (c->state) {
    case OPEN:
    case BREAK:
    case NAME:
    case CLOSE:
        out->id[out->n++] = c->state == CLOSE && c->rules.plan_only ? c->grammar->vocabulary->end
                                                                    : fixed_string(c)->id[c->at];
        break;
    case VALUE:
        allow_value(c, out);
        break;
    case CODES:
        allow_codes(c, out);
        break;
    case LYRICS:
        out->choice = ACE_LM_TEXT_OR_END;
        out->with = ACE_LM_TOKEN_TEXT;
        break;
    case ENDED:
        out->id[out->n++] = c->grammar->vocabulary->end;
        break;
    }
}

bool ace_lm_constraint_permits(const ace_lm_constraint *c, const ace_lm_allowed *a, int32_t id)
{
    const ace_lm_vocabulary *v = c->grammar->vocabulary;
    bool of_base = id >= 0 && id < v->pad;
    switch (a->choice) {
    case ACE_LM_LISTED:
    case ACE_LM_MOST_LIKELY:
        for (int i = 0; i < a->n; i++) {
            if (a->id[i] == id) {
                return true;
            }
        }
        return false;
    case ACE_LM_CODES:
        return ace_lm_code_of(v, id) >= 0;
    case ACE_LM_CODES_OR_END:
        return ace_lm_code_of(v, id) >= 0 || id == v->end;
    case ACE_LM_TEXT:
    case ACE_LM_TEXT_OR_END:
        return (a->choice == ACE_LM_TEXT_OR_END && id == v->end) ||
               (of_base && (v->kind[id] & a->with) == a->with && (v->kind[id] & a->without) == 0);
    case ACE_LM_GENRE:
        return of_base && continues_genre(c, id);
    }
    return false;
}

void ace_lm_constraint_accept(ace_lm_constraint *c, int32_t id)
{
    switch (c->state) {
    case OPEN:
    case BREAK:
    case NAME:
    case CLOSE:
        accept_fixed_string(c);
        break;
    case VALUE:
        accept_value(c, id);
        break;
    case CODES:
        if (is_end(c, id)) {
            enter(c, ENDED);
        } else {
            c->codes++;
        }
        break;
    case LYRICS:
        if (is_end(c, id)) {
            enter(c, ENDED);
        }
        break;
    case ENDED:
        break;
    }
}

bool ace_lm_constraint_ended(const ace_lm_constraint *c)
{
    return c->state == ENDED;
}

bool ace_lm_constraint_writes_codes(const ace_lm_constraint *c)
{
    return c->rules.codes;
}

const char *ace_lm_constraint_phase(const ace_lm_constraint *c)
{
    switch (c->state) {
    case NAME:
    case VALUE:
        return ace_lm_field_name(c->field);
    case CODES:
        return "codes";
    case LYRICS:
        return "lyrics";
    case OPEN:
    case BREAK:
    case CLOSE:
    case ENDED:
        break;
    }
    return "metadata";
}
