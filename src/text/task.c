#include "text/task.h"

#include "text/span.h"
#include "text/utf8.h"

#include <string.h>
#include <utf8proc.h>

static const char *const task_names[ACE_N_TASKS] = {"text2music", "cover",   "repaint",
                                                    "lego",       "extract", "complete"};

const char *const ace_track_names[ACE_N_TRACKS] = {
    "woodwinds", "brass",  "fx",   "synth", "strings",        "percussion",
    "keyboard",  "guitar", "bass", "drums", "backing_vocals", "vocals"};

/* acestep/constants.py, TASK_INSTRUCTIONS. Of a task with a track: what stands before and after it,
 * and the sentence without one. */
typedef struct instruction {
    const char *before, *after, *plain;
} instruction;

static const instruction instructions[ACE_N_TASKS] = {
    {NULL, NULL, "Fill the audio semantic mask based on the given conditions:"},
    {NULL, NULL, "Generate audio semantic tokens based on the given conditions:"},
    {NULL, NULL, "Repaint the mask area based on the given conditions:"},
    {"Generate the ",
     " track based on the audio context:", "Generate the track based on the audio context:"},
    {"Extract the ", " track from the audio:", "Extract the track from the audio:"},
    {"Complete the input track with ", ":", "Complete the input track:"}};

const char *ace_task_name(ace_task task)
{
    return (unsigned)task < ACE_N_TASKS ? task_names[task] : NULL;
}

bool ace_task_from_name(const char *name, ace_task *task)
{
    for (int i = 0; i < ACE_N_TASKS; i++) {
        if (strcmp(name, task_names[i]) == 0) {
            *task = (ace_task)i;
            return true;
        }
    }
    return false;
}

bool ace_track_is_known(const char *name)
{
    for (int i = 0; i < ACE_N_TRACKS; i++) {
        if (ace_span_is(ace_span_of(name), ace_track_names[i])) {
            return true;
        }
    }
    return false;
}

/* Malformed bytes pass as they are: the tokenizer repairs them. */
static void append_upper_case(ace_text_buffer *out, ace_text_span text)
{
    size_t at = 0;
    while (at < text.bytes) {
        size_t length = 1;
        char encoded[4];
        int32_t c = ace_utf8_decode(text.data + at, text.bytes - at, &length);
        if (c == ACE_UTF8_INVALID) {
            ace_text_append(out, text.data + at, length);
        } else {
            ace_text_append(out, encoded, ace_utf8_encode(utf8proc_toupper(c), encoded));
        }
        at += length;
    }
}

/* "drums, bass" as "DRUMS | BASS"; returns whether there was any. */
static bool append_classes(ace_text_buffer *out, ace_text_span classes)
{
    bool any = false;
    while (classes.bytes > 0) {
        ace_text_span class = ace_span_trim(ace_span_cut(&classes, ','));
        if (class.bytes > 0) {
            ace_text_append_string(out, any ? " | " : "");
            append_upper_case(out, class);
            any = true;
        }
    }
    return any;
}

void ace_task_append_instruction(ace_text_buffer *out, ace_task task, const char *track,
                                 const char *classes)
{
    const instruction *parts = &instructions[task];
    ace_text_span name = ace_span_trim(ace_span_of(track));
    ace_text_buffer list = {0};
    bool any = append_classes(&list, ace_span_of(classes));
    if (task == ACE_TASK_COMPLETE && any) {
        name = (ace_text_span){list.data, list.bytes};
    } else if (task == ACE_TASK_COMPLETE) {
        name.bytes = 0;
    }
    if (parts->before != NULL && name.bytes > 0) {
        ace_text_append_string(out, parts->before);
        append_upper_case(out, name);
        ace_text_append_string(out, parts->after);
    } else {
        ace_text_append_string(out, parts->plain);
    }
    out->failed |= list.failed;
    ace_text_free(&list);
}
