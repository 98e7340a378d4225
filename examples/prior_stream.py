#!/usr/bin/env python3
"""Data sets from `tabmill prior stream` as torch tensors: for X, y, d, train_size in batches(4, "--recipe", "v2-clf-stage1"): ..."""
import os
import struct
import subprocess
import sys

import numpy as np
import torch


def data_sets(*options):
    """Yields (x, y, train_rows), x of (rows, features); the frame is described in docs/prior.md."""
    with subprocess.Popen([os.environ.get("TABMILL", "tabmill"), "prior", "stream", "-q", *options], stdout=subprocess.PIPE) as p:
        while head := p.stdout.read(128):
            magic, index, rows, train, features, width, classes, attempts, imbalance, text = struct.unpack_from("<8s3q4idq", head)
            if magic != b"MILLSET1":
                raise ValueError("not a stream of data sets")
            x = np.frombuffer(bytearray(p.stdout.read(4 * rows * features)), "<f4").reshape(features, rows).T
            y = np.frombuffer(bytearray(p.stdout.read(4 * rows)), "<f4")
            p.stdout.read(4 * features + text)  # levels of the columns, hyper-parameters
            yield torch.from_numpy(x), torch.from_numpy(y).long() if classes else torch.from_numpy(y), train
    if p.returncode:
        raise RuntimeError("tabmill prior stream ended with status %d" % p.returncode)  # it has said why


def batches(size, *options):
    """Yields X (size, rows, features) with zeros behind a data set's own, y (size, rows), d (size), train_rows.  `size` has to divide
    --batch-size-per-gp: the data sets of a group share rows and training rows."""
    group = []
    for s in data_sets(*options):
        group.append(s)
        if len(group) == size:
            d = torch.tensor([x.shape[1] for x, _, _ in group])
            x = torch.stack([torch.nn.functional.pad(x, (0, int(d.max()) - x.shape[1])) for x, _, _ in group])
            yield x, torch.stack([y for _, y, _ in group]), d, group[0][2]
            group = []


if __name__ == "__main__":
    for X, y, d, train_rows in batches(4, *sys.argv[1:]):
        print(tuple(X.shape), tuple(y.shape), d.tolist(), train_rows)
