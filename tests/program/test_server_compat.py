#!/usr/bin/env python3
"""The server as other programs' clients meet it: those of the original's API server, of acestep.cpp, of OpenAI's
chat, of KoboldCpp.

usage: test_server_compat.py PATH/TO/acestep [unittest options]

Standard library only. Songs come from the small recorded model set in tests/golden, so that each takes less than
a second; where it matters what is heard, from the built-in demo model."""
import array
import base64
import http.client
import io
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
import unittest
import urllib.parse
import wave

from test_program import GOLDEN, PROGRAM, environment

WAIT = 120  # seconds that anything may take on a busy machine
FORM = "application/x-www-form-urlencoded"


class Server:
    """A server with a data folder of its own, at a free port."""

    def __init__(self, *options, key=None, env=None):
        self.folder = tempfile.TemporaryDirectory(prefix="acestep-compat-")
        self.key = key
        clean = {**environment(), **(env or {})}
        clean.pop("ACESTEP_THINKING")
        self.process = subprocess.Popen(
            [PROGRAM, "serve", "--port", "0", "--data-dir", os.path.join(self.folder.name, "data"), "--grace", "0",
             *(("--api-key", key) if key else ()), *options],
            cwd=self.folder.name, env=clean, stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        self.log = []
        for line in self.process.stderr:
            self.log.append(line)
            if line.startswith("serving at "):
                self.address = urllib.parse.urlsplit(line.split()[-1])
                break
        else:
            raise AssertionError("the server did not start: " + "".join(self.log))
        self.reader = threading.Thread(target=self.log.extend, args=(self.process.stderr,))
        self.reader.start()

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        try:
            code = self.process.wait(WAIT)
        except subprocess.TimeoutExpired:
            self.process.kill()
            code = self.process.wait()
        self.reader.join()
        self.process.stderr.close()
        self.folder.cleanup()
        if code != 0:
            raise AssertionError(f"the server ended with {code}: " + "".join(self.log[-20:]))

    def ask(self, method, path, body=None, kind="application/json", key=None, headers=()):
        """(status, headers, bytes) of one request."""
        connection = http.client.HTTPConnection(self.address.hostname, self.address.port, timeout=WAIT)
        send = dict(headers)
        if body is not None and kind is not None:
            send["Content-Type"] = kind
        if isinstance(body, (dict, list)):
            body = json.dumps(body)
        key = self.key if key is None else key
        if key:
            send["Authorization"] = "Bearer " + key
        try:
            connection.request(method, path, body, send)
            answer = connection.getresponse()
            return answer.status, answer.headers, answer.read()
        finally:
            connection.close()


def form(fields, files):
    """A multipart body and its type. files: {part: (name, bytes)}."""
    line = "compat-test-boundary"
    out = io.BytesIO()
    for name, value in fields.items():
        out.write(f'--{line}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'.encode())
    for name, (file, data) in files.items():
        out.write(f'--{line}\r\nContent-Disposition: form-data; name="{name}"; filename="{file}"\r\n'
                  f"Content-Type: application/octet-stream\r\n\r\n".encode() + data + b"\r\n")
    out.write(f"--{line}--\r\n".encode())
    return out.getvalue(), f"multipart/form-data; boundary={line}"


def tone(seconds=6, rate=48000):
    """A WAV file with a sawtooth in both channels."""
    out = io.BytesIO()
    with wave.open(out, "wb") as w:
        w.setnchannels(2)
        w.setsampwidth(2)
        w.setframerate(rate)
        period = [(i % 200) * 100 - 10000 for i in range(200)]
        samples = array.array("h", [v for v in period for _ in range(2)])
        w.writeframes((samples.tobytes() * (seconds * rate // 200 + 1))[:seconds * rate * 4])
    return out.getvalue()


def sound_of(data):
    """The samples alone: tags name the upload."""
    with wave.open(io.BytesIO(data)) as w:
        return w.readframes(w.getnframes())


def loudness(data):
    """(seconds, peak) of a 16-bit WAV file."""
    with wave.open(io.BytesIO(data)) as w:
        samples = array.array("h", w.readframes(w.getnframes()))
        return w.getnframes() / w.getframerate(), max(abs(s) for s in samples) / 32768


def parts_of(headers, data):
    """[(headers, bytes)] of a multipart/mixed answer."""
    kind, _, line = headers["Content-Type"].partition("; boundary=")
    assert kind == "multipart/mixed", headers["Content-Type"]
    pieces = data.split(b"--" + line.encode())
    assert pieces[0] == b"" and pieces[-1] == b"--\r\n", "the parts are not closed"
    out = []
    for piece in pieces[1:-1]:
        head, _, content = piece[2:].partition(b"\r\n\r\n")
        assert content.endswith(b"\r\n")
        out.append((dict(line.split(": ", 1) for line in head.decode().split("\r\n")), content[:-2]))
    return out


SMALL = ("--models", GOLDEN, "--precision", "f32", "--inference-steps", "1", "--thinking", "false")


class CompatTest(unittest.TestCase):
    options = SMALL
    key = None

    @classmethod
    def setUpClass(cls):
        cls.server = Server(*cls.options, key=cls.key)

    @classmethod
    def tearDownClass(cls):
        cls.server.stop()

    def json(self, method, path, body=None, status=200, **keywords):
        got, headers, data = self.server.ask(method, path, body, **keywords)
        self.assertEqual(got, status, data[:600])
        self.assertEqual(headers["Content-Type"].split(";")[0], "application/json")
        return json.loads(data)

    def wrapped(self, method, path, body=None, code=200, **keywords):
        """The data of the original's envelope."""
        reply = self.json(method, path, body, **keywords)
        self.assertEqual(set(reply), {"data", "code", "error", "timestamp", "extra"})
        self.assertEqual(reply["code"], code, reply)
        self.assertAlmostEqual(reply["timestamp"] / 1000, time.time(), delta=3600)
        self.assertEqual(reply["error"] is None, code == 200)
        return reply["data"]

    def refused(self, status, method, path, body=None, says="", **keywords):
        reply = self.json(method, path, body, status=status, **keywords)
        self.assertIn(says, reply["detail"])
        self.assertEqual(reply["error"]["message"], reply["detail"])
        return reply

    def entry(self, task):
        (entry,) = self.wrapped("POST", "/query_result", {"task_id_list": json.dumps([task])})
        self.assertEqual(entry["task_id"], task)
        return entry, json.loads(entry["result"])

    def finished(self, task, status=1):
        """As the original's clients do: ask until it is no longer 0."""
        deadline = time.monotonic() + WAIT
        while True:
            entry, result = self.entry(task)
            if entry["status"] != 0:
                self.assertEqual(entry["status"], status, entry)
                return result
            self.assertIn(result[0]["stage"], entry["result"])
            self.assertEqual(result[0]["file"], "")
            self.assertLess(time.monotonic(), deadline, "the song is never done")
            time.sleep(0.05)

    def release(self, body, **keywords):
        data = self.wrapped("POST", "/release_task", body, **keywords)
        self.assertEqual(data["status"], "queued")
        self.assertGreaterEqual(data["queue_position"], 1)
        return data

    def songs(self, body, **keywords):
        return self.finished(self.release(body, **keywords)["task_id"])

    def fetch(self, url):
        status, headers, data = self.server.ask("GET", url)
        self.assertEqual(status, 200, data[:300])
        return headers, data


SHORT = {"audio_duration": 10, "batch_size": 1, "audio_format": "wav", "prompt": "calm piano"}


class Demo(CompatTest):
    """Without any models: the built-in one, which makes music, but hears nothing and writes nothing."""
    options = ()

    def test_a_song_from_request_to_sound(self):
        song = {**SHORT, "lyrics": "[inst]", "bpm": 100, "key_scale": "C major", "use_random_seed": False, "seed": 7}
        (got,) = self.songs(song)
        self.assertEqual(got["prompt"], "calm piano")
        self.assertEqual(got["metas"]["bpm"], 100)
        self.assertEqual(got["metas"]["duration"], 10)
        self.assertEqual(got["metas"]["keyscale"], "C major")
        self.assertEqual(got["metas"]["timesignature"], "N/A")
        self.assertEqual(got["seed_value"], "7")
        self.assertEqual((got["status"], got["progress"], got["stage"]), (1, 1.0, "succeeded"))
        self.assertEqual(got["warnings"], [])
        headers, data = self.fetch(got["file"])
        self.assertEqual(headers["Content-Type"], "audio/wav")
        seconds, peak = loudness(data)
        self.assertAlmostEqual(seconds, 10, places=2)
        self.assertGreater(peak, 0.5)
        (again,) = self.songs({**song, "seed": "7"})
        self.assertEqual(self.fetch(again["url"])[1], data, "the same seed is the same song")


    def test_models_and_figures(self):
        models = self.json("GET", "/v1/models")
        self.assertEqual(models["object"], "list")
        (turbo,) = models["data"]
        self.assertEqual(turbo["id"], "acestep/acestep-v15-turbo")
        self.assertEqual(turbo["pricing"]["prompt"], "0")
        self.assertIn("audio", turbo["output_modalities"])
        self.assertGreaterEqual(turbo["max_output_length"], 60)
        self.assertEqual(models["default_model"], "acestep-v15-turbo")
        inventory = self.wrapped("GET", "/v1/model_inventory")
        self.assertEqual(inventory, self.wrapped("GET", "/v1/models?wrap=1"))
        self.assertEqual(inventory["models"][0]["name"], "acestep-v15-turbo")
        self.assertTrue(inventory["models"][0]["is_default"])
        self.assertEqual((inventory["lm_models"], inventory["llm_initialized"]), ([], False))
        stats = self.wrapped("GET", "/v1/stats")
        self.assertEqual(set(stats), {"jobs", "queue_size", "queue_maxsize", "avg_job_seconds"})
        self.assertEqual(set(stats["jobs"]), {"total", "queued", "running", "succeeded", "failed"})
        self.assertEqual(stats["queue_maxsize"], 200)
        health = self.json("GET", "/health")
        self.assertEqual((health["status"], health["data"]["status"], health["code"]), ("ok", "ok", 200))


    def test_without_a_language_model(self):
        self.refused(503, "POST", "/format_input", {"prompt": "pop"})
        self.refused(503, "POST", "/v1/create_sample", {"query": "a song"})


    def test_the_model_is_loaded(self):
        loaded = self.wrapped("POST", "/v1/init", {"model": "acestep-v15-turbo"})
        self.assertEqual(loaded["loaded_model"], "acestep-v15-turbo")
        self.assertTrue(loaded["models"][0]["is_loaded"])
        self.wrapped("POST", "/v1/models/switch", {"model": "acestep-v15-turbo"})
        again = self.wrapped("POST", "/v1/reinitialize")
        self.assertEqual(again["reloaded"], ["acestep-v15-turbo"])
        self.assertIsNone(self.wrapped("POST", "/v1/init", {"model": "acestep-v99"}, code=500))
        self.refused(400, "POST", "/v1/init", {"slot": 4}, says="slot")


    def test_errors_are_one_text(self):
        latents = form({"request": "{}"}, {"ref_latents": ("a.vae", b"\0" * 255)})
        self.assertIn("error", self.json("POST", "/api/extra/music/prepare", {"caption": "x"}, status=501))
        for path, body, kind, status in (("/synth", {"task_type": "waltz"}, "application/json", 400),
                                         ("/synth", [1], "application/json", 400),
                                         ("/synth", [], "application/json", 400),
                                         ("/synth", *form({"request": "{"}, {}), 400),
                                         ("/synth", *latents, 400),
                                         ("/synth", *form({"request": "{}"}, {"audio": ("a.wav", b"no sound")}), 400),
                                         ("/lm", {"caption": "x"}, "application/json", 501),
                                         ("/understand", *form({}, {"audio": ("a.wav", tone(1))}), 501),
                                         ("/vae", *form({}, {}), 400)):
            with self.subTest(path=path, body=body):
                reply = self.json("POST", path, body, kind=kind, status=status)
                self.assertEqual(set(reply), {"error"})
                self.assertTrue(reply["error"])


    def test_props(self):
        props = self.json("GET", "/props")
        self.assertEqual(props["models"], {"lm": [], "embedding": ["Qwen3-Embedding-0.6B"],
                                           "dit": ["acestep-v15-turbo"], "vae": ["vae"]})
        self.assertEqual(props["cli"], {"max_batch": 8})
        self.assertEqual(set(props["presets"]), {"turbo", "sft"})
        # what the page of that server sends back: all of its defaults
        job = self.json("POST", "/synth", {**props["default"], "caption": "x", "duration": 10})["id"]
        self.json("POST", f"/job?id={job}&cancel=1")


class Reference(CompatTest):
    def test_the_examples_of_the_manual_work(self):
        if shutil.which("curl") is None or shutil.which("bash") is None:
            self.skipTest("needs curl and bash")
        manual = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "docs", "api-compat.md")
        with open(manual, encoding="utf-8") as f:
            blocks = re.findall(r"```sh\n(.*?)```", f.read(), re.S)
        self.assertGreater(len(blocks), 5)
        script = "set -eu -o pipefail\n" + "".join(blocks)
        script = script.replace("http://127.0.0.1:7860", self.server.address.geturl())
        folder = tempfile.mkdtemp(dir=self.server.folder.name)
        ended = subprocess.run(["bash", "-c", script], cwd=folder, capture_output=True, timeout=2 * WAIT)
        self.assertEqual(ended.returncode, 0, (ended.stderr[-500:], ended.stdout[-500:]))
        for name in ("tune.wav", "song.wav"):
            with open(os.path.join(folder, name), "rb") as f:
                self.assertGreater(loudness(f.read())[1], 0.5, name)
        self.assertEqual(len(os.listdir(folder)), 6)

    def test_ranges_and_names_of_the_audio(self):
        (got,) = self.songs({**SHORT, "audio_format": "mp3"})
        self.assertTrue(got["file"].endswith(".mp3"), got["file"])
        headers, data = self.fetch(got["file"])
        self.assertEqual(headers["Content-Type"], "audio/mpeg")
        status, headers, piece = self.server.ask("GET", got["file"], headers={"Range": "bytes=10-19"})
        self.assertEqual((status, piece), (206, data[10:20]))
        headers, _ = self.fetch(got["file"] + "&download=1")
        self.assertIn("attachment", headers["Content-Disposition"])
        for path, status in (("/etc/passwd", 403), ("../../jobs.db", 403), ("j_/../x", 403),
                             ("j_00000000000000000000/0", 404), ("", 400)):
            self.refused(status, "GET", "/v1/audio?path=" + urllib.parse.quote(path, safe=""))
        self.refused(404, "GET", got["file"].replace("%2F0.", "%2F7."))

    def test_bodies_of_every_kind(self):
        for body, kind in ((json.dumps(SHORT), "application/json"), (json.dumps(SHORT), "application/vnd.x+json"),
                           (urllib.parse.urlencode(SHORT), FORM), form(SHORT, {}),
                           (json.dumps(SHORT), None), (urllib.parse.urlencode(SHORT), None),
                           (json.dumps(SHORT), FORM)):
            with self.subTest(kind=kind):
                (got,) = self.songs(body, kind=kind)
                self.assertEqual(got["metas"]["duration"], 10)
        nested = {"prompt": "x", "batch_size": 1, "param_obj": json.dumps({"duration": 11, "bpm": 90}),
                  "metas": {"bpm": 70, "keyscale": "Am"}}
        (got,) = self.songs(nested)
        self.assertEqual((got["metas"]["duration"], got["metas"]["bpm"]), (11, 90))
        self.assertEqual(got["metas"]["keyscale"], "Am")
        self.refused(400, "POST", "/release_task", "[1]")
        self.refused(400, "POST", "/release_task", "{")

    def test_a_batch_has_a_file_each(self):
        got = self.songs({**SHORT, "batchSize": 2, "seed": "5,6"})
        self.assertEqual([song["seed"] for song in got], [5, 6])
        self.assertEqual({song["seed_value"] for song in got}, {"5,6"})
        first, second = (self.fetch(song["file"])[1] for song in got)
        self.assertNotEqual(first, second)
        advised = self.songs({"prompt": "x", "audio_duration": 10})
        self.assertEqual(len(advised), 2)  # as the original, where the machine can

    def test_what_is_changed_is_told(self):
        task = self.release({**SHORT, "bpm": 999, "audio_format": "aac", "wrong_name": 1})
        self.assertEqual([w["field"] for w in task["warnings"]], ["bpm", "audio_format", "wrong_name"])
        (got,) = self.finished(task["task_id"])
        self.assertEqual(got["metas"]["bpm"], 300)
        self.assertEqual([w["field"] for w in got["warnings"]][:3], ["bpm", "audio_format", "wrong_name"])
        self.assertEqual(got["warnings"][0]["used"], "300")
        task = self.release({**SHORT, "eta": 0.5, "momentum": 0})
        self.assertEqual([(w["field"], w["asked"]) for w in task["warnings"]], [("eta", "0.5")])
        self.finished(task["task_id"])

    def test_what_cannot_be_a_song_is_refused(self):
        for body, status, says in (({"task_type": "waltz"}, 400, "waltz"),
                                   ({**SHORT, "key_scale": "H major"}, 400, "keyscale"),
                                   ({**SHORT, "src_audio_path": "/etc/passwd", "task_type": "cover"}, 400, ""),
                                   ({**SHORT, "reference_audio_path": "u_00000000000000000000"}, 400, ""),
                                   ({**SHORT, "lora_path": "/etc/passwd"}, 400, ""),
                                   ({**SHORT, "model": "acestep-v99"}, 404, "acestep-v99")):
            with self.subTest(body=body):
                self.refused(status, "POST", "/release_task", body, says=says)
        task = self.release({**SHORT, "model": "acestep/acestep-v99", "model_fallback": True})
        self.assertEqual([w["field"] for w in task["warnings"]], ["model"])
        self.finished(task["task_id"])
        (got,) = self.songs({**SHORT, "model": "acestep/acestep-v15-turbo"})
        self.assertEqual(got["dit_model"], "acestep-v15-turbo")

    def test_results_are_asked_for_in_many_ways(self):
        task = self.release(SHORT)["task_id"]
        for body, kind in (({"task_id_list": [task, "j_nobody"]}, "application/json"),
                           (urllib.parse.urlencode({"task_id_list": json.dumps([task, "j_nobody"])}), FORM)):
            known, unknown = self.wrapped("POST", "/query_result", body, kind=kind)
            self.assertEqual(known["task_id"], task)
            self.assertIsInstance(known["progress_text"], str)
            self.assertEqual((unknown["status"], unknown["result"], unknown["error"]), (2, "[]", "unknown task"))
        self.assertEqual(self.wrapped("POST", "/query_result", {"task_id_list": []}), [])
        self.assertEqual(self.wrapped("POST", "/query_result", {}), [])
        self.finished(task)

    def test_a_task_is_cancelled(self):
        long = self.release({"prompt": "x", "audio_duration": 60, "batch_size": 8})["task_id"]
        reply = self.wrapped("POST", "/cancel_task", {"task_id": long})
        self.assertEqual(reply, {"task_id": long, "status": "cancelled"})
        (got,) = self.finished(long, status=2)
        self.assertEqual((got["stage"], got["error"]), ("cancelled", "cancelled"))
        self.refused(404, "POST", "/cancel_task", {"task_id": "j_nobody"})

    def test_ideas(self):
        simple = self.wrapped("POST", "/create_random_sample", {})
        self.assertEqual(set(simple), {"description", "instrumental", "vocal_language"})
        whole = self.wrapped("POST", "/create_random_sample", {"sample_type": "custom_mode"})
        self.assertEqual(set(whole), {"caption", "lyrics", "bpm", "duration", "keyscale", "language",
                                      "timesignature", "think"})

    def test_adapters(self):
        status = self.wrapped("GET", "/v1/lora/status")
        self.assertEqual((status["lora_loaded"], status["adapters"]), (False, []))
        self.refused(400, "POST", "/v1/lora/load", {"lora_path": "/etc/passwd"})
        self.refused(400, "POST", "/v1/lora/load", {})
        self.refused(400, "POST", "/v1/lora/unload")
        self.refused(400, "POST", "/v1/lora/toggle", {"use_lora": True})
        self.refused(400, "POST", "/v1/lora/scale", {"scale": 7}, says="scale")
        self.refused(400, "POST", "/v1/lora/burn", {})

    def test_what_there_is_not(self):
        self.refused(501, "POST", "/v1/training/start", {})
        self.refused(501, "GET", "/v1/dataset/samples")


class Chat(CompatTest):
    SAY = {"model": "acestep/acestep-v15-turbo", "messages": [{"role": "user", "content": "<prompt>calm piano</prompt>"}],
           "audio_config": {"duration": 10, "format": "wav"}}

    def audio_of(self, parts):
        out = []
        for part in parts:
            self.assertEqual(part["type"], "audio_url")
            head, _, data = part["audio_url"]["url"].partition(",")
            self.assertEqual(head, "data:audio/wav;base64")
            out.append(base64.b64decode(data, validate=True))
        return out

    def test_at_once(self):
        reply = self.json("POST", "/v1/chat/completions", {**self.SAY, "batch_size": 2, "seed": "1,2"})
        self.assertEqual((reply["object"], reply["model"]), ("chat.completion", self.SAY["model"]))
        self.assertTrue(reply["id"].startswith("chatcmpl-"))
        (choice,) = reply["choices"]
        self.assertEqual((choice["index"], choice["finish_reason"]), (0, "stop"))
        self.assertEqual(choice["message"]["role"], "assistant")
        self.assertTrue(choice["message"]["content"])
        songs = self.audio_of(choice["message"]["audio"])
        self.assertEqual(len(songs), 2)
        for song in songs:
            seconds, peak = loudness(song)
            self.assertAlmostEqual(seconds, 10, places=2)
            self.assertGreater(peak, 0.5)
        self.assertEqual(reply["usage"]["total_tokens"], 0)

    def test_as_it_comes(self):
        status, headers, data = self.server.ask("POST", "/v1/chat/completions", {**self.SAY, "stream": True})
        self.assertEqual((status, headers["Content-Type"].split(";")[0]), (200, "text/event-stream"))
        events = [e for e in data.decode().split("\n\n") if e and not e.startswith(":")]
        self.assertTrue(all(e.startswith("data: ") for e in events), events)
        self.assertEqual(events[-1], "data: [DONE]")
        chunks = [json.loads(e[6:]) for e in events[:-1]]
        self.assertEqual({c["object"] for c in chunks}, {"chat.completion.chunk"})
        self.assertEqual(len({c["id"] for c in chunks}), 1)
        deltas = [c["choices"][0]["delta"] for c in chunks]
        self.assertEqual(deltas[0], {"role": "assistant", "content": ""})
        songs = [self.audio_of(d["audio"])[0] for d in deltas if "audio" in d]
        self.assertEqual(len(songs), 1)
        self.assertGreater(loudness(songs[0])[1], 0.5)
        ends = [c["choices"][0]["finish_reason"] for c in chunks]
        self.assertEqual((ends[-1], set(ends[:-1])), ("stop", {None}))

    def test_whoever_leaves_takes_the_job_along(self):
        body = json.dumps({**self.SAY, "batch_size": 8, "audio_config": {"duration": 60}})
        newest = lambda: self.json("GET", "/v1/jobs?limit=1")["jobs"][0]
        ways = (("/v1/chat/completions", body[:-1] + ', "stream": true}'), ("/v1/chat/completions", body),
                ("/v1/audio/music", '{"input": "x", "duration": 60, "batch_size": 8}'),
                ("/api/extra/music/generate", '{"caption": "x", "duration": 60, "synth_batch_size": 8}'))
        for path, text in ways:
            with self.subTest(path=path, text=text):
                before = newest()["id"] if self.json("GET", "/v1/jobs?limit=1")["jobs"] else ""
                connection = http.client.HTTPConnection(self.server.address.hostname, self.server.address.port)
                connection.request("POST", path, text, {"Content-Type": "application/json"})
                self.until(lambda: self.json("GET", "/v1/jobs?limit=1")["total"] and newest()["id"] != before
                           and newest()["status"] == "running")
                connection.sock.close()
                self.until(lambda: newest()["status"] == "cancelled")

    def until(self, condition):
        deadline = time.monotonic() + WAIT
        while not condition():
            self.assertLess(time.monotonic(), deadline)
            time.sleep(0.02)

    def test_what_is_refused(self):
        for body in ({}, {"messages": []}, {"messages": [{"role": "system", "content": "x"}]}):
            self.refused(400, "POST", "/v1/chat/completions", body, says="messages")
        audio = [{"type": "text", "text": "x"}, {"type": "input_audio", "input_audio": {"data": "*", "format": "wav"}}]
        self.refused(400, "POST", "/v1/chat/completions", {"messages": [{"role": "user", "content": audio}]})

    def test_music_in_one_call(self):
        body = {"input": "calm piano", "duration": 10, "response_format": "wav"}
        status, headers, data = self.server.ask("POST", "/v1/audio/music", body)
        self.assertEqual((status, headers["Content-Type"]), (200, "audio/wav"))
        self.assertGreater(loudness(data)[1], 0.5)
        reply = self.json("POST", "/v1/audio/music/generations", {**body, "response_format": "b64_json", "format": "wav"})
        (song,) = reply["data"]
        self.assertEqual((song["mime_type"], song["duration"]), ("audio/wav", 10))
        self.assertEqual(base64.b64decode(song["b64_json"]), self.fetch(song["url"])[1])


class Keys(CompatTest):
    key = "open-sesame"

    def test_a_key_is_asked_for(self):
        ask = self.server.ask
        self.assertEqual(ask("POST", "/release_task", SHORT, key="")[0], 401)
        self.assertEqual(ask("POST", "/release_task", SHORT, key="wrong")[0], 401)
        self.assertEqual(ask("POST", "/release_task", {**SHORT, "ai_token": "wrong"}, key="")[0], 401)
        self.assertEqual(ask("POST", "/query_result", {"task_id_list": []}, key="")[0], 401)
        self.assertEqual(ask("GET", "/v1/stats", key="")[0], 401)
        self.assertEqual(ask("POST", "/synth", {"caption": "x"}, key="")[0], 401)
        self.assertEqual(ask("GET", "/health", key="")[0], 200)
        in_body = {**SHORT, "ai_token": self.key}
        for body, kind in ((in_body, "application/json"), (urllib.parse.urlencode(in_body), FORM), form(in_body, {})):
            status, _, data = ask("POST", "/release_task", body, kind=kind, key="")
            self.assertEqual(status, 200, data)
        plain = ask("POST", "/release_task", SHORT, key="", headers={"Authorization": self.key})
        self.assertEqual(plain[0], 200)

    def test_addresses_of_songs_need_none(self):
        (got,) = self.songs(SHORT)
        status, _, data = self.server.ask("GET", got["file"], key="")
        self.assertEqual(status, 200)
        self.assertGreater(loudness(data)[1], 0.5)
        for url in (got["file"].split("&")[0], got["file"].replace("%2F0.", "%2F1."), got["file"] + "0"):
            self.assertIn(self.server.ask("GET", url, key="")[0], (401, 403))


class Queue(CompatTest):
    options = (*SMALL, "--queue-limit", "1")

    def test_a_full_queue_says_when(self):
        long = {"prompt": "x", "audio_duration": 60, "batch_size": 8}
        tasks = [self.release(long)["task_id"]]
        status = 200
        while status == 200 and len(tasks) < 9:
            status, headers, data = self.server.ask("POST", "/release_task", long)
            if status == 200:
                tasks.append(json.loads(data)["data"]["task_id"])
        self.assertEqual(status, 429)
        self.assertGreaterEqual(int(headers["Retry-After"]), 1)
        self.assertIn("queue", json.loads(data)["detail"])
        status, headers, data = self.server.ask("POST", "/synth", {"caption": "x", "duration": 10})
        self.assertEqual(status, 429)
        self.assertIn("queue", json.loads(data)["error"])
        for task in tasks:
            self.server.ask("POST", "/cancel_task", {"task_id": task})


class PeerTest(CompatTest):

    def run_job(self, path, body, status="done", **keywords):
        job = self.json("POST", path, body, **keywords)["id"]
        self.assertIsInstance(job, str)
        return job, self.wait(job, status)

    def wait(self, job, status="done"):
        deadline = time.monotonic() + WAIT
        while True:
            now = self.json("GET", "/job?id=" + job)["status"]
            self.assertIn(now, ("running", "done", "failed", "cancelled"))
            if now != "running":
                self.assertEqual(now, status)
                return now
            self.assertLess(time.monotonic(), deadline)
            time.sleep(0.05)

    def result(self, job):
        status, headers, data = self.server.ask("GET", f"/job?id={job}&result=1")
        self.assertEqual(status, 200, data[:300])
        return headers, data


class Peer(PeerTest):
    """acestep.cpp's endpoints."""

    def test_songs_are_parts(self):
        job, _ = self.run_job("/synth", {"caption": "calm piano", "duration": 10, "output_format": "wav16",
                                         "synth_batch_size": 2, "seed": 41})
        parts = parts_of(*self.result(job))
        self.assertEqual([p[0]["Content-Type"] for p in parts], ["audio/wav", "application/octet-stream"] * 2)
        self.assertEqual([p[0]["X-Seed"] for p in parts[::2]], ["41", "42"])
        self.assertEqual(parts[0][0]["X-Duration"], "10.00")
        self.assertGreater(loudness(parts[2][1])[1], 0.5)
        self.assertEqual([len(p[1]) % 1000 for p in parts[1::2]], [0, 0])  # 250 frames of floats

    def test_several_requests_in_one_call(self):
        body = [{"caption": "calm piano", "duration": 10}, {"caption": "techno", "duration": 12}]
        job, _ = self.run_job("/synth", body)
        parts = parts_of(*self.result(job))
        self.assertEqual([p[0]["X-Duration"] for p in parts[::2]], ["10.00", "12.00"])
        self.assertEqual({p[0]["Content-Type"] for p in parts[::2]}, {"audio/mpeg"})
        text, kind = form({"request": json.dumps(body[0])}, {})
        self.run_job("/synth", text, kind=kind)

    def test_jobs_end_early(self):
        job = self.json("POST", "/synth", {"caption": "x", "duration": 60, "synth_batch_size": 8})["id"]
        self.assertEqual(self.json("GET", f"/job?id={job}&result=1", status=404)["error"][:8], "there is")
        self.assertEqual(self.json("POST", f"/job?id={job}&cancel=1"), {"status": "cancelled"})
        self.wait(job, "cancelled")
        for path, status in (("/job", 400), ("/job?id=j_nobody", 404), ("/job?id=,", 400)):
            self.assertIsInstance(self.json("GET", path, status=status)["error"], str)
        self.assertIsInstance(self.json("POST", "/job?id=j_nobody&cancel=1", status=404)["error"], str)
        self.assertIsInstance(self.json("POST", f"/job?id={job}", status=400)["error"], str)

    def test_logs_tell_of_jobs(self):
        job, _ = self.run_job("/synth", {"caption": "x", "duration": 10})
        connection = http.client.HTTPConnection(self.server.address.hostname, self.server.address.port, timeout=WAIT)
        connection.request("GET", "/logs")
        answer = connection.getresponse()
        self.assertEqual(answer.headers["Content-Type"].split(";")[0], "text/event-stream")
        seen = set()
        while not {"queued", "started", "done"} <= seen:
            line = answer.readline().decode()
            self.assertTrue(line, "the stream has ended")
            if line.startswith(f"data: {job} "):
                seen.add(line.split()[2])
        connection.close()

    def test_a_song_in_one_call(self):
        body = {"caption": "calm piano", "duration": 10, "stereo": True, "use_mp3": False}
        status, headers, data = self.server.ask("POST", "/api/extra/music/generate", body)
        self.assertEqual((status, headers["Content-Type"]), (200, "audio/wav"))
        self.assertGreater(loudness(data)[1], 0.5)
        status, headers, _ = self.server.ask("POST", "/api/extra/music/generate", {**body, "use_mp3": True})
        self.assertEqual((status, headers["Content-Type"]), (200, "audio/mpeg"))


class Whole(PeerTest):
    """What takes an encoder or a language model."""

    def test_uploads_by_every_name(self):
        sound = tone()
        fields = {"prompt": "jazz", "batch_size": 1, "audio_format": "wav", "use_random_seed": "false", "seed": 3}
        made = {}
        for part in ("src_audio", "ctx_audio"):
            body, kind = form({**fields, "task_type": "cover"}, {part: ("../../a.wav", sound)})
            (got,) = self.songs(body, kind=kind)
            self.assertAlmostEqual(got["metas"]["duration"], 6, places=1)
            made[part] = self.fetch(got["file"])[1]
        self.assertEqual(sound_of(made["src_audio"]), sound_of(made["ctx_audio"]))
        for part in ("reference_audio", "ref_audio"):
            body, kind = form({**fields, "audio_duration": 10}, {part: ("a.wav", sound)})
            (got,) = self.songs(body, kind=kind)
            made[part] = self.fetch(got["file"])[1]
        self.assertEqual(sound_of(made["reference_audio"]), sound_of(made["ref_audio"]))
        (plain,) = self.songs({**fields, "audio_duration": 10})
        self.assertNotEqual(sound_of(self.fetch(plain["file"])[1]), sound_of(made["ref_audio"]),
                            "the reference is heard")
        (again,) = self.songs({**fields, "task_type": "repaint", "src_audio_path": plain["file"],
                               "repainting_start": 2, "repainting_end": 4})
        self.assertAlmostEqual(again["metas"]["duration"], 10, places=1)
        body, kind = form({**fields, "task_type": "cover"}, {"src_audio": ("a.wav", b"no sound at all")})
        self.refused(422, "POST", "/release_task", body, kind=kind)

    def test_words(self):
        got = self.wrapped("POST", "/format_input", {"prompt": "rough", "lyrics": "la la", "param_obj": {"bpm": 77}})
        self.assertEqual(set(got), {"caption", "lyrics", "bpm", "key_scale", "time_signature", "duration",
                                    "vocal_language", "instrumental", "warnings"})
        self.assertEqual(got["bpm"], 77)
        self.assertTrue(got["caption"])
        got = self.wrapped("POST", "/v1/create_sample", {"query": "a german song"})
        self.assertEqual(got["vocal_language"], "de")

    def test_what_is_heard(self):
        body, kind = form({"full_analysis_only": "true"}, {"ctx_audio": ("a.wav", tone())})
        (heard,) = self.songs(body, kind=kind)
        self.assertEqual(heard["status_message"], "Full Hardware Analysis Success")
        self.assertTrue(heard["prompt"])
        self.assertEqual(heard["audio_codes"].count("<|audio_code_"), 30)
        body, kind = form({"extract_codes_only": "1"}, {"src_audio": ("a.wav", tone())})
        (codes,) = self.songs(body, kind=kind)
        self.assertEqual(codes["status_message"], "Audio Codes Extraction Success")
        self.assertEqual(codes["audio_codes"], heard["audio_codes"])
        (song,) = self.songs({**SHORT, "audio_code_string": codes["audio_codes"], "audio_duration": 6})
        self.assertTrue(song["file"])

    def test_the_peers_own_way(self):
        """Its client's: words first, then the song from them; and a song that is heard."""
        asked = {"caption": "a german song", "lm_mode": "inspire", "mine": 5}
        job, _ = self.run_job("/lm", asked)
        (enriched,) = json.loads(self.result(job)[1])
        self.assertEqual(enriched["vocal_language"], "de")
        self.assertEqual(enriched["mine"], 5)
        kept = {"caption": "pop", "lyrics": "la la", "bpm": 91}
        job, _ = self.run_job("/lm", kept)
        (enriched,) = json.loads(self.result(job)[1])
        self.assertEqual((enriched["lyrics"], enriched["bpm"]), ("la la", 91))
        self.assertTrue(enriched["caption"])
        enriched.update(duration=6, thinking=False)
        self.run_job("/synth", enriched)
        body, kind = form({"request": json.dumps({"caption": "jazz", "task_type": "cover-nofsq"})},
                          {"audio": ("a.wav", tone()), "ref_audio": ("b.wav", tone())})
        job, _ = self.run_job("/synth", body, kind=kind)
        ((head, _), (_, latents)) = parts_of(*self.result(job))
        self.assertEqual(head["X-Duration"], "6.00")
        self.assertEqual(len(latents), 150 * 8 * 4)
        body, kind = form({}, {"audio": ("a.wav", tone())})
        job, _ = self.run_job("/understand", body, kind=kind)
        ((head, text),) = parts_of(*self.result(job))
        self.assertEqual(head["Content-Type"], "application/json")
        self.assertTrue(json.loads(text)["caption"])
        prepared = self.json("POST", "/api/extra/music/prepare", {"caption": "a german song"})
        self.assertEqual(prepared["vocal_language"], "de")
        sound = base64.b64encode(tone()).decode()
        status, _, data = self.server.ask("POST", "/api/extra/music/generate",
                                          {"caption": "jazz", "music_reference_audio_data": sound})
        self.assertEqual(status, 200)
        self.assertAlmostEqual(loudness(data)[0], 6, places=1)

    def test_latents_there_and_back(self):
        asked = {"caption": "jazz", "task_type": "cover-nofsq", "output_format": "wav16", "seed": 7}
        body, kind = form({"request": json.dumps(asked)}, {"audio": ("a.wav", tone())})
        job, _ = self.run_job("/synth", body, kind=kind)
        ((_, sound), (_, latents)) = parts_of(*self.result(job))
        body, kind = form({"request": '{"output_format": "wav16"}'}, {"src_latents": ("a.vae", latents)})
        job, _ = self.run_job("/vae", body, kind=kind)
        headers, decoded = self.result(job)
        self.assertEqual(headers["Content-Type"], "audio/wav")
        self.assertEqual(sound_of(decoded), sound_of(sound))
        body, kind = form({}, {"audio": ("a.wav", tone())})
        job, _ = self.run_job("/vae", body, kind=kind)
        headers, encoded = self.result(job)
        self.assertEqual((headers["Content-Type"], len(encoded)), ("application/octet-stream", 150 * 8 * 4))
        body, kind = form({"request": json.dumps(asked)}, {"src_latents": ("a.vae", encoded)})
        job, _ = self.run_job("/synth", body, kind=kind)
        self.assertEqual(sound_of(parts_of(*self.result(job))[0][1]), sound_of(sound))
        body, kind = form({}, {"src_latents": ("a.vae", encoded)})
        job, _ = self.run_job("/understand", body, kind=kind)
        self.assertTrue(json.loads(parts_of(*self.result(job))[0][1])["caption"])
        song = {"request": json.dumps({"caption": "jazz", "duration": 10, "output_format": "wav16", "seed": 7})}
        made = []
        for files in ({}, {"ref_latents": ("a.vae", encoded)}, {"ref_latents": ("a.vae", encoded), "ref_audio": ("a.wav", tone(1))}):
            body, kind = form(song, files)
            job, _ = self.run_job("/synth", body, kind=kind)
            made.append(sound_of(parts_of(*self.result(job))[0][1]))
        self.assertNotEqual(made[0], made[1])
        self.assertEqual(made[1], made[2])
        both = form({}, {"audio": ("a.wav", tone(1)), "src_latents": ("a.vae", encoded)})
        for wrong in (form({}, {}), both, form({}, {"src_latents": ("a.vae", encoded[:-3])}),
                      form({}, {"src_latents": ("a.vae", b"\xff" * 64)}), form({"request": "[]"}, {})):
            self.assertIsInstance(self.json("POST", "/vae", wrong[0], kind=wrong[1], status=400)["error"], str)

    def test_audio_in_a_chat(self):
        sound = {"type": "input_audio", "input_audio": {"data": base64.b64encode(tone()).decode(), "format": "wav"}}
        reply = self.json("POST", "/v1/chat/completions",
                          {"task_type": "cover", "audio_config": {"format": "wav"},
                           "messages": [{"role": "user", "content": [{"type": "text", "text": "jazz"}, sound]}]})
        (part,) = reply["choices"][0]["message"]["audio"]
        data = base64.b64decode(part["audio_url"]["url"].partition(",")[2])
        self.assertAlmostEqual(loudness(data)[0], 6, places=1)

    def test_the_language_model_is_told_of(self):
        inventory = self.wrapped("GET", "/v1/model_inventory")
        self.assertEqual([m["name"] for m in inventory["lm_models"]], ["acestep-5Hz-lm-0.6B"])
        self.assertEqual({m["name"] for m in inventory["models"]}, {"acestep-v15-turbo", "acestep-v15-base"})


if __name__ == "__main__":
    unittest.main(argv=[sys.argv[0], *sys.argv[2:]])
