#!/usr/bin/env python3
"""The program from outside: what it prints, how it exits, which files it leaves.

usage: test_program.py PATH/TO/acestep [unittest options]

Standard library only. Songs come from the built-in demo model or from the small recorded model set in
tests/golden, so that each takes about a second."""
import json
import os
import shutil
import signal
import struct
import subprocess
import sys
import tempfile
import time
import unittest
import xml.etree.ElementTree

PROGRAM = os.path.abspath(sys.argv[1]) if len(sys.argv) > 1 else "acestep"
GOLDEN = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "golden")
PARTS = ("acestep-v15-turbo", "acestep-v15-base", "vae", "Qwen3-Embedding-0.6B")
TURBO = "acestep-v15-turbo/model.safetensors"

# include/acestep/status.h
FAILED, ARGUMENT, MODEL, AUDIO, UNSUPPORTED, IO, CANCELLED = 1, 2, 3, 4, 6, 10, 130


def environment():
    """Without options of the caller and without downloaded models; the language model stays out unless
    a test asks for it, and so does the cache on disk."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("ACESTEP_", "MAX_"))}
    return {**kept, "ACESTEP_THINKING": "false", "ACESTEP_CACHE": "false", "XDG_DATA_HOME": "/nowhere"}


def read_safetensors(path):
    """(header, data) of a file."""
    with open(path, "rb") as f:
        content = f.read()
    (n,) = struct.unpack("<Q", content[:8])
    return json.loads(content[8:8 + n]), content[8 + n:]


def write_safetensors(path, header, data):
    text = json.dumps(header).encode()
    with open(path, "wb") as f:
        f.write(struct.pack("<Q", len(text)) + text + data)


class ProgramTest(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.mkdtemp(prefix="acestep-program-")
        self.addCleanup(shutil.rmtree, self.folder, True)

    def path(self, *names):
        return os.path.join(self.folder, *names)

    def run_program(self, *arguments, env=None, stdin=b""):
        return subprocess.run([PROGRAM, *arguments], cwd=self.folder, input=stdin,
                              env={**environment(), **(env or {})}, capture_output=True, timeout=120)

    def files(self):
        return sorted(os.path.relpath(os.path.join(folder, name), self.folder)
                      for folder, _, names in os.walk(self.folder) for name in names)

    def refused(self, code, *arguments, says=(), **keywords):
        """The arguments end in this code and one line of error; nothing else happens."""
        before = self.files()
        done = self.run_program(*arguments, **keywords)
        message = done.stderr.decode()
        with self.subTest(arguments=arguments):
            self.assertEqual(done.returncode, code, message)
            self.assertEqual(done.stdout, b"")
            self.assertEqual(message.count("\n"), 1, message)
            self.assertTrue(message.startswith("acestep: ") and message.endswith("\n"), message)
            for part in says:
                self.assertIn(part, message)
            self.assertEqual(self.files(), before)
        return message

    def generate(self, *arguments, **keywords):
        """A demo song of 5.12 s; returns what --json prints."""
        done = self.run_program("generate", "--caption", "piano and drums", "-d", "5.12", "--json",
                                *arguments, **keywords)
        self.assertEqual(done.returncode, 0, done.stderr.decode())
        return json.loads(done.stdout)

    def bytes_of(self, name):
        with open(self.path(name), "rb") as f:
            return f.read()


class BadParameters(ProgramTest):
    def generate_refused(self, code, *arguments, says=()):
        return self.refused(code, "generate", "--caption", "x", *arguments, "-o", "song.flac",
                            says=says)

    def test_values(self):
        for arguments, says in (
                (("-d", "0"), ("duration",)),
                (("-d", "-5"), ("duration", "-5")),
                (("-d", "36000"), ("duration", "36000", "600")),
                (("-d", "ten"), ("duration", "ten")),
                (("-d", "nan"), ("duration",)),
                (("--steps", "2.5"), ("inference_steps", "2.5")),
                (("--steps", "1e400"), ("inference_steps",)),
                (("--bpm", "12x"), ("bpm", "12x")),
                (("--seed", "abc"), ("seed", "abc")),
                (("--seed", "-2"), ("seed",)),
                (("--seed", "4294967296"), ("seed",)),
                (("--seed", "1,,2"), ("seed",)),
                (("--seed", "1,2,3,4,5,6,7,8,9"), ("seed", "8")),
                (("--batch-size", "9"), ("batch_size", "8")),
                (("--batch-size", "0"), ("batch_size",)),
                (("--timesteps", "1,oops"), ("timesteps",)),
                (("--timesteps", "0.2,0.9"), ("timesteps",)),
                (("--task", "sing"), ("task_type", "sing", "text2music")),
                (("--sidecar=maybe",), ("sidecar", "maybe")),
                (("--format", "midi"), ("midi",)),
                (("--weights", "foo"), ("weights", "foo")),
                (("--weights", "synthetic:huge"), ("huge", "turbo")),
                (("--title", "x" * 600), ("title", "512")),
                (("--captoin", "x"), ("--captoin", "--caption")),
                (("--a\nb", "x"), ("no such option",)),
                (("stray",), ("stray",))):
            self.generate_refused(ARGUMENT, *arguments, says=says)

    def test_missing_pieces(self):
        self.refused(ARGUMENT, "generate", "--caption", says=("caption",))
        self.refused(ARGUMENT, "sing", says=("sing", "--help"))
        self.refused(ARGUMENT, "probe", says=("--case",))
        self.refused(ARGUMENT, "probe", "--case", "x.safetensors", says=("--output",))
        self.generate_refused(IO, "--lyrics", "@missing.txt", says=("missing.txt",))
        self.refused(IO, "generate", "--request", "missing.json", says=("missing.json",))

    def test_environment(self):
        self.refused(ARGUMENT, "generate", says=("bpm", "fast"), env={"ACESTEP_BPM": "fast"})

    def test_requests(self):
        for text in (b"", b"[]", b"{", b'{"bpm": [}', b'{"bmp": 1}', b'{"bpm": {}}',
                     b'{"caption": "a\n\nb"}', b'{"caption": "a\\u0000b"}', b"\xff\xfe",
                     b'{"bpm": 1, "bpm": 2}', b"[" * 100000):
            self.refused(ARGUMENT, "generate", "--request", "-", stdin=text)

    def test_tasks(self):
        models = ("--models", GOLDEN)
        with open(self.path("noise.wav"), "wb") as f:
            f.write(b"this is no recording" * 50)
        self.generate_refused(ARGUMENT, *models, "--task", "cover", says=("src_audio",))
        self.generate_refused(UNSUPPORTED, *models, "--task", "lego", "--src-audio", "noise.wav",
                              says=("lego", "base"))
        self.generate_refused(AUDIO, *models, "--task", "cover", "--src-audio", "noise.wav",
                              says=("noise.wav",))
        self.generate_refused(UNSUPPORTED, "--task", "cover", "--src-audio", "noise.wav",
                              says=("demo",))
        self.generate_refused(UNSUPPORTED, "--reference-audio", "noise.wav", says=("demo",))


class Outputs(ProgramTest):
    def refuses_output(self, output, says=(), code=IO):
        self.refused(code, "generate", "--caption", "x", "-d", "5.12", "-o", output, says=says)

    def test_places(self):
        self.refuses_output("missing/song.flac", says=("missing",))
        self.refuses_output("mis\nsing/song.flac")
        os.mkdir(self.path("folder.flac"))
        with open(self.path("plain"), "w") as f:
            f.write("kept")
        self.refuses_output("plain/song.flac", says=("plain",))
        self.refuses_output("plain/", says=("plain",))
        self.refuses_output("song.txt", code=ARGUMENT)
        self.refuses_output("x" * 4000 + ".flac")
        self.refuses_output("x" * 300 + ".flac")
        self.assertEqual(self.bytes_of("plain"), b"kept")

    def test_unwritable_folder(self):
        # /proc refuses new files to everybody, the superuser included
        self.refuses_output("/proc/song.flac", says=("/proc",))

    def test_existing_file(self):
        with open(self.path("song.flac"), "w") as f:
            f.write("mine")
        self.refuses_output("song.flac", says=("song.flac", "--overwrite"))
        self.assertEqual(self.bytes_of("song.flac"), b"mine")
        self.generate("-o", "song.flac", "--overwrite")
        self.assertEqual(self.bytes_of("song.flac")[:4], b"fLaC")

    def test_formats(self):
        marks = {"flac": b"fLaC", "wav": b"RIFF", "mp3": b"", "opus": b"OggS", "ogg": b"OggS"}
        for name, mark in marks.items():
            with self.subTest(format=name):
                self.generate("-o", "song." + name, "--overwrite")
                content = self.bytes_of("song." + name)
                self.assertGreater(len(content), 5000)
                self.assertTrue(content.startswith(mark))
        for name in ("flac16", "wav24", "wav32"):
            with self.subTest(format=name):
                path = self.generate("--format", name)["outputs"][0]["path"]
                self.assertGreater(os.path.getsize(self.path(path)), 5000)

    def test_stdout_holds_paths(self):
        done = self.run_program("generate", "--caption", "x", "-d", "5.12", "-o", "song.flac",
                                "--batch-size", "2", "--no-sidecar")
        self.assertEqual(done.returncode, 0)
        self.assertEqual(done.stdout, b"song_1.flac\nsong_2.flac\n")
        self.assertEqual(self.files(), ["song_1.flac", "song_2.flac"])


class Songs(ProgramTest):
    def test_result(self):
        result = self.generate("-o", "song.flac", "--seed", "7")
        plan, measured = result["plan"], result["measured"]
        self.assertEqual(plan["peak_bytes"], measured["peak_bytes"])
        self.assertEqual(len(plan["stages"]), len(measured["stages"]))
        for planned, found in zip(plan["stages"], measured["stages"]):
            for key in ("name", "peak_bytes", "bytes", "flops", "host_to_device_bytes",
                        "device_to_host_bytes"):
                self.assertEqual(planned[key], found[key], planned["name"])
        self.assertEqual(result["warnings"], [])
        self.assertEqual([(o["path"], o["seed"]) for o in result["outputs"]], [("song.flac", 7)])
        self.assertEqual(self.files(), ["song.flac", "song.json"])

        alone = json.loads(self.run_program("plan", "--caption", "piano and drums", "-d", "5.12",
                                            "--json").stdout)
        self.assertEqual(alone["peak_bytes"], measured["peak_bytes"])

    def test_trace(self):
        """The same song with and without, and the sums of the table are the stages' FLOPs."""
        plain = self.generate("-o", "a.wav", "--seed", "7", "--file-tags", "none")
        traced = self.generate("-o", "b.wav", "--seed", "7", "--file-tags", "none",
                               "--trace", "b.trace.json")
        self.assertEqual(self.bytes_of("a.wav"), self.bytes_of("b.wav"))
        self.assertNotIn("operations", plain["measured"])
        rows = traced["measured"]["operations"]
        self.assertEqual(sum(r["flops"] for r in rows),
                         sum(s["flops"] for s in traced["measured"]["stages"]))
        events = json.loads(self.bytes_of("b.trace.json"))["traceEvents"]
        spans = [e for e in events if e["ph"] == "X" and e["tid"] == 3]
        self.assertEqual(len(spans), sum(r["calls"] for r in rows))
        self.assertEqual({e["name"] for e in spans}, {r["operation"] for r in rows})
        full = self.generate("-o", "c.wav", "--trace", "/dev/full")
        self.assertEqual([w["field"] for w in full["warnings"]], ["trace"])
        self.refused(ARGUMENT, "generate", "-d", "5.12", "-o", "d.wav", "--trace", "d.json",
                     says=("trace", "d.json"))

    def test_picture(self):
        card = ("--weights", "synthetic:turbo", "-d", "30", "--max-cuda-vram", "6")
        text = self.run_program("plan", "--picture", *card).stdout.decode()
        self.assertIn("DDDD", text)
        self.assertNotIn("\033", text)
        done = self.run_program("plan", "--picture", "plan.svg", *card)
        self.assertEqual((done.returncode, done.stdout), (0, b""))
        self.assertEqual(xml.etree.ElementTree.parse(self.path("plan.svg")).getroot().tag,
                         "{http://www.w3.org/2000/svg}svg")
        self.refused(IO, "plan", "--picture", "no/such/folder.svg", *card, says=("folder.svg",))

    def test_warnings(self):
        result = json.loads(self.run_program("generate", "--caption", "x", "-d", "1", "--json",
                                             "-o", "song.flac").stdout)
        self.assertEqual([w["field"] for w in result["warnings"]], ["duration"])

    def test_same_seed_same_song(self):
        for threads in ("1", "2", "3"):
            self.generate("-o", threads + ".wav", "--seed", "5", "--threads", threads)
        self.generate("-o", "other.wav", "--seed", "6", "--file-tags", "none")
        self.generate("-o", "five.wav", "--seed", "5", "--file-tags", "none")
        self.assertEqual(self.bytes_of("1.wav"), self.bytes_of("2.wav"))
        self.assertEqual(self.bytes_of("1.wav"), self.bytes_of("3.wav"))
        self.assertNotEqual(self.bytes_of("five.wav"), self.bytes_of("other.wav"))

    def test_batch_is_single_songs(self):
        self.generate("-o", "both.flac", "--batch-size", "2", "--seed", "5,6", "--file-tags", "none")
        for index, seed in ((1, "5"), (2, "6")):
            self.generate("-o", "one.flac", "--seed", seed, "--overwrite", "--file-tags", "none")
            self.assertEqual(self.bytes_of("both_%d.flac" % index), self.bytes_of("one.flac"))

    def test_sidecar_repeats_the_song(self):
        # more digits than a decimal of 15 places holds
        self.generate("-o", "first.wav", "--shift", "2.7182818284590452", "--file-tags", "none")
        done = self.run_program("generate", "--request", "first.json", "-o", "again.wav", "--json")
        self.assertEqual(done.returncode, 0, done.stderr.decode())
        self.assertEqual(self.bytes_of("first.wav"), self.bytes_of("again.wav"))
        with open(self.path("first.json")) as f:
            self.assertEqual(json.load(f)["shift"], 2.7182818284590452)

    def test_lyrics_with_times(self):
        lyrics = ("--lyrics", "[Verse]\nhello\nworld", "--auto-lrc", "--auto-score")
        result = self.generate("-o", "song.flac", *lyrics)
        self.assertEqual(result["plan"]["peak_bytes"], result["measured"]["peak_bytes"])
        self.assertIn("align", [stage["stage"] for stage in result["measured"]["stages"]])
        self.assertEqual(self.files(), ["song.flac", "song.json", "song.lrc", "song.vtt"])
        output = result["outputs"][0]
        self.assertEqual(output["lrc"], "song.lrc")
        with open(self.path("song.json")) as f:
            sidecar = json.load(f)
        self.assertEqual(sidecar["acestep"]["lyric_score"], output["lyric_score"])
        self.assertTrue(all(0 <= output["lyric_score"][k] <= 1 for k in ("lm", "dit")))
        text = self.bytes_of("song.lrc").decode()
        self.assertRegex(text, r"^\[00:0\d\.\d\d\]\[Verse\]\n\[00:0\d\.\d\d\]hello\n"
                               r"\[00:0\d\.\d\d\]world\n$")
        self.assertIn(b"SYNCEDLYRICS=" + text.encode(), self.bytes_of("song.flac"))
        self.assertTrue(self.bytes_of("song.vtt").startswith(b"WEBVTT\n\n00:00:"))
        os.remove(self.path("song.flac"))
        self.refused(IO, "generate", "--caption", "x", "-d", "6", "-o", "song.flac", *lyrics,
                     says=("song.lrc", "--overwrite"))

    def test_nothing_to_time(self):
        result = self.generate("-o", "song.flac", "--auto-lrc")
        self.assertEqual([w["field"] for w in result["warnings"]], ["auto_lrc"])
        self.assertEqual(self.files(), ["song.flac", "song.json"])
        self.assertNotIn("lrc", result["outputs"][0])
        self.assertNotIn("lyric_score", result["outputs"][0])

    def test_shapes_only(self):
        result = self.generate("--exec", "shape", "-o", "song.flac")
        self.assertEqual([song["path"] for song in result["outputs"]], [None])
        self.assertEqual(result["plan"]["peak_bytes"], result["measured"]["peak_bytes"])
        self.assertEqual(self.files(), [])

    def test_switches_as_values(self):
        done = self.run_program("generate", "--exec", "shape", "--caption", "-h", "-q")
        self.assertEqual((done.returncode, done.stdout), (0, b""), done.stderr.decode())

    def test_plan_of_published_models(self):
        for name in ("turbo", "base"):
            done = self.run_program("plan", "--weights", "synthetic:" + name, "--json")
            self.assertEqual(done.returncode, 0, done.stderr.decode())
            self.assertGreater(json.loads(done.stdout)["peak_bytes"], 1 << 30)

    def test_help(self):
        for command in ((), ("generate",), ("plan",), ("probe",), ("models",), ("bench",), ("info",),
                        ("tiers",), ("quantize",)):
            done = self.run_program(*command, "--help")
            self.assertEqual((done.returncode, done.stderr), (0, b""))
            self.assertIn(b"acestep", done.stdout)

    def info(self, vram, *arguments):
        done = self.run_program("info", "--json", *arguments, env={"MAX_CUDA_VRAM": vram})
        self.assertEqual(done.returncode, 0, done.stderr.decode())
        return json.loads(done.stdout)

    def test_info_of_every_tier(self):
        seen = {}
        for vram in ("4", "6", "7", "8", "12", "16", "20", "24"):
            info = self.info(vram)
            self.assertEqual((info["source"], info["device"]["variable"]),
                             ("detected", "MAX_CUDA_VRAM"))
            self.assertEqual(info["attention"], "tiled")
            self.assertTrue(info["controls"]["use_flash_attention"]["disabled"])
            self.assertEqual(info["controls"]["init_llm"]["disabled"], vram in ("4", "6"))
            self.assertEqual("vllm" in info["controls"]["backend"]["choices"], float(vram) >= 8)
            seen[info["tier"]] = (info["limits"], info["defaults"])
        self.assertEqual(list(seen), ["tier1", "tier2", "tier3", "tier4", "tier5", "tier6a",
                                      "tier6b", "unlimited"])
        tiers = json.loads(self.run_program("tiers", "--json").stdout)
        for key, (limits, defaults) in seen.items():
            self.assertEqual({**limits, **defaults, "label": tiers[key]["label"]}, tiers[key])

    def test_tier_file(self):
        with open(self.path("tiers.json"), "w", encoding="utf-8") as f:
            json.dump({"tier4": {"max_batch_size_with_lm": 3}}, f)
        info = self.info("8", "--gpu-tiers", "tiers.json")
        self.assertEqual(info["limits"]["max_batch_size_with_lm"], 3)
        self.assertEqual(info["settings"]["quantization"]["source"], "file")
        printed = self.run_program("tiers", "--json").stdout
        with open(self.path("all.json"), "wb") as f:
            f.write(printed)  # what the program prints is what it reads
        self.assertEqual(self.run_program("tiers", "--json", "--gpu-tiers", "all.json").stdout, printed)
        with open(self.path("tiers.json"), "w", encoding="utf-8") as f:
            f.write('{"tier4": {"max_batch": 3}}')
        self.refused(ARGUMENT, "info", "--gpu-tiers", "tiers.json", says=("tier4", "max_batch"))

    def test_what_the_lm_may_choose(self):
        for vram, most in (("4", 240), ("8", 480), ("24", 600)):
            done = self.run_program("probe", "--dump-constraint", "duration",
                                    env={"MAX_CUDA_VRAM": vram})
            found = json.loads(done.stdout)
            self.assertEqual((found["minimum"], found["maximum"], found["values"]),
                             (10, most, most - 9))

    def test_interrupt(self):
        running = subprocess.Popen([PROGRAM, "generate", "--caption", "x", "-d", "60", "-q",
                                    "--threads", "1", "--batch-size", "8", "-o", "song.flac"],
                                   cwd=self.folder, env=environment(), stdout=subprocess.PIPE,
                                   stderr=subprocess.PIPE)
        time.sleep(0.7)
        self.assertIsNone(running.poll(), "the job was over before it could be interrupted")
        running.send_signal(signal.SIGINT)
        out, err = running.communicate(timeout=60)
        self.assertEqual(running.returncode, CANCELLED, err.decode())
        self.assertEqual(out, b"")
        self.assertTrue(err.startswith(b"acestep: ") and err.count(b"\n") == 1, err)
        self.assertEqual(self.files(), [])


class Cache(ProgramTest):
    """Packed weights on disk, through the program."""

    def cache(self, *arguments):
        done = self.run_program("cache", "--cache-dir", self.path("kept"), *arguments)
        self.assertEqual((done.returncode, done.stderr), (0, b""))
        return done.stdout

    def song(self, name, *arguments):
        self.generate("--models", GOLDEN, "-o", name, "--cache-dir", self.path("kept"),
                      "--cache-least", "0", "--seed", "5", "--file-tags", "none", *arguments)
        return self.bytes_of(name)

    def test_kept_and_cleared(self):
        self.assertEqual(json.loads(self.cache("--json"))["files"], [])
        plain = self.song("plain.wav", "--no-cache")
        self.assertEqual(json.loads(self.cache("--json"))["files"], [])
        self.assertEqual(self.song("first.wav", "--cache"), plain)
        kept = json.loads(self.cache("--json"))
        self.assertGreaterEqual(len(kept["files"]), 5)
        self.assertEqual(sum(f["bytes"] for f in kept["files"]), kept["bytes"])
        self.assertEqual(os.stat(self.path("kept")).st_mode & 0o777, 0o700)
        self.assertEqual(self.song("second.wav", "--cache"), plain)
        for f in kept["files"]:
            self.assertIn(f["name"].encode(), self.cache())
        self.assertEqual(self.cache("--clear"), b"")
        self.assertEqual(json.loads(self.cache("--json"))["files"], [])

    def test_default_folder(self):
        done = self.run_program("cache", env={"XDG_CACHE_HOME": self.path("xdg")})
        self.assertEqual(done.stdout.splitlines()[0].decode(), self.path("xdg", "acestep"))
        self.assertEqual(self.files(), [])

    def test_folder_of_others(self):
        os.makedirs(self.path("kept"))
        os.chmod(self.path("kept"), 0o777)
        done = self.run_program("generate", "--models", GOLDEN, "-d", "10", "-o", "song.wav", "--cache",
                                "--cache-dir", self.path("kept"), "--cache-least", "0")
        self.assertEqual(done.returncode, 0)
        self.assertEqual(done.stderr.count(b"others may write there"), 1)
        self.assertEqual(os.listdir(self.path("kept")), ["constants"])


class Models(ProgramTest):
    def setUp(self):
        super().setUp()
        for part in PARTS:
            shutil.copytree(os.path.join(GOLDEN, part), self.path("models", part))

    def model_refused(self, *says, code=MODEL, extra=()):
        return self.refused(code, "generate", "--models", "models", "--caption", "x", "-d", "5.12",
                            "-o", "song.flac", *extra, says=says)

    def write(self, name, content):
        with open(self.path("models", name), "wb") as f:
            f.write(content)

    def test_whole_set_works(self):
        done = self.run_program("generate", "--models", "models", "--caption", "x", "-d", "5.12",
                                "-o", "song.flac", "-q")
        self.assertEqual((done.returncode, done.stdout), (0, b"song.flac\n"), done.stderr.decode())

    def test_missing_folders(self):
        self.model_refused("huge", "acestep-v15-turbo", "acestep-v15-base",
                           extra=("--model", "huge"))
        self.refused(MODEL, "generate", "--models", "nowhere", "--caption", "x", says=("nowhere",))
        for part in ("vae", "Qwen3-Embedding-0.6B"):
            os.rename(self.path("models", part), self.path("aside"))
            self.model_refused(part, "missing")
            os.rename(self.path("aside"), self.path("models", part))

    def test_truncated_weights(self):
        with open(self.path("models", TURBO), "rb") as f:
            whole = f.read()
        for length in (0, 1, 7, 8, 9, 1000, 20944, 20952, len(whole) // 2, len(whole) - 1):
            self.write(TURBO, whole[:length])
            self.model_refused("acestep-v15-turbo")

    def test_hostile_headers(self):
        for length in (0, 1, 1 << 20, 1 << 40, (1 << 63) - 1, (1 << 64) - 1):
            self.write(TURBO, struct.pack("<Q", length) + b"{}" + bytes(100))
            self.model_refused("acestep-v15-turbo")
        for header in ([], {"a": 1}, {"a": {"dtype": "F32", "shape": [-1], "data_offsets": [0, 4]}},
                       {"a": {"dtype": "F32", "shape": [1 << 62, 8], "data_offsets": [0, 4]}},
                       {"a": {"dtype": "F32", "shape": [1], "data_offsets": [0, 1 << 60]}},
                       {"a": {"dtype": "Q9", "shape": [1], "data_offsets": [0, 4]}}):
            write_safetensors(self.path("models", TURBO), header, bytes(64))
            self.model_refused("acestep-v15-turbo")

    def test_missing_tensors(self):
        header, data = read_safetensors(self.path("models", TURBO))
        names = ("decoder.layers.0.mlp.up_proj.weight", "decoder.layers.2.mlp.down_proj.weight")
        for name in names:
            del header[name]
        write_safetensors(self.path("models", TURBO), header, data)
        self.model_refused(*names)

    def test_wrong_shape(self):
        header, data = read_safetensors(self.path("models", TURBO))
        name = "decoder.layers.0.mlp.up_proj.weight"
        header[name]["shape"].reverse()
        write_safetensors(self.path("models", TURBO), header, data)
        self.model_refused(name)

    def test_weight_that_is_no_number(self):
        header, data = read_safetensors(self.path("models", TURBO))
        name = "decoder.layers.1.self_attn.o_proj.weight"
        start = header[name]["data_offsets"][0]
        self.assertEqual(header[name]["dtype"], "BF16")
        write_safetensors(self.path("models", TURBO), header,
                          data[:start] + b"\xc0\x7f" + data[start + 2:])
        self.model_refused(name)

    def damage_config(self, part, fields):
        path = os.path.join(part, "config.json")
        with open(self.path("models", path), "rb") as f:
            whole = f.read()
        for field, values in fields.items():
            for value in values:
                self.write(path, json.dumps({**json.loads(whole), field: value}).encode())
                self.model_refused(part, field)
        for text in (b"", b"{", b"[]", b"null", whole[:100]):
            self.write(path, text)
            self.model_refused(part)
        os.unlink(self.path("models", path))
        self.model_refused(part, "config.json")

    def test_damaged_configs(self):
        sizes = (None, 0, -1, 1.5, "8", [], 1 << 40)
        self.damage_config("acestep-v15-turbo", {
            "hidden_size": sizes, "num_hidden_layers": sizes, "in_channels": sizes + (25,),
            "num_attention_heads": (0, "4"), "head_dim": (0, 15), "rms_norm_eps": (0, -1, "x"),
            "layer_types": (["full"], [3]), "fsq_input_levels": (None, [], [1], ["4"], 4),
            "patch_size": (0, 99)})

    def test_damaged_vae_config(self):
        self.damage_config("vae", {"audio_channels": (None, 0, "2"), "channel_multiples": ([], [1]),
                                   "downsampling_ratios": (None, [3, 4, 4, 6, 10], [0])})


if __name__ == "__main__":
    unittest.main(argv=[sys.argv[0], *sys.argv[2:]])
