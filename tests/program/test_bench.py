#!/usr/bin/env python3
"""`acestep bench` from outside: keys, files, errors. Times are never judged.

usage: test_bench.py PATH/TO/acestep [unittest options]"""
import csv
import json
import math
import sys
import unittest

from test_program import ARGUMENT, GOLDEN, IO, MODEL, ProgramTest

SMALL = ("--models", GOLDEN, "--duration", "1", "--threads", "1", "--repeats", "2")
PEAKS = {"f32", "bf16", "int8", "int16"}
TEXTS = ("stage", "work", "model", "precision", "bound")
NUMBERS = ("median_seconds", "best_seconds", "gflop", "gflops", "share_of_peak", "device_bytes", "load_seconds", "memory_gbps")
PERHAPS = ("audio_seconds", "tokens", "read_bytes", "gbps", "seconds_per_audio_second", "tokens_per_second",
           "resident_bytes")


class Bench(ProgramTest):
    def bench(self, *arguments):
        done = self.run_program("bench", "--json", *arguments)
        self.assertEqual(done.returncode, 0, done.stderr.decode())
        self.assertEqual(done.stderr, b"")
        return json.loads(done.stdout)

    def is_number(self, value):
        return isinstance(value, (int, float)) and math.isfinite(value) and value > 0

    def check(self, result):
        self.assertEqual((result["format"], result["format_version"]), ("acestep-bench", 1))
        self.assertRegex(result["date"], r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$")
        self.assertTrue(result["version"])
        self.assertIsInstance(result["commit"], str)
        machine = result["machine"]
        self.assertEqual(set(machine), {"device", "cpu", "level", "threads", "peak_gflops", "own_instructions",
                                        "memory_gbps"})
        self.assertIsNone(machine["device"])
        self.assertEqual(machine["threads"], 1)
        self.assertEqual(set(machine["peak_gflops"]), PEAKS)
        self.assertLessEqual({"f32"}, set(machine["own_instructions"]))
        for value in (*machine["peak_gflops"].values(), machine["memory_gbps"]):
            self.assertTrue(self.is_number(value), value)
        for row in result["stages"]:
            self.assertEqual(set(row), {*TEXTS, *NUMBERS, *PERHAPS, "seconds", "peak_gflops"})
            for key in NUMBERS:
                self.assertTrue(self.is_number(row[key]), (row["stage"], key, row[key]))
            for key in PERHAPS:
                self.assertTrue(row[key] is None or self.is_number(row[key]), (row["stage"], key, row[key]))
            self.assertIn(row["bound"], PEAKS | {"memory"})
            for name, value in row["peak_gflops"].items():
                self.assertLessEqual(value, machine["peak_gflops"][name])
            self.assertLessEqual(row["memory_gbps"], machine["memory_gbps"])
            self.assertEqual(min(row["seconds"]), row["best_seconds"])
            self.assertLessEqual(row["best_seconds"], row["median_seconds"])
        return [row["stage"] for row in result["stages"]]

    def test_stages(self):
        names = ["vae-decode", "text", "condition", "condition-timbre", "dit", "vae-encode"]
        result = self.bench("--stage", ",".join(names), *SMALL)
        self.assertEqual(self.check(result), names)
        for row in result["stages"]:
            self.assertEqual(len(row["seconds"]), 2)
            self.assertEqual(row["precision"], "bf16")
            self.assertEqual(row["audio_seconds"], 1)
        works = {row["stage"]: row["work"] for row in result["stages"]}
        self.assertEqual(works["dit"], "1 step, 13 tokens, 173 condition tokens")
        self.assertEqual(works["vae-encode"], "25 frames")

    def test_precision_and_level(self):
        result = self.bench("--stage=dit", "--precision=int8", "--cpu", "generic", *SMALL)
        self.check(result)
        self.assertEqual(result["machine"]["level"], "generic")
        self.assertEqual(result["machine"]["own_instructions"], ["f32"])
        self.assertEqual(len(set(result["machine"]["peak_gflops"].values())), 1)
        self.assertEqual([row["precision"] for row in result["stages"]], ["int8"])

    def test_language_model(self):
        result = self.bench("--stage", "lm", "--lm_model_path", "acestep-5Hz-lm-0.6B", "--precision", "f32", *SMALL)
        self.assertEqual(set(self.check(result)), {"lm.prefill", "lm.decode"})
        self.assertEqual(len({row["work"] for row in result["stages"]}), len(result["stages"]))
        self.assertTrue(all(row["tokens_per_second"] > 0 for row in result["stages"]))

    def test_song_is_the_default(self):
        result = self.bench("--models", GOLDEN, "--duration", "6", "--steps", "1", "--threads", "1", "--thinking",
                            "false")
        self.assertEqual(self.check(result), ["song", "song.text", "song.condition", "song.diffusion", "song.vae"])
        whole, *parts = result["stages"]
        self.assertAlmostEqual(whole["gflop"], sum(row["gflop"] for row in parts), places=4)
        self.assertLessEqual(sum(row["median_seconds"] for row in parts), whole["median_seconds"])
        self.assertEqual(self.files(), [])

    def test_files(self):
        table = self.path("results.csv")
        for stages in ("text", "text,condition"):
            done = self.run_program("bench", "--stage", stages, "--csv", table, *SMALL)
            self.assertEqual(done.returncode, 0, done.stderr.decode())
            self.assertIn(b"102 tokens", done.stdout)
        with open(table, newline="", encoding="utf-8") as f:
            rows = list(csv.DictReader(f))
        self.assertEqual([row["stage"] for row in rows], ["text", "text", "condition"])
        self.assertTrue(all(float(row["best_seconds"]) > 0 and None not in row for row in rows))
        done = self.run_program("bench", "--stage", "text", *SMALL, "--csv", self.path("no", "folder.csv"))
        self.assertEqual(done.returncode, IO)
        self.assertIn(b"102 tokens", done.stdout)
        self.assertIn(b"folder.csv", done.stderr)

    def test_compare(self):
        for name in ("old.json", "new.json"):
            with open(self.path(name), "w", encoding="utf-8") as f:
                json.dump(self.bench("--stage", "text", *SMALL), f)
        done = self.run_program("bench", "--compare", "old.json", "new.json")
        self.assertEqual((done.returncode, done.stderr), (0, b""))
        self.assertIn(b"102 tokens", done.stdout)
        self.refused(IO, "bench", "--compare", "old.json", "none.json", says=("none.json",))
        with open(self.path("foreign.json"), "w", encoding="utf-8") as f:
            f.write("{\"format\": \"another\"}")
        self.refused(ARGUMENT, "bench", "--compare", "foreign.json", "new.json", says=("foreign.json",))
        self.refused(ARGUMENT, "bench", "--compare", "old.json", says=("compare",))

    def test_refused(self):
        self.refused(ARGUMENT, "bench", "--stage", "mastering", says=("mastering", "vae-decode"))
        self.refused(ARGUMENT, "bench", "--stage", "text,", says=("stage",))
        self.refused(ARGUMENT, "bench", "--stage", says=("--stage: a value must follow",))
        self.refused(ARGUMENT, "bench", "--csv=", says=("--csv: a value must follow",))
        self.refused(ARGUMENT, "bench", "--repeats", "0", says=("repeats",))
        self.refused(ARGUMENT, "bench", "--repeats", "3x", says=("repeats",))
        self.refused(ARGUMENT, "bench", "--no-such-option", "1", says=("no-such-option",))
        self.refused(ARGUMENT, "bench", "--stage", "dit-xl", *SMALL, says=("dit-xl",))
        self.refused(MODEL, "bench", "--stage", "text", "--models", self.path("none"), says=("none",))

    def test_help(self):
        done = self.run_program("bench", "--help")
        self.assertEqual(done.returncode, 0)
        for word in (b"--compare", b"--csv", b"--repeats", b"dit-xl", b"exit status"):
            self.assertIn(word, done.stdout)


if __name__ == "__main__":
    unittest.main(argv=[sys.argv[0]] + sys.argv[2:])
