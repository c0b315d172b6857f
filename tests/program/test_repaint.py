#!/usr/bin/env python3
"""Repainting: what lies around the region is the recording itself, after a fade of exact shape.

usage: test_repaint.py PATH/TO/acestep [unittest options]

The same song is made without the recording around it (aggressive) and with it: sampling is the same in both, so that
every sample of the second one is known from the first one and the recording."""
import array
import json
import os
import random
import sys
import unittest

from test_program import ARGUMENT, GOLDEN, ProgramTest

RATE = 48000
SONG = ("--models", GOLDEN, "--precision", "f32", "--steps", "2", "--seed", "5", "--thinking=false", "--task", "repaint",
        "--caption", "piano", "--src-audio", "s.wav", "--audio-format", "wav32", "--no-enable-normalization", "--json")


def write_wav(path, samples):
    """Stereo, 48 kHz, 32-bit floats."""
    data = samples.tobytes()
    head = (b"WAVEfmt \x10\0\0\0\x03\0\x02\0" + RATE.to_bytes(4, "little") + (8 * RATE).to_bytes(4, "little") +
            b"\x08\0\x20\0data" + len(data).to_bytes(4, "little"))
    with open(path, "wb") as f:
        f.write(b"RIFF" + (len(head) + len(data)).to_bytes(4, "little") + head + data)


def read_wav(path):
    with open(path, "rb") as f:
        content = f.read()
    at = 12
    while content[at:at + 4] != b"data":
        at += 8 + int.from_bytes(content[at + 4:at + 8], "little")
    size = int.from_bytes(content[at + 4:at + 8], "little")
    samples = array.array("f")
    samples.frombytes(content[at + 8:at + 8 + size])
    return samples


class RepaintTest(ProgramTest):
    def recording(self, seconds, name="s.wav"):
        draw = random.Random(7)
        samples = array.array("f", (draw.uniform(-0.3, 0.3) for _ in range(int(seconds * RATE) * 2)))
        write_wav(self.path(name), samples)
        return samples

    def song(self, *options):
        """The first song of those made; what is said of them is in self.report."""
        done = self.run_program("generate", *SONG, *options, "-o", "a.wav", "--overwrite")
        self.assertEqual(done.returncode, 0, done.stderr.decode())
        self.report = json.loads(done.stdout)
        return read_wav(self.path(self.report["outputs"][0]["path"]))

    def faded(self, source, made, out, first, count, weight):
        """Frames first … of a fade, the i-th of which has this weight of what was made."""
        for i in range(2 * count):
            at, w = 2 * first + i, weight(i // 2)
            self.assertAlmostEqual(out[at], w * made[at] + (1 - w) * source[at], delta=2e-7, msg=f"sample {at}")

    def check(self, source, made, out, start, end, fade):
        """start, end and fade in frames of audio; fade is the longest that it may be. Returns the lengths of the fades
        and of what was made."""
        self.assertEqual(len(made), len(out))
        frames = min(len(source), len(made)) // 2
        start, end = min(start, frames), min(end, frames)
        before, behind = min(fade, start), min(fade, frames - end)
        for song, first, last in ((source, 0, start - before), (made, start, end), (source, end + behind, frames),
                                  (made, frames, len(out) // 2)):
            self.assertEqual(out[2 * first:2 * last], song[2 * first:2 * last], (first, last))
        self.faded(source, made, out, start - before, before, lambda i: (i + 1) / (before + 1))
        self.faded(source, made, out, end, behind, lambda i: (behind - i) / (behind + 1))
        return before, end - start + len(out) // 2 - frames, behind


class Splice(RepaintTest):
    def compare(self, seconds, *region, fade=0.02, padded=0):
        source = self.recording(seconds)
        free = ("--repaint-mode", "aggressive", *region)
        made = self.song(*free)
        out = self.song(*free, "--repaint-wav-crossfade-sec", str(fade))
        self.assertNotEqual(made, out)
        silence = array.array("f", bytes(padded * 8))
        return silence + source, made, out

    def test_a_region_in_the_middle(self):
        lengths = self.check(*self.compare(6, "--repainting-start", "2.01", "--repainting-end", "4"),
                             int(2.01 * RATE), 4 * RATE, 960)
        self.assertEqual(lengths, (960, 4 * RATE - int(2.01 * RATE), 960))

    def test_a_hard_cut(self):
        lengths = self.check(*self.compare(6, "--repainting-start", "2", "--repainting-end", "4", fade=0),
                             2 * RATE, 4 * RATE, 0)
        self.assertEqual(lengths, (0, 2 * RATE, 0))

    def test_at_the_start_and_at_the_end(self):
        self.assertEqual(self.check(*self.compare(6, "--repainting-end", "2"), 0, 2 * RATE, 960), (0, 2 * RATE, 960))
        self.assertEqual(self.check(*self.compare(6, "--repainting-start", "4"), 4 * RATE, 6 * RATE, 960),
                         (960, 2 * RATE, 0))

    def test_shorter_than_its_fade(self):
        lengths = self.check(*self.compare(6, "--repainting-start", "0.5", "--repainting-end", "0.9", fade=1), RATE // 2,
                             int(0.9 * RATE), RATE)
        self.assertEqual(lengths, (RATE // 2, int(0.9 * RATE) - RATE // 2, RATE))  # there is half a second before it

    def test_beyond_both_ends(self):
        """The silence that is put around the recording lies in the region: all of it is made."""
        self.check(*self.compare(6, "--repainting-start", "-1", "--repainting-end", "2", padded=RATE), 0, 3 * RATE, 960)
        source, made, out = self.compare(6, "--repainting-start", "5", "--repainting-end", "8")
        self.assertEqual(len(out), 2 * 8 * RATE)
        self.check(source + array.array("f", bytes(2 * RATE * 8)), made, out, 5 * RATE, 8 * RATE, 960)

    def test_a_recording_shorter_than_any_song(self):
        """What the network adds behind its end stays as it was made."""
        lengths = self.check(*self.compare(3, "--repainting-start", "1", "--repainting-end", "2"), RATE, 2 * RATE, 960)
        self.assertEqual(lengths, (960, RATE + int(2.12 * RATE), 960))

    def test_the_whole_song(self):
        self.recording(6)
        made = self.song("--repaint-mode", "aggressive")
        self.assertEqual(made, self.song("--repaint-mode", "aggressive", "--repaint-wav-crossfade-sec", "1"))


class Modes(RepaintTest):
    REGION = ("--repainting-start", "2", "--repainting-end", "4")

    def part(self, song, first, last):
        return song[2 * round(first * RATE):2 * round(last * RATE)]

    def test_how_far_the_recording_reaches(self):
        """0.025 s of fade unless something else is asked for, 0.05 closely, in proportion to the strength."""
        source = self.recording(6)
        for options, fade in (((), 0.025), (("--repaint-mode", "conservative"), 0.05),
                              (("--repaint-strength", "0.9"), 0.05 * (1 - 0.9)), (("--repaint-strength", "1"), 0),
                              (("--repaint-wav-crossfade-sec", "0.1"), 0.1)):
            out = self.song(*self.REGION, *options)
            kept = ((0, 2 - fade), (4 + fade, 6))
            other = ((2, 4),) if fade == 0 else ((2 - fade, 2 - fade / 2), (2, 4), (4 + fade / 2, 4 + fade))
            with self.subTest(options=options):
                for part in kept:
                    self.assertEqual(self.part(out, *part), self.part(source, *part), part)
                for part in other:
                    self.assertNotEqual(self.part(out, *part), self.part(source, *part), part)
        out = self.song(*self.REGION, "--repaint-mode", "aggressive")
        self.assertNotEqual(self.part(out, 0, 1), self.part(source, 0, 1))

    def test_levelled_as_one(self):
        """The level is that of the whole song: the recording around the region is scaled with it."""
        source = self.recording(6)
        out = self.song(*self.REGION, "--enable-normalization", "true")
        gain = out[0] / source[0]
        for i in range(0, 2 * RATE, 97):
            self.assertAlmostEqual(out[i], gain * source[i], delta=1e-6)

    def test_a_batch_and_a_song_alone(self):
        self.recording(6)
        alone = self.song(*self.REGION)
        self.assertEqual(self.song(*self.REGION, "--batch-size", "2"), alone)

    def test_latents_are_no_recording(self):
        self.recording(6)
        done = self.run_program("encode", "s.wav", "--models", GOLDEN, "--precision", "f32", "--quiet")
        self.assertEqual(done.returncode, 0, done.stderr.decode())
        latents = ("--src-audio", "", "--src-latents", "s.latents", *self.REGION)
        self.song(*latents)
        self.assertEqual(self.report["warnings"], [])
        self.song(*latents, "--repaint-wav-crossfade-sec", "0.1")
        self.assertEqual([w["field"] for w in self.report["warnings"]], ["repaint_wav_crossfade_sec"])

    def test_a_sidecar_repeats_it(self):
        self.recording(6)
        first = self.song(*self.REGION, "--repaint-wav-crossfade-sec", "0.1")
        done = self.run_program("generate", "--request", "a.json", "-o", "again.wav", "--models", GOLDEN)
        self.assertEqual(done.returncode, 0, done.stderr.decode())
        self.assertEqual(read_wav(self.path("again.wav")), first)

    def test_values(self):
        for option, value in (("--repaint-wav-crossfade-sec", "6"), ("--repaint-wav-crossfade-sec", "-2"),
                              ("--repaint-latent-crossfade-frames", "251"), ("--repaint-latent-crossfade-frames", "1.5")):
            self.refused(ARGUMENT, "generate", option, value, says=(option[2:].replace("-", "_"),))


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1] + sys.argv[2:])
