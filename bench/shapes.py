"""The networks as numbers: sizes (published, or of a folder with config.json files), and the products
and attentions that one piece of work takes. A multiply-add counts as two, sliding layers look at
window keys, causal attention at half of the pairs: as the engine counts (src/device/ops.c)."""
import json
import os
from collections import namedtuple

Block = namedtuple("Block", "hidden intermediate heads kv_heads head_dim window")
Qwen = namedtuple("Qwen", "block layers vocabulary")
Dit = namedtuple("Dit", "decoder encoder layers lyric_layers timbre_layers latent in_channels patch text_dim sliding")
Vae = namedtuple("Vae", "audio latent channels multiples strides")
Models = namedtuple("Models", "text lm dit vae")
# One line of work: `rows` times a matrix [out, inner · taps], or attention with its FLOPs; `count` times.
Line = namedtuple("Line", "name rows out inner taps count flops")

HEAD_ROWS, HEAD_PARTS = 4096, 64  # of the language model's head, which is multiplied in parts (src/model/language_model.h)
FIRST_CODE, CODES = 151645, 64024  # what decoding asks the head for: <|im_end|> and the audio codes
SINUSOID = 256


# ---- sizes ------------------------------------------------------------------------------------------

def published():
    block = Block(2048, 6144, 16, 8, 128, 128)
    small = block._replace(hidden=1024, intermediate=3072)
    dit = Dit(block, block, 24, 8, 4, 64, 192, 2, 1024, [i % 2 == 0 for i in range(24)])
    return Models(Qwen(small, 28, 151669), Qwen(small, 28, 217204), dit,
                  Vae(2, 64, 128, [1, 2, 4, 8, 16], [2, 4, 4, 6, 10]))


def read_block(c):
    heads = c["num_attention_heads"]
    return Block(c["hidden_size"], c["intermediate_size"], heads, c.get("num_key_value_heads") or heads,
                 c.get("head_dim") or c["hidden_size"] // heads, c.get("sliding_window") or 128)


def read_qwen(c):
    return Qwen(read_block(c), c["num_hidden_layers"], c["vocab_size"])


def read_dit(c):
    block = read_block(c)
    layers = c["num_hidden_layers"]
    types = c.get("layer_types")
    slides = c.get("use_sliding_window", True)
    sliding = [slides and (types[i] == "sliding_attention" if types else i % 2 == 0) for i in range(layers)]
    return Dit(block, block, layers, min(c["num_lyric_encoder_hidden_layers"], layers),
               min(c["num_timbre_encoder_hidden_layers"], layers), c["audio_acoustic_hidden_dim"],
               c["in_channels"], c.get("patch_size", 2), c["text_hidden_dim"], sliding)


def read_vae(c):
    return Vae(c["audio_channels"], c["decoder_input_channels"], c["decoder_channels"], c["channel_multiples"],
               c["downsampling_ratios"])


def of_folder(folder):
    def config(name):
        with open(os.path.join(folder, name, "config.json"), encoding="utf-8") as f:
            return json.load(f)
    return Models(read_qwen(config("Qwen3-Embedding-0.6B")), read_qwen(config("acestep-5Hz-lm-0.6B")),
                  read_dit(config("acestep-v15-turbo")), read_vae(config("vae")))


# ---- work -------------------------------------------------------------------------------------------

def product(name, rows, out, inner, taps=1, count=1):
    return Line(name, rows, out, inner, taps, count, 2 * rows * out * inner * taps)


def attention(name, block, batch, queries, keys, count, share=1):
    return Line(name, batch * queries, 0, 0, 0, count, 4 * batch * queries * block.heads * block.head_dim * keys * share)


def block_lines(name, b, layers, batch, length, causal, near=0):
    """near: of the layers, those that slide."""
    rows, q, kv = batch * length, b.heads * b.head_dim, b.kv_heads * b.head_dim
    share = 0.5 if causal else 1
    return [attention(f"{name}.attention", b, batch, length, length, layers - near, share),
            attention(f"{name}.sliding", b, batch, length, min(length, 2 * b.window + 1), near, share),
            product(f"{name}.qkv", rows, q + 2 * kv, b.hidden, count=layers),
            product(f"{name}.out", rows, b.hidden, q, count=layers),
            product(f"{name}.gate_up", rows, 2 * b.intermediate, b.hidden, count=layers),
            product(f"{name}.down", rows, b.hidden, b.intermediate, count=layers)]


def text_lines(m, tokens):
    return block_lines("text", m.text.block, m.text.layers, 1, tokens, True)


def condition_lines(m, text, lyrics):
    """One frame of timbre. Layers slide as the transformer's do."""
    d = m.dit
    lyric_near, timbre_near = sum(d.sliding[:d.lyric_layers]), sum(d.sliding[:d.timbre_layers])
    return [product("lyrics.embed", lyrics, d.encoder.hidden, d.text_dim),
            *block_lines("lyrics", d.encoder, d.lyric_layers, 1, lyrics, False, lyric_near),
            product("timbre.embed", 1, d.encoder.hidden, d.latent),
            *block_lines("timbre", d.encoder, d.timbre_layers, 1, 1, False, timbre_near),
            product("text.project", text, d.encoder.hidden, d.text_dim)]


def step_lines(m, batch, tokens, heard):
    """One evaluation of the transformer."""
    d, b = m.dit, m.dit.decoder
    rows, q, kv = batch * tokens, b.heads * b.head_dim, b.kv_heads * b.head_dim
    near = sum(d.sliding)
    lines = [product("patch_in", rows, b.hidden, d.in_channels, d.patch),
             product("time.1", batch, b.hidden, SINUSOID, count=2), product("time.2", batch, b.hidden, b.hidden, count=2),
             product("time.projection", batch, 6 * b.hidden, b.hidden, count=2),
             product("self.qkv", rows, q + 2 * kv, b.hidden, count=d.layers),
             attention("self.sliding", b, batch, tokens, min(tokens, 2 * b.window + 1), near),
             attention("self.full", b, batch, tokens, tokens, d.layers - near),
             product("self.out", rows, b.hidden, q, count=d.layers),
             product("cross.q", rows, q, b.hidden, count=d.layers),
             attention("cross.attention", b, batch, tokens, heard, d.layers),
             product("cross.out", rows, b.hidden, q, count=d.layers),
             product("gate_up", rows, 2 * b.intermediate, b.hidden, count=d.layers),
             product("down", rows, b.hidden, b.intermediate, count=d.layers),
             product("patch_out", rows, d.latent * d.patch, b.hidden)]
    return lines


def heard_lines(m, heard):
    """Keys and values of a condition, once for a song."""
    b = m.dit.decoder
    return [product("condition", heard, b.hidden, m.dit.encoder.hidden),
            product("cross.kv", heard, 2 * b.kv_heads * b.head_dim, b.hidden, count=m.dit.layers)]


def windows(frames, chunk, overlap):
    """Latent frames that each window computes (src/model/vae_tiling.c)."""
    core = chunk - 2 * overlap if chunk > 0 else 0
    if core <= 0 or frames <= core + 2 * overlap:
        return [frames]
    return [min(min(at + core, frames) + overlap, frames) - max(at - overlap, 0) for at in range(0, frames, core)]


def decode_lines(m, frames):
    """Latents to audio, Oobleck's decoder."""
    v = m.vae
    channels = v.channels * v.multiples[-1]
    lines = [product("conv1", frames, channels, v.latent, 7)]
    rows = frames
    for i, stride in reversed(list(enumerate(v.strides))):
        out = v.channels * (v.multiples[i - 1] if i > 0 else 1)
        lines.append(product(f"up{stride}", rows, stride * out, channels, 2))
        rows, channels = rows * stride, out
        lines.append(product(f"residual{channels}.7", rows, channels, channels, 7, 3))
        lines.append(product(f"residual{channels}.1", rows, channels, channels, 1, 3))
    return lines + [product("conv2", rows, v.audio, channels, 7)]


def head_rows(vocabulary):
    """Rows of the head's parts that hold the audio codes; all of another, smaller vocabulary."""
    if vocabulary < FIRST_CODE + CODES:
        return vocabulary
    part = HEAD_ROWS * -(-vocabulary // (HEAD_ROWS * HEAD_PARTS))
    first, last = FIRST_CODE // part, (FIRST_CODE + CODES - 1) // part
    return min((last + 1) * part, vocabulary) - first * part


def lm_lines(m, sequences, context):
    """One more token for each of the sequences, which have `context` of their own behind a shared one."""
    b = m.lm.block
    lines = block_lines("lm", b, m.lm.layers, sequences, 1, False)
    lines[0] = attention("lm.attention", b, sequences, 1, context + 1, m.lm.layers)
    return lines + [product("lm.head", sequences, head_rows(m.lm.vocabulary), b.hidden)]


def prompt_lines(m, tokens):
    return block_lines("lm", m.lm.block, m.lm.layers, 1, tokens, True)


def gflop(lines):
    return sum(line.count * line.flops for line in lines) * 1e-9
