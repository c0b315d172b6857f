#!/usr/bin/env python3
"""Adapters of acestep serve: listed, sent, named in a request, removed.

usage: test_server_adapters.py PATH/TO/acestep [unittest options]

Standard library only. The networks are tiny: three layers of 64 channels."""
import json
import os
import struct
import sys
import unittest

from test_server import ServerTest, until

GOLDEN = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "golden")
EDGE = "adapteredge"


def safetensors(tensors):
    """name: (shape, floats) as a file."""
    header, data = {}, b""
    for name, (shape, values) in tensors.items():
        part = struct.pack(f"<{len(values)}f", *values)
        header[name] = {"dtype": "F32", "shape": shape, "data_offsets": [len(data), len(data) + len(part)]}
        data += part
    text = json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + data


def lora(rank=2, width=64, layer=0, module="cross_attn.q_proj", strength=0.5, prefix="base_model.model.layers"):
    a = [(i % 7 - 3) / 7 for i in range(rank * width)]
    b = [strength * (i % 5 - 2) / 5 for i in range(64 * rank)]
    return safetensors({f"{prefix}.{layer}.{module}.lora_A.weight": ([rank, width], a),
                        f"{prefix}.{layer}.{module}.lora_B.weight": ([64, rank], b)})


def lokr(width=64, layer=0, module="self_attn_q_proj", dora=False):
    """As the original's trainer writes it: LyCORIS' names, a whole W1 and halves of W2."""
    name = f"lycoris_layers_{layer}_{module}"
    tensors = {f"{name}.lokr_w1": ([4, 8], [(i % 5 - 2) / 3 for i in range(32)]),
               f"{name}.lokr_w2_a": ([16, 2], [(i % 7 - 3) / 7 for i in range(32)]),
               f"{name}.lokr_w2_b": ([2, width // 8], [(i % 3 - 1) / 2 for i in range(width // 4)]),
               f"{name}.alpha": ([], [4.0]),
               "lycoris_time_embed_linear_1.lokr_w1": ([2, 2], [1.0] * 4),  # wrapped and not trained
               "lycoris_time_embed_linear_1.lokr_w2": ([2, 2], [0.0] * 4)}
    if dora:
        tensors[f"{name}.dora_scale"] = ([64, 1], [1.5] * 64)
    return safetensors(tensors)


def form(*parts):
    """(field, file name or None, bytes) as a multipart body."""
    body = b""
    for field, name, data in parts:
        named = f'; filename="{name}"' if name is not None else ""
        body += f'--{EDGE}\r\nContent-Disposition: form-data; name="{field}"{named}\r\n\r\n'.encode() + data + b"\r\n"
    return body + f"--{EDGE}--\r\n".encode()


CONFIG = json.dumps({"peft_type": "LORA", "r": 2, "lora_alpha": 4}).encode()


class Adapters(ServerTest):
    def begin(self, *arguments, **more):
        return self.start("--models", GOLDEN, "--precision", "f32", "--inference-steps", "2", *arguments, **more)

    def send(self, server, *parts, status=201, target="/v1/adapters", **headers):
        reply = server.ask("POST", target, form(*parts), Content_Type=f"multipart/form-data; boundary={EDGE}", **headers)
        self.assertEqual(reply.status, status, reply.body)
        return reply.json

    def names(self, server):
        return [a["name"] for a in server.ask("GET", "/v1/adapters").json["adapters"]]

    def song(self, server, **options):
        reply = server.ask("POST", "/v1/jobs?wait=100", {"caption": "x", "duration": 10, "seed": 4, "thinking": False,
                                                         "audio_format": "wav32", "file_tags": "none", **options})
        self.assertEqual((reply.status, reply.json.get("status")), (200, "done"), reply.body[:1000])
        return reply.json, server.ask("GET", reply.json["items"][0]["audio"]).body

    def kept(self, server):
        return sorted(os.listdir(os.path.join(server.data, "adapters")))

    def test_from_sending_to_removing(self):
        server = self.begin()
        self.assertEqual(self.names(server), [])
        got = self.send(server, ("file", "guitar.safetensors", lora()))
        self.assertEqual({k: got[k] for k in ("name", "uploaded", "kind", "form", "rank", "layers", "modules", "targets",
                                              "parameters", "error")},
                         {"name": "guitar", "uploaded": True, "kind": "lora", "form": "single file",
                          "rank": {"least": 2, "most": 2}, "layers": 1, "modules": 1, "targets": ["cross_attn.q_proj"],
                          "parameters": 256, "error": None})
        got = self.send(server, ("name", None, b"bass"), ("weights", "adapter_model.safetensors", lora(layer=2)),
                        ("config", "adapter_config.json", CONFIG))
        self.assertEqual((got["name"], got["form"]), ("bass", "peft"))
        self.assertEqual(self.names(server), ["bass", "guitar"])
        self.assertEqual(server.ask("GET", "/props").json["adapters"], ["bass", "guitar"])
        plain = self.song(server)[1]
        one, with_one = self.song(server, lora="guitar:0.5")
        both = self.song(server, lora="guitar:0.5,bass")[1]
        self.assertEqual(len({plain, with_one, both}), 3)
        self.assertEqual(self.song(server, lora="guitar.safetensors:0.5")[1], with_one)
        self.assertEqual(self.song(server, lora="guitar:0")[1], plain)
        sidecar = server.ask("GET", one["items"][0]["sidecar"])
        self.assertEqual(sidecar.json["lora"], "guitar:0.5")
        self.assertNotIn(self.folder.encode(), sidecar.body)
        self.assertEqual(self.song(server, **sidecar.json)[1], with_one)
        peer = server.ask("POST", "/synth", {"caption": "x", "duration": 10, "adapter": "bass", "adapter_scale": 0.5})
        self.assertEqual(peer.status, 200, peer.body)
        loaded = server.ask("POST", "/v1/lora/load", {"lora_path": "guitar"})
        self.assertEqual(loaded.json["code"], 200, loaded.body)
        self.assertEqual(self.song(server)[1], self.song(server, lora="guitar:1")[1])
        self.assertEqual(server.ask("POST", "/v1/lora/unload", {}).json["code"], 200)
        self.assertEqual(server.ask("DELETE", "/v1/adapters/guitar").json, {"removed": True})
        self.assertEqual(server.ask("DELETE", "/v1/adapters/bass").status, 200)
        self.assertEqual(server.ask("DELETE", "/v1/adapters/bass").status, 404)
        self.assertEqual((self.names(server), self.kept(server)), ([], []))
        gone = server.ask("POST", "/v1/jobs", {"caption": "x", "lora": "guitar"})
        self.assertEqual((gone.status, "guitar" in gone.json["detail"]), (400, True), gone.body)

    def test_folders_of_the_server(self):
        folder = os.path.join(self.folder, "loras")
        os.makedirs(os.path.join(folder, "voice"))
        os.makedirs(os.path.join(folder, "empty"))
        os.makedirs(os.path.join(folder, "trained"))
        for name, data in (("one.safetensors", lora()), ("trained/lokr_weights.safetensors", lokr()),
                           ("stretched.safetensors", lokr(dora=True)), ("voice/adapter_model.safetensors", lora(layer=1)),
                           ("voice/adapter_config.json", CONFIG), ("broken.safetensors", b"\xff" * 40),
                           ("a,b.safetensors", lora()), (".hidden.safetensors", lora()), ("notes.txt", b"x"),
                           ("pickle.bin", b"x"), ("lokr.safetensors", safetensors({
                               "layers.0.self_attn.q_proj.lokr_w1": ([1, 1], [1.0])}))):
            with open(os.path.join(folder, name), "wb") as f:
                f.write(data)
        server = self.begin("--adapters", f"/nowhere::{folder}")
        listed = {a["name"]: a for a in server.ask("GET", "/v1/adapters").json["adapters"]}
        self.assertEqual(list(listed), ["broken", "lokr", "one", "stretched", "trained", "voice"])
        self.assertEqual([listed[n]["error"] is None for n in listed], [False, False, True, True, True, True])
        self.assertIn("lacks its other half", listed["lokr"]["error"])
        self.assertEqual([(listed[n]["kind"], listed[n]["dora"], listed[n]["rank"]["most"], listed[n]["modules"])
                          for n in ("one", "trained", "stretched")],
                         [("lora", False, 2, 1), ("lokr", False, 2, 1), ("lokr", True, 2, 1)])
        self.assertNotIn(self.folder, json.dumps(listed))
        self.assertFalse(listed["one"]["uploaded"])
        songs = [self.song(server, lora=n)[1] for n in ("one", "voice", "trained", "stretched", "trained:0.5,one")]
        self.assertEqual(len(set(songs)), 5)
        self.assertEqual(self.song(server, lora="trained:0.5,stretched:0")[1], self.song(server, lora="trained:0.5")[1])
        self.assertEqual(server.ask("DELETE", "/v1/adapters/one").status, 409)
        self.send(server, ("file", "one.safetensors", lora()), status=409)
        self.assertTrue(os.path.exists(os.path.join(folder, "one.safetensors")))
        for name in ("broken", "lokr"):
            self.assertNotEqual(server.ask("POST", "/v1/jobs", {"caption": "x", "lora": name}).status, 202, name)

    def test_hostile_names_and_contents(self):
        server = self.begin("--max-upload", "1")
        good = lora()
        with open(os.path.join(self.folder, "secret.safetensors"), "wb") as f:
            f.write(good)
        for name in ("", ".", "..", "../x", "a/b", "/etc/x", ".hidden", "a,b", "a:1", "a\\b", "x" * 101, " x", "a\nb",
                     "a\x7fb"):
            reply = self.send(server, ("name", None, name.encode()), ("file", "f.safetensors", good), status=400)
            self.assertEqual(reply["error"]["param"], "name", name)
        nan = bytearray(safetensors({"layers.0.mlp.up_proj.lora_A.weight": ([1, 64], [0.0] * 64),
                                     "layers.0.mlp.up_proj.lora_B.weight": ([160, 1], [0.0] * 160),
                                     "layers.0.mlp.up_proj.alpha": ([1], [float("nan")])}))
        header = struct.pack("<Q", 1 << 62) + b"{}"
        halves = safetensors({"layers.0.mlp.up_proj.lora_A.weight": ([1, 64], [0.0] * 64)})
        for name, data in (("empty", b""), ("cut", good[:-1]), ("head", good[:7]), ("length", header), ("nan", bytes(nan)),
                           ("half", halves), ("text", b"not an adapter"), ("pickle", b"\x80\x04\x95"),
                           ("layer", lora(layer=96)), ("foreign", safetensors({"weight": ([1], [1.0])}))):
            reply = self.send(server, ("file", f"{name}.safetensors", data), status=422)
            self.assertEqual(reply["error"]["code"], "no_adapter", name)
            self.assertNotIn(self.folder, json.dumps(reply))
        for config in (b"", b"[]", b'{"r": "x"}', b'{"peft_type": "LOKR", "r": 2, "lora_alpha": 4}'):
            self.send(server, ("file", "a.safetensors", good), ("config", "adapter_config.json", config), status=422)
        self.send(server, ("name", None, b"x"), status=400)
        self.send(server, ("a", "a.safetensors", good), ("b", "b.safetensors", good), status=400)
        self.send(server, ("a", "a.json", CONFIG), status=400)
        self.send(server, ("file", "big.safetensors", b"x" * 1100000), status=413)
        self.assertEqual((self.kept(server), self.names(server)), ([], []))
        self.assertTrue(until(lambda: server.receiving() == []))  # they go after the answer
        for name in ("../../secret", "../secret", "secret", self.folder + "/secret.safetensors", "", ":", ":1", "..",
                     "u_01m8fzsqhm5mvmts0npt", "a\nb"):
            reply = server.ask("POST", "/v1/jobs", {"caption": "x", "lora": name or ",,"})
            if name:
                self.assertEqual(reply.status, 400, (name, reply.body))
        for name in ("..%2f..%2fsecret", "%2e%2e", "a%00b", "x", "a%2Cb"):
            self.assertIn(server.ask("DELETE", f"/v1/adapters/{name}").status, (400, 404), name)
        wide = self.send(server, ("file", "wide.safetensors", lora(width=32)))  # whole, but of another model
        self.assertIsNone(wide["error"])
        for target in ("/v1/jobs", "/v1/jobs?dry_run=1"):
            refused = server.ask("POST", target, {"caption": "x", "lora": "wide"})
            self.assertIn(refused.status, (422, 503))
            self.assertIn("wide", refused.json["detail"])
            self.assertNotIn(self.folder.encode(), refused.body)

    def test_rights(self):
        keys = os.path.join(self.folder, "keys")
        with open(keys, "w", encoding="utf-8") as f:
            f.write("reader read\nmaker read,generate\nadmin read,generate,admin\n")
        os.chmod(keys, 0o600)
        server = self.begin("--api-key-file", keys)
        self.send(server, ("file", "a.safetensors", lora()), status=403, Authorization="Bearer maker")
        self.send(server, ("file", "a.safetensors", lora()), Authorization="Bearer admin")
        raw = server.ask("POST", "/v1/adapters?name=raw", lora(), Authorization="Bearer admin",
                         Content_Type="application/octet-stream")
        self.assertEqual((raw.status, raw.json["name"]), (201, "raw"), raw.body)
        self.assertEqual(len(server.ask("GET", "/v1/adapters", Authorization="Bearer reader").json["adapters"]), 2)
        self.assertEqual(server.ask("DELETE", "/v1/adapters/a", Authorization="Bearer maker").status, 403)
        self.assertEqual(server.ask("POST", "/v1/jobs", {"caption": "x", "lora": "a"},
                                    Authorization="Bearer maker").status, 202)
        self.assertEqual(server.ask("DELETE", "/v1/adapters/a", Authorization="Bearer admin").status, 200)


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1] + sys.argv[2:])
