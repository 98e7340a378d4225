#!/usr/bin/env python3
# NEEDS: torch tabicl
"""p_prior_files.py: batch_*.pt are read by the official loader, fixed and nested, with the values that shards have; the examples run."""
import os
import subprocess
import sys
import tempfile

import torch

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, os.path.join(ROOT, "examples"))
import prior_shards  # noqa: E402
import prior_stream  # noqa: E402
from tabicl.prior._genload import LoadPriorDataset  # noqa: E402

TABMILL = os.environ["TABMILL"]


def verdict(name, good, why=""):
    print(("ok " if good else "FAIL ") + name + (": " + str(why) if why and not good else ""))


def make(folder, *options):
    subprocess.run([TABMILL, "prior", "-q", "-o", folder, "--nproc", "2", *options], check=True)
    return folder


def compare(name, tmp, n, *options, integers=False):
    """Every data set that the loader gives, beside the shard's."""
    pt = make(os.path.join(tmp, name + "-pt"), "--format", "pt", "-n", str(n), *options)
    shards = list(prior_shards.ShardReader(make(os.path.join(tmp, name + "-shards"), "-n", str(n), *options)))
    block = int(options[options.index("--batch-size") + 1])
    loader = LoadPriorDataset(pt, batch_size=block, max_batches=-(-n // block), timeout=5)
    verdict(name + "_metadata", loader.metadata["batch_size"] == block and "max_seq_len" in loader.metadata)
    at, bad = 0, []
    for X, y, d, rows, train in loader:
        if integers != (y.dtype == torch.int64):
            bad.append("y is " + str(y.dtype))
        for i in range(len(d)):
            x, want, train_rows = shards[at]
            T, k = int(rows[i]), int(d[i])
            if x.shape != (T, k) or train_rows != int(train[i]) or not torch.equal(X[i][:T, :k], x):
                bad.append(f"X of data set {at}")
            if X[i].shape[1] > k and X[i][:, k:].abs().max() != 0:
                bad.append(f"padding of data set {at}")
            if not torch.equal(y[i][:T].double(), want.double()):
                bad.append(f"y of data set {at}")
            at += 1
    verdict(name + "_count", at == n, f"{at} of {n}")
    verdict(name + "_values", not bad, bad[:3])


def main():
    small = ["--max-seq", "90", "--max-features", "12", "--batch-size", "20", "--batch-size-per-gp", "4"]
    with tempfile.TemporaryDirectory() as tmp:
        compare("fixed", tmp, 50, "--prior", "mlp_scm", *small)
        compare("nested", tmp, 50, "--prior", "mlp_scm", "--seq-len-per-gp", "--min-seq", "40", "--log-seq", *small)
        compare("integers", tmp, 30, "--prior", "dummy", "--max-classes", "3", "--max-seq", "60", "--max-features", "5", "--batch-size", "20", integers=True)
        compare("regression", tmp, 30, "--prior", "mlp_scm", "--regression", *small)

        # ranks see everything once, an epoch is another order
        folder = os.path.join(tmp, "fixed-shards")
        every = [x.sum().item() for x, _, _ in prior_shards.ShardReader(folder)]
        ranks = [x.sum().item() for r in range(3) for x, _, _ in prior_shards.ShardReader(folder, r, 3, shuffle=True, epoch=1)]
        verdict("shards_ranks", sorted(every) == sorted(ranks) and every != ranks)
        workers = [x.sum().item() for r in range(2) for x, _, _ in torch.utils.data.DataLoader(
            prior_shards.ShardReader(folder, r, 2, shuffle=True), batch_size=None, num_workers=2)]
        verdict("shards_workers", sorted(every) == sorted(workers), f"{len(workers)} of {len(every)}")
        one, two = ([x.sum().item() for x, _, _ in prior_shards.ShardReader(folder, shuffle=True, epoch=e)] for e in (1, 2))
        verdict("shards_epochs", one != two and sorted(one) == sorted(two))

        read = list(prior_stream.batches(4, "-n", "40", "--prior", "mlp_scm", *small))
        verdict("stream_batches", len(read) == 10 and all(X.shape[:2] == y.shape and X.shape[2] == d.max() for X, y, d, _ in read))
        flat = [X[i, :, : d[i]] for X, _, d, _ in read for i in range(4)]
        shards = [x for x, _, _ in prior_shards.ShardReader(folder)][:40]
        verdict("stream_values", all(torch.equal(a, b) for a, b in zip(flat, shards)) and len(flat) == 40)
        try:
            list(prior_stream.batches(1, "-n", "1", "--prior", "none"))
            verdict("stream_tells_failure", False, "no exception")
        except RuntimeError as e:
            verdict("stream_tells_failure", "status 2" in str(e), e)
        for script, argument in (("prior_stream.py", ["-n", "8", "--prior", "dummy"]), ("prior_shards.py", [folder])):
            p = subprocess.run([sys.executable, os.path.join(ROOT, "examples", script), *argument], capture_output=True, text=True)
            verdict("runs_" + script[:-3], p.returncode == 0 and p.stdout.startswith("("), p.stderr[-300:])


if __name__ == "__main__":
    main()
