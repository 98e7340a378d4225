#!/usr/bin/env python3
"""Data sets from the shards of `tabmill prior` as torch tensors, dealt to ranks and shuffled.

    for x, y, train_rows in ShardReader("data/large", rank=0, world=8, shuffle=True, epoch=3): ...

Every rank sees its own data sets, all ranks together see each once, with any number of workers of a DataLoader(batch_size=None); an epoch is
another order, the same on every machine.
"""
import glob
import json
import os
import struct
import sys

import numpy as np
import torch


def open_shard(path):
    """The tensors of a .mill file by name, mapped, not read (docs/prior.md)."""
    with open(path, "rb") as f:
        magic, n = struct.unpack("<8sQ", f.read(16))
        if magic != b"TABMILL1":
            raise ValueError(path + ": not a .mill file")
        header = json.loads(f.read(n))
    types = {"F32": "<f4", "F64": "<f8", "I64": "<i8", "I32": "<i4", "U8": "u1"}
    return {name: np.memmap(path, types[t["dtype"]], "r", t["offset"], tuple(t["shape"])) for name, t in header["tensors"].items()}


class ShardReader(torch.utils.data.IterableDataset):
    def __init__(self, folder, rank=0, world=1, shuffle=False, seed=0, epoch=0):
        self.paths = sorted(glob.glob(os.path.join(folder, "shard_*.mill")))
        self.rank, self.world, self.shuffle, self.seed, self.epoch = rank, world, shuffle, seed, epoch

    def __iter__(self):
        order = np.random.default_rng([self.seed, self.epoch])
        worker = torch.utils.data.get_worker_info()
        workers, mine = (worker.num_workers, worker.id) if worker else (1, 0)
        at = 0
        for path in order.permutation(self.paths) if self.shuffle else self.paths:
            shard = open_shard(path)
            sets = range(len(shard["sets"]))
            for k in order.permutation(sets) if self.shuffle else sets:
                at += 1
                if (at - 1) % (self.world * workers) == self.rank * workers + mine:
                    yield self.read(shard, shard["sets"][k])

    @staticmethod
    def read(shard, row):
        _, rows, train_rows, features, _, classes, _, _, _, _, _, x_at, y_at, _, _, _ = (int(v) for v in row)
        x = np.array(shard["x"][x_at:x_at + rows * features]).reshape(features, rows).T
        y = torch.from_numpy(np.array(shard["y"][y_at:y_at + rows]))
        return torch.from_numpy(x), y.long() if classes else y, train_rows


if __name__ == "__main__":
    for x, y, train_rows in ShardReader(sys.argv[1], int(os.environ.get("RANK", 0)), int(os.environ.get("WORLD_SIZE", 1)), shuffle=True):
        print(tuple(x.shape), len(y.unique()), train_rows)
