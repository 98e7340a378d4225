#!/usr/bin/env python3
"""prior.py [--sets N] [ROW ...] - data sets a minute, the official generator's and ours in turn, one thread each, the same ranges.

A row is measured with three seeds a side, whose data sets and seconds are added up: the official rate varies twofold with the seed.  Ours
go through `prior stream` to nowhere, one process.  The last rows have no official side: `shards`, beside a plain write of as many bytes;
`workers`, two over one; `slowest`, the slowest data sets, and for mlp_scm its time over its floor (bench/prior.c).  Without ROW all of them.
The official side takes most of the time, .25 to .5 s a data set, stage 3 some 3.5; --sets is its number per row (400; stage 3 a quarter).
"""
import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
TABMILL = os.environ.get("TABMILL", os.path.join(ROOT, "build", "release", "tabmill"))
ONE = {**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
SEEDS = 3
ROWS = {  # row: (kind of tests/parity/prior_official.py, what tabmill is told, sets of ours for one of theirs, bar, bar at v3)
    "mlp_scm": ("mlp_scm", ["--prior", "mlp_scm"], 40, 400, 200),
    "mix_scm": ("mix_scm", ["--prior", "mix_scm"], 40, 120, 80),
    "v2-clf-stage1": ("graph_clf", ["--recipe", "v2-clf-stage1"], 4, 25, 20),
    "v2-clf-stage3": ("graph_clf3", ["--recipe", "v2-clf-stage3"], 2, 12, None),
}
OFFICIAL = """
import sys, time
sys.path.insert(0, %r)
import prior_official as p
p.KINDS["graph_clf3"] = ("2.2.0", "graph_scm", {"min_seq_len": 400, "max_seq_len": 60000, "log_seq_len": True, "seq_len_per_gp": True}, [])
p.SEED = int(sys.argv[3]) * 1000003
kind, n = sys.argv[1], int(sys.argv[2])
p.COMMON.update(batch_size=4, batch_size_per_gp=1 if kind == "graph_clf3" else 4)
import torch, numpy, random
torch.set_num_threads(1)
data, _ = p.generator(kind)
random.seed(p.SEED); numpy.random.seed(p.SEED %% 2**32); torch.manual_seed(p.SEED)
data.get_batch()
began = time.perf_counter()
for _ in range(n // 4):
    data.get_batch()
print(n // 4 * 4, time.perf_counter() - began)
""" % os.path.join(ROOT, "tests", "parity")


def official(kind, n, seed):
    release = "2.2.0" if kind.startswith("graph") else "0.1.4"
    path = [os.path.join(ROOT, "build", "venv", "tabicl-0.1.4")] if release == "0.1.4" else []
    env = {**ONE, "PYTHONPATH": os.pathsep.join(path + os.environ.get("PYTHONPATH", "").split(os.pathsep))}
    p = subprocess.run([sys.executable, "-c", OFFICIAL, kind, str(n), str(seed)], env=env, capture_output=True, text=True)
    if p.returncode:
        sys.exit(p.stderr[-2000:])
    made, seconds = p.stdout.split()[-2:]
    return int(made), float(seconds)


def ours(options, n, seed, level=None, workers=0):
    env = {**ONE, **({"TABMILL_ISA": level} if level else {})}
    how = ["--nproc", str(workers)] if workers else ["--max-ahead", "0"]
    began = time.perf_counter()
    subprocess.run([TABMILL, "prior", "stream", "-q", "-n", str(n), "--seed", str(seed), *how, *options], env=env, check=True,
                   stdout=subprocess.DEVNULL)
    return n, time.perf_counter() - began


def rate(pairs):
    return 60 * sum(p[0] for p in pairs) / sum(p[1] for p in pairs)


def compare(name, sets):
    kind, options, more, bar, bar_v3 = ROWS[name]
    theirs, mine, v3 = [], [], []
    n = max(4, sets // SEEDS // (4 if name.endswith("stage3") else 1) + 3) // 4 * 4
    for seed in range(1, SEEDS + 1):  # in turn
        theirs.append(official(kind, n, seed))
        mine.append(ours(options, n * more, seed))
        v3.append(ours(options, n * more, seed, "v3"))
    t, m, a = rate(theirs), rate(mine), rate(v3)
    print("%-14s official %8.1f a minute (%d sets; seeds %s)" % (name, t, sum(p[0] for p in theirs), ", ".join("%.0f" % rate([p]) for p in theirs)))
    print("%-14s ours     %8.0f a minute: %.0fx (bar %d)" % ("", m, m / t, bar), end="")
    print("; at v3 %.0f: %.0fx%s" % (a, a / t, " (bar %d)" % bar_v3 if bar_v3 else ""))
    if name == "v2-clf-stage1":
        print("%-14s cores that feed one H100 at 3,024 a minute: %.2f (official: %.0f)" % ("", 3024 / m, 3024 / t))
    sys.stdout.flush()
    return t


def write(theirs):
    """mlp_scm as shards, beside a plain sequential write of the same bytes to the same disk."""
    n = 6000
    with tempfile.TemporaryDirectory(dir=os.path.join(ROOT, "build")) as tmp:
        began = time.perf_counter()
        subprocess.run([TABMILL, "prior", "-q", "-n", str(n), "-o", tmp + "/run", "--nproc", "1", "--prior", "mlp_scm"], check=True, env=ONE)
        seconds = time.perf_counter() - began
        size = sum(os.path.getsize(os.path.join(tmp, "run", f)) for f in os.listdir(tmp + "/run") if f.endswith(".mill"))
        shutil.rmtree(tmp + "/run")
        began = time.perf_counter()
        subprocess.run(["dd", "if=/dev/zero", "of=" + tmp + "/plain", "bs=1M", "count=%d" % (size >> 20), "conv=fsync"], check=True, stderr=subprocess.DEVNULL)
        plain = time.perf_counter() - began
    made = ours(["--prior", "mlp_scm"], n, 0)[1]
    print("shards         %.0f a minute%s, %.0f MB/s; plain write %.0f MB/s; %s" % (
        60 * n / seconds, " (%.0fx)" % (60 * n / seconds / theirs) if theirs else "", size / seconds / 1e6, size / plain / 1e6,
        "generation-bound" if made > plain else "disk-bound: %.0f %% of plain" % (100 * plain / seconds)))


def workers():
    for name in ("mlp_scm", "v2-clf-stage1"):
        n = 8000 if name == "mlp_scm" else 400
        one, two = [], []
        for seed in range(1, SEEDS + 1):
            one.append(ours(ROWS[name][1], n, seed, workers=1))
            two.append(ours(ROWS[name][1], n, seed, workers=2))
        print("2 over 1       %s: %.2fx (bar 1.9)" % (name, rate(two) / rate(one)))


def slowest():
    for what, n in (("mlp_scm", 4000), ("mix_scm", 4000), ("v2-clf-stage1", 400)):
        print(what)
        sys.stdout.flush()
        subprocess.run([os.path.join(ROOT, "build", "release", "bench", "prior"), what, str(n)], check=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sets", type=int, default=400)
    parser.add_argument("row", nargs="*", choices=[[], *ROWS, "shards", "workers", "slowest"])
    o = parser.parse_args()
    theirs = {name: compare(name, o.sets) for name in ROWS if not o.row or name in o.row}
    for name, measure in (("shards", lambda: write(theirs.get("mlp_scm"))), ("workers", workers), ("slowest", slowest)):
        if not o.row or name in o.row:
            measure()
            sys.stdout.flush()


if __name__ == "__main__":
    main()
