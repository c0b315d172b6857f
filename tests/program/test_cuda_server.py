#!/usr/bin/env python3
"""acestep serve with a card that fails, the emulated one.

usage: test_cuda_server.py PATH/TO/acestep PLUGIN-FOLDER [unittest options]"""
import os
import re
import shutil
import sys
import tempfile
import time
import unittest

from test_server import Server

FOLDER = os.path.abspath(sys.argv[2])
GOLDEN = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "golden")
SONG = {"caption": "c", "duration": 10, "inference_steps": 1, "seed": 1, "vae_on_cpu": True}
CAUSE = "illegal memory access"


class Lost(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.mkdtemp()
        self.addCleanup(shutil.rmtree, self.folder)

    def start(self, **more):
        server = Server(self.folder, "--models", GOLDEN, "--device", "cuda", "--plugin-dir", FOLDER,
                        env={"LD_LIBRARY_PATH": FOLDER, **more})
        self.addCleanup(server.stop)
        self.assertIsNotNone(server.port, server.text())
        return server

    def run_song(self, server):
        """The record of a finished job."""
        reply = server.ask("POST", "/v1/jobs", SONG)
        self.assertEqual(reply.status, 202, reply.body)
        name = reply.json["id"]
        return self.until(lambda: self.finished(server, name), server)

    @staticmethod
    def finished(server, name):
        record = server.ask("GET", f"/v1/jobs/{name}").json
        return record if record["status"] in ("done", "failed") else None

    def until(self, what, server):
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            found = what()
            if found:
                return found
            time.sleep(0.05)
        self.fail(server.text())

    def device(self, server):
        return server.ask("GET", "/health").json["device"]

    def metric(self, server, name):
        text = server.ask("GET", "/metrics").body.decode()
        return int(re.search(rf"^acestep_{name} (\d+)$", text, re.MULTILINE)[1])

    def assert_on_card(self, server, record):
        self.assertEqual(record["status"], "done", record["error"])
        self.assertNotIn("W14", [w["id"] for w in record["warnings"]])
        self.assertIn("emulated", record["plan"]["device"])
        self.assertEqual(self.device(server)["state"], "ok")
        self.assert_health(server, "ok", 200, None)

    def assert_health(self, server, status, code, error):
        """As clients of acestep.cpp and of the original read it."""
        health = server.ask("GET", "/health")
        self.assertEqual(health.status, 200)  # it still takes jobs
        told = health.json
        self.assertEqual((told["status"], told["data"]["status"], told["code"]), (status, status, code))
        if error is None:
            self.assertIsNone(told["error"])
        else:
            self.assertRegex(told["error"], error)

    def assert_lost(self, server, record):
        self.assertEqual(record["status"], "failed")
        self.assertIn(CAUSE, record["error"]["message"])
        device = self.device(server)
        self.assertEqual([device["state"], device["losses"], device["reopened"]], ["lost", 1, 0])
        self.assertIn(CAUSE, device["cause"])
        self.assert_health(server, "degraded", 503, f"lost: .*{CAUSE}")

    def test_next_job_has_the_card_again(self):
        server = self.start(ACE_EMULATOR_FAIL_KERNEL="150")
        self.assertEqual(self.device(server), {"name": None, "state": "ok", "cause": None, "problem": None,
                                               "losses": 0, "reopened": 0})
        preview = server.ask("POST", "/v1/jobs?dry_run=1", SONG).json  # its engine holds the card as well
        self.assertEqual(preview["warnings"], [])
        self.assert_lost(server, self.run_song(server))
        self.assert_on_card(server, self.run_song(server))
        device = self.device(server)
        self.assertEqual([device["losses"], device["reopened"], device["problem"]], [1, 1, None])
        self.assertIn(CAUSE, device["cause"])
        self.assertEqual(self.metric(server, "device_lost_total"), 1)
        self.assertEqual(self.metric(server, "device_reopened_total"), 1)
        preview = server.ask("POST", "/v1/jobs?dry_run=1", SONG).json
        self.assertNotIn("W14", [w["id"] for w in preview["warnings"]])
        self.assert_on_card(server, self.run_song(server))
        self.assertEqual(self.metric(server, "device_lost_total"), 1)

    def test_without_the_card_until_it_is_opened_by_hand(self):
        # resets: closing the lost device, opening it (vain), and the one by hand
        server = self.start(ACE_EMULATOR_FAIL_KERNEL="150", ACE_EMULATOR_REPAIR="3")
        self.assert_lost(server, self.run_song(server))
        for _ in range(2):
            record = self.run_song(server)
            self.assertEqual(record["status"], "done", record["error"])
            self.assertIn("W14", [w["id"] for w in record["warnings"]])
            device = self.device(server)
            self.assertEqual([device["state"], device["losses"], device["reopened"]], ["fallback", 1, 0])
            self.assertIn("cannot reset it", device["problem"])
            self.assert_health(server, "degraded", 503, f"run without it: .*{CAUSE}")
        reply = server.ask("POST", "/v1/device/reopen", {})
        self.assertEqual(reply.status, 202)
        self.assertEqual(reply.json["device"]["losses"], 1)
        self.until(lambda: self.device(server)["state"] == "ok", server)
        self.assertEqual(self.device(server)["reopened"], 1)
        self.assert_on_card(server, self.run_song(server))
        self.assertEqual(self.metric(server, "device_lost_total"), 1)

    def test_unloaded_and_loaded_again(self):
        server = self.start(ACE_EMULATOR_FAIL_KERNEL="150")
        self.assert_lost(server, self.run_song(server))
        self.assertEqual(server.ask("POST", "/v1/models/unload", {}).status, 202)
        self.until(lambda: self.device(server)["name"] is None, server)
        self.assert_on_card(server, self.run_song(server))
        self.assertEqual(self.metric(server, "device_lost_total"), 1)


if __name__ == "__main__":
    unittest.main(argv=[sys.argv[0], *sys.argv[3:]])
