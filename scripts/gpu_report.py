#!/usr/bin/env python3
"""What scripts/gpu-check reads out of the results that it collects. Python's own library only.

usage: gpu_report.py tier RESULT GB DRIVER-MIB    plan = measured, below the cap, computed on the card
       gpu_report.py card RESULT                  computed on the card
       gpu_report.py fellback RESULT              a failed allocation was survived
       gpu_report.py stages RESULT                seconds and TFLOP/s of each stage
       gpu_report.py bench RESULT                 the same, of acestep bench, whose card was measured
       gpu_report.py expected PLAN RESULT         what the plan expected beside what a song took
       gpu_report.py same A.wav B.wav             the same samples
       gpu_report.py cold RESULT SECONDS          process start to audio, and what of it is what
       gpu_report.py aims FOLDER                  shares of the card's peaks against the aims
Exit status 1: not as it should be. aims never fails: a speed is a finding."""
import json
import os
import sys
import wave

GB = 1 << 30
# (what, share of the peak that is aimed at)
AIMS = {"dit-batch8-240s": 0.60, "dit-batch1-60s": 0.40, "vae-decode": 0.35, "lm-decode-batch1": 0.70}


def load(path):
    with open(path, encoding="utf-8") as f:
        return json.load(f)


def check(holds, complaint):
    if not holds:
        print(complaint)
        sys.exit(1)


def card(result):
    warnings = [w for w in result["warnings"] if w["id"] == "W14"]
    check(not warnings, f"not computed on the card: {warnings}")
    check(result["plan"]["device"] != "cpu", "the plan chose the CPU")


def tier(result, gb, driver_mib):
    plan, peak = result["plan"]["peak_bytes"], result["measured"]["peak_bytes"]
    print(f"plan {plan / GB:.3f} GB, measured {peak / GB:.3f}, driver's {driver_mib / 1024:.3f}, cap {gb}")
    check(plan == peak, "the plan was not kept")
    check(peak / GB <= max(0.5, gb - 0.5), "the cap was exceeded")
    check(driver_mib / 1024 <= gb, "the driver shows more than the simulated card has")
    card(result)


def fellback(result):
    print("replans:", result["measured"]["replans"], "warnings:", [w["id"] for w in result["warnings"]])
    check(result["outputs"][0]["path"], "no song was written")
    check(result["measured"]["replans"] > 0 or result["warnings"], "nobody noticed the failed allocation")


def stages(result):
    for stage in result["measured"]["stages"]:
        compute = stage["compute_seconds"]
        rate = stage["flops"] / compute / 1e12 if compute > 0 else 0
        print(f"{stage['name']:20s} load {stage['load_seconds']:8.3f} s  compute {compute:8.3f} s  {rate:7.2f} TFLOP/s")
    print(" ".join(f"{name} {seconds:.3f} s" for name, seconds in result["timings"].items()))


def bench(result):
    machine = result["machine"]
    check(machine["device"], "not computed on a card")
    print(machine["device"], machine["peak_gflops"], "GFLOP/s,", machine["memory_gbps"], "GB/s")
    for row in result["stages"]:
        print(f"{row['stage']:12s} {row['best_seconds']:9.5f} s  {row['share_of_peak']:6.1%} of {row['bound']}  {row['work']}")


def expected(plan, result):
    """Unknown where the plan has chosen what the bench did not measure."""
    seconds = plan["expected_seconds"]
    print(f"expected {f'{seconds:.3f} s' if seconds > 0 else 'unknown'}, took {result['timings']['total']:.3f} s")


def same(a, b):
    with wave.open(a, "rb") as x, wave.open(b, "rb") as y:
        check(x.getnframes() == y.getnframes() > 0, "of other lengths")
        first, second = x.readframes(x.getnframes()), y.readframes(y.getnframes())
    check(any(first), "silence")
    check(first == second, f"{a} and {b} differ")
    print("the same samples")


def cold(result, wall):
    timings = result["timings"]
    parts = {"opening": timings["opening"], "planning": timings["planning"], "loading": timings["loading"],
             "computing": sum(s["compute_seconds"] for s in result["measured"]["stages"]),
             "writing": timings["writing"]}
    parts["the rest"] = wall - sum(parts.values())
    print(f"from process start to audio {wall:.3f} s: " + ", ".join(f"{k} {v:.3f} s" for k, v in parts.items()))
    check(timings["loading"] > 0, "nothing was loaded")


def there(folder, name):
    """The file's content; None where a step did not get so far."""
    path = os.path.join(folder, name)
    if not os.path.exists(path) or os.path.getsize(path) == 0:
        return None
    return load(path)


def shares(folder):
    """{what: share of the peak}, of what has been measured."""
    found = {}
    result = there(folder, "bench.json")
    if result is None:
        return found
    peak = result["machine"]["peak_gflops"]["bf16"] * 1e9
    for row in result["stages"]:
        if row["stage"] == "vae-decode" and row["precision"] == "bf16":
            found["vae-decode"] = row["gflops"] * 1e9 / peak
        if row["stage"] == "lm.decode" and row["work"].startswith("1 token, 1 seq") and row["precision"] == "bf16":
            share = row["gbps"] / result["machine"]["memory_gbps"]
            found["lm-decode-batch1"] = max(found.get("lm-decode-batch1", 0), share)
    for name, file in (("dit-batch1-60s", "song-60"), ("dit-batch8-240s", "song-240x8")):
        song = there(folder, file + ".result.json")
        if song is None:
            continue
        work = [s for s in song["measured"]["stages"] if s["stage"] == "diffusion"]
        found[name] = sum(s["flops"] for s in work) / sum(s["compute_seconds"] for s in work) / peak
    return found


def aims(folder):
    found = shares(folder)
    for name, aim in AIMS.items():
        share = found.get(name)
        verdict = "not measured" if share is None else "met" if share >= aim else "missed"
        print(f"{name:18s} aim {aim:4.0%}  reached {'—' if share is None else f'{share:.1%}':>6s}  {verdict}")


def main(argv):
    what, rest = argv[0], argv[1:]
    if what == "tier":
        tier(load(rest[0]), float(rest[1]), int(rest[2]))
    elif what == "cold":
        cold(load(rest[0]), float(rest[1]))
    elif what == "expected":
        expected(load(rest[0]), load(rest[1]))
    elif what == "same":
        same(*rest)
    elif what == "aims":
        aims(rest[0])
    else:
        {"card": card, "fellback": fellback, "stages": stages, "bench": bench}[what](load(rest[0]))


if __name__ == "__main__":
    if len(sys.argv) < 3:
        sys.exit(__doc__)
    main(sys.argv[1:])
