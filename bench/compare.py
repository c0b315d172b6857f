#!/usr/bin/env python3
"""The engine's seconds beside PyTorch's (bench/pytorch_layers.py), stage by stage.

usage: compare.py BENCH.json|FOLDER TORCH.json
BENCH.json is what `acestep bench --json` prints; a FOLDER is one of scripts/gpu-check, whose songs count as well.
The ratio is PyTorch's time by the engine's: above 1 the engine is faster. Of PyTorch's variants the fastest counts."""
import json
import os
import sys


def load(path):
    with open(path, encoding="utf-8") as f:
        return json.load(f)


def of_bench(bench):
    """(stage, work): best seconds, of the plain weights."""
    found = {}
    for row in bench["stages"]:
        if row["precision"] != "int8":
            key = (row["stage"], row["work"].split(" in windows of ")[0])
            found[key] = min(row["best_seconds"], found.get(key, row["best_seconds"]))
    return found


def of_song(result):
    """{stage: seconds of computing}, and how often the networks were at work."""
    seconds = {}
    for stage in result["measured"]["stages"]:
        seconds[stage["stage"]] = seconds.get(stage["stage"], 0) + stage["compute_seconds"]
    return seconds, result["plan"]["inference_steps"]


def of_torch(torch):
    """(stage, work): (best seconds, variant)"""
    best = {}
    for row in torch["stages"]:
        key = (row["stage"], row["work"])
        if key not in best or row["best_seconds"] < best[key][0]:
            best[key] = (row["best_seconds"], row["variant"])
    return best


def song_lines(folder, torch):
    """Diffusion and decoding of the songs that gpu-check has made."""
    for name, seconds, batch in (("song-60", 60, 1), ("song-240x8", 240, 8)):
        path = os.path.join(folder, name + ".result.json")
        if not os.path.exists(path) or os.path.getsize(path) == 0:
            continue
        engine, steps = of_song(load(path))
        rows = [r for r in torch["stages"] if r["audio_seconds"] == seconds]
        dit = [r["best_seconds"] for r in rows if r["stage"] == "dit" and r["batch"] == batch]
        vae = [r["best_seconds"] for r in rows if r["stage"] == "vae-decode"]
        if dit and "diffusion" in engine:
            yield f"{name}: {steps} steps", engine["diffusion"], steps * min(dit), "fastest"
        if vae and "vae" in engine:
            yield f"{name}: decoding", engine["vae"], batch * min(vae), "fastest"


def lines(place, torch):
    folder = place if os.path.isdir(place) else None
    bench = load(os.path.join(place, "bench.json") if folder else place)
    theirs = of_torch(torch)
    for (stage, work), ours in of_bench(bench).items():
        if (stage, work) in theirs:
            seconds, variant = theirs[stage, work]
            yield f"{stage}: {work}", ours, seconds, variant
    if folder:
        yield from song_lines(folder, torch)


def main():
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    torch = load(sys.argv[2])
    rows = list(lines(sys.argv[1], torch))
    if not rows:
        sys.exit("compare: the two have no stage in common")
    print(f"{'stage':62s} {'acestep s':>10s} {'PyTorch s':>10s} {'ratio':>6s}  PyTorch's variant")
    for name, ours, theirs, variant in rows:
        print(f"{name:62s} {ours:10.5f} {theirs:10.5f} {theirs / ours:6.2f}  {variant}")


if __name__ == "__main__":
    main()
