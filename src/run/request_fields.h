/* The option table: the only place where a parameter exists. From these rows come the request's
 * struct, the command line, the environment (ACESTEP_<NAME>), JSON requests, validation, help, the
 * page's form and the sidecar file.
 *
 * FLAG(field, default, aliases, group, help)
 * INT (field, default, minimum, maximum, aliases, group, help)
 * REAL(field, default, minimum, maximum, aliases, group, help)
 * TEXT(field, default, longest, aliases, group, help)             longest: bytes of UTF-8
 * WORD(field, default, "word|word|…", aliases, group, help)       default: index of the word
 *
 * The field is the JSON name; on the command line its underscores are hyphens (both are accepted).
 * Names, ranges and aliases follow the original's GenerationParams (acestep/inference.py) and API
 * server. Groups: text, audio, music, sampling, editing, batch, output, engine, memory, lm, debug.
 * A WORD row "auto|false|true" is a switch: on the command line it may stand alone. */
#ifndef ACE_RUN_REQUEST_FIELDS_H
#define ACE_RUN_REQUEST_FIELDS_H

#define ACE_REQUEST_FIELDS(FLAG, INT, REAL, TEXT, WORD)                                            \
    WORD(task_type, 0, "text2music|cover|repaint|lego|extract|complete", "task,taskType", "text",  \
         "what to make")                                                                           \
    TEXT(caption, "", 8192, "prompt,p,tags", "text", "style, mood and instruments in words")       \
    TEXT(lyrics, "", 65536, "l", "text",                                                           \
         "the words to sing, @FILE to read them; empty: instrumental")                             \
    FLAG(instrumental, 0, "", "text", "no singing, whatever the lyrics say")                       \
    TEXT(vocal_language, "unknown", 32, "language,vocalLanguage", "text",                          \
         "language of the lyrics, e.g. en, ja")                                                    \
    TEXT(instruction, "", 1024, "", "text", "replaces the task's instruction sentence")            \
    TEXT(track_name, "", 64, "track,trackName,lego_track,extract_track", "text",                   \
         "lego, extract: the track, e.g. drums")                                                   \
    TEXT(track_classes, "", 512, "trackClasses,instruments,complete_tracks", "text",               \
         "complete: comma-separated tracks to add")                                                \
                                                                                                   \
    TEXT(src_audio, "", 4096, "src_audio_path,ctx_audio,sourceAudioPath", "audio",                 \
         "audio file to cover, repaint, extract from or complete")                                 \
    TEXT(src_latents, "", 4096, "", "audio",                                                       \
         "the source as latents, in the place of src_audio: a file that save_latents wrote")       \
    TEXT(reference_audio, "", 4096, "ref_audio,reference_audio_path,referenceAudioPath", "audio",  \
         "audio file whose timbre and style to follow")                                            \
    TEXT(reference_latents, "", 4096, "ref_latents", "audio",                                      \
         "the reference as latents, in the place of reference_audio")                              \
    TEXT(audio_codes, "", 1048576, "audio_code_string,audioCodeString", "audio",                   \
         "5 Hz codes to follow: <|audio_code_N|>... or numbers, @FILE")                            \
    FLAG(vae_sample, 0, "", "audio", "draw the encoder's latents from its posterior, seeded")      \
                                                                                                   \
    REAL(duration, -1, -1, 600, "d,audio_duration,audioDuration,target_duration", "music",         \
         "seconds, 10-600; -1: the source's length, else 30 s")                                    \
    INT(bpm, 0, 0, 300, "", "music", "tempo in beats per minute, 30-300; 0: free")                 \
    TEXT(keyscale, "", 32, "key,key_scale,keyScale", "music", "e.g. \"C major\" or Am")            \
    TEXT(timesignature, "", 8, "time_signature,timeSignature", "music", "2, 3, 4 or 6")            \
                                                                                                   \
    INT(inference_steps, 0, 0, 200, "steps,infer_steps,inferenceSteps", "sampling",                \
        "diffusion steps; 0: turbo 8, base and sft 32")                                            \
    REAL(guidance_scale, 0, 0, 20, "guidance,cfg,guidanceScale", "sampling",                       \
         "classifier-free guidance; 0: turbo none, base and sft 7")                                \
    REAL(shift, 0, 0, 10, "", "sampling", "timestep shift; 0: turbo 3, base and sft 1")            \
    WORD(infer_method, 0, "ode|sde", "inferMethod,method", "sampling", "solver family")            \
    WORD(sampler_mode, 0, "euler|heun", "samplerMode,solver", "sampling", "step rule of ode")      \
    FLAG(use_adg, 0, "useAdg", "sampling", "angular instead of projected guidance (base, sft)")    \
    REAL(cfg_interval_start, 0, 0, 1, "cfgIntervalStart", "sampling",                              \
         "guidance acts from this t on ...")                                                       \
    REAL(cfg_interval_end, 1, 0, 1, "cfgIntervalEnd", "sampling", "... to this t (1 is noise)")    \
    TEXT(timesteps, "", 8192, "custom_timesteps", "sampling",                                      \
         "comma-separated t, falling from 1; replaces steps and shift")                            \
    REAL(velocity_norm_threshold, 0, 0, 100, "velocityNormThreshold", "sampling",                  \
         "clamp the velocity's norm to this multiple of the latent's; 0: off")                     \
    REAL(velocity_ema_factor, 0, 0, 0.99, "velocityEmaFactor", "sampling",                         \
         "share of the previous velocity; 0: off")                                                 \
    FLAG(dcw_enabled, 0, "", "sampling", "wavelet-domain correction after each step")              \
    WORD(dcw_mode, 2, "low|high|double|pix", "", "sampling", "bands that are corrected")           \
    REAL(dcw_scaler, 0.05, 0, 1, "", "sampling", "its strength (low band)")                        \
    REAL(dcw_high_scaler, 0.02, 0, 1, "", "sampling", "its strength (high band)")                  \
    REAL(latent_shift, 0, -2, 2, "latentShift", "sampling",                                        \
         "added to the latents before decoding")                                                   \
    REAL(latent_rescale, 1, 0.1, 4, "latentRescale", "sampling", "multiplies them first")          \
    INT(noise_grid, 0, 0, 1073741824, "", "sampling",                                              \
        "emulate the noise of a GPU with this many elements per launch; 0: ours")                  \
                                                                                                   \
    REAL(repainting_start, 0, -600, 600, "repaintingStart", "editing",                             \
         "repaint, lego: from this second; negative extends to the left")                          \
    REAL(repainting_end, -1, -1, 1200, "repaintingEnd", "editing",                                 \
         "to this second; -1: the end; beyond it extends to the right")                            \
    WORD(repaint_mode, 1, "aggressive|balanced|conservative", "repaintMode", "editing",            \
         "how closely the rest is kept; aggressive: it is made anew too, though much like it was") \
    REAL(repaint_strength, 0.5, 0, 1, "repaintStrength", "editing",                                \
         "for balanced: 0 is conservative, 1 keeps nothing while it samples")                      \
    REAL(repaint_wav_crossfade_sec, -1, -1, 5, "repaintWavCrossfadeSec", "editing",                \
         "seconds of fade around the region, beyond which the recording stays as it is; -1: by "   \
         "repaint_mode")                                                                           \
    INT(repaint_latent_crossfade_frames, -1, -1, 250, "repaintLatentCrossfadeFrames", "editing",   \
        "the same for the latents, 25 a second; -1: by repaint_mode")                              \
    WORD(chunk_mask_mode, 0, "explicit|auto", "", "editing",                                       \
         "mask value: 1 inside the region, or 2 (the newer original's \"auto\")")                  \
    REAL(audio_cover_strength, 1, 0, 1, "cover_strength,audioCoverStrength", "editing",            \
         "share of the steps that follow source or codes")                                         \
    REAL(cover_noise_strength, 0, 0, 1, "coverNoiseStrength", "editing",                           \
         "start from the source: 0 all noise, 1 all source")                                       \
    FLAG(no_fsq, 0, "noFsq", "editing", "cover: follow the source itself, not its codes")          \
                                                                                                   \
    INT(batch_size, 1, 1, 8, "n,batchSize", "batch", "songs to make at once")                      \
    TEXT(seed, "-1", 512, "s,seeds", "batch", "one number or a comma-separated list; -1: random")  \
                                                                                                   \
    TEXT(output, "", 4096, "o", "output", "file or folder; empty: a new name here")                \
    TEXT(audio_format, "", 16, "format,output_format,audioFormat", "output",                       \
         "flac, flac16, wav, wav24, wav32, mp3, opus, ogg; empty: by file name, else flac")        \
    INT(mp3_bitrate, 192, 32, 320, "", "output", "kbit/s")                                         \
    INT(opus_bitrate, 160, 32, 510, "", "output", "kbit/s")                                        \
    FLAG(enable_normalization, 1, "normalize", "output", "bring the peak to normalization_db")     \
    REAL(normalization_db, -1, -60, 0, "", "output", "dB relative to full scale")                  \
    REAL(fade_in_duration, 0, 0, 60, "fade_in", "output", "seconds")                               \
    REAL(fade_out_duration, 0, 0, 60, "fade_out", "output", "seconds")                             \
    TEXT(title, "", 512, "", "output", "title tag; empty: from the caption")                       \
    WORD(file_tags, 0, "full|basic|none", "", "output", "what the file tells about itself")        \
    FLAG(sidecar, 1, "", "output", "write NAME.json with everything needed to repeat the song")    \
    FLAG(save_latents, 0, "saveLatents", "output",                                                 \
         "write NAME.latents: the song before decoding, 32-bit floats, frame by frame")            \
    FLAG(overwrite, 0, "y", "output", "replace existing files")                                    \
                                                                                                   \
    TEXT(models, "", 4096, "models_dir,checkpoints", "engine",                                     \
         "folder with the checkpoints; empty: downloaded ones, else the built-in demo model")      \
    TEXT(model, "", 256, "dit,config_path,model_name", "engine",                                   \
         "which diffusion model, e.g. turbo, base, xl-turbo")                                      \
    TEXT(weights, "", 64, "", "engine", "synthetic[:NAME]: published shapes, made-up values")      \
    TEXT(device, "auto", 32, "", "engine", "auto, cpu, sim (a simulated card), cuda or cuda:N")    \
    INT(gpu, -1, -1, 63, "", "engine", "which card; -1: the one with the most memory")             \
    TEXT(plugin_dir, "", 4096, "", "engine",                                                       \
         "folder of device plug-ins; empty: the program's, or ../lib/acestep beside it")           \
    FLAG(cublas, 1, "", "engine", "products by cuBLASLt where it is installed, on a card")         \
    WORD(precision, 0, "auto|f32|bf16|int8", "", "engine",                                         \
         "of weights and products; auto: what the model asks for, else bf16")                      \
    FLAG(int8_compute, 1, "", "engine",                                                            \
         "int8 weights: the diffusion layers' inputs in 8 bits too, twice as fast, less exact")    \
    INT(threads, 0, 0, 256, "", "engine", "0: one for each core")                                  \
    WORD(cpu, 2, "generic|avx2|avx512", "", "engine", "highest instruction set to use")            \
    WORD(exec, 0, "full|shape", "", "engine", "shape: walk through the job, compute nothing")      \
    FLAG(cache, 1, "", "engine", "keep packed weights on disk, so that the next start is faster")  \
    REAL(cache_limit, 20, 0, 65536, "", "engine",                                                  \
         "GB that they may take; the least recently used go first")                                \
    TEXT(cache_dir, "", 4096, "", "engine",                                                        \
         "their folder; empty: XDG_CACHE_HOME/acestep, else ~/.cache/acestep")                     \
    INT(vae_chunk, 0, 0, 1536, "vaeChunk,vae_decode_chunk_size", "memory",                         \
        "latent frames decoded at once; 0: what fits")                                             \
    INT(vae_overlap, 0, 0, 256, "vaeOverlap", "memory",                                            \
        "frames of overlap on each side; 0: as many as the decoder hears, published: 9")           \
    FLAG(vae_on_cpu, 0, "", "memory", "decode on the CPU whatever the card could do")              \
    TEXT(tier, "", 16, "gpu_tier", "memory",                                                       \
         "take limits and defaults from this tier: tier1 ... tier6b, unlimited")                   \
    TEXT(gpu_tiers, "", 4096, "", "memory", "JSON file that changes rows of the tier table")       \
    WORD(limits, 0, "auto|seed|exact", "", "memory",                                               \
         "of duration and batch: the guide's table, or all that the plan proves to fit")           \
    WORD(offload_to_cpu, 0, "auto|false|true", "offload", "memory",                                \
         "keep models off the card while they are not in use")                                     \
    WORD(offload_dit_to_cpu, 0, "auto|false|true", "offload_dit", "memory",                        \
         "the diffusion transformer too, also between steps")                                      \
    WORD(offload_dit_policy, 0, "window|stage", "", "memory",                                      \
         "window: a rolling window of its layers; stage: whole while it works")                    \
    INT(offload_dit_window, 0, 0, 96, "", "memory", "layers in the window; 0: as many as fit")     \
    WORD(quantization, 0, "auto|none|int8_weight_only|int8", "", "memory",                         \
         "weights of the diffusion model and its condition encoder")                               \
    WORD(compile_model, 0, "auto|false|true", "compile", "memory",                                 \
         "weights packed for the kernels; INT8 needs it")                                          \
    WORD(use_flash_attention, 0, "auto|false|true", "flash_attention", "memory",                   \
         "where the device has it")                                                                \
    WORD(vram_guard, 0, "split|reduce", "", "memory",                                              \
         "songs that do not fit together: in further passes, or fewer of them")                    \
    FLAG(force_config, 0, "", "memory", "take choices as they are, whatever the tier advises")     \
    TEXT(lora, "", 4096, "adapter,lora_path,lora_name_or_path", "engine",                          \
         "adapters, comma-separated: PATH or PATH:SCALE")                                          \
                                                                                                   \
    WORD(init_llm, 0, "auto|false|true", "init_lm,initLlm", "lm", "start the language model")      \
    TEXT(lm_model_path, "", 256, "lm_model,lm", "lm", "which one, e.g. acestep-5Hz-lm-0.6B")       \
    TEXT(backend, "auto", 32, "lm_backend", "lm", "its engine: vllm, pt or mlx")                   \
    WORD(thinking, 0, "auto|false|true", "", "lm",                                                 \
         "let it plan the song: metadata and audio codes; auto: where the tier starts it")         \
    TEXT(sample_query, "", 4096, "simple,description,desc,sampleQuery", "lm",                      \
         "one sentence: it invents caption, lyrics and metadata")                                  \
    FLAG(use_format, 0, "useFormat", "lm", "let it rewrite caption and lyrics first")              \
    WORD(use_cot_metas, 0, "auto|false|true", "cot_metas", "lm",                                   \
         "let it choose tempo, key, meter and length where they are not given")                    \
    WORD(use_cot_caption, 0, "auto|false|true", "cot_caption", "lm", "let it write the caption")   \
    WORD(use_cot_language, 0, "auto|false|true", "cot_language", "lm",                             \
         "let it choose the language")                                                             \
    FLAG(use_cot_lyrics, 0, "", "lm", "let it write lyrics where none are given")                  \
    REAL(lm_temperature, 0.85, 0, 2, "lmTemperature", "lm", "0: the most likely token")            \
    INT(lm_top_k, 0, 0, 1000, "lmTopK", "lm", "0: off")                                            \
    REAL(lm_top_p, 0.9, 0, 1, "lmTopP", "lm", "1: off")                                            \
    REAL(lm_min_p, 0, 0, 1, "", "lm", "0: off")                                                    \
    REAL(lm_repetition_penalty, 1, 0.5, 2, "", "lm", "1: none")                                    \
    REAL(lm_cfg_scale, 2, 1, 10, "lmCfgScale", "lm", "its guidance towards the plan; 1: none")     \
    TEXT(lm_negative_prompt, "NO USER INPUT", 4096, "lmNegativePrompt", "lm",                      \
         "what guidance leads away from")                                                          \
    INT(lm_seed, -1, -1, 4294967295LL, "", "lm", "-1: each song's own seed")                       \
    WORD(lm_order, 0, "vllm|pt", "", "lm",                                                         \
         "temperature before (vllm) or after (pt) top-k and top-p, as in the original's backends") \
    FLAG(use_constrained_decoding, 1, "constrained_decoding,constrained,constrainedDecoding",      \
         "lm", "keep it to fields and values that exist, and to exactly as many codes as needed")  \
    FLAG(lm_legacy_prompt, 0, "", "lm", "prompts before codes as the original had them at first")  \
    FLAG(lm_fsm_canonical, 0, "", "lm", "spell field names as its tokenizer would")                \
    INT(lm_retries, 1, 0, 8, "", "lm", "further tries when what it wrote cannot be read")          \
    FLAG(lm_optional, 0, "", "lm", "make the song without it when it fails")                       \
    TEXT(genres, "", 4096, "genres_vocab", "lm", "file with the genres it may choose from")        \
    FLAG(auto_score, 0, "autoScore", "lm", "rate how well the song follows its lyrics and plan")   \
    REAL(score_scale, 0.5, 0.01, 1, "scoreScale", "lm",                                            \
         "how much of the language model's score a small difference makes: less is more")          \
    INT(best_of, 1, 1, 8, "bestOf", "lm",                                                          \
        "codes it writes for each song, of which those that it scores best are kept")              \
    FLAG(auto_lrc, 0, "autoLrc,lrc", "lm", "write NAME.lrc and NAME.vtt: the lyrics with times")   \
    INT(lm_batch_chunk_size, 8, 1, 8, "", "lm", "songs it plans side by side")                     \
    WORD(kv_cache_dtype, 0, "auto|bf16|int8", "kvCacheDtype", "lm",                                \
         "its keys and values; int8: half the memory, and faster late in a song; auto: bf16")      \
                                                                                                   \
    TEXT(src_audio_label, "", 4096, "", "debug",                                                   \
         "what tags and sidecar call src_audio; empty: its path")                                  \
    TEXT(src_latents_label, "", 4096, "", "debug", "the same for src_latents")                     \
    TEXT(reference_audio_label, "", 4096, "", "debug", "the same for reference_audio")             \
    TEXT(reference_latents_label, "", 4096, "", "debug", "the same for reference_latents")         \
    TEXT(lora_label, "", 4096, "", "debug", "the same for lora")                                   \
    TEXT(trace_mem, "", 4096, "", "debug", "file for one JSON line per change of device memory")   \
    REAL(cache_least, 64, 0, 65536, "", "debug", "MB a component must take to be kept")            \
    TEXT(trace, "", 4096, "", "debug",                                                             \
         "file for the times of all operations, to open in Perfetto")                              \
    FLAG(profile, 0, "", "debug",                                                                  \
         "time all operations without a file, and follow the device's memory")                     \
    TEXT(max_cuda_vram, "", 32, "", "debug",                                                       \
         "GB of a simulated card, with a hard cap (environment MAX_CUDA_VRAM)")                    \
    TEXT(max_mps_vram, "", 32, "", "debug", "the same for Apple's (MAX_MPS_VRAM)")                 \
    TEXT(max_xpu_vram, "", 32, "", "debug", "the same for Intel's (MAX_XPU_VRAM)")                 \
    REAL(sim_used_gb, 0, 0, 1024, "", "debug", "GB that another program holds on the sim card")    \
    TEXT(sim_fail_alloc, "", 256, "", "debug",                                                     \
         "STAGE:N or STAGE:*, comma-separated: allocations that fail on the sim card")             \
    TEXT(sim_shrink, "", 256, "", "debug",                                                         \
         "STAGE:GB: from that stage on another program holds that much of the sim card")

#endif
