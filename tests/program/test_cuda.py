#!/usr/bin/env python3
"""Songs on a card, from outside: on the emulated one, or with ACE_TEST_REAL_CARD=1 on this machine's.

usage: test_cuda.py PATH/TO/acestep PLUGIN-FOLDER [unittest options]"""
import array
import json
import math
import os
import re
import sys
import unittest
import wave

from test_program import FAILED, GOLDEN, ProgramTest

FOLDER = os.path.abspath(sys.argv[2])
REAL = os.environ.get("ACE_TEST_REAL_CARD") == "1"
GB = 1 << 30
SECONDS = 6  # of every song, and 5 codes for each of them
emulated = unittest.skipIf(REAL, "only the emulated card can be told to")


def samples(path):
    with wave.open(path, "rb") as f:
        return array.array("h", f.readframes(f.getnframes()))


def distance(a, b):
    """Relative RMS difference."""
    power = sum(x * x for x in b)
    return math.sqrt(sum((x - y) ** 2 for x, y in zip(a, b)) / power)


class Card(ProgramTest):
    def run_on(self, device, *arguments, env=None):
        where = {"ACESTEP_PLUGIN_DIR": FOLDER, "ACESTEP_DEVICE": device, **(env or {})}
        if not REAL:
            where["LD_LIBRARY_PATH"] = FOLDER
        return self.run_program(*arguments, env=where)

    def info(self, device="auto", env=None):
        done = self.run_on(device, "info", "--json", env=env)
        self.assertEqual(done.returncode, 0, done.stderr.decode())
        return json.loads(done.stdout)

    def song(self, device, *arguments, env=None):
        """The result, with its samples."""
        path = self.path("song.wav")
        done = self.run_on(device, "generate", "--models", GOLDEN, "--caption", "c", "--lyrics", "l",
                           "--duration", str(SECONDS), "--seed", "3", "--inference-steps", "2", "--output", path,
                           "--overwrite", "--json", *arguments, env=env)
        self.assertEqual(done.returncode, 0, done.stderr.decode())
        result = json.loads(done.stdout)
        result["samples"] = samples(path)
        result["log"] = done.stderr.decode()
        return result

    def latents(self, device, *arguments, **keywords):
        """The same, decoded by the CPU: what takes longest in the emulator is left out there."""
        return self.song(device, *arguments, *([] if REAL else ["--vae-on-cpu"]), **keywords)

    def assert_on_card(self, result):
        """A job that fell back to the CPU would have passed everything else."""
        self.assertNotIn("W14", [w["id"] for w in result["warnings"]], result["warnings"])
        self.assertEqual(result["plan"]["device"], self.info()["device"]["name"])
        self.assertEqual(result["plan"]["peak_bytes"], result["measured"]["peak_bytes"])


class Found(Card):
    def test_card_is_found(self):
        found = self.info()["device"]
        self.assertEqual(found["kind"], "cuda")
        self.assertTrue(REAL or "emulated" in found["name"])
        self.assertEqual(self.info("cuda:0")["device"]["kind"], "cuda")
        self.assertEqual(self.info("cpu")["device"]["kind"], "cpu")

    def test_missing_card(self):
        found = self.info("cuda:60")
        self.assertEqual(found["device"]["kind"], "cuda")
        self.assertEqual([w["id"] for w in found["warnings"]], ["W14"])

    def test_missing_plugin(self):
        found = self.info("cuda", env={"ACESTEP_PLUGIN_DIR": self.folder})
        self.assertEqual(found["device"]["kind"], "cpu")
        self.assertIn("has no libacestep_cuda.so", found["warnings"][0]["reason"])

    @emulated
    def test_old_card(self):
        found = self.info("cuda", env={"ACE_EMULATOR_CAPABILITY": "61"})
        self.assertEqual(found["device"]["kind"], "cpu")
        self.assertIn("6.1", found["warnings"][0]["reason"])

    @emulated
    def test_attention_that_is_shown(self):
        for capability, shown in (("75", "tiled"), ("80", "flash"), ("90", "flash")):
            found = self.info("cuda", env={"ACE_EMULATOR_CAPABILITY": capability})
            self.assertEqual(found["attention"], shown)
            self.assertEqual(found["controls"]["use_flash_attention"]["disabled"], shown == "tiled")
        tiled = self.info("cuda", env={"ACESTEP_USE_FLASH_ATTENTION": "false"})
        self.assertEqual(tiled["attention"], "tiled")

    @emulated
    def test_card_that_is_full(self):
        """It cannot even hold the workspace: the song is made on the CPU, and that is said."""
        result = self.latents("cuda", env={"ACE_EMULATOR_MB": "340"})
        self.assertEqual([w["id"] for w in result["warnings"] if w["id"] == "W14"], ["W14"])


class Songs(Card):
    def test_as_on_the_cpu(self):
        exact = ("--precision", "f32", "--quantization", "none")
        cpu = self.song("cpu", *exact)
        card = self.song("cuda", *exact)
        self.assert_on_card(card)
        self.assertLess(distance(card["samples"], cpu["samples"]), 1e-3)
        own = self.latents("cuda", *exact, "--cublas", "false")
        self.assertLess(distance(own["samples"], cpu["samples"]), 1e-3)

    def test_attention_with_and_without_tensor_cores(self):
        # without the language model: where a token falls differently, it is another song
        flash = self.latents("cuda", "--thinking", "false")
        tiled = self.latents("cuda", "--thinking", "false", "--use-flash-attention", "false")
        self.assertNotEqual(flash["samples"], tiled["samples"])
        # bf16 in place of f32 alone moves such a song by 0.09 on the CPU
        self.assertLess(distance(flash["samples"], tiled["samples"]), 0.2)

    def test_int8_under_a_cap_with_the_language_model(self):
        for gb in ("8",) if not REAL else ("4", "6", "8", "12", "16", "24"):
            peak = self.path("peak")
            result = self.latents("cuda", "--thinking", "true", env={"MAX_CUDA_VRAM": gb, "ACE_EMULATOR_PEAK": peak})
            with self.subTest(gb=gb):
                self.assert_on_card(result)
                self.assertEqual(result["plan"]["gpu_gb"], float(gb))
                self.assertLessEqual(result["measured"]["peak_bytes"], (float(gb) - 0.5) * GB)
                if not REAL:
                    self.assert_driver_agrees(peak, result["plan"]["peak_bytes"])

    def assert_driver_agrees(self, path, planned):
        """The most that the driver has given out, context and kernels included, is what was planned; a block
        is rounded up to a page, which is much for models as small as these."""
        with open(path, encoding="ascii") as f:
            found = int(f.read())
        os.remove(path)
        self.assertGreaterEqual(found, planned)
        self.assertLessEqual(found, 1.02 * planned + 8 * (2 << 20))

    def test_layers_pass_through(self):
        """Through two slots, copied late and copied early: the same numbers as without."""
        whole = self.latents("cuda", "--quantization", "none")
        for env in ({}, {"ACE_EMULATOR_EAGER": "1"}) if not REAL else ({},):
            passing = self.latents("cuda", "--quantization", "none", "--offload-dit-window", "1", env=env)
            with self.subTest(env=env):
                self.assert_on_card(passing)
                self.assertGreater(passing["measured"]["host_to_device_bytes"],
                                   whole["measured"]["host_to_device_bytes"])
                self.assertEqual(passing["samples"], whole["samples"])

    def test_same_song_again(self):
        a = self.latents("cuda")
        self.assertEqual(a["samples"], self.latents("cuda")["samples"])

    def test_steps_are_replayed(self):
        """Of the language model and of the diffusion, and they come to the same as steps that are issued."""
        how = ("--thinking", "true", "--use-cot-metas", "false", "--use-cot-caption", "false",
               "--use-cot-language", "false", "--quantization", "none", "--inference-steps", "4", "--verbose")
        kept = self.latents("cuda", *how)
        self.assert_on_card(kept)
        replayed = [int(n) for n in re.findall(r"cuda: step \d+: replayed (\d+) times", kept["log"])]
        self.assertEqual(len(replayed), 2, kept["log"])
        self.assertGreater(replayed[0], 4 * SECONDS)  # 5 codes a second and their end
        self.assertGreaterEqual(replayed[1], 2)
        plain = self.latents("cuda", *how, "--compile-model", "false")
        self.assertNotIn("cuda: step", plain["log"])
        self.assertEqual(kept["samples"], plain["samples"])

    def test_failed_allocations(self):
        for where in ("diffusion:1", "text:1") if not REAL else ("vae:1", "diffusion:1", "text:1", "condition:1"):
            result = self.latents("cuda", "--sim-fail-alloc", where)
            with self.subTest(where=where):
                self.assertEqual(len(result["samples"]), SECONDS * 48000 * 2)


class Bench(Card):
    def test_stages_are_measured_on_the_card(self):
        done = self.run_program("bench", "--device", "cuda", "--plugin-dir", FOLDER, "--models", GOLDEN, "--json",
                                "--stage", "text,dit,lm", "--precision", "bf16", "--duration", "1", "--repeats", "1",
                                env={} if REAL else {"LD_LIBRARY_PATH": FOLDER})
        self.assertEqual(done.returncode, 0, done.stderr.decode())
        result = json.loads(done.stdout)
        machine = result["machine"]
        self.assertEqual(machine["device"], self.info()["device"]["name"])
        self.assertEqual(machine["own_instructions"], ["f32", "bf16", "int8"])
        peaks = [*machine["peak_gflops"].values(), machine["memory_gbps"]]
        self.assertTrue(all(value > 0 for value in peaks), machine)
        self.assertIn("lm.decode", [row["stage"] for row in result["stages"]])
        for row in result["stages"]:
            self.assertGreater(row["device_bytes"], 70 << 20, row)  # the plug-in's workspace is among them
            self.assertGreater(row["share_of_peak"], 0, row)
            self.assertEqual(row["peak_gflops"], machine["peak_gflops"])


class Expected(Card):
    def plan(self, *arguments):
        done = self.run_on("cuda", "plan", "--models", GOLDEN, "--duration", "10", "--json", "--precision", "bf16",
                           "--quantization", "none", "--thinking", "false", "--cache", "--cache-dir", self.path("kept"),
                           *arguments)
        self.assertEqual(done.returncode, 0, done.stderr.decode())
        return json.loads(done.stdout)

    def bench(self, stages):
        done = self.run_program("bench", "--device", "cuda", "--plugin-dir", FOLDER, "--models", GOLDEN, "--json",
                                "--stage", stages, "--precision", "bf16", "--quantization", "none", "--duration", "1",
                                "--repeats", "1", "--cache-dir", self.path("kept"),
                                env={} if REAL else {"LD_LIBRARY_PATH": FOLDER})
        self.assertEqual(done.returncode, 0, done.stderr.decode())
        return {row["stage"]: row for row in json.loads(done.stdout)["stages"]}

    def test_what_was_measured_is_expected(self):
        self.assertEqual(self.plan()["expected_seconds"], 0)  # nobody knows
        rows = self.bench("text,condition,dit")
        self.assertEqual(self.plan()["expected_seconds"], 0)  # nor how long decoding takes
        rows.update(self.bench("vae-decode"))
        plan = self.plan()
        names = {"text": "text", "condition": "condition", "diffusion": "dit", "vae": "vae-decode"}
        computing = 0
        for stage in plan["stages"]:
            if stage["flops"] > 0:
                row = rows[names[stage["stage"]]]
                computing += stage["flops"] / (row["gflop"] * 1e9 / row["median_seconds"])
        loading = max(row["read_bytes"] / row["load_seconds"] for row in rows.values())
        expected = computing + plan["host_to_device_bytes"] / loading
        self.assertAlmostEqual(plan["expected_seconds"] / expected, 1, places=3)
        self.assertEqual(self.plan("--precision", "f32")["expected_seconds"], 0)
        self.assertEqual(self.plan("--vae-on-cpu")["expected_seconds"], 0)
        done = self.run_program("cache", "--clear", "--cache-dir", self.path("kept"))
        self.assertEqual(done.returncode, 0, done.stderr.decode())
        self.assertEqual(self.plan()["expected_seconds"], 0)

    def test_a_damaged_file_is_nothing_known(self):
        self.bench("text")
        folder = self.path("kept", "rates")
        (name,) = os.listdir(folder)
        for content in ("", "{", "[]", '{"load.bf16": "fast", "text.bf16": -1}'):
            with open(os.path.join(folder, name), "w", encoding="utf-8") as f:
                f.write(content)
            self.assertEqual(self.plan()["expected_seconds"], 0)


class Errors(Card):
    @emulated
    def test_card_fails(self):
        for kernel in ("1", "50"):
            done = self.run_on("cuda", "generate", "--models", GOLDEN, "--caption", "c", "--duration", "10",
                               "--output", self.path("song.wav"), env={"ACE_EMULATOR_FAIL_KERNEL": kernel})
            message = done.stderr.decode()
            with self.subTest(kernel=kernel):
                self.assertEqual(done.returncode, FAILED, message)
                errors = [line for line in message.splitlines() if "card 0" in line]
                self.assertEqual(len(errors), 1, message)
                self.assertIn("illegal memory access", errors[0])
                self.assertEqual(self.files(), [])


if __name__ == "__main__":
    unittest.main(argv=[sys.argv[0], *sys.argv[3:]])
