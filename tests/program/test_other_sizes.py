#!/usr/bin/env python3
"""Networks of sizes that nobody has published, against an implementation of their own in NumPy.

Everything here is written from the original's model files (acestep/models/*/modeling_acestep_v15_*.py, transformers'
Qwen3, diffusers' AutoencoderOobleck, vector-quantize-pytorch's ResidualFSQ) and shares nothing with the engine: it draws
architectures, writes them as checkpoints in the published layout, computes every network in f64, and asks
`acestep probe` for the same.

usage: test_other_sizes.py PATH/TO/acestep [FIRST [COUNT]]
Skipped (77) without NumPy."""
import json
import math
import os
import pathlib
import random
import shutil
import struct
import subprocess
import sys
import tempfile
import zipfile

try:
    import numpy as np
except ImportError:
    print("skipped: NumPy is not installed")
    sys.exit(77)

GOLDEN = pathlib.Path(__file__).resolve().parents[2] / "tests" / "golden"
MASKED = float(np.finfo(np.float32).min)
# of the largest difference, in the root mean square of what is right
F32_BOUND = 3e-5
SONG_BOUND = 1e-3  # errors of eight steps, and what the decoder's sines make of them


# ---- files ------------------------------------------------------------------------------------------------------------

def to_bytes(values, dtype):
    """The numbers as they stand in a file, and as they are read back."""
    f32 = np.asarray(values, dtype=np.float32)
    if dtype == "F32":
        return f32.tobytes(), f32.astype(np.float64)
    if dtype == "F16":
        half = f32.astype(np.float16)
        return half.tobytes(), half.astype(np.float64)
    bits = f32.view(np.uint32)
    bf16 = ((bits + 0x7FFF + ((bits >> 16) & 1)) >> 16).astype(np.uint16)
    return bf16.tobytes(), (bf16.astype(np.uint32) << 16).view(np.float32).astype(np.float64)


def write_safetensors(path, tensors):
    """tensors: {name: (dtype, shape, bytes)}"""
    header, at = {"__metadata__": {"format": "pt"}}, 0
    for name, (dtype, shape, data) in tensors.items():
        header[name] = {"dtype": dtype, "shape": list(shape), "data_offsets": [at, at + len(data)]}
        at += len(data)
    text = json.dumps(header).encode()
    with open(path, "wb") as f:
        f.write(struct.pack("<Q", len(text)) + text)
        for _, _, data in tensors.values():
            f.write(data)


def read_safetensors(path):
    with open(path, "rb") as f:
        data = f.read()
    n = struct.unpack("<Q", data[:8])[0]
    types = {"F32": np.float32, "I64": np.int64}
    return {name: np.frombuffer(data[8 + n + t["data_offsets"][0]:8 + n + t["data_offsets"][1]],
                                types[t["dtype"]]).reshape(t["shape"])
            for name, t in json.loads(data[8:8 + n]).items() if name != "__metadata__"}


class Checkpoint:
    """Random tensors of one part: rounded as the file stores them."""

    def __init__(self, rng, dtype):
        self.rng, self.dtype, self.stored, self.values = rng, dtype, {}, {}

    def add(self, name, shape, centre=0.0, spread=0.5):
        dtype = self.dtype if self.dtype != "mixed" else ["F32", "BF16", "F16"][self.rng.integers(3)]
        data, self.values[name] = to_bytes(centre + spread * self.rng.uniform(-1, 1, shape), dtype)
        self.stored[name] = (dtype, shape, data)

    def linear(self, name, out, inputs, bias=True):
        self.add(name + ".weight", (out, inputs), spread=math.sqrt(3 / inputs))
        if bias:
            self.add(name + ".bias", (out,), spread=0.1)

    def norm(self, name, n):
        self.add(name + ".weight", (n,), centre=1.0, spread=0.4)

    def write(self, folder, stem, shards, prefix=""):
        names = list(self.stored)
        full = {n: n if n.startswith("lm_head") else prefix + n for n in names}
        if shards == 1:
            write_safetensors(folder / f"{stem}.safetensors", {full[n]: self.stored[n] for n in names})
            return
        index = {"metadata": {"total_size": sum(len(s[2]) for s in self.stored.values())}, "weight_map": {}}
        for shard in range(shards):
            file = f"{stem}-{shard + 1:05d}-of-{shards:05d}.safetensors"
            part = names[shard::shards]
            write_safetensors(folder / file, {full[n]: self.stored[n] for n in part})
            index["weight_map"].update({full[n]: file for n in part})
        (folder / f"{stem}.safetensors.index.json").write_text(json.dumps(index))


def write_silence(path, latents):
    """[frames, channels] as torch.save writes [1, channels, frames]; the pickle is not looked at."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as z:
        z.writestr("silence_latent/data.pkl", b"\x80\x02.")
        z.writestr("silence_latent/data/0", np.ascontiguousarray(latents.T.astype(np.float32)).tobytes())
        z.writestr("silence_latent/version", b"3\n")


# ---- architectures --------------------------------------------------------------------------------------------------

def draw_block(r):
    kv = r.randint(1, 3)
    return {"hidden_size": r.randint(4, 72), "intermediate_size": r.randint(4, 120),
            "num_attention_heads": kv * r.randint(1, 4), "num_key_value_heads": kv,
            "head_dim": 2 * r.randint(1, 24) if r.random() < 0.8 else 128,
            "rms_norm_eps": r.choice([1e-6, 1e-5]), "rope_theta": r.choice([10000.0, 1000000.0, 123456.5])}


def leave_out(r, config, defaults):
    """Some of the keys that the original's class would fill in with the same value."""
    for key, value in defaults.items():
        if key in config and config[key] == value and r.random() < 0.6:
            del config[key]
    return config


def draw_dit(r, text_dim):
    c = draw_block(r)
    layers = r.randint(1, 4)
    channels = r.randint(2, 12)
    c.update(num_hidden_layers=layers, num_lyric_encoder_hidden_layers=r.randint(1, 3),
             num_timbre_encoder_hidden_layers=r.randint(1, 3), num_attention_pooler_hidden_layers=r.randint(1, 3),
             num_audio_decoder_hidden_layers=24, audio_acoustic_hidden_dim=channels, timbre_hidden_dim=channels,
             in_channels=3 * channels, text_hidden_dim=text_dim, patch_size=r.choice([1, 2, 2, 3]),
             pool_window_size=r.choice([5, 5, r.randint(1, 8)]), timbre_fix_frame=r.choice([750, 17]),
             fsq_input_levels=[r.randint(2, 6) for _ in range(r.randint(1, 5))], fsq_input_num_quantizers=1,
             use_sliding_window=r.random() < 0.8, sliding_window=r.randint(1, 9), is_turbo=r.random() < 0.5,
             layer_types=[r.choice(["sliding_attention", "full_attention"]) for _ in range(max(layers, 3))],
             vocab_size=64003, hidden_act="silu", attention_bias=False, rope_scaling=None, model_type="acestep")
    if r.random() < 0.5:
        c["layer_types"] = [["sliding_attention", "full_attention"][i % 2] for i in range(layers)]
        if layers >= 3 and r.random() < 0.5:
            del c["layer_types"]
    if len(c.get("layer_types", [])) < 3:  # the original's stacks index the same list
        for stack in ("lyric_encoder", "timbre_encoder", "attention_pooler"):
            c[f"num_{stack}_hidden_layers"] = min(c[f"num_{stack}_hidden_layers"], layers)
    width = c["hidden_size"]
    if r.random() < 0.5:
        kv = r.randint(1, 3)
        width = r.randint(4, 72)
        c.update(encoder_hidden_size=width, encoder_intermediate_size=r.randint(4, 120),
                 encoder_num_attention_heads=kv * r.randint(1, 3), encoder_num_key_value_heads=kv)
    c["fsq_dim"] = width
    return c


def published_strides(r):
    strides = r.choice([[2, 4, 4, 6, 10], [4, 6, 8, 10], [2, 2, 4, 12, 10], [16, 12, 10], [2, 4, 8, 30]])
    return r.sample(strides, len(strides))


def draw_vae(r, channels):
    strides = published_strides(r) if r.random() < 0.5 else [2 * r.randint(1, 4) for _ in range(r.randint(1, 4))]
    return {"_class_name": "AutoencoderOobleck", "audio_channels": 2, "decoder_input_channels": channels,
            "sampling_rate": 48000, "encoder_hidden_size": r.randint(1, 6), "decoder_channels": r.randint(1, 6),
            "downsampling_ratios": strides, "channel_multiples": [r.randint(1, 3) for _ in strides]}


# ---- weights ----------------------------------------------------------------------------------------------------------

def add_attention(w, name, c, heads, kv):
    d, h = c["head_dim"], c["hidden_size"]
    w.linear(name + ".q_proj", heads * d, h, bias=False)
    w.linear(name + ".k_proj", kv * d, h, bias=False)
    w.linear(name + ".v_proj", kv * d, h, bias=False)
    w.linear(name + ".o_proj", h, heads * d, bias=False)
    w.norm(name + ".q_norm", d)
    w.norm(name + ".k_norm", d)


def add_mlp(w, name, c):
    w.linear(name + ".gate_proj", c["intermediate_size"], c["hidden_size"], bias=False)
    w.linear(name + ".up_proj", c["intermediate_size"], c["hidden_size"], bias=False)
    w.linear(name + ".down_proj", c["hidden_size"], c["intermediate_size"], bias=False)


def add_block(w, name, c):
    w.norm(name + ".input_layernorm", c["hidden_size"])
    w.norm(name + ".post_attention_layernorm", c["hidden_size"])
    add_attention(w, name + ".self_attn", c, c["num_attention_heads"], c["num_key_value_heads"])
    add_mlp(w, name + ".mlp", c)


def encoder_config(c):
    e = dict(c)
    for key in ("hidden_size", "intermediate_size", "num_attention_heads", "num_key_value_heads"):
        e[key] = c.get("encoder_" + key) or c[key]
    return e


def add_stack(w, name, e, width, layers):
    w.linear(name + ".embed_tokens", e["hidden_size"], width)
    for i in range(layers):
        add_block(w, f"{name}.layers.{i}", e)
    w.norm(name + ".norm", e["hidden_size"])


def make_dit(rng, dtype, c):
    w, e, h, ch = Checkpoint(rng, dtype), encoder_config(c), c["hidden_size"], c["audio_acoustic_hidden_dim"]
    he, p = e["hidden_size"], c["patch_size"]
    w.add("decoder.proj_in.1.weight", (h, c["in_channels"], p), spread=math.sqrt(3 / (c["in_channels"] * p)))
    w.add("decoder.proj_in.1.bias", (h,), spread=0.1)
    w.linear("decoder.condition_embedder", h, he)
    for t in ("time_embed", "time_embed_r"):
        w.linear(f"decoder.{t}.linear_1", h, 256)
        w.linear(f"decoder.{t}.linear_2", h, h)
        w.linear(f"decoder.{t}.time_proj", 6 * h, h)
    for i in range(c["num_hidden_layers"]):
        layer = f"decoder.layers.{i}"
        w.add(layer + ".scale_shift_table", (1, 6, h))
        for norm in ("self_attn_norm", "cross_attn_norm", "mlp_norm"):
            w.norm(f"{layer}.{norm}", h)
        for attention in ("self_attn", "cross_attn"):
            add_attention(w, f"{layer}.{attention}", c, c["num_attention_heads"], c["num_key_value_heads"])
        add_mlp(w, layer + ".mlp", c)
    w.norm("decoder.norm_out", h)
    w.add("decoder.scale_shift_table", (1, 2, h))
    w.add("decoder.proj_out.1.weight", (h, ch, p), spread=math.sqrt(3 / h))
    w.add("decoder.proj_out.1.bias", (ch,), spread=0.1)
    w.linear("encoder.text_projector", he, c["text_hidden_dim"], bias=False)
    add_stack(w, "encoder.lyric_encoder", e, c["text_hidden_dim"], c["num_lyric_encoder_hidden_layers"])
    add_stack(w, "encoder.timbre_encoder", e, ch, c["num_timbre_encoder_hidden_layers"])
    w.add("encoder.timbre_encoder.special_token", (1, 1, he))
    w.linear("tokenizer.audio_acoustic_proj", he, ch)
    add_stack(w, "tokenizer.attention_pooler", e, he, c["num_attention_pooler_hidden_layers"])
    w.add("tokenizer.attention_pooler.special_token", (1, 1, he))
    w.linear("tokenizer.quantizer.project_in", len(c["fsq_input_levels"]), he)
    w.linear("tokenizer.quantizer.project_out", he, len(c["fsq_input_levels"]))
    add_stack(w, "detokenizer", e, he, c["num_attention_pooler_hidden_layers"])
    w.add("detokenizer.special_tokens", (1, c["pool_window_size"], he))
    w.linear("detokenizer.proj_out", ch, he)
    w.add("null_condition_emb", (1, 1, he))
    return w


def make_qwen3(rng, dtype, c):
    w = Checkpoint(rng, dtype)
    w.add("embed_tokens.weight", (c["vocab_size"], c["hidden_size"]), spread=1.0)
    for i in range(c["num_hidden_layers"]):
        add_block(w, f"layers.{i}", c)
    w.norm("norm", c["hidden_size"])
    if not c["tie_word_embeddings"]:
        w.linear("lm_head", c["vocab_size"], c["hidden_size"], bias=False)
    return w


def add_conv(w, name, shape, bias):
    w.add(name + ".weight_g", (shape[0], 1, 1), centre=0.5, spread=0.2)
    w.add(name + ".weight_v", shape)
    if bias:
        w.add(name + ".bias", (bias,), spread=0.1)


def add_snake(w, name, n):
    w.add(name + ".alpha", (1, n, 1))
    w.add(name + ".beta", (1, n, 1))


def add_residuals(w, name, n):
    for i in (1, 2, 3):
        unit = f"{name}.res_unit{i}"
        add_snake(w, unit + ".snake1", n)
        add_conv(w, unit + ".conv1", (n, n, 7), n)
        add_snake(w, unit + ".snake2", n)
        add_conv(w, unit + ".conv2", (n, n, 1), n)


def make_vae(rng, dtype, c):
    w = Checkpoint(rng, dtype)
    strides, multiples = c["downsampling_ratios"], [1] + c["channel_multiples"]
    n = c["encoder_hidden_size"]
    add_conv(w, "encoder.conv1", (n, 2, 7), n)
    for i, s in enumerate(strides):
        block, a, b = f"encoder.block.{i}", n * multiples[i], n * multiples[i + 1]
        # The first block of the original takes encoder_hidden_size, whatever the first multiple is
        add_residuals(w, block, a)
        add_snake(w, block + ".snake1", a)
        add_conv(w, block + ".conv1", (b, a, 2 * s), b)
    add_snake(w, "encoder.snake1", n * multiples[-1])
    z = 2 * c["decoder_input_channels"]
    add_conv(w, "encoder.conv2", (z, n * multiples[-1], 3), z)
    n = c["decoder_channels"]
    add_conv(w, "decoder.conv1", (n * multiples[-1], c["decoder_input_channels"], 7), n * multiples[-1])
    for i, s in enumerate(reversed(strides)):
        block = f"decoder.block.{i}"
        a, b = n * multiples[len(strides) - i], n * multiples[len(strides) - i - 1]
        add_snake(w, block + ".snake1", a)
        add_conv(w, block + ".conv_t1", (a, b, 2 * s), b)
        add_residuals(w, block, b)
    add_snake(w, "decoder.snake1", n)
    add_conv(w, "decoder.conv2", (2, n, 7), 0)
    return w


# ---- networks -----------------------------------------------------------------------------------------------------------

def silu(x):
    return x / (1 + np.exp(-x))


def linear(w, name, x):
    y = x @ w[name + ".weight"].T
    return y + w[name + ".bias"] if name + ".bias" in w else y


def rms(x, weight, eps):
    return x / np.sqrt(np.mean(x * x, axis=-1, keepdims=True) + eps) * weight


def rotate(x, theta):
    """x [heads, n, d], positions 0 … n - 1"""
    d = x.shape[-1]
    angle = np.arange(x.shape[-2])[:, None] * theta ** (-np.arange(0, d, 2) / d)[None]
    cos, sin = np.cos(np.concatenate([angle, angle], -1)), np.sin(np.concatenate([angle, angle], -1))
    half = np.concatenate([-x[..., d // 2:], x[..., :d // 2]], -1)
    return x * cos + half * sin


def attention(w, name, c, x, other=None, mask=None):
    """x [n, hidden]; other: keys and values come from there, unrotated. mask [n, m] of bool."""
    d, heads, kv = c["head_dim"], c["num_attention_heads"], c["num_key_value_heads"]
    source = x if other is None else other

    def split(part, rows, n):
        return linear(w, f"{name}.{part}", rows).reshape(len(rows), n, d).transpose(1, 0, 2)

    q = rms(split("q_proj", x, heads), w[name + ".q_norm.weight"], c["rms_norm_eps"])
    k = rms(split("k_proj", source, kv), w[name + ".k_norm.weight"], c["rms_norm_eps"])
    v = split("v_proj", source, kv)
    if other is None:
        q, k = rotate(q, c["rope_theta"]), rotate(k, c["rope_theta"])
    k, v = np.repeat(k, heads // kv, axis=0), np.repeat(v, heads // kv, axis=0)
    scores = q @ k.transpose(0, 2, 1) / math.sqrt(d)
    if mask is not None:
        scores = scores + np.where(mask, 0.0, MASKED)
    p = np.exp(scores - scores.max(-1, keepdims=True))
    y = (p / p.sum(-1, keepdims=True)) @ v
    return linear(w, name + ".o_proj", y.transpose(1, 0, 2).reshape(len(x), heads * d))


def mlp(w, name, x):
    return linear(w, name + ".down_proj", silu(linear(w, name + ".gate_proj", x)) * linear(w, name + ".up_proj", x))


def block(w, name, c, x, mask):
    x = x + attention(w, name + ".self_attn", c, rms(x, w[name + ".input_layernorm.weight"], c["rms_norm_eps"]), mask=mask)
    return x + mlp(w, name + ".mlp", rms(x, w[name + ".post_attention_layernorm.weight"], c["rms_norm_eps"]))


def slides(c, layer):
    types = c.get("layer_types") or [["sliding_attention", "full_attention"][i % 2] for i in range(99)]
    return types[layer] == "sliding_attention" and c.get("use_sliding_window", True)


def layer_mask(c, layer, n, seen=None):
    at = np.arange(n)
    mask = np.ones((n, n), bool)
    if slides(c, layer):
        mask = np.abs(at[:, None] - at[None]) <= c.get("sliding_window", 128)
    return mask if seen is None else mask & (np.asarray(seen) != 0)[None]


def stack(w, name, c, x, layers, seen=None):
    for i in range(layers):
        x = block(w, f"{name}.layers.{i}", c, x, layer_mask(c, i, len(x), seen))
    return rms(x, w[name + ".norm.weight"], c["rms_norm_eps"])


def qwen3(w, c, ids):
    x = w["embed_tokens.weight"][ids]
    causal = np.tril(np.ones((len(ids), len(ids)), bool))
    for i in range(c["num_hidden_layers"]):
        x = block(w, f"layers.{i}", c, x, causal)
    return rms(x, w["norm.weight"], c["rms_norm_eps"])


def lyric_layers(c, kind):
    return min(c[f"num_{kind}_encoder_hidden_layers"], c["num_hidden_layers"])  # sliced so by the original


def condition(w, c, text, text_mask, lyrics, lyric_mask, refs, order):
    """As pack_sequences of the original packs a padded batch."""
    e = encoder_config(c)
    out, masks = [], []
    tokens = []
    for ref in refs:
        x = linear(w, "encoder.timbre_encoder.embed_tokens", ref)
        if c.get("encoder_hidden_size"):
            x = np.concatenate([w["encoder.timbre_encoder.special_token"][0], x])
        tokens.append(stack(w, "encoder.timbre_encoder", e, x, lyric_layers(c, "timbre"))[0])
    slots = max(list(order).count(b) for b in range(len(text)))
    for b in range(len(text)):
        x = linear(w, "encoder.lyric_encoder.embed_tokens", lyrics[b])
        lyric = stack(w, "encoder.lyric_encoder", e, x, lyric_layers(c, "lyric"), lyric_mask[b])
        own = [t for t, o in zip(tokens, order) if o == b]
        timbre = np.array(own + [np.zeros(e["hidden_size"])] * (slots - len(own)))
        timbre_mask = np.array([1] * len(own) + [0] * (slots - len(own)))
        rows = np.concatenate([lyric, timbre, linear(w, "encoder.text_projector", text[b])])
        first = np.concatenate([lyric_mask[b], timbre_mask])
        sort = np.concatenate([np.argsort(-first, kind="stable"), np.arange(len(first), len(rows))])
        count = int(first.sum())
        mask = np.concatenate([np.arange(len(first)) < count, text_mask[b] != 0])
        again = np.argsort(~mask, kind="stable")
        out.append(rows[sort][again])
        masks.append(np.arange(len(rows)) < mask.sum())
    return np.array(out), np.array(masks).astype(np.int64)


def tokenize(w, c, latents):
    """latents [groups, window, channels] → pooled, before rounding"""
    e = encoder_config(c)
    pooled = []
    for group in latents:
        x = linear(w, "tokenizer.attention_pooler.embed_tokens", linear(w, "tokenizer.audio_acoustic_proj", group))
        x = np.concatenate([w["tokenizer.attention_pooler.special_token"][0], x])
        pooled.append(stack(w, "tokenizer.attention_pooler", e, x, c["num_attention_pooler_hidden_layers"])[0])
    pooled = np.array(pooled)
    return pooled, linear(w, "tokenizer.quantizer.project_in", pooled)


def quantise(c, z):
    levels = np.array(c["fsq_input_levels"], float)
    soft = 1 + 1 / (levels - 1)
    z = np.clip(soft * np.tanh(z / soft), -1, 1)
    digit = (levels - 1) * (z + 1) / 2 + 0.5
    margin = np.abs(digit - np.round(digit)).min()
    digit = np.floor(digit)
    basis = np.cumprod([1] + c["fsq_input_levels"][:-1])
    return 2 * digit / (levels - 1) - 1, (digit * basis).sum(-1).astype(np.int64), margin


def detokenize(w, c, codes):
    levels = np.array(c["fsq_input_levels"])
    basis = np.cumprod([1] + c["fsq_input_levels"][:-1])
    values = 2 * (codes[:, None] // basis % levels) / (levels - 1) - 1
    quantised = linear(w, "tokenizer.quantizer.project_out", values)
    out = []
    for x in linear(w, "detokenizer.embed_tokens", quantised):
        x = x[None] + w["detokenizer.special_tokens"][0]
        x = stack(w, "detokenizer", encoder_config(c), x, c["num_attention_pooler_hidden_layers"])
        out.append(linear(w, "detokenizer.proj_out", x))
    return values, quantised, np.concatenate(out)


def time_embedding(w, name, t):
    frequency = np.exp(-math.log(10000) * np.arange(128) / 128)
    angle = 1000 * t * frequency
    temb = linear(w, name + ".linear_1", np.concatenate([np.cos(angle), np.sin(angle)]))
    temb = linear(w, name + ".linear_2", silu(temb))
    return temb, linear(w, name + ".time_proj", silu(temb)).reshape(6, -1)


def velocity(w, c, x, context, t, r, states):
    """x [frames, channels]"""
    p, eps = c["patch_size"], c["rms_norm_eps"]
    frames = np.concatenate([context, x], -1)
    frames = np.concatenate([frames, np.zeros((-len(x) % p, frames.shape[1]))])
    temb, six = time_embedding(w, "decoder.time_embed", t)
    temb_r, six_r = time_embedding(w, "decoder.time_embed_r", t - r)
    temb, six = temb + temb_r, six + six_r
    weight = w["decoder.proj_in.1.weight"]
    h = np.array([np.einsum("hcp,pc->h", weight, frames[i:i + p]) for i in range(0, len(frames), p)])
    h = h + w["decoder.proj_in.1.bias"]
    states = linear(w, "decoder.condition_embedder", states)
    for i in range(c["num_hidden_layers"]):
        layer = f"decoder.layers.{i}"
        s1, g1, a1, s2, g2, a2 = w[layer + ".scale_shift_table"][0] + six
        normed = rms(h, w[layer + ".self_attn_norm.weight"], eps) * (1 + g1) + s1
        h = h + a1 * attention(w, layer + ".self_attn", c, normed, mask=layer_mask(c, i, len(h)))
        h = h + attention(w, layer + ".cross_attn", c, rms(h, w[layer + ".cross_attn_norm.weight"], eps), other=states)
        h = h + a2 * mlp(w, layer + ".mlp", rms(h, w[layer + ".mlp_norm.weight"], eps) * (1 + g2) + s2)
    shift, scale = w["decoder.scale_shift_table"][0] + temb
    y = rms(h, w["decoder.norm_out.weight"], eps) * (1 + scale) + shift
    out = np.einsum("nh,hcp->npc", y, w["decoder.proj_out.1.weight"]) + w["decoder.proj_out.1.bias"]
    return out.reshape(-1, out.shape[-1])[:len(x)]


def kernel(w, name):
    v = w[name + ".weight_v"]
    return w[name + ".weight_g"] * v / np.sqrt((v * v).sum((1, 2), keepdims=True))


def conv(w, name, x, stride=1, pad=0, dilation=1):
    """x [channels, n]"""
    k = kernel(w, name)
    x = np.pad(x, ((0, 0), (pad, pad)))
    n = (x.shape[1] - dilation * (k.shape[2] - 1) - 1) // stride + 1
    y = sum(k[:, :, j] @ x[:, j * dilation:j * dilation + stride * (n - 1) + 1:stride] for j in range(k.shape[2]))
    return y + w[name + ".bias"][:, None] if name + ".bias" in w else y


def conv_transpose(w, name, x, stride):
    k, n = kernel(w, name), x.shape[1]
    y = np.zeros((k.shape[1], (n - 1) * stride + k.shape[2]))
    for j in range(k.shape[2]):
        y[:, j:j + stride * (n - 1) + 1:stride] += k[:, :, j].T @ x
    crop = math.ceil(stride / 2)
    return y[:, crop:y.shape[1] - crop] + w[name + ".bias"][:, None]


def snake(w, name, x):
    alpha, beta = np.exp(w[name + ".alpha"][0]), np.exp(w[name + ".beta"][0])
    return x + np.sin(alpha * x) ** 2 / (beta + 1e-9)


def residuals(w, name, x):
    for i, d in ((1, 1), (2, 3), (3, 9)):
        unit = f"{name}.res_unit{i}"
        y = conv(w, unit + ".conv1", snake(w, unit + ".snake1", x), pad=3 * d, dilation=d)
        x = x + conv(w, unit + ".conv2", snake(w, unit + ".snake2", y))
    return x


def decode(w, c, z):
    x = conv(w, "decoder.conv1", z, pad=3)
    for i, s in enumerate(reversed(c["downsampling_ratios"])):
        name = f"decoder.block.{i}"
        x = residuals(w, name, conv_transpose(w, name + ".conv_t1", snake(w, name + ".snake1", x), s))
    return conv(w, "decoder.conv2", snake(w, "decoder.snake1", x), pad=3)


def encode(w, c, x):
    x = conv(w, "encoder.conv1", x, pad=3)
    for i, s in enumerate(c["downsampling_ratios"]):
        name = f"encoder.block.{i}"
        x = conv(w, name + ".conv1", snake(w, name + ".snake1", residuals(w, name, x)), stride=s, pad=math.ceil(s / 2))
    return conv(w, "encoder.conv2", snake(w, "encoder.snake1", x), pad=1)


# ---- one architecture ---------------------------------------------------------------------------------------------------

class Models:
    def __init__(self, seed, folder):
        r, rng = random.Random(seed), np.random.default_rng(seed)
        self.r, self.rng, self.folder = r, rng, folder
        self.kind = r.choice(["turbo", "base", "sft", "xl"])  # as the names of cases have it
        self.text = dict(draw_block(r), num_hidden_layers=r.randint(1, 3), vocab_size=r.randint(496, 520),
                         tie_word_embeddings=True, use_sliding_window=False, sliding_window=None)
        self.lm = dict(draw_block(r), num_hidden_layers=r.randint(1, 3), vocab_size=r.randint(1799, 1900),
                       tie_word_embeddings=r.random() < 0.5, use_sliding_window=False, sliding_window=None)
        self.dit = draw_dit(r, self.text["hidden_size"])
        while math.prod(self.dit["fsq_input_levels"]) > 1303:  # codes of the recorded language model's tokenizer
            self.dit["fsq_input_levels"].pop()
        self.vae = draw_vae(r, self.dit["audio_acoustic_hidden_dim"])
        self.weights = {}
        qwen3_defaults = {"head_dim": 128, "num_key_value_heads": 32, "rope_theta": 10000.0, "rms_norm_eps": 1e-6,
                          "tie_word_embeddings": False, "use_sliding_window": False, "sliding_window": None}
        dit_defaults = {"head_dim": 128, "num_key_value_heads": 8, "rope_theta": 1000000.0, "rms_norm_eps": 1e-6,
                        "use_sliding_window": True, "patch_size": 2, "pool_window_size": 5, "is_turbo": False,
                        "hidden_act": "silu", "attention_bias": False, "rope_scaling": None, "timbre_fix_frame": 750,
                        "fsq_input_num_quantizers": 1, "num_attention_pooler_hidden_layers": 2, "vocab_size": 64003}
        model = "acestep-v15-xl-turbo" if self.kind == "xl" else f"acestep-v15-{self.kind}"
        self.put(model, make_dit(rng, self.dtype(), self.dit), "model", self.dit, dit_defaults)
        self.put("vae", make_vae(rng, self.dtype(), self.vae), "diffusion_pytorch_model", self.vae, {}, shards=1)
        prefix = r.choice(["", "model."])
        self.put("Qwen3-Embedding-0.6B", make_qwen3(rng, self.dtype(), self.text), "model", self.text, qwen3_defaults)
        self.put("acestep-5Hz-lm-0.6B", make_qwen3(rng, self.dtype(), self.lm), "model", self.lm, qwen3_defaults, prefix)
        self.silence = rng.normal(size=(r.randint(128, 900), self.dit["audio_acoustic_hidden_dim"]))
        write_silence(folder / model / "silence_latent.pt", self.silence)
        for part in ("Qwen3-Embedding-0.6B", "acestep-5Hz-lm-0.6B"):
            for file in (GOLDEN / part).iterdir():
                if file.name not in ("config.json", "model.safetensors"):
                    shutil.copy(file, folder / part)

    def dtype(self):
        return self.r.choice(["F32", "BF16", "F16", "mixed"])

    def put(self, part, weights, stem, config, defaults, prefix="", shards=None):
        (self.folder / part).mkdir()
        weights.write(self.folder / part, stem, shards or self.r.choice([1, 1, 2, 3]), prefix)
        said = leave_out(self.r, dict(config), defaults)
        (self.folder / part / "config.json").write_text(json.dumps(said, indent=1))
        self.weights[part if part.startswith(("vae", "Qwen", "acestep-5Hz")) else "dit"] = weights.values

    def normal(self, *shape):
        return self.rng.normal(size=shape).astype(np.float32).astype(np.float64)


def text_case(m):
    ids = m.rng.integers(0, m.text["vocab_size"], (2, m.r.randint(1, 20)))
    w = m.weights["Qwen3-Embedding-0.6B"]
    return {"input_ids": ids}, {"last_hidden_state": np.array([qwen3(w, m.text, row) for row in ids]),
                                "embeddings": w["embed_tokens.weight"][ids]}


def lm_case(m):
    ids = m.rng.integers(0, m.lm["vocab_size"], (1, m.r.randint(1, 20)))
    w = m.weights["acestep-5Hz-lm-0.6B"]
    states = qwen3(w, m.lm, ids[0])
    head = w["embed_tokens.weight" if m.lm["tie_word_embeddings"] else "lm_head.weight"]
    return {"input_ids": ids}, {"last_hidden_state": states[None], "logits": (states @ head.T)[None]}


def cond_case(m):
    n_text, n_lyric, frames = m.r.randint(1, 7), m.r.randint(2, 25), m.r.randint(1, 30)
    text_mask, lyric_mask = np.ones((2, n_text), np.int64), np.ones((2, n_lyric), np.int64)
    text_mask[1, m.r.randint(1, n_text):] = 0
    lyric_mask[0, m.r.randint(1, n_lyric):] = 0
    given = {"text_hidden_states": m.normal(2, n_text, m.dit["text_hidden_dim"]), "text_attention_mask": text_mask,
             "lyric_hidden_states": m.normal(2, n_lyric, m.dit["text_hidden_dim"]), "lyric_attention_mask": lyric_mask,
             "refer_audio_acoustic_hidden_states_packed": m.normal(3, frames, m.dit["audio_acoustic_hidden_dim"]),
             "refer_audio_order_mask": np.array([1, 0, 1], np.int64)}
    states, mask = condition(m.weights["dit"], m.dit, *given.values())
    return given, {"encoder_hidden_states": states, "encoder_attention_mask": mask}


def tokenize_case(m):
    window, channels = m.dit["pool_window_size"], m.dit["audio_acoustic_hidden_dim"]
    latents = m.normal(1, m.r.randint(1, 4 * window), channels)
    silence = m.normal(1, window, channels)
    filled = np.concatenate([latents[0], silence[0, :-latents.shape[1] % window]]).reshape(-1, window, channels)
    pooled, z = tokenize(m.weights["dit"], m.dit, filled)
    values, codes, margin = quantise(m.dit, z)
    expected = {"pooled": pooled[None], "pre_quant": z[None]}
    if margin > 1e-3:
        expected["indices"] = codes[None]
        expected["quantized"] = linear(m.weights["dit"], "tokenizer.quantizer.project_out", values)[None]
    return {"latents": latents, "silence_latent": silence}, expected


def detokenize_case(m):
    codes = m.rng.integers(0, math.prod(m.dit["fsq_input_levels"]), (1, m.r.randint(1, 6)))
    values, quantised, latents = detokenize(m.weights["dit"], m.dit, codes[0])
    return {"indices": codes}, {"codes": values[None], "quantized": quantised[None], "latents_25hz": latents[None]}


def dit_case(m):
    channels, width = m.dit["audio_acoustic_hidden_dim"], encoder_config(m.dit)["hidden_size"]
    frames, tokens = m.r.randint(1, 41), m.r.randint(1, 20)
    given = {"hidden_states": m.normal(2, frames, channels), "context_latents": m.normal(2, frames, 2 * channels),
             "encoder_hidden_states": m.normal(2, tokens, width),
             "timestep": np.array([0.75, 0.3125]), "timestep_r": np.array([0.75, 0.125])}
    x, context, states, t, r = given.values()
    return given, {"velocity": np.array([velocity(m.weights["dit"], m.dit, x[b], context[b], t[b], r[b], states[b])
                                         for b in range(2)])}


def decode_case(m):
    z = m.normal(1, m.dit["audio_acoustic_hidden_dim"], m.r.randint(1, 6))
    return {"latents": z}, {"waveform": decode(m.weights["vae"], m.vae, z[0])[None]}


def encode_case(m):
    hop = math.prod(m.vae["downsampling_ratios"])
    wave = m.normal(1, 2, m.r.randint(1, 4) * hop + m.r.randint(0, hop - 1))
    moments = encode(m.weights["vae"], m.vae, wave[0])
    mean, raw = np.split(moments, 2)
    std = np.log1p(np.exp(raw)) + 1e-4
    eps = m.normal(1, *mean.shape)
    return ({"waveform": wave, "eps": eps},
            {"mean": mean[None], "scale_raw": raw[None], "std": std[None], "sample": mean[None] + std * eps})


RECORDED = {"text2music": "e2e_turbo_text2music", "audio_codes": "e2e_turbo_audio_codes"}


def guided(cond, null, memory, scale):
    """APG: over time, per channel; the memory goes on from step to step."""
    change = cond - null - 0.75 * memory
    length = np.sqrt((change ** 2).sum(0))
    kept = change * np.minimum(1, 2.5 / np.where(length > 0, length, 1e-300))
    unit = cond / np.maximum(np.sqrt((cond ** 2).sum(0)), 1e-12)
    return cond + (scale - 1) * (kept - (kept * unit).sum(0) * unit), change


def song_case(m):
    """A whole song: the recorded prompts' tokens, the tokenizer being the recorded one, too."""
    kind = m.r.choice(list(RECORDED))
    meta = dict(json.loads((GOLDEN / "golden" / "index.json").read_text())["files"][RECORDED[kind] + ".safetensors"]["meta"])
    recorded = read_safetensors(GOLDEN / "golden" / (RECORDED[kind] + ".safetensors"))
    w, c, text = m.weights["dit"], m.dit, m.weights["Qwen3-Embedding-0.6B"]
    turbo, channels = c["is_turbo"], c["audio_acoustic_hidden_dim"]
    frames = m.r.randint(5, 24)
    meta.update(frames=frames, infer_steps=8 if turbo else 3, shift=m.r.choice([1.0, 3.0]), guidance_scale=3.0)
    given = {"noise": m.normal(1, frames, channels)}
    source = m.silence[:frames].astype(np.float32).astype(np.float64)
    if kind == "audio_codes":
        codes = m.rng.integers(0, math.prod(c["fsq_input_levels"]), m.r.randint(1, 6))
        given["audio_codes"] = codes
        hints = detokenize(w, c, codes)[2][:frames]
        source = np.concatenate([hints, source[:frames - len(hints)]])
    hidden = qwen3(text, m.text, recorded["in.text_token_ids"][0])
    lyrics = text["embed_tokens.weight"][recorded["in.lyric_token_ids"][0]]
    timbre = m.silence[:750].astype(np.float32).astype(np.float64)
    ones = np.ones((1, len(hidden)), np.int64), np.ones((1, len(lyrics)), np.int64)
    states = condition(w, c, hidden[None], ones[0], lyrics[None], ones[1], timbre[None], [0])[0][0]
    context = np.concatenate([source, np.ones_like(source)], -1)
    steps = meta["infer_steps"]
    times = [meta["shift"] * t / (1 + (meta["shift"] - 1) * t) for t in 1 - np.arange(steps + 1) / steps]
    x, memory = given["noise"][0], 0
    null = np.repeat(w["null_condition_emb"][0], len(states), axis=0)
    for t, after in zip(times, times[1:]):
        v = velocity(w, c, x, context, t, t, states)
        if not turbo:
            v, memory = guided(v, velocity(w, c, x, context, t, t, null), memory, meta["guidance_scale"])
        x = x - v * (t - after)
    wave = decode(m.weights["vae"], m.vae, x.T)
    peak, hop = np.abs(wave).max(), math.prod(m.vae["downsampling_ratios"])
    wave = wave / max(peak, 1)
    (m.folder / "index.json").write_text(json.dumps({"files": {f"e2e_{m.kind}_1.safetensors": {"meta": meta}}}))
    return given, {"text_hidden_states": hidden[None], "encoder_hidden_states_head": states[None, :24],
                   "context_latents": context[None], "target_latents": x[None], "peak": np.array([peak]),
                   "wave_head4": wave[None, :, :4 * hop], "wave_tail2": wave[None, :, -2 * hop:]}


CASES = {"e2e_{}_1": song_case, "text_1": text_case, "lm_logits": lm_case, "cond_{}_1": cond_case, "fsq_tokenize_{}_1": tokenize_case,
         "fsq_detokenize_{}_1": detokenize_case, "dit_{}_1": dit_case, "vae_decode_1": decode_case,
         "vae_encode_1": encode_case}


def write_case(path, given):
    tensors = {}
    for name, value in given.items():
        is_int = np.issubdtype(value.dtype, np.integer)
        data = value.astype(np.int64 if is_int else np.float32)
        tensors["in." + name] = ("I64" if is_int else "F32", data.shape, data.tobytes())
    write_safetensors(path, tensors)


def difference(found, expected):
    if found is None or found.shape != expected.shape:
        return math.inf
    if np.issubdtype(expected.dtype, np.integer):
        return 0 if np.array_equal(found, expected) else math.inf
    size = math.sqrt(np.mean(expected ** 2)) or 1
    return float(np.abs(found - expected).max()) / size


def check(program, seed, worst):
    problems = 0
    with tempfile.TemporaryDirectory(prefix="acestep-sizes-") as folder:
        folder = pathlib.Path(folder)
        m = Models(seed, folder)
        for name, make in CASES.items():
            case, out = folder / (name.format(m.kind) + ".safetensors"), folder / "out.safetensors"
            given, expected = make(m)
            write_case(case, given)
            done = subprocess.run([program, "probe", "--models", folder, "--case", case, "--output", out,
                                   "--precision", "f32"], capture_output=True, timeout=300)
            if done.returncode != 0:
                print(f"architecture {seed}, {name}: {done.stderr.decode().strip()}")
                problems += 1
                continue
            found = read_safetensors(out)
            for key, value in expected.items():
                far = difference(found.get("out." + key), value)
                worst[make.__name__] = max(worst.get(make.__name__, 0), far)
                if far > (SONG_BOUND if make is song_case else F32_BOUND):
                    print(f"architecture {seed}, {name}: {key} is {far:.3g} away; {json.dumps(m.dit)} {json.dumps(m.vae)}")
                    problems += 1
    return problems


def main():
    program = os.path.abspath(sys.argv[1])
    first = int(sys.argv[2]) if len(sys.argv) > 2 else 1
    count = int(sys.argv[3]) if len(sys.argv) > 3 else 6
    worst = {}
    problems = sum(check(program, seed, worst) for seed in range(first, first + count))
    for name, far in worst.items():
        print(f"{name.replace('_case', ''):12s} {far:.2e}")
    print(f"{count} architectures, {problems} problems")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
