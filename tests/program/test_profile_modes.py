#!/usr/bin/env python3
"""The modes of `acestep profile` that run on one device: profile, benchmark, understand, create_sample,
format_sample.

usage: test_profile_modes.py PATH/TO/acestep [unittest options]"""
import json
import os
import re
import signal
import subprocess
import sys
import time
import unittest

from test_program import ARGUMENT, CANCELLED, FAILED, GOLDEN, IO, PROGRAM, ProgramTest, environment

UNSUPPORTED = 6
SMALL = ("--models", GOLDEN, "--precision", "f32", "--duration", "10")
TIMES = {"lm_phase1_time", "lm_phase2_time", "lm_total_time", "dit_encoder_time_cost", "dit_diffusion_time_cost",
         "dit_diffusion_per_step_time_cost", "dit_vae_decode_time_cost", "dit_offload_time_cost",
         "dit_total_time_cost", "audio_save_time", "pipeline_total_time"}
RUN_KEYS = {"config", "wall_time", "success", "error", "lm_time", "dit_time", "vae_time", "n_audios", "time_costs"}
DETAILED = "profile_cprofile_detailed.txt"


class Modes(ProgramTest):
    def profile(self, *arguments, expected=0):
        done = self.run_program("profile", *arguments)
        self.assertEqual(done.returncode, expected, done.stderr.decode())
        return done

    def json_of(self, *arguments):
        return json.loads(self.profile("--json", *arguments).stdout)

    def one_line(self, words, code, *arguments):
        done = self.profile(*arguments, expected=code)
        lines = done.stderr.decode().splitlines()
        self.assertEqual(len(lines), 1, lines)
        self.assertIn(words, lines[0])
        self.assertEqual(done.stdout, b"")

    # ---- one song

    def test_times_of_a_song(self):
        found = self.json_of(*SMALL, "--thinking", "--no-warmup", "--exec", "full")
        times = found["timings"]
        self.assertEqual(set(times), TIMES)
        self.assertEqual(times["pipeline_total_time"], found["wall_time"])
        self.assertAlmostEqual(times["dit_diffusion_per_step_time_cost"] * 8, times["dit_diffusion_time_cost"])
        parts = sum(times[f"dit_{part}_time_cost"] for part in ("encoder", "diffusion", "vae_decode", "offload"))
        self.assertAlmostEqual(parts, times["dit_total_time_cost"])
        self.assertLess(times["dit_total_time_cost"] + times["lm_total_time"], found["wall_time"])
        self.assertLess(0, times["lm_phase2_time"])
        phases = found["result"]["lm"][0]["phases"]
        self.assertEqual(phases["codes"]["tokens"], 51)  # 5 codes a second, and the end
        for phase in phases.values():
            spent = sum(phase[part] for part in ("network", "constrained_decoding", "guidance", "sampling"))
            self.assertLessEqual(spent, phase["seconds"])
        self.assertLess(0, phases["codes"]["guidance"])
        measured, planned = found["result"]["measured"], found["result"]["plan"]
        self.assertEqual(measured["peak_bytes"], planned["peak_bytes"])
        for stage in measured["stages"]:
            self.assertEqual(stage["allocations"] > 0, stage["stage"] != "load", stage["stage"])
        config = found["config"]
        self.assertEqual((config["mode"], config["device"], config["exec"], config["warmup"]),
                         ("profile", "cpu", "full", False))

    def test_table_and_insight(self):
        text = self.profile(*SMALL, "--thinking", "--llm-debug", "--no-warmup").stdout.decode()
        for words in ("mode           profile", "LM total", "DiT total", "each of 8 steps", "VAE decode", "audio save",
                      "constrained decoding", "CFG overhead", "tokens/s", "as planned to the byte", "100.0 %",
                      "warm-up        false"):
            self.assertIn(words, text)
        alone = self.profile(*SMALL, "--no-warmup").stdout.decode()
        self.assertNotIn("LM total", alone)
        self.assertIn("no language model", alone)

    def test_nothing_is_left_behind(self):
        self.profile(*SMALL, "--no-warmup", "--max-cuda-vram", "6")
        self.assertEqual(os.listdir(self.folder), [])
        self.profile(*SMALL, "--no-warmup", "--output", "kept.wav")
        self.assertIn("kept.wav", os.listdir(self.folder))

    def test_detailed(self):
        text = self.profile("--no-warmup", "--detailed", *SMALL).stdout.decode()
        shown = text[text.index("Operations that take longest"):text.index("Memory on the device")].splitlines()[2:]
        self.assertEqual(len([line for line in shown if line.startswith("  ")]), 21)  # and the line about the others
        with open(self.path(DETAILED)) as f:
            lines = f.read().splitlines()
        self.assertLess(40, len(lines))
        self.assertIn("share", lines[0])
        self.assertRegex(lines[1], r"\d+ % (f32|memory)")

    @staticmethod
    def tallest(svg):
        """Bytes of the highest column of a picture."""
        columns = {}
        for x, size in re.findall(r'<rect x="(\d+)" [^>]*data-bytes="(\d+)"', svg):
            columns[x] = columns.get(x, 0) + int(size)
        return max(columns.values())

    def test_timeline(self):
        done = self.run_program("profile", *SMALL, "--no-warmup", "--timeline", "memory.svg", "--max-cuda-vram", "4")
        self.assertEqual(done.returncode, 0, done.stderr)
        text = done.stdout.decode()
        picture = text[text.index("Memory on the device"):]
        self.assertRegex(picture, r"\| *w+")
        self.assertIn("audio decoder (VD)", picture)
        self.assertRegex(picture, r"\|audio decoder +\|\n")  # where it stands in time
        with open(self.path("memory.svg")) as f:
            svg = f.read()
        bands = {}
        for x, width, stage in re.findall(r'<rect x="(\d+)" [^>]*width="(\d+)"[^>]*><title>([^,]*),', svg):
            bands.setdefault(stage, []).append((int(x), int(width)))
        self.assertLessEqual({"diffusion", "vae"}, set(bands))
        # many changes in one span of time: the largest is drawn
        self.profile(*SMALL, "--no-warmup", "--exec", "shape", "--timeline", "shape.svg", "--max-cuda-vram", "4")
        peak = self.json_of(*SMALL, "--no-warmup", "--max-cuda-vram", "4")["result"]["measured"]["peak_bytes"]
        self.assertEqual(self.tallest(svg), peak)
        with open(self.path("shape.svg")) as f:
            shape = f.read()
        self.assertEqual(self.tallest(shape), peak)
        self.assertIn(">audio decoder</text>", svg)
        self.assertEqual(("nothing computed" in svg, "nothing computed" in shape), (False, True))
        done = self.profile(*SMALL, "--exec", "shape", "--no-warmup", "--timeline", "no/memory.svg", expected=IO)
        self.assertIn("no/memory.svg", done.stderr.decode())

    def test_examples(self):
        captions = set()
        for name in ("example_01.json", "example_02", "3", "4", "05", "example_06.json"):
            found = self.json_of("--example", name, *SMALL, "--exec", "shape", "--no-warmup")
            captions.add(json.dumps(found["result"]["outputs"]) + found["config"]["dit"] + name)
        self.assertEqual(len(captions), 6)
        self.one_line("example_05.json", ARGUMENT, "--example", "example_99.json")
        self.one_line("none.json", IO, "--example", "./none.json")
        with open(self.path("mine.json"), "w") as f:
            json.dump({"caption": "mine", "duration": 12}, f)
        found = self.json_of("--example", "mine.json", "--models", GOLDEN, "--exec", "shape", "--no-warmup")
        self.assertEqual(found["result"]["outputs"][0]["seconds"], 12)

    def test_downloaded_models_are_used(self):
        os.mkdir(self.path("acestep"))
        os.symlink(GOLDEN, self.path("acestep", "models"))
        done = self.run_program("profile", "--exec", "shape", "--no-warmup", "--duration", "10",
                                env={"XDG_DATA_HOME": self.folder})
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertRegex(done.stdout.decode(), r"LM +acestep-5Hz-lm-0.6B\n")

    def test_refusals(self):
        self.one_line("tier-test", ARGUMENT, "--mode", "dream")
        self.one_line("--mode", ARGUMENT, "--mode")
        self.one_line("--example", ARGUMENT, "--example")
        for name in ("fp8_weight_only", "w8a8_dynamic"):
            self.one_line(name + " is not supported", UNSUPPORTED, "--quantization", name)
            self.one_line(name + " is not supported", UNSUPPORTED, f"--quantization={name}")
        self.one_line("nonsense", ARGUMENT, "--nonsense")
        with open(self.path("bad.json"), "w") as f:
            f.write("no JSON")
        self.one_line("bad.json", ARGUMENT, "--example", "bad.json")
        self.one_line("Is a directory", IO, "--example", ".")

    def test_options_of_other_modes(self):
        for mode, option in (("profile", "--tiers=8"), ("profile", "--tier-boundary"), ("profile", "--baseline=x"),
                             ("profile", "--benchmark-output=x"), ("benchmark", "--timeline=x.svg"),
                             ("benchmark", "--detailed"), ("tier-test", "--llm-debug"), ("understand", "--example=1")):
            self.one_line(option.split("=")[0] + " belongs to --mode", ARGUMENT, f"--mode={mode}", option)
        self.assertEqual(os.listdir(self.folder), [])

    def test_values_in_the_same_word(self):
        runs = self.json_of("--mode=benchmark", "--benchmark-output=runs.json", *SMALL[:4], "--exec=shape",
                            "--max-cuda-vram=4")
        with open(self.path("runs.json")) as f:
            self.assertEqual(json.load(f), runs)

    def test_warnings_are_said_once(self):
        done = self.profile(*SMALL, "--exec", "shape", "--lm-backend", "nonsense", "--thinking")
        self.assertEqual(done.stderr.decode().count("W04"), 1, done.stderr)

    def test_full_disk(self):
        for arguments in (("--no-warmup", *SMALL), ("--no-warmup", "--json", *SMALL),
                          ("--mode", "tier-test", "--tiers", "8"), ("--help",)):
            with open("/dev/full", "w") as full:
                done = subprocess.run([PROGRAM, "profile", *arguments], cwd=self.folder, env=environment(),
                                      stdout=full, stderr=subprocess.PIPE, timeout=120)
            self.assertEqual((done.returncode, done.stderr.decode().count("\n")), (IO, 1), done.stderr)
            self.assertIn(b"stdout", done.stderr)
        for option in ("--timeline", "--trace-mem"):
            done = self.run_program("profile", *SMALL, "--no-warmup", "--max-cuda-vram", "4", option, "/dev/full")
            self.assertEqual(done.returncode, IO if option == "--timeline" else 0)  # a song is worth more than a trace
            self.assertIn(b"No space left", done.stderr)

    def test_reader_who_leaves(self):
        child = subprocess.Popen([PROGRAM, "profile", "--mode", "tier-test"], cwd=self.folder, env=environment(),
                                 stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        child.stdout.close()
        self.assertEqual((child.stderr.read(), child.wait(timeout=60)), (b"", 0))
        child.stderr.close()

    # ---- the language model alone

    def test_words(self):
        for mode, options in (("create_sample", ()), ("format_sample", ()),
                              ("understand", ("--audio-codes", "1,2,3,4,5,6,7,8,9,10"))):
            found = self.json_of("--mode", mode, *SMALL, *options)
            self.assertTrue(found["success"])
            self.assertLess(0, found["wall_time"])
            self.assertLess(0, found["result"]["acestep"]["phases"]["words"]["tokens"])
            text = self.profile("--mode", mode, *SMALL, *options, "--llm-debug").stdout.decode()
            for words in ("success          yes", "bpm", "time signature", "language", "instrumental", "tokens/s"):
                self.assertIn(words, text)

    def test_words_need_the_language_model(self):
        for mode in ("create_sample", "format_sample"):
            self.one_line("language model", FAILED, "--mode", mode)
        self.one_line("language model", FAILED, "--mode", "understand", "--audio-codes", "1,2,3")
        self.one_line("src_audio", ARGUMENT, "--mode", "understand", *SMALL)

    # ---- the matrix

    def test_matrix_within_the_limits(self):
        runs = self.json_of("--mode", "benchmark", "--weights", "synthetic", "--exec", "shape", "--max-cuda-vram",
                            "8", "--benchmark-output", "runs.json")
        with open(self.path("runs.json")) as f:
            self.assertEqual(json.load(f), runs)
        points = [tuple(run["config"][key] for key in ("duration", "batch_size", "thinking", "inference_steps"))
                  for run in runs]
        # turbo makes 8 steps whatever is asked; tier 4 thinks for two songs and makes four without
        self.assertEqual(points, [(duration, batch, thinking, 8) for duration in (30, 60, 120, 240)
                                  for batch in (1, 2, 4) for thinking in (False, True) if not (thinking and batch == 4)])
        for run in runs:
            self.assertEqual(set(run), RUN_KEYS)
            self.assertEqual((run["success"], run["error"], run["n_audios"]), (True, None, run["config"]["batch_size"]))
            self.assertEqual(set(run["time_costs"]), TIMES)
        base = self.json_of("--mode", "benchmark", "--weights", "synthetic:base", "--exec", "shape", "--max-cuda-vram",
                            "4", "--no-warmup")
        self.assertEqual({run["config"]["inference_steps"] for run in base}, {8, 16})
        self.assertEqual({run["config"]["batch_size"] for run in base}, {1})

    def test_matrix_is_never_empty(self):
        with open(self.path("short.json"), "w") as f:
            json.dump({"tier1": {"max_duration_with_lm": 20, "max_duration_without_lm": 20}}, f)
        runs = self.json_of("--mode", "benchmark", "--weights", "synthetic", "--exec", "shape", "--max-cuda-vram",
                            "4", "--gpu-tiers", "short.json")
        self.assertEqual([(run["config"]["duration"], run["success"]) for run in runs], [(30, True)])

    def test_failures_are_rows(self):
        done = self.profile("--mode", "benchmark", *SMALL[:4], "--exec", "shape", "--max-cuda-vram", "8",
                            "--sim-fail-alloc", "diffusion:*", "--benchmark-output", "runs.json", expected=FAILED)
        text = done.stdout.decode()
        self.assertIn("FAIL ", text)
        with open(self.path("runs.json")) as f:
            runs = json.load(f)
        self.assertTrue(all(not run["success"] and run["error"] for run in runs))
        self.assertIn(f"{len(runs)} of {len(runs)} runs, 0 OK, {len(runs)} failed", text)
        done = self.profile("--mode", "benchmark", *SMALL[:4], "--exec", "shape", "--no-warmup", "--benchmark-output",
                            "no/runs.json", expected=IO)
        self.assertIn("no/runs.json", done.stderr.decode())

    def interrupted(self, *arguments, until, times=1):
        """What a run leaves on stdout that is interrupted once the trace of its memory has `until` so often."""
        if os.path.exists(self.path("memory.jsonl")):
            os.remove(self.path("memory.jsonl"))
        child = subprocess.Popen([PROGRAM, "profile", *SMALL[:4], "--duration", "80", "--trace-mem", "memory.jsonl",
                                  *arguments], cwd=self.folder, env=environment(), stdout=subprocess.PIPE,
                                 stderr=subprocess.PIPE)
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            if os.path.exists(self.path("memory.jsonl")):
                with open(self.path("memory.jsonl")) as f:
                    if f.read().count(until) >= times:
                        break
            time.sleep(0.02)
        child.send_signal(signal.SIGINT)
        out, err = child.communicate(timeout=120)
        self.assertEqual((child.returncode, err.decode()), (CANCELLED, "acestep: cancelled\n"))
        return out.decode()

    def test_interrupted_song(self):
        """The stages until then are shown, and the trace and the picture are whole."""
        text = self.interrupted("--no-warmup", "--trace", "cut.trace.json", "--timeline", "cut.svg",
                                until='"stage":"vae","step":-1,"component":"work","event":"alloc"')
        self.assertIn("interrupted: this was measured until then", text)
        self.assertRegex(text, r"(?m)^  diffusion +\d")
        with open(self.path("cut.trace.json")) as f:
            names = {event["name"] for event in json.load(f)["traceEvents"] if event["ph"] == "X"}
        self.assertIn("diffusion", names)
        with open(self.path("cut.svg")) as f:
            self.assertTrue(f.read().endswith("</svg>\n"))
        text = self.interrupted(until='"event":"plan"', times=2)
        self.assertIn("interrupted: this was measured in the warm-up", text)
        self.assertIn("as planned to the byte", text)
        found = json.loads(self.interrupted("--no-warmup", "--json", until='"stage":"vae"'))
        self.assertEqual((found["interrupted"], found["insight"], found["result"]["outputs"]), (True, None, []))
        self.assertIn("diffusion", [stage["stage"] for stage in found["result"]["measured"]["stages"]])

    def test_interrupt_keeps_what_was_measured(self):
        child = subprocess.Popen([PROGRAM, "profile", "--mode", "benchmark", *SMALL[:4], "--benchmark-output",
                                  "part.json", "--no-warmup"], cwd=self.folder, env=environment(),
                                 stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        deadline = time.monotonic() + 60
        while not os.path.exists(self.path("part.json")) and time.monotonic() < deadline:
            time.sleep(0.02)
        child.send_signal(signal.SIGINT)
        out, _ = child.communicate(timeout=120)
        self.assertEqual(child.returncode, CANCELLED)
        with open(self.path("part.json")) as f:
            kept = json.load(f)
        self.assertLessEqual(1, len(kept))
        self.assertIn(f"{len(kept)} of ", out.decode())


if __name__ == "__main__":
    unittest.main(argv=[sys.argv[0]] + sys.argv[2:])
