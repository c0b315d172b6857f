#!/usr/bin/env python3
"""acestep serve as its clients meet it.

usage: test_server.py PATH/TO/acestep [unittest options]

Standard library only; songs come from the built-in demo model."""
import gzip
import http.client
import json
import os
import re
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import time
import unittest

PROGRAM = os.path.abspath(sys.argv[1]) if len(sys.argv) > 1 else "acestep"
ARGUMENT, BUSY, IO = 2, 9, 10


def environment(**more):
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("ACESTEP_", "MAX_"))}
    return {**kept, "ACESTEP_THINKING": "false", "ACESTEP_CACHE": "false", **more}


def recording(seconds=1, rate=8000):
    """A WAV file: a triangle wave."""
    samples = b"".join(struct.pack("<h", abs(i % 80 - 40) * 400 - 8000) for i in range(seconds * rate))
    return (b"RIFF" + struct.pack("<I", 36 + len(samples)) + b"WAVEfmt " +
            struct.pack("<IHHIIHH", 16, 1, 1, rate, 2 * rate, 2, 16) +
            b"data" + struct.pack("<I", len(samples)) + samples)


class Reply:
    def __init__(self, response):
        self.status, self.headers, self.body = response.status, response.headers, response.read()

    @property
    def json(self):
        return json.loads(self.body)


class Server:
    """A server that runs until it is stopped."""

    def __init__(self, folder, *arguments, env=None, command=("serve",)):
        self.folder = folder
        self.log = os.path.join(folder, f"log{len(os.listdir(folder))}")
        self.data = os.path.join(folder, "data")
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(
                [PROGRAM, *command, *arguments], cwd=folder, stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE, stderr=log,
                env=environment(**{"ACESTEP_PORT": "0", "ACESTEP_DATA_DIR": self.data, **(env or {})}))
        self.port = None
        deadline = time.monotonic() + 60
        while self.port is None and self.process.poll() is None and time.monotonic() < deadline:
            found = re.search(r"serving at http://[^\s]*:(\d+)\n", self.text())
            self.port = int(found[1]) if found else None
            time.sleep(0.005)

    def text(self):
        with open(self.log, encoding="utf-8", errors="replace") as f:
            return f.read()

    def ask(self, method, target, body=None, **headers):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        headers = {k.replace("_", "-"): v for k, v in headers.items()}
        if isinstance(body, (dict, list)):
            body = json.dumps(body)
            headers.setdefault("Content-Type", "application/json")
        try:
            connection.request(method, target, body, headers)
            return Reply(connection.getresponse())
        finally:
            connection.close()

    def raw(self):
        return socket.create_connection(("127.0.0.1", self.port), timeout=60)

    def resident(self):
        with open(f"/proc/{self.process.pid}/statm", encoding="ascii") as f:
            return int(f.read().split()[1]) * os.sysconf("SC_PAGESIZE")

    def receiving(self):
        return os.listdir(os.path.join(self.data, "receiving"))

    def stop(self, number=signal.SIGTERM):
        if self.process.poll() is None:
            self.process.send_signal(number)
        try:
            return self.process.wait(60)
        finally:
            self.process.kill()
            self.process.stdout.close()


def until(condition, seconds=20):
    """What the condition said last: asked once more, it may say something else."""
    deadline = time.monotonic() + seconds
    while not (met := condition()) and time.monotonic() < deadline:
        time.sleep(0.01)
    return met


class ServerTest(unittest.TestCase):
    ARGUMENTS = ()

    def setUp(self):
        self.folder = tempfile.mkdtemp(prefix="acestep-server-")
        self.addCleanup(shutil.rmtree, self.folder, True)

    def start(self, *arguments, **more):
        server = Server(self.folder, *arguments, **more)
        self.addCleanup(self.finish, server)
        self.assertIsNotNone(server.port, server.text())
        return server

    def finish(self, server):
        """However a test went, its server ends well: a sanitizer's build says so here."""
        self.assertEqual(server.stop(), 0, server.text()[-3000:])

    def run_program(self, *arguments, **env):
        return subprocess.run([PROGRAM, *arguments], cwd=self.folder, capture_output=True, timeout=300,
                              stdin=subprocess.DEVNULL, env=environment(
                                  ACESTEP_DATA_DIR=os.path.join(self.folder, "data"), **env))


def resolve(document, schema):
    while "$ref" in schema:
        name = schema["$ref"].removeprefix("#/components/schemas/")
        schema = document["components"]["schemas"][name]
    return schema


def misfit(document, schema, value, where="$"):
    """Why a value does not fit a schema, None when it does: types, required members, choices."""
    schema = resolve(document, schema)
    if "anyOf" in schema:
        reasons = [misfit(document, s, value, where) for s in schema["anyOf"]]
        return None if None in reasons else reasons[0]
    kinds = {"object": dict, "array": list, "string": str, "boolean": bool, "integer": int,
             "number": (int, float), "null": type(None)}
    kind = schema.get("type")
    if kind and (not isinstance(value, kinds[kind]) or
                 (kind in ("integer", "number") and isinstance(value, bool))):
        return f"{where}: {value!r:.60} is no {kind}"
    if "enum" in schema and value not in schema["enum"]:
        return f"{where}: {value!r} is not in {schema['enum']}"
    if kind == "object":
        for name in schema.get("required", []):
            if name not in value:
                return f"{where}: {name} is missing"
        for name, inner in schema.get("properties", {}).items():
            if name in value and (reason := misfit(document, inner, value[name], f"{where}.{name}")):
                return reason
    for i, item in enumerate(value if kind == "array" else []):
        if reason := misfit(document, schema.get("items", {}), item, f"{where}[{i}]"):
            return reason
    return None


class Description(ServerTest):
    """openapi.json against the program."""

    def routes(self):
        lines = self.run_program("serve", "--routes").stdout.decode().splitlines()
        return {tuple(line.split()) for line in lines}

    def test_every_route_is_described_and_every_description_has_a_route(self):
        document = self.start().ask("GET", "/openapi.json").json
        described = {(m.upper(), p) for p, methods in document["paths"].items() for m in methods}
        self.assertEqual(self.routes(), described)
        self.assertEqual(document["info"]["version"], self.run_program("--version").stdout.decode().split()[1])
        text = json.dumps(document)
        for name in re.findall(r"#/components/schemas/(\w+)", text):
            self.assertIn(name, document["components"]["schemas"])
        identifiers = [o["operationId"] for ms in document["paths"].values() for o in ms.values()]
        self.assertEqual(len(identifiers), len(set(identifiers)))

    def test_described_rights_are_those_of_the_routes(self):
        """Without a key a route answers 401 exactly where its description names a right."""
        server = self.start("--api-key", "k")
        document = server.ask("GET", "/openapi.json").json
        for path, methods in document["paths"].items():
            for method, operation in methods.items():
                if path in ("/v1/jobs/{id}/events", "/v1/events"):
                    continue
                target = re.sub(r"\{\w+\}", "1", path)
                reply = server.ask(method.upper(), target, {} if method != "get" else None)
                with self.subTest(path=path, method=method):
                    self.assertEqual(reply.status == 401, operation["x-right"] != "none", reply.body)

    def test_answers_fit_their_schemas(self):
        server = self.start()
        document = server.ask("GET", "/openapi.json").json
        server.ask("PUT", "/v1/presets/one", {"caption": "a"})
        server.ask("POST", "/v1/uploads", recording(), Content_Type="audio/wav")
        seen = 0
        for path, methods in document["paths"].items():
            content = methods.get("get", {}).get("responses", {}).get("200", {}).get("content", {})
            if "{" in path or "application/json" not in content or path.startswith("/v1/audio"):
                continue
            reply = server.ask("GET", path)
            with self.subTest(path=path):
                self.assertEqual(reply.status, 200, reply.body)
                schema = content["application/json"].get("schema", {})
                self.assertIsNone(misfit(document, schema, reply.json))
            seen += 1
        self.assertGreater(seen, 6)


class Answers(ServerTest):
    def test_health_machine_and_metrics(self):
        server = self.start()
        health = server.ask("GET", "/health").json
        self.assertEqual((health["status"], health["data"]["status"], health["code"]), ("ok", "ok", 200))
        self.assertEqual(server.ask("GET", "/livez").body, b"ok\n")
        self.assertEqual(server.ask("GET", "/readyz").status, 200)
        nothing = self.start("--models", "/nonexistent", env={"ACESTEP_DATA_DIR": os.path.join(self.folder, "other")})
        ready = nothing.ask("GET", "/readyz")
        self.assertEqual((ready.status, nothing.ask("GET", "/livez").status), (503, 200))
        self.assertEqual(ready.body, b"the models cannot be opened\n")
        metrics = server.ask("GET", "/metrics").body.decode()
        for line in metrics.splitlines():
            self.assertRegex(line, r"^(# (HELP|TYPE) acestep_\w+ .+|acestep_\w+(\{[^}]*\})? -?[\d.e+]+)$")
        self.assertIn('acestep_http_requests_total{path="/livez",code="200"} 1', metrics)
        self.assertIn("acestep_queue_depth 0", metrics)

    def test_params_are_the_option_table(self):
        params = self.start("--bpm", "90").ask("GET", "/v1/params").json
        names = {o["name"] for o in params["options"]}
        for mode in params["modes"]:
            self.assertLessEqual(set(mode["fields"]) | set(mode["required"]), names, mode["name"])
            self.assertLessEqual(set(mode["required"]), set(mode["fields"]), mode["name"])
        available = {m["name"]: m["available"] for m in params["modes"]}
        self.assertTrue(available["custom"])
        self.assertFalse(available["cover"])  # the demo model takes no audio
        self.assertEqual(params["defaults"]["bpm"], 90)
        self.assertEqual(len(params["keys"]), 42)

    def test_defaults_are_changed_and_what_if_is_asked(self):
        server = self.start("--caption", "first")
        reply = server.ask("PATCH", "/v1/system", {"bpm": 99, "prompt": "second"})
        self.assertEqual(reply.status, 200, reply.body)
        self.assertEqual(reply.json["defaults"]["caption"], "second")
        reply = server.ask("PATCH", "/v1/system", {"bpm": None})
        self.assertNotIn("bpm", reply.json["defaults"])
        for wrong in ({"bpm": 9999}, {"unheard_of": 1}, {"output": "/tmp/x"}, {"trace": "/tmp/x"}, []):
            reply = server.ask("PATCH", "/v1/system", wrong)
            self.assertEqual(reply.status, 400, wrong)
            self.assertTrue(reply.json["detail"])
        self.assertEqual(server.ask("GET", "/v1/system").json["defaults"]["caption"], "second")
        system = server.ask("GET", "/v1/system?simulate_vram=8").json
        self.assertEqual(system["info"]["tier"], "tier4")
        self.assertEqual(server.ask("GET", "/v1/system").json["info"]["device"]["kind"], "cpu")
        self.assertEqual(server.ask("GET", "/v1/system?output=/x").status, 400)

    def test_the_page_is_compressed_and_cached(self):
        server = self.start()
        plain = server.ask("GET", "/")
        if plain.headers["Content-Type"].startswith("text/plain"):
            self.skipTest("built without its page")
        self.assertIn("default-src 'none'", plain.headers["Content-Security-Policy"])
        packed = server.ask("GET", "/", Accept_Encoding="gzip, br")
        self.assertEqual(gzip.decompress(packed.body), plain.body)
        self.assertEqual(server.ask("GET", "/", Accept_Encoding="gzip;q=0").body, plain.body)
        self.assertNotEqual(packed.headers["ETag"], plain.headers["ETag"])
        again = server.ask("GET", "/", If_None_Match=plain.headers["ETag"])
        self.assertEqual((again.status, again.body), (304, b""))
        head = server.ask("HEAD", "/")
        self.assertEqual((head.status, head.body), (200, b""))
        self.assertEqual(head.headers["Content-Length"], str(len(plain.body)))
        script = re.search(r'src="([\w.]+\.js)"', plain.body.decode())[1]
        self.assertEqual(server.ask("GET", "/" + script).headers["Content-Type"],
                         "text/javascript; charset=utf-8")
        self.assertEqual(server.ask("GET", "/index.html").body, plain.body)

    def test_presets(self):
        server = self.start()
        self.assertEqual(server.ask("PUT", "/v1/presets/n%C3%A4me%20%3F", {"caption": "a"}).status, 201)
        self.assertEqual(server.ask("PUT", "/v1/presets/n%C3%A4me%20%3F", {"bpm": 80}).status, 200)
        self.assertEqual(server.ask("GET", "/v1/presets/n%C3%A4me%20%3F").json,
                         {"name": "näme ?", "request": {"bpm": 80}})
        self.assertEqual([p["name"] for p in server.ask("GET", "/v1/presets").json["presets"]], ["näme ?"])
        self.assertEqual(server.ask("PUT", "/v1/presets/x", {"unheard_of": 1}).status, 400)
        self.assertEqual(server.ask("PUT", "/v1/presets/x", [1]).status, 400)
        for name in ("..", "%2e%2e", ".hidden", "a%2Fb", "..%2f..%2fx", "a%00b", "%ff", "x" * 101, ""):
            with self.subTest(name=name):
                self.assertIn(server.ask("PUT", "/v1/presets/" + name, {}).status, (400, 404))
        self.assertEqual(os.listdir(os.path.join(server.data, "presets")), ["näme ?.json"])
        self.assertEqual(server.ask("DELETE", "/v1/presets/n%C3%A4me%20%3F").status, 200)
        self.assertEqual(server.ask("DELETE", "/v1/presets/n%C3%A4me%20%3F").status, 404)


def form(name, content, field="file", limit="limit"):
    head = f'--{limit}\r\nContent-Disposition: form-data; name="{field}"; filename="'.encode()
    return (head + name + b'"\r\nContent-Type: audio/wav\r\n\r\n' + content +
            f"\r\n--{limit}--\r\n".encode())


FORM = "multipart/form-data; boundary=limit"


class Uploads(ServerTest):
    def test_a_recording_is_kept_shown_and_sent_back(self):
        server = self.start()
        wav = recording(2)
        reply = server.ask("POST", "/v1/uploads", form("täne.wav".encode(), wav), Content_Type=FORM)
        self.assertEqual(reply.status, 201, reply.body)
        upload = reply.json
        self.assertEqual((upload["name"], upload["bytes"], upload["format"]), ("täne.wav", len(wav), "WAV"))
        self.assertAlmostEqual(upload["seconds"], 2, places=2)
        self.assertEqual(len(upload["peaks"]["maximum"]), upload["peaks"]["pairs"])
        self.assertAlmostEqual(max(upload["peaks"]["maximum"]), 8000 / 32768, delta=0.05)
        self.assertIsNone(upload["settings"])
        whole = server.ask("GET", upload["audio"])
        self.assertEqual((whole.status, whole.body), (200, wav))
        self.assertEqual(whole.headers["Content-Type"], "audio/wav")
        part = server.ask("GET", upload["audio"], Range="bytes=100-199")
        self.assertEqual((part.status, part.body), (206, wav[100:200]))
        self.assertEqual(server.ask("GET", upload["audio"], Range=f"bytes={len(wav)}-").status, 416)
        self.assertEqual(server.ask("HEAD", upload["audio"]).headers["Content-Length"], str(len(wav)))
        saved = server.ask("GET", upload["audio"] + "?download=1")
        self.assertIn("filename*=UTF-8''t%C3%A4ne.wav", saved.headers["Content-Disposition"])
        self.assertEqual(server.ask("GET", f"/v1/uploads/{upload['id']}").json, upload)
        self.assertEqual([u["id"] for u in server.ask("GET", "/v1/uploads").json["uploads"]], [upload["id"]])
        self.assertEqual(server.ask("DELETE", f"/v1/uploads/{upload['id']}").status, 200)
        self.assertEqual(server.ask("GET", upload["audio"]).status, 404)
        self.assertEqual(os.listdir(os.path.join(server.data, "uploads")), [])

    def test_a_song_made_here_brings_its_settings(self):
        made = self.run_program("generate", "--caption", "a tune", "-d", "6", "--seed", "7",
                                "--output", "song.flac", "--quiet")
        self.assertEqual(made.returncode, 0, made.stderr)
        with open(os.path.join(self.folder, "song.flac"), "rb") as f:
            upload = self.start().ask("POST", "/v1/uploads", f.read(), Content_Type="audio/flac").json
        self.assertEqual(upload["settings"]["caption"], "a tune")
        self.assertEqual(str(upload["settings"]["seed"]), "7")

    def test_hostile_names_and_contents(self):
        server = self.start()
        for name, kept in ((b"../../../etc/passwd", "passwd"), (b"C:\\a\\b.wav", "b.wav"), (b"..", "file"),
                           (b"/", "file"), (b"a\xff.wav", "file"), (b"x" * 4000 + b".wav", None),
                           (b"<script>.wav", "<script>.wav"), (b"a\tb.wav", "a_b.wav")):
            reply = server.ask("POST", "/v1/uploads", form(name, recording()), Content_Type=FORM)
            with self.subTest(name=name[:20]):
                self.assertEqual(reply.status, 201, reply.body)
                self.assertEqual(reply.json["name"], kept or reply.json["name"])
                self.assertLessEqual(len(reply.json["name"]), 200)
        for content in (b"", b"no audio", recording()[:40], b"\0" * 100000):
            reply = server.ask("POST", "/v1/uploads", form(b"a.wav", content), Content_Type=FORM)
            self.assertEqual(reply.status, 422, reply.body)
            self.assertNotIn(self.folder, reply.body.decode())
        for body in (b"", b"--limit--\r\n", b"--limit\r\n\r\n", b"x" * 1000, form(b"a", b"b") * 2,
                     form(b"a.wav", recording(), field="n" * 300), form(b"a.wav", recording())[:-6]):
            reply = server.ask("POST", "/v1/uploads", body, Content_Type=FORM)
            self.assertIn(reply.status, (400, 422), reply.body)
        many = b"".join(form(b"a.wav", b"x")[:-len(b"--limit--\r\n")] for _ in range(65))
        self.assertEqual(server.ask("POST", "/v1/uploads", many + b"--limit--\r\n",
                                    Content_Type=FORM).status, 400)
        self.assertTrue(until(lambda: server.receiving() == []))
        for name in ("..", "u_", "u_" + "0" * 20, "..%2fx", "u_%2e%2e"):
            self.assertEqual(server.ask("GET", f"/v1/uploads/{name}/audio").status, 404)

    def test_what_is_too_large_is_refused_before_it_costs_anything(self):
        server = self.start("--max-upload", "1")
        before = server.resident()
        with server.raw() as s:  # announced
            s.sendall(b"POST /v1/uploads HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: audio/wav\r\n"
                      b"Content-Length: 10000000000\r\n\r\n" + b"x" * 1000)
            self.assertIn(b" 413 ", s.recv(65536))
        with server.raw() as s:  # asks first
            s.sendall(b"POST /v1/uploads HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: audio/wav\r\n"
                      b"Expect: 100-continue\r\nContent-Length: 10000000000\r\n\r\n")
            self.assertIn(b" 413 ", s.recv(65536))
        with server.raw() as s:  # without saying how much
            s.sendall(b"POST /v1/uploads HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: audio/wav\r\n"
                      b"Transfer-Encoding: chunked\r\n\r\n")
            block, sent = b"10000\r\n" + b"x" * 65536 + b"\r\n", 0
            try:
                while sent < 10 ** 10:
                    s.sendall(block)
                    sent += 65536
            except OSError:
                pass
            self.assertLess(sent, 20 * 10 ** 6)
            self.assertIn(b" 413 ", s.recv(65536))
        body = form(b"a.wav", b"x" * 1030000)  # the form fits, the file does not
        reply = server.ask("POST", "/v1/uploads", body, Content_Type=FORM)
        self.assertEqual((reply.status, reply.json["error"]["code"]), (413, "too_large"))
        self.assertTrue(until(lambda: server.receiving() == []))
        self.assertLess(server.resident() - before, 32 << 20)
        self.assertEqual(server.ask("POST", "/v1/uploads", recording(), Content_Type="audio/wav").status, 201)

    def test_clients_that_leave_take_everything_with_them(self):
        server = self.start()
        for _ in range(20):
            with server.raw() as s:
                s.sendall(b"POST /v1/uploads HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: audio/wav\r\n"
                          b"Content-Length: 1000000\r\n\r\n" + b"x" * 100000)
        upload = server.ask("POST", "/v1/uploads", recording(60, 48000), Content_Type="audio/wav").json
        for _ in range(20):  # in the middle of the answer
            with server.raw() as s:
                s.sendall(f"GET {upload['audio']} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".encode())
                s.recv(1000)
        self.assertTrue(until(lambda: server.receiving() == []))
        count = lambda: float(re.search(r"acestep_http_connections (\d+)",
                                        server.ask("GET", "/metrics").body.decode())[1])
        self.assertTrue(until(lambda: count() <= 2))
        descriptors = len(os.listdir(f"/proc/{server.process.pid}/fd"))
        self.assertLess(descriptors, 50)


class Guards(ServerTest):
    def test_keys_and_signed_addresses(self):
        with open(os.path.join(self.folder, "keys"), "w", encoding="ascii") as f:
            f.write("listener-key read\n")
        server = self.start("--api-key", "master-key", "--api-key-file", "keys")
        self.assertEqual(server.ask("GET", "/v1/session").json["rights"], [])
        self.assertEqual(server.ask("GET", "/v1/session", x_api_key="listener-key").json["rights"], ["read"])
        for headers, status in (({}, 401), ({"x_api_key": "wrong"}, 401), ({"x_api_key": "listener-key"}, 200),
                                ({"Authorization": "Bearer master-key"}, 200)):
            self.assertEqual(server.ask("GET", "/v1/presets", **headers).status, status)
        self.assertEqual(server.ask("PUT", "/v1/presets/a", {}, x_api_key="listener-key").status, 403)
        upload = server.ask("POST", "/v1/uploads", recording(), Content_Type="audio/wav",
                            x_api_key="master-key").json
        signed = upload["audio"]
        self.assertEqual(server.ask("GET", signed).status, 200)
        self.assertEqual(server.ask("GET", signed + "&download=1", Range="bytes=0-9").status, 206)
        self.assertEqual(server.ask("GET", signed.split("?")[0]).status, 401)
        self.assertEqual(server.ask("GET", signed[:-1] + ("0" if signed[-1] != "0" else "1")).status, 401)
        self.assertEqual(server.ask("DELETE", signed.replace("/audio", "")).status, 401)
        self.assertEqual(server.stop(), 0)
        again = self.start("--api-key", "master-key")
        self.assertEqual(again.ask("GET", signed).status, 200, "signed addresses survive a restart")
        for secret in ("master-key", "listener-key", signed.split("sig=")[1]):
            self.assertNotIn(secret, again.text())

    def test_other_machines_need_a_key(self):
        refused = self.run_program("serve", "--host", "0.0.0.0", "--port", "0")
        self.assertEqual(refused.returncode, ARGUMENT)
        self.assertIn(b"--no-auth", refused.stderr)
        self.start("--host", "0.0.0.0", "--no-auth")

    def test_hosts_and_origins(self):
        server = self.start("--cors", "https://a.example", "--allowed-host", "music.example")
        for host, status in (("127.0.0.1", 200), ("localhost:1", 200), ("music.example", 200),
                             ("evil.example", 403), ("localhost.evil.example", 403)):
            self.assertEqual(server.ask("GET", "/v1/presets", Host=host).status, status, host)
        for origin, status in (("https://evil.example", 403), ("null", 403), ("https://a.example", 201)):
            self.assertEqual(server.ask("PUT", "/v1/presets/a", {}, Origin=origin).status, status, origin)
        allowed = server.ask("GET", "/v1/presets", Origin="https://a.example")
        self.assertEqual(allowed.headers["Access-Control-Allow-Origin"], "https://a.example")
        self.assertIsNone(server.ask("GET", "/v1/presets", Origin="https://evil.example")
                          .headers["Access-Control-Allow-Origin"])

    def test_malformed_requests_end_in_one_error(self):
        server = self.start()
        for request in (b"GET / HTTP/1.1\r\n\r\n", b"GET /%zz HTTP/1.1\r\nHost: localhost\r\n\r\n",
                        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", b"G" * 100000,
                        b"GET / HTTP/1.1\r\nHost: localhost\r\nX: " + b"y" * 100000 + b"\r\n\r\n",
                        b"POST /v1/uploads HTTP/1.1\r\nHost: localhost\r\nContent-Length: -1\r\n\r\n",
                        b"POST /v1/uploads HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9999999999999999999999\r\n\r\n"):
            with server.raw() as s:
                try:
                    s.sendall(request)
                    s.shutdown(socket.SHUT_WR)
                    answer = s.recv(65536)
                except OSError:
                    answer = b""
            self.assertTrue(answer == b"" or re.match(rb"HTTP/1\.[01] 4\d\d ", answer), answer[:80])
        deep = b"[" * 100000
        self.assertEqual(server.ask("PUT", "/v1/presets/a", deep, Content_Type="application/json").status, 400)
        self.assertEqual(server.ask("PUT", "/v1/presets/a", b'{"caption": "\xff"}').status, 400)
        self.assertEqual(server.ask("PUT", "/v1/presets/a", b'{"caption": "\\u0000"}').status, 400)
        self.assertEqual(server.ask("BREW", "/v1/presets").status, 405)
        self.assertEqual(server.ask("GET", "/livez").status, 200)


class Logs(ServerTest):
    def lines(self, server, target="/v1/logs", last=None, until_text=None, **headers):
        """(number, data) of the lines until one has this text."""
        connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)
        if last is not None:
            headers["Last-Event-ID"] = str(last)
        connection.request("GET", target, headers=headers)
        stream = connection.getresponse()
        self.assertEqual(stream.status, 200)
        self.assertEqual(stream.getheader("Content-Type"), "text/event-stream")
        found, event = [], {}
        while not found or until_text not in found[-1][1]["text"]:
            line = stream.readline().decode()
            self.assertTrue(line, "the stream has ended")
            if line == "\n" and event:
                found.append((int(event["id"]), json.loads(event["data"])))
                event = {}
            elif not line.startswith(":"):
                key, _, value = line.rstrip("\n").partition(": ")
                event[key] = value
        connection.close()
        return found

    def logged(self, server, text):
        """A request is logged when it is over, which may be after its answer is here."""
        self.assertTrue(until(lambda: text in server.text()))

    def test_lines_are_numbered_and_bounded(self):
        server = self.start()
        for path in ("/one", "/two", "/end"):
            self.assertEqual(server.ask("GET", path).status, 404)
            self.logged(server, f"GET {path} 404")
        found = self.lines(server, until_text="GET /end 404")
        self.assertEqual([n for n, _ in found], list(range(1, len(found) + 1)))
        texts = [data["text"] for _, data in found]
        self.assertTrue(any("GET /one 404" in t for t in texts), texts)
        self.assertEqual({(d["area"], d["level"]) for _, d in found}, {("http", "info")})
        two = next(n for n, d in found if "GET /two" in d["text"])
        self.assertEqual([n for n, _ in self.lines(server, last=two, until_text="GET /end")][0], two + 1)
        server.ask("GET", "/last")
        self.logged(server, "GET /last 404")
        self.assertEqual(len(self.lines(server, "/v1/logs?lines=1", until_text="")), 1)
        for bad in ("-1", "1001", "x"):
            self.assertEqual(server.ask("GET", f"/v1/logs?lines={bad}").status, 400)
        self.assertGreater(len(self.lines(server, last="x1", until_text="GET /last")), 3)

    def test_it_takes_the_admin_right_and_tells_no_secrets(self):
        keys = os.path.join(self.folder, "keys")
        with open(keys, "w", encoding="utf-8") as f:
            f.write("readerkey read\nmakerkey read,generate\nadminkey read,generate,admin\n")
        os.chmod(keys, 0o600)
        server = self.start("--api-key-file", keys, env={"HF_TOKEN": "hf_tokenvalue"})
        self.assertEqual(server.ask("GET", "/v1/logs").status, 401)
        for key in ("readerkey", "makerkey"):
            self.assertEqual(server.ask("GET", "/v1/logs", Authorization=f"Bearer {key}").status, 403)
        job = server.ask("POST", "/release_task", {"prompt": "x", "audio_duration": 10, "ai_token": "makerkey"})
        self.assertEqual(job.status, 200, job.body)
        name = job.json["data"]["task_id"]
        server.ask("GET", "/v1/jobs?key=queryvalue&sig=sigvalue&api_key=makerkey", X_Api_Key="wrongvalue")
        server.ask("GET", "/v1/jobs", Authorization="Bearer wrongbearer")
        self.assertTrue(until(lambda: server.ask("GET", f"/v1/jobs/{name}", Authorization="Bearer readerkey")
                              .json["status"] == "done", 120))
        record = server.ask("GET", f"/v1/jobs/{name}", Authorization="Bearer readerkey").json
        self.assertEqual(server.ask("GET", record["items"][0]["audio"]).status, 200)
        self.logged(server, "/audio 200")
        server.ask("GET", "/end")
        found = self.lines(server, until_text="GET /end", Authorization="Bearer adminkey")
        texts = "\n".join(d["text"] for _, d in found)
        self.assertIn(f"{name} done", texts)
        self.assertIn("/audio", texts)
        for secret in ("readerkey", "makerkey", "adminkey", "hf_tokenvalue", "queryvalue", "sigvalue",
                       "wrongvalue", "wrongbearer", "sig="):
            self.assertNotIn(secret, texts)


class Manual(ServerTest):
    def test_the_examples_of_the_manual_work(self):
        if shutil.which("curl") is None or shutil.which("bash") is None:
            self.skipTest("needs curl and bash")
        manual = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "docs", "api.md")
        with open(manual, encoding="utf-8") as f:
            blocks = re.findall(r"```sh\n(.*?)```", f.read(), re.S)
        self.assertGreater(len(blocks), 3)
        server = self.start()
        script = "set -eu -o pipefail\nacestep() { \"$PROGRAM\" \"$@\"; }\n" + "".join(blocks)
        script = script.replace("http://127.0.0.1:7860", f"http://127.0.0.1:{server.port}")
        ended = subprocess.run(["bash", "-c", script], cwd=self.folder, capture_output=True, timeout=120,
                               env=environment(PROGRAM=PROGRAM))
        self.assertEqual(ended.returncode, 0, (ended.stderr, ended.stdout[-300:], server.text()[-500:]))


class Program(ServerTest):
    def test_it_also_serves_without_a_command(self):
        server = self.start(command=())
        self.assertEqual(server.ask("GET", "/livez").status, 200)
        self.assertIn("tier", server.text())
        self.assertEqual(server.stop(signal.SIGINT), 0)
        self.assertEqual(self.start().stop(signal.SIGHUP), 0)
        self.assertEqual(server.process.stdout.read() if not server.process.stdout.closed else b"", b"")

    def test_bad_options_end_in_one_line(self):
        for arguments, status, part in (
                (("--port", "70000"), ARGUMENT, "port"), (("--port",), ARGUMENT, "value"),
                (("--max-upload=x",), ARGUMENT, "max_upload"), (("--cors", "a.example"), ARGUMENT, "cors"),
                (("--prot", "1"), ARGUMENT, "--prot"), (("--bpm", "x"), ARGUMENT, "bpm"),
                (("--api-key-file", "none"), IO, "none"), (("--data-dir", "/proc/x/y"), IO, "--data-dir"),
                (("--host", "256.1.1.1", "--no-auth"), IO, "256.1.1.1")):
            ended = self.run_program("serve", "--port", "0", *arguments)
            with self.subTest(arguments=arguments):
                self.assertEqual(ended.returncode, status, ended.stderr)
                self.assertIn(part, ended.stderr.decode())
                self.assertEqual(len(ended.stderr.decode().strip().splitlines()), 1, ended.stderr)

    def test_addresses_and_folders_are_not_shared(self):
        server = self.start()
        taken = self.run_program("serve", "--port", str(server.port), "--data-dir", "other")
        self.assertEqual(taken.returncode, IO)
        self.assertIn(b"--port", taken.stderr)
        taken = self.run_program("serve", "--port", "0")
        self.assertEqual(taken.returncode, BUSY, taken.stderr)

    def test_an_address_of_six(self):
        for host in ("::1", "[::1]"):
            server = self.start("--host", host)
            self.assertIn(f"serving at http://[::1]:{server.port}\n", server.text())
            with socket.create_connection(("::1", server.port), timeout=60) as s:
                s.sendall(f"GET /livez HTTP/1.1\r\nHost: [::1]:{server.port}\r\nConnection: close\r\n\r\n".encode())
                self.assertIn(b" 200 ", s.recv(100))
            self.assertEqual(server.stop(), 0)

    def test_requests_in_a_row_are_answered_in_a_row(self):
        server = self.start("--exec", "shape")
        ask = b"GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n"
        make = b"POST /v1/jobs?wait=60 HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2\r\n\r\n{}"
        last = b"GET /readyz HTTP/1.0\r\n\r\n"  # without a name, as load balancers do
        with server.raw() as s:
            s.sendall(ask * 3 + make + ask + last)
            answers = b"".join(iter(lambda: s.recv(1 << 16), b""))
        self.assertEqual(re.findall(rb"HTTP/1\.1 (\d+)", answers), [b"200"] * 6)
        self.assertLess(answers.index(b'"status":"done"'), answers.rindex(b"ok\n"))

    def test_help_lists_the_options(self):
        text = self.run_program("serve", "--help").stdout.decode()
        for name in ("--port", "--api-key", "--idle-unload", "--caption"):
            self.assertIn(name, text)


if __name__ == "__main__":
    unittest.main(argv=[sys.argv[0], *sys.argv[2:]])
