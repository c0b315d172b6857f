/* Requests of the original's clients and of acestep.cpp's, as options of the engine: every name of
 * every field, the containers, texts for numbers and truth, and what is clamped, left out or
 * refused. */
#include "acestep.h"
#include "base/memory.h"
#include "server/compat_request.h"
#include "server/compat_values.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static json_t *parsed(const char *text)
{
    json_error_t where;
    json_t *body = json_loads(text, 0, &where);
    if (body == NULL) {
        print_error("%s: %s\n", text, where.text);
    }
    assert_non_null(body);
    return body;
}

static ace_compat_request read_as(const char *text, ace_compat_dialect dialect)
{
    ace_compat_request out;
    ace_error err = {.code = ACESTEP_OK};
    json_t *body = parsed(text);
    if (ace_compat_read(body, dialect, &out, &err) != ACESTEP_OK) {
        print_error("%s: %s\n", text, err.message);
        fail();
    }
    json_decref(body);
    return out;
}

/* The options as one line of JSON with sorted keys, without those that every request gets. */
static char *options_of(const char *text, ace_compat_dialect dialect)
{
    static const struct {
        const char *option, *value;
    } usual[] = {{"acestep", NULL},           {"thinking", "\"false\""},
                 {"lm_cfg_scale", "2.5"},     {"vocal_language", "\"en\""},
                 {"audio_format", "\"mp3\""}, {"task_type", "\"text2music\""}};
    ace_compat_request r = read_as(text, dialect);
    for (size_t i = 0; i < sizeof usual / sizeof *usual; i++) {
        char *value = json_dumps(json_object_get(r.params, usual[i].option),
                                 JSON_ENCODE_ANY | JSON_REAL_PRECISION(6));
        if (usual[i].value == NULL || (value != NULL && strcmp(value, usual[i].value) == 0)) {
            json_object_del(r.params, usual[i].option);
        }
        acestep_free(value);
    }
    char *line = json_dumps(r.params, JSON_COMPACT | JSON_SORT_KEYS | JSON_REAL_PRECISION(6));
    ace_compat_request_free(&r);
    assert_non_null(line);
    return line;
}

static void becomes(const char *text, const char *options)
{
    char *got = options_of(text, ACE_COMPAT_REFERENCE);
    if (strcmp(got, options) != 0) {
        print_error("%s\n   is %s\n  not %s\n", text, got, options);
        fail();
    }
    acestep_free(got);
}

static void peer_becomes(const char *text, const char *options)
{
    char *got = options_of(text, ACE_COMPAT_PEER);
    if (strcmp(got, options) != 0) {
        print_error("%s\n   is %s\n  not %s\n", text, got, options);
        fail();
    }
    acestep_free(got);
}

/* The fields that warnings name, commas between. */
static void warns(const char *text, const char *fields)
{
    ace_compat_request r = read_as(text, ACE_COMPAT_REFERENCE);
    char got[400] = "";
    size_t i = 0;
    json_t *warning = NULL;
    json_array_foreach (ace_compat_warnings(r.params), i, warning) {
        const char *field = json_string_value(json_object_get(warning, "field"));
        assert_non_null(field);
        assert_true(json_string_length(json_object_get(warning, "reason")) > 0);
        (void)snprintf(got + strlen(got), sizeof got - strlen(got), "%s%s", i > 0 ? "," : "",
                       field);
    }
    ace_compat_request_free(&r);
    assert_string_equal(got, fields);
}

static void refused(const char *text, const char *says)
{
    ace_compat_request r;
    ace_error err = {.code = ACESTEP_OK};
    json_t *body = parsed(text);
    assert_int_equal(ace_compat_read(body, ACE_COMPAT_REFERENCE, &r, &err), ACESTEP_ARGUMENT);
    assert_non_null(strstr(err.message, says));
    json_decref(body);
    ace_compat_request_free(&r);
}

/* What the engine takes for every field of the table: both ends of each range, each word, and so
 * on. */
static void the_engine_takes_every_field(void **state)
{
    (void)state;
    for (size_t i = 0; i < ace_compat_n_fields; i++) {
        const ace_compat_field *field = &ace_compat_fields[i];
        acestep_request *request = NULL;
        acestep_error err = {.code = ACESTEP_OK};
        char text[64];
        assert_int_equal(acestep_request_create(&request, &err), ACESTEP_OK);
        acestep_status status = ACESTEP_OK;
        switch (field->kind) {
        case ACE_COMPAT_TEXT:
        case ACE_COMPAT_LIST:
            status = acestep_request_set(request, field->option, "mp3", &err);
            break;
        case ACE_COMPAT_INT:
        case ACE_COMPAT_REAL:
            (void)snprintf(text, sizeof text, "%.10g", field->low);
            status = acestep_request_set(request, field->option, text, &err);
            (void)snprintf(text, sizeof text, "%.10g", field->high);
            status = status == ACESTEP_OK ? acestep_request_set(request, field->option, text, &err)
                                          : status;
            break;
        case ACE_COMPAT_FLAG:
        case ACE_COMPAT_SWITCH:
            status = acestep_request_set(request, field->option, "true", &err);
            break;
        case ACE_COMPAT_WORD:
            for (const char *word = field->words; status == ACESTEP_OK && *word != '\0';) {
                size_t n = strcspn(word, "|");
                (void)snprintf(text, sizeof text, "%.*s", (int)n, word);
                status = acestep_request_set(request, field->option, text, &err);
                word += n + (word[n] == '|' ? 1 : 0);
            }
            break;
        }
        if (status != ACESTEP_OK) {
            print_error("%s: %s\n", field->option, err.message);
            fail();
        }
        acestep_request_free(request);
    }
}

/* A value that the kind takes, as JSON, and as what becomes of it. */
static void sample_of(const ace_compat_field *field, char asked[48], char becoming[48])
{
    const char *in = "";
    const char *out = "";
    char number[24] = "";
    switch (field->kind) {
    case ACE_COMPAT_TEXT:
    case ACE_COMPAT_LIST:
        in = out = strcmp(field->option, "audio_format") == 0 ? "\"flac\"" : "\"xy\"";
        break;
    case ACE_COMPAT_INT:
        (void)snprintf(number, sizeof number, "%.10g", field->high);
        in = out = number;
        break;
    case ACE_COMPAT_REAL:
        (void)snprintf(number, sizeof number, "%.6g", field->high);
        in = number;
        (void)snprintf(becoming, 48, strchr(number, '.') != NULL ? "%s" : "%s.0", number);
        break;
    case ACE_COMPAT_FLAG:
        in = "\"Yes\"";
        out = "true";
        break;
    case ACE_COMPAT_SWITCH:
        in = "1";
        out = "\"true\"";
        break;
    case ACE_COMPAT_WORD:
        (void)snprintf(number, sizeof number, "\"%.*s\"", (int)strcspn(field->words, "|"),
                       field->words);
        in = out = number;
        break;
    }
    (void)snprintf(asked, 48, "%s", in);
    if (field->kind != ACE_COMPAT_REAL) {
        (void)snprintf(becoming, 48, "%s", out);
    }
}

/* At the top level, in param_obj (object and text), in metas. */
static void every_name_counts_everywhere(void **state)
{
    (void)state;
    static const char *const frames[] = {
        "{\"task_type\": \"cover\", \"%s\": %s}",
        "{\"task_type\": \"cover\", \"param_obj\": {\"%s\": %s}}",
        "{\"task_type\": \"cover\", \"metas\": {\"%s\": %s}}",
        "{\"task_type\": \"cover\", \"userMetadata\": {\"%s\": %s}}"};
    for (size_t i = 0; i < ace_compat_n_fields; i++) {
        const ace_compat_field *field = &ace_compat_fields[i];
        for (const char *name = field->names; *name != '\0';) {
            size_t n = strcspn(name, ",");
            char one[48];
            char asked[48];
            char becoming[48];
            (void)snprintf(one, sizeof one, "%.*s", (int)n, name);
            sample_of(field, asked, becoming);
            for (size_t f = 0; f < sizeof frames / sizeof *frames; f++) {
                char body[256];
                (void)snprintf(body, sizeof body, frames[f], one, asked);
                ace_compat_request r = read_as(body, ACE_COMPAT_REFERENCE);
                char *got = json_dumps(json_object_get(r.params, field->option),
                                       JSON_ENCODE_ANY | JSON_REAL_PRECISION(6));
                if (got == NULL || strcmp(got, becoming) != 0) {
                    print_error("%s: %s is %s, not %s\n", body, field->option,
                                got != NULL ? got : "missing", becoming);
                    fail();
                }
                acestep_free(got);
                ace_compat_request_free(&r);
            }
            name += n + (name[n] == ',' ? 1 : 0);
        }
    }
}

/* The names by themselves, so that none goes missing from the table. */
static void every_name_of_theirs_is_known(void **state)
{
    (void)state;
    static const char *const rows[][2] = {
        {"caption", "prompt,caption,tags"},
        {"vocal_language", "vocal_language,vocalLanguage,language"},
        {"track_name", "track_name,trackName,track,lego_track,extract_track"},
        {"track_classes", "track_classes,trackClasses,instruments,complete_track_classes"},
        {"src_audio", "src_audio_path,ctx_audio_path,sourceAudioPath,srcAudioPath,ctxAudioPath"},
        {"reference_audio", "reference_audio_path,ref_audio_path,referenceAudioPath,refAudioPath"},
        {"audio_codes", "audio_code_string,audioCodeString,audio_codes"},
        {"keyscale", "key_scale,keyscale,keyScale,key"},
        {"timesignature", "time_signature,timesignature,timeSignature"},
        {"duration", "audio_duration,duration,audioDuration,target_duration,targetDuration"},
        {"inference_steps", "inference_steps,inferenceSteps,infer_steps,steps"},
        {"guidance_scale", "guidance_scale,guidanceScale"},
        {"timesteps", "timesteps,custom_timesteps"},
        {"infer_method", "infer_method,inferMethod"},
        {"sampler_mode", "sampler_mode,samplerMode,solver"},
        {"use_adg", "use_adg,useAdg"},
        {"velocity_norm_threshold", "velocity_norm_threshold,velocityNormThreshold"},
        {"velocity_ema_factor", "velocity_ema_factor,velocityEmaFactor"},
        {"latent_shift", "latent_shift,latentShift"},
        {"latent_rescale", "latent_rescale,latentRescale"},
        {"audio_cover_strength",
         "audio_cover_strength,audioCoverStrength,cover_strength,coverStrength"},
        {"cover_noise_strength", "cover_noise_strength,coverNoiseStrength"},
        {"sample_query", "sample_query,sampleQuery,description,desc"},
        {"use_format", "use_format,useFormat"},
        {"use_cot_caption", "use_cot_caption,cot_caption,cot-caption"},
        {"use_cot_language", "use_cot_language,cot_language,cot-language"},
        {"use_cot_metas", "use_cot_metas,cot_metas"},
        {"use_constrained_decoding",
         "use_constrained_decoding,constrained_decoding,constrainedDecoding,constrained"},
        {"lm_model_path", "lm_model_path,lm_model,lmModelPath"},
        {"backend", "lm_backend,backend"},
        {"batch_size", "batch_size,batchSize,synth_batch_size,n"},
        {"audio_format", "audio_format,output_format,response_format"},
        {"model", "model,model_name,modelName,dit_model,ditModel,synth_model"}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        for (const char *name = rows[i][1]; *name != '\0';) {
            size_t n = strcspn(name, ",");
            char one[48];
            (void)snprintf(one, sizeof one, "%.*s", (int)n, name);
            const ace_compat_field *field = ace_compat_field_of(rows[i][0]);
            assert_non_null(field);
            if (ace_compat_position(field->names, ',', one) < 0) {
                print_error("%s does not mean %s\n", one, rows[i][0]);
                fail();
            }
            name += n + (name[n] == ',' ? 1 : 0);
        }
    }
}

static void values_come_in_many_forms(void **state)
{
    (void)state;
    becomes("{}", "{}");
    becomes("{\"prompt\": \"a\", \"caption\": \"b\"}", "{\"caption\":\"a\"}");
    becomes("{\"bpm\": \"120\", \"param_obj\": {\"bpm\": 90}}", "{\"bpm\":120}");
    becomes("{\"bpm\": \"\", \"param_obj\": \"{\\\"bpm\\\": 90}\"}", "{}");
    becomes("{\"bpm\": null, \"param_obj\": \"{\\\"bpm\\\": 90}\"}", "{\"bpm\":90}");
    becomes("{\"meta\": {\"bpm\": 80}, \"metas\": {\"key\": \"Am\"}}", "{\"keyscale\":\"Am\"}");
    becomes("{\"bpm\": \"N/A\", \"keyscale\": \"N/A\", \"duration\": \"auto\"}", "{}");
    becomes("{\"bpm\": 0, \"duration\": -1}", "{}");
    becomes("{\"bpm\": [\"90\", \"100\"]}", "{\"bpm\":100}"); /* a form's repeated key */
    becomes("{\"use_adg\": \"on\"}", "{\"use_adg\":true}");
    becomes("{\"use_adg\": \"nope\"}", "{\"use_adg\":false}");
    becomes("{\"use_adg\": 1}", "{\"use_adg\":true}");
    becomes("{\"thinking\": true}", "{\"thinking\":\"true\"}");
    becomes("{\"thinking\": \"auto\"}", "{\"thinking\":\"auto\"}");
    becomes("{\"track_classes\": [\"drums\", \"bass\"]}", "{\"track_classes\":\"drums,bass\"}");
    becomes("{\"instruments\": \"drums\"}", "{\"track_classes\":\"drums\"}");
    becomes("{\"timesteps\": [1, 0.5, 0]}", "{\"timesteps\":\"1,0.5,0\"}");
    becomes("{\"timesteps\": \"[1, 0.5, 0]\"}", "{\"timesteps\":\"1,0.5,0\"}");
    becomes("{\"audio_code_string\": \"[3,4]\"}", "{\"audio_codes\":\"3,4\"}");
    becomes("{\"timesignature\": 4}", "{\"timesignature\":\"4\"}");
    becomes("{\"lyrics\": \" [inst]\\n\"}", "{\"instrumental\":true}");
    becomes("{\"lyrics\": \"[Instrumental]\"}", "{\"instrumental\":true}");
    becomes("{\"lyrics\": \"[instrument solo]\"}", "{\"lyrics\":\"[instrument solo]\"}");
}

static void seeds_are_lists(void **state)
{
    (void)state;
    becomes("{\"seed\": 7}", "{\"seed\":\"7\"}");
    becomes("{\"seed\": \"1, 2\"}", "{\"seed\":\"1,2\"}");
    becomes("{\"seed\": [3, -1]}", "{\"seed\":\"3,-1\"}");
    becomes("{\"seeds\": [5], \"seed\": 7}", "{\"seed\":\"5\"}");
    becomes("{\"seeds\": [], \"seed\": 7}", "{\"seed\":\"7\"}");
    becomes("{\"seed\": -1}", "{}");
    becomes("{\"seed\": \"\"}", "{}");
    becomes("{\"seed\": 7, \"use_random_seed\": true}", "{}");
    becomes("{\"seed\": 7, \"use_random_seed\": \"false\"}", "{\"seed\":\"7\"}");
    becomes("{\"seed\": 4294967297}", "{\"seed\":\"1\"}"); /* acestep.cpp's seeds have 63 bits */
    becomes("{\"seed\": 1.0}", "{\"seed\":\"1\"}");
    becomes("{\"seed\": \"1,2,3,4,5,6,7,8,9\"}", "{\"seed\":\"1,2,3,4,5,6,7,8\"}");
    warns("{\"seed\": 7, \"use_random_seed\": true}", "seed");
    warns("{\"seed\": \"x\"}", "seed");
    warns("{\"seed\": -1, \"use_random_seed\": true}", "");
}

static void tasks_have_many_names(void **state)
{
    (void)state;
    becomes("{\"task_type\": \"Remix\"}", "{\"task_type\":\"cover\"}");
    becomes("{\"taskType\": \"cover-nofsq\"}", "{\"no_fsq\":true,\"task_type\":\"cover\"}");
    becomes("{\"task_type\": \"music_continuation\", \"reference_audio_path\": \"u_1\"}",
            "{\"reference_audio\":\"u_1\"}");
    becomes("{\"task_type\": \"complete\", \"track\": \"vocals | drums\"}",
            "{\"task_type\":\"complete\",\"track_classes\":\"vocals , drums\"}");
    becomes("{\"task_type\": \"lego\", \"track\": \"drums\"}",
            "{\"task_type\":\"lego\",\"track_name\":\"drums\"}");
    becomes("{\"task_type\": \"repaint\", \"repainting_end\": 0}",
            "{\"repainting_end\":-1.0,\"task_type\":\"repaint\"}");
    becomes("{\"task_type\": \"repaint\", \"repaint_wav_crossfade_sec\": 0, "
            "\"repaint_latent_crossfade_frames\": \"10\"}",
            "{\"task_type\":\"repaint\"}"); /* what the original's clients send along */
    becomes(
        "{\"task_type\": \"repaint\", \"repaint_wav_crossfade_sec\": 0.2, "
        "\"repaint_latent_crossfade_frames\": 0}",
        "{\"repaint_latent_crossfade_frames\":0,\"repaint_wav_crossfade_sec\":0.2,\"task_type\":"
        "\"repaint\"}");
    becomes("{\"task_type\": \"cover\", \"instruction\": \"Fill the audio semantic mask based on "
            "the given "
            "conditions:\"}",
            "{\"task_type\":\"cover\"}");
    becomes("{\"task_type\": \"cover\", \"src_audio_path\": "
            "\"http://x/v1/audio?path=j_1%2F0.mp3&exp=1&sig=2\"}",
            "{\"src_audio\":\"j_1/0\",\"task_type\":\"cover\"}"); /* an address of a result */
    refused("{\"task_type\": \"waltz\"}", "task_type: \"waltz\"");
    warns("{\"src_audio_path\": \"u_1\"}", "src_audio"); /* text2music takes none */
}

static void goals_are_kinds_of_jobs(void **state)
{
    (void)state;
    static const struct {
        const char *body;
        ace_job_kind kind;
    } rows[] = {{"{}", ACE_JOB_SONG},
                {"{\"full_analysis_only\": true, \"src_audio_path\": \"u_1\"}", ACE_JOB_UNDERSTAND},
                {"{\"extractCodesOnly\": \"1\", \"src_audio_path\": \"u_1\"}", ACE_JOB_UNDERSTAND},
                {"{\"analysis_only\": true, \"prompt\": \"x\"}", ACE_JOB_FORMAT}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        ace_compat_request r = read_as(rows[i].body, ACE_COMPAT_REFERENCE);
        assert_int_equal(r.kind, rows[i].kind);
        if (r.kind == ACE_JOB_UNDERSTAND) {
            assert_string_equal(json_string_value(json_object_get(r.params, "src_audio")), "u_1");
        }
        ace_compat_request_free(&r);
    }
}

static void the_language_model_is_asked_as_there(void **state)
{
    (void)state;
    char *plain =
        options_of("{}", ACE_COMPAT_PEER); /* the usual ones of the original are not there */
    assert_string_equal(plain, "{}");
    acestep_free(plain);
    ace_compat_request r = read_as("{}", ACE_COMPAT_PEER);
    assert_null(json_object_get(r.params, "thinking"));
    assert_null(json_object_get(r.params, "vocal_language"));
    ace_compat_request_free(&r);
    r = read_as("{\"sample_mode\": true}", ACE_COMPAT_REFERENCE);
    assert_string_equal(json_string_value(json_object_get(r.params, "sample_query")),
                        "NO USER INPUT");
    assert_null(json_object_get(r.params, "vocal_language")); /* open */
    ace_compat_request_free(&r);
    r = read_as("{\"desc\": \"a song\", \"vocal_language\": \"en\"}", ACE_COMPAT_REFERENCE);
    assert_null(json_object_get(r.params, "vocal_language")); /* theirs: no wish at all */
    ace_compat_request_free(&r);
    r = read_as("{\"desc\": \"a song\", \"vocal_language\": \"ja\"}", ACE_COMPAT_REFERENCE);
    assert_string_equal(json_string_value(json_object_get(r.params, "vocal_language")), "ja");
    ace_compat_request_free(&r);
    becomes("{\"format\": true}", "{\"use_format\":true}");
    becomes("{\"format\": \"flac\"}", "{\"audio_format\":\"flac\"}");
    becomes("{\"isFormatCaption\": true, \"use_format\": true}",
            "{\"use_cot_caption\":\"false\",\"use_format\":false}");
    becomes("{\"parallel_thinking\": false}", "{\"lm_batch_chunk_size\":1}");
    becomes("{\"constrained\": \"false\"}", "{\"use_constrained_decoding\":false}");
    becomes("{\"cot-caption\": false}", "{\"use_cot_caption\":\"false\"}");
}

static void files_come_in_known_formats(void **state)
{
    (void)state;
    becomes("{\"audio_format\": \"wav16\"}", "{\"audio_format\":\"wav\"}");
    becomes("{\"output_format\": \"wav24\"}", "{\"audio_format\":\"wav24\"}");
    becomes("{\"response_format\": \"opus\"}", "{\"audio_format\":\"opus\"}");
    becomes("{\"mp3_bitrate\": \"320k\"}", "{\"mp3_bitrate\":320}");
    warns("{\"audio_format\": \"aac\"}", "audio_format");
    warns("{\"audio_format\": \"midi\"}", "audio_format");
    warns("{\"mp3_sample_rate\": 44100}", "mp3_sample_rate");
    warns("{\"mp3_sample_rate\": 48000, \"use_tiled_decode\": true}", "");
    warns("{\"use_tiled_decode\": false}", "use_tiled_decode");
}

static void models_and_adapters_are_names(void **state)
{
    (void)state;
    becomes("{\"model\": \"acestep/acestep-v15-turbo\"}", "{\"model\":\"acestep-v15-turbo\"}");
    becomes("{\"synth_model\": \"acestep-v15-turbo.gguf\"}", "{\"model\":\"acestep-v15-turbo\"}");
    becomes("{\"lora_path\": \"a\", \"lora_scale\": 0.5}", "{\"lora\":\"a:0.5\"}");
    becomes("{\"adapter\": \"a\"}", "{\"lora\":\"a:1\"}");
    becomes("{\"adapter\": \"a\", \"use_lora\": false}", "{}");
    becomes("{\"lora\": [{\"id\": \"a\", \"scale\": 0.25}, {\"id\": \"b\"}]}",
            "{\"lora\":\"a:0.25,b:1\"}");
    becomes("{\"adapters\": [{\"name\": \"a\", \"enabled\": false}, {\"name\": \"b\"}]}",
            "{\"lora\":\"b:1\"}");
    refused("{\"adapter\": \"a,b\"}", "lora:");
    refused("{\"adapter\": \"a:2\"}", "lora:");
}

static void what_is_wrong_is_said(void **state)
{
    (void)state;
    warns("{}", "");
    becomes("{\"bpm\": 500}", "{\"bpm\":300}");
    becomes("{\"bpm\": 90.4}", "{\"bpm\":90}");
    becomes("{\"duration\": 2}", "{\"duration\":10.0}");
    becomes("{\"guidance_scale\": \"nan\"}", "{}");
    becomes("{\"lm_top_p\": 1e300}", "{\"lm_top_p\":1.0}");
    warns("{\"bpm\": 500, \"duration\": 2}", "bpm,duration");
    warns("{\"bpm\": 90.4}", "bpm");
    warns("{\"inference_steps\": \"many\"}", "inference_steps");
    warns("{\"inference_steps\": {}}", "inference_steps");
    warns("{\"prompt\": {\"a\": 1}}", "caption");
    warns("{\"sampler_mode\": \"dpm3m\"}", "sampler_mode");
    warns("{\"infer_method\": \"magic\"}", "infer_method");
    warns("{\"propmt\": \"x\", \"retake_variance\": 0.5}", "propmt,retake_variance");
    warns("{\"ai_token\": \"x\", \"eta\": 0, \"param_obj\": {}}", "");
    warns("{\"eta\": 0.5, \"momentum\": \"-1\"}", "eta,momentum");
}

/* acestep.cpp's own example request, all of its defaults, and its words for solver and correction.
 */
static void the_peer_is_understood(void **state)
{
    (void)state;
    peer_becomes(
        "{\"caption\": \"rock\", \"lyrics\": \"\", \"bpm\": 0, \"duration\": 0, \"keyscale\": "
        "\"\", "
        "\"timesignature\": \"\", \"vocal_language\": \"\", \"seed\": -1, \"lm_batch_size\": 1, "
        "\"synth_batch_size\": 1, \"audio_codes\": \"\", \"inference_steps\": 0, "
        "\"guidance_scale\": 0.0, \"shift\": 0.0, \"dcw_scaler\": 0.0, \"dcw_high_scaler\": 0.0, "
        "\"dcw_mode\": \"low\", \"custom_timesteps\": \"\", \"track\": \"\", \"solver\": "
        "\"euler\", "
        "\"lm_mode\": \"generate\", \"output_format\": \"mp3\", \"peak_clip\": 10, "
        "\"synth_model\": \"\", \"adapter\": \"\", \"adapter_scale\": 1.0}",
        "{\"batch_size\":1,\"caption\":\"rock\",\"dcw_high_scaler\":0.0,\"dcw_mode\":\"low\","
        "\"dcw_scaler\":0.0,\"guidance_scale\":0.0,\"inference_steps\":0,\"lyrics\":\"\","
        "\"sampler_mode\":\"euler\",\"shift\":0.0}");
    peer_becomes(
        "{\"solver\": \"sde\", \"dcw_scaler\": 0.1}",
        "{\"dcw_enabled\":true,\"dcw_high_scaler\":0.0,\"dcw_mode\":\"low\",\"dcw_scaler\":0.1,"
        "\"infer_method\":\"sde\"}");
    peer_becomes("{\"return_lyric_timing\": true}", "{\"auto_lrc\":true}");
}

/* Memory that fails anywhere ends in an error or in a smaller request, never in a crash or a leak.
 */
static void memory_may_fail_anywhere(void **state)
{
    (void)state;
    json_t *body =
        parsed("{\"prompt\": \"a\", \"bpm\": 900, \"seed\": \"1,2\", \"adapter\": \"x\", "
               "\"track_classes\": [\"a\", \"b\"], \"model\": \"x/y\", \"lyrics\": \"la\"}");
    uint64_t before = ace_memory_live();
    for (uint64_t n = 1; n < 40; n++) {
        ace_compat_request r;
        ace_memory_fail_at(n);
        (void)ace_compat_read(body, ACE_COMPAT_REFERENCE, &r, NULL);
        ace_memory_fail_at(0);
        ace_compat_request_free(&r);
        assert_int_equal(ace_memory_live(), before);
    }
    json_decref(body);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_engine_takes_every_field),
        cmocka_unit_test(every_name_counts_everywhere),
        cmocka_unit_test(every_name_of_theirs_is_known),
        cmocka_unit_test(values_come_in_many_forms),
        cmocka_unit_test(seeds_are_lists),
        cmocka_unit_test(tasks_have_many_names),
        cmocka_unit_test(goals_are_kinds_of_jobs),
        cmocka_unit_test(the_language_model_is_asked_as_there),
        cmocka_unit_test(files_come_in_known_formats),
        cmocka_unit_test(models_and_adapters_are_names),
        cmocka_unit_test(what_is_wrong_is_said),
        cmocka_unit_test(the_peer_is_understood),
        cmocka_unit_test(memory_may_fail_anywhere),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
