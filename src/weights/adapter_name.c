/* Names in adapter files: prefix, layer, module, role. */
#include "weights/adapter_parts.h"

#include <stdio.h>
#include <string.h>

static const char *const targets[ACE_TARGETS] = {
    "self_attn.q_proj",  "self_attn.k_proj",  "self_attn.v_proj",  "self_attn.o_proj",
    "cross_attn.q_proj", "cross_attn.k_proj", "cross_attn.v_proj", "cross_attn.o_proj",
    "mlp.gate_proj",     "mlp.up_proj",       "mlp.down_proj",
};

const char *ace_adapter_kind_name(ace_adapter_kind kind)
{
    static const char *const names[ACE_ADAPTER_KINDS] = {"none", "lora", "loha", "lokr"};
    return names[kind];
}

const char *ace_adapter_target_name(ace_adapter_target target)
{
    return targets[target];
}

/* ---- the end of a name: what the tensor is --------------------------------------------------- */

typedef struct marker {
    const char *text;
    ace_adapter_role role;
} marker;

static const marker markers[] = {
    {".lora_A", {ACE_ADAPTER_LORA, 0, ACE_SLOT_B}},
    {".lora_B", {ACE_ADAPTER_LORA, 0, ACE_SLOT_A}},
    {".lora_down", {ACE_ADAPTER_LORA, 0, ACE_SLOT_B}},
    {".lora_up", {ACE_ADAPTER_LORA, 0, ACE_SLOT_A}},
    {".lora.down", {ACE_ADAPTER_LORA, 0, ACE_SLOT_B}},
    {".lora.up", {ACE_ADAPTER_LORA, 0, ACE_SLOT_A}},
    {".hada_w1_a", {ACE_ADAPTER_LOHA, 0, ACE_SLOT_A}},
    {".hada_w1_b", {ACE_ADAPTER_LOHA, 0, ACE_SLOT_B}},
    {".hada_w2_a", {ACE_ADAPTER_LOHA, 1, ACE_SLOT_A}},
    {".hada_w2_b", {ACE_ADAPTER_LOHA, 1, ACE_SLOT_B}},
    {".lokr_w1", {ACE_ADAPTER_LOKR, 0, ACE_SLOT_WHOLE}},
    {".lokr_w1_a", {ACE_ADAPTER_LOKR, 0, ACE_SLOT_A}},
    {".lokr_w1_b", {ACE_ADAPTER_LOKR, 0, ACE_SLOT_B}},
    {".lokr_w2", {ACE_ADAPTER_LOKR, 1, ACE_SLOT_WHOLE}},
    {".lokr_w2_a", {ACE_ADAPTER_LOKR, 1, ACE_SLOT_A}},
    {".lokr_w2_b", {ACE_ADAPTER_LOKR, 1, ACE_SLOT_B}},
    {".lora_magnitude_vector", {ACE_ADAPTER_NONE, 0, ACE_SLOT_MAGNITUDE}},
    {".dora_scale", {ACE_ADAPTER_NONE, 0, ACE_SLOT_MAGNITUDE}},
    {".alpha", {ACE_ADAPTER_NONE, 0, ACE_SLOT_ALPHA}},
};

/* Adapters of other kinds are known by these. */
static const char *const foreign[][2] = {
    {".lokr_t", "LoKr with a Tucker core, for convolutions"},
    {".hada_t", "LoHa with a Tucker core, for convolutions"},
    {".oft_", "OFT"},
    {".diff", "a full difference"},
    {".lora_embedding_", "LoRA of an embedding"},
};

/* "", ".weight", or PEFT's ".<adapter name>.weight" */
static bool is_tail(const char *text, ace_adapter_role role)
{
    if (*text == '\0') {
        return true;
    }
    if (role.slot == ACE_SLOT_ALPHA || *text != '.') {
        return false;
    }
    const char *dot = strchr(text + 1, '.');
    return strcmp(dot != NULL ? dot : text, ".weight") == 0;
}

/* Where the module's name ends in key; NULL when no marker is there. */
static const char *find_role(const char *key, ace_adapter_role *role)
{
    for (size_t i = 0; i < sizeof markers / sizeof *markers; i++) {
        const char *at = strstr(key, markers[i].text);
        if (at != NULL && is_tail(at + strlen(markers[i].text), markers[i].role)) {
            *role = markers[i].role;
            return at;
        }
    }
    return NULL;
}

static ace_status refuse_role(const char *path, const char *key, ace_error *err)
{
    for (size_t i = 0; i < sizeof foreign / sizeof *foreign; i++) {
        if (strstr(key, foreign[i][0]) != NULL) {
            return ace_fail(
                err, ACESTEP_UNSUPPORTED,
                "%.300s: %.200s belongs to an adapter of another kind (%s); LoRA, LoHa, "
                "LoKr and DoRA can be applied: convert it, or merge it into the model",
                path, key, foreign[i][1]);
        }
    }
    return ace_fail(
        err, ACESTEP_UNSUPPORTED,
        "%.300s: %.200s is no tensor of an adapter (lora_A, lora_B, lora_down, lora_up, "
        "hada_w1_a, …, lokr_w1, …, alpha, lora_magnitude_vector, dora_scale)",
        path, key);
}

/* ---- the beginning: where it belongs --------------------------------------------------------- */

/* Wrappers of PEFT, ComfyUI, kohya's scripts and LyCORIS, in any order. */
static size_t prefix_length(const char *module)
{
    static const char *const prefixes[] = {
        "base_model.", "model.",           "diffusion_model.",  "transformer.",
        "decoder.",    "lora_unet_",       "lora_transformer_", "lycoris_",
        "model_",      "diffusion_model_", "decoder_",
    };
    for (size_t i = 0; i < sizeof prefixes / sizeof *prefixes; i++) {
        size_t n = strlen(prefixes[i]);
        if (strncmp(module, prefixes[i], n) == 0) {
            return n;
        }
    }
    return 0;
}

static const char *skip_prefixes(const char *module)
{
    size_t n;
    while ((n = prefix_length(module)) > 0) {
        module += n;
    }
    return module;
}

/* n bytes of text name the target, with dots or, in names of one word, underscores. */
static bool names_target(const char *text, size_t n, ace_adapter_target target, char separator)
{
    const char *name = targets[target];
    bool same = strlen(name) == n;
    for (size_t i = 0; i < n && same; i++) {
        same = text[i] == (name[i] == '.' ? separator : name[i]);
    }
    return same;
}

/* "layers.3.self_attn.q_proj" or "layers_3_self_attn_q_proj" */
static bool read_module(const char *module, const char *end, ace_adapter_name *out)
{
    static const char layers[] = "layers";
    const size_t n = sizeof layers - 1;
    if ((size_t)(end - module) <= n || strncmp(module, layers, n) != 0) {
        return false;
    }
    char separator = module[n];
    const char *at = module + n + 1;
    const char *digits = at;
    out->layer = 0;
    while (at < end && *at >= '0' && *at <= '9' && out->layer < ACE_ADAPTER_LAYERS) {
        out->layer = 10 * out->layer + (*at++ - '0');
    }
    if ((separator != '.' && separator != '_') || at == digits || at >= end || *at != separator ||
        out->layer >= ACE_ADAPTER_LAYERS) {
        return false;
    }
    at++;
    for (int i = 0; i < ACE_TARGETS; i++) {
        if (names_target(at, (size_t)(end - at), (ace_adapter_target)i, separator)) {
            out->target = (ace_adapter_target)i;
            return true;
        }
    }
    return false;
}

ace_status ace_adapter_refuse_module(const char *path, const char *key, ace_error *err)
{
    return ace_fail(err, ACESTEP_UNSUPPORTED,
                    "%.300s: %.200s changes nothing that an adapter can change here: only "
                    "decoder layers' self_attn and cross_attn (q_proj, k_proj, v_proj, "
                    "o_proj) and mlp (gate_proj, up_proj, down_proj)",
                    path, key);
}

ace_status ace_adapter_name_read(const char *path, const char *key, ace_adapter_name *out,
                                 ace_error *err)
{
    const char *end = find_role(key, &out->role);
    if (end == NULL) {
        return refuse_role(path, key, err);
    }
    const char *module = skip_prefixes(key);
    out->module_bytes = (size_t)(end - key) + 1; /* with the dot */
    out->elsewhere = module >= end || !read_module(module, end, out);
    return ACESTEP_OK;
}
