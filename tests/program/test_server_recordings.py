#!/usr/bin/env python3
"""Songs that are there: latents and codes of them, and back; their score; when they sing their words.

usage: test_server_recordings.py PATH/TO/acestep [unittest options]

Standard library only. The networks are tiny: 8 channels of latents, 25 frames a second."""
import json
import os
import struct
import sys
import unittest

from test_server import ServerTest, recording, until

GOLDEN = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "golden")
EDGE = "recordingsedge"
CHANNELS = 8
EXACT = {"audio_format": "wav32", "file_tags": "none"}


def form(*parts):
    """(field, file name or None, bytes) as a multipart body."""
    body = b""
    for field, name, data in parts:
        named = f'; filename="{name}"' if name is not None else ""
        body += f'--{EDGE}\r\nContent-Disposition: form-data; name="{field}"{named}\r\n\r\n'.encode() + data + b"\r\n"
    return body + f"--{EDGE}--\r\n".encode()


def latents(frames, value=0.25):
    return struct.pack(f"<{frames * CHANNELS}f", *([value, -value] * (frames * CHANNELS // 2)))


def rounded(score):
    """As words are told, with six digits."""
    return {"global": float(f"{score['global']:.6g}"),
            "conditions": {k: float(f"{v:.6g}") for k, v in score["conditions"].items()}}


class RecordingsTest(ServerTest):
    def begin(self, *arguments):
        return self.start("--models", GOLDEN, "--precision", "f32", "--inference-steps", "2", *arguments)

    def job(self, server, target, body, status="done"):
        reply = server.ask("POST", f"{target}?wait=100", body)
        self.assertEqual((reply.status, reply.json.get("status")), (200, status), reply.body[:2000])
        return reply.json

    def item(self, server, target, body):
        (item,) = self.job(server, target, body)["items"]
        return item

    def get(self, server, target):
        reply = server.ask("GET", target)
        self.assertEqual(reply.status, 200, reply.body[:300])
        return reply.body

    def song(self, server, **options):
        song = self.job(server, "/v1/jobs", {"caption": "x", "duration": 10, "seed": 3, **EXACT, **options})
        return f"{song['id']}/0", song["items"][0]

    def post_form(self, server, target, *parts):
        return server.ask("POST", target, form(*parts), Content_Type=f"multipart/form-data; boundary={EDGE}")

    def upload(self, server, data, status=201):
        reply = server.ask("POST", "/v1/uploads?kind=latents", data, Content_Type="application/octet-stream")
        self.assertEqual(reply.status, status, reply.body)
        return reply.json


class Latents(RecordingsTest):
    def test_a_song_is_its_latents(self):
        server = self.begin()
        name, item = self.song(server, thinking=True, save_latents=True, latent_shift=0.1, latent_rescale=1.1)
        saved = server.ask("GET", item["latents"] + "?download=1")
        self.assertEqual((saved.status, len(saved.body)), (200, 250 * CHANNELS * 4))
        self.assertEqual(saved.headers["Content-Type"], "application/octet-stream")
        self.assertIn("0.latents", saved.headers["Content-Disposition"])
        self.assertEqual(server.ask("GET", item["latents"], Range="bytes=0-7").body, saved.body[:8])
        sound = self.get(server, item["audio"])
        up = self.upload(server, saved.body)
        self.assertEqual((up["format"], up["numbers"]), ("latents", 250 * CHANNELS))
        for source in (name, up["id"]):
            again = self.item(server, "/v1/codec/decode", {"latents": source, **EXACT})
            self.assertEqual(self.get(server, again["audio"]), sound)
            self.assertNotIn("sidecar", again)
        sent = self.post_form(server, "/v1/codec/decode?wait=100", ("request", None, json.dumps(EXACT).encode()),
                              ("file", "x.latents", saved.body))
        self.assertEqual(self.get(server, sent.json["items"][0]["audio"]), sound)
        other = self.item(server, "/v1/codec/decode", {"latents": name, "latent_shift": 0.5, **EXACT})
        self.assertNotEqual(self.get(server, other["audio"]), sound)
        plain, item = self.song(server, thinking=False)
        self.assertNotIn("latents", item)
        self.assertEqual(server.ask("GET", f"/v1/jobs/{plain.replace('/', '/items/')}/latents").status, 404)
        self.assertEqual(server.ask("POST", "/v1/codec/decode", {"latents": plain}).status, 400)

    def test_a_recording_comes_back_as_the_networks_hear_it(self):
        server = self.begin()
        sound = server.ask("POST", "/v1/uploads", recording(12), Content_Type="audio/wav").json["id"]
        first = self.item(server, "/v1/codec/encode", {"audio": sound})
        self.assertEqual(first["seconds"], 12.0)
        data = self.get(server, first["latents"])
        self.assertEqual(len(data), 300 * CHANNELS * 4)
        codes = self.get(server, first["latents"].replace("latents", "codes")).decode()
        self.assertEqual(codes, first["codes"])
        heard = self.job(server, "/v1/understand", {"audio": sound})["words"]["audio_codes"]
        self.assertEqual(codes, heard)
        again = self.item(server, "/v1/codec/encode", {"latents": self.upload(server, data)["id"]})
        self.assertEqual(self.get(server, again["latents"]), data)
        self.assertEqual(again["codes"], codes)
        self.assertEqual(self.job(server, "/v1/understand", {"src_latents": self.upload(server, data)["id"]})
                         ["words"]["audio_codes"], codes)
        decoded = self.item(server, "/v1/codec/decode", {"codes": codes, "save_latents": True, **EXACT})
        self.assertEqual(len(self.get(server, decoded["latents"])), 300 * CHANNELS * 4)
        self.assertEqual(decoded["seconds"], 12.0)
        short = self.item(server, "/v1/codec/encode", {"audio": server.ask(
            "POST", "/v1/uploads", recording(1), Content_Type="audio/wav").json["id"]})
        self.assertEqual(len(self.get(server, short["latents"])), 25 * CHANNELS * 4)  # nothing is added

    def test_latents_are_a_source_like_their_sound(self):
        server = self.begin()
        sound = server.ask("POST", "/v1/uploads", recording(12), Content_Type="audio/wav").json["id"]
        encoded = self.item(server, "/v1/codec/encode", {"audio": sound})
        name = encoded["latents"].split("/")[3] + "/0"
        asked = {"caption": "y", "seed": 5, "thinking": False, **EXACT}
        for task in ({"task_type": "cover"}, {"task_type": "cover", "no_fsq": True, "audio_cover_strength": 0.5},
                     {"task_type": "repaint", "repainting_start": 4, "repainting_end": 6,
                      "repaint_mode": "aggressive"}):  # else the recording itself is around the region
            made = [self.get(server, self.item(server, "/v1/jobs", {**asked, **task, **source})["audio"])
                    for source in ({"src_audio": sound}, {"src_latents": name})]
            self.assertEqual(made[0], made[1], task)
        short = server.ask("POST", "/v1/uploads", recording(2), Content_Type="audio/wav").json["id"]  # silence follows
        few = self.item(server, "/v1/codec/encode", {"audio": short})["latents"].split("/")[3] + "/0"
        made = [self.get(server, self.item(server, "/v1/jobs", {**asked, "task_type": "cover", **source})["audio"])
                for source in ({"src_audio": short}, {"src_latents": few})]
        self.assertEqual(made[0], made[1])
        job = self.job(server, "/v1/jobs", {**asked, "task_type": "cover", "src_latents": name})
        sidecar = server.ask("GET", job["items"][0]["sidecar"])
        self.assertEqual(sidecar.json["src_latents"], name)
        self.assertNotIn(self.folder.encode(), sidecar.body)
        wide = self.item(server, "/v1/jobs", {**asked, "task_type": "repaint", "src_latents": name,
                                              "repainting_start": -2, "repainting_end": 15})
        self.assertEqual(wide["seconds"], 17.0)
        too_wide = server.ask("POST", "/v1/jobs", {**asked, "task_type": "repaint", "src_latents": name,
                                                   "repainting_start": -500, "repainting_end": 1100})
        self.assertEqual(too_wide.status, 400, too_wide.body[:300])
        ignored = self.job(server, "/v1/jobs", {**asked, "duration": 10, "src_latents": name})
        self.assertIn("src_latents", [w["field"] for w in ignored["warnings"]])

    def test_latents_are_a_reference_like_their_sound(self):
        server = self.begin()
        sound = server.ask("POST", "/v1/uploads", recording(30), Content_Type="audio/wav").json["id"]
        few_seconds = server.ask("POST", "/v1/uploads", recording(2), Content_Type="audio/wav").json["id"]
        encoded = self.item(server, "/v1/codec/encode", {"audio": sound})
        name = encoded["latents"].split("/")[3] + "/0"
        asked = {"caption": "y", "duration": 10, "seed": 5, "thinking": False, **EXACT}
        song = lambda **more: self.job(server, "/v1/jobs", {**asked, **more})
        heard = lambda job: self.get(server, job["items"][0]["audio"])
        by_sound, job = heard(song(reference_audio=sound)), song(reference_latents=name)
        self.assertEqual(by_sound, heard(job))
        self.assertNotEqual(by_sound, heard(song()))
        self.assertNotIn("encode", [s["stage"] for s in job["plan"]["stages"]])
        sidecar = server.ask("GET", job["items"][0]["sidecar"])
        self.assertEqual(sidecar.json["reference_latents"], name)
        self.assertNotIn(self.folder.encode(), sidecar.body)
        data = self.get(server, encoded["latents"])
        request = json.dumps({**asked, "reference_audio": few_seconds}).encode()  # latents win over the sound
        sent = self.post_form(server, "/v1/jobs?wait=100", ("request", None, request), ("ref_latents", "x", data))
        self.assertEqual(heard(sent.json), by_sound)
        few = self.upload(server, data[:200 * CHANNELS * 4])["id"]
        both = self.job(server, "/v1/jobs", {**asked, "seed": "5,6", "batch_size": 2, "reference_latents": few})
        self.assertEqual(self.get(server, both["items"][0]["audio"]), heard(song(reference_latents=few)))
        self.assertEqual(server.ask("POST", "/v1/jobs", {**asked, "reference_latents": sound}).status, 400)

    def test_what_is_no_latents(self):
        server = self.begin()
        good = latents(150)
        number = struct.calcsize("<f")
        for data in (good[:-1], good[:3], good[:-number] + struct.pack("<f", float("nan")),
                     struct.pack("<f", float("inf")) + good[number:], struct.pack("<f", 1e30) + good[number:],
                     recording(1), b"latents" * 4, bytes(15000 * 64 * 4 + 4)):
            reply = self.upload(server, data, status=422)
            self.assertNotIn(self.folder, json.dumps(reply))
            sent = self.post_form(server, "/v1/jobs", ("request", None, b'{"task_type": "cover"}'),
                                  ("src_latents", "x", data))
            self.assertEqual(sent.status, 422, sent.body)
        self.upload(server, b"", status=400)
        self.assertEqual(os.listdir(os.path.join(server.data, "uploads")), [])
        # whole numbers of floats, but not of this model's frames
        odd = self.upload(server, good[:-number])["id"]
        refused = server.ask("POST", "/v1/codec/decode", {"latents": odd})
        self.assertEqual(refused.status, 422)
        self.assertIn("frames of 8 floats", refused.json["error"]["message"])
        self.assertNotIn(self.folder, json.dumps(refused.json))
        long = self.upload(server, bytes(15001 * CHANNELS * 4))["id"]  # allowed of a wider model
        refused = server.ask("POST", "/v1/codec/decode", {"latents": long})
        self.assertEqual(refused.status, 422)
        self.assertIn("more than 15000 frames", refused.json["error"]["message"])
        # one kind of upload is not the other
        sound = server.ask("POST", "/v1/uploads", recording(), Content_Type="audio/wav").json["id"]
        for body in ({"latents": sound}, {"latents": "/etc/passwd"}, {"latents": "../x"}, {"latents": "j_none/0"},
                     {"latents": "u_none"}, {"latents": odd + "/../" + odd}, {"latents": 5}, {}, {"codes": ""},
                     {"latents": odd, "codes": "1,2,3"}):
            self.assertEqual(server.ask("POST", "/v1/codec/decode", body).status, 400, body)
        self.assertEqual(server.ask("POST", "/v1/jobs", {"task_type": "cover", "src_audio": odd}).status, 400)
        self.assertEqual(server.ask("GET", f"/v1/uploads/{odd}/audio").status, 404)
        self.assertEqual([u["id"] for u in server.ask("GET", "/v1/uploads").json["uploads"]], [sound])
        self.assertEqual(server.ask("DELETE", f"/v1/uploads/{odd}").status, 200)
        self.assertEqual(server.ask("GET", f"/v1/uploads/{odd}").status, 404)
        self.assertNotIn(odd, os.listdir(os.path.join(server.data, "uploads")))
        for codes in ("words", "-1,2", "<|audio_code_|>"):
            reply = server.ask("POST", "/v1/codec/decode?wait=100", {"codes": codes})
            self.assertIn((reply.status, reply.json.get("status")), ((400, None), (422, None), (200, "failed")), codes)
        # the server goes on
        self.item(server, "/v1/codec/decode", {"latents": self.upload(server, good)["id"]})


class Words(RecordingsTest):
    LYRICS = "[Verse]\nhello world\nsing it again\n[Chorus]\nla la la"

    def test_the_score_is_that_of_the_song(self):
        server = self.begin()
        name, item = self.song(server, thinking=True, auto_score=True, lyrics=self.LYRICS)
        words = self.job(server, "/v1/score", {"song": name})["words"]
        self.assertEqual(words["audio_codes"], item["codes"])
        self.assertEqual(words["lm_score"], rounded(item["lm_score"]))
        told = {k: item[k] for k in ("caption", "lyrics", "bpm", "keyscale", "timesignature", "vocal_language", "duration")}
        again = self.job(server, "/v1/score", {"codes": item["codes"], **told})["words"]
        self.assertEqual(again["lm_score"], words["lm_score"])
        other = self.job(server, "/v1/score", {"song": name, "lyrics": "something else"})["words"]
        self.assertNotEqual(other["lm_score"]["conditions"]["lyrics"], item["lm_score"]["conditions"]["lyrics"])
        sound = server.ask("POST", "/v1/uploads", recording(12), Content_Type="audio/wav").json["id"]
        heard = self.job(server, "/v1/score", {"audio": sound, "caption": "a triangle", "bpm": 90})["words"]
        self.assertEqual(set(heard["lm_score"]["conditions"]), {"caption", "bpm"})
        self.assertTrue(0 <= heard["lm_score"]["global"] <= 1)
        for body in ({}, {"caption": "x"}, {"song": "j_none/0"}, {"song": 5}, {"song": name + "/../0"}, {"song": name[:-2]},
                     {"audio": "/etc/passwd", "caption": "x"}):
            self.assertEqual(server.ask("POST", "/v1/score", body).status, 400, body)
        self.assertEqual(server.ask("POST", "/v1/score", {"codes": item["codes"]}).status, 400)  # no words

    def test_the_times_are_those_of_the_song(self):
        server = self.begin()
        for thinking in (True, False):  # what it follows: codes, or nothing
            name, item = self.song(server, thinking=thinking, auto_lrc=True, auto_score=True, save_latents=True,
                                   lyrics=self.LYRICS)
            got = self.item(server, "/v1/lrc", {"song": name, "auto_score": True})
            self.assertEqual(got["lyric_score"], item["lyric_score"])
            for kind in ("lrc", "vtt"):
                self.assertEqual(self.get(server, got[kind]), self.get(server, item[kind]))
        self.assertNotIn("audio", got)
        for kind in ("audio", "peaks", "sidecar", "latents", "codes"):
            self.assertEqual(server.ask("GET", got["lrc"].replace("/lrc", "/" + kind)).status, 404, kind)
        sound = server.ask("POST", "/v1/uploads", recording(12), Content_Type="audio/wav").json["id"]
        heard = self.item(server, "/v1/lrc", {"audio": sound, "lyrics": self.LYRICS})
        text = self.get(server, heard["lrc"]).decode()
        self.assertEqual([line.partition("]")[2] for line in text.splitlines() if line], self.LYRICS.split("\n"))
        for body in ({}, {"lyrics": "x"}, {"audio": sound}, {"song": "j_none/0", "lyrics": "x"}):
            self.assertEqual(server.ask("POST", "/v1/lrc", body).status, 400, body)
        self.job(server, "/v1/lrc", {"audio": sound, "lyrics": "[Verse]"}, status="failed")  # nothing is sung

    def test_such_jobs_are_jobs(self):
        server = self.begin()
        name, _ = self.song(server, thinking=False)
        waiting = server.ask("POST", "/v1/codec/encode", {"song": name})
        self.assertEqual((waiting.status, waiting.json["kind"]), (202, "encode"))
        record = f"/v1/jobs/{waiting.json['id']}"
        self.assertTrue(until(lambda: server.ask("GET", record).json["status"] == "done", 60))
        kinds = server.ask("GET", "/v1/jobs?kind=encode,lrc").json["jobs"]
        self.assertEqual([j["kind"] for j in kinds], ["encode"])
        same = self.job(server, "/v1/jobs", {"kind": "decode", "latents": f"{waiting.json['id']}/0"})
        self.assertEqual(same["kind"], "decode")
        self.assertEqual(server.ask("DELETE", record).status, 200)
        self.assertEqual(server.ask("GET", record + "/items/0/latents").status, 404)
        dry = server.ask("POST", "/v1/codec/encode?dry_run=1", {"song": name})
        self.assertEqual((dry.status, dry.json["plan"]), (200, None), dry.body[:300])
        self.assertEqual(dry.json["request"]["src_audio"], name)
        self.assertNotIn(self.folder.encode(), dry.body)
        metrics = self.get(server, "/metrics").decode()
        self.assertIn('acestep_jobs_total{task="decode",status="done"} 1', metrics)
        self.assertIn("acestep_songs_total 1\n", metrics)  # of three jobs with items
        self.assertIn('acestep_job_seconds_count{task="encode"} 1\n', metrics)
        self.assertRegex(metrics, r'acestep_job_seconds_sum\{task="encode"\} 0*[1-9.]')


class Demo(ServerTest):
    def test_a_model_without_ears_says_so(self):
        server = self.start()
        uploaded = server.ask("POST", "/v1/uploads", recording(), Content_Type="audio/wav").json["id"]
        for target, body in (("codec/encode", {"audio": uploaded}), ("codec/decode", {"codes": "1,2,3,4,5"}),
                             ("lrc", {"audio": uploaded, "lyrics": "la"})):
            reply = server.ask("POST", f"/v1/{target}?wait=60", body)
            self.assertEqual(reply.status, 422, reply.body)
            self.assertIn("from words only", reply.json["error"]["message"])


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1] + sys.argv[2:])
