#!/usr/bin/env python3
"""Fitting the card, from outside: every sentence of the GPU Compatibility Guide that a command can show,
on simulated cards. Names like R12 number those sentences in the order of the guide.

usage: test_card.py PATH/TO/acestep [unittest options]"""
import json
import os
import random
import shutil
import struct
import sys
import unittest

from test_program import GOLDEN, PARTS, TURBO, ProgramTest, read_safetensors, write_safetensors

GB = 1 << 30
# key, LM sizes, recommended, backend, seconds with and without LM, songs with and without, offload, INT8
GUIDE = {
    4: ("tier1", (), "", "pt", 240, 360, 1, 1, (True, True), True),
    6: ("tier2", (), "", "pt", 480, 600, 1, 1, (True, True), True),
    7: ("tier3", ("0.6B",), "0.6B", "pt", 480, 600, 1, 2, (True, True), True),
    8: ("tier4", ("0.6B",), "0.6B", "vllm", 480, 600, 2, 4, (True, True), True),
    12: ("tier5", ("0.6B", "1.7B"), "1.7B", "vllm", 480, 600, 2, 4, (True, False), True),
    16: ("tier6a", ("0.6B", "1.7B"), "1.7B", "vllm", 480, 600, 4, 8, (True, False), True),
    20: ("tier6b", ("0.6B", "1.7B", "4B"), "1.7B", "vllm", 480, 480, 4, 8, (False, False), False),
    24: ("unlimited", ("0.6B", "1.7B", "4B"), "4B", "vllm", 600, 600, 8, 8, (False, False), False),
}
BOUNDARIES = {0: "tier1", 0.5: "tier1", 4.01: "tier2", 6.01: "tier3", 7.99: "tier3", 8.01: "tier4",
              11.99: "tier4", 15.49: "tier5", 15.5: "tier6a", 19.99: "tier6a", 20: "tier6b",
              23.99: "tier6b", 48: "unlimited"}


def lm_name(size):
    return "acestep-5Hz-lm-" + size if size else ""


class CardTest(ProgramTest):
    def info(self, gb, *options):
        done = self.run_program("info", "--json", *options, env={"MAX_CUDA_VRAM": str(gb)})
        self.assertEqual(done.returncode, 0, done.stderr.decode())
        return json.loads(done.stdout)

    def shape(self, gb, *options, env=None):
        """The whole schedule at published sizes; the result with its trace."""
        trace = self.path("trace.jsonl")
        if "--thinking" not in options:
            options = ("--thinking", "false", *options)
        done = self.run_program("generate", "--exec", "shape", "--weights", "synthetic", "--trace-mem",
                                trace, "--caption", "c", "--lyrics", "l", "--json", *options,
                                env={"MAX_CUDA_VRAM": str(gb), **(env or {})})
        self.assertEqual(done.returncode, 0, done.stderr.decode())
        result = json.loads(done.stdout)
        with open(trace, encoding="utf-8") as f:
            result["trace"] = [json.loads(row) for row in f]
        return result

    def ids(self, result):
        for warning in result["warnings"]:
            self.assertTrue(warning["reason"] and warning["used"], warning)
        return [warning["id"] for warning in result["warnings"]]


class Tiers(CardTest):
    def test_rows(self):  # R1-R10, R13, R14, R19, R26, R27, R44, R58-R63
        for gb, row in GUIDE.items():
            key, sizes, best, backend, long_lm, long, songs_lm, songs, offload, int8 = row
            found = self.info(gb, "--weights", "synthetic")
            with self.subTest(gb=gb):
                self.assertEqual(found["tier"], key)
                limits = found["limits"]
                self.assertEqual((limits["max_duration_with_lm"], limits["max_duration_without_lm"],
                                  limits["max_batch_size_with_lm"], limits["max_batch_size_without_lm"]),
                                 (long_lm, long, songs_lm, songs))
                defaults = found["defaults"]
                self.assertEqual(defaults["available_lm_models"], [lm_name(s) for s in sizes])
                self.assertEqual(defaults["recommended_lm_model"], lm_name(best))
                self.assertEqual(defaults["recommended_backend"], backend)
                self.assertEqual(defaults["lm_backend_restriction"],
                                 "all" if backend == "vllm" else "pt_mlx_only")
                self.assertEqual((defaults["offload_to_cpu_default"],
                                  defaults["offload_dit_to_cpu_default"]), offload)
                self.assertEqual(defaults["quantization_default"], "int8_weight_only" if int8 else None)
                self.assertTrue(defaults["compile_model_default"])
                self.assertEqual(defaults["init_lm_default"], bool(sizes))
                self.assertEqual(found["source"], "detected")

    def test_boundaries(self):  # R11
        for gb, key in BOUNDARIES.items():
            self.assertEqual(self.info(gb)["tier"], key, gb)

    def test_controls(self):  # R20-R28
        for gb, row in GUIDE.items():
            key, sizes, best, backend, long_lm, long, songs_lm, songs, offload, int8 = row
            c = self.info(gb, "--weights", "synthetic")["controls"]
            with self.subTest(gb=gb):
                self.assertEqual((c["init_llm"]["value"], c["init_llm"]["disabled"]),
                                 (bool(sizes), not sizes))
                self.assertEqual(c["lm_model_path"]["value"], lm_name(best))
                self.assertEqual(c["lm_model_path"]["choices"], [lm_name(s) for s in sizes])
                self.assertEqual(c["backend"]["value"], backend)
                self.assertEqual(c["backend"]["choices"],
                                 ["vllm", "pt", "mlx"] if backend == "vllm" else ["pt", "mlx"])
                self.assertEqual((c["offload_to_cpu"]["value"], c["offload_dit_to_cpu"]["value"]), offload)
                self.assertEqual(c["quantization"]["value"], "int8_weight_only" if int8 else "none")
                self.assertTrue(c["compile_model"]["value"])
                self.assertTrue(c["use_flash_attention"]["disabled"])
                self.assertEqual(c["duration"]["max"], long_lm if sizes else long)
                most = songs_lm if sizes else songs
                self.assertEqual((c["batch_size"]["max"], c["batch_size"]["value"]), (most, min(2, most)))

    def test_only_compatible_models_are_listed(self):  # R23
        for name in ("0.6B", "0.6B-v4-fix", "1.7B", "4B"):
            os.makedirs(self.path("models", lm_name(name)))
        c = self.info(7, "--models", self.path("models"))["controls"]["lm_model_path"]
        self.assertEqual(c["choices"], [lm_name("0.6B"), lm_name("0.6B-v4-fix")])

    def test_editable_table(self):  # R47
        with open(self.path("tiers.json"), "w", encoding="utf-8") as f:
            json.dump({"tier4": {"max_batch_size_with_lm": 3}}, f)
        found = self.info(8, "--gpu-tiers", self.path("tiers.json"))
        self.assertEqual(found["limits"]["max_batch_size_with_lm"], 3)
        with open(self.path("tiers.json"), "w", encoding="utf-8") as f:
            f.write('{"tier4": {"max_batch": "many"}}')
        self.refused(2, "info", "--gpu-tiers", self.path("tiers.json"), says=("tier4", "max_batch"))

    def test_bad_variable(self):
        found = self.info("lots")
        self.assertEqual(self.ids(found), ["B.1"])
        self.assertFalse(found["device"]["simulated"])

    def test_length_that_the_language_model_may_choose(self):  # R42
        for gb, most in ((4, 240), (8, 480), (24, 600)):
            done = self.run_program("probe", "--dump-constraint", "duration",
                                    env={"MAX_CUDA_VRAM": str(gb)})
            found = json.loads(done.stdout)
            self.assertEqual((found["minimum"], found["maximum"]), (10, most))

    def test_chunk_table(self):  # R36
        done = self.run_program("plan", "--vae-chunk-table", "--json")
        self.assertEqual([(row["free_gb"], row["chunk"]) for row in json.loads(done.stdout)],
                         [(9, 1536), (6, 1024), (3, 512), (1.5, 256), (0.7, 128), (0.3, 64)])


class Plans(CardTest):
    def test_plan_is_what_happens(self):
        for gb in GUIDE:
            for model in ("turbo", "base"):
                for seconds in ("30", "600"):
                    result = self.shape(gb, "--model", model, "-d", seconds)
                    with self.subTest(gb=gb, model=model, seconds=seconds):
                        plan, found = result["plan"], result["measured"]
                        self.assertEqual(plan["peak_bytes"], found["peak_bytes"])
                        self.assertEqual(plan["host_to_device_bytes"], found["host_to_device_bytes"])
                        self.assertLessEqual(found["peak_bytes"], (gb - 0.5) * GB)
                        self.assertEqual(result["tier"], GUIDE[gb][0])
                        self.assertEqual(max(row["high_water"] for row in result["trace"]),
                                         found["peak_bytes"] - found["workspace_bytes"])

    def test_language_model(self):  # R40, R43, R51, R53
        for gb, row in GUIDE.items():
            result = self.shape(gb, "--thinking", "-d", "600", "--batch-size", "8")
            with self.subTest(gb=gb):
                stages = [stage["stage"] for stage in result["measured"]["stages"]]
                self.assertEqual("lm" in stages, bool(row[1]))
                self.assertEqual(result["plan"]["peak_bytes"], result["measured"]["peak_bytes"])
                self.assertLessEqual(result["measured"]["peak_bytes"], (gb - 0.5) * GB)
                limit, songs = (row[4], row[6]) if row[1] else (row[5], row[7])
                self.assertEqual([song["seconds"] for song in result["outputs"]], [limit] * songs)
                self.assertEqual(result["plan"]["lm_backend"], row[3])

    def test_copies_of_a_small_card(self):
        result = self.shape(7, "--thinking", "-d", "480")
        self.assertEqual(result["plan"]["host_to_device_bytes"],
                         result["measured"]["host_to_device_bytes"])
        # 4.4 GB of weights once, and what a token of the language model sends
        self.assertLessEqual(result["measured"]["host_to_device_bytes"], 4.55 * GB)

    def test_plan_comes_first(self):  # R31
        trace = self.shape(8)["trace"]
        events = [row["event"] for row in trace]
        self.assertLess(events.index("plan"), events.index("h2d"))

    def test_nothing_stays_with_cpu_and_dit(self):  # R15, R16
        for gb in (4, 8):
            trace = self.shape(gb)["trace"]
            allowed = {"TE": "text", "CE": "condition", "DD": "diffusion", "VD": "vae"}
            for row in trace:
                if row["event"] == "alloc" and row["component"] in allowed:
                    self.assertEqual(row["stage"], allowed[row["component"]], row)
            whole = sum(row["bytes"] for row in trace
                        if row["event"] == "h2d" and row["component"] == "DD")
            steps = [row for row in trace if row["event"] == "step"]
            self.assertEqual(len(steps), 8)
            for row in steps:
                self.assertLess(row["component_bytes"], whole)
            self.assertEqual(trace[-1]["in_use"], 0)

    def test_window_of_layers(self):  # R16: the rolling window, and its copies
        result = self.shape(4, "--offload-dit-window", "3")
        steps = [row["component_bytes"] for row in result["trace"] if row["event"] == "step"]
        whole = self.shape(4)["plan"]
        self.assertEqual(result["plan"]["dit_window"], 3)
        self.assertLess(max(steps), 0.25 * 1.47 * GB)
        self.assertGreater(result["plan"]["host_to_device_bytes"], whole["host_to_device_bytes"])

    def test_dit_stays_with_cpu(self):  # R17
        trace = self.shape(12)["trace"]
        self.assertFalse([row for row in trace if row["event"] == "evict" and row["component"] == "DD"])
        for component, stage in (("TE", "text"), ("VD", "vae")):
            rows = [row for row in trace if row["component"] == component]
            self.assertTrue(all(row["stage"] == stage for row in rows))
            self.assertEqual(rows[-1]["event"], "evict")

    def test_everything_stays_with_none(self):  # R18
        trace = self.shape(24)["trace"]
        self.assertNotIn("evict", [row["event"] for row in trace])
        self.assertEqual({row["stage"] for row in trace if row["event"] == "alloc" and
                          row["component"] != "work"}, {"load"})

    def test_cap_is_hard(self):  # R64
        result = self.shape(4, "--force-config", "--quantization", "none", "--offload-to-cpu", "false")
        self.assertLessEqual(result["measured"]["peak_bytes"], 3.5 * GB)
        self.assertIn("W10", self.ids(result))

    def test_unlimited(self):  # R56
        result = self.shape(24, "-d", "600", "--batch-size", "8")
        self.assertEqual((result["plan"]["offload"], result["plan"]["quantization"]), ("none", None))
        self.assertEqual(len(result["outputs"]), 8)
        self.assertEqual(result["warnings"], [])


class Choices(CardTest):
    def test_limits(self):  # R37, R38
        result = self.shape(4, "-d", "599", "--batch-size", "8")
        self.assertEqual(self.ids(result), ["W16", "W15"])
        self.assertEqual(result["outputs"][0]["seconds"], 360)
        self.assertEqual(len(result["outputs"]), 1)
        self.assertEqual(len(self.shape(7, "--batch-size", "8")["outputs"]), 2)

    def test_limits_exact(self):
        result = self.shape(4, "-d", "600", "--batch-size", "8", "--limits", "exact",
                            "--quantization", "none")
        self.assertEqual(result["warnings"], [])
        self.assertEqual((len(result["outputs"]), result["plan"]["quantization"]), (8, None))
        self.assertLess(result["plan"]["dit_window"], 24)
        two = self.shape(2, "-d", "600", "--limits", "exact")
        self.assertLessEqual(two["measured"]["peak_bytes"], 1.5 * GB)

    def test_mandatory_on_the_smallest(self):  # R49
        result = self.shape(6, "--quantization", "none", "--offload-to-cpu", "false")
        self.assertEqual(sorted(self.ids(result)), ["W09", "W10"])
        self.assertEqual((result["plan"]["offload"], result["plan"]["quantization"]),
                         ("cpu+dit", "int8_weight_only"))

    def test_honoured_where_it_fits(self):  # R45, R55
        result = self.shape(8, "--offload-to-cpu", "false", "--quantization", "none", "--backend", "pt",
                            "--vae-chunk", "256")
        self.assertEqual(result["warnings"], [])
        self.assertEqual((result["plan"]["offload"], result["plan"]["quantization"]), ("none", None))
        for quantization in ("none", "int8_weight_only"):
            self.assertEqual(self.shape(20, "--quantization", quantization)["warnings"], [])

    def test_backends(self):  # R14, R30
        result = self.shape(6, "--init-llm", "true", "--backend", "vllm")
        self.assertEqual(self.ids(result), ["W05", "W01"])
        self.assertEqual(result["plan"]["lm_backend"], "pt")
        self.assertEqual(self.ids(self.shape(12, "--backend", "mlx")), ["W03"])
        self.assertEqual(self.ids(self.shape(12, "--backend", "fast")), ["W04"])

    def test_language_models(self):  # R12
        for gb, row in GUIDE.items():
            for size in ("0.6B", "1.7B", "4B"):
                result = self.shape(gb, "--init-llm", "true", "--lm-model-path", lm_name(size))
                with self.subTest(gb=gb, size=size):
                    self.assertEqual("W06" in self.ids(result), size not in row[1])

    def test_compile_and_attention(self):  # R28, R41
        result = self.shape(8, "--compile-model", "false", "--use-flash-attention", "true")
        self.assertEqual(self.ids(result), ["W11", "W13"])
        self.assertTrue(result["plan"]["compile_model"])

    def test_dit_offload_needs_cpu_offload(self):
        self.assertIn("W12", self.ids(self.shape(24, "--offload-dit-to-cpu", "true")))

    def test_missing_device(self):
        self.assertIn("W14", self.ids(self.info(8, "--device", "mps")))

    def test_guard(self):  # R32
        options = ("--model", "base", "--guidance-scale", "7", "-d", "600", "--batch-size", "8",
                   "--limits", "exact")
        for used in ("5", "6", "6.3"):
            result = self.shape(8, *options, env={"ACESTEP_SIM_USED_GB": used})
            split = result["plan"]["device_batch"]
            self.assertEqual(len(result["outputs"]), 8)
            self.assertEqual("W20" in self.ids(result), split < 8)
            self.assertLessEqual(result["measured"]["peak_bytes"], (7.25 - float(used)) * GB)
            less = self.shape(8, *options, "--vram-guard", "reduce", env={"ACESTEP_SIM_USED_GB": used})
            self.assertEqual(len(less["outputs"]), less["plan"]["device_batch"])
        self.assertLess(split, 8)

    def test_nothing_fits(self):
        result = self.shape(8, env={"ACESTEP_SIM_USED_GB": "7.4"})
        self.assertIn("W23", self.ids(result))
        self.assertEqual(result["plan"]["device"], "cpu")


class Fallbacks(CardTest):
    def song(self, gb, *options, env=None, code=0):
        done = self.run_program("generate", "--models", GOLDEN, "-d", "6", "--seed", "5", "--caption", "c",
                                "--file-tags", "none", "--no-sidecar", "-o", self.path("song.wav"), "-y",
                                "--vae-chunk", "152", "--json", *options,
                                env={"MAX_CUDA_VRAM": str(gb), **(env or {})})
        self.assertEqual(done.returncode, code, done.stderr.decode())
        if code != 0:
            return None, done.stderr.decode()
        with open(self.path("song.wav"), "rb") as f:
            return json.loads(done.stdout), f.read()

    def test_three_ways_to_decode(self):  # R33-R35, R50
        for gb in (4, 24):
            sounds = {}
            for fail, tier in (("", "A"), ("vae:1", "B"), ("vae:*", "C")):
                result, sound = self.song(gb, env={"ACESTEP_SIM_FAIL_ALLOC": fail})
                sounds[tier] = sound
                self.assertEqual(result["measured"]["vae_tier"], tier)
                wanted = {"A": set(), "B": {"W21"}, "C": {"W21", "W22"}}[tier]
                self.assertTrue(wanted <= set(self.ids(result)))
            self.assertEqual(len({sounds[tier] for tier in sounds}), 1)

    def test_refused_memory(self):
        result, whole = self.song(8)
        again, sound = self.song(8, env={"ACESTEP_SIM_FAIL_ALLOC": "diffusion:1"})
        self.assertEqual(sound, whole)
        self.assertIn("W24", self.ids(again))
        _, message = self.song(8, env={"ACESTEP_SIM_FAIL_ALLOC": "diffusion:*"}, code=5)
        self.assertEqual(message.count("acestep: "), 1)

    def test_card_equals_cpu(self):
        _, cpu = self.song(0.1, "--device", "cpu", "--quantization", "int8")
        for gb in (4, 12):
            _, sim = self.song(gb)
            self.assertEqual(sim, cpu)


class Adapters(CardTest):
    RANK, ALPHA = 2, 4

    def make_adapter(self, folder):
        """A PEFT folder for every projection of the small turbo model; {name: (A, B)}."""
        header, data = read_safetensors(os.path.join(GOLDEN, TURBO))
        draw = random.Random(7)
        pairs, tensors = {}, []
        for name, t in header.items():
            if name.startswith("decoder.layers") and name.endswith("_proj.weight"):
                rows, cols = t["shape"]
                a = [[draw.uniform(-0.2, 0.2) for _ in range(cols)] for _ in range(self.RANK)]
                b = [[draw.uniform(-0.2, 0.2) for _ in range(self.RANK)] for _ in range(rows)]
                pairs[name] = (a, b)
                base = "base_model.model." + name[:-len(".weight")]
                tensors += [(base + ".lora_A.weight", a), (base + ".lora_B.weight", b)]
        out, content = {}, b""
        for name, rows in tensors:
            piece = b"".join(struct.pack("<%df" % len(row), *row) for row in rows)
            out[name] = {"dtype": "F32", "shape": [len(rows), len(rows[0])],
                         "data_offsets": [len(content), len(content) + len(piece)]}
            content += piece
        os.makedirs(folder)
        write_safetensors(os.path.join(folder, "adapter_model.safetensors"), out, content)
        with open(os.path.join(folder, "adapter_config.json"), "w", encoding="utf-8") as f:
            json.dump({"peft_type": "LORA", "r": self.RANK, "lora_alpha": self.ALPHA, "bias": "none",
                       "target_modules": ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj",
                                          "up_proj", "down_proj"]}, f)
        return pairs, header, data

    def merge(self, pairs, header, data, folder):
        """The same model with W + alpha / r * B A in the place of W."""
        merged, content = {}, b""
        for name, t in header.items():
            if name == "__metadata__":
                continue
            piece, dtype = data[t["data_offsets"][0]:t["data_offsets"][1]], t["dtype"]
            if name in pairs:
                self.assertEqual(dtype, "BF16")
                a, b = pairs[name]
                rows, cols = t["shape"]
                # bfloat16 is the upper half of a float
                halves = struct.unpack("<%dH" % (rows * cols), piece)
                floats = struct.unpack("<%df" % (rows * cols),
                                       struct.pack("<%dI" % (rows * cols), *(h << 16 for h in halves)))
                sums = [x + self.ALPHA / self.RANK * sum(b[i // cols][k] * a[k][i % cols]
                                                         for k in range(self.RANK))
                        for i, x in enumerate(floats)]
                piece, dtype = struct.pack("<%df" % len(sums), *sums), "F32"
            merged[name] = {"dtype": dtype, "shape": t["shape"],
                            "data_offsets": [len(content), len(content) + len(piece)]}
            content += piece
        for part in PARTS:
            shutil.copytree(os.path.join(GOLDEN, part), os.path.join(folder, part))
        write_safetensors(os.path.join(folder, TURBO), merged, content)

    def song(self, *options, models=GOLDEN):
        path = self.path("song.wav")
        done = self.run_program("generate", "--models", models, "-d", "6", "--seed", "5", "--caption", "c",
                                "--precision", "f32", "--file-tags", "none", "--no-sidecar", "-o", path,
                                "-y", *options)
        self.assertEqual(done.returncode, 0, done.stderr.decode())
        with open(path, "rb") as f:
            return f.read()

    def samples(self, sound):
        at = sound.index(b"data") + 8
        return struct.unpack("<%dh" % ((len(sound) - at) // 2), sound[at:])

    def far(self, one, other):
        """Largest difference of two songs in steps of 16 bit."""
        return max(abs(x - y) for x, y in zip(self.samples(one), self.samples(other)))

    def test_adapters(self):
        folder, merged = self.path("adapter"), self.path("merged")
        self.merge(*self.make_adapter(folder), merged)
        plain, adapted = self.song(), self.song("--lora", folder)
        self.assertEqual(self.song("--lora", folder + ":0"), plain)
        self.assertGreater(self.far(adapted, plain), 500)
        self.assertLess(self.far(adapted, self.song(models=merged)), 30)
        halves = self.song("--lora", folder + ":0.5," + folder + ":0.5")
        self.assertLess(self.far(adapted, halves), 30)
        window = ("--device", "sim", "--max-cuda-vram", "8", "--offload-dit-window", "1", "--limits", "exact",
                  "--quantization", "none", "--vae-chunk", "152")
        self.assertEqual(self.song("--lora", folder, *window), adapted)

    def test_refusals(self):
        self.make_adapter(self.path("adapter"))
        generate = ("generate", "--models", GOLDEN, "-d", "6", "-o", self.path("x.wav"), "--lora")
        self.refused(2, *generate, self.path("adapter") + ":9", says=("lora", "scale"))
        self.refused(3, *generate, self.path("nothing"), says=("nothing",))
        generate = ("generate", "-d", "6", "-o", self.path("x.wav"), "--lora")
        self.refused(3, *generate, self.path("adapter"), says=("adapter",))  # another model's sizes

    def test_beside_int8(self):
        folder = self.path("adapter")
        self.make_adapter(folder)
        done = self.run_program("generate", "--models", GOLDEN, "-d", "6", "-o", self.path("x.wav"), "--json",
                                "--lora", folder, env={"MAX_CUDA_VRAM": "6"})
        self.assertEqual(done.returncode, 0, done.stderr.decode())
        result = json.loads(done.stdout)
        self.assertIn("W18", self.ids(result))
        self.assertEqual(result["plan"]["peak_bytes"], result["measured"]["peak_bytes"])


    def test_beside_int8_by_the_planner(self):
        folder = self.path("adapter")
        self.make_adapter(folder)
        options = ("--models", GOLDEN, "-d", "6", "--lora", folder, "--vae-on-cpu", "true", "--json")
        peaks = []
        for quantization in ("none", "int8"):
            done = self.run_program("plan", *options, "--quantization", quantization,
                                    "--offload-to-cpu", "true", "--offload-dit-to-cpu", "true",
                                    env={"MAX_CUDA_VRAM": "24"})
            peaks.append(json.loads(done.stdout)["peak_bytes"])
        self.assertGreater(peaks[0], peaks[1])
        # nobody asked for INT8: it is what makes the song fit
        used = 23.5 - 0.25 - (peaks[0] + peaks[1]) / 2 / GB
        done = self.run_program("plan", *options, env={"MAX_CUDA_VRAM": "24",
                                                       "ACESTEP_SIM_USED_GB": "%.9f" % used})
        plan = json.loads(done.stdout)
        self.assertEqual(plan["quantization"], "int8_weight_only")
        self.assertIn("W09", self.ids(plan))
        self.assertIn("W18", self.ids(plan))


class Quantize(CardTest):
    def song(self, models, name):
        path = self.path(name)
        done = self.run_program("generate", "--models", models, "--quantization", "int8", "-d", "6", "--seed",
                                "5", "--caption", "c", "--file-tags", "none", "--no-sidecar", "-o", path)
        self.assertEqual(done.returncode, 0, done.stderr.decode())
        with open(path, "rb") as f:
            return f.read()

    def test_same_song_from_disk(self):
        smaller = self.path("smaller")
        done = self.run_program("quantize", "--models", GOLDEN, "--output", smaller)
        self.assertEqual(done.returncode, 0, done.stderr.decode())
        model = os.path.join("acestep-v15-turbo", "model.safetensors")
        self.assertLess(os.path.getsize(os.path.join(smaller, model)),
                        0.7 * os.path.getsize(os.path.join(GOLDEN, model)))
        self.assertEqual(self.song(smaller, "a.wav"), self.song(GOLDEN, "b.wav"))
        self.refused(10, "quantize", "--models", GOLDEN, "--output", smaller, says=("is there already",))

    def test_refusals(self):
        self.refused(2, "quantize", "--models", GOLDEN, says=("output",))
        self.refused(3, "quantize", "--models", self.folder, "--output", self.path("x"))
        self.refused(10, "quantize", "--models", GOLDEN, "--output", self.path("no", "such"))


if __name__ == "__main__":
    unittest.main(argv=[sys.argv[0], *sys.argv[2:]])
