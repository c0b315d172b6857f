#!/usr/bin/env python3
"""Getting checkpoints, from outside: a host on this machine that fails in every way, and what the program
makes of it.

usage: test_models.py PATH/TO/acestep [unittest options]"""
import hashlib
import json
import os
import random
import resource
import shutil
import signal
import subprocess
import sys
import time
import unittest

from mirror import COMMIT, MAIN, Mirror
from test_lm import write_dit_gguf, write_lm_gguf
from test_program import GOLDEN, PROGRAM, ProgramTest, environment
from test_server import Server

ARGUMENT, MODEL, NETWORK, IO, CANCELLED = 2, 3, 7, 10, 130
TURBO = "acestep-v15-turbo"
LM = "acestep-5Hz-lm-0.6B"
GGUF = "Serveurperso/ACE-Step-1.5-GGUF"
WEIGHTS = "model.safetensors"
TOKEN = "hf_secretSECRETsecret"


class StoreTest(ProgramTest):
    def setUp(self):
        super().setUp()
        self.mirror = Mirror()
        self.addCleanup(self.mirror.close)
        for part in (TURBO, "vae", "Qwen3-Embedding-0.6B"):
            self.mirror.add(MAIN, part + "/", os.path.join(GOLDEN, part))
        self.mirror.add("ACE-Step/" + LM, "", os.path.join(GOLDEN, LM))
        self.mirror.files[MAIN + "/README.md"] = b"words"
        self.mirror.files[MAIN + "/acestep-v15-turbo/modeling.py"] = b"never()"

    def env(self, **more):
        kept = {k: v for k, v in environment().items()
                if not k.lower().endswith("_proxy") and not k.startswith("HF_")}
        return {**kept, "HOME": self.folder, "XDG_DATA_HOME": self.path("data"), **more}

    def command(self, *arguments):
        return [PROGRAM, "download", "--mirror", self.mirror.address, "--revision", "main",
                "--retry-wait", "0.02", "--timeout", "1", *arguments]

    def models(self, *arguments, env=None, **keywords):
        return subprocess.run([PROGRAM, "models", *arguments], cwd=self.folder, env=self.env(**(env or {})),
                              capture_output=True, timeout=60, stdin=subprocess.DEVNULL, **keywords)

    def start(self, *arguments, env=None, **keywords):
        return subprocess.Popen(self.command(*arguments), cwd=self.folder,
                                env=self.env(**(env or {})), stdout=subprocess.PIPE,
                                stderr=subprocess.PIPE, **keywords)

    def get(self, *arguments, code=0, env=None, **keywords):
        """The download ends with this code; what it has printed."""
        process = self.start(*arguments, env=env, **keywords)
        out, err = process.communicate(timeout=60)
        self.assertEqual(process.returncode, code, err.decode())
        return out.decode() if code == 0 else err.decode()

    def here(self, *names):
        return self.path("data", "acestep", "models", *names)

    def content(self, *names):
        with open(self.here(*names), "rb") as f:
            return f.read()

    def published(self, name=WEIGHTS, part=TURBO):
        return self.mirror.files["%s/%s/%s" % (MAIN, part, name)]

    def states(self):
        listed = json.loads(self.models("list", "--json").stdout)
        return {s["name"]: s["state"] for s in listed["sets"]}

    def wait_for(self, what):
        end = time.monotonic() + 30
        while not what():
            self.assertLess(time.monotonic(), end)
            time.sleep(0.01)

    def leftovers(self):
        if not os.path.exists(self.here(TURBO)):
            return []  # the very first file was refused, before any other came
        return [name for name in os.listdir(self.here(TURBO)) if ".part" in name]

    def assert_turbo(self):
        self.assertEqual(self.content(TURBO, WEIGHTS), self.published())
        self.assertEqual(self.states()[TURBO], "complete")
        self.assertEqual(self.leftovers(), [])


class Gguf(StoreTest):
    """Sets that are one file of a repository with many."""

    def setUp(self):
        super().setUp()
        for name, write, source in (("acestep-v15-turbo-Q8_0", write_dit_gguf, TURBO), (LM + "-Q8_0", write_lm_gguf, LM)):
            write(os.path.join(GOLDEN, source), self.path("x"))
            with open(self.path("x"), "rb") as f:
                self.mirror.files[f"{GGUF}/{name}.gguf"] = f.read()
        self.mirror.files[GGUF + "/vae-BF16.gguf"] = b"another"
        self.mirror.files[GGUF + "/config.json"] = b"{}"

    def song(self, *more):
        done = subprocess.run([PROGRAM, "generate", "--caption", "piano", "-d", "6", "-o", "song.wav", "-y", "--seed", "3",
                               "--precision", "f32", "--thinking", "--file-tags", "none", "--json", *more],
                              env=self.env(), cwd=self.folder, capture_output=True, timeout=120)
        self.assertEqual(done.returncode, 0, done.stderr.decode())
        with open(self.path("song.wav"), "rb") as f, open(self.path("song.json"), encoding="utf-8") as told:
            return f.read(), json.load(told)

    def test_the_same_song_from_one_file_each(self):
        result = json.loads(self.get("turbo-Q8_0", "0.6B-Q8_0", "--json"))
        self.assertEqual([(s["name"], s["files"]) for s in result["sets"]],
                         [("vae", 2), ("Qwen3-Embedding-0.6B", result["sets"][1]["files"]),
                          ("acestep-v15-turbo-Q8_0", 1), (LM + "-Q8_0", 1)])
        self.assertEqual(sorted(os.listdir(self.here(LM + "-Q8_0"))), [LM + "-Q8_0.gguf", "acestep-manifest.json"])
        self.assertEqual(self.models("verify").returncode, 0)
        self.assertTrue(json.loads(self.models("where", "--json").stdout)["ready"])
        sound, told = self.song()
        self.assertIn("turbo-Q8_0", json.dumps(told["acestep"]))
        self.get("turbo", LM)
        self.assertEqual(self.song()[0], sound)  # the published ones are preferred where both are here
        self.assertEqual(self.song("--model", "turbo-Q8_0", "--lm", LM + "-Q8_0")[0], sound)
        refused = subprocess.run([PROGRAM, "quantize", "--models", self.here(), "--model", "turbo-Q8_0", "--output", "q"],
                                 env=self.env(), cwd=self.folder, capture_output=True, timeout=60)
        self.assertEqual(refused.returncode, 6, refused.stderr.decode())
        self.assertFalse(os.path.exists(self.path("q")))

    def test_a_damaged_one_is_found(self):
        self.get("turbo-Q8_0", "--skip-main")
        path = self.here("acestep-v15-turbo-Q8_0", "acestep-v15-turbo-Q8_0.gguf")
        with open(path, "r+b") as f:
            f.seek(5000)
            f.write(b"damaged")
        self.assertEqual(self.models("verify", "turbo-Q8_0").returncode, MODEL)
        os.truncate(path, 6000)
        self.assertEqual(self.states()["acestep-v15-turbo-Q8_0"], "damaged")
        self.get("turbo-Q8_0", "--skip-main")
        self.assertEqual(self.states()["acestep-v15-turbo-Q8_0"], "complete")

    def test_copied_by_hand(self):
        """Without a manifest the file is enough to be used."""
        self.get("turbo-Q8_0", "--skip-main")
        os.remove(self.here("acestep-v15-turbo-Q8_0", "acestep-manifest.json"))
        self.assertEqual(self.states()["acestep-v15-turbo-Q8_0"], "complete")


class Offline(StoreTest):
    SWITCHES = ((("--offline",), {}, "--offline"), ((), {"ACESTEP_OFFLINE": "1"}, "ACESTEP_OFFLINE"),
                ((), {"HF_HUB_OFFLINE": "YES"}, "HF_HUB_OFFLINE"), ((), {"HF_HUB_OFFLINE": "2"}, "HF_HUB_OFFLINE"))

    def test_what_is_missing_is_named(self):
        for arguments, env, who in self.SWITCHES:
            with self.subTest(who=who):
                said = self.get("turbo", *arguments, code=NETWORK, env=env)
                self.assertEqual(said.splitlines()[-1].count("\n"), 0)
                for part in (who, TURBO + " (absent)", "vae (absent)", "Qwen3-Embedding-0.6B (absent)", self.here()):
                    self.assertIn(part, said)
                self.assertFalse(os.path.exists(self.here()))  # no empty folders
        self.assertEqual(self.mirror.log, [])

    def test_what_is_here_is_enough(self):
        self.get("turbo")
        asked = len(self.mirror.log)
        for arguments, env, _ in self.SWITCHES:
            result = json.loads(self.get("turbo", "--json", *arguments, env=env))
            self.assertEqual((result["downloaded"], {s["source"] for s in result["sets"]}), (0, {"here"}))
        self.assertIn("force", self.get("turbo", "--offline", "--force", code=NETWORK))
        for command in (("list",), ("where",), ("verify",), ("download", "--dry-run", "base")):
            self.assertEqual(self.models(*command, "--offline").returncode, 0, command)
        os.truncate(self.here("vae", "config.json"), 1)
        said = self.get("turbo", "--offline", code=NETWORK)
        self.assertIn("vae (damaged)", said)
        self.assertNotIn(TURBO, said.splitlines()[-1])
        self.assertEqual(len(self.mirror.log), asked)

    def test_words_that_mean_no(self):
        for word in ("0", "false", "NO", "off", ""):
            self.get("vae", "--force", env={"ACESTEP_OFFLINE": word, "HF_HUB_OFFLINE": word})


class Download(StoreTest):
    def test_a_song_after_a_download(self):
        result = json.loads(self.get("turbo", LM, "--json"))
        self.assertEqual([s["name"] for s in result["sets"]],
                         ["vae", "Qwen3-Embedding-0.6B", TURBO, LM])
        self.assertEqual({s["source"] for s in result["sets"]}, {"huggingface"})
        self.assertEqual({s["revision"] for s in result["sets"]}, {COMMIT})
        self.assertFalse(os.path.exists(self.here(TURBO, "modeling.py")))
        self.assertEqual(self.models("verify").returncode, 0)
        song = self.path("song.wav")
        for more in (("--models", self.here()), ()):  # named, and found where downloads go
            done = subprocess.run([PROGRAM, "generate", "--caption", "piano", "-d", "6", "-o", song, "-y",
                                   "--json", *more], env=self.env(), cwd=self.folder,
                                  capture_output=True, timeout=120)
            self.assertEqual(done.returncode, 0, done.stderr.decode())
            with open(self.path("song.json"), "rb") as f:
                self.assertIn(TURBO, f.read().decode())
            os.remove(song)

    def test_the_manifest_says_what_is_there(self):
        self.get("turbo", "--skip-main")
        self.assertEqual(os.listdir(self.here()), [TURBO])
        manifest = json.loads(self.content(TURBO, "acestep-manifest.json"))
        self.assertEqual((manifest["set"], manifest["repository"], manifest["revision"]),
                         (TURBO, MAIN, COMMIT))
        for entry in manifest["files"]:
            content = self.content(TURBO, entry["name"])
            self.assertEqual(entry["sha256"], hashlib.sha256(content).hexdigest())
            self.assertEqual(entry["bytes"], len(content))

    def test_what_is_here_is_left_alone(self):
        self.get("turbo")
        asked = len(self.mirror.log)
        self.assertEqual(json.loads(self.get("turbo", "--json"))["downloaded"], 0)
        self.assertEqual(len(self.mirror.log), asked)
        self.get("turbo", "--force", "--skip-main")
        self.assertEqual(len(self.mirror.requests("/" + WEIGHTS)), 3)  # of two sets, and one of them again

    def test_files_copied_by_hand_are_taken_over(self):
        os.makedirs(self.here(TURBO))
        for name in (WEIGHTS, "silence_latent.pt"):
            with open(self.here(TURBO, name), "wb") as f:
                f.write(self.published(name))
        self.get("turbo", "--skip-main")
        self.assertEqual(self.mirror.requests(WEIGHTS), [])
        self.assert_turbo()

    def test_modelscope(self):
        result = json.loads(self.get("turbo", "--source", "modelscope", "--json"))
        self.assertEqual({s["source"] for s in result["sets"]}, {"modelscope"})
        self.assertEqual(self.content("vae", "config.json"), self.published("config.json", "vae"))

    def test_a_copied_folder(self):
        self.get("turbo")
        shutil.move(self.here(), self.path("copy"))
        self.mirror.folder = self.path("copy")
        subprocess.run([PROGRAM, "download", "turbo", "--source", "folder", "--mirror",
                        self.mirror.address + "/copy"], env=self.env(), check=True, timeout=60,
                       capture_output=True)
        self.assert_turbo()

    def test_what_this_release_was_made_with_is_insisted_on(self):
        done = subprocess.run([PROGRAM, "download", "turbo", "--source", "modelscope", "--mirror",
                               self.mirror.address], env=self.env(), capture_output=True, timeout=60)
        self.assertEqual(done.returncode, NETWORK)
        self.assertIn(b"--revision", done.stderr)
        done = subprocess.run([PROGRAM, "download", "turbo", "--mirror", self.mirror.address],
                              env=self.env(), capture_output=True, timeout=60)
        self.assertEqual(done.returncode, NETWORK)  # another commit than the one asked for
        self.assertIn(COMMIT.encode(), done.stderr)

    def test_two_at_once_share_the_work(self):
        self.mirror.faults[WEIGHTS] = [("slow", 50000)]
        first = self.start("turbo", "--skip-main")
        self.wait_for(lambda: self.mirror.requests(WEIGHTS))
        second = self.start("turbo", "--skip-main", "--json")
        self.assertEqual(first.wait(60), 0)
        out, _ = second.communicate(timeout=60)
        self.assertEqual(json.loads(out)["downloaded"], 0)
        self.assertEqual(len(self.mirror.requests(WEIGHTS)), 1)
        first.communicate()

    def test_choice(self):
        plan = json.loads(self.get("--dry-run", "--json", env={"MAX_CUDA_VRAM": "8"}))
        self.assertEqual([s["name"] for s in plan["sets"]],
                         ["vae", "Qwen3-Embedding-0.6B", TURBO, LM])
        self.assertEqual(self.mirror.log, [])
        plan = json.loads(self.get("--dry-run", "--json", "main", env={"MAX_CUDA_VRAM": "4"}))
        self.assertIn("acestep-5Hz-lm-1.7B", [s["name"] for s in plan["sets"]])
        self.assertEqual(len(json.loads(self.get("--dry-run", "--json", "--all"))["sets"]), 14)
        self.assertIn("nonsense", self.get("nonsense", code=ARGUMENT))


class Faults(StoreTest):
    def fetch(self, *faults, code=0, more=()):
        self.mirror.faults[WEIGHTS] = list(faults)
        text = self.get("turbo", "--skip-main", *more, code=code)
        if code == 0:
            self.assert_turbo()
        return text

    def ranges(self):
        return [headers.get("Range") for _, headers in self.mirror.requests(WEIGHTS)]

    def test_a_cut_line_goes_on_at_the_byte(self):
        self.fetch(("cut", 300000), ("cut", 200000))
        self.assertEqual(self.ranges(), [None, "bytes=300000-", "bytes=500000-"])
        etags = [headers.get("If-Range") for _, headers in self.mirror.requests(WEIGHTS)]
        self.assertEqual(etags[0], None)
        self.assertEqual(etags[1], '"%s"' % hashlib.md5(self.published()).hexdigest())

    def test_progress_counts_and_not_attempts(self):
        self.fetch(*[("cut", 60000)] * 15, more=("--retries", "2"))
        self.assertEqual(len(self.ranges()), 16)

    def test_without_progress_it_ends(self):
        message = self.fetch(*[("status", 500)] * 10, code=NETWORK, more=("--retries", "3"))
        self.assertEqual(len(self.ranges()), 4)
        self.assertIn("500", message)
        self.assertNotIn("complete", self.states()[TURBO])

    def test_busy_hosts_are_asked_again(self):
        self.fetch(("status", 500), ("status", 503), ("status", (429, [("Retry-After", "1")])),
                   ("status", 408))

    def test_refusals_are_final(self):
        for status in (401, 403, 404, 410):
            asked = len(self.ranges())
            message = self.fetch(("status", status), code=NETWORK)
            self.assertEqual(len(self.ranges()), asked + 1)
            self.assertIn(str(status), message)

    def test_range_is_ignored(self):
        self.fetch(("cut", 300000), ("ignore range", None))
        self.assertEqual(self.ranges(), [None, "bytes=300000-"])

    def test_another_part_than_asked_for(self):
        self.fetch(("cut", 300000), ("shift", None))
        self.assertEqual(self.ranges(), [None, "bytes=300000-", None])

    def test_range_is_refused(self):
        self.fetch(("cut", 300000), ("status", 416))
        self.assertEqual(self.ranges(), [None, "bytes=300000-", None])

    def test_content_changes_between_attempts(self):
        """The host notices: another ETag, the whole file from the start."""
        self.mirror.etags[WEIGHTS] = '"old"'
        self.mirror.faults[WEIGHTS] = [("cut", 300000), ("status", 404)]
        self.get("turbo", "--skip-main", code=NETWORK)
        self.mirror.etags[WEIGHTS] = '"new"'
        self.fetch()
        self.assertEqual(self.mirror.requests(WEIGHTS)[-1][1].get("If-Range"), '"old"')

    def test_pieces_that_do_not_belong_together(self):
        """Nobody notices but the digest: once more from the start."""
        other = bytes(len(self.published()))
        self.mirror.faults[WEIGHTS] = [("replace", other)]
        self.mirror.etags[WEIGHTS] = 'W/"weak"'
        os.makedirs(self.here(TURBO))
        with open(self.here(TURBO, WEIGHTS + ".part"), "wb") as f:
            f.write(other[:300000])
        self.fetch()
        self.assertEqual(self.ranges(), ["bytes=300000-", None])

    def test_wrong_content_is_refused_and_removed(self):
        message = self.fetch(("corrupt", None), code=NETWORK)
        self.assertIn("digest", message)
        self.assertEqual(len(self.ranges()), 1)
        self.assertFalse(os.path.exists(self.here(TURBO, WEIGHTS)))
        self.assertFalse(os.path.exists(self.here(TURBO, WEIGHTS + ".part")))
        os.remove(self.here(TURBO, "config.json"))
        self.mirror.faults["config.json"] = [("corrupt", None)]  # told by git's digest
        self.assertIn("config.json", self.get("turbo", "--skip-main", code=NETWORK))

    def test_sizes_that_are_lies(self):
        message = self.fetch(("replace", self.published() + b"more"), code=NETWORK)
        self.assertIn("%d bytes" % (len(self.published()) + 4), message)
        self.mirror.listed[WEIGHTS] = {"size": 1000}
        self.assertIn("1000", self.fetch(code=NETWORK))
        self.mirror.listed[WEIGHTS] = {"size": -1}
        self.assertIn("size", self.fetch(code=NETWORK))
        self.mirror.listed[WEIGHTS] = {"size": 1 << 50}
        self.assertIn("size", self.fetch(code=NETWORK))

    def test_more_than_announced_without_a_length(self):
        self.mirror.listed[WEIGHTS] = {"size": 1000}
        self.assertIn("more than its list", self.fetch(("no length", None), code=NETWORK))
        self.assertEqual([n for n in self.leftovers() if WEIGHTS in n], [])

    def test_an_answer_without_a_length(self):
        self.fetch(("no length", None))

    def test_hanging_hosts_are_left(self):
        self.fetch(("hang", 300000))
        self.assertEqual(self.ranges(), [None, "bytes=300000-"])

    def test_no_host_at_all(self):
        address = self.mirror.address
        self.mirror.close()
        done = subprocess.run([PROGRAM, "download", "turbo", "--mirror", address, "--retries", "1",
                               "--retry-wait", "0.02"], env=self.env(), capture_output=True, timeout=60)
        self.assertEqual(done.returncode, NETWORK)
        self.assertFalse(os.path.exists(self.here(TURBO)))

    def test_names_that_lead_elsewhere(self):
        for name in ("../evil.json", "/etc/evil.json", "acestep-v15-turbo/../../evil.json", "a\\..\\b.json"):
            self.mirror.listed["config.json"] = {"rfilename": name}
            self.assertIn("no file name", self.fetch(code=NETWORK))
        self.mirror.listed["config.json"] = {"rfilename": TURBO + "/.hidden.json"}
        self.fetch(code=NETWORK)
        self.assertEqual([f for f in self.files() if "evil" in f or "hidden" in f], [])

    def test_lists_that_are_none(self):
        for text in (b"", b"<html>", b"[]", b"{}", b'{"siblings": 3}', b'{"siblings": []}', b"{" * 9000000):
            self.mirror.faults["list"] = [("text", text)]
            self.get("turbo", "--skip-main", "--retries", "0", code=NETWORK)

    def test_redirects_without_end(self):
        loop = self.mirror.address + "/cdn/%s/%s/%s" % (MAIN, TURBO, WEIGHTS)
        self.assertIn("without an end", self.fetch(*[("redirect", loop)] * 20, code=NETWORK))
        self.assertEqual(len(self.ranges()), 11)

    def test_redirects_out_of_the_way(self):
        for target in ("http://192.0.2.1/x", "file:///etc/passwd", "ftp://127.0.0.1/x",
                       "http://user:pw@127.0.0.1/x"):
            self.fetch(("redirect", target), code=NETWORK)


class Hosts(StoreTest):
    def authorization(self, mirror):
        return {headers.get("Authorization") for _, headers in mirror.log}

    def test_the_token_stays_with_its_host(self):
        other = Mirror()
        self.addCleanup(other.close)
        other.files = self.mirror.files
        self.mirror.cdn = other.address
        text = self.get("turbo", "--skip-main", "-v", env={"HF_TOKEN": TOKEN})
        self.assertEqual(self.authorization(self.mirror), {"Bearer " + TOKEN})
        self.assertEqual(self.authorization(other), {None})
        self.assertTrue(other.requests(WEIGHTS))
        self.assertNotIn(TOKEN, text)
        for name in os.listdir(self.here(TURBO)):
            self.assertNotIn(TOKEN.encode(), self.content(TURBO, name))

    def test_the_token_is_for_hugging_face(self):
        self.get("turbo", "--source", "modelscope", env={"HF_TOKEN": TOKEN})
        self.assertEqual(self.authorization(self.mirror), {None})

    def test_endpoint_from_the_environment(self):
        done = subprocess.run([PROGRAM, "download", "turbo", "--revision", "main"],
                              env=self.env(HF_ENDPOINT=self.mirror.address), capture_output=True, timeout=60)
        self.assertEqual(done.returncode, 0, done.stderr.decode())
        self.assert_turbo()

    def test_the_proxy_is_asked(self):
        """http_proxy: the request line then holds the whole address, which no path of the mirror is."""
        done = subprocess.run([PROGRAM, "download", "turbo", "--mirror", "http://nowhere.invalid",
                               "--retries", "0"], env=self.env(http_proxy=self.mirror.address),
                              capture_output=True, timeout=60)
        self.assertEqual(done.returncode, NETWORK)
        self.assertEqual([h["Host"] for _, h in self.mirror.log], ["nowhere.invalid"])

    def test_addresses_that_are_none(self):
        for address in ("nonsense", "ftp://x", "https://u:p@host", "https://host/?q=1", "file:///etc"):
            done = subprocess.run([PROGRAM, "download", "turbo", "--mirror", address], env=self.env(),
                                  capture_output=True, timeout=60)
            self.assertEqual(done.returncode, ARGUMENT, address)
            self.assertEqual(done.stderr.decode().count("acestep:"), 1)
        self.get("turbo", "--source", "nonsense", code=ARGUMENT)
        self.get("turbo", "--parallel", "x", code=ARGUMENT)
        self.get("turbo", "--revision", "../..", code=ARGUMENT)


class Interruptions(StoreTest):
    def interrupted(self, number, *more):
        self.mirror.faults[WEIGHTS] = [("slow", 20000)]
        process = self.start("turbo", "--skip-main", *more)
        part = self.here(TURBO, WEIGHTS + ".part")
        self.wait_for(lambda: os.path.exists(part) and os.path.getsize(part) > 100000)
        self.assertEqual(self.states()[TURBO], "partial")
        process.send_signal(number)
        _, err = process.communicate(timeout=30)
        self.assertNotIn(self.states()[TURBO], ("complete", "damaged"))
        return process.returncode, os.path.getsize(part), err

    def test_an_interrupt_keeps_what_has_come(self):
        code, kept, err = self.interrupted(signal.SIGINT)
        self.assertEqual(code, CANCELLED)
        self.assertEqual(err.decode().count("acestep:"), 1)
        self.get("turbo", "--skip-main")
        self.assertEqual(self.mirror.requests(WEIGHTS)[-1][1].get("Range"), "bytes=%d-" % kept)
        self.assert_turbo()

    def test_killed_and_resumed(self):
        code, kept, _ = self.interrupted(signal.SIGKILL)
        self.assertEqual(code, -signal.SIGKILL)
        self.get("turbo", "--skip-main")
        self.assertEqual(self.mirror.requests(WEIGHTS)[-1][1].get("Range"), "bytes=%d-" % kept)
        self.assert_turbo()

    def test_killed_at_any_point_it_is_never_called_complete_wrongly(self):
        dice = random.Random(1)
        for _ in range(12):
            self.mirror.faults[WEIGHTS] = [("slow", 100000)]
            process = self.start("turbo", "--skip-main")
            time.sleep(dice.random() * 0.4)
            process.kill()
            process.communicate()
            if self.states()[TURBO] == "complete":
                self.assertEqual(self.content(TURBO, WEIGHTS), self.published())
                shutil.rmtree(self.here(TURBO))
        self.mirror.faults.clear()
        self.get("turbo", "--skip-main")
        self.assert_turbo()

    def test_getting_it_again_is_no_less_careful(self):
        self.get("turbo", "--skip-main")
        self.interrupted(signal.SIGKILL, "--force")
        self.assertFalse(os.path.exists(self.here(TURBO, "acestep-manifest.json")))
        self.assertEqual(self.states()[TURBO], "partial")

    def test_a_full_disk(self):
        """As far as it goes; then, with room, on from there."""
        def limit():
            resource.setrlimit(resource.RLIMIT_FSIZE, (400000, 400000))
        message = self.get("turbo", "--skip-main", code=IO, preexec_fn=limit)
        self.assertIn(WEIGHTS, message)
        self.assertEqual(os.path.getsize(self.here(TURBO, WEIGHTS + ".part")), 400000)
        self.get("turbo", "--skip-main")
        self.assertEqual(self.mirror.requests(WEIGHTS)[-1][1].get("Range"), "bytes=400000-")
        self.assert_turbo()

    def test_too_little_room_is_found_before(self):
        self.mirror.listed[WEIGHTS] = {"size": 1 << 41}
        self.assertIn("free", self.get("turbo", "--skip-main", code=IO))
        self.assertEqual(self.mirror.requests(WEIGHTS), [])

    def test_a_folder_that_cannot_be_written(self):
        with open(self.path("file"), "wb"):
            pass
        self.get("turbo", "--models", self.path("file", "models"), code=IO)


class Keeping(StoreTest):
    def setUp(self):
        super().setUp()
        self.get("turbo")

    def test_list_and_where(self):
        listed = json.loads(self.models("list", "--json", env={"MAX_CUDA_VRAM": "12"}).stdout)
        sets = {s["name"]: s for s in listed["sets"]}
        self.assertEqual(sets[TURBO]["state"], "complete")
        self.assertEqual(sets["acestep-v15-base"]["state"], "absent")
        advised = {name for name, s in sets.items() if s["recommended"]}
        self.assertEqual(advised, {TURBO, "vae", "Qwen3-Embedding-0.6B", "acestep-5Hz-lm-1.7B"})
        self.assertIn(b"acestep-v15-xl-turbo", self.models("list").stdout)
        self.assertTrue(json.loads(self.models("where", "--json").stdout)["ready"])
        self.assertEqual(self.models("where").stdout.decode().strip(), self.here())
        plain = json.loads(self.models().stdout)  # what a job would use
        self.assertIn(TURBO, json.dumps(plain["models"]))

    def damage(self, name, change):
        with open(self.here(TURBO, name), "r+b") as f:
            change(f)

    def verified(self, code):
        done = self.models("verify", "--json")
        self.assertEqual(done.returncode, code, done.stderr.decode())
        return {s["name"]: s["state"] for s in json.loads(done.stdout)["sets"]}

    def test_verify_finds_a_byte(self):
        self.assertEqual(set(self.verified(0).values()), {"complete"})
        self.damage(WEIGHTS, lambda f: (f.seek(-1, 2), f.write(b"\x55")))
        self.assertEqual(self.states()[TURBO], "complete")  # by sizes
        found = self.verified(MODEL)
        self.assertEqual((found[TURBO], found["vae"]), ("damaged", "complete"))
        self.get("turbo", "--force", "--skip-main")
        self.assertEqual(set(self.verified(0).values()), {"complete"})

    def test_a_cut_file_is_damaged_and_mended(self):
        self.damage(WEIGHTS, lambda f: f.truncate(1000))
        self.assertEqual(self.states()[TURBO], "damaged")
        self.assertEqual(self.verified(MODEL)[TURBO], "damaged")
        os.remove(self.here(TURBO, "acestep-manifest.json"))
        self.assertEqual(self.states()[TURBO], "damaged")  # its header tells as well
        self.get("turbo")
        self.assert_turbo()

    def test_a_damaged_manifest(self):
        with open(self.here(TURBO, "acestep-manifest.json"), "wb") as f:
            f.write(b"{")
        self.assertEqual(self.states()[TURBO], "damaged")
        self.assertEqual(self.models("remove", "turbo", "-y").returncode, MODEL)
        self.get("turbo")
        self.assert_turbo()

    def test_remove_takes_what_it_brought(self):
        with open(self.here(TURBO, "notes.txt"), "wb") as f:
            f.write(b"mine")
        self.assertEqual(self.models("remove", "turbo").returncode, ARGUMENT)  # nobody to ask
        would = json.loads(self.models("remove", "turbo", "--dry-run", "--json").stdout)
        self.assertEqual(self.states()[TURBO], "complete")
        done = json.loads(self.models("remove", "turbo", "vae", "-y", "--json").stdout)
        self.assertEqual(done["sets"][1]["bytes"], would["bytes"])
        self.assertEqual(os.listdir(self.here(TURBO)), ["notes.txt"])
        self.assertFalse(os.path.exists(self.here("vae")))
        self.assertEqual(self.models("remove", "vae", "-y").returncode, ARGUMENT)
        shutil.copytree(os.path.join(GOLDEN, "vae"), self.here("vae"))
        self.assertEqual(self.models("remove", "vae", "-y").returncode, ARGUMENT)  # not ours
        self.assertEqual(self.states()["vae"], "complete")

    def test_remove_takes_an_unfinished_one(self):
        self.mirror.faults["model.safetensors"] = [("cut", 200000), ("status", 404)]
        self.get(LM, code=NETWORK)
        self.assertEqual(self.states()[LM], "partial")
        self.assertEqual(self.models("remove", LM, "-y").returncode, 0)
        self.assertFalse(os.path.exists(self.here(LM)))


class Served(StoreTest):
    """The same by the server, from a copied folder."""

    def setUp(self):
        super().setUp()
        self.get("turbo", "--models", self.path("copy"))
        self.mirror.folder = self.path("copy")

    def serve(self, *arguments, **more):
        source = {"ACESTEP_DOWNLOAD_SOURCE": "folder", "ACESTEP_MIRROR": self.mirror.address + "/copy"}
        server = Server(self.folder, *arguments, env=self.env(**{**source, **more}))
        self.addCleanup(server.stop)
        return server

    def download(self, server, body):
        asked = server.ask("POST", "/v1/store/download", body)
        self.assertEqual(asked.status, 202, asked.body)
        return asked.json

    def show(self, server, record):
        return server.ask("GET", "/v1/store/downloads/" + record["id"]).json

    def wait(self, server, record, status):
        self.wait_for(lambda: self.show(server, record)["status"] not in ("queued", "running"))
        record = self.show(server, record)
        self.assertEqual(record["status"], status, record)
        return record

    def slow_start(self, server):
        self.mirror.faults[TURBO + "/" + WEIGHTS] = [("slow", 10000)]
        record = self.download(server, {"sets": ["turbo"]})
        part = self.here(TURBO, WEIGHTS + ".part")
        self.wait_for(lambda: os.path.exists(part) and os.path.getsize(part) > 100000)
        self.wait_for(lambda: (self.show(server, record)["progress"] or {}).get("done", 0) > 0)
        progress = self.show(server, record)["progress"]
        self.assertLess(progress["done"], progress["total"])
        self.assertEqual(self.show(server, record)["status"], "running")
        return record

    def test_from_the_demo_to_the_downloaded_models(self):
        server = self.serve()
        store = server.ask("GET", "/v1/store").json
        self.assertEqual((store["folder"], store["ready"]), (self.here(), False))
        record = self.download(server, {"sets": ["turbo"]})
        result = self.wait(server, record, "done")["result"]
        self.assertEqual({s["source"] for s in result["sets"]}, {"folder"})
        store = server.ask("GET", "/v1/store").json
        self.assertTrue(store["ready"])
        self.assertEqual([d["id"] for d in store["downloads"]], [record["id"]])
        system = server.ask("GET", "/v1/system").json
        self.assertEqual(system["models"]["folder"], self.here())
        self.assertEqual(server.ask("DELETE", "/v1/store/downloads/" + record["id"]).status, 200)
        self.assertEqual(server.ask("GET", "/v1/store/downloads").json, {"downloads": []})

    def test_cancelled_and_asked_again(self):
        server = self.serve()
        record = self.slow_start(server)
        self.assertEqual(server.ask("DELETE", "/v1/store/downloads/" + record["id"]).status, 200)
        self.wait(server, record, "cancelled")
        self.wait(server, self.download(server, {"sets": ["turbo"]}), "done")
        self.assertRegex(self.mirror.requests("/" + WEIGHTS)[-1][1]["Range"], "bytes=[1-9]")

    def test_stopped_or_killed_it_goes_on_at_the_next_start(self):
        for number in (signal.SIGTERM, signal.SIGKILL):
            server = self.serve()
            record = self.slow_start(server)
            server.stop(number)
            self.mirror.faults.clear()
            server = self.serve()
            self.wait(server, record, "done")
            self.assertRegex(self.mirror.requests("/" + WEIGHTS)[-1][1]["Range"], "bytes=[1-9]")
            server.stop()
            shutil.rmtree(self.here())

    def test_failures_are_told(self):
        server = self.serve(ACESTEP_DOWNLOAD_SOURCE="huggingface", ACESTEP_MIRROR=self.mirror.address)
        record = self.wait(server, self.download(server, {"sets": ["turbo"]}), "failed")
        self.assertEqual(record["error"]["code"], "network")
        self.assertIn("asked for revision", record["error"]["message"])  # not the published one

    def test_offline(self):
        asked = len(self.mirror.log)
        server = self.serve(ACESTEP_OFFLINE="1", ACESTEP_MIRROR=self.mirror.address)
        record = self.wait(server, self.download(server, {"sets": ["turbo"]}), "failed")
        self.assertEqual(record["error"]["code"], "network")
        self.assertIn("ACESTEP_OFFLINE forbids the network", record["error"]["message"])
        self.assertEqual(len(self.mirror.log), asked)

    def test_names_and_values_are_checked(self):
        server = self.serve()
        for body in ({"sets": ["nonsense"]}, {"sets": "turbo"}, {"sets": [1]}, {"source": "x"}, {"force": 1},
                     {"mirror": "http://192.0.2.1"}, {"sets": ["x"] * 33}):
            self.assertEqual(server.ask("POST", "/v1/store/download", body).status, 400, body)
        self.assertEqual(server.ask("GET", "/v1/store/downloads").json, {"downloads": []})
        for method in ("GET", "DELETE"):
            self.assertEqual(server.ask(method, "/v1/store/downloads/d_0").status, 404)

    def test_rights(self):
        with open(self.path("keys"), "w", encoding="ascii") as f:
            f.write("reader read\nadmin read,generate,admin\n")
        server = self.serve("--api-key-file", self.path("keys"))
        self.assertEqual(server.ask("GET", "/v1/store").status, 401)
        self.assertEqual(server.ask("GET", "/v1/store", Authorization="Bearer reader").status, 200)
        self.assertEqual(server.ask("POST", "/v1/store/download", {"sets": ["nonsense"]},
                                    Authorization="Bearer reader").status, 403)
        self.assertEqual(server.ask("POST", "/v1/store/download", {"sets": ["nonsense"]},
                                    Authorization="Bearer admin").status, 400)


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1] + sys.argv[2:])
