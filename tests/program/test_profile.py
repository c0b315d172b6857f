#!/usr/bin/env python3
"""`acestep profile --mode tier-test` from outside: tiers, tables, files, baselines, errors.

usage: test_profile.py PATH/TO/acestep [unittest options]"""
import json
import os
import signal
import subprocess
import sys
import time
import unittest

from test_program import ARGUMENT, CANCELLED, FAILED, GOLDEN, IO, PROGRAM, ProgramTest, environment

TIERS = ["tier1", "tier2", "tier3", "tier4", "tier5", "tier6a", "tier6b", "unlimited"]
ORIGINAL_KEYS = {"tier_gb", "tier", "test_variant", "use_lm", "lm_model", "lm_backend", "offload", "offload_dit",
                 "quantization", "duration", "batch_size", "init_success", "gen_success", "wall_time", "error",
                 "peak_vram_gb"}
TIMES = {"lm_time", "dit_time", "vae_time"}
OWN_KEYS = {"classification", "cap_gb", "peak_reserved_gb", "peak_device_gb", "free_start_gb", "vae_tier",
            "vae_chunk", "guard_batch", "clamps", "warnings", "dit_type", "attention", "exec", "commit", "compile",
            "peak_bytes", "planned_bytes", "cap_bytes", "components", "stages", "tier_settings"}
CAPTION = "warm ambient electronic analog pads with soft drums"
LYRICS = ("[Verse]\nLights go out along the bay\nSlowly turning night to day\n\n[Chorus]\n"
          "Stay a little longer")
RULE = "  " + 60 * "-"


class Profile(ProgramTest):
    def profile(self, *arguments):
        return self.run_program("profile", "--mode", "tier-test", *arguments)

    def rows(self, *arguments, expected=0):
        done = self.profile("--json", *arguments)
        self.assertEqual(done.returncode, expected, done.stderr.decode())
        return json.loads(done.stdout)

    def refused(self, done, words, code=ARGUMENT):
        self.assertEqual(done.returncode, code)
        self.assertEqual(done.stdout, b"")
        lines = done.stderr.decode().splitlines()
        self.assertEqual(len(lines), 1, lines)
        self.assertIn(words, lines[0])

    def test_eight_sizes_are_eight_tiers(self):
        rows = self.rows()
        self.assertEqual([row["tier"] for row in rows], TIERS)
        self.assertEqual([row["tier_gb"] for row in rows], [4, 6, 7, 8, 12, 16, 20, 24])
        for row in rows:
            self.assertEqual(set(row), ORIGINAL_KEYS | TIMES | OWN_KEYS)
            self.assertEqual((row["classification"], row["test_variant"], row["exec"]), ("PASS", "default", "shape"))
            self.assertEqual(row["peak_bytes"], row["planned_bytes"])
            self.assertLess(0, row["peak_bytes"])
            self.assertLessEqual(row["peak_bytes"], row["cap_bytes"])
            self.assertLessEqual(row["peak_device_gb"], row["tier_gb"])
            self.assertEqual(row["duration"], 30)
            self.assertIsNone(row["error"])
            self.assertFalse(row["use_lm"])
            unquantised = row["tier"] in ("tier6b", "unlimited")
            self.assertEqual(row["quantization"], None if unquantised else "int8_weight_only")
            self.assertEqual(row["offload"], not unquantised)

    def test_rows_are_plans(self):
        (row,) = self.rows("--tiers", "12")
        arguments = ("--device", "sim", "--weights", "synthetic:turbo", "-d", "30", "--init-llm", "false", "--json",
                     "--caption", CAPTION, "--lyrics", LYRICS)
        done = self.run_program("plan", *arguments, env={"MAX_CUDA_VRAM": "12"})
        plan = json.loads(done.stdout)
        self.assertEqual(row["peak_bytes"], plan["peak_bytes"])
        self.assertEqual(row["stages"], {s["stage"]: s["peak_bytes"] for s in plan["stages"] if s["peak_bytes"] > 0})
        self.assertEqual((row["tier"], row["vae_chunk"]), (plan["tier"], plan["vae_chunk"]))

    def test_spelled_out(self):
        rows = self.rows("--device", "sim", "--exec", "shape", "--weights", "synthetic", "--config-path", "turbo",
                         "--tiers", "8")
        self.assertEqual([row["classification"] for row in rows], ["PASS"])

    def test_sizes_and_language_model(self):
        rows = self.rows("--tiers", "4,6.5", "24", "--tier-with-lm", "--tier-duration", "900")
        self.assertEqual([(row["tier"], row["use_lm"]) for row in rows],
                         [("tier1", False), ("tier3", True), ("unlimited", True)])
        self.assertEqual([row["lm_model"] for row in rows], [None, "acestep-5Hz-lm-0.6B", "acestep-5Hz-lm-4B"])
        self.assertEqual([row["duration"] for row in rows], [360, 480, 600])
        for row in rows:  # the model itself makes no more than 600 s
            self.assertEqual({clamp["field"] for clamp in row["clamps"]}, {"duration"})
            self.assertEqual([clamp["id"] for clamp in row["clamps"] if clamp["id"]],
                             [] if row["tier"] == "unlimited" else ["W15"])

    def test_compile_is_skipped_only_where_nothing_is_quantised(self):
        rows = self.rows("--tiers", "8", "24", "--tier-skip-compile")
        self.assertEqual([row["compile"] for row in rows], [True, False])

    def test_boundary_table(self):
        done = self.profile("--tiers", "4", "6", "7", "24", "--tier-boundary", "--benchmark-output", "b.json",
                            "--json-summary")
        self.assertEqual(done.returncode, 0, done.stderr.decode())
        text = done.stdout.decode()
        start = text.index("BOUNDARY ANALYSIS")
        self.assertEqual(text[start:].splitlines()[:7], [
            "BOUNDARY ANALYSIS",
            "=================",
            "  Capability                                    Min Tier   VRAM",
            RULE,
            "  No INT8 Quantization                          tier1        4GB",
            "  No CPU Offload (all models on GPU)            tier3        7GB",
            RULE])
        with open(self.path("b.json")) as f:
            *rows, last = json.load(f)
        self.assertEqual([row["test_variant"] for row in rows], 3 * ["default", "no-quant", "no-offload"] + ["default"])
        for row in rows:
            if row["test_variant"] == "no-quant" and row["gen_success"]:
                self.assertIsNone(row["quantization"])
            if row["test_variant"] == "no-offload" and row["gen_success"]:
                self.assertEqual((row["quantization"], row["offload"]), (None, False))
        self.assertEqual([row["classification"] for row in rows if not row["gen_success"]], 2 * ["FAIL oom"])
        self.assertEqual(last["summary"]["no_offload"]["tier"], "tier3")

    def test_batches_stop_at_the_first_failure(self):
        rows = self.rows("--tiers", "2", "8", "--tier-batch-boundary", "--tier-with-lm", "--tier-duration", "600")
        for gb in (2, 8):
            for kind in ("noLM", "LM"):
                found = [row for row in rows if row["tier_gb"] == gb and row["test_variant"].startswith(f"batch-{kind}")]
                if gb == 2 and kind == "LM":
                    self.assertEqual(found, [])
                    continue
                sizes = [row["batch_size"] for row in found]
                self.assertEqual(sizes, [1, 2, 4, 8][:len(sizes)])
                self.assertTrue(all(row["gen_success"] for row in found[:-1]))
                self.assertTrue(len(found) == 4 or not found[-1]["gen_success"])

    def test_batches_with_and_without_the_language_model(self):
        """Both, as the guide says, whether or not the default run has it."""
        for arguments in ((), ("--tier-with-lm",)):
            rows = self.rows("--tiers", "4", "8", "--tier-batch-boundary", *arguments)
            variants = [(row["tier_gb"], row["test_variant"]) for row in rows]
            self.assertEqual(variants, [(4, "default"), *((4, f"batch-noLM-{n}") for n in (1, 2, 4, 8)),
                                        (8, "default"), *((8, f"batch-noLM-{n}") for n in (1, 2, 4, 8)),
                                        *((8, f"batch-LM-{n}") for n in (1, 2, 4, 8))])
            self.assertEqual([row["use_lm"] for row in rows if row["test_variant"] == "default"],
                             [False, bool(arguments)])

    def test_baseline(self):
        self.rows("--tiers", "8", "20", "--benchmark-output", "old.json")
        again = self.profile("--tiers", "8", "20", "--baseline", "old.json")
        self.assertEqual(again.returncode, 0, again.stdout.decode())
        with open(self.path("old.json")) as f:
            old = json.load(f)
        changed = json.loads(json.dumps(old))
        changed[0]["tier_settings"]["max_batch_size_with_lm"] += 1
        changed[1]["components"]["DD"] = int(changed[1]["components"]["DD"] / 1.03)
        changed[1]["components"]["TE"] = int(changed[1]["components"]["TE"] / 1.01)
        with open(self.path("changed.json"), "w") as f:
            json.dump(changed, f)
        caught = self.profile("--tiers", "8", "20", "--baseline", "changed.json")
        self.assertEqual(caught.returncode, FAILED)
        text = caught.stdout.decode()
        self.assertIn("8 GB default: max_batch_size_with_lm was 3, is 2", text)
        self.assertIn("20 GB default: weights of DD", text)
        self.assertIn("2 of 2 runs compared, 2 differences", text)

    def test_a_row_of_the_table_is_told_once(self):
        self.rows("--tiers", "8", "--tier-boundary", "--benchmark-output", "old.json")
        with open(self.path("tiers.json"), "w") as f:
            json.dump({"tier4": {"max_batch_size_with_lm": 4}}, f)
        caught = self.profile("--tiers", "8", "--tier-boundary", "--gpu-tiers", "tiers.json", "--baseline", "old.json")
        self.assertEqual(caught.returncode, FAILED, caught.stderr)
        self.assertIn("3 of 3 runs compared, 1 difference\n", caught.stdout.decode())

    def test_a_pass_must_stay_one(self):
        self.rows("--tiers", "7", "--tier-boundary", "--tier-with-lm", "--benchmark-output", "old.json")
        with open(self.path("old.json")) as f:
            old = json.load(f)
        self.assertFalse(old[2]["gen_success"])
        old[2]["gen_success"] = True
        with open(self.path("old.json"), "w") as f:
            json.dump(old, f)
        arguments = ("--tiers", "7", "--tier-boundary", "--tier-with-lm", "--baseline", "old.json")
        worse = self.profile(*arguments)
        self.assertEqual(worse.returncode, FAILED)
        self.assertIn("7 GB no-offload: gen_success was true, is false", worse.stdout.decode())
        old[0]["gen_success"] = old[2]["gen_success"] = False
        with open(self.path("old.json"), "w") as f:
            json.dump(old, f)
        self.assertEqual(self.profile(*arguments).returncode, 0)

    def test_edited_tier_is_caught(self):
        self.rows("--tiers", "8", "--benchmark-output", "old.json")
        with open(self.path("tiers.json"), "w") as f:
            json.dump({"tier4": {"quantization_default": None}}, f)
        caught = self.profile("--tiers", "8", "--gpu-tiers", "tiers.json", "--baseline", "old.json")
        self.assertEqual(caught.returncode, FAILED, caught.stderr.decode())
        self.assertIn('quantization_default was "int8_weight_only", is null', caught.stdout.decode())

    def test_full_runs_compute(self):
        rows = self.rows("--tiers", "4", "24", "--exec", "full", "--models", GOLDEN, "--tier-duration", "10",
                         "--inference-steps", "1")
        for row in rows:
            self.assertEqual((row["exec"], row["gen_success"]), ("full", True), row["error"])
            self.assertEqual(row["peak_bytes"], row["planned_bytes"])

    def test_refusals(self):
        self.refused(self.profile("--nonsense", "x"), "--nonsense")
        self.refused(self.profile("--device", "cpu"), "simulated cards")
        self.refused(self.profile("--tiers"), "tiers")
        for sizes in (("0",), ("-1",), ("nan",), ("8GB",), ("8", "x"), ("",), map(str, range(4, 37))):
            self.refused(self.profile("--tiers", *sizes), "tiers")
        for seconds in ("long", "0", "-5", "nan", "30s", "1e9"):
            self.refused(self.profile("--tier-duration", seconds), "tier_duration")
        self.refused(self.profile("--baseline"), "--baseline")
        self.refused(self.profile("--benchmark-output", ""), "--benchmark-output")
        self.refused(self.profile("--config-path", "nonsense"), "nonsense")
        self.refused(self.run_program("profile", "--mode", "dream"), "dream")
        with open(self.path("no.json"), "w") as f:
            f.write("{}")
        self.refused(self.profile("--tiers", "8", "--baseline", "no.json"), "no.json")  # before the first run
        self.refused(self.profile("--tiers", "8", "--baseline", "."), "not a regular file", IO)
        self.refused(self.profile("--tiers", "8", "--baseline", "missing.json"), "missing.json", IO)

    def test_options_that_the_test_decides(self):
        """Each says what to do instead; the original would leave them out without a word."""
        for option, instead in (("--duration", "--tier-duration"), ("--batch-size", "--tier-batch-boundary"),
                                ("--max-cuda-vram", "--tiers"), ("--quantization", "--tier-boundary"),
                                ("--offload-to-cpu", "--tier-boundary"), ("--thinking", "--tier-with-lm"),
                                ("--trace", "--mode profile")):
            value = {"--quantization": "none", "--thinking": "true", "--offload-to-cpu": "true"}.get(option, "4")
            self.refused(self.profile(f"{option}={value}"), instead)

    def test_other_options_count(self):
        (row,) = self.rows("--tiers=8", "--config-path", "acestep-v15-base")
        self.assertEqual(row["dit_type"], "synthetic:base")
        (row,) = self.rows("--tiers", "8", "--lm-backend", "pt", "--tier-with-lm")
        self.assertEqual((row["lm_backend"], row["use_lm"]), ("pt", True))
        short, long = (self.rows("--tiers", "8", "--tier-with-lm", "--example", name)[0]["stages"]["lm"]
                       for name in ("1", "5"))
        self.assertNotEqual(short, long)  # other lyrics, another cache of keys
        self.assertEqual(self.rows("--tiers", "4,", "6", "--no-warmup")[1]["tier"], "tier2")

    def test_environment(self):
        def dit_type(env, *arguments):
            done = self.run_program("profile", "--mode", "tier-test", "--tiers", "8", "--json", *arguments, env=env)
            return json.loads(done.stdout)[0]["dit_type"]
        base = {"ACESTEP_CONFIG_PATH": "acestep-v15-base", "ACESTEP_DURATION": "77", "ACESTEP_DEVICE": "cuda"}
        self.assertEqual(dit_type(base), "synthetic:base")
        self.assertEqual(dit_type(base, "--config-path", "sft"), "synthetic:sft")

    def test_nothing_on_the_card_is_no_peak(self):
        """Too small for anything: the CPU would do it all, and its memory is not the card's."""
        (row,) = self.rows("--tiers", "0.5", expected=FAILED)
        self.assertEqual((row["classification"], row["peak_bytes"], row["stages"]), ("FAIL oom", 0, {}))
        self.assertLessEqual(row["peak_bytes"], row["cap_bytes"])

    def test_every_row_stays_below_its_cap(self):
        rows = self.rows("--tiers", "0.5", "1", "2", "3", "5", "7.5", "--tier-boundary", "--tier-batch-boundary",
                         "--tier-with-lm", "--tier-duration", "600", expected=FAILED)
        for row in rows:
            self.assertEqual(row["peak_bytes"], row["planned_bytes"])
            self.assertLessEqual(row["peak_bytes"], row["cap_bytes"])

    def test_full_disk(self):
        done = self.profile("--tiers", "8", "--benchmark-output", "/dev/full")
        self.assertEqual(done.returncode, IO)
        self.assertIn(b"/dev/full", done.stderr)

    def test_killed_in_the_middle(self):
        """What was written stays whole, whenever the end comes."""
        child = subprocess.Popen([PROGRAM, "profile", "--mode", "tier-test", "--tiers", *map(str, range(4, 30)),
                                  "--tier-boundary", "--benchmark-output", "part.json"], cwd=self.folder,
                                 env=environment(), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        deadline = time.monotonic() + 60
        while not os.path.exists(self.path("part.json")) and time.monotonic() < deadline:
            time.sleep(0.001)
        child.kill()
        child.wait(timeout=60)
        with open(self.path("part.json")) as f:
            self.assertLessEqual(1, len(json.load(f)))

    def test_two_at_once(self):
        alone = self.rows("--tiers", "4", "24", "--exec", "full", "--models", GOLDEN, "--tier-duration", "10")
        command = [PROGRAM, "profile", "--mode", "tier-test", "--tiers", "4", "24", "--exec", "full", "--models", GOLDEN,
                   "--tier-duration", "10", "--json"]
        pair = [subprocess.Popen(command, cwd=self.folder, env=environment(), stdout=subprocess.PIPE) for _ in range(2)]
        for child in pair:
            rows = json.loads(child.communicate(timeout=120)[0])
            self.assertEqual([row["peak_bytes"] for row in rows], [row["peak_bytes"] for row in alone])

    def test_interrupt_keeps_what_was_measured(self):
        sizes = [str(4 + i) for i in range(32)]
        child = subprocess.Popen([PROGRAM, "profile", "--mode", "tier-test", "--tiers", *sizes, "--exec", "full",
                                  "--models", GOLDEN, "--benchmark-output", "part.json"], cwd=self.folder,
                                 env=environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        deadline = time.monotonic() + 60
        while not os.path.exists(self.path("part.json")) and time.monotonic() < deadline:
            time.sleep(0.02)
        child.send_signal(signal.SIGINT)
        out, _ = child.communicate(timeout=60)
        self.assertEqual(child.returncode, CANCELLED)
        with open(self.path("part.json")) as f:
            kept = json.load(f)
        self.assertTrue(1 <= len(kept) < len(sizes))
        self.assertIn(f"runs {len(kept)}, passed {len(kept)}, failed 0", out.decode())


if __name__ == "__main__":
    unittest.main(argv=[sys.argv[0]] + sys.argv[2:])
