#include "run/models.h"

#include "base/file_map.h"
#include "base/memory.h"
#include "model/config_assumed.h"
#include "run/brief.h"
#include "run/gguf_tokenizer.h"
#include "run/planning.h"
#include "run/synthetic_tokenizer.h"
#include "weights/torch_archive.h"

#include <stdio.h>
#include <string.h>

/* Silence has to be as long as the longest song; made up ones are as long as the published. */
enum { PUBLISHED_SILENCE_FRAMES = 15000 };

typedef ace_status parse_config(const char *json, size_t bytes, const char *path, void *out,
                                ace_error *err);

static ace_status parse_dit(const char *json, size_t bytes, const char *path, void *out,
                            ace_error *err)
{
    return ace_dit_config_parse(json, bytes, path, out, err);
}

static ace_status parse_vae(const char *json, size_t bytes, const char *path, void *out,
                            ace_error *err)
{
    return ace_vae_config_parse(json, bytes, path, out, err);
}

static ace_status parse_qwen3(const char *json, size_t bytes, const char *path, void *out,
                              ace_error *err)
{
    return ace_qwen3_config_parse(json, bytes, path, out, err);
}

/* The config beside the weights, or inside a GGUF file. */
static ace_status read_config(const char *path, const ace_weights *w, parse_config *parse,
                              void *out, ace_error *err)
{
    char file_path[ACE_MODEL_PATH_BYTES + 16];
    const char *inside = ace_weights_metadata(w, "acestep.config_json");
    if (inside != NULL) {
        return parse(inside, strlen(inside), path, out, err);
    }
    (void)snprintf(file_path, sizeof file_path, "%s/config.json", path);
    ace_file file;
    ace_error unreadable = {.code = ACESTEP_OK};
    if (ace_file_open(file_path, &file, &unreadable) != ACESTEP_OK) {
        return ace_fail(err, ACESTEP_MODEL, "%s", unreadable.message);
    }
    ace_status status = parse((const char *)file.data, file.bytes, file_path, out, err);
    ace_file_close(&file);
    return status;
}

static ace_status open_part(const char *path, parse_config *parse, void *config, ace_weights **out,
                            ace_error *err)
{
    ace_status status = ace_weights_open(path, out, err);
    return status == ACESTEP_OK ? read_config(path, *out, parse, config, err) : status;
}

static ace_status load_silence(ace_models *m, ace_error *err)
{
    char path[ACE_MODEL_PATH_BYTES + 24];
    (void)snprintf(path, sizeof path, "%s/silence_latent.pt", m->set.dit);
    if (ace_weights_find(m->dit, "silence_latent") != NULL) { /* GGUF: time-major already */
        return ace_silence_latent_from_weights(m->dit, m->dit_config.latent_channels, &m->silence,
                                               &m->silence_frames, err);
    }
    return ace_silence_latent_load(path, m->dit_config.latent_channels, &m->silence,
                                   &m->silence_frames, err);
}

/* Parts must fit together before anything is computed with them. */
static ace_status check_together(const ace_models *m, ace_error *err)
{
    if (m->vae_config.latent_channels != m->dit_config.latent_channels) {
        return ace_fail(err, ACESTEP_MODEL,
                        "%s has %lld latent channels, %s has %lld: they do not belong together",
                        m->set.dit, (long long)m->dit_config.latent_channels, m->set.vae,
                        (long long)m->vae_config.latent_channels);
    }
    if (m->text_config.block.hidden != m->dit_config.text_dim) {
        return ace_fail(err, ACESTEP_MODEL, "%s expects texts of width %lld, %s makes %lld",
                        m->set.dit, (long long)m->dit_config.text_dim, m->set.text_encoder,
                        (long long)m->text_config.block.hidden);
    }
    if (m->vae_config.audio_channels != 2) {
        return ace_fail(err, ACESTEP_MODEL,
                        "%s/config.json: audio_channels is %lld; music is stereo", m->set.vae,
                        (long long)m->vae_config.audio_channels);
    }
    if (m->silence_frames < ACE_SHORTEST_FRAMES) {
        return ace_fail(err, ACESTEP_MODEL,
                        "%s: silence_latent.pt has %lld frames; the shortest song has %d",
                        m->set.dit, (long long)m->silence_frames, ACE_SHORTEST_FRAMES);
    }
    return ACESTEP_OK;
}

/* The original counts seconds as frames of 1920 samples at 48 kHz, whatever vae/config.json says.
 */
ace_status ace_models_check_rate(const ace_models *m, ace_error *err)
{
    if (m->vae_config.sample_rate != ACE_AUDIO_RATE ||
        m->vae_config.hop != ACE_AUDIO_RATE / ACE_LATENT_RATE) {
        return ace_fail(err, ACESTEP_MODEL,
                        "%s/config.json: sampling_rate %d with downsampling_ratios of %lld samples "
                        "a frame; songs are made of frames of %d samples at %d Hz",
                        m->set.vae, m->vae_config.sample_rate, (long long)m->vae_config.hop,
                        ACE_AUDIO_RATE / ACE_LATENT_RATE, ACE_AUDIO_RATE);
    }
    return ACESTEP_OK;
}

int64_t ace_models_silence_heard(const ace_models *m)
{
    return m->silence_frames < m->dit_config.timbre_frames ? m->silence_frames
                                                           : m->dit_config.timbre_frames;
}

/* GGUF files hold their tokenizer, wherever they lie. */
static bool is_gguf(const ace_weights *w)
{
    return ace_weights_metadata(w, "general.architecture") != NULL;
}

/* Texts end in one more <|endoftext|> than the template has; only tokenizer.json says so. */
static ace_status open_tokenizer(const char *path, ace_models *m, ace_error *err)
{
    ace_status status = is_gguf(m->text) ? ace_gguf_tokenizer_open(m->text, 0, &m->tokenizer, err)
                                         : ace_tokenizer_open(path, &m->tokenizer, err);
    return status == ACESTEP_OK ? ace_tokenizer_require_suffix(m->tokenizer, "<|endoftext|>", err)
                                : status;
}

static ace_status open_qwen3(const char *path, ace_qwen3_config *config, ace_weights **out,
                             ace_error *err)
{
    ace_status status = open_part(path, parse_qwen3, config, out, err);
    if (status == ACESTEP_OK) {
        ace_qwen3_config_complete(config, *out);
    }
    return status;
}

static ace_status open_dit(ace_models *m, ace_error *err)
{
    ace_status status = open_part(m->set.dit, parse_dit, &m->dit_config, &m->dit, err);
    if (status == ACESTEP_OK) {
        ace_dit_config_complete(&m->dit_config, m->dit);
    }
    return status;
}

static ace_status open_files(const char *folder, const ace_request *r, ace_models *m,
                             ace_error *err)
{
    ace_status status = ace_model_set_find(folder, r->model, &m->set, err);
    if (status == ACESTEP_OK) {
        status = open_dit(m, err);
    }
    if (status == ACESTEP_OK) {
        status = open_part(m->set.vae, parse_vae, &m->vae_config, &m->vae, err);
    }
    if (status == ACESTEP_OK) {
        status = open_qwen3(m->set.text_encoder, &m->text_config, &m->text, err);
    }
    if (status == ACESTEP_OK) {
        status = load_silence(m, err);
    }
    if (status == ACESTEP_OK) {
        status = open_tokenizer(m->set.text_encoder, m, err);
    }
    return status;
}

/* "acestep-v15-base", as the folder is called, is "base". */
static const char *short_name(const char *name)
{
    static const char prefix[] = "acestep-v15-";
    const size_t n = sizeof prefix - 1;
    return strncmp(name, prefix, n) == 0 ? name + n : name;
}

/* Published shapes with made-up weights; the tokenizer is the demo's, whose ids are few but real.
 */
static ace_status open_synthetic(const char *name, ace_models *m, ace_error *err)
{
    m->synthetic = true;
    ace_model_card_default(&m->set.card);
    ace_lm_list_published(&m->set.lms);
    (void)snprintf(m->set.dit_name, sizeof m->set.dit_name, "synthetic:%s", name);
    ace_text_encoder_config_published(&m->text_config);
    ace_vae_config_published(&m->vae_config);
    ace_status status = ace_dit_config_published(name, &m->dit_config, err);
    ace_weights **const parts[] = {&m->dit, &m->vae, &m->text};
    for (int i = 0; i < 3 && status == ACESTEP_OK; i++) {
        status = ace_weights_open_synthetic(parts[i], err);
    }
    if (status == ACESTEP_OK) {
        m->silence_frames = PUBLISHED_SILENCE_FRAMES;
        m->silence = ace_calloc((size_t)(m->silence_frames * m->dit_config.latent_channels),
                                sizeof *m->silence);
        if (m->silence == NULL) {
            status = ace_fail(err, ACESTEP_MEMORY, "models: no host memory");
        }
    }
    if (status == ACESTEP_OK) {
        status = open_tokenizer(ACE_EMBEDDED_PREFIX "demo/Qwen3-Embedding-0.6B", m, err);
    }
    return status;
}

ace_status ace_models_open(const ace_request *r, ace_models *m, ace_error *err)
{
    static const char synthetic[] = "synthetic";
    const size_t n = sizeof synthetic - 1;
    memset(m, 0, sizeof *m);
    ace_status status = ACESTEP_OK;
    if (strncmp(r->weights, synthetic, n) == 0 && (r->weights[n] == ':' || r->weights[n] == '\0')) {
        const char *name = r->weights[n] == ':'  ? r->weights + n + 1
                           : r->model[0] != '\0' ? r->model
                                                 : "turbo";
        status = open_synthetic(short_name(name), m, err);
    } else if (r->weights[0] != '\0') {
        status = ace_fail(err, ACESTEP_ARGUMENT,
                          "weights: \"%.40s\" is not synthetic or synthetic:NAME", r->weights);
    } else {
        status =
            open_files(r->models[0] != '\0' ? r->models : ACE_EMBEDDED_PREFIX "demo", r, m, err);
    }
    if (status == ACESTEP_OK) {
        (void)snprintf(m->name, sizeof m->name, "%s",
                       m->set.card.name[0] != '\0' ? m->set.card.name : m->set.dit_name);
        status = check_together(m, err);
    }
    if (status != ACESTEP_OK) {
        ace_models_close(m);
    }
    return status;
}

ace_status ace_models_open_lm(const ace_models *m, ace_weights **weights, ace_qwen3_config *config,
                              ace_error *err)
{
    *weights = NULL;
    if (m->set.lm[0] == '\0') {
        return ace_fail(err, ACESTEP_MODEL,
                        "%s: no language model lies beside it; acestep-5Hz-lm-1.7B is one",
                        m->set.dit);
    }
    return open_qwen3(m->set.lm, config, weights, err);
}

static ace_status open_lm_tokenizer(const char *path, const ace_weights *lm,
                                    const ace_qwen3_config *config, ace_tokenizer **out,
                                    ace_error *err)
{
    return is_gguf(lm) ? ace_gguf_tokenizer_open(lm, config->vocabulary, out, err)
                       : ace_tokenizer_open(path, out, err);
}

ace_status ace_models_open_lm_tokenizer(const ace_models *m, const ace_weights *lm,
                                        const ace_qwen3_config *config, ace_tokenizer **out,
                                        ace_error *err)
{
    return open_lm_tokenizer(m->set.lm, lm, config, out, err);
}

/* The folder that holds the set is where its language model lies. */
static ace_status open_named_lm(ace_models *m, const char *name, ace_error *err)
{
    char path[ACE_MODEL_PATH_BYTES + ACE_MODEL_NAME_BYTES];
    const char *slash = strrchr(m->set.dit, '/');
    int folder = slash != NULL ? (int)(slash - m->set.dit) : 0;
    (void)snprintf(path, sizeof path, "%.*s/%s", folder, m->set.dit, name);
    ace_status status = open_qwen3(path, &m->lm_config, &m->lm, err);
    return status == ACESTEP_OK
               ? open_lm_tokenizer(path, m->lm, &m->lm_config, &m->lm_tokenizer, err)
               : status;
}

static void close_lm(ace_models *m)
{
    ace_weights_close(m->lm);
    ace_tokenizer_free(m->lm_tokenizer);
    ace_lm_vocabulary_close(&m->lm_vocabulary);
    m->lm = NULL;
    m->lm_tokenizer = NULL;
    m->lm_name[0] = '\0';
}

static ace_status open_lm(ace_models *m, const char *name, ace_error *err)
{
    if (!m->synthetic) {
        return open_named_lm(m, name, err);
    }
    ace_status status = ace_language_model_config_published(ace_lm_size_name(ace_lm_size_of(name)),
                                                            &m->lm_config, err);
    if (status == ACESTEP_OK) {
        status = ace_weights_open_synthetic(&m->lm, err);
    }
    return status == ACESTEP_OK
               ? ace_synthetic_tokenizer(m->lm_config.vocabulary, &m->lm_tokenizer, err)
               : status;
}

ace_status ace_models_choose_lm(ace_models *m, const char *name, ace_error *err)
{
    if (m->lm != NULL && strcmp(m->lm_name, name) == 0) {
        return ACESTEP_OK;
    }
    close_lm(m);
    ace_status status = open_lm(m, name, err);
    if (status == ACESTEP_OK) {
        status = ace_lm_vocabulary_open(m->lm_tokenizer, m->lm_config.vocabulary,
                                        m->dit_config.fsq_codes, &m->lm_vocabulary, err);
    }
    if (status != ACESTEP_OK) {
        close_lm(m);
        return status;
    }
    (void)snprintf(m->lm_name, sizeof m->lm_name, "%s", name);
    return ACESTEP_OK;
}

void ace_models_close(ace_models *m)
{
    close_lm(m);
    ace_weights_close(m->dit);
    ace_weights_close(m->vae);
    ace_weights_close(m->text);
    ace_tokenizer_free(m->tokenizer);
    ace_free(m->silence);
    memset(m, 0, sizeof *m);
}
