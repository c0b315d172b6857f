#include "server/reference_messages.h"

#include "base/memory.h"
#include "server/compat_fields.h"
#include "server/compat_values.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* ---- text
 * ---------------------------------------------------------------------------------------- */

/* Position of a word, whatever its letters' case; NULL when it is not there. */
static const char *find_word(const char *text, const char *word)
{
    size_t n = strlen(word);
    for (; *text != '\0'; text++) {
        if (strncasecmp(text, word, n) == 0) {
            return text;
        }
    }
    return NULL;
}

/* What stands between two tags; NULL without them. ace_free. */
static char *between(const char *text, const char *open, const char *close)
{
    const char *from = find_word(text, open);
    from = from != NULL ? from + strlen(open) : NULL;
    const char *to = from != NULL ? find_word(from, close) : NULL;
    if (to == NULL) {
        return NULL;
    }
    from += strspn(from, " \t\r\n");
    while (to > from && strchr(" \t\r\n", to[-1]) != NULL) {
        to--;
    }
    size_t n = to > from ? (size_t)(to - from) : 0;
    char *out = ace_calloc(n + 1, 1);
    if (out != NULL) {
        memcpy(out, from, n);
    }
    return out;
}

/* Section marks, or at least four short lines. */
static bool looks_like_lyrics(const char *text)
{
    static const char *const marks[] = {"[verse", "[chorus",  "[bridge",     "[intro", "[outro",
                                        "[hook",  "[refrain", "[pre-chorus", "[inst"};
    for (size_t i = 0; i < sizeof marks / sizeof *marks; i++) {
        if (find_word(text, marks[i]) != NULL) {
            return true;
        }
    }
    size_t lines = 0;
    size_t letters = 0;
    while (*text != '\0') {
        size_t n = strcspn(text, "\n");
        size_t blank = strspn(text, " \t\r");
        lines += blank < n ? 1 : 0;
        letters += blank < n ? n - blank : 0;
        text += n + (text[n] == '\n' ? 1 : 0);
    }
    return lines >= 4 && letters / lines < 60;
}

static void put_text(json_t *task, const char *key, const char *text)
{
    json_object_set_new(task, key, json_string(text));
}

static void place_text(json_t *task, const char *text)
{
    char *prompt = between(text, "<prompt>", "</prompt>");
    char *lyrics = between(text, "<lyrics>", "</lyrics>");
    json_t *own = json_object_get(task, "lyrics");
    if (prompt != NULL || lyrics != NULL) {
        put_text(task, "prompt", prompt != NULL ? prompt : "");
        if (lyrics != NULL) {
            put_text(task, "lyrics", lyrics);
        }
    } else if (json_string_length(own) > 0) {
        put_text(task, "prompt", text);
    } else if (ace_compat_truth(json_object_get(task, "sample_mode"))) {
        put_text(task, "sample_query", text);
    } else {
        put_text(task, looks_like_lyrics(text) ? "lyrics" : "prompt", text);
    }
    ace_free(prompt);
    ace_free(lyrics);
}

/* ---- parts
 * --------------------------------------------------------------------------------------- */

static const json_t *last_of_user(const json_t *messages)
{
    for (size_t i = json_array_size(messages); i-- > 0;) {
        const json_t *message = json_array_get(messages, i);
        const char *role = json_string_value(json_object_get(message, "role"));
        if (role != NULL && strcmp(role, "user") == 0) {
            return json_object_get(message, "content");
        }
    }
    return NULL;
}

/* The texts of a message, lines between them. ace_free. */
static char *text_of(const json_t *content)
{
    size_t bytes = 1;
    size_t i = 0;
    const json_t *part = NULL;
    if (json_is_string(content)) {
        return ace_strdup(json_string_value(content));
    }
    json_array_foreach (content, i, part) {
        bytes += json_string_length(json_object_get(part, "text")) + 1;
    }
    char *out = ace_calloc(bytes, 1);
    size_t n = 0;
    json_array_foreach (content, i, part) {
        const char *text = json_string_value(json_object_get(part, "text"));
        size_t length = text != NULL ? strlen(text) : 0;
        if (out != NULL && length > 0) {
            memcpy(out + n, text, length);
            n += length;
            out[n++] = '\n';
        }
    }
    if (n > 0) {
        out[n - 1] = '\0';
    }
    return out;
}

/* Text to music: the first is the reference; otherwise the first is the source and the second the
 * reference. */
static void find_audio(const json_t *content, ace_chat_request *out)
{
    const char *task = json_string_value(json_object_get(out->task, "task_type"));
    bool words = task == NULL || strcmp(task, "text2music") == 0 || task[0] == '\0' ||
                 strcmp(task, "music_continuation") == 0;
    const char *const fields[ACE_CHAT_AUDIOS] = {words ? "reference_audio_path" : "src_audio_path",
                                                 words ? NULL : "reference_audio_path"};
    size_t found = 0;
    size_t i = 0;
    const json_t *part = NULL;
    json_array_foreach (content, i, part) {
        const json_t *audio = json_object_get(part, "input_audio");
        if (json_is_string(json_object_get(audio, "data")) && found < ACE_CHAT_AUDIOS &&
            fields[found] != NULL) {
            out->audio[found] = audio;
            out->audio_field[found] = fields[found];
            found++;
        }
    }
}

/* ---- the request
 * --------------------------------------------------------------------------------- */

/* OpenAI's names for what the language model is asked, and what means nothing to a song. */
static json_t *task_of(json_t *body)
{
    static const char *const renamed[][2] = {
        {"temperature", "lm_temperature"}, {"top_p", "lm_top_p"}, {"top_k", "lm_top_k"}};
    static const char ignored[] =
        "messages,stream,stream_options,audio_config,audio,modalities,max_tokens,"
        "max_completion_tokens,user,tools,tool_choice,frequency_penalty,presence_penalty,stop,"
        "logit_bias,logprobs,top_logprobs,store,reasoning_effort,service_tier,"
        "parallel_tool_calls,chat_id,session_id,id,features,background_tasks,files";
    json_t *task = json_object();
    const char *key = NULL;
    json_t *value = NULL;
    json_object_foreach (body, key, value) {
        const char *name = key;
        for (size_t i = 0; i < sizeof renamed / sizeof *renamed; i++) {
            name = strcmp(key, renamed[i][0]) == 0 ? renamed[i][1] : name;
        }
        if (ace_compat_position(ignored, ',', key) < 0) {
            json_object_set(task, name, value);
        }
    }
    return task;
}

static void read_audio_config(json_t *body, json_t *task)
{
    static const char *const copied[] = {
        "duration", "bpm", "key_scale", "time_signature", "vocal_language", "instrumental"};
    json_t *config = json_object_get(body, "audio_config");
    json_t *format = json_object_get(config, "format");
    format = format != NULL ? format : json_object_get(json_object_get(body, "audio"), "format");
    for (size_t i = 0; i < sizeof copied / sizeof *copied; i++) {
        json_t *value = json_object_get(config, copied[i]);
        if (value != NULL) {
            json_object_set(task, copied[i], value);
        }
    }
    if (format != NULL) {
        json_object_set(task, "audio_format", format);
    }
    /* the original: an instrumental has no words, whatever the message holds */
    if (ace_compat_truth(json_object_get(task, "instrumental"))) {
        put_text(task, "lyrics", "[inst]");
    }
}

ace_status ace_chat_read(json_t *body, ace_chat_request *out, ace_error *err)
{
    const json_t *messages = json_object_get(body, "messages");
    const json_t *content = last_of_user(messages);
    char *text = content != NULL ? text_of(content) : NULL;
    *out = (ace_chat_request){.stream = ace_compat_truth(json_object_get(body, "stream"))};
    if (text == NULL || text[strspn(text, " \t\r\n")] == '\0') {
        ace_free(text);
        return ace_fail(err, ACESTEP_ARGUMENT,
                        "messages: no text of the user says what the song should be");
    }
    out->task = task_of(body);
    place_text(out->task, text);
    read_audio_config(body, out->task);
    find_audio(content, out);
    ace_free(text);
    return ACESTEP_OK;
}

void ace_chat_request_free(ace_chat_request *request)
{
    json_decref(request->task);
    request->task = NULL;
}
