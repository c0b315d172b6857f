#include "lm/prompts.h"

#include "lm/user_text.h"
#include "text/span.h"

#include <string.h>

/* Instructions: acestep/constants.py. */
static const char *const instructions[] = {
    [ACE_LM_GENERATE] = "Generate audio semantic tokens based on the given conditions:",
    [ACE_LM_UNDERSTAND] =
        "Understand the given musical conditions and describe the audio semantics accordingly:",
    [ACE_LM_CREATE] =
        "Expand the user's input into a more detailed and specific musical description:",
    [ACE_LM_FORMAT] =
        "Format the user's input into a more detailed and specific musical description:",
};

/* What stands for an input that is not there, as in training. */
static const char nothing_said[] = "NO USER INPUT";
static const char no_words[] = "[Instrumental]";

static bool is_blank(const char *text)
{
    return ace_span_trim(ace_span_of(text)).bytes == 0;
}

static void open_user_turn(ace_text_buffer *out, ace_lm_mode mode)
{
    ace_text_append_string(out, "<|im_start|>system\n# Instruction\n");
    ace_text_append_string(out, instructions[mode]);
    ace_text_append_string(out, "\n\n<|im_end|>\n<|im_start|>user\n");
}

static void open_own_turn(ace_text_buffer *out)
{
    ace_text_append_string(out, "<|im_end|>\n<|im_start|>assistant\n");
}

/* The block a model would have written, before its codes. The layout before the fix closed the
 * turn. */
static void append_block(ace_text_buffer *out, const char *block, bool legacy)
{
    ace_text_append_string(out, block);
    ace_text_append_string(out, legacy ? "\n\n<|im_end|>\n" : "\n\n");
}

static void append_caption(ace_text_buffer *out, const char *caption)
{
    ace_text_append_string(out, "# Caption\n");
    ace_lm_append_user_text(out, caption);
    ace_text_append_string(out, "\n\n");
}

static void append_lyrics(ace_text_buffer *out, const char *lyrics)
{
    ace_text_append_string(out, "# Lyric\n");
    ace_lm_append_user_text(out, lyrics);
}

static void append_query(ace_text_buffer *out, const ace_lm_prompt_input *in)
{
    ace_lm_append_user_text(out, is_blank(in->query) ? nothing_said : in->query);
    ace_text_append_string(out, "\n\ninstrumental: ");
    ace_text_append_string(out, in->instrumental ? "true" : "false");
}

static void append_user(ace_text_buffer *out, ace_lm_mode mode, const ace_lm_prompt_input *in)
{
    switch (mode) {
    case ACE_LM_GENERATE:
        append_caption(out, in->caption);
        append_lyrics(out, in->lyrics);
        ace_text_append_string(out, "\n");
        break;
    case ACE_LM_UNDERSTAND:
        ace_lm_append_codes(out, is_blank(in->codes) ? nothing_said : in->codes);
        break;
    case ACE_LM_CREATE:
        append_query(out, in);
        break;
    case ACE_LM_FORMAT:
        append_caption(out, is_blank(in->caption) ? nothing_said : in->caption);
        append_lyrics(out, is_blank(in->lyrics) ? no_words : in->lyrics);
        break;
    }
}

static ace_status hand_over(ace_text_buffer *built, char **out, ace_error *err)
{
    *out = ace_text_take(built);
    if (*out == NULL) {
        return ace_fail(err, ACESTEP_MEMORY, "prompt: no host memory");
    }
    return ACESTEP_OK;
}

ace_status ace_lm_prompt(ace_lm_mode mode, const ace_lm_prompt_input *in, char **out,
                         ace_error *err)
{
    ace_text_buffer built = {0};
    open_user_turn(&built, mode);
    append_user(&built, mode, in);
    open_own_turn(&built);
    if (mode == ACE_LM_GENERATE && in->block != NULL) {
        append_block(&built, in->block, in->legacy);
    }
    return hand_over(&built, out, err);
}

/* The negative prompt if it says something, else NULL. */
static const char *meaningful(const char *negative)
{
    ace_text_span said = ace_span_trim(ace_span_of(negative));
    size_t n = strlen(nothing_said);
    bool none = said.bytes == 0 || (said.bytes == n && memcmp(said.data, nothing_said, n) == 0);
    return none ? NULL : negative;
}

/* Before the fix both sides had the lyrics; only the metadata, or the caption, was missing. */
static void append_legacy_negative(ace_text_buffer *out, const ace_lm_prompt_input *in)
{
    const char *caption = meaningful(in->negative);
    if (caption == NULL && in->block != NULL) {
        caption = in->caption != NULL ? in->caption : "";
    }
    if (caption != NULL) {
        append_caption(out, caption);
    }
    append_lyrics(out, in->lyrics);
    ace_text_append_string(out, "\n");
}

ace_status ace_lm_unconditional_prompt(const ace_lm_prompt_input *in, char **out, ace_error *err)
{
    ace_text_buffer built = {0};
    const char *negative = meaningful(in->negative);
    open_user_turn(&built, ACE_LM_GENERATE);
    if (in->legacy) {
        append_legacy_negative(&built, in);
    } else {
        ace_lm_append_user_text(&built, negative != NULL ? negative : nothing_said);
    }
    open_own_turn(&built);
    if (in->block != NULL) {
        append_block(&built, "<think>\n\n</think>", in->legacy);
    }
    return hand_over(&built, out, err);
}
