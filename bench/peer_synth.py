"""Time the ctgan package from PyPI as a black box: one JSON line.

    peer_synth.py ctgan|tvae DATA.csv EPOCHS THREADS [COLUMN ...]

An epoch is what EPOCHS more of them add to a fit of one; `open` is what is left of that fit: transforms and set-up.
"""
import json
import resource
import statistics
import sys
import time

import pandas as pd
import torch

method, path, epochs, threads = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
torch.set_num_threads(threads)
from ctgan import CTGAN, TVAE  # noqa: E402  (after the thread count is set)

table = pd.read_csv(path)
discrete = [c for c in table if not pd.api.types.is_numeric_dtype(table[c])]
extra = [c for c in sys.argv[5:] if c not in discrete]
kind = {"ctgan": CTGAN, "tvae": TVAE}[method]


def fit(n):
    model = kind(epochs=n)
    start = time.perf_counter()
    model.fit(table, discrete + extra)
    return model, time.perf_counter() - start


fit(1)  # imports, thread pools and worker processes are warm afterwards
_, one = fit(1)
model, many = fit(1 + epochs)
epoch = (many - one) / epochs
sample = []
for _ in range(3):
    start = time.perf_counter()
    model.sample(100000)
    sample.append(time.perf_counter() - start)
print(json.dumps({"method": method, "threads": threads, "open": one - epoch, "epoch": epoch,
                  "sample": statistics.median(sample),
                  "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1.024e-3}))
