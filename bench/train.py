"""Training throughput: an MLP 512-1448-1448-1448-10 (5 M parameters), batch 512 per rank, AdamW, one thread a rank.

    bench/train.py BUILD [PEER_PYTHON]

Rounds of: the products alone, ours on 1 rank, on 2 ranks, the peer on 2 ranks; medians over the rounds, ratios within a round.  Bars: at least 92 % of weak
scaling; 2x the peer with AVX-512, 1.25x with AVX2; 85 % of the rate of the products alone; with bfloat16 products 1.5x the peer under autocast.
"""
import json
import os
import statistics
import subprocess
import sys
import tempfile

import numpy as np

BUILD, PEER = sys.argv[1], sys.argv[2] if len(sys.argv) > 2 else None
ROUNDS, STEPS = int(os.environ.get("ROUNDS", "3")), int(os.environ.get("STEPS", "40"))


def ours(data, folder, ranks, *more):
    """Milliseconds of a step between the first line of metrics and the last: neither start nor end."""
    rows, batch = len(np.load(data)["y"]), 512 * ranks
    epochs = max(1, STEPS * batch // rows)
    command = [BUILD + "/tabmill", "train", "--data", data, "--target", "y", "--hidden-dims", "1448,1448,1448", "--batch-size", "512",
               "--dropout", "0", "--val-fraction", "0", "--test-fraction", "0", "--threads", "1", "--epochs", str(epochs), "--log-interval", "4",
               "--max-grad-norm", "0", "--checkpoint-every", "100000", "--save-dir", folder, "--force", "-q", *more]
    if ranks > 1:
        command += ["--multi-gpu", "ddp", "--nproc", str(ranks)]
    subprocess.run(command, check=True)
    lines = [json.loads(line) for line in open(folder + "/metrics.jsonl")]
    return (lines[-1]["ts"] - lines[0]["ts"]) / (lines[-1]["step"] - lines[0]["step"]) * 1e3


def products(amp):
    return float(subprocess.run([BUILD + "/bench/train_products", amp], capture_output=True, text=True, check=True).stdout)


def peer(data, amp):
    run = subprocess.run([PEER, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", "bench/peer/train_ddp.py", data, str(STEPS // 2),
                          amp], check=True, capture_output=True, text=True)
    return float(run.stdout.split()[-1])


def main():
    with tempfile.TemporaryDirectory() as folder:
        data, rng = folder + "/data.npz", np.random.default_rng(0)
        x = rng.standard_normal((12288, 512)).astype("f4")
        np.savez(data, x=x, y=(x @ rng.standard_normal((512, 10))).argmax(1))
        runs = [("products", lambda: products("off")), ("products_bf16", lambda: products("bf16")),
                ("one", lambda: ours(data, folder + "/1", 1)), ("two", lambda: ours(data, folder + "/2", 2)),
                ("bf16", lambda: ours(data, folder + "/b", 2, "--amp", "bf16"))]
        if PEER:
            runs += [("peer", lambda: peer(data, "off")), ("peer_bf16", lambda: peer(data, "bf16"))]
        seen = {name: [] for name, _ in runs}
        for _ in range(ROUNDS):
            for name, run in runs:
                seen[name].append(run())
        ms = {name: statistics.median(v) for name, v in seen.items()}

        def ratio(a, b):
            return statistics.median(x / y for x, y in zip(seen[a], seen[b]))

        print("products alone, one thread                          %.1f ms" % ms["products"])
        print("products alone, one thread, bf16                    %.1f ms" % ms["products_bf16"])
        print("ours, 1 rank                                        %.1f ms  (%.0f %% of the products' rate)" % (ms["one"], 100 * ratio("products", "one")))
        print("ours, 2 ranks                                       %.1f ms  (weak scaling %.1f %%)" % (ms["two"], 100 * ratio("one", "two")))
        print("ours, 2 ranks, bf16                                 %.1f ms  (%.0f %% of the products' rate)" % (ms["bf16"], 100 * ratio("products_bf16", "bf16")))
        if PEER:
            print("PyTorch DDP with gloo, 2 ranks                      %.1f ms  (ours %.2fx)" % (ms["peer"], ratio("peer", "two")))
            print("PyTorch DDP with gloo, 2 ranks, bf16 autocast       %.1f ms  (ours %.2fx)" % (ms["peer_bf16"], ratio("peer_bf16", "bf16")))


main()
