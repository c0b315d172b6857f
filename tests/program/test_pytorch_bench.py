#!/usr/bin/env python3
"""bench/pytorch_layers.py does the engine's work: its table of layers has the FLOPs that the engine counts. Needs
no PyTorch.

usage: test_pytorch_bench.py PATH/TO/acestep [unittest options]"""
import json
import os
import py_compile
import subprocess
import sys
import unittest

from test_program import GOLDEN, ProgramTest

BENCH = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "bench")
sys.path.insert(0, BENCH)
sys.dont_write_bytecode = True
import shapes  # noqa: E402


def python(*arguments):
    return subprocess.run([sys.executable, "-B", *arguments], capture_output=True, timeout=120)


class Layers(ProgramTest):
    def table(self, *arguments):
        done = python(os.path.join(BENCH, "pytorch_layers.py"), "--dry-run", *arguments)
        self.assertEqual(done.returncode, 0, done.stderr.decode())
        return {(row["stage"], row["work"]): row["gflop"] for row in json.loads(done.stdout)["stages"]}

    def engine(self, *arguments):
        done = self.run_program(*arguments, "--json")
        self.assertEqual(done.returncode, 0, done.stderr.decode())
        return json.loads(done.stdout)

    def assert_near(self, a, b, what):
        self.assertLess(abs(a - b), 2e-6 * abs(b), (what, a, b))

    def test_files_compile(self):
        for name in ("shapes.py", "pytorch_layers.py", "compare.py"):
            py_compile.compile(os.path.join(BENCH, name), cfile=self.path(name + "c"), doraise=True)

    def test_as_the_engine_counts(self):
        """All stages of the bench, on small models."""
        table = self.table("--config", GOLDEN, "--tiny")
        result = self.engine("bench", "--models", GOLDEN, "--stage", "text,condition,dit,vae-decode,lm", "--duration",
                             "1", "--precision", "f32", "--repeats", "1")
        rows = [row for row in result["stages"] if (row["stage"], row["work"]) in table]
        self.assertEqual({row["stage"] for row in rows},
                         {"text", "condition", "dit", "vae-decode", "lm.prefill", "lm.decode"})
        self.assertEqual(sum(row["stage"] == "lm.decode" for row in rows), 4)
        for row in rows:
            self.assert_near(table[row["stage"], row["work"]], row["gflop"], (row["stage"], row["work"]))

    def plan(self, seconds, songs):
        plan = self.engine("plan", "--weights", "synthetic:turbo", "--duration", str(seconds), "--batch-size",
                           str(songs), "--thinking", "false", "--caption", "a song", "--precision", "bf16")
        return plan, {stage["stage"]: stage["flops"] * 1e-9 for stage in plan["stages"]}

    def test_published_shapes(self):
        """Plans of whole songs. How many tokens the condition has follows from the FLOPs: a whole number."""
        m = shapes.published()
        heard = set()
        for seconds, songs in ((60, 1), (240, 8), (30, 2)):
            plan, found = self.plan(seconds, songs)
            batch, steps, frames = plan["device_batch"], plan["inference_steps"], 25 * seconds
            passes = [min(batch, songs - at) for at in range(0, songs, batch)]

            def song(tokens):
                lines = [line for b in passes for line in
                         shapes.heard_lines(m, tokens) + steps * shapes.step_lines(m, b, frames // 2, tokens)]
                return shapes.gflop(lines)
            tokens = (found["diffusion"] - song(0)) / (song(1) - song(0))
            self.assertAlmostEqual(tokens, round(tokens), places=3)
            self.assert_near(song(round(tokens)), found["diffusion"], (seconds, songs))
            heard.add(round(tokens))
            parts = shapes.windows(frames, plan["vae_chunk"], plan["vae_overlap"])
            decoded = songs * sum(shapes.gflop(shapes.decode_lines(m, n)) for n in parts)
            self.assert_near(decoded, found["vae"], (seconds, songs, "vae"))
        self.assertLess(max(heard) - min(heard), 3)  # the prompt names the length

    def test_published_step(self):
        """The figure that bench/README.md gives, which tests/unit/test_bench.c adds up on its own."""
        gflop = self.table()["dit", "1 step, 375 tokens, 173 condition tokens"]
        self.assertAlmostEqual(gflop, 1094, delta=0.5)

    def test_compare(self):
        bench = {"stages": [{"stage": "dit", "work": "w", "precision": "bf16", "best_seconds": 2.0},
                            {"stage": "dit", "work": "w", "precision": "int8", "best_seconds": 1.0},
                            {"stage": "vae-decode", "work": "750 frames in windows of 128", "precision": "bf16",
                             "best_seconds": 1.0}]}
        row = {"batch": 1, "audio_seconds": 60, "variant": "eager"}
        torch = {"stages": [{**row, "stage": "dit", "work": "w", "best_seconds": 9.0},
                            {**row, "stage": "dit", "work": "w", "best_seconds": 3.0, "variant": "compiled"},
                            {**row, "stage": "vae-decode", "work": "750 frames", "best_seconds": 0.5}]}
        song = {"plan": {"inference_steps": 8}, "measured": {"stages": [
            {"stage": "diffusion", "compute_seconds": 12.0}, {"stage": "vae", "compute_seconds": 0.25}]}}
        for name, value in (("bench.json", bench), ("torch.json", torch), ("song-60.result.json", song)):
            with open(self.path(name), "w", encoding="utf-8") as f:
                json.dump(value, f)
        done = python(os.path.join(BENCH, "compare.py"), self.folder, self.path("torch.json"))
        self.assertEqual(done.returncode, 0, done.stderr.decode())
        ratios = {line.split("  ")[0].strip(): line.split()[-2:] for line in done.stdout.decode().splitlines()[1:]}
        self.assertEqual(ratios, {"dit: w": ["1.50", "compiled"], "vae-decode: 750 frames": ["0.50", "eager"],
                                  "song-60: 8 steps": ["2.00", "fastest"], "song-60: decoding": ["2.00", "fastest"]})
        done = python(os.path.join(BENCH, "compare.py"), self.path("bench.json"), self.path("song-60.result.json"))
        self.assertNotEqual(done.returncode, 0)


if __name__ == "__main__":
    unittest.main(argv=[sys.argv[0]] + sys.argv[2:])
