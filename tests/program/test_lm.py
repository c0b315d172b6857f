#!/usr/bin/env python3
"""The language model from outside: songs that it plans, its options, its files.

usage: test_lm.py PATH/TO/acestep [unittest options]"""
import array
import json
import os
import pty
import shutil
import struct
import subprocess
import sys
import unittest
import zipfile

from test_program import ARGUMENT, GOLDEN, MODEL, PROGRAM, ProgramTest, environment, read_safetensors

SONG = ("--caption", "slow piano", "--lyrics", "la la", "--seed", "1", "--precision", "f32", "--steps", "1",
        "--file-tags", "none")


def undecided():
    """As a user's: nothing says whether the language model runs."""
    env = environment()
    del env["ACESTEP_THINKING"]
    return env


LM = "acestep-5Hz-lm-0.6B"


def gguf_string(text):
    data = text.encode()
    return struct.pack("<Q", len(data)) + data


def gguf_strings(texts):
    return struct.pack("<IIQ", 9, 8, len(texts)) + b"".join(gguf_string(text) for text in texts)


def write_gguf(folder, path, architecture, entries=(), more=()):
    """A model's folder as one GGUF file, in the layout of acestep.cpp: names, types and shapes as published, the
    config as text. more: further tensors, (name, shape, 32-bit floats)."""
    header, data = read_safetensors(os.path.join(folder, "model.safetensors"))
    header.pop("__metadata__", None)
    with open(os.path.join(folder, "config.json"), encoding="utf-8") as f:
        config = f.read()
    entries = [("general.architecture", struct.pack("<I", 8) + gguf_string(architecture)),
               ("acestep.config_json", struct.pack("<I", 8) + gguf_string(config)), *entries]
    tensors = [(name, t["shape"], {"F32": 0, "BF16": 30}[t["dtype"]], data[slice(*t["data_offsets"])])
               for name, t in header.items()] + [(name, shape, 0, values) for name, shape, values in more]
    head = struct.pack("<4sIQQ", b"GGUF", 3, len(tensors), len(entries))
    head += b"".join(gguf_string(key) + value for key, value in entries)
    body = b""
    for name, shape, kind, values in tensors:
        body += b"\0" * (-len(body) % 32)
        head += gguf_string(name) + struct.pack("<I", len(shape)) + struct.pack("<%dQ" % len(shape), *shape[::-1])
        head += struct.pack("<IQ", kind, len(body))
        body += values
    with open(path, "wb") as f:
        f.write(head + b"\0" * (-len(head) % 32) + body)


def write_lm_gguf(folder, path):
    """The same of a language model, with the base vocabulary and its merges."""
    with open(os.path.join(folder, "vocab.json"), encoding="utf-8") as f:
        vocabulary = json.load(f)
    with open(os.path.join(folder, "merges.txt"), encoding="utf-8") as f:
        merges = [line.rstrip("\n") for line in f if line.strip() and not line.startswith("#version")]
    tokens = sorted(vocabulary, key=vocabulary.get)
    write_gguf(folder, path, "acestep-lm", [("tokenizer.ggml.model", struct.pack("<I", 8) + gguf_string("gpt2")),
                                            ("tokenizer.ggml.tokens", gguf_strings(tokens)),
                                            ("tokenizer.ggml.merges", gguf_strings(merges))])


def write_dit_gguf(folder, path):
    """The same of a diffusion model, with its silence, whose 8 numbers a frame stand together."""
    with zipfile.ZipFile(os.path.join(folder, "silence_latent.pt")) as z:
        (name,) = [n for n in z.namelist() if n.endswith("/data/0")]
        silence = array.array("f", z.read(name))
    frames = len(silence) // 8
    values = array.array("f", (silence[c * frames + t] for t in range(frames) for c in range(8)))
    write_gguf(folder, path, "acestep-dit", more=[("silence_latent", [frames, 8], values.tobytes())])


class LmTest(ProgramTest):
    def make(self, *options, env=None, code=0):
        arguments = [PROGRAM, "generate", "--models", GOLDEN, *SONG, *options]
        if "-d" not in options and "--request" not in options:
            arguments += ["-d", "6"]
        done = subprocess.run(arguments, cwd=self.folder, env={**undecided(), **(env or {})},
                              capture_output=True, timeout=120)
        self.assertEqual(done.returncode, code, done.stderr.decode())
        return done

    def song(self, *options, env=None):
        return json.loads(self.make(*options, "--json", env=env).stdout)

    def stages(self, result):
        return [stage["stage"] for stage in result["measured"]["stages"]]


class Words(LmTest):
    """understand, sample and format: the model without a song."""

    def words(self, *arguments, code=0):
        done = subprocess.run([PROGRAM, *arguments], cwd=self.folder, env=undecided(), capture_output=True,
                              timeout=120)
        self.assertEqual(done.returncode, code, done.stderr.decode())
        return done

    def test_understand(self):
        """The file may stand first or last; what comes out is a request with the codes that were heard."""
        self.make("--thinking", "false", "-o", "a.wav")
        common = ("--models", GOLDEN, "--precision", "f32", "--seed", "1")
        first = json.loads(self.words("understand", "a.wav", *common, "--json").stdout)
        last = json.loads(self.words("understand", *common, "--json", "a.wav").stdout)
        first.pop("acestep"), last.pop("acestep")
        self.assertEqual(first, last)
        self.assertEqual(first["audio_codes"].count("<|audio_code_"), 30)
        self.assertIn("caption", first)
        again = json.loads(self.words("understand", *common, "--json", "--audio-codes",
                                      first["audio_codes"]).stdout)
        self.assertEqual(again["caption"], first["caption"])

    def test_sample_and_format_are_requests(self):
        found = json.loads(self.words("sample", "a german song", "--models", GOLDEN, "--json", "--seed",
                                      "1").stdout)
        self.assertEqual(found["vocal_language"], "de")
        found = json.loads(self.words("format", "--caption", "rough", "--bpm", "77", "--models", GOLDEN,
                                      "--json", "--seed", "1").stdout)
        self.assertEqual(found["bpm"], 77)
        with open(self.path("r.json"), "w", encoding="utf-8") as f:
            json.dump({**found, "duration": 6}, f)
        self.make("--thinking", "false", "--request", "r.json", "-o", "a.wav")

    def test_memory_that_is_refused(self):
        """The same words, or one line; never half of them."""
        self.make("--thinking", "false", "-o", "a.wav")
        common = ("--models", GOLDEN, "--precision", "f32", "--seed", "1", "--quantization", "none", "--quiet")
        env = {**undecided(), "MAX_CUDA_VRAM": "8"}
        whole = subprocess.run([PROGRAM, "understand", "a.wav", *common], cwd=self.folder, env=env,
                               capture_output=True, timeout=120)
        self.assertEqual(whole.returncode, 0, whole.stderr.decode())
        for which in ("lm:1", "encode:1", "codes:1", "lm:*", "codes:*"):
            done = subprocess.run([PROGRAM, "understand", "a.wav", *common, "--sim-fail-alloc", which],
                                  cwd=self.folder, env=env, capture_output=True, timeout=120)
            with self.subTest(which=which):
                self.assertIn(done.returncode, (0, 5), done.stderr.decode())
                self.assertEqual(done.stdout, whole.stdout if done.returncode == 0 else b"")
                self.assertTrue(done.returncode == 0 or which.endswith("*"), done.stderr.decode())

    def test_what_cannot_be_heard(self):
        with open(self.path("cut.wav"), "wb") as f:
            f.write(b"RIFF\0\0\0\0WAVEfmt ")
        self.refused(4, "understand", "cut.wav", "--models", GOLDEN)
        self.refused(10, "understand", "none.wav", "--models", GOLDEN)
        self.refused(2, "understand", "--models", GOLDEN)
        self.refused(2, "understand", "--models", GOLDEN, "--audio-codes", "la la")
        self.refused(2, "sample", "", "--models", GOLDEN)
        self.refused(3, "sample", "a song", "--models", GOLDEN, "--seed", "1", "--use-constrained-decoding", "false",
                     "--lm-optional", "true", says=("no caption",))
        self.refused(6, "sample", "a song", says=("language model",))  # the demo has none


class Files(LmTest):
    def test_gguf(self):
        """The same model from one file: the same song."""
        os.makedirs(self.path("models"))
        for name in os.listdir(GOLDEN):
            if name != LM and os.path.isdir(os.path.join(GOLDEN, name)):
                os.symlink(os.path.abspath(os.path.join(GOLDEN, name)), self.path("models", name))
        write_lm_gguf(os.path.join(GOLDEN, LM), self.path("models", LM + "-F32.gguf"))
        self.make("--thinking", "-o", "a.wav")
        self.make("--thinking", "-o", "b.wav", "--models", self.path("models"))
        with open(self.path("a.wav"), "rb") as a, open(self.path("b.wav"), "rb") as b:
            self.assertEqual(a.read(), b.read())


class Songs(LmTest):
    def test_thinking(self):
        result = self.song("--thinking", "-o", "a.wav")
        self.assertIn("lm", self.stages(result))
        self.assertEqual(result["outputs"][0]["seconds"], 6)
        self.assertEqual(result["warnings"], [])
        self.assertTrue(result["plan"]["use_lm"])
        self.assertEqual(result["plan"]["peak_bytes"], result["measured"]["peak_bytes"])
        self.assertEqual(self.files(), ["a.json", "a.wav"])

    def test_json_has_what_it_wrote(self):
        written = json.dumps(self.song("--thinking", "-o", "a.wav")["lm"])
        for name in ("bpm", "caption", "keyscale", "timesignature", "acestep-5Hz-lm-0.6B"):
            self.assertIn(name, written)

    def test_sidecar_makes_the_same_song(self):
        for number, options in enumerate((("--thinking",), ("--thinking", "--bpm", "99", "-d", "7"),
                                          ("--thinking", "--use-cot-metas", "false"),
                                          ("--thinking", "--batch-size", "2", "--seed", "4,5"))):
            first, again = "first%d" % number, "again%d" % number
            outputs = self.song(*options, "-o", first + ".wav")["outputs"]
            for i, output in enumerate(outputs):
                stem = os.path.splitext(output["path"])[0]
                with open(self.path(stem + ".json"), encoding="utf-8") as f:
                    sidecar = json.load(f)
                self.assertEqual(sidecar["audio_codes"].count("<|audio_code_"),
                                 int(5 * output["seconds"]))
                self.assertEqual(sidecar["acestep"]["lm"]["model"], "acestep-5Hz-lm-0.6B")
                name = "%s_%d.wav" % (again, i)
                done = self.run_program("generate", "--request", stem + ".json", "-o", name)
                self.assertEqual(done.returncode, 0, done.stderr.decode())
                self.assertEqual(self.bytes_of(output["path"]), self.bytes_of(name))

    def test_seeds(self):
        names = []
        for i, seed in enumerate(("7", "7", "8")):
            names.append("%d.wav" % i)
            self.song("--thinking", "--seed", seed, "-o", names[-1])
        one, same, other = (self.bytes_of(name) for name in names)
        self.assertEqual(one, same)
        self.assertNotEqual(one, other)

    def test_optional(self):
        free = ("--thinking", "--use-constrained-decoding=false")
        failed = self.make(*free, "-o", "a.wav", code=MODEL)
        self.assertEqual(failed.stderr.decode().count("acestep: "), 1)
        self.assertEqual(self.files(), [])
        result = self.song(*free, "--lm-optional", "-o", "a.wav")
        self.assertIn("W25", [w["id"] for w in result["warnings"]])
        self.assertEqual(result["outputs"][0]["seconds"], 6)


class Defaults(LmTest):
    def test_runs_where_the_tier_starts_it(self):
        for gb, runs in (("8", True), ("24", True), ("6", False)):
            stages = self.stages(self.song("-o", gb + ".wav", env={"MAX_CUDA_VRAM": gb}))
            self.assertEqual("lm" in stages, runs, gb)
        stages = self.stages(self.song("--thinking", "false", "-o", "off.wav",
                                       env={"MAX_CUDA_VRAM": "8"}))
        self.assertNotIn("lm", stages)

    def test_too_small_a_card(self):
        result = self.song("--thinking", "true", "-o", "a.wav", env={"MAX_CUDA_VRAM": "6"})
        self.assertEqual([w["id"] for w in result["warnings"]], ["W05"])
        self.assertNotIn("lm", self.stages(result))
        self.assertIn("a.wav", self.files())

    def test_demo_has_none(self):
        done = subprocess.run([PROGRAM, "generate", "--caption", "piano", "-d", "5.12", "--thinking", "true",
                               "-o", "a.wav"], cwd=self.folder, env=undecided(), capture_output=True,
                              timeout=120)
        said = done.stderr.decode()
        self.assertEqual(done.returncode, 0, said)
        warnings = [line for line in said.splitlines() if line.startswith("warning: ")]
        self.assertEqual(len(warnings), 1, said)
        for part in ("thinking", "W07", "no language model", "acestep-5Hz-lm-0.6B"):
            self.assertIn(part, warnings[0])
        self.assertIn("a.wav", self.files())

    def test_quiet_demo_is_not_told(self):
        done = subprocess.run([PROGRAM, "generate", "--caption", "piano", "-d", "5.12", "-o", "a.wav"],
                              cwd=self.folder, env=undecided(), capture_output=True, timeout=120)
        self.assertEqual(done.returncode, 0)
        self.assertNotIn("W07", done.stderr.decode())

    def test_models_without_one(self):
        shutil.copytree(GOLDEN, self.path("models"), ignore=shutil.ignore_patterns("golden", "*lm*"))
        done = self.run_program("generate", "--models", "models", *SONG, "-d", "6", "--thinking", "true",
                                "--json", "-o", "a.wav")
        result = json.loads(done.stdout)
        self.assertEqual([w["id"] for w in result["warnings"]], ["W07"])


class Options(LmTest):
    def test_bad_values(self):
        for option, value in (("--thinking", "maybe"), ("--lm-temperature", "2.5"),
                              ("--lm-temperature", "warm"), ("--lm-temperature", "nan"),
                              ("--lm-top-k", "-1"), ("--lm-top-k", "1.5"), ("--lm-top-p", "1.1"),
                              ("--lm-min-p", "-0.1"), ("--lm-repetition-penalty", "0"),
                              ("--lm-cfg-scale", "0.5"), ("--lm-cfg-scale", "11"), ("--lm-seed", "x"),
                              ("--lm-seed", "-2"), ("--lm-order", "mlx"), ("--lm-retries", "9"),
                              ("--lm-batch-chunk-size", "0"), ("--use-cot-metas", "some"),
                              ("--lm-negative-prompt", "x" * 5000)):
            name = option[2:].replace("-", "_")
            self.refused(ARGUMENT, "generate", "--models", GOLDEN, *SONG, option + "=" + value, "-o",
                         "a.wav", says=(name,))

    def test_nobody_says_how_long(self):
        done = subprocess.run([PROGRAM, "generate", "--models", GOLDEN, *SONG, "--thinking",
                               "--use-cot-metas", "false", "-o", "a.wav"], cwd=self.folder,
                              env=undecided(), capture_output=True, timeout=120)
        self.assertEqual(done.returncode, ARGUMENT, done.stderr.decode())
        self.assertIn("duration", done.stderr.decode())
        self.assertEqual(self.files(), [])

    def test_genres(self):
        self.refused(10, "generate", "--models", GOLDEN, *SONG, "--thinking", "true", "--genres",
                     "missing.txt", "-o", "a.wav", says=("missing.txt",))


class Terminal(LmTest):
    def test_progress(self):
        """What stands on a terminal while the model writes: untrained, thousands of words."""
        master, slave = pty.openpty()
        child = subprocess.Popen([PROGRAM, "generate", "--models", GOLDEN, *SONG, "-d", "6", "--thinking",
                                  "--sample-query", "a song", "-o", "a.wav"], cwd=self.folder, env={**undecided(), "TERM": "xterm"},
                                 stdin=subprocess.DEVNULL, stdout=slave, stderr=slave)
        os.close(slave)
        shown = b""
        while True:
            try:
                piece = os.read(master, 65536)
            except OSError:  # the other side is closed
                break
            if not piece:
                break
            shown += piece
        os.close(master)
        self.assertEqual(child.wait(120), 0, shown)
        text = shown.decode("utf-8", "replace")
        self.assertRegex(text, r"language model \((lyrics|caption|codes), token \d+, [\d.]+/s\)")
        self.assertIn("diffusion", text)


if __name__ == "__main__":
    unittest.main(argv=[sys.argv[0], *sys.argv[2:]])
