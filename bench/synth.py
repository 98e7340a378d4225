"""Ours against the ctgan package, in turn, on one table: the bars of the synthesizers.

    make bench-synth DATA=adult.csv [ROUNDS=3] [ONLY="2 threads"] [TABMILL_ISA=v3]

Each round runs every case of both sides one after the other, so that a noisy machine is noisy for both; medians and ratios of the rounds
are printed.  The floor of a CTGAN step is 1.42 GFLOP (on Adult, batch 500) over the FMA peak measured in the same process.
TABMILL_ISA=v3 holds both sides to AVX2, the peer by the variables of its libraries.
"""
import json
import os
import random
import statistics
import subprocess
import sys
import tempfile

OURS, PEER = "build/release/bench/synth", ["build/venv/bin/python", "bench/peer_synth.py"]
STEP_GFLOP = 1.42
IS_V3 = os.environ.get("TABMILL_ISA") == "v3"
AVX2 = {"ATEN_CPU_CAPABILITY": "avx2", "ONEDNN_MAX_CPU_ISA": "AVX2", "MKL_ENABLE_INSTRUCTIONS": "AVX2"} if IS_V3 else {}


def run(command):
    env = os.environ | {"PYTHONWARNINGS": "ignore"} | AVX2
    out = subprocess.run(command, check=True, capture_output=True, text=True, env=env)
    return json.loads(out.stdout.strip().splitlines()[-1])


def make_wide(path):
    """20,000 rows: two numbers, one category of 4,000 values, one of two."""
    rng = random.Random(4)
    with open(path, "w") as f:
        f.write("a,b,wide,two\n")
        for _ in range(20000):
            v = rng.randrange(4000)
            f.write(f"{rng.gauss(v % 7, 1):.4f},{rng.gauss(0, 2):.4f},v{v},{'yes' if rng.random() < .3 else 'no'}\n")


def cases(data, wide, level):
    bf16 = ["bf16"] if "bf16" in level else []
    # The peer's epoch is a difference of two fits, each with ten seconds of transforms: it takes many short ones to be seen.
    bar_ctgan = {"off": 4.5 if IS_V3 else 5, "bf16": 7}
    for method, ours, theirs, bars in (("ctgan", "12", "6", bar_ctgan), ("tvae", "60", "30", {"off": 4, "bf16": 6})):
        for threads in (2, 1):
            for amp in ["off"] + bf16:
                bar = bars[amp] if threads == 2 else None
                yield f"{method}, {threads} threads, {amp}", [OURS, method, data, ours, amp, str(threads)], \
                    PEER + [method, data, theirs, str(threads)], bar
    yield "ctgan, 4,000 values", [OURS, "ctgan", wide, "2", "off", "2"], PEER + ["ctgan", wide, "1", "2"], 20


def main():
    data = os.environ.get("DATA", "")
    if not os.path.exists(data):
        print("SKIP: bench-synth wants a table: make bench-synth DATA=adult.csv")
        return
    rounds = int(os.environ.get("ROUNDS", "3"))
    level = run([OURS, "independent", data, "1", "off", "1"])["level"]
    results, peers = {}, {}
    with tempfile.TemporaryDirectory() as tmp:
        wide = tmp + "/wide.csv"
        make_wide(wide)
        for number in range(rounds):
            seen = {}
            for name, ours, peer, bar in cases(data, wide, level):
                if os.environ.get("ONLY", "") not in name:
                    continue
                results.setdefault((name, bar), []).append(run(ours))
                if "values" in name and number:
                    peers[name].append(peers[name][0])  # minutes of the peer, and far from its bar: once
                    continue
                if tuple(peer) not in seen:
                    seen[tuple(peer)] = run(peer)
                peers.setdefault(name, []).append(seen[tuple(peer)])
                print(f"{name}: epoch {results[name, bar][-1]['epoch']:.3f} s, peer {peers[name][-1]['epoch']:.3f} s", file=sys.stderr)
            print(f"round {number + 1} of {rounds} done", file=sys.stderr)
        mixture = [run([OURS, "mixture", data, "40", "off", "2", "components=200"]) for _ in range(rounds)]

    def med(rows, key):
        return statistics.median(r[key] for r in rows)

    print(f"level {level}, {rounds} rounds, medians; sample = 100,000 rows; RSS in MB")
    print("| case | epoch s: ours | peer | ratio | bar | sample s: ours | peer | ratio | open s: ours | peer | ratio | RSS: ours | peer | ratio | step over floor |")
    print("|---|---|---|---|---|---|---|---|---|---|---|---|---|---|---|")
    for (name, bar), rows in results.items():
        row = [name]
        for key, digits in (("epoch", 3), ("sample", 3), ("open", 3), ("peak_mb", 0)):
            ours, theirs = med(rows, key), med(peers[name], key)
            row += [f"{ours:.{digits}f}", f"{theirs:.{digits}f}", f"{theirs / ours:.1f}x"]
            if key == "epoch":
                row.append(f"{bar}x" if bar else "")
        floor = ""
        if name.startswith("ctgan") and "values" not in name and name.endswith("off"):
            floor = statistics.median(r["epoch"] / r["steps"] / (STEP_GFLOP / r["peak_gflops"]) for r in rows)
            floor = f"{floor:.2f} ({med(rows, 'epoch') / rows[0]['steps'] * 1e3:.2f} ms at {med(rows, 'peak_gflops'):.0f} GF/s)"
        print("| " + " | ".join(row + [floor]) + " |")
    fit = statistics.median(r["open"] + 40 * r["epoch"] for r in mixture)
    print(f"mixture, K=200: fit with coding {fit:.3f} s, sampling {0.1 / med(mixture, 'sample'):.2f} M rows/s")


if __name__ == "__main__":
    main()
