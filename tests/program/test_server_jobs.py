#!/usr/bin/env python3
"""Jobs of acestep serve as its clients meet them, with the built-in demo model.

usage: test_server_jobs.py PATH/TO/acestep [unittest options]

Standard library only. A song of a minute is what holds the queue up; it is always cancelled."""
import http.client
import json
import os
import re
import signal
import subprocess
import sys
import unittest
import urllib.parse

from test_server import PROGRAM, ServerTest, environment, recording, until

GOLDEN = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "golden")

LONG = {"caption": "long", "duration": 60, "batch_size": 8}  # takes a minute or so
SHORT = {"caption": "short", "duration": 10}
QUICK = ("--exec", "shape")  # jobs are walked through and make no sound


class JobsTest(ServerTest):
    def setUp(self):
        super().setUp()
        self.killed = []

    def kill(self, server):
        self.killed.append(server)
        self.assertEqual(server.stop(signal.SIGKILL), -signal.SIGKILL)

    def finish(self, server):
        if server not in self.killed:
            super().finish(server)

    def add(self, server, body, status=202, **headers):
        reply = server.ask("POST", "/v1/jobs", body, **headers)
        self.assertEqual(reply.status, status, reply.body)
        return reply.json["id"]

    def job(self, server, name):
        reply = server.ask("GET", f"/v1/jobs/{name}")
        self.assertEqual(reply.status, 200, reply.body)
        return reply.json

    def wait(self, server, name, *statuses, seconds=120):
        until(lambda: self.job(server, name)["status"] in statuses, seconds)
        job = self.job(server, name)
        self.assertIn(job["status"], statuses, job["error"])
        return job

    def events(self, server, target, last=None, most=1000):
        """(number, name, data) of every event until the stream ends."""
        connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=120)
        connection.request("GET", target, headers={"Last-Event-ID": str(last)} if last else {})
        stream = connection.getresponse()
        self.assertEqual(stream.status, 200)
        self.assertEqual(stream.getheader("Content-Type"), "text/event-stream")
        found, event = [], {}
        while len(found) < most and (line := stream.readline()):
            line = line.decode().rstrip("\n")
            if line == "" and event:
                found.append((int(event.get("id", 0)), event["event"], json.loads(event["data"])))
                event = {}
            elif ": " in line and not line.startswith(":"):
                key, value = line.split(": ", 1)
                event[key] = value
        connection.close()
        return found


class Songs(JobsTest):
    def test_a_song_from_asking_to_removing(self):
        server = self.start()
        name = self.add(server, {**SHORT, "seed": [5, -1], "batch_size": 2, "audio_format": "mp3"})
        events = self.events(server, f"/v1/jobs/{name}/events")
        names = [n for _, n, _ in events]
        self.assertEqual(names[:2], ["queued", "started"])
        self.assertEqual(names[-3:], ["item", "item", "done"])
        self.assertIn("phase", names)
        self.assertTrue(all(d["id"] == name for _, _, d in events))
        job = self.job(server, name)
        seeds = job["params"]["seed"].split(",")
        self.assertEqual((len(seeds), seeds[0]), (2, "5"))
        self.assertEqual([str(i["seed"]) for i in job["items"]], seeds)
        self.assertEqual(job["progress"]["whole"], 1)
        self.assertGreater(job["plan"]["peak_bytes"], 0)
        self.assertGreater(job["timings"]["vae"], 0)
        item = job["items"][1]
        audio = server.ask("GET", item["audio"])
        self.assertEqual((audio.status, len(audio.body)), (200, item["bytes"]))
        part = server.ask("GET", item["audio"], Range="bytes=100-199")
        self.assertEqual((part.status, part.body), (206, audio.body[100:200]))
        sidecar = server.ask("GET", item["sidecar"]).json
        self.assertEqual((sidecar["caption"], sidecar["seed"]), ("short", seeds[1]))
        peaks = server.ask("GET", item["peaks"]).json
        self.assertEqual((len(peaks["minimum"]), peaks["pairs"], peaks["seconds"] > 9.9), (1000, 1000, True))
        flac = server.ask("GET", item["audio"] + "?format=flac&download=1")
        self.assertEqual((flac.status, flac.body[:4]), (200, b"fLaC"))
        self.assertIn(".flac", flac.headers["Content-Disposition"])
        self.assertEqual(self.job(server, name)["bytes"] - job["bytes"], len(flac.body) + os.path.getsize(
            os.path.join(server.data, "results", name, "1.peaks.json")))
        for target in ("?format=exe", "?format=../x"):
            self.assertEqual(server.ask("GET", item["audio"] + target).status, 400)
        for target in ("2/audio", "-1/audio", "x/audio", "99999999999999999999/audio", "0/lrc"):
            self.assertEqual(server.ask("GET", f"/v1/jobs/{name}/items/{target}").status, 404, target)
        again = self.add(server, {**sidecar, "audio_format": "mp3"})  # a sidecar is a request
        self.wait(server, again, "done")
        self.assertEqual(server.ask("GET", f"/v1/jobs/{again}/items/0/audio").body, audio.body)
        self.assertEqual(server.ask("DELETE", f"/v1/jobs/{name}").status, 200)
        self.assertEqual(server.ask("GET", item["audio"]).status, 404)
        self.assertEqual(os.listdir(os.path.join(server.data, "results")), [again])

    def test_times_are_measured(self):
        server = self.start()
        preview = server.ask("POST", "/v1/jobs?dry_run=1", SHORT).json
        self.assertEqual(preview["basis"], "planned")
        self.assertIn("<svg", preview["plan_svg"])
        self.assertEqual(preview["request"]["duration"], 10)
        self.assertEqual(server.ask("GET", "/v1/jobs").json["total"], 0)
        self.wait(server, self.add(server, SHORT), "done")
        preview = server.ask("POST", "/v1/jobs?dry_run=1", SHORT).json
        self.assertEqual(preview["basis"], "measured")
        self.assertGreater(preview["seconds"], 0)

    def test_files_come_as_a_form(self):
        server = self.start("--models", GOLDEN, *QUICK)
        edge = "edge"
        form = (f'--{edge}\r\nContent-Disposition: form-data; name="request"\r\n\r\n'
                f'{{"caption": "x", "bpm": 90, "task_type": "cover"}}\r\n--{edge}\r\nContent-Disposition: form-data; name="bpm"\r\n\r\n'
                f'91\r\n--{edge}\r\nContent-Disposition: form-data; name="src_audio"; filename="a.wav"\r\n\r\n'
                ).encode() + recording(12) + f"\r\n--{edge}--\r\n".encode()
        name = self.add(server, form, Content_Type=f"multipart/form-data; boundary={edge}")
        params = self.job(server, name)["params"]
        self.assertRegex(params["src_audio"], "^u_")
        self.assertEqual((params["caption"], params["bpm"]), ("x", "91"))
        self.wait(server, name, "done")
        wrong = form.replace(b'name="src_audio"', b'name="elsewhere"')
        reply = server.ask("POST", "/v1/jobs", wrong, Content_Type=f"multipart/form-data; boundary={edge}")
        self.assertEqual((reply.status, reply.json["error"]["param"]), (400, "elsewhere"))


class Words(JobsTest):
    """With tiny networks that know no music but have every part."""

    def test_words_are_those_of_the_command(self):
        server = self.start("--models", GOLDEN, "--precision", "f32")
        reply = server.ask("POST", "/v1/sample?wait=100", {"query": "a german song", "seed": 1})
        self.assertEqual((reply.status, reply.json["status"]), (200, "done"), reply.json["error"])
        words = json.loads(self.run_program("sample", "a german song", "--models", GOLDEN, "--precision", "f32",
                                            "--seed", "1", "--json").stdout)
        self.assertEqual(reply.json["words"]["caption"], words["caption"])
        self.assertEqual(reply.json["words"]["bpm"], words["bpm"])
        reply = server.ask("POST", "/v1/format?wait=100", {"caption": "rough", "bpm": 77, "seed": 1})
        self.assertEqual(reply.json["words"]["bpm"], 77)
        reply = server.ask("POST", "/v1/understand?wait=100", recording(12), Content_Type="audio/wav")
        self.assertEqual(reply.status, 415, reply.body)  # a file goes into a form
        uploaded = server.ask("POST", "/v1/uploads", recording(12), Content_Type="audio/wav").json["id"]
        reply = server.ask("POST", "/v1/understand?wait=100", {"audio": uploaded})
        self.assertEqual((reply.status, reply.json["status"]), (200, "done"), reply.json["error"])
        self.assertIn("audio_codes", reply.json["words"])

    def test_a_song_is_a_source(self):
        server = self.start("--models", GOLDEN, "--precision", "f32", "--inference-steps", "2")
        song = server.ask("POST", "/v1/jobs?wait=100", SHORT).json
        self.assertEqual(song["status"], "done", song["error"])
        source = f"{song['id']}/0"
        cover = server.ask("POST", "/v1/jobs?wait=100",
                           {"task_type": "cover", "src_audio": source, "caption": "cover"}).json
        self.assertEqual(cover["status"], "done", cover["error"])
        self.assertEqual(cover["params"]["src_audio"], source)
        sidecar = server.ask("GET", cover["items"][0]["sidecar"])
        self.assertEqual(sidecar.json["src_audio"], source)  # not where the server keeps it
        self.assertNotIn(self.folder.encode(), sidecar.body)
        self.assertNotIn(self.folder.encode(), server.ask("GET", cover["items"][0]["audio"]).body)
        self.assertAlmostEqual(cover["items"][0]["seconds"], song["items"][0]["seconds"], places=1)
        impossible = server.ask("POST", "/v1/jobs", {"task_type": "lego", "caption": "x", "track_name": "drums"})
        self.assertIn(impossible.status, (400, 422), impossible.body)

    def test_the_codes_of_a_song(self):
        server = self.start("--models", GOLDEN, "--precision", "f32", "--inference-steps", "2")
        song = server.ask("POST", "/v1/jobs?wait=100", {**SHORT, "thinking": True, "seed": 3, "batch_size": 2}).json
        self.assertEqual(song["status"], "done", song["error"])
        codes = [server.ask("GET", f"/v1/jobs/{song['id']}/items/{n}/codes?download=1") for n in (0, 1)]
        self.assertEqual([c.status for c in codes], [200, 200], codes[0].body)
        self.assertEqual([c.body.decode() for c in codes], [i["codes"] for i in song["items"]])
        self.assertEqual(codes[0].body.count(b"<|audio_code_"), 50)
        self.assertNotEqual(codes[0].body, codes[1].body)
        self.assertIn(f"{song['id']}-1.codes.txt", codes[1].headers["Content-Disposition"])
        follows = server.ask("POST", "/v1/jobs?wait=100", {"caption": "again", "audio_codes": codes[0].body.decode()})
        self.assertEqual(follows.json["items"][0]["codes"], song["items"][0]["codes"])
        plain = server.ask("POST", "/v1/jobs?wait=100", {**SHORT, "thinking": False}).json["id"]
        for target in (f"{plain}/items/0", f"{plain}/items/1", f"{song['id']}/items/2", "j_none/items/0"):
            self.assertEqual(server.ask("GET", f"/v1/jobs/{target}/codes").status, 404, target)


class Queue(JobsTest):
    def test_order_bound_and_cancelling(self):
        server = self.start("--queue-limit", "3")
        blocker = self.add(server, LONG)
        self.wait(server, blocker, "running")
        a, b, c = (self.add(server, {**SHORT, "caption": x}) for x in "abc")
        full = server.ask("POST", "/v1/jobs", SHORT)
        self.assertEqual((full.status, full.json["error"]["code"]), (429, "busy"))
        self.assertGreaterEqual(int(full.headers["Retry-After"]), 1)
        self.assertEqual([self.job(server, x)["queue_position"] for x in (a, b, c)], [1, 2, 3])
        self.assertGreater(self.job(server, c)["wait_seconds"], 0)
        order = server.ask("POST", "/v1/jobs/reorder", {"ids": [c, "j_unknown", a]})
        self.assertEqual(order.json["total"], 3)
        self.assertEqual([self.job(server, x)["queue_position"] for x in (c, a, b)], [1, 2, 3])
        # a plan does not wait for the running job
        self.assertEqual(server.ask("POST", "/v1/jobs?dry_run=1", SHORT).status, 200)
        self.assertEqual(self.job(server, blocker)["status"], "running")
        self.assertEqual(server.ask("POST", f"/v1/jobs/{a}/cancel").json["status"], "cancelled")
        self.assertEqual(server.ask("POST", f"/v1/jobs/{a}/cancel").status, 409)
        self.assertEqual(server.ask("POST", f"/v1/jobs/{blocker}/cancel").status, 200)
        self.wait(server, blocker, "cancelled")
        self.wait(server, b, "done")
        started = [self.job(server, x)["started"] for x in (c, b)]
        self.assertLess(*started)
        self.assertEqual(self.job(server, blocker)["items"], [])
        self.assertEqual(sorted(os.listdir(os.path.join(server.data, "results"))), sorted([b, c]))

    def test_waiting_for_the_end(self):
        server = self.start()
        reply = server.ask("POST", "/v1/jobs?wait=1", LONG)
        self.assertEqual((reply.status, reply.json["error"]["code"]), (504, "timeout"))
        name = reply.headers["Location"].rsplit("/", 1)[1]
        server.ask("DELETE", f"/v1/jobs/{name}")
        self.assertEqual(server.ask("GET", f"/v1/jobs/{name}").status, 404)
        reply = server.ask("POST", "/v1/jobs?wait=60", SHORT)
        self.assertEqual((reply.status, reply.json["status"]), (200, "done"))

    def test_whoever_hangs_up_takes_the_job_along(self):
        server = self.start()
        newest = lambda: server.ask("GET", "/v1/jobs?limit=1").json["jobs"][0]
        for headers, end in (({}, "cancelled"), ({"Idempotency-Key": "again"}, "running")):
            connection = http.client.HTTPConnection("127.0.0.1", server.port)
            connection.request("POST", "/v1/jobs?wait=100", json.dumps({**LONG, "title": end}),
                               {"Content-Type": "application/json", **headers})
            self.assertTrue(until(lambda: server.ask("GET", "/v1/jobs").json["total"] and newest()["title"] == end
                                  and newest()["status"] == "running", 60))
            connection.sock.close()
            connections = lambda: int(re.search(r"acestep_http_connections (\d+)",
                                                server.ask("GET", "/metrics").body.decode())[1])
            self.assertTrue(until(lambda: connections() == 1))  # the one that asks
            self.assertTrue(until(lambda: newest()["status"] == end, 60), newest()["status"])
        server.ask("DELETE", f"/v1/jobs/{newest()['id']}")

    def test_waiting_jobs_survive_the_end_of_the_server(self):
        server = self.start("--grace", "0")
        chat = {"messages": [{"role": "user", "content": "x"}], "audio_config": {"duration": 600}}
        ways = (("/v1/jobs?wait=100", {**LONG, "duration": 600}, b"HTTP/1.1 504 "),
                ("/v1/audio/music", {"input": "x", "duration": 600}, b"HTTP/1.1 503 "),
                ("/v1/chat/completions", {**chat, "stream": True}, b"HTTP/1.1 200 "))
        clients = []
        for path, body, _ in ways:
            text = json.dumps(body).encode()
            clients.append(server.raw())
            self.addCleanup(clients[-1].close)
            clients[-1].sendall(b"POST %s HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
                                b"Content-Length: %d\r\n\r\n%s" % (path.encode(), len(text), text))
        there = lambda: server.ask("GET", "/v1/jobs?status=running,queued").json["total"]
        self.assertTrue(until(lambda: there() == len(ways), 60))
        self.assertEqual(server.stop(), 0)
        for client, (_, _, answer) in zip(clients, ways):
            self.assertTrue(client.recv(10000).startswith(answer))
        server = self.start()
        self.assertEqual(there(), len(ways))
        for job in server.ask("GET", "/v1/jobs").json["jobs"]:
            server.ask("DELETE", f"/v1/jobs/{job['id']}")

    def test_loading_while_a_job_runs(self):
        server = self.start()
        name = self.add(server, LONG)
        self.wait(server, name, "running")
        reply = server.ask("POST", "/v1/models/load", {"threads": 1})
        self.assertEqual(reply.status, 202, reply.body)
        engine = server.ask("GET", "/v1/system").json["engine"]
        self.assertEqual(engine["job"], name)
        server.ask("POST", f"/v1/jobs/{name}/cancel")
        options = lambda: server.ask("GET", "/v1/system").json["engine"]["options"] or {}
        self.assertTrue(until(lambda: options().get("threads") == 1, 60))
        server.ask("POST", "/v1/models/unload")
        state = lambda: server.ask("GET", "/v1/system").json["engine"]["state"]
        self.assertTrue(until(lambda: state() == "unloaded", 60))
        self.assertEqual(server.ask("POST", "/v1/models/load", {"threads": -1}).status, 400)

    def test_events_go_on_where_they_were(self):
        server = self.start(*QUICK)
        first = self.add(server, SHORT)
        all_of_it = self.events(server, f"/v1/jobs/{first}/events")
        rest = self.events(server, f"/v1/jobs/{first}/events", last=all_of_it[1][0])
        self.assertEqual(rest, all_of_it[2:])
        self.assertEqual(self.events(server, f"/v1/jobs/{first}/events", last=all_of_it[-1][0])[-1][1], "done")
        second = self.add(server, SHORT)
        self.wait(server, second, "done")
        both = self.events(server, "/v1/events", last=all_of_it[-1][0], most=2)
        self.assertEqual([(n, d.get("id")) for _, n, d in both], [("queued", second), ("started", second)])
        self.assertEqual(self.events(server, "/v1/events", last=1, most=1)[0][1], "reload")
        server.stop()
        server = self.start(*QUICK)  # nobody keeps events of another run
        names = [n for _, n, _ in self.events(server, f"/v1/jobs/{first}/events", last=all_of_it[0][0])]
        self.assertEqual(names, ["reload", "done"])

    def test_bad_requests_are_told_apart(self):
        server = self.start(*QUICK)
        cases = [({"nonsense": 1}, 400, "nonsense"), ({"duration": "x"}, 400, "duration"), ({"bpm": 5000}, 400, "bpm"),
                 ({"output": "/tmp/x"}, 400, "output"), ({"model": "../../x"}, 400, "model"),
                 ({"src_audio": "/etc/passwd", "task_type": "cover"}, 400, None),
                 ({"src_audio": "u_00000000000000000000", "task_type": "cover"}, 400, None),
                 ({"kind": "opera"}, 400, "kind"), ({"kind": "sample"}, 400, "sample_query"),
                 ({"seed": "many"}, 400, "seed"), ([1], 400, None), ("{", 400, None)]
        for body, status, param in cases:
            reply = server.ask("POST", "/v1/jobs", body, Content_Type="application/json")
            with self.subTest(body=body):
                self.assertEqual(reply.status, status, reply.body)
                if param:
                    self.assertEqual(reply.json["error"]["param"], param)
        self.assertEqual(server.ask("GET", "/v1/jobs").json["total"], 0)
        for target in ("status=lost", "kind=x", "limit=0", "limit=x"):
            self.assertEqual(server.ask("GET", "/v1/jobs?" + target).status, 400, target)
        name = self.add(server, SHORT)
        for body in ({}, {"title": 1}, {"favourite": "yes"}, {"title": "x" * 513}):
            self.assertEqual(server.ask("PATCH", f"/v1/jobs/{name}", body).status, 400, body)
        for body in ({}, {"ids": "x"}, {"ids": [1]}):
            self.assertEqual(server.ask("POST", "/v1/jobs/reorder", body).status, 400, body)
        for method, target in (("GET", ""), ("DELETE", ""), ("POST", "/cancel"), ("GET", "/events")):
            self.assertEqual(server.ask(method, "/v1/jobs/j_none" + target).status, 404)

    def test_places_on_the_disk_are_the_servers_own(self):
        server = self.start()
        defaults = server.ask("GET", "/v1/system").json["defaults"]
        for name, value in (("plugin_dir", "/tmp/x"), ("o", "/tmp/x"), ("cache-dir", "/tmp/x"),
                            ("param_obj", {"output": "/tmp/x"})):
            for method, path in (("POST", "/v1/jobs"), ("POST", "/v1/models/load"), ("PATCH", "/v1/system")):
                reply = server.ask(method, path, {name: value})
                self.assertEqual(reply.status, 400, (path, name))
                self.assertRegex(reply.json["error"]["message"], "^(plugin_dir|output|cache_dir): ")
        self.assertEqual(server.ask("GET", "/v1/system").json["defaults"], defaults)

    def test_what_cannot_be_done_is_refused_at_once(self):
        """With the words of the command line."""
        server = self.start("--models", GOLDEN, "--precision", "f32")
        sound = server.ask("POST", "/v1/uploads", recording(6), Content_Type="audio/wav").json["id"]
        path = os.path.join(self.folder, "sound.wav")
        with open(path, "wb") as f:
            f.write(recording(6))
        song = {"caption": "x", "duration": 10}
        cases = (("jobs", 422, {**song, "task_type": "lego", "src_audio": sound, "track_name": "drums"}),
                 ("jobs", 400, {**song, "task_type": "repaint", "src_audio": sound, "repainting_start": 5, "repainting_end": 3}),
                 ("jobs", 400, {**song, "task_type": "repaint", "src_audio": sound, "repainting_start": 100}),
                 ("jobs", 400, {**song, "audio_format": "xyz"}), ("jobs", 422, {**song, "model": "nix"}))
        for target, status, body in cases:
            with self.subTest(target=target, body=body):
                reply = server.ask("POST", f"/v1/{target}", body)
                self.assertEqual(reply.status, status, reply.body)
                named = {**body, "src_audio": path} if "src_audio" in body else body
                options = [part for k, v in named.items() for part in ("--" + k.replace("_", "-"), str(v))]
                said = subprocess.run([PROGRAM, "generate", "--models", GOLDEN, "--precision", "f32", "--output",
                                       self.folder + "/", *options], capture_output=True, text=True, env=environment())
                self.assertNotEqual(said.returncode, 0)
                self.assertIn(reply.json["error"]["message"], said.stderr)
        for target, status, body in (("codec/decode", 400, {"codes": "zz"}), ("codec/encode", 422, {"audio": sound, "model": "nix"}),
                                     ("score", 400, {"codes": "1,2,3"}), ("lrc", 400, {"audio": sound}),
                                     ("sample", 400, {}), ("understand", 400, {})):
            reply = server.ask("POST", f"/v1/{target}", body)
            self.assertEqual(reply.status, status, reply.body)
            self.assertEqual(server.ask("POST", f"/v1/{target}?dry_run=1", body).status, status)
        self.assertEqual(server.ask("POST", "/v1/models/load", {"model": "nix"}).status, 422)
        self.assertEqual(server.ask("GET", "/v1/jobs").json["total"], 0)
        warned = server.ask("POST", "/v1/jobs", {**song, "src_audio": sound}).json["warnings"]
        self.assertEqual([(w["field"], w["asked"]) for w in warned if w["field"] == "src_audio"], [("src_audio", sound)])
        server = self.start(env={"ACESTEP_DATA_DIR": os.path.join(self.folder, "demo")})  # no language model, no ears
        sound = server.ask("POST", "/v1/uploads", recording(6), Content_Type="audio/wav").json["id"]
        for target, body in (("sample", {"query": "x"}), ("format", {"caption": "x"}), ("understand", {"audio": sound}),
                             ("score", {"codes": "1", "caption": "x"}), ("codec/encode", {"audio": sound}),
                             ("codec/decode", {"codes": "1"}), ("lrc", {"audio": sound, "lyrics": "la"}),
                             ("jobs", {**song, "reference_audio": sound})):
            reply = server.ask("POST", f"/v1/{target}?wait=60", body)
            self.assertEqual((reply.status, reply.json["error"]["code"]), (422, "not_possible"), reply.body)

    def test_history_is_searched_and_named(self):
        server = self.start(*QUICK)
        names = [self.add(server, {"caption": c, "title": "T" + c}) for c in ("one", "two", "three")]
        for name in names:
            self.wait(server, name, "done")
        changed = server.ask("PATCH", f"/v1/jobs/{names[0]}", {"title": "Best", "favourite": True}).json
        self.assertEqual((changed["title"], changed["favourite"]), ("Best", True))
        found = lambda q: [j["id"] for j in server.ask("GET", "/v1/jobs?" + q).json["jobs"]]
        self.assertEqual(found("q=best"), [names[0]])
        self.assertEqual(found("favourite=1"), [names[0]])
        self.assertEqual(found("favourite=0&q=t"), [names[2], names[1]])
        self.assertEqual(found("q=%22"), [])
        for title, words in (("Тихое ПИАНИНО", "пианино"), ("E\u0301tude", "ÉTUDE"), ("Straße", "STRASSE"), ("ＡＢＣ", "abc")):
            server.ask("PATCH", f"/v1/jobs/{names[0]}", {"title": title})
            self.assertEqual(found("q=" + urllib.parse.quote(words)), [names[0]], title)
        self.assertEqual(found("status=failed,cancelled"), [])
        page = server.ask("GET", "/v1/jobs?limit=2").json
        self.assertEqual(found(f"after={page['next']}"), [names[0]])

    def test_the_same_key_makes_one_job(self):
        server = self.start(*QUICK)
        one = self.add(server, SHORT, Idempotency_Key="k1")
        self.assertEqual(self.add(server, SHORT, Idempotency_Key="k1"), one)
        self.assertNotEqual(self.add(server, SHORT, Idempotency_Key="k2"), one)

    def test_keys_and_signed_addresses(self):
        keys = os.path.join(self.folder, "keys")
        with open(keys, "w", encoding="ascii") as f:
            f.write("reader read\nmaker read,generate\n")
        os.chmod(keys, 0o600)
        server = self.start("--api-key", "boss", "--api-key-file", keys)
        self.assertEqual(server.ask("POST", "/v1/jobs", SHORT).status, 401)
        self.assertEqual(server.ask("POST", "/v1/jobs", SHORT, Authorization="Bearer reader").status, 403)
        reply = server.ask("POST", "/v1/jobs", {**SHORT, "threads": 1}, Authorization="Bearer maker")
        self.assertEqual((reply.status, reply.json["error"]["param"]), (400, "threads"))
        reply = server.ask("POST", "/v1/jobs?wait=60", SHORT, Authorization="Bearer maker")
        self.assertEqual(reply.status, 200, reply.body)
        address = reply.json["items"][0]["audio"]
        self.assertEqual(server.ask("GET", address).status, 200)
        self.assertEqual(server.ask("GET", address + "&format=mp3").status, 200)
        self.assertEqual(server.ask("GET", address.split("?")[0]).status, 401)
        self.assertEqual(server.ask("GET", address.replace("items/0", "items/1")).status, 401)


class Survival(JobsTest):
    def test_killed_twice(self):
        server = self.start()
        running = self.add(server, LONG)
        waiting = self.add(server, SHORT)
        self.wait(server, running, "running")
        seed = self.job(server, running)["params"]["seed"]
        self.kill(server)
        server = self.start()
        job = self.wait(server, running, "running")
        self.assertEqual(job["params"]["seed"], seed)
        self.assertEqual(self.job(server, waiting)["queue_position"], 1)
        self.kill(server)
        server = self.start()
        job = self.job(server, running)
        self.assertEqual(job["status"], "failed")
        self.assertIn("twice", job["error"]["message"])
        self.wait(server, waiting, "done")
        self.assertEqual(os.listdir(os.path.join(server.data, "results")), [waiting])

    def test_stopped_as_often_as_one_likes(self):
        server = self.start("--grace", "0")
        running = self.add(server, LONG)
        for _ in range(3):
            self.wait(server, running, "running")
            self.assertEqual(server.stop(), 0)
            server = self.start("--grace", "0")
        self.assertIn(self.job(server, running)["status"], ("queued", "running"))
        server.ask("POST", f"/v1/jobs/{running}/cancel")
        self.wait(server, running, "cancelled")

    def test_a_short_job_finishes_within_the_grace(self):
        server = self.start("--grace", "60")
        name = self.add(server, SHORT)
        self.wait(server, name, "running", "done")
        self.assertEqual(server.stop(), 0)
        self.assertEqual(self.job(self.start(), name)["status"], "done")

    def test_retention_spares_favourites(self):
        server = self.start("--keep-count", "2", *QUICK)
        names = []
        for i in range(5):
            names.append(self.add(server, SHORT))
            self.wait(server, names[-1], "done")
            if i == 0:
                server.ask("PATCH", f"/v1/jobs/{names[0]}", {"favourite": True})
        total = lambda: server.ask("GET", "/v1/jobs").json["total"]
        self.assertTrue(until(lambda: total() == 3))
        left = [j["id"] for j in server.ask("GET", "/v1/jobs").json["jobs"]]
        self.assertEqual(left, [names[4], names[3], names[0]])

    def test_a_damaged_journal_is_set_aside(self):
        server = self.start()
        name = self.add(server, SHORT)
        self.wait(server, name, "done")
        server.stop()
        for end in ("-wal", "-shm"):
            if os.path.exists(path := os.path.join(server.data, "jobs.db" + end)):
                os.remove(path)
        with open(os.path.join(server.data, "jobs.db"), "wb") as f:
            f.write(b"nonsense" * 1000)
        server = self.start()
        self.assertIn("damaged", server.text())
        self.assertEqual(self.job(server, name)["status"], "done")  # from what lies beside the song
        self.assertEqual(server.ask("GET", f"/v1/jobs/{name}/items/0/audio").status, 200)
        server.stop()
        for end in ("-wal", "-shm", ""):  # or it is not there
            if os.path.exists(path := os.path.join(server.data, "jobs.db" + end)):
                os.remove(path)
        server = self.start()
        self.assertEqual(self.job(server, name)["status"], "done")

    def test_nobody_else_reads_the_journal(self):
        data = os.path.join(self.folder, "data")
        os.makedirs(data, 0o755)
        with open(os.path.join(data, "jobs.db"), "wb"):
            os.chmod(os.path.join(data, "jobs.db"), 0o644)  # as the first versions made it
        server = self.start(*QUICK)
        self.wait(server, self.add(server, SHORT), "done")
        for name in ("jobs.db", "jobs.db-wal", "jobs.db-shm", "lock", "results", "uploads"):
            self.assertEqual(os.stat(os.path.join(data, name)).st_mode & 0o077, 0, name)


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1] + sys.argv[2:])
