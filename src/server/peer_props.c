/* GET /props: models, limits and the request with all its defaults. */
#include "acestep.h"
#include "server/adapters.h"
#include "server/compat_models.h"
#include "server/peer_routes.h"
#include "server/reference_result.h"

static json_t *default_request(void)
{
    return json_pack(
        "{s:s, s:s, s:i, s:i, s:s, s:s, s:s, s:i, s:i, s:i, s:f, s:f, s:f, s:i, s:s, s:b, s:s, "
        "s:i, "
        "s:f, s:f, s:f, s:f, s:s, s:f, s:f, s:f, s:f, s:f, s:f, s:s, s:s, s:s, s:s, s:s, s:s, s:i, "
        "s:s, s:s, s:s, s:f}",
        "caption", "", "lyrics", "", "bpm", 0, "duration", 0, "keyscale", "", "timesignature", "",
        "vocal_language", "", "seed", -1, "lm_batch_size", 1, "synth_batch_size", 1,
        "lm_temperature", 0.85, "lm_cfg_scale", 2.0, "lm_top_p", 0.9, "lm_top_k", 0,
        "lm_negative_prompt", "", "use_cot_caption", 1, "audio_codes", "", "inference_steps", 0,
        "guidance_scale", 0.0, "shift", 0.0, "dcw_scaler", 0.0, "dcw_high_scaler", 0.0, "dcw_mode",
        "low", "audio_cover_strength", 1.0, "cover_noise_strength", 0.0, "repainting_start", 0.0,
        "repainting_end", -1.0, "latent_shift", 0.0, "latent_rescale", 1.0, "custom_timesteps", "",
        "task_type", "text2music", "track", "", "solver", "euler", "lm_mode", "generate",
        "output_format", "mp3", "mp3_bitrate", 192, "synth_model", "", "lm_model", "", "adapter",
        "", "adapter_scale", 1.0);
}

static json_t *adapter_names(ace_server *server)
{
    size_t i = 0;
    const json_t *one = NULL;
    json_t *names = json_array();
    json_t *all = ace_adapters_list(server);
    json_array_foreach (all, i, one) {
        json_array_append(names, json_object_get(one, "name"));
    }
    json_decref(all);
    return names;
}

void ace_peer_props(ace_http_request *request, ace_server *server)
{
    json_t *models = ace_compat_models(server);
    json_t *reply = json_pack(
        "{s:s, s:{s:O?, s:O?, s:O?, s:O?}, s:o, s:{s:i}, s:o, s:{s:{s:i, s:f, s:f}, s:{s:i, s:f, "
        "s:f}}}",
        "version", acestep_version(), "models", "lm", json_object_get(models, "lm"), "embedding",
        json_object_get(models, "embedding"), "dit", json_object_get(models, "dit"), "vae",
        json_object_get(models, "vae"), "adapters", adapter_names(server), "cli", "max_batch", 8,
        "default", default_request(), "presets", "turbo", "inference_steps", 8, "guidance_scale",
        1.0, "shift", 3.0, "sft", "inference_steps", 50, "guidance_scale", 1.0, "shift", 1.0);
    json_decref(models);
    ace_http_reply_json(request, 200, reply);
}
