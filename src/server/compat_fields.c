#include "server/compat_fields.h"

#include <string.h>

#define TEXT(option_, names_)                                                                      \
    {                                                                                              \
        .option = option_, .kind = ACE_COMPAT_TEXT, .names = names_                                \
    }
#define LIST(option_, names_)                                                                      \
    {                                                                                              \
        .option = option_, .kind = ACE_COMPAT_LIST, .names = names_                                \
    }
#define FLAG(option_, names_)                                                                      \
    {                                                                                              \
        .option = option_, .kind = ACE_COMPAT_FLAG, .names = names_                                \
    }
#define SWITCH(option_, names_)                                                                    \
    {                                                                                              \
        .option = option_, .kind = ACE_COMPAT_SWITCH, .names = names_                              \
    }
#define INT(option_, low_, high_, names_)                                                          \
    {                                                                                              \
        .option = option_, .kind = ACE_COMPAT_INT, .names = names_, .low = low_, .high = high_     \
    }
#define REAL(option_, low_, high_, names_)                                                         \
    {                                                                                              \
        .option = option_, .kind = ACE_COMPAT_REAL, .names = names_, .low = low_, .high = high_    \
    }
#define WORD(option_, words_, names_)                                                              \
    {                                                                                              \
        .option = option_, .kind = ACE_COMPAT_WORD, .names = names_, .words = words_               \
    }

/* Names and ranges: the original's API server (RequestParser) and page, and acestep.cpp's request.
 */
const ace_compat_field ace_compat_fields[] = {
    TEXT("caption", "prompt,caption,tags"),
    TEXT("lyrics", "lyrics"),
    FLAG("instrumental", "instrumental"),
    TEXT("vocal_language", "vocal_language,vocalLanguage,language"),
    TEXT("instruction", "instruction"),
    LIST("track_name", "track_name,trackName,track,lego_track,extract_track"),
    LIST("track_classes",
         "track_classes,trackClasses,instruments,complete_track_classes,complete_tracks"),

    TEXT("src_latents", "src_latents"),
    TEXT("src_audio", "src_audio_path,ctx_audio_path,sourceAudioPath,srcAudioPath,ctxAudioPath,"
                      "src_audio,ctx_audio"),
    TEXT("reference_audio", "reference_audio_path,ref_audio_path,referenceAudioPath,refAudioPath,"
                            "reference_audio,ref_audio"),
    TEXT("reference_latents", "reference_latents,ref_latents"),
    LIST("audio_codes", "audio_code_string,audioCodeString,audio_codes"),

    INT("bpm", 30, 300, "bpm"),
    TEXT("keyscale", "key_scale,keyscale,keyScale,key"),
    TEXT("timesignature", "time_signature,timesignature,timeSignature"),
    REAL("duration", 10, 600,
         "audio_duration,duration,audioDuration,target_duration,targetDuration"),

    INT("inference_steps", 0, 200, "inference_steps,inferenceSteps,infer_steps,steps"),
    REAL("guidance_scale", 0, 15, "guidance_scale,guidanceScale"),
    REAL("shift", 0, 5, "shift"),
    LIST("timesteps", "timesteps,custom_timesteps"),
    WORD("infer_method", "ode|sde", "infer_method,inferMethod"),
    WORD("sampler_mode", "euler|heun", "sampler_mode,samplerMode,solver"),
    FLAG("use_adg", "use_adg,useAdg"),
    REAL("cfg_interval_start", 0, 1, "cfg_interval_start,cfgIntervalStart"),
    REAL("cfg_interval_end", 0, 1, "cfg_interval_end,cfgIntervalEnd"),
    REAL("velocity_norm_threshold", 0, 100, "velocity_norm_threshold,velocityNormThreshold"),
    REAL("velocity_ema_factor", 0, 0.99, "velocity_ema_factor,velocityEmaFactor"),
    FLAG("dcw_enabled", "dcw_enabled"),
    WORD("dcw_mode", "low|high|double|pix", "dcw_mode"),
    REAL("dcw_scaler", 0, 1, "dcw_scaler"),
    REAL("dcw_high_scaler", 0, 1, "dcw_high_scaler"),
    REAL("latent_shift", -2, 2, "latent_shift,latentShift"),
    REAL("latent_rescale", 0.1, 4, "latent_rescale,latentRescale"),

    REAL("repainting_start", -600, 600, "repainting_start,repaintingStart"),
    REAL("repainting_end", -1, 1200, "repainting_end,repaintingEnd"),
    WORD("repaint_mode", "aggressive|balanced|conservative", "repaint_mode,repaintMode"),
    REAL("repaint_strength", 0, 1, "repaint_strength"),
    REAL("repaint_wav_crossfade_sec", 0, 5, "repaint_wav_crossfade_sec"),
    INT("repaint_latent_crossfade_frames", 0, 250, "repaint_latent_crossfade_frames"),
    WORD("chunk_mask_mode", "explicit|auto", "chunk_mask_mode"),
    REAL("audio_cover_strength", 0, 1,
         "audio_cover_strength,audioCoverStrength,cover_strength,coverStrength"),
    REAL("cover_noise_strength", 0, 1, "cover_noise_strength,coverNoiseStrength"),
    FLAG("no_fsq", "no_fsq,noFsq"),

    SWITCH("thinking", "thinking"),
    TEXT("sample_query", "sample_query,sampleQuery,description,desc"),
    FLAG("use_format", "use_format,useFormat"),
    SWITCH("use_cot_metas", "use_cot_metas,cot_metas"),
    SWITCH("use_cot_caption", "use_cot_caption,cot_caption,cot-caption"),
    SWITCH("use_cot_language", "use_cot_language,cot_language,cot-language"),
    FLAG("use_cot_lyrics", "use_cot_lyrics"),
    REAL("lm_temperature", 0, 2, "lm_temperature,lmTemperature"),
    REAL("lm_cfg_scale", 1, 10, "lm_cfg_scale,lmCfgScale"),
    INT("lm_top_k", 0, 1000, "lm_top_k,lmTopK"),
    REAL("lm_top_p", 0, 1, "lm_top_p,lmTopP"),
    REAL("lm_min_p", 0, 1, "lm_min_p"),
    REAL("lm_repetition_penalty", 0.5, 2, "lm_repetition_penalty"),
    TEXT("lm_negative_prompt", "lm_negative_prompt,lmNegativePrompt"),
    INT("lm_seed", -1, 4294967295.0, "lm_seed"),
    FLAG("use_constrained_decoding",
         "use_constrained_decoding,constrained_decoding,constrainedDecoding,constrained"),
    INT("lm_batch_chunk_size", 1, 8, "lm_batch_chunk_size"),
    TEXT("lm_model_path", "lm_model_path,lm_model,lmModelPath"),
    WORD("backend", "vllm|pt|mlx", "lm_backend,backend"),

    INT("batch_size", 1, 8, "batch_size,batchSize,synth_batch_size,n"),
    TEXT("audio_format", "audio_format,audioFormat,output_format,response_format"),
    INT("mp3_bitrate", 32, 320, "mp3_bitrate"),
    INT("opus_bitrate", 32, 510, "opus_bitrate"),
    FLAG("enable_normalization", "enable_normalization"),
    REAL("normalization_db", -10, 0, "normalization_db"),
    REAL("fade_in_duration", 0, 60, "fade_in_duration"),
    REAL("fade_out_duration", 0, 60, "fade_out_duration"),
    TEXT("title", "title"),
    FLAG("auto_score", "auto_score"),
    REAL("score_scale", 0.01, 1, "score_scale"),
    FLAG("auto_lrc", "auto_lrc"),

    TEXT("model", "model,model_name,modelName,dit_model,ditModel,synth_model"),
    INT("vae_chunk", 0, 1536, "vae_chunk"),
    INT("vae_overlap", 0, 256, "vae_overlap"),
};

const size_t ace_compat_n_fields = sizeof ace_compat_fields / sizeof *ace_compat_fields;

/* What is read elsewhere than in the table, and what may stand there without meaning anything here.
 */
static const char others[] =
    "ai_token,param_obj,metas,meta,metadata,user_metadata,userMetadata,"
    "task_type,taskType,seed,seeds,use_random_seed,useRandomSeed,format,sample_mode,sampleMode,"
    "is_format_caption,isFormatCaption,analysis_only,analysisOnly,full_analysis_only,"
    "fullAnalysisOnly,extract_codes_only,extractCodesOnly,allow_lm_batch,allowLmBatch,"
    "parallel_thinking,constrained_decoding_debug,constrainedDecodingDebug,use_tiled_decode,"
    "useTiledDecode,lora,adapters,lora_path,lora_scale,use_lora,adapter,adapter_scale,"
    "lm_mode,lm_batch_size,model_fallback,wait,eta,momentum,sample_rate,mp3_sample_rate,peak_clip,"
    "return_lyric_timing,vae,stork_substeps";

const ace_compat_field *ace_compat_field_of(const char *option)
{
    for (size_t i = 0; i < ace_compat_n_fields; i++) {
        if (strcmp(ace_compat_fields[i].option, option) == 0) {
            return &ace_compat_fields[i];
        }
    }
    return NULL;
}

int ace_compat_position(const char *list, char separator, const char *name)
{
    const char stop[2] = {separator, '\0'};
    size_t bytes = strlen(name);
    for (int i = 0; *list != '\0'; i++) {
        size_t n = strcspn(list, stop);
        if (n == bytes && memcmp(list, name, n) == 0) {
            return i;
        }
        list += n + (list[n] == separator ? 1 : 0);
    }
    return -1;
}

bool ace_compat_is_known(const char *name)
{
    for (size_t i = 0; i < ace_compat_n_fields; i++) {
        if (ace_compat_position(ace_compat_fields[i].names, ',', name) >= 0) {
            return true;
        }
    }
    return ace_compat_position(others, ',', name) >= 0;
}
