#!/usr/bin/env python3
"""The networks of a song in PyTorch, with random weights, timed stage by stage on the work of `acestep bench`
and of whole songs: what a well-tuned PyTorch does on the same machine. bench/compare.py puts both side by side.

usage: pytorch_layers.py [--device cuda|cpu] [--config FOLDER] [--tiny] [--no-compile] [--repeats N] [--dry-run]

--config  sizes of the config.json files in a folder of checkpoints instead of the published ones
--tiny    little work, each network checked for the shape of its result; for --device cpu
--dry-run the table of layers and FLOPs, without PyTorch

Prints JSON. bf16 on a card, f32 on the CPU. Attention is scaled_dot_product_attention, which takes its flash
kernel where nothing is masked: sliding layers therefore look at all keys, and their FLOPs are still counted as the
window's. Each stage is timed as it is ("eager"), compiled by torch.compile ("compiled"), and decoding also as a
CUDA graph ("graph"); compiling counts as warm-up."""
import argparse
import json
import sys
import time
from collections import namedtuple

import shapes

TEXT, LYRICS, HEARD, PROMPT = 102, 70, 173, 512  # tokens, as in acestep bench (bench/README.md)
Stage = namedtuple("Stage", "name work audio_seconds batch lines")


def stages(m, tiny):
    """What is timed."""
    songs = [(1, 1), (1, 2)] if tiny else [(30, 1), (60, 1), (240, 8)]
    out = [Stage("text", f"{TEXT} tokens", 0, 1, shapes.text_lines(m, TEXT)),
           Stage("condition", f"{TEXT} text and {LYRICS} lyric tokens, 1 frame of timbre", 0, 1,
                 shapes.condition_lines(m, TEXT, LYRICS))]
    for seconds, batch in songs:
        frames = 25 * seconds
        tokens = (frames + m.dit.patch - 1) // m.dit.patch
        many = f", batch {batch}" if batch > 1 else ""
        out.append(Stage("dit", f"1 step, {tokens} tokens, {HEARD} condition tokens{many}", seconds, batch,
                         shapes.step_lines(m, batch, tokens, HEARD)))
        out.append(Stage("vae-decode", f"{frames} frames", seconds, 1, shapes.decode_lines(m, frames)))
    out.append(Stage("lm.prefill", f"{PROMPT} tokens", 0, 1, shapes.prompt_lines(m, PROMPT)))
    for context in (50, 1200):
        for n in (1, 8):
            out.append(Stage("lm.decode", f"1 token, {n} sequence{'s' if n > 1 else ''}, context {context}", 0, n,
                             shapes.lm_lines(m, n, context)))
    return out


def table(m, tiny):
    """Stages with their layers."""
    return [{"stage": s.name, "work": s.work, "audio_seconds": s.audio_seconds, "batch": s.batch,
             "gflop": shapes.gflop(s.lines), "layers": [line._asdict() for line in s.lines]} for s in stages(m, tiny)]


# ---- networks ---------------------------------------------------------------------------------------

def networks(torch):
    """Modules, made here so that this file can be read without PyTorch."""
    nn, F = torch.nn, torch.nn.functional

    def rms(x, weight):
        return x * torch.rsqrt(x.float().square().mean(-1, keepdim=True) + 1e-6).to(x.dtype) * weight

    def attend(q, k, v, causal=False):
        """q [B, H, S, D]; k, v with fewer heads, each for a group of q's."""
        group = q.shape[1] // k.shape[1]
        return F.scaled_dot_product_attention(q, k.repeat_interleave(group, 1), v.repeat_interleave(group, 1),
                                              is_causal=causal)

    def turn(x, rope):
        """Rotary embedding: lanes i and i + D/2 are a pair."""
        a, b = x.chunk(2, -1)
        cos, sin = rope
        return torch.cat((a * cos - b * sin, b * cos + a * sin), -1)

    def rope_of(length, dim, like):
        frequency = 1e6 ** (-torch.arange(0, dim, 2, device=like.device, dtype=torch.float32) / dim)
        angle = torch.arange(length, device=like.device, dtype=torch.float32)[:, None] * frequency
        return angle.cos().to(like.dtype), angle.sin().to(like.dtype)

    def linear(inner, out, bias=False):
        return nn.Linear(inner, out, bias=bias)

    class Attention(nn.Module):
        def __init__(self, b):
            super().__init__()
            self.b = b
            self.norm = nn.Parameter(torch.ones(b.hidden))
            self.qkv = linear(b.hidden, (b.heads + 2 * b.kv_heads) * b.head_dim)
            self.out = linear(b.heads * b.head_dim, b.hidden)
            self.q_norm, self.k_norm = nn.Parameter(torch.ones(b.head_dim)), nn.Parameter(torch.ones(b.head_dim))

        def split(self, x, rope):
            b = self.b
            heads = self.qkv(x).unflatten(-1, (-1, b.head_dim)).transpose(1, 2)
            q, k, v = heads.split((b.heads, b.kv_heads, b.kv_heads), 1)
            return turn(rms(q, self.q_norm), rope), turn(rms(k, self.k_norm), rope), v

        def forward(self, x, rope, causal):
            q, k, v = self.split(x, rope)
            return self.out(attend(q, k, v, causal).transpose(1, 2).flatten(2))

    class Mlp(nn.Module):
        def __init__(self, b):
            super().__init__()
            self.norm = nn.Parameter(torch.ones(b.hidden))
            self.gate_up = linear(b.hidden, 2 * b.intermediate)
            self.down = linear(b.intermediate, b.hidden)

        def forward(self, x):
            gate, up = self.gate_up(x).chunk(2, -1)
            return self.down(F.silu(gate) * up)

    class Layer(nn.Module):
        """Pre-norm transformer layer of Qwen3."""
        def __init__(self, b):
            super().__init__()
            self.attention, self.mlp = Attention(b), Mlp(b)

        def forward(self, x, rope, causal):
            x = x + self.attention(rms(x, self.attention.norm), rope, causal)
            return x + self.mlp(rms(x, self.mlp.norm))

    class Encoder(nn.Module):
        def __init__(self, b, layers, causal):
            super().__init__()
            self.layers = nn.ModuleList(Layer(b) for _ in range(layers))
            self.norm = nn.Parameter(torch.ones(b.hidden))
            self.b, self.causal = b, causal

        def forward(self, x):
            rope = rope_of(x.shape[1], self.b.head_dim, x)
            for layer in self.layers:
                x = layer(x, rope, self.causal)
            return rms(x, self.norm)

    class Condition(nn.Module):
        def __init__(self, d):
            super().__init__()
            self.lyrics, self.timbre = Encoder(d.encoder, d.lyric_layers, False), Encoder(d.encoder, d.timbre_layers, False)
            self.embed_lyrics = linear(d.text_dim, d.encoder.hidden, True)
            self.embed_timbre = linear(d.latent, d.encoder.hidden, True)
            self.project_text = linear(d.text_dim, d.encoder.hidden)

        def forward(self, text, lyrics, timbre):
            return torch.cat((self.lyrics(self.embed_lyrics(lyrics)), self.timbre(self.embed_timbre(timbre))[:, :1],
                              self.project_text(text)), 1)

    class DitLayer(nn.Module):
        def __init__(self, b):
            super().__init__()
            self.b = b
            self.self_attention, self.mlp = Attention(b), Mlp(b)
            self.cross_norm, self.cross_q_norm = nn.Parameter(torch.ones(b.hidden)), nn.Parameter(torch.ones(b.head_dim))
            self.cross_q = linear(b.hidden, b.heads * b.head_dim)
            self.cross_out = linear(b.heads * b.head_dim, b.hidden)
            self.modulation = nn.Parameter(torch.zeros(6, b.hidden))

        def forward(self, x, rope, six, k, v):
            shift, scale, gate, mlp_shift, mlp_scale, mlp_gate = (six + self.modulation).unbind(1)
            shift, scale, gate = shift[:, None], scale[:, None], gate[:, None]
            x = x + gate * self.self_attention(rms(x, self.self_attention.norm) * (1 + scale) + shift, rope, False)
            q = self.cross_q(rms(x, self.cross_norm)).unflatten(-1, (-1, self.b.head_dim)).transpose(1, 2)
            x = x + self.cross_out(attend(rms(q, self.cross_q_norm), k, v).transpose(1, 2).flatten(2))
            normed = rms(x, self.mlp.norm) * (1 + mlp_scale[:, None]) + mlp_shift[:, None]
            return x + mlp_gate[:, None] * self.mlp(normed)

    class Time(nn.Module):
        def __init__(self, hidden):
            super().__init__()
            self.one, self.two = linear(shapes.SINUSOID, hidden, True), linear(hidden, hidden, True)
            self.projection = linear(hidden, 6 * hidden, True)

        def forward(self, t):
            half = shapes.SINUSOID // 2
            frequency = 1e4 ** (-torch.arange(half, device=t.device, dtype=torch.float32) / half)
            angle = 1000 * t.float()[:, None] * frequency
            embedded = self.two(F.silu(self.one(torch.cat((angle.cos(), angle.sin()), -1).to(t.dtype))))
            return embedded, self.projection(F.silu(embedded)).unflatten(-1, (6, -1))

    class DitStep(nn.Module):
        def __init__(self, d):
            super().__init__()
            b = d.decoder
            self.d = d
            self.patch_in = nn.Conv1d(d.in_channels, b.hidden, d.patch, d.patch)
            self.patch_out = linear(b.hidden, d.latent * d.patch, True)
            self.time, self.time_r = Time(b.hidden), Time(b.hidden)
            self.layers = nn.ModuleList(DitLayer(b) for _ in range(d.layers))
            self.norm_out = nn.Parameter(torch.ones(b.hidden))
            self.modulation_out = nn.Parameter(torch.zeros(2, b.hidden))

        def forward(self, x, t, k, v):
            """x [B, frames, in_channels], frames whole patches; k, v [layers, B, kv_heads, heard, head_dim]."""
            embedded, six = self.time(t)
            embedded_r, six_r = self.time_r(t - t)
            x = self.patch_in(x.transpose(1, 2)).transpose(1, 2)
            rope = rope_of(x.shape[1], self.d.decoder.head_dim, x)
            for i, layer in enumerate(self.layers):
                x = layer(x, rope, six + six_r, k[i], v[i])
            shift, scale = (self.modulation_out + (embedded + embedded_r)[:, None]).chunk(2, 1)
            return self.patch_out(rms(x, self.norm_out) * (1 + scale) + shift).unflatten(-1, (self.d.patch, -1)).flatten(1, 2)

    class Snake(nn.Module):
        def __init__(self, channels):
            super().__init__()
            self.alpha, self.beta = (nn.Parameter(torch.zeros(1, channels, 1)) for _ in range(2))

        def forward(self, x):
            return x + torch.sin(self.alpha.exp() * x).square() / (self.beta.exp() + 1e-9)

    class Residual(nn.Module):
        def __init__(self, channels, dilation):
            super().__init__()
            self.run = nn.Sequential(Snake(channels), nn.Conv1d(channels, channels, 7, dilation=dilation, padding=3 * dilation),
                                     Snake(channels), nn.Conv1d(channels, channels, 1))

        def forward(self, x):
            return x + self.run(x)

    class VaeDecoder(nn.Module):
        def __init__(self, v):
            super().__init__()
            channels = v.channels * v.multiples[-1]
            parts = [nn.Conv1d(v.latent, channels, 7, padding=3)]
            for i, stride in reversed(list(enumerate(v.strides))):
                out = v.channels * (v.multiples[i - 1] if i > 0 else 1)
                parts += [Snake(channels), nn.ConvTranspose1d(channels, out, 2 * stride, stride, stride // 2)]
                parts += [Residual(out, dilation) for dilation in (1, 3, 9)]
                channels = out
            self.run = nn.Sequential(*parts, Snake(channels), nn.Conv1d(channels, v.audio, 7, padding=3, bias=False))

        def forward(self, latents):
            return self.run(latents.transpose(1, 2))

    class Lm(nn.Module):
        """Decoding with keys and values that are kept; the head over the audio codes alone."""
        def __init__(self, q):
            super().__init__()
            self.q = q
            self.layers = nn.ModuleList(Layer(q.block) for _ in range(q.layers))
            self.norm = nn.Parameter(torch.ones(q.block.hidden))
            self.head = linear(q.block.hidden, shapes.head_rows(q.vocabulary))

        def forward(self, x, keys, values):
            """x [B, 1, hidden]; keys, values [layers, B, kv_heads, context, head_dim]: the last place is x's."""
            context = keys.shape[3]
            cos, sin = rope_of(context, self.q.block.head_dim, x)
            rope = cos[-1:], sin[-1:]
            for i, layer in enumerate(self.layers):
                q, k, v = layer.attention.split(rms(x, layer.attention.norm), rope)
                keys[i, :, :, -1:] = k
                values[i, :, :, -1:] = v
                x = x + layer.attention.out(attend(q, keys[i], values[i]).transpose(1, 2).flatten(2))
                x = x + layer.mlp(rms(x, layer.mlp.norm))
            return self.head(rms(x, self.norm))

        def prefill(self, x):
            rope = rope_of(x.shape[1], self.q.block.head_dim, x)
            for layer in self.layers:
                x = layer(x, rope, True)
            return x

    return Encoder, Condition, DitStep, VaeDecoder, Lm


# ---- time -------------------------------------------------------------------------------------------

class Bench:
    def __init__(self, torch, device, m, options):
        self.torch, self.device, self.m, self.options = torch, device, m, options
        self.dtype = torch.bfloat16 if device == "cuda" else torch.float32
        self.Encoder, self.Condition, self.DitStep, self.VaeDecoder, self.Lm = networks(torch)
        self.made = {}
        self.weighted = (torch.nn.Linear, torch.nn.Conv1d, torch.nn.ConvTranspose1d)

    def random(self, *size):
        return 0.5 * self.torch.randn(*size, device=self.device, dtype=self.dtype)

    def network(self, name, make):
        """One at a time is on the device."""
        if name not in self.made:
            self.made = {name: make().to(self.device, self.dtype).eval()}
        return self.made[name]

    def wait(self):
        if self.device == "cuda":
            self.torch.cuda.synchronize()

    def seconds(self, run):
        for _ in range(2):
            run()
        self.wait()
        found = []
        for _ in range(self.options.repeats):
            begin = time.perf_counter()
            run()
            self.wait()
            found.append(time.perf_counter() - begin)
        return found

    def graph(self, run):
        """A call that replays what `run` has launched."""
        side = self.torch.cuda.Stream()
        side.wait_stream(self.torch.cuda.current_stream())
        with self.torch.cuda.stream(side):
            for _ in range(3):
                run()
        self.torch.cuda.current_stream().wait_stream(side)
        graph = self.torch.cuda.CUDAGraph()
        with self.torch.cuda.graph(graph):
            run()
        return graph.replay

    def case(self, stage):
        """(network, its inputs, the shape of its result)"""
        m, b = self.m, stage.batch
        if stage.name == "text":
            h = m.text.block.hidden
            return self.network("text", lambda: self.Encoder(m.text.block, m.text.layers, True)), [
                self.random(1, TEXT, h)], (1, TEXT, h)
        if stage.name == "condition":
            d = m.dit
            return self.network("condition", lambda: self.Condition(d)), [
                self.random(1, TEXT, d.text_dim), self.random(1, LYRICS, d.text_dim),
                self.random(1, 1, d.latent)], (1, TEXT + LYRICS + 1, d.encoder.hidden)
        if stage.name == "dit":
            d, frames = m.dit, 25 * stage.audio_seconds
            frames += -frames % d.patch
            kv = [self.random(d.layers, b, d.decoder.kv_heads, HEARD, d.decoder.head_dim) for _ in range(2)]
            t = self.torch.full((b,), 0.5, device=self.device, dtype=self.dtype)
            return self.network("dit", lambda: self.DitStep(d)), [
                self.random(b, frames, d.in_channels), t, *kv], (b, frames, d.latent)
        if stage.name == "vae-decode":
            frames, hop = 25 * stage.audio_seconds, 1
            for stride in m.vae.strides:
                hop *= stride
            return self.network("vae", lambda: self.VaeDecoder(m.vae)), [
                self.random(1, frames, m.vae.latent)], (1, m.vae.audio, frames * hop)
        lm = self.network("lm", lambda: self.Lm(m.lm))
        block = m.lm.block
        if stage.name == "lm.prefill":
            return lm.prefill, [self.random(1, PROMPT, block.hidden)], (1, PROMPT, block.hidden)
        context = int(stage.work.split()[-1]) + 1
        kept = [self.random(m.lm.layers, b, block.kv_heads, context, block.head_dim) for _ in range(2)]
        return lm, [self.random(b, 1, block.hidden), *kept], (b, 1, shapes.head_rows(m.lm.vocabulary))

    def check(self, stage, network, inputs, shape):
        out = network(*inputs)
        if tuple(out.shape) != shape or not self.torch.isfinite(out.float()).all():
            sys.exit(f"{stage.name}, {stage.work}: {tuple(out.shape)} where {shape} was expected, or no numbers")

        if stage.name != "lm.prefill":  # which leaves the head out
            held = sum(p.weight.numel() for p in network.modules() if isinstance(p, self.weighted))
            asked = sum(line.out * line.inner * line.taps * line.count for line in stage.lines)
            if held != asked:
                sys.exit(f"{stage.name}: {held} weights where the table has {asked}")

    def variants(self, stage, network, inputs):
        """(name, function that makes what is timed)"""
        compiles = self.device == "cuda" and not self.options.no_compile
        best = self.torch.compile(network, dynamic=False) if compiles else network
        out = [("eager", lambda: lambda: network(*inputs))]
        if compiles:
            out.append(("compiled", lambda: lambda: best(*inputs)))
        if stage.name == "lm.decode" and self.device == "cuda":
            out.append(("graph", lambda: self.graph(lambda: best(*inputs))))
        return out

    def rows(self, stage):
        """One that does not fit or compile says so, and the others are still timed."""
        out = []
        try:
            network, inputs, shape = self.case(stage)
            self.check(stage, network, inputs, shape)
        except RuntimeError as why:
            print(f"{stage.name}, {stage.work}: {why}", file=sys.stderr)
            return out
        for variant, make in self.variants(stage, network, inputs):
            try:
                found = self.seconds(make())
            except Exception as why:
                print(f"{stage.name} ({variant}): {why}", file=sys.stderr)
                continue
            best, work = min(found), shapes.gflop(stage.lines)
            out.append({"stage": stage.name, "work": stage.work, "variant": variant, "batch": stage.batch,
                        "audio_seconds": stage.audio_seconds, "seconds": found, "best_seconds": best, "gflop": work,
                        "gflops": work / best})
        return out


def measure(m, options):
    import torch
    device = options.device
    if device == "cuda" and not torch.cuda.is_available():
        sys.exit("torch finds no card")
    torch.manual_seed(1)
    name = torch.cuda.get_device_name() if device == "cuda" else "cpu"
    with torch.inference_mode():
        bench = Bench(torch, device, m, options)
        rows = [row for stage in stages(m, options.tiny) for row in bench.rows(stage)]
    return {"format": "acestep-bench-torch", "torch": torch.__version__, "device": name,
            "precision": "bf16" if device == "cuda" else "f32", "stages": rows}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", choices=("cuda", "cpu"), default="cuda")
    parser.add_argument("--config")
    parser.add_argument("--tiny", action="store_true")
    parser.add_argument("--no-compile", action="store_true")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--dry-run", action="store_true")
    options = parser.parse_args()
    m = shapes.of_folder(options.config) if options.config else shapes.published()
    result = {"format": "acestep-bench-torch", "stages": table(m, options.tiny)} if options.dry_run else measure(m, options)
    print(json.dumps(result, indent=1))


if __name__ == "__main__":
    main()
