#!/usr/bin/env python3
"""Songs that are there, on the command line: score, lrc, encode, decode.

usage: test_recordings.py PATH/TO/acestep [unittest options]

The server's jobs of the same names are in test_server_recordings.py."""
import json
import os
import sys
import unittest

from test_program import ARGUMENT, AUDIO, GOLDEN, IO, UNSUPPORTED, ProgramTest

CHANNELS = 8  # of the recorded models' latents
LYRICS = "[Verse]\nhello world\nsing it again"
MODELS = ("--models", GOLDEN, "--precision", "f32", "--steps", "2", "--seed", "3", "--quiet")
EXACT = ("--audio-format", "wav32", "--file-tags", "none")


class RecordingsTest(ProgramTest):
    def run_well(self, *arguments):
        done = self.run_program(*arguments)
        self.assertEqual(done.returncode, 0, done.stderr.decode())
        return done.stdout.decode()

    def lines(self, *arguments):
        return self.run_well(*arguments).splitlines()

    def song(self, *options):
        """s.flac, with its words in its tags; what --json says of it."""
        (song,) = json.loads(self.run_well(
            "generate", *MODELS, "--caption", "slow piano", "--lyrics", LYRICS, "-d", "8", "-o", "s.flac", "--json",
            *options))["outputs"]
        return song


class Score(RecordingsTest):
    def score(self, *arguments):
        return json.loads(self.run_well("score", *arguments, *MODELS, "--json"))["lm_score"]

    def test_a_song_of_its_own_words(self):
        """From the tags, from the sidecar, or said again: the score that the song got when it was made."""
        song = self.song("--thinking", "--auto-score")
        made = {"global": float(f"{song['lm_score']['global']:.6g}"),
                "conditions": {k: float(f"{v:.6g}") for k, v in song["lm_score"]["conditions"].items()}}
        self.assertEqual(self.score("s.flac"), made)
        self.assertEqual(self.score("--request", "s.json"), made)
        with open(self.path("s.json"), encoding="utf-8") as f:
            told = json.load(f)
        with open(self.path("codes.txt"), "w", encoding="utf-8") as f:
            f.write(told["audio_codes"])
        again = [argument for name in ("caption", "lyrics", "bpm", "keyscale", "timesignature", "vocal_language", "duration")
                 if name in told for argument in (f"--{name}", str(told[name]))]
        self.assertEqual(self.score("--audio-codes", "@codes.txt", *again), made)
        self.assertIn("score", self.run_well("score", "s.flac", *MODELS))

    def test_words_that_are_given_win(self):
        made = self.song("--thinking", "--auto-score")["lm_score"]
        other = self.score("--lyrics", "something else", "s.flac")
        self.assertNotEqual(other["conditions"]["lyrics"], float(f"{made['conditions']['lyrics']:.6g}"))
        self.assertEqual(other["conditions"]["caption"], float(f"{made['conditions']['caption']:.6g}"))

    def test_a_recording_is_listened_to(self):
        self.song("--thinking=false", "--file-tags", "none", "--save-latents")
        heard = self.score("s.flac", "--caption", "a triangle", "--bpm", "90")
        self.assertEqual(set(heard["conditions"]), {"caption", "bpm"})
        self.assertTrue(0 <= heard["global"] <= 1)
        self.assertEqual(set(self.score("s.latents", "--caption", "x")["conditions"]), {"caption"})
        self.refused(ARGUMENT, "score", "s.flac", *MODELS, says=("caption",))

    def test_what_cannot_be_scored(self):
        self.refused(ARGUMENT, "score", "--caption", "x", *MODELS, says=("audio_codes",))
        for words in ((), ("--caption", "x")):
            self.refused(IO, "score", "none.flac", *words, *MODELS, says=("none.flac",))
        self.refused(UNSUPPORTED, "score", "--audio-codes", "1,2", "--caption", "x", says=("language model",))  # the demo


class Lrc(RecordingsTest):
    def test_the_times_are_those_of_the_song(self):
        self.song("--thinking=false", "--auto-lrc", "--auto-score", "--save-latents", "--overwrite")
        for arguments in (("s.latents", "--request", "s.json"), ("--src-latents", "s.latents", "--request", "s.json")):
            found = json.loads(self.run_well("lrc", *arguments, *MODELS, "--json", "--auto-score", "--overwrite", "-o", "t"))
            (output,) = found["outputs"]
            self.assertEqual((output["lrc"], output["vtt"], output["path"]), ("t.lrc", "t.vtt", None))
            self.assertIn("lyric_score", output)
            for kind in ("lrc", "vtt"):
                self.assertEqual(self.bytes_of("t." + kind), self.bytes_of("s." + kind))

    def test_they_lie_beside_the_song(self):
        os.mkdir(self.path("music"))
        self.song("--thinking=false", "-o", "music/s.flac")
        self.assertEqual(self.lines("lrc", "music/s.flac", *MODELS), ["music/s.lrc", "music/s.vtt"])
        text = self.bytes_of("music/s.lrc").decode()
        self.assertEqual([line.partition("]")[2] for line in text.splitlines() if line], LYRICS.split("\n"))
        self.refused(IO, "lrc", "music/s.flac", *MODELS, says=("music/s.lrc", "--overwrite"))
        self.assertEqual(self.lines("lrc", *MODELS, "--lyrics", "la", "music/s.flac", "--output", "o.lrc"),
                         ["o.lrc", "o.vtt"])
        self.assertIn("]la", self.bytes_of("o.lrc").decode())

    def test_what_cannot_be_timed(self):
        self.refused(ARGUMENT, "lrc", *MODELS, "--lyrics", "x", says=("src_audio",))
        self.refused(IO, "lrc", "none.flac", *MODELS, says=("none.flac",))
        self.song("--thinking=false", "--file-tags", "none", "--no-sidecar")
        self.refused(ARGUMENT, "lrc", "s.flac", *MODELS, says=("lyrics",))
        self.refused(UNSUPPORTED, "lrc", "s.flac", "--lyrics", "la", says=("from words only",))  # the demo


class Codec(RecordingsTest):
    def test_there_and_back(self):
        self.song("--thinking=false")
        self.assertEqual(self.lines("encode", "s.flac", *MODELS, "--codes", "s.codes"), ["s.latents"])
        self.assertEqual(len(self.bytes_of("s.latents")), 8 * 25 * CHANNELS * 4)
        codes = self.bytes_of("s.codes").decode()
        self.assertEqual(codes.count("<|audio_code_"), 8 * 5)
        self.assertEqual(self.run_well("encode", "s.flac", *MODELS, "--codes=-", "-o", "again"), codes)
        self.assertEqual(self.bytes_of("again.latents"), self.bytes_of("s.latents"))
        heard = json.loads(self.run_well("understand", "s.latents", *MODELS, "--thinking", "--json"))
        self.assertEqual(heard["audio_codes"] + "\n", codes)
        for source in (("s.latents",), ("--src-latents", "s.latents"), ("--audio-codes", "@s.codes")):
            self.assertEqual(self.lines("decode", *source, *MODELS, *EXACT, "--overwrite", "-o", "d.wav"), ["d.wav"])
            self.assertEqual(len(self.bytes_of("d.wav")) // (48000 * 8), 8)

    def test_a_demo_song_is_its_latents(self):
        self.generate("-o", "a.wav", "--save-latents", *EXACT)
        self.run_well("decode", "a.latents", *EXACT, "-o", "b.wav")
        self.assertEqual(self.bytes_of("a.wav"), self.bytes_of("b.wav"))
        os.rename(self.path("a.latents"), self.path("a.vae"))  # as acestep.cpp names them
        found = json.loads(self.run_well("decode", *EXACT, "--json", "-o", "c.wav", "a.vae"))
        self.assertEqual(self.bytes_of("a.wav"), self.bytes_of("c.wav"))
        self.assertEqual(found["measured"]["peak_bytes"], found["plan"]["peak_bytes"])  # held to the plan

    def test_memory_is_planned(self):
        """What was planned is what was used, to the byte; --exec shape plans the same and leaves no files."""
        self.song("--thinking=false")
        for command in (("encode", "s.flac", "--codes", "c"), ("decode", "s.latents"), ("lrc", "s.flac")):
            before = self.files()
            planned = json.loads(self.run_well(*command, *MODELS, "--exec", "shape", "--json", "-o", "out.wav"))
            self.assertEqual(self.files(), before)
            self.assertFalse({"latents", "codes", "lrc"} & set(planned["outputs"][0]), planned["outputs"])
            found = json.loads(self.run_well(*command, *MODELS, "--json", "-o", "s" if command[0] == "encode" else "out.wav"))
            peak = found["measured"]["peak_bytes"]
            self.assertEqual((found["plan"]["peak_bytes"], planned["plan"]["peak_bytes"]), (peak, peak), command)

    def test_nothing_is_replaced_unasked(self):
        self.song("--thinking=false")
        with open(self.path("s.codes"), "wb") as f:
            f.write(b"mine")
        self.refused(IO, "encode", "s.flac", *MODELS, "--codes", "s.codes", says=("s.codes", "--overwrite"))
        self.assertEqual(self.bytes_of("s.codes"), b"mine")
        self.run_well("encode", "s.flac", *MODELS, "--codes", "s.codes", "--overwrite")
        self.refused(IO, "encode", "s.flac", *MODELS, says=("s.latents", "--overwrite"))
        self.refused(IO, "encode", "s.flac", *MODELS, "--codes", "no/s.codes", "-o", "t", says=("no/s.codes",))
        self.assertFalse(os.path.exists(self.path("t.latents")))

    def test_what_cannot_be(self):
        with open(self.path("cut.wav"), "wb") as f:
            f.write(b"RIFF\0\0\0\0WAVEfmt ")
        with open(self.path("odd.latents"), "wb") as f:
            f.write(bytes(CHANNELS * 4 * 10 + 1))
        self.refused(ARGUMENT, "encode", *MODELS, says=("src_audio",))
        self.refused(ARGUMENT, "encode", "--codes", says=("--codes",))
        self.refused(AUDIO, "encode", "cut.wav", *MODELS, says=("cut.wav",))
        self.refused(IO, "encode", "none.wav", *MODELS, says=("none.wav",))
        self.refused(ARGUMENT, "decode", *MODELS, says=("src_latents",))
        self.refused(ARGUMENT, "decode", "odd.latents", "--audio-codes", "1", *MODELS, says=("audio_codes",))
        self.refused(AUDIO, "decode", "odd.latents", *MODELS, says=("odd.latents",))
        self.refused(ARGUMENT, "decode", "--audio-codes", "la la", *MODELS, says=("audio_codes",))
        self.refused(UNSUPPORTED, "encode", "cut.wav", says=("from words only",))  # the demo
        self.refused(UNSUPPORTED, "decode", "--audio-codes", "1,2", says=("from words only",))
        self.refused(ARGUMENT, "decode", "a.latents", "b.latents", says=("b.latents",))

    def test_help(self):
        for command in ("score", "lrc", "encode", "decode"):
            self.assertIn(f"usage: acestep {command}", self.run_well(command, "--help"))
            self.assertIn(f"\n  {command} ", self.run_well("--help"))


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1] + sys.argv[2:])
